"""The arguments of `minimize`, read and checked before anything is spent, as the tasks that they amount to."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from qngd._system.signatures import takes
from qngd.circuit.chosen import PartOfTheta
from qngd.errors import ParameterError, SettingError, checked_seed, counted, require_bool, shown
from qngd.estimates.evaluation import Cost
from qngd.evaluators.base import Evaluator
from qngd.evaluators.given import AnyGiven, evaluators_of, read_any
from qngd.evaluators.objectives.given import GivenObjective
from qngd.evaluators.setup import Setup
from qngd.evaluators.submission import noise_of, settings_of
from qngd.run.about import problem_in_words, settings_in_words
from qngd.run.budget import Clock
from qngd.run.directory.clock import now
from qngd.run.directory.journal import Journal
from qngd.run.directory.machine import versions
from qngd.run.directory.paths import as_folder
from qngd.run.final import read_final
from qngd.run.identity import RunIdentity, written
from qngd.run.optimizers import as_optimizer
from qngd.run.result import Result
from qngd.run.stop import StopRule
from qngd.run.store import Nowhere, Store
from qngd.run.task import Task
from qngd.solve.state import Optimizer, State, StepInfo


@dataclass(frozen=True, eq=False)
class RunArguments:
    """The arguments of a call of `minimize` that all of its runs have in common, as they were given."""

    problem_or_circuit: Any
    observable: Any
    theta0: Any
    optimizer: Any
    setup: Setup
    limits: StopRule
    callback: Any = None
    state: Any = None
    frozen: Any = None
    bounds: Any = None
    wrap_angles: bool = False
    final_shots: Any = None
    progress: bool = False
    clock: Clock = field(default_factory=Clock)

    def task(self, start: Any, seed: Any, run_dir: Any, spent: Cost) -> Task:
        """The task of one run, from `start`, or theta0 where that is None, after other runs have `spent` something of
        the budget. Raises as `minimize` does."""
        before = _checked_state(self.state)
        given = self._given(start, before)
        optimizer, store = as_optimizer(self.optimizer), _store_of(run_dir)
        evaluators = evaluators_of(given, self.setup, store.jobs, self.bounds)
        first = evaluators[0]
        seed = _checked_seed(seed, before)
        problem = problem_in_words(given, self.problem_or_circuit)
        settings = _settings_of(given, first, self.setup, seed, before)
        task = Task(
            given=given,
            optimizer=optimizer,
            evaluators=evaluators,
            limits=self.limits,
            seed=_seed_on(first, seed),
            callback=_checked_callback(self.callback),
            store=store,
            before=before,
            identity=RunIdentity(given, optimizer, settings, self._asked(given, first), problem),
            spent=spent,
            wraps=bool(self.wrap_angles),
            setup=self.setup,
            clock=self.clock,
            final=read_final(given, first, self.setup, self.final_shots, store),
            about=self._about(problem, optimizer, first, seed),
            progress=bool(self.progress),
        )
        _check_parameters(given)
        if before is not None:
            _check_goes_on(task, before)
        return task

    def _given(self, start: Any, before: State | None) -> AnyGiven:
        """What was given, at the start of a run."""
        if isinstance(self.problem_or_circuit, Result):
            raise SettingError(
                "circuit: this is a Result; to go on from it write minimize(problem, state=result.state)"
            )
        theta = self.theta0 if start is None else start
        reached = None if before is None else before.theta
        given = read_any(self.problem_or_circuit, self.observable, theta, reached=reached, frozen=self.frozen)
        require_bool(self.wrap_angles, "wrap_angles")
        return given

    def _asked(self, given: AnyGiven, evaluator: Evaluator) -> dict[str, object]:
        """What a later call needs to go on, besides what a stored run is recognized by, as JSON takes it. Of a backend
        its name where that is all of it, or the kind of an object: nothing else of it is ever written, since it may
        hold a token."""
        backend = given.circuit.device if self.setup.backend is None else self.setup.backend
        budget = self.limits.arguments["budget"]
        bounds = {"bounds": [side.tolist() for side in evaluator.box]} if evaluator.box else {}
        return {
            **self.limits.arguments,
            "budget": None if budget is None else json.loads(written(budget)),
            "backend": backend if backend is None or isinstance(backend, str) else {"object": type(backend).__name__},
            **bounds,
            "wrap_angles": bool(self.wrap_angles),
            "final_shots": self.final_shots,
        }

    def _about(self, problem: dict[str, Any], optimizer: Optimizer, evaluator: Evaluator, seed: int | None) -> Any:
        """What the result and its page tell of the run; see `Result`."""
        told = {
            "optimizer": repr(optimizer), **vars(self.setup), "backend": evaluator.name, "seed": seed,
            **self.limits.arguments, "bounds": self.bounds, "frozen": self.frozen,
        }  # fmt: skip
        return {"problem": problem, "settings": settings_in_words(told), "versions": versions(), "began": now()}


def _seed_on(evaluator: Evaluator, seed: int | None) -> int | None:
    """The seed of a run whose user gave this one: without one that of its backend, since a simulator that repeats its
    numbers at each submission would make the same error in every step."""
    device = evaluator.backend
    return device.seed if seed is None and device is not None else seed


def _settings_of(
    given: AnyGiven, evaluator: Evaluator, setup: Setup, seed: int | None, before: State | None
) -> dict[str, object]:
    """What a run's steps depend on besides the problem and the optimizer, by the names that users know."""
    settings: dict[str, object] = {"seed": seed, "backend": evaluator.name, "shots": setup.shots}
    if evaluator.box:
        settings["bounds"] = "bounds {} {}".format(*(side.tolist() for side in evaluator.box))
    if (device := evaluator.backend) is not None:
        settings |= {"grouping": setup.grouping, "cross": setup.cross, "noise of the backend": noise_of(device)}
        settings |= settings_of(device)
    if given.words:
        settings["objective"] = given.words
    if before is not None:
        settings["goes on from"] = (before.step, before.evaluations, before.theta.tobytes().hex())
    return settings


def _store_of(run_dir: Any) -> Store:
    return Nowhere() if run_dir is None else Journal(as_folder(run_dir))


def _checked_state(state: Any) -> State | None:
    if state is None:
        return None
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
        raise ParameterError(
            f"the circuit has no trainable parameters, so there is nothing to minimize{text}; its energy is that of "
            "qngd.expectation"
        )


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
