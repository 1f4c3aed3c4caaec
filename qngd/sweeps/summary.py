"""What many runs came to: medians and quartiles over the seeds of each point."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

_OF = ("energy", "error", "steps", "shots")


def summarized(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A row for every point in the order of the first of its runs: its `settings`, how many runs there are, how many of
    them failed, and (lower quartile, median, upper quartile) of energy, error, steps and shots of the others; None
    where nothing is known.

    >>> rows = [{"settings": {"a": "1"}, "status": "converged", "energy": e, "steps": 3} for e in (1.0, 2.0, 4.0)]
    >>> summarized(rows)[0]["energy"]
    (1.5, 2.0, 3.0)
    """
    points: dict[tuple[tuple[str, str], ...], list[Mapping[str, Any]]] = {}
    for row in rows:
        points.setdefault(tuple(row["settings"].items()), []).append(row)
    return [_of_point(dict(settings), of_it) for settings, of_it in points.items()]


def _of_point(settings: dict[str, str], rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    good = [row for row in rows if row["status"] != "error"]
    return {
        "settings": settings,
        "runs": len(rows),
        "failed": len(rows) - len(good),
        **{name: quartiles([_value(row, name) for row in good]) for name in _OF},
    }


def _value(row: Mapping[str, Any], name: str) -> float | None:
    found = (row.get("cost") or {}).get(name) if name == "shots" else row.get(name)
    return None if found is None or not math.isfinite(found) else found


def quartiles(values: Sequence[float | None]) -> tuple[float, float, float] | None:
    """(lower quartile, median, upper quartile), by linear interpolation, of those that are known."""
    known = [float(value) for value in values if value is not None]
    if len(known) < 2:
        return (known[0],) * 3 if known else None
    low, middle, high = statistics.quantiles(known, n=4, method="inclusive")
    return low, middle, high
