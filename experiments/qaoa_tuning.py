"""From a ramp the default tunes QAOA as far as any other optimizer; with shots SPSA gets near with fewer circuits.

MaxCut on random 3-regular graphs with 8 to 16 vertices, all but the largest once more with random weights from .2 to
1.8, by circuits of depth p = 1 to 6. The ratio is ⟨cut⟩ over the largest cut, P(best) the probability of the largest
cuts, both of the exact state at the point that a run returns, computed here by themselves.

*By depth*, exact, the default optimizer: from `qngd.start.ramp`, from the depth below by `qngd.start.interpolated`, and
for the CVaR with α = .5 from the ramp, which is at its best where P(best) is α. *By circuits*: the default and others
from the same ramp, p = 3, exact until they stop, and with 200 shots a circuit until 3000 circuits.

    python -m experiments.qaoa_tuning            five minutes on one core
    python -m experiments.qaoa_tuning --smoke    one graph, depths 1 and 2, few steps
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import matplotlib.pyplot as plt
import networkx as nx
import numpy as np
from matplotlib.figure import Figure
from qiskit.quantum_info import SparsePauliOp

import qngd
from experiments.record import Experiment, Verdict, main
from qngd.baselines import SPSA, Adam, SciPy

SIZES, DEPTHS = (8, 10, 12, 14, 16), range(1, 7)
ALPHA, SHALLOW = 0.5, 3
RIVAL_SIZES, RIVAL_DEPTH = (8, 10, 12), 3
SHOTS = 200
MARKS = (100, 300, 1000, 3000)  # circuits
SAME = 0.002  # of a ratio: a difference below it is none


@dataclass(frozen=True)
class Graph:
    """A random 3-regular graph, whose edges weigh 1 or, if it `is_weighted`, something between .2 and 1.8."""

    num_vertices: int
    is_weighted: bool
    seed: int = 0

    @cached_property
    def edges(self) -> list[tuple[int, int]]:
        return sorted(nx.random_regular_graph(3, self.num_vertices, seed=self.seed).edges)

    @cached_property
    def weights(self) -> np.ndarray:
        rng = np.random.default_rng(self.seed)
        return rng.uniform(0.2, 1.8, len(self.edges)) if self.is_weighted else np.ones(len(self.edges))

    @cached_property
    def cuts(self) -> np.ndarray:
        """Of every basis state (2ⁿ,)."""
        states = np.arange(2**self.num_vertices)
        return sum(w * ((states >> a ^ states >> b) & 1) for w, (a, b) in zip(self.weights, self.edges, strict=True))

    @property
    def cost(self) -> SparsePauliOp:
        """Minus the cut."""
        terms = [("ZZ", [a, b], 0.5 * w) for w, (a, b) in zip(self.weights, self.edges, strict=True)]
        whole = [("", [], -0.5 * float(self.weights.sum()))]
        return SparsePauliOp.from_sparse_list(terms + whole, num_qubits=self.num_vertices)

    def circuit(self, depth: int) -> qngd.CircuitBuilder:
        made = qngd.CircuitBuilder(self.num_vertices)
        for q in range(self.num_vertices):
            made.h(q)
        for p in range(depth):
            gamma, beta = made.parameters(f"gamma{p}", f"beta{p}")
            for w, (a, b) in zip(self.weights, self.edges, strict=True):
                made.rzz(float(w) * gamma, a, b)
            for q in range(self.num_vertices):
                made.rx(beta, q)
        return made

    def quality(self, theta: Any) -> tuple[float, float]:
        """The ratio and P(best) at these angles γ₀, β₀, γ₁, … by a state of its own."""
        n = self.num_vertices
        state = np.full(2**n, 2 ** (-n / 2), dtype=complex)
        alignment = self.weights.sum() - 2 * self.cuts  # Σ w·ZZ
        for gamma, beta in np.reshape(theta, (-1, 2)):
            state = state * np.exp(-0.5j * gamma * alignment)
            for q in range(n):
                split = state.reshape(2 ** (n - 1 - q), 2, 2**q)
                state = (np.cos(beta / 2) * split - 1j * np.sin(beta / 2) * split[:, ::-1]).reshape(-1)
        weight, largest = np.abs(state) ** 2, self.cuts.max()
        return float(weight @ self.cuts / largest), float(weight[self.cuts > largest - 1e-9].sum())


def by_depth(graph: Graph, depths: range) -> dict[str, list[dict[str, float]]]:
    """Of each way to start, and of the CVaR, a row a depth."""
    found: dict[str, list[dict[str, float]]] = {"ramp": [], "interpolated": [], "cvar": []}
    last: Any = None
    for depth in depths:
        circuit = graph.circuit(depth)
        ramp = qngd.start.ramp(circuit, graph.cost)
        interpolated = ramp if last is None else qngd.start.interpolated(last, circuit)
        starts = {"ramp": ramp, "interpolated": interpolated, "cvar": ramp}
        for way, start in starts.items():
            objective = qngd.CVaR(graph.cost, ALPHA) if way == "cvar" else graph.cost
            result = qngd.minimize(circuit, objective, start, backend="statevector")
            ratio, best = graph.quality(result.theta)
            found[way].append({"depth": depth, "ratio": ratio, "best": best, "steps": result.steps})
            if way == "interpolated":
                last = result
    return found


def rivals() -> dict[str, tuple[Any, int]]:
    """Optimizers and how many steps they may take."""
    return {
        "QNG()": (qngd.QNG(), 200),
        "L-BFGS-B": (SciPy("L-BFGS-B"), 200),
        "Adam, 0.05": (Adam(0.05), 300),
        "Adam, 0.15": (Adam(0.15), 300),
        "COBYLA": (SciPy("COBYLA", {"rhobeg": 0.3, "tol": 1e-6}), 1000),
        "SPSA, 0.1": (SPSA(first_change=0.1), 1000),
        "SPSA, 0.3": (SPSA(first_change=0.3), 1000),
    }


def exact_runs(graph: Graph, depth: int, most: int | None) -> dict[str, dict[str, float]]:
    """What every optimizer ends at without shots; after `most` steps, if that is given."""
    circuit = graph.circuit(depth)
    start = qngd.start.ramp(circuit, graph.cost)
    found = {"start": {"ratio": graph.quality(start)[0], "best": graph.quality(start)[1], "steps": 0}}
    for name, (optimizer, steps) in rivals().items():
        result = qngd.minimize(
            circuit, graph.cost, start, optimizer=optimizer, backend="statevector", max_steps=most or steps,
            seed=graph.seed,
        )  # fmt: skip
        ratio, best = graph.quality(result.theta)
        found[name] = {"ratio": ratio, "best": best, "steps": result.steps}
    return found


def sampled_runs(graph: Graph, depth: int, marks: tuple[int, ...]) -> dict[str, dict[str, list[float]]]:
    """Ratio and P(best) of the last point before each mark, with shots."""
    circuit = graph.circuit(depth)
    start = qngd.start.ramp(circuit, graph.cost)
    found = {}
    for name, (optimizer, _) in rivals().items():
        path: list[tuple[int, Any]] = [(0, start)]
        qngd.minimize(
            circuit, graph.cost, start, optimizer=optimizer, backend="statevector", shots=SHOTS, seed=graph.seed,
            max_steps=marks[-1], budget=qngd.Budget(circuits=marks[-1]), callback=partial(_look, path),
        )  # fmt: skip
        ends = [graph.quality([theta for circuits, theta in path if circuits <= mark][-1]) for mark in marks]
        found[name] = {"ratio": [ratio for ratio, _ in ends], "best": [best for _, best in ends]}
    return found


def _look(path: list[tuple[int, Any]], info: Any) -> None:
    path.append((info.cost.circuits, info.theta))


def measure(smoke: bool) -> dict[str, Any]:
    """Rows by graph: of depths, and of rivals, exact and with shots."""
    depths, depth, marks, most = (range(1, 3), 2, MARKS[:2], 20) if smoke else (DEPTHS, RIVAL_DEPTH, MARKS, None)
    graphs = [Graph(n, is_weighted, n) for n in SIZES for is_weighted in (False, True)][: 1 if smoke else -1]
    data: dict[str, Any] = {"depths": [], "rivals": [], "marks": marks, "depth": depth}
    for graph in graphs:
        about = {"vertices": graph.num_vertices, "weighted": graph.is_weighted}
        found = by_depth(graph, depths)
        data["depths"].append(about | found)
        print(about, {way: [round(row["ratio"], 4) for row in rows] for way, rows in found.items()}, flush=True)
        if graph.num_vertices in RIVAL_SIZES:
            exact, sampled = exact_runs(graph, depth, most), sampled_runs(graph, depth, marks)
            data["rivals"].append(about | {"exact": exact, "sampled": sampled})
            print({name: round(run["ratio"], 4) for name, run in exact.items()}, flush=True)
            print({name: np.round(run["ratio"], 4).tolist() for name, run in sampled.items()}, flush=True)
    return data


def _by_depth(data: dict[str, Any], way: str, key: str) -> np.ndarray:
    """(graphs, depths)."""
    return np.array([[row[key] for row in graph[way]] for graph in data["depths"]])


def _by_circuits(data: dict[str, Any], key: str) -> dict[str, np.ndarray]:
    """Of every optimizer with shots (graphs, marks)."""
    names = data["rivals"][0]["sampled"]
    return {name: np.array([graph["sampled"][name][key] for graph in data["rivals"]]) for name in names}


def judge(data: dict[str, Any]) -> list[Verdict]:
    ramp, deep = (_by_depth(data, way, "ratio") for way in ("ramp", "interpolated"))
    best, tail = (_by_depth(data, way, "best").mean(axis=0) for way in ("interpolated", "cvar"))
    last, count = data["depths"][0]["ramp"][-1]["depth"], len(data["depths"])
    behind = [
        max(run["ratio"] for run in graph["exact"].values()) - graph["exact"]["QNG()"]["ratio"]
        for graph in data["rivals"]
    ]
    steps = {
        name: np.median([graph["exact"][name]["steps"] for graph in data["rivals"]])
        for name in rivals()
    }  # fmt: skip
    return [
        Verdict(
            f"started from the depth below, the ratio grows with every depth on all {count} graphs",
            bool((np.diff(deep, axis=1) > 0).all()),
            f"the mean goes from {deep.mean(axis=0)[0]:.4f} at p = 1 to {deep.mean(axis=0)[-1]:.4f} at p = {last}, "
            f"P(best) from {best[0]:.3f} to {best[-1]:.3f}",
        ),
        Verdict(
            "one run from the ramp comes as far in the mean, to .01, at every depth",
            bool((ramp.mean(axis=0) >= deep.mean(axis=0) - 0.01).all()),
            f"p = {last}: {ramp.mean(axis=0)[-1]:.4f} against {deep.mean(axis=0)[-1]:.4f}; the largest difference on "
            f"a graph {float((deep - ramp).max()):.4f}",
        ),
        Verdict(
            f"exact, p = {data['depth']}: the default ends within {SAME} of the best of all on every graph",
            max(behind) <= SAME,
            f"at most {max(behind):.1e} behind; steps in the median: "
            + ", ".join(f"{name} {number:.0f}" for name, number in steps.items()),
        ),
        *_with_shots(data),
        Verdict(
            f"training the CVaR with α = {ALPHA} makes the mean P(best) larger up to p = {SHALLOW}, and smaller beyond",
            bool((tail > best)[:SHALLOW].all() and (tail < best)[SHALLOW:].all()),
            f"p = 1 to {last}: {_texts(tail)}; the mean as objective {_texts(best)}",
        ),
    ]


def _with_shots(data: dict[str, Any]) -> list[Verdict]:
    """The default beside the others, at every mark."""
    marks, found = data["marks"], _by_circuits(data, "ratio")
    mean = {name: ratios.mean(axis=0) for name, ratios in found.items()}
    ours, (fast, _) = mean["QNG()"], max(((name, ratios[1]) for name, ratios in mean.items()), key=lambda one: one[1])
    ahead = [f"{mark:,}" for mark, own, other in zip(marks, ours, mean[fast], strict=True) if other > own + SAME]
    return [
        Verdict(
            f"{SHOTS} shots a circuit: after {marks[-1]:,} of them the default's mean is within {SAME} of the best",
            bool(ours[-1] >= max(ratios[-1] for ratios in mean.values()) - SAME),
            _ranked({name: ratios[-1] for name, ratios in mean.items()}),
        ),
        Verdict(
            f"a baseline wins before that: after {marks[1]:,} circuits one is ahead",
            fast != "QNG()",
            f"{fast}, ahead at {' and '.join(ahead)}; " + _ranked({name: ratios[1] for name, ratios in mean.items()}),
        ),
        *(
            Verdict(f"after {mark:,} circuits", None, _ranked({name: ratios[k] for name, ratios in mean.items()}))
            for k, mark in enumerate(marks[:-1])
            if k != 1
        ),
    ]


def _ranked(ratios: dict[str, float]) -> str:
    """The highest first."""
    order = sorted(((float(ratio), name) for name, ratio in ratios.items()), reverse=True)
    return ", ".join(f"{name} {ratio:.4f}" for ratio, name in order)


def _texts(values: np.ndarray) -> str:
    return ", ".join(f"{value:.3f}" for value in values)


def draw(data: dict[str, Any]) -> Figure:
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(13, 3.8))
    depths = [row["depth"] for row in data["depths"][0]["ramp"]]
    names = {"ramp": "from a ramp", "interpolated": "from the depth below", "cvar": f"CVaR, α = {ALPHA}"}
    for axes, key in ((left, "ratio"), (middle, "best")):
        for way, label in names.items():
            axes.plot(depths, _by_depth(data, way, key).mean(axis=0), "o-", label=label)
        axes.set(xlabel="p", ylabel="⟨cut⟩ / largest cut" if key == "ratio" else "P(best)")
    left.legend()
    for name, ratios in _by_circuits(data, "ratio").items():
        right.plot(data["marks"], ratios.mean(axis=0), "o-", label=name, lw=2.5 if name == "QNG()" else 1)
    right.set(xscale="log", xlabel=f"circuits of {SHOTS} shots, p = {data['depth']}", ylabel="⟨cut⟩ / largest cut")
    right.legend(fontsize=8)
    figure.tight_layout()
    return figure


EXPERIMENT = Experiment(
    "qaoa_tuning",
    "From a ramp the default tunes QAOA as far as any other optimizer; with shots SPSA gets near with fewer circuits",
    "five minutes",
    measure,
    judge,
    draw,
)

if __name__ == "__main__":
    main(EXPERIMENT)
