"""Whether another damping than the default's ends lower with shots, few and many.

Question: of runs with the same starts, seeds and shots a circuit, which damping leaves the least of the way: the
default's, an absolute 1e-3, `UnitDiagonal`, or 1e-2 of the mean eigenvalue. From one start it is chance who ends lower;
so the claim is of all problems and starts together, and allows for two standard errors of the mean.

    python -m experiments.damping_with_shots              four minutes on one core
    python -m experiments.damping_with_shots --smoke      seconds

What is left is the part of the way from the start to where an exact run from the same start ends, by the exact energy
at the end, which no run knows of; less than a thousandth counts as that. A run ends as its user's would: by noise, or
after so many steps.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache
from typing import Any

if __name__ == "__main__":  # before numba and BLAS look at it
    os.environ.update(QNGD_NUM_THREADS="1", OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import numpy as np

import qngd
from experiments.record import Experiment, Verdict, main
from experiments.zoo_cases import problem_of
from qngd.damping import Relative, UnitDiagonal

PROBLEMS = ("tfim-6-small", "heisenberg-4", "qasm-ladder", "sk-6", "h2-1", "pauli-ladder-5")
STARTS = range(5)
STEPS = {50: 120, 1000: 60}  # at most, by shots a circuit
OURS = "default"
DAMPINGS: dict[str, Any] = {
    OURS: None,
    "1e-3": 1e-3,
    "UnitDiagonal()": UnitDiagonal(),
    "Relative(1e-2)": Relative(1e-2),
}
LEAST = 1e-3  # of the way: below it two ends are as good


def measure(smoke: bool) -> dict[str, dict[str, list[dict[str, float]]]]:
    """By shots and damping, of every problem and start what is left of the way, and the shots spent."""
    problems = PROBLEMS[-1:] if smoke else PROBLEMS
    found: dict[str, dict[str, list[dict[str, float]]]] = {}
    for shots in STEPS:
        found[str(shots)] = {damping: [] for damping in DAMPINGS}
        for name in problems:
            for start in STARTS[: 1 if smoke else None]:
                for damping in DAMPINGS:
                    found[str(shots)][damping].append(of_run(name, start, damping, shots, smoke))
            ends = {damping: round(_mean(runs[-len(STARTS) :]), 4) for damping, runs in found[str(shots)].items()}
            print(shots, name, ends, flush=True)
    return found


@cache
def ends(name: str, start: int) -> tuple[float, float]:
    """The exact energies at the start and where an exact run from there ends."""
    found = qngd.minimize(problem_of(name, start), backend="statevector", max_steps=400)
    return float(found.history[0]), float(found.energy)


def of_run(name: str, start: int, damping: str, shots: int, smoke: bool = False) -> dict[str, float]:
    """What a run has left of the way at its end, and its shots."""
    problem = problem_of(name, start)
    high, low = ends(name, start)
    result = qngd.minimize(
        problem, optimizer=qngd.QNG(damping=DAMPINGS[damping]), backend="statevector", shots=shots, seed=start,
        max_steps=2 if smoke else STEPS[shots],
    )  # fmt: skip
    energy = float(qngd.expectation(problem.circuit, problem.observable, result.theta, backend="statevector"))
    return {"left": (energy - low) / (high - low), "shots": result.cost.shots}


def judge(data: dict[str, dict[str, list[dict[str, float]]]]) -> list[Verdict]:
    return [verdict for shots, runs in data.items() for verdict in _with_shots(shots, runs)]


def _with_shots(shots: str, runs: dict[str, list[dict[str, float]]]) -> Iterator[Verdict]:
    left = {damping: f"{_mean(each):.4f}" for damping, each in runs.items()}
    spent = {damping: f"{np.median([one['shots'] for one in each]):.2g}" for damping, each in runs.items()}
    against = {damping: _over(runs[OURS], each) for damping, each in runs.items() if damping != OURS}
    lower = [damping for damping, (ratio, error) in against.items() if ratio - 2 * error > 0]
    higher = [damping for damping, (ratio, error) in against.items() if ratio + 2 * error < 0]
    yield Verdict(
        f"{shots} shots a circuit: no other damping leaves less of the way by over two standard errors",
        not lower,
        f"geometric means of {len(runs[OURS])} runs: " + ", ".join(f"{name} {value}" for name, value in left.items()),
    )
    yield Verdict(f"{shots} shots a circuit: by over two of them these leave more", None, ", ".join(higher) or "none")
    yield Verdict(
        f"{shots} shots a circuit: shots of a run, median",
        None,
        ", ".join(f"{name} {value}" for name, value in spent.items()),
    )


def _logs(runs: list[dict[str, float]]) -> np.ndarray:
    return np.log(np.maximum([run["left"] for run in runs], LEAST))


def _mean(runs: list[dict[str, float]]) -> float:
    """The geometric mean of what is left."""
    return float(np.exp(_logs(runs).mean()))


def _over(ours: list[dict[str, float]], theirs: list[dict[str, float]]) -> tuple[float, float]:
    """The mean logarithm of what ours leave over what theirs leave, run by run, and its standard error."""
    ratios = _logs(ours) - _logs(theirs)
    return float(ratios.mean()), float(ratios.std(ddof=1) / np.sqrt(len(ratios))) if len(ratios) > 1 else np.inf


EXPERIMENT = Experiment(
    "damping_with_shots",
    "With shots, few and many, no other damping ends clearly lower than the default",
    "four minutes",
    measure,
    judge,
)

if __name__ == "__main__":
    main(EXPERIMENT)
