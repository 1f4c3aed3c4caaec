"""A sweep of 200 runs on two workers, of which one is killed on the way, equals the same sweep on one.

Four settings with fifty seeds each: runs with shots of twelve steps. After sixty runs a worker gets SIGKILL inside of
a run, some steps after its start: whoever has the lock of a run that has steps and is not done. Where the run was over
before the signal came, the next one is taken. Dask starts another worker. Compared are all rows, to the last bit; and
what the folders say: of how many processes each run is.

    python -m experiments.killed_sweep            three minutes on one core
    python -m experiments.killed_sweep --smoke    eight runs on one worker, and without any
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import qngd
from experiments.crash_runs import new_folder
from experiments.record import Experiment, Verdict, main
from qngd.errors import StorageError

_STEPS, _KILLS = 12, 5  # of a run; workers at most, until one dies inside of a run
GRID = {"field": [0.5, 1.0], "optimizer": ["qng", "adam"]}
_WORKERS = "QNGD_WORKERS_OF_A_SWEEP"  # a folder in which each process that does runs has a file


def problem(field: float) -> qngd.Problem:
    """Two spins. The process that asks for them does runs, and says so."""
    (Path(os.environ[_WORKERS]) / str(os.getpid())).touch()
    circuit = qngd.CircuitBuilder(2)
    a, b, c = circuit.parameters("a", "b", "c")
    circuit.ry(a, 0).ry(b, 1).cx(0, 1).ry(c, 0)
    return qngd.Problem(circuit, {"ZZ": 1.0, "XI": field, "IZ": 0.2}, [0.3, 0.7, -0.4])


def begun(runs: Path) -> Iterator[tuple[Path, int, int]]:
    """Runs that somebody goes on with now, and that have a step at least: folder, process, steps."""
    for file in runs.glob("*/*/run/run.sqlite"):
        if not (file.parent.parent / "done.json").exists():
            try:
                stored = qngd.load(file.parent)
            except StorageError:  # nothing is written of it yet
                continue
            if stored.status == "running" and 0 < stored.steps < _STEPS:
                yield file.parent, int(stored.sessions[-1]["pid"]), stored.steps


def is_left(folder: Path, over: threading.Event) -> bool:
    """Whether the process of a run that was killed has left it before its end, or that of the sweep."""
    while not over.is_set() and not (folder.parent / "done.json").exists():
        stored = qngd.load(folder)
        if stored.status == "crashed" or len(stored.sessions) > 1:
            return True
        time.sleep(0.05)
    return len(qngd.load(folder).sessions) > 1


def swept(out: Path, workers: int, seeds: int, kill_after: int | None) -> dict[str, Any]:
    """The rows of a sweep, and what became of its processes; one of them is killed some moments after so many runs."""
    pids = out / "pids"
    pids.mkdir(parents=True)
    os.environ[_WORKERS] = str(pids)
    killed: list[int] = []
    inside: list[int] = []
    over = threading.Event()

    def kill() -> None:
        while not over.is_set() and not inside and len(killed) < _KILLS:
            time.sleep(random.uniform(0, 0.1))
            for folder, pid, steps in begun(out / "runs"):
                with suppress(ProcessLookupError):  # it has just ended by itself
                    os.kill(pid, signal.SIGKILL)
                    killed.append(pid)
                    inside.extend([steps] if is_left(folder, over) else [])
                break

    def seen(row: dict[str, Any], done: int, total: int) -> None:
        if done == kill_after:
            killer.start()

    began, killer = time.monotonic(), threading.Thread(target=kill)
    try:
        rows = qngd.sweep(
            problem,
            GRID,
            out=out / "runs",
            seeds=seeds,
            workers=workers,
            shots=50,
            max_steps=_STEPS,
            tol=0,
            on_run=seen,
        )
    finally:
        over.set()
    if killer.ident is not None:
        killer.join()
    sessions = [len(qngd.load(out / "runs" / row["run_dir"] / "run").sessions) for row in rows]
    return {
        "rows": rows,
        "killed": len(killed),
        "inside": inside,
        "processes": len([*pids.iterdir()]),
        "resumed": sum(sessions) - len(rows),
        "seconds": time.monotonic() - began,
    }


def measure(smoke: bool) -> dict[str, Any]:
    """Both sweeps: what differs between them, and what they took."""
    seeds, kill_after = (2, 2) if smoke else (50, 60)
    with new_folder() as folder:
        one = swept(folder / "one", 0 if smoke else 1, seeds, None)
        two = swept(folder / "two", 1 if smoke else 2, seeds, kill_after)
    pairs = zip(one.pop("rows"), two.pop("rows"), strict=True)
    same = [a == b and a["status"] == "max_steps" for a, b in pairs]
    return {"runs": len(same), "same": sum(same), "one": one, "two": two}


def judge(data: dict[str, Any]) -> Iterator[Verdict]:
    two, runs = data["two"], data["runs"]
    yield Verdict(
        "a worker that is killed changes nothing",
        data["same"] == runs and two["killed"] >= 1,
        f"{data['same']} of {runs} rows equal to the last bit; {two['killed']} of {two['processes']} workers killed",
    )
    yield Verdict(
        "it died inside of a run, which went on in another process; nothing that was done is done again",
        1 <= len(two["inside"]) <= two["resumed"] <= two["killed"],
        f"killed after {', '.join(map(str, two['inside']))} of {_STEPS} steps; {two['resumed']} runs went on elsewhere",
    )


EXPERIMENT = Experiment(
    "killed_sweep",
    "A sweep on two workers, one of them killed on the way, equals the same sweep on one",
    "three minutes",
    measure,
    lambda data: list(judge(data)),
)

if __name__ == "__main__":
    main(EXPERIMENT)
