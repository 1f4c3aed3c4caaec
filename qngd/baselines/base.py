"""What the baselines share: settings that must be positive, and what a step without a metric says of itself."""

from __future__ import annotations

from typing import Any

import numpy as np

from qngd.errors import SettingError
from qngd.evaluate import Cost, Evaluation
from qngd.state import State, StepInfo


def require_positive(value: float, name: str) -> None:
    """Raise SettingError unless `value` is positive and finite."""
    if not 0 < value < np.inf:
        raise SettingError(f"{name} must be a positive number; got {value}")


def require_fraction(value: float, name: str) -> None:
    """Raise SettingError unless 0 ≤ value < 1."""
    if not 0 <= value < 1:
        raise SettingError(f"{name} must be at least 0 and below 1; got {value}")


def described(
    new: State, here: Evaluation, there: Evaluation, step_cost: Cost, *, accepted: bool = True, **known: Any
) -> StepInfo:
    """The info of the step to `new` that tried to go from `here` to `there`; `known` is what else is known of it."""
    return StepInfo(
        **{
            "step": new.step,
            "energy": new.energy,
            "stderr": float(new.evaluation.energy.stderr),
            "decrease": float(here.energy.value) - float(there.energy.value),
            "accepted": accepted,
            "cost": new.cost,
            "step_cost": step_cost,
            **known,
        }
    )
