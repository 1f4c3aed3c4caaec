"""How figures look: colours, panels, points with error bars. Matplotlib's objects alone: no global state."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

from qngd.report.drawing import png

# Okabe and Ito's palette, told apart with any kind of colour vision, and lighter ones for a dark page. Each colour of a
# figure is one of these, so that a page may put the other in its place.
COLOURS = {
    "blue": ("#0072B2", "#56B4E9"),
    "red": ("#D55E00", "#FF8C42"),
    "green": ("#009E73", "#35CFA2"),
    "orange": ("#E69F00", "#F2C14E"),
    "purple": ("#A5508A", "#E08FC4"),
    "grey": ("#6B6B6B", "#A8A8A8"),
    "ink": ("#1C1C1D", "#E8E8E9"),
    "lines": ("#E1E1E2", "#3A3A3B"),
    "paper": ("#FFFFFE", "#161617"),
}
BLUE, RED, GREEN, ORANGE, PURPLE, GREY, INK, LINES, PAPER = (light for light, _ in COLOURS.values())
SERIES = ((BLUE, "-"), (RED, "--"), (GREEN, "-."), (PURPLE, ":"), (ORANGE, (0, (5, 1))), (GREY, (0, (3, 1, 1, 1))))
"""Colours and line styles of what is compared: told apart without colours, too."""

FEW_STEPS = 60  # up to here every step gets a marker
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_SHORT, _DECADES = 8, 300  # times that a logarithmic axis spans, up to where powers of ten are too few
MANY = 3000  # points from which on lines are drawn as pixels


class Picture(Figure):
    """A figure that a notebook shows, also where nobody has imported pyplot."""

    def _repr_png_(self) -> bytes:
        return png(self, 110)


def panels(count: int = 1, *, heights: tuple[float, ...] | None = None, size: tuple[float, float] = (4.7, 3.1)) -> Any:
    """A figure, and its panels above each other over one x axis."""
    figure = Picture(figsize=size, layout="constrained", facecolor=PAPER)
    axes = figure.subplots(count, 1, sharex=True, height_ratios=heights, squeeze=False)[:, 0]
    for each in axes:
        dress(each)
    return figure, axes


def dress(axes: Axes) -> None:
    """Colours, grid and frame of a panel."""
    axes.set_facecolor("none")
    axes.grid(True, color=LINES, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    for spine in axes.spines.values():
        spine.set_color(INK)
    axes.tick_params(which="both", colors=INK, labelsize=9)
    axes.xaxis.label.set_color(INK)
    axes.yaxis.label.set_color(INK)


def tidy(axes: Axes) -> None:
    """Give a logarithmic y axis ticks that can be told apart: powers of ten, or a few numbers where it spans less."""
    low, high = axes.get_ylim()
    if axes.get_yscale() == "symlog":
        powers = 10.0 ** np.arange(1, 16)
        places = np.concatenate([-powers[::-1], [0.0], powers])
        axes.yaxis.set_major_locator(FixedLocator(places[(places >= low) & (places <= high)].tolist()))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_locator(NullLocator())
    if axes.get_yscale() != "log":
        return
    axes.yaxis.set_minor_formatter(NullFormatter())
    if high < _DECADES * low:
        axes.yaxis.set_minor_locator(NullLocator())
        few = high < _SHORT * low
        axes.yaxis.set_major_locator(MaxNLocator(nbins=4) if few else LogLocator(subs=(1.0, 2.0, 5.0), numticks=30))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
        return
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _power(value)))


def _power(value: float) -> str:
    """A power of ten as text: to Matplotlib's own way of writing it, letter by letter, a page's fonts would not fit."""
    exponent = round(np.log10(value)) if value > 0 else 0
    return f"10{str(exponent).translate(_RAISED)}" if np.isclose(value, 10.0**exponent) else ""


def over_steps(axes: Axes, first: float, last: float, label: str = "step") -> None:
    """Let the x axis be that of steps: whole numbers."""
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    if last <= first:
        axes.set_xlim(first - 0.5, first + 0.5)
    axes.set_xlabel(label)
    figure = axes.get_figure(root=True)
    for each in [] if figure is None else figure.axes:
        tidy(each)


def points(
    axes: Axes, x: np.ndarray, y: np.ndarray, stderr: np.ndarray | None, label: str | None, colour: str = BLUE,
    line: Any = "-", width: float = 1.4,
) -> None:  # fmt: skip
    """Draw a line, with a marker a point if there are few, and with error bars where there are errors."""
    marker = "o" if np.isfinite(y).sum() <= FEW_STEPS else None
    style: dict[str, Any] = {
        "color": colour, "linestyle": line, "linewidth": width, "markersize": 3.0, "label": label, "marker": marker,
        "rasterized": len(x) > MANY,
    }  # fmt: skip
    if stderr is None or not np.any(stderr > 0):
        axes.plot(x, y, **style)
        return
    every = max(1, -(-len(x) // FEW_STEPS))
    errors = np.where(np.isfinite(stderr), stderr, 0.0)
    axes.errorbar(x, y, yerr=errors, errorevery=every, elinewidth=0.8, capsize=1.5, **style)


def legend(axes: Axes, columns: int = 3) -> None:
    """Put the legend above the panel, where it covers nothing; none where there is nothing to tell apart."""
    handles, _ = axes.get_legend_handles_labels()
    if handles:
        axes.legend(
            loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=columns, frameon=False, borderaxespad=0.2, fontsize=9,
            labelcolor=INK, handlelength=1.8, columnspacing=1.2,
        )  # fmt: skip


def with_unit(text: str, unit: str, per: str = "") -> str:
    """An axis's label: the text with its unit, if there is one."""
    whole = "/".join(part for part in (unit, per) if part and unit)
    return f"{text} ({whole})" if whole else text
