"""Somebody else's function and its gradient: what comes out of them is checked, and their calls are counted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from qngd.errors import ParameterError, shown


@dataclass(eq=False)
class Function:
    """A function of a flat parameter vector and its gradient (None: by differences), with counts of their calls.

    `within` moves a point to where the function may be asked.
    """

    energy: Callable[[np.ndarray], Any]
    gradient: Callable[[np.ndarray], Any] | None
    within: Callable[[np.ndarray], np.ndarray]
    num_energies: int = 0
    num_gradients: int = 0

    def value(self, theta: np.ndarray) -> float:
        """The energy at θ.

        Raises:
            ParameterError: the function does not return one real number.
        """
        self.num_energies += 1
        found = self.energy(self.within(theta))
        value = np.asarray(found)
        if value.size != 1 or value.dtype.kind not in "fiub":
            raise ParameterError(f"fun must return one real number; it returned {shown(found)}")
        return float(value.reshape(()))

    def slope(self, theta: np.ndarray) -> np.ndarray:
        """The gradient at θ, (P,).

        Raises:
            ParameterError: it has another shape or other numbers.
        """
        assert self.gradient is not None
        self.num_gradients += 1
        found = self.gradient(self.within(theta))
        value = np.asarray(found)
        if value.size != len(theta) or value.dtype.kind not in "fiu":
            raise ParameterError(f"jac must return {len(theta)} real numbers, one a parameter; got {shown(found)}")
        return value.astype(float).reshape(-1)
