"""A result written into a directory, as if it had been kept there from the start."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from qngd.errors import SettingError, StorageError
from qngd.evaluators.given import AnyGiven
from qngd.evaluators.objectives.given import GivenObjective
from qngd.run.directory.journal import Journal
from qngd.run.directory.paths import as_folder
from qngd.run.directory.schema import NAME
from qngd.solve.state import StepInfo

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
        first = result.infos[0].step - 1 if result.infos else result.state.step
        start = {"energy": float(result.history[0]), "stderr": float(result.history_stderr[0])}
        journal.copy(first, identity.given.theta, start, _flat(result, identity.given), result.state)
        journal.end(str(result.status), result.message, result.note)
    finally:
        journal.close()


def _flat(result: Result, given: AnyGiven) -> list[StepInfo]:
    """The steps with their θ flat."""
    structure = given.model.structure if isinstance(given, GivenObjective) else given.circuit
    return [replace(info, theta=structure.flatten(info.theta)) for info in result.infos]
