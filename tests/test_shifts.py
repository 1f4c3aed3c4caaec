"""Shift rules on energies from matrices, against finite differences; and how many evaluations they take."""

import itertools

import numpy as np
import pennylane as qml
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

import qngd
from qngd.circuit.angles import AffineExpressions
from qngd.circuit.builder import OpsBuilder
from qngd.circuit.circuit import finish
from qngd.circuit.pauli import PauliStrings
from qngd.measured.shifts import shift_rules, two_term
from tests import dense
from tests.clifford_circuits import commuting_strings
from tests.strategies import (
    GateUse,
    Program,
    Sketch,
    examples,
    observables,
    programs,
    random_observable,
    random_program,
)


def shifted_energies(circuit, phi, matrix, direction):
    """E(φ + s·c) and E(φ − s·c) for every shift, (2, number of shifts), from matrices."""
    if not len(direction.shifts):
        return np.zeros((2, 0))
    offsets = np.zeros((len(direction.shifts), len(phi)))
    offsets[:, direction.rotations] = np.outer(direction.shifts, direction.coefficients)
    states = dense.run_ops(circuit, np.concatenate([phi + offsets, phi - offsets]))
    return np.einsum("bi,ij,bj->b", states.conj(), matrix, states).real.reshape(2, -1)


def derivative(circuit, phi, matrix, direction):
    up, down = shifted_energies(circuit, phi, matrix, direction)
    return float(direction.weights @ (up - down))


def gradient(circuit, theta, terms):
    """∇E by the rules alone."""
    phi, inner = circuit.angle_map.chain(np.asarray(theta, float))
    found, mixing = shift_rules(circuit, circuit.angle_map.linear)
    matrix = dense.observable_matrix(terms)
    assert mixing.shape == (inner.shape[0], len(found))
    return inner.T @ mixing @ np.array([derivative(circuit, phi, matrix, d) for d in found])


def evaluations(circuit):
    return sum(2 * len(d.shifts) for d in shift_rules(circuit, circuit.angle_map.linear)[0])


# --- right ---


@given(programs(max_qubits=4, max_parameters=4), st.data())
@examples(60)
def test_gradients_of_programs(program, data):
    """Shared, scaled, combined and bent parameters over the whole gate table."""
    if not program.num_parameters:
        return
    circuit = program.circuit()
    if not len(circuit.moving):
        return
    terms = data.draw(observables(program.num_qubits))
    truth = dense.Truth(program.states, program.theta, terms)
    scale = 1 + sum(map(abs, terms.values()))
    assert np.allclose(gradient(circuit, program.theta, terms), truth.gradient, rtol=0, atol=1e-7 * scale)


@pytest.mark.parametrize("seed", range(6))
def test_gradients_of_generic_programs(seed):
    n = 2 + seed % 4
    program = random_program(70 + seed, n, 40, 4, bend=0.1 * (seed % 2))
    terms = random_observable(seed, n)
    truth = dense.Truth(program.states, program.theta, terms)
    assert np.allclose(gradient(program.circuit(), program.theta, terms), truth.gradient, rtol=0, atol=1e-7)


@pytest.mark.parametrize("seed", range(3))
def test_two_terms_give_the_derivative_along_one_rotation(seed):
    circuit = random_program(seed, 3, 30, 3).circuit()
    terms = random_observable(seed, 3)
    phi = np.random.default_rng(seed).normal(size=len(circuit.moving))
    matrix = dense.observable_matrix(terms)
    truth = dense.gradient(lambda p: dense.run_ops(circuit, p[None])[0], matrix, phi)
    found = [derivative(circuit, phi, matrix, two_term(k)) for k in range(len(phi))]
    assert np.allclose(found, truth, rtol=0, atol=1e-8)


def group_circuit(strings, coefficients, seed):
    """Entangling gates, then the strings as rotations by their coefficient times one parameter."""
    n = strings.num_qubits
    rng = np.random.default_rng(seed)
    builder = OpsBuilder(n)
    builder.begin("start", range(n))
    for q in range(n):
        builder.rotation("Y", (q,), float(rng.normal()))
        builder.rotation("Z", (q,), float(rng.normal()))
    for q in range(n - 1):
        if seed % 2:  # the strings get other letters and signs
            builder.clifford("cx", q, q + 1)
        else:
            builder.rotation("ZX", (q, q + 1), 0.8)
    slot = builder.slot()
    for c, sign, label in zip(coefficients, strings.sign, strings.labels(), strict=True):
        builder.begin("group", range(n))
        builder.rotation(label[::-1], range(n), float(sign * c) * slot)
    expressions = AffineExpressions(sparse.eye_array(1, format="csr"), np.zeros(1))
    return finish(builder, builder.angle_map(expressions), ["t"])


@st.composite
def commuting_groups(draw):
    n = draw(st.integers(2, 4))
    strings = commuting_strings(draw(st.integers(0, 10**6)), n, draw(st.integers(2, 9)))
    acts = (strings.x | strings.z).any(axis=1)
    strings = strings[acts]
    one = st.sampled_from([1.0, -1.0, 0.5, 2.0, -0.7, 1.3, 0.25])
    few = draw(st.sampled_from([st.just(1.0), st.sampled_from([1.0, -1.0]), one]))
    return strings, [draw(few) for _ in range(len(strings))], draw(st.integers(0, 99))


@given(commuting_groups())
@examples(80)
def test_one_parameter_moving_commuting_strings(case):
    """Dependent and repeated strings among them; their signs decide the spectrum."""
    strings, coefficients, seed = case
    if not len(strings):
        return
    circuit = group_circuit(strings, coefficients, seed)
    terms = random_observable(seed, strings.num_qubits, 6)
    truth = dense.gradient(lambda t: dense.statevector(circuit, t), dense.observable_matrix(terms), np.array([0.4]))
    assert gradient(circuit, [0.4], terms) == pytest.approx(truth, abs=1e-7)
    assert evaluations(circuit) <= 2 * len(strings)


# --- cheap ---


def frequencies(labels, coefficients):
    """The positive differences of eigenvalues of ½Σ c P, from its matrix."""
    total = sum(c * dense.label_matrix(label) for label, c in zip(labels, coefficients, strict=True))
    values = np.linalg.eigvalsh(0.5 * total)
    gaps = np.unique(np.round(np.abs(values[:, None] - values[None]), 6))
    return gaps[gaps > 0]


COMPLETE = ["".join("Z" if q in pair else "I" for q in range(5)) for pair in itertools.combinations(range(5), 2)]


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(
    ("labels", "coefficients", "expected"),
    [
        (["Z"], [1.0], 2),
        (["Z"], [2.7], 2),
        (["ZI", "IZ"], [1.0, 1.0], 4),  # ½, 1: no fewer than the two terms of each
        (["XX", "YY"], [0.5, 0.5], 4),  # a single excitation
        (["XX", "YY", "ZZ"], [1.0, 1.0, 1.0], 2),  # eigenvalues 1 and −3
        (["XX", "YY", "ZZ"], [1.0, 1.0, -1.0], 2),  # 3 and −1, as XX·YY = −ZZ
        (["XXI", "IXX", "XIX"], [1.0, 1.0, 1.0], 2),  # the same by XXI·IXX = XIX
        (["XX", "YY", "ZZ"], [2.0, 1.0, 1.0], 6),
        (["XX", "YY", "XX"], [1.0, 0.5, -1.0], 2),
        (["XX", "YY", "XX", "YY"], [1.0, 0.5, -1.0, -0.5], 0),
        (["XX", "YY", "ZZ"], [0.3, 0.3, 0.3], 2),
        (["XX", "YY", "ZZ"], [1.0, 1.0, 0.7], 6),
        (["ZZ", "ZI", "IZ"], [-0.5, 0.5, 0.5], 2),  # a controlled phase: a projector
        (["ZZ", "ZI", "IZ"], [0.5, 0.5, 0.5], 2),
        (["ZII", "IZI", "IIZ", "ZZI", "IZZ", "ZIZ", "ZZZ"], [0.25, 0.25, 0.25, -0.25, -0.25, -0.25, 0.25], 2),
        (["ZZI", "IZZ", "XXX", "ZIZ", "YYX", "XYY", "YXY"], [1.0] * 7, 4),  # −3, 1 and 5; XXX·ZZI = −YYX
        (COMPLETE, [1.0] * 10, 6),  # 4, 6 and 2 steps of the cut of a complete graph of five
        (COMPLETE, [1.3] * 10, 6),
        (["Z" * k + "I" * (14 - k) for k in range(1, 15)], [1.0] * 14, 28),
    ],
)
def test_evaluations_of_a_group(labels, coefficients, expected, seed):
    circuit = group_circuit(PauliStrings.from_labels(labels), coefficients, seed)
    assert evaluations(circuit) == expected
    if len(labels[0]) < 6:
        assert expected == 2 * min(len(frequencies(labels, coefficients)), len(labels))
        terms = random_observable(1, len(labels[0]), 6)
        matrix = dense.observable_matrix(terms)
        truth = dense.gradient(lambda t: dense.statevector(circuit, t), matrix, np.array([0.4]))
        assert gradient(circuit, [0.4], terms) == pytest.approx(truth, abs=1e-7)


@pytest.mark.parametrize(
    ("gate", "num_wires", "expected"),
    [
        (qml.DoubleExcitation, 4, 4),
        (qml.SingleExcitation, 2, 4),
        (qml.OrbitalRotation, 4, None),
        (qml.IsingXY, 2, 4),
        (qml.ControlledPhaseShift, 2, 2),
        (qml.CRY, 2, 4),
        (qml.RZ, 1, 2),
    ],
)
def test_evaluations_of_pennylane_gates(gate, num_wires, expected):
    """The gate on a state without symmetry, between rotations of other parameters."""

    @qml.qnode(qml.device("default.qubit", wires=4))
    def circuit(t):
        for q in range(4):
            qml.RY(0.4 + 0.3 * q, wires=q)
        qml.CNOT(wires=[0, 2])
        gate(t, wires=list(range(num_wires))[::-1])
        qml.CNOT(wires=[1, 3])
        qml.RX(0.3, wires=1)
        qml.RX(0.8, wires=0)
        return qml.expval(qml.PauliZ(0) @ qml.PauliX(1) - 0.5 * qml.PauliY(2) @ qml.PauliZ(1))

    theta = qml.numpy.array(0.7, requires_grad=True)
    wrapped = qngd.wrap(circuit, theta)
    if expected is not None:
        assert evaluations(wrapped) == expected
    observable = wrapped.observable
    terms = dict(zip(observable.strings.labels(), observable.coefficients, strict=True))
    step = 1e-4
    slope = float(circuit(theta + step) - circuit(theta - step)) / (2 * step)
    assert abs(slope) > 1e-3
    assert gradient(wrapped, wrapped.flatten(theta), terms) == pytest.approx(slope, abs=1e-6)


def test_a_rotation_that_two_parameters_move_is_shifted_alone():
    sketch = Sketch(2, 2)
    a, b = sketch.t
    sketch("ry", 0, 0.3)("rxx", 0, 1, a)("ryy", 0, 1, a)("rzz", 0, 1, a + b)
    assert evaluations(sketch.circuit()) == 6
    terms = {"ZX": 1.0, "XY": 0.5}
    truth = dense.gradient(
        lambda t: dense.statevector(sketch.circuit(), t), dense.observable_matrix(terms), np.array([0.4, 0.2])
    )
    assert np.abs(truth).min() > 1e-3
    assert gradient(sketch.circuit(), [0.4, 0.2], terms) == pytest.approx(truth, abs=1e-8)


def test_groups_of_different_layers_stay_apart():
    """XX + YY + ZZ twice, with RY between: two rules of two evaluations each, both of the same parameter."""
    sketch = Sketch(2, 1)
    (t,) = sketch.t
    sketch("ry", 0, 0.3)
    for _ in range(2):
        sketch("rxx", 0, 1, t)("ryy", 0, 1, t)("rzz", 0, 1, t)("ry", 0, 0.9)("rx", 1, -0.4)
    circuit = sketch.circuit()
    _, jacobian = circuit.angle_map.linearize(np.array([0.5]))
    found, mixing = shift_rules(circuit, jacobian)
    assert [d.rotations.tolist() for d in found] == [[0 + r, 1 + r, 2 + r] for r in _rows(circuit)]
    assert mixing.toarray().tolist() == [[1.0, 1.0]]
    assert evaluations(circuit) == 4


def _rows(circuit):
    moving = np.flatnonzero(circuit.moving)
    return [int(moving[0]), int(moving[3])]


# --- quiet ---


def noise(direction):
    """The error of the derivative in units of that of an energy, every evaluation with equal shots, times the root
    of their number: what a total number of shots gives."""
    count = 2 * len(direction.shifts)
    return float(np.sqrt(2 * (direction.weights**2).sum() * count))


@pytest.mark.parametrize(
    ("labels", "coefficients"),
    [
        (["ZZ", "ZI", "ZZ", "ZZ", "ZI"], [0.25, 0.1, 0.01, 0.01, 2.0]),
        (["ZZ", "ZZ", "ZI", "ZI", "ZZ"], [0.5, 1.0, 0.25, -0.7, 2.0]),
        (["IZ", "IZ", "ZZ", "IZ", "IZ"], [1.0, 2.0, 0.5, 1.3, 0.01]),
        (["XX", "YY", "ZZ", "ZZ"], [1.0, 1.0, 0.7, 0.1]),
        (COMPLETE, [1.0] * 10),
        (COMPLETE, [1.0] * 9 + [1.001]),
    ],
)
def test_a_rule_with_fewer_evaluations_is_not_much_noisier(labels, coefficients):
    """Two terms a rotation cost Σ|c| in these units, if their shots are shared out."""
    circuit = group_circuit(PauliStrings.from_labels(labels), coefficients, 1)
    _, jacobian = circuit.angle_map.linearize(np.array([0.3]))
    found, mixing = shift_rules(circuit, jacobian)
    together = sum(abs(m) * noise(d) for m, d in zip(mixing.toarray()[0], found, strict=True))
    assert together <= 2 * np.abs(coefficients).sum()


# --- edges ---


def test_nothing_moves():
    circuit = Sketch(2, 2)("h", 0)("t", 0).circuit()
    found, mixing = shift_rules(circuit, circuit.angle_map.linearize(np.zeros(2))[1])
    assert found == []
    assert mixing.shape == (2, 0)


def test_a_slope_that_vanishes_at_this_theta():
    """θ² at θ = 0."""
    program = Program(2, (GateUse("ry", (0,), ((1.0,),), (-5.0,)),), np.array([0.0]), bend=0.1)
    assert abs(gradient(program.circuit(), [0.0], {"IX": 1.0, "IZ": 0.4})[0]) < 1e-14


def test_signs_survive_clifford_gates():
    """−Z after X: the derivative follows the sign that the generator got."""
    for gates, expected in (([], 1.0), (["x"], -1.0), (["x", "x"], 1.0)):
        sketch = Sketch(1, 1)
        for gate in gates:
            sketch(gate, 0)
        sketch("ry", 0, sketch.t[0])
        assert gradient(sketch.circuit(), [0.0], {"X": 1.0}) == pytest.approx(expected)
