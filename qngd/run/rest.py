"""When a run is at rest: its last steps gained nothing more, or saw nothing but the noise of shots.

What a step said is a row of the run's *trail*, the last of which decide. A CVaR is judged more slowly than a mean: what
lies below its quantile shows in few shots, and now and then in none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from qngd.estimates.evaluation import Evaluation
from qngd.run.stop import StopRule
from qngd.solve.state import State, StepInfo

LONGEST = 10  # steps, after which a trail forgets
_NOISE_STEPS = 5  # in a row whose gradient must not differ from zero by 2 standard deviations
_STILL_STEPS = 3  # in a row that must change the energy by less than `tol`
_BY_CHANCE = 10  # times `tol`: with such an error three changes below `tol` come of a few shots that agree
_LEFT = 0.01  # of `tol`: what may be left to gain where decreases fall off as they were predicted to


class Row(NamedTuple):
    """What one step said; `predicted` is NaN where its optimizer predicts nothing."""

    decrease: float
    significance: float
    natural_norm: float
    predicted: float

    @classmethod
    def of(cls, info: StepInfo) -> Row:
        """The row of a step."""
        return cls(info.decrease, info.significance, info.natural_norm, info.predicted_decrease)


def trail_of(state: State) -> list[Row]:
    """The trail that a state holds."""
    if state.trail is None:
        return []
    rows = np.full((len(state.trail), len(Row._fields)), np.nan)
    rows[:, : state.trail.shape[1]] = state.trail  # before 0.2 without what was predicted
    return [Row(*row) for row in rows.tolist()]


def trail_as_array(trail: Sequence[Row]) -> np.ndarray:
    """The trail as a state holds it, (≤ 10, 4)."""
    return np.array(trail).reshape(-1, len(Row._fields))


def why_still(state: State, trail: Sequence[Row], limits: StopRule) -> str:
    """Why there is nothing more to gain, in words; empty where there may be."""
    here, recent = state.evaluation, trail[-_STILL_STEPS:]
    # a tail within one outcome, and few shots that all agree, give the same number again and again, and say nothing
    # of what lies below
    unseen = _largest_error(state) > limits.tol * (1 if _is_tail(here) else _BY_CHANCE)
    is_still = len(recent) == _STILL_STEPS and all(abs(row.decrease) < limits.tol for row in recent)
    if is_still and not unseen:
        return f"the energy changed by less than tol={limits.tol:g} for {_STILL_STEPS} steps in a row"
    if recent and recent[-1].natural_norm < limits.gtol:
        return f"the natural gradient's norm fell below gtol={limits.gtol:g}"
    if _has_nothing_left(here, trail, limits.tol):
        return f"the energy fell by less than tol={limits.tol:g}, as predicted, and less is left to gain"
    return ""


def is_noise(here: Evaluation, trail: Sequence[Row]) -> bool:
    """Whether the last gradients cannot be told from zero, neither alone nor together: they are independent, so that n
    significances of s each are one of s·√n."""
    steps = noise_steps(here)
    recent = [row.significance for row in trail[-steps:]]
    if len(recent) < steps or not all(significance < 2 for significance in recent):
        return False
    return bool(sum(recent) < 2 * np.sqrt(steps))


def noise_steps(here: Evaluation) -> int:
    """Steps in a row that must see noise alone."""
    return LONGEST if _is_tail(here) else _NOISE_STEPS


def _is_tail(here: Evaluation) -> bool:
    """Whether the energy is a CVaR."""
    return here.mean is not None


def _largest_error(state: State) -> float:
    """The standard error of the energy; of a sampled one that algebra makes certain that of its gradient."""
    here = state.evaluation
    if here.energy.stderr or here.gradient is None or not state.cost.shots:
        return float(here.energy.stderr)
    return float(np.max(here.gradient.stderr, initial=0.0))


def _has_nothing_left(here: Evaluation, trail: Sequence[Row], tol: float) -> bool:
    """Whether the last exact energy fell by less than `tol`, as was predicted, and so much less than in the step before
    that a geometric series of such decreases has next to nothing left: so it is where a model of the energy holds, and
    steps converge faster than by a fixed factor."""
    if len(trail) < 2 or here.energy.stderr or here.batch is not None or _is_tail(here):
        return False
    before, now = trail[-2:]
    rise = min([0.0, *(row.decrease for row in trail[-3:-2])])  # a bounce falls as far as it rose
    # NaN where nothing was predicted
    larger = np.minimum(before.decrease + rise, before.predicted)
    smaller = np.maximum(now.decrease, now.predicted)
    falls_off = larger > smaller and smaller**2 < _LEFT * tol * (larger - smaller)
    return bool(falls_off and smaller < tol and now.decrease > -_LEFT * tol)
