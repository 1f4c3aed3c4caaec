"""One measurement beside a run on disk, paid for once."""

from __future__ import annotations

import dataclasses
import io
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from qngd.errors import QngdWarning, StorageError
from qngd.estimates.estimate import Estimate
from qngd.estimates.evaluation import Cost, Evaluation
from qngd.run.encoding import arrays_of, as_line, from_line, state_from
from qngd.run.journal import readable, replace_file, writable
from qngd.solve.state import State

Measured = tuple[Estimate, Estimate, Cost]  # two estimates and what they cost


def measured_once(path: Path | None, key: str, measure: Callable[[], Measured]) -> Measured:
    """What `path` holds of the measurement that is recognized by `key`, or what `measure` gives, which is then written
    there. Without a path it is measured.

    Raises:
        StorageError: the file cannot be read or written.
    """
    if path is None:
        return measure()
    if path.exists():
        with readable(path):
            row = from_line(path.read_text(encoding="utf-8"))
            if row["key"] == key:
                return _estimate(row["first"]), _estimate(row["second"]), Cost(**row["cost"])
    first, second, cost = measure()
    row = {"key": key, "first": _row(first), "second": _row(second), "cost": dataclasses.asdict(cost)}
    with writable(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, as_line(row).encode())
    return first, second, cost


def evaluated_once(path: Path | None, key: str, like: State, measure: Callable[[], Evaluation]) -> Evaluation:
    """As `measured_once`, a whole evaluation; `like` is a state of the run that it belongs to.

    Warns:
        QngdWarning: the file cannot be written.
    """
    if path is None:
        return measure()
    kept = evaluation_at(path, key)
    if kept is not None:
        return kept
    found, file = measure(), io.BytesIO()
    np.savez(file, key=key, **arrays_of(State(like.step, found, {}, like.evaluations, found.cost)))
    try:
        with writable(path.parent):
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(path, file.getvalue())
    except StorageError as error:  # it is paid for, and not lost for that
        warnings.warn(f"{error}; the energy of the end is in the result alone", QngdWarning, stacklevel=2)
    return found


def evaluation_at(path: Path, key: str | None = None) -> Evaluation | None:
    """The evaluation that `path` holds, None where there is none or, if a key is given, one with another key.

    Raises:
        StorageError: the file cannot be read.
    """
    if not path.exists():
        return None
    with readable(path), np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
        return state_from(arrays).evaluation if key in (None, str(arrays["key"])) else None


def _row(estimate: Estimate) -> dict[str, Any]:
    value, stderr = (np.asarray(part, dtype=float).tolist() for part in (estimate.value, estimate.stderr))
    return {"value": value, "stderr": stderr, "shots": estimate.shots}


def _estimate(row: dict[str, Any]) -> Estimate:
    return Estimate(np.array(row["value"])[()], np.array(row["stderr"])[()], row["shots"])
