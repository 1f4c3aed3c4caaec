"""Braket's local simulator and IQM's fake device run a short optimization, each in an environment of its own.

H₂ in two qubits, 4000 shots, ten steps: on `BraketLocalBackend`, on PennyLane's "braket.local.qubit", both ideal, and
on `IQMFakeAdonis`, which is noisy. Braket draws its own random numbers, so that its runs do not repeat.

    python -m experiments.other_providers            two minutes on one core; makes .bench/braket and .bench/iqm first
    python -m experiments.other_providers --smoke    one step, in those of the environments that are there
"""

from __future__ import annotations

import json
import os
import subprocess
import time
import warnings
from collections.abc import Callable
from importlib import metadata
from typing import Any

from experiments.peers.environments import CACHE, ROOT, BuildError, python_of
from experiments.record import Experiment, Verdict, main

PLACES = ("braket", "iqm")
WORTH_KNOWING = (
    "qiskit", "pennylane", "qiskit-braket-provider", "amazon-braket-sdk", "amazon-braket-pennylane-plugin",
    "iqm-client", "qiskit-aer",
)  # fmt: skip
TERMS = {"IZ": 0.4, "ZI": 0.4, "XX": 0.2}
START = [-0.2, -0.2, 0.0, 0.0]
OPTIMUM = -0.82462113
SEED = 0
IDEAL = ("BraketLocalBackend", "braket.local.qubit")


def braket_backend() -> Any:
    from qiskit_braket_provider import BraketLocalBackend

    return BraketLocalBackend()


def braket_pennylane() -> Any:
    import pennylane as qml

    return qml.device("braket.local.qubit", wires=2)


def iqm_fake() -> Any:
    from iqm.qiskit_iqm.fake_backends import IQMFakeAdonis

    return IQMFakeAdonis()


DEVICES: dict[str, dict[str, Callable[[], Any]]] = {
    "braket": {"BraketLocalBackend": braket_backend, "braket.local.qubit": braket_pennylane},
    "iqm": {"IQMFakeAdonis": iqm_fake},
}


def ansatz() -> Any:
    """H₂ in two qubits (arXiv:1909.05074), as a Qiskit user writes it."""
    from qiskit import QuantumCircuit
    from qiskit.circuit import ParameterVector

    theta = ParameterVector("theta", 4)
    circuit = QuantumCircuit(2)
    circuit.x(0)
    circuit.ry(theta[0], 0)
    circuit.ry(theta[1], 1)
    circuit.cx(0, 1)
    circuit.ry(theta[2], 0)
    circuit.ry(theta[3], 1)
    return circuit


def run(name: str, make: Callable[[], Any], shots: int, steps: int) -> dict[str, Any]:
    """A run on one device, in this environment."""
    import qngd

    start = time.perf_counter()
    result = qngd.minimize(ansatz(), TERMS, START, backend=make(), shots=shots, seed=SEED, max_steps=steps)
    return {
        "device": name,
        "energy": float(result.energy),
        "stderr": float(result.stderr),
        "noiseless_energy_there": float(qngd.expectation(ansatz(), TERMS, result.theta).value),
        "steps": result.steps,
        "jobs": result.cost.jobs,
        "circuits": result.cost.circuits,
        "shots": result.cost.shots,
        "note": result.note,
        "seconds": round(time.perf_counter() - start, 1),
    }


def inside(environment: str, shots: int, steps: int) -> dict[str, Any]:
    """All runs of this environment, and the versions in it: called in a process of its Python."""
    warnings.simplefilter("ignore")
    installed = {d.metadata["Name"].lower().replace("_", "-"): d.version for d in metadata.distributions()}
    return {
        "environment": environment,
        "versions": {package: installed[package] for package in WORTH_KNOWING if package in installed},
        "rows": [run(name, make, shots, steps) for name, make in DEVICES[environment].items()],
    }


def outside(environment: str, smoke: bool) -> dict[str, Any]:
    """The same, from here."""
    if smoke and not (CACHE / environment).exists():
        return {"environment": environment, "skipped": "not installed"}
    try:
        python = python_of(environment)
    except BuildError as error:
        return {"environment": environment, "skipped": str(error)}
    shots, steps = (200, 1) if smoke else (4000, 10)
    call = f"inside({environment!r}, {shots}, {steps})"
    program = f"import json; from experiments.other_providers import inside; print(json.dumps({call}))"
    done = subprocess.run(
        [str(python), "-c", program],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    if done.returncode:
        return {"environment": environment, "failed": done.stderr.strip()}
    return json.loads(done.stdout.splitlines()[-1])


def measure(smoke: bool) -> list[dict[str, Any]]:
    return [outside(place, smoke) for place in PLACES]


def judge(found: list[dict[str, Any]]) -> list[Verdict]:
    verdicts = []
    for part in found:
        if "skipped" in part:
            verdicts.append(Verdict(f"{part['environment']}: cannot be installed here", None, part["skipped"][-300:]))
        if "failed" in part:
            verdicts.append(Verdict(f"{part['environment']}: runs", False, part["failed"][-300:]))
        for row in part.get("rows", []):
            there = row["noiseless_energy_there"] - OPTIMUM
            said = (
                f"last energy {row['energy']:.4f} ± {row['stderr']:.4f}, optimum {OPTIMUM:.4f}, noiseless energy there "
                f"{row['noiseless_energy_there']:.5f}; {row['steps']} steps, {row['circuits']} circuits, "
                f"{row['shots']} shots, {row['seconds']} s; {_versions(part['versions'])}"
            )
            claim = f"{row['device']} ends within chemical accuracy, 1.6 mHa, of the optimum, as a simulator sees it"
            verdicts.append(Verdict(claim, there <= 1.6e-3, said))
            if row["device"] in IDEAL:
                away = abs(row["energy"] - row["noiseless_energy_there"]) / row["stderr"]
                claim = f"{row['device']}: the energy that it gives is right to three standard errors"
                verdicts.append(Verdict(claim, away <= 3, f"{away:.1f} standard errors away"))
    return verdicts


def _versions(versions: dict[str, str]) -> str:
    return ", ".join(f"{package} {version}" for package, version in versions.items())


EXPERIMENT = Experiment(
    "other_providers",
    "Braket's local simulators and a fake device of IQM's run a short optimization",
    "two minutes",
    measure,
    judge,
)

if __name__ == "__main__":
    main(EXPERIMENT)
