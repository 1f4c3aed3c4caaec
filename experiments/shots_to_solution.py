"""What a method spends until the true energy of its point is at the goal.

Question: whether `shots="auto"` needs fewer shots than shots fixed beforehand, whichever of the declared grid, and than
other optimizers.

    python -m experiments.shots_to_solution                  a quarter of an hour on one core
    python -m experiments.shots_to_solution --smoke          seconds

The goal is chemical accuracy, or that this part of the way from the start is left to where an exact run from the same
start ends. The exact energy is looked at after every step, which no run knows of. A run is given up after the problem's
shots, or `GIVE_UP` times the fewest median of the methods before it, in the order of `methods`, or after so many steps;
and a method when half of its runs were. Seconds are those of fake_torino: 260 µs a shot, nearly all of it the delay
between shots, as `qngd cost` says; waiting is not counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from importlib.util import find_spec
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

import qngd
from circuits import maxcut
from experiments import zoo_cases
from experiments.race import Goal, Ours, Start
from experiments.record import Experiment, Verdict, main
from qngd.baselines import CMAES, SPSA, Adam, ExcitationSolve, GradientDescent, SciPy
from qngd.errors import CircuitError, SettingError
from qngd.interop.given import read_given

SEEDS, STEPS = 10, 1000
GIVE_UP = 2
NEAR = 1.5  # times the fewest shots of all
SECONDS_PER_SHOT = 2.6e-4
CHEMICAL_ACCURACY = 1.6e-3  # hartree
FEW, MANY = (10, 50, 200), (50, 200)  # shots a circuit


@dataclass(frozen=True)
class Row:
    """A problem: its name among those of the zoo, or how it is built; the part of the way that may be left, None for
    chemical accuracy; and the shots after which a run has failed."""

    zoo: str = ""
    graph: tuple[int, int] | None = None  # vertices and depth of MaxCut
    left: float | None = 0.05
    most: int = 1_000_000
    one_start: bool = False


PROBLEMS = {
    "h2": Row("h2-1", left=None, one_start=True),
    "heisenberg-4": Row("heisenberg-4"),
    "maxcut-10-p2": Row(graph=(10, 2)),
    "maxcut-10-p3": Row(graph=(10, 3)),
    "maxcut-12-p2": Row(graph=(12, 2)),
    "maxcut-12-p3": Row(graph=(12, 3)),
    "ising-ring-6": Row("tfim-6-small", left=0.1),
    "qasm-ladder": Row("qasm-ladder"),
    "sk-6": Row("sk-6", left=0.1),
    "lih-3": Row("lih-3", left=None),
}


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


@cache
def problem_of(name: str, start: int) -> Any:
    """The problem, its circuit in the neutral form."""
    row = PROBLEMS[name]
    if row.graph is None:
        return zoo_cases.problem_of(row.zoo, start)
    vertices, depth = row.graph
    problem = maxcut.problem(num_vertices=vertices, depth=depth, seed=start)
    problem = replace(problem, circuit=read_given(problem).circuit)
    flat = problem.circuit.flatten(problem.theta0) + np.random.default_rng(start).normal(0, 0.1, 2 * depth)
    return replace(problem, theta0=problem.circuit.unflatten(flat, problem.theta0))


@cache
def goal(name: str, start: int) -> float:
    """The exact energy to reach."""
    problem, left = problem_of(name, start), PROBLEMS[name].left
    found = qngd.minimize(problem, backend="statevector", max_steps=400)
    if left is None:
        best = problem.reference_energy if PROBLEMS[name].one_start else found.energy
        return best + CHEMICAL_ACCURACY
    return found.energy + left * (found.history[0] - found.energy)


def spent(name: str, start: int, seed: int, optimizer: Any, shots: Any, most: float) -> dict[str, int] | None:
    """What it took to the goal; None where the run did not arrive."""
    problem = problem_of(name, start)
    begin = Start(Goal(problem, goal(name, start)), problem.theta0)
    found = Ours(optimizer, shots, STEPS, most).run(begin, seed)
    return None if found is None else {"shots": found.shots, "circuits": found.circuits, "jobs": found.jobs}


def runs_of(name: str, seeds: int, most: float, optimizer: Any, shots: Any) -> list[dict[str, int] | None]:
    """A method's runs, up to the one with which half of all have failed."""
    found: list[dict[str, int] | None] = []
    for seed in range(seeds):
        found.append(spent(name, 0 if PROBLEMS[name].one_start else seed, seed, optimizer, shots, most))
        if 2 * found.count(None) >= seeds:
            break
    return found


def of_problem(name: str, seeds: int, smoke: bool) -> dict[str, Any]:
    """All methods' runs, and what they were given up after."""
    row, best, data = PROBLEMS[name], np.inf, {}
    for method, (optimizer, shots) in methods().items():
        if smoke and method.partition(":")[0] not in ("auto", "fixed", "spsa"):
            continue
        most = 5_000 if smoke else min(row.most, GIVE_UP * best)
        try:
            found = runs_of(name, seeds, most, optimizer, shots)
        except (CircuitError, SettingError) as error:
            data[method] = {"runs": [], "refused": str(error)}
            continue
        data[method] = {"runs": found, "most": most}
        best = min(best, median(found, seeds))
        print(f"{name:14s} {method:24s} {_cell(found, seeds)}", flush=True)
    return {"seeds": seeds, "methods": data}


def measure(smoke: bool) -> dict[str, Any]:
    """By problem."""
    return {name: of_problem(name, 2 if smoke else SEEDS, smoke) for name in (["h2"] if smoke else PROBLEMS)}


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


def judge(data: dict[str, Any]) -> list[Verdict]:
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


def draw(data: dict[str, Any]) -> Figure:
    columns = 5
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
        axes.set(xscale="log", title=name, ylim=(-0.5, len(groups) - 0.5))
        if arrived:  # so that there is a number on the axis
            axes.set_xlim(10 ** np.floor(np.log10(arrived[0][0] / 2)), 1.3 * end)
        axes.set_yticks(range(len(groups)), groups if axes in grid[:, 0] else [""] * len(groups), fontsize=8)
        axes.grid(axis="x", alpha=0.3)
        axes.xaxis.set_minor_formatter(NullFormatter())
    for axes in grid[-1]:
        axes.set_xlabel("shots")
    figure.tight_layout()
    return figure


EXPERIMENT = Experiment(
    "shots_to_solution",
    'Shots until the true energy is at the goal, of `shots="auto"` and of other methods',
    "a quarter of an hour",
    measure,
    judge,
    draw,
)

if __name__ == "__main__":
    main(EXPERIMENT)
