"""The main loop: step until something says stop, and say what it was."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import Any

from qngd._system.interrupts import Stoppable, Terminated
from qngd._system.keywords import hinted
from qngd._system.logs import logger
from qngd._system.secrets import scrubbed
from qngd.errors import BackendError, SettingError, StorageError, checked_seed, whole_number
from qngd.estimates.evaluation import Cost
from qngd.evaluators.arguments import BackendLike, Real, Shots, Whole
from qngd.evaluators.meter import OverBudget
from qngd.evaluators.objectives.objective import Objective
from qngd.evaluators.setup import Setup
from qngd.interop import in_order
from qngd.interop.arguments import Bounds, CircuitLike, Frozen, ObservableLike, Theta
from qngd.measured.cross import CrossMethod
from qngd.measured.grouping import Grouping
from qngd.problem import Problem
from qngd.run.beginning import begin
from qngd.run.budget import Budget
from qngd.run.ending import finished, result_of
from qngd.run.next_step import next_step
from qngd.run.reading import RunArguments
from qngd.run.record import Record
from qngd.run.restarts import best_of
from qngd.run.result import REMEDY, Result, Status, ended_by
from qngd.run.stop import StopRule
from qngd.run.task import Task
from qngd.solve.state import Optimizer, State, StepInfo

__all__ = ["Budget", "Result", "Status", "minimize"]


@hinted
def minimize(
    problem_or_circuit: Problem | CircuitLike | Objective,
    observable: ObservableLike | Theta | None = None,
    theta0: Theta | None = None,
    *,
    optimizer: Optimizer | str | None = None,
    backend: BackendLike | None = None,
    shots: Shots | None = None,
    grouping: Grouping = "qubit-wise",
    cross: CrossMethod = "hadamard",
    max_steps: Whole | None = None,
    tol: float = 1e-8,
    gtol: float = 0.0,
    target: Real | None = None,
    seed: Whole | None = None,
    callback: Callable[[StepInfo], Any] | None = None,
    run_dir: str | os.PathLike[str] | None = None,
    budget: Budget | None = None,
    state: State | None = None,
    restarts: Whole = 1,
    final_shots: Whole | None = None,
    frozen: Frozen | None = None,
    bounds: Bounds | None = None,
    wrap_angles: bool = False,
    progress: bool = False,
) -> Result:
    """Lower ⟨H⟩ by natural gradient descent from `theta0`.

    Args:
        problem_or_circuit: a `Problem`, anything `wrap` takes, or an `Objective`.
        observable, theta0: as in `Problem`; given here they override the problem's. A QNode brings its observable:
            `minimize(node, theta0)`.
        optimizer: a `QNG`, whose defaults need no tuning, or one of `qngd.baselines`; or a name: "qng", "adam", "spsa"
            or a method of SciPy such as "l-bfgs-b", with its defaults.
        backend: None is the embedded exact simulator, or a QNode's own device. "light-cone" gives exact numbers for
            many qubits and few layers; None falls back to it where a statevector does not fit in memory.
            "pauli-propagation", or a `PauliPropagation`, gives approximate numbers for more layers. Or a device: its
            name, a backend or V2 primitive of Qiskit, a device of PennyLane, or one of `qngd.backends`.
        shots: shots per circuit; None means exact. "auto" or an `AutoShots` chooses how many shots a step gets, and
            divides them among its circuits so that the step's error is smallest. A `TargetError` takes as many as a
            standard error needs.
        grouping: which terms of the observable one circuit measures. "qubit-wise": terms that agree letter by letter
            where both act, with single-qubit gates. "commuting": all that commute, with a Clifford circuit that
            diagonalizes them. "auto": the cheaper of the two, counting circuits and shots; every circuit then measures
            all terms that it can. "shadows", or `qngd.RandomPaulis(bases=…)`: random measurements. docs/gradients.md
            says which to choose.
        cross: how shots estimate a full metric between layers, as in `metric_tensor`.
        max_steps: steps at most, rejected trials included. None is 200; or, with a `budget` that limits what the run
            spends, as many as that buys.
        tol: stop when the energy changed by less than this in three steps in a row; or when an exact energy fell by
            less than this, as its step had predicted, and decreases shrink so fast that about a hundredth of `tol` is
            left to gain; or when a sampled gradient could not be told from zero in five steps in a row (ten for a
            CVaR). In this last case a run with a `budget` first spends as much again, so that the noise averages out.
            0 switches all three off.
        gtol: stop when the natural gradient's norm in state space, √(∇Eᵀg⁻¹∇E) up to the damping, is less than this.
        target: stop when the energy plus its standard error is at most this. With mini-batches the energy is the mean
            over the last batches that make up all samples; for a CVaR with a schedule, only its last alpha counts.
        seed: for all random numbers of the run; each submission gets its own, derived from it.
        callback: called with each step's `StepInfo`; a true return value stops the run.
        run_dir: a directory to keep the run in, step by step; a run that it already holds is resumed, and
            continues as if it had not stopped.
        budget: limits on jobs, circuits, shots, device seconds and money, which this run and what it goes on from
            share; and on the time of this call. What would exceed a limit is not sent. Without a `target`, steps with
            shots become shorter as the budget runs out (docs/budgets.md).
        state: the `.state` of an earlier `Result` with the same optimizer, to go on exactly from there, with the same
            seed. `max_steps` then counts further steps, and theta0 only says in which structure θ is wanted.
        restarts: how many starts to run from, one after the other; the best run is returned, and all are in its
            `restarts`. The first start is theta0, the others are random by `seed`: uniform from −π to π, within the
            bounds. The budget is for all together, `max_steps` for each; without `max_steps` each gets an equal part
            of what is left of the budget (docs/budgets.md). Reaching the `target`, or a callback that asks to stop,
            ends them all. In `run_dir` each has a folder, from start-0 on.
        final_shots: shots per circuit for one more measurement of the energy where the run has ended. It is unbiased,
            and becomes the result's `energy` (docs/howto/measure-the-end.md). The budget keeps room for it. With
            restarts every start is measured so.
        frozen: parameters that keep their start: names, also of whole vectors or arguments, or a mask. They cost no
            circuits.
        bounds: (low, high), for all parameters, a mapping from names to such pairs, or as SciPy takes them, its Bounds
            or a list of a pair for each parameter. Trials are moved to the nearest point of the box, and a parameter
            that the descent pushes against its bound is held there. Those of frozen parameters mean nothing.
        wrap_angles: whether the result's parameters are brought into (−π, π] where a full turn of one changes nothing,
            because all its rotations turn by whole multiples of it.
        progress: whether to show how far the run is: a bar and the last step, redrawn in place on a terminal (on its
            standard error) and in a notebook; elsewhere a line every tenth of the run.

    A run that comes to rest at a saddle or a maximum leaves it, and the result's `note` says so. An exact run follows
    negative curvature (`qngd.run.stationary` says how, and what that takes); a sampled one goes, once, to the lowest of
    a few random points around. With tol=0 only an optimizer that stops by itself comes to rest.

    Returns:
        A `Result`. Numerical trouble, Ctrl-C, a backend that fails for good and a full disk end a run with a status,
        and raise only where nothing was reached yet. Any other exception, say of the callback, comes through and
        carries what was reached as its `.result`; so does the KeyboardInterrupt that SIGTERM raises
        (docs/run-directory.md).

    Raises:
        CircuitError, ObservableError, ParameterError, SettingError: an argument does not fit.

    >>> circuit = qngd.CircuitBuilder(1)
    >>> circuit = circuit.ry(circuit.parameter("a"), 0)
    >>> round(qngd.minimize(circuit, {"Z": 1.0}, [0.3]).energy, 6)
    -1.0
    """
    count = whole_number(restarts, "restarts", 1)
    arguments = RunArguments(
        problem_or_circuit, *in_order(observable, theta0), optimizer=optimizer,
        setup=Setup(backend, shots, grouping, cross), limits=StopRule.read(max_steps, tol, gtol, target, budget),
        callback=callback, state=state, frozen=frozen, bounds=bounds, wrap_angles=wrap_angles, progress=progress,
        final_shots=final_shots,
    )  # fmt: skip
    if count == 1:
        return carry_out(arguments.task(None, seed, run_dir, Cost()))
    if state is not None:
        raise SettingError("restarts: a state goes on from where one run stands; leave state or restarts out")
    return best_of(count, arguments.task, checked_seed(seed), run_dir, carry_out)


def carry_out(task: Task) -> Result:
    """The run of a task; see `minimize`."""
    name, count = task.given.name, task.given.circuit.num_parameters
    logger.info("run of %s begins: %d parameters, %s", name, count, task.evaluators[0].name)
    with _shown(task) as shown:
        result = _carried_out(shown)
    logger.info("run of %s ended: %s", name, result)
    return result


@contextmanager
def _shown(task: Task) -> Iterator[Task]:
    """While it runs, a task shows how far it is where that was asked for."""
    if not task.progress:
        yield task
        return
    from qngd.report.live import progress  # a terminal's tools, wanted here alone

    reference = task.about.get("problem", {}).get("reference_energy")
    with progress(task.steps_known, reference, sys.stderr) as show:
        yield replace(task, callback=_both(show, task.callback))


def _both(show: Callable[[StepInfo], Any], callback: Callable[[StepInfo], Any] | None) -> Callable[[StepInfo], Any]:
    def both(info: StepInfo) -> Any:
        show(info)
        return None if callback is None else callback(info)

    return both


def _carried_out(task: Task) -> Result:
    record = Record(task.given.shaped, task.kind, task.store)

    def body() -> Status:
        begin(record, task)
        return _loop(record, task)

    with Stoppable() as stoppable, closing(task.store), _kept_on_error(record, task):
        try:
            status = stoppable.run(body)
        except (KeyboardInterrupt, BackendError, StorageError) as error:
            # Ctrl-C in a step, in the store or in the callback; where nothing was reached, there is nothing to return
            if not record.has_begun:
                if (sent := task.store.sent()).jobs:
                    error.add_note(f"sent before: {sent}; the same call with this run_dir collects what it gives")
                raise
            status = record.ended(*ended_by(error))
        result = _at_end(result_of(record, status, task), task, stoppable)
        task.store.end(result.status, result.message, result.note)
        if stoppable.came:  # after the last step, where it stopped nothing: what follows should know
            result = replace(result, status=Status.INTERRUPTED, message=REMEDY[Status.INTERRUPTED])
    if stoppable.terminated:  # what called this must end too
        raise Terminated(result)
    return result


def _at_end(result: Result, task: Task, stoppable: Stoppable) -> Result:
    """The result with what is measured at the end."""
    try:
        return stoppable.run(partial(finished, result, task))
    except KeyboardInterrupt:
        return replace(result, status=Status.INTERRUPTED, message=REMEDY[Status.INTERRUPTED])


@contextmanager
def _kept_on_error(record: Record, task: Task) -> Iterator[None]:
    """While a run goes on: an exception that comes through, say from a callback, carries as `result` what was reached
    before it."""
    try:
        yield
    except BaseException as error:
        if record.has_begun:
            with suppress(AttributeError):  # of an exception that can carry nothing
                text = f"{type(error).__name__} after step {record.state.step}"
                status = record.ended(Status.FAILED, f"{text}: {scrubbed(str(error))}" if str(error) else text)
                found = error.result = finished(result_of(record, status, task), task)  # type: ignore[attr-defined]
                task.store.end(found.status, found.message, found.note)
                error.add_note("what the run had reached is kept: this exception's .result, a qngd.Result")
        raise


def _loop(record: Record, task: Task) -> Status:
    """Step until something says stop. `record` holds what was reached, whatever happens."""
    while True:
        if not record.state.evaluation.is_finite or record.is_lost:
            return Status.NOT_FINITE
        if task.is_last_stage(record.state) and record.reached(task.limits.target, task.epoch):
            return Status.TARGET
        moved = _within_budget(record, task)
        if isinstance(moved, Status):
            return moved
        state, info = moved
        if not state.evaluation.is_finite:
            record.spend(info.step_cost)
            return Status.NOT_FINITE
        info = record.add(state, info)
        if task.callback is not None and task.callback(info):
            return Status.STOPPED


def _within_budget(record: Record, task: Task) -> tuple[State, StepInfo] | Status:
    """The next step of any kind, none of whose submissions exceeds the budget; or why there is none."""
    spent, began = record.state.cost, task.clock.elapsed
    with task.metered(spent) as meter:
        try:
            moved = next_step(record, task)
        except (BackendError, KeyboardInterrupt):
            if not record.is_kept:  # a run that is kept finds what it has paid for when it goes on
                record.spend(meter.spent - task.before_this - record.state.cost)
            raise
        except OverBudget as error:
            # only now is it known what this takes; what of the step was paid before is spent, and the step not made.
            # What a log holds of it is found again when the run goes on.
            spent = meter.spent - task.before_this
            paid = spent - record.state.cost - meter.logged
            if paid.circuits:
                record.spend(paid, counts=False)
            return record.ended(Status.BUDGET, task.lacking(error.spent - task.before_this, error.ahead))
    task.clock.timed(began)
    return moved
