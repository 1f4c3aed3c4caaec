"""The figures of a run, or of several side by side: each drawn with a text that says what its numbers say, or the
reason why there is nothing to draw."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from matplotlib.figure import Figure

from qngd.errors import SettingError, did_you_mean
from qngd.report import energies, figures, of_metric, of_steps, spending
from qngd.report.curves import (
    Drawn,
    Groups,
)
from qngd.report.groups import Group
from qngd.report.run_data import RunData
from qngd.report.style import (
    INK,
)


class Entry(NamedTuple):
    """A figure of the catalogue: `draw` gives it, or the reason why there is nothing to draw; `together` where several
    runs go into one."""

    key: str
    title: str
    draw: Callable[[Groups], Drawn | str]
    together: bool = True


CATALOGUE = (
    Entry("energy", "Energy", energies.energy("step", "steps")),
    Entry("distance", "Distance to the reference", energies.distance),
    Entry("circuits", "Energy against circuits", energies.energy("circuits", "circuits")),
    Entry("shots", "Energy against shots", energies.energy("shots", "shots")),
    Entry("seconds", "Energy against device time", energies.energy("seconds", "device seconds")),
    Entry(
        "length",
        "Length of steps",
        of_steps.columns(
            {"length": "length", "radius": "radius"},
            "length √(δᵀgδ) (rad)",
            "Length of each step in state space, √(δᵀgδ), and the trust radius that bounded it, where there was one.",
            "The optimizer knows no lengths in state space.",
        ),
    ),
    Entry(
        "rate",
        "Learning rate",
        of_steps.columns(
            {"rate": "rate"},
            "learning rate η",
            "The learning rate of each step; that of natural gradients is quoted for the Fubini–Study metric.",
            "The optimizer has no learning rate.",
        ),
    ),
    Entry("gradient", "Gradient", of_steps.gradient),
    Entry("significance", "Significance of the gradient", of_steps.significance),
    Entry("damping", "Damping and condition", of_metric.damping),
    Entry("spectrum", "Spectrum of the metric", of_metric.spectrum, together=False),
    Entry("metric", "Metric tensor", of_metric.heat_map, together=False),
    Entry("division", "What shots were for", spending.division, together=False),
    Entry("cost", "Cost so far", spending.cost),
    Entry("strings", "Bit strings", spending.bit_strings, together=False),
)


def drawn(run: RunData, what: str) -> Figure:
    """The figure of one run by its key, or "convergence".

    Raises:
        SettingError: there is no such figure, or nothing to draw; the text says which there are, or why.
    """
    if what == "convergence":
        return figures.convergence(run)
    known = {entry.key: entry for entry in CATALOGUE}
    if what not in known:
        names = ["convergence", *known]
        raise SettingError(f"plot: {what!r} is none of {', '.join(names)}.{did_you_mean(what, names)}")
    found = known[what].draw([Group(run.label, (run,))])
    if isinstance(found, str):
        raise SettingError(f"plot: there is nothing to draw. {found}")
    found.figure.suptitle(known[what].title, x=0.01, ha="left", fontsize=10, color=INK)
    return found.figure
