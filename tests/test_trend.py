"""What energies so far say about how a run goes on, against means over all of them."""

import numpy as np
import pytest

from qngd.estimates.estimate import Estimate
from qngd.step.trend import NOTHING, followed, may_have_fallen


def trend_of(energies, errors, weights):
    trend = NOTHING
    for energy, error, weight in zip(energies, errors, weights, strict=True):
        trend = followed(trend, Estimate(np.array(energy), np.array(error)), weight)
    return trend


def test_few_energies_by_hand():
    trend = trend_of([5.0, 4.0, 3.0, 1.0, 2.0], [0.1, 0.3, 0.2, 0.4, 0.6], [3, 1, 2, 1, 2])
    # weights end at 3, 4, 6, 7 and 9 of 9: the second third has the second and the third, the last third the others
    before, after = (4 + 2 * 3) / 3, (1 + 2 * 2) / 3
    error = np.sqrt((0.3**2 + 4 * 0.2**2) / 9 + (0.4**2 + 4 * 0.6**2) / 9)
    assert may_have_fallen(trend) == pytest.approx(before - after + error)


def test_many_energies_take_little_memory_and_say_the_same():
    rng = np.random.default_rng(1)
    for count in (50, 1000, 30_000):
        energies, weights = -np.log(np.arange(1, count + 1)), rng.integers(1, 100, count)
        trend = trend_of(energies, np.full(count, 0.5), weights)
        assert len(trend) <= 60
        ends = np.cumsum(weights) / weights.sum()
        thirds = (ends > 1 / 3) & (ends <= 2 / 3), ends > 2 / 3
        before, after = (np.average(energies[third], weights=weights[third]) for third in thirds)
        error = 0.5 * np.sqrt(sum((weights[third] ** 2).sum() / weights[third].sum() ** 2 for third in thirds))
        assert may_have_fallen(trend) == pytest.approx(before - after + error, rel=0.1)


def test_one_energy_of_great_weight_says_nothing():
    assert may_have_fallen(trend_of([1.0, 2.0, 0.0], [0.1] * 3, [1, 1, 100])) == 0.0
    assert may_have_fallen(trend_of([1.0], [0.1], [1])) == 0.0
