"""How many shots a step is worth, where `AutoShots` chooses their number.

After gCANS (arXiv:2108.10434), in the metric. Let A be the square of the natural gradient, and S/N the variance that N
shots leave in it. A step with κ times the best rate η lowers the model of `StepModel` (`qngd.measured.spread`) by
κη[(1 − κ/2)A − κS/2N] on average. For every shot, and the `start` of each of C circuits, that is most for

    N = r + √(r² + C·start·r),   r = S/A·κ/(2 − κ).

This counts all harm that noise does in a step, though the next steps undo most of it: it is done where the energy is
steep. So κ is smaller than any rate, 0.1, and noise may be three times as large as the gradient. Where many gates share
a parameter the default steps along a mean of gradients, with a third of S.

A is a running mean. Where the way is nearly level, as at a saddle, A is not seen, and a few steps with ever more shots
would take more than all others: so N grows slowly from step to step, and no step takes much of what all have taken.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qngd.estimates.evaluation import Spread
from qngd.measured.plan import Plan

_RATE = 0.1  # κ, the part of noise's harm that counts, as if it were of the best learning rate
_LEFT = 1 / 3  # of a gradient's noise in the mean that a step of `AlignedMomentum` follows: (1 − β)/(1 + β), β = ½
_GROWTH = 1.3  # from one step to the next, at most
_PART = 0.01  # of the shots of all steps so far that a step takes at most
_COARSE, _GROWN = 10, 2000  # steps that have the same bound, and those after which no limit is above, and floats end
_FIRST_START = 0.25  # of what the start of a circuit costs, in shots: the first step's at least


@dataclass(frozen=True, eq=False)
class StepTotal:
    """The number of shots of a step of this plan, which has a gradient.

    Attributes:
        first: shots of a circuit in the first step.
        start: what the start of a circuit costs, in shots; infinite where shots cost nothing.
        limit: shots of a circuit, on average, at most.
        free: shots of a circuit that cost nothing more.
    """

    plan: Plan
    first: int
    start: float
    limit: int
    free: int

    @classmethod
    def of(cls, plan: Plan, first: int, limit: int, start: int | None) -> StepTotal:
        """By the settings of an `AutoShots`."""
        paid = plan.starts.paid if start is None else start
        free = int(min(plan.starts.free if start is None else 0, limit))
        most = limit if np.isfinite(paid) else free
        # of a CVaR as many in its tail, which alone say something of it
        least = first if plan.share is None else int(np.ceil(first / plan.share))
        return cls(plan, int(min(max(least, _FIRST_START * paid, free), most)), paid, most, free)

    def after(self, spread: Spread | None) -> int:
        """The shots of the step that follows on one with this spread."""
        count = self.plan.num_circuits
        if spread is None or not spread.taken or len(spread.step) != count:
            return self.first * count
        averages = self.plan.averages_gradients
        least = self._least(averages)
        taken, least = max(spread.taken, least), max(least, self.free * count)
        part = max(self._at_first * count, _PART * spread.spent)
        most = min(max(min(count * self._grown(taken / count), part), least), self.limit * count)
        if not (np.isfinite(self.start) and spread.signal > 0):  # more shots cost nothing, or none is seen to gain
            return int(most)
        error = float(np.sqrt(spread.step).sum()) ** 2
        ratio = _RATE / (2 - _RATE) * (_LEFT if averages else 1.0) * error / spread.signal
        return int(np.clip(ratio + np.sqrt(ratio**2 + count * self.start * ratio), least, most))

    def most(self, step: int) -> float:
        """Shots of a circuit, on average, that a step takes at most; number 0 is the start."""
        later = _COARSE * np.ceil((step - 1 / _PART) / _COARSE)  # as few numbers are asked for their price
        part = self._at_first * (1 + _PART) ** np.clip(later, 0, _GROWN)
        shots, limit = float(self.first), min(part, self.limit)
        for _ in range(step):
            if shots >= limit:
                break
            shots = self._grown(shots)
        return float(min(shots, limit))

    @property
    def _at_first(self) -> float:
        """Shots of a circuit that no part of all so far bounds: where starts cost more than these, they may double."""
        return max(self.first, self.start)

    def _least(self, averages: bool) -> int:
        """Shots of every step at least; `averages` says that steps follow a mean of gradients."""
        first = self.first * self.plan.num_circuits
        if self.plan.is_curved:
            return first
        return first // 2 if averages else 0

    def _grown(self, shots: float) -> float:
        """Shots of a circuit, on average, that may follow on so many: one more at least where all get the same."""
        grown = _GROWTH * (shots + self.start) - self.start if np.isfinite(self.start) else np.inf
        return grown if self.plan.starts.divided is None else max(grown, shots + 1)
