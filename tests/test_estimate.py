"""Numbers with their errors: how they print, and how they behave as arrays."""

import math

import numpy as np
import pytest

from qngd.estimates.estimate import Estimate, MetricTensor, format_with_error


@pytest.mark.parametrize(
    ("value", "stderr", "text"),
    [
        (-1.1362, 0.0041, "-1.136 ± 0.004"),
        (-1.1362, 0.00041, "-1.1362 ± 0.0004"),
        (2.5, 0.3, "2.5 ± 0.3"),
        (2.54, 0.096, "2.5 ± 0.1"),  # the error rounds up to one digit
        (2.54, 0.94, "2.5 ± 0.9"),
        (2.54, 0.96, "3 ± 1"),
        (1234.5, 12.3, "1234 ± 12"),
        (0.0, 1e-12, "0.000000000000 ± 0.000000000001"),
        (-1.13618945420001, 0.0, "-1.136189454"),
        (0.5, 0.0, "0.5"),
        (math.nan, 0.1, "nan ± 0.1"),
        (1.0, math.inf, "1.0 ± inf"),
    ],
)
def test_error_to_one_digit_value_to_the_same_place(value, stderr, text):
    assert format_with_error(value, stderr) == text
    if math.isfinite(value):
        assert str(Estimate(np.float64(value), np.float64(stderr))) == text


def test_exact_numbers_say_so():
    exact = Estimate.exact(np.float64(0.25))
    assert exact.is_exact
    assert exact.stderr == 0
    assert float(exact) == 0.25
    assert Estimate.exact(np.arange(3.0)).stderr.tolist() == [0, 0, 0]


@pytest.mark.parametrize(("stderr", "shots"), [(0.1, 100), (0.0, 100), (0.1, 0)])
def test_sampled_numbers_do_not(stderr, shots):
    """Zero spread over 100 shots is an estimate still."""
    assert not Estimate(np.float64(1.0), np.float64(stderr), shots).is_exact
    assert not MetricTensor(np.eye(2), np.full((2, 2), stderr), "diag", shots).is_exact


def test_arrays_of_estimates():
    estimate = Estimate(np.array([1.0, 2.0]), np.array([0.1, 0.2]), 10)
    assert np.asarray(estimate).tolist() == [1.0, 2.0]
    assert np.asarray(estimate, dtype=np.float32).dtype == np.float32
    assert "±" in str(estimate)
    assert "±" not in str(Estimate.exact(np.array([1.0, 2.0])))


def test_converting_does_not_hand_out_the_original():
    value = np.eye(2)
    metric = MetricTensor.exact(value, "full")
    np.array(metric)[0, 0] = 7
    assert value[0, 0] == 1


def test_a_metric_is_a_matrix():
    value = np.array([[0.25, 0.1], [0.1, 0.2]])
    metric = MetricTensor.exact(value, "full")
    assert metric.is_exact
    assert metric.shape == (2, 2)
    assert np.allclose(metric @ [1.0, 2.0], [0.45, 0.5])
    assert np.allclose(metric.eigenvalues, np.sort(np.roots([1, -0.45, 0.04])))
    assert np.array_equal(metric.stderr, np.zeros((2, 2)))
    assert np.array_equal(np.asarray(metric), value)


def test_what_was_estimated_before_it_was_made_positive():
    value, raw = np.diag([0.25, 0.0]), np.diag([0.25, -0.1])
    assert MetricTensor.exact(value, "full").raw is value
    assert MetricTensor(value, np.eye(2), "full", 100, "", raw).raw is raw


def test_text_of_a_metric():
    text = str(MetricTensor.exact(np.diag([0.25, 0.125]), "block-diag"))
    for part in ("block-diag", "2 parameters", "exact", "0.125", "0.25"):
        assert part in text
    assert "100 shots" in str(MetricTensor(np.eye(1), np.eye(1), "diag", 100))
    assert "0 parameters" in str(MetricTensor.exact(np.zeros((0, 0)), "full"))
