"""What a method spends until the true energy of its point is at the goal.

Question: whether `shots="auto"` needs fewer shots than shots fixed beforehand, whichever of the declared grid, and than
other optimizers.

    python -m experiments.shots_to_solution                  an hour on two cores
    python -m experiments.shots_to_solution --smoke          seconds

The goal is chemical accuracy, or that this part of the way from the start is left to where an exact run from the same
start ends. How runs are made, and given up, says `fewest_shots`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

import numpy as np

import qngd
from circuits import maxcut
from experiments import zoo_cases
from experiments.fewest_shots import draw, judged, methods, side_by_side, tried
from experiments.race import Goal, Start
from experiments.record import Experiment, main
from qngd.interop.given import read_given

SEEDS = 20
CHEMICAL_ACCURACY = 1.6e-3  # hartree


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


@cache
def problem_of(name: str, start: int) -> Any:
    """The problem, its circuit in the neutral form."""
    row = PROBLEMS[name]
    if row.graph is None:
        return zoo_cases.problem_of(row.zoo, start)
    return ramped_maxcut(*row.graph, start)


def ramped_maxcut(vertices: int, depth: int, seed: int) -> Any:
    """QAOA on a random graph, from near a ramp."""
    problem = maxcut.problem(num_vertices=vertices, depth=depth, seed=seed)
    problem = replace(problem, circuit=read_given(problem).circuit)
    flat = problem.circuit.flatten(problem.theta0) + np.random.default_rng(seed).normal(0, 0.1, 2 * depth)
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


@cache
def start_of(name: str, seed: int) -> Start:
    """Where the run of this seed begins, and its goal."""
    start = 0 if PROBLEMS[name].one_start else seed
    problem = problem_of(name, start)
    return Start(Goal(problem, goal(name, start)), problem.theta0)


def measure(smoke: bool) -> dict[str, Any]:
    """By problem."""
    return {"h2": runs_on("h2", smoke=True)} if smoke else side_by_side(runs_on, PROBLEMS)


def runs_on(name: str, smoke: bool = False) -> dict[str, Any]:
    """All methods' runs on a problem."""
    return tried(name, partial(start_of, name), PROBLEMS[name].most, 2 if smoke else SEEDS, methods(), smoke)


EXPERIMENT = Experiment(
    "shots_to_solution",
    'Shots until the true energy is at the goal, of `shots="auto"` and of other methods',
    "an hour",
    measure,
    judged,
    draw,
)

if __name__ == "__main__":
    main(EXPERIMENT)
