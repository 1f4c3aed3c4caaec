"""The exact engine: a statevector of the rotations alone, in the frame without Clifford gates.

Nothing is compiled per circuit: a circuit is its arrays of masks and angles. States are float arrays
(2, N), real and imaginary part, N = 2ⁿ (see `kernels.rows`). All methods take angles φ and return results
over rotations or, where a Jacobian J = ∂φ/∂θ is given, over parameters.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy import sparse

from qngd._system.memory import require_bytes
from qngd._system.threads import splits
from qngd.circuit.active import beside_zeros
from qngd.circuit.circuit import Circuit
from qngd.circuit.observable import Observable
from qngd.circuit.quarter_turns import as_arrays, quarter_turns
from qngd.exact.kernels import diagonal as _diagonal
from qngd.exact.kernels import sweeps as _sweeps
from qngd.exact.schedule import Schedule, Turns
from qngd.exact.statevector import (
    Terms,
    add_strings,
    apply_rotations,
    inner,
    overlaps_back,
    run_stages,
    times_observable,
    weight_sums,
    zero_state,
)
from qngd.exact.tangents import TangentPlan, gram_metric


@dataclass(frozen=True, eq=False)
class Ends:
    """An energy, the states ψ and Hψ (2, N) at the end of the circuit that it comes from, and cosines and sines of the
    half angles (K,), in running order."""

    energy: float
    state: np.ndarray
    other: np.ndarray
    cos: np.ndarray
    sin: np.ndarray


class Simulator:
    """Exact states, energies, gradients and metrics of one circuit.

    Args:
        circuit: the circuit.
        qubits: run the rotations on these alone, where all others stay |0⟩ (see `moved_qubits`); all if not given.

    Raises:
        MemoryLimitError: at the call that would need more memory than there is.
    """

    def __init__(self, circuit: Circuit, qubits: np.ndarray | None = None) -> None:
        self.circuit = circuit
        self.qubits = np.arange(circuit.num_qubits) if qubits is None else qubits
        self._plan: TangentPlan | None = (
            None  # of the last full metric; affine angle maps always give the same Jacobian
        )

    @cached_property
    def _schedule(self) -> Schedule:
        generators = self.circuit.generators.on(self.qubits)
        return Schedule.of(replace(self.circuit, num_qubits=self.num_qubits, generators=generators))

    @property
    def num_qubits(self) -> int:
        """Of the states."""
        return len(self.qubits)

    def terms(self, pulled: Observable) -> Terms:
        """A pulled observable for these states."""
        return Terms.of(beside_zeros(pulled, self.qubits))

    @cached_property
    def _clifford(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """C as rotations, up to a phase: masks x and z, cosines and sines of half angles."""
        axes, pauli = quarter_turns(self.circuit.frame)
        angle = np.full(len(axes) + 1, np.pi / 4)
        angle[-1] = np.pi / 2  # exp(−iπ/2 P) is P up to a phase
        return *as_arrays([*axes, pauli]), np.cos(angle), np.sin(angle)

    def _turns(self, phi: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        half = 0.5 * self._schedule.sign * phi[self._schedule.order]
        return np.cos(half), np.sin(half)

    def _require_states(self, count: int, what: str) -> None:
        n = self.num_qubits
        require_bytes(count * 16 << n, f"{what} on {n} qubits")

    def state(self, phi: np.ndarray) -> np.ndarray:
        """The state after all rotations, before the Clifford C: (2, N)."""
        self._require_states(2, "a statevector")
        return self._final(*self._turns(phi))

    def _final(self, cos: np.ndarray, sin: np.ndarray) -> np.ndarray:
        state = zero_state(self.num_qubits)
        run_stages(state, self._schedule, cos, sin)
        return state

    def statevector(self, phi: np.ndarray) -> np.ndarray:
        """C·R_K⋯R_1|0⟩ as complex amplitudes (N,), up to a global phase; qubit 0 is the lowest bit. Only for a
        simulator of all qubits."""
        assert self.num_qubits == self.circuit.num_qubits
        state = self.state(phi)
        apply_rotations(state, *self._clifford)
        return state[0] + 1j * state[1]

    def probabilities(self, phi: np.ndarray) -> np.ndarray:
        """Probability of each basis index, shape (N,)."""
        amplitudes = self.statevector(phi)
        weights = amplitudes.real**2 + amplitudes.imag**2
        return weights / weights.sum()

    def expectation(self, phi: np.ndarray, terms: Terms) -> float:
        """⟨H⟩ of the pulled observable."""
        return self.ends(phi, terms).energy

    def ends(self, phi: np.ndarray, terms: Terms) -> Ends:
        """What an energy has taken, and a gradient goes on from."""
        self._require_states(3, "an expectation value")
        cos, sin = self._turns(phi)
        return self._ends(self._final(cos, sin), cos, sin, terms)

    def _ends(self, state: np.ndarray, cos: np.ndarray, sin: np.ndarray, terms: Terms) -> Ends:
        other = times_observable(state, terms)
        return Ends(inner(state, other), state, other, cos, sin)

    def energy_and_gradient(self, phi: np.ndarray, terms: Terms) -> tuple[float, np.ndarray]:
        """⟨H⟩ and ∂⟨H⟩/∂φ (K,) by one forward and one reverse sweep, whatever K is."""
        self._require_states(3, "a gradient")
        ends = self.ends(phi, terms)
        return ends.energy, self.slopes(ends)

    def slopes(self, ends: Ends) -> np.ndarray:
        """∂⟨H⟩/∂φ (K,) by one reverse sweep, in which the two states are used up."""
        return self._over_rotations(overlaps_back(ends.state, ends.other, self._schedule, ends.cos, ends.sin))

    def _over_rotations(self, overlaps: np.ndarray) -> np.ndarray:
        """Overlaps with P_k in running order, as overlaps with s_kP_k in the circuit's."""
        found = np.empty(len(overlaps))
        found[self._schedule.order] = overlaps * self._schedule.sign
        return found

    def metric_product(self, phi: np.ndarray, jacobian: sparse.csr_array, vector: np.ndarray) -> np.ndarray:
        """g·v (P,) with the full metric over parameters, for v (P,).

        By one forward and one reverse sweep, like a gradient, and in as much memory, whatever P is. With
        |T_k⟩ = U_{>k}P_kU_{≤k}|0⟩ and |W⟩ = Σ_k (Jv)_k|T_k⟩, (g·v)_i = ¼Σ_k J_ki(Re⟨T_k|W⟩ − ⟨ψ|T_k⟩⟨ψ|W⟩).
        """
        self._require_states(3, "a product with the metric")
        s = self._schedule
        cos, sin = self._turns(phi)
        state = zero_state(self.num_qubits)
        tangent = np.zeros_like(state)
        weights = (jacobian @ vector)[s.order] * s.sign
        for stage, is_moving in enumerate(s.moving[s.start[:-1]]):
            for each in (state, tangent):
                run_stages(each, s, cos, sin, stage, stage + 1)
            if is_moving:  # strings of such a stage commute, so that they may follow it together
                add_strings(state, s, stage, weights, tangent)
        # ⟨ψ|W⟩ is real, so that W − ⟨ψ|W⟩ψ = R leaves Re⟨T_k|R⟩, which is Im⟨−iR|T_k⟩
        tangent -= inner(state, tangent) * state
        overlaps = overlaps_back(state, np.stack([tangent[1], -tangent[0]]), s, cos, sin)
        return 0.25 * (jacobian.T @ self._over_rotations(overlaps))

    def block_metric(
        self,
        phi: np.ndarray,
        jacobian: sparse.csr_array,
        terms: Terms | None = None,
        diagonal: bool = False,
    ) -> tuple[np.ndarray, float, np.ndarray]:
        """The metric over parameters from the blocks of the layers (or from the diagonal over units), and in the
        same pass energy and gradient over rotations if `terms` are given.

        A block is ¼(⟨P_iP_j⟩ − ⟨P_i⟩⟨P_j⟩): after a few quarter turns, sums over |ψ|² (see `kernels.diagonal`).
        Memory: a few states, whatever K is.
        """
        self._require_states(3, "a block-diagonal metric")
        s = self._schedule
        cos, sin = self._turns(phi)
        state = zero_state(self.num_qubits)
        metric, mean = np.zeros((jacobian.shape[1],) * 2), np.zeros(len(phi))
        sparse_rows = (jacobian.indptr, jacobian.indices, jacobian.data)
        block = self._block_numbers[diagonal]
        done = 0
        for turns, rows, end in zip(s.turns, s.layers, s.ends, strict=True):
            run_stages(state, s, cos, sin, done, end)
            done = end
            _add_block(state, turns, (rows, *sparse_rows, block, diagonal, metric, mean))
        self._add_split_gates(phi, jacobian, mean, diagonal, metric)
        if terms is None:
            return metric, np.nan, np.zeros(0)
        run_stages(state, s, cos, sin, done)
        ends = self._ends(state, cos, sin, terms)
        return metric, ends.energy, self.slopes(ends)

    @cached_property
    def _block_numbers(self) -> tuple[np.ndarray, np.ndarray]:
        """`Circuit.block_of` for the block-diagonal metric, and for its diagonal."""
        return self.circuit.block_of(False), self.circuit.block_of(True)

    def _add_split_gates(
        self, phi: np.ndarray, jacobian: sparse.csr_array, mean: np.ndarray, diagonal: bool, metric: np.ndarray
    ) -> None:
        """What correlates the layers of one gate."""
        split = self.circuit.split_gates
        if not len(split):
            return
        found = 0.25 * (jacobian.T @ split.covariances(phi, mean) @ jacobian).toarray()
        metric += np.diag(np.diag(found)) if diagonal else found

    def full_metric(self, phi: np.ndarray, jacobian: sparse.csr_array) -> np.ndarray:
        """The whole metric over parameters, (P, P): see `tangents`. In blocks where memory is short (QNGD_MEMORY_MIB
        bounds it)."""
        self._require_states(4, "a full metric")
        if self._plan is None or self._plan.jacobian is not jacobian:
            self._plan = TangentPlan.of(self._schedule, jacobian)
        return gram_metric(self.num_qubits, self._plan, *self._turns(phi))


def _add_block(state: np.ndarray, turns: Turns, contraction: tuple[np.ndarray | bool, ...]) -> None:
    """The block of the layer that has just been run, added up over parameters as `contraction` says."""
    size = state.shape[1]
    if not splits(size):
        work, sums = np.empty_like(state), np.empty(size)
        x, z, cos, sin = turns.x, turns.z, turns.cos, turns.cos
        _sweeps.add_block(*state, x, z, cos, sin, work, sums, turns.mask, turns.sign, *contraction)
        return
    if len(turns.x):
        state = state.copy()
        apply_rotations(state, turns.x, turns.z, turns.cos, turns.cos)
    _diagonal.add_covariances(weight_sums(state), turns.mask, turns.sign, *contraction)
