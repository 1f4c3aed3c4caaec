"""From gates to the neutral form: the gate table, the angle map, the structure of θ, the printed layers."""

import dataclasses
import math

import numpy as np
import pytest
import qiskit.circuit.library as qiskit_gates
from hypothesis import given
from hypothesis import strategies as st
from qiskit.quantum_info import Operator
from scipy import sparse

from qngd.circuit.angles import AffineExpressions, Angle, AngleMap, Expressions
from qngd.circuit.builder import OpsBuilder
from qngd.circuit.circuit import finish
from qngd.circuit.gates import STANDARD_GATES
from qngd.circuit.observable import Observable
from qngd.circuit.ops import Op
from qngd.circuit.theta import FlatTheta
from qngd.errors import ObservableError, ParameterError
from tests import dense
from tests.strategies import (
    GATES,
    GateUse,
    Program,
    Sketch,
    examples,
    programs,
    random_program,
)

ANGLES = (0.83, -1.37, 2.21, 0.49)
_QISKIT = {
    "id": "I", "tdg": "Tdg", "sdg": "Sdg", "sxdg": "SXdg", "p": "Phase", "cp": "CPhase",
    "csdg": "CSdg", "iswap": "iSwap", "swap": "Swap",
    "xx_plus_yy": "XXPlusYY", "xx_minus_yy": "XXMinusYY",
}  # fmt: skip


def embedded(name, qubits, angles, theta=()):
    """The gate between entangling gates and rotations that no symmetry of it survives."""
    one = [("ry", (q,), 0.4 + 0.3 * q) for q in range(3)] + [("rz", (1,), 0.9), ("rx", (2,), 1.7)]
    head = [GateUse(n, q, ((0.0,) * len(theta),), (a,)) for n, q, a in one]
    cx = [GateUse("cx", (0, 1)), GateUse("cx", (2, 0)), GateUse("t", (0,))]
    tail = [GateUse(n, q, ((0.0,) * len(theta),), (-0.7 * a,)) for n, q, a in one]
    rows = tuple(tuple(row) for row, _ in angles)
    gate = GateUse(name, qubits, rows, tuple(offset for _, offset in angles))
    return Program(3, (*head, *cx, gate, *cx, *tail), np.array(theta, float))


def places(name):
    two = [(0, 1), (1, 0), (2, 0), (1, 2)]
    return two if GATES[name].num_qubits == 2 else [(0,), (2,)]


# --- the gate table ---


def test_the_tables_hold_the_same_gates():
    assert set(GATES) == set(STANDARD_GATES)


@pytest.mark.parametrize("name", sorted(GATES))
def test_matrices_of_these_tests_are_qiskits(name):
    spec = GATES[name]
    gate = getattr(qiskit_gates, _QISKIT.get(name, name.upper()) + "Gate")
    mine = spec.matrix(*(np.array([a]) for a in ANGLES[: spec.num_angles]))
    expected = Operator(gate(*ANGLES[: spec.num_angles])).data
    assert np.allclose(mine.reshape(expected.shape), expected, atol=1e-12)


@pytest.mark.parametrize(("name", "qubits"), [(name, qubits) for name in sorted(GATES) for qubits in places(name)])
def test_recipes_against_matrices(name, qubits):
    count = GATES[name].num_angles
    program = embedded(name, qubits, [((), a) for a in ANGLES[:count]])
    found = dense.statevector(program.circuit(), [])
    assert dense.same_state(found, program.states(np.zeros((1, 0)))[0])


@pytest.mark.parametrize("name", sorted(n for n, spec in GATES.items() if spec.num_angles))
def test_angles_may_be_multiples_of_a_quarter_turn(name):
    count = GATES[name].num_angles
    for turns in range(-4, 5):
        program = embedded(name, places(name)[-1], [((), turns * np.pi / 2)] * count)
        found = dense.statevector(program.circuit(), [])
        assert dense.same_state(found, program.states(np.zeros((1, 0)))[0])


@pytest.mark.parametrize("name", sorted(n for n, spec in GATES.items() if spec.num_angles))
def test_angles_may_be_combinations_of_parameters(name):
    count = GATES[name].num_angles
    rows = [(1.0, 0.0, -0.5), (0.0, 2.0, 0.3), (0.7, 0.7, 0.0), (0.0, -0.4, 1.1)]
    angles = list(zip(rows, ANGLES, strict=True))[:count]
    program = embedded(name, places(name)[-1], angles, theta=(0.21, -0.64, 1.9))
    found = dense.statevector(program.circuit(), program.theta)
    assert dense.same_state(found, program.states(program.theta[None])[0])


def test_a_gate_that_the_table_does_not_hold_is_not_emitted():
    builder = OpsBuilder(3)
    builder.begin("ccx", (0, 1, 2))
    assert not builder.gate("ccx", (0, 1, 2))
    assert builder.is_empty
    assert len(builder.ops()) == 0


@given(programs())
@examples(40)
def test_programs_through_the_builder(program):
    found = dense.statevector(program.circuit(), program.theta)
    assert dense.same_state(found, program.states(program.theta[None])[0])


@pytest.mark.parametrize("seed", range(6))
def test_generic_programs_through_the_builder(seed):
    program = random_program(seed, 2 + seed % 5, 60, 5, bend=0.1 * (seed % 2))
    found = dense.statevector(program.circuit(), program.theta)
    assert dense.same_state(found, program.states(program.theta[None])[0])


# --- what counts as a rotation ---


@pytest.mark.parametrize(
    ("angle", "kinds"),
    [
        (0.0, []),
        (2 * np.pi, []),  # a global phase
        (-4 * np.pi, []),
        (np.pi / 2, [Op.QUARTER]),
        (-np.pi / 2 + 1e-13, [Op.QUARTER]),
        (7 * np.pi, [Op.QUARTER]),
        (np.pi / 2 + 1e-9, [Op.ROTATION]),
        (np.pi / 4, [Op.ROTATION]),
        (1e-9, [Op.ROTATION]),
    ],
)
def test_fixed_quarter_turns_are_clifford_gates(angle, kinds):
    builder = OpsBuilder(2)
    builder.rotation("ZI", (1, 0), angle)
    assert builder.ops().kind.tolist() == kinds


def test_what_undoes_the_operation_before_it_in_a_gate_takes_it_away():
    builder = OpsBuilder(2)
    builder.begin("mine", (0, 1))
    builder.rotation("XY", (0, 1), 0.3)
    builder.rotation("Z", (0,), np.pi / 2)
    builder.rotation("Z", (0,), -np.pi / 2)
    builder.rotation("XY", (0, 1), -0.3)
    assert builder.is_empty
    assert builder.angles == []
    builder.rotation("XY", (0, 1), 0.3)
    for qubits, pauli, angle in (((1, 0), "XY", -0.3), ((0, 1), "YX", -0.3), ((0, 1), "XY", 0.3), ((0,), "X", -0.3)):
        builder.rotation(pauli, qubits, angle)
    builder.rotation("X", (0,), builder.slot())
    builder.rotation("X", (0,), 0.3)  # a rotation stands in between
    assert builder.ops().kind.tolist() == [Op.ROTATION] * 7
    builder.begin("the next", (0,))  # what the user wrote as two gates stays
    builder.rotation("X", (0,), -0.3)
    assert builder.ops().gate.tolist() == [0] * 7 + [1]
    assert len(builder.angles) == 8


def test_the_identity_is_no_rotation():
    builder = OpsBuilder(2)
    builder.rotation("II", (0, 1), 0.3)
    builder.rotation("I", (0,), builder.slot())
    assert builder.is_empty
    builder.rotation("IXI", (0, 1, 2), 0.3)
    assert builder.ops().qubits.tolist() == [1]


def test_a_parameter_that_cancels_moves_nothing():
    sketch = Sketch(1, 2)
    a, b = sketch.t
    sketch("rx", 0, a - a + 0.4)("ry", 0, 2 * b - b)
    assert sketch.circuit().moving.tolist() == [False, True]


# --- the angle map ---

_SMALL = st.integers(-8, 8).map(lambda k: k / 4)


@given(st.lists(_SMALL, min_size=6, max_size=6), st.lists(_SMALL, min_size=3, max_size=3))
@examples(40)
def test_arithmetic_of_angles(numbers, slots):
    a, b, c, d, e, f = numbers
    x, y, z = (Angle.of_slot(i) for i in range(3))

    def value(angle):
        return sum(w * slots[s] for s, w in angle.terms) + angle.constant

    u, v, w = slots
    assert value(a * x + b) == pytest.approx(a * u + b)
    assert value(c - y * d) == pytest.approx(c - v * d)
    assert value(-(x + y - z) + e) == pytest.approx(-(u + v - w) + e)
    assert value((x - f) / 2 - 3) == pytest.approx((u - f) / 2 - 3)
    assert value(a + (x + b) - (y - c) * 2) == pytest.approx(a + (u + b) - (v - c) * 2)
    assert value(x + x) == pytest.approx(2 * u)


@given(programs(min_parameters=1, bends=(0.0, 0.1)))
@examples(30)
def test_the_jacobian_is_the_derivative_of_the_angles(program):
    angle_map = program.circuit().angle_map
    theta = program.theta
    phi, jacobian = angle_map.linearize(theta)
    assert np.allclose(angle_map(theta), phi, atol=0)
    h = 1e-2  # exact for quadratic maps, whatever the step
    columns = [(angle_map(theta + h * e) - angle_map(theta - h * e)) / (2 * h) for e in np.eye(len(theta))]
    expected = np.array(columns).T.reshape(jacobian.shape)
    assert np.allclose(jacobian.toarray(), expected, atol=1e-11)
    assert np.all((angle_map.pattern.toarray() != 0) | (np.abs(expected) < 1e-11))
    assert angle_map.is_affine == (program.bend == 0)


def test_the_pattern_of_nonlinear_expressions_holds_wherever_theta_is():
    """At θ = 0 the slope of θ² is 0, and the rotation moves nevertheless."""

    class Square(Expressions):
        pattern = sparse.csr_array(np.ones((1, 1)))

        def linearize(self, theta):
            return theta**2, sparse.csr_array(np.diag(2 * theta))

    builder = OpsBuilder(1)
    angle = builder.slot()
    builder.begin("rx", (0,))
    builder.rotation("X", (0,), 2 * angle - angle)
    circuit = finish(builder, builder.angle_map(Square()), ["a"])
    assert circuit.moving.tolist() == [True]
    assert circuit.num_layers == 1
    phi, jacobian = circuit.angle_map.linearize(np.array([3.0]))
    assert phi.tolist() == [9.0]
    assert jacobian.toarray().tolist() == [[6.0]]


def test_shapes_of_the_angle_map():
    sketch = Sketch(2, 4)
    sketch("ry", 0, sketch.t[1])("crx", 0, 1, sketch.t[1] + 3 * sketch.t[3])("t", 1)
    angle_map = sketch.circuit().angle_map
    assert isinstance(angle_map, AngleMap)
    assert isinstance(angle_map.expressions, AffineExpressions)
    assert (angle_map.num_rotations, angle_map.num_parameters) == (4, 4)
    theta = np.array([5.0, 0.2, 7.0, 0.1])
    assert np.allclose(angle_map(theta), [0.2, 0.25, -0.25, np.pi / 4])


# --- θ as the user writes it ---

NAMES = FlatTheta(("a", "b", "c"))


class Named:
    def __init__(self, name):
        self.name = name


def test_theta_as_an_array_comes_back():
    flat = NAMES.flatten([1, 2.5, -3])
    assert flat.dtype == float
    assert flat.tolist() == [1.0, 2.5, -3.0]
    assert NAMES.unflatten(flat, [1, 2.5, -3]).tolist() == flat.tolist()


def test_theta_as_a_mapping_comes_back_in_its_order():
    given_theta = {"c": 3.0, "a": 1.0, "b": 2.0}
    flat = NAMES.flatten(given_theta)
    assert flat.tolist() == [1.0, 2.0, 3.0]
    back = NAMES.unflatten(flat + 1, given_theta)
    assert list(back.items()) == [("c", 4.0), ("a", 2.0), ("b", 3.0)]


def test_keys_may_be_objects_with_a_name():
    keys = [Named("b"), Named("a"), Named("c")]
    flat = NAMES.flatten(dict(zip(keys, (2.0, 1.0, 3.0), strict=True)))
    assert flat.tolist() == [1.0, 2.0, 3.0]
    assert list(NAMES.unflatten(flat, dict.fromkeys(keys)).values()) == [2.0, 1.0, 3.0]


@pytest.mark.parametrize(
    ("theta", "words"),
    [
        ([1.0, 2.0], [r"\(3,\)", r"\(2,\)"]),
        (1.0, [r"\(3,\)", r"\(\)"]),
        ([[1.0, 2.0, 3.0]], [r"\(3,\)", r"\(1, 3\)"]),
        ([1.0, math.nan, 3.0], [r"theta\[1\]", "nan"]),
        ([1.0, 2.0, -math.inf], [r"theta\[2\]", "inf"]),
        ([1.0, "x", 3.0], ["theta", "real"]),
        ([1.0, 2j, 3.0], ["theta", "real"]),
        (np.array([1.0, 2j, 3.0]), ["theta", "real"]),
        (None, ["theta"]),
        ([1.0, [2.0], 3.0], ["theta"]),
        ({"a": 1.0, "b": 2.0}, ["missing", "'c'"]),
        ({"a": 1.0, "b": 2.0, "c": 3.0, "d": 4.0}, ["unknown", "'d'"]),
        ({"a": 1.0, "b": 2.0, "c": math.inf}, ["inf"]),
    ],
)
def test_theta_that_does_not_fit_is_named(theta, words):
    for word in words:
        with pytest.raises(ParameterError, match=word):
            NAMES.flatten(theta)


def test_flattening_copies():
    given_theta = np.array([1.0, 2.0, 3.0])
    NAMES.unflatten(given_theta, given_theta)[0] = 9.0
    assert given_theta[0] == 1.0


# --- what a person sees ---


def small():
    sketch = Sketch(3, 3)
    a, b, _ = sketch.t
    sketch("h", 0)("ry", 1, a)("t", 1)("cx", 1, 2)("rzz", 0, 2, 2 * a - b + 0.5)("crx", 2, 0, -b)
    return sketch.circuit()


def test_rotations_say_where_they_come_from():
    circuit = small()
    seen = [(r.gate, r.position, r.gate_qubits, r.pauli, r.qubits, r.moves) for r in circuit.rotations]
    assert seen == [
        ("ry", 1, (1,), "Y", (1,), True),
        ("t", 2, (1,), "Z", (1,), False),
        ("rzz", 4, (0, 2), "ZZ", (0, 2), True),  # one for each parameter of its angle
        ("rzz", 4, (0, 2), "ZZ", (0, 2), True),
        ("crx", 5, (2, 0), "X", (0,), True),
        ("crx", 5, (2, 0), "ZX", (2, 0), True),
    ]
    assert [r.index for r in circuit.rotations] == [0, 1, 2, 2, 3, 4]


def test_angles_are_written_in_the_users_parameters():
    angles = [r.angle for r in small().rotations]
    assert angles == ["t0", "0.785398", "2*t0 + 0.5", "-t1", "-0.5*t1", "0.5*t1"]


def test_generators_carry_the_clifford_gates():
    # C = CX(1→2)·H(0) at the rzz: Z0·Z2 goes to X0·Z1Z2
    assert [r.generator for r in small().rotations] == ["IYI", "IZI", "ZZX", "ZZX", "IIZ", "ZZZ"]


def test_layers_hold_every_moving_rotation_once():
    circuit = small()
    held = [r for layer in circuit.layers for r in layer.rotations]
    assert sorted(held, key=lambda r: r.index) == [r for r in circuit.rotations if r.moves]
    assert {r.index for r in held} == set(np.flatnonzero(circuit.moving))
    for layer in circuit.layers:
        assert all(r.layer == layer.index and r.moves for r in layer.rotations)
        assert len(layer) == len(layer.rotations)
    assert len(circuit.layers) == circuit.num_layers


def test_a_printed_layer_names_gates_qubits_and_parameters():
    circuit = small()
    (layer,) = [layer for layer in circuit.layers if any(r.gate == "crx" for r in layer.rotations)]
    text = str(layer)
    for part in (f"layer {layer.index}", "crx #5", "2, 0", "R_ZX(0.5*t1)", "1 parameter (t1)"):
        assert part in text
    assert layer.parameters == ("t1",)
    assert len(text.splitlines()) == 1 + len(layer)


def test_repr_counts():
    assert repr(small()) == "Circuit(num_qubits=3, num_parameters=3, rotations=6, layers=3)"


def test_angles_of_nonlinear_expressions_name_their_parameters():
    program = Program(1, (GateUse("ry", (0,), ((1.0, 2.0),), (0.5,)),), np.array([0.1, 0.2]), 0.1)
    assert program.circuit().rotations[0].angle == "f(t0, t1)"


# --- edges ---


def test_a_circuit_without_gates():
    circuit = Sketch(2).circuit()
    assert (circuit.num_layers, circuit.num_parameters, circuit.layers) == (0, 0, ())
    assert circuit.rotations == ()
    assert len(circuit.generators) == 0


def test_pull_refuses_another_number_of_qubits():
    with pytest.raises(ObservableError, match=r"2 qubits.*3"):
        small().pull(Observable.from_mapping({"ZZ": 1.0}))


def test_a_circuit_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        small().num_qubits = 4


def test_one_hundred_qubits_and_ten_thousand_gates():
    rng = np.random.default_rng(0)
    sketch = Sketch(100, 50)
    names = ["rx", "ry", "rz", "rzz", "cx", "cz", "h", "s", "t", "crx"]
    for _ in range(10_000):
        name = str(rng.choice(names))
        spec = GATES[name]
        qubits = rng.choice(100, spec.num_qubits, replace=False)
        sketch(name, *qubits, *(sketch.t[rng.integers(50)] for _ in range(spec.num_angles)))
    circuit = sketch.circuit()
    assert len(circuit.gates) == 10_000
    assert circuit.generators.x.shape == (len(circuit.generators), 2)
    assert sorted(circuit.order) == list(range(len(circuit.generators)))
    assert 0 < circuit.num_layers < len(circuit.generators)
