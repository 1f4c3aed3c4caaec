"""Shots divided by what the step needs of them are never worse than shots divided equally.

Pairs of runs from the same starts and seeds, with the same total of shots a step, divided by `AutoShots` or equally,
until the exact energy is near where an exact run ends. Every problem of circuits/ that the zoo runs with shots. The
ratio of their shots is the geometric mean over the pairs, with its standard error; a run that does not arrive counts
with all that it spent.

    python -m experiments.auto_shots               a quarter of an hour on one core
    python -m experiments.auto_shots --smoke       two pairs of two small problems, two steps
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

import qngd
from experiments.record import Experiment, Verdict, main
from experiments.zoo_cases import problem_of
from qngd.evaluators.choice import evaluator_for
from qngd.evaluators.setup import Setup
from qngd.interop import as_observable
from qngd.measured.auto_shots import AutoShots

PAIRS, STEPS = 20, 60
CHEMICAL_ACCURACY = 1.6e-3  # hartree


@dataclass(frozen=True)
class Row:
    """A problem of the zoo, its shots a circuit, and the goal: this part of the way from the start still to go where an
    exact run ends, or chemical accuracy. `starts`: how many starts the pairs go round."""

    problem: str
    shots: int
    left: float | None
    starts: int = PAIRS


ROWS = (
    Row("h2-1", 400, None, 1),
    Row("pauli-ladder-5", 100, 0.03),
    Row("maxcut-4", 200, 0.05),
    Row("tfim-6-half-pi", 200, 0.1),
    Row("heisenberg-4", 100, 0.05),
    Row("qasm-ladder", 100, 0.1),
)
SMOKE = ("maxcut-4", "pauli-ladder-5")


@cache
def goal(row: Row, start: int) -> float:
    """The exact energy to reach."""
    problem = problem_of(row.problem, start)
    if row.left is None:
        return problem.reference_energy + CHEMICAL_ACCURACY
    found = qngd.minimize(problem, backend="statevector", max_steps=300)
    return found.energy + row.left * (found.history[0] - found.energy)


@cache
def circuits_of_step(row: Row, start: int) -> int:
    return qngd.cost(problem_of(row.problem, start), backend="statevector", shots=1).step.circuits


def spent(row: Row, start: int, seed: int, auto: bool, steps: int) -> tuple[int, bool]:
    """Shots until the exact energy is at the goal, and whether it came to that within `steps`."""
    problem = problem_of(row.problem, start)
    circuit, observable = problem.circuit, as_observable(problem.observable, problem.circuit)
    total = row.shots * circuits_of_step(row, start)
    sampled = evaluator_for(circuit, observable, Setup("statevector", AutoShots(total) if auto else row.shots))
    exact = evaluator_for(circuit, observable, Setup("statevector"))
    optimizer = qngd.QNG()
    state = optimizer.init(sampled, circuit.flatten(problem.theta0), seed)
    for _ in range(steps):
        if float(exact.evaluate(state.theta, gradient=False).energy.value) <= goal(row, start):
            return int(state.cost.shots), True
        state, _ = optimizer.step(sampled, state)
    return int(state.cost.shots), False


def measure(smoke: bool) -> list[dict[str, Any]]:
    """Per problem, the shots of all runs of either kind and which of them arrived."""
    pairs, steps = (2, 2) if smoke else (PAIRS, STEPS)
    rows = []
    for row in ROWS:
        if smoke and row.problem not in SMOKE:
            continue
        data: dict[str, Any] = {"problem": row.problem, "shots_per_circuit": row.shots, "max_steps": steps}
        for kind in ("equal", "auto"):
            runs = [spent(row, k % row.starts, k, kind == "auto", steps) for k in range(pairs)]
            data[kind] = {"shots": [shots for shots, _ in runs], "arrived": sum(arrived for _, arrived in runs)}
        rows.append(data)
        print(row.problem, "ratio {:.3f} ± {:.3f}".format(*ratio(data)), flush=True)
    return rows


def ratio(data: dict[str, Any]) -> tuple[float, float]:
    """Shots of "auto" over those of an equal division, and its standard error."""
    logs = np.log(np.array(data["auto"]["shots"]) / np.array(data["equal"]["shots"]))
    mean = float(np.exp(logs.mean()))
    return mean, mean * float(logs.std(ddof=1)) / np.sqrt(len(logs))


def judge(rows: list[dict[str, Any]]) -> list[Verdict]:
    verdicts = []
    for data in rows:
        mean, error = ratio(data)
        runs = len(data["auto"]["shots"])
        said = ", ".join(
            f"{kind} {np.median(data[kind]['shots']):,.0f} shots in the median, {data[kind]['arrived']}/{runs} arrive"
            for kind in ("auto", "equal")
        )
        claim = f"{data['problem']}, {data['shots_per_circuit']} shots a circuit: no more shots than divided equally"
        verdicts.append(Verdict(claim, mean <= 1, f"{mean:.3f} ± {error:.3f} times as many; {said}"))
    beyond = [data["problem"] for data in rows if ratio(data)[0] - 1 > 2 * ratio(data)[1]]
    verdicts.append(Verdict("more of them by over two standard errors", None, ", ".join(beyond) or "nowhere"))
    return verdicts


def draw(rows: list[dict[str, Any]]) -> Figure:
    figure, axes = plt.subplots(figsize=(6, 3))
    for place, data in enumerate(rows):
        each = np.array(data["auto"]["shots"]) / np.array(data["equal"]["shots"])
        axes.plot(each, [place] * len(each), "|", color="0.6")
        mean, error = ratio(data)
        axes.errorbar(mean, place, xerr=error, fmt="o", color="C0", capsize=3)
    axes.axvline(1, color="0.3", linewidth=0.8)
    axes.set(xscale="log", xlabel="shots of auto / shots divided equally", yticks=range(len(rows)))
    axes.set_yticklabels([data["problem"] for data in rows])
    axes.invert_yaxis()
    return figure


EXPERIMENT = Experiment(
    "auto_shots",
    "Shots divided by what a step needs take a run to its goal with no more than the same divided equally",
    "a quarter of an hour",
    measure,
    judge,
    draw,
)

if __name__ == "__main__":
    main(EXPERIMENT)
