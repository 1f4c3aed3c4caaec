"""Momentum with a rate that follows how steps and slopes agree: the default with shots."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qngd._system.keywords import hinted
from qngd.damping import first_rate
from qngd.errors import require_fraction, require_positive
from qngd.estimates.evaluation import Evaluation
from qngd.solve.direction import Direction
from qngd.step.base import (
    Memory,
    Probe,
    Proposal,
    StepRule,
    Trial,
    gradient_of,
    require_length,
    require_rate,
    with_first_rate,
)

_EARLY = 5  # steps in which a rate is found, at first by factors of up to e
_EXPLORED = 1 / 3  # of a budget, in which steps may overshoot
_LIFT = 0.25  # of the agreement, at first
_FALL = 7.5  # of the logarithm of the rate, over the square of the part that is used after that


@hinted
@dataclass(frozen=True)
class AlignedMomentum(StepRule):
    """δ = −η·(g + λ)⁻¹m with the running mean m of the gradients, and a rate η that learns from every step.

    The slope at the end of a step says how the energy changes with its rate, dE/dη ∝ ∇E·δ, and the noise of that slope
    is independent of the step (hypergradients, arXiv:1703.04782). So with the cosine c of −∇E and δ in the metric

        η ← η·exp(μc),   μ = `pace` + 1/(1 + k/5) at step k:

    longer steps as long as slopes agree with them, shorter ones where they overshoot. Where noise rules, steps
    overshoot on average, and η falls. The energy of a single step decides nothing: every trial is accepted whose energy
    is finite. No step is longer than `max_length` in state space.

    A slope one step on sees a short way: along a valley noise makes steps overshoot at every rate that gets along it.
    What long steps lose, short ones at the end make good, if it is known when that is. So where the run has a budget,
    of which it has used the part u, c + ¼ − ¾u stands for c in the first third: steps overshoot. From then on η falls
    besides as exp(−7.5·(u − ⅓)²), by a factor of 28 in all: of plain gradients it is known that rates which fall
    towards a known end lead lowest (arXiv:2310.07831).

    Args:
        initial: the first rate; None is 0.2 over the standard deviation of the observable's eigenvalues, so that
            the unit of energy does not matter.
        momentum: β, the weight of what was known before in m ← β·m + (1 − β)·∇E, which is freed of its bias towards 0.
        pace: what μ falls to.
        max_length: bound on √(δᵀgδ), in radians.
    """

    initial: float | None = None
    momentum: float = 0.5
    pace: float = 0.2
    max_length: float = 0.5
    may_reject = True

    def __post_init__(self) -> None:
        require_rate(self.initial, "initial")
        require_fraction(self.momentum, "momentum")
        require_positive(self.pace, "pace")
        require_length(self.max_length, "max_length")

    def at_scale(self, scale: float) -> AlignedMomentum:
        return with_first_rate(self, scale)

    def start(self) -> Memory:
        nothing = np.zeros(0)
        known = {"mean": nothing, "spread": nothing, "count": np.array(0), "used": np.array(0.0)}
        return {"rate": np.array(first_rate(self.initial)), **known}

    def propose(self, direction: Direction, here: Evaluation, memory: Memory, probe: Probe) -> Proposal:
        mean, variances = self._with(here, memory)
        vector = direction.solve(mean)
        rate, length = float(memory["rate"]), direction.length_of(vector)
        # a rate that is far too large ends in infinities, which the run reports
        with np.errstate(over="ignore", invalid="ignore"):
            if rate * length > self.max_length:
                rate = self.max_length / length
            delta = -rate * vector
            predicted = -float(delta @ gradient_of(here))
            return Proposal(delta, rate, rate * length, predicted, self.max_length, _significance(mean, variances))

    def judge(self, trial: Trial, memory: Memory) -> bool:
        return bool(np.isfinite(trial.there.arrived.value))

    def learn(self, trial: Trial, accepted: bool, memory: Memory) -> Memory:
        if not accepted:
            return {**memory, "rate": np.array(0.1 * trial.proposal.rate)}
        count = int(memory["count"])
        mean, variances = self._with(trial.here, memory)
        pace = self.pace + 1 / (1 + count / _EARLY)
        before = float(memory["used"])
        used = before if trial.used is None else trial.used
        # where the end has become farther, the rate rises only as slopes agree
        planned = pace * _lift(trial.used) - max(_fall(used) - _fall(before), 0.0)
        rate = trial.proposal.rate * np.exp(pace * _agreement(trial) + planned)
        known = {"mean": mean, "spread": variances, "count": np.array(count + 1), "used": np.array(used)}
        return {"rate": np.array(rate), **known}

    def _with(self, here: Evaluation, memory: Memory) -> tuple[np.ndarray, np.ndarray]:
        """The mean (P,) of the gradients so far, the one here included, and its variances (P,)."""
        assert here.gradient is not None
        slope, variances = gradient_of(here), np.asarray(here.gradient.stderr, dtype=float) ** 2
        count = int(memory["count"])
        if not count:
            return slope, variances
        new = (1 - self.momentum) / (1 - self.momentum ** (count + 1))
        old = 1 - new
        return old * memory["mean"] + new * slope, old**2 * memory["spread"] + new**2 * variances


def _agreement(trial: Trial) -> float:
    """The cosine of −∇E at the end of a step and the step, in the metric that it was taken in; 0 without either."""
    direction, delta, slope = trial.direction, trial.proposal.delta, gradient_of(trial.there)
    size = direction.damped_square(delta) * float(slope @ direction.solve(slope))
    return float(np.clip(-float(slope @ delta) / np.sqrt(size), -1, 1)) if 0 < size < np.inf else 0.0


def _lift(used: float | None) -> float:
    """What is added to the agreement where this part of a budget is used; nothing without one."""
    return 0.0 if used is None else max(_LIFT * (1 - used / _EXPLORED), 0.0)


def _fall(used: float) -> float:
    """By what the logarithm of the rate has fallen when this part of a budget is used."""
    return _FALL * max(used - _EXPLORED, 0.0) ** 2


def _significance(mean: np.ndarray, variances: np.ndarray) -> float:
    """By how many standard deviations Σ m²/Var m exceeds what it would be without a slope."""
    noisy = variances > 1e-14 * variances.max(initial=0.0)
    count = int(noisy.sum())
    if not count:
        return np.inf
    return (float((mean[noisy] ** 2 / variances[noisy]).sum()) - count) / np.sqrt(2 * count)
