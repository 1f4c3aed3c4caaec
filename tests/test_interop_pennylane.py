"""PennyLane's circuits and observables against PennyLane's own statevectors and matrices."""

from __future__ import annotations

import inspect
import itertools
import warnings

import numpy as np
import pennylane as qml
import pytest
from pennylane import numpy as pnp
from pennylane.operation import Operation, Operator

from qngd.errors import CircuitError, ObservableError, ParameterError
from qngd.interop import as_observable, wrap
from tests import dense
from tests.pennylane_cases import (
    ELSEWHERE,
    GATES,
    IQP_HAS_OWN_WIRES,
    MOVING,
    PREPARATIONS,
    REFUSED,
    state,
    unitary,
)

EXAMPLE = pnp.array([0.37, -0.81, 1.23, 0.54])
THETA = np.array([0.9, 0.41, -0.77, 2.1])


def reverse_bits(vector):
    """From PennyLane's order, first wire most significant, to ours."""
    n = int(np.log2(vector.size))
    return np.asarray(vector).reshape((2,) * n).transpose().reshape(-1)


def own_state(function, labels, *args):
    """PennyLane's own statevector of a quantum function, bits in our order."""

    @qml.qnode(qml.device("default.qubit", wires=labels))
    def node(*values):
        function(*values)
        return qml.state()

    with warnings.catch_warnings():  # PennyLane's own, about its own ways to simulate
        warnings.simplefilter("ignore")
        return reverse_bits(node(*args))


def assert_same_state(psi, reference, atol=1e-10):
    phase = np.exp(-1j * np.angle(np.vdot(reference, psi)))
    np.testing.assert_allclose(psi * phase, reference, atol=atol)


def jacobian_by_differences(circuit, theta, step=1e-5):
    def phi(i, factor):
        moved = np.array(theta)
        moved[i] += factor * step
        return circuit.angle_map(moved)

    columns = [(phi(i, 1) - phi(i, -1)) / (2 * step) for i in range(theta.size)]
    return np.array(columns).T.reshape(-1, theta.size)


def tangents(circuit, theta):
    """∂|ψ⟩/∂θ from the angle map's Jacobian, shape (P, 2ⁿ)."""
    phi, jacobian = circuit.angle_map.linearize(theta)
    rows = dense.derivative_states(lambda angles: dense.statevector(circuit, theta, angles), phi, 1e-3)
    return jacobian.T @ rows.reshape(len(phi), -1)


def geometry(states, psi, matrix):
    """The metric and the gradient of ⟨H⟩ that belong to the tangents `states`."""
    overlap = states.conj() @ psi
    metric = np.real(states.conj() @ states.T) - np.real(np.outer(overlap, overlap.conj()))
    return metric, 2 * np.real(states.conj() @ (matrix @ psi))


def assert_same_geometry(function, labels, circuit, *shapes):
    """Metric and gradient, from the angle map and from differences of PennyLane's states."""
    theta = np.linspace(0.4, 1.3, circuit.num_parameters)
    cuts = np.cumsum([int(np.prod(shape)) for shape in shapes])[:-1]

    def psi(flat):
        parts = np.split(flat, cuts)
        return own_state(function, labels, *(p.reshape(s) for p, s in zip(parts, shapes, strict=True)))

    matrix = np.diag(np.arange(2.0 ** len(labels)) % 5) + np.eye(2 ** len(labels), k=1) + np.eye(2 ** len(labels), k=-1)
    ours = geometry(tangents(circuit, theta), dense.statevector(circuit, theta), matrix)
    theirs = geometry(dense.derivative_states(psi, theta, 1e-3), psi(theta), matrix)
    np.testing.assert_allclose(ours[0], theirs[0], atol=1e-8)
    np.testing.assert_allclose(ours[1], theirs[1], atol=1e-8)


def wire_orders(name, count):
    """Labels of the device, and the gate's wires among them: in order, and out of it."""
    size = max(count + 1, 2)
    numbers, texts = list(range(size)), [f"q{i}" for i in range(size)][::-1]
    yield numbers, numbers[:count]
    if name == "IQP" and IQP_HAS_OWN_WIRES:
        return
    order = np.random.default_rng(1).permutation(size)[:count]
    yield texts, [texts[i] for i in order]


def embedded(case, wires, labels, at_start=False):
    """A quantum function with the gate among entangling gates, a T gate and shared parameters."""

    def function(p):
        if at_start:
            case.make(p, wires)
        for i, label in enumerate(labels):
            qml.RY(0.3 + p[0] * (i + 1), label)
            qml.RZ(p[1] * 0.5 + i, label)
        qml.T(labels[0])
        for a, b in itertools.pairwise(labels):
            qml.CNOT([a, b])
        if not at_start:
            case.make(p, wires)
        for i, label in enumerate(labels):
            qml.RX(p[2] - p[0] * i, label)

    return function


# ----- every operation -----


@pytest.mark.parametrize("name", [*GATES, *MOVING, *PREPARATIONS])
def test_states_and_jacobian(name):
    case = {**GATES, **MOVING, **PREPARATIONS}[name]
    for labels, wires in wire_orders(name, case.wires):
        function = embedded(case, wires, labels, at_start=name in PREPARATIONS)
        circuit = wrap(qml.QNode(function, qml.device("default.qubit", wires=labels)), EXAMPLE)
        assert_same_state(dense.statevector(circuit, THETA), own_state(function, labels, THETA))
    if name not in MOVING:  # the angles know nothing of wires
        jacobian = circuit.angle_map.linearize(THETA)[1].toarray()
        np.testing.assert_allclose(jacobian, jacobian_by_differences(circuit, THETA), atol=1e-8)
        assert not (jacobian != 0)[circuit.angle_map.pattern.toarray() == 0].any()


@pytest.mark.parametrize("name", [n for n in GATES if n not in ("IQP", "Snapshot", "Subroutine")])
def test_controlled_and_inverted(name):
    """The global phase of every operation matters under a control."""
    case = GATES[name]
    labels = list(range(case.wires + 1))
    for outside, inside in ((qml.adjoint, lambda op: op), (lambda op: op, qml.adjoint)):

        def function(p, outside=outside, inside=inside):
            for i, label in enumerate(labels):
                qml.RY(0.3 + p[0] * (i + 1), label)
                qml.PhaseShift(0.3 * i + p[1], label)
            with qml.QueuingManager.stop_recording():
                op = case.make(p, labels[:-1])
            outside(qml.ctrl(inside(op), labels[-1], control_values=[0]))
            for label in labels:
                qml.RX(p[2], label)

        if "many" in name or "QRAM" in name:
            continue  # long, and made of the same
        circuit = wrap(function, EXAMPLE)
        assert_same_state(dense.statevector(circuit, THETA), own_state(function, labels, THETA))


@pytest.mark.parametrize("name", [*MOVING, "IQPEmbedding", "DiagonalQubitUnitary with parameters"])
def test_geometry_of_matrices_with_parameters(name):
    case = {**GATES, **MOVING}[name]
    labels = list(range(case.wires))
    function = embedded(case, labels, labels)
    circuit = wrap(function, EXAMPLE)
    assert not circuit.angle_map.is_affine
    assert_same_geometry(function, labels, circuit, (4,))


def test_no_operation_is_forgotten():
    seen = set()

    def note(op):
        seen.add(type(op).__name__)
        for inner in (getattr(op, "base", None), *getattr(op, "operands", ())):
            if isinstance(inner, Operator):
                note(inner)

    for case in (*GATES.values(), *MOVING.values(), *PREPARATIONS.values()):
        script = qml.tape.make_qscript(case.make)(EXAMPLE, list(range(case.wires)))
        for op in script.operations:
            note(op)
    public = {
        name
        for module in (qml, qml.templates)
        for name, kind in vars(module).items()
        if inspect.isclass(kind) and issubclass(kind, Operator) and kind.__name__ == name
    }
    assert public - seen - set(REFUSED) == ELSEWHERE
    assert not seen & set(REFUSED)


def test_the_same_gate_object_twice():
    def function(x):
        op = qml.RX(x, 0)
        qml.Hadamard(0)
        qml.apply(op)
        qml.CNOT([0, 1])
        qml.apply(op)

    circuit = wrap(function, 0.3)
    assert_same_state(dense.statevector(circuit, [0.7]), own_state(function, [0, 1], 0.7))
    assert len(circuit.rotations) == 3


@pytest.mark.parametrize("controls", [6, 7])
@pytest.mark.parametrize("letter", ["X", "Z"])
def test_many_controls_without_and_with_free_wires(controls, letter):
    gate = qml.RX if letter == "X" else qml.RZ
    for free in (0, 1):
        labels = list(range(controls + 1 + free))

        def function(x, labels=labels):
            for label in labels:
                qml.RY(1.9 + 0.2 * label, label)
            qml.ctrl(gate(x, 0), labels[1 : controls + 1], control_values=[1, 0] + [1] * (controls - 2))

        circuit = wrap(function, 0.3)
        assert_same_state(dense.statevector(circuit, [0.7]), own_state(function, labels, 0.7))


# ----- wires -----


def test_wires_follow_the_device():
    labels = ["b", 3, "a", 0]

    @qml.qnode(qml.device("default.qubit", wires=labels))
    def node(x):
        qml.RX(x, 3)
        qml.CNOT([3, "a"])
        return qml.expval(qml.Z("a") @ qml.X("b"))

    circuit = wrap(node, 0.3)
    assert circuit.num_qubits == 4
    assert circuit.wires == ("b", 3, "a", 0)
    assert [gate.qubits for gate in circuit.gates] == [(1,), (1, 2)]
    assert circuit.observable.strings.labels() == ["IZIX"]


@pytest.mark.parametrize(
    ("wires", "order"),
    [
        ([2, 0, 1], (0, 1, 2)),
        ([1, 0, 4], (1, 0, 4)),
        (["x", "a", "m"], ("x", "a", "m")),
    ],
)
def test_wires_without_a_device_are_those_of_default_qubit(wires, order):
    def function(x):
        qml.RX(x, wires[0])
        qml.CNOT(wires[:2])
        qml.CRY(0.4, wires[1:])

    circuit = wrap(function, 0.3)
    assert circuit.wires == order

    @qml.qnode(qml.device("default.qubit"))
    def node(x):
        function(x)
        return qml.state()

    assert_same_state(dense.statevector(circuit, [0.7]), reverse_bits(node(0.7)))


@pytest.mark.parametrize(
    ("seen", "spare", "order"),
    [(3, 4, (0, 1, 2, 3, 4)), ("seen", "spare", (1, 0, 2, "seen", "spare"))],
)
def test_wires_that_are_only_measured_or_worked_on_count(seen, spare, order):
    def function(x):
        qml.RX(x, 1)
        qml.MultiControlledX([1, 0, 2], work_wires=[spare])
        return qml.expval(qml.Z(seen))

    assert wrap(function, 0.1).wires == order


def test_more_than_64_wires():
    def function(x):
        for q in range(70):
            qml.RX(x[q % 3], q)
        return qml.expval(qml.Z(0) @ qml.Y(69) + qml.X(65))

    circuit = wrap(function, np.ones(3))
    assert circuit.num_qubits == 70
    labels = dict(zip(circuit.observable.strings.labels(), circuit.observable.coefficients, strict=True))
    assert labels == {"Y" + "I" * 68 + "Z": 1.0, "I" * 4 + "X" + "I" * 65: 1.0}


# ----- arithmetic -----


def shared_and_nonlinear(a, b):
    w = pnp.sin(pnp.reshape(a, (2, 2)))
    v = pnp.dot(w, pnp.array([0.3, -0.7]))
    qml.RY(2 * a[0] - b / 3 + 0.25, 0)
    qml.RX(v[0] * b, 1)
    qml.CNOT([0, 1])
    qml.RZ(pnp.exp(-a[1] * a[2]), 1)
    qml.IsingXY(v[1] + b**2, [0, 2])
    qml.CRot(a[3], b, pnp.sum(a[:2]), [1, 2])
    qml.T(0)
    qml.Hadamard(0)
    qml.RY(pnp.where(a[0] > -10, a[0], b), 0)


def test_shared_and_nonlinear_arithmetic():
    example = (pnp.array([0.3, -0.2, 0.5, 0.9]), pnp.array(0.7))
    circuit = wrap(shared_and_nonlinear, *example)
    assert circuit.parameters == ("a[0]", "a[1]", "a[2]", "a[3]", "b")
    assert_same_geometry(shared_and_nonlinear, [0, 1, 2], circuit, (4,), ())
    theta = np.array([0.2, 0.4, -0.6, 1.8, 1.1])
    np.testing.assert_allclose(
        circuit.angle_map.linearize(theta)[1].toarray(), jacobian_by_differences(circuit, theta), atol=1e-8
    )


def affine(w, x):
    matrix = np.array([[1.0, 2.0], [0.5, -1.0]])
    angles = [
        w[0, 1],
        2 * w[1, 0] - x / 4 + 0.5,
        pnp.dot(matrix, w[0])[1],
        (matrix @ w)[1, 1],
        pnp.sum(w),
        pnp.stack([w[0], w[1]])[1, 0],
        pnp.array([x, 0.5, w[0, 0]])[2],
        pnp.concatenate([pnp.ravel(w), pnp.ones(2)])[2],
        w.T[1, 0] * 3,
        pnp.real(-2j * (1j * x)),
        qml.math.einsum("ij,j->i", w, np.array([0.2, 0.3]))[0],
        qml.math.cast(x, "complex128"),
        -pnp.mean(w) + pnp.cumsum(w[0])[1],
    ]
    for angle in angles:
        qml.RY(angle, 0)


def test_affine_arithmetic_is_recognised():
    circuit = wrap(affine, np.array([[0.3, -0.2], [0.5, 0.9]]), 0.7)
    assert circuit.angle_map.is_affine
    theta = np.array([0.2, 0.4, -0.6, 1.8, 1.1])
    flat = qml.tape.make_qscript(affine)(theta[:4].reshape(2, 2), theta[4]).get_parameters()
    np.testing.assert_allclose(circuit.angle_map(theta), np.real(flat), atol=1e-14)


def plain_numpy(x):
    angles = [
        np.sum(x), np.mean(x), np.prod(x), np.clip(x[0], -1, 1), np.mod(x[1], 2), np.array([1.0, 2.0]) @ x,
        *np.concatenate([x, [0.1]]), *np.outer(x, x).ravel(), *np.array([x[0], x[1]]), np.append(x, 0.1)[1],
    ]  # fmt: skip
    for angle in angles:
        qml.RY(angle, 0)


def test_plain_numpys_functions_that_autograd_sees():
    circuit = wrap(plain_numpy, np.array([0.3, 0.8]))
    theta = np.array([0.4, -0.5])
    np.testing.assert_allclose(circuit.angle_map(theta), qml.tape.make_qscript(plain_numpy)(theta).get_parameters())
    np.testing.assert_allclose(
        circuit.angle_map.linearize(theta)[1].toarray(), jacobian_by_differences(circuit, theta), atol=1e-8
    )


@pytest.mark.parametrize(
    "arithmetic", [np.sin, lambda x: np.polyval([1, 2, 3], x), lambda x: np.interp(x, [0, 1], [0, 2])]
)
def test_plain_numpys_functions_that_it_does_not_are_refused(arithmetic):
    with pytest.raises(CircuitError, match=r"cannot be followed.*pennylane\.numpy or qml\.math"):
        wrap(lambda x: qml.RX(arithmetic(x), 0), 0.3)


def test_an_offset_that_is_only_rounding_is_none():
    circuit = wrap(lambda x: qml.RX(x / 3 * 3 - x * 0.1, 0), 0.7)
    assert circuit.angle_map(np.zeros(1))[0] == 0.0


def test_derivatives_that_are_only_rounding_are_none():
    def function(x):
        qml.RX(0.1 * x[0] * 3 - 0.3 * x[0] + x[1], 0)
        qml.RY(x[0], 0)

    matrix = wrap(function, np.array([0.3, 0.4])).angle_map.pattern.toarray()
    np.testing.assert_array_equal(matrix, [[0, 1], [1, 0]])


def test_a_constant_tensor_without_gradient():
    constant = pnp.array([0.5, 2.0], requires_grad=False)

    def function(x, y):
        qml.RX(x * constant[0] + y[0] * constant[1] + constant[0], 0)

    circuit = wrap(function, 0.3, np.ones(1))
    np.testing.assert_allclose(circuit.angle_map(np.array([2.0, 3.0])), [7.5])
    assert circuit.angle_map.is_affine


def test_a_derivative_that_vanishes_at_the_example_is_in_the_pattern():
    def function(x):
        qml.RX(pnp.sin(x[0]) - x[0] + x[1] ** 2, 0)
        qml.RY(pnp.cos(x[2]), 0)

    circuit = wrap(function, np.zeros(3))
    np.testing.assert_array_equal(circuit.angle_map.pattern.toarray() != 0, [[1, 1, 0], [0, 0, 1]])
    assert circuit.angle_map.linearize(np.zeros(3))[1].nnz == 0
    assert circuit.moving.all()
    assert circuit.layers[0].parameters == ("x[0]", "x[1]")


def test_both_branches_are_in_the_pattern():
    def function(x):
        qml.RX(pnp.where(x[0] > 0, x[1], x[2]), 0)
        qml.RY(pnp.maximum(x[0], x[1]), 0)

    circuit = wrap(function, np.array([1.0, 2.0, 3.0]))
    pattern = circuit.angle_map.pattern.toarray() != 0
    np.testing.assert_array_equal(pattern, [[False, True, True], [True, True, False]])
    values, jacobian = circuit.angle_map.linearize(np.array([-1.0, -2.0, 3.0]))
    np.testing.assert_allclose(values, [3.0, -1.0])
    np.testing.assert_allclose(jacobian.toarray(), [[0, 0, 1], [1, 0, 0]])


def test_a_number_used_twice_is_one_expression():
    def function(x):
        y = pnp.sin(x)
        qml.RX(y, 0)
        qml.RZ(y, 0)

    circuit = wrap(function, 0.3)
    assert circuit.angle_map.expressions.shape == (1, 1)


def test_transforms_on_the_qnode_apply():
    @qml.transforms.merge_rotations
    @qml.qnode(qml.device("default.qubit", wires=1))
    def node(x):
        qml.RX(x[0], 0)
        qml.RX(x[1], 0)
        return qml.expval(qml.Z(0))

    circuit = wrap(node, np.array([0.3, 0.4]))
    assert len(circuit.gates) == 1
    np.testing.assert_allclose(circuit.angle_map(np.array([0.5, 0.8])), [1.3])


# ----- arguments -----


@pytest.fixture
def node():
    @qml.qnode(qml.device("default.qubit", wires=2))
    def circuit(a, flag, b, unused, fixed=0.5):
        qml.RY(a[0], 0)
        qml.RX(a[1] * fixed, 1)
        if flag == "on":
            qml.RZ(b, 0)
        return qml.expval(qml.Z(0))

    return circuit


EVERY = (
    np.array([0.3, -0.7]),
    "on",
    1.1,
    np.array([[0.1, 0.2]]),
    pnp.array(2.0, requires_grad=False),
)


def test_arguments(node):
    circuit = wrap(node, *EVERY)
    assert circuit.parameters == ("a[0]", "a[1]", "b", "unused[0,0]", "unused[0,1]")
    assert circuit.device is node.device
    assert circuit.example[1] == "on"
    np.testing.assert_array_equal(circuit.flatten(circuit.example), [0.3, -0.7, 1.1, 0.1, 0.2])
    np.testing.assert_allclose(circuit.angle_map(np.arange(5.0)), [0.0, 2.0, 2.0])
    np.testing.assert_array_equal(circuit.angle_map.pattern.toarray()[:, 3:], np.zeros((3, 2)))


def test_structure_round_trip(node):
    circuit = wrap(node, *EVERY)
    flat = np.arange(5.0)
    a, flag, b, unused, fixed = circuit.unflatten(flat, EVERY)
    assert type(a) is np.ndarray
    assert type(unused) is np.ndarray
    assert unused.shape == (1, 2)
    assert type(b) is float
    assert (flag, fixed) == ("on", EVERY[4])
    np.testing.assert_array_equal(circuit.flatten((a, flag, b, unused, fixed)), flat)
    back = circuit.unflatten(flat, np.zeros(5))
    assert type(back) is np.ndarray
    np.testing.assert_array_equal(circuit.flatten(back), flat)


@pytest.mark.parametrize(
    ("example", "like"),
    [
        (np.zeros(3), np.zeros(3)),
        (np.zeros(3), (np.zeros(3),)),
        (np.zeros((2, 2)), np.zeros((2, 2))),
        (np.zeros((2, 2)), np.zeros(4)),
        (pnp.array([0.1, 0.2]), pnp.array([0.1, 0.2])),
        (0.5, 0.5),
        (0.5, np.float64(0.1)),
        (pnp.array(0.5), pnp.array(0.5)),
        (np.array(0.5), np.zeros(1)),
        ([0.1, 0.2], [0.3, 0.4]),
        ([0.1, [0.2, np.zeros(2)]], [0.1, [0.2, np.zeros(2)]]),
        ({"a": 0.1, "b": np.zeros(2)}, {"a": 0.3, "b": np.zeros(2)}),
        ((0.1, 0.2), (0.1, 0.2)),
    ],
)
def test_a_single_argument(example, like):
    def function(x):
        numbers = qml.math.concatenate([qml.math.reshape(v, (-1,)) for v in leaves(x)])
        for number in numbers:
            qml.RX(number, 0)

    def leaves(x):
        if isinstance(x, dict):
            x = list(x.values())
        return [leaf for v in x for leaf in leaves(v)] if isinstance(x, (list, tuple)) else [x]

    circuit = wrap(function, example)
    flat = np.arange(1.0, circuit.num_parameters + 1)
    back = circuit.unflatten(flat, like)
    assert type(back) is type(like)
    np.testing.assert_array_equal(circuit.flatten(back), flat)
    np.testing.assert_array_equal(circuit.angle_map(flat), flat)
    assert qml.math.shape(leaves(back)[0]) == qml.math.shape(leaves(like)[0])


def test_names_of_nested_arguments():
    circuit = wrap(lambda x, *more: qml.RX(x["w"][1][0], 0), {"w": [0.1, np.zeros(1)]}, 0.2, 0.3)
    assert circuit.parameters == ("x['w'][0]", "x['w'][1][0]", "more[0]", "more[1]")


def test_as_soon_as_one_argument_is_marked_the_others_are_data(node):
    marked = (pnp.array([0.3, -0.7], requires_grad=True), *EVERY[1:])
    circuit = wrap(node, *marked)
    assert circuit.parameters == ("a[0]", "a[1]")
    assert circuit.fixed == ("flag", "b", "unused", "fixed")
    np.testing.assert_allclose(circuit.angle_map(np.arange(2.0)), [0.0, 2.0, 1.1])
    a, *rest = circuit.unflatten(np.arange(2.0), marked)
    assert isinstance(a, pnp.tensor)
    assert a.requires_grad
    assert rest == [*marked[1:3], marked[3], marked[4]]
    with pytest.raises(ParameterError, match=r"b is not trainable and was 1\.1"):
        circuit.flatten((marked[0], "on", 1.2, *marked[3:]))


def test_theta_that_does_not_fit(node):
    circuit = wrap(node, *EVERY)
    changed = (*EVERY[:1], "off", *EVERY[2:])
    with pytest.raises(ParameterError, match=r"flag is not trainable and was 'on'.*wrap it again"):
        circuit.flatten(changed)
    with pytest.raises(ParameterError, match=r"fixed is not trainable"):
        circuit.flatten((*EVERY[:4], 2.5))
    with pytest.raises(ParameterError, match=r"5 argument.*a: shape \(2,\).*flat array of shape \(5,\)"):
        circuit.flatten(EVERY[:3])
    with pytest.raises(ParameterError, match="flat array"):
        circuit.flatten(np.zeros(4))
    with pytest.raises(ParameterError, match="finite"):
        circuit.flatten(np.full(5, np.nan))


def test_counts_and_gradless_tensors_are_not_parameters():
    def function(depth, x, y, z):
        for _ in range(depth):
            qml.RX(x[0] + y + z, 0)

    circuit = wrap(function, 2, np.array([1, 2]), pnp.array(0.3, requires_grad=False), 0.5)
    assert circuit.parameters == ("x[0]", "x[1]", "z")
    assert circuit.fixed == ("depth", "y")
    np.testing.assert_allclose(circuit.angle_map(np.array([1, 2, 0.25])), [1.55, 1.55])
    marked = wrap(function, 2, np.array([1, 2]), pnp.array(0.3, requires_grad=False), pnp.array(0.5))
    assert marked.parameters == ("z",)
    np.testing.assert_allclose(marked.angle_map(np.array([0.25])), [1.55, 1.55])


def test_a_circuit_without_parameters():
    circuit = wrap(qml.QNode(lambda: qml.T(0) and qml.expval(qml.Z(0)), qml.device("default.qubit", wires=1)))
    assert circuit.num_parameters == 0
    assert len(circuit.rotations) == 1
    assert circuit.unflatten(np.zeros(0), ()) == ()


# ----- scripts -----


def test_a_script():
    ops = [qml.RX(0.1, 0), qml.Rot(0.2, 0.3, 0.4, 1), qml.CNOT([0, 1]), qml.QubitUnitary(unitary(1), 0)]
    ops += [qml.CRY(0.5, [0, 1]), qml.BasicEntanglerLayers(np.array([[0.6, 0.7]]), [0, 1])]
    script = qml.tape.QuantumScript(ops, [qml.expval(qml.Z(0) + 0.5 * qml.X(1))])
    circuit = wrap(script)
    assert circuit.parameters == (
        "RX#0", "Rot#1[0]", "Rot#1[1]", "Rot#1[2]", "CRY#4", "BasicEntanglerLayers#5[0,0]",
        "BasicEntanglerLayers#5[0,1]",
    )  # fmt: skip
    np.testing.assert_allclose(circuit.flatten(circuit.example), np.arange(1, 8) / 10)
    assert len(circuit.observable) == 2
    theta = np.linspace(0.3, 2.0, 7)
    new = [*theta[:4], theta[4], theta[5:].reshape(1, 2)]
    moved = script.bind_new_parameters(new, [0, 1, 2, 3, 5, 6])
    psi = own_state(lambda: [qml.apply(op) for op in moved.operations], [0, 1])
    assert_same_state(dense.statevector(circuit, theta), psi)


def test_trainable_params_of_a_script():
    script = qml.tape.QuantumScript([qml.RX(0.1, 0), qml.RY(0.2, 0), qml.RX(0.3, 0)], trainable_params=[0, 2])
    circuit = wrap(script)
    assert circuit.parameters == ("RX#0", "RX#2")
    np.testing.assert_allclose(circuit.angle_map(np.zeros(2)), [0, 0.2, 0])


@pytest.mark.parametrize("name", [n for n in GATES if n not in ("IQP", "SpecialUnitary, fixed")])
def test_scripts_hold_what_functions_hold(name):
    """Reading a script at its own values is reading the function that made it."""
    case = GATES[name]
    labels = list(range(case.wires + 1))
    function = embedded(case, labels[1:], labels)
    script = qml.tape.make_qscript(function)(np.array(EXAMPLE))
    circuit = wrap(script)
    at = circuit.flatten(circuit.example)
    assert_same_state(dense.statevector(circuit, at), own_state(function, labels, np.array(EXAMPLE)))
    jacobian = circuit.angle_map.linearize(at)[1].toarray()
    np.testing.assert_allclose(jacobian, jacobian_by_differences(circuit, at), atol=1e-8)


def test_change_op_basis_in_a_script_keeps_its_order():
    def function(x):
        qml.RX(0.3, 0)
        qml.change_op_basis(qml.QFT([0, 1]), qml.RZ(x, 0))

    circuit = wrap(qml.tape.make_qscript(function)(0.4))
    psi = dense.statevector(circuit, [0.3, 0.9])
    assert_same_state(psi, own_state(function, [0, 1], 0.9))


# ----- what a QNode measures -----


def test_a_qnode_brings_its_observable():
    @qml.qnode(qml.device("default.qubit", wires=3))
    def node(x):
        qml.RX(x, 1)
        return qml.expval(qml.Hamiltonian([0.5, -2.0], [qml.Z(0) @ qml.Y(2), qml.Identity(1)]))

    circuit = wrap(node, 0.1)
    terms = dict(zip(circuit.observable.strings.labels(), circuit.observable.coefficients, strict=True))
    assert terms == {"YIZ": 0.5, "III": -2.0}


@pytest.mark.parametrize(
    "measure",
    [
        lambda: qml.state(),
        lambda: qml.probs(wires=0),
        lambda: qml.var(qml.Z(0)),
        lambda: (qml.expval(qml.Z(0)), qml.expval(qml.X(0))),
        lambda: qml.sample(wires=0),
    ],
)
def test_other_measurements_bring_none(measure):
    @qml.qnode(qml.device("default.qubit", wires=1), shots=None)
    def node(x):
        qml.RX(x, 0)
        return measure()

    assert wrap(node, 0.1).observable is None


def circuit_on(labels):
    return wrap(qml.QNode(lambda x: qml.RX(x, labels[0]), qml.device("default.qubit", wires=labels)), 0.1)


@pytest.mark.parametrize(
    "operator",
    [
        qml.Z("a"),
        qml.Identity("b"),
        qml.X("c") @ qml.Y("a"),
        qml.Hamiltonian([0.3, -0.2, 1.5], [qml.Z("a"), qml.Z("a"), qml.X("b") @ qml.Z("c")]),
        0.5 * qml.X("a") + 2 * qml.Z("b") @ qml.Z("b") - 0.25 * (qml.Y("c") @ qml.Y("a")),
        qml.Hermitian(np.array([[1, 2 - 1j], [2 + 1j, -3]]), "b"),
        qml.Hermitian(np.add.outer(np.arange(4), np.arange(4)), ["c", "a"]) + qml.X("b"),
        qml.Projector([1, 0], ["b", "c"]),
        qml.Projector(state(2), ["c", "a"]),
        qml.prod(qml.Projector([1], "a"), qml.X("c")),
        qml.SparseHamiltonian(qml.X("b").sparse_matrix(), wires=["b"]),
    ],
)
def test_observables(operator):
    labels = ["c", "a", "b"]
    observable = as_observable(operator, circuit_on(labels))
    terms = dict(zip(observable.strings.labels(), observable.coefficients, strict=True))
    if isinstance(operator, qml.SparseHamiltonian):
        operator = qml.X("b")
    expected = qml.matrix(operator, wire_order=labels[::-1])
    np.testing.assert_allclose(dense.observable_matrix(terms), expected, atol=1e-12)


def test_integer_wires_are_the_qubits_of_other_circuits():
    qiskit = pytest.importorskip("qiskit")
    circuit = wrap(qiskit.QuantumCircuit(3))
    assert as_observable(qml.Z(0) @ qml.X(2), circuit).strings.labels() == ["XIZ"]
    with pytest.raises(ObservableError, match=r"wires \[3\].*its wires are \[0, 1, 2\]"):
        as_observable(qml.Z(3), circuit)


def test_hundreds_of_terms_are_quick():
    rng = np.random.default_rng(1)
    words = [qml.pauli.PauliWord(dict(enumerate(rng.choice(list("XYZ"), 12).tolist()))) for _ in range(800)]
    sentence = qml.pauli.PauliSentence(dict.fromkeys(words, 0.5))
    observable = as_observable(sentence.operation(), circuit_on(list(range(12))))
    labels = set(observable.strings.labels())
    assert labels == {"".join(word[i] for i in reversed(range(12))) for word in words}


@pytest.mark.parametrize(
    ("operator", "message"),
    [
        (qml.Z("x"), r"wires \['x'\], which the circuit does not have; its wires are \[0, 1"),
        (1j * qml.Z(0), "Hermitian"),
        (qml.prod(*(qml.Hadamard(w) for w in range(7))) @ qml.exp(qml.X(0) + 2 * qml.Z(0), 1), "must be Hermitian"),
        (qml.Hermitian([[1, 2], [2.1, 1]], 3), r"Hermitian on wires \[3\].*entries up to 0.05"),
        (qml.prod(qml.S(0), qml.X(1)), "must be Hermitian"),
        *(
            [(qml.QuadX(0), "acts on continuous variables, not on qubits")] if hasattr(qml, "QuadX") else []
        ),  # gone in 0.46
        (qml.QubitChannel([np.eye(2)], 0), "noise channels"),
        (qml.BasisState([1], 0), "not an observable on qubits"),
    ],
)
def test_observables_that_are_refused(operator, message):
    with pytest.raises(ObservableError, match=message):
        as_observable(operator, circuit_on(list(range(7))))


def test_coefficients_with_parameters_are_refused():
    def function(x):
        qml.RX(x, 0)
        return qml.expval(qml.Hamiltonian([x, 1.0], [qml.Z(0), qml.X(0)]))

    with pytest.raises(ObservableError, match=r"coefficients depend on trainable arguments.*requires_grad=False"):
        wrap(function, 0.3)
    assert len(wrap(function, pnp.array(0.3, requires_grad=False)).observable) == 2


def test_coefficients_that_go_around_the_trace_are_refused():
    def function(x):
        qml.RX(x, 0)
        return qml.expval(qml.Hamiltonian([qml.math.unwrap([x])[0], 1.0], [qml.Z(0), qml.X(0)]))

    with pytest.raises(ObservableError, match="observable changes with the parameters"):
        wrap(function, 0.3)


# ----- refusals -----


def measure_midway(x):
    qml.RX(x, 0)
    qml.measure(0)
    qml.RX(x, 0)


def condition(x):
    m = qml.measure(1)
    qml.cond(m, qml.RX)(x, 0)


def reset(x):
    qml.RX(x, 0)
    qml.measure(0, reset=True)


def prepare_late(x):
    qml.RX(x, 0)
    qml.StatePrep(state(1), wires=[0])


def allocate(x):
    with qml.allocate(1) as wires:
        qml.RX(x, wires[0])


class Opaque(Operation):
    num_params = 1


def choose(x):
    if x > 0.5:
        qml.RX(x, 0)
    else:
        qml.RY(x, 0)


def fixed_by_value(x):
    qml.RX(0.25 * pnp.floor(10 * x), 0)


def restless():
    rng = np.random.default_rng(1)
    return lambda x: qml.RX(x * rng.random(), 0)


def detached(x):
    qml.RX(pnp.sin(x) + 0.5 * qml.math.unwrap([x])[0], 0)


WAVE = np.array([0.6, 0.8, 0.0, 0.0])


# PennyLane 0.46 has these no more.
NO_QUBITS = [
    (function, 0.3, words)
    for name, function, words in (
        ("Displacement", lambda x: qml.Displacement(x, 0.1, 0), "Displacement.*continuous variables"),
        ("TRX", lambda x: qml.TRX(x, 0), "TRX.*qutrits"),
    )
    if hasattr(qml, name)
]


@pytest.mark.parametrize(
    ("function", "argument", "message"),
    [
        (measure_midway, 0.3, r"gate #1, MidMeasure\w* on wires \[0\]: measurements in the middle"),
        (condition, 0.3, r"gate #0, MidMeasure.*defer_measurements"),
        (reset, 0.3, r"gate #1, MidMeasure.*reset"),
        (lambda x: qml.BitFlip(0.1, wires=4), 0.3, r"gate #0, BitFlip on wires \[4\]: noise"),
        (lambda x: qml.QubitDensityMatrix(np.eye(2) / 2, 0), 0.3, "QubitDensityMatrix.*not unitary"),
        (prepare_late, 0.3, r"gate #1, StatePrep on wires \[0\]: it prepares a state.*at the start"),
        (lambda x: [qml.RX(x, 1), qml.BasisState([1, 1], [0, 1])], 0.3, "gate #1, BasisState.*prepares"),
        (allocate, 0.3, "allocated on the fly"),
        (lambda x: Opaque(x, wires=[0]), 0.3, "neither a decomp"),
        *NO_QUBITS,
        (lambda x: qml.RX(x, 0), np.zeros(2), r"gate #0, RX on wires \[0\].*shape \(2,\).*batched"),
        (lambda x: qml.Rot(x[0], x, 0.1, 0), np.zeros(2), "batched"),
        (lambda x: qml.MultiRZ(np.zeros(3) + x, [0, 1]), 0.3, "batched"),
        (lambda x: qml.StronglyEntanglingLayers(x, [0, 1]), np.zeros((5, 1, 2, 3)), "batched"),
        (lambda x: qml.QubitUnitary(np.stack([np.eye(2)] * 3), 0), 0.3, "QubitUnitary.*batched"),
        (lambda x: qml.QubitUnitary(np.array([[1, 1], [0, 1.0]]), 0), 0.3, "QubitUnitary.*not unitary"),
        (lambda x: qml.QubitUnitary(x, 0), np.eye(2), "not unitary at all values near.*requires_grad=False"),
        (lambda x: qml.QubitUnitary(np.eye(2**9), range(9)), 0.3, "on 9 wires; at most 8"),
        (lambda x: qml.SpecialUnitary(x, range(4)), np.zeros(255), "4 wires, more than 3"),
        (lambda x: qml.DiagonalQubitUnitary([1, 2], 0), 0.3, "not unitary"),
        (lambda x: qml.Projector([0], 0), 0.3, "Projector.*not unitary"),
        (lambda x: qml.Hermitian(np.diag([1.0, 2.0]), 0), 0.3, "Hermitian.*not unitary"),
        (lambda x: qml.SparseHamiltonian(qml.X(0).sparse_matrix() * 2, 0), 0.3, "not unitary"),
        (lambda x: qml.sum(qml.X(0), qml.Z(0)), 0.3, "not unitary"),
        (lambda x: qml.exp(qml.X(0), x), 0.3, "Exp.*not unitary.*imaginary"),
        (lambda x: qml.exp(qml.S(0), 1j * x), 0.3, "Exp.*not unitary.*not Hermitian"),
        (
            lambda x: qml.evolve(qml.Hamiltonian([x, 1.0], [qml.X(0), qml.Z(0)]), 0.5),
            0.3,
            "do not commute and have parameters.*TrotterProduct",
        ),
        (
            lambda x: qml.evolve(qml.sum(*(qml.X(i) + qml.Z(i) for i in range(7))), x),
            0.3,
            "do not commute, and it acts on more than 6 wires",
        ),
        (
            lambda x: qml.pow(qml.X(0), x),
            0.3,
            "a power of PauliX cannot be followed where the exponent.*scale the angle",
        ),
        (choose, 0.3, r"structure depends on parameter values.*gate #0 is R. on qubits \[0\]"),
        (fixed_by_value, 0.3, "gate #0 is of one fixed angle"),
        (restless(), 0.3, "gate #0, RX.*random numbers"),
        (detached, 0.3, "gate #0, RX.*taken out of their arrays"),
        (lambda x: qml.RX(np.sin(x), 0), 0.3, r"cannot be followed.*write it with pennylane\.numpy"),
        (lambda x: qml.RX(float(x), 0), 0.3, r"cannot be followed.*no float\(\)"),
        (lambda x: qml.RX(pnp.nanmedian(x), 0), np.ones(3), "gate #0, RX.*no derivative of nanmedian"),
        (lambda x: qml.RX(np.nan * 1.0, 0), 0.3, "its parameter is nan"),
        (lambda x: qml.RX(0.3j, 0), 0.3, "must be real"),
        (lambda x: qml.AmplitudeEmbedding(x, [0, 1]), WAVE, "fails at parameter values near.*norm"),
        (lambda x: None, 0.3, "no wires"),
    ],
)
def test_circuits_that_are_refused(function, argument, message):
    with pytest.raises(CircuitError, match=message):
        wrap(function, argument)


@pytest.mark.parametrize("name", [n for n, why in REFUSED.items() if why == "noise"])
def test_noise_is_refused(name):
    arguments = {
        "QubitChannel": ([np.eye(2)],),
        "PauliError": ("X", 0.1),
        "ResetError": (0.1, 0.1),
        "GeneralizedAmplitudeDamping": (0.1, 0.1),
        "ThermalRelaxationError": (0.1, 1.0, 1.0, 0.1),
        "QubitDensityMatrix": (np.eye(2) / 2,),
    }.get(name, (0.1,))
    with pytest.raises(CircuitError, match=f"{name}.*noise channels and mixed states are not unitary"):
        wrap(lambda: getattr(qml, name)(*arguments, wires=0))


def test_deferred_measurements_are_gates():
    @qml.defer_measurements
    @qml.qnode(qml.device("default.qubit", wires=3))
    def node(x):
        qml.RX(x, 0)
        m = qml.measure(0)
        qml.cond(m, qml.RY)(x / 2, 1)
        return qml.expval(qml.Z(1))

    circuit = wrap(node, 0.3)
    psi = dense.statevector(circuit, [0.9])
    z = dense.observable_matrix(
        dict(zip(circuit.observable.strings.labels(), circuit.observable.coefficients, strict=True))
    )
    np.testing.assert_allclose(np.vdot(psi, z @ psi).real, node(0.9), atol=1e-12)


def test_a_wire_that_the_device_does_not_have():
    node = qml.QNode(lambda x: qml.RX(x, "z") and qml.state(), qml.device("default.qubit", wires=2))
    with pytest.raises(CircuitError, match=r"RX acts on wire 'z'.*its wires are \[0, 1\]"):
        wrap(node, 0.3)


def test_a_transform_that_splits_the_circuit():
    @qml.gradients.param_shift
    @qml.qnode(qml.device("default.qubit", wires=1))
    def node(x):
        qml.RX(x, 0)
        return qml.expval(qml.Z(0))

    with pytest.raises(CircuitError, match="make 2 circuits"):
        wrap(node, pnp.array(0.3))


def test_arguments_that_do_not_fit():
    def function(a, b):
        qml.RX(a + b, 0)

    for arguments in ((), (0.1,), (0.1, 0.2, 0.3)):
        with pytest.raises(CircuitError, match=r"function\(a, b\).*call wrap\(node, \*example_args\)"):
            wrap(function, *arguments)
    script = qml.tape.QuantumScript([qml.RX(0.1, 0)])
    with pytest.raises(CircuitError, match="without example arguments"):
        wrap(script, 0.3)
    with pytest.raises(CircuitError, match="RX is not a circuit"):
        wrap(qml.RX(0.1, 0))
    with pytest.raises(ParameterError, match="argument a is an array of Python objects"):
        wrap(function, np.array([None]), 0.1)
    with pytest.raises(ParameterError, match="finite"):
        wrap(function, np.inf, 0.1)


def test_a_mistake_in_the_users_function_is_shown_as_it_is():
    def function(x):
        raise ValueError("of my own")

    with pytest.raises(ValueError, match=r"^of my own$"):
        wrap(function, 0.3)


def test_a_structure_that_changes_later():
    def function(x):
        qml.RX(x[0], 0)
        if x[1] > 100:
            qml.RY(x[1], 0)

    circuit = wrap(function, np.array([0.3, 0.2]))
    np.testing.assert_allclose(circuit.angle_map(np.array([0.4, 99])), [0.4])
    with pytest.raises(CircuitError, match=r"structure depends on parameter values.*gate #1 is there"):
        circuit.angle_map(np.array([0.4, 101]))


def test_values_that_are_not_finite():
    with pytest.raises(ParameterError, match=r"gate #0, RX on qubits.*its angle is nan"):
        wrap(lambda x: qml.RX(pnp.arccos(x), 0), 1.5)
    circuit = wrap(lambda x: qml.RX(pnp.sqrt(x), 0), 0.5)
    with pytest.raises(ParameterError, match="its derivative is inf"):
        circuit.angle_map(np.zeros(1))


def test_wrapping_does_not_execute():
    class Refusing(qml.devices.DefaultQubit):
        def execute(self, *args, **kwargs):
            raise AssertionError("executed")

    @qml.qnode(Refusing(wires=2))
    def node(x):
        qml.RX(x, 0)
        return qml.expval(qml.Z(1))

    assert wrap(node, 0.3).num_qubits == 2
