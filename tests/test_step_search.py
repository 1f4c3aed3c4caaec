"""Searches that look before they go: backtracking by hand, and minima in a plane that are known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qngd.damping import Absolute
from qngd.errors import SettingError
from qngd.estimates.estimate import Estimate
from qngd.qng import QNG
from qngd.step import Armijo, ConjugateDirections
from qngd.step.search import lowest_within
from tests.parabola import ALONE, FULL, HESSIAN, METRIC, START, Parabola, at, toward, tried, walk
from tests.strategies import examples

ONE = np.eye(1)
FREE = ConjugateDirections(radius=50.0, max_radius=50.0)
PLANE_HESSIAN, PLANE_METRIC = np.array([[2.0, 0.7], [0.7, 0.5]]), np.array([[0.25, 0.03], [0.03, 0.1]])


# --- backtracking ---


def test_backtracking_by_hand():
    """E = ½hθ², g = 1: a rate t keeps the share 1 − th/2 of its promise, which is at least c for t ≤ 2(1 − c)/h.

    For h = 30 and c = .1 that is .06: of .1, .05, .075, .0375, .05625 and .084375 the second, fourth and fifth pass.
    """
    rule = Armijo(initial=0.1, max_length=1e9)
    _, infos = walk(QNG(step=rule, damping=0), Parabola(30 * ONE, ONE), [1.0], 6)
    assert [info.rate for info in infos] == pytest.approx([0.1, 0.05, 0.075, 0.0375, 0.05625, 0.084375])
    assert [info.accepted for info in infos] == [False, True, False, True, True, False]
    theta = np.prod([1 - 30 * info.rate for info in infos if info.accepted])
    assert infos[-1].energy == pytest.approx(15 * theta**2)


@pytest.mark.parametrize("decrease", [0.05, 0.3, 0.9])
@pytest.mark.parametrize("side", [0.999, 1.001])
def test_a_step_must_keep_a_share_of_its_promise(decrease, side):
    rule = Armijo(initial=side * 2 * (1 - decrease) / 30, sufficient_decrease=decrease, max_length=1e9)
    _, (info,) = walk(QNG(step=rule, damping=0), Parabola(30 * ONE, ONE), [1.0], 1)
    assert info.accepted == (side < 1)


def test_backtracking_within_errors():
    """Two standard errors of the difference are forgiven, and no more."""
    rule = Armijo(sufficient_decrease=0.5)
    promised = tried(rule, at(), at()).slope
    for share, errors, accepted in (
        (0.51, (0.0, 0.0), True),
        (0.49, (0.0, 0.0), False),
        (0.0, (0.15, 0.2), True),
        (-0.01, (0.15, 0.2), False),
    ):
        before, after = (error * promised for error in errors)
        trial = tried(rule, at(stderr=before), at(-share * promised, stderr=after))
        assert rule.judge(trial, rule.start()) == accepted


def test_the_rate_grows_to_its_bound():
    rule = Armijo(initial=0.1, shrink=0.25, grow=3.0, max_rate=0.5, max_length=1e9)
    memory, rates = rule.start(), []
    for accepted in (True, True, True, False, False, True):
        memory = rule.learn(tried(rule, at(), at(), memory), accepted, memory)
        rates.append(float(memory["rate"]))
    assert rates == pytest.approx([0.3, 0.5, 0.5, 0.125, 0.03125, 0.09375])


def test_a_rate_that_was_cut_short_is_the_rate_that_counts():
    rule = Armijo(initial=5.0, max_length=0.2)
    trial = tried(rule, at(), at())
    assert trial.proposal.length == pytest.approx(0.2)
    assert rule.learn(trial, False, rule.start())["rate"] == pytest.approx(0.5 * trial.proposal.rate)


# --- the plane of the direction and the last step ---


@pytest.mark.parametrize("damping", [0, 0.05])
@pytest.mark.parametrize("start", [[1.0, -2.0], [0.3, 0.1]])
def test_two_parameters_take_two_steps(start, damping):
    """The first is the minimum along the direction, found with one probe; the second that of the whole plane, with
    three. Both are predicted."""
    evaluator = Parabola(PLANE_HESSIAN, PLANE_METRIC)
    optimizer = QNG(step=FREE, damping=damping)
    state = optimizer.init(evaluator, np.array(start))
    d = np.linalg.solve(PLANE_METRIC + damping * np.eye(2), PLANE_HESSIAN @ start)
    rate = (d @ PLANE_HESSIAN @ start) / (d @ PLANE_HESSIAN @ d)
    for probes, theta in ((1, start - rate * d), (3, np.zeros(2))):
        asked = len(evaluator.asked)
        state, info = optimizer.step(evaluator, state)
        assert np.allclose(state.theta, theta, atol=1e-8)
        # the probes, the trial's energy, and the rest once it was accepted
        questions = [question[1:3] for question in evaluator.asked[asked:]]
        assert questions == [(False, None)] * (probes + 1) + [(True, "full")]
        assert info.predicted_decrease == pytest.approx(info.decrease, rel=1e-6)
        assert info.rate > 0
        assert info.accepted
    assert np.isclose(walk(optimizer, Parabola(PLANE_HESSIAN, PLANE_METRIC), start, 1)[1][0].rate, rate, rtol=1e-8)


def test_many_parameters_take_as_many_steps():
    """Conjugate gradients with the metric as preconditioner."""
    state, _ = walk(QNG(step=FREE, damping=0), Parabola(), START, 3)
    assert np.allclose(state.theta, 0, atol=1e-6)


def test_one_parameter_takes_one_step():
    state, (info,) = walk(QNG(step=FREE, damping=0), Parabola(7 * ONE, 0.25 * ONE), [0.8], 1)
    assert state.theta == pytest.approx([0], abs=1e-9)
    assert info.rate == pytest.approx(0.25 / 7)


def test_steps_wait_for_the_radius():
    """Where the model is right, each is as long as the radius and doubles it, and the last arrives."""
    rule = ConjugateDirections(radius=0.01, max_radius=50.0)
    state, infos = walk(QNG(step=rule, damping=0), Parabola(PLANE_HESSIAN, PLANE_METRIC), [1.0, -2.0], 8)
    assert [info.radius for info in infos[:6]] == pytest.approx([0.01 * 2**k for k in range(6)])
    for info in infos:
        assert info.length <= info.radius * (1 + 1e-9)
        assert info.accepted
    assert infos[0].length == pytest.approx(0.01)
    assert np.allclose(state.theta, 0, atol=1e-7)


def test_a_failed_prediction_shrinks_the_radius_and_keeps_the_last_step():
    rule, probe = ConjugateDirections(), lambda shifts: [Estimate.exact(0.5 * s @ s - 0.3 * s[0]) for s in shifts]
    here, memory = at(), {**rule.start(), "previous": np.array([0.1, 0.2])}
    trial = tried(rule, here, at(1.0, None, None), memory, probe=probe)
    assert not rule.judge(trial, memory)
    after = rule.learn(trial, False, memory)
    reach = np.sqrt(trial.proposal.delta @ here.metric.value @ trial.proposal.delta)
    assert float(after["radius"]) == pytest.approx(0.25 * reach)
    assert np.array_equal(after["previous"], memory["previous"])
    assert float(after["reach"]) == pytest.approx(0.5 * reach)


def test_probes_lie_at_a_share_of_the_last_step():
    """In the geometry of g + λ, between 1e-3 and 0.3, downhill along d; along what of the last step is orthogonal to d,
    where no slope is but of rounding, ahead."""
    asked = []

    def probe(shifts):
        asked.extend(shifts)
        return [Estimate.exact(np.float64(0.0))] * len(shifts)

    damped = METRIC + 0.1 * np.eye(3)
    here = at(0.0, HESSIAN @ START, METRIC)
    for reach, distance in ((0.5, 0.2), (1e-9, 1e-3), (100.0, 0.3)):
        asked.clear()
        rule = ConjugateDirections(probe_ratio=0.4)
        memory = {**rule.start(), "previous": np.array([0.0, 0.0, 1.0]), "reach": np.array(reach)}
        rule.propose(toward(here, Absolute(0.1)), here, memory, probe)
        first, second, both = asked
        for shift in (first, second):
            assert shift @ damped @ shift == pytest.approx(distance**2)
        assert first @ HESSIAN @ START < 0
        assert second @ HESSIAN @ START == pytest.approx(0, abs=1e-12)
        assert second @ damped @ memory["previous"] > 0
        assert first @ damped @ second == pytest.approx(0, abs=1e-12)
        assert np.allclose(both, first + second)


def test_where_the_direction_is_zero_the_last_step_remains():
    """A gradient in the null space of the metric that another metric's step can follow."""
    here = at(0.0, [0.0, 1.0], np.diag([0.25, 0.0]))
    rule = ConjugateDirections()
    memory = {**rule.start(), "previous": np.array([0.1, 0.1])}
    trial = tried(rule, here, at(), memory, probe=lambda shifts: [Estimate.exact(s[1] + s @ s) for s in shifts])
    assert trial.proposal.rate == 0
    assert trial.proposal.delta[1] < 0
    assert trial.proposal.length <= 0.2 + 1e-12


def test_what_conjugate_steps_cost_is_announced():
    """Three energies in one submission, the trial's and the rest."""
    evaluator = Parabola()
    optimizer = QNG(step=ConjugateDirections())
    state = optimizer.init(evaluator, START)
    assert optimizer.preview(evaluator, START, None, first=True) == state.cost
    state, _ = optimizer.step(evaluator, state)
    _, info = optimizer.step(evaluator, state)
    assert info.step_cost == optimizer.preview(evaluator, START, None)
    assert info.step_cost.jobs == 3 * ALONE.jobs
    assert info.step_cost.circuits == 4 * ALONE.circuits + FULL.circuits


# --- the minimum within a radius ---

NUMBER = st.floats(-2, 2).map(lambda x: round(x, 3))


@examples(200)
@given(st.tuples(NUMBER, NUMBER, NUMBER), st.tuples(NUMBER, NUMBER), st.sampled_from([0.01, 0.5, 3.0]))
def test_the_lowest_point_within_a_radius(entries, slopes, radius):
    """Against a fine grid of the disc; indefinite, singular and slopes that are zero along an axis too."""
    a, b, c = entries
    hessian, slopes = np.array([[a, b], [b, c]]), np.array(slopes)
    if not slopes.any():
        return
    found = lowest_within(slopes, hessian, radius)
    assert np.linalg.norm(found) <= radius * (1 + 1e-9)
    angles = np.linspace(0, 2 * np.pi, 361)[None]
    lengths = radius * np.linspace(0, 1, 41)[:, None]
    x, y = lengths * np.cos(angles), lengths * np.sin(angles)
    grid = slopes[0] * x + slopes[1] * y + 0.5 * (a * x * x + 2 * b * x * y + c * y * y)
    value = slopes @ found + 0.5 * found @ hessian @ found
    assert value <= grid.min() + 1e-9 * (1 + abs(grid.min()))


def test_lowest_points_by_hand():
    """Inside; on the boundary; and where negative curvature has no slope: μ = 1, c₁ = −½ and the rest of the radius."""
    assert np.allclose(lowest_within(np.array([-1.0, -1.0]), np.diag([1.0, 2.0]), 2.0), [1, 0.5])
    assert np.allclose(lowest_within(np.array([-3.0, 4.0]), np.zeros((2, 2)), 0.5), [0.3, -0.4])
    assert np.allclose(lowest_within(np.array([-5.0]), 4 * ONE, 1.0), [1.0])
    hard = lowest_within(np.array([0.0, 1.0]), np.diag([-1.0, 1.0]), 1.0)
    assert np.allclose(np.abs(hard), [np.sqrt(3) / 2, 0.5])
    assert hard[1] < 0


def test_a_slope_below_rounding_leads_to_the_boundary():
    """As where a CVaR is flat and its quantile moves on the way: a saddle, and slopes that no sum with μ sees."""
    hessian = np.array([[0.0, -1.7], [-1.7, 0.0]])
    found = lowest_within(np.array([-1e-16, 0.0]), hessian, 1.0)
    assert np.allclose(found, np.sqrt([0.5, 0.5]))
    assert np.linalg.norm(lowest_within(np.array([-1e-16, 0.0]), -2 * np.eye(2), 1.0)) <= 1 + 1e-9


# --- settings ---


@pytest.mark.parametrize(
    ("rule", "settings", "word"),
    [
        *((Armijo, {"initial": value}, "initial") for value in (0, -1, np.nan, np.inf)),
        *((Armijo, {"sufficient_decrease": value}, "sufficient_decrease") for value in (0, 1, -0.5, np.nan)),
        *((Armijo, {"shrink": value}, "shrink") for value in (0, 1, -0.5, np.nan)),
        *((Armijo, {"grow": value}, "grow") for value in (1, 0.5, np.nan, np.inf)),
        *((Armijo, {"max_rate": value}, "max_rate") for value in (0.05, np.nan)),
        *((Armijo, {"max_length": value}, "max_length") for value in (0, -1, np.nan)),
        *((ConjugateDirections, {"radius": value}, "radius") for value in (0, -1, np.nan, np.inf)),
        *((ConjugateDirections, {"probe_ratio": value}, "probe_ratio") for value in (0, -1, np.nan, np.inf)),
        *((ConjugateDirections, {"max_radius": value}, "max_radius") for value in (0.1, np.nan)),
    ],
)
def test_bad_settings_are_named(rule, settings, word):
    with pytest.raises(SettingError, match=word):
        rule(**settings)
