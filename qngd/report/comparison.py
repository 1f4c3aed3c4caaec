"""Several runs side by side."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from qngd._system.columns import columns_lines
from qngd._system.html import columns_table
from qngd.errors import SettingError, counted, did_you_mean
from qngd.report.compared import compared_table
from qngd.report.groups import Group, grouped
from qngd.report.run_data import RunData

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class Comparison:
    """Runs to be looked at side by side; `qngd.compare` makes it. Runs of one label belong together, as those of
    several seeds: of three or more medians and quartiles are shown.

    Attributes:
        runs: the data of each run, with its label.
    """

    runs: tuple[RunData, ...]

    @property
    def groups(self) -> tuple[Group, ...]:
        """The runs by their labels."""
        return grouped(self.runs)

    def quartiles(self, of: str = "energy", over: str = "step") -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """By label, the places (n,) and there the lower quartile, median and upper quartile (3, n) of a column of the
        history, such as "energy" or "error", over another, such as "step" or "shots". A run counts with the last value
        that it had by then; one that has ended keeps its last."""
        return {group.label: group.quartiles(of, over) for group in self.groups}

    def plot(self, what: str = "energy") -> Figure:
        """A figure of Matplotlib: "energy" over steps, "shots", "circuits" or "seconds" (the energy over these),
        "distance", "length", "rate", "gradient", "significance", "damping" or "cost".

        Raises:
            SettingError: there is no such figure, or nothing of it was measured; the text says which, or why.
        """
        from qngd.report.catalogue import CATALOGUE

        known = {entry.key: entry for entry in CATALOGUE if entry.together}
        if what not in known:
            raise SettingError(f"plot: {what!r} is none of {', '.join(known)}.{did_you_mean(what, known)}")
        found = known[what].draw(self.groups)
        if isinstance(found, str):
            raise SettingError(f"plot: there is nothing to draw. {found}")
        return found.figure

    def report(self, path: str | os.PathLike[str]) -> None:
        """Write a page about the runs: one file of HTML that needs no network.

        Raises:
            SettingError: the file cannot be written.
        """
        from qngd.report.page import write_page

        write_page(self.runs, path)

    def figures(self, folder: str | os.PathLike[str]) -> list[Path]:
        """Write the figures of the page as PNG and SVG into a folder; returns their paths.

        Raises:
            SettingError: the folder cannot be written to.
        """
        from qngd.report.files import prepare
        from qngd.report.page import write_figures

        return write_figures(self.runs, prepare(Path(folder), "folder"), "folder")

    def __repr__(self) -> str:
        names = ", ".join(f"{group.label}: {len(group.runs)}" for group in self.groups[:6])
        return f"Comparison({counted(len(self.runs), 'run')}: {names}{', …' if len(self.groups) > 6 else ''})"

    def __str__(self) -> str:
        table = compared_table(self.groups)
        return "\n".join(columns_lines([table["columns"], *table["rows"]]))

    def _repr_html_(self) -> str:
        """For notebooks: the table, and the energy over steps."""
        from qngd.report.notebook import picture

        table = compared_table(self.groups)
        return columns_table("Comparison", table["columns"], table["rows"]) + picture(*self.runs)


def told_apart(runs: Sequence[RunData]) -> tuple[RunData, ...]:
    """Runs with labels that say in what they differ: the problem, and the settings other than the seed that are known
    of all."""
    if not runs or any(run.label for run in runs):
        return tuple(runs)
    about = [{"problem": run.name, **run.result.get("run", {})} for run in runs]
    names = [name for name in about[0] if name not in _OF_ONE and all(name in each for each in about)]
    different = [name for name in names if len({repr(each.get(name)) for each in about}) > 1]
    labels = [_label(each, different) for each in about]
    short = [_label(each, different, brief=True) for each in about]
    if len(set(short)) == len(set(labels)):
        labels = short
    if max(map(len, labels)) > _LONGEST:
        distinct = list(dict.fromkeys(labels))
        labels = [f"run {distinct.index(label) + 1}" for label in labels]  # the settings say in what they differ
    return tuple(run.labelled(label) for run, label in zip(runs, labels, strict=True))


_OF_ONE = ("seed", "run_dir", "out", "seconds", "file")  # what differs between runs that belong together


_LONGEST = 40  # characters of a label


def _label(about: Mapping[str, Any], names: Sequence[str], brief: bool = False) -> str:
    """What a run is called; in brief an optimizer without its settings."""
    texts = []
    for name in names:
        value = str(about.get(name))
        if name == "optimizer":
            texts.append(value.partition("(")[0] if brief else value)
        else:
            texts.append(value if name == "problem" else f"{name}={value}")
    return ", ".join(texts) or "all"
