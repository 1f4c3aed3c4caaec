"""Answers from the embedded statevector simulator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from qngd.circuit.active import as_measured, without_idle
from qngd.circuit.circuit import Circuit
from qngd.circuit.observable import Observable
from qngd.errors import ObservableError
from qngd.estimates.estimate import Estimate, MetricTensor
from qngd.estimates.evaluation import Cost, Evaluation, Spread
from qngd.exact.engine import Engine
from qngd.exact.point import Point, simulator_of
from qngd.metrics.base import Metric
from qngd.metrics.names import as_metric

_FULL_UP_TO = 1 << 24  # amplitudes of all derivative states, 256 MiB: full metric by default


class ExactEvaluator:
    """Answers from the embedded statevector simulator, or from another exact engine."""

    is_exact = True
    name = "exact statevector"
    note = ""

    def __init__(self, circuit: Circuit, observable: Observable | None, engine: Engine | None = None) -> None:
        self.circuit = circuit
        self._engine = simulator_of(circuit) if engine is None else engine
        self._pulled = None if observable is None else without_idle(circuit).pull(as_measured(observable, circuit))
        self._terms: Any = None if self._pulled is None else self._engine.terms(self._pulled)

    def default_metric(self) -> Metric:
        amplitudes = self.circuit.num_parameters << simulator_of(self.circuit).num_qubits
        return as_metric("full" if amplitudes <= _FULL_UP_TO else "block-diag")

    def evaluate(
        self,
        theta: np.ndarray,
        *,
        gradient: bool = True,
        metric: Metric | None = None,
        seed: int | None = None,
        spread: Spread | None = None,
    ) -> Evaluation:
        if self._terms is None:
            raise ObservableError("observable: an energy needs one, and none was given")
        point = self._point(theta, metric, seed)
        slope: np.ndarray | None = None
        tensor: MetricTensor | None = None
        if gradient and metric is not None:
            tensor, energy, slope = metric.exact_with_slope(point)
        elif gradient:
            energy, slope = point.energy_and_slope()
        else:
            tensor = None if metric is None else metric.exact(point)
            energy = self._engine.expectation(point.phi, self._terms)
        return Evaluation(
            theta=theta,
            energy=Estimate.exact(np.float64(energy)),
            gradient=None if slope is None else Estimate.exact(point.jacobian.T @ slope),
            metric=tensor,
            cost=Cost(jobs=1, circuits=1),
        )

    def metric(self, theta: np.ndarray, metric: Metric, seed: int | None = None) -> MetricTensor:
        return metric.exact(self._point(theta, metric, seed))

    def _point(self, theta: np.ndarray, metric: Metric | None, seed: int | None) -> Point:
        if metric is not None:
            metric.require(self._pulled)
        phi, jacobian = self.circuit.angle_map.linearize(theta)
        return Point(self.circuit, theta, phi, jacobian, self._pulled, self._terms, seed, self._engine)

    def preview(
        self, theta: np.ndarray, *, gradient: bool = True, metric: Metric | None = None, spread: Spread | None = None
    ) -> Cost:
        return Cost(jobs=1, circuits=1)

    def metric_product(self, theta: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        """v ↦ g·v with the full metric at θ: two sweeps over the circuit a product."""
        phi, jacobian = self.circuit.angle_map.linearize(theta)
        return lambda vector: self._engine.metric_product(phi, jacobian, vector)
