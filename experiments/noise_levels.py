"""QNG against gradient descent at several levels of noise, towards the exact noisy floor.

arXiv:2502.20288 finds that the natural gradient converges faster there, and from more starts. Here it is tried on the
critical Ising ring of four spins, by its Hamiltonian variational ansatz from random angles. Noise is exact, by density
matrices and without sampling (`exact_noise.ExactNoise`): depolarization of the compiled circuits' gates with readout
errors at three levels, and two fake devices. The floor is the lowest energy that L-BFGS finds under the noise, from the
noiseless optimum; a run has arrived where 5 % of the way there from the mean of the starts are left. Gradient descent
takes its best rate of a grid for each level, which two of the five starts choose.

On the devices runs with 4000 shots besides, each with and without its readout corrected, to the energy that is measured
at the end, and the noiseless one there.

    python -m experiments.noise_levels            three minutes on one core
    python -m experiments.noise_levels --smoke    one level, one start, few steps
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, partial
from operator import ge, le, lt
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from qiskit.providers import BackendV2
from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel, ReadoutError, depolarizing_error

import qngd
from circuits import tfim
from experiments.exact_noise import ExactNoise
from experiments.noise_floor import floor, noiseless_optimum
from experiments.race import Goal, Grid, Ours, Start, arrivals, draw_medians, median, named, race, row
from experiments.record import Experiment, Verdict, main
from qngd.backends import ReadoutCorrected, resolve
from qngd.baselines import GradientDescent

SPINS, STARTS, TUNED_ON, MAX_STEPS, LEFT = 4, 5, 2, 30, 0.05
LEVELS = (0.002, 0.01, 0.05)  # of depolarization of two-qubit gates
DEVICES = ("fake_manila", "fake_lima")
SHOTS, SHOT_STEPS = 4000, 12
DEFAULT, BLOCKS, DESCENT = "QNG()", "QNG, blocks, fixed", "gradient descent"
METHODS: dict[str, Grid] = {
    DEFAULT: {"": Ours(qngd.QNG(), max_steps=MAX_STEPS)},
    BLOCKS: {f"{rate:g}, 0.01": Ours(qngd.QNG(rate, "block-diag", 1e-2), max_steps=MAX_STEPS) for rate in (0.05, 0.1)},
    DESCENT: {f"{rate:g}": Ours(GradientDescent(rate), max_steps=MAX_STEPS) for rate in (0.01, 0.02, 0.04)},
}


def pair(rate: float) -> dict[str, Any]:
    """The default, and gradient descent with this rate."""
    return {DEFAULT: qngd.QNG(), DESCENT: GradientDescent(rate)}


def simulator(level: float) -> AerSimulator:
    """Two-qubit gates depolarize with this probability, others with a tenth, and readout is wrong with twice."""
    model = NoiseModel()
    model.add_all_qubit_quantum_error(depolarizing_error(level, 2), ["cx"])
    model.add_all_qubit_quantum_error(depolarizing_error(level / 10, 1), ["sx", "x"])
    for qubit in range(SPINS):
        model.add_readout_error(ReadoutError([[1 - 2 * level, 2 * level], [2 * level, 1 - 2 * level]]), [qubit])
    return AerSimulator(noise_model=model, basis_gates=["cx", "rz", "sx", "x"])


@cache
def problem(seed: int) -> qngd.Problem:
    return tfim.problem(num_qubits=SPINS, start="half-pi", seed=seed)


def raced(device: BackendV2, starts: int, methods: Mapping[str, Grid], evaluations: int) -> dict[str, Any]:
    """The floor under a device's noise, and what `race` found on the way there."""
    noise, problems = ExactNoise(device), [problem(seed) for seed in range(starts)]
    lowest, _ = floor(problems[0], noise, [noiseless_optimum(problems[0])], evaluations)
    first = np.mean([_energy(one, one.theta0, noise) for one in problems])
    goal = Goal(problems[0], lowest + LEFT * (float(first) - lowest), backend=noise)
    found = race([Start(goal, one.theta0) for one in problems], methods, min(TUNED_ON, starts))
    return {"floor": lowest, "goal": goal.limit, "methods": found}


def _energy(of: qngd.Problem, theta: Any, backend: Any = None) -> float:
    return float(qngd.expectation(of.circuit, of.observable, theta, backend=backend).value)


def sampled(device: BackendV2, rate: float, steps: int) -> list[dict[str, Any]]:
    """Runs with shots, with and without their readout corrected."""
    rows, of = [], problem(0)
    for method, optimizer in pair(rate).items():
        for mitigation, backend in (("none", device), ("readout corrected", ReadoutCorrected(device))):
            result = qngd.minimize(
                of, optimizer=optimizer, backend=backend, shots=SHOTS, seed=1, max_steps=steps, tol=0
            )
            rows.append(
                {
                    "method": method,
                    "mitigation": mitigation,
                    "energy": result.energy,
                    "stderr": result.stderr,
                    "noiseless": _energy(of, result.theta),
                    "steps": result.steps,
                }
            )
    return rows


def measure(smoke: bool) -> dict[str, Any]:
    ground = problem(0).reference_energy
    if smoke:
        few: dict[str, Grid] = {name: {"": Ours(optimizer, max_steps=1)} for name, optimizer in pair(0.04).items()}
        return {"ground": ground, "levels": {"1 %": raced(simulator(0.01), 1, few, 1)}, "devices": {}}
    levels, devices = {}, {}
    for level in LEVELS:
        print(f"{100 * level:g} %", flush=True)
        levels[f"{100 * level:g} %"] = raced(simulator(level), STARTS, METHODS, 30)
    for name in DEVICES:
        print(name, flush=True)
        device = resolve(name).native
        levels[name] = raced(device, STARTS, METHODS, 30)
        devices[name] = sampled(device, float(levels[name]["methods"][DESCENT]["setting"]), SHOT_STEPS)
    return {"ground": ground, "levels": levels, "devices": devices}


def judge(data: dict[str, Any]) -> list[Verdict]:
    levels = {name: one["methods"] for name, one in data["levels"].items()}
    shares, steps, circuits = (
        {name: [of(found, method) for method in (DEFAULT, DESCENT)] for name, found in levels.items()}
        for of in (arrivals, partial(median, unit="steps"), partial(median, unit="circuits"))
    )
    verdicts = [
        _against(
            f"arrives within {MAX_STEPS} steps from as many starts as a tuned gradient descent", shares, ge, ".0%"
        ),
        _against("takes no more steps than it", steps, le, ".0f"),
        _against("takes fewer circuits than it", circuits, lt, ".0f"),
    ]
    for name, one in data["levels"].items():
        claim = f"{name}: the floor is {one['floor']:.4f}, of {data['ground']:.4f} without noise"
        beside = f"{row(one['methods'], DEFAULT, ('circuits',))}. {_text(one['methods'], DESCENT)}"
        verdicts.append(Verdict(claim, None, beside))
    for name, rows in data["devices"].items():
        floor_there = data["levels"][name]["floor"]
        for one in rows:
            claim = f"{name}, {SHOTS} shots, mitigation: {one['mitigation']}, {one['method']}"
            found = (
                f"measured {one['energy']:.3f} ± {one['stderr']:.3f} after {one['steps']} steps (floor "
                f"{floor_there:.3f}, ground {data['ground']:.3f}); noiseless there {one['noiseless']:.3f}"
            )
            verdicts.append(Verdict(claim, None, found))
    return verdicts


def _against(claim: str, pairs: dict[str, list[float]], holds: Any, form: str) -> Verdict:
    def text(value: float) -> str:
        return f"{value:{form}}" if np.isfinite(value) else "∞"

    found = "; ".join(f"{name}: {text(own)} against {text(other)}" for name, (own, other) in pairs.items())
    return Verdict(f"at every level {DEFAULT} {claim}", all(holds(*pair) for pair in pairs.values()), found)


def _text(found: Mapping[str, Any], method: str) -> str:
    return f"{named(found, method)}: {found[method]['arrived']}/{found[method]['runs']} arrive"


def draw(data: dict[str, Any]) -> Figure:
    levels = {name: one["methods"] for name, one in data["levels"].items()}
    figure, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    draw_medians(axes[0], levels, "steps", "steps to 5 % from the noisy floor", [*METHODS])
    draw_medians(axes[1], levels, "circuits", "circuits", [*METHODS])
    axes[0].legend(fontsize="small")
    return figure


EXPERIMENT = Experiment(
    "noise_levels",
    "Under noise the natural gradient nears the floor in no more steps than gradient descent, from as many starts",
    "three minutes",
    measure,
    judge,
    draw,
)

if __name__ == "__main__":
    main(EXPERIMENT)
