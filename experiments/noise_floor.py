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
from qiskit import QuantumCircuit
from qiskit.providers import BackendV2
from qiskit_aer import AerSimulator
from qiskit_aer.library import SaveProbabilities
from qiskit_aer.noise import NoiseModel
from scipy.optimize import minimize

import qngd
from circuits import h2
from experiments.record import Experiment, Verdict, main
from qngd.backends import resolve
from qngd.backends.qiskit.choice import QiskitBackend
from qngd.measured.outcomes import Means
from qngd.measured.plan import Request
from qngd.measured.template import Template

IDEAL = ("statevector", "aer", "lightning.qubit")
DEVICE = "fake_nairobi"
SEED = 1
MANY = 3  # standard errors


class ExactNoise:
    """The device's own expectation values: its noise model on density matrices, its readout errors, no sampling.

    Takes the circuits from the `QiskitBackend` of the device, so they are the very ones that a run with shots sends.
    """

    is_noisy = True

    def __init__(self, device: BackendV2) -> None:
        self._backend = QiskitBackend(device)
        model = noise_model(device)
        self._simulator = AerSimulator(method="density_matrix", noise_model=model, max_parallel_experiments=0)
        self._readout = readout_matrices(model)
        self.name = f"{device.name}, exact"

    def submit(self, templates: Sequence[Template], requests: Sequence[Request], seed: int | None) -> list[Means]:
        bound = self._backend._bound(templates, requests)
        measured = [measured_qubits(circuit) for circuit in bound]
        circuits = [with_probabilities(circuit, qubits) for circuit, qubits in zip(bound, measured, strict=True)]
        result = self._simulator.run(circuits, shots=1).result()
        outcomes = []
        for index, (qubits, request) in enumerate(zip(measured, requests, strict=True)):
            probabilities = np.asarray(result.data(index)["probabilities"])
            seen = read_out(probabilities, [self._readout.get(qubit) for qubit in qubits])
            outcomes.append(means_of(seen, templates[request.template]))
        return outcomes

    def collect(self, handle: list[Means]) -> list[Means]:
        return handle


def noise_model(device: BackendV2) -> NoiseModel:
    """What the fake device itself simulates; set by its first run. NoiseModel.from_backend has another readout."""
    tiny = QuantumCircuit(1)
    tiny.measure_all()
    device.run(tiny, shots=1).result()
    return device.options.noise_model


def readout_matrices(model: NoiseModel) -> dict[int, np.ndarray]:
    """P(read j | is i) as [i, j] for each qubit with readout errors; other errors of a measurement are not expected."""
    errors = model.to_dict()["errors"]
    assert not [e for e in errors if e["type"] != "roerror" and "measure" in e["operations"]]
    readout = [e for e in errors if e["type"] == "roerror"]
    return {qubit: np.array(e["probabilities"]) for e in readout for (qubit,) in e["gate_qubits"]}


def measured_qubits(circuit: QuantumCircuit) -> list[int]:
    """The physical qubits in the order of the classical bits that they are read into."""
    reads = [i for i in circuit.data if i.operation.name == "measure"]
    places = {circuit.find_bit(i.clbits[0]).index: circuit.find_bit(i.qubits[0]).index for i in reads}
    return [places[bit] for bit in range(len(places))]


def with_probabilities(circuit: QuantumCircuit, qubits: Sequence[int]) -> QuantumCircuit:
    """The circuit with its measurements replaced by saving their probabilities."""
    plain = circuit.remove_final_measurements(inplace=False)
    plain.append(SaveProbabilities(len(qubits)), [plain.qubits[q] for q in qubits])
    return plain


def read_out(probabilities: np.ndarray, matrices: Sequence[np.ndarray | None]) -> np.ndarray:
    """Probabilities (2ᵐ,) of what is read, given those of what is; bit j of the index by matrix j."""
    m = len(matrices)
    tensor = probabilities.reshape((2,) * m)
    for j, matrix in enumerate(matrices):
        if matrix is not None:
            axis = m - 1 - j
            tensor = np.moveaxis(np.tensordot(tensor, matrix, axes=(axis, 0)), -1, axis)
    return tensor.reshape(-1)


def means_of(probabilities: np.ndarray, template: Template) -> Means:
    """The expectation values of a template's strings, and of their products where it wants pairs."""
    index = np.arange(len(probabilities), dtype=np.uint64)
    z = np.zeros_like(template.basis.z[:, 0])
    for j, qubit in enumerate(template.measured):
        z |= (template.basis.z[:, 0] >> np.uint64(qubit) & np.uint64(1)) << np.uint64(j)
    values = template.basis.sign[:, None] * (1.0 - 2.0 * (np.bitwise_count(z[:, None] & index) % 2))
    if template.pairs:
        i, j = np.triu_indices(len(values), 1)
        values = np.concatenate([values, values[i] * values[j]])
    exact = values @ probabilities
    return Means(exact, np.zeros_like(exact), 0)


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
