"""The default on exact backends: quasi-Newton steps, and the plane of two directions where they stagnate."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from qngd._system.keywords import hinted
from qngd.errors import SettingError, settle_whole, shown
from qngd.estimates.evaluation import Evaluation
from qngd.solve.direction import Direction
from qngd.step.base import Memory, Probe, Proposal, StepRule, Trial, require_between
from qngd.step.quasi_newton import QuasiNewton
from qngd.step.search import ConjugateDirections

_NARROW = 0.02  # radians: a plane is not searched closer than this when the search begins


@hinted
@dataclass(frozen=True)
class Adaptive(StepRule):
    """`QuasiNewton`; and `ConjugateDirections` for as long as the natural gradient's norm √(dᵀgd) is more than `slow`
    times what it was `span` steps ago.

    On curved and nearly flat ground neither rates nor curvature pairs of the past say much; three energies around the
    point do, negative curvatures included. Where steps make good progress they would be wasted.

    Args:
        near: the rule where steps make progress.
        plane: the rule where they do not.
        span: steps.
        slow: a share of the norm.
    """

    near: QuasiNewton = field(default_factory=QuasiNewton)
    plane: ConjugateDirections = field(default_factory=ConjugateDirections)
    span: int = 20
    slow: float = 0.5
    may_reject = True

    def __post_init__(self) -> None:
        for name, kind in (("near", QuasiNewton), ("plane", ConjugateDirections)):
            if not isinstance(getattr(self, name), kind):
                raise SettingError(f"{name} must be a qngd.step.{kind.__name__}; got {shown(getattr(self, name))}")
        settle_whole(self, {"span": 1})
        require_between(0, self.slow, np.inf, "slow")

    @property
    def num_probes(self) -> int:  # type: ignore[override]
        return max(self.near.num_probes, self.plane.num_probes)

    def at_scale(self, scale: float) -> Adaptive:
        return replace(self, near=self.near.at_scale(scale))

    def start(self) -> Memory:
        return {**self.near.start(), **self.plane.start(), "norms": np.zeros(0)}

    def keeps_metric_for(self, memory: Memory) -> float:
        return self.near.keeps_metric_for(memory)

    def has_failed(self, memory: Memory) -> bool:
        norms = memory["norms"]
        return len(norms) == self.span and bool(norms[-1] > self.slow * norms[0])

    def propose(self, direction: Direction, here: Evaluation, memory: Memory, probe: Probe) -> Proposal:
        rule = self.plane if self._stagnates(direction, memory) else self.near
        return rule.propose(direction, here, memory, probe)

    def judge(self, trial: Trial, memory: Memory) -> bool:
        rule = self.plane if self._stagnates(trial.direction, memory) else self.near
        return rule.judge(trial, memory)

    def learn(self, trial: Trial, accepted: bool, memory: Memory) -> Memory:
        norms = {"norms": np.append(memory["norms"], trial.direction.length)[-self.span :]}
        plane = dict(self.plane.learn(trial, accepted, memory))
        if self._stagnates(trial.direction, memory):
            near = self.near.followed(trial, memory) if accepted else memory
            return {**near, **plane, **self.near.anew(), **norms}
        # a search of the plane begins about as far around as steps have gone
        plane["radius"] = np.array(np.clip(2 * trial.proposal.length, _NARROW, self.plane.max_radius))
        return {**plane, **self.near.learn(trial, accepted, memory), **norms}

    def _stagnates(self, direction: Direction, memory: Memory) -> bool:
        norms = memory["norms"]
        return len(norms) == self.span and direction.length > self.slow * float(norms[0])
