"""The gradient by shift rules, all of their circuits (arXiv:1811.11184, arXiv:2107.12390)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qngd._system.keywords import hinted
from qngd.errors import check_word
from qngd.estimates.estimate import Estimate
from qngd.exact.point import Point
from qngd.gradients.base import GradientMethod
from qngd.measured.draft import Draft
from qngd.measured.gradient import AskedGradient, MeasuredGroup, all_shifts
from qngd.measured.shifts import ShiftKind


@hinted
@dataclass(frozen=True)
class ParameterShift(GradientMethod):
    """All circuits of the shift rules: the gradient without any error but that of shots.

    A rotation by itself takes two circuits, at ±π/2. The rotations of a layer that one parameter moves together, as the
    edges of a QAOA, take two for every frequency that the energy of a measured string has along it: of one edge's light
    cone, whatever the number of edges. The shifts are those whose error is least at a given number of shots
    (arXiv:2107.12390).

    Args:
        rule: "auto" takes the rule of the whole group where it needs fewer circuits, unless its error at a given total
            of shots, equally divided, would be more than twice that of single rotations with shots shared out well;
            "general" takes it wherever it needs fewer circuits; "two-term" never.

    Raises:
        SettingError: there is no such rule.

    >>> ParameterShift(rule="two-term").name
    'shift'
    """

    name = "shift"

    rule: ShiftKind = "auto"

    def __post_init__(self) -> None:
        check_word(self.rule, ("auto", "general", "two-term"), "rule")

    def asked(self, draft: Draft, groups: Sequence[MeasuredGroup]) -> AskedGradient:
        return all_shifts(draft, groups, self.rule)

    def exact(self, point: Point) -> Estimate:
        """By one forward and one reverse sweep, which give the same."""
        return Estimate.exact(point.jacobian.T @ point.energy_and_slope()[1])
