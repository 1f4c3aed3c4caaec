"""What a run was asked for: the arguments of `minimize`, read and checked before anything is spent."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from qngd._system.signatures import takes
from qngd.circuit.chosen import PartOfTheta
from qngd.errors import ParameterError, SettingError, checked_seed, counted, require_bool, shown
from qngd.estimates.evaluation import Cost
from qngd.evaluators.base import Evaluator
from qngd.evaluators.bounded import Bounded
from qngd.evaluators.device import backend_of
from qngd.evaluators.meter import Meter, metering
from qngd.evaluators.objectives.given import AnyGiven, GivenObjective, evaluators_of, read_any
from qngd.evaluators.setup import USUAL, Setup
from qngd.evaluators.submission import noise_of, settings_of
from qngd.measured.shots import AutoShots
from qngd.run.about import problem_in_words, settings_in_words
from qngd.run.budget import Clock
from qngd.run.directory.clock import now
from qngd.run.directory.journal import Journal
from qngd.run.directory.machine import versions
from qngd.run.directory.paths import as_folder
from qngd.run.final import Final, read_final
from qngd.run.identity import RunIdentity, fingerprint_of, written
from qngd.run.optimizers import as_optimizer, kind_of
from qngd.run.result import Result
from qngd.run.stop import StopRule
from qngd.run.store import Nowhere, Store
from qngd.solve.state import Optimizer, State, StepInfo

_FEW_STEPS = 10  # that a part of a budget buys at least


@dataclass(frozen=True, eq=False)
class Task:
    """What a run was asked for. `evaluators` are those of its stages (one, unless a CVaR has a schedule), `store` keeps
    it, `before` is the state that it goes on from, `identity` is what a stored run of it is recognized by, `spent` what
    other runs have taken of its budget, `also` what decides the energy besides circuit and observable, `clock` is that
    of the call, `final` measures the end again, and `about` is that of the `Result`."""

    given: AnyGiven
    optimizer: Optimizer
    evaluators: tuple[Evaluator, ...]
    limits: StopRule
    seed: int | None
    callback: Callable[[StepInfo], Any] | None
    store: Store
    before: State | None
    identity: RunIdentity
    wraps: bool = False  # whether angles come back in (−π, π]
    spent: Cost = field(default_factory=Cost)
    also: tuple[object, ...] = ()
    about: Mapping[str, Any] = field(default_factory=dict)
    progress: bool = False  # whether it shows how far it is
    clock: Clock = field(default_factory=Clock)
    final: Final | None = None
    setup: Setup = USUAL  # as the user gave it
    sharing: int = 1  # runs that share what was left of the budget when this one began

    def may_see_more(self, state: State) -> bool:
        """Whether steps from this state will take more shots than the last, where that one saw noise alone."""
        rule = AutoShots() if isinstance(self.setup.shots, str) else self.setup.shots  # of words there is only "auto"
        spread = state.evaluation.spread
        return isinstance(rule, AutoShots) and spread is not None and rule.may_grow(spread)

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

    def lacking(self, spent: Cost, ahead: Cost) -> str:
        """What is ahead beside what is left of the budget."""
        budget, kept = self.limits.budget, self.reserve(spent)
        parts = [budget.lacking(self.before_this + spent + kept, ahead)]
        if budget.wall is not None:
            parts.append(self.clock.lacking(budget.wall, self._steps_ahead))
        note = "" if self.final is None else f", with {kept} kept for the end"
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
        evaluator, theta = self.evaluators[0], self.given.theta
        with self.metered(Cost()):
            ahead = self.optimizer.preview(evaluator, theta, None, first=True)
            if steps:
                ahead += self.optimizer.preview(evaluator, theta, None) * steps
            return self.allows(Cost(), ahead)

    @property
    def _steps_ahead(self) -> int:
        """By the clock, the end counts as a step."""
        return 1 if self.final is None else 2

    def evaluator_at(self, state: State) -> Evaluator:
        """The evaluator of the stage that a state is in."""
        return self.evaluators[min(state.stage, len(self.evaluators) - 1)]

    @property
    def epoch(self) -> int:
        """The number of steps whose energies are together those of what is minimized: 1 without mini-batches."""
        return int(getattr(self.evaluators[0], "epoch", 1))

    def is_last_stage(self, state: State) -> bool:
        """Whether the energy of this state is the one that the run is for, and not one on the way of a schedule."""
        return state.stage + 1 >= len(self.evaluators)

    def stage_ends(self, state: State, steps: int) -> bool:
        """Whether a run at this state has used up its stage's part of the steps, and another stage follows."""
        count, done = len(self.evaluators), state.stage + 1
        return done < count and steps * count >= done * self.limits.steps

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


def read_task(
    problem_or_circuit: Any,
    observable: Any,
    theta0: Any,
    start: Any,
    seed: Any,
    run_dir: Any,
    spent: Cost,
    *,
    optimizer: Any,
    setup: Setup,
    limits: StopRule,
    callback: Any,
    state: Any = None,
    frozen: Any = None,
    bounds: Any = None,
    wrap_angles: bool = False,
    final_shots: Any = None,
    clock: Clock | None = None,
    progress: bool = False,
) -> Task:
    """The task that arguments of `minimize` amount to, in which `start` takes the place of theta0 where there is one,
    and other runs have `spent` something of its budget. Raises as it does."""
    if isinstance(problem_or_circuit, Result):
        raise SettingError("circuit: this is a Result; to go on from it write minimize(problem, state=result.state)")
    before = None if state is None else _checked_state(state)
    reached = None if before is None else before.theta
    theta = theta0 if start is None else start
    given = read_any(problem_or_circuit, observable, theta, reached=reached, frozen=frozen)
    require_bool(wrap_angles, "wrap_angles")
    chosen, store = as_optimizer(optimizer), _store_of(run_dir)
    evaluators = evaluators_of(given, setup, store.jobs, bounds)
    seed, device = _checked_seed(seed, before), backend_of(evaluators[0])
    told = {
        "optimizer": repr(chosen), **vars(setup), "backend": evaluators[0].name, "seed": seed, **limits.arguments,
        "bounds": bounds, "frozen": frozen,
    }  # fmt: skip
    problem = problem_in_words(given, problem_or_circuit)
    settings = _settings_of(given, evaluators[0], setup, seed, before)
    asked = _asked(given, evaluators[0], setup, limits)
    asked |= {"wrap_angles": bool(wrap_angles), "final_shots": final_shots}
    task = Task(
        given=given,
        optimizer=chosen,
        evaluators=evaluators,
        limits=limits,
        # a simulator that repeats its numbers at each submission would make the same error in every step
        seed=device.seed if seed is None and device is not None else seed,
        callback=_checked_callback(callback),
        store=store,
        before=before,
        identity=RunIdentity(given, chosen, settings, asked, problem),
        spent=spent,
        wraps=bool(wrap_angles),
        setup=setup,
        clock=clock or Clock(),
        final=read_final(given, evaluators[0], setup, final_shots, store),
        about={"problem": problem, "settings": settings_in_words(told), "versions": versions(), "began": now()},
        progress=bool(progress),
    )
    _check_parameters(given)
    if before is not None:
        _check_goes_on(task, before)
    return task


def _settings_of(
    given: AnyGiven, evaluator: Evaluator, setup: Setup, seed: int | None, before: State | None
) -> dict[str, object]:
    """What a run's steps depend on besides the problem and the optimizer, by the names that users know."""
    settings: dict[str, object] = {"seed": seed, "backend": evaluator.name, "shots": setup.shots}
    if isinstance(evaluator, Bounded):
        settings["bounds"] = evaluator.text
    if (device := backend_of(evaluator)) is not None:
        settings |= {"grouping": setup.grouping, "cross": setup.cross, "noise of the backend": noise_of(device)}
        settings |= settings_of(device)
    if given.words:
        settings["objective"] = given.words
    if before is not None:
        settings["goes on from"] = (before.step, before.evaluations, before.theta.tobytes().hex())
    return settings


def _asked(given: AnyGiven, evaluator: Evaluator, setup: Setup, limits: StopRule) -> dict[str, object]:
    """What else was asked for, as JSON takes it. Of a backend its name where that is all of it, or the kind of an
    object: nothing else of it is ever written, since it may hold a token."""
    backend = given.circuit.device if setup.backend is None else setup.backend
    budget = limits.arguments["budget"]
    asked = {
        **limits.arguments,
        "budget": None if budget is None else json.loads(written(budget)),
        "backend": backend if backend is None or isinstance(backend, str) else {"object": type(backend).__name__},
    }
    return {**asked, "bounds": [side.tolist() for side in evaluator.box]} if isinstance(evaluator, Bounded) else asked


def _store_of(run_dir: Any) -> Store:
    return Nowhere() if run_dir is None else Journal(as_folder(run_dir))


def _checked_state(state: Any) -> State:
    if isinstance(state, Result):
        raise SettingError("state: this is a Result; write state=result.state")
    if not isinstance(state, State):
        raise SettingError(f"state must be the .state of a Result; got {shown(state)}")
    return state


def _checked_seed(seed: Any, before: State | None) -> int | None:
    own = checked_seed(seed)
    if before is None:
        return own
    if own not in (None, before.seed):
        raise SettingError(f"seed: the run of this state has seed={before.seed}; leave seed out")
    return before.seed


def _checked_callback(callback: Any) -> Callable[[StepInfo], Any] | None:
    if callback is None:
        return None
    if not callable(callback):
        raise SettingError(f"callback must be a function of a step's StepInfo; got {shown(callback)}")
    if not takes(callback, 1):
        raise SettingError(
            "callback is called with one argument, a step's StepInfo (its .step, .theta, .energy, .stderr and .cost), "
            f"and {shown(callback)} takes others; write callback=lambda info: …"
        )
    taken: Callable[[StepInfo], Any] = callback
    return taken


def _check_parameters(given: AnyGiven) -> None:
    if given.circuit.num_parameters == 0:
        structure = given.model.structure if isinstance(given, GivenObjective) else given.circuit.structure
        if isinstance(structure, PartOfTheta):
            raise ParameterError("frozen: all parameters are frozen, so there is nothing to minimize; leave one out")
        fixed = given.circuit.fixed
        text = f": {', '.join(fixed)} is fixed (see docs/pennylane.md)" if fixed else ""
        raise ParameterError(f"the circuit has no trainable parameters, so there is nothing to minimize{text}")


def _check_goes_on(task: Task, before: State) -> None:
    """Raise unless the run can go on from this state."""
    count = task.given.circuit.num_parameters
    if len(before.theta) != count:
        raise ParameterError(f"state: it has {counted(len(before.theta), 'parameter')}, the circuit has {count}")
    if before.made_by not in ("", task.kind):
        raise SettingError(f"state: it is one of {before.made_by}, and {task.kind} cannot go on from it")
    if before.problem not in ("", task.problem_of(before)):
        raise SettingError(
            "state: it is of a run with another circuit or observable, whose energy and gradient do not hold here; "
            "begin anew from where it stands: leave state out and give theta0=result.theta"
        )
