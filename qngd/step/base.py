"""What every step rule shares: the step it proposes, the trial it becomes, and how a rule is asked.

A rule is frozen; what changes from step to step is its memory, plain arrays in the run's state.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np

from qngd.damping import Damping, first_rate
from qngd.errors import require_positive, require_range
from qngd.estimates.estimate import Estimate, rounding
from qngd.estimates.evaluation import Evaluation
from qngd.solve.direction import Direction

Memory = Mapping[str, np.ndarray]
AnyRule = TypeVar("AnyRule", bound=Any)
Probe = Callable[[Sequence[np.ndarray]], list[Estimate]]


@dataclass(frozen=True, eq=False)
class Proposal:
    """A step δ to try: its rate η where δ = −η·d (else η of its gradient part), its length √(δᵀgδ) in state space,
    in radians, the decrease that the rule's model predicts, and the trust radius that bounded the length.
    `significance` is that of the mean of gradients which it follows, None where it follows the last one."""

    delta: np.ndarray
    rate: float
    length: float
    predicted: float
    radius: float = np.inf
    significance: float | None = None


@dataclass(frozen=True, eq=False)
class Trial:
    """A proposal, the direction it came from, and what was found at both of its ends. `there` is complete (gradient
    and metric too) only once the trial was accepted. `used` is the part of its budget that the run had used before;
    None where its end is not known."""

    proposal: Proposal
    direction: Direction
    here: Evaluation
    there: Evaluation
    used: float | None = None

    @property
    def decrease(self) -> float:
        """The energy before minus the energy after."""
        return float(self.here.energy.value) - float(self.there.arrived.value)

    @property
    def slack(self) -> float:
        """What errors alone may make of `decrease`."""
        return slack_between(self.here.energy, self.there.arrived)

    @property
    def slope(self) -> float:
        """−δ·∇E: the decrease that the gradient alone promises."""
        return -float(self.proposal.delta @ gradient_of(self.here))

    @property
    def fell(self) -> bool:
        """Whether the energy fell as the model wants, errors considered."""
        return bool(self.decrease >= 1e-4 * self.proposal.predicted - self.slack)

    @property
    def met_the_model(self) -> bool:
        """Whether the energy fell by at least ¾ of what was predicted."""
        return bool(self.decrease >= 0.75 * self.proposal.predicted)

    @property
    def failed_the_model(self) -> bool:
        """Whether it fell by less than ¼ of that, errors considered, or is NaN."""
        return not self.decrease + self.slack >= 0.25 * self.proposal.predicted

    def next_radius(self, *, shrink: float, near: float, smallest: float, largest: float, met: float = 0.75) -> float:
        """What bounds the next step, radians: `shrink` of this one's length where the model failed, twice the bound
        where a step of at least `near` of it lowered the energy by `met` of what was predicted, else as it was; from
        `smallest` to `largest`."""
        step = self.proposal
        if self.failed_the_model:
            return max(shrink * step.length, smallest)
        if self.decrease >= met * step.predicted and step.length >= near * step.radius:
            return min(2 * step.radius, largest)
        return step.radius


class StepRule(ABC):
    """How far to go along a direction, and whether to stay there. A rule must say `propose`; by default every trial is
    accepted and nothing is learnt.

    `may_reject` says that `judge` can refuse a trial; `num_probes` bounds the energies that `propose` asks for.
    """

    may_reject = False
    num_probes = 0

    def start(self) -> Memory:
        """The rule's memory at the start of a run."""
        return {}

    def keeps_metric_for(self, memory: Memory) -> float:
        """How long a path from where it was measured, radians, a metric does for; 0 where every step wants its own."""
        return 0.0

    def has_failed(self, memory: Memory) -> bool:
        """Whether steps fall short, for which a coarse metric may be to blame: until then one does as well."""
        return True

    def at_scale(self, scale: float) -> StepRule:
        """The rule for energies of this scale (`Evaluation.energy_scale`), which what it begins with follows where that
        has a unit of energy and was not given: so that a run in another unit takes the same steps."""
        return self

    def damping(self, chosen: Damping, memory: Memory) -> Damping:
        """The damping of the next direction: the chosen one, unless the rule adapts it."""
        return chosen

    @abstractmethod
    def propose(self, direction: Direction, here: Evaluation, memory: Memory, probe: Probe) -> Proposal:
        """The step to try from `here`; `probe` gives the energies at shifts (P,) from there, in one submission."""

    def judge(self, trial: Trial, memory: Memory) -> bool:
        """Whether to go on from where the trial led; only the energy there is needed."""
        return True

    def learn(self, trial: Trial, accepted: bool, memory: Memory) -> Memory:
        """The rule's memory after the trial."""
        return memory


def along(direction: Direction, here: Evaluation, rate: float, radius: float = np.inf) -> Proposal:
    """The proposal δ = −η·d with η = `rate`, or less where that is longer than `radius`."""
    # a rate that is far too large ends in infinities, which the run reports
    with np.errstate(over="ignore", invalid="ignore"):
        length = rate * direction.length
        if length > radius:
            rate, length = rate * radius / length, radius
        delta = -rate * direction.vector
        return Proposal(delta, rate, length, -float(delta @ gradient_of(here)), radius)


def shortened(step: Proposal, delta: np.ndarray, direction: Direction, here: Evaluation) -> Proposal:
    """The proposal with what bounds leave of it, δ (P,): it promises as much less as the slope along it does. Where
    what is left out had undone some of the rest, it is longer than before; rules bound the length of their own step."""
    if delta is step.delta or np.array_equal(delta, step.delta):
        return step
    slope, whole = (float(each @ gradient_of(here)) for each in (delta, step.delta))
    share = max(slope / whole, 0.0) if whole else 0.0
    length = min(direction.length_of(delta), step.length)
    return replace(step, delta=delta, length=length, predicted=share * step.predicted)


def with_first_rate(rule: AnyRule, scale: float) -> AnyRule:
    """The rule with its `initial` rate for energies of this scale, where none was given."""
    return replace(rule, initial=first_rate(rule.initial, scale))


def with_lasting_rate(rule: AnyRule, scale: float) -> AnyRule:
    """The rule with its `learning_rate` for energies of this scale, where none was given: half of a first rate, as it
    stays what it is."""
    return replace(rule, learning_rate=first_rate(rule.learning_rate, 2 * scale))


def require_rate(value: float | None, name: str) -> None:
    """Raise SettingError unless `value` is positive and finite, or None."""
    if value is not None:
        require_positive(value, name)


def slack_between(before: Estimate, after: Estimate) -> float:
    """What errors alone may make of the difference of two energies: two standard errors, and the rounding of exact
    ones."""
    return 2 * float(np.hypot(before.stderr, after.stderr)) + rounding(before)


def gradient_of(evaluation: Evaluation) -> np.ndarray:
    """The gradient (P,) of an evaluation, which must have one."""
    assert evaluation.gradient is not None
    return np.asarray(evaluation.gradient.value)


def require_between(low: float, value: float, high: float, name: str) -> None:
    """Raise SettingError unless low < value < high."""
    require_range(value, name, f"between {low:g} and {high:g}", lambda number: low < number < high)


def require_length(value: float, name: str, least: float = 0.0) -> None:
    """Raise SettingError unless `value` is a positive number, infinity included, and no less than `least`."""
    wanted = f"a number of at least {least:g}" if least else "a positive number"
    require_range(value, name, wanted, lambda number: number > 0 and number >= least)


def require_significance(value: float) -> None:
    """Raise SettingError unless it is a number of standard errors."""
    require_range(value, "significance", "a number of at least 0", lambda number: 0 <= number < np.inf)
