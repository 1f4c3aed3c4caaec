"""Bounds on parameters: steps are projected onto the box low ≤ θ ≤ high.

At a bound that the descent pushes against, a parameter is held: its slope counts as 0 and its row of the metric as that
of a parameter apart, so that a step moves the others alone (the active set of Bertsekas, doi:10.1137/0320018, where the
metric takes the part of the Hessian). What else couples it to others, such as curvature met before, moves it no more. A
trial outside of the box is moved to its nearest point, and counts as the step that it is then.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from qngd.errors import SettingError
from qngd.estimates.estimate import Estimate, MetricTensor
from qngd.estimates.evaluation import Cost, Evaluation, Spread
from qngd.evaluators.base import Box, Evaluator
from qngd.evaluators.forwarding import ForwardingEvaluator
from qngd.gradients.base import Asked
from qngd.metrics.base import Metric

_EDGE = 1e-12  # what rounding may leave between a parameter and its bound


class Bounded(ForwardingEvaluator):
    """An evaluator whose parameters stay in a box."""

    box: Box
    is_mean = False  # the box cuts the waves along a parameter

    def __init__(self, inner: Evaluator, box: Box) -> None:
        super().__init__(inner)
        self.box = box

    def energies(
        self, points: Sequence[np.ndarray], seed: int | None = None, spread: Spread | None = None
    ) -> tuple[list[Estimate], Cost]:
        return super().energies([self._inside(theta) for theta in points], seed, spread)

    def preview_energies(self, theta: np.ndarray, count: int, spread: Spread | None = None) -> Cost:
        return super().preview_energies(self._inside(theta), count, spread)

    def allowed(self, here: Evaluation, delta: np.ndarray) -> np.ndarray:
        """What the box leaves of a step δ (P,) from an evaluation of its own: nothing for a parameter that is held."""
        (low, high), theta = self.box, here.theta
        slope = np.zeros(len(delta)) if here.gradient is None else here.gradient.value
        at_edge = (theta <= low) | (theta >= high)
        return np.where(at_edge & (np.asarray(slope) == 0), 0.0, self._inside(theta + delta) - theta)

    def _inside(self, theta: np.ndarray) -> np.ndarray:
        return inside(theta, self.box)

    def evaluate(
        self,
        theta: np.ndarray,
        *,
        gradient: Asked = True,
        metric: Metric | None = None,
        seed: int | None = None,
        spread: Spread | None = None,
    ) -> Evaluation:
        nearest = self._inside(theta)
        return held(super().evaluate(nearest, gradient=gradient, metric=metric, seed=seed, spread=spread), self.box)

    def metric(self, theta: np.ndarray, metric: Metric, seed: int | None = None) -> MetricTensor:
        return super().metric(self._inside(theta), metric, seed)

    def preview(
        self, theta: np.ndarray, *, gradient: Asked = True, metric: Metric | None = None, spread: Spread | None = None
    ) -> Cost:
        return super().preview(self._inside(theta), gradient=gradient, metric=metric, spread=spread)

    def metric_product(self, theta: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        raise SettingError('approx="matrix-free" does not go with bounds; take another approx')


def inside(points: np.ndarray, box: Box | None) -> np.ndarray:
    """The nearest points of the box to these (…, P); within rounding of a bound they are at the bound, so that a
    parameter is held there."""
    if box is None:
        return points
    low, high = box
    points = np.where(points - low < _EDGE, low, points)
    return np.where(high - points < _EDGE, high, points)


def bounded(inner: Evaluator, box: Box | None) -> Evaluator:
    """The evaluator in this box, or itself where there is none."""
    return inner if box is None else Bounded(inner, box)


def without_bounds(evaluator: Evaluator) -> Evaluator:
    """What answers inside the box; the evaluator itself where it has none."""
    return evaluator.inner if isinstance(evaluator, Bounded) else evaluator


def held(found: Evaluation, box: Box | None) -> Evaluation:
    """An evaluation in this box, with the parameters held that the descent pushes against it."""
    if found.gradient is None or box is None:
        return found
    (low, high), slope = box, np.asarray(found.gradient.value)
    mask = ((found.theta <= low) & (slope > 0)) | ((found.theta >= high) & (slope < 0))
    if not mask.any():
        return found
    tensor = None if found.metric is None else _apart(found.metric, mask)
    return replace(found, gradient=_without(found.gradient, mask), metric=tensor)


def _without(gradient: Estimate, held: np.ndarray) -> Estimate:
    value, stderr = (np.where(held, 0.0, part) for part in (gradient.value, gradient.stderr))
    covariance = gradient.covariance
    if covariance is not None:
        covariance = np.where(np.logical_or.outer(held, held), 0.0, covariance)
    return Estimate(value, stderr, gradient.shots, covariance)


def _apart(metric: MetricTensor, held: np.ndarray) -> MetricTensor:
    """The metric without what correlates held parameters with others."""
    mixed = np.logical_or.outer(held, held) & ~np.eye(len(held), dtype=bool)
    raw = None if metric.unprojected is None else np.where(mixed, 0.0, metric.unprojected)
    value, stderr = (np.where(mixed, 0.0, part) for part in (metric.value, metric.stderr))
    return replace(metric, value=value, stderr=stderr, unprojected=raw)
