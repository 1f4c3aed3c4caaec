"""How a run with `final_shots` ends: its result with the energy of one more measurement."""

from __future__ import annotations

from dataclasses import replace

from qngd.errors import BackendError, StorageError, joined
from qngd.estimates.evaluation import Cost
from qngd.evaluators.meter import OverBudget
from qngd.run.result import REMEDY, Result, Status
from qngd.run.task import Task

_UNFINISHED = (Status.FAILED, Status.INTERRUPTED)  # nothing more is sent


def measured_again(found: Result, task: Task) -> Result:
    """The result of a run with the energy that `final_shots` show where it ended; as it was found where none were asked
    for, or nothing more can be sent."""
    if task.final is None:
        return found
    state, paid = found.state, _with_cost(found, task.final.paid)
    if found.status in _UNFINISHED:
        return _with_note(paid, "its end was not measured with final_shots")
    with task.ending(state.cost):
        try:
            seen = task.final.measured(state, state.lowest[0], task.problem_of(state), task.seed)
        except KeyboardInterrupt:
            return _not_measured(paid, Status.INTERRUPTED, "")
        except (BackendError, StorageError, OverBudget) as error:
            return _not_measured(paid, Status.FAILED, f"{error}")
    found = _with_cost(found, seen.cost)
    if not seen.is_finite:
        return _with_note(found, "the energy that final_shots measured is NaN or infinite")
    mean = seen.energy if seen.mean is None else seen.mean
    return replace(
        found,
        energy=float(seen.energy.value),
        stderr=float(seen.energy.stderr),
        mean=float(mean.value),
        bit_strings=seen.bit_strings,
    )


def _with_cost(found: Result, more: Cost) -> Result:
    """The result with what the ends of its run have taken, also for a run that goes on from it."""
    cost = found.cost + more
    return replace(found, cost=cost, state=replace(found.state, cost=cost))


def _with_note(found: Result, note: str) -> Result:
    return replace(found, note=joined(found.note, note))


def _not_measured(found: Result, status: Status, failure: str) -> Result:
    message = REMEDY[status].format(failure=f"final_shots: {failure}", cost=replace(found.cost, depth=0))
    return _with_note(replace(found, status=status, message=message), "its end was not measured with final_shots")
