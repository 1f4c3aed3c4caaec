"""Objectives by light cones: the numbers of the statevector, and circuits too wide for one."""

import numpy as np
import pytest

import qngd
from qngd.errors import BackendError, MemoryLimitError, SettingError

RNG = np.random.default_rng(3)
X, Y = RNG.uniform(-1.2, 1.2, (5, 2)), RNG.uniform(-1, 1, 5)


def model(num_qubits, layers=2):
    """Data in some angles, alone and in products, on a chain that is not symmetric."""
    circuit = qngd.CircuitBuilder(num_qubits)
    x, y, a, b, c = circuit.parameters("x", "y", "a", "b", "c")
    for layer in range(layers):
        for q in range(num_qubits):
            circuit.ry(x * (1 + q % 3) + a if q % 2 else y + b, q)
        for q in range(num_qubits - 1):
            circuit.cx(q, q + 1) if (q + layer) % 2 else circuit.rzz(c * y + 0.3, q, q + 1)
        circuit.rx(b + 0.1 * layer, 0)
    return circuit


def label(num_qubits, **letters):
    found = ["I"] * num_qubits
    for name, letter in letters.items():
        found[int(name[1:])] = letter
    return "".join(reversed(found))


def objective(num_qubits, layers=2, **more):
    observables = [
        {label(num_qubits, q0="Z"): 1.0, label(num_qubits, q1="X", q2="Y"): 0.4},
        {label(num_qubits, q2="Z", q3="Z"): 0.7, label(num_qubits): 0.2},
    ]

    def loss(outputs, targets):
        return np.mean((outputs[:, 0] - targets) ** 2) + np.mean(outputs[:, 1])

    return qngd.Objective(model(num_qubits, layers), observables, loss, data=X, targets=Y, inputs=["x", "y"], **more)


THETA = np.array([0.3, -0.5, 0.8])


def test_the_numbers_are_those_of_statevectors():
    one = objective(5)
    for function in (qngd.expectation, qngd.gradient, qngd.outputs):
        found, expected = (np.asarray(function(one, THETA, backend=b).value) for b in ("light-cone", None))
        np.testing.assert_allclose(found, expected, atol=1e-10)
    for approx in ("diag", "block-diag", "full", "gauss-newton"):
        chosen = objective(5, metric="gauss-newton") if approx == "gauss-newton" else one
        more = {} if approx == "gauss-newton" else {"approx": approx}
        found, expected = (
            np.asarray(qngd.metric_tensor(chosen, THETA, backend=b, **more)) for b in ("light-cone", None)
        )
        np.testing.assert_allclose(found, expected, atol=1e-10)


def test_runs_are_those_of_statevectors():
    for more in ({}, {"batch_size": 2}):
        found, expected = (
            qngd.minimize(objective(4, **more), THETA, backend=b, max_steps=3, seed=1) for b in ("light-cone", None)
        )
        np.testing.assert_allclose(found.history, expected.history, atol=1e-8)


def test_sixty_qubits_are_trained_without_a_word():
    result = qngd.minimize(objective(60, 1), THETA, max_steps=3)
    assert result.energy < result.history[0]
    assert "60 qubits, computed exactly by light cones" in result.note
    # of a chain, the first qubits alone decide: the same circuit on eight
    near = qngd.minimize(objective(8, 1), THETA, max_steps=3, optimizer=qngd.QNG(approx="identity"))
    far = qngd.minimize(objective(60, 1), THETA, max_steps=3, optimizer=qngd.QNG(approx="identity"))
    np.testing.assert_allclose(far.history, near.history, atol=1e-8)


def test_what_is_refused():
    with pytest.raises(BackendError, match="no Objective; 'light-cone' takes one"):
        qngd.minimize(objective(4), THETA, backend="pauli-propagation")
    with pytest.raises(BackendError, match="no Objective"):
        qngd.cost(objective(4), THETA, backend="light-cone")
    with pytest.raises(BackendError, match="leave out shots"):
        qngd.minimize(objective(4), THETA, backend="light-cone", shots=100)
    with pytest.raises(SettingError, match="whole states"):
        qngd.metric_tensor(objective(4), THETA, approx="qn-spsa", backend="light-cone")
    with pytest.raises(MemoryLimitError, match="the term"):
        qngd.expectation(objective(60, 40), THETA, backend="light-cone")
