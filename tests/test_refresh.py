"""When the metric is measured anew, and the averages of its measurements, against means taken by hand."""

import numpy as np
import pytest

import qngd
from qngd.circuit.observable import Observable
from qngd.errors import SettingError
from qngd.estimates.estimate import MetricTensor
from qngd.evaluators.exact import ExactEvaluator
from qngd.metrics import as_metric
from qngd.metrics.spsa import absolute
from qngd.qng import QNG
from qngd.refresh import Refresh
from qngd.step import CurvatureRate, FixedRate
from tests.parabola import HESSIAN, START, Curved, Parabola, Sampled, walk
from tests.step_rules import RULES
from tests.strategies import ansatz, random_observable


def metrics_asked(evaluator):
    return [question[2] is not None for question in evaluator.asked if question[1]]


# --- the rule alone ---


@pytest.mark.parametrize(
    ("settings", "age", "path", "due"),
    [
        ({}, 1, 0.0, True),
        ({"every": 3}, 1, 9.0, False),
        ({"every": 3}, 2, 9.0, False),
        ({"every": 3}, 3, 0.0, True),
        ({"every": 100, "drift": 0.2}, 3, 0.19, False),
        ({"every": 100, "drift": 0.2}, 1, 0.21, True),
        ({"every": 100, "drift": 0.2}, 100, 0.0, True),
    ],
)
def test_when_it_is_due(settings, age, path, due):
    assert Refresh(**settings).is_due(age, path) is due


def metric(*diagonal, error=0.0, shots=0, approx="full", unprojected=None):
    value = np.diag(np.array(diagonal))
    return MetricTensor(value, np.full(value.shape, error), approx, shots, "how it came about", unprojected)


def test_no_average_is_the_fresh_one():
    fresh = metric(0.1, 0.2)
    assert Refresh().averaged(fresh, metric(5.0, 6.0), 1) is fresh


@pytest.mark.parametrize(
    ("average", "count", "weight"),
    [(0.25, 1, 0.25), (0.25, 7, 0.25), ("all", 1, 1 / 2), ("all", 2, 2 / 3), ("all", 9, 0.9)],
)
def test_an_average_by_hand(average, count, weight):
    found = Refresh(average=average).averaged(
        metric(0.1, 0.2, error=0.03, shots=100), metric(0.5, 0.4, error=0.04, shots=300), count
    )
    assert np.allclose(np.diag(found), weight * np.array([0.5, 0.4]) + (1 - weight) * np.array([0.1, 0.2]))
    assert np.allclose(found.stderr, np.hypot(weight * 0.04, (1 - weight) * 0.03))
    assert found.shots == 400
    assert found.approx == "full"
    assert str(count + 1) in found.note


def test_what_was_unbiased_is_averaged_and_then_made_positive():
    """(0.5, −0.3) and (0.3, 0.1) have the mean (0.4, −0.1): a projection cuts it, QN-SPSA takes its absolute value."""
    raw = np.diag([0.5, -0.3])
    for approx, known, expected in (("full", 0.0, 0.0), ("qn-spsa", 0.3, 0.1)):
        positive = as_metric(approx).positive
        before = metric(0.5, known, approx=approx, unprojected=raw)
        found = Refresh(average=0.5).averaged(metric(0.3, 0.1, approx=approx), before, 1, positive)
        assert np.allclose(found, np.diag([0.4, expected]))
        assert np.allclose(found.raw, np.diag([0.4, -0.1]))
        assert "negative" in found.note
        again = Refresh(average=0.5).averaged(metric(0.4, 0.5, approx=approx), found, 2, positive)
        assert np.allclose(again, np.diag([0.4, 0.2]))


# --- in a run ---


@pytest.mark.parametrize("kind", [Parabola, Sampled])
@pytest.mark.parametrize("every", [1, 3])
def test_every_so_many_steps(kind, every):
    evaluator = kind()
    walk(QNG(0.05, refresh=Refresh(every)), evaluator, START, 7, seed=1)
    assert metrics_asked(evaluator) == [k % every == 0 for k in range(8)]


def test_a_metric_that_is_kept_is_the_one_measured_last():
    """With g = diag(1/(4 + θ²)), of the last point where it was measured."""
    state, _ = walk(QNG(0.05, damping=0, refresh=Refresh(3)), Curved(), START, 8)
    theta = START.copy()
    for k in range(8):
        if k % 3 == 0:
            inverse = 4 + theta**2
        theta = theta - 0.05 * inverse * (HESSIAN @ theta)
    assert np.allclose(state.theta, theta, rtol=1e-12)


def test_a_drift_in_state_space():
    """Measured as soon as the lengths of the steps since then add up to more."""
    evaluator = Curved()
    _, infos = walk(QNG(0.05, refresh=Refresh(100, drift=0.1)), evaluator, START, 25)
    path, expected = 0.0, [True]
    for info in infos:
        path += info.length
        expected.append(path > 0.1)
        path *= not expected[-1]
    assert metrics_asked(evaluator) == expected
    assert 3 < sum(expected) < 15


@pytest.mark.parametrize(("average", "every"), [("all", 1), ("all", 2), (0.7, 1), (0.7, 2)])
def test_the_metric_that_is_used_is_the_average(average, every):
    evaluator = Curved()
    rule = Refresh(every, average=average)
    state, _ = walk(QNG(0.05, damping=0, refresh=rule), evaluator, START, 6)
    theta, measured = START.copy(), []
    for k in range(7):
        if k % every == 0:
            measured.append(evaluator.metric_at(theta))
            if average == "all":
                known = np.mean(measured, axis=0)
            else:
                known = measured[-1] if k == 0 else 0.7 * known + 0.3 * measured[-1]
        if k < 6:
            theta = theta - 0.05 * np.linalg.solve(known, HESSIAN @ theta)
    assert np.allclose(state.theta, theta, rtol=1e-12)
    assert np.allclose(state.evaluation.metric, known, rtol=1e-12)


@pytest.mark.parametrize("kind", [Curved, Sampled])
def test_a_rejected_trial_does_not_age_the_metric(kind):
    """Nor does it count as a measurement, even where a metric came with it."""
    evaluator = kind()
    optimizer = QNG(step=CurvatureRate(), refresh=Refresh(3, average="all"))
    state = optimizer.init(evaluator, START, seed=1)
    state, info = optimizer.step(evaluator, state)
    assert info.accepted
    for _ in range(4):
        evaluator.spoil = {len(evaluator.asked) + 1: "energy"}
        after, info = optimizer.step(evaluator, state)
        assert not info.accepted
        assert after.evaluation.metric is state.evaluation.metric
        for name in ("metric_age", "metric_path", "metric_count"):
            assert np.array_equal(after.memory[name], state.memory[name])
        state = after
    assert (state.memory["metric_age"], state.memory["metric_count"]) == (1, 0)
    for age, count in ((2, 0), (0, 1)):
        state, info = optimizer.step(evaluator, state)
        assert info.accepted
        assert (state.memory["metric_age"], state.memory["metric_count"]) == (age, count)


def test_a_metric_that_is_not_finite_is_not_averaged():
    evaluator = Curved()
    optimizer = QNG(0.05, refresh=Refresh(average="all"))
    state = optimizer.init(evaluator, START)
    evaluator.spoil = {2: "metric"}
    after, _ = optimizer.step(evaluator, state)
    assert not after.evaluation.is_finite
    assert np.all(np.isfinite(state.evaluation.metric))


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("refresh", [Refresh(2), Refresh(9, drift=0.05), Refresh(average=0.5)], ids=str)
def test_no_step_costs_more_than_announced(name, refresh):
    for kind in (Curved, Sampled):
        evaluator = kind(20 * HESSIAN)
        optimizer = QNG(step=RULES[name], refresh=refresh)
        state = optimizer.init(evaluator, 0.1 * START, seed=3)
        assert state.cost == optimizer.preview(evaluator, START, None, first=True)
        for _ in range(6):
            announced = optimizer.preview(evaluator, state.theta, state.evaluation.spread)
            state, info = optimizer.step(evaluator, state)
            assert min((announced - info.step_cost).as_numbers()) >= 0


# --- QN-SPSA ---


class Recorded(ExactEvaluator):
    """Keeps the metrics it measured."""

    def evaluate(self, theta, **how):
        found = super().evaluate(theta, **how)
        if found.metric is not None:
            self.__dict__.setdefault("measured", []).append(found.metric)
        return found


@pytest.mark.parametrize("refresh", [None, Refresh(), Refresh(2, average="all")], ids=str)
def test_qn_spsa_averages_all_its_samples_unless_told_otherwise(refresh):
    circuit = ansatz(2, 1)
    evaluator = Recorded(circuit, Observable.from_mapping(random_observable(1, 2)))
    optimizer = QNG(step=FixedRate(0.02), approx="qn-spsa", damping=0.1, refresh=refresh)
    theta = np.random.default_rng(2).normal(size=circuit.num_parameters)
    state, _ = walk(optimizer, evaluator, theta, 4, seed=7)
    raw = [found.raw for found in evaluator.measured]
    assert len(raw) == (3 if refresh == Refresh(2, average="all") else 5)
    expected = absolute(raw[-1] if refresh == Refresh() else np.mean(raw, axis=0))[0]
    assert np.allclose(state.evaluation.metric, expected, atol=1e-12)
    assert not np.allclose(raw[0], raw[1], atol=1e-3)


def test_averages_of_qn_spsa_come_near_the_metric():
    """At a standstill, 300 samples of it."""
    circuit = ansatz(2, 1)
    theta = np.random.default_rng(2).normal(size=circuit.num_parameters)
    result = qngd.minimize(
        circuit, {"ZZ": 1.0}, theta, optimizer=QNG(1e-9, approx="qn-spsa"), max_steps=29, tol=0, seed=1
    )
    found = result.state.evaluation.metric
    error = np.abs(found.raw - np.asarray(qngd.metric_tensor(circuit, theta, approx="full")))
    assert error.max() < 5 * found.stderr.max() + 0.01
    assert found.stderr.max() < 0.05


# --- settings ---


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        *(({"every": value}, "every") for value in (0, -1, 1.5, np.nan, np.inf, True)),
        *(({"drift": value}, "drift") for value in (0, -0.1, np.nan)),
        *(({"average": value}, "average") for value in (-0.1, 1, 1.5, np.nan, "mean")),
    ],
    ids=str,
)
def test_bad_settings_are_named(settings, word):
    with pytest.raises(SettingError, match=word):
        Refresh(**settings)
