"""Which method takes the fewest shots to a goal: methods, runs with shots, their rank, verdicts and figure.

The exact energy is looked at after every step, which no run knows of. A run is given up after the problem's shots, or
`GIVE_UP` times the fewest median of the methods before it, in the order of `methods`, or after so many steps; and a
method when half of its runs were. Seconds are those of fake_torino: 260 µs a shot, nearly all of it the delay between
shots, as `qngd cost` says; waiting is not counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from importlib.util import find_spec
from multiprocessing import get_context
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

import qngd
from experiments.race import Ours, Start
from experiments.record import Verdict
from qngd.baselines import CMAES, SPSA, Adam, ExcitationSolve, GradientDescent, SciPy
from qngd.errors import CircuitError, SettingError

STEPS = 3000
GIVE_UP = 2
NEAR = 1.5  # times the fewest shots of all
SECONDS_PER_SHOT = 2.6e-4
FEW, MANY = (10, 50, 200), (50, 200)  # shots a circuit
SMOKE = ("auto", "fixed", "spsa")


def methods() -> dict[str, tuple[Any, Any]]:
    """Optimizer and shots by name. Of the names before a colon the best setting counts."""
    return {
        "auto": (qngd.QNG(), "auto"),
        **{f"fixed:{shots}": (qngd.QNG(), shots) for shots in FEW},
        **{f"adam:{shots}": (Adam(0.05), shots) for shots in FEW},
        "gradient descent": (GradientDescent(0.05), 50),
        "gradient descent, auto": (GradientDescent(0.05), "auto"),  # gCANS, but for the rate
        **{f"spsa:{shots}": (SPSA(first_change=0.1), shots) for shots in MANY},
        **{f"qn-spsa:{shots}": (qngd.QNG.qn_spsa(), shots) for shots in MANY},
        **{f"sampled gradient:{shots}": (qngd.QNG(gradient="sampled"), shots) for shots in FEW[:2]},
        **{f"cobyla:{shots}": (SciPy("COBYLA", {"rhobeg": 0.3, "tol": 1e-6}), shots) for shots in (200, 1000)},
        **({f"cma-es:{shots}": (CMAES(), shots) for shots in MANY} if find_spec("cma") else {}),
        # refuses parameters that several gates share
        **{f"excitation-solve:{shots}": (ExcitationSolve(), shots) for shots in MANY},
    }


def spent(start: Start, seed: int, optimizer: Any, shots: Any, most: float) -> dict[str, int] | None:
    """What it took to the goal; None where the run did not arrive."""
    found = Ours(optimizer, shots, STEPS, most).run(start, seed)
    return None if found is None else {"shots": found.shots, "circuits": found.circuits, "jobs": found.jobs}


def runs_of(
    starts: Callable[[int], Start], seeds: int, most: float, optimizer: Any, shots: Any
) -> list[dict[str, int] | None]:
    """A method's runs, up to the one with which half of all have failed."""
    found: list[dict[str, int] | None] = []
    for seed in range(seeds):
        found.append(spent(starts(seed), seed, optimizer, shots, most))
        if 2 * found.count(None) >= seeds:
            break
    return found


def tried(
    title: str,
    starts: Callable[[int], Start],
    most: float,
    seeds: int,
    methods: Mapping[str, tuple[Any, Any]],
    smoke: bool,
) -> dict[str, Any]:
    """All methods' runs from the starts by their seeds, and what they were given up after."""
    best, data = np.inf, {}
    for method, (optimizer, shots) in methods.items():
        if smoke and method.partition(":")[0] not in SMOKE:
            continue
        limit = 5_000 if smoke else min(most, GIVE_UP * best)
        try:
            found = runs_of(starts, seeds, limit, optimizer, shots)
        except (CircuitError, SettingError) as error:
            data[method] = {"runs": [], "refused": str(error)}
            continue
        data[method] = {"runs": found, "most": limit}
        best = min(best, median(found, seeds))
        print(f"{title:14s} {method:24s} {_cell(found, seeds)}", flush=True)
    return {"seeds": seeds, "methods": data}


def side_by_side(found: Callable[[Any], Any], names: Iterable[Any]) -> dict[Any, Any]:
    """What is `found` of every name, in processes of their own, as many at a time as there are cores."""
    names = list(names)
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        return dict(zip(names, pool.map(found, names), strict=True))


def quartiles(runs: list[dict[str, int] | None], seeds: int, unit: str = "shots") -> list[float]:
    """Of what `seeds` runs spent; those that did not arrive, or were not made any more, are endless."""
    found = [np.inf if run is None else run[unit] for run in runs] + [np.inf] * (seeds - len(runs))
    return [float(value) for value in np.quantile(found, (0.25, 0.5, 0.75), method="inverted_cdf")]


def median(runs: list[dict[str, int] | None], seeds: int) -> float:
    return quartiles(runs, seeds)[1]


def _thousands(shots: float) -> str:
    return "∞" if shots == np.inf else f"{shots / 1000:.3g}k"


def _cell(runs: list[dict[str, int] | None], seeds: int) -> str:
    low, middle, high = (_thousands(shots) for shots in quartiles(runs, seeds))
    return f"{middle} ({low} to {high})"


def ranking(problem: dict[str, Any]) -> list[tuple[float, str, str]]:
    """Of every method the best of its settings: median of the shots, name and setting, the fewest first."""
    best: dict[str, tuple[float, str, str]] = {}
    for setting, one in problem["methods"].items():
        if one["runs"]:
            group = setting.partition(":")[0]
            rank = median(one["runs"], problem["seeds"]), group, setting
            best[group] = min(best.get(group, rank), rank)
    return sorted(best.values())


def judged(data: dict[str, Any]) -> list[Verdict]:
    """Of every problem, whether "auto" is among the best."""
    return [verdict for name, problem in data.items() for verdict in _of_problem(name, problem)]


def _of_problem(name: str, problem: dict[str, Any]) -> Iterator[Verdict]:
    ranks, seeds = ranking(problem), problem["seeds"]
    ours = next(shots for shots, group, _ in ranks if group == "auto")
    fewest, _, winner = min((rank for rank in ranks if rank[1] != "auto"), default=(np.inf, "", ""))
    runs = problem["methods"]
    beside = ", ".join(f"{setting} {_thousands(shots)}" for shots, group, setting in ranks if group != "auto")
    found = f"auto {_cell(runs['auto']['runs'], seeds)}"
    if np.isfinite(ours):
        cost = quartiles(runs["auto"]["runs"], seeds, "circuits")[1]
        found += f", {cost:.0f} circuits, {ours * SECONDS_PER_SHOT:.3g} s"
    wins = ours < fewest
    yield Verdict(
        f"{name}: auto needs at most {NEAR} times the shots of any other method",
        bool(np.isfinite(ours) and ours <= NEAR * fewest),
        f"{found}; {'the next is' if wins else 'the fewest are those of'} {winner}: {beside}",
    )


def draw(data: dict[str, Any], columns: int = 5) -> Figure:
    """Medians and quartiles of every method's best setting, a panel a problem."""
    rows = -(-len(data) // columns)
    figure, grid = plt.subplots(rows, columns, figsize=(2.6 * columns, 2.7 * rows), squeeze=False)
    groups = sorted({group for problem in data.values() for _, group, _ in ranking(problem)}, reverse=True)
    for axes in grid.flat[len(data) :]:
        axes.set_axis_off()
    for axes, (name, problem) in zip(grid.flat, data.items(), strict=False):
        arrived = [rank for rank in ranking(problem) if np.isfinite(rank[0])]
        end = 5 * max((rank[0] for rank in arrived), default=1.0)  # bars that reach it are endless
        if not arrived:
            axes.text(0.5, 0.5, "no method arrives", transform=axes.transAxes, ha="center")
        for shots, group, setting in arrived:
            low, _, high = quartiles(problem["methods"][setting]["runs"], problem["seeds"])
            color = "C1" if group == "auto" else "C0"
            axes.plot([low, min(high, end)], [groups.index(group)] * 2, color=color, alpha=0.4)
            axes.plot(shots, groups.index(group), "o", color=color)
        axes.set(xscale="log", ylim=(-0.5, len(groups) - 0.5))
        axes.set_title(name, fontsize=9)
        if arrived:  # so that there is a number on the axis
            axes.set_xlim(10 ** np.floor(np.log10(arrived[0][0] / 2)), 1.3 * end)
        axes.set_yticks(range(len(groups)), groups if axes in grid[:, 0] else [""] * len(groups), fontsize=8)
        axes.grid(axis="x", alpha=0.3)
        axes.xaxis.set_minor_formatter(NullFormatter())
    for axes in grid[-1]:
        axes.set_xlabel("shots")
    figure.tight_layout()
    return figure
