"""pauli-prop, IBM's Pauli propagation in Rust, and the estimator of Aer's matrix product states: both give energies,
and gradients by the shift rule."""

from __future__ import annotations

import numpy as np
from pauli_prop import propagation
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.quantum_info import SparsePauliOp
from qiskit_aer.primitives import EstimatorV2

from experiments.peers.protocol import Work, brickwork, ising, serve

MOST = 1 << 17  # strings, for which it makes room: more than there are


def ansatz(num_qubits: int, layers: int) -> QuantumCircuit:
    theta = ParameterVector("t", 2 * num_qubits * layers)
    circuit = QuantumCircuit(num_qubits)
    for name, qubits, parameter in brickwork(num_qubits, layers):
        getattr(circuit, name)(*([theta[parameter]] if parameter >= 0 else []), *qubits)
    return circuit


def observable(num_qubits: int) -> SparsePauliOp:
    terms = [(letters, list(qubits), coefficient) for coefficient, letters, qubits in ising(num_qubits)]
    return SparsePauliOp.from_sparse_list(terms, num_qubits=num_qubits)


def shifted(theta: np.ndarray) -> np.ndarray:
    """(2P, P): every parameter by a quarter turn up, then down."""
    shifts = 0.5 * np.pi * np.eye(len(theta))
    return np.concatenate([theta + shifts, theta - shifts])


def slopes(energies: np.ndarray) -> np.ndarray:
    return 0.5 * (energies[: len(energies) // 2] - energies[len(energies) // 2 :])


class Propagation:
    """With no string left out."""

    def __init__(self, num_qubits: int, layers: int) -> None:
        self._circuit = ansatz(num_qubits, layers)
        self._observable = observable(num_qubits)

    def energy(self, theta: np.ndarray) -> float:
        bound = self._circuit.assign_parameters(theta)
        found, _ = propagation.propagate_through_circuit(self._observable, bound, MOST, 1e-14, "h")
        return float(found.coeffs.real[~found.paulis.x.any(axis=1)].sum())


def propagated_energy(num_qubits: int, layers: int) -> Work:
    return Propagation(num_qubits, layers).energy


def propagated_gradient(num_qubits: int, layers: int) -> Work:
    energy = Propagation(num_qubits, layers).energy
    return lambda theta: slopes(np.array([energy(at) for at in shifted(theta)]))


class MatrixProductStates:
    """Without shots."""

    def __init__(self, num_qubits: int, layers: int) -> None:
        options = {"backend_options": {"method": "matrix_product_state"}, "default_precision": 0.0}
        self._estimator = EstimatorV2(options=options)
        self._circuit, self._observable = ansatz(num_qubits, layers), observable(num_qubits)

    def energies(self, points: np.ndarray) -> np.ndarray:
        (found,) = self._estimator.run([(self._circuit, self._observable, points)]).result()
        return np.asarray(found.data.evs)


def mps_energy(num_qubits: int, layers: int) -> Work:
    states = MatrixProductStates(num_qubits, layers)
    return lambda theta: states.energies(theta[None])


def mps_gradient(num_qubits: int, layers: int) -> Work:
    states = MatrixProductStates(num_qubits, layers)
    return lambda theta: slopes(states.energies(shifted(theta)))


METHODS = {
    "propagated_energy": propagated_energy,
    "propagated_gradient": propagated_gradient,
    "mps_energy": mps_energy,
    "mps_gradient": mps_gradient,
}

if __name__ == "__main__":
    serve(METHODS)
