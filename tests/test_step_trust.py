"""Trust regions: radius, rate and damping follow how well the model predicted, solved by hand in one parameter."""

import numpy as np
import pytest

from qngd.errors import SettingError
from qngd.qng import QNG
from qngd.step import TrustRegion
from tests.parabola import Parabola, at, tried

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


# --- settings ---


@pytest.mark.parametrize(
    ("rule", "settings", "word"),
    [
        *((TrustRegion, {name: value}, name) for name in ("radius", "initial") for value in (0, -1, np.nan, np.inf)),
        (TrustRegion, {"radius": 0.3, "max_radius": 0.2}, "max_radius"),
        (TrustRegion, {"max_radius": np.nan}, "max_radius"),
        (TrustRegion, {"significance": -1}, "significance"),
        (TrustRegion, {"significance": np.inf}, "significance"),
    ],
)
def test_bad_settings_are_named(rule, settings, word):
    with pytest.raises(SettingError, match=word):
        rule(**settings)
