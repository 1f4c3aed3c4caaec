"""A sweep of 200 runs on two workers, of which one is killed on the way, equals the same sweep on one.

Four settings with fifty seeds each: runs with shots of six steps. The killed worker gets SIGKILL at a random moment
after sixty runs, and Dask starts another one. Compared are all rows, to the last bit; and what the folders say: of how
many processes each run is.

    python -m experiments.killed_sweep            three minutes on one core
    python -m experiments.killed_sweep --smoke    eight runs
"""

from __future__ import annotations

import os
import random
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import qngd
from experiments.record import Experiment, Verdict, main

GRID = {"field": [0.5, 1.0], "optimizer": ["qng", "adam"]}
_WORKERS = "QNGD_WORKERS_OF_A_SWEEP"  # a folder in which each process that does runs has a file


def problem(field: float) -> qngd.Problem:
    """Two spins. The process that asks for them does runs, and says so."""
    (Path(os.environ[_WORKERS]) / str(os.getpid())).touch()
    circuit = qngd.CircuitBuilder(2)
    a, b, c = circuit.parameters("a", "b", "c")
    circuit.ry(a, 0).ry(b, 1).cx(0, 1).ry(c, 0)
    return qngd.Problem(circuit, {"ZZ": 1.0, "XI": field, "IZ": 0.2}, [0.3, 0.7, -0.4])


def swept(out: Path, workers: int, seeds: int, kill_after: int | None) -> dict[str, Any]:
    """The rows of a sweep, and what became of its processes; one of them is killed some moments after so many runs."""
    pids = out / "pids"
    pids.mkdir(parents=True)
    os.environ[_WORKERS] = str(pids)
    killed: list[int] = []

    def kill() -> None:
        pid = int(random.choice(sorted(pids.iterdir())).name)
        os.kill(pid, signal.SIGKILL)
        killed.append(pid)

    def seen(row: dict[str, Any], done: int, total: int) -> None:
        if done == kill_after:
            threading.Timer(random.uniform(0, 0.3), kill).start()

    began = time.monotonic()
    rows = qngd.sweep(
        problem, GRID, out=out / "runs", seeds=seeds, workers=workers, shots=50, max_steps=6, tol=0, on_run=seen
    )
    sessions = [len(qngd.load(out / "runs" / row["run_dir"] / "run").sessions) for row in rows]
    return {
        "rows": rows, "killed": len(killed), "processes": len([*pids.iterdir()]), "resumed": sum(sessions) - len(rows),
        "seconds": time.monotonic() - began,
    }  # fmt: skip


def measure(smoke: bool) -> dict[str, Any]:
    """Both sweeps: what differs between them, and what they took."""
    seeds, kill_after = (2, 2) if smoke else (50, 60)
    with tempfile.TemporaryDirectory() as folder:
        one = swept(Path(folder) / "one", 1, seeds, None)
        two = swept(Path(folder) / "two", 2, seeds, kill_after)
    pairs = zip(one.pop("rows"), two.pop("rows"), strict=True)
    same = [a == b and a["status"] == "max_steps" for a, b in pairs]
    return {"runs": len(same), "same": sum(same), "one": one, "two": two}


def judge(data: dict[str, Any]) -> Iterator[Verdict]:
    two, runs = data["two"], data["runs"]
    yield Verdict(
        "a worker that is killed changes nothing",
        data["same"] == runs and two["killed"] == 1,
        f"{data['same']} of {runs} rows equal to the last bit; {two['killed']} of {two['processes']} workers killed",
    )
    yield Verdict(
        "nothing that was done is done again",
        two["resumed"] <= two["killed"],
        f"{two['resumed']} runs went on in another process",
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
