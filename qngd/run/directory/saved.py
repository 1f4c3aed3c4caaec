"""A result written into a directory, as if it had been kept there from the start."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from qngd.errors import SettingError, StorageError
from qngd.evaluators.objectives.given import GivenObjective
from qngd.run.directory.encoding import row_of
from qngd.run.directory.journal import Journal
from qngd.run.directory.paths import as_folder
from qngd.run.directory.schema import NAME
from qngd.solve.state import State

if TYPE_CHECKING:
    from qngd.run.result import Result


def save(result: Result, directory: str | os.PathLike[str]) -> None:
    """Write a result into a directory, which is made; `qngd.load` reads it. One with restarts goes into the folders
    start-0, start-1, … inside, as a `run_dir` does.

    Raises:
        SettingError: a run is there already, or this result was not made by `minimize`.
        StorageError: it cannot be written.
    """
    folder = as_folder(directory)
    if result.restarts:
        for number, each in enumerate(result.restarts):
            save(each, folder / f"start-{number}")
        return
    if result.origin is None:
        raise SettingError("save: this result was not made by qngd.minimize")
    if (folder / NAME).exists():
        raise SettingError(f"save: {folder} holds a run already; give another directory")
    _write(result, folder)


def _write(result: Result, folder: Path) -> None:
    identity = result.origin
    assert identity is not None
    journal = Journal(folder)
    try:
        if journal.resume(identity) is not None:
            raise StorageError(f"save: {folder} holds a run already")
        journal.copy(_steps(result, identity.given), result.state)
        journal.end(str(result.status), result.message, result.note)
    finally:
        journal.close()


def _steps(result: Result, given: Any) -> list[tuple[State, dict[str, Any]]]:
    """Every row of the steps with a state at its θ; of the state no more is asked."""
    structure = given.model.structure if isinstance(given, GivenObjective) else given.circuit
    first = result.infos[0].step - 1 if result.infos else result.state.step
    start = {"energy": float(result.history[0]), "stderr": float(result.history_stderr[0])}
    rows = [(_at(result.state, first, given.theta), start)]
    for info in result.infos:
        state = _at(result.state, info.step, structure.flatten(info.theta))
        rows.append((state, row_of(info, state)))
    return rows


def _at(state: State, step: int, theta: np.ndarray) -> State:
    return replace(state, step=step, evaluation=replace(state.evaluation, theta=theta))
