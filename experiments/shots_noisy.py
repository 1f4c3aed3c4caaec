"""What a method spends on noisy devices until the noisy energy of its point is at the goal.

Question: whether `shots="auto"` needs fewer shots than shots fixed beforehand and than other optimizers, where gates
and readout err. The devices are of different kinds: fake_nairobi, seven qubits of 2021 with CNOTs, and fake_torino, 133
of 2023 with CZ and a fraction of the errors.

    python -m experiments.shots_noisy            an hour on two cores
    python -m experiments.shots_noisy --smoke    one problem on one device, one seed, few methods

Energies at a point are exact under the device's noise model, readout errors included; shots are drawn from the exact
distributions of the compiled circuits (`noisy_sampler`), which Aer's density matrices confirm at one point of each
problem. The goal is that this part of the way is left from the start to the lowest noisy energy that is known: of what
L-BFGS finds with exact noisy gradients from the start, and from where an exact run without noise ends. How runs are
made, and given up, says `fewest_shots`; nothing is mitigated.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from scipy.optimize import minimize

import qngd
from circuits import tfim
from experiments import zoo_cases
from experiments.exact_noise import ExactNoise
from experiments.fewest_shots import draw, judged, methods, side_by_side, tried
from experiments.noisy_sampler import NoisySampler
from experiments.race import Goal, Start
from experiments.record import Experiment, Verdict, main
from experiments.shots_to_solution import ramped_maxcut
from qngd.backends import resolve

SEEDS = 20  # with few the fewest shots of a dozen settings are lucky ones
SEARCH = {"maxfun": 100, "ftol": 1e-7}
SAME = 1e-7
DEVICES = ("fake_nairobi", "fake_torino")
SMOKE = ("fake_nairobi", "ising-ring-4")
LEFT_OUT = ("gradient descent", "excitation-solve", "fixed:200", "adam:200")  # not among the first without noise


@dataclass(frozen=True)
class Row:
    """How the problem of a start is built, the part of the way that may be left, and the shots after which a run has
    failed."""

    build: Callable[[int], Any]
    left: float = 0.05
    most: int = 100_000
    one_start: bool = False


PROBLEMS = {
    "h2": Row(partial(zoo_cases.problem_of, "h2-1"), left=0.05, one_start=True),
    "heisenberg-4": Row(partial(zoo_cases.problem_of, "heisenberg-4"), left=0.2),
    "maxcut-6-p2": Row(partial(ramped_maxcut, 6, 2)),
    "ising-ring-4": Row(lambda seed: tfim.problem(num_qubits=4, start="half-pi", seed=seed)),
}


@cache
def native(device: str) -> Any:
    return resolve(device).native


@cache
def sampler(device: str) -> NoisySampler:
    return NoisySampler(native(device))


@cache
def start_of(device: str, name: str, seed: int) -> Start:
    """Where the run of this seed begins, and its goal."""
    row = PROBLEMS[name]
    if seed and row.one_start:
        return start_of(device, name, 0)
    problem = row.build(seed)
    first = problem.circuit.flatten(problem.theta0)
    end = qngd.minimize(problem, backend="statevector", max_steps=400).theta
    evaluator = Goal(problem, 0.0, backend=sampler(device)).evaluator()
    energy, lowest = lowest_from(evaluator, first, problem.circuit.flatten(end))
    return Start(Goal(problem, lowest + row.left * (energy - lowest), backend=sampler(device)), problem.theta0)


def lowest_from(evaluator: Any, *starts: np.ndarray) -> tuple[float, float]:
    """The energy at the first of these points, and the lowest that L-BFGS finds from all."""

    def energy_and_gradient(theta: np.ndarray) -> tuple[float, np.ndarray]:
        found = evaluator.evaluate(theta)
        return float(found.energy.value), np.asarray(found.gradient.value)

    ends = [minimize(energy_and_gradient, start, jac=True, method="L-BFGS-B", options=SEARCH).fun for start in starts]
    return energy_and_gradient(starts[0])[0], float(min(ends))


def _energy(problem: Any, backend: Any) -> float:
    return float(qngd.expectation(problem.circuit, problem.observable, problem.theta0, backend=backend).value)


def measure(smoke: bool) -> dict[str, Any]:
    """By problem and device."""
    wanted = [(device, name) for device in DEVICES for name in PROBLEMS]
    found = {SMOKE: runs_on(SMOKE, smoke=True)} if smoke else side_by_side(runs_on, wanted)
    titled = {f"{name}, {device}": one for (device, name), one in found.items()}
    return {
        "problems": {title: one["runs"] for title, one in titled.items()},
        "apart": {title: one["apart"] for title, one in titled.items()},
    }


def runs_on(wanted: tuple[str, str], smoke: bool = False) -> dict[str, Any]:
    """All methods' runs on a device and a problem, and how far the energy at the start is from Aer's."""
    device, name = wanted
    chosen = {method: pair for method, pair in methods().items() if not method.startswith(LEFT_OUT)}
    starts = partial(start_of, device, name)
    problem = starts(0).goal.problem
    apart = abs(_energy(problem, sampler(device)) - _energy(problem, ExactNoise(native(device))))
    seeds = 1 if smoke else SEEDS
    return {"runs": tried(f"{name}, {device}", starts, PROBLEMS[name].most, seeds, chosen, smoke), "apart": apart}


def judge(data: dict[str, Any]) -> list[Verdict]:
    most = max(data["apart"].values())
    return [
        *judged(data["problems"]),
        Verdict("noisy energies at the starts are those of Aer's density matrices", most < SAME, f"to {most:.0e}"),
    ]


def _drawn(data: dict[str, Any]) -> Figure:
    return draw(data["problems"], columns=len(PROBLEMS))


EXPERIMENT = Experiment(
    "shots_noisy",
    'Shots until the noisy energy is at the goal, of `shots="auto"` and of other methods, on two noisy devices',
    "an hour",
    measure,
    judge,
    _drawn,
)

if __name__ == "__main__":
    main(EXPERIMENT)
