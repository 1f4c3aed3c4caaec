"""Quantum natural gradient descent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

import numpy as np

from qngd._system.renamed import renamed
from qngd.damping import Damping, SignalToNoise, SpectralCutoff, as_damping
from qngd.errors import SettingError, check_word, is_number, require_positive, shown
from qngd.estimates.estimate import Estimate, MetricTensor
from qngd.estimates.evaluation import APPROXIMATIONS, Approx, Cost, Evaluation, Evaluator, Spread
from qngd.refresh import Refresh
from qngd.solve.direction import Direction, absolute_level, conjugate_direction, natural_direction
from qngd.solve.state import State, StepInfo, Submissions, described, start_at
from qngd.step import CurvatureRate, FixedRate, Memory, Proposal, StepRule, Trial

Metric = Approx | Literal["matrix-free", "identity"]
_EVERY_STEP = Refresh()


class _AsItIs:
    """No step rule given, which `replace` tells from None."""

    def __repr__(self) -> str:
        return "None"


_AS_IT_IS: Any = _AsItIs()


@renamed(length="step")
@dataclass(frozen=True, init=False, repr=False)
class QNG:
    """Quantum natural gradient descent, θ ← θ − η (g + λI)⁻¹ ∇E (arXiv:1909.02108).

    Args:
        learning_rate: η, quoted for the Fubini–Study metric g (not for 4g); None adapts it to the curvature met
            and bounds the step's length in state space (`qngd.step.CurvatureRate`).
        approx: "full", "block-diag", "diag", "qn-spsa", "random-basis" or "hamiltonian", as in `metric_tensor`;
            "matrix-free", the full metric of the exact simulator without its matrix, for thousands of parameters; or
            "identity", plain gradient descent. "hamiltonian" has the unit of the observable, and so have η⁻¹ and λ
            with it.
            None takes "full" where the backend is exact and that is affordable, else "block-diag".
        damping: λ ≥ 0, absolute; 0 is the pseudo-inverse; or a rule of `qngd.damping`; None is 1e-2, with a
            signal-to-noise filter where the gradient was sampled.
        step: a rule of `qngd.step` in place of a learning rate. (`length` is its name of before 0.2.)
        refresh: a `qngd.refresh.Refresh`: when the metric is measured anew and how measurements are averaged; None
            measures it at every step, and with "qn-spsa" averages all measurements (arXiv:2103.09232).

    Raises:
        SettingError: a setting is out of range, or settings exclude each other.

    >>> QNG(learning_rate=0.1, damping=1e-3)
    QNG(learning_rate=0.1, approx=None, damping=0.001, step=None, refresh=None)
    """

    learning_rate: float | None
    approx: Metric | None
    damping: float | Damping | None
    _step: StepRule | None  # `step` is what an optimizer does
    refresh: Refresh | None

    def __init__(
        self,
        learning_rate: float | None = None,
        approx: Metric | None = None,
        damping: float | Damping | None = None,
        step: StepRule | None = _AS_IT_IS,
        refresh: Refresh | None = None,
        *,
        _step: StepRule | None = None,  # the field, by its name, as `dataclasses.replace` hands it on
    ) -> None:
        settings = {
            "learning_rate": learning_rate,
            "approx": approx,
            "damping": damping,
            "_step": _step if step is _AS_IT_IS else step,
            "refresh": refresh,
        }
        for name, value in settings.items():
            object.__setattr__(self, name, value)
        self._check()

    def __repr__(self) -> str:
        shown_as = {field.name.lstrip("_"): getattr(self, field.name) for field in fields(self)}
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in shown_as.items())})"

    def _check(self) -> None:
        known = (*APPROXIMATIONS, "matrix-free", "identity")
        if self.approx is not None:
            check_word(self.approx, known, "approx")
        if self.damping is not None:
            as_damping(self.damping)
        if isinstance(self.learning_rate, StepRule):
            raise SettingError(f"learning_rate is a number; a rule goes by step={shown(self.learning_rate)}")
        if self.learning_rate is not None:
            FixedRate(self.learning_rate)
            if self._step is not None:
                raise SettingError("learning_rate and step exclude each other; give one of them")
        if self._step is not None and not isinstance(self._step, StepRule):
            raise SettingError(f"step must be a rule of qngd.step; got {shown(self._step)}{_as_a_rate(self._step)}")
        if self.refresh is not None and not isinstance(self.refresh, Refresh):
            raise SettingError(f"refresh must be a qngd.refresh.Refresh; got {shown(self.refresh)}")
        if self.approx == "matrix-free":
            absolute_level(self.step_rule.damping(self.damping_rule, self.step_rule.start()))
            if self.refresh not in (None, _EVERY_STEP):
                raise SettingError('refresh: approx="matrix-free" keeps no metric that could be used again')

    @classmethod
    def imaginary_time(
        cls, time_step: float, *, approx: Metric | None = None, damping: float | Damping | None = None
    ) -> QNG:
        """Variational imaginary-time evolution e^{−τH} in steps of Δτ (McArdle et al., arXiv:1804.03023).

        McLachlan's principle gives g·dθ/dτ = −½∇E, which is the natural gradient with the rate Δτ/2. By default the
        inverse is smoothly cut off at 1e-6 of the largest eigenvalue.

        >>> QNG.imaginary_time(0.1).learning_rate
        0.05
        """
        require_positive(time_step, "time_step")
        return cls(0.5 * time_step, approx, SpectralCutoff(1e-6) if damping is None else damping)

    @property
    def step_rule(self) -> StepRule:
        """How far a step goes: the rule given, or that of the learning rate, or the default."""
        if self.learning_rate is not None:
            return FixedRate(self.learning_rate)
        return CurvatureRate() if self._step is None else self._step

    @property
    def damping_rule(self) -> Damping:
        """The damping of the solve: the one given, or the default."""
        return SignalToNoise() if self.damping is None else as_damping(self.damping)

    @property
    def refresh_rule(self) -> Refresh:
        """When the metric is measured anew: the rule given, or that of the metric."""
        if self.refresh is not None:
            return self.refresh
        return Refresh(average="all") if self.approx == "qn-spsa" else _EVERY_STEP

    def init(self, evaluator: Evaluator, theta: Any = None, seed: int | None = None) -> State:
        """The state at `theta`, or at the start that the evaluator was made with, after one evaluation there.

        Raises:
            SettingError: the backend cannot give the metric asked for.
        """
        theta = start_at(evaluator, theta)
        if self.approx == "matrix-free":
            evaluator.metric_product(theta)
        asked = Submissions(evaluator, seed, 0)
        first = self._evaluate(asked, theta, metric=True)
        memory = {**self.step_rule.start(), **_measured(0)}
        return State(0, first, memory, asked.count, asked.cost, seed)

    def preview(
        self, evaluator: Evaluator, theta: np.ndarray, spread: Spread | None = None, first: bool = False
    ) -> Cost:
        """What a step from θ would spend at most; or, if `first`, the evaluation that `init` makes."""
        full = evaluator.preview(theta, gradient=True, metric=self._measured_approx(evaluator), spread=spread)
        rule = self.step_rule
        energies = (0 if first else rule.num_probes) + (not first and self._energy_first(evaluator))
        if not energies:
            return full
        alone = evaluator.preview(theta, gradient=False, metric=None, spread=None)
        return sum((alone for _ in range(energies)), full)

    def step(self, evaluator: Evaluator, state: State) -> tuple[State, StepInfo]:
        """The state after one natural gradient step, and what the step saw and did."""
        here, rule, memory = state.evaluation, self.step_rule, state.memory
        asked = Submissions.after(evaluator, state)
        direction = self._direction(evaluator, here, rule.damping(self.damping_rule, memory))

        def probe(shifts: Sequence[np.ndarray]) -> list[Estimate]:
            return [asked.evaluate(here.theta + s, gradient=False, metric=None).energy for s in shifts]

        proposal = rule.propose(direction, here, memory, probe)
        with np.errstate(over="ignore"):  # of an absurd rate, which the run reports
            theta = here.theta + proposal.delta
        age, path = int(memory["metric_age"]) + 1, float(memory["metric_path"]) + proposal.length
        due = self.refresh_rule.is_due(age, path)
        first = self._energy_first(evaluator)
        if first:
            there = asked.evaluate(theta, gradient=False, metric=None)
        else:
            there = self._evaluate(asked, theta, metric=due)
        accepted = rule.judge(Trial(proposal, direction, here, there), memory)
        if accepted and first:
            there = there.completed(self._evaluate(asked, theta, metric=due))
        trial = Trial(proposal, direction, here, there)
        learnt = rule.learn(trial, accepted, memory)
        if accepted:
            there, upkeep = self._kept(here, there, memory, due, age, path)
        else:
            upkeep = {name: memory[name] for name in _measured(0)}
        new = state.moved(asked, there if accepted else here, {**learnt, **upkeep})
        return new, _describe(new, trial, accepted, asked)

    def _approx(self, evaluator: Evaluator) -> Metric:
        return self.approx or evaluator.default_approx()

    def _measured_approx(self, evaluator: Evaluator) -> Approx | None:
        """The metric that an evaluation must measure, None for those that need no measurement."""
        approx = self._approx(evaluator)
        return None if approx == "matrix-free" or approx == "identity" else approx

    def _energy_first(self, evaluator: Evaluator) -> bool:
        """Whether a trial's energy comes before the rest: where it may be rejected and submissions cost nothing."""
        return self.step_rule.may_reject and evaluator.is_exact

    def _evaluate(self, asked: Submissions, theta: np.ndarray, metric: bool) -> Evaluation:
        """The evaluation of a step: energy and gradient, and the metric if it is to be measured."""
        found = asked.evaluate(theta, gradient=True, metric=self._measured_approx(asked.evaluator) if metric else None)
        if self.approx == "identity":
            return replace(found, metric=MetricTensor.exact(np.eye(len(theta)), "identity"))
        return found

    def _kept(
        self, here: Evaluation, there: Evaluation, memory: Memory, measured: bool, age: int, path: float
    ) -> tuple[Evaluation, Memory]:
        """`there` with the metric to go on with, and what is remembered of its measurement."""
        count = int(memory["metric_count"])
        if not measured:
            kept = {"metric_count": np.array(count), "metric_age": np.array(age), "metric_path": np.array(path)}
            return replace(there, metric=here.metric), kept
        if there.metric is not None and here.metric is not None and there.is_finite:
            there = replace(there, metric=self.refresh_rule.averaged(there.metric, here.metric, count + 1))
        return there, _measured(count + 1)

    def _direction(self, evaluator: Evaluator, here: Evaluation, damping: Damping) -> Direction:
        assert here.gradient is not None
        if self.approx == "matrix-free":
            return conjugate_direction(evaluator.metric_product(here.theta), here.gradient, damping)
        assert here.metric is not None
        return natural_direction(here.metric, here.gradient, damping)


def _as_a_rate(given: object) -> str:
    """What to write in place of a number that stands where a step rule belongs."""
    return f"; write learning_rate={given}" if is_number(given) else ""


def _measured(count: int) -> dict[str, np.ndarray]:
    """What is remembered right after measurement number `count` of the metric: steps and path since then."""
    return {"metric_count": np.array(count), "metric_age": np.array(0), "metric_path": np.array(0.0)}


def _describe(state: State, trial: Trial, accepted: bool, asked: Submissions) -> StepInfo:
    gradient, direction = trial.here.gradient, trial.direction
    step: Proposal = trial.proposal
    assert gradient is not None
    return described(
        state,
        trial.here,
        trial.there,
        asked,
        accepted=accepted,
        gradient_norm=float(np.linalg.norm(gradient.value)),
        significance=direction.significance,
        natural_norm=direction.length,
        spectrum=direction.spectrum,
        rate=step.rate,
        length=step.length,
        radius=step.radius,
        predicted_decrease=step.predicted,
    )
