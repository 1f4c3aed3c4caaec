"""Figures of what was spent, and what for; and of the bit strings that came out."""

from __future__ import annotations

import numpy as np

from qngd.errors import counted
from qngd.report.curves import (
    Drawn,
    Groups,
    curves,
    runs_of,
    step_axis,
    was_spent,
)
from qngd.report.style import (
    BLUE,
    INK,
    ORANGE,
    PURPLE,
    legend,
    panels,
)

_STRINGS = 10  # bit strings of a figure


def division(groups: Groups) -> Drawn | str:
    """The figure of what the shots of one run were for."""
    (run,) = runs_of(groups)
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
    step_axis(axes, [run], "step", "step")
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


def cost(groups: Groups) -> Drawn | str:
    """The figure of the cost so far, in shots where there were any."""
    runs = runs_of(groups)
    names = {"shots": "shots", "circuits": "circuits", "jobs": "jobs"}
    name = next((name for name in names if any(was_spent(run, name) for run in runs)), None)
    if name is None:
        return "Nothing was spent on a device."
    figure, (axes,) = panels()
    curves(axes, groups, name, "step")
    axes.set_ylabel(f"{name} so far")
    axes.set_ylim(bottom=0)
    step_axis(axes, runs, "step", "step")
    legend(axes, 2)
    return Drawn(figure, f"Cost so far, in {name}: {', '.join(_costs(groups, name))} at the end.")


def _costs(groups: Groups, name: str) -> list[str]:
    if len(runs_of(groups)) == 1:
        return [f"{runs_of(groups)[0].history[name][-1]:,.0f}"]
    medians = [(group.label, np.median([run.history[name][-1] for run in group.runs])) for group in groups]
    return [
        f"{label} {median:,.0f}" + (" (median)" if len(runs_of(groups)) > len(groups) else "")
        for label, median in medians
    ]


def bit_strings(groups: Groups) -> Drawn | str:
    """The figure of the most probable bit strings at the end of one run."""
    (run,) = runs_of(groups)
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
    return Drawn(figure, text + (f" From {counted(shots, 'shot', ',')}; bars: one standard error." if shots else ""))


def _short(bits: str) -> str:
    return bits if len(bits) <= 24 else f"{bits[:10]}…{bits[-10:]}"
