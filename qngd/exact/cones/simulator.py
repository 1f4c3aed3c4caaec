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

from collections.abc import Callable
from functools import cached_property

import numpy as np
from scipy import sparse

from qngd._system.memory import NARROWER, require_bytes
from qngd.circuit.circuit import Circuit
from qngd.circuit.cones import Cones
from qngd.circuit.observable import Observable
from qngd.circuit.pauli import PauliStrings
from qngd.errors import MemoryLimitError
from qngd.exact.cones.bundle import angle_classes
from qngd.exact.cones.derivatives import Derivatives, MetricPlan
from qngd.exact.cones.readout import QubitGroup, groups_of
from qngd.exact.cones.room import share
from qngd.exact.cones.terms import ConeTerms, terms_of
from qngd.exact.kernels import cones as kernels

_MOST_TERMS = 1 << 14  # observables whose cones are kept


class ConeSimulator:
    """Exact energies, gradients and metrics of one circuit. All methods take angles φ and return results over rotations
    or, where a Jacobian J = ∂φ/∂θ is given, over parameters. Rotations with the same number in `classes` (K,) have the
    same angle at all calls; by default as the circuit's own angle map says.

    Raises:
        MemoryLimitError: at the call that needs a cone that is too wide.
    """

    def __init__(self, circuit: Circuit, classes: np.ndarray | None = None) -> None:
        self.circuit = circuit
        self._given_classes = classes
        self._plans: dict[str, MetricPlan] = {}
        self._terms: dict[bytes, ConeTerms] = {}

    @cached_property
    def _cones(self) -> Cones:
        return Cones(self.circuit.generators)

    @cached_property
    def _classes(self) -> np.ndarray:
        return angle_classes(self.circuit.angle_map) if self._given_classes is None else self._given_classes

    @cached_property
    def derivatives(self) -> Derivatives:
        """The derivative states of all moving rotations."""
        return Derivatives(self.circuit, self._cones, self._classes)

    def terms(self, pulled: Observable) -> ConeTerms:
        """A pulled observable's cones, which are kept: metrics ask for those of single strings at every step."""
        strings = pulled.strings
        key = b"|".join(part.tobytes() for part in (strings.x, strings.z, strings.sign, pulled.coefficients))
        if key not in self._terms:
            if len(self._terms) >= _MOST_TERMS:
                self._terms.clear()
            self._terms[key] = terms_of(self.circuit, self._cones, self._classes, pulled)
        return self._terms[key]

    def groups(self, read: PauliStrings, name: Callable[[np.ndarray], str]) -> list[QubitGroup]:
        """Pulled, commuting strings that are read, by groups that depend on each other; see `groups_of`."""
        return groups_of(self.circuit.generators, self._cones, read, name)

    def expectation(self, phi: np.ndarray, terms: ConeTerms) -> float:
        """⟨H⟩."""
        return terms.expectation(phi)

    def energy_and_gradient(self, phi: np.ndarray, terms: ConeTerms) -> tuple[float, np.ndarray]:
        """⟨H⟩ and ∂⟨H⟩/∂φ (K,) by one forward and one reverse sweep over every cone."""
        return terms.energy_and_gradient(phi)

    def block_metric(
        self, phi: np.ndarray, jacobian: sparse.csr_array, terms: ConeTerms | None = None, diagonal: bool = False
    ) -> tuple[np.ndarray, float, np.ndarray]:
        """The metric over parameters from the blocks of the layers (or from the diagonal over units), and energy and
        gradient over rotations if `terms` are given."""
        over_rotations, mean = self.covariances(phi, "diag" if diagonal else "block-diag")
        split = self.circuit.split_gates
        if len(split):
            over_rotations = over_rotations + split.covariances(phi, mean)
        found = (0.25 * (jacobian.T @ over_rotations @ jacobian)).toarray()
        if diagonal:
            found = np.diag(np.diag(found))
        if terms is None:
            return found, np.nan, np.zeros(0)
        return found, *self.energy_and_gradient(phi, terms)

    def full_metric(self, phi: np.ndarray, jacobian: sparse.csr_array) -> np.ndarray:
        """The whole metric over parameters, (P, P)."""
        over_rotations, _ = self.covariances(phi, "full")
        return (0.25 * (jacobian.T @ over_rotations @ jacobian)).toarray()

    def metric_product(self, phi: np.ndarray, jacobian: sparse.csr_array, vector: np.ndarray) -> np.ndarray:
        """g·v (P,) with the full metric over parameters, for v (P,)."""
        over_rotations, _ = self.covariances(phi, "full")
        return 0.25 * (jacobian.T @ (over_rotations @ (jacobian @ vector)))

    def plan(self, kind: str) -> MetricPlan:
        """The entries over rotations that a metric "diag", "block-diag" or "full" has.

        Raises:
            MemoryLimitError: an entry's cone is too wide; the text names the gate.
        """
        if kind not in self._plans:
            try:
                self._plans[kind] = self._new_plan(kind)
            except MemoryLimitError:
                if self.derivatives.by_memory:
                    raise
                self._plans.clear()
                self.derivatives = Derivatives(self.circuit, self._cones, self._classes, by_memory=True)
                self._plans[kind] = self._new_plan(kind)
        return self._plans[kind]

    def _new_plan(self, kind: str) -> MetricPlan:
        found = self.derivatives
        if kind == "full" and len(found.wide):
            raise found.too_wide(int(found.wide[0]), "approx='block-diag' may take less; or use fewer layers")
        return found.plan(self._block(kind))

    def _block(self, kind: str) -> np.ndarray:
        """(K,) numbers: only pairs with the same one belong to a metric of this kind."""
        circuit = self.circuit
        if kind == "full":
            return np.zeros_like(circuit.level)
        numbers = circuit.block_of(kind == "diag")
        return circuit.level * (numbers.max(initial=0) + 1) + numbers

    def covariances(self, phi: np.ndarray, kind: str) -> tuple[sparse.csr_array, np.ndarray]:
        """⟨P_iP_j⟩ − ⟨P_i⟩⟨P_j⟩ in the frame of each, (K, K), of the pairs of this kind, and ⟨P_i⟩ (K,)."""
        plan = self.plan(kind)  # which may take other derivative states than there were
        found = self.derivatives
        require_bytes(found.num_bytes, "the derivative states of the light cones", NARROWER)
        states, offset = found.states.derivatives(phi)
        pairs, wide = plan.pairs, plan.wide
        value, at = np.zeros(len(pairs.first)), offset[found.bundle.which]
        share(lambda a, b: kernels.covariances(states, at, pairs, a, b, value), np.exp2(np.diff(pairs.start)))
        mean = np.zeros(len(phi))
        mean[found.narrow] = states[0, at]
        mean[found.wide] = found.means.values(phi)
        products = np.zeros(len(wide.first))
        products[wide.place] = wide.products.values(phi)
        i = np.concatenate([found.narrow[pairs.first], wide.first])
        j = np.concatenate([found.narrow[pairs.second], wide.second])
        entry = np.concatenate([value, products - mean[wide.first] * mean[wide.second]])
        upper = sparse.coo_array((np.where(i == j, 0.5, 1.0) * entry, (i, j)), shape=(len(phi), len(phi)))
        return (upper + upper.T).tocsr(), mean
