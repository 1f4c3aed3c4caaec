"""Figures of steps: their lengths, rates and gradients."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from qngd.report.curves import (
    Drawn,
    Groups,
    curves,
    how_drawn,
    is_known,
    known_values,
    runs_of,
    step_axis,
    unit_of,
)
from qngd.report.groups import grouped
from qngd.report.style import (
    ORANGE,
    SERIES,
    legend,
    panels,
    points,
    with_unit,
)


def columns(columns: dict[str, str], label: str, words: str, missing: str) -> Callable[[Groups], Drawn | str]:
    """The figure of columns of the history, each with its name in the legend; of several runs the first alone."""

    def draw(groups: Groups) -> Drawn | str:
        runs = runs_of(groups)
        known = {name: text for name, text in columns.items() if any(is_known(run, name) for run in runs)}
        if next(iter(columns)) not in known:
            return missing
        figure, (axes,) = panels()
        axes.set_yscale("log", nonpositive="clip")
        if len(runs) == 1:
            for place, (name, text) in enumerate(known.items()):
                colour, line = SERIES[place]
                points(axes, *known_values(runs[0], name), None, text, colour, line)
            if len(known) > 1:
                legend(axes)
        else:
            curves(axes, groups, next(iter(columns)), "step")
            legend(axes, 2)
        axes.set_ylabel(label)
        step_axis(axes, runs, "step", "step")
        return Drawn(figure, words if len(runs) == 1 else f"{words} {how_drawn(groups)}")

    return draw


def gradient(groups: Groups) -> Drawn | str:
    """The figure of the gradient's norm."""
    runs = runs_of(groups)
    if not any(is_known(run, "gradient_norm") for run in runs):
        return "The optimizer measured no gradient."
    figure, (axes,) = panels()
    axes.set_yscale("log", nonpositive="clip")
    curves(axes, groups, "gradient_norm", "step")
    axes.set_ylabel(with_unit("gradient norm", unit_of(runs), per="rad"))
    step_axis(axes, runs, "step", "step")
    legend(axes, 2)
    return Drawn(figure, f"Norm of the gradient at the point that each step was taken from. {how_drawn(groups)}")


def significance(groups: Groups) -> Drawn | str:
    """The figure of the gradient's significance, where it was sampled."""
    runs = runs_of(groups)
    finite = [run for run in runs if np.isfinite(run.history["significance"]).any()]
    if not finite:
        measured = any(is_known(run, "gradient_norm") for run in runs)
        return "Gradients are exact: they have no statistical error." if measured else "No gradient was measured."
    figure, (axes,) = panels()
    curves(axes, grouped(finite), "significance", "step")
    axes.axhline(2.0, color=ORANGE, linestyle=":", linewidth=1.8, label="2: below, five steps in a row end a run")
    axes.set_yscale("symlog", linthresh=2.0)  # it may be negative, and 2 is what matters
    axes.set_ylabel("significance (standard deviations)")
    step_axis(axes, finite, "step", "step")
    legend(axes, 1)
    return Drawn(
        figure,
        "By how many standard deviations the measured gradient differs from zero; below 2 it may be noise.",
    )
