"""Quantum natural gradient descent."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from functools import lru_cache, partial
from typing import Any, Literal

import numpy as np

from qngd._system.keywords import hinted
from qngd._system.renamed import renamed
from qngd.damping import UNKNOWN_SCALE, Absolute, Damping, SpectralCutoff, as_damping, at_scale
from qngd.errors import SettingError, is_number, require_bool, require_positive, shown
from qngd.estimates.estimate import Estimate, MetricTensor
from qngd.estimates.evaluation import Cost, Evaluation, Spread
from qngd.evaluators.base import Evaluator
from qngd.gradients.base import Asked, GradientLike, as_asked, is_random
from qngd.gradients.names import as_gradient
from qngd.metrics.base import Metric
from qngd.metrics.names import Approx, as_metric, check_approx
from qngd.refresh import MetricAge, Refresh
from qngd.solve.direction import Direction, absolute_level, conjugate_direction, natural_direction
from qngd.solve.state import State, StepInfo, Submissions, described, start_at
from qngd.step import Blocking, FixedRate, Memory, Momentum, Proposal, StepRule, Trial, defaults
from qngd.step.base import shortened

# the full metric of the exact simulator without its matrix: a way to solve, not a metric that could be measured
_MATRIX_FREE: Literal["matrix-free"] = "matrix-free"
_EVERY_STEP = Refresh()
_SCALE = "energy_scale"  # in the memory of a run: that of the energies at its start


@lru_cache  # every step asks for the same
def _kept_for(path: float) -> Refresh:
    return Refresh(every=sys.maxsize, drift=path) if path else _EVERY_STEP


@dataclass(frozen=True, eq=False)
class Choices:
    """What a step goes by, decided once before it: by the settings of a `QNG`, the evaluator, and where the run stands.

    `rule` is for energies of the run's scale, and `memory` what it knows. `metric` is what is measured at the step's
    end where that is due by `refresh`; None where there is none to measure. With `energy_first` a trial's energy comes
    before the rest.
    """

    rule: StepRule
    memory: Memory
    damping: Damping
    gradient: Asked
    metric: Metric | None
    refresh: Refresh
    energy_first: bool

    @property
    def may_begin_anew(self) -> bool:
        """Whether a step that is rejected measures its beginning anew, as where the next would be the same again."""
        return is_random(self.gradient) and self.rule.may_reject


class _AsItIs:
    """No step rule given, which `replace` tells from None."""

    def __repr__(self) -> str:
        return "None"


_AS_IT_IS: Any = _AsItIs()


@renamed(length="step")
@hinted
@dataclass(frozen=True, init=False, repr=False)
class QNG:
    """Quantum natural gradient descent, θ ← θ − η (g + λI)⁻¹ ∇E (arXiv:1909.02108).

    Args:
        learning_rate: η, quoted for the Fubini–Study metric g (not for 4g). None adapts it. On exact backends, and with
            mini-batches or a CVaR, it follows the curvature met, and the step's length in state space is bounded
            (`qngd.step.Adaptive`, and `qngd.step.CurvatureRate`). With shots it follows how well steps and slopes agree
            (`qngd.step.AlignedMomentum`, without momentum where parameters move few gates).
        approx: "full", "block-diag", "diag", "qn-spsa", "random-basis" or "hamiltonian", as in `metric_tensor`;
            "identity", plain gradient descent; an object of `qngd.metrics`, or a metric of your own; or "matrix-free",
            the full metric of the exact simulator without its matrix, for thousands of parameters. "hamiltonian" has
            the unit of the observable, and with it so have η⁻¹ and λ.
            None takes "full" where the backend is exact and that is affordable, else "block-diag". An exact run begins
            with "block-diag" where the full metric costs much; and it keeps a metric while the state hardly moves, and
            for several steps while quasi-Newton steps, which correct it, go well.
        damping: λ ≥ 0, absolute; 0 is the pseudo-inverse; or a rule of `qngd.damping`. None is 1e-2, and more where the
            errors of a sampled gradient ask for it (`qngd.damping.NoiseBound`): where many gates share parameters up to
            0.3 of the mean eigenvalue. For a CVaR it stays 1e-2.
        step: a rule of `qngd.step` in place of a learning rate. (`length` is its name of before 0.2.)
        gradient: "shift", all circuits of the shift rules, with `shots="auto"` what takes the fewest; "auto" is that
            with any shots; "sampled", a random part of them; "spsa", differences along random directions; or an object
            of `qngd.gradients`. docs/gradients.md says which to choose.
        refresh: a `qngd.refresh.Refresh`: when the metric is measured anew and how measurements are averaged; None
            measures it at every step (but see `approx`), and with "qn-spsa" averages all measurements
            (arXiv:2103.09232).

    Raises:
        SettingError: a setting is out of range, or settings exclude each other.

    >>> QNG(learning_rate=0.1, damping=1e-3)
    QNG(learning_rate=0.1, approx=None, damping=0.001, step=None, refresh=None)
    """

    learning_rate: float | None
    approx: Approx | Literal["matrix-free"] | Metric | None
    damping: float | Damping | None
    _step: StepRule | None  # `step` is what an optimizer does
    refresh: Refresh | None
    gradient: GradientLike = "shift"

    def __init__(
        self,
        learning_rate: float | None = None,
        approx: Approx | Literal["matrix-free"] | Metric | None = None,
        damping: float | Damping | None = None,
        step: StepRule | None = _AS_IT_IS,
        refresh: Refresh | None = None,
        *,
        gradient: GradientLike = "shift",
        _step: StepRule | None = None,  # the field, by its name, as `dataclasses.replace` hands it on
    ) -> None:
        settings = {
            "learning_rate": learning_rate,
            "approx": approx,
            "damping": damping,
            "_step": _step if step is _AS_IT_IS else step,
            "refresh": refresh,
            "gradient": gradient,
        }
        for name, value in settings.items():
            object.__setattr__(self, name, value)
        self._check()

    def __repr__(self) -> str:
        shown_as = {field.name.lstrip("_"): getattr(self, field.name) for field in fields(self)}
        if self.gradient == "shift":  # as runs were stored before there were others
            del shown_as["gradient"]
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in shown_as.items())})"

    def _check(self) -> None:
        as_gradient(self.gradient)
        if self.approx is not None:
            check_approx(self.approx, _MATRIX_FREE)
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
        if self.is_matrix_free:
            damping = defaults.DAMPING if self.damping is None else as_damping(self.damping)
            absolute_level(self.step_rule.damping(damping, self.step_rule.start()))
            if is_random(as_asked(self.gradient)):
                raise SettingError('gradient: approx="matrix-free" is of exact backends; take gradient="shift"')
            if self.refresh not in (None, _EVERY_STEP):
                raise SettingError('refresh: approx="matrix-free" keeps no metric that could be used again')

    @classmethod
    def imaginary_time(
        cls,
        time_step: float,
        *,
        approx: Approx | Literal["matrix-free"] | Metric | None = None,
        damping: float | Damping | None = None,
    ) -> QNG:
        """Variational imaginary-time evolution e^{−τH} in steps of Δτ (McArdle et al., arXiv:1804.03023).

        McLachlan's principle gives g·dθ/dτ = −½∇E, which is the natural gradient with the rate Δτ/2. By default the
        inverse is smoothly cut off at 1e-6 of the largest eigenvalue.

        >>> QNG.imaginary_time(0.1).learning_rate
        0.05
        """
        require_positive(time_step, "time_step")
        return cls(0.5 * time_step, approx, SpectralCutoff(1e-6) if damping is None else damping)

    @classmethod
    def qn_spsa(
        cls,
        learning_rate: float | None = None,
        *,
        perturbation: float = 0.1,
        resamplings: int = 1,
        regularization: float = 0.01,
        blocking: bool = True,
        allowed_increase: float | None = None,
    ) -> QNG:
        """Quantum natural SPSA (Gacon et al., arXiv:2103.09232): a few circuits a step, whatever P is.

            θ ← θ − η (√ḡ² + βI)⁻¹ ĝ

        with the gradient ĝ of `qngd.gradients.SimultaneousPerturbation` and the mean ḡ of the identity and all samples
        of the metric so far (`qngd.metrics.QNSPSA`). The energy, the two of the gradient and the four overlaps go in
        one submission; after a step that is blocked so do those that are taken anew where the run stands.

        Args:
            learning_rate: η; None is 0.1 over the standard deviation of the observable's eigenvalues.
            perturbation: of gradient and metric, radians. Exact energies take 0.01; shots make errors of order
                1/perturbation² in the metric.
            resamplings: directions of the gradient, and pairs of directions of the metric, a step.
            regularization: β, in the units of g.
            blocking: whether a step is taken back after which the energy is higher by more than `allowed_increase`.
            allowed_increase: None is two standard errors of the difference.

        Raises:
            SettingError: a setting is out of range.

        >>> QNG.qn_spsa(resamplings=2).gradient
        SimultaneousPerturbation(perturbation=0.1, resamplings=2)
        """
        from qngd.gradients.perturbation import SimultaneousPerturbation
        from qngd.metrics.spsa import QNSPSA

        require_positive(regularization, "regularization")
        require_bool(blocking, "blocking")
        if allowed_increase is not None and not blocking:
            raise SettingError("allowed_increase: without blocking every step is taken; leave it out")
        unblocked = Momentum(None, momentum=0.0) if learning_rate is None else FixedRate(learning_rate)
        return cls(
            approx=QNSPSA(resamplings, perturbation),
            damping=Absolute(regularization),
            step=Blocking(learning_rate, allowed_increase) if blocking else unblocked,
            refresh=Refresh(average="all", from_identity=True),
            gradient=SimultaneousPerturbation(perturbation, resamplings),
        )

    @property
    def step_rule(self) -> StepRule:
        """How far a step goes: the rule given, or that of the learning rate, or the default where energies are neither
        exact nor seen to be means of shots."""
        if self.learning_rate is not None:
            return FixedRate(self.learning_rate)
        return defaults.OTHERWISE if self._step is None else self._step

    def choices(self, evaluator: Evaluator, here: Evaluation | None = None, memory: Memory | None = None) -> Choices:
        """What a step from `here` goes by, None at the start of a run, with what the run knows there; without a
        `memory` what is dearest in a run."""
        given = None if self.learning_rate is None and self._step is None else self.step_rule
        scale = _scale(memory or {})
        rule, damping = defaults.settled(evaluator, here, scale, given)
        if self.damping is not None:
            damping = at_scale(as_damping(self.damping), scale)
        known = {**rule.start(), **(memory or {}), _SCALE: np.array(scale)}
        metric, refresh = self._metric(evaluator, rule, known, dearest=memory is None)
        return Choices(
            rule=rule,
            memory=known,
            damping=rule.damping(damping, known),
            gradient=as_asked(self.gradient),
            metric=metric,
            refresh=refresh,
            energy_first=rule.may_reject and evaluator.is_exact,  # where submissions cost nothing
        )

    def _metric(
        self, evaluator: Evaluator, rule: StepRule, memory: Memory, dearest: bool
    ) -> tuple[Metric | None, Refresh]:
        """The metric to measure, and when; where neither was given and the backend is exact, by what it costs and
        gains."""
        if self.is_matrix_free:
            return None, _EVERY_STEP
        if self.approx is not None:
            chosen = as_metric(self.approx)
            return chosen, self.refresh or Refresh(average=chosen.average)
        if self.refresh is not None or not evaluator.is_exact:
            return evaluator.default_metric(), self.refresh or _EVERY_STEP
        coarse_does = not dearest and not rule.has_failed(memory)
        metric = evaluator.first_metric() if coarse_does else evaluator.default_metric()
        return metric, _kept_for(rule.keeps_metric_for(memory))

    @property
    def is_matrix_free(self) -> bool:
        """Whether it solves without the metric's matrix."""
        return isinstance(self.approx, str) and self.approx == _MATRIX_FREE

    def init(self, evaluator: Evaluator, theta: Any = None, seed: int | None = None) -> State:
        """The state at `theta`, or at the start that the evaluator was made with, after one evaluation there.

        Raises:
            SettingError: the backend cannot give the metric asked for.
        """
        theta = start_at(evaluator, theta)
        if self.is_matrix_free:
            evaluator.metric_product(theta)
        asked, age, chosen = Submissions(evaluator, seed, 0), MetricAge(), self.choices(evaluator, None, {})
        first = asked.evaluate(theta, gradient=chosen.gradient, metric=chosen.metric)
        if chosen.refresh.from_identity and first.metric is not None:
            known = MetricTensor.exact(np.eye(len(theta)), first.metric.approx)
            first, age = _with_metric(chosen, replace(first, metric=known), first, chosen.metric, age)
        memory = {_SCALE: np.array(first.energy_scale or UNKNOWN_SCALE)}
        memory = {**self.choices(evaluator, first, memory).memory, **age.as_memory}
        return State(0, first, memory, asked.count, asked.cost, seed)

    def preview(
        self, evaluator: Evaluator, theta: np.ndarray, spread: Spread | None = None, first: bool = False
    ) -> Cost:
        """What a step from θ would spend at most; or, if `first`, the evaluation that `init` makes."""
        chosen = self.choices(evaluator)
        full = evaluator.preview(theta, gradient=chosen.gradient, metric=chosen.metric, spread=spread)
        if first:
            return full
        if chosen.may_begin_anew:
            full += full
        if probes := chosen.rule.num_probes:
            full += evaluator.preview_energies(theta, probes, spread)
        if chosen.energy_first:
            full += evaluator.preview(theta, gradient=False, metric=None, spread=spread)
        return full

    def step(self, evaluator: Evaluator, state: State) -> tuple[State, StepInfo]:
        """The state after one natural gradient step, and what the step saw and did."""
        asked, here = Submissions.after(evaluator, state), state.evaluation
        chosen = self.choices(evaluator, here, state.memory)
        direction = self._direction(evaluator, here, chosen.damping)
        proposal = _proposed(chosen, direction, here, asked)
        last = MetricAge.of(chosen.memory)
        age = last.after(proposal.length)
        metric = chosen.metric if chosen.refresh.is_due(age.steps, age.path) else None
        whole = partial(asked.evaluate, gradient=chosen.gradient, metric=metric)
        trial, accepted = _tried(chosen, Trial(proposal, direction, here, here, state.used), asked, whole)
        learnt = chosen.rule.learn(trial, accepted, chosen.memory)
        by_chance, end = is_random(chosen.gradient), here
        if accepted:
            end, last = _with_metric(chosen, here, trial.there, metric, age)
        elif by_chance:  # or the next step would be the same again
            end, last = _with_metric(chosen, here, whole(here.theta), metric, age)
        new = state.moved(asked, end, {**learnt, **last.as_memory, _SCALE: chosen.memory[_SCALE]})
        return new, _describe(new, trial, accepted, asked, by_chance)

    def _direction(self, evaluator: Evaluator, here: Evaluation, damping: Damping) -> Direction:
        assert here.gradient is not None
        if self.is_matrix_free:
            return conjugate_direction(evaluator.metric_product(here.theta), here.gradient, damping)
        assert here.metric is not None
        return natural_direction(here.metric, here.gradient, damping)


def _proposed(chosen: Choices, direction: Direction, here: Evaluation, asked: Submissions) -> Proposal:
    """The step that the rule proposes, or what bounds leave of it."""
    allowed = partial(asked.evaluator.allowed, here)

    def probe(shifts: Sequence[np.ndarray]) -> list[Estimate]:
        return asked.energies([here.theta + allowed(shift) for shift in shifts])

    proposal = chosen.rule.propose(direction, here, chosen.memory, probe)
    return shortened(proposal, allowed(proposal.delta), direction, here)


def _tried(
    chosen: Choices, trial: Trial, asked: Submissions, whole: Callable[[np.ndarray], Evaluation]
) -> tuple[Trial, bool]:
    """The trial with what is found `there`, and whether to go on from it; `whole` measures all that a step takes,
    which one that is rejected need not."""
    with np.errstate(over="ignore"):  # of an absurd rate, which the run reports
        theta = trial.here.theta + trial.proposal.delta
    there = asked.evaluate(theta, gradient=False, metric=None) if chosen.energy_first else whole(theta)
    found = replace(trial, there=there)
    accepted = chosen.rule.judge(found, chosen.memory)
    if accepted and chosen.energy_first:
        found = replace(trial, there=there.completed(whole(theta)))
    return found, accepted


def _with_metric(
    chosen: Choices, here: Evaluation, there: Evaluation, metric: Metric | None, age: MetricAge
) -> tuple[Evaluation, MetricAge]:
    """`there` with the metric to go on with, and its age: the one `here` where none was measured, else what was,
    averaged with what was known before."""
    if metric is None:
        return replace(there, metric=here.metric), age
    if there.metric is None or here.metric is None or not there.is_finite:
        return there, age.renewed
    tensor = chosen.refresh.averaged(there.metric, here.metric, age.renewed.count, metric.positive)
    return replace(there, metric=tensor), age.renewed


def _scale(memory: Memory) -> float:
    """The scale of a run's energies; runs by versions that did not ask for it began as where it is unknown."""
    return float(memory.get(_SCALE, UNKNOWN_SCALE))


def _as_a_rate(given: object) -> str:
    """What to write in place of a number that stands where a step rule belongs."""
    return f"; write learning_rate={given}" if is_number(given) else ""


def _describe(state: State, trial: Trial, accepted: bool, asked: Submissions, by_chance: bool) -> StepInfo:
    gradient, direction = trial.here.gradient, trial.direction
    step: Proposal = trial.proposal
    significance = direction.significance if step.significance is None else step.significance
    assert gradient is not None
    return described(
        state,
        trial.here,
        trial.there,
        asked,
        accepted=accepted,
        gradient_norm=float(np.linalg.norm(gradient.value)),
        # errors of chance average out along a run: they are no reason to stop it
        significance=np.nan if by_chance else significance,
        natural_norm=direction.length,
        spectrum=direction.spectrum,
        rate=step.rate,
        length=step.length,
        radius=step.radius,
        predicted_decrease=step.predicted,
    )
