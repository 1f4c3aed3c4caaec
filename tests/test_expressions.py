"""Expressions in the parameters against Python's own arithmetic, and their derivatives against finite differences."""

from __future__ import annotations

import cmath
import math
import operator
import random

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter, ParameterExpression, ParameterVector

from qngd.errors import CircuitError, ParameterError, QngdWarning
from qngd.interop import wrap
from qngd.interop.expressions import Expression, Graph
from qngd.interop.node_program import NodeProgram
from qngd.interop.qiskit import angles as _qiskit_angles

POINT = (0.37, -0.83, 1.29)
NAMES = "abc"
FUNCTIONS = {
    "sin": cmath.sin, "cos": cmath.cos, "tan": cmath.tan, "asin": cmath.asin, "acos": cmath.acos,
    "atan": cmath.atan, "exp": cmath.exp, "log": cmath.log, "abs": abs,
    "sign": lambda z: (z.real > 0) - (z.real < 0), "conj": lambda z: z.real,
}  # fmt: skip
QISKITS = {"asin": "arcsin", "acos": "arccos", "atan": "arctan", "conj": "conjugate"}
OPERATORS = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv, "**": operator.pow}


def ours(name, x):
    return x.function(name)


def qiskits(name, x):
    return abs(x) if name == "abs" else getattr(x, QISKITS.get(name, name))()


def drawn(rng, depth):
    """A random expression as a nested tuple."""
    if depth == 0 or rng.random() < 0.15:
        return rng.randrange(3) if rng.random() < 0.75 else rng.choice([2.0, 3.0, 0.5, -1.0, -2.5, 0.7, 1.0])
    kind = rng.choice(["+", "-", "*", "/", "+", "*", "-", "neg", "f", "f", "**"])
    if kind == "neg":
        return kind, drawn(rng, depth - 1)
    if kind == "f":
        return rng.choice(list(FUNCTIONS)), drawn(rng, depth - 1)
    if kind == "**" and rng.random() < 0.7:
        return kind, drawn(rng, depth - 1), rng.choice([2.0, 3.0, -1.0, 0.5, -2.0])
    return kind, drawn(rng, depth - 1), drawn(rng, depth - 1)


def made(tree, leaves, function):
    """The expression of a tree, over these leaves."""
    if isinstance(tree, int):
        return leaves[tree]
    if isinstance(tree, float):
        return tree
    kind, *parts = tree
    values = [made(part, leaves, function) for part in parts]
    if kind == "neg":
        return -values[0]
    if kind in OPERATORS:
        return OPERATORS[kind](*values)
    return values[0] if isinstance(values[0], float) else function(kind, values[0])


def exact(tree, point):
    """Its value in complex arithmetic: conjugates and absolute values of real numbers only."""
    if isinstance(tree, int):
        return complex(point[tree])
    if isinstance(tree, float):
        return complex(tree)
    kind, *parts = tree
    values = [exact(part, point) for part in parts]
    if kind == "neg":
        return -values[0]
    if kind == "**" and abs(values[0]) < 1e-3:
        raise ValueError  # a kink, as below
    if kind in OPERATORS:
        return OPERATORS[kind](*values)
    if not has_parameters(parts[0]):
        return values[0]  # Python's numbers have no such methods
    values = [complex(v.real, v.imag or 0.0) for v in values]
    if kind in ("abs", "conj", "sign") and abs(values[0].imag) > 1e-9:
        raise ValueError
    is_outside = kind in ("asin", "acos") and abs(values[0].imag) < 1e-9 and abs(values[0].real) > 0.999
    if is_outside or (kind in ("abs", "sign") and abs(values[0]) < 1e-3):
        raise ValueError  # the branch cut and the kinks, which have tests of their own
    return complex(FUNCTIONS[kind](values[0]))


def slopes(function, point, step=1e-4):
    """Derivatives by central differences of the fourth order."""
    result = []
    for e in np.eye(len(point)) * step:
        f = [function(np.asarray(point) + k * e) for k in (-2, -1, 1, 2)]
        result.append((f[0] - 8 * f[1] + 8 * f[2] - f[3]) / (12 * step))
    return np.array(result)


def has_parameters(tree) -> bool:
    return any(map(has_parameters, tree[1:])) if isinstance(tree, tuple) else isinstance(tree, int)


def reference(tree):
    """Value and slopes of a tree at POINT, or None where they are not real, not finite or too large to difference."""
    try:
        value = exact(tree, POINT)
        gradient = slopes(lambda x: exact(tree, x), POINT)
    except (ArithmeticError, ValueError):
        return None
    numbers = np.array([value, *gradient])
    is_good = np.isfinite(numbers).all() and (abs(numbers.imag) < 1e-9).all() and (abs(numbers) < 1e3).all()
    return (value.real, gradient.real) if is_good else None


def linearized(tree):
    graph = Graph(NAMES)
    root = made(tree, [Expression(graph, graph.parameter(i)) for i in range(3)], ours)
    gradient = graph.gradient(root.node)
    value, *derivatives = NodeProgram.of(graph, [root.node, *gradient.values()])(np.array(POINT))
    jacobian = np.zeros(3)
    jacobian[list(gradient)] = derivatives
    return value, jacobian


def test_random_expressions():
    rng = random.Random(5)
    count = 0
    while count < 400:
        tree = drawn(rng, rng.choice([1, 2, 3, 4, 5]))
        expected = None if isinstance(tree, float) else reference(tree)
        if expected is None or not has_parameters(tree):
            continue
        value, jacobian = linearized(tree)
        count += 1
        assert value == pytest.approx(expected[0], rel=1e-9, abs=1e-9), tree
        assert jacobian == pytest.approx(expected[1], rel=1e-5, abs=1e-5), tree


def turned(*angles) -> QuantumCircuit:
    circuit = QuantumCircuit(1)
    for angle in angles:
        circuit.rx(angle, 0)
    return circuit


def same_as_wrapped(tree, expected) -> None:
    """RX by Qiskit's expression of a tree has this angle and these slopes at POINT."""
    parameters = [Parameter(name) for name in NAMES]
    angle = made(tree, parameters, qiskits)
    if not isinstance(angle, ParameterExpression):
        return
    wrapped = wrap(turned(angle))
    if not wrapped.num_parameters or not len(wrapped.angle_map.constant):
        return  # Qiskit found that nothing moves it
    theta = np.array([POINT[NAMES.index(name)] for name in wrapped.parameters])
    (value,), jacobian = wrapped.angle_map.linearize(theta)
    of_name = dict(zip(wrapped.parameters, jacobian.toarray()[0], strict=True))
    assert value == pytest.approx(expected[0], rel=1e-9, abs=1e-9), tree
    assert [of_name.get(name, 0.0) for name in NAMES] == pytest.approx(expected[1], rel=1e-5, abs=1e-5), tree


def test_random_expressions_of_qiskits():
    rng = random.Random(6)
    for _ in range(250):
        tree = drawn(rng, rng.choice([1, 2, 3, 4]))
        expected = reference(tree) if has_parameters(tree) else None
        if expected is not None:
            try:
                same_as_wrapped(tree, expected)
            except ZeroDivisionError:  # Qiskit's, as it makes the expression
                continue


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
@pytest.mark.parametrize("inner", [2, ("*", 0, 0.5), ("-", ("*", 1, 1), 2)])
def test_every_function_of_qiskits(name, inner):
    tree = (name, ("*", inner, 0.6))
    expected = reference(tree)
    if expected is None:
        assert name == "log"  # of a negative number
    else:
        same_as_wrapped(tree, expected)


def difference_of_squares(a, b):
    return (2 * a) ** 2 + b**2 - (a + 2) / (b - 3) ** -2


def test_sums_of_squares_have_their_own_slopes():
    a, b = Parameter("a"), Parameter("b")
    wrapped = wrap(turned(difference_of_squares(a, b)))
    (value,), jacobian = wrapped.angle_map.linearize(np.array([0.7, -1.1]))
    assert value == pytest.approx(difference_of_squares(0.7, -1.1), rel=1e-14)
    expected = slopes(lambda x: difference_of_squares(*x), (0.7, -1.1))
    assert jacobian.toarray()[0] == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("count", [6, 60])
def test_a_product_of_many_factors(count):
    """As feature maps write it; a derivative that is expanded has 2ⁿ terms."""
    x = ParameterVector("x", count)
    weights = 1 + 0.1 * np.arange(count)
    angle = math.prod([math.pi - w * p for w, p in zip(weights, x, strict=True)])
    theta = 2.2 + 0.01 * np.arange(count)
    (value,), jacobian = wrap(turned(angle)).angle_map.linearize(theta)
    factors = math.pi - weights * theta
    assert value == pytest.approx(np.prod(factors), rel=1e-12)
    others = [np.prod(np.delete(factors, i)) for i in range(count)]
    assert jacobian.toarray()[0] == pytest.approx(-weights * others, rel=1e-10)


def test_deep_and_wide_expressions():
    depth, width = 600, 200
    x = ParameterVector("x", width)
    deep = x[0]
    for _ in range(depth):
        deep = (deep + 0.1).sin()
    wide = sum([(i + 1) * x[i].sin() * x[i - 1] for i in range(width)])
    theta = np.linspace(-1, 1, width)
    angles, jacobian = wrap(turned(deep, wide)).angle_map.linearize(theta)
    value, slope = theta[0], 1.0
    for _ in range(depth):
        value, slope = math.sin(value + 0.1), slope * math.cos(value + 0.1)
    weights, before, after = 1 + np.arange(width), np.roll(theta, 1), np.roll(theta, -1)
    assert angles == pytest.approx([value, weights @ (np.sin(theta) * before)], rel=1e-10)
    expected = weights * np.cos(theta) * before + np.roll(weights, -1) * np.sin(after)
    assert jacobian.toarray()[1] == pytest.approx(expected, rel=1e-10, abs=1e-10)
    assert jacobian.toarray()[0] == pytest.approx([slope, *np.zeros(width - 1)], rel=1e-10)


def test_what_differs_by_factors_and_sums_is_one_function():
    a, b = Parameter("a"), Parameter("b")
    wrapped = wrap(turned(2 * (a * b).sin() + 1, b - (a * b).sin(), 3 * a - b + (a * b).sin() / 4))
    assert wrapped.angle_map.expressions.shape == (3, 2)
    (f, g, h), jacobian = wrapped.angle_map.linearize(np.array([0.4, 0.9]))
    sine, cosine = math.sin(0.36), math.cos(0.36)
    assert [f, g, h] == pytest.approx([2 * sine + 1, 0.9 - sine, 0.3 + sine / 4], rel=1e-14)
    expected = [[1.8 * cosine, 0.8 * cosine], [-0.9 * cosine, 1 - 0.4 * cosine]]
    expected += [[3 + 0.225 * cosine, 0.1 * cosine - 1]]
    assert np.abs(jacobian.toarray() - expected).max() < 1e-14


def test_affine_after_all():
    a, b = Parameter("a"), Parameter("b")
    for angle in (a * b - b * a + a, (a + b) / 2 - b / 2, 2 * (a - 3 * (b - a)) + 1, -(a - b) / -4.0):
        assert wrap(turned(angle + 0.25 * b, a.sin() - a.sin() + b)).angle_map.is_affine


@pytest.mark.parametrize(
    ("angle", "at", "what"),
    [
        (lambda a: abs(a), 0.0, r"abs\(a\) of instruction 0 \(rx\) has no finite real derivative at a = 0"),
        (lambda a: a.sign(), 0.0, r"sign\(a\).*derivative at a = 0"),
        (lambda a: a**0.5, 0.0, r"a\*\*0.5.*derivative at a = 0"),
        (lambda a: a**0.5, -1.0, r"a\*\*0.5.*value at a = -1"),
        (lambda a: 1 / a, 0.0, r"value at a = 0"),
        (lambda a: a.log(), 0.0, r"log\(a\).*value at a = 0"),
        (lambda a: a.arccos(), 1.0, r"acos\(a\).*derivative at a = 1"),
        (lambda a: (a * 1000).exp(), 1.0, r"exp\(.*value at a = 1"),
        (lambda a: 1j * a.sin(), 0.0, r"derivative at a = 0"),
        (lambda a: abs((a - 2) ** 0.5), 1.0, r"value at a = 1"),
    ],
)
def test_no_value_or_no_slope_is_said(angle, at, what):
    wrapped = wrap(turned(angle(Parameter("a"))))
    with pytest.raises(ParameterError, match=what):
        wrapped.angle_map.linearize(np.array([at]))


def test_a_real_angle_by_way_of_complex_numbers():
    a = Parameter("a")
    wrapped = wrap(turned((a**0.5) ** 2, (1j * a) ** 2 + 1, abs(a) ** 2))
    angles, jacobian = wrapped.angle_map.linearize(np.array([-0.8]))
    assert angles == pytest.approx([-0.8, 0.36, 0.64], rel=1e-14)
    assert jacobian.toarray()[:, 0] == pytest.approx([1.0, 1.6, -1.6], rel=1e-14)
    jacobian_at_0 = wrap(turned(abs(a) ** 2)).angle_map.linearize(np.zeros(1))[1]
    assert jacobian_at_0.toarray() == 0


def test_values_of_some_of_the_parameters():
    a, b, c = (Parameter(name) for name in NAMES)
    circuit = turned((a * b + c).sin() * b, a / b)
    wrapped = wrap(circuit.assign_parameters({b: 0.3, c: a * 2}))
    assert wrapped.parameters == ("a",)
    angles, jacobian = wrapped.angle_map.linearize(np.array([0.5]))
    assert angles == pytest.approx([0.3 * math.sin(1.15), 0.5 / 0.3], rel=1e-14)
    assert jacobian.toarray()[:, 0] == pytest.approx([0.3 * 2.3 * math.cos(1.15), 1 / 0.3], rel=1e-14)


def test_an_expression_of_an_older_qiskit_is_to_be_looked_at(monkeypatch):
    monkeypatch.setattr("qiskit.__version__", "2.3.1")
    a, b = Parameter("a"), Parameter("b")
    wrap(turned(a, 2 * b - 1, a / 3))  # nothing to lose
    with pytest.warns(QngdWarning, match=r"Qiskit 2.3.1 .* holds here is b \+ a\*b\. .*2.5.2 or newer"):
        wrap(turned(a * b + b))


def test_a_record_that_is_not_what_qiskit_computes_is_refused(monkeypatch):
    monkeypatch.setitem(_qiskit_angles._BINARY, "__mul__", "add")
    a, b = Parameter("a"), Parameter("b")
    with pytest.raises(CircuitError, match=r"records the angle a\*b as a \+ b, which is something else"):
        wrap(turned(a * b))
