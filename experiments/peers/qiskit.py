"""Qiskit: its statevector, and ReverseQGT of qiskit-algorithms."""

from __future__ import annotations

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.quantum_info import Statevector

from experiments.peers.protocol import Work, ladder, low_probabilities, serve


def ansatz(num_qubits: int, layers: int) -> QuantumCircuit:
    theta = ParameterVector("t", 2 * num_qubits * layers)
    circuit = QuantumCircuit(num_qubits)
    for name, qubits, parameter in ladder(num_qubits, layers):
        getattr(circuit, name)(*([theta[parameter]] if parameter >= 0 else []), *qubits)
    return circuit


def state(num_qubits: int, layers: int) -> Work:
    circuit = ansatz(num_qubits, layers)
    return lambda theta: low_probabilities(Statevector(circuit.assign_parameters(theta)).data)


def reverse_qgt(num_qubits: int, layers: int) -> Work:
    from qiskit_algorithms.gradients import DerivativeType, ReverseQGT

    circuit = ansatz(num_qubits, layers)
    geometry = ReverseQGT(derivative_type=DerivativeType.REAL)
    return lambda theta: np.real(geometry.run([circuit], [theta]).result().qgts[0])


METHODS = {"state": state, "reverse_qgt": reverse_qgt}

if __name__ == "__main__":
    serve(METHODS)
