"""Fewer circuits make smaller errors: groupings and ways to take gradients at equal shots a circuit.

Claim: the shift rules that follow what is measured take fewer circuits and fewer shots than one rule a gate, and
grouping by cost takes a fraction of the circuits of grouping qubit by qubit. These are the tables of docs/gradients.md.

    python -m experiments.cheaper_gradients               a minute on one core
    python -m experiments.cheaper_gradients --smoke       H2 alone

Results: results/cheaper_gradients/rows.json, printed as tables.

Errors are given as standard error times the root of all shots: that of a single shot, if it were spent on everything.
For a gradient it is the root of the mean square over the parameters. Shots per circuit are equal, as is the default.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import qngd
from circuits import h2, heisenberg, lih, maxcut
from qngd.gradients import ParameterShift, SampledShift, SimultaneousPerturbation

OUT = Path("results/cheaper_gradients")
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


def shown(rows: list[list[Any]], what: str) -> None:
    """Print rows of one table."""
    print(f"| problem | {what} | circuits | error of a shot |\n| --- | --- | --- | --- |")
    for row in rows:
        print("| {} | {} | {} | {:.3g} |".format(*row))


def main() -> None:
    """Print both tables, and keep their rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="H2 alone")
    smoke = parser.parse_args().smoke
    measured, derived = {"H₂": h2.problem()}, {"H₂": h2.problem()}
    if not smoke:
        measured |= {"LiH, 10 qubits": lih.problem(), "Heisenberg, 6 spins": heisenberg.problem()}
        derived |= {
            "MaxCut, 12 vertices, p = 1": maxcut.problem(num_vertices=12, depth=1),
            "MaxCut, 12 vertices, p = 2": maxcut.problem(num_vertices=12, depth=2),
            "Heisenberg, 6 spins": heisenberg.problem(),
        }
    of_groupings = [[name, *row] for name, each in measured.items() for row in groupings(each, trained(each))]
    of_ways = [[name, *row] for name, each in derived.items() for row in ways(each, trained(each))]
    shown(of_groupings, "grouping")
    print()
    shown(of_ways, "gradient")
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / "rows.json").write_text(json.dumps({"groupings": of_groupings, "gradients": of_ways}), encoding="utf-8")


if __name__ == "__main__":
    main()
