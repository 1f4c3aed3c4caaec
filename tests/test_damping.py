"""Direction: every damping rule against cases solved by hand, dense linear algebra, and answers built first."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qngd.damping import (
    Absolute,
    NoiseBound,
    PseudoInverse,
    Relative,
    Shrinkage,
    SignalToNoise,
    SpectralCutoff,
    UnitDiagonal,
    as_damping,
    at_rate,
)
from qngd.errors import SettingError
from qngd.estimates.estimate import Estimate, MetricTensor
from qngd.solve.direction import natural_direction
from qngd.step import CurvatureRate, FixedRate
from tests.strategies import examples

RULES = {
    "absolute": Absolute(0.02),
    "relative": Relative(0.3),
    "pseudo-inverse": PseudoInverse(),
    "cutoff": SpectralCutoff(0.2),
    "signal to noise": SignalToNoise(),
    "noise bound": NoiseBound(floor=0.02),
    "unit diagonal": UnitDiagonal(Absolute(0.02)),
    "shrinkage": Shrinkage(Absolute(0.02)),
}
EVERY_RULE = pytest.mark.parametrize("rule", RULES.values(), ids=RULES.keys())


def metric_with(eigenvalues, seed=0):
    """A symmetric matrix with these eigenvalues, and its eigenvectors as columns."""
    count = len(eigenvalues)
    vectors = np.linalg.qr(np.random.default_rng(seed).normal(size=(count, count)))[0]
    matrix = vectors @ np.diag(eigenvalues) @ vectors.T
    return (matrix + matrix.T) / 2, vectors


def solve(metric, gradient, damping, covariance=None, stderr=None):
    slope = np.array(gradient, dtype=float)
    estimate = Estimate.exact(slope)
    if covariance is not None:
        covariance = np.array(covariance, dtype=float)
        estimate = Estimate(slope, np.sqrt(np.diag(covariance)), 100, covariance)
    tensor = MetricTensor.exact(np.array(metric, dtype=float), "full")
    if stderr is not None:
        tensor = MetricTensor(tensor.value, np.array(stderr, dtype=float), "full", 100)
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
        "noise bound": metric + 0.02 * identity,
        "unit diagonal": metric + 0.02 * np.diag(np.diag(metric)),
        "shrinkage": metric + 0.02 * identity,  # of an exact metric: none
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


@pytest.mark.parametrize("value", [1e-3, 1e-20, 1e-60, 1e-300])
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_a_cutoff_far_below_every_eigenvalue_is_none(value, scale):
    """Neither c⁶ nor c⁻⁶ may over- or underflow; warnings are errors."""
    spectrum = scale * np.array([0.05, 0.1, 0.25])
    metric, vectors = metric_with(spectrum)
    found = solve(metric, vectors @ [1.0, 2.0, 3.0], SpectralCutoff(value))
    assert np.allclose(vectors.T @ found.vector, [1, 2, 3] / spectrum, rtol=1e-9)


@pytest.mark.parametrize("value", [1e3, 1e60])
def test_a_cutoff_far_above_every_eigenvalue_leaves_next_to_nothing(value):
    """1/(w(1 + (c/w)⁶)) → w⁵/c⁶."""
    metric, _ = metric_with([0.1, 0.25])
    found = solve(metric, np.ones(2), SpectralCutoff(value)).vector
    assert np.all(np.isfinite(found))
    assert np.linalg.norm(found) < 10 / value**5


@examples(100)
@given(
    st.sampled_from(sorted(RULES)),
    st.integers(1, 5).flatmap(
        lambda n: st.tuples(*[st.lists(st.floats(-1, 1).map(lambda x: round(x, 6)), min_size=n, max_size=n)] * 2)
    ),
    st.sampled_from([0.0, 1e-8, 0.1]),
)
def test_any_symmetric_metric_gives_a_finite_descent_direction(name, drawn, error):
    """Also an indefinite one: d·∇E = Σ f ρ² ≥ 0 with f ≥ 0, and nothing is divided by zero."""
    spectrum, slopes = map(np.array, drawn)
    metric, vectors = metric_with(spectrum)
    count = len(spectrum)
    spreads = {"covariance": error**2 * np.eye(count), "stderr": error * np.ones((count, count))} if error else {}
    found = solve(metric, vectors @ slopes, RULES[name], **spreads)
    assert np.all(np.isfinite(found.vector))
    assert found.vector @ vectors @ slopes >= -1e-9 * np.linalg.norm(found.vector)
    assert found.noise >= 0
    assert found.length >= 0
    assert 0 <= found.spectrum.rank <= count
    assert found.spectrum.condition >= 1


# --- parameters of different scales ---


def test_the_unit_diagonal_by_hand():
    """(g + diag g)⁻¹∇E for g = [[.4, .1], [.1, .1]] and λ = 1: [[.8, .1], [.1, .2]]⁻¹ = [[.2, −.1], [−.1, .8]]/.15."""
    found = solve([[0.4, 0.1], [0.1, 0.1]], [0.3, 0.6], UnitDiagonal(Absolute(1.0)))
    assert np.allclose(found.vector, [0.0, 0.45 / 0.15], atol=1e-12)
    # the eigenvalues of [[1, ½], [½, 1]]
    assert np.allclose(found.spectrum.eigenvalues, [0.5, 1.5])
    assert found.spectrum.damping == 1.0
    assert found.length == pytest.approx(np.sqrt(0.1 * 3**2))


@pytest.mark.parametrize("on", RULES.values(), ids=RULES.keys())
def test_a_unit_diagonal_does_not_see_the_units_of_a_parameter(on):
    """θ_i = s_i·η_i: g → s·g·s and ∇E → s·∇E, so the step s·η is the same; its errors are scaled too."""
    metric, _ = metric_with([0.02, 0.1, 0.25], seed=2)
    gradient, errors = np.array([0.3, -0.2, 0.5]), np.array([0.1, 0.2, 0.05])
    stderr = 0.02 * np.sqrt(np.outer(np.diag(metric), np.diag(metric)))
    s = np.array([1e-3, 1.0, 40.0])
    one = solve(metric, gradient, UnitDiagonal(on), np.diag(errors**2), stderr)
    both = np.outer(s, s)
    other = solve(both * metric, s * gradient, UnitDiagonal(on), both * np.diag(errors**2), both * stderr)
    assert np.allclose(s * other.vector, one.vector, rtol=1e-9)
    assert other.noise == pytest.approx(one.noise)
    if not isinstance(on, (UnitDiagonal, PseudoInverse)):  # nor do these
        assert not np.allclose(s * solve(both * metric, s * gradient, on).vector, one.vector, rtol=1e-3)


def test_a_parameter_that_only_noise_moves_stays_in_a_unit_diagonal():
    found = solve([[0.25, 0.0], [0.0, 0.0]], [0.5, 7.0], UnitDiagonal(Absolute(1.0)))
    assert np.allclose(found.vector, [1.0, 0.0])


def test_a_sampled_gradient_of_which_nothing_counts_is_not_significant():
    """All of it along a parameter that moves no state: no step, and no reason to go on."""
    found = solve(np.diag([0.25, 0.0]), [0.0, 0.1], UnitDiagonal(), np.diag([0.0, 0.01]))
    assert not found.vector.any()
    assert found.significance == 0


# --- shrinkage ---


@pytest.mark.parametrize(
    ("metric", "error", "weight", "inverse"),
    [  # diag(.1, .3) lies √.02 from .2·1; four entries with errors of .05 are .1 wrong
        (np.diag([0.1, 0.3]), 0.0, 0.0, [1 / 0.15, 1 / 0.35]),
        (np.diag([0.1, 0.3]), 0.05, 0.5, [1 / 0.2, 1 / 0.3]),
        (np.diag([0.1, 0.3]), 0.025, 0.125, [1 / (0.1125 + 0.05), 1 / (0.2875 + 0.05)]),
        (np.diag([0.1, 0.3]), 9.0, 1.0, [4, 4]),
        (np.diag([0.2, 0.2]), 0.0, 0.0, [4, 4]),
        (np.diag([0.2, 0.2]), 0.01, 1.0, [4, 4]),
        (np.zeros((2, 2)), 0.01, 1.0, [20, 20]),
    ],
)
def test_shrinkage_by_hand(metric, error, weight, inverse):
    rule = Shrinkage(Absolute(0.05))
    assert rule.weight(MetricTensor(metric, np.full((2, 2), error), "full")) == pytest.approx(weight)
    found = solve(metric, [1.0, 2.0], rule, stderr=np.full((2, 2), error))
    assert np.allclose(found.vector, np.array(inverse) * [1, 2])


def test_shrinkage_makes_a_sampled_metric_better():
    """With Gaussian errors its mean squared error is near that of the best weight, and far below that of none."""
    rng = np.random.default_rng(3)
    truth, _ = metric_with(np.linspace(0.05, 0.25, 6))
    noise = rng.normal(size=(400, 6, 6))
    noise = 0.03 * (noise + np.swapaxes(noise, 1, 2)) / np.sqrt(2)
    stderr = 0.03 * (np.ones((6, 6)) + (np.sqrt(2) - 1) * np.eye(6))

    def error(weight_of):
        squares = []
        for sample in truth + noise:
            weight = weight_of(MetricTensor(sample, stderr, "full"))
            shrunk = (1 - weight) * sample + weight * np.trace(sample) / 6 * np.eye(6)
            squares.append(((shrunk - truth) ** 2).sum())
        return np.mean(squares)

    best = min(error(lambda _, w=w: w) for w in np.linspace(0, 1, 21))
    assert error(Shrinkage().weight) < 1.2 * best
    assert error(Shrinkage().weight) < 0.75 * error(lambda _: 0.0)


@pytest.mark.parametrize("rule", [Shrinkage(UnitDiagonal(Absolute(0.1))), UnitDiagonal(Shrinkage(Absolute(0.1)))])
def test_shrinkage_of_a_unit_diagonal_shrinks_correlations(rule):
    """g = [[.4, .06], [.06, .1]] has a correlation of .3; with errors of .15·√(g_ii·g_jj) half of it is left."""
    roots = np.sqrt([0.4, 0.1])
    found = solve([[0.4, 0.06], [0.06, 0.1]], [0.2, 0.7], rule, stderr=0.15 * np.outer(roots, roots))
    expected = np.linalg.solve([[1.1, 0.15], [0.15, 1.1]], [0.2, 0.7] / roots) / roots
    assert np.allclose(found.vector, expected, rtol=1e-12)


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
    if not isinstance(rule, Relative):  # whose mean counts the zeros
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
        (NoiseBound(), 1e2),
        (Relative(0.1), 0.0),
        (Shrinkage(Absolute(1e-2)), 1e2),
        (UnitDiagonal(), 0.0),
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
    ("on", "inverse", "level"),
    [
        (Absolute(0.25), [4, 2, 4 / 3, 1, 0.8], 0.25),
        (PseudoInverse(), [0, 4, 2, 4 / 3, 1], 5 * 2**-52),
        (SpectralCutoff(0.5), [0, 4 * 1 / 65, 2 / 2, 4 / 3 / (1 + (2 / 3) ** 6), 64 / 65], 0.5),
    ],
    ids=str,
)
def test_slopes_are_kept_as_far_as_they_stand_out(on, inverse, level, threshold):
    """Slopes of 0, ½, 1, 2 and 1000 times the threshold are kept to 0, 1/65, ½, 64/65 and 1."""
    errors = np.array([0.1, 0.2, 0.3, 0.4, 1e-3])
    slopes = threshold * errors * [0, 0.5, -1, 2, 1000]
    metric, vectors = metric_with([0, 0.25, 0.5, 0.75, 1])
    covariance = vectors @ np.diag(errors**2) @ vectors.T
    found = solve(metric, vectors @ slopes, SignalToNoise(threshold, on), covariance)
    kept = np.array(inverse) * [0, 1 / 65, 1 / 2, 64 / 65, 1]
    assert np.allclose(vectors.T @ found.vector, kept * slopes, rtol=1e-8, atol=1e-12)
    assert found.noise == pytest.approx(kept @ errors**2)
    assert found.spectrum.damping == pytest.approx(level)


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


# --- noise that is bounded ---


@pytest.mark.parametrize(("rate", "reach"), [(0.1, 0.1), (1.5, 0.05)])
def test_noise_moves_no_parameter_by_more_than_its_reach(rate, reach):
    """The standard error of a step of random slopes, along every direction; all of the reach along null ones."""
    metric, vectors = metric_with([0.0, 1e-4, 0.1, 0.25])
    errors = 0.3 * np.eye(4)
    rule = at_rate(NoiseBound(reach), rate)
    steps = [rate * solve(metric, 0.3 * v, rule, errors**2).vector for v in vectors.T]
    sizes = np.linalg.norm(steps, axis=1)
    assert sizes.max() <= reach * (1 + 1e-12)
    assert sizes[0] == pytest.approx(reach)
    # and the same for slopes that are exact: they are not filtered
    assert np.allclose(solve(metric, vectors[:, 3], rule).vector, vectors[:, 3] / (0.25 + 1e-2))


def test_the_bound_on_noise_is_bounded_itself():
    """By a part of the mean eigenvalue, but not below the floor; where errors ask for less, there is no difference."""
    metric, vectors = metric_with([0.0, 1e-4, 0.1, 0.3])
    slope, loud, quiet = vectors.sum(axis=1), 3.0 * np.eye(4), 0.01 * np.eye(4)
    mean = 0.25 * (1e-4 + 0.1 + 0.3)
    for most, errors, level in [(0.3, loud, 0.3 * mean), (1e-3, loud, 1e-2), (2.0, quiet, 0.02), (np.inf, loud, 6.0)]:
        rule = NoiseBound(rate=0.2, most=most)
        assert rule.reach == 0.1
        assert solve(metric, slope, rule, errors**2).spectrum.damping == pytest.approx(level)


def test_only_a_bound_on_noise_asks_for_the_rate():
    for rule in RULES.values():
        assert (at_rate(rule, 0.7) == rule) is not isinstance(rule, NoiseBound)
    assert CurvatureRate().damping(NoiseBound(), {"rate": np.array(0.4)}) == NoiseBound(rate=0.4)
    assert FixedRate(0.3).damping(NoiseBound(), {}) == NoiseBound(rate=0.3)


# --- what the solve saw ---


@pytest.mark.parametrize(
    ("rule", "level"),
    [
        (Absolute(1e-2), 1e-2),
        (Relative(0.4), 0.1 * (0.1 + 0.25 + 0.05)),
        (PseudoInverse(), 4 * 2**-52 * 0.25),
        (SpectralCutoff(0.2), 0.05),
        (SignalToNoise(), 1e-2),
        (NoiseBound(floor=0.03), 0.03),
        (SignalToNoise(2.0, SpectralCutoff(0.2)), 0.05),
        (Shrinkage(Absolute(1e-2)), 1e-2),
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


@pytest.mark.parametrize("on", [0.1, None, "strong", Absolute])
@pytest.mark.parametrize("rule", [SignalToNoise, UnitDiagonal, Shrinkage])
def test_what_stands_on_no_rule_is_named(rule, on):
    with pytest.raises(SettingError, match="on must be a damping rule"):
        rule(on=on)


@pytest.mark.parametrize("number", [-1e-9, np.nan, np.inf, -np.inf, True, None, "0.1", [0.1]])
def test_bad_damping_is_named(number):
    with pytest.raises(SettingError, match="damping"):
        as_damping(number)


def test_what_a_number_stands_for():
    assert as_damping(0) == as_damping(0.0) == PseudoInverse()
    assert as_damping(5) == Absolute(5.0)
    assert as_damping(np.float64(1e-12)) == Absolute(1e-12)
    for rule in RULES.values():
        assert as_damping(rule) is rule


@pytest.mark.parametrize("number", [np.float32(0.5), np.int64(2)])
def test_numbers_of_numpy_are_numbers(number):
    assert as_damping(number) == Absolute(float(number))
