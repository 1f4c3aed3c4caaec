"""PennyLane's default.qubit and lightning.qubit through QNodes. Its wire 0 is the highest bit."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pennylane as qml
from pennylane import numpy as pnp

from experiments.peers.protocol import DAMPING, LEARNING_RATE, Work, ising, ladder, low_probabilities, serve

GATES = {"ry": qml.RY, "rz": qml.RZ}
PAULIS = {"X": qml.X, "Z": qml.Z}


def apply_ansatz(theta: Any, num_qubits: int, layers: int) -> None:
    for name, qubits, parameter in ladder(num_qubits, layers):
        if parameter >= 0:
            GATES[name](theta[parameter], *qubits)
        else:
            qml.CNOT(qubits)


def observable(num_qubits: int) -> Any:
    coefficients, strings = [], []
    for coefficient, letters, qubits in ising(num_qubits):
        coefficients.append(coefficient)
        strings.append(qml.prod(*(PAULIS[p](q) for p, q in zip(letters, qubits, strict=True))))
    return qml.Hamiltonian(coefficients, strings)


def energy_node(num_qubits: int, layers: int, device: str, diff_method: str) -> qml.QNode:
    hamiltonian = observable(num_qubits)

    @qml.qnode(qml.device(device, wires=num_qubits), diff_method=diff_method)
    def energy(theta: Any) -> Any:
        apply_ansatz(theta, num_qubits, layers)
        return qml.expval(hamiltonian)

    return energy


def trainable(theta: np.ndarray) -> Any:
    return pnp.array(theta, requires_grad=True)


def state(num_qubits: int, layers: int, device: str) -> Work:
    @qml.qnode(qml.device(device, wires=num_qubits), diff_method=None)
    def run(theta: Any) -> Any:
        apply_ansatz(theta, num_qubits, layers)
        return qml.state()

    return lambda theta: low_probabilities(np.asarray(run(theta)), qubit_0_is_lowest=False)


def gradient(num_qubits: int, layers: int, device: str, diff_method: str) -> Work:
    slope = qml.grad(energy_node(num_qubits, layers, device, diff_method))
    return lambda theta: slope(trainable(theta))


def adjoint_metric_tensor(num_qubits: int, layers: int) -> Work:
    metric = qml.adjoint_metric_tensor(energy_node(num_qubits, layers, "default.qubit", "best"))
    return lambda theta: metric(trainable(theta))


def step(num_qubits: int, layers: int, device: str, diff_method: str) -> Work:
    """`QNGOptimizer.step_and_cost` with the block-diagonal metric from its own circuits; every call goes on from
    where the last ended. Adjoint differentiation refuses the probabilities that the metric's circuits return, so
    these have a QNode without it."""
    energy = energy_node(num_qubits, layers, device, diff_method)
    metric = qml.metric_tensor(energy_node(num_qubits, layers, device, "parameter-shift"), approx="block-diag")
    own = {"metric_tensor_fn": metric} if diff_method == "adjoint" else {}
    optimizer = qml.QNGOptimizer(LEARNING_RATE, approx="block-diag", lam=DAMPING)
    here = None

    def work(theta: np.ndarray) -> np.ndarray:
        nonlocal here
        here, cost = optimizer.step_and_cost(energy, trainable(theta) if here is None else here, **own)
        return np.r_[float(cost), np.asarray(here)]

    return work


METHODS = {
    "default.qubit state": partial(state, device="default.qubit"),
    "default.qubit backprop": partial(gradient, device="default.qubit", diff_method="backprop"),
    "default.qubit adjoint": partial(gradient, device="default.qubit", diff_method="adjoint"),
    "default.qubit step": partial(step, device="default.qubit", diff_method="best"),
    "default.qubit adjoint step": partial(step, device="default.qubit", diff_method="adjoint"),
    "adjoint_metric_tensor": adjoint_metric_tensor,
    "lightning.qubit state": partial(state, device="lightning.qubit"),
    "lightning.qubit adjoint": partial(gradient, device="lightning.qubit", diff_method="adjoint"),
    "lightning.qubit step": partial(step, device="lightning.qubit", diff_method="adjoint"),
}

if __name__ == "__main__":
    serve(METHODS)
