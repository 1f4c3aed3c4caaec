"""Layers: what may stand together, what must, and in which order it runs.

The truth is the order that anticommuting generators force, found here pair by pair from letters.
"""

import networkx as nx
import numpy as np
import pytest
from hypothesis import given

from tests import dense
from tests.strategies import Sketch, ansatz, examples, programs, random_program


def anticommuting_pairs(circuit):
    """(K, K) booleans, by counting in the labels the places where the letters differ and neither is I."""
    letters = np.array([list(label) for label in circuit.generators.labels()])
    letters = letters.reshape(len(circuit.generators), circuit.num_qubits)
    a, b = letters[:, None], letters[None]
    return ((a != b) & (a != "I") & (b != "I")).sum(2) % 2 == 1


def check_layers(circuit):
    """All that must hold of the layers of any circuit."""
    pairs = anticommuting_pairs(circuit)
    moving, level = circuit.moving, circuit.level
    count = len(moving)
    # a permutation that keeps the order of every anticommuting pair
    place = np.empty(count, dtype=int)
    place[circuit.order] = np.arange(count)
    assert sorted(circuit.order) == list(range(count))
    first, second = np.nonzero(np.triu(pairs))
    assert np.all(place[first] < place[second])
    # slab 0, layer 0, slab 1, layer 1, … without gaps
    stage = (2 * level + moving)[circuit.order]
    assert np.all(np.diff(stage) >= 0)
    assert set(level[moving]) == set(range(circuit.num_layers))
    # what stands in one layer commutes
    together = (level[:, None] == level[None]) & moving[:, None] & moving[None]
    assert not np.any(together & pairs)
    # a unit stands in one layer
    for unit in range(circuit.unit.max(initial=-1) + 1):
        members = np.flatnonzero(circuit.unit == unit)
        assert len(set(level[members])) == 1
        assert len(members) == 1 or (moving[members].all() and not pairs[np.ix_(members, members)].any())
    # as few layers as the longest chain of units allows; units are numbered in an order that the circuit may run in
    assert np.all(circuit.unit[first] < circuit.unit[second])
    chain = np.zeros(circuit.unit.max(initial=-1) + 1, dtype=int)
    for k in np.argsort(circuit.unit, kind="stable"):
        unit = circuit.unit[k]
        before = circuit.unit[np.flatnonzero(pairs[:, k] & (circuit.unit < unit))]
        chain[unit] = max(chain[unit], max((chain[u] + moving[circuit.unit == u].any() for u in before), default=0))
    assert circuit.num_layers == (chain[circuit.unit[moving]].max() + 1 if moving.any() else 0)


def groups(circuit):
    """The layers as lists of rotation indices."""
    return [[r.index for r in layer.rotations] for layer in circuit.layers]


# --- any circuit ---


@given(programs(max_gates=40))
@examples(80)
def test_programs(program):
    check_layers(program.circuit())


@pytest.mark.parametrize("seed", range(8))
def test_long_generic_programs(seed):
    check_layers(random_program(seed, 3 + seed, 250, 20).circuit())


@pytest.mark.parametrize("num_qubits", [70, 130])
def test_more_qubits_than_a_word_holds(num_qubits):
    circuit = random_program(num_qubits, num_qubits, 8 * num_qubits, 9).circuit()
    assert circuit.generators.x[:, 1:].any()
    check_layers(circuit)


@given(programs(max_qubits=5, max_gates=30))
@examples(30)
def test_running_in_layer_order_gives_the_same_state(program):
    """The generators as full matrices, in running order, then C: the state of the user's order."""
    circuit = program.circuit()
    phi = circuit.angle_map(program.theta)
    labels = circuit.generators.labels()
    states = []
    for order in (np.arange(len(phi)), circuit.order):
        state = dense.zero_state(circuit.num_qubits)[0]
        for k in order:
            state = dense.rotation_matrix(labels[k], circuit.generators.sign[k] * phi[k]) @ state
        states.append(state)
    assert np.allclose(states[0], states[1], atol=1e-10)


# --- the usual structures ---


@pytest.mark.parametrize("entangler", ["cx", "cz", "ecr", "iswap"])
@pytest.mark.parametrize(("num_qubits", "repetitions"), [(2, 3), (4, 2), (5, 4)])
def test_rotation_layers_between_entanglers(num_qubits, repetitions, entangler):
    circuit = ansatz(num_qubits, repetitions, entangler)
    moving = np.flatnonzero(circuit.moving)
    expected = moving.reshape(2 * repetitions, num_qubits).tolist()
    assert groups(circuit) == expected


@pytest.mark.parametrize("shape", ["ring", "reversed", "all", "brick"])
def test_rotation_layers_between_entanglers_of_any_shape(shape):
    n, repetitions = 4, 3
    chain = [(q, q + 1) for q in range(n - 1)]
    pairs = {
        "ring": [*chain, (n - 1, 0)],
        "reversed": [(b, a) for a, b in reversed(chain)],
        "all": [(a, b) for a in range(n) for b in range(a + 1, n)],
        "brick": chain[::2] + chain[1::2],
    }[shape]
    sketch = Sketch(n, 2 * n * repetitions)
    angles = iter(sketch.t)
    for _ in range(repetitions):
        for name in ("ry", "rz"):
            for q in range(n):
                sketch(name, q, next(angles))
        for a, b in pairs:
            sketch("cx", a, b)
    circuit = sketch.circuit()
    check_layers(circuit)
    assert groups(circuit) == np.arange(2 * n * repetitions).reshape(-1, n).tolist()


@pytest.mark.parametrize("seed", range(10))
def test_random_pauli_ladder_keeps_its_layers(seed):
    """RY(π/4), then layers of a random axis on each qubit and a chain of CZ (arXiv:1909.02108)."""
    n, layers = 7, 5
    axes = np.random.default_rng(seed).choice(["rx", "ry", "rz"], (layers, n))
    sketch = Sketch(n, layers * n)
    for q in range(n):
        sketch("ry", q, np.pi / 4)
    angles = iter(sketch.t)
    for row in axes:
        for q in range(n):
            sketch(str(row[q]), q, next(angles))
        for q in range(n - 1):
            sketch("cz", q, q + 1)
    circuit = sketch.circuit()
    check_layers(circuit)
    expected = np.flatnonzero(circuit.moving).reshape(layers, n).tolist()
    assert groups(circuit) == expected


GRAPHS = {
    "ring": nx.cycle_graph(6),
    "odd ring": nx.cycle_graph(5),
    "path": nx.path_graph(5),
    "complete": nx.complete_graph(5),
    "star": nx.star_graph(5),
    "four vertices": nx.Graph([(0, 1), (0, 3), (1, 2), (1, 3)]),
    "3-regular": nx.random_regular_graph(3, 8, seed=1),
    "4-regular": nx.random_regular_graph(4, 9, seed=2),
}


def _ladder(sketch, a, b, angle):
    sketch("cx", a, b)("rz", b, angle)("cx", a, b)


def _conjugated(sketch, a, b, angle):
    sketch("h", b)("cz", a, b)("rx", b, angle)("cz", a, b)("h", b)


COST_TERMS = {
    "rzz": lambda sketch, a, b, angle: sketch("rzz", a, b, angle),
    "cx rz cx": _ladder,
    "h cz rx cz h": _conjugated,
}


@pytest.mark.parametrize("term", COST_TERMS)
@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.parametrize("depth", [1, 3])
def test_qaoa_has_two_layers_a_round(name, term, depth):
    graph = GRAPHS[name]
    n, edges = graph.number_of_nodes(), list(graph.edges)
    sketch = Sketch(n, 2 * depth)
    for q in range(n):
        sketch("h", q)
    for p in range(depth):
        for a, b in edges:
            COST_TERMS[term](sketch, a, b, 2 * sketch.t[2 * p])
        for q in range(n):
            sketch("rx", q, 2 * sketch.t[2 * p + 1])
    circuit = sketch.circuit()
    check_layers(circuit)
    assert [len(layer) for layer in circuit.layers] == [len(edges), n] * depth
    assert [layer.parameters for layer in circuit.layers] == [(f"t{i}",) for i in range(2 * depth)]


def test_an_ising_ring_with_fields_in_the_cost():
    """Sherrington–Kirkpatrick with fields: RZZ on all pairs and RZ on all vertices are one layer."""
    sketch = Sketch(4, 2)
    for q in range(4):
        sketch("h", q)
    for a in range(4):
        sketch("rz", a, 0.3 * sketch.t[0])
        for b in range(a + 1, 4):
            sketch("rzz", a, b, (a - b) * sketch.t[0])
    for q in range(4):
        sketch("rx", q, sketch.t[1])
    assert [len(layer) for layer in sketch.circuit().layers] == [10, 4]


# --- small cases by hand ---


def layers_of(*gates, num_qubits=3):
    """The layers by rotation, of gates whose angles are each a parameter of its own, or fixed."""
    angles = sum(len(g) > 2 and g[-1] is None for g in gates)
    sketch = Sketch(num_qubits, angles)
    values = iter(sketch.t)
    for name, *rest in gates:
        sketch(name, *(next(values) if a is None else a for a in rest))
    circuit = sketch.circuit()
    check_layers(circuit)
    return groups(circuit)


def test_commuting_neighbours_share_a_layer():
    assert layers_of(("rz", 0, None), ("rz", 0, None)) == [[0, 1]]
    assert layers_of(("rz", 0, None), ("cz", 0, 1), ("rz", 0, None)) == [[0, 1]]
    assert layers_of(("rzz", 0, 1, None), ("rz", 1, None), ("rzz", 1, 2, None)) == [[0, 1, 2]]


def test_anticommuting_neighbours_do_not():
    assert layers_of(("rz", 0, None), ("rx", 0, None)) == [[0], [1]]
    assert layers_of(("rxx", 0, 1, None), ("rz", 1, None)) == [[0], [1]]


def test_two_rotations_that_commute_though_their_letters_differ():
    assert layers_of(("rxx", 0, 1, None), ("rzz", 0, 1, None)) == [[0, 1]]


def test_a_clifford_gate_between_may_bring_them_together_or_part_them():
    assert layers_of(("rz", 0, None), ("h", 0), ("rx", 0, None)) == [[0, 1]]
    assert layers_of(("rz", 0, None), ("h", 0), ("rz", 0, None)) == [[0], [1]]


def test_a_fixed_rotation_parts_what_it_does_not_commute_with():
    assert layers_of(("rz", 0, None), ("rx", 0, 0.3), ("rz", 0, None)) == [[0], [2]]
    assert layers_of(("rz", 0, None), ("t", 0), ("rz", 0, None)) == [[0, 2]]
    # a chain through two fixed rotations
    fixed = (("rzx", 0, 1, 0.3), ("rx", 0, 0.4), ("rz", 1, 0.5))
    assert layers_of(("rx", 0, None), *fixed, ("rx", 1, None)) == [[0], [4]]


def test_one_clifford_for_every_rotation_of_a_gate():
    """A controlled rotation is two commuting rotations: one layer."""
    for name in ("crx", "cry", "crz"):
        circuit = Sketch(2, 1)
        circuit("h", 0)(name, 0, 1, circuit.t[0])
        assert groups(circuit.circuit()) == [[0, 1]]


def test_a_late_peer_is_waited_for():
    """RY on both qubits stays one layer, though the second could stand earlier."""
    gates = [("rz", 0, None), ("ry", 0, None), ("rz", 1, None), ("ry", 1, None)]
    assert layers_of(*gates, num_qubits=2) == [[0, 2], [1, 3]]


def test_fixed_rotations_stand_as_late_as_they_may():
    sketch = Sketch(2, 2)
    sketch("t", 0)("rx", 0, sketch.t[0])("t", 1)("ry", 1, 0.7)("rx", 0, 0.4)("ry", 0, sketch.t[1])
    circuit = sketch.circuit()
    check_layers(circuit)
    fixed = {r.index: r.layer for r in circuit.rotations if not r.moves}
    # the first T before layer 0; the other qubit's rotations not needed by any layer; RX before layer 1
    assert fixed == {0: 0, 2: 2, 3: 2, 4: 1}
