"""Objectives from shots: estimates and their errors against repetition, one submission a step, devices."""

import numpy as np
import pytest
from qiskit.circuit import ParameterVector, QuantumCircuit
from qiskit_aer import AerSimulator

import qngd
from qngd.backends.statevector import StatevectorSampler
from qngd.evaluators.objectives.given import read_objective
from qngd.evaluators.setup import Setup
from qngd.metrics.names import as_metric

RNG = np.random.default_rng(4)
X = RNG.uniform(-1, 1, (3, 2))
Y = RNG.uniform(-0.5, 0.5, 3)
THETA = np.array([0.4, -0.7, 1.1])
OBSERVABLES = [{"IZ": 1.0, "XX": 0.5}, {"ZI": 0.5, "YX": 1.0, "II": 0.2}]


def circuit():
    x, t = ParameterVector("x", 2), ParameterVector("t", 3)
    made = QuantumCircuit(2)
    made.ry(x[0], 0)
    made.ry(t[0], 0)
    made.rx(t[1] + x[1], 1)
    made.cx(0, 1)
    made.rz(x[0] * t[2], 1)
    made.ry(t[0], 1)
    return made


def loss(outputs, targets):
    return np.mean((outputs[:, 0] - targets) ** 2) + np.mean(np.exp(outputs[:, 1]))


def objective(count=3, **more):
    return qngd.Objective(circuit(), OBSERVABLES, loss, data=X[:count], targets=Y[:count], inputs="x", **more)


class Watched(StatevectorSampler):
    """Counts submissions and what is in them."""

    def __init__(self):
        self.sent = []

    def submit(self, templates, requests, seed):
        self.sent.append((len(templates), len(requests)))
        return super().submit(templates, requests, seed)


def repeated(metric, shots, times):
    given = read_objective(objective(2, metric=metric), None, THETA)
    sampled = given.evaluator(Setup(shots=shots))
    own = sampled.default_metric()
    exact = given.evaluator().evaluate(THETA, gradient=True, metric=own)
    return exact, [sampled.evaluate(THETA, gradient=True, metric=own, seed=seed) for seed in range(times)]


@pytest.mark.parametrize("metric", ["fubini-study", "gauss-newton"])
def test_estimates_and_errors_against_repetition(metric):
    times, shots = 200, 800
    exact, found = repeated(metric, shots, times)
    energies = np.array([float(each.energy) for each in found])
    slopes = np.array([each.gradient.value for each in found])
    metrics = np.array([each.metric.raw for each in found])
    for seen, truth, told, most in (
        (energies, float(exact.energy), [each.energy.stderr for each in found], 1.15),
        (slopes, exact.gradient.value, [each.gradient.stderr for each in found], 1.15),
        # where shots of a sample agree, the block of its metric has the error of what was not seen, which is larger
        (metrics, exact.metric.value, [each.metric.raw_stderr for each in found], 2.0),
    ):
        spread, told = np.atleast_1d(seen.std(axis=0)), np.atleast_1d(np.mean(told, axis=0))
        known = spread > 1e-12
        assert np.all((told[known] / spread[known] > 0.87) & (told[known] / spread[known] < most))
        np.testing.assert_allclose(told[~known], 0, atol=1e-12)
        # the mean lies within its error, and the bias of second order, which falls as 1/shots
        off = np.abs(seen.mean(axis=0) - truth)
        assert np.all(off <= 4 * spread / np.sqrt(times) + 4 / shots)
    correlation = np.corrcoef(slopes.T)
    told = np.mean([each.gradient.covariance for each in found], axis=0)
    scale = np.sqrt(np.diag(told))
    np.testing.assert_allclose(told / np.outer(scale, scale), correlation, atol=0.2)


def test_the_bias_of_gauss_newton_is_taken_out():
    exact, found = repeated("gauss-newton", 40, 150)
    mean = np.mean([each.metric.raw for each in found], axis=0)
    spread = np.std([each.metric.raw for each in found], axis=0)
    assert np.all(np.abs(mean - exact.metric.value) <= 4 * spread / np.sqrt(150) + 0.02)


def test_a_target_error_is_that_of_every_output():
    exact = qngd.outputs(objective(), THETA).value
    found = [qngd.outputs(objective(), THETA, shots=qngd.TargetError(0.02), seed=seed) for seed in range(60)]
    errors = np.array([each.value - exact for each in found])
    assert np.sqrt(np.mean(errors**2, axis=0)).max() < 0.024
    assert np.sqrt(np.mean(errors**2, axis=0)).max() > 0.015
    assert np.max([each.stderr for each in found]) < 0.022
    few = qngd.outputs(objective(), THETA, shots=qngd.TargetError(0.02, limit=300), seed=0)
    assert few.shots < 0.5 * found[0].shots
    easy = qngd.outputs(objective(), THETA, shots=qngd.TargetError(5.0), seed=0)
    assert easy.shots == qngd.outputs(objective(), THETA, shots=200, seed=0).shots


def test_losses_at_several_points_have_errors_of_their_own():
    """With a seed, too: else optimizers of differences would see less noise than any device has."""
    sampled = read_objective(objective(2), None, THETA).evaluator(Setup(shots=50))
    found = [sampled.energies([THETA, THETA], seed=seed)[0] for seed in range(60)]
    values = np.array([[float(each.value) for each in pair] for pair in found])
    assert abs(np.corrcoef(values.T)[0, 1]) < 0.5  # four standard errors
    assert [each.value for each in sampled.energies([THETA, THETA], seed=3)[0]] == values[3].tolist()


def test_outputs_from_shots_carry_their_errors():
    exact = qngd.outputs(objective(), THETA).value
    found = [qngd.outputs(objective(), THETA, shots=400, seed=seed) for seed in range(60)]
    values = np.array([each.value for each in found])
    assert values.shape == (60, 3, 2)
    np.testing.assert_allclose(values.mean(axis=0), exact, atol=0.03)
    np.testing.assert_allclose(np.mean([each.stderr for each in found], axis=0), values.std(axis=0), rtol=0.35)


@pytest.mark.parametrize("more", [{}, {"batch_size": 2}, {"metric": "gauss-newton"}])
def test_a_step_is_one_submission_and_costs_what_was_told(more):
    backend = Watched()
    made = objective(**more)
    result = qngd.minimize(made, theta0=THETA, backend=backend, shots=50, seed=3, max_steps=3, tol=0)
    assert len(backend.sent) == 4
    assert result.cost.jobs == 4
    if not more:
        price = qngd.cost(made, theta0=THETA, backend=backend, shots=50)
        templates, requests = backend.sent[-1]
        assert (
            price.step.circuits == requests == price.energy_circuits + price.gradient_circuits + price.metric_circuits
        )
        assert price.step.shots == 50 * requests
        assert templates < requests / 3  # samples share them
    again = qngd.minimize(made, theta0=THETA, backend=Watched(), shots=50, seed=3, max_steps=3, tol=0)
    np.testing.assert_array_equal(again.history, result.history)


def test_data_rotations_take_no_circuits():
    plain = QuantumCircuit(2)
    t = ParameterVector("t", 3)
    plain.ry(t[0], 0)
    plain.rx(t[1], 1)
    plain.cx(0, 1)
    plain.rz(t[2], 1)
    plain.ry(t[0], 1)
    one = qngd.cost(plain, {"IZ": 1.0, "ZI": 0.5}, THETA, shots=10).step.circuits
    made = qngd.Objective(circuit(), [{"IZ": 1.0}, {"ZI": 0.5}], loss, data=X, targets=Y, inputs="x")
    assert qngd.cost(made, theta0=THETA, shots=10).step.circuits <= 3 * one


def test_auto_shots_are_divided():
    given = read_objective(objective(), None, THETA)
    total = 60_000
    auto = given.evaluator(Setup(shots=qngd.AutoShots(total=total)))
    first = auto.evaluate(THETA, gradient=True, metric=as_metric("block-diag"), seed=1)
    second = auto.evaluate(THETA, gradient=True, metric=as_metric("block-diag"), seed=2, spread=first.spread)
    assert 0.95 * total < second.cost.shots <= total
    assert np.trace(second.gradient.covariance) < np.trace(first.gradient.covariance)
    # what a shot was worth is what the errors are made of
    plan, shots = auto.planned(THETA, metric=as_metric("block-diag")), first.cost.shots
    per_request = shots / plan.num_circuits
    assert first.energy.stderr**2 == pytest.approx(first.spread.energy.sum() / per_request, rel=0.05)


def test_auto_shots_see_what_a_step_gains():
    linear = qngd.Objective(circuit(), OBSERVABLES, np.mean, data=X, inputs="x")  # whose gradient no noise biases
    auto = read_objective(linear, None, THETA).evaluator(Setup(shots="auto"))
    found = [auto.evaluate(THETA, gradient=True, metric=as_metric("identity"), seed=seed) for seed in range(300)]
    assert {each.cost.shots for each in found} == {20 * found[0].cost.circuits}
    signals = [each.spread.signal for each in found]
    square = np.sum(qngd.gradient(linear, theta=THETA).value ** 2) / 1.1  # the identity is damped by a tenth
    assert abs(np.mean(signals) - square) < 4 * np.std(signals) / np.sqrt(len(signals))


def test_auto_shots_grow_where_little_is_left_to_gain():
    auto = read_objective(objective(), None, THETA).evaluator(Setup(shots="auto"))
    there = qngd.minimize(objective(), theta0=THETA).theta
    spread, taken = None, []
    for seed in range(160):
        found = auto.evaluate(there, gradient=True, metric=as_metric("block-diag"), seed=seed, spread=spread)
        spread = found.spread
        taken.append(found.cost.shots)
        if taken[-1] > 1.3 * taken[0]:
            break
    first = 20 * found.cost.circuits
    assert taken[0] == min(taken) == first
    assert max(taken) > 1.3 * first
    assert np.all(np.divide(taken[1:], taken[:-1]) < 1.31)


@pytest.mark.parametrize("more", [{}, {"batch_size": 2}])  # of 3 samples: batches of 1 and 2
def test_auto_shots_of_any_batch_are_as_priced(more):
    made = objective(**more)
    result = qngd.minimize(made, theta0=THETA, shots="auto", seed=1, max_steps=5, tol=0)
    assert {info.step_cost.shots // info.step_cost.circuits for info in result.infos} == {20}
    offer = qngd.cost(made, theta0=THETA, shots="auto", steps=5).offers[0]
    assert result.cost.shots <= offer.run.shots == 20 * offer.run.circuits


def test_aer_gives_the_same_loss():
    exact = float(qngd.expectation(objective(), theta=THETA))
    found = qngd.expectation(objective(), theta=THETA, backend=AerSimulator(), shots=4000, seed=5)
    assert abs(float(found) - exact) < 5 * found.stderr
    result = qngd.minimize(objective(), theta0=THETA, backend=AerSimulator(), shots=300, seed=5, max_steps=2, tol=0)
    assert result.cost.jobs == 3


def test_expectation_values_without_errors_are_exact():
    from qiskit.primitives import StatevectorEstimator

    exact = (
        read_objective(objective(), None, THETA)
        .evaluator()
        .evaluate(THETA, gradient=True, metric=as_metric("block-diag"))
    )
    device = read_objective(objective(), None, THETA).evaluator(Setup(backend=StatevectorEstimator()))
    found = device.evaluate(THETA, gradient=True, metric=as_metric("block-diag"))
    assert float(found.energy) == pytest.approx(float(exact.energy), abs=1e-8)
    np.testing.assert_allclose(found.gradient.value, exact.gradient.value, atol=1e-7)
    np.testing.assert_allclose(found.metric.value, exact.metric.value, atol=1e-7)


def test_full_and_random_metrics_from_shots():
    exact = qngd.metric_tensor(objective(), THETA, approx="full").value
    found = qngd.metric_tensor(objective(), THETA, approx="full", shots=20_000, seed=2)
    assert np.all(np.abs(found.raw - exact) <= 5 * found.raw_stderr + 1e-12)
    spsa = [qngd.metric_tensor(objective(), THETA, approx="qn-spsa", shots=200, seed=seed).raw for seed in range(20)]
    np.testing.assert_allclose(np.mean(spsa, axis=0), exact, atol=0.15)


@pytest.mark.parametrize("approx", [None, "diag", "block-diag", "full"])
def test_the_plan_of_one_sample_is_shifted_to_those_of_all(approx):
    made = qngd.CircuitBuilder(3)
    x, y, a, b = made.parameters("x", "y", "a", "b")
    made = made.ry(x + a, 0).rx(y, 1).cx(0, 1).rz(b, 1).crx(a, 1, 2).ry(y, 2).rx(b, 2)
    affine = qngd.Objective(made, [{"IIZ": 1.0, "XXI": 0.5}, {"ZZZ": 1.0}], np.mean, data=X, inputs=["x", "y"])
    evaluator = read_objective(affine, None, [0.3, 0.5]).evaluator(Setup(shots=10))
    (planner,) = evaluator._planners.values()
    theta, rows = np.array([0.3, 0.5]), np.arange(3)
    metric = None if approx is None else as_metric(approx)
    found = planner.plans(theta, rows, True, metric, [1, 2, 3])
    for row, plan in enumerate(found):
        alone = planner.planner(row).plan(theta, gradient=True, metric=metric)
        assert [request.template for request in plan.requests] == [request.template for request in alone.requests]
        for request, other in zip(plan.requests, alone.requests, strict=True):
            np.testing.assert_allclose(request.angles, other.angles, atol=1e-14)
        assert (plan.slopes != alone.slopes).nnz == 0
        np.testing.assert_array_equal(plan.energy_weights, alone.energy_weights)
