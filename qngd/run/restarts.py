"""Several runs of one problem from different starts: the best is the result, and holds them all.

The first goes from the given start, each other one from random parameters as `qngd.start.uniform` draws them, one after
another. They share the budget. A run that was stopped from outside, or for which nothing is left to spend, ends them
all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from qngd._system.interrupts import Terminated
from qngd.errors import BackendError, SettingError, StorageError, counted, joined
from qngd.estimates.evaluation import Cost
from qngd.evaluators.objectives.given import AnyGiven
from qngd.run.directory.paths import as_folder, holds_run
from qngd.run.result import REMEDY, Result, Status
from qngd.run.task import Task

ENDING = (Status.TARGET, Status.BUDGET, Status.STOPPED, Status.INTERRUPTED, Status.FAILED)

Reader = Callable[[Any, int | None, Any, Cost], Task]  # of start, seed, run_dir, what earlier starts have spent


def best_of(count: int, read: Reader, seed: int | None, run_dir: Any, run: Callable[[Task], Result]) -> Result:
    """The best of `count` runs, with the cost of all.

    Args:
        count: at least 2.
        read: makes the task of a run from a start, θ in the user's structure, or None for the one that was given.
        seed: of the starts and the runs. Without one the starts are always the same, so that runs on disk are found.
        run_dir: run number k is kept in its folder start-k.
        run: carries out a task.

    Raises:
        SettingError: `run_dir` holds a single run. And what the first task raises.
    """
    results: list[Result] = []
    first = read(None, seed, _folder(run_dir, 0), Cost())
    for number in range(count):
        spent = _spent(results)
        task = first if number == 0 else _another(first.given, number, seed, read, run_dir, spent)
        if number > 0 and not affordable(task):
            return _best(results, count, Status.BUDGET)
        try:
            results.append(run(task))
        except Terminated as error:
            results += [error.result] if isinstance(error.result, Result) else []
            error.result = _best(results, count, Status.INTERRUPTED) if results else None
            raise
        except (KeyboardInterrupt, BackendError, StorageError) as error:
            if not results:
                raise
            return _best(results, count, *_ended(error))
        except BaseException as error:
            if isinstance(found := getattr(error, "result", None), Result):
                error.result = _best([*results, found], count)  # type: ignore[attr-defined]
            raise
        if results[-1].status in ENDING:
            break
    return _best(results, count)


def _another(given: AnyGiven, number: int, seed: int | None, read: Reader, run_dir: Any, spent: Cost) -> Task:
    """The task of a run from another start."""
    of_start, of_run = np.random.SeedSequence(seed or 0, spawn_key=(number,)).generate_state(2).tolist()
    flat = np.random.default_rng(of_start).uniform(-np.pi, np.pi, len(given.theta))
    return read(given.shaped(flat), None if seed is None else of_run, _folder(run_dir, number), spent)


def _folder(run_dir: Any, number: int) -> Any:
    if run_dir is None:
        return None
    folder = as_folder(run_dir)
    if holds_run(folder):
        raise SettingError(
            f"run_dir: {folder} holds a single run, made without restarts; give another directory, or leave "
            "restarts out to resume it"
        )
    return folder / f"start-{number}"


def affordable(task: Task) -> bool:
    """Whether the budget allows the evaluation that a new run of it begins with."""
    ahead = task.optimizer.preview(task.evaluators[0], task.given.theta, None, first=True)
    return task.allows(Cost(), ahead)


def _spent(results: list[Result]) -> Cost:
    return sum((result.cost for result in results), Cost())


def _ended(error: BaseException) -> tuple[Status, str]:
    if isinstance(error, KeyboardInterrupt):
        return Status.INTERRUPTED, ""
    return Status.FAILED, f"the backend failed: {error}" if isinstance(error, BackendError) else f"{error}"


def _best(results: list[Result], count: int, ended: Status | None = None, failure: str = "") -> Result:
    """The lowest of the runs, errors considered, as the result of all of them."""
    chosen = min(results, key=_height)
    last = results[-1]
    status, message = chosen.status, chosen.message
    if ended is not None:
        status, message = ended, REMEDY[ended].format(cost=_spent(results), failure=failure)
    elif last.status in ENDING:
        status, message = last.status, last.message
    note = f"the best of {counted(len(results), 'start')}, number {results.index(chosen)}"
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


def _height(result: Result) -> float:
    height = result.energy + result.stderr
    return height if np.isfinite(height) else np.inf
