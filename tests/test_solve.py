"""Direction: (g + λ)⁻¹∇E against answers that were built first."""

import numpy as np
import pytest

from qngd.errors import SettingError
from qngd.solve import check_damping, natural_direction


def metric_with(eigenvalues, seed=0):
    """A symmetric matrix with these eigenvalues, and its eigenvectors as columns."""
    count = len(eigenvalues)
    vectors = np.linalg.qr(np.random.default_rng(seed).normal(size=(count, count)))[0]
    matrix = vectors @ np.diag(eigenvalues) @ vectors.T
    return (matrix + matrix.T) / 2, vectors


SPECTRA = {
    "one": [0.2],
    "flat": [0.25, 0.25, 0.25],
    "spread": [1e-6, 1e-3, 0.1, 0.25],
    "singular": [0.0, 0.0, 0.05, 0.25],
    "tiny": [1e-9, 2e-9],
    "large": [3.0, 40.0, 500.0],
}


@pytest.mark.parametrize("damping", [1e-4, 1e-2, 1.0])
@pytest.mark.parametrize("name", SPECTRA)
def test_a_damped_direction_is_recovered(name, damping):
    """Choose d, form ∇E = (g + λ)d, and get d back."""
    metric, _ = metric_with(SPECTRA[name])
    expected = np.arange(1.0, len(metric) + 1)
    gradient = (metric + damping * np.eye(len(metric))) @ expected
    direction, _ = natural_direction(metric, gradient, damping)
    assert np.allclose(direction, expected, rtol=1e-9)


@pytest.mark.parametrize("name", SPECTRA)
def test_an_undamped_direction_is_recovered_in_the_range(name):
    metric, vectors = metric_with(SPECTRA[name])
    inside = np.array(SPECTRA[name]) > 0
    expected = vectors[:, inside] @ np.arange(1.0, inside.sum() + 1)
    direction, spectrum = natural_direction(metric, metric @ expected, 0.0)
    assert np.allclose(direction, expected, rtol=1e-8, atol=1e-8)
    assert spectrum.rank == inside.sum()


def test_the_pseudo_inverse_does_not_move_along_the_null_space():
    metric, vectors = metric_with(SPECTRA["singular"])
    gradient = vectors @ np.array([1.0, -2.0, 3.0, 4.0])
    direction, spectrum = natural_direction(metric, gradient, 0.0)
    assert np.allclose(vectors.T @ direction, [0, 0, 60, 16], atol=1e-10)
    assert spectrum.rank == 2
    assert spectrum.condition == pytest.approx(5)


def test_the_pseudo_inverse_keeps_what_is_small_but_not_rounding():
    """The cutoff is rounding and nothing else: 1e-12 of the largest is still inverted."""
    metric, vectors = metric_with([2.5e-13, 0.25])
    direction, spectrum = natural_direction(metric, vectors[:, 0], 0.0)
    assert spectrum.rank == 2
    assert vectors[:, 0] @ direction == pytest.approx(4e12, rel=1e-3)


@pytest.mark.parametrize("damping", [0.0, 1e-3])
def test_negative_eigenvalues_count_as_zero(damping):
    metric, vectors = metric_with([-0.02, 0.1, 0.25])
    direction, spectrum = natural_direction(metric, vectors @ np.ones(3), damping)
    first = 1 / damping if damping else 0.0
    expected = [first, 1 / (0.1 + damping), 1 / (0.25 + damping)]
    assert np.allclose(vectors.T @ direction, expected, rtol=1e-9, atol=1e-9)
    assert spectrum.rank == 2
    assert spectrum.smallest == pytest.approx(-0.02)


def test_what_the_solve_saw():
    metric, _ = metric_with(SPECTRA["spread"])
    _, spectrum = natural_direction(metric, np.ones(4), 1e-2)
    assert np.allclose(spectrum.eigenvalues, SPECTRA["spread"], atol=1e-14)
    assert (spectrum.smallest, spectrum.largest) == pytest.approx((1e-6, 0.25), rel=1e-8)
    assert spectrum.condition == pytest.approx(2.5e5, rel=1e-6)
    assert spectrum.rank == 4
    assert spectrum.damping == 1e-2


@pytest.mark.parametrize("damping", [0.0, 1e-3])
def test_a_metric_of_zeros(damping):
    direction, spectrum = natural_direction(np.zeros((3, 3)), np.array([1.0, 2.0, 3.0]), damping)
    expected = np.array([1e3, 2e3, 3e3]) if damping else np.zeros(3)
    assert np.allclose(direction, expected)
    assert spectrum.rank == 0
    assert np.isfinite(spectrum.condition)


@pytest.mark.parametrize("damping", [0.0, 1e-3])
def test_no_parameters(damping):
    direction, spectrum = natural_direction(np.zeros((0, 0)), np.zeros(0), damping)
    assert direction.shape == (0,)
    assert spectrum.rank == 0


def test_nothing_is_written_to_the_arguments():
    metric, _ = metric_with(SPECTRA["spread"])
    gradient = np.ones(4)
    before = metric.copy()
    natural_direction(metric, gradient, 0.1)
    assert np.array_equal(metric, before)
    assert np.array_equal(gradient, np.ones(4))


@pytest.mark.parametrize("damping", [-1e-9, np.nan, np.inf])
def test_bad_damping_is_named(damping):
    with pytest.raises(SettingError, match="damping"):
        check_damping(damping)


def test_good_damping_passes():
    for damping in (0, 0.0, 1e-12, 5):
        check_damping(damping)
