"""The identity in place of a metric: the natural gradient is the gradient, and a step is one of plain descent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from qngd.estimates.estimate import MetricTensor
from qngd.exact.point import Point
from qngd.measured.draft import Draft
from qngd.measured.metric import Estimated
from qngd.measured.plan import Plan
from qngd.measured.readout import Readout
from qngd.measured.spread import StepModel
from qngd.metrics.base import Metric


@dataclass(frozen=True)
class Identity(Metric):
    """1 on the diagonal and 0 elsewhere, without any circuit."""

    name = "identity"

    def exact(self, point: Point) -> MetricTensor:
        return MetricTensor.exact(np.eye(len(point.theta)), self.name)

    def asked(self, draft: Draft) -> None:
        return None

    def estimate(self, read: Readout) -> Estimated:
        return Estimated(MetricTensor.exact(np.eye(read.plan.num_parameters), self.name))

    def step_worth(self, read: Readout, parts: Any, step: StepModel) -> np.ndarray:
        """Nothing: automatic shots are divided as before anything is seen, as in plain descent."""
        return np.zeros(read.plan.num_circuits)

    def shots_for(self, plan: Plan, seen: np.ndarray, error: float, needed: np.ndarray) -> np.ndarray:
        return needed
