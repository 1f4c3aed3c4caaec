"""What providers report of the device seconds that submissions took, and what follows for those to come.

The device's times do not hold all that a provider counts: there may be a clock that differs, something that every
circuit takes to be loaded, and something that every job takes to begin. Let a submission of j jobs, c circuits and t
seconds by the device's times be reported with a·t + b·c + d·j seconds, a ≥ 1. With R = Σ reported, T = Σt, C = Σc and
J = Σj over what was reported, R − T = (a − 1)·T + b·C + d·J. So the largest and the smallest of the readings

    t·R/T,   t + c·(R − T)/C   and   t + j·(R − T)/J

lie on both sides of that: they are t + (R − T) times t/T, c/C or j/J, and it is a mean of them. Where t/c has differed,
a and b follow by least squares as if there were no d, and where t/j has, a and d as if there were no b; each of these
lines counts where it lies between the reading of its own kind and the first one. What circuits and what jobs take
cannot be told apart while all submissions are alike, so the larger counts, lest the estimate be too low.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

_DIFFERENT = 1e-3  # of 1 − the correlation's square: circuits whose times differ by a few percent


@dataclass(frozen=True)
class Usage:
    """Sums over the submissions whose provider reports what they took: seconds t by the device's `timed`, seconds r
    `reported`, `circuits` c, `jobs` j, and products of these. Costs that were stored before there were jobs have 0 of
    them, and say nothing beside those that have some."""

    timed: float = 0.0
    reported: float = 0.0
    circuits: float = 0.0
    tt: float = 0.0
    tc: float = 0.0
    cc: float = 0.0
    tr: float = 0.0
    cr: float = 0.0
    jobs: float = 0.0
    tj: float = 0.0
    jj: float = 0.0
    jr: float = 0.0

    @classmethod
    def of(cls, t: float, r: float, c: int, j: int) -> Usage:
        """That of one submission."""
        return cls(t, r, c, t * t, t * c, c * c, t * r, c * r, j, t * j, j * j, j * r)

    def __add__(self, other: Usage) -> Usage:
        if not (self.circuits and other.circuits):  # of simulators, whose steps are short, nothing is reported
            return self if self.circuits else other
        if bool(self.jobs) != bool(other.jobs):  # sums of jobs must be of the same submissions as the others
            return self if self.jobs else other
        return Usage(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(self)))

    def __mul__(self, count: int) -> Usage:
        return Usage(*(getattr(self, each.name) * count for each in fields(self)))

    @property
    def ratio(self) -> float:
        """Seconds that were reported for one by the device's times; 1 where nothing was reported."""
        return self.reported / self.timed if self.timed > 0 and self.reported > 0 else 1.0

    @property
    def beside(self) -> float:
        """Seconds that a circuit takes besides its shots, its part of a job's included; 0 where that is not known."""
        line = self._line(self.tc, self.cc, self.cr)
        return 0.0 if line is None else min(max(line[1], 0.0), self._beyond(self.circuits))

    def estimate(self, timed: np.ndarray, circuits: np.ndarray) -> np.ndarray:
        """Seconds (J,) that jobs are expected to be reported with, of so many `timed` (J,) and `circuits` (J,)."""
        by_circuits = self._read(timed, circuits, self.circuits, self._line(self.tc, self.cc, self.cr))
        if not self.jobs:
            return by_circuits
        by_jobs = self._read(timed, np.ones(len(timed)), self.jobs, self._line(self.tj, self.jj, self.jr))
        return max(by_circuits, by_jobs, key=lambda seconds: float(seconds.sum()))

    def _read(self, timed: np.ndarray, count: np.ndarray, seen: float, line: tuple[float, float] | None) -> np.ndarray:
        """The same where what is reported beyond the times is that of what each job has `count` (J,) of, of which so
        many were `seen`."""
        scaled, beyond = timed * self.ratio, self._beyond(seen)
        if not beyond:
            return scaled
        low, high = sorted([scaled, timed + count * beyond], key=lambda seconds: float(seconds.sum()))
        if line is None:
            return high
        least, most = low.sum(), high.sum()
        wanted = np.clip(line[0] * timed.sum() + line[1] * count.sum(), least, most)
        part = (wanted - least) / (most - least) if most > least else 1.0
        return low + part * (high - low)

    def _beyond(self, seen: float) -> float:
        """(R − T) for each of what was `seen`, where more was reported than timed."""
        return max(self.reported - self.timed, 0.0) / seen if self.timed > 0 and seen else 0.0

    def _line(self, tn: float, nn: float, nr: float) -> tuple[float, float] | None:
        """By least squares a, and what each takes of which a submission has n; None where submissions did not
        differ."""
        determinant = self.tt * nn - tn**2
        if not determinant > _DIFFERENT * self.tt * nn:
            return None
        return (self.tr * nn - nr * tn) / determinant, (nr * self.tt - self.tr * tn) / determinant
