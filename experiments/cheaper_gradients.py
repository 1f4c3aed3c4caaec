"""Circuits and errors of groupings and of ways to take gradients, for the tables of docs/gradients.md.

    python -m experiments.cheaper_gradients

Errors are given as standard error times the root of all shots: that of a single shot, if it were spent on everything.
For a gradient it is the root of the mean square over the parameters. Shots per circuit are equal, as is the default.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

import qngd
from circuits import h2, heisenberg, lih, maxcut
from qngd.gradients import ParameterShift, SampledShift, SimultaneousPerturbation

SHOTS = 400
GROUPINGS: tuple[Any, ...] = ("qubit-wise", "commuting", "auto", "shadows")
WAYS = {
    "shift, two-term": ParameterShift("two-term"),
    "shift": ParameterShift(),
    "sampled": SampledShift(),
    "spsa": SimultaneousPerturbation(),
}


def trained(problem: qngd.Problem, steps: int = 3) -> Any:
    """Parameters after a few exact steps: no product state any more, and still a gradient."""
    start = problem.theta0
    return qngd.minimize(problem.circuit, problem.observable, start, max_steps=steps, tol=0).theta


def groupings(problem: qngd.Problem, theta: Any) -> Iterator[tuple[str, int, float]]:
    """Of every grouping its name, the circuits of an energy, and the error of a shot."""
    for grouping in GROUPINGS:
        price = qngd.cost(problem.circuit, problem.observable, theta, shots=SHOTS, grouping=grouping)
        found = qngd.expectation(
            problem.circuit, problem.observable, theta, shots=SHOTS, seed=1, grouping=grouping, backend="statevector"
        )
        yield grouping, price.energy_circuits, float(found.stderr) * np.sqrt(found.shots)


def ways(problem: qngd.Problem, theta: Any) -> Iterator[tuple[str, int, float]]:
    """Of every way to take gradients its name, the circuits of a gradient, and the error of a shot."""
    for name, way in WAYS.items():
        found = qngd.gradient(
            problem.circuit, problem.observable, theta, shots=SHOTS, seed=1, method=way, backend="statevector"
        )
        price = qngd.cost(problem.circuit, problem.observable, theta, shots=SHOTS, gradient=way, approx="identity")
        error = np.sqrt(np.mean(np.square(found.stderr)))
        yield name, price.gradient_circuits, float(error) * np.sqrt(SHOTS * price.gradient_circuits)


def main() -> None:
    """Print both tables."""
    molecules = {
        "H₂": h2.problem(),
        "LiH, 10 qubits": lih.problem(),
        "Heisenberg, 6 spins": heisenberg.problem(),
    }
    print("| problem | grouping | circuits of an energy | error of a shot |\n| --- | --- | --- | --- |")
    for name, problem in molecules.items():
        for row in groupings(problem, trained(problem)):
            print("| {} | {} | {} | {:.3g} |".format(name, *row))
    graphs = {
        "MaxCut, 12 vertices, p = 1": maxcut.problem(num_vertices=12, depth=1),
        "MaxCut, 12 vertices, p = 2": maxcut.problem(num_vertices=12, depth=2),
        "Heisenberg, 6 spins": heisenberg.problem(),
        "H₂": h2.problem(),
    }
    print("\n| problem | gradient | circuits | error of a shot |\n| --- | --- | --- | --- |")
    for name, problem in graphs.items():
        for row in ways(problem, trained(problem)):
            print("| {} | {} | {} | {:.3g} |".format(name, *row))


if __name__ == "__main__":
    main()
