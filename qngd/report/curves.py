"""What the figures of several runs share: who is drawn how, over what."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from qngd.report.groups import Group
from qngd.report.run_data import RunData
from qngd.report.style import (
    SERIES,
    Picture,
    over_steps,
    points,
)

Groups = Sequence[Group]


class Drawn(NamedTuple):
    """A figure, and what it shows in words."""

    figure: Picture
    text: str


def curves(
    axes: Axes, groups: Groups, of: str, over: str, value: Callable[[RunData], np.ndarray] | None = None
) -> None:
    """Draw a column over another: of a single run with error bars, of a few each, of many medians and quartiles."""
    if value is not None:
        groups = [Group(g.label, tuple(_with_column(run, of, value(run)) for run in g.runs)) for g in groups]
    single = len(runs_of(groups)) == 1
    for place, group in enumerate(groups):
        colour, line = SERIES[place % len(SERIES)]
        if not any(is_known(run, of) for run in group.runs):
            continue
        name = (
            None
            if single and not any(axes.get_legend_handles_labels())
            else ("energy" if single else shortened(group.label))
        )
        if group.has_band:
            x, (low, middle, high) = group.quartiles(of, over)
            axes.fill_between(x, low, high, color=colour, alpha=0.2, linewidth=0)
            axes.plot(x, middle, color=colour, linestyle=line, linewidth=1.6, label=name)
            continue
        for number, run in enumerate(group.runs):
            label = name if number == 0 else None
            errors = run.history["stderr"] if of in ("energy", "distance") and single else None
            x, y = run.history[over], run.history[of]
            known = np.isfinite(x) & np.isfinite(y)
            points(axes, x[known], y[known], None if errors is None else errors[known], label, colour, line)


def _with_column(run: RunData, name: str, values: np.ndarray) -> RunData:
    return RunData(run.result, {**run.history, name: values}, run.eigenvalues, run.metrics, run.label)


def step_axis(axes: Axes, runs: Sequence[RunData], over: str, label: str) -> None:
    """Let the x axis be that of steps, or of what was spent."""
    if over == "step":
        steps = [run.history["step"] for run in runs]
        over_steps(axes, min(each[0] for each in steps), max(each[-1] for each in steps))
        return
    axes.set_xlabel({"seconds": "device time (s)"}.get(over, label))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5))
    axes.ticklabel_format(axis="x", style="sci", scilimits=(-3, 5), useMathText=True)


def shortened(label: str) -> str:
    """A label of at most so many letters as a legend has room for."""
    return label if len(label) <= 26 else f"{label[:25]}…"


def runs_of(groups: Groups) -> list[RunData]:
    """All runs of the groups."""
    return [run for group in groups for run in group.runs]


def unit_of(runs: Sequence[RunData]) -> str:
    """The unit of energies that all share, or nothing."""
    return common([run.unit for run in runs]) or ""


def common(values: Sequence[Any]) -> Any:
    """The value that all share, or None."""
    return values[0] if all(value == values[0] for value in values) else None


def was_spent(run: RunData, name: str) -> bool:
    """Whether a run has spent any of a resource, and its use is known."""
    values = run.history[name]
    return bool(np.isfinite(values).all() and values[-1] > 0)


def is_known(run: RunData, name: str) -> bool:
    """Whether anything of a column is known."""
    return bool(np.isfinite(run.history[name]).any())


def known_values(run: RunData, name: str) -> tuple[np.ndarray, np.ndarray]:
    """The steps at which a column is known, and its values there."""
    known = np.isfinite(run.history[name])
    return run.history["step"][known], run.history[name][known]


def how_drawn(groups: Groups) -> str:
    """What the lines of several runs are, in words."""
    runs = runs_of(groups)
    if len(runs) == 1:
        return ""
    texts = []
    if any(group.has_band for group in groups):
        texts.append(
            "Lines are medians over the runs, bands their quartiles; a run that has ended keeps its last value."
        )
    if any(not group.has_band for group in groups):
        texts.append("Fewer than three runs of a kind are drawn one by one.")
    return " ".join(texts)
