"""Several runs of one problem from different starts: the best is the result, and holds them all.

The first goes from the given start, each other one from random parameters as `qngd.start.uniform` draws them, within
the bounds, one after another. They share the budget: where it decides how many steps there are, each has an equal part
of what those before it have left. A run that was stopped from outside, or for which nothing is left to spend, ends them
all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from qngd._system.interrupts import Terminated
from qngd._system.progress import part_of_call
from qngd.errors import BackendError, SettingError, StorageError, counted, joined
from qngd.estimates.evaluation import Cost
from qngd.evaluators.base import Evaluator
from qngd.run.directory.paths import as_folder, holds_run
from qngd.run.result import OUT_OF_BUDGET, REMEDY, Result, Status, ended_by, of_start
from qngd.run.task import Task

ENDING = (Status.TARGET, Status.BUDGET, Status.STOPPED, Status.INTERRUPTED, Status.FAILED)

_LAST = 5  # energies of a run by which it is compared with others
_BEYOND_DOUBT = 3.0  # standard errors

_NO_ROOM = "the budget has no room for {}{}"

Reader = Callable[[Any, int | None, Any, Cost], Task]  # of start, seed, run_dir, what earlier starts have spent


def best_of(
    count: int, read: Reader, seed: int | None, run_dir: Any, run: Callable[[Task], Result], later: int = 0
) -> Result:
    """The best of `count` runs, with the cost of all.

    Args:
        count: at least 2.
        read: makes the task of a run from a start, θ in the user's structure, or None for the one that was given.
        seed: of the starts and the runs. Without one the starts are always the same, so that runs on disk are found.
        run_dir: run number k is kept in its folder start-k.
        run: carries out a task.
        later: other runs after these, for which they leave a part of the budget each.

    Raises:
        SettingError: `run_dir` holds a single run. And what the first task raises.
    """
    results: list[Result] = []
    first = read(None, seed, _folder(run_dir, 0), Cost())
    best = partial(_best, count=count, by=Rivals(first))
    for number in range(count):
        spent = _spent(results)
        task = first if number == 0 else _another(first, number, seed, read, run_dir, spent)
        if number > 0 and not task.can_begin(steps := int(task.shares_budget)):
            return best(results, ended=Status.BUDGET, failure=_NO_ROOM.format(_name(number), task.lacking_for(steps)))
        task = task.with_part(count - number + later)
        try:
            with part_of_call(_name(number)):
                results.append(run(task))
        except Terminated as error:
            results += [error.result] if isinstance(error.result, Result) else []
            error.result = best(results, ended=Status.INTERRUPTED) if results else None
            raise
        except (KeyboardInterrupt, BackendError, StorageError) as error:
            if not results:
                raise
            ended, failure = ended_by(error)
            return best(results, ended=ended, failure=failure)
        except BaseException as error:
            if isinstance(found := getattr(error, "result", None), Result):
                error.result = best([*results, found])  # type: ignore[attr-defined]
            raise
        if ends_all(results[-1], task):
            break
    return best(results)


def ends_all(result: Result, task: Task) -> bool:
    """Whether no other run follows: this one was stopped, or has spent what there was. Where it had a part of that,
    what is left says whether another one can begin."""
    return result.status in ENDING and not (result.status is Status.BUDGET and task.shares_budget)


def _another(first: Task, number: int, seed: int | None, read: Reader, run_dir: Any, spent: Cost) -> Task:
    """The task of a run from another start."""
    given = first.given
    of_start, of_run = np.random.SeedSequence(seed or 0, spawn_key=(number,)).generate_state(2).tolist()
    flat = np.random.default_rng(of_start).uniform(*_reach(first.evaluators[0], len(given.theta)))
    return read(given.shaped(flat), None if seed is None else of_run, _folder(run_dir, number), spent)


def _reach(evaluator: Evaluator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """From where to where starts are drawn (P,): a full turn, or as much of the bounds, where there are any."""
    low, high = np.full(count, -np.pi), np.full(count, np.pi)
    if evaluator.box is None:
        return low, high
    least, most = evaluator.box
    above, below = least >= high, most <= low  # bounds that hold nothing of that turn
    low = np.where(below, np.maximum(least, most - 2 * np.pi), np.maximum(low, least))
    return low, np.where(above, np.minimum(most, least + 2 * np.pi), np.minimum(high, most))


def _folder(run_dir: Any, number: int) -> Any:
    if run_dir is None:
        return None
    folder = as_folder(run_dir)
    if holds_run(folder):
        raise SettingError(
            f"run_dir: {folder} holds a single run, made without restarts; give another directory, or leave "
            "restarts out to resume it"
        )
    return folder / _name(number)


def _name(number: int) -> str:
    return f"start-{number}"


def _spent(results: list[Result]) -> Cost:
    return sum((result.cost for result in results), Cost())


def _best(results: list[Result], *, count: int, by: Rivals, ended: Status | None = None, failure: str = "") -> Result:
    """The best of the runs as the result of all of them."""
    chosen = by.best(results)
    last = results[-1]
    status, message = chosen.status, chosen.message
    if ended is not None:
        text = OUT_OF_BUDGET if ended is Status.BUDGET else REMEDY[ended]
        status, message = ended, text.format(cost=_spent(results).in_short, failure=failure)
    elif last.status in ENDING:
        status = last.status
        message = of_start(_name(len(results) - 1), last.message, last is chosen) if len(results) > 1 else last.message
    note = f"the best of {counted(len(results), 'start')}, number {results.index(chosen)}"
    if by.epoch > 1:
        note += ", by the loss of all samples"
    if len(results) < count:
        note += f"; {count - len(results)} more were not tried"
    return replace(
        chosen,
        status=status,
        message=message,
        cost=_spent(results),
        restarts=tuple(results),
        note=joined(chosen.note, note),
    )


class Rivals:
    """By what the runs of a task from several starts are compared: energies that mean the same."""

    def __init__(self, task: Task) -> None:
        self.epoch = task.epoch
        self._evaluator = task.evaluators[0]
        self._has_stages = len(task.evaluators) > 1

    def best(self, results: list[Result]) -> Result:
        """The lowest of the runs, errors considered."""
        if self.epoch > 1:
            return min(results, key=self._of_all)
        if self._has_stages:  # the earlier the stage, the lower its CVaR: only those that came furthest compare
            last = max(result.state.stage for result in results)
            return lowest_of([result for result in results if result.state.stage == last], 1)
        return lowest_of(results, _LAST)

    def _of_all(self, result: Result) -> float:
        """The loss of all samples where a run on mini-batches ended: that of one batch is low by luck. From shots it is
        the mean of the last ones that make up all, which are measured already."""
        whole = self._evaluator.of_all()
        if whole.is_exact:
            return _finite(float(whole.evaluate(result.state.lowest[0], gradient=False).energy.value))
        return _finite(float(np.mean(result.history[-self.epoch :])))


def lowest_of(results: list[Result], count: int) -> Result:
    """The run whose last `count` energies have the lowest mean; or one whose end is lower than that of this one by more
    than noise.

    The last energies of a run with shots are of points close together, and their errors are independent, so their mean
    tells more than the last one, also of where a run stands that a budget has ended. A choice by the ends alone would
    be one of lucky ends, and the energy that is returned too low; by that mean it does not depend on the measurement by
    `final_shots`, unless that leaves no doubt.
    """
    chosen = min(results, key=partial(_height, count=count))
    rival = min(results, key=lambda result: _finite(result.energy))
    errors = np.hypot(chosen.stderr, rival.stderr)
    is_lower = _finite(rival.energy) < _finite(chosen.energy) - _BEYOND_DOUBT * errors
    return rival if is_lower else chosen


def _height(result: Result, count: int) -> float:
    """The mean of a run's last energies, each with the weight of its error; an exact one is that of its end."""
    last = [info for info in result.infos if info.accepted][-count:] if count > 1 else []
    if not last or not result.stderr > 0 or not all(0 < info.stderr < np.inf for info in last):
        return _finite(result.energy + (0.0 if np.isnan(result.stderr) else result.stderr))
    weights = np.array([info.stderr**-2.0 for info in last])
    return _finite(float(weights @ [info.energy for info in last] / weights.sum()))


def _finite(height: float) -> float:
    return height if np.isfinite(height) else np.inf
