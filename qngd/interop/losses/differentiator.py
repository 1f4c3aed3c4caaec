"""What every way to differentiate a loss must do, and what several of them share."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from qngd.errors import SettingError, shown

_BEND = 1e-3  # step of differences of derivatives, fourth order


class Differentiator(Protocol):
    """One way to differentiate a loss. Each may raise whatever the loss raises on the numbers that it is given."""

    name: str

    def slopes(self, outputs: np.ndarray, targets: Any) -> tuple[float, np.ndarray]:
        """The loss, and its derivatives by the outputs, of their shape."""

    def bends(self, outputs: np.ndarray, targets: Any, directions: np.ndarray) -> np.ndarray:
        """The second derivatives times each of the directions (m, …), shape (m, …)."""


def as_number(value: Any) -> float:
    """What a loss returned, as a number.

    Raises:
        SettingError: it is none.
    """
    array = np.asarray(value)
    if array.size != 1 or array.dtype.kind not in "biuf":
        what = f"an array of shape {array.shape}" if array.dtype.kind in "biufc" and array.size != 1 else shown(value)
        raise SettingError(f"loss: it must return one real number; got {what}; a mean or sum over the samples is one")
    return float(array.reshape(()))


def differences_of_slopes(way: Differentiator, outputs: np.ndarray, targets: Any, directions: np.ndarray) -> np.ndarray:
    """Second derivatives along the directions by differences of the first ones, of fourth order."""
    found = np.zeros_like(directions)
    for i, direction in enumerate(directions):
        size = float(np.abs(direction).max())
        if size == 0:
            continue
        step = _BEND / size
        for factor, times in ((8.0, 1.0), (-1.0, 2.0)):
            ahead, behind = (way.slopes(outputs + s * times * step * direction, targets)[1] for s in (1, -1))
            found[i] += factor * (ahead - behind) / (12 * step)
    return found
