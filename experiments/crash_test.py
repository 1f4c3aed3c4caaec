"""A run that is killed at any moment, again and again, ends as if it had never been.

Claim: a process with `run_dir` that gets SIGKILL at random moments, and between and inside of what it writes, goes on
to the same energies, parameters, cost and message, bit for bit: on the embedded sampler, on Aer, and on a provider
whose jobs outlive it, with delays, lost answers and cancelled jobs, several jobs a submission. No job of the provider
is paid for twice, none is lost, and the cost is its bill. And budgets in jobs, circuits and shots hold, with kills too.

    python -m experiments.crash_test                results/crash_test/kills.json, 100 kills of each kind
    python -m experiments.crash_test --kills 1000
    python -m experiments.crash_test --smoke        a few of each

Expected: every row with 0 wrong. Some minutes on one core.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import sqlite3
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

import qngd
from experiments.crash_provider import FolderDevice, bill
from qngd.backends import Limits

OUT = Path("results/crash_test")
THETA = np.array([0.3, -0.6, 0.9, 0.2])
TERMS = {"ZZ": 1.0, "XI": 0.5, "IY": -0.25}
KINDS = ("embedded", "aer", "aer in several jobs", "provider", "provider in one job")
_TRIES = 200  # a run that has not ended after so many has lost its way
_KILLS_A_RUN = 6


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


def circuit() -> Any:
    """Two qubits, not symmetric."""
    made = qngd.CircuitBuilder(2)
    a, b, c, d = (made.parameter(name) for name in "abcd")
    return made.ry(a, 0).ry(b, 1).cx(0, 1).rz(c, 1).rx(d, 0)


def backend_of(kind: str, folder: Path, trouble: float) -> Any:
    """The backend of this kind, whose provider's jobs are in the folder."""
    several = Limits(circuits=5)
    if kind == "embedded":
        return "statevector"
    from qngd.backends.qiskit.choice import QiskitSettings, from_object

    if kind.startswith("aer"):
        from qiskit_aer import AerSimulator

        # threads of OpenMP do not outlive a fork
        device = AerSimulator(max_parallel_threads=1)
        return from_object(device, QiskitSettings(optimization_level=0, limits=several if kind != "aer" else None))

    settings = QiskitSettings(
        optimization_level=0, retries=6, backoff=(0.001,), limits=several if kind == "provider" else None
    )
    return from_object(FolderDevice(folder, trouble=trouble), settings)


def run(kind: str, folder: Path, trouble: float = 0.08, **more: Any) -> qngd.Result:
    """A run that is kept in the folder, and goes on from there."""
    jobs = folder / "provider"
    jobs.mkdir(parents=True, exist_ok=True)
    settings = {"shots": 60, "seed": 5, "max_steps": 3, "tol": 0} | more
    return qngd.minimize(
        circuit(), TERMS, THETA, backend=backend_of(kind, jobs, trouble), run_dir=folder / "run", **settings
    )


def told(result: qngd.Result) -> dict[str, Any]:
    """All digits of what a run gave."""
    return {
        "status": str(result.status),
        "message": result.message,
        "history": [value.hex() for value in result.history.tolist()],
        "errors": [value.hex() for value in result.history_stderr.tolist()],
        "theta": [value.hex() for value in np.asarray(result.theta).tolist()],
        "cost": [result.cost.jobs, result.cost.circuits, result.cost.shots],
    }


# --- processes ---


def started(work: Callable[[], Any], answer: Path) -> int:
    """A process that does the work and writes what it gives; the number of the process."""
    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    try:
        warnings.simplefilter("ignore", qngd.QngdWarning)
        try:
            found = told(work())
        except qngd.BackendError as error:  # where nothing was reached yet
            found = {"status": "failed", "message": str(error)}
        except qngd.SettingError as error:  # a budget that is too small for the start
            found = {"status": "refused", "message": str(error)}
        partial = answer.with_suffix(".partial")
        partial.write_text(json.dumps(found), encoding="utf-8")
        os.replace(partial, answer)
        os._exit(0)
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        os._exit(1)


def ended(child: int) -> int:
    """How it ended: 0, or minus the signal that killed it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def killed_after(seconds: float, work: Callable[[], Any], answer: Path) -> bool:
    """Whether a process was killed before it had done its work."""
    child = started(work, answer)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if os.waitpid(child, os.WNOHANG)[0]:
            return False
        time.sleep(min(0.001, seconds))
    os.kill(child, signal.SIGKILL)
    return ended(child) == -signal.SIGKILL


def finished(work: Callable[[], Any], folder: Path) -> dict[str, Any]:
    """What a run gives that is begun again as long as its provider fails."""
    answer = folder / "answer.json"
    for _ in range(_TRIES):
        answer.unlink(missing_ok=True)
        code = ended(started(work, answer))
        if code:
            return {"status": f"ended with {code}"}
        found: dict[str, Any] = json.loads(answer.read_text(encoding="utf-8"))
        if found["status"] != "failed":
            return found
    return found


@contextmanager
def new_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="crash-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


# --- what is expected ---


def reference(kind: str) -> tuple[dict[str, Any], float]:
    """What a run gives that nobody disturbs, and its seconds."""
    with new_folder() as folder:
        # what is compiled and imported here need not be in each process
        qngd.cost(circuit(), TERMS, THETA, backend=backend_of(kind, folder, 0.0), shots=60)
        run("embedded", folder / "first")
        began = time.monotonic()
        found = finished(lambda: run(kind, folder / "second", trouble=0.0), folder)
        return found, time.monotonic() - began


def check(row: Row, folder: Path, found: dict[str, Any], expected: dict[str, Any]) -> None:
    """Count what differs. Jobs that gave nothing cost one job each; all else is as expected."""
    billed, lost = bill(folder / "provider")
    due = dict(expected)
    if "provider" in row.kind and expected["status"] != "budget":
        due["cost"] = [expected["cost"][0] + lost, *expected["cost"][1:]]
        due["message"] = found.get("message", "") if lost else expected["message"]  # it may hold the cost
        row.needless += billed - lost - expected["cost"][0]
        row.wrong += found.get("cost", [None])[0] != billed
    row.lost += lost
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
                work = lambda folder=folder: run(kind, folder)  # noqa: E731
                row.kills += killed_after(random.uniform(0, 1.2 * seconds), work, folder / "answer.json")
            check(row, folder, finished(lambda folder=folder: run(kind, folder), folder), expected)
    return row


class Points:
    """Counts what SQLite does with the file of a run: every statement, and every few instructions inside of one. At the
    given one the process kills itself."""

    def __init__(self, at: int | None = None) -> None:
        self.at, self.count = at, 0
        self._connect = sqlite3.connect

    def connected(self, *where: Any, **how: Any) -> Any:
        connection = self._connect(*where, **how)
        connection.set_trace_callback(self.passed)
        connection.set_progress_handler(self.passed, 7)
        return connection

    def passed(self, *_statement: str) -> int:
        self.count += 1
        if self.count == self.at:
            os.kill(os.getpid(), signal.SIGKILL)
        return 0

    def work(self, kind: str, folder: Path) -> qngd.Result:
        """A run with these points."""
        sqlite3.connect = self.connected
        found = run(kind, folder)
        (folder / "points").write_text(str(self.count), encoding="utf-8")
        return found


def in_writes(kind: str, kills: int) -> Row:
    """Runs that are killed between and inside of what they write."""
    expected, _ = reference(kind)
    row = Row(kind, "between and inside of writes")
    with new_folder() as folder:
        finished(lambda: Points().work(kind, folder), folder)
        points = int((folder / "points").read_text(encoding="utf-8"))
    while row.kills < kills:
        with new_folder() as folder:
            for _ in range(min(_KILLS_A_RUN, kills - row.kills)):
                at = random.randint(1, points)
                child = started(lambda folder=folder, at=at: Points(at).work(kind, folder), folder / "answer.json")
                row.kills += ended(child) == -signal.SIGKILL
            check(row, folder, finished(lambda folder=folder: run(kind, folder), folder), expected)
    return row


def within_budgets(kind: str, budgets: int) -> Row:
    """Random limits of every unit, on runs of which every third is killed once."""
    expected, seconds = reference(kind)
    whole = dict(zip(("jobs", "circuits", "shots"), expected["cost"], strict=True))
    row = Row(kind, "budgets")
    for number in range(budgets):
        unit = random.choice(list(whole))
        limit = random.randint(whole[unit] // 4 + 1, int(1.3 * whole[unit]))
        with new_folder() as folder:
            budget = qngd.Budget(**{unit: limit})
            work = lambda folder=folder, budget=budget: run(kind, folder, budget=budget)  # noqa: E731
            if number % 3 == 0:
                row.kills += killed_after(random.uniform(0, seconds), work, folder / "answer.json")
            found = finished(work, folder)
            row.runs += 1
            billed, lost = bill(folder / "provider")
            row.lost += lost
            if unit == "jobs" and "provider" in kind and billed > limit:
                row.wrong += 1
                print(f"{kind}: {billed} jobs were paid for within Budget(jobs={limit})", file=sys.stderr)
            if "cost" in found and dict(zip(whole, found["cost"], strict=True))[unit] > limit:
                row.wrong += 1
                print(f"{kind}: {found['cost']} within Budget({unit}={limit})", file=sys.stderr)
            if not found["status"].startswith(("max_steps", "budget", "refused")):
                row.wrong += 1
                print(f"{kind}: Budget({unit}={limit}) ended with {found}", file=sys.stderr)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100, help="of each kind, in each way")
    parser.add_argument("--budgets", type=int, default=50, help="random limits of each kind")
    parser.add_argument("--kinds", nargs="*", default=KINDS, choices=KINDS)
    parser.add_argument("--smoke", action="store_true", help="a few of each, to show that it runs")
    arguments = parser.parse_args()
    kills, budgets = (2, 1) if arguments.smoke else (arguments.kills, arguments.budgets)
    rows = []
    for kind in ("embedded", "aer in several jobs", "provider") if arguments.smoke else arguments.kinds:
        for way, count in ((at_random_moments, kills), (in_writes, kills), (within_budgets, budgets)):
            rows.append(way(kind, count))
            print(rows[-1], flush=True)
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / "kills.json").write_text(json.dumps([asdict(row) for row in rows], indent=1), encoding="utf-8")
    if any(row.wrong or row.needless > 0 for row in rows):
        sys.exit(1)


if __name__ == "__main__":
    main()
