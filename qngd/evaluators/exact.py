"""Answers from the embedded statevector simulator."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from qngd.circuit.circuit import Circuit
from qngd.circuit.observable import Observable
from qngd.evaluators.engine import EngineEvaluator
from qngd.exact.point import Point, simulator_of
from qngd.exact.simulator import Ends
from qngd.metrics.base import Metric
from qngd.metrics.names import as_metric

_KEPT_UP_TO = 16  # qubits: two states between calls, 2 MiB
_CHEAP = 4  # steps without a metric: up to here a full one is taken from the start
_STEP = 400_000  # turns of an amplitude in the time that a step takes beside its sweeps
_FULL_UP_TO = 1 << 24  # amplitudes of all derivative states, 256 MiB: full metric by default


class ExactEvaluator(EngineEvaluator):
    """Answers from the embedded statevector simulator."""

    name = "exact statevector"

    def __init__(self, circuit: Circuit, observable: Observable | None) -> None:
        self._simulator = simulator_of(circuit)
        super().__init__(circuit, observable, self._simulator)
        # of the last energy that was asked for alone: a gradient there, which often comes next, goes on from its states
        self._last: tuple[np.ndarray, Ends] | None = None

    def default_metric(self) -> Metric:
        amplitudes = self.circuit.num_parameters << self._simulator.num_qubits
        return as_metric("full" if amplitudes <= _FULL_UP_TO else "block-diag")

    def first_metric(self) -> Metric:
        return self.default_metric() if self._full_metric_is_cheap() else as_metric("block-diag")

    def _full_metric_is_cheap(self) -> bool:
        # in turns of an amplitude: three sweeps of a gradient, and half a sweep for each derivative state; this is what
        # was measured for 4 to 16 qubits and 2 to 140 parameters
        gradient = 3 * len(self.circuit.generators) << self._simulator.num_qubits
        metric = gradient * (1 + self.circuit.num_parameters / 6)
        return metric <= _CHEAP * (gradient + _STEP)

    def _energy_alone(self, phi: np.ndarray) -> float:
        ends = self._ends(phi)
        self._last = (phi, ends) if self._simulator.num_qubits <= _KEPT_UP_TO else None
        return ends.energy

    def _point(self, point: Point) -> Point:
        return point if self._terms is None else replace(point, ends=partial(self._ends, point.phi))

    def _ends(self, phi: np.ndarray) -> Ends:
        """The ends at the angles φ; none are kept then, since a gradient uses them up."""
        last, self._last = self._last, None
        if last is not None and np.array_equal(last[0], phi):
            return last[1]
        del last  # two states that may be needed
        return self._simulator.ends(phi, self._terms)

    def energy_spread(self, theta: np.ndarray) -> float:
        """√(⟨H²⟩ − ⟨H⟩²) at θ, 0 in an eigenstate."""
        assert self._terms is not None
        return self._simulator.energy_spread(self.circuit.angle_map(theta), self._terms)
