"""Shots that break a symmetry left out: what holds is checked against matrices, and nothing changes without noise."""

import numpy as np
import pytest

import qngd
from experiments.misreading import Misreading
from qngd.backends import PostSelected, ReadoutCorrected, resolve
from qngd.backends.sieve import Sieve
from qngd.circuit.observable import Observable
from qngd.measured.planner import Planner
from qngd.metrics.names import as_metric
from tests.dense_templates import outcome_probabilities
from tests.own_backends import ExactDevice
from tests.two_particles import ENERGY, SPINS, START, circuit


def noisy(lost=0.0):
    return Misreading([[0.03] * 5, [0.08] * 5], lost)


def plan_of(grouping="qubit-wise", metric="full"):
    planner = Planner(qngd.wrap(circuit()), Observable.from_mapping(ENERGY), grouping)
    return planner.plan(np.array(START), metric=as_metric(metric))


@pytest.mark.parametrize("grouping", ["qubit-wise", "commuting"])
def test_what_is_checked_holds_and_what_holds_is_checked(grouping):
    """Of energies, gradients and the full metric's circuits: by the variance of the symmetry in the state itself."""
    plan = plan_of(grouping)
    numbers = shifted = of_metric = 0
    for request in plan.requests:
        template = plan.templates[request.template]
        sieve = Sieve.of(template, (), [tuple(each) for each in SPINS])
        bare = sieve.template
        chances = outcome_probabilities(bare, request.angles)
        for rows, ones in sieve.checks(request.angles):
            # the final state, in the measured basis, has this number of −1 among these strings with certainty
            words = np.arange(len(chances), dtype=np.uint64)[:, None]
            odd = (np.bitwise_count(words & bare.basis.z[rows][:, 0]) & 1).astype(bool) ^ (bare.basis.sign[rows] < 0)
            assert chances[odd.sum(axis=1) == ones].sum() == pytest.approx(1, abs=1e-12)
            numbers += len(rows) > 1
        found = sieve.checks(request.angles)
        shifted += bool(found) and plan.coefficients[request.template] is not None
        of_metric += bool(found) and plan.coefficients[request.template] is None
    assert numbers
    assert shifted > len(plan.requests) // 4
    assert of_metric


def test_nothing_changes_without_noise():
    """Exact outcomes, so any shot that is left out by mistake would show."""
    backend = PostSelected(ExactDevice("counts"), particles=SPINS, parities=["ZZZZ"])
    for function in (qngd.expectation, qngd.gradient):
        exact = function(circuit(), ENERGY, START).value
        assert np.allclose(function(circuit(), ENERGY, START, backend=backend, shots=1000).value, exact, atol=1e-9)
    exact = np.asarray(qngd.metric_tensor(circuit(), START, approx="full"))
    assert np.allclose(
        qngd.metric_tensor(circuit(), START, approx="full", backend=backend, shots=1000).raw, exact, atol=1e-9
    )


def test_a_shift_of_one_part_of_a_hop_keeps_the_parity_alone():
    plan = plan_of()
    (place,) = [
        r for r in plan.energy_weights.nonzero()[0] if not len(plan.templates[plan.requests[r].template].basis.ops)
    ]
    request = plan.requests[place]
    sieve = Sieve.of(plan.templates[request.template], (), [(0, 1)])
    (parity, _), (rows, ones) = sieve.checks(request.angles)
    assert (len(parity), len(rows), ones) == (1, 2, 1)
    moved = request.angles.copy()
    moved[0] += 0.5
    assert [len(rows) for rows, _ in sieve.checks(moved)] == [1]


def test_energies_with_noise_are_nearer_and_their_errors_right():
    exact = qngd.expectation(circuit(), ENERGY, START).value
    values, told = [], []
    backend = PostSelected(noisy(), particles=SPINS)
    for seed in range(250):
        found = qngd.expectation(circuit(), ENERGY, START, backend=backend, shots=300, seed=seed)
        values.append(found.value)
        told.append(found.stderr)
    assert np.std(values) == pytest.approx(np.sqrt(np.mean(np.square(told))), rel=0.12)
    plain = qngd.expectation(circuit(), ENERGY, START, backend=noisy(), shots=75_000, seed=0).value
    assert abs(np.mean(values) - exact) < 0.7 * abs(plain - exact)


def test_shots_left_out_are_in_the_cost():
    lab = noisy()
    backend = PostSelected(lab, particles="all")
    result = qngd.minimize(circuit(), ENERGY, START, backend=backend, shots=200, seed=1, max_steps=1, tol=0)
    assert result.cost.shots == sum(request.shots for _, requests in lab.asked for request in requests)
    price = qngd.cost(circuit(), ENERGY, START, backend=backend, shots=200).step
    assert price.shots == qngd.cost(circuit(), ENERGY, START, backend=noisy(), shots=200).step.shots
    found = qngd.expectation(circuit(), ENERGY, START, backend=backend, shots=200, seed=1)
    assert found.shots < 200 * len(lab.asked[-1][1])


@pytest.mark.parametrize("shots", ["auto", qngd.TargetError(0.5)])
def test_a_rule_leaves_every_circuit_shots_to_keep(shots):
    """Where it would take two of them, a run would end as soon as both were left out, or misread."""
    lab = noisy()
    selected = [PostSelected(each, particles=SPINS) for each in (lab, ReadoutCorrected(lab))]
    for backend in (*selected, ReadoutCorrected(lab)):
        lab.asked.clear()
        result = qngd.minimize(circuit(), ENERGY, START, backend=backend, shots=shots, seed=1, max_steps=12)
        assert result.status in ("max_steps", "noise", "converged")
        assert min(request.shots for _, requests in lab.asked for request in requests) >= 20
    plain = qngd.minimize(circuit(), ENERGY, START, backend=lab, shots=shots, seed=1, max_steps=12)
    assert plain.status != "failed"
    assert min(request.shots for _, requests in lab.asked for request in requests) < 20


def test_a_loss_leaves_every_circuit_shots_to_keep():
    lab, loss = noisy(), qngd.Objective(circuit(), ENERGY, np.sum)
    fewest = {}
    for backend in (PostSelected(lab, particles=SPINS), ReadoutCorrected(lab), lab):
        lab.asked.clear()
        how = {"backend": backend, "shots": qngd.TargetError(0.5), "seed": 1, "max_steps": 3}
        assert qngd.minimize(loss, theta0=START, **how).status != "failed"
        fewest[backend] = min(request.shots for _, requests in lab.asked for request in requests)
    assert fewest.pop(lab) < 20 <= min(fewest.values())


def largest_error(what, backend, seed):
    how = {"backend": backend, "shots": qngd.TargetError(0.05), "seed": seed}
    if what == "loss":
        loss = qngd.Objective(circuit(), ENERGY, lambda outputs: 1.5 * np.sum(outputs))
        run = qngd.minimize(loss, theta0=START, max_steps=2, tol=0, optimizer=qngd.QNG(1e-3, "identity"), **how)
        return np.max(run.state.evaluation.gradient.stderr)
    return np.max((qngd.expectation if what == "energy" else qngd.gradient)(circuit(), ENERGY, START, **how).stderr)


@pytest.mark.parametrize("what", ["energy", "gradient", "loss"])
def test_a_target_error_is_that_of_the_shots_that_are_kept(what):
    """Of many circuits half of the shots are left out."""
    backend = PostSelected(Misreading([[0.15] * 5, [0.2] * 5]), particles=SPINS)
    errors = [largest_error(what, backend, seed) for seed in range(12)]
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(0.05, rel=0.06)


def test_a_parity_in_another_basis():
    """XX is conserved; circuits that read Z of a qubit do not show it, those of XI do, with H on the other."""
    made = qngd.CircuitBuilder(2)
    a, b = made.parameters("a", "b")
    made.h(0).h(1).rzz(a, 0, 1).rxx(b, 0, 1)
    backend = PostSelected(Misreading([[0.1, 0.1], [0.1, 0.1]]), parities=["XX"])
    exact = qngd.expectation(made, {"XI": 1.0, "ZZ": 0.5}, [0.4, 0.3]).value
    (plain, found) = (
        qngd.expectation(made, {"XI": 1.0, "ZZ": 0.5}, [0.4, 0.3], backend=each, shots=20_000, seed=2)
        for each in (backend.inner, backend)
    )
    assert abs(found.value - exact) < abs(plain.value - exact) - 3 * plain.stderr


def test_what_cannot_be_selected_is_refused():
    ring = qngd.CircuitBuilder(2)
    ring.ry(ring.parameter("a"), 0).h(1)
    with pytest.raises(
        qngd.BackendError, match=r"none of its circuits \(1\) conserves the number of ones on all qubits"
    ):
        qngd.expectation(ring, {"ZZ": 1.0}, [0.3], backend=PostSelected("statevector", particles="all"), shots=10)
    backend = PostSelected(ExactDevice("means"), particles="all")
    with pytest.raises(qngd.BackendError, match="needs counts"):
        qngd.expectation(circuit(), ENERGY, START, backend=backend, shots=10)
    backend = PostSelected(Misreading([[1.0, 0, 0, 0], [1.0, 0, 0, 0]]), particles=SPINS)
    with pytest.raises(qngd.BackendError, match="none of the 2 shots"):
        qngd.expectation(circuit(), {"ZZZZ": 1.0}, START, backend=backend, shots=2)
    for wrong in ({}, {"parities": ["II"]}, {"parities": ["ZA"]}, {"particles": [(0, 0)]}, {"particles": "some"}):
        with pytest.raises(qngd.SettingError):
            PostSelected("statevector", **wrong)
    assert resolve(PostSelected("statevector", particles="all")).name == "statevector, post-selected"
