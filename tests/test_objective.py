"""Objectives against functions of other simulators' statevectors that a user would write, differentiated by differences
of high order."""

import functools

import numpy as np
import pennylane as qml
import pytest
from pennylane import numpy as pnp
from qiskit.circuit import Parameter, ParameterVector, QuantumCircuit
from qiskit.circuit.library import StatePreparation
from qiskit.quantum_info import SparsePauliOp, Statevector

import qngd
from qngd.errors import CircuitError, ObservableError, ParameterError, SettingError

RNG = np.random.default_rng(11)
X = RNG.uniform(-1.2, 1.2, (4, 2))
Y = RNG.uniform(-1, 1, 4)
THETA = np.array([0.3, -0.5, 0.8, 0.2])
OBSERVABLES = [SparsePauliOp(["IIZ", "XIX"], [1.0, 0.3]), SparsePauliOp(["IZI", "YYI", "III"], [0.5, 1.0, 0.2])]


def loss(outputs, targets):
    return np.mean((outputs[:, 0] - targets) ** 2) + np.mean(np.exp(0.5 * outputs[:, 1]))


def slopes(function, theta, step=2e-3):
    """Central differences of sixth order."""
    found = []
    for unit in np.eye(len(theta)):
        weights = ((1, 45 / 30), (2, -9 / 30), (3, 1 / 30))
        found.append(
            sum(w * (function(theta + k * step * unit) - function(theta - k * step * unit)) for k, w in weights)
        )
    return np.array(found) / (2 * step)


# ----- Qiskit and OpenQASM -----


def qiskit_circuit():
    """Data before, between, inside products and alone in functions; asymmetric in qubits."""
    x = ParameterVector("x", 2)
    a, b, c, d = (Parameter(name) for name in "abcd")
    circuit = QuantumCircuit(3)
    circuit.ry(x[0], 0)
    circuit.rx(x[1] + a, 1)
    circuit.cx(0, 1)
    circuit.rz(b * x[0], 1)
    circuit.ry(c, 2)
    circuit.crx(a, 1, 2)
    circuit.rzz((np.pi - x[0]) * x[1], 0, 2)
    circuit.rx(b, 0)
    circuit.cz(2, 0)
    circuit.ry(d.sin() * x[1] + x[0] ** 2, 1)
    return circuit, x, (a, b, c, d)


def states_of_qiskit(circuit, x, parameters, theta, data=X):
    values = dict(zip(parameters, theta, strict=True))
    return [Statevector(circuit.assign_parameters({**values, **dict(zip(x, row, strict=True))})) for row in data]


def outputs_of_qiskit(theta, data=X):
    states = states_of_qiskit(*qiskit_circuit(), theta, data)
    return np.array([[state.expectation_value(each).real for each in OBSERVABLES] for state in states])


def loss_of_qiskit(theta):
    return loss(outputs_of_qiskit(theta), Y)


def metric_of(states_at, theta):
    """The Fubini–Study metric from projectors on states, ½Tr ∂_iρ ∂_jρ, averaged."""
    count = len(states_at(theta))
    total = 0.0
    for number in range(count):

        def projector(at, number=number):
            vector = np.asarray(states_at(at)[number])
            return np.outer(vector, vector.conj())

        moved = slopes(projector, theta)
        total = total + 0.5 * np.einsum("axy,byx->ab", moved, moved).real
    return total / count


QASM = """
OPENQASM 3.0;
include "stdgates.inc";
input float a; input float b; input float c; input float d; input float x0; input float x1;
qubit[3] q;
ry(x0) q[0];
rx(x1 + a) q[1];
cx q[0], q[1];
rz(b * x0) q[1];
ry(c) q[2];
crx(a) q[1], q[2];
cx q[0], q[2]; rz((pi - x0) * x1) q[2]; cx q[0], q[2];
rx(b) q[0];
cz q[2], q[0];
ry(sin(d) * x1 + x0 ** 2) q[1];
"""


def built():
    circuit = qngd.CircuitBuilder(3)
    x0, a, x1, b, c, d = circuit.parameters("x0", "a", "x1", "b", "c", "d")
    circuit = circuit.ry(x0, 0).rx(x1 + a, 1).cx(0, 1).rz(b * x0, 1).ry(c, 2).crx(a, 1, 2)
    return circuit.rzz((np.pi - x0) * x1, 0, 2).rx(b, 0).cz(2, 0).ry(np.sin(d) * x1 + x0**2, 1)


def objectives(**more):
    """The same problem as every SDK writes it."""
    circuit, x, _ = qiskit_circuit()
    common = {"loss": loss, "data": X, "targets": Y, **more}
    return {
        "qiskit": qngd.Objective(circuit, OBSERVABLES, inputs=x, **common),
        "qiskit by names": qngd.Objective(circuit, OBSERVABLES, inputs=["x[0]", "x[1]"], **common),
        "openqasm": qngd.Objective(QASM, OBSERVABLES, inputs=["x0", "x1"], **common),
        "builder": qngd.Objective(built(), OBSERVABLES, **{**common, "data": {"x0": X[:, 0], "x1": X[:, 1]}}),
    }


@pytest.mark.parametrize("name", objectives())
def test_loss_gradient_and_outputs_are_those_of_qiskits_states(name):
    objective = objectives()[name]
    assert float(qngd.expectation(objective, theta=THETA)) == pytest.approx(loss_of_qiskit(THETA), abs=1e-12)
    found = qngd.gradient(objective, theta=THETA)
    assert found.is_exact
    np.testing.assert_allclose(found.value, slopes(loss_of_qiskit, THETA), atol=1e-10)
    np.testing.assert_allclose(qngd.outputs(objective, THETA).value, outputs_of_qiskit(THETA), atol=1e-12)
    other = RNG.uniform(-1, 1, (2, 2))
    data = {"x0": other[:, 0], "x1": other[:, 1]} if name == "builder" else other
    np.testing.assert_allclose(
        qngd.outputs(objective, THETA, data=data).value, outputs_of_qiskit(THETA, other), atol=1e-12
    )


def test_the_metric_is_averaged_over_the_samples():
    objective = objectives()["qiskit"]

    def states(theta):
        return states_of_qiskit(*qiskit_circuit(), theta)

    full = metric_of(states, THETA)
    np.testing.assert_allclose(qngd.metric_tensor(objective, THETA, approx="full").value, full, atol=1e-9)
    for approx in ("block-diag", "diag"):
        found = qngd.metric_tensor(objective, THETA, approx=approx)
        assert not found.note
        outside = found.value == 0
        # rotations of one gate or layer are exact, and c and d stand in one gate each
        np.testing.assert_allclose(np.diag(found.value)[2:], np.diag(full)[2:], atol=1e-9)
        assert outside.any()
        alone = []
        circuit, x, parameters = qiskit_circuit()
        for row in X:
            one = circuit.assign_parameters(dict(zip(x, row, strict=True)))
            alone.append(qngd.metric_tensor(one, dict(zip(parameters, THETA, strict=True)), approx=approx).value)
        np.testing.assert_allclose(found.value, np.mean(alone, axis=0), atol=1e-12)


def test_a_parameter_that_moves_no_state():
    """What is left to train turns the global phase alone."""
    a, x = Parameter("a"), Parameter("x")
    circuit = QuantumCircuit(2, global_phase=a)
    circuit.ry(x, 0)
    circuit.cx(0, 1)
    objective = qngd.Objective(circuit, {"ZI": 1.0}, np.mean, data=[[0.1], [0.4]], inputs=["x"])
    assert np.array_equal(qngd.metric_tensor(objective, [0.3], approx="full"), [[0.0]])
    assert np.array_equal(qngd.gradient(objective, theta=[0.3]).value, [0.0])
    assert qngd.minimize(objective, theta0=[0.3]).energy == pytest.approx(np.cos([0.1, 0.4]).mean())


def test_random_estimates_of_the_metric_are_averaged_too():
    objective = objectives()["builder"]
    full = qngd.metric_tensor(objective, THETA, approx="full").value
    for approx in ("qn-spsa", "random-basis"):
        found = [qngd.metric_tensor(objective, THETA, approx=approx, seed=seed).value for seed in range(12)]
        np.testing.assert_allclose(np.mean(found, axis=0), full, atol=0.1)
        assert not np.array_equal(found[0], found[1])
    with pytest.raises(SettingError, match="gauss-newton"):
        qngd.metric_tensor(objective, THETA, approx="hamiltonian")


def test_the_gauss_newton_metric_is_that_of_the_outputs():
    objective = objectives(metric="gauss-newton")["qiskit"]
    jacobian = slopes(outputs_of_qiskit, THETA)  # (P, B, K)
    values = outputs_of_qiskit(THETA)
    bends = np.stack([np.full(4, 2 / 4), 0.25 * np.exp(0.5 * values[:, 1]) / 4], axis=1)
    expected = np.einsum("abk,bk,cbk->ac", jacobian, bends, jacobian)
    found = qngd.metric_tensor(objective, THETA)
    np.testing.assert_allclose(found.value, expected, atol=1e-8)
    assert found.approx == "gauss-newton"
    with pytest.raises(SettingError, match="leave approx="):
        qngd.minimize(objective, theta0=THETA, optimizer=qngd.QNG(approx="diag"))


def test_what_is_negative_in_gauss_newton_is_left_out_and_a_linear_loss_has_none():
    concave = qngd.Objective(
        built(), OBSERVABLES, lambda o: -np.mean(o**2), data=X, inputs=["x0", "x1"], metric="gauss-newton"
    )
    np.testing.assert_allclose(qngd.metric_tensor(concave, THETA).value, 0, atol=1e-12)
    linear = qngd.Objective(built(), OBSERVABLES, np.mean, data=X, inputs=["x0", "x1"], metric="gauss-newton")
    found = qngd.metric_tensor(linear, THETA)
    assert not found.value.any()
    assert "linear in the outputs" in found.note
    assert "linear in the outputs" in qngd.minimize(linear, theta0=THETA, max_steps=1).note


def test_gauss_newton_as_an_approximation_shows_where_it_is_written():
    with pytest.raises(SettingError, match=r'write qngd.Objective\(…, metric="gauss-newton"\)'):
        qngd.QNG(approx="gauss-newton")


def test_gauss_newton_steps_fit_a_reachable_target_in_few():
    targets = outputs_of_qiskit(THETA)
    near = THETA + np.array([0.1, -0.1, 0.15, 0.1])

    def square(outputs, wanted):
        return np.mean((outputs - wanted) ** 2)

    circuit, x, _ = qiskit_circuit()
    fit = qngd.Objective(circuit, OBSERVABLES, square, data=X, targets=targets, inputs=x, metric="gauss-newton")
    plain = qngd.QNG(learning_rate=1.0, damping=0)
    result = qngd.minimize(fit, theta0=near, optimizer=plain, max_steps=6, tol=0)
    assert result.energy < 1e-16
    np.testing.assert_allclose(result.theta, THETA, atol=1e-7)


@pytest.mark.parametrize("optimizer", ["qng", "adam", "l-bfgs-b", "spsa"])
def test_every_optimizer_lowers_a_loss(optimizer):
    objective = objectives()["openqasm"]
    result = qngd.minimize(objective, theta0=THETA, optimizer=optimizer, max_steps=8, seed=2)
    assert result.energy < loss_of_qiskit(THETA)
    assert result.history[0] == pytest.approx(loss_of_qiskit(THETA))
    assert loss_of_qiskit(result.theta) == pytest.approx(result.energy, abs=1e-10)


@pytest.mark.parametrize("shots", [None, 20])
@pytest.mark.parametrize("optimizer", ["qng", "momentum-qng", "adam"])
def test_a_loss_that_is_no_number_at_the_start_ends_the_run_by_its_status(optimizer, shots):
    """Of logarithms of negative outputs, say: a scale of energies that is NaN, too, is no setting of the user's."""

    def undefined(outputs):
        return np.sum(outputs) * np.nan

    objective = qngd.Objective(built(), OBSERVABLES, undefined, data=X, inputs=["x0", "x1"])
    result = qngd.minimize(objective, theta0=THETA, optimizer=optimizer, shots=shots, seed=1)
    assert (result.status, result.steps) == ("not_finite", 0)
    assert "at the start itself; look at" in result.message
    np.testing.assert_array_equal(result.theta, THETA)


def test_theta_keeps_its_structure():
    _, _, parameters = qiskit_circuit()
    objective = objectives()["qiskit"]
    start = dict(zip(parameters, THETA, strict=True))
    result = qngd.minimize(objective, theta0=start, max_steps=2)
    assert list(result.theta) == list(parameters)
    seen = []
    qngd.minimize(objective, theta0=start, max_steps=2, callback=lambda info: seen.append(info.theta))
    assert list(seen[0]) == list(parameters)


# ----- PennyLane -----

DEVICE = qml.device("default.qubit", wires=3)
WEIGHTS = RNG.normal(size=(2, 3))
FEATURES = RNG.uniform(-1, 1, (4, 3))


def layers(weights):
    for layer in weights:
        for wire in range(3):
            qml.RY(layer[wire], wires=wire)
        qml.CNOT([0, 1])
        qml.IsingXX(0.5 * layer[0], [1, 2])


def angle_embedding(weights, x):
    qml.AngleEmbedding(x, wires=range(3), rotation="Y")
    layers(weights)
    return qml.expval(qml.Z(0)), qml.expval(qml.X(2) @ qml.Y(0))


def reuploading(weights, x):
    for layer in weights:
        for wire in range(3):
            qml.RX(layer[wire] * x[wire] + layer[(wire + 1) % 3], wires=wire)
        qml.CZ([0, 2])
    return [qml.expval(qml.Z(wire)) for wire in (0, 2)]


def products_of_features(weights, x):
    qml.IQPEmbedding(x, wires=range(3))
    layers(weights)
    return qml.probs(wires=[2, 0])


def nonlinear(weights, x):
    for wire in range(3):
        qml.RY(qml.math.tanh(weights[0, wire] * x[wire]) + weights[1, wire], wires=wire)
    qml.CNOT([2, 0])
    return qml.expval(qml.Z(0)), qml.expval(qml.Z(1) @ qml.X(2))


def amplitudes(weights, x):
    qml.AmplitudeEmbedding(qml.math.concatenate([x, x**2]), wires=range(3), normalize=True, pad_with=0.0)
    layers(weights)
    return qml.expval(qml.Z(0)), qml.expval(qml.Z(1))


def gates_by_value(weights, x):
    layers(weights)
    if x[0] > 0:
        qml.RX(x[1], 0)
        qml.RX(weights[0, 0], 1)
    else:
        qml.RY(x[2], 2)
    layers(2 * weights)
    return qml.expval(qml.Z(0)), qml.probs(wires=1)


def basis(weights, x):
    qml.BasisEmbedding((x > 0).astype(int), wires=range(3))
    layers(weights)
    return qml.expval(qml.Z(0)), qml.expval(qml.X(1))


NODES = [angle_embedding, reuploading, products_of_features, nonlinear, amplitudes, gates_by_value, basis]


def square_of_first(outputs):
    return np.mean((outputs[:, 0] - Y) ** 2) + np.mean(np.sin(outputs[:, -1]))


def outputs_of_pennylane(node, weights, features=FEATURES):
    return np.array([np.hstack(node(weights, row)) for row in features], dtype=float)


@pytest.mark.parametrize("function", NODES, ids=lambda function: function.__name__)
def test_qnodes_with_data(function):
    node = qml.QNode(function, DEVICE)
    objective = qngd.Objective(node, None, square_of_first, data={"x": FEATURES})

    def plain(flat):
        return square_of_first(outputs_of_pennylane(node, flat.reshape(2, 3)))

    expected = outputs_of_pennylane(node, WEIGHTS)
    np.testing.assert_allclose(qngd.outputs(objective, WEIGHTS).value, expected, atol=1e-12)
    assert float(qngd.expectation(objective, theta=WEIGHTS)) == pytest.approx(plain(WEIGHTS), abs=1e-12)
    found = qngd.gradient(objective, theta=WEIGHTS).value
    np.testing.assert_allclose(found, slopes(plain, WEIGHTS.reshape(-1)), atol=1e-10)
    result = qngd.minimize(objective, theta0=WEIGHTS, max_steps=2)
    assert result.theta.shape == WEIGHTS.shape
    assert result.energy < plain(WEIGHTS)


def test_data_arguments_first_by_keyword_in_wrappers_and_behind_those_of_theta():
    def first(x, weights, *, scale=1.0):
        qml.AngleEmbedding(scale * x, wires=range(3))
        layers(weights)
        return qml.expval(qml.Z(1))

    def keyword(weights, *, x):
        return first(x, weights)

    def loss_of(outputs):
        assert outputs.shape == (4,)
        return np.sum(outputs**3)

    node = qml.QNode(first, DEVICE)
    marked = pnp.array(WEIGHTS, requires_grad=True)
    expected = loss_of(np.array([float(node(row, WEIGHTS)) for row in FEATURES]))
    for circuit, theta, more in [
        (node, WEIGHTS, {"data": {"x": FEATURES}}),
        (node, marked, {"data": {"x": FEATURES}}),
        (node, (marked,), {"data": FEATURES, "inputs": "x"}),
        (qml.QNode(keyword, DEVICE), WEIGHTS, {"data": {"x": FEATURES}}),
        (lambda weights, x: node(x, weights), WEIGHTS, {"data": FEATURES}),
        (lambda weights, x: node(x, weights, scale=1.0), WEIGHTS, {"data": (FEATURES,)}),
        (node, WEIGHTS, {"data": {"x": FEATURES, "scale": np.ones(4)}}),
    ]:
        objective = qngd.Objective(circuit, None, loss_of, **more)
        assert float(qngd.expectation(objective, theta=theta)) == pytest.approx(expected, abs=1e-12)
        result = qngd.minimize(objective, theta0=theta, max_steps=1)
        assert type(result.theta) is type(theta)


def test_an_observable_made_of_data_is_that_of_each_sample():
    @qml.qnode(DEVICE)
    def node(weights, x):
        layers(weights)
        return qml.expval(x[0] * qml.Z(0) + x[1] * qml.X(1))

    @qml.qnode(DEVICE)
    def several(weights, x):
        layers(weights)
        return qml.expval(x[0] * qml.Z(0)), qml.expval(qml.X(1))

    listed = qngd.Objective(several, None, np.mean, data={"x": FEATURES})
    pairs = [np.hstack(several(WEIGHTS, row)) for row in FEATURES]
    np.testing.assert_allclose(qngd.outputs(listed, WEIGHTS).value, pairs, atol=1e-12)
    objective = qngd.Objective(node, None, lambda o: np.mean(o**2), data={"x": FEATURES})
    expected = [float(node(WEIGHTS, row)) for row in FEATURES]
    np.testing.assert_allclose(qngd.outputs(objective, WEIGHTS).value, expected, atol=1e-12)

    def plain(flat):
        return np.mean([float(node(flat.reshape(2, 3), row)) ** 2 for row in FEATURES])

    found = qngd.gradient(objective, theta=WEIGHTS).value
    np.testing.assert_allclose(found, slopes(plain, WEIGHTS.reshape(-1)), atol=1e-10)
    sampled = qngd.expectation(objective, theta=WEIGHTS, shots=20_000, seed=1)
    assert abs(float(sampled) - plain(WEIGHTS)) < 5 * sampled.stderr + 1e-3


def test_a_qnode_is_read_once_where_data_turn_gates():
    calls = []

    @qml.qnode(DEVICE)
    def node(weights, x):
        calls.append(1)
        qml.AngleEmbedding(x, wires=range(3))
        layers(weights)
        return qml.expval(qml.Z(0))

    many = RNG.uniform(-1, 1, (50, 3))
    objective = qngd.Objective(node, None, np.mean, data={"x": many})
    qngd.minimize(objective, theta0=WEIGHTS, max_steps=2)
    assert len(calls) < 10


def test_a_function_of_the_sample_that_returns_a_circuit():
    a, b = Parameter("a"), Parameter("b")

    def prepared(x):
        made = QuantumCircuit(2)
        made.append(StatePreparation(x / np.linalg.norm(x)), [0, 1])
        made.ry(b, 0)
        made.cx(0, 1)
        made.rx(a, 1)
        return made

    data = np.random.default_rng(2).normal(size=(5, 4))
    data[3] = [1, 0, 0, 0]  # other gates than those of generic amplitudes
    observable = SparsePauliOp(["ZI", "XY"], [1.0, 0.5])

    def plain(theta):
        states = [Statevector(prepared(x).assign_parameters(dict(zip((a, b), theta, strict=True)))) for x in data]
        return np.mean([np.sin(state.expectation_value(observable).real) for state in states])

    theta = np.array([0.3, -0.8])
    for more in ({"data": data}, {"data": {"x": data}}):
        objective = qngd.Objective(prepared, observable, lambda o: np.mean(np.sin(o)), **more)
        assert float(qngd.expectation(objective, theta=theta)) == pytest.approx(plain(theta), abs=1e-12)
        np.testing.assert_allclose(qngd.gradient(objective, theta=theta).value, slopes(plain, theta), atol=1e-10)
    batches = qngd.Objective(prepared, observable, lambda o: np.mean(np.sin(o)), data=data, batch_size=2)
    assert qngd.minimize(batches, theta0=theta, seed=1, max_steps=20).steps == 20


# ----- several circuits -----


def test_circuits_share_parameters_by_name_and_bring_their_own_observables():
    a, b, c = (Parameter(name) for name in "abc")
    first, second = QuantumCircuit(2), QuantumCircuit(1)
    first.ry(b, 0)
    first.cx(0, 1)
    first.rx(a, 1)
    second.ry(a, 0)
    second.rx(0.5 * c, 0)
    observables = [[SparsePauliOp("ZI"), SparsePauliOp("XX")], SparsePauliOp("Z")]

    def product(outputs):
        assert outputs.shape == (3,)
        return outputs[0] * outputs[2] + np.sin(outputs[1])

    def plain(theta):
        one = Statevector(first.assign_parameters(dict(zip((a, b), theta[:2], strict=True))))
        two = Statevector(second.assign_parameters({a: theta[0], c: theta[2]}))
        values = [one.expectation_value(each).real for each in observables[0]]
        return product(np.array([*values, two.expectation_value(observables[1]).real]))

    objective = qngd.Objective([first, second], observables, product)
    theta = np.array([0.4, -0.7, 1.1])
    assert float(qngd.expectation(objective, theta=theta)) == pytest.approx(plain(theta), abs=1e-12)
    np.testing.assert_allclose(qngd.gradient(objective, theta=theta).value, slopes(plain, theta), atol=1e-10)
    by_name = {"c": theta[2], "a": theta[0], "b": theta[1]}
    assert float(qngd.expectation(objective, theta=by_name)) == pytest.approx(plain(theta), abs=1e-12)
    # of the product of both states
    parts = [
        qngd.metric_tensor(first, theta[:2], approx="full").value,
        qngd.metric_tensor(second, theta[[0, 2]], approx="full").value,
    ]
    expected = np.zeros((3, 3))
    expected[:2, :2] += parts[0]
    expected[np.ix_([0, 2], [0, 2])] += parts[1]
    np.testing.assert_allclose(qngd.metric_tensor(objective, theta, approx="full").value, expected, atol=1e-12)
    result = qngd.minimize(objective, theta0=by_name)
    assert list(result.theta) == ["c", "a", "b"]
    assert result.status == "converged"


def test_subspace_search_finds_two_states():
    def ansatz(start):
        circuit = qngd.CircuitBuilder(2)
        names = iter(circuit.parameters(*(f"t{i}" for i in range(8))))
        circuit = circuit.x(0) if start else circuit
        for _ in range(2):
            for qubit in range(2):
                circuit = circuit.ry(next(names), qubit).rz(next(names), qubit)
            circuit = circuit.cx(0, 1)
        return circuit

    hamiltonian = {"ZZ": 1.0, "XI": 0.4, "IX": 0.7}
    matrix = SparsePauliOp(list(hamiltonian), list(hamiltonian.values())).to_matrix()
    lowest = np.linalg.eigvalsh(matrix)[:2]
    subspace = qngd.Objective([ansatz(0), ansatz(1)], hamiltonian, lambda energies: 2 * energies[0] + energies[1])
    start = np.random.default_rng(3).normal(size=8)
    result = qngd.minimize(subspace, theta0=start, target=2 * lowest[0] + lowest[1] + 1e-3)
    np.testing.assert_allclose(qngd.outputs(subspace, result.theta).value, lowest, atol=2e-3)


def test_one_observable_that_stands_alone_is_a_number():
    objective = qngd.Objective(built(), {"IIZ": 1.0}, lambda value: value**2)
    theta = dict(zip(("x0", "x1", "a", "b", "c", "d"), (*X[0], *THETA), strict=True))
    alone = float(qngd.expectation(built(), {"IIZ": 1.0}, theta))
    assert float(qngd.expectation(objective, theta=theta)) == pytest.approx(alone**2)
    linear = qngd.Objective(built(), {"IIZ": 1.0}, lambda value: value)
    np.testing.assert_allclose(
        qngd.gradient(linear, theta=theta).value, qngd.gradient(built(), {"IIZ": 1.0}, theta).value, atol=1e-14
    )


# ----- what is refused -----


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: qngd.Objective(built(), OBSERVABLES), SettingError, "loss must be a function"),
        (lambda: qngd.Objective(built(), OBSERVABLES, loss, metric="newton"), SettingError, "metric: 'newton'"),
        (lambda: qngd.Objective(built(), OBSERVABLES, loss, batch_size=2), SettingError, "there are no samples"),
        (lambda: qngd.Objective(built(), OBSERVABLES, loss, data=X, batch_size=0), SettingError, "batch_size"),
        (lambda: qngd.Objective(built(), OBSERVABLES, loss, inputs=["x0"]), SettingError, "inputs"),
        (lambda: ask(inputs=None), SettingError, r'inputs: name the parameters .*inputs=\["x0"\]'),
        (lambda: ask(inputs=["x0", "z"]), SettingError, "inputs: there is no parameter 'z'"),
        (lambda: ask(inputs=["x0", "x0"]), SettingError, "named twice"),
        (lambda: ask(inputs=["x0"]), SettingError, r"give an array of shape \(samples, 1\)"),
        (lambda: ask(data=X[:, 0]), SettingError, r"give an array of shape \(samples, 2\)"),
        (lambda: ask(data=[["a", "b"]]), SettingError, "data: give arrays of numbers"),
        (lambda: ask(data=X * 1j), SettingError, "data: complex numbers"),
        (lambda: ask(data=X * np.nan), SettingError, "data: sample 0 holds a number that is NaN"),
        (lambda: ask(data={"x0": X[:, 0], "x1": X[:2, 1]}, inputs=None), SettingError, "got 2, 4 rows"),
        (lambda: ask(targets=Y[:3]), SettingError, "targets: there are 4 samples"),
        (lambda: ask(theta=[0.1]), ParameterError, "theta must have shape"),
        (lambda: ask(observables=[]), ObservableError, "the list is empty"),
        (lambda: ask(observables=[qngd.CVaR({"IIZ": 1.0, "IIX": 1.0}, 0.5)]), ObservableError, "do not commute"),
        (lambda: ask(observables=None), ObservableError, "observables: the circuit brings none"),
        (lambda: ask(observables=[{"Z": 1.0}]), ObservableError, "acts on 1 qubit"),
        (lambda: ask([built(), built()], [{"IIZ": 1.0}] * 3), ObservableError, "3 entries for 2 circuits"),
        (lambda: ask(circuit=[]), CircuitError, "the list is empty"),
        (lambda: qngd.minimize(qngd.Objective(built(), OBSERVABLES, loss)), ParameterError, "theta0 is missing"),
        (lambda: qngd.minimize(built(), qngd.Objective(built(), OBSERVABLES, loss), [0]), SettingError, "the place"),
        (lambda: qngd.sample(qngd.Objective(built(), OBSERVABLES, loss), [0], shots=9), CircuitError, "its circuit"),
        (lambda: qngd.minimize(qngd.Objective(built(), OBSERVABLES, loss), {"Z": 1}, THETA), SettingError, "leave it"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_an_error(make, error, text):
    with pytest.raises(error, match=text):
        make()


def ask(circuit=None, observables=OBSERVABLES, theta=THETA, **more):
    settings = {"data": X, "targets": Y, "inputs": ["x0", "x1"], **more}
    objective = qngd.Objective(built() if circuit is None else circuit, observables, loss, **settings)
    return qngd.expectation(objective, theta=theta)


# ----- several circuits, each with those of the data that it has places for -----


def second_circuit(x, a, b):
    """It takes one of the two numbers of a sample, and is on other qubits."""
    circuit = QuantumCircuit(2)
    circuit.rx(x[1] * a, 0)
    circuit.cx(0, 1)
    circuit.ry(b, 1)
    return circuit


def third_circuit(c):
    circuit = QuantumCircuit(1)
    circuit.ry(c, 0)
    return circuit


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)])
@pytest.mark.parametrize("by_name", [False, True])
def test_each_of_several_circuits_takes_the_data_that_it_has_parameters_for(order, by_name):
    first, x, parameters = qiskit_circuit()
    a, b, c, _ = parameters
    circuits = [first, second_circuit(x, a, b), third_circuit(c)]
    observables = [SparsePauliOp(["XIX"]), SparsePauliOp(["ZX", "IZ"], [1.0, 0.4]), SparsePauliOp(["Z"])]
    circuits, observables = [circuits[k] for k in order], [observables[k] for k in order]

    def of_products(outputs):
        return np.sum(np.prod(outputs + 2, axis=1))

    def of_states(theta):
        values = dict(zip(parameters, theta, strict=True))
        rows = []
        for row in X:
            known = values | dict(zip(x, row, strict=True))
            states = [Statevector(each.assign_parameters({p: known[p] for p in each.parameters})) for each in circuits]
            rows.append([state.expectation_value(h).real for state, h in zip(states, observables, strict=True)])
        return of_products(np.array(rows))

    data = {"x[1]": X[:, 1], "x[0]": X[:, 0]} if by_name else X
    fit = qngd.Objective(circuits, observables, of_products, data=data, inputs=None if by_name else "x")
    start = dict(zip("abcd", THETA, strict=True))
    assert float(qngd.expectation(fit, theta=start)) == pytest.approx(of_states(THETA), abs=1e-12)
    names = qngd.evaluator(fit, theta0=start).circuit.parameters
    found = dict(zip(names, qngd.gradient(fit, theta=start).value, strict=True))
    np.testing.assert_allclose([found[name] for name in "abcd"], slopes(of_states, THETA), atol=1e-8)
    sampled = qngd.expectation(fit, theta=start, shots=4000, seed=1)
    assert abs(sampled.value - of_states(THETA)) < 4 * sampled.stderr
    with pytest.raises(SettingError, match="inputs: there is no parameter 'y'"):
        qngd.expectation(qngd.Objective(circuits, observables, of_products, data=X, inputs=["x", "y"]), theta=start)


def test_each_of_several_qnodes_takes_the_data_that_it_has_arguments_for():
    @qml.qnode(DEVICE)
    def scaled(w, x):
        qml.RY(w[0] * x, 0)
        qml.RX(w[1], 1)
        qml.CNOT([0, 1])
        return qml.expval(qml.Z(1))

    @qml.qnode(DEVICE)
    def shifted(w, z):
        qml.RX(w[0] + z, 0)
        return qml.expval(qml.Z(0))

    @qml.qnode(DEVICE)
    def constant(w):
        qml.RY(w[1], 0)
        return qml.expval(qml.Z(0))

    def of_products(outputs):
        return np.sum(np.prod(outputs + 2, axis=1))

    def of_nodes(w):
        return of_products(np.array([[scaled(w, x), shifted(w, z), constant(w)] for x, z in X]))

    w = np.array([0.4, 0.9])
    fit = qngd.Objective([scaled, shifted, constant], None, of_products, data={"x": X[:, 0], "z": X[:, 1]})
    assert float(qngd.expectation(fit, theta=w)) == pytest.approx(of_nodes(w), abs=1e-12)
    np.testing.assert_allclose(qngd.gradient(fit, theta=w).value, slopes(of_nodes, w), atol=1e-8)
    with pytest.raises(SettingError, match="data: no circuit has an argument 'y'"):
        qngd.expectation(qngd.Objective([scaled, constant], None, of_products, data={"x": Y, "y": Y}), theta=w)


def test_functions_in_a_list_take_all_of_theta():
    def both(a, b, x):
        qml.RY(a * x, 0)
        qml.RX(b, 1)
        qml.CNOT([0, 1])

    def second(b, x):
        qml.RX(b + x, 1)
        qml.RY(0.3, 0)

    @qml.qnode(qml.device("default.qubit", wires=2))
    def measured(function, theta, x):
        function(*theta, x)
        return qml.expval(qml.Z(1))

    def ask(circuits, theta=(0.4, 0.9)):
        fit = qngd.Objective(circuits, {"ZI": 1.0}, lambda outputs: np.sum(np.prod(outputs, axis=1)), data={"x": Y})
        return float(qngd.expectation(fit, theta=theta))

    expected = sum(measured(both, (0.4, 0.9), x) * measured(second, (0.9,), x) for x in Y)
    assert ask([both, lambda a, b, x: second(b, x)]) == pytest.approx(expected, abs=1e-12)
    with pytest.raises(CircuitError, match=r"let each take all of θ, as in lambda a, b, x: first\(a, x\)"):
        ask([both, second])
    with pytest.raises(CircuitError, match="number 0 of the list has no parameter c, which another one has"):
        ask([both, lambda a, c, x: second(c, x)])
    alone = qngd.CircuitBuilder(2)
    alone = alone.ry(alone.parameter("b"), 1)
    with pytest.raises(CircuitError, match="number 1 of the list has them in other order"):  # (a, b) is not (b, a)
        ask([alone, both])


# ----- targets in the kinds that people have -----


class Series:
    """A column of a table as pandas has it: `[…]` looks its rows up by their labels."""

    def __init__(self, values, labels):
        self.values, self.labels = np.asarray(values), list(labels)
        self.shape = self.values.shape

    def __len__(self):
        return len(self.values)

    def __array__(self, dtype=None, copy=None):
        return self.values

    def __getitem__(self, wanted):
        return Series([self.values[self.labels.index(label)] for label in wanted], wanted)

    def to_numpy(self):
        return self.values


@pytest.mark.parametrize("batch_size", [None, 3])
def test_the_rows_of_a_table_are_targets_by_their_place(batch_size):
    """As after a split into training and test, whose index is shuffled."""
    pairs = [("IIZ", 1.0), ("XIX", 0.3)]

    def energies(targets):
        fit = qngd.Objective(
            built(), [dict(pairs), {"IZI": 1.0}], loss, data=X, targets=targets, inputs=["x0", "x1"],
            batch_size=batch_size,
        )  # fmt: skip
        return qngd.minimize(fit, theta0=THETA, max_steps=3, seed=2).history

    np.testing.assert_array_equal(energies(Series(Y, [2, 0, 3, 1])), energies(Y))


def test_targets_may_have_any_length():
    def weighted(outputs, targets):
        return sum(float(np.sum(words)) * output for words, output in zip(targets, outputs, strict=True))

    ragged = [[1.0], [2.0, 3.0], [], [4.0]]
    fit = qngd.Objective(built(), {"IIZ": 1.0}, weighted, data=X, targets=ragged, inputs=["x0", "x1"])
    sums = np.array([1.0, 5.0, 0.0, 4.0])
    expected = qngd.Objective(built(), {"IIZ": 1.0}, lambda o: o @ sums, data=X, inputs=["x0", "x1"])
    np.testing.assert_allclose(
        qngd.gradient(fit, theta=THETA).value, qngd.gradient(expected, theta=THETA).value, atol=1e-12
    )


def test_a_run_with_words_as_targets_goes_on(tmp_path):
    """A table's column of words is an array of objects, which lie elsewhere in every process."""

    def share(outputs, targets):
        return np.mean(outputs * np.array([len(word) for word in targets]))

    def run(steps):
        words = np.array(["".join(letters) for letters in ("a", "bcd", "ef", "g")], dtype=object)
        fit = qngd.Objective(built(), {"IIZ": 1.0}, share, data=X, targets=words, inputs=["x0", "x1"])
        return qngd.minimize(fit, theta0=THETA, max_steps=steps, run_dir=tmp_path, tol=0)

    run(2)
    assert run(3).steps == 3


# ----- functions around QNodes: each is taken, or shows the line to write -----


@qml.qnode(DEVICE)
def single(weights, x):
    qml.AngleEmbedding(x, wires=range(3))
    layers(weights)
    return qml.expval(qml.Z(0))


@qml.qnode(DEVICE)
def several(weights):
    layers(weights)
    return [qml.expval(qml.Z(0)), qml.expval(qml.X(1))]


@qml.qnode(DEVICE)
def probabilities(weights):
    layers(weights)
    return qml.probs(wires=[1])


MARKED = pnp.array(WEIGHTS, requires_grad=True)
OVER_DATA = r'minimize\(qngd.Objective\(single, None, lambda outputs: …, data=\{"x": …\}\), theta0=…\)'


@pytest.mark.parametrize("function", [lambda w: single(w, FEATURES[0]), functools.partial(single, x=FEATURES[0])])
def test_functions_that_hand_on_to_a_qnode_are_taken_for_it(function):
    result = qngd.minimize(function, MARKED, max_steps=1)
    assert result.history[0] == pytest.approx(float(single(WEIGHTS, FEATURES[0])))


@pytest.mark.parametrize(
    ("function", "theta", "text"),
    [
        (
            lambda w: np.mean([(single(w, x) - t) ** 2 for x, t in zip(FEATURES, Y, strict=True)]),
            MARKED,
            OVER_DATA,
        ),
        (lambda w: 1 - single(w, x=FEATURES[0]), MARKED, OVER_DATA),
        (several, MARKED, r"a loss of all of them: minimize\(qngd.Objective\(node, None, lambda outputs: …\)"),
        (probabilities, MARKED, r"a loss of them: minimize\(qngd.Objective\(node, None, lambda outputs: …\)"),
        (single, (MARKED, FEATURES), r'qngd.Objective\(node, None, lambda outputs: …, data=\{"x": x\}\)'),
        (lambda w: single(w, FEATURES), MARKED, r'qngd.Objective\(node, None, lambda outputs: …, data=\{"x": X\}\)'),
        (single, MARKED, r'qngd.Objective\(single, None, lambda outputs: …, data=\{"x": X\}\)'),
    ],
)
def test_others_show_the_line_to_write(function, theta, text):
    with pytest.raises((CircuitError, ObservableError), match=text):
        qngd.minimize(function, theta)


def test_a_bias_is_refused_by_the_functions_name():
    def model(w, bias, x):
        return single(w, x) + bias

    biased = qngd.Objective(model, None, np.mean, data={"x": FEATURES})
    with pytest.raises(CircuitError, match=r"model is no quantum function.*such as a bias, qngd.pennylane"):
        qngd.minimize(biased, theta0=(MARKED, pnp.array(0.1, requires_grad=True)))


@pytest.mark.parametrize("form", ["tuples", "mappings", "columns"])
def test_samples_one_by_one_and_by_column_mean_the_same(form):
    @qml.qnode(qml.device("default.qubit", wires=2))
    def node(w, x, scale):
        qml.AngleEmbedding(x * scale, wires=[0, 1])
        qml.RY(w[0], 0)
        qml.CNOT([0, 1])
        qml.RX(w[1], 1)
        return qml.expval(qml.Z(1) @ qml.X(0))

    scales = [0.5, 1.0, -2.0, 0.3]
    data = {
        "tuples": list(zip(X, scales, strict=True)),
        "mappings": [{"scale": s, "x": x} for x, s in zip(X, scales, strict=True)],
        "columns": (X, scales),
    }[form]
    fit = qngd.Objective(node, None, lambda out: np.mean((out - Y) ** 2), data=data)
    w = pnp.array([0.4, -0.9], requires_grad=True)
    expected = np.mean([(node(w, x, s) - y) ** 2 for x, s, y in zip(X, scales, Y, strict=True)])
    assert float(qngd.expectation(fit, theta=w)) == pytest.approx(float(expected), abs=1e-12)


def test_samples_with_different_arguments_are_refused():
    with pytest.raises(SettingError, match="every sample needs the same arguments"):
        qngd.minimize(
            qngd.Objective(qiskit_circuit(), OBSERVABLES, lambda out: out.sum(), data=[(1.0,), (1.0, 2.0)], inputs="x"),
            theta0=THETA,
        )


def of_batches(w, x):
    qml.RY(x[:, 0] * w[0], 0)
    qml.IsingXX(x[:, 1] * x[:, 0], [1, 0])
    qml.RX(w[1], 0)


def of_amplitudes(w, x):
    qml.AmplitudeEmbedding(np.stack([x[:, 0], x[:, 1], 1 + x[:, 0], x[:, 1] ** 2], axis=1), [0, 1], normalize=True)
    qml.RY(w[0], 1)
    qml.RX(w[1], 0)


def of_transposed(w, x):
    first, second = x.reshape(-1, 2).T
    qml.RX(first, 1)
    qml.RY(second * w[1], 0)
    qml.RX(w[0], 1)


@pytest.mark.parametrize("gates", [of_batches, of_amplitudes, of_transposed])
def test_a_function_that_is_written_for_batches(gates):
    """PennyLane gives it all samples at a time; here it gets one as a batch of one."""

    @qml.qnode(qml.device("default.qubit", wires=2))
    def node(w, x):
        gates(w, x)
        qml.CNOT([0, 1])
        qml.RY(w[2], 1)
        return qml.expval(qml.Z(1) @ qml.X(0)), qml.expval(qml.Z(1))

    def loss(outputs, targets):
        return np.mean((outputs[:, 0] + outputs[:, 1] ** 2 - targets) ** 2)

    def of_all(w):
        first, second = node(w, X)
        return pnp.mean((first + second**2 - Y) ** 2)

    fit = qngd.Objective(node, None, loss, data={"x": X}, targets=Y)
    w = pnp.array([0.4, -0.9, 0.7], requires_grad=True)
    assert float(qngd.expectation(fit, theta=w)) == pytest.approx(float(of_all(w)), abs=1e-12)
    np.testing.assert_allclose(qngd.gradient(fit, theta=w).value, qml.grad(of_all)(w), atol=1e-10)


def of_centred(w, x):
    qml.RY((x - x.mean(axis=0))[:, 0] * w[0], 0)


def of_the_first_alone(w, x):
    qml.RY(x[0, 0] * w[0], 0)


@pytest.mark.parametrize("gates", [of_centred, of_the_first_alone])
def test_a_function_whose_batch_is_no_list_of_samples_is_refused(gates):
    """As a batch of one each sample would have another circuit than PennyLane gives it."""

    @qml.qnode(qml.device("default.qubit", wires=2))
    def node(w, x):
        gates(w, x)
        return qml.expval(qml.Z(0))

    with pytest.raises(IndexError, match="too many indices"):
        qngd.expectation(qngd.Objective(node, None, np.mean, data={"x": X}), theta=[0.1])


def test_a_function_that_fails_on_a_sample_says_what_it_was_given():
    @qml.qnode(qml.device("default.qubit", wires=2))
    def node(w, x):
        qml.RY(x[7], 0)
        qml.RX(w[0], 0)
        return qml.expval(qml.Z(1))

    with pytest.raises(IndexError) as caught:
        qngd.expectation(qngd.Objective(node, None, np.mean, data={"x": X}), theta=[0.1])
    assert "node(w, x) was given w from theta0 and x (of shape (2,)) from data" in " ".join(caught.value.__notes__)


def test_a_function_that_fails_on_unnamed_data_says_which_arguments_they_filled():
    @qml.qnode(qml.device("default.qubit", wires=2))
    def node(x, weights):
        qml.AngleEmbedding(x, wires=range(2))
        qml.StronglyEntanglingLayers(weights, wires=range(2))
        return qml.expval(qml.Z(1))

    weights = np.full((2, 2, 3), 0.3)
    with pytest.raises(ValueError, match="Features must be of length 2") as caught:
        qngd.expectation(qngd.Objective(node, None, np.mean, data=X), theta=weights)
    assert "was given x from theta0 and weights (of shape (2,)) from data" in " ".join(caught.value.__notes__)
    assert 'data={"x": X}' in " ".join(caught.value.__notes__)
    named = qngd.Objective(node, None, np.mean, data={"x": X})
    expected = np.mean([float(node(x, weights)) for x in X])
    assert qngd.expectation(named, theta=weights).value == pytest.approx(expected, abs=1e-12)
