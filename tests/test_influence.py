"""Entries of the metric from counts and from means: unbiased, with errors against many repetitions."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from qngd.measured.correlations import correlations, overlap
from qngd.measured.covariances import covariance as influence
from qngd.measured.covariances import diagonal
from qngd.measured.outcomes import Counts, Means, sample_energy
from tests.known_outcomes import EVERYTHING, all_values, counts_of, distribution, random_case, repeated, template_of


def covariance(outcome, template, jacobian):
    """The matrix and its standard errors."""
    found = influence(outcome, template, jacobian)
    return found.value, np.sqrt(found.variance)


@pytest.mark.parametrize("shots", [20, 100, 2000])
def test_covariances_are_unbiased_and_their_errors_right(shots):
    """At 20 shots the errors are themselves uncertain; their mean square is right all the same."""
    p, template, jacobian = distribution()
    values = all_values(template, jacobian)
    centred = values - p @ values
    truth = (centred.T * p) @ centred
    found, errors = repeated(covariance, shots, times=1000)
    spread = found.std(axis=0, ddof=1)
    assert np.all(np.abs(found.mean(axis=0) - truth) < 4 * spread / np.sqrt(len(found)))
    assert np.allclose(np.sqrt((errors**2).mean(axis=0)), spread, rtol=0.1)
    assert np.linalg.eigvalsh(found).min() > -1e-14
    assert np.array_equal(found, np.swapaxes(found, 1, 2))


def test_one_shot_says_nothing_about_a_covariance():
    template, counts, _ = random_case(1, 3, 4, 1)
    matrix, errors = covariance(counts, template, np.eye(4))
    assert np.array_equal(matrix, np.zeros((4, 4)))
    assert np.all(np.isinf(errors))


def drawn_means(seed, times=1000):
    """Means and products with independent normal errors, as an estimator gives them, many times."""
    p, template, jacobian = distribution()
    values = all_values(template, np.eye(3))
    products = [p @ (values[:, i] * values[:, j]) for i, j in ((0, 1), (0, 2), (1, 2))]
    middle = np.concatenate([p @ values, products])
    errors = np.array([0.02, 0.03, 0.01, 0.02, 0.03, 0.015])
    rng = np.random.default_rng(seed)
    return [Means(middle + errors * rng.normal(size=6), errors, 1000) for _ in range(times)], template, jacobian


def check_spread(found, rel=0.1):
    """Variances over the repetitions are on average those that are reported."""
    values = np.array([f.value for f in found])
    variances = np.mean([f.variance for f in found], axis=0)
    assert np.allclose(np.sqrt(variances), values.std(axis=0, ddof=1), rtol=rel, atol=1e-12)


@pytest.mark.parametrize("contracted", [False, True])
def test_errors_of_covariances_from_independent_means(contracted):
    draws, template, jacobian = drawn_means(0)
    weights = jacobian if contracted else np.eye(3)
    check_spread([influence(d, template, weights) for d in draws])


def test_covariances_of_means_are_unbiased():
    """Products of two means are too large by their covariance, known or not."""
    draws, template, jacobian = drawn_means(5)
    p, _, _ = distribution()
    values = all_values(template, jacobian)
    truth = (values * p[:, None]).T @ values - np.outer(p @ values, p @ values)
    found = np.array([covariance(d, template, jacobian)[0] for d in draws])
    assert np.allclose(found.mean(axis=0), truth, rtol=0, atol=4 * found.std() / np.sqrt(len(found)))
    own = np.array([[4e-4, 3e-4, 0], [3e-4, 9e-4, -2e-4], [0, -2e-4, 1e-4]])
    shared = np.array([[0.02, -0.01, 0.015]])
    joint = np.linalg.cholesky(own)
    rng = np.random.default_rng(6)
    found = []
    for draw in draws:
        middle = p @ all_values(template, np.eye(3))
        moved = middle + joint @ rng.normal(size=3) + shared[0] * rng.normal()
        errors = np.sqrt(np.diag(own) + shared[0] ** 2)
        all_errors = np.concatenate([errors, draw.stderr[3:]])
        one = Means(np.concatenate([moved, draw.values[3:]]), all_errors, 1000, own, np.pad(shared, ((0, 0), (0, 3))))
        found.append(covariance(one, template, jacobian)[0])
    found = np.array(found)
    assert np.allclose(found.mean(axis=0), truth, rtol=0, atol=4 * found.std() / np.sqrt(len(found)))


@pytest.mark.parametrize("shots", [20, 400])
def test_the_error_of_a_variance_whose_first_order_vanishes(shots):
    """Of a string with mean 0 the sample variance is off by terms of second order alone, √2/N: the stated error is at
    most a quarter larger, where the first order's own noise would make it √3 times as large."""
    single = template_of(1, [1], [1])
    numbers = np.arange(shots + 1)
    p = stats.binom.pmf(numbers, shots, 0.5)  # of all that can be seen, so that nothing is left to chance
    draws = [counts_of(1, [0, 1], [n, shots - n]) for n in numbers]
    for estimate in (influence, lambda *case: diagonal(*case, np.zeros(1, int))):
        found = [estimate(d, single, np.ones((1, 1))) for d in draws]
        values = np.array([f.value[0, 0] for f in found])
        spread = np.sqrt(p @ (values - p @ values) ** 2)
        assert spread == pytest.approx(np.sqrt(2) / shots, rel=0.1)
        assert 1 < np.sqrt(p @ [f.variance[0, 0] for f in found]) / spread < 1.27


def drawn_counts(shots, times=1000):
    p, template, jacobian = distribution()
    numbers = np.random.default_rng(shots).multinomial(shots, p, times)
    return [Counts(EVERYTHING, n) for n in numbers], template, jacobian


def single_strings(outcome, template, jacobian):
    return diagonal(outcome, template, jacobian, np.arange(len(jacobian)))


def blocks_of_strings(outcome, template, jacobian):
    """The first string and the last are one block."""
    return diagonal(outcome, template, jacobian, np.array([7, 2, 7]))


@pytest.mark.parametrize("shots", [20, 2000, "means"])
def test_diagonals_of_blocks_are_unbiased_and_their_errors_right(shots):
    """Σ_b Var(Σ_{k in b} J_ka P_k), with sums of means of other circuits that correlate with them."""
    draws, template, jacobian = drawn_means(1) if shots == "means" else drawn_counts(shots)
    p, _, _ = distribution()
    values = all_values(template, np.eye(3))
    covariance = (values * p[:, None]).T @ values - np.outer(p @ values, p @ values)
    covariance *= np.array([[1, 0, 1], [0, 1, 0], [1, 0, 1]])
    found = [blocks_of_strings(d, template, jacobian) for d in draws]
    values = np.array([f.value for f in found])
    truth = np.diag(np.diag(jacobian.T @ covariance @ jacobian))
    assert np.allclose(values.mean(axis=0), truth, rtol=0, atol=4 * values.std() / np.sqrt(len(found)))
    check_spread(found)


@pytest.mark.parametrize("shots", [20, 2000, "means"])
def test_diagonals_are_unbiased_and_their_errors_right(shots):
    """Σ_k J_ka²(1 − m_k²); from few shots the second order matters, also where the first vanishes."""
    draws, template, jacobian = drawn_means(1) if shots == "means" else drawn_counts(shots)
    p, _, _ = distribution()
    mean = p @ all_values(template, np.eye(3))
    found = [single_strings(d, template, jacobian) for d in draws]
    values = np.array([f.value for f in found])
    truth = np.diag((1 - mean**2) @ jacobian**2)
    assert np.allclose(values.mean(axis=0), truth, rtol=0, atol=4 * values.std() / np.sqrt(len(found)))
    check_spread(found)


@pytest.mark.parametrize("shots", [20, 2000, "means"])
def test_products_with_means_of_other_circuits(shots):
    """S − y·eᵀ − e·yᵀ for the means y of the same shots: their errors are not independent of S."""
    draws, template, jacobian = drawn_means(2) if shots == "means" else drawn_counts(shots)
    elsewhere = np.array([0.7, -0.4])
    found = [influence(d, template, jacobian, elsewhere) for d in draws]
    values = []
    for draw, f in zip(draws, found, strict=True):
        if shots == "means":
            mean = draw.values[:3]
        else:
            mean = draw.counts @ all_values(template, np.eye(3)) / draw.shots
        half = np.outer(mean @ jacobian, elsewhere)
        values.append(f.value - half - half.T)
    variances = np.mean([f.variance for f in found], axis=0)
    assert np.allclose(np.sqrt(variances), np.std(values, axis=0, ddof=1), rtol=0.1)


@pytest.mark.parametrize("shots", [20, 2000, "means"])
def test_errors_of_correlations(shots):
    draws, template, jacobian = drawn_means(3) if shots == "means" else drawn_counts(shots)
    own, products = np.array([0.3, -1.1]), np.array([0.2, 0.0, -0.5])
    found = [correlations(d, template, jacobian, own, products) for d in draws]
    p, _, _ = distribution()
    half = np.outer((p @ all_values(template, np.eye(3)) - products) @ jacobian, own)
    values = np.array([f.value for f in found])
    assert np.allclose(values.mean(axis=0), half + half.T, rtol=0, atol=4 * values.std() / np.sqrt(len(found)))
    check_spread(found)


def some_correlations(outcome, template, jacobian):
    return correlations(outcome, template, jacobian, np.array([0.3, -1.1]), np.array([0.2, 0.0, -0.5]))


@pytest.mark.parametrize("known", ["all", "shots that agree", "no products", "no covariances"])
@pytest.mark.parametrize("estimate", [influence, single_strings, blocks_of_strings, some_correlations])
def test_errors_that_circuits_share_are_not_among_their_own(estimate, known):
    """More shots of a circuit do not make them smaller, so they must not count in what its shots are worth."""
    (alone, *_), template, jacobian = drawn_means(7, times=1)
    template = replace(template, is_noisy=True)  # so that no value is certain
    shared = np.random.default_rng(8).normal(scale=0.05, size=(2, 6))
    alone = replace(alone, covariance=np.diag(alone.stderr[:3] ** 2), joint=np.diag(alone.stderr))
    if known == "shots that agree":  # which counts as unseen, whatever is shared
        alone = replace(alone, stderr=np.zeros(6), covariance=np.zeros((3, 3)), joint=np.zeros((1, 6)))
    elif known != "all":
        alone = replace(alone, joint=None, covariance=None if known == "no covariances" else alone.covariance)
    among = replace(alone, stderr=np.sqrt(alone.stderr**2 + (shared**2).sum(axis=0)), shared=shared)
    own, found = (estimate(each, template, jacobian) for each in (alone, among))
    matrix, vector = np.array([[1.0, -0.3], [0.2, 0.9]]), np.array([0.8, -0.6])
    assert np.allclose(found.first_order, own.first_order, rtol=1e-9)
    assert found.along(matrix, vector) == pytest.approx(own.along(matrix, vector), rel=1e-9)
    assert sample_energy(among, template, jacobian[:, 0]) == pytest.approx(
        sample_energy(alone, template, jacobian[:, 0]), rel=1e-9
    )
    for moved, errors in zip(found.moved(), shared, strict=True):
        up, down = (estimate(replace(among, values=among.values + h * errors), template, jacobian) for h in (0.5, -0.5))
        assert np.allclose(moved, up.value - down.value, atol=1e-12)


def test_errors_of_overlaps():
    draws, template, jacobian = drawn_counts(200)
    found = [overlap(d, template, jacobian[0], jacobian[2]) for d in draws]
    half = np.outer(jacobian[0], jacobian[2])
    assert np.allclose(np.mean([f.value for f in found], axis=0), 0.35 * (half + half.T), rtol=0.01)
    check_spread(found)


@pytest.mark.parametrize("estimate", [influence, single_strings, blocks_of_strings])
@pytest.mark.parametrize("shots", [2000, "means"])
def test_the_error_of_a_product_with_a_vector(estimate, shots):
    draws, template, jacobian = drawn_means(4) if shots == "means" else drawn_counts(shots)
    matrix, vector = np.array([[1.0, -0.3], [0.2, 0.9], [0.5, 0.5]]), np.array([0.8, -0.6])
    found = [estimate(d, template, jacobian) for d in draws]
    moved = np.array([matrix @ f.value @ vector for f in found])
    along = np.mean([f.along(matrix, vector) for f in found])
    seen = moved.var(axis=0, ddof=1).sum()
    assert along == pytest.approx(seen, rel=0.15)  # of 1000 repetitions, which tell it to 5 %


def test_a_single_shot_bounds_a_correlation():
    template, counts, _ = random_case(1, 3, 4, 1)
    jacobian = np.array([[1.0, 0], [0.5, 0], [0, 0], [-0.5, 0]])
    found = correlations(counts, template, jacobian, np.array([0.0, 1.0]), np.zeros(4))
    assert found.variance[0, 1] == 4.0
    assert found.variance[0, 0] == found.variance[1, 1] == 0
