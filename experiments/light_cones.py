"""Natural gradients of a hundred qubits and more by light cones: their time, memory and results, in one run.

A step is energy, gradient and block-diagonal metric. Each circuit has a process of its own: its peak of memory is that
of the process, Python and all packages included; seconds are of the fastest of a few steps. Other work on the machine
makes them longer, so that a claim is judged by the processor's seconds. What is compiled was compiled before.

- MaxCut on the heavy-hex graph with 115 vertices, depth 2 and 3.
- MaxCut on eight random 3-regular graphs with 100 vertices, depth 2: ten steps from `qngd.start.ramp`, beside the best
  of runs to convergence from there and from random starts. A triangle cuts less, whatever the angles are, so that
  not every graph has angles for .754 of its edges. Energy and gradient of
  depth 3 on the first, whose cones would take states of 29 qubits.
- `efficient_su2(100, reps=1, entanglement="linear")`, whose light cones by wires hold the whole circuit, and an Ising
  chain, whose lowest energy is that of free fermions.
- Brickwork with two layers of CX on rings of 100 to 1000 qubits.

    python -m experiments.light_cones            two minutes on two cores
    python -m experiments.light_cones --smoke    ten times smaller
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise
from multiprocessing import get_context
from typing import Any

import networkx as nx
import numpy as np
from qiskit.circuit.library import efficient_su2
from qiskit.quantum_info import SparsePauliOp
from qiskit.transpiler import CouplingMap

import qngd
from experiments.peers.protocol import peak_mib
from experiments.record import Experiment, Verdict, main
from qngd._system.threads import num_threads

REPEATS = 5
_SAME_CUT = 1e-4  # of the edges


def maxcut(edges: list[tuple[int, int]], num_vertices: int, depth: int) -> tuple[qngd.CircuitBuilder, SparsePauliOp]:
    """QAOA, and ½ΣZZ over the edges."""
    circuit = qngd.CircuitBuilder(num_vertices)
    for q in range(num_vertices):
        circuit.h(q)
    for p in range(depth):
        gamma, beta = circuit.parameters(f"gamma{p}", f"beta{p}")
        for a, b in edges:
            circuit.rzz(gamma, a, b)
        for q in range(num_vertices):
            circuit.rx(beta, q)
    cost = SparsePauliOp.from_sparse_list([("ZZ", list(edge), 0.5) for edge in edges], num_qubits=num_vertices)
    return circuit, cost


def chain(num_qubits: int) -> SparsePauliOp:
    """ΣZZ of neighbours and .7·ΣX."""
    bonds = [("ZZ", [q, q + 1], 1.0) for q in range(num_qubits - 1)]
    return SparsePauliOp.from_sparse_list(bonds + [("X", [q], 0.7) for q in range(num_qubits)], num_qubits=num_qubits)


def lowest_of_chain(num_qubits: int) -> float:
    """Minus the singular values of the matrix with .7 on its diagonal and 1 beside it (Lieb, Schultz, Mattis 1961)."""
    return -float(np.linalg.svd(0.7 * np.eye(num_qubits) + np.eye(num_qubits, k=1), compute_uv=False).sum())


def brickwork(num_qubits: int, reps: int) -> qngd.CircuitBuilder:
    """RY and RZ on every qubit of a ring around layers of CX, which has an even number of qubits."""
    circuit = qngd.CircuitBuilder(num_qubits)
    angles = iter(circuit.parameters(*(f"a{k}" for k in range(2 * num_qubits * (reps + 1)))))
    for rep in range(reps + 1):
        for q in range(num_qubits):
            circuit.ry(next(angles), q).rz(next(angles), q)
        for q in (*range(0, num_qubits, 2), *range(1, num_qubits, 2)) if rep < reps else ():
            circuit.cx(q, (q + 1) % num_qubits)
    return circuit


def clocks() -> np.ndarray:
    """Seconds, and the processor's seconds of this process."""
    return np.array([time.perf_counter(), time.process_time()])


def step(circuit: object, observable: SparsePauliOp, theta: np.ndarray, approx: str = "block-diag") -> dict[str, float]:
    """Seconds and processor's seconds of planning and of the fastest of a few steps at other angles, and the peak of
    the process in MiB."""
    optimizer = qngd.QNG(approx=approx)
    start = clocks()
    asked = qngd.evaluator(circuit, observable, theta, backend="light-cone")
    optimizer.init(asked)
    first, later = clocks() - start, []
    for k in range(REPEATS):
        start = clocks()
        optimizer.init(asked, np.asarray(theta) + 1e-3 * (k + 1))
        later.append(clocks() - start)
    fastest = np.min(later, axis=0)
    planning = first - fastest
    return {
        "planning": planning[0], "planning_cpu": planning[1], "step": fastest[0], "step_cpu": fastest[1],
        "peak_mib": peak_mib(), "energy": float(optimizer.init(asked).energy),
    }  # fmt: skip


def heavy_hex(distance: int, depth: int) -> dict[str, Any]:
    graph = CouplingMap.from_heavy_hex(distance, bidirectional=False)
    edges, n = [(int(a), int(b)) for a, b in graph.get_edges()], graph.size()
    return {"vertices": n, "depth": depth} | step(*maxcut(edges, n, depth), np.linspace(0.2, 0.6, 2 * depth))


def regular_graph(num_vertices: int, seed: int) -> list[tuple[int, int]]:
    return sorted(nx.random_regular_graph(3, num_vertices, seed=seed).edges)


def regular(num_vertices: int, depth: int) -> dict[str, Any]:
    """At depth 2 with metric; at depth 3 energy and gradient alone."""
    problem = maxcut(regular_graph(num_vertices, 0), num_vertices, depth)
    approx = "block-diag" if depth == 2 else "identity"
    return {"vertices": num_vertices, "depth": depth} | step(*problem, np.linspace(0.2, 0.6, 2 * depth), approx)


def cut(num_vertices: int, seed: int, starts: int) -> dict[str, Any]:
    """The part of the edges that is cut after ten steps from a ramp, and by runs to convergence."""
    edges = regular_graph(num_vertices, seed)
    circuit, cost = maxcut(edges, num_vertices, 2)
    ramp = qngd.start.ramp(circuit, cost, backend="light-cone")

    def part(theta: np.ndarray, steps: int) -> float:
        result = qngd.minimize(circuit, cost, theta, backend="light-cone", max_steps=steps)
        return float(0.5 - result.energy / len(edges))

    anywhere = [ramp, *(qngd.start.uniform(circuit, seed=k) for k in range(starts))]
    triangles = sum(nx.triangles(nx.Graph(edges)).values()) // 3
    return {
        "seed": seed, "triangles": triangles, "ten_steps": part(ramp, 10),
        "converged": [part(theta, 500) for theta in anywhere],
    }  # fmt: skip


def wide_wires(num_qubits: int, steps: int) -> dict[str, Any]:
    circuit = efficient_su2(num_qubits, reps=1, entanglement="linear")
    theta = 0.3 * np.random.default_rng(1).normal(size=circuit.num_parameters)
    result = qngd.minimize(circuit, chain(num_qubits), theta, backend="light-cone", max_steps=steps)
    return {
        "qubits": num_qubits,
        "history": [float(energy) for energy in result.history],
        "lowest": lowest_of_chain(num_qubits),
    }


def ring(num_qubits: int) -> dict[str, Any]:
    theta = 0.3 * np.random.default_rng(1).normal(size=6 * num_qubits)
    return {"qubits": num_qubits} | step(brickwork(num_qubits, 2), chain(num_qubits), theta)


def compiled(case: Callable[..., dict[str, Any]], *arguments: int) -> dict[str, Any]:
    """A case after small ones of its kind, which leave nothing to compile."""
    heavy_hex(3, 2), ring(10)
    return here(case, *arguments)


def alone(case: Callable[..., dict[str, Any]], *arguments: int) -> dict[str, Any]:
    """A case in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(compiled, case, *arguments).result()


def here(case: Callable[..., dict[str, Any]], *arguments: int) -> dict[str, Any]:
    """A case in this process."""
    found = case(*arguments)
    print(case.__name__, *arguments, {k: v for k, v in found.items() if k != "history"}, flush=True)
    return found


def measure(smoke: bool) -> dict[str, Any]:
    n, timed = (12, here) if smoke else (100, alone)
    return {
        "threads": num_threads(),
        "heavy_hex": [timed(heavy_hex, 3 if smoke else 7, depth) for depth in ((2,) if smoke else (2, 3))],
        "regular": [timed(regular, n, depth) for depth in (2, 3)],
        "cuts": [here(cut, n, seed, 1 if smoke else 5) for seed in range(1 if smoke else 8)],
        "wide_wires": here(wide_wires, n, 3 if smoke else 30),
        "rings": [timed(ring, size) for size in ((10, 20) if smoke else (100, 200, 400, 700, 1000))],
    }


def judge(data: dict[str, Any]) -> list[Verdict]:
    two, *deeper = data["heavy_hex"]
    name = f"MaxCut on heavy-hex, {two['vertices']} vertices, depth"
    found = [
        Verdict(f"{name} 2: at most 1 s a step", _seconds(two, "step") <= 1, _said(two)),
        Verdict(f"{name} 2: planned in at most 10 s", _seconds(two, "planning") <= 10, _said(two, "planning")),
        Verdict(f"{name} 2: at most 1 GiB", two["peak_mib"] <= 1024, f"{two['peak_mib']:.0f} MiB for the process"),
    ]
    for row in deeper:
        claim = f"{name} {row['depth']}"
        holds = _seconds(row, "step") <= 20 if row["depth"] == 3 else None
        found.append(Verdict(claim + (": at most 20 s a step" if row["depth"] == 3 else ""), holds, _whole(row)))
    two, three = data["regular"]
    name = f"MaxCut on a random 3-regular graph, {two['vertices']} vertices, depth"
    found.append(Verdict(f"{name} 2: at most 2 s a step", _seconds(two, "step") <= 2, _whole(two)))
    found.append(Verdict(f"{name} 3, energy and gradient alone", None, _whole(three)))
    return [*found, *_cuts(data["cuts"]), _minimized(data["wide_wires"]), *_growth(data["rings"])]


def _cuts(rows: list[dict[str, Any]]) -> list[Verdict]:
    short = max(max(row["converged"]) - row["ten_steps"] for row in rows)
    mean = float(np.mean([row["ten_steps"] for row in rows]))
    each = ", ".join(
        f"{row['ten_steps']:.4f} of {max(row['converged']):.4f} ({row['triangles']})"
        for row in sorted(rows, key=lambda row: row["triangles"])
    )
    few = [row for row in rows if row["triangles"] <= 1]
    return [
        Verdict(
            "ten steps from a ramp cut as much as the best of long runs, on each of the graphs",
            short <= _SAME_CUT,
            f"at most {short:.0e} of the edges less; after ten steps, of the best that was found (triangles): {each}",
        ),
        Verdict(
            "they cut at least .754 of the edges of graphs with no more than one triangle, and on average of all",
            mean >= 0.754 and all(row["ten_steps"] >= 0.754 for row in few),
            f"{mean:.4f} on average; {sum(row['ten_steps'] >= 0.754 for row in rows)} of {len(rows)} graphs, and no "
            f"angles were found for more on the others",
        ),
    ]


def _minimized(row: dict[str, Any]) -> Verdict:
    history = row["history"]
    rises = sum(later > earlier for earlier, later in pairwise(history))
    return Verdict(
        f"efficient_su2({row['qubits']}, reps=1, linear) is minimized: 80 % of a chain's ground energy in 30 steps",
        len(history) <= 31 and history[-1] <= 0.8 * row["lowest"],
        f"from {history[0]:.2f} to {history[-1]:.2f} in {len(history) - 1} steps, of which {rises} raised it: "
        f"{history[-1] / row['lowest']:.1%} of the lowest energy there is, {row['lowest']:.2f}",
    )


def _growth(rows: list[dict[str, Any]]) -> list[Verdict]:
    """How the processor's seconds grow: the exponent of a power law through all."""
    found = []
    for what in ("step", "planning"):
        sizes, seconds = (np.log([row[key] for row in rows]) for key in ("qubits", f"{what}_cpu"))
        exponent = float(np.polyfit(sizes, seconds, 1)[0])
        each = ", ".join(f"{row['qubits']}: {row[f'{what}_cpu']:.3g} s" for row in rows)
        claim = f"brickwork on a ring, {rows[0]['qubits']} to {rows[-1]['qubits']} qubits: the time of "
        claim += f"{'a step' if what == 'step' else 'planning'} grows linearly, exponent at most 1.2"
        found.append(Verdict(claim, exponent <= 1.2, f"exponent {exponent:.2f}; {each}, of the processor"))
    return found


def _seconds(row: dict[str, Any], what: str) -> float:
    """The processor's, of all threads together: on a machine that does nothing else it takes no longer."""
    return float(row[f"{what}_cpu"])


def _said(row: dict[str, Any], what: str = "step") -> str:
    return f"{row[what]:.2g} s, {row[f'{what}_cpu']:.2g} s of the processor"


def _whole(row: dict[str, Any]) -> str:
    return f"{_said(row)} a step; planned in {_said(row, 'planning')}; {row['peak_mib']:.0f} MiB for the process"


EXPERIMENT = Experiment(
    "light_cones",
    "Light cones give natural gradients of shallow circuits on a hundred to a thousand qubits in seconds",
    "two minutes",
    measure,
    judge,
)

if __name__ == "__main__":
    main(EXPERIMENT)
