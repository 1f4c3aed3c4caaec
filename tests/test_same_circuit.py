"""The same circuit, written by a user of each SDK and of none, gives the same numbers."""

import numpy as np
import pennylane as qml
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from qiskit.quantum_info import SparsePauliOp

import qngd

THETA = np.array([0.3, -0.7, 1.1])
TERMS = {"ZZI": 1.0, "XIY": 0.5, "IYZ": -0.25, "IIX": 0.8}
PROGRAM = """
OPENQASM 3.0;
include "stdgates.inc";
input float a;
input float b;
input float c;
qubit[3] q;
ry(a) q[0];
rx(2*b + a) q[1];
cx q[0], q[2];
t q[2];
crz(c) q[1], q[2];
ry(sin(b)) q[2];
cp(a*c) q[2], q[0];
h q[1];
"""


def by_qiskit():
    a, b, c = (Parameter(name) for name in "abc")
    circuit = QuantumCircuit(3)
    circuit.ry(a, 0)
    circuit.rx(2 * b + a, 1)
    circuit.cx(0, 2)
    circuit.t(2)
    circuit.crz(c, 1, 2)
    circuit.ry(b.sin(), 2)
    circuit.cp(a * c, 2, 0)
    circuit.h(1)
    return circuit


def by_pennylane(theta):
    a, b, c = theta
    qml.RY(a, 0)
    qml.RX(2 * b + a, 1)
    qml.CNOT([0, 2])
    qml.T(2)
    qml.CRZ(c, [1, 2])
    qml.RY(qml.numpy.sin(b), 2)
    qml.ControlledPhaseShift(a * c, [2, 0])
    qml.Hadamard(1)


def by_hand():
    circuit = qngd.CircuitBuilder(3)
    a, b, c = circuit.parameters("a", "b", "c")
    circuit.ry(a, 0).rx(2 * b + a, 1).cx(0, 2).t(2)
    return circuit.crz(c, 1, 2).ry(np.sin(b), 2).cp(a * c, 2, 0).h(1)


CIRCUITS = {"Qiskit": by_qiskit, "PennyLane": lambda: by_pennylane, "OpenQASM": lambda: PROGRAM, "builder": by_hand}


def numbers(circuit):
    metrics = [np.asarray(qngd.metric_tensor(circuit, THETA, approx=a)) for a in ("diag", "block-diag", "full")]
    energy = qngd.expectation(circuit, TERMS, THETA).value
    return energy, qngd.gradient(circuit, TERMS, THETA).value, metrics


@pytest.mark.parametrize("sdk", ["PennyLane", "OpenQASM", "builder"])
def test_energy_gradient_and_metric_are_those_of_qiskits_circuit(sdk):
    expected, found = numbers(by_qiskit()), numbers(CIRCUITS[sdk]())
    assert found[0] == pytest.approx(expected[0], abs=1e-10)
    assert np.allclose(found[1], expected[1], atol=1e-10)
    assert np.allclose(found[2], expected[2], atol=1e-10)
    assert np.ptp(expected[2][2][0]) > 1e-3  # rows differ, so an order that is wrong would show


def test_a_run_ends_at_the_same_energy():
    ends = [qngd.minimize(make(), TERMS, THETA, max_steps=25, tol=0).energy for make in CIRCUITS.values()]
    assert np.allclose(ends, ends[0], atol=1e-6)


def test_observables_of_the_sdks_are_the_same():
    sparse = SparsePauliOp(list(TERMS), list(TERMS.values()))
    words = [qml.Z(2) @ qml.Z(1), qml.X(2) @ qml.Y(0), qml.Y(1) @ qml.Z(0), qml.X(0)]
    operator = qml.Hamiltonian(list(TERMS.values()), words)
    for circuit in (make() for make in CIRCUITS.values()):
        values = [qngd.expectation(circuit, o, THETA).value for o in (TERMS, sparse, operator)]
        assert np.allclose(values, values[0], atol=1e-12)
