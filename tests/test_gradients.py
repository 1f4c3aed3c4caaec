"""Ways to take gradients: all shifts, a random part of them, random directions; and QN-SPSA made of the last."""

import numpy as np
import pennylane as qml
import pytest

import qngd
from qngd.circuit.observable import Observable
from qngd.gradients import ParameterShift, SampledShift, SimultaneousPerturbation, as_gradient
from qngd.measured.draws import draw, shared_out
from qngd.measured.planner import Planner
from qngd.measured.shifts import best_shifts
from qngd.metrics.spsa import random_pairs
from tests import dense, dense_templates
from tests.strategies import Sketch

TERMS = {"ZZII": 1.0, "IZZI": 0.5, "XIIX": 0.3, "IYYI": 0.7, "ZIIZ": -0.2}
THETA = np.array([0.3, -0.5, 0.4])


def uneven() -> qngd.Circuit:
    """One parameter in six gates of different weights, one in four, and one that stands alone."""
    sketch = Sketch(4, 3)
    for q in range(4):
        sketch("h", q)
    for i in range(4):
        for j in range(i):
            sketch("rzz", i, j, (1 + 0.3 * i + 0.1 * j) * sketch.t[0])
    for q in range(4):
        sketch("rx", q, sketch.t[1])
    return sketch("ry", 2, sketch.t[2])("cx", 2, 0).circuit()


def ring(num_qubits: int, depth: int) -> tuple[qngd.Circuit, dict[str, float], np.ndarray]:
    """QAOA of MaxCut on a ring with one chord."""
    edges = [(i, (i + 1) % num_qubits) for i in range(num_qubits)] + [(0, num_qubits // 2 - 1)]
    sketch = Sketch(num_qubits, 2 * depth)
    for q in range(num_qubits):
        sketch("h", q)
    for d in range(depth):
        for i, j in edges:
            sketch("rzz", i, j, sketch.t[2 * d])
        for q in range(num_qubits):
            sketch("rx", q, 2 * sketch.t[2 * d + 1])
    labels = ["".join("Z" if q in edge else "I" for q in reversed(range(num_qubits))) for edge in edges]
    return sketch.circuit(), dict.fromkeys(labels, 0.5), np.linspace(0.4, 0.9, 2 * depth)


def slope(circuit, terms, theta):
    """From dense states, by differences."""
    return dense.Truth(lambda thetas: np.array([dense.statevector(circuit, t) for t in thetas]), theta, terms).gradient


def repeated(count, method, shots=None):
    evaluator = qngd.evaluator(uneven(), TERMS, THETA, shots=shots)
    asked = {"gradient": method, "metric": None}
    found = [evaluator.evaluate(THETA, seed=seed, **asked).gradient for seed in range(count)]
    return np.array([each.value for each in found]), np.array([each.covariance for each in found])


def check(values, covariances, truth):
    """No bias beyond chance, and errors right to 10 % of what the repetitions show."""
    seen = np.cov(values.T)
    error = np.sqrt(np.diag(seen) / len(values))
    assert np.all(np.abs(values.mean(axis=0) - truth) < 4 * error + 1e-7)
    said, moved = covariances.mean(axis=0), np.diag(seen) > 1e-20
    said, seen = (each[np.ix_(moved, moved)] for each in (said, seen))
    assert len(said) > 1
    assert np.allclose(np.sqrt(np.diag(said) / np.diag(seen)), 1, rtol=0, atol=0.1)
    scale = np.sqrt(np.outer(np.diag(seen), np.diag(seen)))
    assert np.allclose(said / scale, seen / scale, rtol=0, atol=0.15)
    assert all(np.linalg.eigvalsh(each)[0] > -1e-12 for each in covariances[:50])


# --- a random part of the shift rule ---


@pytest.mark.parametrize("way", [SampledShift(12), SampledShift(4)], ids=["12", "4"])
def test_a_random_part_is_unbiased_and_knows_its_error(way):
    check(*repeated(1000, method=way, shots=40), slope(uneven(), TERMS, THETA))


def test_a_random_part_of_exact_energies():
    check(*repeated(500, method=SampledShift(14)), slope(uneven(), TERMS, THETA))


def test_it_takes_as_many_circuits_as_are_said_at_every_seed():
    planner = Planner(uneven(), observable_of(TERMS))
    for circuits in (4, 12, 30):
        plans = [planner.plan(THETA, energy=False, gradient=SampledShift(circuits), seed=s) for s in range(9)]
        assert {plan.num_circuits for plan in plans} == {circuits}
    everything = planner.plan(THETA, energy=False).num_circuits
    assert planner.plan(THETA, energy=False, gradient=SampledShift(10**6), seed=0).num_circuits == everything


def test_all_of_it_is_the_shift_rule():
    found = qngd.gradient(uneven(), TERMS, THETA, method=SampledShift(10**6), seed=1)
    assert np.allclose(found.value, slope(uneven(), TERMS, THETA), atol=1e-7)
    assert not found.stderr.any()


def test_draws_of_a_sum():
    """Every term as often as its size says, and the variance of the formula, over all that can happen."""
    sizes, terms = np.array([1.0, 2.0, 3.0, 0.5]), np.array([0.7, -1.0, 2.0, 0.1])
    rng = np.random.default_rng(1)
    found = [draw(sizes, 3, rng) for _ in range(4000)]
    sums = np.array([each.ratios @ terms[each.places] for each in found])
    said = np.array([each.covariance(terms[each.places], np.zeros(3), np.ones((3, 1)))[0, 0] for each in found])
    assert abs(sums.mean() - terms.sum()) < 4 * sums.std() / 4000**0.5
    assert said.mean() == pytest.approx(sums.var(), rel=0.1)
    assert all(len(set(each.places)) == 3 for each in found)
    assert shared_out(10, [1, 20, 20], np.array([5.0, 1.0, 3.0]), 2).tolist() == [1, 3, 6]


# --- random directions ---


@pytest.mark.parametrize(("resamplings", "shots"), [(2, 100), (5, None)])
def test_random_directions_know_their_error(resamplings, shots):
    way = SimultaneousPerturbation(0.05, resamplings)
    values, covariances = repeated(500, method=way, shots=shots)
    truth = slope(uneven(), TERMS, THETA)
    assert abs(values.mean(axis=0) - truth).max() < 4 * values.std() / 500**0.5 + 0.02
    diagonals = np.diagonal(covariances, axis1=1, axis2=2)
    assert np.allclose(np.sqrt(diagonals.mean(axis=0)) / values.std(axis=0), 1, rtol=0, atol=0.1)
    assert all(np.linalg.eigvalsh(each)[0] > -1e-12 for each in covariances[:50])


def test_one_direction_knows_the_mean_of_its_variances():
    values, covariances = repeated(500, method=SimultaneousPerturbation(0.05, 1), shots=100)
    said = np.diagonal(covariances, axis1=1, axis2=2).mean()
    assert np.sqrt(said / values.var(axis=0).mean()) == pytest.approx(1, abs=0.1)


def test_directions_do_not_depend_on_the_number_of_gates():
    planner = Planner(uneven(), observable_of(TERMS))
    groups = planner.plan(THETA, gradient=False).num_circuits
    assert (
        planner.plan(THETA, energy=False, gradient=SimultaneousPerturbation(resamplings=3)).num_circuits == 6 * groups
    )


# --- the general rule, by what is measured ---


@pytest.mark.parametrize(("num_qubits", "depth", "circuits"), [(8, 1, 10), (20, 1, 10), (60, 1, 10)])
def test_circuits_do_not_grow_with_the_graph(num_qubits, depth, circuits):
    """An edge of a cubic vertex sees 3 other edges; two-term rules take 4 circuits a vertex and more."""
    circuit, terms, theta = ring(num_qubits, depth)
    price = qngd.cost(circuit, terms, theta, shots=100, approx="identity")
    assert price.gradient_circuits <= circuits
    forced = qngd.cost(circuit, terms, theta, shots=100, approx="identity", gradient=ParameterShift("two-term"))
    assert forced.gradient_circuits == 2 * (2 * num_qubits + 1)


@pytest.mark.parametrize(("depth", "rule"), [(1, "auto"), (1, "two-term"), (2, "auto"), (2, "general")])
def test_rules_by_light_cone_are_exact(depth, rule):
    circuit, terms, theta = ring(6, depth)
    how = {"shots": None, "method": ParameterShift(rule)}
    by_circuits = Planner(circuit, observable_of(terms)).plan(theta, gradient=ParameterShift(rule))
    energies = [
        sum(c * m for c, m in zip(by_circuits.coefficients[r.template], dense_means(by_circuits, r), strict=True))
        for r in by_circuits.requests
    ]
    truth = slope(circuit, terms, theta)
    assert np.allclose(by_circuits.linear @ energies, truth, atol=1e-7)
    assert np.allclose(qngd.gradient(circuit, terms, theta, **how).value, truth, atol=1e-7)


def observable_of(terms):
    return Observable.from_mapping(terms)


def dense_means(plan, request):
    return dense_templates.expectations(plan.templates[request.template], request.angles)


@pytest.mark.parametrize(
    "frequencies", [(1.0,), (2.0, 4.0), (1.0, 3.0, 5.0), (0.5, 1.0), (1.0, 2**0.5), (1.0, 2.0, 4.0, 7.0)]
)
def test_shifts_have_the_least_error(frequencies):
    """Exact on waves of all frequencies, and Σ2|b| is the highest, below which no rule is."""
    shifts, weights = best_shifts(frequencies)
    assert len(shifts) <= len(frequencies)
    for f in frequencies:
        assert 2 * weights @ np.sin(f * shifts) == pytest.approx(f, abs=1e-10)
    assert 2 * np.abs(weights).sum() == pytest.approx(frequencies[-1], rel=1e-3)


# --- QN-SPSA ---


def two_qubits():
    sketch = Sketch(2, 4)
    sketch("ry", 0, sketch.t[0])("ry", 1, sketch.t[1])("cx", 0, 1)("ry", 0, sketch.t[2])("rx", 1, sketch.t[3])
    return sketch.circuit(), {"ZZ": 1.0, "XI": 0.4, "IZ": -0.3}


START = np.array([0.4, -0.6, 0.9, 0.2])


def walked(optimizer, steps, seed=5, shots=None):
    circuit, terms = two_qubits()
    evaluator = qngd.evaluator(circuit, terms, START, shots=shots)
    state = optimizer.init(evaluator, START, seed)
    states = [state]
    for _ in range(steps):
        state, _ = optimizer.step(evaluator, state)
        states.append(state)
    return states


def submission_seed(seed, done):
    return int(np.random.SeedSequence(seed, spawn_key=(done,)).generate_state(1, np.uint32)[0])


def test_qn_spsa_takes_the_steps_of_qiskits_algorithm(monkeypatch):
    """On the same random signs; Qiskit's gradient goes along the first of the metric's directions."""
    theirs_of = pytest.importorskip("qiskit_algorithms.optimizers")
    steps = 6
    circuit, terms = two_qubits()
    pairs = [random_pairs(4, submission_seed(5, k), 1, 0.01)[0] for k in range(steps)]
    monkeypatch.setattr(
        "qngd.gradients.perturbation.random_signs",
        lambda count, size, seed: random_pairs(size, seed, 1, 0.01)[0].first[None],
    )
    mine = walked(qngd.QNG.qn_spsa(0.05, perturbation=0.01, regularization=0.01, blocking=False), steps)
    signs = [each for pair in pairs for each in (pair.first, pair.second)]
    monkeypatch.setattr(theirs_of.spsa, "bernoulli_perturbation", lambda *_: signs.pop(0))
    matrix = dense.observable_matrix(terms)

    def state(x):
        return dense.statevector(circuit, np.asarray(x))

    theirs = []
    optimizer = theirs_of.QNSPSA(
        lambda x, y: abs(np.vdot(state(x), state(y))) ** 2,
        maxiter=steps,
        blocking=False,
        learning_rate=0.05,
        perturbation=0.01,
        regularization=0.01,
        callback=lambda _, x, *rest: theirs.append(np.array(x)),
    )
    optimizer.minimize(lambda x: (state(x).conj() @ matrix @ state(x)).real, START)
    assert np.allclose([each.theta for each in mine[1:]], theirs, atol=1e-9)
    assert np.ptp([each.theta for each in mine], axis=0).min() > 1e-3


@pytest.mark.parametrize("seed", range(3))
def test_qn_spsa_takes_the_first_step_of_pennylanes_optimizer(seed):
    """(√ḡ² + βI)/(1 + β) there: its rate is larger by 1 + β."""
    key = submission_seed(seed, 0)
    pair = random_pairs(4, key, 1, 0.01)[0]
    sign = np.random.default_rng([key, 4]).choice((-1.0, 1.0), size=(1, 4))[0]

    class Scripted:
        def __init__(self):
            self.signs = [sign, pair.first, pair.second]

        def choice(self, options, size):
            return self.signs.pop(0)

    @qml.qnode(qml.device("default.qubit", wires=2))
    def node(x):
        qml.RY(x[0], 0)
        qml.RY(x[1], 1)
        qml.CNOT([0, 1])
        qml.RY(x[2], 0)
        qml.RX(x[3], 1)
        return qml.expval(qml.Z(0) @ qml.Z(1) + 0.4 * qml.X(1) - 0.3 * qml.Z(0))

    theirs = qml.QNSPSAOptimizer(stepsize=0.05, regularization=0.01, finite_diff_step=0.01, blocking=False)
    theirs.rng = Scripted()
    moved = theirs.step(node, qml.numpy.array(START, requires_grad=True))
    mine = walked(qngd.QNG.qn_spsa(0.05 * 1.01, perturbation=0.01, regularization=0.01, blocking=False), 1, seed)
    assert np.allclose(mine[1].theta, moved, atol=1e-9)


def test_qn_spsa_takes_seven_circuits_a_group_in_one_submission():
    circuit, terms = two_qubits()
    groups = Planner(circuit, observable_of(terms)).plan(START, gradient=False).num_circuits
    first, second = walked(qngd.QNG.qn_spsa(blocking=False), 1, shots=200)
    assert first.evaluations == 1
    assert second.evaluations == 2
    assert second.cost.circuits - first.cost.circuits == 3 * groups + 4


def test_a_blocked_step_is_taken_back_and_drawn_anew():
    optimizer = qngd.QNG.qn_spsa(3.0, allowed_increase=0.0, perturbation=0.01)
    circuit, terms = two_qubits()
    evaluator = qngd.evaluator(circuit, terms, START)
    state, blocked = optimizer.init(evaluator, START, 0), 0
    for _ in range(12):
        before = state
        state, info = optimizer.step(evaluator, state)
        if not info.accepted:
            blocked += 1
            assert np.array_equal(state.theta, before.theta)
            assert not np.array_equal(state.evaluation.gradient.value, before.evaluation.gradient.value)
        else:
            assert state.energy <= before.energy + 1e-12
    assert blocked


def test_qn_spsa_minimizes():
    circuit, terms = two_qubits()
    lowest = np.linalg.eigvalsh(dense.observable_matrix(terms))[0]
    exact = qngd.minimize(circuit, terms, START, max_steps=200).energy
    found = qngd.minimize(circuit, terms, START, optimizer=qngd.QNG.qn_spsa(), shots=500, seed=3, max_steps=120, tol=0)
    assert qngd.expectation(circuit, terms, found.theta).value < exact + 0.1
    assert exact >= lowest - 1e-9


@pytest.mark.parametrize("gradient", ["sampled", "spsa", SampledShift(8)])
@pytest.mark.parametrize("shots", [None, 100])
def test_runs_are_resumed_as_if_they_had_not_stopped(tmp_path, gradient, shots):
    how = {"optimizer": qngd.QNG(0.05, gradient=gradient), "shots": shots, "seed": 2, "tol": 0}
    whole = qngd.minimize(uneven(), TERMS, THETA, max_steps=4, **how)
    qngd.minimize(uneven(), TERMS, THETA, max_steps=2, run_dir=tmp_path / "run", **how)
    resumed = qngd.minimize(uneven(), TERMS, THETA, max_steps=4, run_dir=tmp_path / "run", **how)
    assert np.array_equal(whole.theta, resumed.theta)
    assert whole.cost == resumed.cost


# --- wrong ---


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: as_gradient("spas"), "gradient: 'spas' is none of shift, sampled, spsa, auto. Did you mean 'spsa'"),
        (lambda: qngd.QNG(gradient=3), "gradient: 3 is none of"),
        (lambda: qngd.gradient(uneven(), TERMS, THETA, method="finite"), "method: 'finite' is none of"),
        (lambda: SampledShift(1), "circuits"),
        (lambda: SimultaneousPerturbation(perturbation=0), "perturbation"),
        (lambda: SimultaneousPerturbation(resamplings=0), "resamplings"),
        (lambda: ParameterShift("three-term"), "rule"),
        (lambda: qngd.QNG.qn_spsa(regularization=0), "regularization"),
        (lambda: qngd.QNG.qn_spsa(blocking=False, allowed_increase=0.1), "allowed_increase"),
        (lambda: qngd.QNG.qn_spsa(allowed_increase=-1), "allowed_increase"),
        (lambda: qngd.QNG(approx="matrix-free", gradient="spsa"), "gradient"),
        (lambda: run(approx="hamiltonian", gradient="sampled"), 'approx="hamiltonian" is estimated from all circuits'),
        (lambda: run(shots=None, observable=qngd.CVaR({"ZZ": 1.0}, 0.5), gradient="spsa"), "does not go with a CVaR"),
        (lambda: run(observable=qngd.CVaR({"ZZ": 1.0}, 0.5), gradient="spsa"), "that of a mean"),
    ],
)
def test_what_cannot_be_meant_is_said(make, message):
    with pytest.raises(qngd.SettingError, match=message.replace(".", r"\.")):
        make()


def run(shots=100, observable=None, **settings):
    circuit, terms = two_qubits()
    return qngd.minimize(circuit, observable or terms, START, optimizer=qngd.QNG(**settings), shots=shots, max_steps=1)
