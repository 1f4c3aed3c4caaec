"""Rules that say how many shots each circuit of a step gets.

A rule sees the plan and the *spread* of the step before: per request, how much one shot of it would add to the
variance of what is estimated. With N_r shots a request with spread a_r adds a_r/N_r, so Σ a_r/N_r at a given total
Σ N_r is smallest for N_r ∝ √a_r; and Σ a_r/N_r = ε² takes the fewest shots, Σ N_r = (Σ√a)²/ε², for the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from qngd.errors import SettingError, whole_number
from qngd.estimates.evaluation import Spread
from qngd.measured.auto_shots import AutoShots
from qngd.measured.plan import Plan


class ShotRule(Protocol):
    """Decides the shots of every request. It may have `memory`, the weight of an earlier step's signal in
    `Spread.after`."""

    def shots(self, plan: Plan, spread: Spread | None) -> np.ndarray | None:
        """Shots (R,), given the spread of the step before if there was one; None asks for exact values."""


@dataclass(frozen=True)
class FixedShots:
    """The same number of shots for every circuit; None asks for exact values, which simulators can give."""

    per_circuit: int | None

    def shots(self, plan: Plan, spread: Spread | None) -> np.ndarray | None:
        if self.per_circuit is None:
            return None
        return np.full(plan.num_circuits, self.per_circuit)


def as_rule(shots: Any) -> ShotRule:
    """The rule that the `shots` argument stands for: a number, "auto", None, or a rule.

    Raises:
        SettingError: it is none of these.
    """
    if shots is None:
        return FixedShots(None)
    if isinstance(shots, str):
        if shots == "auto":
            return AutoShots()
        raise SettingError(f'shots: {shots!r} is neither a number nor "auto"')
    if callable(getattr(shots, "shots", None)) and not isinstance(shots, type):
        rule: ShotRule = shots
        return rule
    return FixedShots(check_shots(shots))


def check_shots(shots: Any) -> int:
    """`shots` as an int; raises SettingError unless it is a whole number of at least 1."""
    return whole_number(shots, "shots", 1)
