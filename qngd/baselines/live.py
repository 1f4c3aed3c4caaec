"""What goes on beside a state and cannot be stored: SciPy in its thread, another package's search."""

from __future__ import annotations

import weakref
from typing import Generic, TypeVar

import numpy as np

T = TypeVar("T")


class Live(Generic[T]):
    """By an array of the state's memory, as long as that lives: states that differ in what their run notes in them, as
    the part of a budget that is used, share it."""

    def __init__(self) -> None:
        self._kept: dict[int, T] = {}

    def keep(self, array: np.ndarray, beside: T) -> None:
        """Keep it until it is taken, or the array is gone."""
        self._kept[id(array)] = beside
        weakref.finalize(array, self._kept.pop, id(array), None)

    def take(self, array: np.ndarray) -> T | None:
        """What is kept beside the array, and no longer."""
        return self._kept.pop(id(array), None)

    def clear(self) -> None:
        """Keep nothing any more."""
        self._kept.clear()
