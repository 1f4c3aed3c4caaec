"""What `experiments.crash_test` kills and `experiments.budgets` limits: short runs in processes of their own, and all
that they gave."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import qngd
from experiments.crash_provider import FolderDevice
from qngd.backends import Limits

THETA = np.array([0.3, -0.6, 0.9, 0.2])
TERMS = {"ZZ": 1.0, "XI": 0.5, "IY": -0.25}
SEVERAL = Limits(circuits=5)  # so that a submission is several jobs
KINDS = ("embedded", "aer", "aer in several jobs", "provider", "provider in one job")
_TRIES = 200  # a run that has not ended after so many has lost its way
_MEMORY = Path("/dev/shm")  # what a killed process has written is there all the same, and no disk is waited for


def circuit() -> Any:
    """Two qubits, not symmetric."""
    made = qngd.CircuitBuilder(2)
    a, b, c, d = (made.parameter(name) for name in "abcd")
    return made.ry(a, 0).ry(b, 1).cx(0, 1).rz(c, 1).rx(d, 0)


def backend_of(kind: str, jobs: Path, trouble: float) -> Any:
    """The backend of this kind, whose provider's jobs are in the folder `jobs`."""
    if kind == "embedded":
        return "statevector"
    from qngd.backends.qiskit.choice import QiskitSettings, from_object

    if kind.startswith("aer"):
        from qiskit_aer import AerSimulator

        # threads of OpenMP do not outlive a fork
        device = AerSimulator(max_parallel_threads=1)
        return from_object(device, QiskitSettings(optimization_level=0, limits=SEVERAL if kind != "aer" else None))
    settings = QiskitSettings(
        optimization_level=0, retries=6, backoff=(0.001,), limits=SEVERAL if kind == "provider" else None
    )
    return from_object(FolderDevice(jobs, trouble=trouble), settings)


def jobs_in(folder: Path) -> Path:
    """Where the provider of a run that is kept in this folder has its jobs."""
    return folder / "provider"


def run(kind: str, folder: Path, trouble: float = 0.08, **more: Any) -> qngd.Result:
    """A run that is kept in the folder, and goes on from there."""
    jobs_in(folder).mkdir(parents=True, exist_ok=True)
    settings = {"shots": 60, "seed": 5, "max_steps": 3, "tol": 0, "final_shots": 80} | more
    backend = backend_of(kind, jobs_in(folder), trouble)
    return qngd.minimize(circuit(), TERMS, THETA, backend=backend, run_dir=folder / "run", **settings)


def told(result: qngd.Result) -> dict[str, Any]:
    """All digits of what a run gave."""
    energies = [result.energy, result.stderr, *result.history.tolist(), *result.history_stderr.tolist()]
    return {
        "status": str(result.status),
        "message": result.message,
        "energies": [float(value).hex() for value in energies],
        "theta": [value.hex() for value in np.asarray(result.theta).tolist()],
        "cost": [result.cost.jobs, result.cost.circuits, result.cost.shots],
        "money": result.cost.money,
    }


# --- processes ---


def started(work: Callable[[], dict[str, Any]], answer: Path) -> int:
    """A process that does the work and writes what it gives; the number of the process."""
    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    try:
        warnings.simplefilter("ignore", qngd.QngdWarning)
        try:
            found = work()
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


def killed_after(seconds: float, work: Callable[[], dict[str, Any]], answer: Path) -> bool:
    """Whether a process was killed before it had done its work."""
    child = started(work, answer)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if os.waitpid(child, os.WNOHANG)[0]:
            return False
        time.sleep(min(0.001, seconds))
    os.kill(child, signal.SIGKILL)
    return ended(child) == -signal.SIGKILL


def finished(work: Callable[[], dict[str, Any]], folder: Path) -> dict[str, Any]:
    """What a run gives that is begun again as long as its provider fails."""
    answer = folder / "answer.json"
    found: dict[str, Any] = {}
    for _ in range(_TRIES):
        answer.unlink(missing_ok=True)
        code = ended(started(work, answer))
        if code:
            return {"status": f"ended with {code}"}
        found = json.loads(answer.read_text(encoding="utf-8"))
        if found["status"] != "failed":
            break
    return found


@contextmanager
def new_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="crash-", dir=_MEMORY if os.access(_MEMORY, os.W_OK) else None))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@cache
def reference(kind: str) -> tuple[dict[str, Any], float]:
    """What a run gives that nobody disturbs, and its seconds."""
    with new_folder() as folder:
        # what is compiled and imported here need not be in each process
        qngd.cost(circuit(), TERMS, THETA, backend=backend_of(kind, folder, 0.0), shots=60)
        run("embedded", folder / "first")
        began = time.monotonic()
        found = finished(lambda: told(run(kind, folder / "second", trouble=0.0)), folder)
        return found, time.monotonic() - began
