"""`shots="auto"`: how many shots a step gets, and how its circuits share them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qngd._system.keywords import hinted
from qngd.errors import SettingError, require_range, settle_whole
from qngd.estimates.evaluation import Spread
from qngd.measured.beforehand import energy_bounds, known_beforehand, normalized
from qngd.measured.equal_parts import in_equal_parts
from qngd.measured.plan import Plan
from qngd.measured.step_total import StepTotal

_SHOTS_PER_CIRCUIT = 1000  # without a total, where there is no step to gain by
_DOUBTFUL = 10  # shots a circuit that make a variance half as credible as many do
_LEAST_SHOTS = 2  # per circuit: one says nothing about a variance
_ROUNDED = 1e-10  # of the largest energy: a spread of energies below it is none
_DIGITS = 6  # of shots, where rounding errors begin


@hinted
@dataclass(frozen=True)
class AutoShots:
    """As many shots a step as are expected to gain most for what they cost, divided so that the error of the natural
    gradient step is smallest; or a `total` of your own, divided in the same way.

    How many: early steps are cheap and late ones precise, after gCANS (arXiv:2108.10434), in the metric: by how large
    the gradient was seen to be beside its noise, and by what the `start` of a circuit costs (`qngd.measured.step_total`
    derives it). Let N be the shots of a step, of C circuits. From one step to the next N + C·start grows by 30 % at
    most, or by one shot a circuit where all get the same; and what goes beyond the first step's shots and the circuits'
    starts is at most a hundredth of all shots so far. Where no gradient says what is gained, as of the functions for
    one θ, there are 1000 shots for every circuit.

    How they are divided: after van Straaten & Koczor (arXiv:2005.05172), by the variances that the step before saw.
    As the gradient vanishes, errors of the metric matter less, and its shots fade. What was seen is uncertain, and
    changes from step to step. So with the defaults half of the shots, and more of a `total` where few had been seen,
    are divided without it, as all of the first step's are: a `total` equally, else by what is known beforehand, the
    weights of shift rules and of differences, and the coefficients of the observable. By convexity the variance of the
    step is no larger than the mean of those by both divisions, and with a `total` no error is more than √2 times that
    of the same total divided equally. The energy gets what it would get of an equal division.

    Where a backend has one number of shots for all circuits, the division is rounded to circuits of equal shots, of
    which some run several times (`qngd.measured.equal_parts`): mostly all get the same where shots are few. They cost
    no more than one circuit each, their starts counted, and so have fewer shots.

    Args:
        total: shots of one step; None chooses them.
        energy_share: the part of it that goes to the energy itself, which the step's length is judged by; None is the
            energy's part of the circuits.
        minimum: shots that every circuit gets before the rest is divided by what was seen; None is half of the shots,
            divided as said above. Without a total it is 20 at least where a backend leaves shots out.
        first: shots of a circuit in the first step, where nothing is known, without a total; a quarter of `start` if
            that is more. It is the least of all steps for a CVaR and an `Objective`, which few shots bias, and half of
            it where many gates share a parameter.
        limit: shots of a circuit on average at most, without a total.
        start: what it costs to run a circuit at all, in shots. None takes what prices and budget say: what a circuit
            and its part of a job cost, divided by what a shot costs. That is in money where money is limited, or prices
            are given without a limit; in seconds where these are limited (the prices' `seconds_per_circuit` and
            `seconds_per_task`, and what the provider has reported besides); and with several limits in the sum of the
            parts used of each. Where money alone is limited, a step takes at least the shots that the least price of a
            job pays for.

    >>> AutoShots(total=100_000)
    AutoShots(total=100000, energy_share=None, minimum=None, first=20, limit=10000, start=None)
    """

    total: int | None = None
    energy_share: float | None = None
    minimum: int | None = None
    first: int = 20
    limit: int = 10_000
    start: int | None = None

    memory = 0.9  # weight of what earlier steps saw of A

    def __post_init__(self) -> None:
        settle_whole(self, {"total": 1, "minimum": _LEAST_SHOTS, "first": _LEAST_SHOTS, "limit": 1, "start": 0})
        if self.energy_share is not None:
            require_range(self.energy_share, "energy_share", "between 0 and 1", lambda value: 0 < value < 1)
        if self.limit < self.first:
            raise SettingError(f"limit: at least the {self.first} shots of the first step; got {self.limit}")

    def shots(self, plan: Plan, spread: Spread | None) -> np.ndarray:
        count = plan.num_circuits
        total = self._wanted(plan, spread)
        least = self._least(plan)
        if total < least * count:
            if self.total is not None:
                raise SettingError(
                    f"shots: {total} a step are too few for {count} circuits with at least {least} each; "
                    f"give {least * count} or more"
                )
            total = least * count
        beforehand = known_beforehand(plan) if self.total is None else np.full(count, 1 / max(count, 1))
        found = np.full(count, least)
        if self.minimum is None:
            part = int(self._part_beforehand(spread) * total) - least * count
            found += np.floor(np.round(max(part, 0) * beforehand, _DIGITS)).astype(int)
        found += _whole((total - found.sum()) * self._shares(plan, spread, beforehand))
        if plan.starts.divided is None:
            return found
        return in_equal_parts(found, max(plan.starts.divided, self.start or 0), least)

    def _part_beforehand(self, spread: Spread | None) -> float:
        """The part of the shots that is divided without what was seen: half, and more of a given total where few shots
        a circuit were seen."""
        if self.total is None or spread is None or not spread.taken:
            return 0.5
        seen = spread.taken / len(spread.step)
        return 1 - 0.5 * seen / (seen + _DOUBTFUL)

    def _least(self, plan: Plan) -> int:
        """Shots that every circuit gets whatever its share is."""
        if self.minimum is not None:
            return self.minimum
        return _LEAST_SHOTS if self.total is not None else max(_LEAST_SHOTS, plan.least_shots)

    def most(self, plan: Plan, step: int) -> int:
        """Shots of a circuit, on average, that a step takes at most; number 0 is the start."""
        if self.total is not None or not plan.has_gradient:
            shots = self._wanted(plan, None) / max(plan.num_circuits, 1)
        else:
            shots = self._chosen(plan).most(step)
        # of all circuits together it is no whole number
        return int(np.ceil(max(shots, self._least(plan))))

    def may_grow(self, spread: Spread) -> bool:
        """Whether steps will take more shots than the one with this spread."""
        return self.total is None and spread.taken < 0.99 * self.limit * len(spread.step)

    def _shares(self, plan: Plan, spread: Spread | None, beforehand: np.ndarray) -> np.ndarray:
        """The part (R,) of every circuit in what is divided by what was seen; where nothing was, `beforehand`."""
        count = plan.num_circuits
        if spread is None or len(spread.step) != count or not spread.step.any():
            return beforehand
        is_energy = plan.energy_weights != 0
        spreads = np.sqrt(spread.energy)
        rounding = 0.0 if plan.mixing is None else _ROUNDED * energy_bounds(plan)
        of_energy = normalized(spreads * (is_energy & (spreads > rounding)))
        of_step = normalized(np.sqrt(spread.step))
        part = np.count_nonzero(is_energy) / count if self.energy_share is None else self.energy_share
        part = part if of_energy.any() else 0.0
        return part * of_energy + (1 - part) * of_step

    def _wanted(self, plan: Plan, spread: Spread | None) -> int:
        """The shots of a step: the total given, or those that gain most for what they cost."""
        if self.total is not None:
            return self.total
        if not plan.has_gradient:  # no step to gain by
            return _SHOTS_PER_CIRCUIT * plan.num_circuits
        return self._chosen(plan).after(spread)

    def _chosen(self, plan: Plan) -> StepTotal:
        """What chooses the total of a plan with a gradient."""
        return StepTotal.of(plan, self.first, self.limit, self.start)


def _whole(wanted: np.ndarray) -> np.ndarray:
    """Whole numbers (R,) beside these with the same sum, but for what is less than 1: the largest rests are rounded
    up. Rounding errors, as another unit of energy makes, decide nothing."""
    total, wanted = int(wanted.sum() * (1 + 1e-12)), np.round(wanted, _DIGITS)
    found = np.floor(wanted).astype(int)
    left = total - int(found.sum())
    found[np.argsort(found - wanted, kind="stable")[:left]] += 1
    return found
