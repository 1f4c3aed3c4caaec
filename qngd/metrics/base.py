"""What makes a metric.

To add one, write a frozen dataclass with a `name`, `exact`, `asked` and `estimate`, here or in a program of your own:
`approx=` takes its objects. A line in `names` makes it known by its name.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar, Literal

import numpy as np

from qngd.estimates.estimate import MetricTensor
from qngd.estimates.positive import project
from qngd.exact.engine import Entries
from qngd.exact.point import Point
from qngd.measured.metric import MeasuredMetric


class Metric(MeasuredMetric):
    """A metric of the parameters: exact, and measured (`MeasuredMetric` says what that takes).

    Metrics are frozen dataclasses, so that a stored run knows its own again.
    """

    is_random: ClassVar[bool] = False  # whether the seed decides which circuits it asks for
    entries: ClassVar[Entries | None] = None  # of the generators' covariances, that `exact` asks the engine for
    of_whole_states: ClassVar[bool] = False  # `exact` takes them, which light cones never make
    average: ClassVar[float | Literal["all"]] = 0.0  # of measurements, where the user chose no `Refresh`

    @abstractmethod
    def exact(self, point: Point) -> MetricTensor:
        """The metric (P, P) from statevectors, positive semidefinite."""

    def exact_with_slope(self, point: Point) -> tuple[MetricTensor, float, np.ndarray]:
        """The metric, ⟨H⟩ and ∂⟨H⟩/∂φ (K,), for metrics that get all of it in one sweep over the circuit."""
        return self.exact(point), *point.energy_and_slope()

    def positive(self, matrix: np.ndarray) -> tuple[np.ndarray, str]:
        """The positive semidefinite matrix that takes the place of an indefinite average of estimates, and a note on
        what that did."""
        return project(matrix)
