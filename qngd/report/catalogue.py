"""The figures of a run, or of several side by side: each drawn with a text that says what its numbers say, or the
reason why there is nothing to draw."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import CenteredNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from qngd._system.html import coarsened
from qngd.errors import SettingError, did_you_mean
from qngd.estimates.estimate import format_with_error
from qngd.report import figures
from qngd.report.groups import Group, grouped
from qngd.report.run_data import CHEMICAL_ACCURACY, RunData
from qngd.report.style import (
    BLUE,
    GREEN,
    INK,
    ORANGE,
    PURPLE,
    RED,
    SERIES,
    legend,
    over_steps,
    panels,
    points,
    with_unit,
)  # fmt: skip

_STRINGS = 10  # bit strings of a figure
_MATRIX = 600  # rows of a heat map at most

Groups = Sequence[Group]


class Drawn(NamedTuple):
    """A figure, and what it shows in words."""

    figure: Figure
    text: str


class Entry(NamedTuple):
    """A figure of the catalogue: `draw` gives it, or the reason why there is nothing to draw; `together` where several
    runs go into one."""

    key: str
    title: str
    draw: Callable[[Groups], Drawn | str]
    together: bool = True


# --- energies ---


def _energy(over: str, axis: str) -> Callable[[Groups], Drawn | str]:
    """The figure of the energy over a column of the history, the name of which stands at the axis."""

    def draw(groups: Groups) -> Drawn | str:
        runs = _runs(groups)
        if over != "step" and not any(_spent(run, over) for run in runs):
            return f"No {axis} were spent." if over != "seconds" else _no_seconds(runs)
        shown = [run for run in runs if over == "step" or _spent(run, over)]
        figure, (axes,) = panels()
        unit = _unit(runs)
        reference = _one([run.reference for run in runs])
        if reference is not None:
            axes.axhline(reference, color=GREEN, linestyle="--", linewidth=1.2, label="reference")
        _curves(axes, grouped(shown) if len(shown) < len(runs) else groups, "energy", over)
        if over == "step" and len(runs) == 1:
            _mark_rejected(axes, runs[0])
        axes.ticklabel_format(axis="y", useOffset=False)
        axes.set_ylabel(with_unit("energy", unit))
        _axis(axes, shown, over, axis)
        legend(axes, 2 if len(groups) > 2 else 3)
        return Drawn(figure, _energy_words(groups, over, axis))

    return draw


def _energy_words(groups: Groups, over: str, axis: str) -> str:
    if len(_runs(groups)) == 1:
        (run,) = _runs(groups)
        history = run.history
        start = format_with_error(float(history["energy"][0]), float(history["stderr"][0]))
        end = format_with_error(float(history["energy"][-1]), float(history["stderr"][-1]))
        spent = f"{history[over][-1]:,.6g} {axis}" if over != "step" else f"{run.steps} steps"
        text = f"Energy against {axis}: from {start} to {run.with_unit(end)}, after {spent}."
        if run.reference is not None:
            text += f" Dashed: the reference, {run.with_unit(f'{run.reference:.6g}')}."
        return text + (" Bars: one standard error." if run.has_shots else "")
    return f"Energy against {axis}. {_how_drawn(groups)}"


def _distance(groups: Groups) -> Drawn | str:
    runs = [run for run in _runs(groups) if run.reference is not None]
    if not runs:
        return "No reference energy is known, so no distance to it can be shown."
    figure, (axes,) = panels()
    axes.set_yscale("log", nonpositive="clip")
    below = sum(int(np.sum(run.history["error"] < 0)) for run in runs)
    if _unit(runs) == "hartree":
        label = f"chemical accuracy, {CHEMICAL_ACCURACY:g} hartree"
        axes.axhline(CHEMICAL_ACCURACY, color=ORANGE, linestyle=":", linewidth=1.8, label=label)
    _curves(axes, grouped(runs), "distance", "step", _distances)
    axes.set_ylabel(with_unit("|energy − reference|", _unit(runs)))
    _axis(axes, runs, "step", "step")
    legend(axes, 2)
    text = f"Distance of the energy to the reference, on a logarithmic axis. {_how_drawn(groups)}"
    if len(runs) == 1:
        text = (
            f"Distance of the energy to the reference, on a logarithmic axis: {abs(runs[0].history['error'][-1]):.2g} "
            f"at the end."
        )
    return Drawn(figure, text + (f" {below} of the energies lie below the reference." if below else ""))


def _distances(run: RunData) -> np.ndarray:
    """The distances to the reference (steps + 1,), at least what rounding makes of it."""
    assert run.reference is not None
    return figures.distances(run, run.reference)


# --- steps ---


def _of_steps(
    columns: dict[str, str], label: str, words: str, missing: str, unit: str = "", log: bool = True
) -> Callable[[Groups], Drawn | str]:
    """The figure of columns of the history, each with its name in the legend; of several runs the first alone."""

    def draw(groups: Groups) -> Drawn | str:
        runs = _runs(groups)
        known = {name: text for name, text in columns.items() if any(_is_known(run, name) for run in runs)}
        if next(iter(columns)) not in known:
            return missing
        figure, (axes,) = panels()
        if log:
            axes.set_yscale("log", nonpositive="clip")
        if len(runs) == 1:
            for place, (name, text) in enumerate(known.items()):
                colour, line = SERIES[place]
                points(axes, *_known(runs[0], name), None, text, colour, line)
            if len(known) > 1:
                legend(axes)
        else:
            _curves(axes, groups, next(iter(columns)), "step")
            legend(axes, 2)
        axes.set_ylabel(with_unit(label, unit.format(unit=_unit(runs))) if unit else label)
        _axis(axes, runs, "step", "step")
        return Drawn(figure, words if len(runs) == 1 else f"{words} {_how_drawn(groups)}")

    return draw


def _gradient(groups: Groups) -> Drawn | str:
    runs = _runs(groups)
    if not any(_is_known(run, "gradient_norm") for run in runs):
        return "The optimizer measured no gradient."
    figure, (axes,) = panels()
    axes.set_yscale("log", nonpositive="clip")
    _curves(axes, groups, "gradient_norm", "step")
    axes.set_ylabel(with_unit("gradient norm", _unit(runs), per="rad"))
    _axis(axes, runs, "step", "step")
    legend(axes, 2)
    return Drawn(figure, f"Norm of the gradient at the point that each step was taken from. {_how_drawn(groups)}")


def _significance(groups: Groups) -> Drawn | str:
    runs = _runs(groups)
    finite = [run for run in runs if np.isfinite(run.history["significance"]).any()]
    if not finite:
        measured = any(_is_known(run, "gradient_norm") for run in runs)
        return "Gradients are exact: they have no statistical error." if measured else "No gradient was measured."
    figure, (axes,) = panels()
    _curves(axes, grouped(finite), "significance", "step")
    axes.axhline(2.0, color=ORANGE, linestyle=":", linewidth=1.8, label="2: below, five steps in a row end a run")
    axes.set_ylabel("significance (standard deviations)")
    _axis(axes, finite, "step", "step")
    legend(axes, 1)
    return Drawn(
        figure,
        "By how many standard deviations the measured gradient differs from zero; below 2 it may be noise.",
    )


# --- the metric ---


def _damping(groups: Groups) -> Drawn | str:
    runs = _runs(groups)
    if not any(_is_known(run, "condition") for run in runs):
        return "No metric was measured, so there is neither damping nor a condition number."
    figure, (top, bottom) = panels(2, size=(4.7, 4.2))
    top.set_yscale("log", nonpositive="clip")
    bottom.set_yscale("log", nonpositive="clip")
    if any(np.any(run.history["damping"] > 0) for run in runs):
        _curves(top, groups, "damping", "step")
        top.set_ylabel("damping λ")
    else:
        top.set_visible(False)
    _curves(bottom, groups, "condition", "step")
    bottom.set_ylabel("condition of g")
    _axis(bottom, runs, "step", "step")
    legend(top if top.get_visible() else bottom, 2)
    without = "" if top.get_visible() else " There was no damping."
    return Drawn(
        figure,
        "Damping λ, in units of the metric's eigenvalues, and the condition number of the metric over its nonzero "
        f"eigenvalues, at the point that each step was taken from.{without} {_how_drawn(groups)}",
    )


def _spectrum(groups: Groups) -> Drawn | str:
    (run,) = _runs(groups)
    if not np.isfinite(run.eigenvalues).any():
        return "No metric was measured." if run.steps else "No step was taken, so no metric was looked at."
    figure, (top, bottom) = panels(2, heights=(3, 1), size=(4.7, 4.2))
    figures.draw_eigenvalues(top, run)
    figures.draw_rank(bottom, run)
    top.set_ylabel("eigenvalue of g")
    bottom.set_ylabel("rank")
    _axis(bottom, [run], "step", "step")
    last = run.eigenvalues[np.isfinite(run.eigenvalues).any(axis=1)][-1]
    rank = int(run.history["rank"][1:][np.isfinite(run.history["rank"][1:])][-1])
    return Drawn(
        figure,
        f"Eigenvalues of the metric that each step was taken from, above rounding; below, how many these are. At the "
        f"last one {rank} of {run.eigenvalues.shape[1]} are above rounding, the largest {np.nanmax(last):.3g}.",
    )


def _heat_map(groups: Groups) -> Drawn | str:
    (run,) = _runs(groups)
    kept = {step: matrix for step, matrix in run.metrics.items() if np.all(np.isfinite(matrix)) and matrix.size}
    if not kept:
        return "The metric tensor was not kept: the run measured none, or its files hold no matrices."
    steps = _chosen(sorted(kept))
    width = min(len(steps), 3)
    figure = Figure(figsize=(4.7, 3.6 if width == 1 else 2.3), layout="constrained")
    norm = CenteredNorm(halfrange=max(float(np.abs(kept[step]).max()) for step in steps) or 1.0)
    places = figure.subplots(1, width, squeeze=False)[0]
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
    bar = figure.colorbar(image, ax=list(places), shrink=0.85)
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


# --- shots and cost ---


def _division(groups: Groups) -> Drawn | str:
    (run,) = _runs(groups)
    parts = {name: run.history[f"shots_{name}"][1:] for name in ("energy", "gradient", "metric")}
    if not run.history["shots"][-1] > 0:
        return "No shots were taken: energies are exact."
    if not any(np.isfinite(values).any() for values in parts.values()):
        return "What the shots of a step were for was not kept."
    steps = run.history["step"][1:]
    figure, (axes,) = panels()
    drawn = {name: np.nan_to_num(values) for name, values in parts.items() if np.nansum(values) > 0}
    colours = {"energy": BLUE, "gradient": ORANGE, "metric": PURPLE}
    axes.stackplot(
        *_as_steps(steps, list(drawn.values())), labels=list(drawn), colors=[colours[name] for name in drawn]
    )
    axes.set_ylabel("shots of a step")
    axes.set_ylim(bottom=0)
    _axis(axes, [run], "step", "step")
    legend(axes)
    total = sum(values.sum() for values in drawn.values())
    shares = ", ".join(f"{name} {values.sum() / total:.0%}" for name, values in drawn.items())
    return Drawn(
        figure,
        f"What the shots of each step were for; those of the energy may serve the others, too. Of all: {shares}.",
    )


def _as_steps(steps: np.ndarray, values: list[np.ndarray]) -> tuple[np.ndarray, list[np.ndarray]]:
    """Corners of bars of width 1 around each step."""
    x = np.column_stack([steps - 0.5, steps + 0.5]).ravel()
    return x, [np.repeat(each, 2) for each in values]


def _cost(groups: Groups) -> Drawn | str:
    runs = _runs(groups)
    names = {"shots": "shots", "circuits": "circuits", "jobs": "jobs"}
    name = next((name for name in names if any(_spent(run, name) for run in runs)), None)
    if name is None:
        return "Nothing was spent on a device."
    figure, (axes,) = panels()
    _curves(axes, groups, name, "step")
    axes.set_ylabel(f"{name} so far")
    axes.set_ylim(bottom=0)
    _axis(axes, runs, "step", "step")
    legend(axes, 2)
    return Drawn(figure, f"Cost so far, in {name}: {', '.join(_costs(groups, name))} at the end.")


def _costs(groups: Groups, name: str) -> list[str]:
    if len(_runs(groups)) == 1:
        return [f"{_runs(groups)[0].history[name][-1]:,.0f}"]
    medians = [(group.label, np.median([run.history[name][-1] for run in group.runs])) for group in groups]
    return [
        f"{label} {median:,.0f}" + (" (median)" if len(_runs(groups)) > len(groups) else "")
        for label, median in medians
    ]


# --- bit strings ---


def _bit_strings(groups: Groups) -> Drawn | str:
    (run,) = _runs(groups)
    listed = run.result.get("most_probable") or []
    if not listed:
        return "No bit strings: the observable is not diagonal, or they were not kept."
    listed = listed[:_STRINGS]
    shots = run.result.get("bit_shots") or 0
    probabilities = np.array([each["probability"] for each in listed])
    errors = np.sqrt(probabilities * (1 - probabilities) / shots) if shots else None
    figure, (axes,) = panels(size=(4.7, 0.9 + 0.28 * len(listed)))
    places = np.arange(len(listed))
    axes.barh(places, probabilities, color=BLUE, xerr=errors, error_kw={"ecolor": INK, "elinewidth": 1})
    names = [_short(each["bits"]) for each in listed]
    axes.set_yticks(places, names, fontfamily="monospace", fontsize=8)
    axes.invert_yaxis()
    axes.grid(False, axis="y")
    axes.set_xlabel("share of the shots" if shots else "probability")
    axes.set_xlim(left=0)
    first = listed[0]
    energy = run.with_unit(f"{first['energy']:.6g}")
    text = (
        f"The most probable bit strings at the end, rightmost bit qubit 0: {first['bits']} with "
        f"{first['probability']:.1%} and energy {energy}."
    )
    return Drawn(figure, text + (f" From {shots:,} shots; bars: one standard error." if shots else ""))


def _short(bits: str) -> str:
    return bits if len(bits) <= 24 else f"{bits[:10]}…{bits[-10:]}"


# --- what they share ---


def _curves(
    axes: Axes, groups: Groups, of: str, over: str, value: Callable[[RunData], np.ndarray] | None = None
) -> None:
    """Draw a column over another: of a single run with error bars, of a few each, of many medians and quartiles."""
    if value is not None:
        groups = [Group(g.label, tuple(_with_column(run, of, value(run)) for run in g.runs)) for g in groups]
    single = len(_runs(groups)) == 1
    for place, group in enumerate(groups):
        colour, line = SERIES[place % len(SERIES)]
        name = None if single and not any(axes.get_legend_handles_labels()) else ("energy" if single else group.label)
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


def _axis(axes: Axes, runs: Sequence[RunData], over: str, label: str) -> None:
    if over == "step":
        steps = [run.history["step"] for run in runs]
        over_steps(axes, min(each[0] for each in steps), max(each[-1] for each in steps))
        return
    axes.set_xlabel({"seconds": "device time (s)"}.get(over, label))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5))
    axes.ticklabel_format(axis="x", style="sci", scilimits=(-3, 5), useMathText=True)


def _mark_rejected(axes: Axes, run: RunData) -> None:
    rejected = run.history["accepted"] == 0
    if rejected.any():
        axes.plot(
            run.history["step"][rejected], run.history["energy"][rejected], linestyle="none", marker="x", color=RED,
            markersize=5, markeredgewidth=1.3, label="step rejected",
        )  # fmt: skip


def _runs(groups: Groups) -> list[RunData]:
    return [run for group in groups for run in group.runs]


def _unit(runs: Sequence[RunData]) -> str:
    return _one([run.unit for run in runs]) or ""


def _one(values: Sequence[Any]) -> Any:
    """The value that all share, or None."""
    return values[0] if all(value == values[0] for value in values) else None


def _spent(run: RunData, name: str) -> bool:
    values = run.history[name]
    return bool(np.isfinite(values).all() and values[-1] > 0)


def _no_seconds(runs: Sequence[RunData]) -> str:
    exact = not any(_spent(run, "shots") for run in runs)
    return "No device time was spent: nothing ran on a device." if exact else "The backend gives no device times."


def _is_known(run: RunData, name: str) -> bool:
    return bool(np.isfinite(run.history[name]).any())


def _known(run: RunData, name: str) -> tuple[np.ndarray, np.ndarray]:
    """The steps at which a column is known, and its values there."""
    known = np.isfinite(run.history[name])
    return run.history["step"][known], run.history[name][known]


def _how_drawn(groups: Groups) -> str:
    runs = _runs(groups)
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


CATALOGUE = (
    Entry("energy", "Energy", _energy("step", "steps")),
    Entry("distance", "Distance to the reference", _distance),
    Entry("circuits", "Energy against circuits", _energy("circuits", "circuits")),
    Entry("shots", "Energy against shots", _energy("shots", "shots")),
    Entry("seconds", "Energy against device time", _energy("seconds", "device seconds")),
    Entry(
        "length",
        "Length of steps",
        _of_steps(
            {"length": "length", "radius": "radius"},
            "length √(δᵀgδ) (rad)",
            "Length of each step in state space, √(δᵀgδ), and the trust radius that bounded it, where there was one.",
            "The optimizer knows no lengths in state space.",
        ),
    ),
    Entry(
        "rate",
        "Learning rate",
        _of_steps(
            {"rate": "rate"},
            "learning rate η",
            "The learning rate of each step, quoted for the Fubini–Study metric.",
            "The optimizer has no learning rate.",
        ),
    ),
    Entry("gradient", "Gradient", _gradient),
    Entry("significance", "Significance of the gradient", _significance),
    Entry("damping", "Damping and condition", _damping),
    Entry("spectrum", "Spectrum of the metric", _spectrum, together=False),
    Entry("metric", "Metric tensor", _heat_map, together=False),
    Entry("division", "What shots were for", _division, together=False),
    Entry("cost", "Cost so far", _cost),
    Entry("strings", "Bit strings", _bit_strings, together=False),
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
