"""When the metric is measured anew, and how measurements are averaged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from qngd._system.keywords import hinted
from qngd.errors import SettingError, counted, require_range, settle_whole, shown
from qngd.estimates.estimate import MetricTensor
from qngd.estimates.positive import project

Positive = Callable[[np.ndarray], tuple[np.ndarray, str]]


@hinted
@dataclass(frozen=True)
class Refresh:
    """When the metric is measured: it changes slowly, so it may be kept for some steps, and noisy ones may be averaged.

    Args:
        every: measure it at every so many accepted steps; 1 is always.
        drift: also as soon as the steps since then are together longer than this in state space (Σ√(δᵀgδ), radians).
        average: weight of what was known before in ḡ ← a·ḡ + (1−a)·g, as qBang does (arXiv:2304.13882); "all" is
            the mean of all measurements, as in QN-SPSA (arXiv:2103.09232).
        from_identity: the average begins with the identity, which counts as a measurement, as QN-SPSA's does.

    Raises:
        SettingError: a setting is out of range.

    >>> Refresh(every=5, drift=0.2).is_due(age=3, path=0.25)
    True
    """

    every: int = 1
    drift: float = np.inf
    average: float | Literal["all"] = 0.0
    from_identity: bool = False

    def __post_init__(self) -> None:
        settle_whole(self, {"every": 1})
        require_range(self.drift, "drift", "a positive number", lambda value: value > 0)
        if not (isinstance(self.average, str) and self.average == "all"):
            require_range(self.average, "average", 'at least 0 and below 1, or "all"', lambda value: 0 <= value < 1)
        if not isinstance(self.from_identity, (bool, np.bool_)):
            raise SettingError(f"from_identity must be True or False; got {shown(self.from_identity)}")

    def is_due(self, age: int, path: float) -> bool:
        """Whether to measure the metric again, `age` accepted steps and a path (radians) after the last time."""
        return age >= self.every or path > self.drift

    def averaged(
        self, fresh: MetricTensor, known: MetricTensor, count: int, positive: Positive = project
    ) -> MetricTensor:
        """The metric to go on with after measurement number `count` (from 0), `known` the one before; `positive` takes
        the place of an indefinite average, see `Metric.positive`."""
        old = count / (count + 1) if self.average == "all" else self.average
        if old == 0:
            return fresh
        new = 1 - old
        raw = old * known.raw + new * fresh.raw
        value, note = positive(raw)
        return MetricTensor.made_positive(
            value,
            raw,
            np.hypot(old * known.raw_stderr, new * fresh.raw_stderr),
            fresh.approx,
            known.shots + fresh.shots,
            f"average of {counted(count + 1, 'metric')}" + (f"; {note}" if note else ""),
        )


@dataclass(frozen=True)
class MetricAge:
    """How often a run's metric was measured anew, and accepted `steps` and `path` (Σ√(δᵀgδ), radians) since then."""

    count: int = 0
    steps: int = 0
    path: float = 0.0

    @classmethod
    def of(cls, memory: Mapping[str, np.ndarray]) -> MetricAge:
        """What a state's memory holds of it."""
        return cls(int(memory["metric_count"]), int(memory["metric_age"]), float(memory["metric_path"]))

    @property
    def as_memory(self) -> dict[str, np.ndarray]:
        """The same as arrays, for a state's memory."""
        numbers = {"metric_count": self.count, "metric_age": self.steps, "metric_path": self.path}
        return {name: np.array(number) for name, number in numbers.items()}

    def after(self, length: float) -> MetricAge:
        """One accepted step of this length later."""
        return MetricAge(self.count, self.steps + 1, self.path + length)

    @property
    def renewed(self) -> MetricAge:
        """Right after one more measurement."""
        return MetricAge(self.count + 1)
