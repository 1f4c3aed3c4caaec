"""Parameters as torch tensors and JAX arrays: with the real packages where they are installed, else with stand-ins."""

from __future__ import annotations

import importlib.util
import warnings

import autograd
import numpy as np
import pennylane as qml
import pytest
from autograd import numpy as pnp

import qngd
from qngd.errors import CircuitError, ObservableError, ParameterError
from qngd.interop import wrap
from qngd.interop.pennylane.frameworks import _assembled
from tests import dense, fake_torch

OBSERVABLE = qml.Z(0) @ qml.X(1) + 0.5 * qml.Y(1) + 0.3 * qml.Z(1)
THETA = np.array([0.3, 0.8])


def with_sine(sin, data=(0.5, 1.5)):
    """A function of two parameters that calls `sin` and uses `data`."""

    def function(p):
        qml.RX(p[0], 0)
        qml.RX(2.0 * p[1], 0)
        qml.CNOT([0, 1])
        qml.RY(sin(p[0]) * data[1] + p[1], 1)
        qml.RZ(data[0] * p[0], 1)

    return function


def without_sine(p):
    qml.RX(p[0], 0)
    qml.RX(2 * p[1], 0)
    qml.CNOT([0, 1])
    qml.RY(p[1] + p[0] * -1, 1)


def node_of(function, **options):
    @qml.qnode(qml.device("default.qubit", wires=2), **options)
    def node(p):
        function(p)
        return qml.expval(OBSERVABLE)

    return node


def truth(function, theta=THETA):
    """Energy, gradient and metric by differences of PennyLane's statevector, on NumPy's numbers."""

    @qml.qnode(qml.device("default.qubit", wires=2))
    def states(p):
        function(p)
        return qml.state()

    def psi(flat):
        return np.asarray(states(flat))

    matrix = qml.matrix(OBSERVABLE, wire_order=[0, 1])
    rows, here = dense.derivative_states(psi, theta, 1e-3), psi(theta)
    overlap = rows.conj() @ here
    metric = np.real(rows.conj() @ rows.T) - np.real(np.outer(overlap, overlap.conj()))
    return np.real(here.conj() @ matrix @ here), 2 * np.real(rows.conj() @ (matrix @ here)), metric


def assert_right(node, theta, expected, atol=1e-6):
    """Every public function, and the parameters back in kind."""
    energy, slope, metric = expected
    np.testing.assert_allclose(qngd.expectation(node, None, theta).value, energy, atol=atol)
    np.testing.assert_allclose(qngd.gradient(node, None, theta).value, slope, atol=atol)
    np.testing.assert_allclose(np.asarray(qngd.metric_tensor(node, theta, approx="full")), metric, atol=atol)
    assert sum(qngd.sample(node, theta, shots=7, seed=1).values()) == 7
    assert qngd.statevector(node, theta).shape == (4,)
    assert qngd.cost(node, None, theta).step.circuits > 0
    result = qngd.minimize(node, None, theta, max_steps=3)
    assert result.energy < energy
    last = result.theta
    kinds = [(type(value), getattr(value, "dtype", None)) for value in (theta, last)]
    assert kinds[0] == kinds[1]
    if hasattr(theta, "requires_grad"):
        assert last.requires_grad == theta.requires_grad
    np.testing.assert_allclose(qngd.expectation(node, None, last).value, result.energy, atol=1e-5)


# ----- stand-ins -----

no_torch = pytest.mark.skipif(importlib.util.find_spec("torch") is not None, reason="the real torch is tested")


@pytest.fixture
def torch(monkeypatch):
    return fake_torch.installed(monkeypatch)


@no_torch
@pytest.mark.parametrize("requires_grad", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_tensors_without_torchs_functions(torch, dtype, requires_grad):
    theta = torch.tensor(THETA, dtype=getattr(torch, dtype), requires_grad=requires_grad)
    node = node_of(without_sine)
    assert_right(node, theta, truth(without_sine))
    assert wrap(node, theta).angle_map.is_affine


@no_torch
def test_tensors_with_torchs_functions(torch):
    expected = truth(with_sine(np.sin))
    assert_right(node_of(with_sine(torch.sin)), torch.tensor(THETA, requires_grad=True), expected)
    assert_right(node_of(with_sine(torch.sin)), torch.tensor(THETA), expected)


@no_torch
def test_torchs_functions_on_numbers(torch):
    """The function takes nothing but tensors, the user has NumPy's numbers: torch is loaded, so it may serve."""
    assert_right(node_of(with_sine(torch.sin)), THETA, truth(with_sine(np.sin)))


@no_torch
def test_tensors_that_the_user_did_not_give_warn_of_nothing(torch):
    def function(p):
        if isinstance(p, torch.Tensor):
            warnings.warn("of a tensor", UserWarning, stacklevel=1)
        with_sine(torch.sin)(p)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert qngd.expectation(node_of(function), None, THETA).value == pytest.approx(truth(with_sine(np.sin))[0])
    with pytest.warns(UserWarning, match="of a tensor"):
        qngd.expectation(node_of(function), None, torch.tensor(THETA))


@no_torch
def test_single_precision_where_the_function_wants_it(torch):
    shift = torch.tensor(0.25, dtype=torch.float32)

    def function(p):
        with_sine(torch.sin)(p)
        qml.RX(torch.sin(p[1]) + shift, 0)

    def plain(p):
        with_sine(np.sin)(p)
        qml.RX(np.sin(p[1]) + 0.25, 0)

    theta = torch.tensor(THETA, dtype=torch.float32, requires_grad=True)
    assert_right(node_of(function), theta, truth(plain), atol=1e-5)


@no_torch
def test_a_parameter_of_a_module_and_data_without_gradient(torch):
    weights, data = torch.nn.Parameter(torch.tensor(THETA)), torch.tensor([0.5, 1.5])
    circuit = wrap(lambda w, x: with_sine(torch.sin, x)(w), weights, data)
    assert (circuit.parameters, circuit.fixed) == (("w[0]", "w[1]"), ("x",))
    back, same = circuit.unflatten(np.array([0.1, 0.2]), (weights, data))
    assert isinstance(back, fake_torch.Parameter)
    assert back.requires_grad
    assert same is data
    np.testing.assert_allclose(back.detach().numpy(), [0.1, 0.2])


@no_torch
@pytest.mark.parametrize("leak", ["detach", "item"])
def test_values_taken_out_of_a_tensor_are_refused(torch, leak):
    def function(p):
        value = torch.sin(p[0])
        qml.RX(getattr(value, leak)() * 1.0 + p[1] if leak == "item" else value.detach() + p[1], 0)
        qml.RY(p[0], 1)

    with pytest.raises(CircuitError, match=r"gate #0, RX.*does not change as its derivatives say"):
        wrap(function, torch.tensor(THETA, requires_grad=True))


@no_torch
def test_an_observable_that_depends_on_tensors_is_refused(torch):
    class Weighed(qml.Hermitian):
        """An observable with the tensor as it is among its data."""

        def __init__(self, weight, wires):
            super().__init__(np.eye(2), wires)
            self.data = (weight,)

    def function(p):
        qml.RX(torch.sin(p[0]), 0)
        return qml.expval(Weighed(p[1], 0))

    with pytest.raises(ObservableError, match="coefficients depend on trainable arguments"):
        wrap(function, torch.tensor(THETA, requires_grad=True))


# ----- derivatives that a framework gave -----


def turned(x):
    """A complex matrix of two numbers, its derivative (2, 2, 2), and the same for a real number."""
    matrix = np.exp(1j * x[0]) * np.array([[np.cos(x[1]), -np.sin(x[1])], [np.sin(x[1]), np.cos(x[1])]])
    across = np.exp(1j * x[0]) * np.array([[-np.sin(x[1]), -np.cos(x[1])], [np.cos(x[1]), -np.sin(x[1])]])
    return matrix, np.stack([1j * matrix, across], axis=-1), x[0] * x[1] ** 2, np.array([x[1] ** 2, 2 * x[0] * x[1]])


def test_derivatives_are_laid_out_and_boxed_as_they_belong():
    matrix, slope, number, gradient = turned(THETA)
    # reverse mode gives real numbers only: the matrix as its real and its imaginary part, in a row with the number
    flat = np.concatenate([matrix.real.ravel(), matrix.imag.ravel(), [number]])
    rows = np.concatenate([slope.real.reshape(4, 2), slope.imag.reshape(4, 2), gradient[None]])
    first, second = _assembled(flat, [rows], [((2, 2), True), ((), False)])
    np.testing.assert_array_equal(first.value, matrix)
    np.testing.assert_array_equal(first.slopes[0], slope)
    np.testing.assert_array_equal(second.slopes[0], gradient)

    weights = np.array([[0.3, -1.1], [0.7, 0.2]])

    def total(x):
        return pnp.sum(pnp.real(first.box([x]) * (weights - 0.4j))) + pnp.sin(second.box([x]))

    def expected(x):
        matrix, _, number, _ = turned(x)
        return np.sum(np.real(matrix * (weights - 0.4j))) + np.sin(number)

    differences = [(expected(THETA + step) - expected(THETA - step)) / 2e-6 for step in 1e-6 * np.eye(2)]
    np.testing.assert_allclose(autograd.grad(total)(THETA), differences, atol=1e-8)


# ----- the real packages -----


@pytest.mark.parametrize("interface", ["auto", "torch"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("requires_grad", [True, False])
def test_torch(interface, dtype, requires_grad):
    torch = pytest.importorskip("torch")
    theta = torch.tensor(THETA, dtype=getattr(torch, dtype), requires_grad=requires_grad)
    assert_right(node_of(without_sine, interface=interface), theta, truth(without_sine))
    constant = torch.tensor([0.5, 1.5], dtype=theta.dtype)
    node = node_of(with_sine(torch.sin, constant), interface=interface)
    assert_right(node, theta, truth(with_sine(np.sin)), atol=1e-5)
    assert_right(node_of(with_sine(qml.math.sin)), theta, truth(with_sine(np.sin)))


def test_torch_modules():
    torch = pytest.importorskip("torch")
    theta = torch.nn.Parameter(torch.tensor(THETA))
    assert_right(node_of(with_sine(torch.sin)), theta, truth(with_sine(np.sin)))
    with pytest.raises(ParameterError, match="traced by torch"):
        torch.vmap(lambda p: qngd.expectation(node_of(without_sine), None, p).value)(torch.ones(2, 2))


def test_torch_observables():
    torch = pytest.importorskip("torch")

    def function(p):
        qml.RX(torch.sin(p[0]), 0)
        return qml.expval(qml.Hamiltonian(torch.stack([p[1], one]), [qml.Z(0), qml.X(0)]))

    def detached(p):
        qml.RX(torch.sin(p[0]), 0)
        return qml.expval(qml.Hamiltonian([p[1].item(), 1.0], [qml.Z(0), qml.X(0)]))

    one, theta = torch.tensor(1.0, dtype=torch.float64), torch.tensor(THETA, requires_grad=True)
    with pytest.raises(ObservableError, match="coefficients depend on trainable arguments"):
        wrap(function, theta)
    with pytest.raises(ObservableError, match="observable changes with the parameters"):
        wrap(detached, theta)


def test_torch_matrices():
    torch = pytest.importorskip("torch")

    def function(p, cos=torch.cos, sin=torch.sin, exp=torch.exp, stack=torch.stack):
        qml.RX(p[1], 0)
        matrix = stack([stack([cos(p[0]), -sin(p[0])]), stack([sin(p[0]), cos(p[0])])])
        qml.QubitUnitary(matrix * exp(1j * p[1]), 0)
        qml.ctrl(qml.RX(sin(p[0]), 1), 0)
        qml.Rot(p[0], cos(p[1]), p[0] * p[1], 1)

    expected = truth(lambda p: function(p, np.cos, np.sin, np.exp, np.array))
    assert_right(node_of(function), torch.tensor(THETA, requires_grad=True), expected)


def test_jax():
    jax = pytest.importorskip("jax")
    jnp = jax.numpy
    theta = jnp.array(THETA)
    for interface in ("auto", "jax"):
        node = node_of(without_sine, interface=interface)
        assert_right(node, theta, truth(without_sine))
        assert_right(jax.jit(node), theta, truth(without_sine))
        node = node_of(with_sine(jnp.sin, jnp.array([0.5, 1.5])), interface=interface)
        assert_right(node, theta, truth(with_sine(np.sin)))
        assert_right(jax.jit(node), theta, truth(with_sine(np.sin)))
        assert_right(node, THETA, truth(with_sine(np.sin)))
    for transform in (jax.grad, jax.jit, jax.vmap):
        with pytest.raises(ParameterError, match="traced by JAX"):
            transform(lambda p: qngd.expectation(node, None, p).value)(theta)
    ours = wrap(node, theta)
    np.testing.assert_allclose(ours.angle_map.linearize(THETA)[1].toarray()[0], [1.0, 0.0], atol=1e-12)


def test_qjit():
    jax = pytest.importorskip("jax")
    pytest.importorskip("catalyst")
    node = qml.qjit(
        qml.QNode(
            lambda p: (with_sine(jax.numpy.sin)(p), qml.expval(OBSERVABLE))[1], qml.device("lightning.qubit", wires=2)
        )
    )
    assert_right(node, jax.numpy.array(THETA), truth(with_sine(np.sin)))
