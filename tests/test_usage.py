"""What providers report of the seconds that jobs took, against clocks that are known."""

import dataclasses

import numpy as np
import pytest

from qngd.estimates.evaluation import Cost
from qngd.estimates.usage import Usage

RNG = np.random.default_rng(7)


def reported(a, b, jobs, d=0.0):
    return sum((Usage.of(t, a * t + b * c + d * j, c, j) for t, c, j in jobs), Usage())


@pytest.mark.parametrize(("a", "b"), [(1.0, 0.0), (1.0, 0.04), (2.5, 0.0), (1.7, 0.3)])
def test_estimates_are_right_where_submissions_differ_and_never_too_low(a, b):
    ahead = np.array([0.1, 0.7]), np.array([3, 20])
    truth = a * ahead[0].sum() + b * ahead[1].sum()
    known = reported(a, b, [(0.2, 30, 1), (0.5, 31, 1), (0.6, 12, 1)])
    assert known.estimate(*ahead).sum() >= truth * (1 - 1e-9)  # it may be of jobs
    assert known.beside == pytest.approx(b, abs=1e-9)
    for scale in (0.1, 0.5, 1.0, 3.0, 40.0):  # fewer shots a circuit than were seen, and more
        alike = reported(a, b, [(0.2 * scale, 30, 1), (0.4 * scale, 60, 2)])
        assert alike.estimate(*ahead).sum() >= truth * (1 - 1e-9)
        assert alike.beside == 0.0  # what of it is the start's is not known


@pytest.mark.parametrize("a", [1.0, 1.8])
@pytest.mark.parametrize("b", [0.0, 0.03])
@pytest.mark.parametrize("d", [0.0, 2.0])
def test_a_submission_like_those_before_takes_what_they_took(a, b, d):
    """Of as many circuits and jobs, with any shots; and one of few circuits, as the end is, takes no less than it does,
    though most of the others is what their jobs take to begin."""
    steps = [(t, 40, 1) for t in (0.2, 0.5, 0.6, 1.1)]
    for seen in (steps, steps[:1] * 3):
        known = reported(a, b, seen, d)
        for t, c, j in ((0.3, 40, 1), (0.05, 3, 1), (4.0, 3, 1), (0.9, 100, 3)):
            times, circuits = np.full(j, t / j), np.full(j, c / j)
            truth, found = a * t + b * c + d * j, known.estimate(times, circuits).sum()
            assert found >= truth * (1 - 1e-9)
            if c == 40 and len(set(seen)) > 1:
                assert found == pytest.approx(truth, rel=1e-9)


def test_without_reports_the_times_hold():
    times = np.array([0.1, 0.7])
    assert np.array_equal(Usage().estimate(times, np.array([3, 20])), times)
    quick = reported(0.5, 0.0, [(0.2, 30, 1), (0.5, 31, 1)])
    assert quick.estimate(times, np.array([3, 20])) == pytest.approx(0.5 * times)
    assert quick.beside == 0.0


def test_noise_in_reports_leaves_an_estimate_between_its_bounds():
    """Of seconds that are rounded to whole ones."""
    jobs = [(t, 40) for t in RNG.uniform(0.9, 1.1, 30)]
    seen = sum((Usage.of(t, round(t + 0.05 * c), c, 1) for t, c in jobs), Usage())
    found = float(seen.estimate(np.array([2.0]), np.array([40])).sum())
    assert 2.0 + 0.9 * 2.0 <= found <= 2.0 * 3.2
    assert 0.0 <= seen.beside <= 0.06


def test_costs_keep_it():
    cost = Cost(1, 2, 3, seconds=1.5, money=None, usage=Usage.of(0.5, 1.5, 7, 2))
    assert dataclasses.astuple(Cost.from_numbers(cost.as_numbers())) == dataclasses.astuple(cost)
    assert (cost + cost).usage == cost.usage * 2 == (cost * 2).usage
    assert dataclasses.astuple(Cost.from_fields(dataclasses.asdict(cost))) == dataclasses.astuple(cost)
    assert Cost.from_fields({"jobs": 2, "timed": 0.5, "reported": 1.5}).usage.ratio == 3.0
    old = Cost.from_numbers(np.array([1, 2, 3, 4, 5, 6.0, 7.0, 0.5, 1.5]))  # before there were products
    assert (old.usage.ratio, old.usage.beside) == (3.0, 0.0)
    assert old.usage.estimate(np.array([1.0]), np.array([10])) == pytest.approx([3.0])
    before = Cost.from_numbers([*[0] * 5, 6.0, 7.0, *dataclasses.astuple(Usage.of(0.5, 1.5, 7, 1))[:8]])  # or jobs
    assert before.usage.estimate(np.array([1.0]), np.array([14])) == pytest.approx([3.0])
    assert before.usage.estimate(np.array([0.1]), np.array([14])) == pytest.approx([2.1])


def test_a_run_of_a_version_without_jobs_is_estimated_as_there_and_by_its_own_reports_as_soon_as_it_has_some():
    steps = [(t, 40, 1) for t in (0.2, 0.5, 0.6, 1.1)]
    before = Usage(*dataclasses.astuple(reported(1.0, 0.0, steps, d=2.0))[:8])
    assert before.estimate(np.array([1.5]), np.array([40])) == pytest.approx([3.5])
    for more in (steps[:1], steps):
        now = reported(1.0, 0.0, more, d=2.0)
        assert before + now == now + before == now
        assert now.estimate(np.array([0.05]), np.array([3])) >= 2.05 * (1 - 1e-9)  # the end
        assert (before + now) + before * -1 == now
