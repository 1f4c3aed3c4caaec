"""Bounds on parameters: steps are projected onto the box low ≤ θ ≤ high.

At a bound that the descent pushes against, a parameter is held: its slope counts as 0 and its row of the metric as that
of a parameter apart, so that a step moves the others alone (the active set of Bertsekas, doi:10.1137/0320018, where the
metric takes the part of the Hessian). What else couples it to others, such as curvature met before, moves it no more. A
trial outside of the box is moved to its nearest point, and counts as the step that it is then.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Self

import numpy as np

from qngd.circuit.circuit import Circuit
from qngd.errors import SettingError
from qngd.estimates.estimate import Estimate, MetricTensor
from qngd.estimates.evaluation import Cost, Evaluation, Spread
from qngd.evaluators.base import Evaluator
from qngd.gradients.base import Asked
from qngd.metrics.base import Metric

_EDGE = 1e-12  # what rounding may leave between a parameter and its bound


class Bounded:
    """An `Evaluator` of another one's answers in a box: `low` and `high` (P,)."""

    def __init__(self, inner: Evaluator, low: np.ndarray, high: np.ndarray) -> None:
        self.inner = inner
        self.circuit: Circuit = inner.circuit
        self._low, self._high = low, high

    def __getattr__(self, name: str) -> Any:
        """What only some evaluators have, such as a log of jobs."""
        if name.startswith("_") or name == "inner":  # of a copy in the making
            raise AttributeError(name)
        return getattr(self.inner, name)

    @property
    def name(self) -> str:
        return self.inner.name

    @property
    def note(self) -> str:
        return self.inner.note

    @property
    def is_exact(self) -> bool:
        return self.inner.is_exact

    def around(self, inner: Evaluator) -> Self:
        """Another evaluator in the same box."""
        return type(self)(inner, self._low, self._high)

    @property
    def unbounded(self) -> np.ndarray:
        """Which parameters (mask over P) have no bound at all."""
        return np.isinf(self._low) & np.isinf(self._high)

    @property
    def box(self) -> tuple[np.ndarray, np.ndarray]:
        """The lowest and the highest values (P,)."""
        return self._low, self._high

    @property
    def text(self) -> str:
        """The box, as what a stored run is recognized by."""
        return f"bounds {self._low.tolist()} {self._high.tolist()}"

    @property
    def is_mean(self) -> bool:
        return False  # the box cuts the waves along a parameter

    def default_metric(self) -> Metric:
        return self.inner.default_metric()

    def first_metric(self) -> Metric:
        return self.inner.first_metric()

    def energies(
        self, points: Sequence[np.ndarray], seed: int | None = None, spread: Spread | None = None
    ) -> tuple[list[Estimate], Cost]:
        return self.inner.energies([self._inside(theta) for theta in points], seed, **_known(spread))

    def preview_energies(self, theta: np.ndarray, count: int, spread: Spread | None = None) -> Cost:
        return self.inner.preview_energies(self._inside(theta), count, **_known(spread))

    def on_batch(self, index: int | None, seed: int | None) -> Self:
        """The same with the inner evaluator on this mini-batch."""
        choose = getattr(self.inner, "on_batch", None)
        return self if choose is None else self.around(choose(index, seed))

    def allowed(self, here: Evaluation, delta: np.ndarray) -> np.ndarray:
        """What the box leaves of a step δ (P,) from an evaluation of its own: nothing for a parameter that is held."""
        theta, slope = here.theta, np.zeros(len(delta)) if here.gradient is None else here.gradient.value
        at_edge = (theta <= self._low) | (theta >= self._high)
        return np.where(at_edge & (np.asarray(slope) == 0), 0.0, self._inside(theta + delta) - theta)

    def _inside(self, theta: np.ndarray) -> np.ndarray:
        """The nearest point of the box; within rounding of a bound it is at the bound, so that it is held there."""
        theta = np.where(theta - self._low < _EDGE, self._low, theta)
        return np.where(self._high - theta < _EDGE, self._high, theta)

    def evaluate(
        self,
        theta: np.ndarray,
        *,
        gradient: Asked = True,
        metric: Metric | None = None,
        seed: int | None = None,
        spread: Spread | None = None,
    ) -> Evaluation:
        inside = self._inside(theta)
        return self.holding(self.inner.evaluate(inside, gradient=gradient, metric=metric, seed=seed, spread=spread))

    def holding(self, found: Evaluation) -> Evaluation:
        """The inner evaluator's answer inside the box, with the parameters held that the descent pushes against it."""
        if found.gradient is None:
            return found
        slope = np.asarray(found.gradient.value)
        held = ((found.theta <= self._low) & (slope > 0)) | ((found.theta >= self._high) & (slope < 0))
        if not held.any():
            return found
        tensor = None if found.metric is None else _apart(found.metric, held)
        return replace(found, gradient=_without(found.gradient, held), metric=tensor)

    def metric(self, theta: np.ndarray, metric: Metric, seed: int | None = None) -> MetricTensor:
        return self.inner.metric(self._inside(theta), metric, seed)

    def preview(
        self, theta: np.ndarray, *, gradient: Asked = True, metric: Metric | None = None, spread: Spread | None = None
    ) -> Cost:
        return self.inner.preview(self._inside(theta), gradient=gradient, metric=metric, spread=spread)

    def metric_product(self, theta: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        raise SettingError('approx="matrix-free" does not go with bounds; take another approx')


def _known(spread: Spread | None) -> dict[str, Any]:
    """What is passed on of a spread: evaluators of anybody that know none are not asked with one."""
    return {} if spread is None else {"spread": spread}


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


def without_bounds(evaluator: Evaluator) -> Evaluator:
    """What answers inside the box; the evaluator itself where it has none."""
    return evaluator.inner if isinstance(evaluator, Bounded) else evaluator
