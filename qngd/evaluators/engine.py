"""Answers from an engine: what the evaluators of statevectors, light cones and Pauli propagation have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy import sparse

from qngd.circuit.active import as_measured, without_idle
from qngd.circuit.circuit import Circuit
from qngd.circuit.observable import Observable
from qngd.errors import ObservableError
from qngd.estimates.estimate import Estimate, MetricTensor
from qngd.estimates.evaluation import Cost, Evaluation, Spread
from qngd.evaluators.base import Evaluator
from qngd.exact.engine import Engine
from qngd.exact.point import Point
from qngd.gradients.base import Asked, GradientMethod
from qngd.metrics.base import Metric


class EngineEvaluator(Evaluator):
    """An `Evaluator` of the energies, gradients and metrics that an engine gives, without statistical errors."""

    is_exact = True
    is_mean = True
    name = "exact"
    note = ""

    def __init__(self, circuit: Circuit, observable: Observable | None, engine: Engine) -> None:
        self.circuit = circuit
        self._engine = engine
        self._pulled = None if observable is None else without_idle(circuit).pull(as_measured(observable, circuit))
        self.energy_scale = None if self._pulled is None else self._pulled.deviation
        self._terms: Any = None if self._pulled is None else engine.terms(self._pulled)

    def evaluate(
        self,
        theta: np.ndarray,
        *,
        gradient: Asked = True,
        metric: Metric | None = None,
        seed: int | None = None,
        spread: Spread | None = None,
    ) -> Evaluation:
        self._require_terms()
        point = self._point_of(theta, metric, seed)
        slope: np.ndarray | None = None
        tensor: MetricTensor | None = None
        by_chance = gradient if isinstance(gradient, GradientMethod) and gradient.is_random else None
        if gradient and by_chance is None and metric is not None:
            tensor, energy, slope = metric.exact_with_slope(point)
        elif gradient and by_chance is None:
            energy, slope = point.energy_and_slope()
        else:
            tensor = None if metric is None else metric.exact(point)
            energy = self._energy_alone(point.phi)
        return Evaluation(
            theta=theta,
            energy=self._as_estimate(energy),
            gradient=self._gradient(point, slope, by_chance),
            metric=tensor,
            cost=Cost(jobs=1, circuits=1),
            energy_scale=self.energy_scale,
        )

    def _gradient(self, point: Point, slope: np.ndarray | None, by_chance: GradientMethod | None) -> Estimate | None:
        """The gradient from ∂⟨H⟩/∂φ (K,), or of a way that does not take that."""
        if by_chance is not None:
            return by_chance.exact(point)
        return None if slope is None else Estimate.exact(_pulled_back(point.jacobian, slope))

    def energies(
        self, points: Sequence[np.ndarray], seed: int | None = None, spread: Spread | None = None
    ) -> tuple[list[Estimate], Cost]:
        self._require_terms()
        phis = (self.circuit.angle_map(theta) for theta in points)
        found = [self._as_estimate(self._engine.expectation(phi, self._terms)) for phi in phis]
        return found, self.preview_energies(points[0], len(points)) if len(points) else Cost()

    def preview_energies(self, theta: np.ndarray, count: int, spread: Spread | None = None) -> Cost:
        return Cost(jobs=1, circuits=count)

    def metric(self, theta: np.ndarray, metric: Metric, seed: int | None = None) -> MetricTensor:
        return metric.exact(self._point_of(theta, metric, seed))

    def preview(
        self, theta: np.ndarray, *, gradient: Asked = True, metric: Metric | None = None, spread: Spread | None = None
    ) -> Cost:
        return Cost(jobs=1, circuits=1)

    def metric_product(self, theta: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        """v ↦ g·v with the full metric at θ."""
        phi, jacobian = self.circuit.angle_map.linearize(theta)
        return lambda vector: self._engine.metric_product(phi, jacobian, vector)

    def _as_estimate(self, energy: float) -> Estimate:
        """The energy that the engine gave last, with its error."""
        return Estimate.exact(np.float64(energy))

    def _require_terms(self) -> None:
        """Raise ObservableError if no observable was given."""
        if self._terms is None:
            raise ObservableError("observable: an energy needs one, and none was given")

    def _point_of(self, theta: np.ndarray, metric: Metric | None, seed: int | None) -> Point:
        """What this metric is computed from at θ."""
        if metric is not None:
            metric.require(self._pulled)
        phi, jacobian = self.circuit.angle_map.linearize(theta)
        return self._point(Point(self.circuit, theta, phi, jacobian, self._pulled, self._terms, seed))

    def _point(self, point: Point) -> Point:
        """The point with what the engine knows besides."""
        return point

    def _energy_alone(self, phi: np.ndarray) -> float:
        """The energy at the angles φ, where no gradient is asked for."""
        return self._engine.expectation(phi, self._terms)


def _pulled_back(jacobian: sparse.csr_array, slope: np.ndarray) -> np.ndarray:
    """Jᵀs (P,). SciPy's transpose takes longer than that on a few parameters."""
    parts = jacobian.data * np.repeat(slope, np.diff(jacobian.indptr))
    return np.bincount(jacobian.indices, parts, jacobian.shape[1])
