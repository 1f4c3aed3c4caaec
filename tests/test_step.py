"""Length: rules against energies that are known in closed form."""

import numpy as np
import pytest

from qngd.errors import SettingError
from qngd.step import AdaptiveRate, FixedRate

METRIC = np.array([[0.25, 0.05], [0.05, 0.1]])
GRADIENT = np.array([0.3, -0.2])
DIRECTION = np.linalg.solve(METRIC, GRADIENT)
RULES = [FixedRate(0.1), AdaptiveRate()]


def propose(rule, rate, scale=1.0):
    return rule.propose(scale * DIRECTION, GRADIENT, METRIC, rate)


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_what_a_proposal_says(rule):
    proposal = propose(rule, 0.02)
    assert np.allclose(proposal.delta, -0.02 * DIRECTION)
    assert proposal.length == pytest.approx(np.sqrt(proposal.delta @ METRIC @ proposal.delta))
    # along g⁻¹∇E the slope promises rate · ∇Eᵀg⁻¹∇E
    assert proposal.slope_decrease == pytest.approx(0.02 * GRADIENT @ DIRECTION)
    assert proposal.slope_decrease > 0


def test_a_metric_that_is_not_quite_positive_gives_no_length_of_nan():
    rule = FixedRate(1.0)
    proposal = rule.propose(np.array([1.0, 0.0]), GRADIENT, np.diag([-1e-17, 0.1]), 1.0)
    assert proposal.length == 0.0


def test_a_fixed_rate_accepts_everything_and_never_changes():
    rule = FixedRate(0.3)
    assert rule.initial_rate == 0.3
    assert not rule.needs_trial
    for decrease in (1.0, 0.0, -5.0):
        verdict = rule.judge(propose(rule, 0.3), decrease, 0.0)
        assert verdict.accepted
        assert verdict.rate == 0.3


@pytest.mark.parametrize("rate", [0, -0.1, np.nan, np.inf])
def test_a_bad_rate_is_named(rate):
    with pytest.raises(SettingError, match="learning_rate"):
        FixedRate(rate)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3, 1e9])
def test_no_adaptive_step_is_longer_than_its_bound(scale):
    rule = AdaptiveRate(max_length=0.2)
    proposal = propose(rule, 0.7, scale)
    assert proposal.length <= 0.2 * (1 + 1e-12)
    assert np.allclose(proposal.delta, -proposal.rate * scale * DIRECTION)
    free = 0.7 * scale * np.sqrt(DIRECTION @ METRIC @ DIRECTION)
    assert proposal.length == pytest.approx(min(free, 0.2))


@pytest.mark.parametrize("curvature", [0.2, 0.5, 0.9, 1.3])
def test_the_next_rate_is_the_minimizer_of_a_parabola(curvature):
    """E(t) = E0 − s·t + c·t²: after a step with t = 1 the rate goes to that of t = s/2c."""
    rule = AdaptiveRate()
    proposal = propose(rule, 0.02)
    s = proposal.slope_decrease
    c = curvature * s
    verdict = rule.judge(proposal, s - c, 0.0)
    assert verdict.accepted == (curvature < 1)
    wanted = 0.5 / curvature
    if not verdict.accepted:
        wanted = min(wanted, 0.5)
    assert verdict.rate == pytest.approx(proposal.rate * np.clip(wanted, rule.shrink, rule.grow))


@pytest.mark.parametrize(
    ("share", "factor", "accepted"),
    [
        (1.0, "grow", True),  # no curvature at all
        (1.7, "grow", True),  # more than promised
        (0.95, "grow", True),  # 1/(2·0.05) = 10 is cut
        (-50.0, "shrink", False),
        (np.nan, "shrink", False),
        (-np.inf, "shrink", False),
        (np.inf, "shrink", False),
    ],
)
def test_the_rate_changes_within_limits(share, factor, accepted):
    rule = AdaptiveRate()
    proposal = propose(rule, 0.02)
    verdict = rule.judge(proposal, share * proposal.slope_decrease, 0.0)
    assert verdict.accepted == accepted
    assert verdict.rate == pytest.approx(proposal.rate * getattr(rule, factor))


def test_a_rise_is_rejected_unless_noise_explains_it():
    rule = AdaptiveRate()
    proposal = propose(rule, 0.02)
    rise = -0.01
    assert not rule.judge(proposal, rise, 0.0).accepted
    assert not rule.judge(proposal, rise, 0.004).accepted
    assert rule.judge(proposal, rise, 0.006).accepted


def test_a_rejected_trial_goes_on_with_a_smaller_rate():
    rule = AdaptiveRate()
    proposal = propose(rule, 0.02)
    for share in (-1e-3, -0.3, -3.0, -1e6):
        verdict = rule.judge(proposal, share * proposal.slope_decrease, 0.0)
        assert not verdict.accepted
        assert rule.shrink * proposal.rate * (1 - 1e-12) <= verdict.rate <= 0.5 * proposal.rate


def test_standing_still_keeps_the_rate_finite():
    """Where the gradient is exactly zero, however many steps are asked for."""
    rule = AdaptiveRate()
    rate = rule.initial_rate
    for _ in range(2000):
        proposal = rule.propose(np.zeros(2), np.zeros(2), METRIC, rate)
        assert np.array_equal(proposal.delta, np.zeros(2))
        rate = rule.judge(proposal, 0.0, 0.0).rate
        assert 0 < rate < np.inf
