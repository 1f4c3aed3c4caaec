"""Gates whose parameter turns in several layers."""

import numpy as np
import pytest

from tests import dense
from tests.strategies import Sketch


def surrounded(emit, num_parameters, seed=0):
    """What `emit` writes, as one gate, between fixed rotations that no symmetry survives."""
    rng = np.random.default_rng(seed)
    sketch = Sketch(3, num_parameters)
    for q in range(3):
        sketch("u", q, *rng.uniform(0, 3, 3))
    sketch("cx", 0, 1)("cx", 1, 2)
    sketch.builder.begin("mine", (0, 1, 2))
    emit(sketch.builder, sketch.t)
    sketch("ry", 1, 0.3)
    return sketch.circuit(), rng.uniform(-3, 3, num_parameters)


def there_and_back(builder, t):
    builder.gate("r", (0,), (t[0], t[1]))


def with_fixed_rotations_between(builder, t):
    builder.rotation("Y", (1,), t[0])
    builder.rotation("X", (1,), 0.7)
    builder.rotation("Z", (1,), 1.1)
    builder.rotation("Y", (1,), 2 * t[0])


def a_sum_that_commutes_as_a_whole(builder, t):
    for word, qubits in (("XX", (0, 2)), ("YY", (0, 2)), ("Z", (0,)), ("Z", (2,))):
        builder.rotation(word, qubits, t[0])


@pytest.mark.parametrize("emit", [there_and_back, with_fixed_rotations_between, a_sum_that_commutes_as_a_whole])
def test_correlations_inside_a_gate(emit):
    """¼(C_ij − ⟨P_i⟩⟨P_j⟩) against the metric over rotations by dense linear algebra."""
    circuit, theta = surrounded(emit, 2)
    split = circuit.split_gates
    assert len(split) == 1
    assert split.left_out == ()
    assert len(split.first)
    phi = circuit.angle_map(theta)
    truth = dense.rotation_metric(circuit, phi)
    mean = means(circuit, phi)
    found = 0.25 * split.covariances(phi, mean).toarray()
    assert np.allclose(found, found.T)
    for i, j in zip(split.first, split.second, strict=True):
        assert circuit.level[i] != circuit.level[j]
        assert found[i, j] == pytest.approx(truth[i, j], abs=1e-12)
    inside = np.flatnonzero(split.block == 0)
    pairs = {(i, j) for i in inside for j in inside if i < j and circuit.level[i] != circuit.level[j]}
    assert pairs == set(zip(split.first, split.second, strict=True))


def means(circuit, phi):
    """⟨P_k⟩ where rotation k stands, by dense linear algebra."""
    state = dense.zero_state(circuit.num_qubits)[0]
    found = []
    for k, label in enumerate(circuit.generators.labels()):
        sign = circuit.generators.sign[k]
        half_turn = 1j * dense.rotation_matrix(label, np.pi)  # exp(−iπ/2 P) = −iP
        found.append(sign * np.vdot(state, half_turn @ state).real)
        state = dense.rotation_matrix(label, sign * phi[k]) @ state
    return np.array(found)


def test_a_gate_that_would_take_more_circuits_is_named():
    def emit(builder, t):
        builder.gate("xx_plus_yy", (0, 1), (t[0], t[1]))

    circuit, _ = surrounded(emit, 2)
    assert len(circuit.split_gates) == 0
    assert circuit.split_gates.left_out == (5,)
    assert "mine #5" in circuit.split_note
    assert 'approx="full"' in circuit.split_note


def test_a_parameter_of_several_gates_does_not_make_a_block():
    sketch = Sketch(1, 2)
    sketch("r", 0, sketch.t[0], sketch.t[1])("ry", 0, 0.3)("rz", 0, sketch.t[1])
    circuit = sketch.circuit()
    assert len(circuit.split_gates) == 0
    assert circuit.split_gates.left_out == (0,)


def test_circuits_without_such_gates():
    for sketch in (Sketch(2), Sketch(2, 1)("crx", 0, 1, 0.3), Sketch(2, 1)("h", 0)):
        circuit = sketch.circuit()
        assert len(circuit.split_gates) == 0
        assert circuit.split_note == ""


def test_a_long_gate_is_left_out_and_not_followed():
    def emit(builder, t):
        for k in range(40):
            builder.rotation("XZ"[k % 2], (0,), t[0])

    circuit, _ = surrounded(emit, 1)
    assert circuit.split_gates.left_out == (5,)
