"""What goes into a QNode and comes out: which of its arguments' numbers are parameters, in every style of writing
them, against PennyLane's own results and differences of its states."""

from __future__ import annotations

import collections
import functools
import importlib

import numpy as np
import pennylane as qml
import pytest
from pennylane import numpy as pnp

import qngd
from qngd.errors import CircuitError, ObservableError, ParameterError, SettingError
from qngd.interop import wrap
from tests import dense
from tests.pages import shown

WIRES = 3
OBSERVABLE = qml.Z(0) @ qml.X(1) + 0.5 * qml.Y(2) - 0.3 * qml.Z(1)
Pair = collections.namedtuple("Pair", "first second")


def node_of(function, measure=lambda: qml.expval(OBSERVABLE)):
    """A QNode on three entangled wires around `function`."""

    @qml.qnode(qml.device("default.qubit", wires=WIRES))
    @functools.wraps(function)
    def node(*args, **kwargs):
        for wire in range(WIRES):
            qml.RY(0.4 + 0.3 * wire, wire)
        function(*args, **kwargs)
        qml.CNOT([0, 1])
        qml.CNOT([1, 2])
        qml.RX(0.7, 1)
        return measure()

    return node


def truth(function, bind, theta):
    """Energy, gradient and metric by differences of PennyLane's own statevector."""
    states = node_of(function, qml.state)

    def psi(flat):
        return np.asarray(states(*bind(flat)))

    matrix = qml.matrix(OBSERVABLE, wire_order=range(WIRES))
    rows, here = dense.derivative_states(psi, np.asarray(theta, dtype=float), 1e-3), psi(np.asarray(theta, dtype=float))
    overlap = rows.conj() @ here
    metric = np.real(rows.conj() @ rows.T) - np.real(np.outer(overlap, overlap.conj()))
    return np.real(here.conj() @ matrix @ here), 2 * np.real(rows.conj() @ (matrix @ here)), metric


def assert_right(function, args, bind, theta):
    node = node_of(function)
    energy, slope, metric = truth(function, bind, theta)
    np.testing.assert_allclose(qngd.expectation(node, None, args).value, energy, atol=1e-9)
    np.testing.assert_allclose(qngd.gradient(node, None, args).value, slope, atol=1e-8)
    np.testing.assert_allclose(np.asarray(qngd.metric_tensor(node, args, approx="full")), metric, atol=1e-8)


def three(a, b, c):
    qml.RX(a, 0)
    qml.RZ(2 * b, 1)
    qml.CRY(c, [1, 2])


A, B, C = 0.3, -0.8, 1.1

# The function, its arguments, how a flat vector fills them, and the flat vector.
STYLES = {
    "one array": (lambda x: three(*x), (np.array([A, B, C]),), lambda t: (t,), [A, B, C]),
    "a two-dimensional array": (
        lambda x: three(x[0, 0], x[0, 1], x[0, 2]), (np.array([[A, B, C]]),), lambda t: (t.reshape(1, 3),), [A, B, C],
    ),
    "numbers": (three, (A, B, C), lambda t: tuple(t), [A, B, C]),
    "NumPy's numbers": (three, (np.float64(A), np.float32(0.5), np.array(C)), lambda t: tuple(t), [A, 0.5, C]),
    "whole and broken numbers": (three, (0, B, 1), lambda t: tuple(t), [0, B, 1]),
    "a list of both": (lambda x: three(*x), ([0, B, 1],), lambda t: (list(t),), [0, B, 1]),
    "a list of whole numbers": (lambda x: three(*x), ([0, 2, 1],), lambda t: (list(t),), [0, 2, 1]),
    "whole arrays": (lambda x: three(*x), (np.array([0, 2, 1]),), lambda t: (t,), [0, 2, 1]),
    "whole arrays that are marked": (
        lambda x: three(*x), (pnp.array([1, 2, 3], requires_grad=True),), lambda t: (t,), [1, 2, 3],
    ),
    "a dict": (
        lambda p: three(p["a"], *p["rest"]), ({"a": A, "rest": np.array([B, C])},),
        lambda t: ({"a": t[0], "rest": t[1:]},), [A, B, C],
    ),
    "a named tuple": (
        lambda p: three(p.first, *p.second), (Pair(A, [B, C]),), lambda t: (Pair(t[0], t[1:]),), [A, B, C],
    ),
    "nested tuples": (
        lambda p: three(p[0], *p[1][0]), ((A, ([B, C],)),), lambda t: ((t[0], (t[1:],)),), [A, B, C],
    ),
    "marked beside data": (
        lambda x, data: three(x[0] * data[0], x[1] + data[1], 0.4), (pnp.array([A, B]), np.array([0.5, 2.0])),
        lambda t: (t, np.array([0.5, 2.0])), [A, B],
    ),
    "marked beside numbers": (
        lambda x, factor, shift: three(x[0] * factor, x[1] + shift, 0.4), (pnp.array([A, B]), 2, 0.5),
        lambda t: (t, 2, 0.5), [A, B],
    ),
    "marked in a dict beside data": (
        lambda p: three(p["w"], p["data"][0], 0.4), ({"w": pnp.array(A), "data": [0.5, 2.0]},),
        lambda t: ({"w": t[0], "data": [0.5, 2.0]},), [A],
    ),
    "nothing marked": (
        lambda x, y: three(x[0], x[1], y[0]), (np.array([A, B]), np.array([C])), lambda t: (t[:2], t[2:]), [A, B, C],
    ),
    "layers counted by a whole number": (
        lambda n, x: [three(*x) for _ in range(n)], (2, np.array([A, B, C])), lambda t: (2, t), [A, B, C],
    ),
    "a flag and wires": (
        lambda flag, wires, x: (qml.RX(x[0], wires[1]), qml.RZ(x[1], 0) if flag == 1 else qml.RY(x[1], 0)),
        (1, [0, 2], [0, 1.5]), lambda t: (1, [0, 2], list(t)), [0, 1.5],
    ),
    "defaults": (lambda x, factor=2.0: three(x[0] * factor, x[1], 0.2), (np.array([A, B]),), lambda t: (t,), [A, B]),
    "a keyword with a default": (
        lambda x, *, factor=2.0: three(x[0] * factor, x[1], 0.2), (np.array([A, B]),), lambda t: (t,), [A, B],
    ),
    "parameters in a list among constants": (
        lambda w: qml.StronglyEntanglingLayers([[[w[0], w[1], 0.1]] * 3], range(3)), (np.array([A, B]),),
        lambda t: (t,), [A, B],
    ),
    "lists of lists": (
        lambda w: qml.BasicEntanglerLayers(w, range(3)), ([[A, B, 0]],), lambda t: ([list(t)],), [A, B, 0],
    ),
    "a list in a matrix": (
        lambda w: qml.SpecialUnitary([w[0], w[1], 0.2], 1), (np.array([A, B]),), lambda t: (t,), [A, B],
    ),
    "a list under a multiplexer": (
        lambda w: qml.SelectPauliRot([w[0], 0.3], control_wires=[0], target_wire=1), (np.array([A]),),
        lambda t: (t,), [A],
    ),
}  # fmt: skip


@pytest.mark.parametrize("style", STYLES)
def test_styles(style):
    function, args, bind, theta = STYLES[style]
    assert_right(function, args, bind, theta)


def test_whole_numbers_are_trained():
    @qml.qnode(qml.device("default.qubit", wires=1))
    def node(x):
        qml.RX(x[0], 0)
        qml.RY(x[1], 0)
        return qml.expval(qml.X(0) + qml.Z(0))

    result = qngd.minimize(node, theta0=[1, 2])
    assert abs(result.energy + np.sqrt(2)) < 1e-6
    assert all(type(value) is float for value in result.theta)


def test_what_is_fixed_is_named():
    def function(w, depth, name, state, pair, data):
        qml.StatePrep(state, 0)
        for i in range(depth):
            qml.RX(w[i] * pair.first + data[0], 0)

    state = np.array([1, 1j]) / np.sqrt(2)
    circuit = wrap(function, pnp.array([0.1, 0.2]), 2, "x", state, Pair(2.0, None), [0.5, 1.5])
    assert circuit.fixed == ("depth", "name", "state", "pair.first", "pair.second", "data[0]", "data[1]")
    assert repr(circuit).endswith("fixed=(depth, name, state, pair.first, pair.second, data[0], …))")
    assert "fixed" not in repr(wrap(lambda x: qml.RX(x, 0), 0.1))


def test_where_all_is_fixed_the_error_says_what():
    node = node_of(lambda x: qml.RX(x[0], 0))
    with pytest.raises(ParameterError, match=r"no trainable parameters.*: x is fixed"):
        qngd.minimize(node, None, pnp.array([0.3], requires_grad=False))


def test_a_whole_number_that_no_gate_depends_on_is_fixed():
    circuit = wrap(lambda deep, x: qml.RX(x, 0) if deep > 0 else qml.RY(x, 0), 3, 0.2)
    assert (circuit.parameters, circuit.fixed) == (("x",), ("deep",))


@pytest.mark.parametrize(
    ("function", "marked", "message"),
    [
        (
            lambda x, s: qml.StatePrep(s, 0) and qml.RX(x, 0),
            pnp.array([1, 1j]) / np.sqrt(2),
            r"argument s is marked.*complex128.*pnp\.array\(s, requires_grad=False\)",
        ),
        (lambda x, s: qml.RX(x, s[0]), pnp.array([0, 1]), r"s holds whole numbers.*mark it requires_grad=False"),
        (lambda x, s: qml.RX(x, 0), pnp.array([True]), r"argument s is marked.*its dtype is bool"),
    ],
)
def test_a_mark_that_cannot_be_met_is_an_error(function, marked, message):
    with pytest.raises((CircuitError, ParameterError), match=message):
        wrap(function, 0.1, marked)


def test_theta_keeps_its_dtype():
    circuit = wrap(lambda x, y: (qml.RX(x[0], 0), qml.RY(y, 0)), np.zeros(1, dtype=np.float32), np.float32(0))
    x, y = circuit.unflatten(np.array([0.5, 0.25]), circuit.example)
    assert (x.dtype, type(y)) == (np.float32, np.float32)
    whole = wrap(lambda x: qml.RX(x[0], 0), np.array([1]))
    assert whole.unflatten(np.array([0.5]), whole.example).dtype == np.float64


def test_theta_that_is_traced_is_refused():
    node = node_of(lambda x: qml.RX(x[0], 0))
    with pytest.raises(ParameterError, match=r"differentiated by autograd.*qngd\.gradient"):
        qml.grad(lambda x: float(qngd.expectation(node, None, x)))(pnp.array([0.3]))


@pytest.mark.parametrize(
    ("args", "shapes"),
    [
        ((pnp.array([A, B]), 2.0), (2,)),
        ((np.array([[A, B]]), 2.0), [(1, 2), ()]),
        (({"w": pnp.array([A, B]), "n": 1}, 2.0), {"w": (2,), "n": None}),
    ],
)
def test_gradients_in_the_structure_of_the_arguments(args, shapes):
    def function(w, factor):
        angles = w["w"] if isinstance(w, dict) else qml.math.reshape(w, (2,))
        qml.RX(angles[0] * factor, 0)
        qml.RY(angles[1], 1)

    node = node_of(function)
    circuit = wrap(node, *args)
    parts = circuit.split(qngd.gradient(node, None, args).value)
    if isinstance(shapes, dict):
        assert parts["n"] is None
        parts = parts["w"]
    elif isinstance(shapes, list):
        assert [part.shape for part in parts] == shapes
        parts = parts[0].reshape(2)
    expected = qml.grad(node, argnums=0)(pnp.array([A, B]), 2.0)
    np.testing.assert_allclose(parts, expected, atol=1e-10)


# ----- functions around a QNode -----


@qml.qnode(qml.device("default.qubit", wires=2))
def weighted(w, x=0.5):
    qml.RX(w[0], 0)
    qml.RY(w[1] * x, 1)
    qml.CNOT([0, 1])
    return qml.expval(qml.Z(0) @ qml.Z(1) + 0.5 * qml.X(1))


START = pnp.array([0.3, 0.8], requires_grad=True)


@pytest.mark.parametrize(
    "around",
    [
        lambda w: weighted(w, 2.0),
        functools.partial(weighted, x=2.0),
        lambda w: (lambda v: weighted(v, x=2.0))(w),
        lambda w: weighted(w * 1.0, 2.0),
    ],
)
def test_a_function_that_hands_on_to_a_qnode_is_that_qnode(around):
    circuit = wrap(around, START)
    assert circuit.device is weighted.device
    np.testing.assert_allclose(qngd.expectation(around, None, START).value, weighted(START, 2.0), atol=1e-10)
    expected = qml.grad(weighted, argnums=0)(START, 2.0)
    np.testing.assert_allclose(qngd.gradient(around, None, START).value, expected, atol=1e-10)


@pytest.mark.parametrize(
    "cost",
    [
        lambda w: 2 * weighted(w),
        lambda w: weighted(w) ** 2,
        lambda w: pnp.sin(weighted(w)),
        lambda w: [weighted(w)],
        lambda w: weighted(w) + weighted(2 * w),
        lambda w: float(weighted(w)),
        lambda w: qml.RX(w[0], 0) and weighted(w),
    ],
)
def test_a_function_that_computes_with_a_qnode_is_refused_by_name(cost):
    with pytest.raises(CircuitError, match=r"computes with the result of the QNode weighted.*minimize\(weighted, "):
        wrap(cost, START)


def test_a_function_without_gates_of_its_own_is_told_what_to_give():
    with pytest.raises(CircuitError, match=r"at least one operation.*was compiled.*minimize\(node, theta0\)"):
        wrap(lambda x: 2 * x, 0.3)
    with pytest.raises(CircuitError, match="was compiled"):
        wrap(lambda x: float(x), 0.3)
    with pytest.raises(CircuitError, match=r"gate #0, RX.*its parameter is 'a', which is no number"):
        wrap(lambda x: qml.RX(x, 0), "a")


def test_a_qnode_is_not_executed_by_a_function_around_it():
    class Refusing(qml.devices.DefaultQubit):
        def execute(self, *args, **kwargs):
            raise AssertionError("executed")

    @qml.qnode(Refusing(wires=1))
    def node(x):
        qml.RX(x, 0)
        return qml.expval(qml.Z(0))

    assert wrap(lambda x: node(x), 0.3).num_parameters == 1
    with pytest.raises(CircuitError, match="computes with the result of the QNode node"):
        wrap(lambda x: 2 * node(x), 0.3)
    with pytest.raises(AssertionError, match="executed"):  # PennyLane's own way is back
        node(0.3)


def test_the_examples_in_the_docs_run():
    page = shown("pennylane.md")
    assert page.circuit.num_parameters == 4
    assert page.weights.shape == (2, 2)


# ----- what people write first -----


def test_theta_in_the_place_of_the_observable():
    np.testing.assert_allclose(qngd.expectation(weighted, START).value, weighted(START))
    assert qngd.minimize(weighted, START, max_steps=2).steps == 2
    assert qngd.minimize(weighted, (START, 0.5), max_steps=1).theta[1] == 0.5
    assert qngd.minimize(qngd.Problem(weighted, START), max_steps=1).steps == 1
    assert qngd.cost(weighted, START, shots=10).step.shots > 0
    assert qngd.gradient(weighted, START).value.shape == (2,)
    with pytest.raises(ParameterError, match=r"parameter values stand in its place.*\(node, theta0\)"):
        qngd.expectation(weighted, START, qml.Z(0))
    with pytest.raises(ObservableError, match=r"brings none of its own.*minimize\(circuit, observable, theta0\)"):
        qngd.minimize(lambda x: qml.RX(x, 0), 0.3)
    with pytest.raises(ParameterError, match="theta is missing"):
        qngd.metric_tensor(weighted)


@pytest.mark.parametrize(
    ("measure", "message"),
    [
        (
            lambda: [qml.expval(qml.Z(0)), qml.expval(qml.X(0))],
            r"returns 2 expectation values.*observable=Z\(0\) \+ X\(0",
        ),
        (lambda: qml.probs(wires=0), r"returns probs.*no single expectation value"),
        (lambda: qml.state(), r"returns state.*no single expectation value"),
    ],
)
def test_a_qnode_without_one_expectation_value_says_what_it_returns(measure, message):
    node = qml.QNode(lambda x: (qml.RX(x, 0), measure())[1], qml.device("default.qubit", wires=1))
    with pytest.raises(ObservableError, match=message):
        qngd.minimize(node, theta0=0.3)


def test_a_batch_of_data_is_named():
    def function(w, x):
        qml.AngleEmbedding(x, range(2))
        qml.RX(w[0], 0)

    with pytest.raises(CircuitError, match=r"the argument x holds a batch of 5.*wrap\(node, w, x\[0\]\)"):
        wrap(function, START, np.ones((5, 2)))
    for data in (np.ones(5), [0.1] * 5):
        with pytest.raises(
            CircuitError, match=r"data have shape \(5,\) where one number.*the argument x holds a batch of 5"
        ):
            wrap(lambda w, x: qml.RX(x, 0), START, data)
    with pytest.raises(CircuitError, match=r"a parameter has shape \(2,\) where one number"):
        wrap(lambda w: qml.RX([w[0], w[1]], 0), START)


def test_a_batch_of_one_is_one_circuit():
    @qml.qnode(qml.device("default.qubit", wires=2))
    def node(w, x):
        qml.AngleEmbedding(x, range(2))
        qml.RY(w, 0)
        qml.CNOT([0, 1])
        qml.RX(w * x[:, 1], 1)
        return qml.expval(qml.Z(1))

    args = pnp.array([0.3], requires_grad=True), pnp.array([[0.5, -0.8]], requires_grad=False)
    circuit = wrap(node, *args)
    assert qngd.expectation(circuit, theta=args).value == pytest.approx(node(*args)[0], abs=1e-12)
    slope = qml.grad(lambda w: node(w, args[1])[0])(args[0])
    np.testing.assert_allclose(qngd.gradient(circuit, theta=args).value, slope, atol=1e-12)


def test_arguments_by_keyword_are_fixed_with_partial():
    def function(w, *, x):
        qml.RX(w[0] * x, 0)

    with pytest.raises(
        CircuitError, match=r"missing a required .*argument: 'x'.*functools\.partial\(function, name=value"
    ):
        wrap(function, START)
    np.testing.assert_allclose(wrap(functools.partial(function, x=3.0), START).angle_map(np.ones(2)), [3.0])


def test_pennylanes_optimizer_takes_our_metric():
    optimizer = qml.QNGOptimizer(0.1, lam=0.01)
    metric = qml.metric_tensor(weighted, approx="block-diag")
    expected = optimizer.step(weighted, START, metric_tensor_fn=metric)
    for ours in (lambda w: qngd.metric_tensor(weighted, w), functools.partial(qngd.metric_tensor, weighted)):
        np.testing.assert_allclose(optimizer.step(weighted, START, metric_tensor_fn=ours), expected, atol=1e-8)
    with pytest.raises(ParameterError, match=r"metric_tensor_fn=lambda \*args: qngd\.metric_tensor\(node, args\)"):
        optimizer.step(weighted, START, metric_tensor_fn=qngd.metric_tensor)
    with pytest.raises(TypeError, match=r"no function.*metric_tensor_fn=lambda"):
        optimizer.step(weighted, START, metric_tensor_fn=wrap(weighted, START))


# ----- shots -----


def test_shots_of_a_qnode_count_on_every_way_in():
    node = qml.set_shots(weighted, shots=50)
    for way in (node, wrap(node, START), lambda w: node(w)):
        for backend in (None, "statevector", "lightning.qubit"):
            options = {"backend": backend, "seed": 1}
            assert qngd.expectation(way, None, START, **options).shots > 0
            assert not qngd.gradient(way, None, START, **options).is_exact
            assert not qngd.metric_tensor(way, START, **options).is_exact
            assert sum(qngd.sample(way, START, **options).values()) == 50
        assert qngd.cost(way, None, START).step.shots == 50 * qngd.cost(way, None, START).step.circuits
        run = qngd.minimize(way, None, START, max_steps=1, seed=1)
        assert run.cost.shots == 50 * run.cost.circuits
    assert qngd.expectation(node, None, START, shots=70, seed=1).shots % 70 == 0


def test_no_shots_of_a_qnode_count_too():
    with pytest.warns(match="shots on device is deprecated"):
        device = qml.device("default.qubit", wires=2, shots=70)
    node = qml.QNode(weighted.func, device)
    assert not qngd.expectation(node, None, START, seed=1).is_exact
    assert qngd.expectation(qml.set_shots(node, shots=None), None, START).is_exact
    assert not qngd.expectation(weighted, None, START, backend=device, seed=1).is_exact
    with pytest.raises(SettingError, match=r"needs a number of shots"):
        qngd.sample(weighted, START)


# ----- wrapped anew at every call -----


def test_nothing_that_a_qnode_depends_on_is_remembered():
    """The state, the data, a global, a closure: whatever changes between two calls, the second is right."""
    held = {"state": np.array([0.6, 0.8, 0.0, 0.0]), "factor": 1.0, "matrix": np.diag([1.0, 1j])}

    @qml.qnode(qml.device("default.qubit", wires=2))
    def node(x):
        qml.StatePrep(held["state"], range(2))
        qml.QubitUnitary(held["matrix"], 1)
        qml.RX(held["factor"] * x[0], 0)
        qml.CNOT([0, 1])
        return qml.expval(qml.Z(1) @ qml.X(0) + 0.3 * qml.Y(1))

    def check():
        np.testing.assert_allclose(qngd.expectation(node, None, np.array([0.4])).value, node([0.4]), atol=1e-12)

    check()
    held["state"] = np.array([0.8, 0.6, 0.0, 0.0])
    check()
    held["state"][:] = [0.0, 0.6, 0.8j.imag, 0.0]  # in place
    check()
    held["factor"] = -0.7
    check()
    held["matrix"] = np.diag([1j, 1.0])
    check()
    held["matrix"] = np.array([[0.6, -0.8], [0.8, 0.6]])
    check()


def test_what_is_kept_of_states_is_bounded(monkeypatch):
    known = importlib.import_module("qngd.interop.pennylane.known")
    monkeypatch.setattr(known, "_fragments", collections.OrderedDict())
    monkeypatch.setattr(known, "_MAX_OPERATIONS", 100)
    states = np.random.default_rng(3).normal(size=(20, 16))
    states /= np.linalg.norm(states, axis=1, keepdims=True)

    def function(x, state):
        qml.StatePrep(state, range(4))
        qml.RX(x, 0)

    for state in states:
        wrap(function, pnp.array(0.3), state)
    assert 1 <= len(known._fragments) < len(states)
    assert sum(len(kept.ops) for kept in known._fragments.values()) <= 100


def test_a_state_is_synthesized_once(monkeypatch):
    calls = []
    states = importlib.import_module("qngd.interop.pennylane.states")
    own = states.state_turns
    monkeypatch.setattr(states, "state_turns", lambda *args: calls.append(1) or own(*args))
    state = np.random.default_rng(5).normal(size=16)
    state /= np.linalg.norm(state)

    def function(x, wires):
        qml.StatePrep(state, list(wires))
        qml.RX(x, wires[0])

    for wires in ("abcd", "dbca"):
        wrap(function, 0.3, wires)
    assert len(calls) == 1
    wrap(lambda x: qml.StatePrep(-state[::-1], list("abcd")) and qml.RX(x, "a"), 0.3)
    assert len(calls) == 2
