"""Natural gradient descent as explicit state: `new_state, info = optimizer.step(evaluator, state)`."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from qngd.evaluate import Approx, Cost, Evaluation, Evaluator, Spread, check_approx
from qngd.solve import Spectrum, check_damping, natural_direction
from qngd.step import AdaptiveRate, FixedRate, LengthRule, Proposal

_DEFAULT_DAMPING = 1e-3


@dataclass(frozen=True, eq=False)
class State:
    """Everything a run goes on from: where it stands, and how far it dares to go.

    `evaluations` counts submissions; with the run's `seed` it determines the random numbers of the next.
    """

    step: int
    evaluation: Evaluation
    rate: float
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

    `energy` and `stderr` are those after the step, `gradient_norm` and `spectrum` those it was taken from;
    `length` is √(δᵀgδ), `predicted_decrease` what the slope promised and `decrease` what came.
    """

    step: int
    energy: float
    stderr: float
    gradient_norm: float
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
        learning_rate: η, quoted for the Fubini–Study metric g (not for 4g); None adapts it to the curvature
            seen along each step and bounds the step's length in state space.
        approx: "full", "block-diag" or "diag"; None takes "full" where the backend is exact and that is
            affordable, else "block-diag".
        damping: λ ≥ 0, absolute; 0 is the pseudo-inverse; None is 1e-3.

    Raises:
        SettingError: a setting is out of range.

    >>> QNG(learning_rate=0.1, damping=1e-3)
    QNG(learning_rate=0.1, approx=None, damping=0.001)
    """

    learning_rate: float | None = None
    approx: Approx | None = None
    damping: float | None = None

    def __post_init__(self) -> None:
        if self.approx is not None:
            check_approx(self.approx)
        if self.damping is not None:
            check_damping(self.damping)
        if self.learning_rate is not None:
            FixedRate(self.learning_rate)

    @property
    def length_rule(self) -> LengthRule:
        return AdaptiveRate() if self.learning_rate is None else FixedRate(self.learning_rate)

    def init(self, evaluator: Evaluator, theta: np.ndarray, seed: int | None = None) -> State:
        """The state at the flat parameter vector `theta` (P,), after one evaluation there."""
        evaluation = self._evaluate(evaluator, theta, seed, 0)
        return State(0, evaluation, self.length_rule.initial_rate, 1, evaluation.cost, seed)

    def step(
        self, evaluator: Evaluator, state: State, *, last: bool = False
    ) -> tuple[State, StepInfo]:
        """One natural gradient step. With `last`, gradient and metric at the new point are not asked for."""
        state = self._ensure_complete(evaluator, state)
        here = state.evaluation
        assert here.gradient is not None and here.metric is not None
        gradient, metric = np.asarray(here.gradient.value), here.metric.value
        damping = _DEFAULT_DAMPING if self.damping is None else self.damping
        direction, spectrum = natural_direction(metric, gradient, damping)
        rule = self.length_rule
        proposal = rule.propose(direction, gradient, metric, state.rate)
        there = self._try(evaluator, state, here.theta + proposal.delta, rule, last)
        decrease = state.energy - float(there.energy.value)
        noise = float(np.hypot(here.energy.stderr, there.energy.stderr))
        verdict = rule.judge(proposal, decrease, noise)
        if verdict.accepted and rule.needs_trial and evaluator.is_exact and not last:
            there = there.completed(self._evaluate(evaluator, there.theta, state.seed, state.evaluations))
        new = State(
            step=state.step + 1,
            evaluation=there if verdict.accepted else here,
            rate=verdict.rate,
            evaluations=state.evaluations + 1,
            cost=state.cost + there.cost,
            seed=state.seed,
        )
        return new, _describe(
            new, there.cost, gradient, spectrum, proposal, decrease, verdict.accepted
        )

    def _try(
        self,
        evaluator: Evaluator,
        state: State,
        theta: np.ndarray,
        rule: LengthRule,
        last: bool,
    ) -> Evaluation:
        """Evaluate a trial: all in one submission where that is what costs, else the energy first."""
        energy_only = last or (rule.needs_trial and evaluator.is_exact)
        if energy_only:
            return evaluator.evaluate(
                theta, gradient=False, metric=None, seed=_seed(state.seed, state.evaluations)
            )
        return self._evaluate(
            evaluator, theta, state.seed, state.evaluations, state.evaluation.spread
        )

    def _ensure_complete(self, evaluator: Evaluator, state: State) -> State:
        """After a last step the gradient is missing; a run that goes on asks for it now."""
        if state.evaluation.gradient is not None and state.evaluation.metric is not None:
            return state
        fresh = self._evaluate(evaluator, state.theta, state.seed, state.evaluations)
        return replace(
            state,
            evaluation=state.evaluation.completed(fresh),
            evaluations=state.evaluations + 1,
            cost=state.cost + fresh.cost,
        )

    def _evaluate(
        self,
        evaluator: Evaluator,
        theta: np.ndarray,
        seed: int | None,
        count: int,
        spread: Spread | None = None,
    ) -> Evaluation:
        approx = self.approx or evaluator.default_approx()
        return evaluator.evaluate(
            theta, gradient=True, metric=approx, seed=_seed(seed, count), spread=spread
        )


def _seed(seed: int | None, count: int) -> int | None:
    """A fresh seed for every submission, reproducible as a whole."""
    if seed is None:
        return None
    return int(np.random.SeedSequence(seed, spawn_key=(count,)).generate_state(1, np.uint32)[0])


def _describe(
    state: State,
    step_cost: Cost,
    gradient: np.ndarray,
    spectrum: Spectrum,
    proposal: Proposal,
    decrease: float,
    accepted: bool,
) -> StepInfo:
    return StepInfo(
        step=state.step,
        energy=state.energy,
        stderr=float(state.evaluation.energy.stderr),
        gradient_norm=float(np.linalg.norm(gradient)),
        spectrum=spectrum,
        rate=proposal.rate,
        length=proposal.length,
        predicted_decrease=proposal.slope_decrease,
        decrease=decrease,
        accepted=accepted,
        cost=state.cost,
        step_cost=step_cost,
    )

