"""The Fisher information in random bases, exact and from counts."""

import typing

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import qngd
from qngd.circuit.active import without_idle
from qngd.circuit.observable import Observable
from qngd.errors import BackendError
from qngd.estimates.evaluation import Cost
from qngd.exact.simulator import Simulator
from qngd.measured.assemble import assemble
from qngd.measured.auto_shots import AutoShots
from qngd.measured.outcomes import Counts
from qngd.measured.planner import Planner
from qngd.measured.target_error import TargetError
from qngd.metrics import RandomBasis
from qngd.metrics.bases import BASES, basis_ops, random_angles
from qngd.metrics.basis_samples import basis_samples
from qngd.metrics.fisher import fisher_from_shots
from qngd.metrics.names import METRICS, Approx
from tests import dense
from tests.dense_templates import draws
from tests.hydrogen import error
from tests.own_backends import ExactDevice
from tests.strategies import Sketch, examples, programs
from tests.three_qubits import TERMS, THETA, ansatz


def in_bases(states: np.ndarray, num_qubits: int, seed: int) -> list[np.ndarray]:
    """The states (B, 2ⁿ) seen in each random basis, by the matrices of its gates."""
    ops = basis_ops(num_qubits)
    changes = []
    for angles in random_angles(num_qubits, seed):
        columns = []
        for place in range(1 << num_qubits):
            columns.append(_run(ops, num_qubits, angles, place))
        changes.append(np.array(columns).T)
    return [states @ change.T for change in changes]


def _run(ops, num_qubits, angles, place):
    """The gates on a basis state, which X gates prepare."""
    state = dense.zero_state(num_qubits)
    for q in range(num_qubits):
        if place >> q & 1:
            state = dense.apply(dense.PAULI["X"], [q], state)
    left = iter(angles)
    for k in range(len(ops)):
        kind, qubits = ops.kind[k], [int(q) for q in ops.qubits_of(k)]
        if kind in dense.CLIFFORD:
            matrix = dense.CLIFFORD[kind]
        else:
            matrix = dense.rotation_matrix("IXYZ"[ops.letters_of(k)[0]], next(left))
        state = dense.apply(matrix, qubits, state)
    return state[0]


def expected(states, theta, num_qubits, seed) -> list[np.ndarray]:
    """F/2 in every basis from F_ij = 4 Σ_l Re(ψ_l* ∂_iψ_l) Re(ψ_l* ∂_jψ_l)/|ψ_l|²."""
    truth = dense.Truth(states, theta)
    every = in_bases(np.vstack([truth.state[None], truth.tangents]), num_qubits, seed)
    found = []
    for psi, *tangents in every:
        slopes = 2 * np.real(psi.conj() * np.array(tangents).reshape(-1, len(psi)))
        found.append(0.5 * (slopes / np.abs(psi) ** 2) @ slopes.T)
    return found


def exact(circuit, theta, seed):
    return basis_samples(Simulator(circuit), *circuit.angle_map.linearize(np.asarray(theta, float)), seed)


# --- exact ---


@given(programs(max_qubits=3, max_gates=14), st.integers(0, 99))
@examples(20)
def test_it_is_the_fisher_information_of_the_outcomes(program, seed):
    """Exactly, and from exact counts by shift rules; with shared and nonlinear parameters."""
    circuit = program.circuit()
    truth = expected(program.states, program.theta, program.num_qubits, seed)
    found = exact(circuit, program.theta, seed)
    assert np.allclose(found, truth, atol=1e-6)  # differences over small probabilities
    g = dense.Truth(program.states, program.theta).metric
    for each in found:  # no measurement knows more than the quantum Fisher information
        assert np.linalg.eigvalsh(2 * g - each).min(initial=0) > -1e-9
    plan = Planner(circuit, None).plan(program.theta, energy=False, gradient=False, metric=RandomBasis(), seed=seed)
    device = ExactDevice()
    outcomes = device.collect(device.submit(plan.templates, plan.requests, None))
    sampled = [fisher_from_shots(term, outcomes)[0] for term in plan.terms]
    active = without_idle(circuit)  # the bases of a plan are of the qubits that it runs
    assert np.allclose(sampled, exact(active, program.theta, seed), atol=1e-5)


@given(programs(max_qubits=3, min_parameters=2, max_parameters=4, max_gates=10), st.integers(0, 99))
@examples(15)
def test_it_transforms_as_a_metric(program, seed):
    count = program.num_parameters
    change = np.eye(count) + 0.3 * np.random.default_rng(seed).normal(size=(count, count))
    here, there = (exact(p.circuit(), p.theta, seed) for p in (program, program.reparametrized(change)))
    assert np.allclose(there, change.T @ np.array(here) @ change, atol=1e-7)


def test_its_mean_is_the_metric_of_one_qubit():
    """A random axis is Haar-random: E[F] = 2g (arXiv:2509.08196)."""
    sketch = Sketch(1, 2)
    circuit = sketch("ry", 0, sketch.t[0])("rz", 0, sketch.t[1]).circuit()
    theta = np.array([0.8, 0.3])
    found = np.array([m for seed in range(250) for m in exact(circuit, theta, seed)])
    g = np.diag([0.25, 0.25 * np.sin(0.8) ** 2])
    assert np.all(np.abs(found.mean(axis=0) - g) < 4 * found.std(axis=0) / np.sqrt(len(found)))


def test_its_mean_is_near_the_metric_of_three_qubits():
    circuit = ansatz()
    found = np.array([m for seed in range(100) for m in exact(circuit, THETA, seed)])
    g = dense.metric(lambda theta: dense.statevector(circuit, theta), THETA)
    assert np.linalg.norm(found.mean(axis=0) - g) < 0.1 * np.linalg.norm(g)


def test_axes_are_uniform():
    """Z turned by RZ(a) and RY(b), as read from the other side: cos b and a are uniform."""
    angles = np.concatenate([random_angles(5, seed) for seed in range(200)]).reshape(-1, 2)
    a, b = angles.T
    assert abs(np.mean(np.cos(b))) < 4 * np.sqrt(1 / 3 / len(b))
    assert np.mean(np.cos(b) ** 2) == pytest.approx(1 / 3, abs=0.01)
    assert abs(np.mean(np.exp(1j * a))) < 4 / np.sqrt(len(a))


def test_what_metric_tensor_says():
    found = qngd.metric_tensor(ansatz(), THETA, approx="random-basis", seed=3)
    samples = np.array(exact(ansatz(), THETA, 3))
    assert np.allclose(found, samples.mean(axis=0), atol=1e-14)
    assert np.allclose(found.stderr, samples.std(axis=0, ddof=1) / np.sqrt(BASES))
    assert found.note == "mean of 4 random bases"
    assert found.shots == 0
    same, other = (qngd.metric_tensor(ansatz(), THETA, approx="random-basis", seed=seed) for seed in (3, 4))
    assert np.array_equal(found, same)
    assert not np.allclose(found, other)


# --- from shots ---


def of_metric(circuit, seed=3):
    return Planner(circuit, None).plan(THETA, energy=False, gradient=False, metric=RandomBasis(), seed=seed)


def test_a_basis_takes_as_many_circuits_as_a_gradient_and_they_share_a_template():
    plan = of_metric(ansatz())
    assert len(plan.templates) == 1
    # five rotations move, by the two-term rule, around the centre
    assert plan.num_circuits == BASES * (1 + 2 * 5)
    assert of_metric(ansatz()).fingerprint == plan.fingerprint != of_metric(ansatz(), 4).fingerprint
    price = qngd.cost(ansatz(), TERMS, THETA, approx="random-basis")
    assert price.metric_circuits == plan.num_circuits


@pytest.mark.parametrize("shots", [30, 1000])
def test_its_mean_from_shots_is_what_its_derivation_says(shots):
    """Without bias but for outcomes of small probability: E = ½ Σ_l ∂p ∂p/p·(1 − (1−p)^{N+1})."""
    circuit, times = ansatz(), 200
    plan = of_metric(circuit)
    runs = draws(plan, shots, times, 11)
    truth = dense.Truth(lambda ts: np.array([dense.statevector(circuit, t) for t in ts]), THETA)
    every = in_bases(np.vstack([truth.state[None], truth.tangents]), 3, 3)
    for term, (psi, *tangents) in zip(plan.terms, every, strict=True):
        p = np.abs(psi) ** 2
        slopes = 2 * np.real(psi.conj() * np.array(tangents))
        mean = 0.5 * (slopes * (1 - (1 - p) ** (shots + 1)) / p) @ slopes.T
        found = np.array([fisher_from_shots(term, outcomes)[0] for outcomes in runs])
        error = found.std(axis=0, ddof=1) / np.sqrt(times)
        assert np.all(np.abs(found.mean(axis=0) - mean) < 4.5 * error)


def test_the_metric_from_shots():
    found = qngd.metric_tensor(ansatz(), THETA, approx="random-basis", seed=3, shots=50_000)
    assert np.allclose(found, qngd.metric_tensor(ansatz(), THETA, approx="random-basis", seed=3), atol=0.02)
    assert found.shots == of_metric(ansatz()).num_circuits * 50_000
    assert found.note == "mean of 4 random bases"
    rough = qngd.metric_tensor(ansatz(), THETA, approx="random-basis", seed=3, shots=10)
    assert "came out as no other did" in rough.note
    assert rough.eigenvalues.min() > -1e-12


def test_many_qubits():
    """Nothing of size 2ⁿ: random bits of 70 qubits, all outcomes different."""
    n, shots = 70, 50
    sketch = Sketch(n, n)
    for q in range(n):
        sketch("ry", q, sketch.t[q])
    for q in range(n - 1):
        sketch("cx", q, q + 1)
    plan = Planner(sketch.circuit(), None).plan(
        np.linspace(0.1, 1.0, n), energy=False, gradient=False, metric=RandomBasis(), seed=0
    )
    rng = np.random.default_rng(0)
    outcomes = [
        Counts(rng.integers(0, 1 << 63, (shots, 2)).astype(np.uint64), np.ones(shots, dtype=np.int64))
        for _ in plan.requests
    ]
    metric = assemble(plan, outcomes, np.zeros(n), Cost()).metric
    assert metric.shape == (n, n)
    assert np.all(np.isfinite(metric))
    assert "100% of the shots" in metric.note


def test_expectation_values_are_refused():
    plan = of_metric(ansatz())
    device = ExactDevice("means")
    outcomes = device.collect(device.submit(plan.templates, plan.requests, None))
    with pytest.raises(BackendError, match=r'approx="random-basis" needs counts'):
        assemble(plan, outcomes, THETA, Cost())


def test_shots_that_are_shared_out_reach_the_bases():
    plan = Planner(ansatz(), Observable.from_mapping(TERMS)).plan(THETA, metric=RandomBasis(), seed=0)
    (outcomes,) = draws(plan, 500, 1, 5)
    spread = assemble(plan, outcomes, THETA, Cost(), with_spread=True).spread
    of_basis = np.array([plan.coefficients[r.template] is None for r in plan.requests])
    for rule in (AutoShots(total=1000 * plan.num_circuits), TargetError(0.02)):
        shots = rule.shots(plan, spread)
        assert shots[of_basis].min() >= 0.5 * np.median(shots[~of_basis])


@pytest.mark.parametrize("shots", [None, 1000])
def test_it_finds_the_ground_state_of_hydrogen(shots):
    assert error("random-basis", shots) < (1e-8 if shots is None else 5e-3)


def test_the_names_of_the_metrics_are_the_same_everywhere():
    assert typing.get_args(Approx) == METRICS
