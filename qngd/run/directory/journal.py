"""The store of a run in a directory."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from qngd.errors import QngdWarning, SettingError, StorageError
from qngd.estimates.evaluation import Cost
from qngd.run.directory.clock import now
from qngd.run.directory.database import Database, Writing, make_folder
from qngd.run.directory.encoding import as_json, as_row, from_json, info_from, packed, unpacked
from qngd.run.directory.jobs import StoredJobs
from qngd.run.directory.lock import Lock
from qngd.run.directory.machine import host, versions
from qngd.run.directory.older import FIRST, Older, read_older
from qngd.run.directory.problems import problem_to
from qngd.run.directory.schema import NAME
from qngd.run.directory.states import arrays_of, state_from
from qngd.run.directory.trouble import damaged, told
from qngd.run.identity import RunIdentity
from qngd.run.store import Stored
from qngd.solve.state import State, StepInfo

_END = "final.npz"  # of before format 2
_WHOLE = 1 << 20  # bytes up to which the state after every step is kept, and not the last one's alone


class Journal:
    """The store of one run in `directory`, which is made when it is resumed."""

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self.directory = Path(directory)
        self.jobs = StoredJobs(str(directory))
        self._lock = Lock(self.directory)
        self._database: Database | None = None
        self._session = 0
        self._last: tuple[int, int] | None = None  # row and size of the last state
        self._seed: int | None = None

    def resume(self, identity: RunIdentity) -> Stored | None:
        traits = identity.traits  # before anything is made
        with told(self.directory, "write to"):
            make_folder(self.directory)
            self._lock.take()
        try:
            is_older = not (self.directory / NAME).exists() and (self.directory / FIRST).exists()
            older = read_older(self.directory, identity) if is_older else None
            self._database = Database.to_write(self.directory)
            known = {row["field"]: (row["value"], row["shown"]) for row in self._file.rows("identity")}
            if known:
                self._check_same_run(identity, known)
            with self._writing(jobs=False) as change:
                if not known:
                    for trait in traits:
                        change.add("identity", field=trait.field, value=trait.value, shown=trait.shown)
                    self._begin_file(change, identity)
                    if older is not None:
                        self._take_over(change, identity, older)
                if (end := self._older_end()) is not None:
                    change.add("ends", key=end[0], data=end[1], measured="")
                self._begin_session(change, identity)
            stored = self._load()
            self.jobs.resume(self._file, -1 if stored is None else stored.state.step)
        except BaseException:
            self.close()
            raise
        return stored

    def _take_over(self, change: Writing, identity: RunIdentity, older: Older) -> None:
        """Take a run of qngd 0.1 over."""
        change.add("about", name="converted from", value=as_json("the files of qngd 0.1 beside this one"))
        if older.state is not None and older.start is not None:
            start = older.state.step - len(older.infos)
            self._add_step(change, start, identity.given.theta, older.start)
            for info in older.infos:
                self._add_step(change, info.step, info.theta, as_row(info))
            self._add_state(change, older.state)
        of: dict[tuple[int, str], int] = {}
        for job in older.jobs:
            key = job["step"], job["submission"].partition(": ")[0]  # the hash; then stood how it was divided
            if key not in of:
                of[key] = change.add("submissions", step=key[0], submission=key[1], backend=job["backend"], tag="")
            change.add("jobs", of=of[key], place=job["place"], job=job["job"], sent=job.get("sent"))

    def _check_same_run(self, identity: RunIdentity, known: dict[str, tuple[str, str]]) -> None:
        if found := identity.differences(known):
            raise SettingError(
                f"run_dir: {self.directory} holds another run: {'; '.join(found)}. Give another directory, or what it "
                "was begun with; or delete it to start anew"
            )
        before, after = from_json(self._file.rows("sessions")[-1]["versions"]), versions()
        changed = [
            f"{name} {before[name]} → {after[name]}" for name in before if after.get(name, before[name]) != before[name]
        ]
        if changed:
            warnings.warn(
                f"run_dir: {self.directory} goes on with other versions than before ({', '.join(changed)}); its last "
                "digits may be others than those of a run without interruption",
                QngdWarning,
                stacklevel=2,
            )

    def _begin_file(self, change: Writing, identity: RunIdentity) -> None:
        self._seed = int(np.random.SeedSequence().entropy)  # type: ignore[arg-type]
        problem = problem_to(identity.given)
        counts = {"identity": len(identity.traits), "problem": len(problem)}
        for name, value in {**identity.about, "made": now(), "seed drawn": str(self._seed), "rows": counts}.items():
            change.add("about", name=name, value=as_json(value))
        for name, data in problem.items():
            change.add("problem", name=name, data=data)

    def _begin_session(self, change: Writing, identity: RunIdentity) -> None:
        self._session = change.add(
            "sessions",
            began=now(),
            host=host(),
            pid=os.getpid(),
            versions=as_json(versions()),
            asked=as_json(dict(identity.asked)),
            status="running",
        )

    def _load(self) -> Stored | None:
        about = {row["name"]: from_json(row["value"]) for row in self._file.rows("about")}
        self._seed = int(about["seed drawn"])
        states = self._file.rows("states")
        if not states:
            return None
        self._last = (states[-1]["row"], len(states[-1]["data"]))
        with readable(self._file.path):
            state = state_from(unpacked(states[-1]["data"]))
            start, *steps = [from_json(row["info"]) for row in self._file.rows("steps")]
            infos = [info_from(row) for row in steps]
        if infos and infos[-1].step != state.step:
            raise damaged(self._file.path, f"the state is of step {state.step}, the last step is {infos[-1].step}")
        return Stored(state, (start["energy"], start["stderr"]), infos)

    def seed(self, given: int | None) -> int | None:
        return self._seed if given is None else given

    def begin(self, state: State) -> None:
        energy = state.evaluation.energy
        start = {"energy": float(energy.value), "stderr": float(energy.stderr)}
        with self._writing() as change:
            self._add_step(change, state.step, state.theta, start)
            self._add_state(change, state)

    def add(self, state: State, info: StepInfo) -> None:
        with self._writing() as change:
            self._add_step(change, state.step, state.theta, as_row(replace(info, theta=state.theta)))
            if self._last is not None and self._last[1] > _WHOLE:
                change.remove("states", self._last[0])
            self._add_state(change, state)

    def keep(self, state: State, counts: bool) -> None:
        with self._writing() as change:
            if counts:
                self.jobs.settle(change)
            if self._last is not None:
                change.remove("states", self._last[0])
            self._add_state(change, state)

    def sent(self) -> Cost:
        if self._database is None:
            return Cost()
        with suppress(StorageError):  # which was said elsewhere
            return self.jobs.sent()
        return Cost()

    def end_at(self, key: str | None = None) -> bytes | None:
        if self._database is not None:
            rows = self._file.rows("ends")
        elif (self.directory / NAME).exists():  # of another run of a batch, before it is gone on with
            database = Database.to_read(self.directory / NAME)
            rows = database.rows("ends")
            database.close()
        else:
            rows = []
        found = [row["data"] for row in rows if key in (None, row["key"])]
        return found[-1] if found else None

    def begin_end(self) -> None:
        self.jobs.begin_end()

    def keep_end(self, key: str, data: bytes) -> None:
        with self._writing() as change:
            self.jobs.settle_end(change)
            change.add("ends", key=key, data=data, measured=now())

    def _older_end(self) -> tuple[str, bytes] | None:
        """Key and archive of an end that a file of its own holds, as of before format 2, where none is in the store."""
        path = self.directory / _END
        if not path.exists() or self._file.rows("ends"):
            return None
        with told(path, "read"):
            data = path.read_bytes()
        with readable(path):
            return str(unpacked(data)["key"]), data

    def copy(self, first: int, theta0: np.ndarray, start: dict[str, float], infos: list[StepInfo], last: State) -> None:
        """Store a whole run: where it began, its steps, their θ flat, and the state that they led to."""
        with self._writing() as change:
            self._add_step(change, first, theta0, start)
            for info in infos:
                self._add_step(change, info.step, info.theta, as_row(info))
            self._add_state(change, last)

    def _add_step(self, change: Writing, step: int, theta: np.ndarray, info: dict[str, Any]) -> None:
        change.add(
            "steps",
            step=step,
            energy=_number(info["energy"]),
            stderr=_number(info["stderr"]),
            theta=np.asarray(theta, dtype="<f8").tobytes(),
            info=as_json(info),
        )

    def _add_state(self, change: Writing, state: State) -> None:
        data = packed(arrays_of(state))
        row = change.add("states", step=state.step, data=data)
        change.then(self._took, row, len(data), state.step)

    def _took(self, row: int, size: int, step: int) -> None:
        self._last = (row, size)
        self.jobs.begin_step(step)

    @contextmanager
    def _writing(self, jobs: bool = True) -> Iterator[Writing]:
        """A change, with what could not be written of the jobs before."""
        try:
            with self._file.writing() as change:
                if jobs:
                    self.jobs.write_missing(change)
                yield change
        except StorageError as error:
            raise StorageError(f"{error}{self.jobs.missing}") from error

    def end(self, status: str, message: str, note: str) -> None:
        if self._database is None:
            return
        said = {"status": status, "message": _text(message), "note": _text(note)}
        with suppress(StorageError), self._writing() as change:
            change.change("sessions", self._session, **said, ended=now())

    def close(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None
        self._lock.release()

    @property
    def _file(self) -> Database:
        assert self._database is not None, "resume comes first"
        return self._database


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """While reading what stands in rows: what is none of ours becomes a StorageError that says so."""
    try:
        yield
    except (ValueError, KeyError, TypeError, EOFError, AttributeError, BadZipFile) as error:
        raise StorageError(
            f"run_dir: {path} holds what this version of qngd cannot read ({type(error).__name__}: {error}); give "
            "another directory, or the version that wrote it (qngd show says which)"
        ) from error


def _number(value: float) -> float | None:
    """A number as SQLite has it: there is no NaN."""
    return float(value) if np.isfinite(value) else None


def _text(text: str) -> str:
    """Text that can be written whatever a provider put into it."""
    return text.encode(errors="backslashreplace").decode()
