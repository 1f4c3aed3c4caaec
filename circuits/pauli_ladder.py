"""Random Pauli rotations between ladders of CZ, written in PennyLane.

The circuit with which the quantum natural gradient was introduced (arXiv:1909.02108), after the
barren-plateau circuits of arXiv:1803.11173: RY(π/4) on every qubit, then in each layer an RX, RY or
RZ, drawn at random, on each qubit and a CZ on each pair of neighbours. The observable is Z₀Z₁.
"""

from numbers import Integral

import numpy as np
import pennylane as qml
from pennylane import numpy as pnp

import qngd


def problem(*, num_qubits: int = 7, layers: int = 5, seed: int = 0) -> qngd.Problem:
    """The least ⟨Z₀Z₁⟩ of one random circuit.

    Args:
        num_qubits: number of qubits, at least 2.
        layers: layers of rotations and CZ gates.
        seed: of the axes and of the starting angles, uniform in [0, 2π).

    Returns:
        A problem whose QNode takes one array of shape ``(layers, num_qubits)``. Its reference is
        -1, the lowest eigenvalue of Z₀Z₁; not every circuit reaches it.

    Raises:
        ValueError: if a setting is out of range.
    """
    if not isinstance(num_qubits, Integral) or num_qubits < 2:
        raise ValueError(f"num_qubits must be an integer of at least 2, got {num_qubits!r}")
    if not isinstance(layers, Integral) or layers < 1:
        raise ValueError(f"layers must be an integer of at least 1, got {layers!r}")
    if not isinstance(seed, Integral) or seed < 0:
        raise ValueError(f"seed must be an integer of at least 0, got {seed!r}")

    rng = np.random.default_rng(seed)
    axes = rng.integers(3, size=(layers, num_qubits))
    theta0 = rng.uniform(0, 2 * np.pi, (layers, num_qubits))
    rotations = (qml.RX, qml.RY, qml.RZ)

    @qml.qnode(qml.device("default.qubit", wires=num_qubits))
    def energy(angles):
        for wire in range(num_qubits):
            qml.RY(np.pi / 4, wires=wire)
        for layer in range(layers):
            for wire in range(num_qubits):
                rotations[axes[layer, wire]](angles[layer, wire], wires=wire)
            for wire in range(num_qubits - 1):
                qml.CZ(wires=[wire, wire + 1])
        return qml.expval(qml.Z(0) @ qml.Z(1))

    return qngd.Problem(
        energy,
        None,
        pnp.array(theta0, requires_grad=True),
        name=f"Pauli ladder, {num_qubits} qubits, depth {layers}, seed {seed}",
        reference_energy=-1.0,
    )
