"""What devices charge: a price table, given by the user as plain data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from qngd._system.keywords import hinted
from qngd.errors import SettingError, require_range, shown

_PARTS = ("per_shot", "per_circuit", "per_task", "per_second", "minimum")


@dataclass(frozen=True, eq=False)
class JobSizes:
    """What the jobs of a submission hold: `circuits` and `shots` (J,), and device `seconds` (J,) or None where they are
    not known."""

    circuits: np.ndarray
    shots: np.ndarray
    seconds: np.ndarray | None

    def of(self, jobs: Sequence[int]) -> JobSizes:
        """Of some of the jobs alone."""
        which = np.asarray(jobs, dtype=np.int64)
        seconds = None if self.seconds is None else self.seconds[which]
        return JobSizes(self.circuits[which], self.shots[which], seconds)

    @property
    def total(self) -> tuple[int, int, int]:
        """How many jobs, circuits and shots."""
        return len(self.shots), int(self.circuits.sum()), int(self.shots.sum())


@hinted
@dataclass(frozen=True)
class Prices:
    """What a provider charges. A job costs the sum of its parts, but at least the minimum.

    Args:
        per_shot: for a shot of a circuit.
        per_circuit: for a circuit, whatever its shots: the price of a task where every circuit is one.
        per_task: for a job.
        per_second: for a second on the device.
        minimum: that a job costs in any case.
        currency: of all of these; for people.
        seconds_per_shot: device seconds of a shot, where the backend gives no times.
        seconds_per_circuit: device seconds that a circuit takes besides its shots, to be loaded.
        seconds_per_task: device seconds that a job takes besides its circuits, to begin.

    Raises:
        SettingError: a price is no number of at least 0.

    >>> Prices(per_shot=0.001, per_task=0.5, currency="USD").text(2.5)
    '2.50 USD'
    """

    per_shot: float = 0.0
    per_circuit: float = 0.0
    per_task: float = 0.0
    per_second: float = 0.0
    minimum: float = 0.0
    currency: str = ""
    seconds_per_shot: float | None = None
    seconds_per_circuit: float = 0.0
    seconds_per_task: float = 0.0

    def __post_init__(self) -> None:
        for name in (*_PARTS, "seconds_per_circuit", "seconds_per_task"):
            require_range(getattr(self, name), name, "a number of at least 0", lambda price: 0 <= price < np.inf)
        if self.seconds_per_shot is not None:
            require_range(
                self.seconds_per_shot, "seconds_per_shot", "a positive number", lambda number: 0 < number < np.inf
            )
        if not isinstance(self.currency, str):
            raise SettingError(f"currency must be a text such as 'USD'; got {shown(self.currency)}")

    @property
    def are_given(self) -> bool:
        """Whether anything costs money."""
        return any(getattr(self, name) > 0 for name in _PARTS)

    def of(self, jobs: JobSizes) -> float | None:
        """What these jobs cost together; None where that depends on seconds that are not known."""
        if not self.are_given or (self.per_second > 0 and jobs.seconds is None):
            return None
        each = self.per_task + self.per_circuit * jobs.circuits + self.per_shot * jobs.shots
        if jobs.seconds is not None:
            each = each + self.per_second * jobs.seconds
        return float(np.maximum(each, self.minimum).sum())

    def text(self, money: float) -> str:
        """An amount for people."""
        return f"{money:.2f} {self.currency}".rstrip()
