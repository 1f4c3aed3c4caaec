"""Fewer circuits make smaller errors: groupings and ways to take gradients at equal shots a circuit.

After three exact steps, 400 shots a circuit. Of an energy by each grouping and of a gradient in each way: the circuits,
and the error of a single shot if it were spent on everything: the standard error times the root of all shots, of a
gradient the root of the mean square over the parameters. And the circuits of a whole step where one parameter stands
in a hundred gates.

    python -m experiments.cheaper_gradients               a minute on one core
    python -m experiments.cheaper_gradients --smoke       H2 alone, and 12 vertices for a hundred
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

import qngd
from circuits import h2, heisenberg, lih, maxcut
from experiments.record import Experiment, Verdict, main
from qngd.gradients import ParameterShift, SampledShift, SimultaneousPerturbation

SHOTS = 400
GROUPINGS: tuple[Any, ...] = ("qubit-wise", "commuting", "auto", "shadows")
BY_GATE, SHIFT = "shift, every gate by itself", "shift"
WAYS = {
    BY_GATE: ParameterShift("two-term"),
    SHIFT: ParameterShift(),
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


def measure(smoke: bool) -> dict[str, Any]:
    measured, derived = {"H₂": h2.problem()}, {"H₂": h2.problem()}
    if not smoke:
        measured |= {"LiH, 10 qubits, 276 terms": lih.problem(), "Heisenberg, 6 spins": heisenberg.problem()}
        derived |= {
            "MaxCut, 12 vertices, p = 1": maxcut.problem(num_vertices=12, depth=1),
            "MaxCut, 12 vertices, p = 2": maxcut.problem(num_vertices=12, depth=2),
            "Heisenberg, 6 spins": heisenberg.problem(),
        }
    size = 12 if smoke else 100
    large = maxcut.problem(num_vertices=size, depth=2)
    return {
        "groupings": {name: _rows(groupings(each, trained(each))) for name, each in measured.items()},
        "gradients": {name: _rows(ways(each, trained(each))) for name, each in derived.items()},
        "vertices": size,
        "step": {name: qngd.cost(large, shots=SHOTS, gradient=WAYS[name]).step.circuits for name in (BY_GATE, SHIFT)},
    }


def _rows(found: Iterator[tuple[str, int, float]]) -> dict[str, dict[str, float]]:
    return {name: {"circuits": circuits, "error": error} for name, circuits, error in found}


def judge(data: dict[str, Any]) -> list[Verdict]:
    verdicts = []
    for problem, ways_of in data["gradients"].items():
        shift, by_gate = ways_of[SHIFT], ways_of[BY_GATE]
        holds = shift["circuits"] <= by_gate["circuits"] and shift["error"] <= by_gate["error"]
        verdicts.append(
            Verdict(
                f"{problem}: shift rules of what is measured take no more circuits, and shots, than one for every gate",
                holds,
                _said(ways_of),
            )
        )
    before, now = data["step"][BY_GATE], data["step"][SHIFT]
    verdicts.append(
        Verdict(
            f"MaxCut, {data['vertices']} vertices, p = 2: they take fewer circuits for a whole step, with its metric",
            now < before,
            f"{now} circuits; with one for every gate {before}",
        )
    )
    for problem, groups in data["groupings"].items():
        verdicts.append(
            Verdict(
                f"{problem}: grouping by cost takes fewer circuits than grouping qubit by qubit",
                groups["auto"]["circuits"] < groups["qubit-wise"]["circuits"],
                _said(groups),
            )
        )
    worse = [
        problem
        for problem, groups in data["groupings"].items()
        if groups["shadows"]["error"] > groups["qubit-wise"]["error"]
    ]
    verdicts.append(Verdict("random bases (shadows) lose to grouping qubit by qubit on", None, ", ".join(worse)))
    return verdicts


def _said(rows: dict[str, dict[str, float]]) -> str:
    each = (f"{name}: {row['circuits']} circuits, error of a shot {row['error']:.3g}" for name, row in rows.items())
    return "; ".join(each)


EXPERIMENT = Experiment(
    "cheaper_gradients",
    "Shift rules and groupings that follow what is measured take fewer circuits",
    "a minute",
    measure,
    judge,
)

if __name__ == "__main__":
    main(EXPERIMENT)
