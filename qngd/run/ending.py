"""How a run ends: what it has reached as a result, and with `final_shots` the energy of one more measurement."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from qngd.cvar import CVaR
from qngd.errors import BackendError, StorageError, joined
from qngd.estimates.bit_strings import BitStrings
from qngd.estimates.estimate import Estimate
from qngd.estimates.evaluation import Cost
from qngd.estimates.prices import JobSizes, Prices
from qngd.evaluators.bit_strings import exact_bit_strings
from qngd.evaluators.exact import ExactEvaluator
from qngd.evaluators.forwarding import innermost
from qngd.evaluators.full_turns import wrapped_angles
from qngd.evaluators.light_cone import LightConeEvaluator
from qngd.evaluators.meter import OverBudget
from qngd.run.record import Record
from qngd.run.result import BROKEN_OFF, GO_ON, REMEDY, Result, Status
from qngd.run.task import Task
from qngd.solve.state import State

_OF_ONE_STEP = "its energy has the few shots of one step; final_shots measures the end with more"


def result_of(record: Record, status: Status, task: Task) -> Result:
    """What a run has reached, as its result with this status."""
    evaluator = task.evaluator_at(record.state)
    found = record.result(status, task.limits, evaluator.note)
    if not task.is_last_stage(record.state):
        found = replace(found, note=joined(found.note, _of_stage(task, record.state)))
    if task.wraps:
        theta = wrapped_angles(task.given, evaluator, found.state.lowest[0])
        found = replace(found, theta=task.given.shaped(theta))
    found = _with_mean(replace(found, bit_strings=_bit_strings(task, found.state)), _mean(task, found))
    found = replace(found, about=task.about, origin=task.identity)
    return replace(found, state=replace(found.state, problem=task.problem_of(found.state)))


def _of_stage(task: Task, state: State) -> str:
    """What is to be said of the energy of a run that ended on the way of a schedule."""
    target = task.given.target
    assert isinstance(target, CVaR)  # nothing else has stages
    alpha = f"{target.stages[state.stage]:g}"
    return f"it ended in stage {state.stage + 1} of {len(target.stages)}: its energy is the CVaR with alpha={alpha}"


def _mean(task: Task, found: Result) -> Estimate | None:
    """The mean energy where a run on a CVaR ended; None of others, whose energy it is."""
    evaluator, known = task.evaluator_at(found.state), found.state.evaluation.mean
    theta = found.state.lowest[0]
    if known is None or not evaluator.is_exact or np.array_equal(theta, found.state.theta):
        return known
    return evaluator.evaluate(theta, gradient=False, metric=None, seed=None).mean  # the lowest point is an earlier one


def _with_mean(found: Result, mean: Estimate | None) -> Result:
    if mean is None:
        return replace(found, mean=found.energy, mean_stderr=found.stderr)
    return replace(found, mean=float(mean.value), mean_stderr=float(mean.stderr))


def _bit_strings(task: Task, state: State) -> BitStrings | None:
    """What a diagonal observable's measurement gives where a run ended."""
    if state.evaluation.bit_strings is not None:
        return state.evaluation.bit_strings
    observable, engine = task.given.observable, innermost(task.evaluators[0])
    if observable is None or not isinstance(engine, (ExactEvaluator, LightConeEvaluator)):
        return None
    return exact_bit_strings(task.given.circuit, observable, state.lowest[0])


def finished(found: Result, task: Task) -> Result:
    """The result with what is measured at its end, and with what was sent from its last state on and gave nothing that
    is in it, because the run broke off."""
    found = _measured_again(found, task)
    sent = task.store.sent()
    if not sent.jobs:
        return found
    found = _with_cost(found, _priced(sent, found.cost, task.limits.budget.table))
    note = f"{sent} of its cost were sent where it broke off; the same call with this run_dir collects what they give"
    return _with_note(found, note)


def _priced(sent: Cost, before: Cost, prices: Prices) -> Cost:
    """What was sent with its money, as if its jobs were alike, and its seconds, by those that shots took before."""
    seconds = None if before.seconds is None else before.seconds * sent.shots / max(before.shots, 1)
    if not sent.circuits:  # of jobs that failed
        return replace(sent, seconds=seconds, money=0.0)
    each = np.full(sent.jobs, 1 / sent.jobs)
    sizes = JobSizes(sent.circuits * each, sent.shots * each, None if seconds is None else seconds * each)
    return replace(sent, seconds=seconds, money=prices.of(sizes))


def _measured_again(found: Result, task: Task) -> Result:
    """The result of a run with the energy that `final_shots` show where it ended; as it was found where none were asked
    for, or nothing more can be sent."""
    if task.final is None:
        few = task.ends_with_few_shots and found.stderr > 0 and found.status not in BROKEN_OFF
        return _with_note(found, _OF_ONE_STEP) if few else found
    state, paid = found.state, _with_cost(found, task.final.paid)
    if found.status in BROKEN_OFF:
        return _with_note(paid, "its end was not measured with final_shots")
    with task.ending(state.cost) as meter:
        try:
            seen = task.final.measured(state, state.lowest[0], task.problem_of(state), task.seed)
        except (KeyboardInterrupt, BackendError, StorageError, OverBudget) as error:
            # what a log holds of it is found again
            sent = meter.spent - meter.logged - task.before_this - state.cost
            return _not_measured(task, _with_cost(paid, sent), error)
    found = _with_cost(found, seen.cost)
    if task.evaluators[0].epoch > 1:
        found = _with_note(found, "the energy at the end, by final_shots, is that of all samples")
    if not seen.is_finite:
        return _with_note(found, "the energy that final_shots measured is NaN or infinite")
    energy, stderr = float(seen.energy.value), float(seen.energy.stderr)
    return _with_mean(replace(found, energy=energy, stderr=stderr, bit_strings=seen.bit_strings), seen.mean)


def _with_cost(found: Result, more: Cost) -> Result:
    """The result with what the ends of its run have taken, also for a run that goes on from it."""
    cost = found.cost + more
    return replace(found, cost=cost, state=replace(found.state, cost=cost))


def _with_note(found: Result, note: str) -> Result:
    return replace(found, note=joined(found.note, note))


def _no_room(task: Task, found: Result, error: OverBudget) -> str:
    """That the budget does not allow what the end takes, for which it had kept less: a provider has reported more than
    was estimated before the run had sent anything."""
    assert task.final is not None
    lacking = task.limits.budget.lacking(error.spent, error.ahead)
    return (
        f"the measurement of the end with final_shots={task.final.shots} would exceed the budget "
        f"({found.cost.in_short} spent): it takes {lacking}; raise it and {GO_ON}"
    )


def _not_measured(task: Task, found: Result, error: BaseException) -> Result:
    if isinstance(error, OverBudget):
        status, message = Status.BUDGET, _no_room(task, found, error)
    else:
        status = Status.INTERRUPTED if isinstance(error, KeyboardInterrupt) else Status.FAILED
        message = REMEDY[status].format(failure=f"final_shots: {error}", cost=found.cost.in_short)
    return _with_note(replace(found, status=status, message=message), "its end was not measured with final_shots")
