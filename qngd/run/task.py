"""What a run was asked for, as `run.reading` has read it, and what its budget allows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from qngd.estimates.evaluation import Cost
from qngd.evaluators.base import Evaluator
from qngd.evaluators.given import AnyGiven
from qngd.evaluators.meter import Meter, metering
from qngd.evaluators.setup import USUAL, Setup
from qngd.measured.auto_shots import AutoShots
from qngd.run.budget import Clock
from qngd.run.final import Final
from qngd.run.identity import RunIdentity, fingerprint_of
from qngd.run.optimizers import kind_of
from qngd.run.stop import StopRule
from qngd.run.store import Store
from qngd.solve.state import Optimizer, State, StepInfo, batch_of

_FEW_STEPS = 10  # that a part of a budget buys at least


@dataclass(frozen=True, eq=False)
class Task:
    """What a run was asked for."""

    given: AnyGiven
    optimizer: Optimizer
    evaluators: tuple[Evaluator, ...]  # of its stages: one, unless a CVaR has a schedule
    limits: StopRule
    seed: int | None
    callback: Callable[[StepInfo], Any] | None
    store: Store  # keeps it
    before: State | None  # that it goes on from
    identity: RunIdentity  # what a stored run of it is recognized by
    wraps: bool = False  # whether angles come back in (−π, π]
    spent: Cost = field(default_factory=Cost)  # by other runs, of its budget
    also: tuple[object, ...] = ()  # what decides the energy besides circuit and observable
    about: Mapping[str, Any] = field(default_factory=dict)  # as in `Result`
    progress: bool = False  # whether it shows how far it is
    clock: Clock = field(default_factory=Clock)  # of the call
    final: Final | None = None  # measures the end again
    setup: Setup = USUAL  # as the user gave it
    sharing: int = 1  # runs that share what was left of the budget when this one began

    def may_see_more(self, state: State) -> bool:
        """Whether steps from this state will take more shots than the last, where that one saw noise alone."""
        rule, spread = self._rule, state.evaluation.spread
        return isinstance(rule, AutoShots) and spread is not None and rule.may_grow(spread)

    @property
    def ends_with_few_shots(self) -> bool:
        """Whether its energy is that of a step which has as few shots as steps can do with."""
        is_measured = self.final is not None or bool(self.also)  # of what is lifted off other states the end always is
        return isinstance(self._rule, AutoShots) and self._rule.total is None and not is_measured

    @property
    def _rule(self) -> Any:
        return AutoShots() if isinstance(self.setup.shots, str) else self.setup.shots  # of words there is only "auto"

    @contextmanager
    def metered(self, spent: Cost) -> Iterator[Meter]:
        """While this run asks and steps, after it has `spent` so much: no submission exceeds its budget."""
        before, budget = self.before_this, self.limits.budget

        def allows(total: Cost, ahead: Cost) -> bool:
            return budget.is_open or budget.allows(total, ahead + self.reserve(total - before))

        with metering(budget.meter(before + spent, allows)) as meter:
            yield meter

    @contextmanager
    def ending(self, spent: Cost) -> Iterator[Meter]:
        """As `metered`, while its end is measured."""
        budget = self.limits.budget
        with metering(budget.meter(self.before_this + spent, budget.allows)) as meter:
            yield meter

    def reserve(self, spent: Cost) -> Cost:
        """What its end takes, for which the budget keeps room, after this run has `spent` so much."""
        if self.final is None:
            return Cost()
        with metering(self.limits.budget.meter(self.before_this + spent)):
            return self.final.cost(self.given.theta)

    @property
    def before_this(self) -> Cost:
        """What was taken of its budget that is in no state of its own: by other runs, and by ends of this one."""
        return self.spent if self.final is None else self.spent + self.final.paid

    def allows(self, spent: Cost, ahead: Cost) -> bool:
        """Whether the budget allows what is `ahead`, after what this run has `spent`, and then its end."""
        budget = self.limits.budget
        if not self.clock.allows(budget.wall, self._steps_ahead):
            return False
        return budget.is_open or budget.allows(self.before_this + spent, ahead + self.reserve(spent))

    def used(self, spent: Cost, steps: int) -> float | None:
        """The part of its budget that this run has used when it has `spent` so much, or of its steps where there are
        limits on both; None where no budget limits what it spends, or a target ends it, to which it is to come soon.
        The clock does not count: the same run is to take the same steps."""
        limits = self.limits
        if limits.target is not None or limits.budget.is_open:
            return None
        part = limits.budget.used(self.before_this, spent, self.reserve(spent))
        if part is None or limits.max_steps is None:
            return part
        return min(1.0, max(part, steps / max(limits.max_steps, 1)))

    def lacking(self, spent: Cost, ahead: Cost) -> str:
        """What is ahead beside what is left of the budget."""
        budget, kept = self.limits.budget, self.reserve(spent)
        parts = [budget.lacking(self.before_this + spent + kept, ahead)]
        if budget.wall is not None:
            parts.append(self.clock.lacking(budget.wall, self._steps_ahead))
        note = "" if self.final is None else f", with {kept} kept for the end by final_shots={self.final.shots}"
        if self.sharing > 1:
            note += f", of the part of this run, one of {self.sharing} that share the budget"
        return f": it takes {', '.join(filter(None, parts))}{note}"

    def with_part(self, count: int) -> Task:
        """The same with its part of the budget, where so many runs are to share what others have left of it. Fewer
        share it where a part would not buy a few steps."""
        limits = self.limits
        if not self.shares_budget:
            return self
        for sharing in range(count, 1, -1):
            budget = limits.budget.part(self.before_this, self.clock.elapsed, sharing)
            found = replace(self, limits=replace(limits, budget=budget), sharing=sharing)
            if found.can_begin(_FEW_STEPS):
                return found
        return self

    @property
    def shares_budget(self) -> bool:
        """Whether runs of one call have equal parts of the budget, because it decides how many steps they make."""
        return self.limits.max_steps is None and not self.limits.budget.is_open

    def can_begin(self, steps: int = 0) -> bool:
        """Whether its budget allows the evaluation that a new run begins with, so many steps like its first, and the
        end."""
        with self.metered(Cost()):
            return self.allows(Cost(), self._beginning(steps))

    def lacking_for(self, steps: int) -> str:
        """What a new run and so many of its steps take beside what is left of the budget."""
        with self.metered(Cost()):
            return self.lacking(Cost(), self._beginning(steps))

    def _beginning(self, steps: int) -> Cost:
        evaluator, theta = self.evaluators[0], self.given.theta
        ahead = self.optimizer.preview(evaluator, theta, None, first=True)
        if steps:
            ahead += self.optimizer.preview(evaluator.on_batch(0, None), theta, None) * steps
        return ahead

    @property
    def _steps_ahead(self) -> int:
        """By the clock, the end counts as a step."""
        return 1 if self.final is None else 2

    def evaluator_at(self, state: State) -> Evaluator:
        """The evaluator of the stage that a state is in, on the mini-batch that a step from there begins with."""
        evaluator = self.evaluators[min(state.stage, len(self.evaluators) - 1)]
        return evaluator.on_batch(batch_of(state), state.seed)

    @property
    def epoch(self) -> int:
        """The number of steps whose energies are together those of what is minimized: 1 without mini-batches."""
        return self.evaluators[0].epoch

    def is_last_stage(self, state: State) -> bool:
        """Whether the energy of this state is the one that the run is for, and not one on the way of a schedule."""
        return state.stage + 1 >= len(self.evaluators)

    def stage_ends(self, state: State, steps: int) -> bool:
        """Whether a run at this state has used up its stage's part of the steps, and another stage follows."""
        is_over = steps * len(self.evaluators) >= (state.stage + 1) * self.limits.steps
        return is_over and not self.is_last_stage(state)

    @property
    def steps_known(self) -> int | None:
        """Steps at most; None where a budget may end the run instead."""
        limits = self.limits
        return None if limits.max_steps is None and not limits.budget.is_open else limits.steps

    @property
    def kind(self) -> str:
        """The kind of optimizer that can go on from this run's states."""
        return kind_of(self.optimizer)

    def problem_of(self, state: State) -> str:
        """What was minimized, recognizable in a later run that goes on from this state."""
        also = [*filter(None, [self.given.words]), *self.also]
        return fingerprint_of(self.given, state.theta, *also)
