"""Losses of which nothing but values is known.

By the complex step f'(x) = Im f(x + ih)/h, which has no cancellation; and what does not take complex numbers, by
extrapolated differences whose own error says whether they will do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from qngd.errors import SettingError
from qngd.interop.losses.differentiator import as_number, differences_of_slopes

_TINY = 1e-30  # of the complex step
_ENOUGH = 1e-9  # error of extrapolated differences, relative to the largest derivative
_WIDEST, _LEVELS = 0.04, 7  # steps of these


class ComplexStepWay:
    """Element by element, Im f(x + ih)/h."""

    name = "complex step"

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def slopes(self, outputs: np.ndarray, targets: Any) -> tuple[float, np.ndarray]:
        own = () if targets is None else (targets,)
        found = np.zeros(outputs.shape)
        for index in np.ndindex(outputs.shape):
            moved = outputs.astype(complex)
            moved[index] += 1j * _TINY
            found[index] = np.imag(np.asarray(self._function(moved, *own)).reshape(())) / _TINY
        return as_number(self._function(outputs, *own)), found

    def bends(self, outputs: np.ndarray, targets: Any, directions: np.ndarray) -> np.ndarray:
        return differences_of_slopes(self, outputs, targets, directions)


class DifferencesWay:
    """Element by element, central differences extrapolated to a step of zero (Ridders, doi:10.1016/0141-1195(82)
    90057-0)."""

    name = "differences"

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def slopes(self, outputs: np.ndarray, targets: Any) -> tuple[float, np.ndarray]:
        own = () if targets is None else (targets,)
        found, errors = np.zeros(outputs.shape), np.zeros(outputs.shape)
        for index in np.ndindex(outputs.shape):

            def at(shift: float, index: tuple[int, ...] = index) -> float:
                moved = outputs.copy()
                moved[index] += shift
                return as_number(self._function(moved, *own))

            found[index], errors[index] = _extrapolated(at)
        if not np.all(errors <= _ENOUGH * max(1.0, float(np.abs(found).max(initial=0.0)))):
            raise SettingError("loss: differences of its values are too rough")
        return as_number(self._function(outputs, *own)), found

    def bends(self, outputs: np.ndarray, targets: Any, directions: np.ndarray) -> np.ndarray:
        return differences_of_slopes(self, outputs, targets, directions)


def _extrapolated(at: Callable[[float], float]) -> tuple[float, float]:
    """The derivative at 0, and its error."""
    rows: list[list[float]] = []
    best, error = np.nan, np.inf
    for level in range(_LEVELS):
        step = _WIDEST / 2**level
        row = [(at(step) - at(-step)) / (2 * step)]
        for k in range(level):
            row.append(row[k] + (row[k] - rows[-1][k]) / (4 ** (k + 1) - 1))
            guess = max(abs(row[k + 1] - row[k]), abs(row[k + 1] - rows[-1][k]))
            if guess < error:
                best, error = row[k + 1], guess
        rows.append(row)
    return best, error
