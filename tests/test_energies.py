"""Several energies in one submission, what an energy leaves for a gradient, and the metric that a run begins with."""

import numpy as np
import pytest

import qngd
from qngd.backends import resolve
from qngd.cvar import CVaR
from qngd.errors import ObservableError
from qngd.estimates.evaluation import Cost
from qngd.evaluators.bounded import Bounded
from qngd.evaluators.choice import evaluator_for
from qngd.evaluators.exact import ExactEvaluator
from qngd.evaluators.setup import Setup
from qngd.interop import as_observable
from qngd.metrics.names import as_metric
from qngd.qng import QNG
from qngd.solve.state import Submissions
from qngd.step import ConjugateDirections
from tests.strategies import ansatz

TERMS = {"ZZI": 1.0, "IXY": -0.5, "XIX": 0.7, "IZI": 0.3}


def evaluator(shots=None, backend=None):
    circuit = ansatz(3, 1)
    return evaluator_for(circuit, as_observable(TERMS, circuit), Setup(backend, shots))


def points(count, seed=1):
    return list(np.random.default_rng(seed).normal(size=(count, evaluator().circuit.num_parameters)))


def test_exact_energies_are_those_one_by_one():
    asked = evaluator()
    found, cost = asked.energies(points(4))
    one_by_one = [asked.evaluate(theta, gradient=False).energy for theta in points(4)]
    assert [float(each.value) for each in found] == [float(each.value) for each in one_by_one]
    assert not any(each.stderr for each in found)
    assert cost == Cost(jobs=1, circuits=4) == asked.preview_energies(points(1)[0], 4)


def test_sampled_energies_are_one_submission():
    asked = evaluator(shots=4000)
    found, cost = asked.energies(points(3), seed=7)
    alone = asked.preview(points(1)[0], gradient=False, metric=None)
    assert cost == asked.preview_energies(points(1)[0], 3)
    assert (cost.jobs, cost.circuits, cost.shots) == (1, 3 * alone.circuits, 3 * alone.shots)
    for each, theta in zip(found, points(3), strict=True):
        exact = float(qngd.expectation(ansatz(3, 1), TERMS, theta))
        assert 0 < each.stderr < 0.05
        assert abs(float(each.value) - exact) < 5 * float(each.stderr)
    again, _ = asked.energies(points(3), seed=7)
    assert [float(each.value) for each in again] == [float(each.value) for each in found]


def test_energies_of_a_step_take_the_shots_that_the_step_before_was_worth():
    """A target is theirs too, and a budget is asked for what they take."""
    asked = evaluator(shots=qngd.TargetError(0.01, metric=0.05))
    theta = points(1)[0]
    seen = asked.evaluate(theta, gradient=True, metric=as_metric("diag"), seed=1)
    within = Submissions(asked, 5, 0, seen.spread)
    found = within.energies([theta, theta + 0.02])
    assert all(0.007 < float(each.stderr) < 0.012 for each in found)
    assert within.cost == asked.preview_energies(theta, 2, seen.spread)
    assert within.cost.shots > 2 * 200 * asked.preview(theta, gradient=False).circuits
    bounded = Bounded(asked, (np.full(len(theta), -4.0), np.full(len(theta), 4.0)))
    assert Submissions(bounded, 5, 0, seen.spread).energies([theta])[0].stderr < 0.012


def test_equal_points_have_shots_of_their_own():
    found, cost = evaluator(shots=500).energies([points(1)[0]] * 3, seed=3)
    assert len({float(each.value) for each in found}) == 3
    assert cost.shots == 3 * evaluator(shots=500).preview(points(1)[0], gradient=False, metric=None).shots


@pytest.mark.parametrize("shots", [300, "auto"])
def test_the_probes_of_a_step_are_one_submission(shots):
    asked, optimizer = evaluator(shots, resolve("statevector")), QNG(step=ConjugateDirections())
    state = optimizer.init(asked, points(1)[0], seed=1)
    state, _ = optimizer.step(asked, state)
    before = state.evaluations
    new, info = optimizer.step(asked, state)
    assert new.evaluations == before + 2, "the probes, and the trial"
    assert info.step_cost.jobs == 2


def test_a_point_that_is_not_finite_is_not_asked_for():
    asked = Submissions(evaluator(), 1, 0)
    found = asked.energies([points(1)[0], np.full_like(points(1)[0], np.inf)])
    assert np.isnan([float(each.value) for each in found]).all()
    assert asked.count == 0


def test_without_an_observable_there_is_no_energy():
    with pytest.raises(ObservableError, match="none was given"):
        ExactEvaluator(ansatz(3, 1), None).energies(points(1))


@pytest.mark.parametrize("metric", [None, "full", "block-diag", "diag"])
def test_a_gradient_after_an_energy_is_that_of_a_fresh_evaluator(metric):
    """The states that the energy left are used once, and only at the same θ."""
    here, there = points(2)
    metric = metric and as_metric(metric)
    fresh = [evaluator().evaluate(theta, metric=metric) for theta in (here, there)]
    asked = evaluator()
    for first in (here, there):
        asked.evaluate(first, gradient=False)
        for theta, expected in ((here, fresh[0]), (here, fresh[0]), (there, fresh[1])):
            found = asked.evaluate(theta, metric=metric)
            assert float(found.energy.value) == pytest.approx(float(expected.energy.value), abs=1e-13)
            np.testing.assert_allclose(found.gradient.value, expected.gradient.value, atol=1e-13)
            if metric:
                np.testing.assert_allclose(found.metric.value, expected.metric.value, atol=1e-13)


def test_a_gradient_after_an_energy_runs_the_circuit_but_once(monkeypatch):
    asked, (here, there) = evaluator(), points(2)
    runs = []
    monkeypatch.setattr(asked._simulator, "ends", lambda *a, of=asked._simulator.ends: runs.append(1) or of(*a))
    asked.evaluate(here, gradient=False)
    asked.evaluate(here, gradient=True)
    assert len(runs) == 1
    asked.evaluate(here, gradient=True)
    asked.evaluate(here, gradient=False)
    asked.evaluate(there, gradient=True)
    assert len(runs) == 4


def wide(num_qubits, layers):
    circuit = qngd.CircuitBuilder(num_qubits)
    for layer in range(layers):
        for k in range(num_qubits):
            circuit.ry(circuit.parameter(f"t{layer}_{k}"), k)
        for k in range(num_qubits - 1):
            circuit.cx(k, k + 1)
    return circuit


@pytest.mark.parametrize(
    ("circuit", "first"),
    [
        (wide(4, 4), "full"),  # an evaluation is over before the loop has turned once
        (wide(10, 3), "full"),
        (wide(14, 7), "block-diag"),
        (wide(18, 4), "block-diag"),
    ],
    ids=["4 qubits", "10 qubits", "14 qubits", "18 qubits"],
)
def test_what_an_exact_run_begins_with(circuit, first):
    circuit = qngd.wrap(circuit)
    asked = ExactEvaluator(circuit, as_observable({"Z" * circuit.num_qubits: 1.0}, circuit))
    assert asked.first_metric().name == first


def test_devices_begin_with_what_they_go_on_with():
    asked = evaluator(shots=100)
    assert asked.first_metric() == asked.default_metric() == as_metric("block-diag")


@pytest.mark.parametrize("shots", [None, 2000])
def test_energies_of_a_cvar_are_cvars(shots):
    circuit = ansatz(3, 1)
    target = as_observable({"ZZI": 1.0, "IZZ": -0.7, "ZII": 0.3}, circuit)
    asked = evaluator_for(circuit, CVaR(target, 0.2), Setup(shots=shots))
    found, _ = asked.energies(points(2), seed=1)
    for each, theta in zip(found, points(2), strict=True):
        alone = asked.evaluate(theta, gradient=False, seed=2).energy
        assert abs(float(each.value) - float(alone.value)) <= 5 * float(np.hypot(each.stderr, alone.stderr)) + 1e-12
        mean = float(qngd.expectation(circuit, {"ZZI": 1.0, "IZZ": -0.7, "ZII": 0.3}, theta))
        assert float(each.value) < mean - 0.1
