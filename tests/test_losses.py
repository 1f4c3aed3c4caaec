"""Derivatives of losses, by the library that they are written in, against differences of their values."""

import math
import warnings

import autograd.numpy as anp
import numpy as np
import pytest
from pennylane import numpy as pnp

from qngd.errors import SettingError
from qngd.interop.losses.loss import Loss

RNG = np.random.default_rng(5)
OUTPUTS = RNG.uniform(0.15, 0.85, (5, 2))
TARGETS = RNG.uniform(0.1, 0.9, (5, 2))
LABELS = np.array([0, 1, 1, 0, 1])


def mean_square(o, y):
    return np.mean((o - y) ** 2)


def cross_entropy(o, y):
    return -np.mean(y * np.log(o) + (1 - y) * np.log(1 - o))


def softmax(o, y):
    shifted = np.exp(3 * o - np.max(3 * o, axis=1, keepdims=True))
    share = shifted / shifted.sum(axis=1, keepdims=True)
    return -np.log(share[np.arange(len(LABELS)), LABELS]).mean()


def hinge(o, y):
    return np.mean(np.maximum(0, 1 - o[:, 0] * (2 * LABELS - 1))) + np.linalg.norm(o)


def many_functions(o, y):
    return np.sum(np.clip(o, 0.2, 0.8) * y) + np.einsum("ij,ij->", o, y) + np.sum(np.stack([o[:, 0], o[:, 1] ** 3]))


def element_by_element(o, y):
    return sum(math.sqrt(a) * b for a, b in zip(o.flat, y.flat, strict=True))


def python_number(o, y):
    return float(np.mean(o * o * y))


def of_pennylane(o, y):
    return pnp.mean(pnp.log(o) * y)


def of_autograd(o, y):
    return anp.sum(anp.tanh(o) * y)


OF_NUMPY = [
    mean_square, cross_entropy, softmax, hinge, many_functions, element_by_element, python_number, of_pennylane,
    of_autograd,
]  # fmt: skip


def slopes_by_differences(function, outputs, step=1e-3):
    found = np.zeros(outputs.shape)
    for index in np.ndindex(outputs.shape):

        def at(shift, index=index):
            moved = outputs.copy()
            moved[index] += shift
            return float(function(moved))

        weights = ((1, 45 / 30), (2, -9 / 30), (3, 1 / 30))
        found[index] = sum(w * (at(k * step) - at(-k * step)) for k, w in weights) / (2 * step)
    return found


def check(function, reference=None, tolerance=1e-8):
    loss, plain = Loss(function), reference or (lambda o: function(o, TARGETS))
    value, slopes = loss.slopes(OUTPUTS, TARGETS)
    assert value == pytest.approx(float(plain(OUTPUTS)), abs=1e-12)
    np.testing.assert_allclose(slopes, slopes_by_differences(plain, OUTPUTS), atol=tolerance)
    directions = RNG.normal(size=(3, *OUTPUTS.shape))
    bends = loss.bends(OUTPUTS, TARGETS, directions)
    for direction, bend in zip(directions, bends, strict=True):
        ahead, behind = (loss.slopes(OUTPUTS + s * 1e-4 * direction, TARGETS)[1] for s in (1, -1))
        np.testing.assert_allclose(bend, (ahead - behind) / 2e-4, atol=1e-5)


@pytest.mark.parametrize("function", OF_NUMPY, ids=lambda function: function.__name__)
def test_losses_of_numpy_and_autograd(function):
    check(function)


@pytest.mark.parametrize("function", [mean_square, cross_entropy, softmax], ids=lambda function: function.__name__)
def test_without_autograd_the_complex_step_finds_them(function, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "autograd", None)
    check(function)


def test_losses_of_jax():
    jnp = pytest.importorskip("jax.numpy")
    import jax

    labels = jnp.asarray(LABELS)

    def of_jax(o, y):
        return -jnp.mean(y * jnp.log(o) + (1 - y) * jnp.log(1 - o)) + jnp.sum(jax.nn.one_hot(labels, 2) * o**2)

    check(of_jax, lambda o: cross_entropy(o, TARGETS) + np.sum(np.eye(2)[LABELS] * o**2))
    check(jax.jit(of_jax), lambda o: cross_entropy(o, TARGETS) + np.sum(np.eye(2)[LABELS] * o**2))


def test_losses_of_torch():
    torch = pytest.importorskip("torch")

    def of_torch(o, y):
        return torch.nn.functional.mse_loss(o, y) + torch.nn.functional.cross_entropy(3 * o, torch.tensor(LABELS))

    check(of_torch, lambda o: mean_square(o, TARGETS) + softmax(o, TARGETS))
    loss = Loss(lambda o: (o - torch.tensor(TARGETS)).pow(2).mean())  # without targets
    np.testing.assert_allclose(loss.slopes(OUTPUTS, None)[1], (OUTPUTS - TARGETS) / 5, atol=1e-14)
    with pytest.raises(SettingError, match=r"without \.item"):
        Loss(lambda o: torch.mean(o).item() + torch.zeros(1)).slopes(OUTPUTS, None)
    with pytest.raises(SettingError, match=r"module\.double"):
        Loss(lambda o: torch.mean(o.float())).slopes(OUTPUTS, None)


def test_jaxs_own_arrays():
    """What NumPy's arrays have not is tried on them; an index out of bounds, which they move to the edge, is not."""
    pytest.importorskip("jax")
    check(lambda o, y: (o.at[:, 0].multiply(3.0) * y).sum(), lambda o: np.sum(o * [3.0, 1.0] * TARGETS))
    with pytest.raises(SettingError, match="index 5 is out of bounds"):
        Loss(lambda o: o[:, 5].sum()).slopes(OUTPUTS, None)


def test_a_loss_of_numpy_takes_the_targets_of_a_framework():
    for tensors in (pytest.importorskip("torch").tensor, pytest.importorskip("jax.numpy").asarray):
        found = Loss(cross_entropy).slopes(OUTPUTS, tensors(TARGETS))
        expected = Loss(cross_entropy).slopes(OUTPUTS, np.asarray(tensors(TARGETS)))
        assert found[0] == pytest.approx(expected[0])
        np.testing.assert_allclose(found[1], expected[1], atol=1e-12)


def test_a_loss_that_fails_on_a_frameworks_arrays_says_so_of_these():
    torch = pytest.importorskip("torch")
    with pytest.raises(SettingError, match=r"must be Tensor.*; on torch's arrays RuntimeError.*, with the targets"):
        Loss(torch.nn.functional.cross_entropy).slopes(OUTPUTS, LABELS.astype(np.int32))


def test_a_loss_that_fails_says_what_it_was_called_with():
    with pytest.raises(
        SettingError, match=r"it fails \(TypeError: [^;]*\) on outputs of shape \(5, 2\), with the targets"
    ):
        Loss(lambda o: o.sum()).slopes(OUTPUTS, TARGETS)
    with pytest.raises(
        SettingError, match=r"it fails \(TypeError: [^;]*\) on outputs of shape \(5, 2\), without targets"
    ):
        Loss(lambda o, y: o.sum()).slopes(OUTPUTS, None)


def test_scalars_and_vectors_of_outputs():
    for shape in ((), (3,)):
        outputs = RNG.uniform(0.2, 0.8, shape)
        value, slopes = Loss(lambda o: np.sum(np.sin(o))).slopes(outputs, None)
        assert value == pytest.approx(np.sum(np.sin(outputs)))
        np.testing.assert_allclose(slopes, np.cos(outputs), atol=1e-12)
    loss = Loss(lambda o: o)
    assert loss.slopes(np.array(0.3), None)[1] == 1.0


def test_a_given_derivative_is_taken():
    loss = Loss(lambda o: float(np.sum(o**3)), lambda o: 3 * o**2)
    np.testing.assert_array_equal(loss.slopes(OUTPUTS, None)[1], 3 * OUTPUTS**2)
    directions = RNG.normal(size=(2, *OUTPUTS.shape))
    np.testing.assert_allclose(loss.bends(OUTPUTS, None, directions), 6 * OUTPUTS * directions, atol=1e-9)
    with pytest.raises(SettingError, match="grad: it returned an array of shape"):
        Loss(lambda o: float(np.sum(o)), lambda o: np.ones(3)).slopes(OUTPUTS, None)


@pytest.mark.parametrize("wrong", [lambda o: o, lambda o: -2 * o, lambda o: np.zeros_like(o), lambda o: 2 * o[::-1]])
def test_a_given_derivative_that_is_another_ones_is_refused(wrong):
    with pytest.raises(SettingError, match=r"grad: it is not the derivative of the loss: .* changes by -?\d.*; leave"):
        Loss(lambda o: float(np.sum(o**2)), wrong).slopes(OUTPUTS, None)


def test_a_given_derivative_may_be_of_a_kink_or_of_what_is_rough():
    def hinged(o):
        return float(np.sum(np.maximum(0.0, o - OUTPUTS)))

    def slope(o):
        return (o > OUTPUTS).astype(float)

    np.testing.assert_array_equal(Loss(hinged, slope).slopes(OUTPUTS, None)[1], np.zeros_like(OUTPUTS))
    rough = np.random.default_rng(0)
    found = Loss(lambda o: float(np.sum(o**2)) + 1e-2 * rough.normal(), lambda o: 2 * o).slopes(OUTPUTS, None)[1]
    np.testing.assert_array_equal(found, 2 * OUTPUTS)


def test_what_cannot_be_differentiated_is_refused():
    rough = np.random.default_rng(0)
    with pytest.raises(SettingError, match="grad=lambda outputs"):
        Loss(lambda o: float(np.sum(o)) + 1e-4 * rough.normal()).slopes(OUTPUTS, None)


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (lambda o: o, r"must return one real number; got an array of shape \(5, 2\)"),
        (lambda o: "text", "must return one real number; got 'text'"),
        (lambda o: np.mean(o) * 1j, r"must return one real number; got .*j"),
        (lambda o: o[:, 7], r"IndexError.* on outputs of shape \(5, 2\)"),
        (lambda: 1.0, "TypeError"),
    ],
)
def test_wrong_losses(function, text):
    with pytest.raises(SettingError, match=text):
        Loss(function).slopes(OUTPUTS, None)
    with pytest.raises(SettingError, match="loss must be a function"):
        Loss(3.0)


def test_no_warning_of_a_loss_comes_from_looking_for_its_way():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Loss(cross_entropy).slopes(OUTPUTS, TARGETS)
