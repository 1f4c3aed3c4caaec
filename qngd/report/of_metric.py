"""Figures of the metric: damping, condition number, spectrum and the tensor itself."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.colors import CenteredNorm
from matplotlib.ticker import MaxNLocator

from qngd._system.html import coarsened
from qngd.report import figures
from qngd.report.curves import (
    Drawn,
    Groups,
    curves,
    how_drawn,
    is_known,
    runs_of,
    step_axis,
)
from qngd.report.style import (
    INK,
    Picture,
    legend,
    panels,
)

_MATRIX = 600  # rows of a heat map at most


def damping(groups: Groups) -> Drawn | str:
    """The figure of damping and condition number."""
    runs = runs_of(groups)
    if not any(is_known(run, "condition") for run in runs):
        return "No metric was measured, so there is neither damping nor a condition number."
    figure, (top, bottom) = panels(2, size=(4.7, 4.2))
    top.set_yscale("log", nonpositive="clip")
    bottom.set_yscale("log", nonpositive="clip")
    if any(np.any(run.history["damping"] > 0) for run in runs):
        curves(top, groups, "damping", "step")
        top.set_ylabel("damping λ")
    else:
        top.set_visible(False)
    curves(bottom, groups, "condition", "step")
    bottom.set_ylabel("condition of g")
    step_axis(bottom, runs, "step", "step")
    legend(top if top.get_visible() else bottom, 2)
    without = "" if top.get_visible() else " There was no damping."
    return Drawn(
        figure,
        "Damping λ, in units of the metric's eigenvalues, and the condition number of the metric over its nonzero "
        f"eigenvalues, at the point that each step was taken from.{without} {how_drawn(groups)}",
    )


def spectrum(groups: Groups) -> Drawn | str:
    """The figure of one run's eigenvalues and rank."""
    (run,) = runs_of(groups)
    if not np.isfinite(run.eigenvalues).any():
        return "No metric was measured." if run.steps else "No step was taken, so no metric was looked at."
    figure, (top, bottom) = panels(2, heights=(3, 1), size=(4.7, 4.2))
    figures.draw_eigenvalues(top, run)
    figures.draw_rank(bottom, run)
    top.set_ylabel("eigenvalue of g")
    bottom.set_ylabel("rank")
    step_axis(bottom, [run], "step", "step")
    last = run.eigenvalues[np.isfinite(run.eigenvalues).any(axis=1)][-1]
    rank = int(run.history["rank"][1:][np.isfinite(run.history["rank"][1:])][-1])
    return Drawn(
        figure,
        f"Eigenvalues of the metric that each step was taken from, above rounding; below, how many these are. At the "
        f"last one {rank} of {run.eigenvalues.shape[1]} are above rounding, the largest {np.nanmax(last):.3g}.",
    )


def heat_map(groups: Groups) -> Drawn | str:
    """The figure of the metric tensors that were kept of one run, at the first, a middle and the last step."""
    (run,) = runs_of(groups)
    kept = {step: matrix for step, matrix in run.metrics.items() if np.all(np.isfinite(matrix)) and matrix.size}
    if not kept:
        return "The metric tensor was not kept: the run measured none, or its files hold no matrices."
    steps = _chosen(sorted(kept))
    width = min(len(steps), 3)
    figure = Picture(figsize=(4.7, 4.6 if width == 1 else 2.7), layout="constrained")
    norm = CenteredNorm(halfrange=max(float(np.abs(kept[step]).max()) for step in steps) or 1.0)
    places = figure.subplots(1, width, squeeze=False, sharey=True)[0]
    for axes, step in zip(places, steps, strict=True):
        matrix = coarsened(kept[step], _MATRIX)
        count = len(kept[step])
        image = axes.imshow(
            matrix, cmap="RdBu_r", norm=norm, interpolation="nearest", extent=(-0.5, count - 0.5, count - 0.5, -0.5)
        )
        axes.set_title(f"after step {step}", fontsize=9, color=INK)
        axes.tick_params(colors=INK, labelsize=8)
        axes.set_xlabel("parameter", color=INK, fontsize=9)
        for ticks in (axes.xaxis, axes.yaxis):
            ticks.set_major_locator(MaxNLocator(integer=True, nbins=4))
    places[0].set_ylabel("parameter", color=INK, fontsize=9)
    bar = figure.colorbar(image, ax=list(places), orientation="horizontal", shrink=0.8, aspect=30)
    bar.set_label("entry of g", color=INK, fontsize=9)
    bar.ax.tick_params(colors=INK, labelsize=8)
    which = ", ".join(map(str, steps))
    alone = "" if len(kept) > 1 else " Those of other steps were not kept."
    largest = float(np.abs(kept[steps[-1]]).max())
    return Drawn(
        figure,
        f"The metric tensor, by the places of parameters, after step {which}; the largest entry of the last is "
        f"{largest:.3g}.{alone}",
    )


def _chosen(steps: Sequence[int]) -> list[int]:
    """The first, middle and last of steps."""
    return sorted({steps[0], steps[len(steps) // 2], steps[-1]})
