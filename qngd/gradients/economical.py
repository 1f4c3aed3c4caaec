"""The gradient with few shots: shift rules, differences where those would take many more, and a random part of either.

An energy that m commuting rotations move together turns with frequencies up to Σ|c|, and an exact shift rule pays for
the highest, by 2Σ|b| ≥ Ω_max (see `qngd.measured.shifts`), though most of it turns slowly: with independent signs the
spectrum of G = ½Σ c_k P_k is about ω = √(Σc²) wide, which is also 2√g of a random state. A difference over ±κ/ω,

    ∂E ≈ ω·[E(κ/ω) − E(−κ/ω)]/2κ,

has an error of ωσ/(κ√N) from N shots of spread σ, and a bias of about ωσκ²/6: the slope of an energy averaged over the
shift. Both are equal for κ³ = 6/√N. So the shift falls with the root N^⅙ of the shots, and the bias never rules.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from scipy import sparse

from qngd._system.keywords import hinted
from qngd.errors import require_positive
from qngd.estimates.estimate import Estimate
from qngd.exact.point import Point
from qngd.gradients.base import GradientMethod
from qngd.gradients.sampled import PAIRS, SampledShift, strata_of_groups
from qngd.gradients.shift import ParameterShift
from qngd.measured.draft import Draft
from qngd.measured.gradient import AskedGradient, MeasuredGroup, Rules, all_shifts
from qngd.measured.shifts import ShiftKind, ShiftRule

_FEW = 2  # pairs that are not worth a difference: so few frequencies may all be high
_WORTH = np.sqrt(2)  # times the error of a difference, twice its shots: what a rule without bias may have
_USUAL, _MOST = 0.6, 0.75  # κ by which differences are chosen, and the largest
_AVERAGED = 3  # gradients that a step of momentum ½ is a mean of


@hinted
@dataclass(frozen=True)
class EconomicalShift(GradientMethod):
    """Of every parameter what takes the fewest shots: the shift rules; where a rule would take twice the shots of a
    difference or more for the same error, as of many gates that share a parameter, the difference over ±κ/ω with
    ω² = Σc² over the coefficients c of the parameter's rotations; and of more than 8 pairs of circuits a random 8, as
    `SampledShift` takes them.

    Where it takes differences it is biased, by about ωσκ²/6 with the spread σ of the energy: no more than the error of
    shots in a mean of gradients, where κ follows the shots. Errors are those of shots and of chance.

    Args:
        reach: κ, radians, of a rotation by itself that turns as fast.

    Raises:
        SettingError: the reach is not positive.

    >>> EconomicalShift().of_shots(10_000).reach
    0.29
    """

    name = "auto"
    is_random = True

    reach: float = _USUAL

    def __post_init__(self) -> None:
        require_positive(self.reach, "reach")

    def of_shots(self, shots: float) -> Self:
        """The same with the reach whose bias is as large as the error of so many shots a circuit."""
        together = 2 * _AVERAGED * max(shots, 1.0)
        return replace(self, reach=round(min(_MOST, (36 / together) ** (1 / 6)), 3))

    def asked(self, draft: Draft, groups: Sequence[MeasuredGroup]) -> AskedGradient:
        cheap = [self._cheap(draft, each) for each in groups]
        strata = strata_of_groups(cheap)
        if all(len(pairs) <= PAIRS for pairs in strata):
            return all_shifts(draft, cheap)
        return SampledShift().drawn_from(strata, draft, cheap)

    def exact(self, point: Point) -> Estimate:
        """The gradient itself, which no shots would have to be saved for."""
        return ParameterShift().exact(point)

    def _cheap(self, draft: Draft, group: MeasuredGroup) -> MeasuredGroup:
        key = differences_of, group.number  # which a group has in every plan of its circuit
        if key not in draft.kept:
            draft.kept[key] = differences_of(group.rules("auto"))
        found: Rules = draft.kept[key].over(self.reach)

        def rules(_: ShiftKind) -> Rules:
            return found

        return replace(group, rules=rules)


@dataclass(frozen=True, eq=False)
class Differences:
    """Rules with differences in place of some, whatever their reach is: the rules that are `left`; of every difference
    the rotations, their coefficients and ω; and the matrix that takes first the rules, then these to the variables."""

    left: list[ShiftRule]
    taken: list[tuple[np.ndarray, np.ndarray, float]]
    mixing: sparse.csr_array

    def over(self, reach: float) -> Rules:
        """The rules, with the differences over ±reach/ω."""
        shifts = [reach / frequency for *_, frequency in self.taken]
        found = [
            ShiftRule(rotations, coefficients, np.array([shift]), np.array([0.5 / shift]))
            for (rotations, coefficients, _), shift in zip(self.taken, shifts, strict=True)
        ]
        return self.left + found, self.mixing


def differences_of(rules: Rules) -> Differences:
    """A difference in place of the rules of every variable that this is worth it for."""
    directions, mixing = rules
    columns = mixing.tocsc()
    alone = np.diff(columns.indptr) == 1
    errors = abs(mixing) @ np.array([2 * np.abs(each.weights).sum() for each in directions])
    kept = np.ones(len(directions), dtype=bool)
    taken: list[tuple[np.ndarray, np.ndarray, float]] = []
    variables: list[int] = []
    for variable in np.flatnonzero(np.diff(mixing.indptr) > 0):
        span = slice(mixing.indptr[variable], mixing.indptr[variable + 1])
        own = mixing.indices[span]
        if not alone[own].all():
            continue
        moved = [value * directions[d].coefficients for d, value in zip(own, mixing.data[span], strict=True)]
        coefficients, rotations = np.concatenate(moved), np.concatenate([directions[d].rotations for d in own])
        frequency = float(np.linalg.norm(coefficients))
        pairs = sum(len(directions[d].shifts) for d in own)
        if pairs <= _FEW or errors[variable] < _WORTH * frequency / _USUAL:
            continue
        kept[own] = False
        taken.append((rotations, coefficients, frequency))
        variables.append(int(variable))
    if not taken:
        return Differences(directions, taken, mixing)
    ones = (np.ones(len(taken)), (variables, range(len(taken))))
    added = sparse.coo_array(ones, shape=(mixing.shape[0], len(taken)))
    left = [each for each, stays in zip(directions, kept, strict=True) if stays]
    return Differences(left, taken, sparse.hstack([columns[:, np.flatnonzero(kept)], added]).tocsr())
