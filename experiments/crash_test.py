"""A run that is killed at any moment, again and again, ends as if it had never been.

A process with `run_dir` gets SIGKILL at random moments, at every statement of the database that it writes, and inside
of them: on the embedded sampler, on Aer, and on a provider whose jobs outlive it, with delays, lost answers and
cancelled jobs, in one job a submission and in several. It goes on until it ends, with the same energies, parameters,
message and cost, bit for bit. Of the provider's jobs none is paid for needlessly and none is lost, and the cost is its
bill.

    python -m experiments.crash_test            100 kills of each kind in each way: ten minutes on one core
    python -m experiments.crash_test --smoke    three kinds, a few kills of one way each
"""

from __future__ import annotations

import itertools
import os
import random
import signal
import sqlite3
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from experiments.crash_provider import bill, is_lost
from experiments.crash_runs import KINDS, ended, finished, jobs_in, killed_after, new_folder, reference, run, started
from experiments.crash_runs import told as all_of
from experiments.record import Experiment, Verdict, main

_KILLS = 100  # of each kind, in each way
_KILLS_A_RUN = 6
_SMOKE = ("aer in several jobs", "embedded", "provider")  # one way for each


@dataclass
class Row:
    """How often runs of one kind were killed, how many there were, and how many ended otherwise than one that was left
    alone; of a provider, also the jobs that were paid for and gave nothing, and those that were paid for needlessly."""

    kind: str
    where: str
    kills: int = 0
    runs: int = 0
    wrong: int = 0
    lost: int = 0
    needless: int = 0


def check(row: Row, folder: Path, expected: dict[str, Any]) -> None:
    """Let a run go on to its end, and count what differs. Jobs that gave nothing cost one job each; all else is as
    expected."""
    found = finished(lambda: all_of(run(row.kind, folder)), folder)
    jobs, due = bill(jobs_in(folder)), dict(expected)
    if "provider" in row.kind:
        lost = sum(map(is_lost, jobs))
        due["cost"] = [expected["cost"][0] + lost, *expected["cost"][1:]]
        row.lost += lost
        row.needless += len(jobs) - lost - expected["cost"][0]
    row.runs += 1
    if found != due:
        row.wrong += 1
        print(f"{row.kind}, {row.where}: {found} where {due} was expected", file=sys.stderr)


# --- ways to be killed ---


def at_random_moments(kind: str, kills: int) -> Row:
    """Runs that are killed after random times, up to a few times each."""
    expected, seconds = reference(kind)
    row = Row(kind, "at random moments")
    while row.kills < kills:
        with new_folder() as folder:
            for _ in range(min(_KILLS_A_RUN, kills - row.kills)):
                work = lambda folder=folder: all_of(run(kind, folder))  # noqa: E731
                row.kills += killed_after(random.uniform(0, 1.2 * seconds), work, folder / "answer.json")
            check(row, folder, expected)
    return row


class Points:
    """Counts what SQLite does with the files of a run: every statement, and every few instructions inside of one. At
    the given one the process kills itself."""

    def __init__(self, at: int | None = None) -> None:
        self.at, self.count = at, 0
        self.statements: list[int] = []
        self._connect = sqlite3.connect

    def connected(self, *where: Any, **how: Any) -> Any:
        connection = self._connect(*where, **how)
        connection.set_trace_callback(self._begun)
        connection.set_progress_handler(self._passed, 7)
        return connection

    def _begun(self, _statement: str) -> None:
        self._passed()
        self.statements.append(self.count)

    def _passed(self) -> int:
        self.count += 1
        if self.count == self.at:
            os.kill(os.getpid(), signal.SIGKILL)
        return 0

    def work(self, kind: str, folder: Path, trouble: float) -> dict[str, Any]:
        """A run with these points."""
        sqlite3.connect = self.connected
        run(kind, folder, trouble)
        return {"status": "counted", "points": self.count, "statements": self.statements}


def _points(kind: str) -> dict[str, Any]:
    """Those of a run that nobody disturbs."""
    with new_folder() as folder:
        return finished(lambda: Points().work(kind, folder, trouble=0.0), folder)


def at_every_statement(kind: str, most: int) -> Row:
    """Runs that are killed once each, in the moment before one of the statements that they make, in turn before each
    of them; of `most` of these alone."""
    expected, _ = reference(kind)
    row = Row(kind, "before every statement")
    statements = _points(kind)["statements"]
    for at in statements[:: -(-len(statements) // most)]:
        with new_folder() as folder:
            row.kills += _killed_at(at, kind, folder, trouble=0.0)
            check(row, folder, expected)
    row.wrong += row.kills < row.runs  # each must have come to where it is killed
    return row


def inside_of_writes(kind: str, kills: int) -> Row:
    """Runs that are killed at random points, between statements and inside of them, up to a few times each."""
    expected, _ = reference(kind)
    row = Row(kind, "inside of statements")
    points = _points(kind)["points"]
    while row.kills < kills:
        with new_folder() as folder:
            for _ in range(min(_KILLS_A_RUN, kills - row.kills)):
                row.kills += _killed_at(random.randint(1, points), kind, folder, trouble=0.08)
            check(row, folder, expected)
    return row


def _killed_at(at: int, kind: str, folder: Path, trouble: float) -> bool:
    child = started(lambda: Points(at).work(kind, folder, trouble), folder / "answer.json")
    return ended(child) == -signal.SIGKILL


# --- the experiment ---


def measure(smoke: bool) -> list[dict[str, Any]]:
    """A row for each kind of run and each way to be killed."""
    ways: list[tuple[Callable[[str, int], Row], int]] = [
        (at_random_moments, 2 if smoke else _KILLS),
        (at_every_statement, 2 if smoke else sys.maxsize),
        (inside_of_writes, 2 if smoke else _KILLS),
    ]
    rows = []
    for kind, (way, count) in zip(_SMOKE, ways, strict=True) if smoke else itertools.product(KINDS, ways):
        rows.append(asdict(way(kind, count)))
        print(rows[-1], flush=True)
    return rows


def judge(rows: list[dict[str, Any]]) -> Iterator[Verdict]:
    for kind in dict.fromkeys(row["kind"] for row in rows):
        own = [row for row in rows if row["kind"] == kind]
        kills = ", ".join(f"{row['kills']} {row['where']}" for row in own)
        runs, wrong = (sum(row[name] for row in own) for name in ("runs", "wrong"))
        yield Verdict(
            f"killed runs end as one that was left alone, to the last bit: {kind}",
            not wrong,
            f"{runs - wrong} of {runs}; kills: {kills}",
        )
    own = [row for row in rows if "provider" in row["kind"]]
    lost, needless = (sum(row[name] for row in own) for name in ("lost", "needless"))
    yield Verdict(
        "no job of the provider is paid for twice",
        not needless,
        f"{needless} jobs beyond those that are needed; {lost} that failed at the provider are in the cost",
    )


EXPERIMENT = Experiment(
    "crash_test",
    "A run that is killed at any moment, again and again, ends as if it had never been",
    "ten minutes",
    measure,
    lambda rows: list(judge(rows)),
)

if __name__ == "__main__":
    main(EXPERIMENT)
