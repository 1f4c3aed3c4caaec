"""Figures of energies: over steps, over what was spent, and their distance to the reference."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes

from qngd.errors import counted
from qngd.estimates.estimate import format_with_error
from qngd.report import figures
from qngd.report.curves import (
    Drawn,
    Groups,
    common,
    curves,
    how_drawn,
    runs_of,
    step_axis,
    unit_of,
    was_spent,
)
from qngd.report.groups import grouped
from qngd.report.run_data import CHEMICAL_ACCURACY, RunData
from qngd.report.style import (
    INK,
    ORANGE,
    RED,
    legend,
    panels,
    with_unit,
)


def energy(over: str, axis: str) -> Callable[[Groups], Drawn | str]:
    """The figure of the energy over a column of the history, the name of which stands at the axis."""

    def draw(groups: Groups) -> Drawn | str:
        runs = runs_of(groups)
        if over != "step" and not any(was_spent(run, over) for run in runs):
            return f"No {axis} were spent." if over != "seconds" else _no_seconds(runs)
        shown = [run for run in runs if over == "step" or was_spent(run, over)]
        figure, (axes,) = panels()
        unit = unit_of(runs)
        reference = common([run.reference for run in runs])
        if reference is not None:
            axes.axhline(reference, color=INK, linestyle=(0, (4, 3)), linewidth=1, label="reference")
        curves(axes, grouped(shown) if len(shown) < len(runs) else groups, "energy", over)
        if over == "step" and len(runs) == 1:
            _mark_rejected(axes, runs[0])
        axes.ticklabel_format(axis="y", useOffset=False)
        axes.set_ylabel(with_unit("energy", unit))
        step_axis(axes, shown, over, axis)
        legend(axes, 2 if len(groups) > 2 else 3)
        return Drawn(figure, _energy_words(groups, over, axis))

    return draw


def _energy_words(groups: Groups, over: str, axis: str) -> str:
    if len(runs_of(groups)) == 1:
        (run,) = runs_of(groups)
        history = run.history
        start = format_with_error(float(history["energy"][0]), float(history["stderr"][0]))
        end = format_with_error(float(history["energy"][-1]), float(history["stderr"][-1]))
        spent = f"{history[over][-1]:,.6g} {axis}" if over != "step" else counted(run.steps, "step")
        text = f"Energy against {axis}: from {start} to {run.with_unit(end)}, after {spent}."
        if run.reference is not None:
            text += f" Dashed: the reference, {run.with_unit(f'{run.reference:.6g}')}."
        text += " Bars: one standard error." if run.has_shots else ""
        again = run.has_shots and run.energy != history["energy"][-1]
        return text + (f" Measured again at the end: {format_with_error(run.energy, run.stderr)}." if again else "")
    return f"Energy against {axis}. {how_drawn(groups)}"


def distance(groups: Groups) -> Drawn | str:
    """The figure of the distance to the reference."""
    runs = [run for run in runs_of(groups) if run.reference is not None]
    if not runs:
        return "No reference energy is known, so no distance to it can be shown."
    figure, (axes,) = panels()
    axes.set_yscale("log", nonpositive="clip")
    below = sum(int(np.sum(run.history["error"] < 0)) for run in runs)
    if unit_of(runs) == "hartree":
        label = f"chemical accuracy, {CHEMICAL_ACCURACY:g} hartree"
        axes.axhline(CHEMICAL_ACCURACY, color=ORANGE, linestyle=":", linewidth=1.8, label=label)
    curves(axes, grouped(runs), "distance", "step", _distances)
    axes.set_ylabel(with_unit("|energy − reference|", unit_of(runs)))
    step_axis(axes, runs, "step", "step")
    legend(axes, 2)
    text = f"Distance of the energy to the reference, on a logarithmic axis. {how_drawn(groups)}"
    if len(runs) == 1:
        text = (
            f"Distance of the energy to the reference, on a logarithmic axis: {abs(runs[0].history['error'][-1]):.2g} "
            f"at the end."
        )
    lie = "lies" if below == 1 else "lie"
    return Drawn(figure, text + (f" {below} of the energies {lie} below the reference." if below else ""))


def _distances(run: RunData) -> np.ndarray:
    """The distances to the reference (steps + 1,), at least what rounding makes of it."""
    assert run.reference is not None
    return figures.distances(run, run.reference)


def _mark_rejected(axes: Axes, run: RunData) -> None:
    rejected = run.history["accepted"] == 0
    if rejected.any():
        axes.plot(
            run.history["step"][rejected], run.history["energy"][rejected], linestyle="none", marker="x", color=RED,
            markersize=5, markeredgewidth=1.3, label="step rejected",
        )  # fmt: skip


def _no_seconds(runs: Sequence[RunData]) -> str:
    exact = not any(was_spent(run, "shots") for run in runs)
    return "No device time was spent: nothing ran on a device." if exact else "The backend gives no device times."
