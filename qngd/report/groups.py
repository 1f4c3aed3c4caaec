"""Runs that differ in their seeds alone, together: medians and quartiles, over steps or over what was spent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from qngd.report.run_data import RunData

_BAND = 3  # runs from which on quartiles are drawn
_GRID = 200  # points of an axis of what was spent


@dataclass(frozen=True, eq=False)
class Group:
    """Runs under one label, with the number of its colour."""

    label: str
    runs: tuple[RunData, ...]

    @property
    def has_band(self) -> bool:
        """Whether there are enough runs for quartiles."""
        return len(self.runs) >= _BAND

    def quartiles(self, of: str, over: str) -> tuple[np.ndarray, np.ndarray]:
        """The places (n,) of a column, and the quartiles and median (3, n) of another there, over the runs.

        A run counts with the last value that it had by then; one that has ended keeps its last. Runs begin where all
        have begun.
        """
        xs = [run.history[over] for run in self.runs]
        ys = [run.history[of] for run in self.runs]
        first, last = max(x[0] for x in xs), max(x[-1] for x in xs)
        if over == "step":
            grid = np.arange(first, last + 1)
        else:
            grid = np.unique(np.linspace(first, last, _GRID))
        values = [_held(x, y, grid) for x, y in zip(xs, ys, strict=True)]
        return grid, quartiles(np.array(values))


def quartiles(values: np.ndarray) -> np.ndarray:
    """Lower quartile, median and upper quartile (3, n) of rows (R, n); NaN where a row has NaN."""
    return np.quantile(values, (0.25, 0.5, 0.75), axis=0)


def _held(x: np.ndarray, y: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """y (n,) at places of a grid, the last known value at each."""
    return y[np.clip(np.searchsorted(x, grid, side="right") - 1, 0, len(y) - 1)]


def grouped(runs: Sequence[RunData]) -> tuple[Group, ...]:
    """Runs by their labels, in their order."""
    found: dict[str, list[RunData]] = {}
    for run in runs:
        found.setdefault(run.label, []).append(run)
    return tuple(Group(label, tuple(members)) for label, members in found.items())
