"""The main loop: step until something says stop, and say what it was."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from qngd.errors import BackendError, ParameterError, SettingError, StorageError, checked_seed, shown
from qngd.estimates.evaluation import Cost
from qngd.evaluators.base import Evaluator
from qngd.evaluators.choice import evaluator_for
from qngd.evaluators.sampled import SampledEvaluator
from qngd.measured.cross import CrossMethod
from qngd.measured.grouping import Grouping
from qngd.run.given import Given, read_given
from qngd.run.journal import Journal, about, fingerprint
from qngd.run.optimizers import as_optimizer, kind_of
from qngd.run.record import Record, StopRule
from qngd.run.result import Budget, Result, Status
from qngd.run.stationary import WayDown, look_cost, way_down
from qngd.solve.state import Optimizer, State, StepInfo, Submissions, described

__all__ = ["Budget", "Result", "Status", "minimize"]


def minimize(
    problem_or_circuit: Any,
    observable: Any = None,
    theta0: Any = None,
    *,
    optimizer: Optimizer | str | None = None,
    backend: Any = None,
    shots: Any = None,
    grouping: Grouping = "qubit-wise",
    cross: CrossMethod = "hadamard",
    max_steps: int = 200,
    tol: float = 1e-8,
    gtol: float = 0.0,
    target: float | None = None,
    seed: int | None = None,
    callback: Callable[[StepInfo], Any] | None = None,
    run_dir: str | Path | None = None,
    budget: Budget | None = None,
    state: State | None = None,
) -> Result:
    """Lower ⟨H⟩ by natural gradient descent from `theta0`.

    Args:
        problem_or_circuit: a `Problem`, or anything `wrap` takes.
        observable, theta0: as in `Problem`; given here they override the problem's. A QNode brings its observable:
            `minimize(node, theta0)`.
        optimizer: a `QNG`, whose defaults need no tuning, or one of `qngd.baselines`; or a name: "qng", "adam", "spsa"
            or a method of SciPy such as "l-bfgs-b", with its defaults.
        backend: None for the embedded simulator (a QNode's own device otherwise).
        shots: shots per circuit; "auto" or an `AutoShots` divides a total so that the error of the step is smallest;
            a `TargetError` takes what a standard error needs; None means exact.
        grouping: which terms one circuit measures: "qubit-wise" commuting ones, with single-qubit gates, or all
            "commuting" ones, with a Clifford circuit that diagonalizes them.
        cross: how shots estimate a full metric between layers, as in `metric_tensor`.
        max_steps: steps at most, rejected trials included.
        tol: stop when the energy changes by less than this three steps in a row, or when a sampled gradient is
            within its error five steps in a row; 0 never stops so.
        gtol: stop when the natural gradient's norm in state space, √(∇Eᵀg⁻¹∇E) up to the damping, is less than this.
        target: stop when the energy plus its standard error is at most this.
        seed: for all random numbers of the run; each submission gets its own, derived from it.
        callback: called with each step's `StepInfo`; a true return value stops the run.
        run_dir: a directory to keep the run in, step by step; a run that it already holds is resumed, and
            continues as if it had not stopped.
        budget: limits on jobs, circuits and shots, of this run and of what it goes on from together.
        state: the `.state` of an earlier `Result` with the same optimizer, to go on exactly from there, with the same
            seed; `max_steps` are then more steps, and theta0 only says in which structure θ is wanted.

    Where a run comes to rest at a saddle or a maximum, it leaves: an exact one along negative curvature
    (`qngd.run.stationary` says how, and what that takes), a sampled one once, to the lowest of a few random points
    around. The result's `note` says so. With tol=0 only an optimizer that stops by itself comes to rest.

    Returns:
        A `Result`; numerical trouble, Ctrl-C, a backend that fails for good and a full disk end a run with a status,
        never with an exception (unless nothing was reached yet). Any other exception, say of the callback, comes
        through, and what was reached is its `.result`.

    Raises:
        CircuitError, ObservableError, ParameterError, SettingError: an argument does not fit.

    >>> circuit = qngd.CircuitBuilder(1)
    >>> circuit = circuit.ry(circuit.parameter("a"), 0)
    >>> round(qngd.minimize(circuit, {"Z": 1.0}, [0.3]).energy, 6)
    -1.0
    """
    if isinstance(problem_or_circuit, Result):
        raise SettingError("circuit: this is a Result; to go on from it write minimize(problem, state=result.state)")
    before = None if state is None else _checked_state(state)
    given = read_given(problem_or_circuit, observable, theta0, None if before is None else before.theta)
    task = _Task(
        optimizer=as_optimizer(optimizer),
        given=given,
        evaluator=evaluator_for(given.circuit, given.target, backend, shots, grouping, cross),
        limits=StopRule.read(max_steps, tol, gtol, target, budget),
        seed=_checked_seed(seed, before),
        shots=shots,
    )
    _check_rest(task, before, callback, run_dir)
    record = Record(given.shaped, kind_of(task.optimizer))
    with _kept_on_error(record, task):
        try:
            _begin_or_resume(record, task, run_dir, before)
            status = _loop(record, task, callback)
        except (KeyboardInterrupt, BackendError, StorageError) as error:
            # Ctrl-C in a step, in the journal or in the callback; where nothing was reached, there is nothing to return
            if not record.has_begun:
                raise
            status = _ended_by(error, record)
    return _result(record, status, task)


def _result(record: Record, status: Status, task: _Task) -> Result:
    found = record.result(status, task.limits, task.evaluator.note)
    return replace(found, state=replace(found.state, problem=_problem_of(task.given, found.state)))


@dataclass(frozen=True, eq=False)
class _Task:
    """What a run was asked for."""

    optimizer: Optimizer
    given: Given
    evaluator: Evaluator
    limits: StopRule
    seed: int | None
    shots: Any


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


def _check_rest(task: _Task, before: State | None, callback: Any, run_dir: Any) -> None:
    count = task.given.circuit.num_parameters
    if count == 0:
        fixed = task.given.circuit.fixed
        text = f": {', '.join(fixed)} is fixed (see docs/pennylane.md)" if fixed else ""
        raise ParameterError(f"the circuit has no trainable parameters, so there is nothing to minimize{text}")
    if callback is not None and not callable(callback):
        raise SettingError(f"callback must be a function of a step's StepInfo; got {shown(callback)}")
    if callback is not None and not _takes_one(callback):
        raise SettingError(
            "callback is called with one argument, a step's StepInfo (its .step, .theta, .energy, .stderr and .cost), "
            f"and {shown(callback)} takes others; write callback=lambda info: …"
        )
    if not isinstance(run_dir, (str, os.PathLike, type(None))) or run_dir == "":  # Path("") is the current folder
        raise SettingError(f"run_dir must be the path of a folder; got {shown(run_dir)}")
    if before is None:
        return
    if len(before.theta) != count:
        raise ParameterError(f"state: it has {len(before.theta)} parameters, the circuit has {count}")
    kind = kind_of(task.optimizer)
    if before.made_by not in ("", kind):
        raise SettingError(f"state: it is one of {before.made_by}, and {kind} cannot go on from it")
    if before.problem not in ("", _problem_of(task.given, before)):
        raise SettingError(
            "state: it is of a run with another circuit or observable, whose energy and gradient do not hold here; "
            "begin anew from where it stands: leave state out and give theta0=result.theta"
        )


def _takes_one(function: Callable[..., Any]) -> bool:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # of a function that is not Python's
        return True
    try:
        signature.bind(None)
    except TypeError:
        return False
    return True


def _problem_of(given: Given, state: State) -> str:
    """What was minimized, recognizable in a later run that goes on from this state."""
    return fingerprint(given.circuit, given.observable, state.theta)


def _begin_or_resume(record: Record, task: _Task, run_dir: str | Path | None, before: State | None) -> None:
    """Set the state to go on from: of a new run, the one given, or the one that `run_dir` holds."""
    evaluator, theta0 = task.evaluator, task.given.theta
    if run_dir is not None:
        settings: tuple[Any, ...] = (task.optimizer, task.seed, evaluator.name, task.shots)
        if before is not None:
            settings = (*settings, before.step, before.evaluations, before.theta.tobytes().hex())
        key = fingerprint(task.given.circuit, task.given.observable, theta0, *settings)
        record.journal = Journal(run_dir, key, about(task.given.name, task.optimizer, task.given.circuit))
        if isinstance(evaluator, SampledEvaluator):
            evaluator.job_log = record.journal.jobs
        if (stored := record.journal.load()) is not None:
            record.restore(*stored)
            return
    if before is None:
        first = task.optimizer.preview(evaluator, theta0, None, first=True)
        if not task.limits.budget.allows(Cost(), first):
            raise SettingError(f"budget: the evaluation at theta0 alone needs {first}; grant at least that")
        before = task.optimizer.init(evaluator, theta0, task.seed)
    record.begin(before, task.limits)


def _ended_by(error: BaseException, record: Record) -> Status:
    """The status of a run that an expected error ended."""
    if isinstance(error, KeyboardInterrupt):
        return Status.INTERRUPTED
    return record.ended(
        Status.FAILED, f"the backend failed: {error}" if isinstance(error, BackendError) else f"{error}"
    )


@contextmanager
def _kept_on_error(record: Record, task: _Task) -> Iterator[None]:
    """An exception that comes through, say from a callback, carries as `result` what was reached before it."""
    try:
        yield
    except BaseException as error:
        if record.has_begun:
            with suppress(AttributeError):  # of an exception that can carry nothing
                text = f"{type(error).__name__} after step {record.state.step}"
                status = record.ended(Status.FAILED, f"{text}: {error}" if str(error) else text)
                error.result = _result(record, status, task)  # type: ignore[attr-defined]
                error.add_note("what the run had reached is kept: this exception's .result, a qngd.Result")
        raise


def _loop(record: Record, task: _Task, callback: Callable[[StepInfo], Any] | None) -> Status:
    """Step until something says stop. `record` holds what was reached, whatever happens."""
    while True:
        if not record.state.evaluation.is_finite:
            return Status.NOT_FINITE
        if record.reached(task.limits.target):
            return Status.TARGET
        rest = record.at_rest(task.limits)
        moved = _stepped(record, task) if rest is None else _left(record, task, rest)
        if isinstance(moved, Status):
            return moved
        state, info = moved
        if not state.evaluation.is_finite:
            record.spend(info.step_cost)
            return Status.NOT_FINITE
        info = record.add(state, info)
        if callback is not None and callback(info):
            return Status.STOPPED


def _stepped(record: Record, task: _Task) -> tuple[State, StepInfo] | Status:
    """The optimizer's next step, or the limit that forbids it."""
    state, limits = record.state, task.limits
    if len(record.infos) >= limits.max_steps:
        return Status.MAX_STEPS
    if not limits.budget.is_open:
        ahead = task.optimizer.preview(task.evaluator, state.theta, state.evaluation.spread)
        if not limits.budget.allows(state.cost, ahead):
            return Status.BUDGET
    return task.optimizer.step(task.evaluator, state)


def _left(record: Record, task: _Task, rest: Status) -> tuple[State, StepInfo] | Status:
    """A step away from where the run came to `rest`, if the energy is lower around; or why there is none."""
    state, limits, evaluator = record.state, task.limits, task.evaluator
    if state.looked or rest is Status.MAX_STEPS:
        return rest
    if not limits.budget.is_open:
        ahead = look_cost(evaluator, state.theta) + task.optimizer.preview(evaluator, state.theta, None, first=True)
        if not limits.budget.allows(state.cost, ahead):
            record.notes.append("the budget does not allow to look whether this is a minimum")
            return rest
    asked = Submissions.after(evaluator, state)
    way = way_down(asked, state.evaluation, limits.tol)
    if way is None:
        record.stay(replace(state.spent(asked), looked=True))
        return rest
    if len(record.infos) >= limits.max_steps:
        record.stay(state.spent(asked))
        return record.ended(Status.SADDLE, f"the energy falls by {way.decrease:.3g} {way.why}")
    return _moved(task.optimizer, asked, state, way)


def _moved(optimizer: Optimizer, asked: Submissions, state: State, way: WayDown) -> tuple[State, StepInfo]:
    """The optimizer begun anew at the end of a way down: a step of the run like any other."""
    evaluator = asked.evaluator
    fresh = optimizer.init(evaluator, state.theta + way.shift, asked.next_seed())
    fresh = replace(fresh, seed=state.seed, looked=not evaluator.is_exact)
    new = state.continued(asked, fresh)
    slope = state.evaluation.gradient
    info = described(
        new,
        state.evaluation,
        new.evaluation,
        new.cost - state.cost,
        gradient_norm=np.nan if slope is None else float(np.linalg.norm(slope.value)),
        length=way.length,
        predicted_decrease=way.decrease,
        note=f"left a stationary point that is no minimum, {way.why}",
    )
    return new, info
