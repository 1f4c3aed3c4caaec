"""The pictures of a run, drawn from `RunData`. Matplotlib's objects alone: no global state, no display."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from qngd.report.run_data import CHEMICAL_ACCURACY, RunData

# Okabe and Ito's palette: told apart with any kind of colour vision.
_BLUE, _RED, _GREEN, _ORANGE, _GREY = "#0072B2", "#D55E00", "#009E73", "#E69F00", "#6B6B6B"
_FEW_STEPS = 60  # up to here every step gets a marker


def convergence(data: RunData) -> Figure:
    """Energy over steps; below it the error to the reference, or the gradient norm where none is known."""
    figure, (top, bottom) = _two_panels(data, "convergence", heights=(1, 1))
    _draw_energy(top, data)
    if data.reference is None:
        _draw_gradient_norm(bottom, data)
    else:
        _draw_error(bottom, data, data.reference)
    bottom.set_xlabel("step")
    return figure


def spectrum(data: RunData) -> Figure:
    """Eigenvalues of the metric that each step was taken from, and how many of them are above rounding."""
    figure, (top, bottom) = _two_panels(data, "spectrum of the metric", heights=(3, 1))
    if np.isfinite(data.eigenvalues).any():
        _draw_eigenvalues(top, data)
        _draw_rank(bottom, data)
    else:
        what = "no metric was measured" if len(data.eigenvalues) else "no step was taken"
        top.text(0.5, 0.5, what, transform=top.transAxes, ha="center", color=_GREY)
        for axes in (top, bottom):
            axes.set(xticks=[], yticks=[])
    top.set_ylabel("eigenvalue of the metric g")
    bottom.set_ylabel("rank")
    bottom.set_xlabel("step (metric at the point it starts from)")
    return figure


def _two_panels(data: RunData, what: str, heights: tuple[float, float]) -> tuple[Figure, tuple[Axes, Axes]]:
    figure = Figure(figsize=(7.0, 6.0), layout="constrained")
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=heights)
    # A problem's name is text, whatever dollar signs it holds.
    title = f"{data.name}: {what}"
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, wrap=True, parse_math=False)
    for axes in (top, bottom):
        axes.grid(True, color="0.9", linewidth=0.6)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    bottom.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    if len(data.history["step"]) == 1:
        bottom.set_xlim(-0.5, 0.5)
    return figure, (top, bottom)


def _draw_energy(axes: Axes, data: RunData) -> None:
    step, energy = data.history["step"], data.history["energy"]
    if data.reference is not None:
        axes.axhline(data.reference, color=_GREEN, linestyle="--", linewidth=1.2, label="reference")
    _draw_points(axes, step, energy, data.history["stderr"], "energy")
    rejected = data.history["accepted"] == 0
    if rejected.any():
        axes.plot(
            step[rejected], energy[rejected], linestyle="none", marker="x", color=_RED, markersize=6,
            markeredgewidth=1.5, label="step rejected",
        )  # fmt: skip
    axes.ticklabel_format(axis="y", useOffset=False)
    axes.set_ylabel(_with_unit("energy", data))
    _legend(axes)


def _draw_error(axes: Axes, data: RunData, reference: float) -> None:
    error = np.abs(data.history["error"])
    floor = np.finfo(float).eps * max(1.0, abs(reference))  # below it an error is rounding
    error = np.where(np.isfinite(error), np.maximum(error, floor), np.nan)
    axes.set_yscale("log", nonpositive="clip")
    _draw_points(axes, data.history["step"], error, data.history["stderr"], None)
    if data.unit == "hartree":
        label = f"chemical accuracy, {CHEMICAL_ACCURACY:g} hartree"
        axes.axhline(CHEMICAL_ACCURACY, color=_ORANGE, linestyle=":", linewidth=1.8, label=label)
        _legend(axes)
    axes.set_ylabel(_with_unit("|energy − reference|", data))


def _draw_gradient_norm(axes: Axes, data: RunData) -> None:
    """Draw the gradient's norm over steps: what step k saw belongs to the point after step k − 1."""
    norm = data.history["gradient_norm"][1:]
    axes.set_yscale("log", nonpositive="clip")
    _draw_points(axes, data.history["step"][:-1], norm, np.zeros_like(norm), None)
    axes.set_ylabel(_with_unit("gradient norm", data, per="rad"))


def _draw_points(axes: Axes, x: np.ndarray, y: np.ndarray, stderr: np.ndarray, label: str | None) -> None:
    """Draw a line, with a marker a step if there are few, and with error bars where there are errors."""
    marker = "o" if len(x) <= _FEW_STEPS else None
    style: dict[str, Any] = {"color": _BLUE, "linewidth": 1.4, "markersize": 3.5, "label": label}
    if not np.any(stderr > 0):
        axes.plot(x, y, marker=marker, **style)
        return
    every = max(1, -(-len(x) // _FEW_STEPS))
    axes.errorbar(x, y, yerr=stderr, errorevery=every, elinewidth=0.8, capsize=2, marker=marker, **style)


def _draw_eigenvalues(axes: Axes, data: RunData) -> None:
    """Draw the eigenvalues above rounding, a line per place in their order; a logarithmic axis has no zeros."""
    step, rank = data.history["step"][1:], data.history["rank"][1:]
    count = data.eigenvalues.shape[1]
    shown = np.arange(count) >= count - rank[:, None]
    values = np.where(shown & (data.eigenvalues > 0), data.eigenvalues, np.nan)
    style: dict[str, Any] = {"marker": "o", "markersize": 2.5} if len(step) <= _FEW_STEPS else {}
    alpha = float(np.clip(8 / count, 0.45, 0.8))
    axes.set_yscale("log", nonpositive="clip")
    for place in range(count):
        label = "eigenvalues" if place == count - 1 else None
        axes.plot(step, values[:, place], color=_BLUE, linewidth=1, alpha=alpha, label=label, **style)
    damping = data.history["damping"][1:]
    if np.any(damping > 0):
        axes.plot(step, damping, color=_RED, linestyle="--", linewidth=1.5, label="damping")
    _legend(axes)


def _draw_rank(axes: Axes, data: RunData) -> None:
    step, rank = data.history["step"][1:], data.history["rank"][1:]
    count = data.eigenvalues.shape[1]
    axes.axhline(count, color=_GREY, linestyle=":", linewidth=1.2)
    axes.annotate(
        f"{count} parameters", (1, count), xycoords=("axes fraction", "data"), xytext=(-4, 3),
        textcoords="offset points", ha="right", fontsize=9, color=_GREY,
    )  # fmt: skip
    marker = "o" if len(step) <= _FEW_STEPS else None
    axes.plot(step, rank, color=_BLUE, linewidth=1.4, drawstyle="steps-mid", marker=marker, markersize=2.5)
    axes.set_ylim(0, 1.4 * count)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=4))


def _legend(axes: Axes) -> None:
    """Put the legend above the panel, where it covers nothing."""
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=3, frameon=False, borderaxespad=0.2)


def _with_unit(text: str, data: RunData, per: str = "") -> str:
    unit = "/".join(part for part in (data.unit, per) if part and data.unit)
    return f"{text} ({unit})" if unit else text
