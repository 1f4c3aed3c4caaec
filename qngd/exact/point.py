"""One θ of a circuit, as the exact engine answers for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from scipy import sparse

from qngd.circuit.active import moved_qubits, without_idle
from qngd.circuit.circuit import Circuit
from qngd.circuit.observable import Observable
from qngd.errors import SettingError
from qngd.exact.engine import Engine
from qngd.exact.simulator import Ends, Simulator


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
        terms: the same for the engine.
        seed: of random metrics.
        ends: gives the states at the end, for one use; None lets the engine make them.
        other_engine: what answers in the simulator's place, if something does.
    """

    circuit: Circuit
    theta: np.ndarray
    phi: np.ndarray
    jacobian: sparse.csr_array
    observable: Observable | None
    terms: Any
    seed: int | None
    ends: Callable[[], Ends] | None = None
    other_engine: Engine | None = None

    @property
    def engine(self) -> Engine:
        """What answers for energies, gradients and the covariances of generators."""
        return simulator_of(self.circuit) if self.other_engine is None else self.other_engine

    @property
    def simulator(self) -> Simulator:
        """Whole states, on the qubits that leave |0⟩; raises SettingError if another engine answers."""
        self._require_states()
        return simulator_of(self.circuit)

    @property
    def whole(self) -> Simulator:
        """Whole states, on all active qubits; raises as `simulator`."""
        self._require_states()
        return simulator_of(self.circuit, whole=True)

    def _require_states(self) -> None:
        if self.other_engine is not None:
            raise no_states()

    def energy_and_slope(self) -> tuple[float, np.ndarray]:
        """⟨H⟩ and ∂⟨H⟩/∂φ (K,)."""
        assert self.terms is not None
        if self.ends is None:
            return self.engine.energy_and_gradient(self.phi, self.terms)
        ends = self.ends()
        return ends.energy, self.simulator.slopes(ends)


def no_states() -> SettingError:
    """What to raise where whole states are asked of light cones."""
    return SettingError(
        "approx: this metric is computed from whole states, which light cones never make; "
        "use approx='block-diag', 'diag', 'full' or 'hamiltonian'"
    )
