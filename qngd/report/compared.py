"""Runs side by side in a table: medians, and quartiles where there are enough of a kind."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from qngd.estimates.estimate import format_with_error
from qngd.report.groups import Group
from qngd.report.run_data import RunData


def compared_table(groups: Sequence[Group]) -> dict[str, Any]:
    """A row a group: of a single run its numbers, of several medians with quartiles in brackets."""
    runs = [run for group in groups for run in group.runs]
    known = any(run.reference is not None for run in runs)
    has_shots = any(_spent(run, "shots") > 0 for run in runs)
    has_seconds = any(_spent(run, "seconds") > 0 for run in runs)
    columns = ["", "runs", "ended", "energy"]
    columns += ["|energy − reference|"] if known else []
    columns += ["steps", "circuits"] + (["shots"] if has_shots else []) + (["device time (s)"] if has_seconds else [])
    return {"kind": "compared", "columns": columns, "rows": [_row(group, columns) for group in groups]}


def _row(group: Group, columns: Sequence[str]) -> list[str]:
    cells = {
        "": group.label or "run",
        "runs": str(len(group.runs)),
        "ended": _ended(group),
        "energy": _energies(group),
        "|energy − reference|": _of(group, [_distance(run) for run in group.runs], "{:.2g}"),
        "steps": _of(group, [run.steps for run in group.runs], "{:,.0f}"),
        "circuits": _of(group, [_spent(run, "circuits") for run in group.runs], "{:,.0f}"),
        "shots": _of(group, [_spent(run, "shots") for run in group.runs], "{:,.0f}"),
        "device time (s)": _of(group, [_spent(run, "seconds") for run in group.runs], "{:,.4g}"),
    }
    return [cells[name] for name in columns]


def _spent(run: RunData, unit: str) -> float:
    """By the whole run, its start and the measurement of its end included, whose energy stands beside it."""
    spent = run.result["cost"].get(unit)  # earlier versions knew of no seconds
    return math.nan if spent is None else spent


def _distance(run: RunData) -> float:
    return math.nan if run.reference is None else abs(run.energy - run.reference)


def _ended(group: Group) -> str:
    names = [str(run.result["status"]).replace("_", " ") for run in group.runs]
    counts = {name: names.count(name) for name in dict.fromkeys(names)}
    if len(counts) == 1:
        return next(iter(counts))
    return ", ".join(f"{count} {name}" for name, count in counts.items())


def _energies(group: Group) -> str:
    (first, *more) = group.runs
    if not more:
        return first.with_unit(format_with_error(first.energy, first.stderr))
    return first.with_unit(_of(group, [run.energy for run in group.runs], "{:.6g}"))


def _of(group: Group, values: Sequence[float], form: str) -> str:
    """The median of numbers with their quartiles; of fewer than three their range."""
    known = [value for value in values if np.isfinite(value)]
    if not known:
        return "unknown"
    if len(known) == 1:
        return form.format(known[0])
    low, middle, high = (
        np.quantile(known, (0.25, 0.5, 0.75)) if group.has_band else (min(known), np.median(known), max(known))
    )
    if low == high:
        return form.format(middle)
    return f"{form.format(middle)} [{form.format(low)}, {form.format(high)}]"
