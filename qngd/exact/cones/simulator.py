"""The exact engine by light cones: the questions that a `Simulator` answers, for circuits of any number of qubits whose
cones are narrow.

    g = ¼(Re⟨T_i|T_j⟩ − ⟨ψ|T_i⟩⟨ψ|T_j⟩),   |T_i⟩ = U_{>i}P_iU_{≤i}|0⟩

A Gram matrix does not see the frame: with U† before them the T_i are a_i = U_{<i}†P_iU_{<i}|0⟩, which takes the cone of
P_i alone. All of a_i lies on the basis states that the strings of its cone reach from |0…0⟩, and ⟨ψ|T_i⟩ is its
amplitude at |0…0⟩, so

    g_ij = ¼ Re Σ_v a_i*(v)·a_j(v)   over the v ≠ 0 that both cones reach.

No cone of two generators is needed, and where both reach |0…0⟩ alone the entry is 0.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from scipy import sparse

from qngd._system.memory import available_bytes, require_bytes
from qngd.circuit.circuit import Circuit
from qngd.circuit.cones import Cones
from qngd.circuit.observable import Observable
from qngd.errors import MemoryLimitError
from qngd.exact.cones.bundle import Bundle, Cone, angle_classes, require_states, share
from qngd.exact.cones.pairs import pairs_of
from qngd.exact.cones.terms import bundle_of
from qngd.exact.kernels import cones as kernels
from qngd.exact.kernels.cones import Pairs


class ConeSimulator:
    """Exact energies, gradients and metrics of one circuit. All methods take angles φ and return results over rotations
    or, where a Jacobian J = ∂φ/∂θ is given, over parameters.

    Raises:
        MemoryLimitError: at the call that needs a cone that is too wide.
    """

    def __init__(self, circuit: Circuit) -> None:
        self.circuit = circuit
        self._pairs_of: dict[str, Pairs] = {}

    @cached_property
    def _cones(self) -> Cones:
        return Cones(self.circuit.generators)

    @cached_property
    def _classes(self) -> np.ndarray:
        return angle_classes(self.circuit.angle_map)

    @cached_property
    def _moving(self) -> np.ndarray:
        return np.flatnonzero(self.circuit.moving)

    @cached_property
    def derivatives(self) -> Bundle:
        """The cones of the generators of all moving rotations, in their order."""
        generators = self.circuit.generators
        one = np.ones(1)
        found = [Cone(self._cones.before(k), generators[[k]], one) for k in self._moving]
        return Bundle.of(generators, self._classes, found, self._name)

    @cached_property
    def has_derivative_states(self) -> bool:
        """Whether the derivative states of all moving rotations fit in memory."""
        try:
            sizes = 1 << self.derivatives.members.num_qubits
        except MemoryLimitError:
            return False
        return 16 * int(sizes.sum()) <= available_bytes()

    def _name(self, c: int) -> str:
        k = int(self._moving[c])
        gate = self.circuit.gates[int(self.circuit.ops.gate[self.circuit.ops.rotations[k]])]
        return f"the metric's entry of gate {gate.name} on qubits {', '.join(map(str, gate.qubits))}"

    def terms(self, pulled: Observable) -> Bundle:
        """A pulled observable's cones."""
        return bundle_of(self.circuit, self._cones, self._classes, pulled)

    def expectation(self, phi: np.ndarray, terms: Bundle) -> float:
        """⟨H⟩."""
        energy = np.zeros(len(terms.copies))
        terms.each(lambda a, b: kernels.energies(terms.members, 0.5 * phi, a, b, energy))
        return float(energy @ terms.copies)

    def energy_and_gradient(self, phi: np.ndarray, terms: Bundle) -> tuple[float, np.ndarray]:
        """⟨H⟩ and ∂⟨H⟩/∂φ (K,) by one forward and one reverse sweep over every cone."""
        energy, slope = np.zeros(len(terms.copies)), np.zeros(len(terms.members.x))
        terms.each(lambda a, b: kernels.slopes(terms.members, 0.5 * phi, a, b, energy, slope))
        rotation, member = terms.places
        return float(energy @ terms.copies), np.bincount(rotation, slope[member], minlength=len(phi))

    def block_metric(
        self, phi: np.ndarray, jacobian: sparse.csr_array, terms: Bundle | None = None, diagonal: bool = False
    ) -> tuple[np.ndarray, float, np.ndarray]:
        """The metric over parameters from the blocks of the layers (or from the diagonal over units), and energy and
        gradient over rotations if `terms` are given."""
        over_rotations, mean = self.covariances(phi, "diag" if diagonal else "block-diag")
        split = self.circuit.split_gates
        if len(split):
            over_rotations = over_rotations + split.covariances(phi, mean)
        found = 0.25 * (jacobian.T @ over_rotations @ jacobian).toarray()
        if diagonal:
            found = np.diag(np.diag(found))
        if terms is None:
            return found, np.nan, np.zeros(0)
        return found, *self.energy_and_gradient(phi, terms)

    def full_metric(self, phi: np.ndarray, jacobian: sparse.csr_array) -> np.ndarray:
        """The whole metric over parameters, (P, P)."""
        over_rotations, _ = self.covariances(phi, "full")
        return 0.25 * (jacobian.T @ over_rotations @ jacobian).toarray()

    def metric_product(self, phi: np.ndarray, jacobian: sparse.csr_array, vector: np.ndarray) -> np.ndarray:
        """g·v (P,) with the full metric over parameters, for v (P,)."""
        over_rotations, _ = self.covariances(phi, "full")
        return 0.25 * (jacobian.T @ (over_rotations @ (jacobian @ vector)))

    def pairs(self, kind: str) -> Pairs:
        """The pairs of moving rotations whose entries a metric of this kind has."""
        if kind not in self._pairs_of:
            self._pairs_of[kind] = pairs_of(self.derivatives.spans, self._block(kind)[self._moving])
        return self._pairs_of[kind]

    def _block(self, kind: str) -> np.ndarray:
        """(K,) numbers: only pairs with the same one belong to a metric of this kind."""
        circuit = self.circuit
        if kind == "full":
            return np.zeros_like(circuit.level)
        numbers = circuit.block_of(kind == "diag")
        return circuit.level * (numbers.max(initial=0) + 1) + numbers

    def covariances(self, phi: np.ndarray, kind: str) -> tuple[sparse.csr_array, np.ndarray]:
        """⟨P_iP_j⟩ − ⟨P_i⟩⟨P_j⟩ in the frame of each, (K, K), of the pairs of this kind, and ⟨P_i⟩ (K,)."""
        bundle, pairs = self.derivatives, self.pairs(kind)
        states, offset = self._derivative_states(phi)
        value = np.zeros(len(pairs.first))
        at = offset[bundle.which]
        share(
            lambda a, b: kernels.covariances(states, at, pairs, a, b, value),
            np.exp2(np.diff(pairs.start)) * 1.0,
        )
        mean = np.zeros(len(phi))
        mean[self._moving] = states[0, at] if len(at) else 0.0
        i, j = self._moving[pairs.first], self._moving[pairs.second]
        apart = i != j
        found = sparse.coo_array(
            (np.r_[value, value[apart]], (np.r_[i, j[apart]], np.r_[j, i[apart]])), shape=(len(phi), len(phi))
        )
        return found.tocsr(), mean

    def _derivative_states(self, phi: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """All different a_i side by side, (2, ·), and where each begins."""
        bundle = self.derivatives
        sizes = 1 << bundle.members.num_qubits
        ends = np.cumsum([0, *sizes.tolist()])
        require_states(bundle)
        require_bytes(16 * int(ends[-1]), "the derivative states of the light cones")
        states = np.empty((2, int(ends[-1])))
        share(
            lambda a, b: kernels.derivatives(bundle.members, 0.5 * phi, a, b, ends, states),
            bundle.work,
        )
        return states, ends[:-1]
