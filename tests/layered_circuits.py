"""Circuits whose layers are known: hardware-efficient, QAOA on graphs, and two layers that overlap."""

import itertools

import numpy as np

from tests.strategies import Sketch


def real_amplitudes(num_qubits, reps, pairs):
    sketch = Sketch(num_qubits, num_qubits * (reps + 1))
    angles = iter(sketch.t)
    for rep in range(reps + 1):
        for q in range(num_qubits):
            sketch("ry", q, next(angles))
        for a, b in pairs if rep < reps else ():
            sketch("cx", a, b)
    return sketch.circuit()


CHAIN = [(0, 1), (1, 2), (2, 3)]


def random_graph(seed, num_nodes):
    rng = np.random.default_rng(seed)
    edges = [e for e in itertools.combinations(range(num_nodes), 2) if rng.random() < 0.5]
    return [(a, b) if rng.random() < 0.5 else (b, a) for a, b in rng.permutation(edges).tolist()]


GRAPHS = {
    "ring": (6, [(q, (q + 1) % 6) for q in range(6)]),
    "complete": (5, list(itertools.combinations(range(5), 2))),
    "star": (6, [(0, q) for q in range(1, 6)]),
    "random": (7, random_graph(0, 7)),
    "shuffled": (6, random_graph(3, 6)),
}


def qaoa(num_qubits, edges, depth, cost_gate):
    sketch = Sketch(num_qubits, 2 * depth)
    for q in range(num_qubits):
        sketch("h", q)
    for p in range(depth):
        gamma, beta = sketch.t[2 * p], sketch.t[2 * p + 1]
        for a, b in edges:
            if cost_gate == "rzz":
                sketch("rzz", a, b, gamma)
            else:
                sketch("cx", a, b)("rz", b, gamma)("cx", a, b)
        for q in range(num_qubits):
            sketch("rx", q, 2 * beta)
    return sketch.circuit()


def crossed():
    """Two layers on two qubits whose full metric is far from singular and from its blocks."""
    sketch = Sketch(2, 4)
    a, b, c, d = sketch.t
    sketch("u", 0, 0.9, 0.5, 0.3)("u", 1, 1.2, -0.8, 0.6)("cx", 0, 1)("rx", 0, a)("ry", 1, b)
    sketch("cx", 0, 1)("t", 1)("h", 0)("rx", 0, c)("rx", 1, d)
    return sketch.circuit(), np.array([-1.4, -0.7, -0.6, -0.6])
