"""Trust regions: radius, rate and damping follow how well the model predicted, solved by hand in one parameter."""

import numpy as np
import pytest

from qngd.errors import SettingError
from qngd.qng import QNG
from qngd.step import LevenbergMarquardt, TrustRegion
from tests.parabola import HESSIAN, METRIC, START, Parabola, at, tried, walk

ONE = np.eye(1)


def steps_of(rule, count, start, hessian=1.0, metric=1.0, **how):
    """The states after every step on E = ½hθ² with the metric g."""
    optimizer = QNG(step=rule, damping=0)
    evaluator = Parabola(hessian * ONE, metric * ONE)
    state = optimizer.init(evaluator, np.array([start]), **how)
    for _ in range(count):
        state, info = optimizer.step(evaluator, state)
        yield float(state.theta[0]), state.memory, info


# --- the radius ---


def test_a_trust_region_by_hand():
    """E = ½θ², g = 1, from 1: the rate is learned while the radius lets go, and the fourth step arrives.

    rate  length              θ after  predicted  decrease  then the radius, the rate
    .1    .1                  .9       .05        .095      not what held it: stays, 5 times (10 is cut)
    .5    .45 cut to .2       .7       .14        .16       doubled, 4.5 times 2/9
    1     .7 cut to .4        .3       .2         .2        doubled but for its bound, 1.75 times 4/7
    1     .3                  0        .045       .045      not what held it
    """
    seen = list(steps_of(TrustRegion(radius=0.2, max_radius=0.5, initial=0.1), 4, 1.0))
    assert [theta for theta, _, _ in seen] == pytest.approx([0.9, 0.7, 0.3, 0.0], abs=1e-14)
    assert [float(memory["radius"]) for _, memory, _ in seen] == pytest.approx([0.2, 0.4, 0.5, 0.5])
    assert [float(memory["rate"]) for _, memory, _ in seen] == pytest.approx([0.5, 1.0, 1.0, 1.0])
    infos = [info for _, _, info in seen]
    assert [info.predicted_decrease for info in infos] == pytest.approx([0.095 / 1.9, 0.14, 0.2, 0.045])
    assert [info.decrease for info in infos] == pytest.approx([0.095, 0.16, 0.2, 0.045])
    assert [info.radius for info in infos] == pytest.approx([0.2, 0.2, 0.4, 0.5])
    assert [info.length for info in infos] == pytest.approx([0.1, 0.2, 0.4, 0.3])


def test_a_failure_shrinks_radius_and_rate():
    """From .05 with a rate of 10, cut to 4 by the radius: −.15 is higher. The parabola through both is lowest at a
    quarter of the step, where the next one arrives."""
    (first, memory, info), (second, _, after) = steps_of(TrustRegion(initial=10.0), 2, 0.05)
    assert not info.accepted
    assert first == 0.05
    assert info.predicted_decrease == pytest.approx(0.2 * 0.05 * (1 - 0.5 * 4 / 10))
    assert float(memory["radius"]) == pytest.approx(0.05)
    assert float(memory["rate"]) == pytest.approx(1.0)
    assert after.accepted
    assert second == pytest.approx(0, abs=1e-15)


def test_a_poor_step_is_taken_but_shrinks_the_radius():
    """−1.9 times the way: a tenth of what was predicted came."""
    ((theta, memory, info),) = steps_of(TrustRegion(initial=1.9), 1, 0.1)
    assert info.accepted
    assert theta == pytest.approx(-0.09)
    assert info.decrease / info.predicted_decrease == pytest.approx(0.1)
    assert float(memory["radius"]) == pytest.approx(0.25 * 0.19)
    assert float(memory["rate"]) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("share", "stderr", "radius"),
    [  # of what was predicted, .15 of it an error's two standard deviations or not
        (0.2, 0.0, 0.05),
        (0.2, 0.075, 0.2),
        (0.05, 0.075, 0.05),
        (-0.1, 0.2, 0.2),
        (0.5, 0.0, 0.2),
        (0.74, 0.075, 0.2),  # what an error may have hidden does not widen it
        (0.76, 0.075, 0.4),
        (1.5, 0.0, 0.4),
        (np.nan, 0.0, 0.05),
    ],
)
def test_errors_are_no_failures(share, stderr, radius):
    rule = TrustRegion(initial=50.0)
    predicted = tried(rule, at(), at()).proposal.predicted
    trial = tried(rule, at(), at(-share * predicted, stderr=stderr * predicted))
    assert trial.proposal.length == pytest.approx(0.2)
    memory = rule.learn(trial, rule.judge(trial, rule.start()), rule.start())
    assert float(memory["radius"]) == pytest.approx(radius)


def test_a_radius_never_closes():
    """Few shots may find a metric of zeros: a failed step of no length says nothing about the radius."""
    rule, memory = TrustRegion(), TrustRegion().start()
    for energy in (1.0, np.nan, 1.0, np.nan):
        trial = tried(rule, at(metric=np.zeros((2, 2))), at(energy, None, None), memory)
        assert not trial.proposal.length
        memory = rule.learn(trial, False, memory)
    assert memory["radius"] > 0
    assert memory["rate"] > 0
    assert tried(rule, at(), at(), memory).proposal.delta.any()


# --- Levenberg and Marquardt ---


def test_levenberg_marquardt_by_hand():
    """g/η is the Hessian: the model is right, λ falls to a third each time, and θ ← θ·λ/(1 + λ)."""
    rule = LevenbergMarquardt(learning_rate=0.5)
    seen = list(steps_of(rule, 4, 2.0, hessian=0.5, metric=0.25))
    levels = [1, 1 / 3, 1 / 9, 1 / 27]
    path = 2 * np.cumprod([level / (1 + level) for level in levels])
    assert [theta for theta, _, _ in seen] == pytest.approx(path)
    assert [info.spectrum.damping for _, _, info in seen] == pytest.approx(levels)
    for _, memory, info in seen:
        assert info.predicted_decrease == pytest.approx(info.decrease)
        assert info.rate == 0.5
        assert float(memory["damping"]) == pytest.approx(info.spectrum.damping / 3)


def test_levenberg_marquardt_backs_off_by_hand():
    """h = 8 against g/η = ½: δ = −16θ/(1 + λ) leads up at λ = 1 and 4; at 16, to θ/17, 55 % of what was
    predicted, which changes nothing."""
    seen = list(steps_of(LevenbergMarquardt(learning_rate=0.5), 3, 1.0, hessian=8.0, metric=0.25))
    assert [info.accepted for _, _, info in seen] == [False, False, True]
    assert [theta for theta, _, _ in seen] == pytest.approx([1, 1, 1 / 17])
    assert [float(memory["damping"]) for _, memory, _ in seen] == pytest.approx([4, 16, 16])
    info = seen[-1][2]
    delta = 16 / 17
    assert info.predicted_decrease == pytest.approx(8 * delta - 0.5 * delta**2 * 0.25 / 0.5)
    assert info.decrease == pytest.approx(4 - 4 / 17**2)


def test_levenberg_marquardt_damps_by_the_diagonal():
    state, _ = walk(QNG(step=LevenbergMarquardt(0.1, initial_damping=2.0), damping=0.7), Parabola(), START, 1)
    damped = METRIC + 2.0 * np.diag(np.diag(METRIC))
    assert np.allclose(state.theta, START - 0.1 * np.linalg.solve(damped, HESSIAN @ START), rtol=1e-12)


def test_a_rise_within_its_error_leaves_the_damping_alone():
    rule = LevenbergMarquardt()
    for energy, stderr, level in ((0.01, 0.2, 1), (0.01, 0.0, 4), (-10.0, 0.2, 1 / 3)):
        trial = tried(rule, at(), at(energy, stderr=stderr))
        memory = rule.learn(trial, rule.judge(trial, rule.start()), rule.start())
        assert float(memory["damping"]) == pytest.approx(level)


@pytest.mark.parametrize(("energy", "level"), [(-10.0, 0.5), (10.0, 2.0)])
def test_the_damping_has_bounds(energy, level):
    rule = LevenbergMarquardt(min_damping=0.5, max_damping=2.0)
    memory = rule.start()
    for _ in range(3):
        memory = rule.learn(tried(rule, at(), at(energy), memory), True, memory)
    assert memory["damping"] == level


# --- settings ---


@pytest.mark.parametrize(
    ("rule", "settings", "word"),
    [
        *((TrustRegion, {name: value}, name) for name in ("radius", "initial") for value in (0, -1, np.nan, np.inf)),
        (TrustRegion, {"radius": 0.3, "max_radius": 0.2}, "max_radius"),
        (TrustRegion, {"max_radius": np.nan}, "max_radius"),
        (TrustRegion, {"significance": -1}, "significance"),
        (TrustRegion, {"significance": np.inf}, "significance"),
        *((LevenbergMarquardt, {"learning_rate": value}, "learning_rate") for value in (0, -1, np.nan, np.inf)),
        (LevenbergMarquardt, {"initial_damping": 0}, "initial_damping"),
        (LevenbergMarquardt, {"initial_damping": 1e-7}, "min_damping"),
        (LevenbergMarquardt, {"initial_damping": 1e7}, "max_damping"),
        (LevenbergMarquardt, {"min_damping": 0}, "min_damping"),
        (LevenbergMarquardt, {"max_damping": np.inf}, "max_damping"),
        (LevenbergMarquardt, {"initial_damping": np.nan}, "initial_damping"),
    ],
)
def test_bad_settings_are_named(rule, settings, word):
    with pytest.raises(SettingError, match=word):
        rule(**settings)
