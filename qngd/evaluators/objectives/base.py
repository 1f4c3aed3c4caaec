"""What the evaluators of an objective have in common: which samples a call takes, which metric, the loss of outputs."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from qngd._system.seeds import derived
from qngd.circuit.circuit import Circuit
from qngd.errors import SettingError
from qngd.estimates.estimate import Estimate
from qngd.estimates.evaluation import Cost, Evaluation, Spread
from qngd.evaluators.base import Evaluator
from qngd.evaluators.objectives.batches import Batches
from qngd.evaluators.objectives.gauss_newton import GaussNewton
from qngd.evaluators.objectives.model import Model
from qngd.gradients.base import Asked
from qngd.metrics.base import Metric


class ObjectiveEvaluator(Evaluator):
    """An `Evaluator` whose energy is the loss.

    With mini-batches, a call that gives derivatives gives those of the next batch, and as `before` the loss of the one
    that the step began with; a call for the energy alone gives that of this one.
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        self.circuit: Circuit = model.circuit  # one that stands for all
        size = model.objective.batch_size
        count = model.num_samples
        self._batches = None if size is None or count is None or size >= count else Batches(count, size)
        self._index = -1
        self._order: int | None = None

    def of_all(self) -> Self:
        return self._with(_batches=None)

    def _with(self, **changes: Any) -> Self:
        """A copy that differs in this; what the original has made, such as simulators and planners, it shares."""
        found = copy.copy(self)
        vars(found).update(changes)
        return found

    @property
    def epoch(self) -> int:
        """The number of steps in which all samples have their turn."""
        return 1 if self._batches is None else self._batches.per_epoch

    def on_batch(self, index: int | None, seed: int | None) -> Self:
        if self._batches is None:
            return self
        return self._with(_index=-1 if index is None else index, _order=seed)

    @property
    def _batch_note(self) -> str:
        """What is to be said of mini-batches."""
        if self._batches is None:
            return ""
        return (
            f"energies are losses of mini-batches of {self._batches.size} of {self._batches.count} samples; "
            "qngd.expectation(objective, theta=result.theta) gives that of all"
        )

    def _asked(self, gradient: bool) -> tuple[np.ndarray | None, np.ndarray, int | None]:
        """The samples to be judged by, where they are others; the samples of the answer; and the number of their
        batch."""
        if self._batches is None:
            return None, self.model.samples, None
        if not gradient:
            index = max(self._index, 0)
            return None, self._batches.rows(index, self._order), index
        before = None if self._index < 0 else self._batches.rows(self._index, self._order)
        return before, self._batches.rows(self._index + 1, self._order), self._index + 1

    @abstractmethod
    def evaluate(
        self,
        theta: np.ndarray,
        *,
        gradient: Asked = True,
        metric: Metric | None = None,
        seed: int | None = None,
        spread: Spread | None = None,
    ) -> Evaluation:
        """The loss, and gradient and metric if asked for."""

    @abstractmethod
    def preview(
        self, theta: np.ndarray, *, gradient: Asked = True, metric: Metric | None = None, spread: Spread | None = None
    ) -> Cost:
        """What `evaluate` would cost."""

    def energies(
        self, points: Sequence[np.ndarray], seed: int | None = None, spread: Spread | None = None
    ) -> tuple[list[Estimate], Cost]:
        """The losses of this batch at several parameter vectors (P,), a submission each, with a seed of its own: else
        points nearby would have nearly the same errors of shots, as on no device."""
        seeds = [seed_of(seed, number) for number in range(len(points))]
        pairs = zip(points, seeds, strict=True)
        found = [self.evaluate(theta, gradient=False, seed=own, spread=spread) for theta, own in pairs]
        return [each.energy for each in found], sum((each.cost for each in found), Cost())

    def preview_energies(self, theta: np.ndarray, count: int, spread: Spread | None = None) -> Cost:
        """What `energies` at so many points would cost at most."""
        return self.preview(theta, gradient=False, spread=spread) * count

    def own_metric(self, otherwise: Metric) -> Metric:
        """The metric that the objective has, or this one where it leaves the choice."""
        return GaussNewton() if self.model.objective.metric == GaussNewton.name else otherwise

    def _checked(self, metric: Metric | None) -> Metric | None:
        """The metric asked for; SettingError where the objective has another, or it is of one observable."""
        if metric is None or isinstance(metric, GaussNewton):
            return metric
        self._check_free(metric.name)
        if metric.needs_observable:
            raise SettingError(
                f'approx="{metric.name}" is the metric of one observable; the one of an objective\'s outputs is '
                'Objective(…, metric="gauss-newton")'
            )
        return metric

    def _check_free(self, approx: str) -> None:
        """Raise SettingError where the objective has a metric of its own."""
        if self.model.objective.metric == GaussNewton.name:
            raise SettingError(f'approx: the objective has metric="gauss-newton"; leave approx="{approx}" out')


def seed_of(seed: int | None, number: int) -> int | None:
    """A seed for one of several random estimates of a call."""
    return derived(seed, number, 4)
