"""Direction: every damping rule against cases solved by hand, dense linear algebra, and answers built first."""

import numpy as np
import pytest

from qngd.damping import (
    Absolute,
    PseudoInverse,
    Relative,
    SignalToNoise,
    SpectralCutoff,
    as_damping,
    natural_direction,
)
from qngd.errors import SettingError
from qngd.estimate import Estimate, MetricTensor

RULES = {
    "absolute": Absolute(0.02),
    "relative": Relative(0.3),
    "pseudo-inverse": PseudoInverse(),
    "cutoff": SpectralCutoff(0.2),
    "signal to noise": SignalToNoise(),
}
EVERY_RULE = pytest.mark.parametrize("rule", RULES.values(), ids=RULES.keys())


def metric_with(eigenvalues, seed=0):
    """A symmetric matrix with these eigenvalues, and its eigenvectors as columns."""
    count = len(eigenvalues)
    vectors = np.linalg.qr(np.random.default_rng(seed).normal(size=(count, count)))[0]
    matrix = vectors @ np.diag(eigenvalues) @ vectors.T
    return (matrix + matrix.T) / 2, vectors


def solve(metric, gradient, damping, covariance=None):
    slope = np.array(gradient, dtype=float)
    estimate = Estimate.exact(slope)
    if covariance is not None:
        covariance = np.array(covariance, dtype=float)
        estimate = Estimate(slope, np.sqrt(np.diag(covariance)), 100, covariance)
    tensor = MetricTensor.exact(np.array(metric, dtype=float), "full")
    return natural_direction(tensor, estimate, as_damping(damping))


SPECTRA = {
    "one": [0.2],
    "flat": [0.25, 0.25, 0.25],
    "spread": [1e-6, 1e-3, 0.1, 0.25],
    "singular": [0.0, 0.0, 0.05, 0.25],
    "tiny": [1e-9, 2e-9],
    "large": [3.0, 40.0, 500.0],
}


# --- the rules ---


@pytest.mark.parametrize(
    ("rule", "spectrum", "inverse"),
    [
        # one parameter
        (Absolute(0.25), [0.25], [2]),
        (Relative(1.0), [0.25], [2]),
        (PseudoInverse(), [0.25], [4]),
        (SpectralCutoff(1.0), [0.25], [2]),
        (SignalToNoise(on=Absolute(0.25)), [0.25], [2]),
        # mean 0.2, so 0.5·0.2 is added
        (Relative(0.5), [0.1, 0.3], [5, 2.5]),
        (Relative(0.5), [1e-9, 3e-9], [5e8, 2.5e8]),
        # the step stands at 0.5·0.25, half way down; far above it nothing happens, far below all is gone
        (SpectralCutoff(0.5), [0.125, 0.25], [8 / 2, 4 * 64 / 65]),
        (SpectralCutoff(1e-3), [2.5e-4, 0.25], [4000 / 2, 4]),
        (SpectralCutoff(0.1), [0.0025, 0.25], [400e-6 / (1 + 1e-6), 4 / (1 + 1e-6)]),
        (SpectralCutoff(1e-8), [1e-3, 0.25], [1000, 4]),
        # singular: mean 0.075
        (Absolute(0.05), [0, 0, 0.05, 0.25], [20, 20, 10, 1 / 0.3]),
        (Relative(2 / 3), [0, 0, 0.05, 0.25], [20, 20, 10, 1 / 0.3]),
        (PseudoInverse(), [0, 0, 0.05, 0.25], [0, 0, 20, 4]),
        (SpectralCutoff(0.2), [0, 0, 0.05, 0.25], [0, 0, 10, 4 / (1 + 0.2**6)]),
        # noise-negative eigenvalues count as zero, also in the mean
        (Absolute(0.05), [-0.02, 0.05, 0.25], [20, 10, 1 / 0.3]),
        (Relative(0.5), [-0.02, 0.05, 0.25], [20, 10, 1 / 0.3]),
        (PseudoInverse(), [-0.02, 0.05, 0.25], [0, 20, 4]),
        (SpectralCutoff(0.2), [-0.02, 0.05, 0.25], [0, 10, 4 / (1 + 0.2**6)]),
        (PseudoInverse(), [-0.3, 0.05, 0.25], [0, 20, 4]),
        (SpectralCutoff(0.2), [-0.3, 0.05, 0.25], [0, 10, 4 / (1 + 0.2**6)]),
        # nothing but noise
        (Absolute(0.05), [-0.2, -0.1], [20, 20]),
        (PseudoInverse(), [-0.2, -0.1], [0, 0]),
        (SpectralCutoff(0.2), [-0.2, -0.1], [0, 0]),
    ],
    ids=str,
)
def test_by_hand(rule, spectrum, inverse):
    slopes = np.arange(1.0, len(spectrum) + 1)
    metric, vectors = metric_with(spectrum)
    found = solve(metric, vectors @ slopes, rule).vector
    scale = max(np.abs(inverse).max(), 1e-3)
    assert np.allclose(vectors.T @ found, np.array(inverse) * slopes, rtol=1e-9, atol=1e-12 * scale)


@pytest.mark.parametrize("spectrum", [[0.2], [0.25] * 3, [0.02, 0.1, 0.25], [3.0, 40.0, 50.0], [1e-9, 2e-9]], ids=str)
@pytest.mark.parametrize("name", RULES)
def test_against_dense_inverses(name, spectrum):
    """The same formulas in matrices, without eigenvectors."""
    metric, _ = metric_with(spectrum, seed=3)
    count = len(metric)
    identity = np.eye(count)
    cut = 0.2 * np.linalg.norm(metric, 2)
    damped = {
        "absolute": metric + 0.02 * identity,
        "relative": metric + 0.3 * np.trace(metric) / count * identity,
        "pseudo-inverse": metric,
        "cutoff": metric + metric @ np.linalg.matrix_power(cut * np.linalg.inv(metric), 6),
        "signal to noise": metric + 1e-2 * identity,
    }
    gradient = np.linspace(-1, 2, count) + 0.3
    found = solve(metric, gradient, RULES[name]).vector
    assert np.allclose(found, np.linalg.solve(damped[name], gradient), rtol=1e-8)


@pytest.mark.parametrize("damping", [1e-4, 1e-2, 1.0])
@pytest.mark.parametrize("name", SPECTRA)
def test_a_damped_direction_is_recovered(name, damping):
    """Choose d, form ∇E = (g + λ)d, and get d back."""
    metric, _ = metric_with(SPECTRA[name])
    expected = np.arange(1.0, len(metric) + 1)
    gradient = (metric + damping * np.eye(len(metric))) @ expected
    assert np.allclose(solve(metric, gradient, damping).vector, expected, rtol=1e-9)


@pytest.mark.parametrize("name", SPECTRA)
def test_an_undamped_direction_is_recovered_in_the_range(name):
    metric, vectors = metric_with(SPECTRA[name])
    inside = np.array(SPECTRA[name]) > 0
    expected = vectors[:, inside] @ np.arange(1.0, inside.sum() + 1)
    found = solve(metric, metric @ expected, 0)
    assert np.allclose(found.vector, expected, rtol=1e-8, atol=1e-8)
    assert found.spectrum.rank == inside.sum()


def test_the_pseudo_inverse_keeps_what_is_small_but_not_rounding():
    """The cutoff is rounding and nothing else: 1e-12 of the largest is still inverted."""
    metric, vectors = metric_with([2.5e-13, 0.25])
    found = solve(metric, vectors[:, 0], 0)
    assert found.spectrum.rank == 2
    assert vectors[:, 0] @ found.vector == pytest.approx(4e12, rel=1e-3)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("rule", [Relative(0.1), PseudoInverse(), SpectralCutoff(0.1)], ids=str)
def test_relative_rules_do_not_see_units(rule, scale):
    """Where g is multiplied by a number, d is divided by it."""
    metric, _ = metric_with([0.0, 0.02, 0.1, 0.25])
    gradient = metric @ np.array([1.0, -2.0, 0.5, 3.0])
    one, other = solve(metric, gradient, rule).vector, solve(scale * metric, gradient, rule).vector
    assert np.allclose(scale * other, one, rtol=1e-8)


@pytest.mark.parametrize("rank", [2, 3, 4])
@pytest.mark.parametrize("seed", range(4))
def test_only_the_undamped_direction_does_not_see_a_linear_reparametrization(seed, rank):
    """θ = Bη: g → BᵀgB, ∇E → Bᵀ∇E, C → BᵀCB. Directions may differ by what does not move the state."""
    rng = np.random.default_rng(seed)
    factor = rng.normal(size=(4, rank))
    metric = factor @ factor.T
    gradient = metric @ rng.normal(size=4)
    covariance = metric @ np.diag(rng.uniform(0.5, 2.0, 4)) @ metric
    b = rng.normal(size=(4, 4)) + 2 * np.eye(4)
    pairs = {}
    for rule in (0, 0.1):
        here = solve(metric, gradient, rule, covariance)
        there = solve(b.T @ metric @ b, b.T @ gradient, rule, b.T @ covariance @ b)
        moves = metric @ here.vector, metric @ b @ there.vector
        pairs[rule] = moves, (here.noise, there.noise), (here.spectrum.rank, there.spectrum.rank)
    moves, noise, ranks = pairs[0]
    assert np.allclose(*moves, rtol=0, atol=1e-9 * np.linalg.norm(moves[0]))
    assert noise[0] == pytest.approx(noise[1], rel=1e-8)
    assert ranks == (rank, rank)
    moves, noise, _ = pairs[0.1]
    assert not np.allclose(*moves, rtol=0, atol=1e-3 * np.linalg.norm(moves[0]))
    assert noise[0] != pytest.approx(noise[1], rel=1e-3)


# --- what has no slope, or no metric ---


@pytest.mark.parametrize("sampled", [False, True])
@EVERY_RULE
def test_unused_parameters_stay(rule, sampled):
    """Rows and columns of zeros in metric, gradient and covariance, between others that are used."""
    used = [0, 2, 3]
    small, _ = metric_with([0.05, 0.1, 0.25])
    metric, covariance = np.zeros((5, 5)), np.zeros((5, 5))
    metric[np.ix_(used, used)] = small
    covariance[np.ix_(used, used)] = np.diag([0.01, 0.02, 0.03])
    gradient = np.array([0.3, 0, -0.2, 0.5, 0])
    found = solve(metric, gradient, rule, covariance if sampled else None)
    assert np.allclose(found.vector[[1, 4]], 0, rtol=0, atol=1e-13)
    assert found.spectrum.rank == 3
    if not isinstance(rule, Relative):  # the mean counts the zeros
        alone = solve(small, gradient[used], rule, np.diag([0.01, 0.02, 0.03]) if sampled else None)
        assert np.allclose(found.vector[used], alone.vector, rtol=1e-10)
        assert found.noise == pytest.approx(alone.noise)
    assert np.linalg.norm(found.vector) > 0.1


@pytest.mark.parametrize(
    ("rule", "inverse"),
    [
        (Absolute(1e-3), 1e3),
        (PseudoInverse(), 0.0),
        (SpectralCutoff(0.1), 0.0),
        (SignalToNoise(), 1e2),
        (Relative(0.1), 0.0),
    ],
    ids=str,
)
def test_a_metric_of_zeros(rule, inverse):
    """Only noise gives a gradient where nothing moves; a rule whose λ is zero then has nothing to say."""
    found = solve(np.zeros((3, 3)), [1.0, 2.0, 3.0], rule)
    assert np.allclose(found.vector, inverse * np.array([1.0, 2.0, 3.0]))
    assert found.spectrum.rank == 0
    assert found.spectrum.condition == 1


@EVERY_RULE
def test_no_gradient_no_direction(rule):
    metric, _ = metric_with([-0.01, 0.0, 0.25])
    assert not solve(metric, np.zeros(3), rule).vector.any()
    assert not solve(metric, np.zeros(3), rule, 0.01 * np.eye(3)).vector.any()


@EVERY_RULE
def test_no_parameters(rule):
    found = solve(np.zeros((0, 0)), np.zeros(0), rule)
    assert found.vector.shape == (0,)
    assert found.spectrum.rank == 0


@EVERY_RULE
def test_nothing_is_written_to_the_arguments(rule):
    metric, _ = metric_with([-0.1, 0.1, 0.25])
    arguments = [metric, np.ones(3), 0.1 * np.eye(3)]
    tensor, gradient = MetricTensor.exact(metric, "full"), Estimate(arguments[1], np.ones(3), 5, arguments[2])
    before = [a.copy() for a in arguments]
    natural_direction(tensor, gradient, rule)
    assert all(np.array_equal(a, b) for a, b in zip(arguments, before, strict=True))


# --- sampled gradients ---


@pytest.mark.parametrize("threshold", [0.5, 1.0, 3.0])
@pytest.mark.parametrize(
    ("on", "inverse"),
    [
        (Absolute(0.25), [4, 2, 4 / 3, 1, 0.8]),
        (PseudoInverse(), [0, 4, 2, 4 / 3, 1]),
        (SpectralCutoff(0.5), [0, 4 * 1 / 65, 2 / 2, 4 / 3 / (1 + (2 / 3) ** 6), 64 / 65]),
    ],
    ids=str,
)
def test_slopes_are_kept_as_far_as_they_stand_out(on, inverse, threshold):
    """Slopes of 0, ½, 1, 2 and 1000 times the threshold are kept to 0, 1/65, ½, 64/65 and 1."""
    errors = np.array([0.1, 0.2, 0.3, 0.4, 1e-3])
    slopes = threshold * errors * [0, 0.5, -1, 2, 1000]
    metric, vectors = metric_with([0, 0.25, 0.5, 0.75, 1])
    covariance = vectors @ np.diag(errors**2) @ vectors.T
    found = solve(metric, vectors @ slopes, SignalToNoise(threshold, on), covariance)
    kept = np.array(inverse) * [0, 1 / 65, 1 / 2, 64 / 65, 1]
    assert np.allclose(vectors.T @ found.vector, kept * slopes, rtol=1e-8, atol=1e-12)
    assert found.noise == pytest.approx(kept @ errors**2)
    assert found.spectrum.damping == pytest.approx(on.level(np.array([0, 0.25, 0.5, 0.75, 1])))


def test_errors_are_those_along_the_eigenvectors():
    """g = [[.2, .1], [.1, .2]] has .3 along (1, 1) and .1 along (1, −1); there C has .065 ± .01."""
    covariance = [[0.04, 0.01], [0.01, 0.09]]
    plus, minus = np.array([1, 1]) / np.sqrt(2), np.array([1, -1]) / np.sqrt(2)
    a, b = 2 * np.sqrt(0.075), np.sqrt(0.055)  # two standard errors, and one
    metric = [[0.2, 0.1], [0.1, 0.2]]
    found = solve(metric, a * plus + b * minus, SignalToNoise(on=Absolute(0.1)), covariance)
    f, h = 64 / 65 / 0.4, 1 / 2 / 0.2
    assert np.allclose(found.vector, f * a * plus + h * b * minus, rtol=1e-12)
    assert found.noise == pytest.approx(f * 0.075 + h * 0.055)
    assert found.significance == pytest.approx((4 + 1 - 2) / 2)  # χ² of two


def test_standard_errors_alone_count_as_independent():
    metric = MetricTensor.exact(np.array([[0.2, 0.1], [0.1, 0.2]]), "full")
    slope, errors = np.array([0.3, -0.1]), np.array([0.2, 0.3])
    found = natural_direction(metric, Estimate(slope, errors, 10), SignalToNoise())
    same = solve(metric.value, slope, SignalToNoise(), np.diag(errors**2))
    assert np.array_equal(found.vector, same.vector)
    assert (found.noise, found.significance) == (same.noise, same.significance)


@pytest.mark.parametrize("errors", [[0, 0, 0], [0, 1e-100, 0]], ids=str)
def test_exact_slopes_pass_the_filter(errors):
    metric = np.diag([0.25, 0.1, 0.05])
    found = solve(metric, [1.0, -2.0, 0.5], SignalToNoise(), np.diag(errors))
    assert np.allclose(found.vector, [1 / 0.26, -2 / 0.11, 0.5 / 0.06], rtol=1e-12)
    assert found.significance == np.inf


def test_some_slopes_may_be_exact():
    found = solve(np.diag([0.25, 0.1]), [0.3, 0.1], SignalToNoise(on=Absolute(0.1)), np.diag([0, 0.01]))
    assert np.allclose(found.vector, [0.3 / 0.35, 0.1 / 0.2 / 2], rtol=1e-12)
    assert found.significance == np.inf


def test_the_noise_is_what_the_errors_alone_would_make():
    """The mean of d·∇E over gradients of nothing but noise, which is also the bias of δᵀ∇E."""
    rng = np.random.default_rng(5)
    metric, _ = metric_with([0.0, 0.02, 0.1, 0.25])
    factor = rng.normal(size=(4, 4))
    covariance = 0.01 * factor @ factor.T
    noise = rng.multivariate_normal(np.zeros(4), covariance, size=20_000)
    for rule in (Absolute(0.05), Relative(0.3), PseudoInverse(), SpectralCutoff(0.2)):
        inverse = np.array([solve(metric, e, rule).vector for e in np.eye(4)])
        samples = np.einsum("ni,ij,nj->n", noise, inverse, noise)
        found = solve(metric, np.ones(4), rule, covariance).noise
        assert found == pytest.approx(samples.mean(), abs=4 * samples.std() / np.sqrt(len(samples)))
        assert found > 20 * samples.std() / np.sqrt(len(samples))


def test_the_significance_of_nothing():
    """Mean 0 and standard deviation 1, whatever the errors; and it grows with the square of the slope."""
    rng = np.random.default_rng(7)
    metric, vectors = metric_with([0.02, 0.1, 0.25])
    errors = np.array([0.1, 0.5, 0.01])
    covariance = vectors @ np.diag(errors**2) @ vectors.T
    draws = rng.normal(size=(4000, 3)) * errors @ vectors.T
    found = np.array([solve(metric, draw, 0.01, covariance).significance for draw in draws])
    assert found.mean() == pytest.approx(0, abs=4 / np.sqrt(4000))
    assert found.std() == pytest.approx(1, abs=0.1)  # the fourth moment of χ² is large
    for times in (0, 1, 3):
        slope = vectors @ (times * errors)
        assert solve(metric, slope, 0.01, covariance).significance == pytest.approx((3 * times**2 - 3) / np.sqrt(6))


def test_significance_where_parameters_do_the_same():
    """All entries of g, ∇E and C equal: one direction with errors, and two that are zero but for rounding."""
    ones = np.full((3, 3), 0.1)
    for times in (0.5, 1, 3):
        slope = np.full(3, times * np.sqrt(0.1))
        found = solve(ones, slope, 0.01, ones).significance
        assert found == pytest.approx((times**2 - 1) / np.sqrt(2))


def test_an_exact_gradient_is_significant():
    assert solve(np.eye(2), [1e-12, 0], 0.1).significance == np.inf
    assert solve(np.eye(2), [1e-12, 0], 0.1).noise == 0


# --- what the solve saw ---


@pytest.mark.parametrize(
    ("rule", "level"),
    [
        (Absolute(1e-2), 1e-2),
        (Relative(0.4), 0.1 * (0.1 + 0.25 + 0.05)),
        (PseudoInverse(), 4 * 2**-52 * 0.25),
        (SpectralCutoff(0.2), 0.05),
        (SignalToNoise(), 1e-2),
        (SignalToNoise(2.0, SpectralCutoff(0.2)), 0.05),
    ],
    ids=str,
)
def test_what_the_solve_saw(rule, level):
    metric, _ = metric_with([-0.02, 0.05, 0.1, 0.25])
    seen = solve(metric, np.ones(4), rule).spectrum
    assert np.allclose(seen.eigenvalues, [-0.02, 0.05, 0.1, 0.25], atol=1e-14)
    assert (seen.smallest, seen.largest) == pytest.approx((-0.02, 0.25))
    assert seen.condition == pytest.approx(5)
    assert seen.rank == 3
    assert seen.damping == pytest.approx(level)


def test_the_condition_is_that_of_what_is_not_zero():
    for name, condition, rank in (("spread", 2.5e5, 4), ("singular", 5, 2), ("tiny", 2, 2), ("one", 1, 1)):
        seen = solve(metric_with(SPECTRA[name])[0], np.ones(len(SPECTRA[name])), 0).spectrum
        assert seen.condition == pytest.approx(condition, rel=1e-6)
        assert seen.rank == rank


# --- settings ---


@pytest.mark.parametrize("value", [0, -1e-9, np.nan, np.inf])
@pytest.mark.parametrize("rule", [Absolute, Relative, SpectralCutoff, SignalToNoise])
def test_bad_strengths_are_named(rule, value):
    with pytest.raises(SettingError, match="threshold" if rule is SignalToNoise else "damping"):
        rule(value)


@pytest.mark.parametrize("given", [-1e-9, np.nan, np.inf, -np.inf, True, None, "0.1", [0.1]])
def test_bad_damping_is_named(given):
    with pytest.raises(SettingError, match="damping"):
        as_damping(given)


def test_what_a_number_stands_for():
    assert as_damping(0) == as_damping(0.0) == PseudoInverse()
    assert as_damping(5) == Absolute(5.0)
    assert as_damping(np.float64(1e-12)) == Absolute(1e-12)
    for rule in RULES.values():
        assert as_damping(rule) is rule


@pytest.mark.parametrize("number", [np.float32(0.5), np.int64(2)])
def test_numbers_of_numpy_are_numbers(number):
    assert as_damping(number) == Absolute(float(number))
