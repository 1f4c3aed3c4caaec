"""Momentum with a rate that follows how steps and slopes agree: the default with shots."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qngd._system.keywords import hinted
from qngd.damping import first_rate
from qngd.errors import require_fraction, require_positive, require_range
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
from qngd.step.trend import NOTHING, followed, may_have_fallen

_EARLY = 5  # steps in which a rate is found, at first by factors of up to e
_LATE = 30  # steps after which energies may say where the way leads
_WORTH = 1.5  # times what the energy fell by may noise hold it up


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

    The next slope is a short sight (arXiv:1803.02021): along a valley noise makes steps overshoot across it, for which
    no rate is small enough, while it is the sum of many steps that leads down. At a rate η the noise of steps holds the
    energy higher by about ηS/4, with S the square of that noise in a natural gradient. After 30 steps, as long as this
    is less than 1.5 times what the energy may have fallen by from the second third of all shots to the last, a standard
    error included, `lift` is added to c.

    Args:
        initial: the first rate; None is 0.2 over the standard deviation of the observable's eigenvalues, so that
            the unit of energy does not matter.
        momentum: β, the weight of what was known before in m ← β·m + (1 − β)·∇E, which is freed of its bias towards 0.
        pace: what μ falls to.
        max_length: bound on √(δᵀgδ), in radians.
        lift: what is added to c, which stays at most 1, while the way leads down; 0 looks no farther than a step.
    """

    initial: float | None = None
    momentum: float = 0.5
    pace: float = 0.2
    max_length: float = 0.5
    lift: float = 0.5
    may_reject = True

    def __post_init__(self) -> None:
        require_rate(self.initial, "initial")
        require_fraction(self.momentum, "momentum")
        require_positive(self.pace, "pace")
        require_range(self.lift, "lift", "between 0 and 2", lambda value: 0 <= value <= 2)
        require_length(self.max_length, "max_length")

    def at_scale(self, scale: float) -> AlignedMomentum:
        return with_first_rate(self, scale)

    def start(self) -> Memory:
        nothing, rate = np.zeros(0), np.array(first_rate(self.initial))
        return {"rate": rate, "mean": nothing, "spread": nothing, "count": np.array(0), "trend": NOTHING}

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
        there = trial.there
        trend = followed(memory.get("trend", NOTHING), there.arrived, max(there.cost.shots, 1))
        leads_down = count >= _LATE and _harm(trial) < _WORTH * may_have_fallen(trend)
        agreement = min(_agreement(trial) + leads_down * self.lift, 1.0)
        pace = self.pace + 1 / (1 + count / _EARLY)
        rate = np.array(trial.proposal.rate * np.exp(pace * agreement))
        return {"rate": rate, "mean": mean, "spread": variances, "count": np.array(count + 1), "trend": trend}

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


def _harm(trial: Trial) -> float:
    """How much higher the noise of steps at this rate holds the energy, in the end; endless where there is none, as
    nothing is gained then by a longer sight."""
    return trial.proposal.rate * trial.direction.noise / 4 or np.inf


def _significance(mean: np.ndarray, variances: np.ndarray) -> float:
    """By how many standard deviations Σ m²/Var m exceeds what it would be without a slope."""
    noisy = variances > 1e-14 * variances.max(initial=0.0)
    count = int(noisy.sum())
    if not count:
        return np.inf
    return (float((mean[noisy] ** 2 / variances[noisy]).sum()) - count) / np.sqrt(2 * count)
