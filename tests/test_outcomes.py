"""Statistics of counts against those of the single shots written out, and against many repetitions."""

import numpy as np
import pytest

from qngd.errors import BackendError
from qngd.measured.covariances import covariance
from qngd.measured.outcomes import Means, energy, means, sample_energy, weighted_values, zeros_frequency
from tests.known_outcomes import all_values, counts_of, distribution, random_case, repeated, template_of

SIZES = [1, 5, 63, 64, 65, 100, 128, 130]


@pytest.mark.parametrize("num_qubits", SIZES)
def test_bits_unpack_to_qubits(num_qubits):
    rng = np.random.default_rng(num_qubits)
    bits = rng.integers(0, 2, (7, num_qubits)).astype(bool)
    numbers = [sum(1 << q for q in range(num_qubits) if row[q]) for row in bits]
    counts = counts_of(num_qubits, numbers, np.arange(7))
    assert np.array_equal(counts.unpacked(num_qubits), bits)
    assert counts.shots == 21


@pytest.mark.parametrize("num_qubits", SIZES)
def test_statistics_are_those_of_the_single_shots(num_qubits):
    template, counts, values = random_case(num_qubits, num_qubits, 6, 500)
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(6, 3))
    distinct = np.repeat(weighted_values(counts, template, weights), counts.counts, axis=0)
    assert np.allclose(distinct, values @ weights, rtol=0, atol=1e-12)
    value, variance = energy(counts, template, weights[:, 0])
    per_shot = values @ weights[:, 0]
    assert value == pytest.approx(per_shot.mean(), abs=1e-12)
    assert variance == pytest.approx(per_shot.var(ddof=1) / 500, rel=1e-10)
    mean, spread = means(counts, template)
    assert np.allclose(mean, values.mean(axis=0), rtol=0, atol=1e-12)
    assert np.allclose(spread, values.var(axis=0, ddof=1) / 500, rtol=1e-10, atol=0)
    matrix = covariance(counts, template, weights).value
    assert np.allclose(matrix, np.cov((values @ weights).T), rtol=0, atol=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_unequal_strings_of_one_circuit_are_not_independent(seed):
    """The variance of a sum is not the sum of variances: covariances are in it."""
    template, counts, values = random_case(seed, 3, 5, 400)
    coefficients = np.random.default_rng(seed).normal(size=5)
    independent = (coefficients**2 * values.var(axis=0, ddof=1)).sum() / 400
    _, variance = energy(counts, template, coefficients)
    assert abs(variance - independent) > 0.05 * independent


def test_the_identity_is_certain():
    template = template_of(70, [0, 0], [1, -1])
    counts = counts_of(70, [1 << 69, 3], [4, 6])
    assert energy(counts, template, np.array([2.0, 0.5])) == (1.5, 0.0)
    assert [a.tolist() for a in means(counts, template)] == [[1.0, -1.0], [0.0, 0.0]]


# --- errors over repetitions ---


@pytest.mark.parametrize("shots", [20, 100, 2000])
def test_errors_of_energies_and_means(shots):
    p, template, _ = distribution()
    values, variances = repeated(lambda c, t, j: energy(c, t, j[:, 1]), shots)
    assert variances.mean() == pytest.approx(values.var(ddof=1), rel=0.1)
    found, spread = repeated(lambda c, t, j: means(c, t), shots)
    truth = p @ all_values(template, np.eye(3))
    assert np.all(np.abs(found.mean(axis=0) - truth) < 4 * found.std(axis=0) / np.sqrt(len(found)))
    assert np.allclose(spread.mean(axis=0), found.var(axis=0, ddof=1), rtol=0.1)


@pytest.mark.parametrize("shots", [20, 100, 2000])
def test_errors_of_the_frequency_of_zeros(shots):
    found, spread = repeated(lambda c, t, j: zeros_frequency(c), shots)
    assert found.mean() == pytest.approx(0.35, abs=4 * found.std() / np.sqrt(len(found)))
    assert spread.mean() == pytest.approx(found.var(ddof=1), rel=0.1)


def test_zeros_are_zero_in_every_word():
    counts = counts_of(100, [0, 1 << 80, 1], [5, 3, 2])
    assert zeros_frequency(counts)[0] == 0.5


# --- one shot, or none ---


def test_one_shot_says_nothing_about_an_error():
    """An error of 0 would claim that the value is exact: it is at least what the bounds of a value allow."""
    template, counts, _ = random_case(1, 3, 4, 1)
    coefficients = np.array([1.0, -0.5, 0.25, 2.0])
    assert energy(counts, template, coefficients)[1] >= np.abs(coefficients).sum() ** 2
    assert np.all(means(counts, template)[1] >= 1)
    assert zeros_frequency(counts)[1] >= 0.25


# --- expectation values instead of counts ---


@pytest.mark.parametrize("shots", [0, 4096])
def test_means_are_taken_as_they_are(shots):
    template, counts, values = random_case(5, 4, 5, 300)
    upper = np.triu_indices(5, 1)
    products = (values[:, upper[0]] * values[:, upper[1]]).mean(axis=0)
    exact = np.concatenate([values.mean(axis=0), products])
    errors = np.random.default_rng(0).uniform(0.01, 0.05, 15) * (shots > 0)
    given = Means(exact, errors, shots)
    jacobian = np.random.default_rng(1).normal(size=(5, 3))
    value, variance = energy(given, template, jacobian[:, 0])
    assert value == pytest.approx(energy(counts, template, jacobian[:, 0])[0], abs=1e-12)
    assert variance == pytest.approx((jacobian[:, 0] ** 2 * errors[:5] ** 2).sum(), abs=1e-15)
    mean, spread = means(given, template)
    assert np.array_equal(mean, exact[:5])
    assert np.array_equal(spread, errors[:5] ** 2)
    matrix = covariance(given, template, jacobian).value
    # the sample covariance of counts divides by N − 1; squares of means are too large by their variances
    expected = covariance(counts, template, jacobian).value * 299 / 300 + (jacobian.T * errors[:5] ** 2) @ jacobian
    assert np.allclose(matrix, expected, rtol=0, atol=1e-12)


def test_rounding_leaves_no_variance_below_nothing():
    below = np.array([[1.0, -1.0], [-1.0, 1.0 - 2**-52]])
    held = Means(np.zeros(2), np.ones(2), 100, below)
    assert np.ones(2) @ below @ np.ones(2) < 0
    assert sample_energy(held, template_of(2, [1, 2], [1, 1]), np.ones(2))[1] == 0


def test_overlaps_need_counts():
    with pytest.raises(BackendError, match=r"counts.*expectation values.*hadamard"):
        zeros_frequency(Means(np.zeros(1), np.zeros(1), 10))
