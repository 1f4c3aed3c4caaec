"""The two pictures of a single run that stand for it: energy with its error, and the metric's spectrum."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from qngd.errors import counted
from qngd.report.run_data import CHEMICAL_ACCURACY, RunData
from qngd.report.style import (
    BLUE,
    FEW_STEPS,
    GREY,
    INK,
    MANY,
    ORANGE,
    RED,
    Picture,
    legend,
    over_steps,
    panels,
    points,
    with_unit,
)  # fmt: skip


def convergence(data: RunData) -> Figure:
    """Energy over steps; below it the error to the reference, or the gradient norm where one was measured. What is not
    known has no panel."""
    draw = _second_panel(data)
    figure, axes = panels(1 if draw is None else 2, size=(7.0, 3.4 if draw is None else 6.0))
    _title(figure, data, "convergence")
    _draw_energy(axes[0], data)
    if draw is not None:
        draw(axes[1], data)
    over_steps(axes[-1], data.history["step"][0], data.history["step"][-1])
    return figure


def _second_panel(data: RunData) -> Any:
    if data.reference is not None:
        return _draw_error
    return _draw_gradient_norm if np.isfinite(data.history["gradient_norm"]).any() else None


def spectrum(data: RunData) -> Figure:
    """Eigenvalues of the metric that each step was taken from, and how many of them are above rounding. Where no metric
    was measured the figure says so, and has no axes."""
    if not np.isfinite(data.eigenvalues).any():
        figure = Picture(figsize=(7.0, 1.5), layout="constrained")
        what = "no metric was measured" if len(data.eigenvalues) else "no step was taken"
        figure.text(0.5, 0.4, what, ha="center", color=GREY)
        _title(figure, data, "spectrum of the metric")
        return figure
    figure, (top, bottom) = panels(2, heights=(3, 1), size=(7.0, 6.0))
    _title(figure, data, "spectrum of the metric")
    draw_eigenvalues(top, data)
    draw_rank(bottom, data)
    top.set_ylabel("eigenvalue of the metric g")
    bottom.set_ylabel("rank")
    over_steps(bottom, data.history["step"][0], data.history["step"][-1], "step (metric at the point it starts from)")
    return figure


def _title(figure: Figure, data: RunData, what: str) -> None:
    # A problem's name is text, whatever dollar signs it holds.
    figure.suptitle(f"{data.name}: {what}", x=0.01, ha="left", fontsize=11, wrap=True, parse_math=False, color=INK)


def _draw_energy(axes: Axes, data: RunData) -> None:
    step, energy = data.history["step"], data.history["energy"]
    if data.reference is not None:
        axes.axhline(data.reference, color=INK, linestyle=(0, (4, 3)), linewidth=1, label="reference")
    points(axes, step, energy, data.history["stderr"], "energy")
    rejected = data.history["accepted"] == 0
    if rejected.any():
        axes.plot(
            step[rejected], energy[rejected], linestyle="none", marker="x", color=RED, markersize=6,
            markeredgewidth=1.5, label="step rejected",
        )  # fmt: skip
    axes.ticklabel_format(axis="y", useOffset=False)
    axes.set_ylabel(with_unit("energy", data.unit))
    legend(axes)


def distances(data: RunData, reference: float) -> np.ndarray:
    """|energy − reference| (steps + 1,), at least what rounding makes of it."""
    error = np.abs(data.history["error"])
    floor = np.finfo(float).eps * max(1.0, abs(reference))  # below it an error is rounding
    return np.where(np.isfinite(error), np.maximum(error, floor), np.nan)


def _draw_error(axes: Axes, data: RunData) -> None:
    assert data.reference is not None
    axes.set_yscale("log", nonpositive="clip")
    points(axes, data.history["step"], distances(data, data.reference), data.history["stderr"], None)
    if data.unit == "hartree":
        label = f"chemical accuracy, {CHEMICAL_ACCURACY:g} hartree"
        axes.axhline(CHEMICAL_ACCURACY, color=ORANGE, linestyle=":", linewidth=1.8, label=label)
        legend(axes)
    axes.set_ylabel(with_unit("|energy − reference|", data.unit))


def _draw_gradient_norm(axes: Axes, data: RunData) -> None:
    """Draw the gradient's norm over steps: what step k saw belongs to the point after step k − 1."""
    axes.set_yscale("log", nonpositive="clip")
    points(axes, data.history["step"][:-1], data.history["gradient_norm"][1:], None, None)
    axes.set_ylabel(with_unit("gradient norm", data.unit, per="rad"))


def draw_eigenvalues(axes: Axes, data: RunData) -> None:
    """Draw the eigenvalues above rounding, a line per place in their order; a logarithmic axis has no zeros."""
    step, rank = data.history["step"][1:], data.history["rank"][1:]
    count = data.eigenvalues.shape[1]
    shown = np.arange(count) >= count - rank[:, None]
    values = np.where(shown & (data.eigenvalues > 0), data.eigenvalues, np.nan)
    style: dict[str, Any] = {"marker": "o", "markersize": 2.5} if len(step) <= FEW_STEPS else {}
    alpha = float(np.clip(8 / count, 0.45, 0.8))
    axes.set_yscale("log", nonpositive="clip")
    for place in range(count):
        label = "eigenvalues" if place == count - 1 else None
        axes.plot(
            step, values[:, place], color=BLUE, linewidth=1, alpha=alpha, label=label,
            rasterized=values.size > MANY, **style,
        )  # fmt: skip
    damping = data.history["damping"][1:]
    if np.any(damping > 0):
        axes.plot(step, damping, color=RED, linestyle="--", linewidth=1.5, label="damping")
    legend(axes)


def draw_rank(axes: Axes, data: RunData) -> None:
    """Draw how many eigenvalues are above rounding."""
    step, rank = data.history["step"][1:], data.history["rank"][1:]
    count = data.eigenvalues.shape[1]
    axes.axhline(count, color=GREY, linestyle=":", linewidth=1.2)
    axes.annotate(
        counted(count, 'parameter'), (1, count), xycoords=("axes fraction", "data"), xytext=(-4, 3),
        textcoords="offset points", ha="right", fontsize=9, color=GREY,
    )  # fmt: skip
    marker = "o" if len(step) <= FEW_STEPS else None
    axes.plot(step, rank, color=BLUE, linewidth=1.4, drawstyle="steps-mid", marker=marker, markersize=2.5)
    axes.set_ylim(0, 1.4 * count)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=3))
