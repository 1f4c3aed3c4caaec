"""What a run stops at, as its user has set it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from qngd.errors import require_range, unboxed, whole_number
from qngd.estimates.evaluation import Cost
from qngd.run.budget import Budget, as_budget

STEPS = 200  # at most, where the user says nothing and no budget limits them


@dataclass(frozen=True)
class StopRule:
    """What a run stops at; `max_steps` is None for as many as the budget buys."""

    max_steps: int | None
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
        granted = as_budget(budget)
        steps = None if max_steps is None else whole_number(max_steps, "max_steps", 0)
        return cls(steps, tol, gtol, target, granted)

    @property
    def arguments(self) -> dict[str, Any]:
        """What it was read from, by the names that users know; a budget with neither limits nor prices is none."""
        return {**vars(self), "budget": None if self.budget == Budget() else self.budget}

    @property
    def steps(self) -> int:
        """Steps at most, unless a budget ends the run."""
        return STEPS if self.max_steps is None else self.max_steps

    def took_all(self, steps: int, spent: Cost) -> bool:
        """Whether a run that made so many steps may make no more. Where its user gave a budget and no number of steps,
        the budget alone ends it, if it limits anything that this run spends."""
        return steps >= self.steps and (self.max_steps is not None or not self.budget.limits(spent))
