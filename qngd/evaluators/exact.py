"""Answers from the embedded statevector simulator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from qngd.circuit.active import as_measured, without_idle
from qngd.circuit.circuit import Circuit
from qngd.circuit.observable import Observable
from qngd.errors import ObservableError
from qngd.estimates.estimate import Estimate, MetricTensor
from qngd.estimates.evaluation import Cost, Evaluation, Spread
from qngd.exact.point import Point, simulator_of
from qngd.exact.simulator import Ends
from qngd.exact.statevector import Terms
from qngd.metrics.base import Metric
from qngd.metrics.names import as_metric

_KEPT_UP_TO = 16  # qubits: two states between calls, 2 MiB
_CHEAP = 4  # steps without a metric: up to here a full one is taken from the start
_STEP = 400_000  # turns of an amplitude in the time that a step takes beside its sweeps
_FULL_UP_TO = 1 << 24  # amplitudes of all derivative states, 256 MiB: full metric by default


class ExactEvaluator:
    """Answers from the embedded statevector simulator."""

    is_exact = True
    is_mean = True
    name = "exact statevector"
    note = ""

    def __init__(self, circuit: Circuit, observable: Observable | None) -> None:
        self.circuit = circuit
        self._simulator = simulator_of(circuit)
        self._pulled = None if observable is None else without_idle(circuit).pull(as_measured(observable, circuit))
        self._terms = None if self._pulled is None else self._simulator.terms(self._pulled)
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

    def evaluate(
        self,
        theta: np.ndarray,
        *,
        gradient: bool = True,
        metric: Metric | None = None,
        seed: int | None = None,
        spread: Spread | None = None,
    ) -> Evaluation:
        terms = self._terms_there_are()
        point = self._point(theta, metric, seed)
        slope: np.ndarray | None = None
        tensor: MetricTensor | None = None
        if gradient and metric is not None:
            tensor, energy, slope = metric.exact_with_slope(point)
        elif gradient:
            energy, slope = point.energy_and_slope()
        else:
            tensor = None if metric is None else metric.exact(point)
            ends = self._ends(point.phi, terms)
            energy = ends.energy
        is_small = self._simulator.num_qubits <= _KEPT_UP_TO
        self._last = (point.phi, ends) if not gradient and is_small else None
        return Evaluation(
            theta=theta,
            energy=Estimate.exact(np.float64(energy)),
            gradient=None if slope is None else Estimate.exact(point.jacobian.T @ slope),
            metric=tensor,
            cost=Cost(jobs=1, circuits=1),
        )

    def _terms_there_are(self) -> Terms:
        """The observable's; raises ObservableError if none was given."""
        if self._terms is None:
            raise ObservableError("observable: an energy needs one, and none was given")
        return self._terms

    def _ends(self, phi: np.ndarray, terms: Terms) -> Ends:
        """The ends at the angles φ; none are kept then, since a gradient uses them up."""
        last, self._last = self._last, None
        if last is not None and np.array_equal(last[0], phi):
            return last[1]
        del last  # two states that may be needed
        return self._simulator.ends(phi, terms)

    def energies(self, points: Sequence[np.ndarray], seed: int | None = None) -> tuple[list[Estimate], Cost]:
        terms = self._terms_there_are()
        phis = (self.circuit.angle_map(theta) for theta in points)
        found = [Estimate.exact(np.float64(self._simulator.expectation(phi, terms))) for phi in phis]
        return found, self.preview_energies(points[0], len(points)) if len(points) else Cost()

    def preview_energies(self, theta: np.ndarray, count: int) -> Cost:
        return Cost(jobs=1, circuits=count)

    def metric(self, theta: np.ndarray, metric: Metric, seed: int | None = None) -> MetricTensor:
        return metric.exact(self._point(theta, metric, seed))

    def _point(self, theta: np.ndarray, metric: Metric | None, seed: int | None) -> Point:
        if metric is not None:
            metric.require(self._pulled)
        phi, jacobian = self.circuit.angle_map.linearize(theta)
        ends = None if self._terms is None else partial(self._ends, phi, self._terms)
        return Point(self.circuit, theta, phi, jacobian, self._pulled, self._terms, seed, ends)

    def energy_spread(self, theta: np.ndarray) -> float:
        """√(⟨H²⟩ − ⟨H⟩²) at θ, 0 in an eigenstate."""
        assert self._terms is not None
        return self._simulator.energy_spread(self.circuit.angle_map(theta), self._terms)

    def preview(
        self, theta: np.ndarray, *, gradient: bool = True, metric: Metric | None = None, spread: Spread | None = None
    ) -> Cost:
        return Cost(jobs=1, circuits=1)

    def metric_product(self, theta: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        """v ↦ g·v with the full metric at θ: two sweeps over the circuit a product."""
        phi, jacobian = self.circuit.angle_map.linearize(theta)
        return lambda vector: self._simulator.metric_product(phi, jacobian, vector)
