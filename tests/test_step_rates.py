"""Rates that are given beforehand, against recursions solved by hand."""

import numpy as np
import pytest

from qngd.errors import SettingError
from qngd.qng import QNG
from qngd.step import DecayingRate, FixedRate, Momentum
from tests.parabola import HESSIAN, METRIC, START, Parabola, at, tried, walk

ONE = np.eye(1)  # E = ½θ² with g = 1: d = θ


def path(rule, steps, start=1.0, hessian=ONE):
    """θ after 1, 2, … steps of one parameter."""
    optimizer, evaluator = QNG(step=rule, damping=0), Parabola(hessian, ONE)
    state = optimizer.init(evaluator, np.array([start]))
    found = []
    for _ in range(steps):
        state, _ = optimizer.step(evaluator, state)
        found.append(float(state.theta[0]))
    return found


# --- fixed ---


def test_a_fixed_rate_by_hand():
    assert path(FixedRate(0.25), 3) == pytest.approx([3 / 4, 9 / 16, 27 / 64])
    assert path(FixedRate(0.5), 3, hessian=4 * ONE) == pytest.approx([-1, 1, -1])


def test_a_fixed_rate_remembers_nothing():
    rule = FixedRate(0.3)
    assert rule.start() == {}
    assert rule.learn(tried(rule, at(), at(5.0)), True, {}) == {}


# --- decaying ---


@pytest.mark.parametrize(
    ("settings", "rates"),
    [
        ({"steps": 1.0}, [0.6, 0.3, 0.2, 0.15]),
        ({"steps": 3.0}, [0.6, 0.45, 0.36, 0.3]),  # half of it after three steps
        ({"steps": 1.0, "power": 2.0}, [0.6, 0.15, 0.6 / 9, 0.6 / 16]),
        ({"steps": 1.0, "power": 0.5}, [0.6, 0.6 / np.sqrt(2), 0.6 / np.sqrt(3), 0.3]),
        ({}, [0.6, 0.6 * 20 / 21, 0.6 * 20 / 22, 0.6 * 20 / 23]),
    ],
    ids=str,
)
def test_a_decaying_rate_by_hand(settings, rates):
    rule = DecayingRate(0.6, **settings)
    _, infos = walk(QNG(step=rule, damping=0), Parabola(ONE, ONE), [1.0], 4)
    assert [info.rate for info in infos] == pytest.approx(rates)
    assert path(rule, 4) == pytest.approx(np.cumprod(1 - np.array(rates)))


# --- momentum ---


@pytest.mark.parametrize(
    ("momentum", "expected"),
    [
        (0.5, [0.5, 0.0, -0.25, -0.25, -0.125]),  # δ = −½, −½, −¼, 0, ⅛
        (0.0, [0.5, 0.25, 0.125, 0.0625, 0.03125]),
        (0.9, [0.5, -0.2, -0.73, -0.842, -0.5218]),
    ],
)
def test_a_heavy_ball_by_hand(momentum, expected):
    assert path(Momentum(0.5, momentum), 5) == pytest.approx(expected)


def test_a_heavy_ball_in_three_dimensions():
    """δ_k = −η·g⁻¹Hθ + ρ·δ_{k−1}, and what is said of it."""
    _, infos = walk(QNG(step=Momentum(0.05, 0.7), damping=0), Parabola(), START, 6)
    theta, delta = START.copy(), np.zeros(3)
    for info in infos:
        slope = HESSIAN @ theta
        delta = -0.05 * np.linalg.solve(METRIC, slope) + 0.7 * delta
        assert info.predicted_decrease == pytest.approx(-delta @ slope)
        assert info.length == pytest.approx(np.sqrt(delta @ METRIC @ delta))
        assert info.rate == 0.05
        theta = theta + delta
        assert info.energy == pytest.approx(0.5 * theta @ HESSIAN @ theta)


# --- settings ---


@pytest.mark.parametrize("value", [0, -0.1, np.nan, np.inf])
@pytest.mark.parametrize(
    ("rule", "name"),
    [
        (FixedRate, "learning_rate"),
        (Momentum, "learning_rate"),
        (DecayingRate, "initial"),
        (DecayingRate, "steps"),
        (DecayingRate, "power"),
    ],
)
def test_a_bad_number_is_named(rule, name, value):
    others = {"initial": 0.1} if rule is DecayingRate else {}
    with pytest.raises(SettingError, match=name):
        rule(**{**others, name: value})


@pytest.mark.parametrize("momentum", [-0.1, 1.0, 2.0, np.nan])
def test_a_bad_momentum_is_named(momentum):
    with pytest.raises(SettingError, match="momentum"):
        Momentum(0.1, momentum)
