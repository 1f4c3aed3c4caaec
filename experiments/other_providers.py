"""Braket's local simulator and IQM's fake device run a short optimization, each in an environment of its own.

Claim: with `pip install -e . qiskit-braket-provider amazon-braket-pennylane-plugin`, and in another environment with
`pip install -e . 'iqm-client[qiskit]'` (whose pin brings Qiskit 2.1), `qngd.minimize` runs with shots on
`BraketLocalBackend`, on PennyLane's "braket.local.qubit" and on `IQMFakeAdonis`.

    python -m experiments.other_providers            makes results/envs/*; results/other_providers/runs.json
    python -m experiments.other_providers --smoke    one step, only in environments that are already there

Expected (optimum −0.8246): BraketLocalBackend −0.8249 ± 0.0041 and braket.local.qubit −0.8261 ± 0.0042, both ideal;
IQMFakeAdonis, noisy, −0.7149 ± 0.0061, where the noiseless energy is −0.82430. Braket draws its own random numbers.
About five minutes, environments included.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENTS = ROOT / "results" / "envs"
OUT = Path("results/other_providers")
PACKAGES = {
    "braket": ["qiskit-braket-provider", "amazon-braket-pennylane-plugin"],
    "iqm": ["iqm-client[qiskit]"],
}
WORTH_KNOWING = (
    "qiskit", "pennylane", "qiskit-braket-provider", "amazon-braket-sdk", "amazon-braket-pennylane-plugin",
    "iqm-client", "qiskit-aer",
)  # fmt: skip
TERMS = {"IZ": 0.4, "ZI": 0.4, "XX": 0.2}
START = [-0.2, -0.2, 0.0, 0.0]
OPTIMUM = -0.82462113
SEED = 0


def prepare(name: str) -> tuple[Path, str]:
    """The Python of an environment, made if it is missing, and what pip said if it failed."""
    folder = ENVIRONMENTS / name
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    if not has_packages(python, name):
        command = [python, "-m", "pip", "install", "-q", "-e", str(ROOT), *PACKAGES[name]]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            return python, done.stderr.strip()
    return python, ""


def has_packages(python: Path, name: str) -> bool:
    if not python.exists():
        return False
    wanted = ["qngd", *(package.partition("[")[0] for package in PACKAGES[name])]
    return subprocess.run([python, "-m", "pip", "show", "-q", *wanted], capture_output=True).returncode == 0


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
    """All runs of this environment, and the versions in it."""
    warnings.simplefilter("ignore")
    installed = {d.metadata["Name"].lower().replace("_", "-"): d.version for d in metadata.distributions()}
    return {
        "environment": environment,
        "versions": {package: installed[package] for package in WORTH_KNOWING if package in installed},
        "rows": [run(name, make, shots, steps) for name, make in DEVICES[environment].items()],
    }


def outside(environment: str, smoke: bool) -> dict[str, Any]:
    """The same, from here: in a process of the environment."""
    python = ENVIRONMENTS / environment / "bin" / "python"
    if smoke and not has_packages(python, environment):
        return {"environment": environment, "skipped": "not installed"}
    python, failure = prepare(environment)
    if failure:
        return {"environment": environment, "pip": failure}
    command = [str(python), "-m", "experiments.other_providers", "--inside", environment]
    command += ["--smoke"] if smoke else []
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        return {"environment": environment, "failed": done.stderr.strip()}
    return json.loads(done.stdout.splitlines()[-1])


def show(found: dict[str, Any]) -> None:
    for reason in ("skipped", "pip", "failed"):
        if reason in found:
            print(f"{found['environment']}: {reason}: {found[reason]}")
    for r in found.get("rows", []):
        print(
            f"{r['device']:20s} {r['energy']:.4f} ± {r['stderr']:.4f}  optimum {OPTIMUM:.4f}  "
            f"noiseless energy there {r['noiseless_energy_there']:.5f}  {r['steps']} steps, {r['shots']} shots, "
            f"{r['seconds']} s",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="one step, in environments that are there")
    parser.add_argument("--inside", choices=list(PACKAGES), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.inside:
        print(json.dumps(inside(arguments.inside, *((200, 1) if arguments.smoke else (4000, 10)))))
        return
    found = [outside(environment, arguments.smoke) for environment in PACKAGES]
    for part in found:
        show(part)
    OUT.mkdir(parents=True, exist_ok=True)
    path = OUT / "runs.json"
    path.write_text(json.dumps(found, indent=1), encoding="utf-8")
    print(f"data: {path}")


if __name__ == "__main__":
    main()
