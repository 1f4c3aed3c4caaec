"""Metrics that are sums of what independent circuits contribute, whose variances add up."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from qngd.estimates.estimate import MetricTensor
from qngd.estimates.positive import projected
from qngd.measured.influence import Influence
from qngd.measured.metric import Estimated
from qngd.measured.outcomes import Means, one_by_one
from qngd.measured.plan import Plan
from qngd.measured.readout import Readout
from qngd.measured.spread import StepModel, shots_of_entries
from qngd.metrics.base import Metric


@dataclass(frozen=True, eq=False)
class Part:
    """The contribution of one request to the metric's rows and columns `columns` (p,)."""

    request: int
    columns: np.ndarray
    influence: Influence

    @property
    def place(self) -> tuple[np.ndarray, ...]:
        """Where it is in the metric."""
        return np.ix_(self.columns, self.columns)


class SumOfParts(Metric):
    """A metric whose estimate is the sum of the `parts` of its requests."""

    @abstractmethod
    def parts(self, read: Readout) -> list[Part]:
        """The parts whose sum is the metric, before a projection."""

    @abstractmethod
    def bounds(self, plan: Plan) -> np.ndarray:
        """Shots (R,) that keep what is in no spread, as what was not seen, within unit error."""

    def is_joint(self, plan: Plan) -> bool:
        """Whether several circuits have a share in one block, so that the sum may be indefinite."""
        return False

    def note(self, plan: Plan) -> str:
        """What the user should know about the estimate, or nothing."""
        return ""

    def estimate(self, read: Readout) -> Estimated:
        plan, parts = read.plan, self.parts(read)
        size = plan.num_parameters
        value, variance = np.zeros((2, size, size))
        for part in parts:
            value[part.place] += part.influence.value
            variance[part.place] += part.influence.variance
        requests = {part.request for part in parts}
        shots = sum(read.outcomes[request].shots for request in requests)
        # a sample covariance of counts is positive; noisy expectation values and sums over circuits may not be
        noisy_means = any(isinstance(read.outcomes[r], Means) and read.outcomes[r].shots for r in requests)
        make = projected if noisy_means or self.is_joint(plan) else MetricTensor
        return Estimated(
            make(value, np.sqrt(variance), self.name, shots, self.note(plan)), parts, partial(_moved, size, parts)
        )

    def step_worth(self, read: Readout, parts: Sequence[Part], step: StepModel) -> np.ndarray:
        worth = step.of_gradient.copy()
        for part in parts:
            along = part.influence.along(step.root[:, part.columns], step.direction[part.columns])
            worth[part.request] += along * read.shots[part.request]
        return worth

    def entry_worth(self, read: Readout, parts: Sequence[Part]) -> np.ndarray:
        return shots_of_entries(read, [(part.request, part.columns, part.influence.first_order) for part in parts])

    def shots_for(self, plan: Plan, seen: np.ndarray, error: float, needed: np.ndarray) -> np.ndarray:
        return np.maximum(needed, seen / error**2 + self.bounds(plan) / error)


def _moved(size: int, parts: Sequence[Part]) -> Iterator[np.ndarray]:
    """How each error that all outcomes share moves the sum of the parts, (P, P) each."""
    return one_by_one((size, size), [(part.place, part.influence.moved()) for part in parts])
