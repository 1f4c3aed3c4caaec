"""Runs with shots end at the exact optimum, or at the noise floor of the device, within their error bars.

H₂ in four qubits (circuits/h2.py) with 4000 shots per circuit and a fixed seed. On ideal backends the last
energy is within a few standard errors of the ground state. On fake_nairobi it is within a few standard errors of the
device's noise floor: the lowest energy of the *compiled* circuits under the device's gate and readout errors, by
density matrices and without sampling (L-BFGS over θ from the run's end and from the noiseless optimum). 10⁶ shots
on the device confirm that exact noisy energy.

The floor is the lowest found, not proved lowest.

    python -m experiments.noise_floor            two minutes on one core
    python -m experiments.noise_floor --smoke    fewer shots and steps, no search for the floor
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.optimize import minimize

import qngd
from circuits import h2
from experiments.exact_noise import ExactNoise
from experiments.record import Experiment, Verdict, main
from qngd.backends import resolve

IDEAL = ("statevector", "aer", "lightning.qubit")
DEVICE = "fake_nairobi"
SEED = 1
MANY = 3  # standard errors


@dataclass(frozen=True)
class Row:
    """Where a run ended, and how far from its goal in standard errors."""

    backend: str
    energy: float
    stderr: float
    goal: float
    z: float
    exact_at_end: float
    steps: int
    status: str
    circuits: int
    shots: int
    seconds: float


def run(problem: qngd.Problem, name: str, shots: int, max_steps: int) -> tuple[qngd.Result, float]:
    """A run on a backend by name, and the seconds it took."""
    start = time.perf_counter()
    result = qngd.minimize(problem, backend=name, shots=shots, seed=SEED, max_steps=max_steps)
    return result, time.perf_counter() - start


def row(name: str, result: qngd.Result, seconds: float, goal: float, exact: float) -> Row:
    energy, stderr = float(result.energy), float(result.stderr)
    return Row(
        name, energy, stderr, goal, (energy - goal) / stderr, exact,
        result.steps, str(result.status), result.cost.circuits, result.cost.shots, round(seconds, 1),
    )  # fmt: skip


def floor(problem: qngd.Problem, device: Any, starts: Sequence[np.ndarray], max_evaluations: int) -> tuple[float, int]:
    """The lowest exact noisy energy found from the starts, and the evaluations that took."""
    best, used = np.inf, 0
    for start in starts:

        def energy_and_gradient(theta: np.ndarray) -> tuple[float, np.ndarray]:
            value = qngd.expectation(problem.circuit, problem.observable, theta, backend=device).value
            return float(value), np.asarray(qngd.gradient(problem.circuit, problem.observable, theta, backend=device))

        found = minimize(
            energy_and_gradient, start, jac=True, method="L-BFGS-B", options={"maxfun": max_evaluations, "ftol": 1e-12}
        )
        best, used = min(best, float(found.fun)), used + int(found.nfev)
    return best, used


def noiseless_optimum(problem: qngd.Problem) -> np.ndarray:
    return np.asarray(qngd.minimize(problem).theta)


def check_with_shots(problem: qngd.Problem, exact: Any, theta: np.ndarray, shots: int) -> dict[str, float]:
    """The exact noisy energy against the device's own sampling."""
    value = float(qngd.expectation(problem.circuit, problem.observable, theta, backend=exact).value)
    # the fake device allows 100,000 shots a circuit
    sampled = [
        qngd.expectation(problem.circuit, problem.observable, theta, backend=DEVICE, shots=min(shots, 100_000), seed=k)
        for k in range(max(shots // 100_000, 1))
    ]
    mean = float(np.mean([s.value for s in sampled]))
    stderr = float(np.sqrt(np.sum([s.stderr**2 for s in sampled])) / len(sampled))
    return {"exact": value, "sampled": mean, "stderr": stderr, "z": (mean - value) / stderr, "shots": shots}


def measure(smoke: bool) -> dict[str, Any]:
    """All runs, the floor, and the check of the exact noisy energy."""
    problem = h2.problem()
    assert problem.reference_energy is not None
    shots, max_steps = (200, 1) if smoke else (4000, 60)
    rows = []
    for name in IDEAL:
        result, seconds = run(problem, name, shots, max_steps)
        exact = float(qngd.expectation(problem.circuit, problem.observable, result.theta).value)
        rows.append(row(name, result, seconds, problem.reference_energy, exact))
        show(rows[-1])
    noisy = ExactNoise(resolve(DEVICE).native)
    result, seconds = run(problem, DEVICE, shots, max_steps)
    at_end = float(qngd.expectation(problem.circuit, problem.observable, result.theta, backend=noisy).value)
    best = noiseless_optimum(problem)
    at_optimum = float(qngd.expectation(problem.circuit, problem.observable, best, backend=noisy).value)
    lowest, used = floor(problem, noisy, [] if smoke else [np.asarray(result.theta), best], 100)
    lowest = min(lowest, at_end, at_optimum)
    rows.append(row(DEVICE, result, seconds, lowest, at_end))
    show(rows[-1])
    check = check_with_shots(problem, noisy, best, 2000 if smoke else 1_000_000)
    print(f"exact noisy energy {check['exact']:.5f}, sampled {check['sampled']:.5f} ± {check['stderr']:.5f}")
    print(f"noise floor {lowest:.5f} ({used} evaluations); at the noiseless optimum {at_optimum:.5f}")
    return {
        "reference_energy": problem.reference_energy,
        "shots": shots,
        "rows": [asdict(r) for r in rows],
        "floor": {"energy": lowest, "evaluations": used, "at_noiseless_optimum": at_optimum},
        "check": check,
    }


def show(r: Row) -> None:
    print(
        f"{r.backend:16s} {r.energy:.5f} ± {r.stderr:.5f}  goal {r.goal:.5f}  z = {r.z:+.2f}  "
        f"exact there {r.exact_at_end:.5f}  {r.steps} steps ({r.status}), {r.shots} shots, {r.seconds} s",
        flush=True,
    )


def judge(data: dict[str, Any]) -> list[Verdict]:
    verdicts = [
        Verdict(
            f"{row['backend']} ends within {MANY} standard errors of {_goal_of(row)}",
            abs(row["z"]) < MANY,
            f"{row['energy']:.5f} ± {row['stderr']:.5f} against {row['goal']:.5f}, {row['z']:+.2f} standard errors, "
            f"after {row['steps']} steps; the exact energy there is {row['exact_at_end']:.5f}",
        )
        for row in data["rows"]
    ]
    check = data["check"]
    verdicts.append(
        Verdict(
            f"{check['shots']} shots on {DEVICE} give the energy that density matrices do",
            abs(check["z"]) < MANY,
            f"{check['sampled']:.5f} ± {check['stderr']:.5f} against {check['exact']:.5f}",
        )
    )
    return verdicts


def _goal_of(row: dict[str, Any]) -> str:
    return "the device's noise floor" if row["backend"] == DEVICE else "the ground energy"


EXPERIMENT = Experiment(
    "noise_floor",
    "Runs with shots end at the exact optimum, or at the noise floor of the device, within their error bars",
    "two minutes",
    measure,
    judge,
)

if __name__ == "__main__":
    main(EXPERIMENT)
