"""The jobs of a run in its file."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

from qngd.errors import QngdWarning, StorageError
from qngd.estimates.evaluation import Cost
from qngd.evaluators.job_log import Note, Sent
from qngd.evaluators.job_parts import size_of
from qngd.measured.outcomes import Outcome
from qngd.run.directory.clock import now
from qngd.run.directory.database import Database, Writing
from qngd.run.directory.encoding import outcomes_from, outcomes_to


class _Unwritten(NamedTuple):
    """What could not be written yet."""

    table: str
    values: dict[str, Any]
    text: str


class StoredJobs:
    """The `JobLog` of a run in `directory`. It is of use once the store has opened its file."""

    def __init__(self, directory: str) -> None:
        self.anew = f"write qngd.load({directory!r}).forget_jobs()"
        self.step = -1
        self._database: Database | None = None
        self._open: dict[str, list[int]] = {}
        self._row: dict[str, int] = {}
        self._unwritten: list[_Unwritten] = []

    def resume(self, database: Database, step: int) -> None:
        """Go on in this file from the state after this step, −1 before the first: what was sent from there can be
        taken."""
        self._database, self.step = database, step
        self._open, self._row = {}, {}
        for row in database.rows("submissions", "step = ? AND dropped IS NULL", step):
            self._open.setdefault(row["submission"], []).append(row["row"])

    def begin_step(self, step: int) -> None:
        """Submissions start from the state after this step from now on."""
        if step != self.step:
            self.step, self._open, self._row = step, {}, {}

    def settle(self, change: Writing) -> None:
        """All that was sent from this step on is in what is written with this change: nothing of it is taken again."""
        for row in self._file.rows("submissions", "step = ? AND dropped IS NULL", self.step):
            change.change("submissions", row["row"], dropped=now())
        change.then(self._open.clear)

    def begin_end(self) -> None:
        """Submissions are for an end from now on."""
        self._row = {}

    def settle_end(self, change: Writing) -> None:
        """What was sent for an end is in what is written with this change."""
        for row in self._row.values():
            change.change("submissions", row, dropped=now())

    def sent(self) -> Cost:
        """What was sent from this step on, and is in the cost of no state yet."""
        return sent_from(self._file, self.step)

    def take(self, submission: str) -> Sent:
        rows = self._open.get(submission)
        if not rows:
            return Sent()
        row = self._row[submission] = rows.pop(0)
        (known,) = self._file.rows("submissions", "row = ?", row)
        ids: dict[int, list[str]] = {}
        for job in self._file.rows("jobs", "of = ?", row):
            ids.setdefault(job["place"], []).append(job["job"])
        notes: dict[int, list[Note]] = {}
        for each in self._file.rows("notes", "of = ?", row):
            notes.setdefault(each["place"], []).append(Note(each["event"], each["holds"]))
        outcomes: dict[int, list[Outcome]] = {}
        for each in self._file.rows("outcomes", "of = ?", row):
            if (kept := outcomes_from(each["data"])) is not None:  # else their job is collected again
                outcomes[each["place"]] = kept
        return Sent(known["tag"], {place: found[-1] for place, found in ids.items()}, outcomes, notes, ids)

    def intend(self, submission: str, backend: str, tag: str) -> None:
        with self._file.writing() as change:
            self.write_missing(change)
            self._row[submission] = change.add(
                "submissions", step=self.step, submission=submission, backend=backend, tag=tag, intended=now()
            )

    def note(self, submission: str, place: int, event: str, holds: str) -> None:
        with self._file.writing() as change:
            self.write_missing(change)
            change.add("notes", of=self._row[submission], place=place, event=event, holds=holds, at=now())

    def add(self, submission: str, backend: str, place: int, job: str) -> None:
        if submission not in self._row:
            self.intend(submission, backend, "")
        values = {"of": self._row[submission], "place": place, "job": job, "sent": now()}
        self._write(_Unwritten("jobs", values, f"the job {job} of {backend}"))

    def keep(self, submission: str, place: int, outcomes: Sequence[Outcome]) -> None:
        data = outcomes_to(outcomes)
        values = {"of": self._row[submission], "place": place, "data": data, "taken": now()}
        self._write(_Unwritten("outcomes", values, f"what job number {place} of a submission gave"))

    def _write(self, what: _Unwritten) -> None:
        try:
            with self._file.writing() as change:
                self.write_missing(change)
                change.add(what.table, **what.values)
        except StorageError as error:
            self._unwritten.append(what)
            warnings.warn(
                f"{error}; {what.text} is not written down, and would not be found after a crash",
                QngdWarning,
                stacklevel=3,
            )

    def write_missing(self, change: Writing) -> None:
        """Write what could not be written before, as part of another change."""
        for what in self._unwritten:
            change.add(what.table, **what.values)
        change.then(self._unwritten.clear)

    @property
    def missing(self) -> str:
        """The jobs that are nowhere but in memory, as the end of a message; nothing mostly."""
        found = [what.text for what in self._unwritten if what.table == "jobs"]
        return f"; not written down: {', '.join(found)}" if found else ""

    @property
    def _file(self) -> Database:
        assert self._database is not None, "the store opens its file before anything is sent"
        return self._database


def sent_from(database: Database, step: int) -> Cost:
    """What was sent from the state after this step on, and is in the cost of no state yet: jobs that failed count as
    jobs, and all of which nothing else is known as if they gave what was asked for."""
    total = Cost()
    for (of,) in [(row["row"],) for row in database.rows("submissions", "step = ? AND dropped IS NULL", step)]:
        ids, notes = _by_place(database, "jobs", of), _by_place(database, "notes", of)
        there = {row["place"] for row in database.rows("outcomes", "of = ?", of)}
        for place in {*ids, *notes}:
            total += _sent(ids.get(place, []), notes.get(place, []), place in there)
    return total


def _by_place(database: Database, table: str, of: int) -> dict[int, list[dict[str, Any]]]:
    found: dict[int, list[dict[str, Any]]] = {}
    for row in database.rows(table, "of = ?", of):
        found.setdefault(row["place"], []).append(row)
    return found


def _sent(ids: list[dict[str, Any]], notes: list[dict[str, Any]], is_there: bool) -> Cost:
    """What was sent for one part of a submission."""
    events = [note["event"] for note in notes]
    count, doubts = len({row["job"] for row in ids}), events.count("doubtful")
    is_open = not is_there and events.count("sending") > count + events.count("refused") + doubts
    lasts = is_there or is_open or (count > 0 and events[-1:] == ["sending"])
    whole = lasts + doubts + events.count("spoiled")
    jobs = max(count, int(is_there and bool(notes))) + doubts + is_open
    circuits, shots = size_of(notes[-1]["holds"]) if notes else (0, 0)
    # what it took of the device, and what was billed for it, no outcome tells
    unknown = None if jobs or whole else 0.0
    return Cost(jobs, whole * circuits, whole * shots, seconds=unknown, money=unknown)


def forget_jobs(database: Database, step: int) -> int:
    """Let the open submissions of the state after this step go; returns how many there were."""
    rows = database.rows("submissions", "step = ? AND dropped IS NULL", step)
    with database.writing() as change:
        for row in rows:
            change.change("submissions", row["row"], dropped=now())
    return len(rows)
