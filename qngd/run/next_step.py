"""A run's next step, whatever its kind, or the limit that forbids it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from qngd.estimates.evaluation import Cost
from qngd.run.record import Record
from qngd.run.result import Status
from qngd.run.stationary import WayDown, look_cost, way_down
from qngd.run.task import Task
from qngd.solve.state import Optimizer, State, StepInfo, Submissions, described


def next_step(record: Record, task: Task) -> tuple[State, StepInfo] | Status:
    """The next step: of the optimizer, into the next stage of a schedule, or away from where the run is at rest."""
    rest = record.at_rest(task.limits)
    if rest is Status.NOISE and task.may_see_more(record.state):
        rest = None
    if task.stage_ends(record.state, len(record.infos)):
        return _next_stage(record, task)
    moved = _stepped(record, task) if rest is None else _left(record, task, rest)
    if not isinstance(moved, Status) or moved is not rest:
        return moved
    if record.state.stage + 1 < len(task.evaluators):
        return _next_stage(record, task)
    return _stepped(record, task, sees_noise=True) if rest is Status.NOISE else rest


def _planned(state: State, used: float | None, sees_noise: bool) -> State | None:
    """The state of a run that has used this part of its budget, with what it plans by. One that sees noise alone is to
    end when it has spent as much again, or at once without a budget: None; if a slope shows by then, it goes on with
    all of the budget."""
    if used is None:
        return None if sees_noise else state
    ends_at = state.ends_at
    if ends_at is not None and used >= ends_at:
        if sees_noise:
            return None
        ends_at = None
    elif ends_at is None and sees_noise:
        ends_at = min(2 * used, 1.0)
    return replace(state, used=used / (ends_at or 1.0), ends_at=ends_at)


def _stepped(record: Record, task: Task, sees_noise: bool = False) -> tuple[State, StepInfo] | Status:
    """The optimizer's next step, or what forbids it: a limit, or noise that was averaged long enough."""
    used = task.used(record.state.cost, len(record.infos))
    state = _planned(record.state, used, sees_noise)
    if state is None:
        return Status.NOISE
    evaluator = task.evaluator_at(state)

    def ahead() -> Cost:
        return task.optimizer.preview(evaluator, state.theta, state.evaluation.spread)

    if (limit := _limit(record, task, ahead)) is not None:
        return limit
    new, info = task.optimizer.step(evaluator, state)
    return replace(new, used=None), info


def _limit(record: Record, task: Task, ahead: Callable[[], Cost]) -> Status | None:
    """What forbids a step that takes what is `ahead`."""
    spent = record.state.cost
    if task.limits.took_all(len(record.infos), spent):
        return Status.MAX_STEPS
    if task.limits.budget.is_open:
        return None
    cost = ahead()
    return None if task.allows(spent, cost) else record.ended(Status.BUDGET, task.lacking(spent, cost))


def _next_stage(record: Record, task: Task) -> tuple[State, StepInfo] | Status:
    """The step into the next stage of a schedule, at whose start the optimizer begins anew where it stands."""
    state = replace(record.state, stage=record.state.stage + 1, best=None)
    evaluator = task.evaluator_at(state)

    def ahead() -> Cost:
        return task.optimizer.preview(evaluator, state.theta, None, first=True)

    if (limit := _limit(record, task, ahead)) is not None:
        return limit
    asked = Submissions.after(evaluator, state)
    fresh = task.optimizer.init(evaluator, state.theta, asked.next_seed())
    new = replace(state.continued(asked, replace(fresh, seed=state.seed)), best=None)
    note = f"began stage {state.stage + 1} of {len(task.evaluators)}"
    return new, described(
        new, state.evaluation, new.evaluation, asked, step_cost=new.cost - state.cost, length=0.0, note=note
    )


def _left(record: Record, task: Task, rest: Status) -> tuple[State, StepInfo] | Status:
    """The step away from where the run came to `rest`, if the energy is lower around; or why there is none."""
    state, limits, evaluator = record.state, task.limits, task.evaluator_at(record.state)
    if state.looked or state.ends_at is not None or rest is Status.MAX_STEPS:
        return rest
    if not limits.budget.is_open:
        looks = look_cost(evaluator, state.theta, state.evaluation.spread)
        ahead = looks + task.optimizer.preview(evaluator, state.theta, None, first=True)
        if not task.allows(state.cost, ahead):
            record.remark("the budget does not allow to look whether this is a minimum")
            return rest
    asked = Submissions.after(evaluator, state)
    way = way_down(asked, state.evaluation, limits.tol)
    if way is None:
        record.stay(replace(state.spent(asked), looked=True))
        return rest
    if limits.took_all(len(record.infos), state.cost):
        record.stay(state.spent(asked))
        return record.ended(Status.SADDLE, f"the energy falls by {way.decrease:.3g} {way.why}")
    return _moved(task.optimizer, asked, state, way)


def _moved(optimizer: Optimizer, asked: Submissions, state: State, way: WayDown) -> tuple[State, StepInfo]:
    """The step down a way that was found, at whose end the optimizer begins anew: one of the run like any other."""
    evaluator = asked.evaluator
    fresh = optimizer.init(evaluator, state.theta + way.shift, asked.next_seed())
    fresh = replace(fresh, seed=state.seed, looked=not evaluator.is_exact)
    new = state.continued(asked, fresh)
    slope = state.evaluation.gradient
    info = described(
        new,
        state.evaluation,
        new.evaluation,
        asked,
        step_cost=new.cost - state.cost,
        gradient_norm=np.nan if slope is None else float(np.linalg.norm(slope.value)),
        length=way.length,
        predicted_decrease=way.decrease,
        note=f"left a stationary point that is no minimum, {way.why}",
    )
    return new, info
