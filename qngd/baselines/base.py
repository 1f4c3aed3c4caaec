"""What the baselines share: what a step without a metric says of itself."""

from __future__ import annotations

from typing import Any

from qngd.evaluate import Cost, Evaluation
from qngd.state import State, StepInfo


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
