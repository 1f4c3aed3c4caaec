"""QNodes with transforms that compute with the measured values: never the value without them."""

import numpy as np
import pennylane as qml
import pytest

import qngd
from qngd.errors import ObservableError

ANGLES = np.array([0.3, 0.7])
ENERGY = 2 * qml.Z(0) @ qml.X(1) + 0.5 * qml.Z(0)


@qml.transform
def doubled(script):
    return [script], lambda results: 2 * results[0] + 1


@qml.transform
def looked_at(script):
    return [script], lambda results: results[0]


def a_node(observable):
    @qml.qnode(qml.device("default.qubit", wires=2))
    def node(w):
        qml.RY(w[0], 0)
        qml.CNOT([0, 1])
        qml.RX(w[1], 1)
        return qml.expval(observable)

    return node


@pytest.mark.parametrize(
    "transform", [doubled, qml.transforms.split_non_commuting, qml.transforms.split_to_single_terms]
)
@pytest.mark.parametrize("observable", [2 * qml.Z(0), ENERGY], ids=["one term", "two terms"])
@pytest.mark.parametrize("hand_on", [lambda node: node, lambda node: lambda w: node(w)], ids=["node", "function"])
def test_values_that_a_transform_changes_are_not_the_energy(transform, observable, hand_on):
    node = transform(a_node(observable))
    with pytest.raises(ObservableError, match=r"transforms of the QNode compute with the values.*without them"):
        qngd.expectation(hand_on(node), ANGLES)
    exact = a_node(observable)(ANGLES)
    assert qngd.expectation(node, observable, ANGLES).value == pytest.approx(exact)
    assert qngd.expectation(a_node(observable), ANGLES).value == pytest.approx(exact)


@pytest.mark.parametrize(
    "transform", [looked_at, qml.compile, qml.transforms.cancel_inverses, qml.transforms.diagonalize_measurements]
)
def test_values_that_a_transform_hands_on_are_the_energy(transform):
    node = transform(a_node(ENERGY))
    assert qngd.expectation(node, ANGLES).value == pytest.approx(float(node(ANGLES)))
    shots = qml.set_shots(node, [20, 30])  # of which the results are a tuple each
    assert qngd.expectation(shots, ANGLES, seed=1).shots > 0
