"""Objectives with outputs that are a CVaR: against probabilities, finite differences and repetition."""

import numpy as np
import pytest
from qiskit.circuit import ParameterVector, QuantumCircuit
from qiskit.primitives import StatevectorEstimator
from qiskit.quantum_info import SparsePauliOp, Statevector

import qngd
from qngd.evaluators.objectives.given import read_objective
from qngd.evaluators.setup import Setup
from qngd.metrics.names import as_metric

DIAGONAL = {"IIZ": 0.7, "ZIZ": -0.9, "IZI": 0.4, "III": 0.3}
TURNED = {"XXI": 0.8, "YYI": -0.5}  # all commute
MEAN = {"XIZ": 0.6, "IYI": 0.5}
X = np.random.default_rng(3).uniform(-1, 1, (2, 2))
Y = np.array([-0.4, 0.3])
THETA = np.array([0.4, -0.7, 1.1, 0.5])


def circuit():
    x, t = ParameterVector("x", 2), ParameterVector("t", 4)
    made = QuantumCircuit(3)
    made.h(0)
    made.ry(t[0] + x[0], 0)
    made.rx(t[1], 1)
    made.cx(0, 1)
    made.ry(t[2] * x[1], 2)
    made.rzz(t[3], 1, 2)
    made.ry(t[0], 1)
    made.cx(2, 0)
    made.rx(t[3] + 0.3, 2)
    return made


def loss(outputs, targets):
    return (
        np.mean((outputs[:, 0] - targets) ** 2)
        + np.mean(np.exp(outputs[:, 1]))
        + np.mean(outputs[:, 2] * outputs[:, 3])
    )


def outputs_given():
    return [qngd.CVaR(DIAGONAL, 0.3), qngd.CVaR(TURNED, 0.45), MEAN, qngd.CVaR(DIAGONAL, 0.6)]


def objective(**more):
    return qngd.Objective(circuit(), outputs_given(), loss, data=X, targets=Y, inputs="x", **more)


def matrix(terms):
    return SparsePauliOp.from_list(list(terms.items())).to_matrix()


def tail_of(terms, state, alpha):
    """By the eigenvectors of the whole matrix, the lowest values until alpha is filled."""
    values, vectors = np.linalg.eigh(matrix(terms))
    left, total = alpha, 0.0
    for value, weight in zip(values, abs(vectors.conj().T @ state) ** 2, strict=True):
        total += value * min(weight, left)
        left -= min(weight, left)
    return total / alpha


def expected(theta):
    rows = []
    for sample in X:
        made = circuit()
        names = {p.name: p for p in made.parameters}
        values = {names[f"x[{i}]"]: sample[i] for i in range(2)} | {names[f"t[{i}]"]: theta[i] for i in range(4)}
        state = Statevector(made.assign_parameters(values)).data
        mean = (state.conj() @ matrix(MEAN) @ state).real
        rows.append([tail_of(DIAGONAL, state, 0.3), tail_of(TURNED, state, 0.45), mean, tail_of(DIAGONAL, state, 0.6)])
    return np.array(rows)


def slopes(theta):
    found = []
    for step in 1e-6 * np.eye(4):
        found.append((loss(expected(theta + step), Y) - loss(expected(theta - step), Y)) / 2e-6)
    return np.array(found)


@pytest.mark.parametrize("metric", ["fubini-study", "gauss-newton"])
def test_exact_values_and_gradients(metric):
    given = read_objective(objective(metric=metric), None, THETA)
    assert qngd.outputs(objective(), THETA).value == pytest.approx(expected(THETA), abs=1e-10)
    found = given.evaluator()
    answer = found.evaluate(THETA, gradient=True, metric=found.default_metric())
    assert float(answer.energy) == pytest.approx(loss(expected(THETA), Y), abs=1e-10)
    assert answer.gradient.value == pytest.approx(slopes(THETA), abs=1e-6)
    assert qngd.gradient(objective(), THETA).value == pytest.approx(slopes(THETA), abs=1e-6)
    if metric == "gauss-newton":
        jacobian = []
        for step in 1e-6 * np.eye(4):
            jacobian.append((expected(THETA + step) - expected(THETA - step)) / 2e-6)
        jacobian = np.moveaxis(np.array(jacobian), 0, 2)
        outputs = expected(THETA)
        bends = np.zeros((2, 4, 4))  # second derivatives of the loss within a sample
        bends[:, 0, 0], bends[:, 1, 1] = 1.0, np.exp(outputs[:, 1]) / 2
        bends[:, 2, 3] = bends[:, 3, 2] = 0.5
        raw = np.einsum("bkp,bkl,blq->pq", jacobian, bends, jacobian)
        values, vectors = np.linalg.eigh(raw)
        positive = (vectors * np.maximum(values, 0.0)) @ vectors.T
        assert answer.metric.value == pytest.approx(positive, abs=1e-5)


def test_one_cvar_that_stands_alone_is_that_of_a_circuit():
    made = qngd.CircuitBuilder(2)
    a, b = made.parameters("a", "b")
    made.ry(a, 0).cx(0, 1).rx(b, 1)
    target = qngd.CVaR({"ZI": 1.0, "IZ": 0.4}, 0.3)
    alone = qngd.minimize(made, target, [0.4, 0.5])
    within = qngd.minimize(qngd.Objective(made, target, lambda output: output), theta0=[0.4, 0.5])
    assert within.energy == pytest.approx(alone.energy, abs=1e-6)
    assert within.energy == pytest.approx(-1.4, abs=1e-5)


def test_measured_values_gradients_and_errors_against_repetition():
    times, shots = 100, 1500
    given = read_objective(objective(), None, THETA)
    sampled = given.evaluator(Setup(shots=shots, grouping="commuting"))
    found = [sampled.evaluate(THETA, gradient=True, metric=as_metric("diag"), seed=seed) for seed in range(times)]
    assert found[0].cost.jobs == 1
    energies, gradients = np.array([float(e.energy) for e in found]), np.array([e.gradient.value for e in found])
    for seen, truth, told in (
        (energies, loss(expected(THETA), Y), [e.energy.stderr for e in found]),
        (gradients, slopes(THETA), [e.gradient.stderr for e in found]),
    ):
        spread, told = np.atleast_1d(seen.std(axis=0)), np.atleast_1d(np.mean(told, axis=0))
        assert np.all((told / spread > 0.8) & (told / spread < 1.3))
        # a sample's tail lies too high by O(1/shots)
        assert np.all(np.abs(seen.mean(axis=0) - truth) <= 4 * spread / np.sqrt(times) + 10 / shots)


def test_a_search_with_shots():
    made = qngd.CircuitBuilder(2)
    a, b = made.parameters("a", "b")
    made.ry(a, 0).ry(b, 1)
    tails = [qngd.CVaR({"ZI": 1.0, "IZ": 0.4}, 0.25), {"ZI": 1.0}]
    aim = qngd.Objective(made, tails, lambda outputs: outputs[0] + 0.5 * outputs[1])
    result = qngd.minimize(aim, theta0=[0.9, 0.8], shots=500, seed=1, max_steps=25)
    assert float(qngd.expectation(aim, theta=result.theta).value) == pytest.approx(-1.9, abs=0.1)


@pytest.mark.parametrize(
    ("observables", "settings", "error", "text"),
    [
        ([qngd.CVaR(DIAGONAL, [0.1, 0.5])], {}, qngd.SettingError, "goes through no schedule"),
        ([qngd.CVaR({"IIZ": 1.0, "IIX": 0.5}, 0.3)], {}, qngd.ObservableError, "do not commute"),
        ([qngd.CVaR({"IZ": 1.0}, 0.3)], {}, qngd.ObservableError, "qubit"),
        (outputs_given()[:1], {"backend": "light-cone"}, qngd.SettingError, "light cones give expectation values"),
        ([outputs_given()[1]], {"shots": 100}, qngd.ObservableError, r'grouping="commuting", or give it a circuit'),
    ],
)
def test_wrong_outputs(observables, settings, error, text):
    aim = qngd.Objective(circuit(), observables, lambda outputs: np.sum(outputs), data=X, inputs="x")
    with pytest.raises(error, match=text):
        qngd.minimize(aim, theta0=THETA, max_steps=1, **settings)


def test_an_estimator_gives_no_values_of_shots():
    aim = qngd.Objective(circuit(), [outputs_given()[0]], lambda outputs: np.sum(outputs), data=X, inputs="x")
    with pytest.raises(qngd.BackendError, match="needs the distribution of the energies"):
        qngd.minimize(aim, theta0=THETA, max_steps=1, backend=StatevectorEstimator(seed=1))


# --- shots for a standard error ---


@pytest.mark.parametrize("metric", ["fubini-study", "gauss-newton"])
@pytest.mark.parametrize("with_tails", [False, True])
def test_a_target_error_is_that_of_the_loss(metric, with_tails):
    """Reached where the step before was seen, in the loss, its gradient and the averaged metric; told as repetition
    shows it."""
    if with_tails:
        aim = objective(metric=metric)
    else:
        aim = qngd.Objective(
            circuit(), [DIAGONAL, MEAN], lambda o, y: np.mean((o[:, 0] - y) ** 2 + np.exp(o[:, 1])), data=X, targets=Y,
            inputs="x", metric=metric,
        )  # fmt: skip
    given = read_objective(aim, None, THETA)
    rule = qngd.TargetError(0.02, gradient=0.05, metric=0.03)
    sampled = given.evaluator(Setup(shots=rule, grouping="commuting"))
    own = sampled.default_metric()
    first = sampled.evaluate(THETA, gradient=True, metric=own, seed=1)
    asked = first.spread
    for seed in (2, 3):
        asked = sampled.evaluate(THETA, gradient=True, metric=own, seed=seed, spread=asked).spread
    found = [sampled.evaluate(THETA, gradient=True, metric=own, seed=10 + seed, spread=asked) for seed in range(40)]
    told = np.array([each.energy.stderr for each in found])
    assert np.all(told < 0.025)
    assert np.mean(told) <= 0.021
    assert np.std([float(each.energy) for each in found]) == pytest.approx(np.mean(told), rel=0.3)
    assert np.max(np.mean([each.gradient.stderr for each in found], axis=0)) <= 0.055
    if metric == "fubini-study":
        assert np.max(np.mean([each.metric.raw_stderr for each in found], axis=0)) <= 0.033
    assert found[0].cost == sampled.preview(THETA, gradient=True, metric=own, spread=asked)
    alone = sampled.evaluate(THETA, gradient=False, seed=5, spread=asked)
    assert 0.01 < alone.energy.stderr < 0.025
    assert alone.cost.shots < found[0].cost.shots


def test_a_run_with_a_target_error_is_kept_and_resumed(tmp_path):
    aim, rule = objective(), qngd.TargetError(0.05, metric=0.1)
    # by steps so short that what the step before saw holds for the next
    settings = {"theta0": THETA, "shots": rule, "grouping": "commuting", "seed": 3, "tol": 0,
                "optimizer": qngd.QNG(step=qngd.step.CurvatureRate(initial=0.1))}  # fmt: skip
    whole = qngd.minimize(aim, **settings, max_steps=4)
    assert whole.stderr < 0.06
    qngd.minimize(aim, **settings, max_steps=2, run_dir=tmp_path)
    again = qngd.minimize(aim, **settings, max_steps=4, run_dir=tmp_path)
    np.testing.assert_array_equal(again.history, whole.history)
