"""How far optimizers come with equal shots where many gates share each parameter.

Question: whether the default gets at least as low as Adam and SPSA on ansätze of few shared parameters (QAOA, HVA),
with as many shots a circuit as they, and with shots="auto"; beside it the step rule that was the default before.

    python -m experiments.shared_parameters              ten minutes on one core
    python -m experiments.shared_parameters --smoke      seconds

What is left is the part of the way from the start to where an exact run from the same start ends, by the exact energy
at the point reached, which no run knows of; what a run may spend it knows. All but "auto" take as many shots a circuit,
from the embedded sampler.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, partial
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

import qngd
from experiments import shots_to_solution, zoo_cases
from experiments.record import Experiment, Verdict, main
from qngd.baselines import SPSA, Adam

SHOTS, SEEDS = 50, 10
MARKS = (30_000, 100_000, 300_000)
PROBLEMS = {
    "Ising ring of 6": partial(zoo_cases.problem_of, "tfim-6-small"),
    "Ising ring of 8": partial(zoo_cases.problem_of, "tfim-8-small"),
    "MaxCut of 10, p = 3": partial(shots_to_solution.problem_of, "maxcut-10-p3"),
    "Ising ladder": partial(zoo_cases.problem_of, "qasm-ladder"),
}
METHODS = {
    "default": (qngd.QNG(), SHOTS),
    "auto": (qngd.QNG(), "auto"),
    "CurvatureRate": (qngd.QNG(step=qngd.step.CurvatureRate()), SHOTS),
    "Adam": (Adam(0.05), SHOTS),
    "SPSA": (SPSA(first_change=0.1), SHOTS),
}
OURS = {"default": "the default", "auto": 'with shots="auto" the default'}


@cache
def ends(title: str, start: int) -> tuple[float, float]:
    """The exact energies at the start and where an exact run from there ends."""
    found = qngd.minimize(PROBLEMS[title](start), backend="statevector", max_steps=400)
    return float(found.history[0]), float(found.energy)


def left(title: str, seed: int, optimizer: Any, shots: Any, budget: int) -> float:
    """What is left of the way where a run ends that may take so many shots."""
    problem, (high, low) = PROBLEMS[title](seed), ends(title, seed)
    found = qngd.minimize(
        problem,
        backend="statevector",
        optimizer=optimizer,
        shots=shots,
        seed=seed,
        budget=qngd.Budget(shots=budget),
        tol=0,
    )
    energy = qngd.expectation(problem.circuit, problem.observable, found.theta, backend="statevector").value
    return float((energy - low) / (high - low))


def measure(smoke: bool) -> dict[str, Any]:
    """By problem and method, what every seed has left after every number of shots."""
    problems = list(PROBLEMS)[: 1 if smoke else None]
    marks = (6_000, 12_000) if smoke else MARKS
    runs: dict[str, dict[str, list[list[float]]]] = {}
    for title in problems:
        runs[title] = {}
        for method, (optimizer, shots) in METHODS.items():
            seeds = range(1 if smoke else SEEDS)
            runs[title][method] = [[left(title, seed, optimizer, shots, mark) for mark in marks] for seed in seeds]
            print(title, method, np.median(runs[title][method], axis=0).round(4), flush=True)
    return {"marks": marks, "runs": runs}


def judge(data: dict[str, Any]) -> list[Verdict]:
    return [verdict for title in data["runs"] for verdict in _of_problem(title, data)]


def _of_problem(title: str, data: dict[str, Any]) -> Iterator[Verdict]:
    medians = {method: np.median(runs, axis=0) for method, runs in data["runs"][title].items()}
    for k, mark in enumerate(data["marks"]):
        rivals = min(medians["Adam"][k], medians["SPSA"][k])
        found = "left of the way: " + ", ".join(f"{method} {values[k]:.3f}" for method, values in medians.items())
        for method in [name for name in OURS if name in medians]:
            yield Verdict(
                f"{title}: with {mark:,} shots {OURS[method]} is at least as low as Adam and SPSA",
                bool(medians[method][k] <= rivals),
                found,
            )


def draw(data: dict[str, Any]) -> Figure:
    figure, panels = plt.subplots(1, len(data["runs"]), figsize=(3 * len(data["runs"]), 3), sharey=True, squeeze=False)
    for axes, (title, methods) in zip(panels.flat, data["runs"].items(), strict=True):
        for method, runs in methods.items():
            low, middle, high = np.quantile(runs, (0.25, 0.5, 0.75), axis=0)
            axes.fill_between(data["marks"], low, high, alpha=0.15)
            axes.plot(data["marks"], middle, marker="o", label=method)
        axes.set(title=title, xlabel="thousands of shots", xscale="log", yscale="log")
        axes.set_xticks(data["marks"], [f"{mark / 1000:g}" for mark in data["marks"]])
        axes.minorticks_off()
    panels.flat[0].set_ylabel("left of the way")
    panels.flat[-1].legend(loc="lower left", fontsize="small")
    figure.tight_layout()
    return figure


EXPERIMENT = Experiment(
    "shared_parameters",
    "Beside Adam and SPSA at equal shots, where many gates share each parameter",
    "ten minutes",
    measure,
    judge,
    draw,
)

if __name__ == "__main__":
    main(EXPERIMENT)
