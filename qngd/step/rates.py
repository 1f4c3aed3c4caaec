"""Rates that are given beforehand: fixed, decaying, with momentum. Every trial is accepted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qngd._system.keywords import hinted
from qngd.damping import Damping, at_rate, first_rate
from qngd.errors import require_fraction, require_positive
from qngd.estimates.evaluation import Evaluation
from qngd.solve.direction import Direction
from qngd.step.base import (
    Memory,
    Probe,
    Proposal,
    StepRule,
    Trial,
    along,
    gradient_of,
    require_rate,
    with_lasting_rate,
)


@hinted
@dataclass(frozen=True)
class FixedRate(StepRule):
    """δ = −η·d: textbook natural gradient descent (arXiv:1909.02108)."""

    learning_rate: float

    def __post_init__(self) -> None:
        require_positive(self.learning_rate, "learning_rate")

    def damping(self, chosen: Damping, memory: Memory) -> Damping:
        return at_rate(chosen, self.learning_rate)

    def propose(self, direction: Direction, here: Evaluation, memory: Memory, probe: Probe) -> Proposal:
        return along(direction, here, self.learning_rate)


@hinted
@dataclass(frozen=True)
class DecayingRate(StepRule):
    """δ = −η_k·d with η_k = η₀/(1 + k/T)^a: half of η₀ after T steps for a = 1 (Robbins and Monro,
    doi:10.1214/aoms/1177729586, ask for ½ < a ≤ 1 under noise).

    Args:
        initial: η₀, the rate of the first step.
        steps: T, the steps after which the rate has fallen by 2^a.
        power: a.
    """

    initial: float
    steps: float = 20.0
    power: float = 1.0

    def __post_init__(self) -> None:
        require_positive(self.initial, "initial")
        require_positive(self.steps, "steps")
        require_positive(self.power, "power")

    def start(self) -> Memory:
        return {"count": np.array(0)}

    def damping(self, chosen: Damping, memory: Memory) -> Damping:
        return at_rate(chosen, self._rate(memory))

    def propose(self, direction: Direction, here: Evaluation, memory: Memory, probe: Probe) -> Proposal:
        return along(direction, here, self._rate(memory))

    def _rate(self, memory: Memory) -> float:
        return self.initial / (1 + float(memory["count"]) / self.steps) ** self.power

    def learn(self, trial: Trial, accepted: bool, memory: Memory) -> Memory:
        return {"count": np.array(memory["count"] + 1)}


@hinted
@dataclass(frozen=True)
class Momentum(StepRule):
    """δ_k = −η·d + ρ·δ_{k−1}: a heavy ball in the natural gradient's field (Momentum-QNG, arXiv:2409.01978).

    Args:
        learning_rate: η; None is 0.1 over the standard deviation of the observable's eigenvalues.
        momentum: ρ, from 0 (none) to below 1.
    """

    learning_rate: float | None = None
    momentum: float = 0.5

    def __post_init__(self) -> None:
        require_rate(self.learning_rate, "learning_rate")
        require_fraction(self.momentum, "momentum")

    def at_scale(self, scale: float) -> Momentum:
        return with_lasting_rate(self, scale)

    def start(self) -> Memory:
        return {"previous": np.zeros(0)}

    def damping(self, chosen: Damping, memory: Memory) -> Damping:
        return at_rate(chosen, first_rate(self.learning_rate))

    def propose(self, direction: Direction, here: Evaluation, memory: Memory, probe: Probe) -> Proposal:
        plain = along(direction, here, first_rate(self.learning_rate))
        if not len(memory["previous"]):
            return plain
        delta = plain.delta + self.momentum * memory["previous"]
        return Proposal(delta, plain.rate, direction.length_of(delta), -float(delta @ gradient_of(here)))

    def learn(self, trial: Trial, accepted: bool, memory: Memory) -> Memory:
        return {"previous": trial.proposal.delta}
