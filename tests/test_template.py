"""Templates run as matrices: their strings mean what the whole circuit says, and nothing needless is in them."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qngd.circuit.layering import running_order
from qngd.circuit.ops import concatenate, select
from qngd.circuit.pauli import PauliStrings
from qngd.measured.cutting import layer_members, layer_template, observable_template
from tests import dense
from tests.dense_templates import expectations, outcome_probabilities, states, string_values
from tests.layered_circuits import CHAIN, GRAPHS, qaoa, real_amplitudes
from tests.strategies import (
    Sketch,
    ansatz,
    examples,
    phi_of,
    programs,
    random_observable,
    random_program,
)
from tests.widened import narrowed, widened


def strings_of(terms):
    return PauliStrings.from_labels(terms)


# --- layers ---


def check_layers(circuit, phi):
    """Every block of the metric from Z measurements after the prefix, against derivative states of the whole."""
    metric = dense.rotation_metric(circuit, phi) if len(phi) else None
    for layer in range(circuit.num_layers):
        template = layer_template(circuit, layer)
        members = layer_members(circuit, layer)
        assert np.array_equal(members, np.flatnonzero(circuit.moving & (circuit.level == layer)))
        assert template.pairs
        angles = phi[template.rotations]
        values = string_values(template)
        weights = outcome_probabilities(template, angles)
        means = values @ weights
        covariance = (values * weights) @ values.T - np.outer(means, means)
        assert np.allclose(covariance, 4 * metric[np.ix_(members, members)], rtol=0, atol=1e-11)
        assert np.allclose(means, expectations(template, angles), rtol=0, atol=1e-11)
        check_content(template, circuit, circuit.level < layer)


def check_content(template, circuit, may_move):
    """The rotations named are those there, and none that moves is there without reason."""
    assert len(template.rotations) == len(template.ops.rotations)
    assert np.all(may_move[template.rotations] | ~circuit.moving[template.rotations])
    for k, place in zip(template.rotations, template.ops.rotations, strict=True):
        original = circuit.ops.rotations[k]
        assert np.array_equal(template.ops.qubits_of(place), circuit.ops.qubits_of(original))
        assert np.array_equal(template.ops.letters_of(place), circuit.ops.letters_of(original))


@given(programs(max_qubits=5, min_parameters=1))
@examples(60)
def test_prefixes_of_programs(program):
    check_layers(program.circuit(), phi_of(program))


@pytest.mark.parametrize(("seed", "num_qubits"), list(enumerate([1, 2, 3, 4, 5, 6])))
def test_prefixes_of_generic_programs(seed, num_qubits):
    program = random_program(300 + seed, num_qubits, 40, 4, bend=0.1 * (seed % 2))
    assert program.circuit().num_layers > 2
    check_layers(program.circuit(), phi_of(program))


def without_later(circuit, phi, layer):
    """Angles with the rotations of this and later layers set to 0."""
    return np.where(circuit.moving & (circuit.level >= layer), 0.0, phi)


@pytest.mark.parametrize("seed", range(4))
def test_what_is_left_out_changes_no_expectation(seed):
    """The user's whole circuit with later angles 0, cut where the layer stands, against the trimmed prefix."""
    circuit = random_program(40 + seed, 4, 40, 4).circuit()
    phi = np.random.default_rng(seed).normal(size=len(circuit.moving))
    ops = circuit.ops
    trimmed = 0
    for layer in range(circuit.num_layers):
        template = layer_template(circuit, layer)
        trimmed += len(ops) - len(template.ops)
        angles = without_later(circuit, phi, layer)
        # each generator at its own place in the user's circuit
        for row, k in enumerate(layer_members(circuit, layer)):
            place = ops.rotations[k]
            before = np.arange(len(ops)) < place
            psi = states(4, select(ops, before), [angles[:k]])[0]
            letters = "".join("IXYZ"[c] for c in reversed(ops.letters_of(place)))
            moved = dense.apply(dense.label_matrix(letters), [int(q) for q in ops.qubits_of(place)], psi)
            found = expectations(template, phi[template.rotations])[row]
            assert found == pytest.approx(np.vdot(psi, moved).real, abs=1e-11)
    assert trimmed > 0


# --- observables ---


@given(programs(max_qubits=5), st.data())
@examples(50)
def test_observables_of_programs(program, data):
    """A commuting set at the end of the circuit: Z strings seen through one letter a qubit."""
    circuit, n = program.circuit(), program.num_qubits
    letters = data.draw(st.text("XYZ", min_size=n, max_size=n))
    masks = data.draw(st.lists(st.integers(0, 2**n - 1), min_size=1, max_size=6, unique=True))
    labels = ["".join(p if m >> i & 1 else "I" for i, p in enumerate(letters)) for m in masks]
    template = observable_template(circuit, strings_of(labels))
    assert not template.pairs
    phi = phi_of(program)
    psi = program.states(program.theta[None])[0]
    expected = [np.vdot(psi, dense.label_matrix(label) @ psi).real for label in labels]
    found = string_values(template) @ outcome_probabilities(template, phi[template.rotations])
    assert np.allclose(found, expected, rtol=0, atol=1e-10)
    check_content(template, circuit, np.ones(len(phi), dtype=bool))


def test_commuting_observables_take_entangling_bases():
    circuit = ansatz(4, 2)
    phi = np.random.default_rng(1).normal(size=len(circuit.moving))
    labels = ["XXII", "YYII", "ZZXI", "IIIY"]
    template = observable_template(circuit, strings_of(labels))
    assert template.num_two_qubit_gates > (np.diff(template.ops.start) > 1).sum()
    psi = dense.run_ops(circuit, phi[None])[0]
    expected = [np.vdot(psi, dense.label_matrix(label) @ psi).real for label in labels]
    found = string_values(template) @ outcome_probabilities(template, phi[template.rotations])
    assert np.allclose(found, expected, rtol=0, atol=1e-12)


# --- what is trimmed, counted by hand ---


def ladder(num_qubits, entangler="cx"):
    """RY on every qubit, a chain of entanglers, RY on every qubit."""
    sketch = Sketch(num_qubits, 2 * num_qubits)
    for q in range(num_qubits):
        sketch("ry", q, sketch.t[q])
    for q in range(num_qubits - 1):
        sketch(entangler, q, q + 1)
    for q in range(num_qubits):
        sketch("ry", q, sketch.t[num_qubits + q])
    return sketch.circuit()


@pytest.mark.parametrize(
    ("circuit", "label", "rotations", "most_gates"),
    [
        # Z₀ after RY₀ is the string Z₀ or X₀ before it, which CX₀₁ turns into X₀X₁; Z₀ on the control stays
        (ladder(5), "IIIIZ", [0, 1, 5], 4),
        # Z on the last target pulls back through the whole chain
        (ladder(5), "ZIIII", [0, 1, 2, 3, 4, 9], 10),
        (ladder(5, "cz"), "IIIIZ", [0, 1, 5], 4),
        (ladder(5, "cz"), "IIZII", [1, 2, 3, 7], 7),
        (Sketch(3)("cx", 0, 1)("cx", 1, 2)("h", 1).circuit(), "IIZ", [], 1),
        (Sketch(3)("cx", 0, 1)("h", 2)("t", 2).circuit(), "IIZ", [], 1),
    ],
)
def test_gates_outside_the_light_cone_are_not_run(circuit, label, rotations, most_gates):
    template = observable_template(circuit, strings_of([label]))
    assert template.rotations.tolist() == rotations
    assert len(template.ops) <= most_gates


def test_a_rotation_that_commutes_past_everything_measured_is_not_run():
    sketch = Sketch(2, 3)
    sketch("ry", 0, sketch.t[0])("rz", 0, sketch.t[1])("rzz", 0, 1, sketch.t[2])("t", 1)
    template = observable_template(sketch.circuit(), strings_of(["IZ"]))
    assert template.rotations.tolist() == [0]
    assert observable_template(sketch.circuit(), strings_of(["IX"])).rotations.tolist() == [0, 1, 2]


def test_the_first_layer_needs_no_gates():
    template = layer_template(ladder(4), 0)
    assert len(template.ops) == 0
    assert template.strings.labels() == ["IIIY", "IIYI", "IYII", "YIII"]
    assert template.num_two_qubit_gates == 0
    assert template.measured.tolist() == [0, 1, 2, 3]


def test_measured_qubits_are_those_that_strings_read():
    template = observable_template(ladder(4), strings_of(["IXIZ", "IXII"]))
    assert template.measured.tolist() == [0, 2]
    nothing = observable_template(ladder(4), strings_of(["IIII"]))
    assert nothing.measured.tolist() == []
    assert len(nothing.all_ops) == 0


# --- how many circuits a metric takes ---


ENTANGLEMENTS = {
    "linear": CHAIN,
    "reverse_linear": CHAIN[::-1],
    "circular": [(3, 0), *CHAIN],
    "full": list(itertools.combinations(range(4), 2)),
    "pairwise": [(0, 1), (2, 3), (1, 2)],
}


@pytest.mark.parametrize("name", ENTANGLEMENTS)
@pytest.mark.parametrize("reps", [1, 3])
def test_real_amplitudes_take_one_circuit_a_rotation_layer(name, reps):
    circuit = real_amplitudes(4, reps, ENTANGLEMENTS[name])
    assert circuit.num_layers == reps + 1
    assert [len(layer_members(circuit, layer)) for layer in range(reps + 1)] == [4] * (reps + 1)


@pytest.mark.parametrize("cost_gate", ["rzz", "cx rz cx"])
@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("graph", GRAPHS)
def test_qaoa_takes_two_circuits_a_depth_whatever_the_graph(graph, depth, cost_gate):
    num_qubits, edges = GRAPHS[graph]
    circuit = qaoa(num_qubits, edges, depth, cost_gate)
    assert circuit.num_layers == 2 * depth
    members = [len(layer_members(circuit, layer)) for layer in range(2 * depth)]
    lonely = num_qubits - len(set(itertools.chain(*edges)))  # RX on |+⟩: it has no place of its own
    assert members[1:] == ([num_qubits - lonely, len(edges)] * depth)[:-1]
    assert members[0] == len(edges) + lonely * depth


@pytest.mark.parametrize("cost_gate", ["rzz", "cx rz cx"])
def test_blocks_of_qaoa(cost_gate):
    num_qubits, edges = GRAPHS["ring"]
    circuit = qaoa(num_qubits, edges, 2, cost_gate)
    check_layers(circuit, circuit.angle_map(np.array([0.4, -0.7, 1.1, 0.3])))


# --- many qubits: a small circuit on qubits of several words is the small circuit ---


@pytest.mark.parametrize(
    ("num_qubits", "names"), [(70, [63, 2, 69, 64]), (100, [64, 99, 0, 63]), (140, [127, 65, 128, 3])]
)
def test_templates_on_many_qubits(num_qubits, names):
    program = random_program(7, 4, 40, 4)
    small, wide = program.circuit(), widened(program, num_qubits, names).circuit()
    phi = phi_of(program)
    metric = dense.rotation_metric(small, phi)
    assert wide.num_layers == small.num_layers > 2
    for layer in range(wide.num_layers):
        template = layer_template(wide, layer)
        assert set(template.measured) <= set(names)
        few = narrowed(template, num_qubits, names)
        members = layer_members(wide, layer)
        values, angles = string_values(few), phi[few.rotations]
        weights = outcome_probabilities(few, angles)
        means = values @ weights
        covariance = (values * weights) @ values.T - np.outer(means, means)
        assert np.allclose(covariance, 4 * metric[np.ix_(members, members)], rtol=0, atol=1e-11)
    psi = dense.run_ops(small, phi[None])[0]
    for label in random_observable(3, 4):
        letters = ["I"] * num_qubits
        for q, letter in zip(names, reversed(label), strict=True):
            letters[q] = letter
        few = narrowed(observable_template(wide, strings_of(["".join(reversed(letters))])), num_qubits, names)
        found = string_values(few) @ outcome_probabilities(few, phi[few.rotations])
        assert found[0] == pytest.approx(np.vdot(psi, dense.label_matrix(label) @ psi).real, abs=1e-11)


# --- operations as arrays ---


def as_rows(ops):
    fields = (ops.kind, ops.turns, ops.gate)
    return [
        (*(int(f[k]) for f in fields), ops.qubits_of(k).tolist(), ops.letters_of(k).tolist()) for k in range(len(ops))
    ]


@pytest.mark.parametrize("seed", range(3))
def test_select_and_concatenate_are_those_of_lists(seed):
    ops = random_program(seed, 4, 30, 2).circuit().ops
    keep = np.random.default_rng(seed).random(len(ops)) < 0.5
    rows = as_rows(ops)
    chosen = [row for row, kept in zip(rows, keep, strict=True) if kept]
    assert as_rows(select(ops, keep)) == chosen
    assert as_rows(concatenate(select(ops, keep), select(ops, ~keep))) == chosen + [
        row for row, kept in zip(rows, keep, strict=True) if not kept
    ]
    nothing = select(ops, np.zeros_like(keep))
    assert as_rows(concatenate(nothing, ops)) == as_rows(concatenate(ops, nothing)) == rows


def test_a_running_order_other_than_the_users_gives_the_same_templates():
    """Layers follow each other in the running order, and templates keep the user's own."""
    circuit = random_program(11, 4, 40, 4).circuit()
    order = running_order(circuit.level, circuit.moving)
    assert not np.array_equal(order, np.arange(len(order)))
    for layer in range(circuit.num_layers):
        template = layer_template(circuit, layer)
        assert np.all(np.diff(template.rotations) > 0)
        assert np.all(np.diff(template.ops.gate) >= 0)
