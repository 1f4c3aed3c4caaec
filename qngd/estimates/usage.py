"""What providers report of the device seconds that submissions took, and what follows for those to come.

The device's times do not hold all that a provider counts: there may be a clock that differs, and something that every
circuit takes to be loaded. Let a submission of c circuits and t seconds by the device's times be reported with
a·t + b·c seconds, a ≥ 1. With R = Σ reported, T = Σt and C = Σc over what was reported,

    t·R/T   and   t + c·(R − T)/C

lie on both sides of that, since R = aT + bC: the first is no less where t/c ≥ T/C, the second where t/c ≤ T/C. Where
t/c has differed a and b follow by least squares, and the estimate is that line between these two; until then it is the
larger of both, so that it is not too low.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

_DIFFERENT = 1e-3  # of 1 − the correlation's square: circuits whose times differ by a few percent


@dataclass(frozen=True)
class Usage:
    """Sums over the submissions whose provider reports what they took: seconds t by the device's `timed`, seconds r
    `reported`, `circuits` c, and products of these."""

    timed: float = 0.0
    reported: float = 0.0
    circuits: float = 0.0
    tt: float = 0.0
    tc: float = 0.0
    cc: float = 0.0
    tr: float = 0.0
    cr: float = 0.0

    @classmethod
    def of(cls, t: float, r: float, c: int) -> Usage:
        """That of one submission."""
        return cls(t, r, c, t * t, t * c, c * c, t * r, c * r)

    def __add__(self, other: Usage) -> Usage:
        if not (self.circuits and other.circuits):  # of simulators, whose steps are short, nothing is reported
            return self if self.circuits else other
        return Usage(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(self)))

    def __mul__(self, count: int) -> Usage:
        return Usage(*(getattr(self, each.name) * count for each in fields(self)))

    @property
    def ratio(self) -> float:
        """Seconds that were reported for one by the device's times; 1 where nothing was reported."""
        return self.reported / self.timed if self.timed > 0 and self.reported > 0 else 1.0

    @property
    def beside(self) -> float:
        """Seconds that a circuit takes besides its shots, b; 0 where that is not known."""
        line = self._line
        return 0.0 if line is None else min(max(line[1], 0.0), self._beyond)

    def estimate(self, timed: np.ndarray, circuits: np.ndarray) -> np.ndarray:
        """Seconds (J,) that jobs are expected to be reported with, of so many `timed` (J,) and `circuits` (J,)."""
        scaled, added = timed * self.ratio, timed + circuits * self._beyond
        if not self._beyond:
            return scaled
        low, high = sorted([scaled, added], key=lambda seconds: float(seconds.sum()))
        line = self._line
        if line is None:
            return high
        least, most = low.sum(), high.sum()
        wanted = np.clip(line[0] * timed.sum() + line[1] * circuits.sum(), least, most)
        part = (wanted - least) / (most - least) if most > least else 1.0
        return low + part * (high - low)

    @property
    def _beyond(self) -> float:
        """(R − T)/C, where more was reported than timed."""
        return max(self.reported - self.timed, 0.0) / self.circuits if self.timed > 0 and self.circuits else 0.0

    @property
    def _line(self) -> tuple[float, float] | None:
        """a and b by least squares; None where submissions did not differ."""
        determinant = self.tt * self.cc - self.tc**2
        if not determinant > _DIFFERENT * self.tt * self.cc:
            return None
        a = (self.tr * self.cc - self.cr * self.tc) / determinant
        return a, (self.cr * self.tt - self.tr * self.tc) / determinant
