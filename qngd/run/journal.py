"""A run on disk: what it was started with, every step as a row, and the state it would go on from.

    run_dir/run.json      what was run: a fingerprint, the optimizer's settings, names
    run_dir/steps.jsonl   the energy at the start, then one row a step, appended
    run_dir/state.npz     the state after the last step, replaced atomically
    run_dir/jobs.jsonl    the ids of jobs at a provider, see `job_log`

A row is written before the state, so after a crash in between the surplus row is dropped: nothing that was
paid for and reached is lost, and the run continues to the same digits.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from qngd.errors import SettingError, StorageError
from qngd.evaluators.job_log import JobLog
from qngd.run.encoding import arrays_of, as_line, from_line, info_from, row_of, state_from
from qngd.run.identity import RunIdentity
from qngd.run.store import Stored
from qngd.solve.state import State, StepInfo


class Journal:
    """The store of one run in `directory`, which is made when it is resumed."""

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self.directory = Path(directory)
        self.jobs = JobLog(self.directory / "jobs.jsonl")

    def resume(self, identity: RunIdentity) -> Stored | None:
        """What is stored of this run; None for a new one.

        Raises:
            SettingError: the directory holds another run.
            StorageError: it cannot be written to, or a file in it is none of ours.
        """
        with writable(self.directory):
            self.directory.mkdir(parents=True, exist_ok=True)
            self._check_same_run(identity)
        return self._load()

    def _check_same_run(self, identity: RunIdentity) -> None:
        path = self.directory / "run.json"
        if not path.exists():
            replace_file(path, json.dumps({"fingerprint": identity.key, **identity.about}, indent=1).encode())
            return
        with readable(path):
            known = dict(json.loads(path.read_text(encoding="utf-8")))
        if known.get("fingerprint") != identity.key:
            raise SettingError(
                f"run_dir: {self.directory} holds a run of another circuit, observable, start, optimizer, "
                "backend or seed; give another directory, or delete this one to start anew"
            )

    def _load(self) -> Stored | None:
        path = self.directory / "state.npz"
        if not path.exists():
            self.jobs.resume(-1)
            return None
        with readable(path), np.load(path) as arrays:
            state = state_from(dict(arrays))
        with readable(self.jobs.path):
            self.jobs.resume(state.step)
        with readable(self.directory / "steps.jsonl"):
            start, *steps = self._rows()
            steps = [row for row in steps if row["step"] <= state.step]
            found = Stored(state, (start["energy"], start["stderr"]), [info_from(row) for row in steps])
        self._rewrite([start, *steps])
        return found

    def _rows(self) -> list[dict[str, Any]]:
        path = self.directory / "steps.jsonl"
        if not path.exists():
            return []
        complete = path.read_text(encoding="utf-8").split("\n")[:-1]  # a crash may cut the last line short
        return [from_line(line) for line in complete]

    def begin(self, state: State) -> None:
        """Store the state after the first evaluation; the first row is the start."""
        energy = state.evaluation.energy
        self._rewrite([{"energy": float(energy.value), "stderr": float(energy.stderr)}])
        self.keep(state)

    def add(self, state: State, info: StepInfo) -> None:
        """Append a step and store the state it led to."""
        path = self.directory / "steps.jsonl"
        with writable(self.directory), path.open("a", encoding="utf-8") as file:
            file.write(as_line(row_of(info, state)))
            file.flush()
            os.fsync(file.fileno())
        self.keep(state)

    def _rewrite(self, rows: list[dict[str, Any]]) -> None:
        """Put `rows` in place of all rows of the file: those after the stored state are what a crash left behind."""
        with writable(self.directory):
            replace_file(self.directory / "steps.jsonl", "".join(map(as_line, rows)).encode())

    def keep(self, state: State) -> None:
        """Store the state; alone where a step has only made it costlier."""
        path = self.directory / "state.npz"
        partial = path.with_suffix(".partial.npz")
        with writable(self.directory):
            np.savez(partial, **arrays_of(state))
            os.replace(partial, path)
        self.jobs.begin_step(state.step)


@contextmanager
def writable(directory: Path) -> Iterator[None]:
    """While writing: a full disk, or a folder that is none, becomes a StorageError that says so."""
    try:
        yield
    except StorageError:
        raise
    except OSError as error:
        raise StorageError(f"run_dir: cannot write to {directory}: {error.strerror or error}") from error


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """While reading: what is no file of ours becomes a StorageError that says so."""
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile) as error:
        raise StorageError(
            f"run_dir: {path} cannot be read ({type(error).__name__}: {error}); give another directory, or delete "
            "this one to start anew"
        ) from error


def replace_file(path: Path, content: bytes) -> None:
    """Put this content into the file, as a whole or not at all."""
    partial = path.with_suffix(path.suffix + ".partial")
    partial.write_bytes(content)
    os.replace(partial, path)
