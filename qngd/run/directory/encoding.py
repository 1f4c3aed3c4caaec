"""Steps and outcomes as what the file of a run holds: named arrays, and JSON. All digits are kept.

Arrays stand together in one archive as `numpy.savez` makes it. JSON has no word for numbers that are not finite: these
are the texts of `_NOT_FINITE`.
"""

from __future__ import annotations

import dataclasses
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from qngd.estimates.evaluation import Cost
from qngd.measured.outcomes import Counts, Means, Outcome
from qngd.solve.direction import Spectrum
from qngd.solve.state import StepInfo

_NOT_FINITE = ("inf", "-inf", "nan")
_OUTCOMES = 2  # their format; in the first nothing said what errors that outcomes share do to products of strings


def as_json(row: Any) -> str:
    """A value as JSON."""
    return json.dumps(_plain(row), allow_nan=False)


def from_json(text: str) -> Any:
    """The value that `as_json` wrote."""
    return _numbers(json.loads(text))


def packed(arrays: Mapping[str, Any]) -> bytes:
    """Named arrays, and texts among them, as one archive."""
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def unpacked(archive: bytes) -> dict[str, Any]:
    """The arrays that `packed` put together."""
    with np.load(io.BytesIO(archive), allow_pickle=False) as arrays:
        return dict(arrays)


def outcomes_to(outcomes: Sequence[Outcome]) -> bytes:
    """The outcomes of a job as one archive: `count` and `format`, and of outcome number k `k_bits` and `k_counts`, or
    `k_values`, `k_stderr` and `k_shots`, with `k_covariance`, `k_shared` and `k_joint` where they are known."""
    arrays: dict[str, Any] = {"count": len(outcomes), "format": _OUTCOMES}
    for k, outcome in enumerate(outcomes):
        parts = {field.name: getattr(outcome, field.name) for field in dataclasses.fields(outcome)}
        arrays |= {f"{k}_{name}": part for name, part in parts.items() if part is not None}
    return packed(arrays)


def outcomes_from(archive: bytes) -> list[Outcome] | None:
    """The outcomes that `outcomes_to` put together; None where an earlier version did, and they lack what is asked of
    them now."""
    arrays = unpacked(archive)
    if arrays.get("format", 1) < _OUTCOMES and any(name.endswith("_joint") for name in arrays):
        return None
    return [_outcome(arrays, k) for k in range(int(arrays["count"]))]


def _outcome(arrays: Mapping[str, Any], k: int) -> Outcome:
    if f"{k}_bits" in arrays:
        return Counts(arrays[f"{k}_bits"], arrays[f"{k}_counts"])
    return Means(
        arrays[f"{k}_values"],
        arrays[f"{k}_stderr"],
        int(arrays[f"{k}_shots"]),
        arrays.get(f"{k}_covariance"),
        arrays.get(f"{k}_shared"),
        arrays.get(f"{k}_joint"),
    )


def as_row(info: StepInfo) -> dict[str, Any]:
    """A step as a row, its θ flat, as it must be here."""
    return {**dataclasses.asdict(replace(info, theta=None)), "theta": np.asarray(info.theta).tolist()}


def info_from(row: dict[str, Any]) -> StepInfo:
    """The step that `as_row` took apart, its θ flat."""
    seen = row["spectrum"]
    return StepInfo(
        **{
            **row,
            "spectrum": None if seen is None else Spectrum(**{**seen, "eigenvalues": np.array(seen["eigenvalues"])}),
            "cost": Cost.from_fields(row["cost"]),
            "step_cost": Cost.from_fields(row["step_cost"]),
            "theta": None if row.get("theta") is None else np.array(row["theta"]),
        }
    )


def _plain(value: Any) -> Any:
    """A value as JSON takes it: arrays as lists, and what it cannot hold as text; Python's floats keep all digits."""
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, (np.ndarray, np.generic)):
        return _plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return value if value is None or isinstance(value, (str, int)) else str(value)


def _numbers(value: Any) -> Any:
    """A value as it was before `_plain`, but for arrays: numbers that are not finite as such."""
    if isinstance(value, dict):
        return {name: _numbers(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_numbers(part) for part in value]
    return float(value) if value in _NOT_FINITE else value
