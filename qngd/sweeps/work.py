"""One run of a sweep, wherever it is done: made by a recipe, kept in its folder, told as plain data."""

from __future__ import annotations

import hashlib
import json
import math
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from threadpoolctl import threadpool_limits

from qngd._system.secrets import scrubbed
from qngd.errors import QngdError, SettingError, StorageError
from qngd.evaluators.given import read_any
from qngd.problem import Problem
from qngd.run.identity import RunIdentity
from qngd.run.loop import Result, Status, minimize
from qngd.run.optimizers import as_optimizer
from qngd.sweeps.grid import GridPoint

_DONE = "done.json"
_NOT_DONE = "failed"  # such a run goes on when the sweep is called again


class Recipe(Protocol):
    """Makes the problem and the arguments of `minimize` of a point's values."""

    def __call__(self, values: Any, repetition: int) -> tuple[Problem, dict[str, Any]]: ...


@dataclass(frozen=True, eq=False)
class SweepRun:
    """A run of a sweep: number `repetition` of a point, kept in a folder below `out`."""

    recipe: Recipe
    point: GridPoint
    repetition: int
    seed: int
    out: str

    @property
    def place(self) -> str:
        """The folder below `out`."""
        return f"{self.point.folder}/seed-{self.repetition}"

    def row(self, **found: Any) -> dict[str, Any]:
        """What is told of the run."""
        return {
            "settings": dict(self.point.labels),
            "repetition": self.repetition,
            "seed": self.seed,
            "run_dir": self.place,
            **found,
        }


def carried_out(job: SweepRun, threads: int | None = None) -> dict[str, Any]:
    """The row of a run: what its folder says if it is done, else what comes of running it, or going on with it, on so
    many threads. An error of the run's own is a row too, so that the others go on."""
    try:
        with limited(threads):
            return _carried_out(job)
    except KeyboardInterrupt:
        raise
    except QngdError as error:
        return _failed(job, str(error))
    except Exception as error:  # of the problem's own code, which may raise anything
        return _failed(job, f"{type(error).__name__}: {error}")


def _failed(job: SweepRun, message: str) -> dict[str, Any]:
    nothing = dict.fromkeys(("energy", "stderr", "error", "steps", "cost", "theta"))
    return job.row(status="error", message=" ".join(scrubbed(message).split()), **nothing)


def _carried_out(job: SweepRun) -> dict[str, Any]:
    folder = Path(job.out) / job.place
    problem, how = job.recipe(job.point.values, job.repetition)
    key = _key(problem, how)
    known = _done(folder, key)
    if known is not None:
        return known
    _made(folder)
    result = minimize(problem, **{**how, "seed": job.seed, "run_dir": folder / "run"})
    if result.status is Status.INTERRUPTED:
        raise KeyboardInterrupt  # the sweep around it must end too; the run goes on when that is called again
    row = job.row(**_told(result, problem))
    if row["status"] != _NOT_DONE:
        _keep(folder, {"key": key, "row": row})
    return row


def _key(problem: Problem, how: Mapping[str, Any]) -> str:
    """What a finished run is recognized by, beside its folder's name: the problem and the optimizer."""
    given = read_any(problem, frozen=how.get("frozen"))
    return RunIdentity(given, as_optimizer(how.get("optimizer")), {}).key


def _told(result: Result, problem: Problem) -> dict[str, Any]:
    reference = problem.reference_energy
    return {
        "status": str(result.status),
        "message": result.message,
        "energy": _finite(result.energy),
        "stderr": _finite(result.stderr),
        "error": None if reference is None else _finite(result.energy - reference),
        "steps": result.steps,
        "cost": result.cost.in_units(),
        "theta": [_finite(value) for value in result.state.lowest[0]],
    }


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _done(folder: Path, key: str) -> dict[str, Any] | None:
    """The row of a run that is done, or None."""
    path = folder / _DONE
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
        row: dict[str, Any] = known["row"]
        same = known["key"] == key
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, UnicodeDecodeError):
        return None  # what it was made of lies beside it, and tells the same again
    except OSError as error:
        raise StorageError(f"out: cannot read {path}: {(error.strerror or str(error)).lower()}") from None
    if not same:
        raise SettingError(f"out: {folder} holds a run of another problem or optimizer; take another folder")
    return row


def _made(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"out: cannot make {folder}: {(error.strerror or str(error)).lower()}") from None


def _keep(folder: Path, content: Mapping[str, Any]) -> None:
    """Write what a finished run came to, whole or not at all, and to the disk itself."""
    text = json.dumps(content, ensure_ascii=False, allow_nan=False)
    try:
        # under a name of its own: a worker that was given up may write the same
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=folder, delete=False) as draft:
            draft.write(text)
            draft.flush()
            os.fsync(draft.fileno())
        os.replace(draft.name, folder / _DONE)
    except OSError as error:
        raise StorageError(f"out: cannot write {folder / _DONE}: {(error.strerror or str(error)).lower()}") from None


def fixed_text(about: Any) -> str:
    """A short text of what all runs have in common."""
    return hashlib.sha256(json.dumps(about, sort_keys=True, default=str).encode()).hexdigest()[:16]


@contextmanager
def limited(threads: int | None) -> Iterator[None]:
    """Meanwhile kernels and BLAS take so many threads; None leaves them as they are."""
    if threads is None:
        yield
        return
    before = os.environ.get("QNGD_NUM_THREADS")
    os.environ["QNGD_NUM_THREADS"] = str(threads)
    try:
        with threadpool_limits(threads):
            yield
    finally:
        if before is None:
            os.environ.pop("QNGD_NUM_THREADS", None)
        else:
            os.environ["QNGD_NUM_THREADS"] = before
