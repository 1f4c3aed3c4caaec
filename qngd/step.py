"""Length: how far to go along a natural direction, and whether to accept where it led.

A rule has a frozen configuration; what changes from step to step is its `rate`, kept in the run's state.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from qngd.errors import SettingError


@dataclass(frozen=True)
class Proposal:
    """A step δ = −rate·d to try: its length in the metric, √(δᵀgδ), and the decrease −δ·∇E that the slope
    alone promises."""

    delta: np.ndarray
    rate: float
    length: float
    slope_decrease: float


@dataclass(frozen=True)
class Verdict:
    """Whether a trial is accepted, and the rate to go on with."""

    accepted: bool
    rate: float


class LengthRule(Protocol):
    """How far to go."""

    @property
    def needs_trial(self) -> bool:
        """Whether a trial may be rejected, so that its energy is wanted before anything else."""

    @property
    def initial_rate(self) -> float: ...

    def propose(
        self, direction: np.ndarray, gradient: np.ndarray, metric: np.ndarray, rate: float
    ) -> Proposal: ...

    def judge(self, proposal: Proposal, decrease: float, noise: float) -> Verdict: ...


@dataclass(frozen=True)
class FixedRate:
    """δ = −η·d, always accepted: textbook natural gradient descent (arXiv:1909.02108)."""

    learning_rate: float
    needs_trial = False

    def __post_init__(self) -> None:
        if not (np.isfinite(self.learning_rate) and self.learning_rate > 0):
            raise SettingError(f"learning_rate must be a positive number; got {self.learning_rate}")

    @property
    def initial_rate(self) -> float:
        return self.learning_rate

    def propose(
        self, direction: np.ndarray, gradient: np.ndarray, metric: np.ndarray, rate: float
    ) -> Proposal:
        return _proposal(direction, gradient, metric, rate)

    def judge(self, proposal: Proposal, decrease: float, noise: float) -> Verdict:
        return Verdict(True, proposal.rate)


@dataclass(frozen=True)
class AdaptiveRate:
    """The rate follows the curvature seen along each step; the length in state space is bounded.

    Along δ the energy is taken as E − s·t + (s − a)·t², where s = −δ·∇E is what the slope promises at t = 1
    and a the decrease that came. The next rate is the rate times the minimizer t = s/(2(s − a)), kept within
    [`shrink`, `grow`]. A trial is accepted if a ≥ `sufficient`·s, within twice the noise of the energies;
    otherwise the rate shrinks. No step is longer than `max_length` = √(δᵀgδ), in radians.
    """

    initial: float = 0.5
    max_length: float = 0.5
    grow: float = 3.0
    shrink: float = 0.25
    sufficient: float = 1e-4
    needs_trial = True

    @property
    def initial_rate(self) -> float:
        return self.initial

    def propose(
        self, direction: np.ndarray, gradient: np.ndarray, metric: np.ndarray, rate: float
    ) -> Proposal:
        proposal = _proposal(direction, gradient, metric, rate)
        if proposal.length <= self.max_length:
            return proposal
        return _proposal(direction, gradient, metric, rate * self.max_length / proposal.length)

    def judge(self, proposal: Proposal, decrease: float, noise: float) -> Verdict:
        promised = proposal.slope_decrease
        accepted = decrease >= self.sufficient * promised - 2 * noise
        excess = promised - decrease
        best = promised / (2 * excess) if excess > 0 else np.inf
        if not np.isfinite(decrease):
            return Verdict(False, proposal.rate * self.shrink)
        factor = float(np.clip(best, self.shrink, self.grow if accepted else 0.5))
        return Verdict(bool(accepted), proposal.rate * factor)


def _proposal(
    direction: np.ndarray, gradient: np.ndarray, metric: np.ndarray, rate: float
) -> Proposal:
    delta = -rate * direction
    length = float(np.sqrt(max(delta @ metric @ delta, 0.0)))
    return Proposal(delta, rate, length, float(-(delta @ gradient)))
