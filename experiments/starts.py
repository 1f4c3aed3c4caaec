"""A ramp is as good a start for QAOA as the best of several random ones, in one run.

MaxCut on random 3-regular graphs with 10 vertices, depth 5, the default optimizer to convergence: the approximation
ratio ⟨cut⟩/largest cut of one run from `qngd.start.ramp`, of runs for each depth from 1 on, each started by
`qngd.start.interpolated`, and of six runs from `qngd.start.uniform`.

    python -m experiments.starts            half a minute on one core
    python -m experiments.starts --smoke    one graph with 6 vertices, depth 2, two random starts
"""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import networkx as nx
import numpy as np
from matplotlib.figure import Figure
from qiskit.circuit.library import qaoa_ansatz
from qiskit.quantum_info import SparsePauliOp

import qngd
from experiments.record import Experiment, Verdict, main

_SAME = 0.002  # of a ratio: a difference below it is none


def problem(num_vertices: int, seed: int) -> tuple[SparsePauliOp, int]:
    """Minus the cut, and the largest cut, by trying all."""
    graph = nx.random_regular_graph(3, num_vertices, seed=seed)
    terms = [("ZZ", list(edge), 0.5) for edge in graph.edges] + [("", [], -0.5 * graph.number_of_edges())]
    sides = np.arange(2 ** (num_vertices - 1))
    cuts = sum((sides >> i ^ sides >> j) & 1 for i, j in graph.edges)
    return SparsePauliOp.from_sparse_list(terms, num_qubits=num_vertices), int(np.max(cuts))


def from_ramp(cost: SparsePauliOp, depth: int) -> tuple[float, int]:
    circuit = qaoa_ansatz(cost, reps=depth)
    result = qngd.minimize(circuit, cost, qngd.start.ramp(circuit, cost))
    return -result.energy, result.steps


def by_depth(cost: SparsePauliOp, depth: int) -> tuple[float, int]:
    """Depth 1 from a ramp, each further one from the last."""
    circuit = qaoa_ansatz(cost, reps=1)
    result = qngd.minimize(circuit, cost, qngd.start.ramp(circuit, cost))
    steps = result.steps
    for p in range(2, depth + 1):
        circuit = qaoa_ansatz(cost, reps=p)
        result = qngd.minimize(circuit, cost, qngd.start.interpolated(result, circuit))
        steps += result.steps
    return -result.energy, steps


def from_anywhere(cost: SparsePauliOp, depth: int, seeds: range) -> tuple[list[float], int]:
    circuit = qngd.wrap(qaoa_ansatz(cost, reps=depth))
    results = [qngd.minimize(circuit, cost, qngd.start.uniform(circuit, seed=seed)) for seed in seeds]
    return [-result.energy for result in results], sum(result.steps for result in results)


def measure(smoke: bool) -> list[dict[str, Any]]:
    """Ratios of each graph, and the steps that its runs took together."""
    num_vertices, depth, graphs, starts = (6, 2, 1, 2) if smoke else (10, 5, 6, 6)
    rows = []
    for graph in range(graphs):
        cost, largest = problem(num_vertices, graph)
        ramp, ramp_steps = from_ramp(cost, depth)
        deep, deep_steps = by_depth(cost, depth)
        random, random_steps = from_anywhere(cost, depth, range(starts))
        rows.append(
            {
                "graph": graph,
                "ramp": ramp / largest,
                "ramp_steps": ramp_steps,
                "interpolated": deep / largest,
                "interpolated_steps": deep_steps,
                "random": [value / largest for value in random],
                "random_steps": random_steps,
            }
        )
        print({name: np.round(value, 4).tolist() for name, value in rows[-1].items()}, flush=True)
    return rows


def judge(rows: list[dict[str, Any]]) -> list[Verdict]:
    def mean(name: str, of: Any = float) -> float:
        return float(np.mean([of(row[name]) for row in rows]))

    ramp, deep, best, median = mean("ramp"), mean("interpolated"), mean("random", max), mean("random", np.median)
    beside = (
        f"the best of the random starts {best:.4f} and their median {median:.4f}, in {mean('random_steps'):.0f} steps"
    )
    return [
        Verdict(
            "one run from a ramp reaches the ratio of the best random start",
            ramp >= best - _SAME,
            f"{ramp:.4f} in {mean('ramp_steps'):.0f} steps; {beside}",
        ),
        Verdict(
            "so do runs from depth to depth",
            deep >= best - _SAME,
            f"{deep:.4f} in {mean('interpolated_steps'):.0f} steps",
        ),
    ]


def draw(rows: list[dict[str, Any]]) -> Figure:
    figure, axes = plt.subplots(figsize=(6, 3.5))
    for row in rows:
        axes.plot([row["graph"]] * len(row["random"]), row["random"], ".", color="0.6", label="random starts")
    axes.plot([row["graph"] for row in rows], [row["ramp"] for row in rows], "o", color="C0", label="ramp")
    deep = [row["interpolated"] for row in rows]
    axes.plot([row["graph"] for row in rows], deep, "x", color="C1", label="depth by depth")
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(*zip(*dict(zip(labels, zip(handles, labels, strict=True), strict=True)).values(), strict=True))
    axes.set(xlabel="graph", ylabel="⟨cut⟩ / largest cut", xticks=[row["graph"] for row in rows])
    return figure


EXPERIMENT = Experiment(
    "starts",
    "A ramp is as good a start for QAOA as the best of several random ones, in one run",
    "half a minute",
    measure,
    judge,
    draw,
)

if __name__ == "__main__":
    main(EXPERIMENT)
