"""What a step of an `Objective` takes, and how well losses over data are fitted.

Claims: a plan of 100 samples is made in well under a second; an exact step of 100 samples, 6 qubits and 36 parameters
takes at most 5 times one sample's step times 100 over the cores; and the natural gradient fits a classifier's loss in
fewer steps than Adam.

    python -m experiments.objectives            results/objectives/times.json
    python -m experiments.objectives --smoke    10 samples, a few repetitions

Expected (November 2026, two shared cores): a plan of 6700 circuits, data in angles of their own, .05 s; of 9100, data
multiplied with parameters, .35 s; steps .7 to 1.2 times one sample's times 100/2, with either metric and either kind
of data. The classifier, 60 samples on 4 qubits, 40 steps from a loss of 1.32: to .57 by Adam, .39 by Gauss-Newton, .35
by the Fubini-Study metric. Half a minute.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import qngd
from qngd._system.threads import num_threads
from qngd.evaluators.objectives.given import read_objective
from qngd.evaluators.objectives.sampled import SampledObjective
from qngd.metrics.names import as_metric

OUT = Path("results/objectives")
QUBITS, LAYERS = 6, 3


def circuit(kind: str) -> qngd.CircuitBuilder:
    """Six qubits, 36 parameters t, six inputs x: in rotations of their own, or also as products with parameters."""
    made = qngd.CircuitBuilder(QUBITS)
    inputs = made.parameters(*(f"x{q}" for q in range(QUBITS)))
    turns = np.reshape(made.parameters(*(f"t{i}" for i in range(2 * QUBITS * LAYERS))), (LAYERS, 2, QUBITS))
    for q in range(QUBITS):
        made = made.ry(inputs[q], q)
    for layer in turns:
        for q in range(QUBITS):
            made = made.ry(layer[0, q], q).rz(layer[1, q], q)
        for q in range(QUBITS):
            made = made.cx(q, (q + 1) % QUBITS)
            if kind == "products":
                made = made.rz(inputs[q] * layer[0, q], q)
    return made


def mean_square(outputs: np.ndarray, targets: np.ndarray) -> Any:
    return np.mean((outputs.sum(axis=1) - targets) ** 2)


def objective(kind: str, samples: int) -> qngd.Objective:
    """Two outputs of every sample."""
    rng = np.random.default_rng(1)
    data = rng.normal(size=(samples, QUBITS))
    names = [f"x{q}" for q in range(QUBITS)]
    observables = [{"ZIIIII": 1.0}, {"IZIIII": 0.5}]
    return qngd.Objective(circuit(kind), observables, mean_square, data=data, targets=data[:, 0], inputs=names)


def best(run: Callable[[], Any], repeats: int) -> float:
    """The shortest of some runs after the first, in seconds."""
    run()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def steps(samples: int, repeats: int) -> list[dict[str, Any]]:
    """Exact steps of one sample and of many, and plans of many."""
    theta = np.random.default_rng(0).normal(size=2 * QUBITS * LAYERS)
    rows: list[dict[str, Any]] = []
    for kind in ("angles", "products"):
        one, many = (read_objective(objective(kind, count), None, theta) for count in (1, samples))
        assert one is not None
        assert many is not None
        for approx in ("full", "block-diag"):
            single = qngd.evaluator(*_alone(kind), theta)
            metric = as_metric(approx)
            alone = best(lambda: single.evaluate(theta, gradient=True, metric=metric, seed=None), repeats)  # noqa: B023
            whole = many.evaluator()
            together = best(lambda: whole.evaluate(theta, gradient=True, metric=metric), repeats)  # noqa: B023
            ratio = together / (alone * samples / num_threads())
            rows.append({"what": "step", "data": kind, "metric": approx, "seconds": together, "ratio": ratio})
        fresh = many.evaluator(shots=100)
        assert isinstance(fresh, SampledObjective)
        start = time.perf_counter()
        plan = fresh.planned(theta, metric=as_metric("block-diag"))
        seconds = time.perf_counter() - start
        rows.append({"what": "plan", "data": kind, "circuits": plan.num_circuits, "seconds": seconds})
    return rows


def _alone(kind: str) -> tuple[Any, Any]:
    """The circuit of one sample, its data numbers, with one observable."""
    made = qngd.CircuitBuilder(QUBITS)
    turns = np.reshape(made.parameters(*(f"t{i}" for i in range(2 * QUBITS * LAYERS))), (LAYERS, 2, QUBITS))
    for q in range(QUBITS):
        made = made.ry(0.1 + 0.2 * q, q)
    for layer in turns:
        for q in range(QUBITS):
            made = made.ry(layer[0, q], q).rz(layer[1, q], q)
        for q in range(QUBITS):
            made = made.cx(q, (q + 1) % QUBITS)
            if kind == "products":
                made = made.rz((0.1 + 0.2 * q) * layer[0, q], q)
    return made, {"ZIIIII": 1.0, "IZIIII": 0.5}


def classifier(samples: int, max_steps: int) -> list[dict[str, Any]]:
    """A mean square over signs, by optimizer."""
    rng = np.random.default_rng(3)
    data = rng.uniform(-1, 1, (samples, 4))
    signs = np.where(data[:, 0] * data[:, 1] + 0.5 * data[:, 2] > 0, 1.0, -1.0)
    made = qngd.CircuitBuilder(4)
    inputs = made.parameters(*(f"x{q}" for q in range(4)))
    turns = np.reshape(made.parameters(*(f"t{i}" for i in range(36))), (3, 4, 3))
    for layer in turns:
        for q in range(4):
            made = made.ry(inputs[q], q).rz(layer[q, 0], q).ry(layer[q, 1], q).rz(layer[q, 2], q)
        for q in range(4):
            made = made.cx(q, (q + 1) % 4)
    start = 0.2 * rng.normal(size=36)
    rows = []
    for name, optimizer, metric in (
        ("Fubini-Study", "qng", "fubini-study"),
        ("Gauss-Newton", "qng", "gauss-newton"),
        ("Adam", "adam", "fubini-study"),
    ):
        fit = qngd.Objective(
            made, {"IIIZ": 1.0}, lambda o, t: np.mean((o - t) ** 2), data=data, targets=signs,
            inputs=[f"x{q}" for q in range(4)], metric=metric,
        )  # fmt: skip
        found = qngd.minimize(fit, theta0=start, optimizer=optimizer, max_steps=max_steps)
        rows.append({"what": "fit", "optimizer": name, "start": float(found.history[0]), "loss": found.energy})
    return rows


def main() -> None:
    """Run all, and write it down."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--smoke", action="store_true")
    smoke = parser.parse_args().smoke
    rows = steps(10 if smoke else 100, 2 if smoke else 20)
    rows += classifier(6 if smoke else 60, 2 if smoke else 40)
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / "times.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    for row in rows:
        print(*(f"{name}={value:.3g}" if isinstance(value, float) else value for name, value in row.items()))


if __name__ == "__main__":
    main()
