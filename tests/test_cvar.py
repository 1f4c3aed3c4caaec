"""CVaR in the place of an energy, against distributions from dense matrices."""

from __future__ import annotations

import numpy as np
import pytest

import qngd
from qngd.estimates.tail import quantile, tail_function
from tests.dense import observable_matrix

DIAGONAL = {"ZZII": 1.0, "IZZI": -0.7, "IIIZ": 0.3, "ZIIZ": 0.5, "IIII": 2.0}
ENTANGLED = {"XXII": 1.0, "ZZII": -0.7, "IIXY": 0.3, "IIYX": 0.45}


def ladder(num_qubits: int = 4, also_idle: int = 0) -> qngd.Circuit:
    """An asymmetric circuit with a shared and a scaled angle, and idle qubits above."""
    builder = qngd.CircuitBuilder(num_qubits + also_idle)
    angles = [builder.parameter(f"a{k}") for k in range(2 * num_qubits - 1)]
    for q in range(num_qubits):
        builder.ry(angles[q], q)
    builder.cx(0, 1).cx(1, 2).cx(num_qubits - 1, 0)
    for q in range(num_qubits):
        builder.rx(angles[min(num_qubits + q, len(angles) - 1)] * (0.5 + q), q)
    return qngd.wrap(builder)


def tail_of(circuit: qngd.Circuit, terms: dict[str, float], theta: np.ndarray, alpha: float) -> float:
    """The mean of the lowest share of the energies, filled up one eigenstate after the other."""
    energies, states = np.linalg.eigh(observable_matrix(terms))
    probabilities = np.abs(states.conj().T @ qngd.statevector(circuit, theta)) ** 2
    left, total = alpha, 0.0
    for energy, probability in zip(energies, probabilities, strict=True):
        taken = min(left, probability)
        total += taken * energy
        left -= taken
    return total / alpha


@pytest.mark.parametrize("terms", [DIAGONAL, ENTANGLED])
@pytest.mark.parametrize("alpha", [0.07, 0.25, 0.6, 1.0])
def test_value_and_gradient(terms, alpha):
    circuit, rng = ladder(), np.random.default_rng(7)
    theta = rng.normal(size=circuit.num_parameters)
    found = qngd.expectation(circuit, qngd.CVaR(terms, alpha), theta)
    assert found.is_exact
    assert float(found) == pytest.approx(tail_of(circuit, terms, theta, alpha), abs=1e-12)
    slope = qngd.gradient(circuit, qngd.CVaR(terms, alpha), theta).value
    for k, shift in enumerate(1e-5 * np.eye(len(theta))):
        above, below = (tail_of(circuit, terms, theta + s, alpha) for s in (shift, -shift))
        assert slope[k] == pytest.approx((above - below) / 2e-5, abs=1e-8)


def test_all_of_it_is_the_mean():
    circuit = ladder()
    theta = np.linspace(-1, 2, circuit.num_parameters)
    mean = float(qngd.expectation(circuit, DIAGONAL, theta))
    assert float(qngd.expectation(circuit, qngd.CVaR(DIAGONAL, 1), theta)) == pytest.approx(mean, abs=1e-12)


@pytest.mark.parametrize("label", ["XZIII", "YIIIZ", "ZZIII"])
def test_strings_on_a_qubit_that_stays_zero(label):
    """The mean of X on an idle qubit is 0, and its values are ±1."""
    circuit = ladder(4, also_idle=1)
    terms = {label: 0.8, "ZIZII" if label[0] == "Z" else "IIZII": 0.3}
    theta = np.linspace(-1, 2, circuit.num_parameters)
    found = float(qngd.expectation(circuit, qngd.CVaR(terms, 0.3), theta))
    assert found == pytest.approx(tail_of(circuit, terms, theta, 0.3), abs=1e-12)


def test_what_does_not_commute_is_refused():
    with pytest.raises(qngd.ObservableError, match="IIZZ and IIXZ, which do not commute"):
        qngd.expectation(ladder(), qngd.CVaR({"IIXZ": 1.0, "ZIII": 0.5, "IIZZ": 1.0}, 0.5), np.zeros(7))


@pytest.mark.parametrize("alpha", [0, -0.1, 1.01, np.nan, "0.5", None, [], [0.5, 0.2], [0.2, 0.2], [0.1, 2], True])
def test_wrong_alpha(alpha):
    with pytest.raises(qngd.SettingError, match="alpha must be a number above 0 and up to 1, or an ascending list"):
        qngd.CVaR({"Z": 1.0}, alpha)


def test_quantile_where_rounding_would_pass_it():
    energies, weights = np.array([2.0, -1.0, 0.0]), np.array([0.7, 0.1, 0.2])
    assert quantile(energies, weights, 0.1) == -1.0
    assert quantile(energies, weights, 0.3) == 0.0
    assert quantile(energies, weights, 0.31) == 2.0
    assert weights @ tail_function(energies, 0.0, 0.3) == pytest.approx(-1 / 3)


def test_minimize_finds_the_best_string():
    """Where the mean is at rest in a local minimum, a tail is not."""
    circuit = ladder()
    rng = np.random.default_rng(1)
    best = np.linalg.eigvalsh(observable_matrix(DIAGONAL))[0]
    for start in rng.uniform(-np.pi, np.pi, (3, circuit.num_parameters)):
        result = qngd.minimize(circuit, qngd.CVaR(DIAGONAL, 0.2), start, max_steps=60)
        assert result.energy == pytest.approx(best, abs=1e-6)
