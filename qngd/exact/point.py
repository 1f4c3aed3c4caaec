"""One θ of a circuit, as the exact engine answers for it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import sparse

from qngd.circuit.active import moved_qubits, without_idle
from qngd.circuit.circuit import Circuit
from qngd.circuit.observable import Observable
from qngd.exact.simulator import Simulator
from qngd.exact.statevector import Terms


@lru_cache(maxsize=16)
def simulator_of(circuit: Circuit, whole: bool = False) -> Simulator:
    """One for all calls about a circuit: it keeps what it has planned. On the qubits that leave |0⟩, or the `whole` of
    the active ones."""
    active = without_idle(circuit)
    return Simulator(active, None if whole else moved_qubits(active.generators))


@dataclass(frozen=True, eq=False)
class Point:
    """What a metric is computed from.

    Attributes:
        circuit: the circuit.
        theta: (P,).
        phi: the angles (K,) there.
        jacobian: ∂φ/∂θ, (K, P).
        observable: pulled through the circuit's Clifford gates; None where only a metric is wanted.
        terms: the same for the simulator's states.
        seed: of random metrics.
    """

    circuit: Circuit
    theta: np.ndarray
    phi: np.ndarray
    jacobian: sparse.csr_array
    observable: Observable | None
    terms: Terms | None
    seed: int | None

    @property
    def simulator(self) -> Simulator:
        """On the qubits that leave |0⟩."""
        return simulator_of(self.circuit)

    @property
    def whole(self) -> Simulator:
        """On all active qubits."""
        return simulator_of(self.circuit, whole=True)

    def energy_and_slope(self) -> tuple[float, np.ndarray]:
        """⟨H⟩ and ∂⟨H⟩/∂φ (K,)."""
        assert self.terms is not None
        return self.simulator.energy_and_gradient(self.phi, self.terms)
