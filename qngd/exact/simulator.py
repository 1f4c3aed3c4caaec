"""The exact engine: a statevector of the rotations alone, in the frame without Clifford gates.

Nothing is compiled per circuit: a circuit is its arrays of masks and angles. States are float arrays
(2, N), real and imaginary part, N = 2ⁿ (see `kernels.layout`). All methods take angles φ and return results
over rotations or, where a Jacobian J = ∂φ/∂θ is given, over parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np
from scipy import sparse

from qngd._system.memory import available_bytes, require_bytes
from qngd._system.threads import splits
from qngd.circuit.active import beside_zeros
from qngd.circuit.circuit import Circuit
from qngd.circuit.observable import Observable
from qngd.circuit.quarter_turns import as_arrays, quarter_turns
from qngd.exact.common_basis import CommonBasis
from qngd.exact.kernels import diagonal as diagonal_kernels
from qngd.exact.kernels import sweeps
from qngd.exact.kernels.layout import Moments, Rotations, SparseRows
from qngd.exact.schedule import Schedule
from qngd.exact.statevector import (
    Terms,
    add_strings,
    apply_rotations,
    complex_inner,
    inner,
    overlaps_back,
    run_schedule,
    times_observable,
    weight_sums,
    zero_state,
)
from qngd.exact.tangents import TangentPlan, gram_metric


@dataclass(frozen=True, eq=False)
class Ends:
    """An energy, the states ψ and Hψ (2, N) at the end of the circuit that it comes from, and its rotations."""

    energy: float
    state: np.ndarray
    other: np.ndarray
    rotations: Rotations


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
    def schedule(self) -> Schedule:
        """How the rotations are run."""
        generators = self.circuit.generators.on(self.qubits)
        return Schedule.of(replace(self.circuit, num_qubits=self.num_qubits, generators=generators))

    @property
    def num_qubits(self) -> int:
        """Of the states."""
        return len(self.qubits)

    @property
    def fits(self) -> bool:
        """Whether the states of a gradient fit in memory."""
        return 48 << self.num_qubits <= available_bytes()

    def terms(self, pulled: Observable) -> Terms:
        """A pulled observable for these states."""
        return Terms.of(beside_zeros(pulled, self.qubits))

    @cached_property
    def _clifford(self) -> Rotations:
        """C as rotations, up to a phase."""
        axes, pauli = quarter_turns(self.circuit.frame)
        half = np.full(len(axes) + 1, np.pi / 4)
        half[-1] = np.pi / 2  # exp(−iπ/2 P) is P up to a phase
        return Rotations.by(half, *as_arrays([*axes, pauli]))

    def _require_states(self, count: int, what: str) -> None:
        n = self.num_qubits
        require_bytes(count * 16 << n, f"{what} on {n} qubits")

    def state(self, phi: np.ndarray) -> np.ndarray:
        """The state after all rotations, before the Clifford C: (2, N)."""
        self._require_states(2, "a statevector")
        return self._final(self.schedule.rotations(phi))

    def _final(self, rotations: Rotations) -> np.ndarray:
        """The state after all rotations."""
        state = zero_state(self.num_qubits)
        run_schedule(state, self.schedule, rotations)
        return state

    def statevector(self, phi: np.ndarray) -> np.ndarray:
        """C·R_K⋯R_1|0⟩ as complex amplitudes (N,), up to a global phase; qubit 0 is the lowest bit. Only for a
        simulator of all qubits."""
        assert self.num_qubits == self.circuit.num_qubits
        state = self.state(phi)
        apply_rotations(state, self._clifford)
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
        rotations = self.schedule.rotations(phi)
        return self._ends(self._final(rotations), rotations, terms)

    def _ends(self, state: np.ndarray, rotations: Rotations, terms: Terms) -> Ends:
        """Those of a final state."""
        other = times_observable(state, terms)
        return Ends(inner(state, other), state, other, rotations)

    def energy_spread(self, phi: np.ndarray, terms: Terms) -> float:
        """‖Hψ − ⟨H⟩ψ‖ = √(⟨H²⟩ − ⟨H⟩²) of the pulled observable: no further from ⟨H⟩ than that lies an eigenvalue."""
        self._require_states(3, "the spread of an energy")
        state = self.state(phi)
        other = times_observable(state, terms)
        other -= inner(state, other) * state
        return float(np.sqrt(inner(other, other)))

    def energy_and_gradient(self, phi: np.ndarray, terms: Terms) -> tuple[float, np.ndarray]:
        """⟨H⟩ and ∂⟨H⟩/∂φ (K,) by one forward and one reverse sweep, whatever K is."""
        self._require_states(3, "a gradient")
        ends = self.ends(phi, terms)
        return ends.energy, self.slopes(ends)

    def slopes(self, ends: Ends) -> np.ndarray:
        """∂⟨H⟩/∂φ (K,) by one reverse sweep, in which the two states are used up."""
        return self._over_rotations(overlaps_back(ends.state, ends.other, self.schedule, ends.rotations))

    def distribution(self, phi: np.ndarray, basis: CommonBasis) -> np.ndarray:
        """The probability (N,) of every state of the common basis."""
        self._require_states(4, "a distribution of energies")
        return basis.weights(self.state(phi))

    def function_and_gradient(
        self, phi: np.ndarray, basis: CommonBasis, values: Callable[[np.ndarray], np.ndarray]
    ) -> tuple[float, np.ndarray]:
        """⟨f(H)⟩ and its gradient over rotations (K,); `values` gives f (N,) at the basis's energies, from the
        probabilities of its states."""
        self._require_states(4, "a gradient")
        rotations = self.schedule.rotations(phi)
        state = self._final(rotations)
        other = basis.applied(state, values)
        ends = Ends(inner(state, other), state, other, rotations)
        return ends.energy, self.slopes(ends)

    def overlaps_and_slope(
        self, phi: np.ndarray, states: Sequence[np.ndarray], weights: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """|⟨ψ_i|ψ⟩|² (D,) with each of the `states`, which `state` gave, and the gradient over rotations (K,) of
        Σ_i weights_i·|⟨ψ_i|ψ⟩|²: that of the observable Σ_i weights_i·|ψ_i⟩⟨ψ_i|, by one reverse sweep."""
        self._require_states(3, "a gradient of overlaps")
        rotations = self.schedule.rotations(phi)
        state = self._final(rotations)
        other = np.zeros_like(state)
        found = np.empty(len(states))
        for i, (each, weight) in enumerate(zip(states, weights, strict=True)):
            re, im = complex_inner(each, state)
            found[i] = re**2 + im**2
            other += weight * np.stack([re * each[0] - im * each[1], re * each[1] + im * each[0]])
        return found, self._over_rotations(overlaps_back(state, other, self.schedule, rotations))

    def overlaps(self, phi: np.ndarray, states: Sequence[np.ndarray]) -> np.ndarray:
        """|⟨ψ_i|ψ⟩|² (D,) with each of the `states`, which `state` gave."""
        state = self.state(phi)
        return np.array([re**2 + im**2 for re, im in (complex_inner(each, state) for each in states)])

    def _over_rotations(self, overlaps: np.ndarray) -> np.ndarray:
        """Overlaps with P_k in running order, as overlaps with s_kP_k in the circuit's."""
        found = np.empty(len(overlaps))
        found[self.schedule.order] = overlaps * self.schedule.sign
        return found

    def metric_product(self, phi: np.ndarray, jacobian: sparse.csr_array, vector: np.ndarray) -> np.ndarray:
        """g·v (P,) with the full metric over parameters, for v (P,).

        By one forward and one reverse sweep, like a gradient, and in as much memory, whatever P is. With
        |T_k⟩ = U_{>k}P_kU_{≤k}|0⟩ and |W⟩ = Σ_k (Jv)_k|T_k⟩, (g·v)_i = ¼Σ_k J_ki(Re⟨T_k|W⟩ − ⟨ψ|T_k⟩⟨ψ|W⟩).
        """
        self._require_states(3, "a product with the metric")
        s = self.schedule
        rotations = s.rotations(phi)
        state = zero_state(self.num_qubits)
        tangent = np.zeros_like(state)
        weights = (jacobian @ vector)[s.order] * s.sign
        for stage, is_moving in enumerate(s.moving[s.stages.start[:-1]]):
            for each in (state, tangent):
                run_schedule(each, s, rotations, stage, stage + 1)
            if is_moving:  # strings of such a stage commute, so that they may follow it together
                add_strings(state, s, stage, weights, tangent)
        # ⟨ψ|W⟩ is real, so that W − ⟨ψ|W⟩ψ = R leaves Re⟨T_k|R⟩, which is Im⟨−iR|T_k⟩
        tangent -= inner(state, tangent) * state
        overlaps = overlaps_back(state, np.stack([tangent[1], -tangent[0]]), s, rotations)
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
        s = self.schedule
        rotations = s.rotations(phi)
        state = zero_state(self.num_qubits)
        found = Moments(metric=np.zeros((jacobian.shape[1],) * 2), mean=np.zeros(len(phi)))
        sparse_rows = SparseRows.of(jacobian)
        block = self._block_numbers[diagonal]
        _add_blocks(state, s, rotations, sparse_rows, block, diagonal, found)
        self.add_split_gates(phi, jacobian, found.mean, diagonal, found.metric)
        if terms is None:
            return found.metric, np.nan, np.zeros(0)
        run_schedule(state, s, rotations, int(s.layers.stage[-1]))
        ends = self._ends(state, rotations, terms)
        return found.metric, ends.energy, self.slopes(ends)

    @cached_property
    def _block_numbers(self) -> tuple[np.ndarray, np.ndarray]:
        """`Circuit.block_of` for the block-diagonal metric, and for its diagonal."""
        return self.circuit.block_of(False), self.circuit.block_of(True)

    def add_split_gates(
        self, phi: np.ndarray, jacobian: sparse.csr_array, mean: np.ndarray, diagonal: bool, metric: np.ndarray
    ) -> None:
        """Add what correlates the layers of one gate to a metric (P, P)."""
        split = self.circuit.split_gates
        if not len(split):
            return
        found = 0.25 * (jacobian.T @ split.covariances(phi, mean) @ jacobian).toarray()
        metric += np.diag(np.diag(found)) if diagonal else found

    def full_metric(self, phi: np.ndarray, jacobian: sparse.csr_array, final: np.ndarray | None = None) -> np.ndarray:
        """The whole metric over parameters, (P, P): see `tangents`. In blocks where memory is short (QNGD_MEMORY_MIB
        bounds it). Where the state at the end of the circuit is known, `final` spares a sweep."""
        self._require_states(4, "a full metric")
        if self._plan is None or self._plan.jacobian is not jacobian:
            self._plan = TangentPlan.of(self.schedule, jacobian)
        return gram_metric(self.num_qubits, self._plan, self.schedule.rotations(phi), final)


def _add_blocks(
    state: np.ndarray,
    schedule: Schedule,
    rotations: Rotations,
    jacobian: SparseRows,
    block: np.ndarray,
    is_diagonal: bool,
    found: Moments,
) -> None:
    """Run a state through all layers, and add up the blocks of the metric on the way: `kernels.sweeps.add_blocks`, on
    all cores where that pays."""
    s = schedule
    if not splits(state.shape[1]):
        sweeps.add_blocks(state, rotations, s.stages, s.layers, s.turns, s.strings, jacobian, block, is_diagonal, found)
        return
    for index, (first, last) in enumerate(pairwise(s.layers.stage.tolist())):
        run_schedule(state, s, rotations, first, last)
        turns, strings = s.layer(index)
        turned = state
        if len(turns.x):
            turned = state.copy()
            apply_rotations(turned, turns)
        diagonal_kernels.add_covariances(weight_sums(turned), strings, jacobian, block, is_diagonal, found)
