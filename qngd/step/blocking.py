"""A fixed rate whose steps are taken back where the energy rises (QN-SPSA's blocking, arXiv:2103.09232)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qngd._system.keywords import hinted
from qngd.damping import first_rate
from qngd.errors import require_range
from qngd.estimates.evaluation import Evaluation
from qngd.solve.direction import Direction
from qngd.step.base import Memory, Probe, Proposal, StepRule, Trial, along, require_rate, with_lasting_rate


@hinted
@dataclass(frozen=True)
class Blocking(StepRule):
    """δ = −η·d, unless the energy rises by more than is allowed.

    Args:
        learning_rate: η; None is 0.1 over the standard deviation of the observable's eigenvalues.
        allowed_increase: of the energy in one step; None is two standard errors of the difference, 0 where exact.
    """

    learning_rate: float | None = None
    allowed_increase: float | None = None

    may_reject = True

    def __post_init__(self) -> None:
        require_rate(self.learning_rate, "learning_rate")
        if self.allowed_increase is not None:
            require_range(
                self.allowed_increase, "allowed_increase", "a number of at least 0", lambda value: 0 <= value < np.inf
            )

    def at_scale(self, scale: float) -> Blocking:
        return with_lasting_rate(self, scale)

    def propose(self, direction: Direction, here: Evaluation, memory: Memory, probe: Probe) -> Proposal:
        return along(direction, here, first_rate(self.learning_rate))

    def judge(self, trial: Trial, memory: Memory) -> bool:
        allowed = trial.slack if self.allowed_increase is None else self.allowed_increase
        return bool(-trial.decrease <= allowed)
