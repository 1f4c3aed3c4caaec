"""One measurement beside a run on disk, paid for once."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from qngd.estimates.estimate import Estimate
from qngd.estimates.evaluation import Cost
from qngd.run.encoding import as_line, from_line
from qngd.run.journal import readable, replace_file, writable

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


def _row(estimate: Estimate) -> dict[str, Any]:
    value, stderr = (np.asarray(part, dtype=float).tolist() for part in (estimate.value, estimate.stderr))
    return {"value": value, "stderr": stderr, "shots": estimate.shots}


def _estimate(row: dict[str, Any]) -> Estimate:
    return Estimate(np.array(row["value"])[()], np.array(row["stderr"])[()], row["shots"])
