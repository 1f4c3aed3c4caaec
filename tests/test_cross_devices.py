"""The three ways to measure between layers, on real backends of the SDKs."""

import numpy as np
import pytest
from qiskit_aer import AerSimulator

import qngd
from tests import dense
from tests.strategies import Sketch

THETA = np.array([0.3, 0.7, 1.1])


def ansatz() -> qngd.Circuit:
    sketch = Sketch(2, 3)
    sketch("ry", 0, sketch.t[0])("ry", 1, sketch.t[1])("cx", 0, 1)("h", 1)("t", 1)
    sketch("rx", 0, 0.4)("cx", 1, 0)("rx", 1, sketch.t[2])
    return sketch.circuit()


@pytest.mark.parametrize("cross", ["hadamard", "mid-circuit", "overlap"])
@pytest.mark.parametrize("backend", [AerSimulator, lambda: "default.qubit"], ids=["aer", "default.qubit"])
def test_the_full_metric_agrees_with_the_exact_one(backend, cross):
    circuit = ansatz()
    truth = dense.metric(lambda theta: dense.statevector(circuit, theta), THETA)
    found = qngd.metric_tensor(circuit, THETA, approx="full", backend=backend(), shots=20_000, seed=1, cross=cross)
    assert np.abs(truth[:2, 2]).max() > 0.01  # there is something to find between the layers
    assert np.all(np.abs(np.asarray(found) - truth) <= 4.5 * found.stderr + 1e-9)
    assert np.linalg.eigvalsh(np.asarray(found)).min() > -1e-12


def test_a_device_that_measures_midway_needs_no_more_qubits():
    """Two qubits are enough for the measurement midway; the ancilla of the Hadamard test needs a third."""
    circuit = ansatz()
    device = AerSimulator(n_qubits=2)
    assert qngd.metric_tensor(circuit, THETA, approx="full", backend=device, shots=100, cross="mid-circuit").shots
    with pytest.raises(qngd.BackendError, match="needs 3"):
        qngd.metric_tensor(circuit, THETA, approx="full", backend=device, shots=100, cross="hadamard")
