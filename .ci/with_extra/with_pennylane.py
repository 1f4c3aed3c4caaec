"""Extra pennylane: a QNode, its metric beside PennyLane's, and the lightning simulator."""

import numpy as np
import pennylane as qml

import qngd


@qml.qnode(qml.device("lightning.qubit", wires=2))
def node(angles):
    qml.RY(angles[0], 0)
    qml.CNOT([0, 1])
    qml.RX(angles[1], 1)
    return qml.expval(qml.Z(0) @ qml.Z(1) + 0.5 * qml.X(0))


theta = qml.numpy.array([0.3, -0.7], requires_grad=True)
print(qngd.minimize(node, theta))
theirs = qml.metric_tensor(qml.QNode(node.func, qml.device("default.qubit", wires=2)), approx="block-diag")(theta)
assert np.allclose(qngd.metric_tensor(node, theta).value, theirs)
print(qngd.expectation(node, None, theta, shots=1000, seed=1))
