"""A natural gradient step with shots on 40 qubits, on Aer's matrix product states.

MaxCut by QAOA with p = 1 on 3-regular graphs of 40 vertices without triangles, a ring of 20 rungs and a random one.
Energy, gradient and metric at the start and after one step, 200 shots a circuit; the sampled energy at the start beside
the closed form for triangle-free graphs (arXiv:1706.02998). Each graph in a process of its own, whose peak memory is
read.

    python -m experiments.forty_qubits             five minutes on one core
    python -m experiments.forty_qubits --smoke     16 qubits, the ring, in this process

Aer's options and the order of the qubits matter. Its swaps must go right (`mps_swap_right`): with the default direction
the bonds grow. And few edges may cross any place between neighbours in the chain: the ring is folded, and for a random
graph annealing finds an order (at most 9 edges cross; 18 in reverse Cuthill-McKee order, and 30 as numbered), where
singular values are left out up to a weight of 1e-4.
"""

from __future__ import annotations

import json
import math
import random
import subprocess
import sys
import time
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

from experiments.peers.protocol import peak_mib
from experiments.record import Experiment, Verdict, main

Edge = tuple[int, int]
START = (0.5, -0.3)
MEMORY_GIB = 4


def folded_ring(num_qubits: int) -> list[Edge]:
    """The edges of two rings joined by rungs, folded so that they join vertices at most 4 numbers apart."""
    rungs = num_qubits // 2

    def place(rung: int) -> int:
        return 2 * rung if 2 * rung < rungs else 2 * (rungs - 1 - rung) + 1

    edges = [(2 * r, 2 * r + 1) for r in range(rungs)]
    for rung in range(rungs):
        a, b = place(rung), place((rung + 1) % rungs)
        edges += [(2 * min(a, b) + side, 2 * max(a, b) + side) for side in (0, 1)]
    return sorted(edges)


def random_regular(num_qubits: int, seed: int = 0) -> list[Edge]:
    """The edges of a random 3-regular graph without triangles, its vertices numbered as chance has it."""
    rng = random.Random(seed)
    stubs = [vertex for vertex in range(num_qubits) for _ in range(3)]
    while True:
        rng.shuffle(stubs)
        pairs = zip(stubs[::2], stubs[1::2], strict=True)
        edges = {(min(pair), max(pair)) for pair in pairs if len(set(pair)) == 2}
        around = [{v for e in edges for v in e if u in e and v != u} for u in range(num_qubits)]
        if 2 * len(edges) == 3 * num_qubits and not any(around[a] & around[b] for a, b in edges):
            return sorted(edges)


def reordered(edges: Sequence[Edge], num_qubits: int, trials: int = 40_000) -> list[Edge]:
    """The graph with its vertices put in an order in which few edges cross any place, by simulated annealing of
    log₂ Σ 2^crossings over the places: the bonds of the state."""
    rng = random.Random(0)
    order = list(range(num_qubits))
    cost = bonds(edges, order)
    best, least = order, cost
    for trial in range(trials):
        moved = order.copy()
        moved.insert(rng.randrange(num_qubits), moved.pop(rng.randrange(num_qubits)))
        new = bonds(edges, moved)
        temperature = 0.5 * (1 - trial / trials) + 1e-3
        if new <= cost or rng.random() < math.exp((cost - new) / temperature):
            order, cost = moved, new
        if cost < least:
            best, least = order, cost
    place = {vertex: p for p, vertex in enumerate(best)}
    return sorted((min(place[a], place[b]), max(place[a], place[b])) for a, b in edges)


def bonds(edges: Sequence[Edge], order: Sequence[int]) -> float:
    """log₂ Σ 2^(edges that cross a place) over the places between neighbours."""
    return math.log2(sum(2.0**crossings for crossings in across(edges, order)))


def across(edges: Sequence[Edge], order: Sequence[int]) -> list[int]:
    """How many edges cross each place between neighbours."""
    place = {vertex: p for p, vertex in enumerate(order)}
    change = [0] * len(order)
    for a, b in edges:
        change[min(place[a], place[b])] += 1
        change[max(place[a], place[b])] -= 1
    return list(accumulate(change[:-1]))


def ansatz(num_qubits: int, edges: Sequence[Edge]) -> Any:
    from qiskit import QuantumCircuit
    from qiskit.circuit import Parameter

    gamma, beta = Parameter("a"), Parameter("b")
    circuit = QuantumCircuit(num_qubits)
    circuit.h(range(num_qubits))
    for edge in edges:
        circuit.rzz(gamma, *edge)
    circuit.rx(2 * beta, range(num_qubits))
    return circuit


def minus_cut(num_qubits: int, edges: Sequence[Edge]) -> dict[str, float]:
    terms = {"".join("Z" if q in edge else "I" for q in reversed(range(num_qubits))): 0.5 for edge in edges}
    return terms | {"I" * num_qubits: -0.5 * len(edges)}


def closed_form(num_qubits: int, a: float, b: float) -> float:
    """Minus the expected cut at p = 1, for 3-regular graphs without triangles."""
    edges = 3 * num_qubits // 2
    return -edges * (0.5 - 0.5 * math.sin(4 * b) * math.sin(a) * math.cos(a) ** 2)


def step(num_qubits: int, shots: int, graph: str) -> dict[str, Any]:
    """One step in this process, and its peak memory."""
    from qiskit_aer import AerSimulator

    import qngd

    ring = graph == "ring"
    edges = folded_ring(num_qubits) if ring else reordered(random_regular(num_qubits), num_qubits)
    options: dict[str, Any] = {"mps_swap_direction": "mps_swap_right", "max_parallel_experiments": 0}
    if not ring:
        options["matrix_product_state_truncation_threshold"] = 1e-4
    backend = AerSimulator(method="matrix_product_state", **options)
    before = peak_mib()
    start = time.perf_counter()
    result = qngd.minimize(
        ansatz(num_qubits, edges),
        minus_cut(num_qubits, edges),
        START,
        backend=backend,
        shots=shots,
        seed=0,
        max_steps=1,
    )
    seconds = time.perf_counter() - start
    expected = closed_form(num_qubits, *START)
    return {
        "num_qubits": num_qubits,
        "graph": graph,
        "most_edges_across": max(across(edges, range(num_qubits))),
        "shots_per_circuit": shots,
        "jobs": result.cost.jobs,
        "circuits": result.cost.circuits,
        "history": result.history.tolist(),
        "stderr": result.history_stderr.tolist(),
        "closed_form_at_start": expected,
        "z_at_start": float((result.history[0] - expected) / result.history_stderr[0]),
        "closed_form_at_end": closed_form(num_qubits, *result.theta),
        "seconds": seconds,
        "peak_mib": peak_mib(),
        "imports_mib": before,
    }


def step_apart(num_qubits: int, shots: int, graph: str) -> dict[str, Any]:
    """One step in a process of its own, so that the peak of memory is its own, too."""
    call = f"step({num_qubits}, {shots}, {graph!r})"
    program = f"import json; from experiments.forty_qubits import step; print(json.dumps({call}))"
    done = subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def measure(smoke: bool) -> list[dict[str, Any]]:
    rows = []
    for graph in ("ring",) if smoke else ("ring", "random"):
        rows.append(step(16, 50, graph) if smoke else step_apart(40, 200, graph))
        print({name: value for name, value in rows[-1].items() if name not in ("history", "stderr")}, flush=True)
    return rows


def judge(rows: list[dict[str, Any]]) -> list[Verdict]:
    verdicts = []
    for row in rows:
        what = f"{row['num_qubits']} qubits, {row['graph']} graph"
        verdicts += [
            Verdict(
                f"{what}: a step stays within {MEMORY_GIB} GiB",
                row["peak_mib"] <= 1024 * MEMORY_GIB,
                f"{row['peak_mib']:.0f} MiB; {row['jobs']} jobs, {row['circuits']} circuits of "
                f"{row['shots_per_circuit']} shots, {row['seconds']:.0f} s; at most {row['most_edges_across']} "
                "edges cross",
            ),
            Verdict(
                f"{what}: the energy at the start is that of the closed form, to three standard errors",
                abs(row["z_at_start"]) <= 3,
                f"{row['history'][0]:.2f} ± {row['stderr'][0]:.2f}, closed form {row['closed_form_at_start']:.2f}",
            ),
            Verdict(
                f"{what}: after the step",
                None,
                f"{row['history'][-1]:.2f} ± {row['stderr'][-1]:.2f}, closed form {row['closed_form_at_end']:.2f}",
            ),
        ]
    return verdicts


EXPERIMENT = Experiment(
    "forty_qubits",
    "A natural gradient step with shots fits on 40 qubits by Aer's matrix product states",
    "five minutes",
    measure,
    judge,
)

if __name__ == "__main__":
    main(EXPERIMENT)
