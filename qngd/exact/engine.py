"""What an exact engine answers: the whole statevector's, or that of light cones."""

from __future__ import annotations

from typing import Any, Literal, Protocol

import numpy as np
from scipy import sparse

from qngd.circuit.observable import Observable

# Which covariances of the generators a metric takes: those inside a unit, inside a layer, or all.
Entries = Literal["diag", "block-diag", "full"]


class Engine(Protocol):
    """Exact energies, gradients and metrics of one circuit, at angles φ (K,): over rotations or, where a Jacobian
    J = ∂φ/∂θ (K, P) is given, over parameters. `terms` are the engine's own form of an observable."""

    def terms(self, pulled: Observable) -> Any:
        """An observable that was pulled through the Clifford gates at the circuit's end, for this engine."""

    def expectation(self, phi: np.ndarray, terms: Any) -> float:
        """⟨H⟩."""

    def energy_and_gradient(self, phi: np.ndarray, terms: Any) -> tuple[float, np.ndarray]:
        """⟨H⟩ and ∂⟨H⟩/∂φ (K,)."""

    def block_metric(
        self, phi: np.ndarray, jacobian: sparse.csr_array, terms: Any = None, diagonal: bool = False
    ) -> tuple[np.ndarray, float, np.ndarray]:
        """The metric (P, P) from the blocks of the layers, or from the diagonal over units; with terms also energy and
        gradient over rotations."""

    def full_metric(self, phi: np.ndarray, jacobian: sparse.csr_array) -> np.ndarray:
        """The whole metric, (P, P)."""

    def metric_product(self, phi: np.ndarray, jacobian: sparse.csr_array, vector: np.ndarray) -> np.ndarray:
        """g·v (P,) with the whole metric, for v (P,)."""
