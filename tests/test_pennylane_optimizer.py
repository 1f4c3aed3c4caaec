"""qngd's QNGOptimizer and metric_tensor beside PennyLane's."""

from __future__ import annotations

import importlib.util
import inspect

import numpy as np
import pennylane as qml
import pytest
from pennylane import numpy as pnp

import qngd
from qngd.errors import CircuitError, ParameterError, SettingError
from qngd.pennylane import QNGOptimizer, metric_tensor
from tests import dense, fake_torch

DEVICE = qml.device("default.qubit", wires=3)


def gates(a, b, c):
    qml.RY(a[0, 0], 0)
    qml.RY(a[1, 0], 1)
    qml.CNOT([0, 1])
    qml.RZ(a[0, 1] * b, 1)
    qml.RX(b, 0)
    qml.RX(c[0], 1)


@qml.qnode(DEVICE)
def node(a, b, c):
    gates(a, b, c)
    return qml.expval(qml.Z(0) @ qml.X(1) + 0.4 * qml.Y(0))


def arguments():
    trained = pnp.array([[0.1, 0.2], [0.3, 0.4]], requires_grad=True), pnp.array(0.3, requires_grad=True)
    return (*trained, pnp.array([0.4], requires_grad=False))


@qml.qnode(DEVICE)
def tutorial(params):
    """https://pennylane.ai/qml/demos/tutorial_quantum_natural_gradient"""
    for wire, angle in enumerate((np.pi / 4, np.pi / 3, np.pi / 7)):
        qml.RY(angle, wires=wire)
    qml.RZ(params[0], wires=0)
    qml.RZ(params[1], wires=1)
    qml.CNOT(wires=[0, 1])
    qml.CNOT(wires=[1, 2])
    qml.RY(params[2], wires=1)
    qml.RX(params[3], wires=2)
    qml.CNOT(wires=[0, 1])
    return qml.expval(qml.PauliY(0))


def test_the_tutorial_with_another_import():
    """Its run of 200 steps, twice; it ends at −.61220399."""
    ends = []
    for kind in (qml.QNGOptimizer, QNGOptimizer):
        optimizer = kind(stepsize=0.01, approx="block-diag")
        theta = pnp.array([0.432, -0.123, 0.543, 0.233], requires_grad=True)
        for _ in range(200):
            theta = optimizer.step(tutorial, theta)
        ends.append(float(tutorial(theta)))
    assert ends[1] == pytest.approx(-0.61220399, abs=1e-8)
    assert ends[1] <= ends[0] + 1e-10


# --- as PennyLane's ---


def test_constructor_methods_and_attributes_are_pennylanes():
    theirs = inspect.signature(qml.QNGOptimizer.__init__).parameters
    ours = inspect.signature(QNGOptimizer.__init__).parameters
    assert list(ours)[: len(theirs)] == list(theirs)
    assert [ours[name].default for name in theirs] == [p.default for p in theirs.values()]
    assert set(vars(qml.QNGOptimizer())) <= set(vars(QNGOptimizer()))
    public = [name for name in dir(qml.QNGOptimizer) if not name.startswith("_")]
    assert all(callable(getattr(QNGOptimizer, name)) for name in public)
    asked = inspect.signature(qml.QNGOptimizer.step_and_cost).parameters
    kept = inspect.signature(QNGOptimizer.step_and_cost).parameters
    assert list(asked) == list(kept)


@pytest.mark.parametrize("approx", ["block-diag", "diag", None])
@pytest.mark.parametrize("lam", [0, 0.1])
def test_one_argument_is_stepped_as_by_pennylane(approx, lam):
    theta = pnp.array([0.432, -0.123, 0.543, 0.233], requires_grad=True)
    # PennyLane's full metric needs a wire that is free
    circuit = qml.QNode(tutorial.func, qml.device("default.qubit", wires=4))
    mine, theirs = QNGOptimizer(0.1, approx, lam), qml.QNGOptimizer(0.1, approx, lam)
    (new, cost), (expected, forward) = mine.step_and_cost(circuit, theta), theirs.step_and_cost(circuit, theta)
    np.testing.assert_allclose(new, expected, atol=1e-8)
    assert type(new) is type(expected)
    assert new.requires_grad
    assert (type(cost), cost.shape) == (type(forward), forward.shape)
    assert float(cost) == pytest.approx(float(forward), abs=1e-10)
    np.testing.assert_allclose(mine.metric_tensor, theirs.metric_tensor, atol=1e-8)
    kept = mine.metric_tensor
    np.testing.assert_allclose(
        mine.step(circuit, new, recompute_tensor=False),
        theirs.step(circuit, expected, recompute_tensor=False),
        atol=1e-8,
    )
    assert mine.metric_tensor is kept


def test_several_arguments_are_one_vector():
    args = arguments()
    optimizer = QNGOptimizer(0.1, lam=1e-2)
    new, cost = optimizer.step_and_cost(node, *args)
    circuit = qngd.wrap(node, *args)
    slope = np.asarray(qngd.gradient(circuit, None, args).value)
    metric = np.asarray(qngd.metric_tensor(circuit, args))
    assert abs(metric[1, 4]) > 1e-4  # between the arguments
    expected = circuit.flatten(args) - 0.1 * np.linalg.solve(metric + 1e-2 * np.eye(5), slope)
    np.testing.assert_allclose(circuit.flatten(new), expected, atol=1e-12)
    assert [part.requires_grad for part in new] == [True, True, False]
    assert float(cost) == pytest.approx(float(node(*args)), abs=1e-12)
    assert [block.shape for block in optimizer.metric_tensor] == [(4, 4), (1, 1)]


def test_shots_and_a_backend_of_ones_own():
    args = arguments()
    runs = [QNGOptimizer(0.1, lam=0.01, shots=50, seed=seed).step(node, *args)[0] for seed in (1, 1, 2)]
    np.testing.assert_array_equal(runs[0], runs[1])
    assert np.abs(runs[0] - runs[2]).max() > 0
    optimizer = QNGOptimizer(0.1, lam=0.01, shots=50, seed=1)
    first, second = (optimizer.step_and_cost(node, *args)[1] for _ in range(2))
    assert first != second  # not the same noise at every step


def test_other_gradients_and_metrics():
    args = arguments()

    def slopes(*now):
        return tuple(np.ones(part.shape) for part in now[:2])

    given = QNGOptimizer(0.1).step(node, *args, grad_fn=slopes, metric_tensor_fn=qml.metric_tensor(node))
    theirs = qml.QNGOptimizer(0.1).step(node, *args, grad_fn=slopes, metric_tensor_fn=qml.metric_tensor(node))
    for mine, other in zip(given, theirs, strict=True):
        np.testing.assert_allclose(mine, other, atol=1e-8)
    optimizer = QNGOptimizer(0.1, lam=0.1)
    optimizer.step(node, *args)
    gradient, forward = optimizer.compute_grad(node, args, {})
    expected, _ = qml.QNGOptimizer.compute_grad(node, args, {})
    for mine, other in zip(gradient, expected, strict=True):
        np.testing.assert_allclose(mine, other, atol=1e-8)
    assert float(forward) == pytest.approx(float(node(*args)), abs=1e-12)
    for mine, other in zip(optimizer.apply_grad(gradient, args), optimizer.step(node, *args), strict=True):
        np.testing.assert_allclose(mine, other, atol=1e-12)


def test_keyword_arguments_are_not_trained():
    @qml.qnode(DEVICE)
    def model(weights, features, layers=1):
        qml.AngleEmbedding(features, wires=range(2))
        for layer in range(layers):
            qml.RY(weights[layer], layer)
        return qml.expval(qml.Z(0) @ qml.X(1))

    weights, features = pnp.array([0.3, 0.2]), np.array([0.5, 0.6])
    mine = QNGOptimizer(0.1).step(model, weights, features=features, layers=2)
    np.testing.assert_allclose(mine, qml.QNGOptimizer(0.1).step(model, weights, features=features, layers=2), atol=1e-8)


def test_a_singular_metric_is_inverted_where_it_is_not():
    @qml.qnode(DEVICE)
    def twice(theta):
        qml.RX(theta[0], 0)
        qml.RX(theta[1], 0)
        return qml.expval(qml.Z(0))

    theta = pnp.array([0.3, 0.4])
    new = QNGOptimizer(0.1, approx=None).step(twice, theta)
    np.testing.assert_allclose(new - theta, np.full(2, 0.1 * 2 * np.sin(0.7)), atol=1e-12)


# --- cost functions around QNodes ---


def hybrid(a, b, c):
    """Arithmetic before and after."""
    return (node(pnp.sin(a), b**2, c) - 0.5) ** 2 + 0.1 * b


def test_a_cost_function_sees_the_metric_through_its_arithmetic():
    """Against the overlaps of the statevector as a function of the cost's own arguments."""
    a, b, c = args = arguments()
    optimizer = QNGOptimizer(0.1, approx=None)
    new, cost = optimizer.step_and_cost(hybrid, *args)

    @qml.qnode(DEVICE)
    def states(a, b, c):
        gates(np.sin(a), b**2, c)
        return qml.state()

    def psi(flat):
        return np.asarray(states(flat[:4].reshape(2, 2), flat[4], np.array([0.4])))

    def value(flat):
        return float(hybrid(flat[:4].reshape(2, 2), flat[4], np.array([0.4])))

    flat = np.array([0.1, 0.2, 0.3, 0.4, 0.3])
    rows, here = dense.derivative_states(psi, flat, 1e-3), psi(flat)
    overlap = rows.conj() @ here
    metric = np.real(rows.conj() @ rows.T) - np.real(np.outer(overlap, overlap.conj()))
    steps = 1e-5 * np.eye(5)
    slope = np.array([(value(flat + s) - value(flat - s)) / 2e-5 for s in steps])
    found = [np.asarray(block) for block in optimizer.metric_tensor]
    np.testing.assert_allclose(found[0], metric[:4, :4], atol=1e-6)
    np.testing.assert_allclose(found[1], metric[4:, 4:], atol=1e-6)
    assert float(cost) == pytest.approx(value(flat), abs=1e-10)
    delta = np.concatenate([np.ravel(new[0] - a), [float(new[1] - b)]])
    np.testing.assert_allclose(metric @ delta, -0.1 * metric @ np.linalg.pinv(metric, 1e-6) @ slope, atol=1e-6)
    np.testing.assert_array_equal(new[2], c)


@qml.qnode(DEVICE)
def model(weights, x):
    qml.AngleEmbedding(x, [0, 1])
    qml.RY(weights[0], 0)
    qml.CNOT([0, 1])
    qml.RY(weights[1], 1)
    return qml.expval(qml.Z(1))


DATA = np.random.default_rng(0).uniform(-1, 1, (5, 2))
TARGETS = np.sign(DATA[:, 0])


def loss(weights, bias):
    """As PennyLane's variational classifiers: data by keyword, a bias without a circuit."""
    return sum((model(weights, x=x) + bias - y) ** 2 for x, y in zip(DATA, TARGETS, strict=True)) / len(DATA)


def test_data_is_averaged_and_a_bias_follows_its_gradient():
    args = pnp.array([0.3, 0.2]), pnp.array(0.1)
    optimizer = QNGOptimizer(0.1)
    (weights, bias), cost = optimizer.step_and_cost(loss, *args)
    of_samples = [qngd.metric_tensor(model, (args[0], pnp.array(x, requires_grad=False))) for x in DATA]
    metric = np.mean([np.asarray(one) for one in of_samples], axis=0)
    np.testing.assert_allclose(optimizer.metric_tensor[0], metric, atol=1e-10)
    np.testing.assert_allclose(optimizer.metric_tensor[1], [[1.0]], atol=1e-12)
    slopes = qml.grad(loss)(*args)
    np.testing.assert_allclose(weights - args[0], -0.1 * np.linalg.solve(metric, slopes[0]), atol=1e-8)
    assert float(bias) == pytest.approx(0.1 - 0.1 * float(slopes[1]), abs=1e-10)
    assert float(cost) == pytest.approx(float(loss(*args)), abs=1e-12)
    assert loss(weights, bias) < cost


def test_a_batch_in_the_data_is_averaged_too():
    """Which PennyLane runs as one circuit."""

    def batched(weights, bias):
        return pnp.mean((model(weights, DATA) + bias - TARGETS) ** 2)

    args = pnp.array([0.3, 0.2]), pnp.array(0.1)
    one, other = QNGOptimizer(0.1), QNGOptimizer(0.1)
    together, singly = one.step_and_cost(batched, *args), other.step_and_cost(loss, *args)
    np.testing.assert_allclose(one.metric_tensor[0], other.metric_tensor[0], atol=1e-12)
    np.testing.assert_allclose(together[0][0], singly[0][0], atol=1e-10)
    assert float(together[1]) == pytest.approx(float(singly[1]), abs=1e-12)


def test_a_batch_by_columns_beside_an_array_of_its_length():
    """What is a batch follows from the gates, not from the shapes of arguments."""

    @qml.qnode(DEVICE)
    def node(theta, x, scales):
        qml.RY(x[0], 0)
        qml.RX(x[1] * theta[0] * scales[3], 1)
        qml.CNOT([0, 1])
        qml.RY(theta[1] * scales[4], 0)
        return qml.expval(qml.Z(0))

    scales = np.linspace(0.3, 1.4, len(DATA))

    def together(theta):
        return pnp.mean((node(theta, DATA.T, scales) - TARGETS) ** 2)

    def singly(theta):
        return sum((node(theta, x, scales) - y) ** 2 for x, y in zip(DATA, TARGETS, strict=True)) / len(DATA)

    theta = pnp.array([0.3, 0.2])
    one, other = QNGOptimizer(0.1), QNGOptimizer(0.1)
    np.testing.assert_allclose(one.step(together, theta), other.step(singly, theta), atol=1e-10)
    np.testing.assert_allclose(one.metric_tensor, other.metric_tensor, atol=1e-12)


@pytest.mark.parametrize(
    "embed",
    [
        lambda x: qml.prod(qml.RX(x[0], 0), qml.RY(x[1], 1)),
        lambda x: qml.evolve(qml.X(0) @ qml.Y(1), x[0]),
        lambda x: qml.adjoint(qml.ctrl(qml.Rot(x[0], 0.4, x[1], 0), 1)),
    ],
)
def test_a_batch_in_operators_that_are_made_of_others(embed):
    @qml.qnode(DEVICE)
    def node(theta, x):
        qml.RY(theta[0], 1)
        embed(x)
        qml.RX(theta[0] - theta[1], 0)
        return qml.expval(qml.Z(0) @ qml.Z(1))

    theta = pnp.array([0.3, 0.2])
    one, other = QNGOptimizer(0.1), QNGOptimizer(0.1)
    together = one.step(lambda theta: pnp.mean((node(theta, DATA.T) - TARGETS) ** 2), theta)
    singly = other.step(
        lambda theta: sum((node(theta, x) - y) ** 2 for x, y in zip(DATA, TARGETS, strict=True)) / len(DATA), theta
    )
    np.testing.assert_allclose(together, singly, atol=1e-10)
    np.testing.assert_allclose(one.metric_tensor, other.metric_tensor, atol=1e-12)


def test_a_qnode_that_only_takes_batches():
    @qml.qnode(DEVICE)
    def node(theta, x):
        qml.RY(x[:, 0], 0)
        qml.RX(x[:, 1] * theta[0], 1)
        qml.CNOT([0, 1])
        qml.RY(theta[1], 0)
        return qml.expval(qml.Z(0))

    def together(theta):
        return pnp.mean((node(theta, DATA) - TARGETS) ** 2)

    def singly(theta):
        return sum((node(theta, x[None])[0] - y) ** 2 for x, y in zip(DATA, TARGETS, strict=True)) / len(DATA)

    theta = pnp.array([0.3, 0.2])
    one, other = QNGOptimizer(0.1), QNGOptimizer(0.1)
    np.testing.assert_allclose(one.step(together, theta), other.step(singly, theta), atol=1e-10)
    np.testing.assert_allclose(one.metric_tensor, other.metric_tensor, atol=1e-12)


@pytest.mark.parametrize("approx", ["block-diag", "diag"])
def test_a_qnode_of_a_variance_steps_as_pennylanes(approx):
    @qml.qnode(DEVICE)
    def node(theta):
        qml.RY(theta[0], 0)
        qml.RX(theta[1], 1)
        qml.CNOT([0, 1])
        qml.RY(theta[2], 1)
        return qml.var(qml.Z(0) @ qml.X(1))

    theta = pnp.array([0.3, 0.2, -0.8])
    ours, theirs = QNGOptimizer(0.1, approx, lam=1e-3), qml.QNGOptimizer(0.1, approx, lam=1e-3)
    (mine, value), (its, expected) = ours.step_and_cost(node, theta), theirs.step_and_cost(node, theta)
    np.testing.assert_allclose(mine, its, atol=1e-10)
    assert float(value) == pytest.approx(float(expected), abs=1e-12)


def test_a_qnode_without_trainable_arguments_or_one_value_is_refused():
    frozen = [pnp.array(value, requires_grad=False) for value in ([0.3, 0.2], DATA[0])]
    for ask in (QNGOptimizer(0.1).step, lambda node, *args: metric_tensor(node)(*args)):
        with pytest.raises(ParameterError, match=r"no argument is trainable \(weights, x: .*mark what is to be"):
            ask(model, *frozen)

    @qml.qnode(DEVICE)
    def several(theta):
        qml.RX(theta[0], 0)
        return qml.probs(wires=[0])

    with pytest.raises(ParameterError, match="must return one real number"):
        QNGOptimizer(0.1).step(several, pnp.array([0.3]))


def test_two_circuits_with_parameters_of_their_own():
    @qml.qnode(DEVICE)
    def other(theta):
        qml.RY(theta[0], 0)
        qml.RX(theta[1], 0)
        return qml.expval(qml.Z(0))

    def total(theta):
        return model(theta[:2], DATA[0]) + 2 * other(theta[1:])

    theta = pnp.array([0.3, 0.2, 0.7])
    optimizer = QNGOptimizer(0.1, approx=None)
    optimizer.step(total, theta)
    first = np.asarray(qngd.metric_tensor(model, (theta[:2], pnp.array(DATA[0], requires_grad=False)), approx="full"))
    second = np.asarray(qngd.metric_tensor(other, theta[1:], approx="full"))
    expected = np.zeros((3, 3))
    expected[:2, :2] += first
    expected[1:, 1:] += second
    scale = np.array([1, 1 / np.sqrt(2), 1])
    np.testing.assert_allclose(optimizer.metric_tensor, scale[:, None] * expected * scale, atol=1e-10)


def test_a_function_around_a_qnode_equals_the_qnode():
    a, b, c = arguments()
    around = QNGOptimizer(0.1).step(lambda now: node(now, b, c), a)
    fixed = pnp.array(b, requires_grad=False)
    np.testing.assert_allclose(around, QNGOptimizer(0.1).step(node, a, fixed, c)[0], atol=1e-10)


# --- its metric in PennyLane's optimizer ---


@pytest.mark.parametrize("approx", ["block-diag", "diag", None])
def test_the_metric_has_pennylanes_shapes(approx):
    args = arguments()
    for mine, theirs in zip(
        metric_tensor(node, approx)(*args), qml.metric_tensor(node, approx=approx)(*args), strict=True
    ):
        assert (type(mine), mine.shape) == (type(theirs), theirs.shape)
        np.testing.assert_allclose(mine, theirs, atol=1e-8)
    for marked in ((True, False), (False, True)):
        chosen = [pnp.array(part, requires_grad=mark) for part, mark in zip(args[:2], marked, strict=True)]
        one, other = (
            f(*chosen, args[2]) for f in (metric_tensor(node, approx), qml.metric_tensor(node, approx=approx))
        )
        assert one.shape == other.shape
        np.testing.assert_allclose(one, other, atol=1e-8)


@pytest.mark.parametrize("kind", [qml.QNGOptimizer, QNGOptimizer])
def test_pennylanes_optimizer_takes_our_metric(kind):
    args = arguments()
    new = kind(0.1, lam=0.01).step(node, *args, metric_tensor_fn=metric_tensor(node, "block-diag"))
    expected = qml.QNGOptimizer(0.1, lam=0.01).step(node, *args)
    for mine, theirs in zip(new, expected, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-8)
    with_cost = kind(0.1, lam=0.01).step(hybrid, *args, metric_tensor_fn=metric_tensor(hybrid, "block-diag"))
    assert hybrid(*with_cost) < hybrid(*args)


# --- other frameworks ---


@qml.qnode(DEVICE)
def plain(theta):
    qml.RX(theta[0], 0)
    qml.RY(2 * theta[1], 0)
    qml.CNOT([0, 1])
    return qml.expval(qml.Z(0) @ qml.X(1) + 0.3 * qml.Z(1))


def check_in_kind(theta):
    new, _ = QNGOptimizer(0.1).step_and_cost(plain, theta)
    expected = QNGOptimizer(0.1).step(plain, pnp.array([0.3, 0.4]))
    assert (type(new), new.dtype) == (type(theta), theta.dtype)
    assert getattr(new, "requires_grad", None) == getattr(theta, "requires_grad", None)
    detached = new.detach() if hasattr(new, "detach") else new
    np.testing.assert_allclose(np.asarray(detached), expected, atol=1e-6)
    metric = metric_tensor(plain)(theta)
    assert type(metric).__module__.partition(".")[0] == type(theta).__module__.partition(".")[0]


@pytest.mark.skipif(importlib.util.find_spec("torch") is not None, reason="the real torch is tested")
def test_tensors_of_a_stand_in(monkeypatch):
    torch = fake_torch.installed(monkeypatch)
    check_in_kind(torch.tensor([0.3, 0.4], requires_grad=True))


@pytest.mark.skipif(importlib.util.find_spec("torch") is not None, reason="the real torch is tested")
def test_a_cost_function_of_tensors_says_that_autograd_follows_it(monkeypatch):
    torch = fake_torch.installed(monkeypatch)
    with pytest.raises(ParameterError, match=r"followed by autograd alone, .* of torch; give NumPy's"):
        QNGOptimizer(0.1).step(lambda theta: plain(theta) ** 2, torch.tensor([0.3, 0.4]))


def test_tensors_of_torch():
    torch = pytest.importorskip("torch")
    check_in_kind(torch.tensor([0.3, 0.4], requires_grad=True))
    check_in_kind(torch.tensor([0.3, 0.4], dtype=torch.float64))


def test_arrays_of_jax():
    jnp = pytest.importorskip("jax.numpy")
    check_in_kind(jnp.array([0.3, 0.4]))


# --- wrong ---


def test_what_does_not_fit():
    theta = pnp.array([0.3, 0.4])
    with pytest.raises(SettingError, match="stepsize"):
        QNGOptimizer(-1)
    with pytest.raises(SettingError, match=r"approx: 'blok-diag' is none of .*Did you mean 'block-diag'"):
        QNGOptimizer(0.1, "blok-diag")
    with pytest.raises(SettingError, match="lam must be"):
        QNGOptimizer(0.1, lam=-1)
    with pytest.raises(CircuitError, match=r"calls no QNode .* give metric_tensor_fn"):
        QNGOptimizer(0.1).step(lambda t: pnp.sum(t**2), theta)
    with pytest.raises(ParameterError, match="must return one real number"):
        QNGOptimizer(0.1).step(lambda t: pnp.sin(t) * plain(t), theta)
    with pytest.raises(SettingError, match="qnode must be a QNode"):
        QNGOptimizer(0.1).step(3, theta)
    with pytest.raises(SettingError, match="before the first step"):
        QNGOptimizer(0.1).apply_grad((theta,), (theta,))
    with pytest.raises(ParameterError, match="a metric of 3 parameters for a gradient of 2"):
        QNGOptimizer(0.1).step(plain, theta, metric_tensor_fn=lambda t: np.eye(3))
    with pytest.raises(ParameterError, match="grad_fn must return 2 values"):
        QNGOptimizer(0.1).step(plain, theta, grad_fn=lambda t: (np.ones(3),))
