"""Gradients with few shots: which parameters take differences, that they are what they say, and when they are taken."""

import numpy as np
import pytest

import qngd
from qngd.errors import SettingError
from qngd.gradients import EconomicalShift, ParameterShift
from tests import dense
from tests.strategies import Sketch

GRAPH = [(i, j) for j in range(6) for i in range(j)]
TERMS = {"".join("Z" if q in edge else "I" for q in reversed(range(6))): 1 + 0.1 * k for k, edge in enumerate(GRAPH)}
THETA = np.array([0.3, 0.2, -0.4])


def weighted():
    """One parameter in fifteen edges of different weights, one in six mixers, and one that stands alone."""
    sketch = Sketch(6, 3)
    for q in range(6):
        sketch("h", q)
    for k, (i, j) in enumerate(GRAPH):
        sketch("rzz", i, j, (1 + 0.1 * k) * sketch.t[0])
    for q in range(6):
        sketch("rx", q, 2 * sketch.t[1])
    return sketch("cx", 0, 3)("ry", 3, sketch.t[2])("cx", 2, 3)("rx", 1, 0.4).circuit()


def energy(circuit, theta):
    """From the dense state."""
    state, matrix = dense.statevector(circuit, theta), dense.observable_matrix(TERMS)
    return float(np.real(state.conj() @ (matrix @ state)))


def difference(circuit, parameter, shift):
    step = shift * np.eye(len(THETA))[parameter]
    return (energy(circuit, THETA + step) - energy(circuit, THETA - step)) / (2 * shift)


def evaluated(method, shots, seed, circuit=None):
    evaluator = qngd.evaluator(circuit or weighted(), TERMS, THETA, shots=shots)
    return evaluator.evaluate(THETA, gradient=method, metric=None, seed=seed)


@pytest.mark.parametrize("reach", [0.5, 0.7])
def test_gates_that_share_a_parameter_take_one_difference_and_others_their_rule(reach):
    circuit = weighted()
    strengths = 1 + 0.1 * np.arange(len(GRAPH))
    expected = [
        difference(circuit, 0, reach / np.linalg.norm(strengths)),
        difference(circuit, 1, 1e-4),
        difference(circuit, 2, 1e-4),
    ]
    found = evaluated(EconomicalShift(reach), 1_000_000, 1)
    assert found.cost.circuits == 1 + 2 + 4 + 2
    assert np.all(abs(found.gradient.value - expected) < 5 * found.gradient.stderr)
    assert 5 * found.gradient.stderr[0] < abs(expected[0] - difference(circuit, 0, 1e-4))  # its bias
    assert evaluated(ParameterShift(), 10, 1).cost.circuits == 1 + 30 + 4 + 2


def test_errors_are_those_of_shots():
    evaluator = qngd.evaluator(weighted(), TERMS, THETA, shots=40)
    asked = {"gradient": EconomicalShift(0.6), "metric": None}
    found = [evaluator.evaluate(THETA, **asked, seed=seed).gradient for seed in range(400)]
    values, errors = np.array([each.value for each in found]), np.array([each.stderr for each in found])
    assert np.mean(errors**2, axis=0) == pytest.approx(values.var(axis=0, ddof=1), rel=0.25)


def test_few_frequencies_are_left_to_their_rules():
    """They may turn together, faster than independent ones would."""
    sketch = Sketch(4, 1)
    for q in range(3):
        sketch("rzz", q, q + 1, 0.5 * sketch.t[0])
    circuit = sketch.circuit()
    terms = {"IIXX": 1.0}
    evaluator = qngd.evaluator(circuit, terms, [0.3], shots=100)
    ways = [evaluator.evaluate(np.array([0.3]), gradient=way, metric=None, seed=1) for way in (True, EconomicalShift())]
    assert ways[0].gradient.value == ways[1].gradient.value
    assert ways[0].cost == ways[1].cost


def test_of_many_groups_a_random_part_is_run():
    """Unbiased, where no parameter takes a difference."""
    sketch = Sketch(4, 2)
    for q in range(4):
        sketch("ry", q, (1 + q) * sketch.t[0])("rx", q, 0.3 + q)
    for q in range(3):
        sketch("cx", q, q + 1)
    circuit = sketch("ry", 2, sketch.t[1]).circuit()
    labels = ["XYZX", "YZXY", "ZXYZ", "XXYY", "YYXX", "ZZXX", "XZXZ", "ZYZY", "YXYX", "XZZY"]
    terms = {label: 1 + 0.2 * k for k, label in enumerate(labels)}
    theta = np.array([0.4, -0.3])
    truth = dense.Truth(lambda thetas: np.array([dense.statevector(circuit, t) for t in thetas]), theta, terms)
    evaluator = qngd.evaluator(circuit, terms, theta, shots=20)
    found = [evaluator.evaluate(theta, gradient=EconomicalShift(), metric=None, seed=seed) for seed in range(400)]
    whole = evaluator.evaluate(theta, gradient=True, metric=None, seed=1)
    assert {each.cost.circuits for each in found} == {found[0].cost.circuits}
    assert found[0].cost.circuits < whole.cost.circuits
    values = np.array([each.gradient.value for each in found])
    errors = np.mean([each.gradient.stderr**2 for each in found], axis=0)
    assert np.all(abs(values.mean(axis=0) - truth.gradient) < 4 * np.sqrt(errors / len(found)))
    assert errors == pytest.approx(values.var(axis=0, ddof=1), rel=0.25)


def test_the_reach_falls_with_the_sixth_root_of_the_shots():
    reaches = [EconomicalShift().of_shots(shots).reach for shots in (1, 1_000, 64_000)]
    assert reaches == pytest.approx([0.75, (36 / 6000) ** (1 / 6), 0.5 * (36 / 6000) ** (1 / 6)], abs=1e-3)


def test_shots_that_are_chosen_go_with_it():
    """By default and where it goes with what is measured; a number of shots, or a total of one's own, does not."""
    price = {shots: qngd.cost(weighted(), TERMS, THETA, shots=shots).step.circuits for shots in ("auto", 100)}
    assert price["auto"] + 20 < price[100]
    total = qngd.cost(weighted(), TERMS, THETA, shots=qngd.AutoShots(total=50_000)).step.circuits
    assert total == price[100]
    first, second = (evaluated(True, "auto", seed) for seed in (1, 2))
    assert first.cost.circuits == 9 == second.cost.circuits
    tail = qngd.evaluator(weighted(), qngd.CVaR(TERMS, 0.5), THETA, shots="auto")
    assert tail.evaluate(THETA, gradient=True, metric=None, seed=1).cost.circuits > 20


def test_exact_gradients_are_exact():
    expected = [difference(weighted(), k, 1e-4) for k in range(3)]
    assert qngd.gradient(weighted(), TERMS, THETA, method="auto").value == pytest.approx(expected, abs=1e-5)


def test_a_reach_is_positive():
    with pytest.raises(SettingError, match="reach"):
        EconomicalShift(0)
