"""Answers by light cones: exact, for many qubits and few layers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

import numpy as np

from qngd.circuit.active import without_idle
from qngd.circuit.circuit import Circuit
from qngd.circuit.observable import Observable
from qngd.cvar import CVaR
from qngd.errors import BackendError, MemoryLimitError, SettingError, counted
from qngd.evaluators.engine import EngineEvaluator
from qngd.exact.cones import outlook
from qngd.exact.cones.outlook import Crowd
from qngd.exact.cones.simulator import ConeSimulator
from qngd.exact.point import Point, no_states
from qngd.metrics.base import Metric
from qngd.metrics.names import as_metric

NAME = "light-cone"  # of the backend

_FULL_UP_TO = 2000  # parameters: full metric by default


@lru_cache(maxsize=16)
def cone_simulator_of(circuit: Circuit) -> ConeSimulator:
    """One for all calls about a circuit: it keeps what it has planned."""
    return ConeSimulator(without_idle(circuit))


class LightConeEvaluator(EngineEvaluator):
    """Answers by light cones. `was_chosen`: for want of memory for a statevector, where the user named no backend.

    Raises:
        MemoryLimitError: a term of the observable depends on too much of the circuit; the text names it.
    """

    name = "exact light cones"

    def __init__(self, circuit: Circuit, observable: Observable | None, was_chosen: bool = False) -> None:
        self._cones = cone_simulator_of(circuit)
        super().__init__(circuit, observable, self._cones)
        n, widest = circuit.num_qubits, 0 if self._terms is None else self._terms.bundle.largest
        self.note = (
            f"{counted(n, 'qubit')}, computed exactly by light cones of up to {counted(widest, 'qubit')}"
            if was_chosen
            else ""
        )

    def default_metric(self) -> Metric:
        few = self.circuit.num_parameters <= _FULL_UP_TO
        return as_metric("full" if few and self._cones.derivatives.have_states else "block-diag")

    def _point(self, point: Point) -> Point:
        return replace(point, other_engine=self._cones)

    def outlook(self, metric: Metric) -> tuple[Crowd, Crowd | None]:
        """What energy with gradient, and a metric, take in a step; None for a metric that has no entries of its own.

        Raises:
            MemoryLimitError: the metric's cones are too wide.
            SettingError: light cones do not give this metric.
        """
        of_metric = metric_outlook(self._cones, metric)
        self._require_terms()
        return outlook.of_energy(self._terms), of_metric

    def metric_product(self, theta: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        """v ↦ g·v with the full metric at θ, whose entries over rotations are found once."""
        phi, jacobian = self.circuit.angle_map.linearize(theta)
        half = 0.5 * jacobian
        covariances, _ = self._cones.covariances(phi, "full")
        return lambda vector: half.T @ (covariances @ (half @ vector))


def metric_outlook(cones: ConeSimulator, metric: Metric) -> Crowd | None:
    """What a metric takes in a step; None for one that has no entries of its own.

    Raises:
        MemoryLimitError: its cones are too wide.
        SettingError: light cones do not give it.
    """
    if metric.of_whole_states:
        raise no_states()
    return None if metric.entries is None else outlook.of_metric(cones, metric.entries)


def is_meant(backend: object) -> bool:
    """Whether a user's backend stands for light cones."""
    return isinstance(backend, str) and backend == NAME


def evaluator(circuit: Circuit, target: Observable | CVaR | None, shots: object) -> LightConeEvaluator:
    """Light cones, which the user asked for.

    Raises:
        SettingError: the target is no expectation value.
        BackendError: they are to give shots.
        MemoryLimitError: as the class.
    """
    return LightConeEvaluator(circuit, require_mean(circuit, target, shots, NAME))


def require_mean(circuit: Circuit, target: Observable | CVaR | None, shots: object, backend: str) -> Observable | None:
    """The target of a backend that gives means without shots.

    Raises:
        SettingError: it is no expectation value.
        BackendError: there are to be shots.
    """
    if shots is not None or circuit.device_shots is not None:
        raise BackendError(
            f"backend: {backend!r} gives numbers without statistical error, no samples; leave out shots (with a QNode, "
            "give it a device without shots), or sample on another backend, such as "
            "AerSimulator(method='matrix_product_state')"
        )
    if isinstance(target, CVaR):
        raise SettingError(
            f"backend: a CVaR takes the distribution of all qubits' outcomes, and {backend!r} gives expectation "
            "values; minimize the observable itself, or take a backend with shots"
        )
    return target


def in_place_of_a_state(circuit: Circuit, observable: Observable | None) -> LightConeEvaluator:
    """Light cones, where a statevector does not fit in memory.

    Raises:
        MemoryLimitError: these do not either.
    """
    try:
        return LightConeEvaluator(circuit, observable, was_chosen=True)
    except MemoryLimitError as error:
        raise MemoryLimitError(
            f"a statevector of {counted(circuit.num_qubits, 'qubit')} does not fit in memory, nor do its light cones: "
            f"{error}"
        ) from None
