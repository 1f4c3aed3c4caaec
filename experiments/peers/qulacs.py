"""qulacs: its circuit, its backpropagation, and derivative states by shifts of π. Its rotations are exp(+iθP/2)."""

from __future__ import annotations

import numpy as np
from qulacs import Observable, ParametricQuantumCircuit, QuantumState

from experiments.peers.protocol import Work, ising, ladder, low_probabilities, serve


def ansatz(num_qubits: int, layers: int) -> ParametricQuantumCircuit:
    circuit = ParametricQuantumCircuit(num_qubits)
    add = {"ry": circuit.add_parametric_RY_gate, "rz": circuit.add_parametric_RZ_gate}
    for name, qubits, parameter in ladder(num_qubits, layers):
        if parameter >= 0:
            add[name](*qubits, 0.0)
        else:
            circuit.add_CNOT_gate(*qubits)
    return circuit


def set_angles(circuit: ParametricQuantumCircuit, theta: np.ndarray) -> None:
    for k, angle in enumerate(theta):
        circuit.set_parameter(k, -angle)


def state(num_qubits: int, layers: int) -> Work:
    circuit = ansatz(num_qubits, layers)
    register = QuantumState(num_qubits)

    def work(theta: np.ndarray) -> np.ndarray:
        set_angles(circuit, theta)
        register.set_zero_state()
        circuit.update_quantum_state(register)
        return low_probabilities(register.get_vector())

    return work


def gradient(num_qubits: int, layers: int) -> Work:
    """The gradient alone; it does not return the energy."""
    circuit = ansatz(num_qubits, layers)
    observable = Observable(num_qubits)
    for coefficient, letters, qubits in ising(num_qubits):
        factors = " ".join(f"{p} {q}" for p, q in zip(letters, qubits, strict=True))
        observable.add_operator(coefficient, factors)

    def work(theta: np.ndarray) -> np.ndarray:
        set_angles(circuit, theta)
        return -np.array(circuit.backprop(observable))

    return work


def full_metric(num_qubits: int, layers: int) -> Work:
    """∂_k|ψ⟩ = ½|ψ(θ + π e_k)⟩, then one real symmetric product."""
    circuit = ansatz(num_qubits, layers)
    count = circuit.get_parameter_count()
    register = QuantumState(num_qubits)

    def vector() -> np.ndarray:
        register.set_zero_state()
        circuit.update_quantum_state(register)
        return register.get_vector()

    def work(theta: np.ndarray) -> np.ndarray:
        set_angles(circuit, theta)
        psi = vector()
        rows = np.empty((count, 1 << num_qubits), dtype=complex)
        for k in range(count):
            circuit.set_parameter(k, -theta[k] - np.pi)
            rows[k] = vector()
            circuit.set_parameter(k, -theta[k])
        real = rows.view(float)  # Re⟨a|b⟩ is the product of the real views
        # ⟨ψ|∂_kψ⟩ is imaginary: the state's norm stays 1
        overlaps = (rows @ psi.conj()).imag
        return 0.25 * (real @ real.T - np.outer(overlaps, overlaps))

    return work


METHODS = {"state": state, "gradient": gradient, "full_metric": full_metric}

if __name__ == "__main__":
    serve(METHODS)
