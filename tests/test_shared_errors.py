"""Errors of readout rates, which all circuits of a submission share, add up along them: over repetitions, where most of
the error is theirs."""

from dataclasses import replace

import numpy as np
import pytest

import qngd
from experiments.misreading import Misreading
from qngd.backends import ReadoutCorrected

RATES = [[0.06, 0.1, 0.03], [0.12, 0.05, 0.08]]  # the third is that of the ancilla of a Hadamard test
ENERGY = {"ZI": 0.8, "IZ": 0.6, "XX": 0.4, "ZZ": -0.5}
THETA = np.array([0.9, 0.5])
DATA, TARGETS = np.array([[0.3], [-0.6], [1.1]]), np.array([0.2, -0.4, 0.9])
ALIKE = np.array([[1.4], [1.5], [1.6], [1.7]])  # samples whose metrics such errors move alike
REPETITIONS = 80
BACKEND = {"backend": ReadoutCorrected(Misreading(RATES), shots=100), "shots": 2000}


def layers(inputs=()):
    """Parameters that stand in several layers; the angle of the first gate is data, if there are `inputs`."""
    made = qngd.CircuitBuilder(2)
    a, b, *x = made.parameters("a", "b", *inputs)
    made.ry(x[0] if x else 0.4, 0).rx(0.3, 1)
    return made.rx(a, 0).ry(b, 1).cx(0, 1).rz(a, 1).ry(2 * a, 0).rx(b, 1).cx(1, 0).ry(a, 1)


def two_layers():
    made = qngd.CircuitBuilder(2)
    a, b = made.parameters("a", "b")
    return made.ry(0.7, 0).rx(0.9, 1).rz(a, 0).rz(a, 1).cx(0, 1).rx(a, 0).ry(2 * b, 1)


def objective(loss, metric="fubini-study", data=DATA):
    return qngd.Objective(
        layers(["x"]), [{"ZI": 0.7, "IZ": 0.9}, {"ZZ": 1.0}], loss, data=data, targets=np.resize(TARGETS, len(data)),
        inputs=["x"], metric=metric,
    )  # fmt: skip


def sum_of_all(outputs, targets):
    return np.sum(outputs)


def squares(outputs, targets):
    return np.mean((outputs[:, 0] - targets) ** 2) + np.mean(np.exp(outputs[:, 1]))


def metric_of(*given, **how):
    return lambda **more: (lambda found: (found.raw, found.raw_stderr))(qngd.metric_tensor(*given, **how, **more))


def value_of(function, *given):
    return lambda **more: (lambda found: (found.value, found.stderr))(function(*given, **more))


CASES = {
    "full metric": metric_of(two_layers(), THETA, approx="full"),
    "block-diagonal metric": metric_of(layers(), THETA, approx="block-diag"),
    "diagonal metric": metric_of(layers(), THETA, approx="diag"),
    "Hamiltonian-aware metric": metric_of(layers(), THETA, approx="hamiltonian", observable=ENERGY),
    "metric averaged over samples": metric_of(objective(squares, data=ALIKE), THETA),
    "Gauss–Newton metric": metric_of(objective(squares, "gauss-newton"), THETA),
    "sum of outputs": value_of(qngd.expectation, objective(sum_of_all), None, THETA),
    "its gradient": value_of(qngd.gradient, objective(sum_of_all), None, THETA),
    "loss": value_of(qngd.expectation, objective(squares), None, THETA),
    "its derivatives": value_of(qngd.gradient, objective(squares), None, THETA),
    "outputs": value_of(qngd.outputs, objective(squares), THETA),
}


@pytest.mark.parametrize("name", CASES)
def test_errors_are_right_over_repetitions(name):
    found = [CASES[name](**BACKEND, seed=seed) for seed in range(REPETITIONS)]
    values, told = (np.array([np.atleast_1d(each[k]) for each in found]) for k in (0, 1))
    spread, told = values.std(axis=0, ddof=1), np.sqrt(np.mean(told**2, axis=0))
    moves = spread > 1e-12
    assert np.allclose(told[moves], spread[moves], rtol=0.3)  # some four deviations of a standard deviation
    exact = np.atleast_1d(CASES[name]()[0])
    assert np.all(np.abs(values.mean(axis=0) - exact) < 4 * spread / np.sqrt(REPETITIONS) + 0.003)


@pytest.mark.parametrize("name", CASES)
def test_outcomes_that_share_nothing_may_stand_among_others(name):
    """As of a backend that corrects some of its circuits alone."""

    class Some(ReadoutCorrected):
        def read(self, handle, outcomes):
            found = super().read(handle, outcomes)
            return [replace(each, shared=None) if r % 2 else each for r, each in enumerate(found)]

    backend = Some(Misreading(RATES), shots=100)
    values, errors = CASES[name](backend=backend, shots=2000, seed=1)
    expected, _ = CASES[name](**BACKEND, seed=1)
    assert np.all(np.isfinite(errors))
    assert np.allclose(values, expected, atol=0.02)  # but for what is taken off of the order of 1/N


def test_errors_of_a_sum_follow_from_its_covariance():
    """Of the gradient of a loss, whose components share errors too."""
    found = [qngd.gradient(objective(squares), None, THETA, **BACKEND, seed=seed) for seed in range(REPETITIONS)]
    weights = np.array([0.7, -1.0])
    told = np.sqrt(np.mean([weights @ each.covariance @ weights for each in found]))
    assert told == pytest.approx(np.std([weights @ each.value for each in found], ddof=1), rel=0.3)
