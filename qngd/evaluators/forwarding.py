"""An evaluator that hands on what it is asked to another one."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Self

import numpy as np

from qngd.backends.forwarding import of_inner
from qngd.estimates.estimate import Estimate, MetricTensor
from qngd.estimates.evaluation import Cost, Evaluation, Spread
from qngd.evaluators.base import Evaluator
from qngd.gradients.base import Asked
from qngd.metrics.base import Metric


class ForwardingEvaluator(Evaluator):
    """An evaluator that asks another one, the `inner`: what holds there holds here."""

    name = of_inner("name")
    note = of_inner("note")
    is_exact = of_inner("is_exact")
    is_mean = of_inner("is_mean")
    epoch = of_inner("epoch")

    def __init__(self, inner: Evaluator) -> None:
        self.inner = inner
        self.circuit, self.backend, self.box = inner.circuit, inner.backend, inner.box

    def around(self, inner: Evaluator) -> Self:
        """The same of another evaluator of this kind."""
        if inner is self.inner:
            return self
        found = copy.copy(self)
        vars(found).update(inner=inner)
        return found

    def on_batch(self, index: int | None, seed: int | None) -> Self:
        return self.around(self.inner.on_batch(index, seed))

    def of_all(self) -> Self:
        return self.around(self.inner.of_all())

    def allowed(self, here: Evaluation, delta: np.ndarray) -> np.ndarray:
        return self.inner.allowed(here, delta)

    def default_metric(self) -> Metric:
        return self.inner.default_metric()

    def first_metric(self) -> Metric:
        return self.inner.first_metric()

    def evaluate(
        self,
        theta: np.ndarray,
        *,
        gradient: Asked = True,
        metric: Metric | None = None,
        seed: int | None = None,
        spread: Spread | None = None,
    ) -> Evaluation:
        return self.inner.evaluate(theta, gradient=gradient, metric=metric, seed=seed, spread=spread)

    def energies(
        self, points: Sequence[np.ndarray], seed: int | None = None, spread: Spread | None = None
    ) -> tuple[list[Estimate], Cost]:
        return self.inner.energies(points, seed, spread)

    def preview_energies(self, theta: np.ndarray, count: int, spread: Spread | None = None) -> Cost:
        return self.inner.preview_energies(theta, count, spread)

    def metric(self, theta: np.ndarray, metric: Metric, seed: int | None = None) -> MetricTensor:
        return self.inner.metric(theta, metric, seed)

    def preview(
        self, theta: np.ndarray, *, gradient: Asked = True, metric: Metric | None = None, spread: Spread | None = None
    ) -> Cost:
        return self.inner.preview(theta, gradient=gradient, metric=metric, spread=spread)

    def metric_product(self, theta: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        return self.inner.metric_product(theta)


def innermost(evaluator: Evaluator) -> Evaluator:
    """The evaluator that answers in the end."""
    while isinstance(evaluator, ForwardingEvaluator):
        evaluator = evaluator.inner
    return evaluator
