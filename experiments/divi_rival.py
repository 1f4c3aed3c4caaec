"""The default beside the QNG of Divi (PyPI `qoro-divi`), exactly, from the same starts.

Circuits that Divi's Fubini-Study metric takes, Pauli rotations by parameters of their own: H₂ in two qubits with four
layers of RY, and a Heisenberg chain of four spins in a field that grows along it, with three layers of RY and RZ. Divi
with either of its metrics, three step sizes and two regularizations, 60 iterations on its own simulator, exactly; ours
with its defaults, 60 steps. A run arrives when its energy is within 1.6e-3 of the ground energy. Seconds are of the
processor.

    python -m experiments.divi_rival            ten minutes on one core; installs Divi in .bench/divi first
    python -m experiments.divi_rival --smoke    one start of H₂, ours alone
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

import qngd
from experiments.peers.environments import ROOT, python_of
from experiments.record import Experiment, Verdict, main

H2 = {"II": -1.052373245772859, "IZ": 0.39793742484318045, "ZI": -0.39793742484318045, "ZZ": -0.01128010425623538,
      "XX": 0.18093119978423156}  # fmt: skip
GOAL, ITERATIONS, STARTS = 1.6e-3, 60, 3
STEP_SIZES = (0.03, 0.1, 0.3)
REGULARIZATIONS = (1e-3, 0.1)  # the first is its default
METRICS = ("fubini-study", "pullback")

Gate = tuple[str, list[int], list[int]]  # PennyLane's name, qubits, parameters


def hydrogen() -> tuple[int, list[Gate], dict[str, float]]:
    gates: list[Gate] = []
    for layer in range(4):
        gates += [("RY", [q], [2 * layer + q]) for q in range(2)]
        gates += [("CZ", [0, 1], [])] if layer < 3 else []
    return 2, gates, H2


def heisenberg() -> tuple[int, list[Gate], dict[str, float]]:
    size, gates, k = 4, [], 0
    for layer in range(3):
        for name in ("RY", "RZ"):
            gates += [(name, [q], [k + q]) for q in range(size)]
            k += size
        gates += [("CNOT", [q, q + 1], []) for q in range(size - 1)] if layer < 2 else []
    terms = {}
    for q in range(size):
        terms[_label(size, {q: "Z"})] = 0.3 * (q + 1)
        terms |= {_label(size, {q: p, q + 1: p}): 1.0 for p in "XYZ" if q + 1 < size}
    return size, gates, terms


def _label(size: int, letters: dict[int, str]) -> str:
    return "".join(letters.get(q, "I") for q in reversed(range(size)))


PROBLEMS = {"H₂": hydrogen, "Heisenberg chain of 4": heisenberg}


def ours(size: int, gates: list[Gate], terms: dict[str, float], theta: np.ndarray) -> dict[str, Any]:
    builder = qngd.CircuitBuilder(size)
    parameters = builder.parameters(*(f"t{k}" for k in range(len(theta))))
    for name, qubits, numbers in gates:
        gate = getattr(builder, {"CNOT": "cx"}.get(name, name.lower()))
        gate(*(parameters[k] for k in numbers), *qubits)
    begin = time.process_time()
    found = qngd.minimize(builder, terms, theta, max_steps=ITERATIONS, tol=0)
    return {"losses": found.history.tolist(), "seconds": time.process_time() - begin, "error": ""}


def theirs(questions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    done = subprocess.run(
        [str(python_of("divi")), "-m", "experiments.peers.divi"], input=json.dumps(questions), text=True, check=True,
        stdout=subprocess.PIPE, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    return [json.loads(line) for line in done.stdout.splitlines()]


def measure(smoke: bool) -> list[dict[str, Any]]:
    rows = []
    for name, make in PROBLEMS.items():
        if smoke and name != "H₂":
            continue
        size, gates, terms = make()
        ground = float(np.linalg.eigvalsh(_matrix(terms))[0])
        count = 1 + max(k for _, _, numbers in gates for k in numbers)
        starts = [np.random.default_rng(seed).uniform(-np.pi, np.pi, count) for seed in range(1 if smoke else STARTS)]
        ours(size, gates, terms, starts[0])  # compiles what is not cached
        methods = {"qngd, default": [ours(size, gates, terms, start) for start in starts]}
        for metric in () if smoke else METRICS:
            for step_size, regularization in itertools.product(STEP_SIZES, REGULARIZATIONS):
                question = {
                    "gates": [(gate, qubits, [(k, 1.0, 0.0) for k in numbers]) for gate, qubits, numbers in gates],
                    "terms": [(label[::-1], value) for label, value in terms.items()],
                    "run": {
                        "metric": metric,
                        "step_size": step_size,
                        "regularization": regularization,
                        "iterations": ITERATIONS,
                    },
                }
                label = f"Divi, {metric}, step size {step_size:g}, regularization {regularization:g}"
                methods[label] = theirs([question | {"theta": start.tolist()} for start in starts])
                print(name, label, [_steps(run, ground) for run in methods[label]], flush=True)
        rows.append({"problem": name, "ground": ground, "methods": methods})
    return rows


def _matrix(terms: dict[str, float]) -> np.ndarray:
    paulis = {
        "I": np.eye(2),
        "X": np.array([[0, 1], [1, 0]]),
        "Y": np.array([[0, -1j], [1j, 0]]),
        "Z": np.diag([1, -1]),
    }
    total: Any = 0
    for label, value in terms.items():
        product: Any = np.eye(1)
        for letter in label:
            product = np.kron(product, paulis[letter])
        total = total + value * product
    return total


def _steps(run: dict[str, Any], ground: float) -> float:
    """Until it arrives; inf if it does not."""
    return next((step for step, loss in enumerate(run["losses"]) if loss <= ground + GOAL), np.inf)


def judge(rows: list[dict[str, Any]]) -> list[Verdict]:
    verdicts = []
    for row in rows:
        what = row["problem"]
        found = {name: _summary(runs, row["ground"]) for name, runs in row["methods"].items()}
        own, *others = found.values()
        if others:
            claim = f"{what}: the default arrives from as many starts as Divi at its best setting"
            most = max(other.arrived for other in others)
            said = f"{own.arrived} of {len(next(iter(row['methods'].values())))}; Divi {most}"
            verdicts.append(Verdict(claim, own.arrived >= most if own.arrived or most else None, said))
            if np.isfinite(own.steps):
                least = min(other.steps for other in others)
                said = f"{own.steps:g}; Divi {'∞' if np.isinf(least) else f'{least:g}'}"
                verdicts.append(Verdict(f"{what}: in no more steps in the median", own.steps <= least, said))
            lowest = min(other.left for other in others)
            claim = f"{what}: after {ITERATIONS} steps it is, in the median, no higher than Divi at its best"
            verdicts.append(Verdict(claim, own.left <= lowest + GOAL, f"{own.left:.2g} above; Divi {lowest:.2g}"))
        said = "; ".join(f"{name}: {numbers}" for name, numbers in found.items())
        verdicts.append(Verdict(f"{what}: all settings", None, said))
    return verdicts


@dataclass(frozen=True)
class Summary:
    """Of all starts: how many arrive, steps until then and energy left above the ground energy (medians), and seconds
    of a step."""

    arrived: int
    steps: float
    left: float
    seconds: float

    def __str__(self) -> str:
        steps = "" if np.isinf(self.steps) else f" in {self.steps:g} steps"
        return f"{self.arrived} arrive{steps}, {self.left:.2g} left, {1e3 * self.seconds:.3g} ms a step"


def _summary(runs: list[dict[str, Any]], ground: float) -> Summary:
    steps = [_steps(run, ground) for run in runs]
    left = [min(run["losses"]) - ground for run in runs]
    taken = sum(max(1, len(run["losses"]) - 1) for run in runs)
    return Summary(
        int(np.isfinite(steps).sum()),
        float(np.median(steps)),
        float(np.median(left)),
        sum(run["seconds"] for run in runs) / taken,
    )


EXPERIMENT = Experiment(
    "divi_rival",
    "Exactly, the default comes as far as Divi's QNG at its best setting, from the same starts",
    "ten minutes",
    measure,
    judge,
)

if __name__ == "__main__":
    main(EXPERIMENT)
