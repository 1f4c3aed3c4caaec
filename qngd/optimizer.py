"""Natural gradient descent as explicit state: `new_state, info = optimizer.step(evaluator, state)`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from qngd.damping import Damping, Direction, SignalToNoise, Spectrum, as_damping, natural_direction
from qngd.errors import SettingError
from qngd.estimate import Estimate
from qngd.evaluate import Approx, Cost, Evaluation, Evaluator, check_approx
from qngd.step import CurvatureRate, FixedRate, LengthRule, Memory, Proposal


@dataclass(frozen=True, eq=False)
class State:
    """Everything a run goes on from: where it stands, and what its rules remember.

    `evaluations` counts submissions; with the run's `seed` it determines the random numbers of the next.
    """

    step: int
    evaluation: Evaluation
    memory: Memory
    evaluations: int
    cost: Cost
    seed: int | None = None

    @property
    def theta(self) -> np.ndarray:
        return self.evaluation.theta

    @property
    def energy(self) -> float:
        return float(self.evaluation.energy.value)


@dataclass(frozen=True, eq=False)
class StepInfo:
    """What a step saw and did; only for looking.

    `energy` and `stderr` are those after the step, `gradient_norm`, its `significance` (in standard
    deviations, infinite where exact) and `spectrum` those it was taken from; `rate` is
    the learning rate it took, `length` is √(δᵀgδ), `predicted_decrease` what the slope promised and `decrease` what
    came; `cost` is that of the run so far and `step_cost` its own.
    """

    step: int
    energy: float
    stderr: float
    gradient_norm: float
    significance: float
    spectrum: Spectrum
    rate: float
    length: float
    predicted_decrease: float
    decrease: float
    accepted: bool
    cost: Cost
    step_cost: Cost


@dataclass(frozen=True)
class QNG:
    """Quantum natural gradient descent, θ ← θ − η (g + λI)⁻¹ ∇E (arXiv:1909.02108).

    Args:
        learning_rate: η, quoted for the Fubini–Study metric g (not for 4g); None adapts it to the curvature met
            and bounds the step's length in state space (`qngd.step.CurvatureRate`).
        approx: "full", "block-diag" or "diag"; None takes "full" where the backend is exact and that is
            affordable, else "block-diag".
        damping: λ ≥ 0, absolute; 0 is the pseudo-inverse; or a rule of `qngd.damping`; None is 1e-2, with a
            signal-to-noise filter where the gradient was sampled.
        length: a rule of `qngd.step` in place of a learning rate.

    Raises:
        SettingError: a setting is out of range, or both a learning rate and a length rule are given.

    >>> QNG(learning_rate=0.1, damping=1e-3).learning_rate
    0.1
    """

    learning_rate: float | None = None
    approx: Approx | None = None
    damping: float | Damping | None = None
    length: LengthRule | None = None

    def __post_init__(self) -> None:
        if self.approx is not None:
            check_approx(self.approx)
        if self.damping is not None:
            as_damping(self.damping)
        if self.learning_rate is not None:
            FixedRate(self.learning_rate)
            if self.length is not None:
                raise SettingError("learning_rate and length exclude each other; give one of them")

    @property
    def length_rule(self) -> LengthRule:
        if self.learning_rate is not None:
            return FixedRate(self.learning_rate)
        return CurvatureRate() if self.length is None else self.length

    @property
    def damping_rule(self) -> Damping:
        return SignalToNoise() if self.damping is None else as_damping(self.damping)

    def init(self, evaluator: Evaluator, theta: np.ndarray, seed: int | None = None) -> State:
        """The state at the flat parameter vector `theta` (P,), after one evaluation there."""
        first = evaluator.evaluate(
            theta, gradient=True, metric=self._approx(evaluator), seed=_seed(seed, 0), spread=None
        )
        return State(0, first, self.length_rule.start(), 1, first.cost, seed)

    def preview(self, evaluator: Evaluator, state: State) -> Cost:
        """What the next step would spend at most."""
        full = evaluator.preview(state.theta, metric=self._approx(evaluator), spread=state.evaluation.spread)
        return full + Cost(1, 1) if self._energy_first(evaluator) else full

    def step(self, evaluator: Evaluator, state: State) -> tuple[State, StepInfo]:
        """One natural gradient step."""
        here = state.evaluation
        assert here.gradient is not None
        assert here.metric is not None
        direction = natural_direction(here.metric, here.gradient, self.damping_rule)
        rule = self.length_rule
        proposal = rule.propose(direction, here, state.memory)
        first = self._energy_first(evaluator)
        with np.errstate(over="ignore"):  # a rate that is far too large ends in infinities, which the run reports
            theta = here.theta + proposal.delta
        there = self._evaluate(evaluator, state, theta, energy_only=first)
        accepted = rule.judge(proposal, direction, here, there, state.memory)
        if accepted and first:
            there = there.completed(self._evaluate(evaluator, state, there.theta))
        new = State(
            step=state.step + 1,
            evaluation=there if accepted else here,
            memory=rule.learn(proposal, direction, here, there, accepted, state.memory),
            evaluations=state.evaluations + 1,
            cost=state.cost + there.cost,
            seed=state.seed,
        )
        decrease = state.energy - float(there.energy.value)
        return new, _describe(new, here, direction, proposal, decrease, accepted, there.cost)

    def _approx(self, evaluator: Evaluator) -> Approx:
        return self.approx or evaluator.default_approx()

    def _energy_first(self, evaluator: Evaluator) -> bool:
        """Whether a trial's energy comes before the rest: where it may be rejected and submissions cost nothing."""
        return self.length_rule.needs_trial and evaluator.is_exact

    def _evaluate(self, evaluator: Evaluator, state: State, theta: np.ndarray, energy_only: bool = False) -> Evaluation:
        if not np.all(np.isfinite(theta)):
            return Evaluation(theta, Estimate.exact(np.float64(np.nan)), None, None, Cost())
        return evaluator.evaluate(
            theta,
            gradient=not energy_only,
            metric=None if energy_only else self._approx(evaluator),
            seed=_seed(state.seed, state.evaluations),
            spread=state.evaluation.spread,
        )


def _seed(seed: int | None, count: int) -> int | None:
    """A fresh seed for every submission, reproducible as a whole."""
    if seed is None:
        return None
    return int(np.random.SeedSequence(seed, spawn_key=(count,)).generate_state(1, np.uint32)[0])


def _describe(
    state: State,
    here: Evaluation,
    direction: Direction,
    proposal: Proposal,
    decrease: float,
    accepted: bool,
    step_cost: Cost,
) -> StepInfo:
    gradient: Any = here.gradient
    return StepInfo(
        step=state.step,
        energy=state.energy,
        stderr=float(state.evaluation.energy.stderr),
        gradient_norm=float(np.linalg.norm(gradient.value)),
        significance=direction.significance,
        spectrum=direction.spectrum,
        rate=proposal.rate,
        length=proposal.length,
        predicted_decrease=proposal.promised,
        decrease=decrease,
        accepted=accepted,
        cost=state.cost,
        step_cost=step_cost,
    )
