"""One measurement at the end of a run on disk, paid for once."""

from __future__ import annotations

import dataclasses
import hashlib
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from qngd.errors import QngdWarning, StorageError
from qngd.estimates.estimate import Estimate
from qngd.estimates.evaluation import Cost, Evaluation
from qngd.run.directory.database import make_folder, replace_file
from qngd.run.directory.encoding import as_json, from_json, packed, unpacked
from qngd.run.directory.states import arrays_of, state_from
from qngd.run.directory.trouble import told
from qngd.run.store import Store
from qngd.solve.state import State

Measured = tuple[Estimate, Estimate, Cost]  # two estimates and what they cost


def measured_once(path: Path | None, key: str, measure: Callable[[], Measured]) -> Measured:
    """What `path` holds of the measurement that is recognized by `key`, or what `measure` gives, which is then written
    there, with the cost of what it held of another one besides. Without a path it is measured.

    Raises:
        StorageError: the file cannot be read or written.
    """
    if path is None:
        return measure()
    if path.exists():
        row = _read(path)
        if row["key"] == key:
            return _estimate(row["first"]), _estimate(row["second"]), Cost.from_fields(row["cost"])
    before = paid_once(path)
    first, second, cost = measure()
    cost = before + cost
    row = {"key": key, "first": _row(first), "second": _row(second), "cost": dataclasses.asdict(cost)}
    with told(path, "write"):
        make_folder(path.parent)
        replace_file(path, as_json({**row, "sum": _sum(row)}).encode())
    return first, second, cost


def paid_once(path: Path | None) -> Cost:
    """What the measurements that `path` is of have taken; nothing where it cannot be read, which `measured_once`
    says."""
    if path is not None and path.exists():
        with suppress(StorageError):
            return Cost.from_fields(_read(path)["cost"])
    return Cost()


def _read(path: Path) -> dict[str, Any]:
    """What stands in the file, as it was written."""
    with told(path, "read"):
        content = path.read_bytes()
    try:
        row = dict(from_json(content.decode()))
        whole = row.pop("sum") == _sum(row) and {"key", "first", "second", "cost"} <= set(row)
    except (ValueError, KeyError, TypeError):
        whole = False
    if not whole:
        raise StorageError(f"run_dir: {path} is damaged; delete it, and what stood in it is measured again")
    return row


def _sum(row: dict[str, Any]) -> str:
    return hashlib.sha256(as_json(row).encode()).hexdigest()


def evaluated_once(store: Store, key: str, like: State, measure: Callable[[], Evaluation]) -> Evaluation:
    """What the store of a run holds of the measurement of an end, or what `measure` gives, which it then keeps; `like`
    is the run's state there.

    Warns:
        QngdWarning: it cannot be written.
    """
    kept = kept_evaluation(store, key)
    if kept is not None:
        return kept
    store.begin_end()
    found = measure()
    data = packed({"key": key, **arrays_of(State(like.step, found, {}, like.evaluations, found.cost))})
    try:
        store.keep_end(key, data)
    except StorageError as error:  # it is paid for, and not lost for that
        warnings.warn(f"{error}; the energy of the end is in the result alone", QngdWarning, stacklevel=2)
    return found


def kept_evaluation(store: Store, key: str | None = None) -> Evaluation | None:
    """The evaluation of an end that the store holds, with this key or the last; None where there is none.

    Raises:
        StorageError: it cannot be read.
    """
    data = store.end_at(key)
    if data is None:
        return None
    try:
        return state_from(unpacked(data)).evaluation
    except (ValueError, KeyError, TypeError, EOFError, AttributeError, AssertionError, BadZipFile) as error:
        raise StorageError(f"run_dir: the measurement of its end cannot be read ({type(error).__name__})") from error


def _row(estimate: Estimate) -> dict[str, Any]:
    value, stderr = (np.asarray(part, dtype=float).tolist() for part in (estimate.value, estimate.stderr))
    return {"value": value, "stderr": stderr, "shots": estimate.shots}


def _estimate(row: dict[str, Any]) -> Estimate:
    return Estimate(np.array(row["value"])[()], np.array(row["stderr"])[()], row["shots"])
