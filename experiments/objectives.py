"""What a step of an `Objective` takes, and how well losses over data are fitted.

A plan of 100 samples; an exact step of 100 samples, 6 qubits and 36 parameters, in units of one sample's step times 100
over the cores, with data in angles of their own and as products with parameters; and a classifier of 60 samples on 4
qubits, 40 steps of the natural gradient with either metric and of Adam at the best rate of five.

    python -m experiments.objectives            a minute
    python -m experiments.objectives --smoke    10 samples, a few repetitions
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

import qngd
from experiments.record import Experiment, Verdict, main
from qngd._system.threads import num_threads
from qngd.evaluators.objectives.given import read_objective
from qngd.evaluators.objectives.sampled import SampledObjective
from qngd.evaluators.setup import Setup
from qngd.metrics.names import as_metric

QUBITS, LAYERS = 6, 3
PLAN_SECONDS, TIMES = 1.0, 5.0  # of a plan of 100 samples; of a step, in steps of one sample over the cores
RATES = (0.03, 0.1, 0.3, 1.0, 3.0)  # of Adam


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
        seconds = np.inf
        for _ in range(3):
            fresh = many.evaluator(Setup(shots=100))  # one that has planned keeps what it found
            assert isinstance(fresh, SampledObjective)
            start = time.perf_counter()
            plan = fresh.planned(theta, metric=as_metric("block-diag"))
            seconds = min(seconds, time.perf_counter() - start)
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
    optimizers: list[tuple[str, Any, str]] = [
        ("Fubini–Study metric", "qng", "fubini-study"),
        ("Gauss–Newton metric", "qng", "gauss-newton"),
        *((f"Adam, rate {rate:g}", qngd.baselines.Adam(rate), "fubini-study") for rate in RATES),
    ]
    for name, optimizer, metric in optimizers:
        fit = qngd.Objective(
            made, {"IIIZ": 1.0}, lambda o, t: np.mean((o - t) ** 2), data=data, targets=signs,
            inputs=[f"x{q}" for q in range(4)], metric=metric,
        )  # fmt: skip
        found = qngd.minimize(fit, theta0=start, optimizer=optimizer, max_steps=max_steps, tol=0)
        rows.append({"optimizer": name, "losses": found.history.tolist()})
    return rows


def measure(smoke: bool) -> dict[str, Any]:
    samples = 10 if smoke else 100
    return {
        "samples": samples,
        "cores": num_threads(),
        "steps": steps(samples, 2 if smoke else 20),
        "fits": classifier(6 if smoke else 60, 2 if smoke else 40),
    }


def judge(data: dict[str, Any]) -> list[Verdict]:
    plans = [row for row in data["steps"] if row["what"] == "plan"]
    exact = [row for row in data["steps"] if row["what"] == "step"]
    own, adam = best_fits(data)
    losses = {row["optimizer"]: row["losses"][-1] for row in own}
    there = [_steps_to(row["losses"], adam["losses"][-1]) for row in own]
    reached = ["not" if steps is None else f"in {steps} steps" for steps in there]
    return [
        Verdict(
            f"a plan of {data['samples']} samples is made in under {PLAN_SECONDS:g} s",
            max(row["seconds"] for row in plans) < PLAN_SECONDS,
            "; ".join(f"{row['circuits']} circuits in {row['seconds']:.2f} s, data as {row['data']}" for row in plans),
        ),
        Verdict(
            f"an exact step of {data['samples']} samples takes at most {TIMES:g} times one sample's, times the samples "
            "over the cores",
            max(row["ratio"] for row in exact) <= TIMES,
            "; ".join(f"{row['ratio']:.2f} times, {row['metric']}, data as {row['data']}" for row in exact)
            + f"; {data['cores']} threads",
        ),
        *(
            Verdict(
                f"a classifier: the natural gradient, {row['optimizer']}, is in fewer steps where Adam ends",
                steps is not None and steps < len(adam["losses"]) - 1,
                f"{said}; {adam['optimizer']}, the best of {len(RATES)}, ends at {adam['losses'][-1]:.3f} in "
                f"{len(adam['losses']) - 1} steps, and it at {losses[row['optimizer']]:.3f}",
            )
            for row, steps, said in zip(own, there, reached, strict=True)
        ),
    ]


def best_fits(data: dict[str, Any]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Those of the natural gradient, and Adam's at its best rate."""
    own = [row for row in data["fits"] if not row["optimizer"].startswith("Adam")]
    rivals = [row for row in data["fits"] if row["optimizer"].startswith("Adam")]
    return own, min(rivals, key=lambda row: row["losses"][-1])


def _steps_to(losses: list[float], goal: float) -> int | None:
    return next((step for step, loss in enumerate(losses) if loss <= goal), None)


def draw(data: dict[str, Any]) -> Figure:
    figure, axes = plt.subplots(figsize=(6, 3.5))
    own, adam = best_fits(data)
    for row in (*own, adam):
        axes.plot(row["losses"], label=row["optimizer"])
    axes.set(xlabel="step", ylabel="loss of the classifier")
    axes.legend(frameon=False)
    return figure


EXPERIMENT = Experiment(
    "objectives",
    "Losses over data: steps as cheap as their samples, and fits in fewer steps than Adam's",
    "a minute",
    measure,
    judge,
    draw,
)

if __name__ == "__main__":
    main(EXPERIMENT)
