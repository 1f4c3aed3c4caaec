"""The rate that follows the curvature met: what it learns, what it accepts, and what noise may not teach it."""

import dataclasses
import itertools

import numpy as np
import pytest

from qngd.damping import Absolute, PseudoInverse
from qngd.errors import SettingError
from qngd.estimates.estimate import Estimate
from qngd.solve.direction import natural_direction
from qngd.step import CurvatureRate, Trial
from tests.parabola import HESSIAN, METRIC, at, no_probe, toward, tried

GRADIENT = at().gradient.value
DIRECTION = toward(at()).vector
FREE = {"grow": 1e12, "shrink": 1e-12, "max_length": 1e12}  # nothing in the way of what is learned


def with_rate(rate):
    return {**CurvatureRate().start(), "rate": np.array(rate)}


def rate_after(rule, here, there, *, memory=None, damping=None, accepted=True):
    """The rate that `rule` goes on with, and the step it went."""
    trial = tried(rule, here, there, memory, damping)
    return float(rule.learn(trial, accepted, memory or rule.start())["rate"]), trial.proposal


# --- proposals ---


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e9, 1e100])
@pytest.mark.parametrize("times", [1e-3, 0.9, 1.1, 1e5])
def test_no_step_is_longer_than_its_bound(times, scale):
    """With rates that would go `times` the bound."""
    rule = CurvatureRate(max_length=0.2)
    here = at(gradient=scale * GRADIENT)
    rate = times * 0.2 / (scale * np.sqrt(GRADIENT @ DIRECTION))
    proposal = rule.propose(toward(here), here, with_rate(rate), no_probe)
    assert proposal.length == pytest.approx(0.2 * min(times, 1))
    assert np.allclose(proposal.delta, -proposal.rate * scale * DIRECTION, rtol=1e-12)
    assert proposal.predicted == pytest.approx(proposal.rate * scale**2 * GRADIENT @ DIRECTION)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("initial", 0),
        ("initial", np.nan),
        ("max_length", -0.1),
        ("window", 0),
        ("grow", 0.5),
        ("shrink", 1.5),
        ("shrink", 0),
        ("significance", -1),
    ],
)
def test_bad_settings_are_named(name, value):
    with pytest.raises(SettingError, match=name):
        CurvatureRate(**{name: value})


@pytest.mark.parametrize("unit", [1e-5, 1e-3, 1.0])
@pytest.mark.parametrize("curved", [-1.0, 1e-6])
def test_an_exact_rate_finds_its_unit_at_once_and_a_sampled_one_by_its_bound(unit, curved):
    """Where the energy curves down along the first step, or so little up that its minimum is far."""
    slopes = unit * np.array([[0.2, 0.0, 0.0], [0.2 - curved * 1e-3, 0.0, 0.0]])
    energies = -unit * np.array([0.0, 0.1 * 0.2**2 * unit])
    for covariance in (None, 1e-12 * unit**2 * np.eye(3)):
        here, there = (
            at(energy, slope, np.eye(3), covariance=covariance) for energy, slope in zip(energies, slopes, strict=True)
        )
        rule = CurvatureRate(initial=0.1)
        rate, proposal = rate_after(rule, here, there, damping=Absolute(1e-9))
        assert proposal.length == pytest.approx(0.02 * unit)
        if covariance is not None:
            assert rate == pytest.approx(0.5 if curved < 0 else rate)
        elif unit < 1:
            assert rate * np.linalg.norm(slopes[1]) == pytest.approx(0.05, rel=0.01)
        assert rate <= (0.5 if covariance is not None or unit == 1 else np.inf) * (1 + 1e-9)
        if covariance is None:
            later = {**rule.start(), "recent": np.array([[1.0, 0.0]])}
            assert rate_after(rule, here, there, memory=later, damping=Absolute(1e-9))[0] == pytest.approx(0.5)


def test_what_rounding_makes_of_a_slope_is_no_reason_to_go_far():
    """At a minimum: the energy stays, and the slope falls along a step of 1e-9 rad by chance."""
    here, there = (at(-1.0, (slope, 0.0)) for slope in (1e-9, 1.01e-9))
    rate, proposal = rate_after(CurvatureRate(initial=0.1), here, there)
    assert proposal.length < 1e-8
    assert rate == pytest.approx(0.5)


# --- the curvature that a step met ---


@pytest.mark.parametrize("scale", [0.01, 0.25, 3.0])
@pytest.mark.parametrize("seed", range(4))
def test_in_a_flat_metric_the_rate_is_the_inverse_curvature_along_the_step(seed, scale):
    """g = c·1, E = ½θᵀHθ: with d = ∇E/c the energy along d is lowest at c·|d|²/dᵀHd, whatever rate was tried."""
    theta = np.random.default_rng(seed).normal(size=3)
    d = HESSIAN @ theta / scale
    for first in (1e-4, 0.1, 7.0):
        rule = CurvatureRate(initial=first, **FREE)
        here = at(gradient=HESSIAN @ theta, metric=scale * np.eye(3))
        there = at(gradient=HESSIAN @ (theta - first * d), metric=None)
        rate, proposal = rate_after(rule, here, there)
        assert np.allclose(theta + proposal.delta, theta - first * d, rtol=1e-12)
        assert rate == pytest.approx(scale * (d @ d) / (d @ HESSIAN @ d), rel=1e-9)


def test_with_one_parameter_the_next_step_arrives():
    """E = ½·h·θ²: two points of a line know its zero."""
    for h, g in ((0.3, 0.25), (40.0, 0.25), (1.0, 1e-3)):
        rule = CurvatureRate(**FREE)
        here = at(gradient=[h * 0.8], metric=[[g]])
        theta = 0.8 + rule.propose(toward(here), here, rule.start(), no_probe).delta
        rate, _ = rate_after(rule, here, there := at(gradient=h * theta, metric=[[g]]))
        assert theta + rule.propose(toward(there), there, with_rate(rate), no_probe).delta == pytest.approx(
            [0], abs=1e-14
        )


@pytest.mark.parametrize("damping", [1e-3, 0.1, 10.0])
def test_the_damping_counts_as_metric(damping):
    """η = δᵀ(g + λ)δ/δᵀHδ."""
    theta, metric = np.array([1.0, -2.0, 0.5]), np.diag([0.25, 0.1, 0.0])
    here = at(gradient=HESSIAN @ theta, metric=metric)
    rule = CurvatureRate(initial=1e-3, **FREE)
    delta = -1e-3 * np.linalg.solve(metric + damping * np.eye(3), HESSIAN @ theta)
    rate, _ = rate_after(rule, here, at(gradient=HESSIAN @ (theta + delta)), damping=Absolute(damping))
    damped = delta @ metric @ delta + damping * delta @ delta
    assert rate == pytest.approx(damped / (delta @ HESSIAN @ delta), rel=1e-9)


@pytest.mark.parametrize(
    ("slope", "factor"),
    [  # the share of the gradient that is left after the step, and what the rate is multiplied by
        (0.0, 1),
        (0.5, 2),
        (-1.0, 0.5),
        (-3.0, 0.25),
        (0.9, 5),  # 10 is cut
        (-9.0, 0.2),  # 0.1 is cut
        (1.0, 5),  # no curvature
        (2.0, 5),  # downwards
        (1e9, 5),
        (-1e9, 0.2),
    ],
)
@pytest.mark.parametrize("bounds", [{}, {"grow": 1.7, "shrink": 0.6}], ids=str)
def test_the_rate_changes_within_limits(slope, factor, bounds):
    rule = CurvatureRate(**bounds)
    rate, _ = rate_after(rule, at(), at(gradient=slope * GRADIENT))
    assert rate == pytest.approx(0.1 * np.clip(factor, rule.shrink, rule.grow))


def test_what_is_learned_is_learned_of_the_step_that_was_made():
    """Where the bound cut the step short, the rate that it had counts, not the one remembered."""
    rule = CurvatureRate(max_length=0.01)
    rate, proposal = rate_after(rule, at(), at(gradient=0.5 * GRADIENT), memory=with_rate(50.0))
    assert proposal.rate == pytest.approx(0.01 / np.sqrt(GRADIENT @ DIRECTION))
    assert rate == pytest.approx(2 * proposal.rate)


@pytest.mark.parametrize(
    ("share", "factor"),
    [  # the share of the promised decrease that came: the parabola through it is lowest at 1/2(1 − share)
        (0.0, 0.5),
        (-0.25, 0.4),
        (-1.0, 0.25),
        (-3.0, 0.125),
        (-50.0, 0.1),  # half of `shrink` at most
        (0.3, 0.5),  # and half a step at least
        (1.5, 0.1),  # no parabola
        (-np.inf, 0.1),
        (np.nan, 0.1),
        (np.inf, 0.1),
    ],
)
def test_after_a_rejected_trial_the_rate_goes_to_the_minimizer_of_a_parabola(share, factor):
    rule = CurvatureRate()
    here = at(-1.0)
    promised = rule.propose(toward(here), here, rule.start(), no_probe).predicted
    rate, _ = rate_after(rule, here, at(-1.0 - share * promised, gradient=None), accepted=False)
    assert rate == pytest.approx(0.1 * factor)


@pytest.mark.parametrize("metric", [METRIC, np.zeros((2, 2)), [[0.25]]], ids=["full", "zero", "one"])
@pytest.mark.parametrize("damping", [PseudoInverse(), Absolute(1e-3)], ids=str)
def test_standing_still_keeps_the_rate(metric, damping):
    """Where the gradient is exactly zero, however many steps are asked for; warnings are errors."""
    rule = CurvatureRate()
    memory = rule.start()
    here = at(1.0, np.zeros(len(metric)), metric)
    direction = toward(here, damping)
    for _ in range(500):
        proposal = rule.propose(direction, here, memory, no_probe)
        assert not proposal.delta.any()
        assert (proposal.length, proposal.predicted) == (0, 0)
        assert rule.judge(Trial(proposal, direction, here, here), memory)
        memory = rule.learn(Trial(proposal, direction, here, here), True, memory)
    assert memory["rate"] == 0.1
    assert len(memory["recent"]) <= rule.window


# --- acceptance ---


def judged(energy, *, after=(), here=(0.0, 0.0), stderr=0.0, gradient=GRADIENT, **settings):
    """Whether an energy is accepted where the run came from (energy, error) pairs `after` and stands at `here`."""
    rule = CurvatureRate(**settings)
    memory = rule.start()
    path = [at(e, gradient, stderr=s) for e, s in (*after, here)]
    for before, then in itertools.pairwise(path):
        memory = rule.learn(tried(rule, before, then, memory), True, memory)
    verdict = rule.judge(tried(rule, path[-1], at(energy, None, None, stderr=stderr), memory), memory)
    assert isinstance(verdict, bool)
    return verdict


@pytest.mark.parametrize("share", [1e-5, 0.9e-4, 1.1e-4, 0.5, 2.0, -1e-6, -1.0])
def test_a_first_trial_must_keep_a_little_of_its_promise(share):
    here = at()
    promised = CurvatureRate().propose(toward(here), here, CurvatureRate().start(), no_probe).predicted
    assert judged(-share * promised) == (share > 1e-4)


@pytest.mark.parametrize("energy", [np.nan, np.inf])
@pytest.mark.parametrize("stderr", [0.0, 0.1, np.nan])
def test_what_is_not_finite_is_rejected(energy, stderr):
    assert not judged(energy, stderr=stderr)
    assert not judged(energy, stderr=stderr, after=[(1e9, 0.0)])


@pytest.mark.parametrize(
    ("energy", "accepted"), [(3.99, True), (4.01, False), (2.5, True), (1.0, True), (-9.0, True), (5.0, False)]
)
def test_a_trial_may_rise_below_the_highest_of_the_recent_energies(energy, accepted):
    tiny = 1e-6 * GRADIENT  # promises nothing to speak of
    assert judged(energy, after=[(4.0, 0), (1.5, 0), (2.0, 0)], here=(1.0, 0), gradient=tiny) == accepted


@pytest.mark.parametrize("window", [1, 2, 3, 5])
def test_the_window_forgets(window):
    """After 8, 7, …, 1 the highest of the last w energies is w."""
    path = [(float(e), 0.0) for e in range(8, 1, -1)]
    how = {"after": path, "here": (1.0, 0.0), "gradient": 1e-6 * GRADIENT, "window": window}
    assert judged(window - 0.01, **how)
    assert not judged(window + 0.01, **how)


def test_a_rejected_trial_does_not_fill_the_window():
    """The point stays where it is: its energy counts once, however often it was tried from."""
    rule = CurvatureRate(window=3)
    memory = rule.start()
    tiny = 1e-6 * GRADIENT
    path = [at(e, tiny) for e in (3.0, 2.0, 1.0)]
    for before, then in itertools.pairwise(path):
        memory = rule.learn(tried(rule, before, then, memory), True, memory)
    for _ in range(6):
        trial = tried(rule, path[-1], at(3.01, None), memory)
        assert not rule.judge(trial, memory)
        memory = rule.learn(trial, False, memory)
    assert rule.judge(tried(rule, path[-1], at(2.99, None), memory), memory)


@pytest.mark.parametrize(
    ("top", "trial", "accepted"),
    [  # a rise of 0.01 within twice √(top² + trial²)
        (0.0, 0.0, False),
        (0.0, 0.004, False),
        (0.0, 0.006, True),
        (0.004, 0.0, False),
        (0.006, 0.0, True),
        (0.003, 0.003, False),
        (0.004, 0.004, True),
    ],
)
@pytest.mark.parametrize("where", ["here", "before"])
def test_a_rise_is_rejected_unless_errors_explain_it(top, trial, accepted, where):
    """The errors that count are those of the trial and of the energy it is compared with."""
    tiny = 1e-6 * GRADIENT
    if where == "here":
        assert judged(0.01, here=(0.0, top), stderr=trial, gradient=tiny) == accepted
    else:
        path = {"after": [(5.0, top)], "here": (0.0, 7.0)}  # the error of a lower energy says nothing
        assert judged(5.01, **path, stderr=trial, gradient=tiny) == accepted


@pytest.mark.parametrize("energy", [-1e6, -1.0, 1e-3])
def test_rounding_is_no_rise(energy):
    above = np.nextafter(energy, np.inf)
    assert judged(above, here=(energy, 0.0), gradient=1e-9 * GRADIENT)
    assert not judged(energy + 1e-9 * max(1, abs(energy)), here=(energy, 0.0), gradient=1e-9 * GRADIENT)


# --- sampled gradients ---


@pytest.mark.parametrize("sigmas", [0.5, 1.9, 2.1, 10])
@pytest.mark.parametrize("slope", [0.5, -1.0, 1.5])
@pytest.mark.parametrize("shared", [(1, 0), (0, 1), (0.5, 0.5)], ids=str)
def test_a_curvature_within_its_error_teaches_nothing(sigmas, slope, shared):
    """The errors of both gradients count, along the step: C = c·vvᵀ + large errors across it."""
    here = at()
    proposal = CurvatureRate().propose(toward(here), here, CurvatureRate().start(), no_probe)
    step = proposal.delta / np.linalg.norm(proposal.delta)
    across = np.array([-step[1], step[0]])
    curvature = (1 - slope) * proposal.predicted  # δᵀy
    error = abs(curvature) / sigmas / np.linalg.norm(proposal.delta)
    spreads = [w * error**2 * np.outer(step, step) + 9.0 * np.outer(across, across) for w in shared]
    here, there = at(covariance=spreads[0]), at(gradient=slope * GRADIENT, covariance=spreads[1])
    direction = dataclasses.replace(toward(here), noise=0.0)  # its correction has tests of its own
    rule = CurvatureRate()
    rate = float(rule.learn(Trial(proposal, direction, here, there), True, rule.start())["rate"])
    expected = np.clip(1 / (1 - slope), 0.2, 5) if slope < 1 else 5
    assert rate == pytest.approx(0.1 * (expected if sigmas > 2 else 1))


@pytest.mark.parametrize("sigmas", [0.5, 1.9, 2.1, 10])
@pytest.mark.parametrize("part", [0.3, 0.9, 1.5])  # of what the slope promises; the last bends down
@pytest.mark.parametrize("source", ["before", "after", "slope"])
def test_a_bend_within_its_error_teaches_nothing_of_a_batch(sigmas, part, source):
    here = at()
    proposal = CurvatureRate().propose(toward(here), here, CurvatureRate().start(), no_probe)
    promised = -float(proposal.delta @ GRADIENT)
    error = abs(1 - part) * promised / sigmas
    along = np.outer(proposal.delta, proposal.delta) * (error / (proposal.delta @ proposal.delta)) ** 2
    here = at(stderr=error if source == "before" else 0.0, covariance=along if source == "slope" else None)
    after = Estimate(np.float64(-part * promised), np.float64(error if source == "after" else 0.0))
    there = dataclasses.replace(at(), batch=1, before=after)
    direction = dataclasses.replace(toward(here), noise=0.0)
    rule = CurvatureRate()
    rate = float(rule.learn(Trial(proposal, direction, here, there), True, rule.start())["rate"])
    is_seen = sigmas > 2 and part < 1
    assert rate == pytest.approx(0.1 * (np.clip(1 / (4 * (1 - part)), 0.2, 5) ** 0.25 if is_seen else 1))


@pytest.mark.parametrize(("sigmas", "factor"), [(0.5, 1 / (0.2 * (1 + 4))), (1.0, 1 / (0.2 * 3)), (0.1, 1.0)])
def test_of_a_tail_a_hidden_curvature_allows_what_it_is_at_most(sigmas, factor):
    """δᵀy is a fifth of what was promised, and `sigmas` standard errors: at most two more than it is."""
    here = at()
    direction, rule = dataclasses.replace(toward(here), noise=0.0), CurvatureRate()
    proposal = rule.propose(direction, here, rule.start(), no_probe)
    step = proposal.delta / np.linalg.norm(proposal.delta)
    error = 0.2 * proposal.predicted / sigmas / np.linalg.norm(proposal.delta)
    there = at(gradient=0.8 * GRADIENT, covariance=error**2 * np.outer(step, step))
    for mean, expected in ((None, 0.1), (here.energy, 0.1 * factor)):
        begin = dataclasses.replace(here, mean=mean)
        rate = float(rule.learn(Trial(proposal, direction, begin, there), True, rule.start())["rate"])
        assert rate == pytest.approx(expected)


def test_standard_errors_alone_count_as_independent():
    here = at()
    direction, rule = toward(here), CurvatureRate()
    proposal = rule.propose(direction, here, rule.start(), no_probe)
    for scale, learned in ((0.9, True), (1.1, False)):
        # δᵀy = promised/2 over √2 times the error along the step
        error = scale * proposal.predicted / 2 / 2 / np.sqrt(2) / np.linalg.norm(proposal.delta)
        pair = [
            dataclasses.replace(e, gradient=Estimate(e.gradient.value, np.full(2, error), 100))
            for e in (here, at(gradient=0.5 * GRADIENT))
        ]
        rate = float(rule.learn(Trial(proposal, direction, *pair), True, rule.start())["rate"])
        assert rate == pytest.approx(0.2 if learned else 0.1)


def test_a_larger_significance_learns_less():
    here, there = at(covariance=1e-3 * np.eye(2)), at(gradient=0.5 * GRADIENT, covariance=1e-3 * np.eye(2))
    rates = [rate_after(CurvatureRate(significance=s), here, there)[0] for s in (0.0, 100.0)]
    assert rates[0] != 0.1
    assert rates[1] == 0.1


@pytest.mark.parametrize("damping", [PseudoInverse(), Absolute(0.2)], ids=str)
def test_the_noise_of_sampled_gradients_does_not_bias_the_curvature(damping):
    """E = ½θᵀHθ with Gaussian noise e on both gradients. The noise at the start stands in δ and in y, which adds
    η·eᵀfe to δᵀy, in the mean η·tr(fC); freed of it, δᵀy is δᵀHδ in the mean."""
    rng = np.random.default_rng(11)
    metric = np.array([[0.25, 0.05, 0.0], [0.05, 0.2, 0.02], [0.0, 0.02, 0.1]])
    theta, count = np.array([0.2, -0.4, 0.1]), 4000
    factor = np.array([[0.05, 0.0, 0.0], [0.02, 0.04, 0.0], [-0.01, 0.0, 0.03]])
    covariance = factor @ factor.T
    rule = CurvatureRate(initial=0.3, significance=0.0, **FREE)
    added = {"noise": [], "freed": []}
    for noise in rng.normal(size=(count, 2, 3)) @ factor.T:
        here = at(gradient=HESSIAN @ theta + noise[0], metric=metric, covariance=covariance)
        direction = natural_direction(here.metric, here.gradient, damping)
        proposal = rule.propose(direction, here, rule.start(), no_probe)
        delta = proposal.delta
        there = at(gradient=HESSIAN @ (theta + delta) + noise[1], metric=metric, covariance=covariance)
        for name, known in (("freed", direction), ("noise", dataclasses.replace(direction, noise=0.0))):
            rate = float(rule.learn(Trial(proposal, known, here, there), True, rule.start())["rate"])
            assert rate < 1e3  # every curvature is positive, and none of them cut
            seen = proposal.predicted * proposal.rate / rate
            added[name].append(seen - delta @ HESSIAN @ delta)
    error = np.std(added["freed"]) / np.sqrt(count)
    level = 0.2 if damping == Absolute(0.2) else 0.0
    bias = 0.3 * np.trace(np.linalg.inv(metric + level * np.eye(3)) @ covariance)
    assert bias > 10 * error
    assert np.mean(added["noise"]) == pytest.approx(bias, abs=4 * error)
    assert np.mean(added["freed"]) == pytest.approx(0, abs=4 * error)


# --- memory ---


def test_memory_does_not_grow():
    rule = CurvatureRate(window=4)
    memory = rule.start()
    for k in range(20):
        here, there = at(-float(k)), at(-float(k + 1))
        memory = rule.learn(tried(rule, here, there, memory), True, memory)
        assert len(memory["recent"]) == min(k + 1, 4)


def test_a_curvature_rate_may_reject():
    assert CurvatureRate().may_reject
    assert CurvatureRate(initial=0.3).start()["rate"] == 0.3
