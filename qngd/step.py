"""Length: how far to go along a natural direction, and whether to accept where it led.

A rule is frozen; what changes from step to step is its memory, plain arrays in the run's state.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from qngd.damping import Direction
from qngd.errors import SettingError
from qngd.evaluate import Evaluation

Memory = Mapping[str, np.ndarray]
_ROUNDING = 64 * float(np.finfo(float).eps)  # of an exact energy, relative


@dataclass(frozen=True)
class Proposal:
    """A step δ = −rate·d to try: its length √(δᵀgδ) in state space, in radians, and the decrease −δ·∇E that the
    slope alone promises."""

    delta: np.ndarray
    rate: float
    length: float
    promised: float


class LengthRule(Protocol):
    """How far to go."""

    @property
    def needs_trial(self) -> bool:
        """Whether a trial may be rejected."""

    def start(self) -> Memory:
        """The memory at the start of a run."""

    def propose(self, direction: Direction, here: Evaluation, memory: Memory) -> Proposal:
        """The step to try from `here`."""

    def judge(
        self,
        proposal: Proposal,
        direction: Direction,
        here: Evaluation,
        there: Evaluation,
        memory: Memory,
    ) -> bool:
        """Whether to go on from `there`; only its energy is needed."""

    def learn(
        self,
        proposal: Proposal,
        direction: Direction,
        here: Evaluation,
        there: Evaluation,
        accepted: bool,
        memory: Memory,
    ) -> Memory:
        """The memory to go on with; `there` is complete if it was accepted."""


@dataclass(frozen=True)
class FixedRate:
    """δ = −η·d, always accepted: textbook natural gradient descent (arXiv:1909.02108)."""

    learning_rate: float
    needs_trial = False

    def __post_init__(self) -> None:
        if not (np.isfinite(self.learning_rate) and self.learning_rate > 0):
            raise SettingError(f"learning_rate must be a positive number; got {self.learning_rate}")

    def start(self) -> Memory:
        return {}

    def propose(self, direction: Direction, here: Evaluation, memory: Memory) -> Proposal:
        return _proposal(direction, here, self.learning_rate)

    def judge(
        self,
        proposal: Proposal,
        direction: Direction,
        here: Evaluation,
        there: Evaluation,
        memory: Memory,
    ) -> bool:
        return True

    def learn(
        self,
        proposal: Proposal,
        direction: Direction,
        here: Evaluation,
        there: Evaluation,
        accepted: bool,
        memory: Memory,
    ) -> Memory:
        return memory


@dataclass(frozen=True)
class CurvatureRate:
    """The rate follows the curvature that the last step met, as Barzilai and Borwein do for plain gradients
    (doi:10.1093/imanum/8.1.141), in the geometry of states.

    With y the change of the gradient along δ, the model E + δ·∇E + δᵀ(g + λ)δ/2η is right about the curvature
    that δ met for η = δᵀ(g + λ)δ/δᵀy, that is for the old rate times promised/δᵀy. From sampled gradients, δᵀy
    is first freed of the part that the noise of ∇E puts into both δ and y, and used only if it is then larger than
    `significance` standard errors; otherwise the rate stays.

    Steps along d are no minimizations, so the energy may rise now and then: a trial is accepted if it lies below the
    highest of the last `window` energies (Raydan, doi:10.1137/S1052623494266365), within twice their errors. No
    step is longer than `max_length` in state space.

    Args:
        initial: the first rate.
        max_length: bound on √(δᵀgδ), in radians.
        window: energies that a new one is compared with.
        grow, shrink: bounds on the change of the rate from one step to the next.
        significance: standard errors that make a sampled curvature credible.
    """

    initial: float = 0.1
    max_length: float = 0.4
    window: int = 10
    grow: float = 3.0
    shrink: float = 0.2
    significance: float = 2.0
    needs_trial = True

    def __post_init__(self) -> None:
        if not 0 < self.initial < np.inf:
            raise SettingError(f"initial must be a positive number; got {self.initial}")
        if not self.max_length > 0:
            raise SettingError(f"max_length must be positive; got {self.max_length}")
        if self.window < 1:
            raise SettingError(f"window must be at least 1; got {self.window}")
        if not 0 < self.shrink < 1 < self.grow:
            raise SettingError(f"shrink and grow must be 0 < shrink < 1 < grow; got {self.shrink}, {self.grow}")
        if not 0 <= self.significance < np.inf:
            raise SettingError(f"significance must be a number ≥ 0; got {self.significance}")

    def start(self) -> Memory:
        return {"rate": np.array(self.initial), "recent": np.zeros((0, 2))}

    def propose(self, direction: Direction, here: Evaluation, memory: Memory) -> Proposal:
        proposal = _proposal(direction, here, float(memory["rate"]))
        if proposal.length <= self.max_length:
            return proposal
        return _proposal(direction, here, proposal.rate * self.max_length / proposal.length)

    def judge(
        self,
        proposal: Proposal,
        direction: Direction,
        here: Evaluation,
        there: Evaluation,
        memory: Memory,
    ) -> bool:
        recent = self._with(here, memory)[-self.window :]
        top, top_error = recent[np.argmax(recent[:, 0])]
        energy, error = float(there.energy.value), float(there.energy.stderr)
        slack = 2 * np.hypot(top_error, error) + _ROUNDING * max(abs(top), 1.0)
        return bool(energy <= top - 1e-4 * max(proposal.promised, 0.0) + slack)

    def learn(
        self,
        proposal: Proposal,
        direction: Direction,
        here: Evaluation,
        there: Evaluation,
        accepted: bool,
        memory: Memory,
    ) -> Memory:
        recent = self._with(here, memory)[-self.window :]
        if accepted:
            factor = self._after_success(proposal, direction, here, there)
        else:
            factor = self._after_failure(proposal, here, there)
        return {"rate": np.array(proposal.rate * factor), "recent": recent}

    def _with(self, here: Evaluation, memory: Memory) -> np.ndarray:
        """The recent energies and their errors, the current one included once."""
        row = np.array([[float(here.energy.value), float(here.energy.stderr)]])
        recent = memory["recent"]
        return recent if len(recent) and np.array_equal(recent[-1:], row) else np.vstack([recent, row])

    def _after_success(self, proposal: Proposal, direction: Direction, here: Evaluation, there: Evaluation) -> float:
        assert there.gradient is not None
        assert here.gradient is not None
        if proposal.length == 0:
            return 1.0
        delta = proposal.delta
        curvature = float(delta @ (np.asarray(there.gradient.value) - here.gradient.value))
        curvature -= proposal.rate * direction.noise
        error = np.sqrt(sum(_variance_along(delta, e) for e in (here, there)))
        if abs(curvature) < self.significance * error:
            return 1.0
        best = proposal.promised / curvature if curvature > 0 else np.inf
        return float(np.clip(best, self.shrink, self.grow))

    def _after_failure(self, proposal: Proposal, here: Evaluation, there: Evaluation) -> float:
        """The minimizer t = s/(2(s − a)) of the parabola through both energies and the slope s, a the decrease."""
        decrease = float(here.energy.value) - float(there.energy.value)
        excess = proposal.promised - decrease
        if not np.isfinite(excess) or excess <= 0:
            return self.shrink
        return float(np.clip(proposal.promised / (2 * excess), self.shrink / 2, 0.5))


def _variance_along(delta: np.ndarray, evaluation: Evaluation) -> float:
    gradient = evaluation.gradient
    assert gradient is not None
    if gradient.covariance is not None:
        return float(delta @ gradient.covariance @ delta)
    return float(delta**2 @ np.asarray(gradient.stderr) ** 2)


def _proposal(direction: Direction, here: Evaluation, rate: float) -> Proposal:
    assert here.gradient is not None
    assert here.metric is not None
    # a rate that is far too large ends in infinities, which the run reports
    with np.errstate(over="ignore", invalid="ignore"):
        delta = -rate * direction.vector
        length = float(np.sqrt(max(delta @ here.metric.value @ delta, 0.0)))
        promised = float(-(delta @ np.asarray(here.gradient.value)))
    return Proposal(delta, rate, length, promised)
