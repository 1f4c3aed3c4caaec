"""Where a run begins: at what its store holds, at a state that was given, or at theta0."""

from __future__ import annotations

from dataclasses import replace

from qngd.errors import BackendError, SettingError
from qngd.estimates.evaluation import Cost
from qngd.evaluators.meter import OverBudget
from qngd.run.record import Record
from qngd.run.task import Task
from qngd.solve.state import State


def begin(record: Record, task: Task) -> None:
    """Bring the record to where the run starts: what the store holds, a given state, or a first evaluation."""
    stored = task.store.resume(task.identity)
    _ = task.before_this  # what cannot be read is said before anything is sent
    if stored is None:
        record.begin(_first_state(task, record) if task.before is None else _seeded(task, task.before), task.limits)
    else:
        record.restore(stored)


def _first_state(task: Task, record: Record) -> State:
    """The optimizer's state after the evaluation at theta0, if the budget allows it; of a run that is kept it must be a
    number, or the run could never be gone on with."""
    optimizer, evaluator, theta = task.optimizer, task.evaluators[0], task.given.theta
    began = task.clock.elapsed
    seed = _seed_of(task)
    with task.metered(Cost()):
        task.reserve(Cost())  # what cannot be measured at the end is said now
        first = optimizer.preview(evaluator, theta, None, first=True)
        if not task.allows(Cost(), first):
            raise SettingError(f"budget: {_too_little(task, Cost(), first)}")
        try:
            found = optimizer.init(evaluator, theta, seed)
        except OverBudget as error:
            raise SettingError(f"budget: {_too_little(task, error.spent - task.before_this, error.ahead)}") from None
    task.clock.timed(began)
    if record.is_kept and not found.evaluation.is_finite:
        raise BackendError(
            f"the energy at theta0 is {found.energy}, and it or its derivatives are no numbers to go on from; "
            f"nothing is kept in run_dir. {evaluator.name} gave them: look at qngd.expectation and qngd.gradient there"
        )
    return found


def _seed_of(task: Task) -> int | None:
    """The seed of a run: one of its own where none is given, so that circuits drawn at random are the same after an
    interruption."""
    return task.seed if task.evaluators[0].is_exact else task.store.seed(task.seed)


def _seeded(task: Task, before: State) -> State:
    """The state that a run goes on from, with the run's seed."""
    return before if before.seed is not None else replace(before, seed=_seed_of(task))


def _too_little(task: Task, spent: Cost, ahead: Cost) -> str:
    enough = "that" if task.final is None else "both"
    needs = f"needs {ahead}, after {spent.in_short} that it has spent" if spent.jobs else f"alone needs {ahead}"
    return f"the evaluation at theta0 {needs}{task.lacking(spent, ahead)}; grant at least {enough}"
