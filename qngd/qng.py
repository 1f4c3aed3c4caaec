"""Quantum natural gradient descent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any, Literal

import numpy as np

from qngd._system.keywords import hinted
from qngd._system.renamed import renamed
from qngd.damping import UNKNOWN_SCALE, Absolute, Damping, SpectralCutoff, as_damping, at_scale
from qngd.errors import SettingError, is_number, require_bool, require_positive, shown
from qngd.estimates.estimate import Estimate, MetricTensor
from qngd.estimates.evaluation import Cost, Evaluation, Spread
from qngd.evaluators.base import Evaluator
from qngd.gradients.base import GradientLike, GradientMethod, as_asked, is_random
from qngd.gradients.names import as_gradient
from qngd.metrics.base import Metric
from qngd.metrics.names import Approx, as_metric, check_approx
from qngd.refresh import MetricAge, Refresh
from qngd.solve.direction import Direction, absolute_level, conjugate_direction, natural_direction
from qngd.solve.state import State, StepInfo, Submissions, described, energies_ahead, start_at
from qngd.step import Blocking, FixedRate, Memory, Momentum, Proposal, StepRule, Trial, defaults
from qngd.step.base import shortened

# the full metric of the exact simulator without its matrix: a way to solve, not a metric that could be measured
_MATRIX_FREE: Literal["matrix-free"] = "matrix-free"
_EVERY_STEP = Refresh()
_SCALE = "energy_scale"  # in the memory of a run: that of the energies at its start
_STILL_GOOD = 0.1  # radians from where a metric was measured, where curvature pairs correct it


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
            with "block-diag" where the full metric costs much; and it keeps a metric for several steps while
            quasi-Newton steps, which correct it, go well.
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
            absolute_level(self.step_rule.damping(self.damping_rule, self.step_rule.start()))
            if self.gradient_method.is_random:
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

    def rule_for(self, evaluator: Evaluator, here: Evaluation | None = None) -> StepRule:
        """The rule of a step from `here`, None at the start of a run: `step_rule`, or the default there."""
        is_open = self.learning_rate is None and self._step is None
        return defaults.default_step(evaluator, here) if is_open else self.step_rule

    def metric_for(self, evaluator: Evaluator, memory: Memory | None = None) -> Metric | None:
        """The metric that an evaluation measures, None if there is none to measure: with the `memory` of a step the one
        that is its turn, without it the dearest of a run."""
        if self.is_matrix_free:
            return None
        if memory is not None and self._chooses(evaluator) and not self.rule_for(evaluator).has_failed(memory):
            return evaluator.first_metric()
        chosen = self._chosen
        return evaluator.default_metric() if chosen is None else chosen

    @property
    def damping_rule(self) -> Damping:
        """The damping of the solve: the one given, or the default."""
        return defaults.DAMPING if self.damping is None else as_damping(self.damping)

    def _damping_at(self, here: Evaluation, rule: StepRule, scale: float) -> Damping:
        """The same for a step from `here` by this rule, for energies of this scale."""
        chosen = self.damping_rule if self.damping is not None else defaults.default_damping(here, rule)
        return at_scale(chosen, scale)

    @property
    def refresh_rule(self) -> Refresh:
        """When the metric is measured anew: the rule given, or that of the metric."""
        if self.refresh is not None:
            return self.refresh
        chosen = self._chosen
        return _EVERY_STEP if chosen is None else Refresh(average=chosen.average)

    @property
    def is_matrix_free(self) -> bool:
        """Whether it solves without the metric's matrix."""
        return isinstance(self.approx, str) and self.approx == _MATRIX_FREE

    @property
    def gradient_method(self) -> GradientMethod:
        """The way that gradients are taken."""
        return as_gradient(self.gradient)

    @property
    def _chosen(self) -> Metric | None:
        """The metric that the user chose; None where there is no matrix, or the choice is left to the evaluator."""
        return None if self.approx is None or self.is_matrix_free else as_metric(self.approx)

    def init(self, evaluator: Evaluator, theta: Any = None, seed: int | None = None) -> State:
        """The state at `theta`, or at the start that the evaluator was made with, after one evaluation there.

        Raises:
            SettingError: the backend cannot give the metric asked for.
        """
        theta = start_at(evaluator, theta)
        if self.is_matrix_free:
            evaluator.metric_product(theta)
        asked, age = Submissions(evaluator, seed, 0), MetricAge()
        metric = self.metric_for(evaluator, self.rule_for(evaluator).start())
        first = asked.evaluate(theta, gradient=as_asked(self.gradient), metric=metric)
        if self.refresh_rule.from_identity and metric is not None and first.metric is not None:
            known = MetricTensor.exact(np.eye(len(theta)), first.metric.approx)
            age = age.renewed
            first = replace(first, metric=self.refresh_rule.averaged(first.metric, known, age.count, metric.positive))
        scale = first.energy_scale or UNKNOWN_SCALE
        memory = {**self.rule_for(evaluator, first).at_scale(scale).start(), _SCALE: np.array(scale)}
        return State(0, first, {**memory, **age.as_memory}, asked.count, asked.cost, seed)

    def preview(
        self, evaluator: Evaluator, theta: np.ndarray, spread: Spread | None = None, first: bool = False
    ) -> Cost:
        """What a step from θ would spend at most; or, if `first`, the evaluation that `init` makes."""
        gradient = as_asked(self.gradient)
        full = evaluator.preview(theta, gradient=gradient, metric=self.metric_for(evaluator), spread=spread)
        if first:
            return full
        if self.may_begin_anew(evaluator):
            full += full
        if probes := self.rule_for(evaluator).num_probes:
            full += energies_ahead(evaluator, theta, probes, spread)
        if self._energy_first(evaluator):
            full += evaluator.preview(theta, gradient=False, metric=None, spread=spread)
        return full

    def may_begin_anew(self, evaluator: Evaluator) -> bool:
        """Whether a step that is rejected measures its beginning anew, as where the next would be the same again."""
        return is_random(as_asked(self.gradient)) and self.rule_for(evaluator).may_reject

    def step(self, evaluator: Evaluator, state: State) -> tuple[State, StepInfo]:
        """The state after one natural gradient step, and what the step saw and did."""
        asked, here = Submissions.after(evaluator, state), state.evaluation
        usual, scale = self.rule_for(evaluator, here), _scale(state.memory)
        rule = usual.at_scale(scale)
        memory = {**rule.start(), **state.memory}
        direction = self._direction(evaluator, here, rule.damping(self._damping_at(here, usual, scale), memory))
        proposal = _proposed(rule, direction, here, memory, asked)
        last = MetricAge.of(memory)
        age = last.after(proposal.length)
        metric = self.metric_for(evaluator, memory) if self._is_due(evaluator, memory, age) else None
        gradient = as_asked(self.gradient)
        whole = partial(asked.evaluate, gradient=gradient, metric=metric)
        trial, accepted = self._tried(rule, Trial(proposal, direction, here, here, state.used), memory, asked, whole)
        learnt = rule.learn(trial, accepted, memory)
        if accepted:
            end, last = self._with_metric(here, trial.there, metric, age)
        elif is_random(gradient):  # or the next step would be the same again
            end, last = self._with_metric(here, whole(here.theta), metric, age)
        else:
            end = here
        new = state.moved(asked, end, {**learnt, **last.as_memory, _SCALE: np.array(scale)})
        return new, _describe(new, trial, accepted, asked, is_random(gradient))

    def _tried(
        self,
        rule: StepRule,
        trial: Trial,
        memory: Memory,
        asked: Submissions,
        whole: Callable[[np.ndarray], Evaluation],
    ) -> tuple[Trial, bool]:
        """The trial with what is found `there`, and whether to go on from it; `whole` measures all that a step takes,
        which one that is rejected need not."""
        with np.errstate(over="ignore"):  # of an absurd rate, which the run reports
            theta = trial.here.theta + trial.proposal.delta
        if not self._energy_first(asked.evaluator):
            found = replace(trial, there=whole(theta))
            return found, rule.judge(found, memory)
        found = replace(trial, there=asked.evaluate(theta, gradient=False, metric=None))
        if not rule.judge(found, memory):
            return found, False
        return replace(found, there=found.there.completed(whole(theta))), True

    def _energy_first(self, evaluator: Evaluator) -> bool:
        """Whether a trial's energy comes before the rest: where it may be rejected and submissions cost nothing."""
        return self.rule_for(evaluator).may_reject and evaluator.is_exact

    def _chooses(self, evaluator: Evaluator) -> bool:
        """Whether the metric is chosen step by step, by what it costs and gains."""
        return self.approx is None and self.refresh is None and evaluator.is_exact

    def _is_due(self, evaluator: Evaluator, memory: Memory, age: MetricAge) -> bool:
        """Whether to measure the metric at the end of a step, or to go on with the last one."""
        if self._chooses(evaluator):
            return age.path > _STILL_GOOD or not self.rule_for(evaluator).is_settled(memory)
        return self.refresh_rule.is_due(age.steps, age.path)

    def _with_metric(
        self, here: Evaluation, there: Evaluation, metric: Metric | None, age: MetricAge
    ) -> tuple[Evaluation, MetricAge]:
        """`there` with the metric to go on with, and its age: the one `here` where none was measured, else what was,
        averaged with what was known before."""
        if metric is None:
            return replace(there, metric=here.metric), age
        if there.metric is None or here.metric is None or not there.is_finite:
            return there, age.renewed
        count = age.renewed.count
        tensor = self.refresh_rule.averaged(there.metric, here.metric, count, metric.positive)
        return replace(there, metric=tensor), age.renewed

    def _direction(self, evaluator: Evaluator, here: Evaluation, damping: Damping) -> Direction:
        assert here.gradient is not None
        if self.is_matrix_free:
            return conjugate_direction(evaluator.metric_product(here.theta), here.gradient, damping)
        assert here.metric is not None
        return natural_direction(here.metric, here.gradient, damping)


def _proposed(rule: StepRule, direction: Direction, here: Evaluation, memory: Memory, asked: Submissions) -> Proposal:
    """The step that a rule proposes, or what bounds leave of it."""
    allowed = getattr(asked.evaluator, "allowed", None)  # by bounds

    def probe(shifts: Sequence[np.ndarray]) -> list[Estimate]:
        return asked.energies([here.theta + (s if allowed is None else allowed(here, s)) for s in shifts])

    proposal = rule.propose(direction, here, memory, probe)
    return proposal if allowed is None else shortened(proposal, allowed(here, proposal.delta), direction, here)


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
