"""What a run stops at, as its user has set it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from qngd.errors import SettingError, require_range, shown, unboxed, whole_number
from qngd.run.budget import Budget


@dataclass(frozen=True)
class StopRule:
    """What a run stops at."""

    max_steps: int
    tol: float
    gtol: float
    target: float | None
    budget: Budget

    @classmethod
    def read(cls, max_steps: Any, tol: Any, gtol: Any, target: Any, budget: Any) -> StopRule:
        """The rule that arguments of `minimize` amount to; SettingError names the one that cannot be meant."""
        for name, value in (("tol", tol), ("gtol", gtol)):
            require_range(value, name, "a number of at least 0", lambda number: 0 <= number < np.inf)
        target = unboxed(target)
        if target is not None:
            require_range(target, "target", "a finite energy", lambda number: -np.inf < number < np.inf)
        if not isinstance(budget, (Budget, type(None))):
            raise SettingError(f"budget: write budget=qngd.Budget(shots=100_000); got {shown(budget)}")
        return cls(whole_number(max_steps, "max_steps", 0), tol, gtol, target, budget or Budget())
