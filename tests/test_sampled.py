"""End to end with shots: what is estimated is unbiased, errors are what they say, and a seed is a seed."""

import numpy as np
import pytest
from scipy import stats

import qngd
from qngd.backends.statevector import StatevectorSampler
from qngd.circuit.observable import Observable
from qngd.errors import BackendError, ObservableError, SettingError
from qngd.estimates.evaluation import Cost
from qngd.evaluators.exact import ExactEvaluator
from qngd.evaluators.sampled import SampledEvaluator
from qngd.evaluators.setup import Setup
from qngd.measured.assemble import assemble
from qngd.measured.planner import Planner
from qngd.measured.shots import FixedShots
from qngd.metrics import BlockDiagonal, Diagonal, Full, as_metric
from tests import dense
from tests.expected_metrics import expected_metrics
from tests.layered_circuits import CHAIN, qaoa, real_amplitudes
from tests.own_backends import MANY, ExactDevice
from tests.strategies import Sketch, ansatz, random_observable, random_program

REPETITIONS = 1000


def repeated(circuit, theta, terms, shots, seed, times=REPETITIONS, grouping="qubit-wise", **what):
    """A step's estimates `times` times over, from one submission."""
    observable = None if terms is None else Observable.from_mapping(terms)
    plan = Planner(circuit, observable, grouping).plan(np.asarray(theta, float), **what)
    plan = plan.with_shots(np.full(plan.num_circuits, shots))
    device, count = StatevectorSampler(), plan.num_circuits
    outcomes = device.collect(device.submit(plan.templates, plan.requests * times, seed))
    parts = (outcomes[count * k : count * (k + 1)] for k in range(times))
    return [assemble(plan, part, theta, Cost()) for part in parts]


def check_unbiased(values, exact):
    """The mean within four of its standard errors, everywhere at once; where nothing varies, exactly."""
    errors = values.std(axis=0, ddof=1) / np.sqrt(len(values))
    assert np.all(np.abs(values.mean(axis=0) - exact) <= 4 * errors + 1e-12)


def check_errors(values, errors, mask=True):
    """The mean reported error is the spread over the repetitions to 10 %, where `mask` holds."""
    spread = values.std(axis=0, ddof=1)
    mask = (spread > 0) & mask
    assert np.allclose(errors.mean(axis=0)[mask], spread[mask], rtol=0.1, atol=0)
    assert not errors[:, spread == 0].any()


def shared_parameters():
    """Each parameter moves rotations of several layers, several of one layer, with factors of both signs."""
    sketch = Sketch(3, 3)
    a, b, c = sketch.t
    sketch("ry", 0, 0.7)("u", 1, 0.4, 1.1, 0.2)("cx", 0, 1)("t", 1)("rx", 2, 0.9)
    sketch("rx", 0, a)("rx", 1, -0.5 * a)("ry", 2, b + c)("cz", 1, 2)("cx", 0, 2)
    sketch("rzz", 0, 1, c)("rz", 2, 2 * b)("h", 1)("rx", 1, a - b)
    return sketch.circuit(), np.array([0.4, -0.8, 1.3])


CIRCUITS = {
    "shared": shared_parameters,
    "real amplitudes": lambda: (real_amplitudes(4, 3, CHAIN), np.linspace(0.3, 2.4, 16)),
    "QAOA": lambda: (qaoa(4, [(0, 1), (1, 2), (2, 3), (0, 2)], 2, "cx rz cx"), np.array([0.4, 0.7, -0.5, 0.3])),
}

# --- the metric ---


@pytest.mark.parametrize("approx", ["diag", "block-diag"])
@pytest.mark.parametrize("name", CIRCUITS)
def test_metrics_are_unbiased_and_their_errors_right(name, approx):
    """Where a mean is exactly zero, as on |0…0⟩, a variance is known to second order, and its error bounded by that:
    ¼·(1 − m²) with m² of order 1/N."""
    circuit, theta = CIRCUITS[name]()
    exact = expected_metrics(circuit, theta)[approx]
    shots = 1000
    found = repeated(circuit, theta, None, shots, 3, energy=False, gradient=False, metric=as_metric(approx))
    values = np.array([f.metric.value for f in found])
    errors = np.array([f.metric.stderr for f in found])
    check_unbiased(values, exact)
    first_order = values.std(axis=0) > 0.1 / np.sqrt(shots) * np.abs(exact).max()
    check_errors(values, errors, first_order)
    # the means of RealAmplitudes vanish: all that a diagonal can know is of second order
    assert np.any(first_order) == ((name, approx) != ("real amplitudes", "diag"))
    small = ~first_order & (values.std(axis=0) > 0)
    root_mean_square = np.sqrt(np.mean(errors**2, axis=0))  # the variance is what is not biased
    assert np.all(root_mean_square[small] >= 0.9 * values.std(axis=0)[small])
    assert np.all(root_mean_square[small] <= 1.35 * values.std(axis=0)[small])
    assert np.all(errors.mean(axis=0)[small] <= 0.2 / np.sqrt(shots) * np.abs(exact).max())


@pytest.mark.parametrize("shots", [2, 3, 20, 100])
@pytest.mark.parametrize("approx", ["block-diag", "diag"])
@pytest.mark.parametrize("name", CIRCUITS)
def test_no_metric_is_indefinite(name, approx, shots):
    circuit, theta = CIRCUITS[name]()
    found = repeated(circuit, theta, None, shots, 8, times=100, energy=False, gradient=False, metric=as_metric(approx))
    values = np.array([f.metric.value for f in found])
    assert np.array_equal(values, np.swapaxes(values, 1, 2))
    eigenvalues = np.linalg.eigvalsh(values)
    assert np.all(eigenvalues[:, 0] >= -1e-14 * eigenvalues[:, -1])
    assert all(f.metric.note == "" for f in found)


def test_metrics_are_unbiased_at_twenty_shots():
    circuit, theta = CIRCUITS["shared"]()
    for approx in ("block-diag", "diag"):
        exact = expected_metrics(circuit, theta)[approx]
        found = repeated(
            circuit, theta, None, 20, 5, times=1500, energy=False, gradient=False, metric=as_metric(approx)
        )
        check_unbiased(np.array([f.metric.value for f in found]), exact)


# --- energy and gradient ---


@pytest.mark.parametrize("grouping", ["qubit-wise", "commuting"])
def test_energies_and_gradients_are_unbiased_and_their_errors_right(grouping):
    circuit, theta = shared_parameters()
    terms = {"III": -0.7, "ZZI": 1.0, "IZX": -0.6, "XXI": 0.8}
    truth = dense.Truth(lambda thetas: np.array([dense.statevector(circuit, t) for t in thetas]), theta, terms)
    found = repeated(circuit, theta, terms, 300, 11, grouping=grouping)
    energies = np.array([float(f.energy.value) for f in found])
    check_unbiased(energies, truth.energy)
    check_errors(energies, np.array([float(f.energy.stderr) for f in found]))
    gradients = np.array([f.gradient.value for f in found])
    check_unbiased(gradients, truth.gradient)
    check_errors(gradients, np.array([f.gradient.stderr for f in found]))
    covariance = np.mean([f.gradient.covariance for f in found], axis=0)
    expected = np.cov(gradients.T)
    scale = np.sqrt(np.outer(np.diag(expected), np.diag(expected)))
    assert np.abs(expected / scale - np.eye(3)).max() > 0.2
    assert np.allclose(covariance / scale, expected / scale, rtol=0, atol=0.1)
    assert stats.kstest((energies - energies.mean()) / energies.std(), "norm").pvalue > 1e-4


def test_grouping_more_takes_fewer_circuits():
    circuit, theta = shared_parameters()
    terms = Observable.from_mapping({"ZZI": 1.0, "XXI": 0.8, "YYI": 0.5})
    counts = [Planner(circuit, terms, g).plan(theta, gradient=False).num_circuits for g in ("qubit-wise", "commuting")]
    assert counts == [3, 1]


def test_the_general_rule_from_shots():
    """Two evaluations for XX + YY + ZZ, with weights that are not one half."""
    sketch = Sketch(2, 1)
    (t,) = sketch.t
    sketch("ry", 0, 0.5)("rx", 1, 0.8)("rxx", 0, 1, 0.3 * t)("ryy", 0, 1, 0.3 * t)("rzz", 0, 1, 0.3 * t)
    circuit, theta, terms = sketch.circuit(), np.array([0.9]), {"XZ": 1.0, "YI": 0.6, "IZ": 0.3}
    assert Planner(circuit, Observable.from_mapping(terms)).plan(theta, energy=False).num_circuits == 4
    truth = dense.Truth(lambda thetas: np.array([dense.statevector(circuit, t) for t in thetas]), theta, terms)
    assert abs(truth.gradient[0]) > 0.05
    found = repeated(circuit, theta, terms, 300, 2, energy=False)
    gradients = np.array([f.gradient.value for f in found])
    check_unbiased(gradients, truth.gradient)
    check_errors(gradients, np.array([f.gradient.stderr for f in found]))


# --- the functions for users ---


def problem():
    program = random_program(12, 3, 25, 4)
    return program, program.circuit(), random_observable(1, 3)


def test_the_functions_for_one_theta():
    program, circuit, terms = problem()
    truth = dense.Truth(program.states, program.theta, terms)
    given = {"shots": 4000, "seed": 6}
    energy = qngd.expectation(circuit, terms, program.theta, **given)
    assert abs(energy.value - truth.energy) <= 4 * energy.stderr
    slope = qngd.gradient(circuit, terms, program.theta, **given)
    assert np.all(np.abs(slope.value - truth.gradient) <= 4.5 * slope.stderr)
    for approx in ("diag", "block-diag", "full"):
        found = qngd.metric_tensor(circuit, program.theta, approx=approx, **given)
        exact = expected_metrics(circuit, program.theta)[approx]
        assert np.all(np.abs(np.asarray(found) - exact) <= 5 * found.stderr + 0.01)
        assert found.approx == approx
    for part in (energy, slope, found):
        assert not part.is_exact
        assert part.shots % 4000 == 0
    assert slope.shots > energy.shots


@pytest.mark.parametrize("kind", ["counts", "means"])
def test_exact_devices_give_exact_results(kind):
    program, circuit, terms = problem()
    observable = Observable.from_mapping(terms)
    evaluator = SampledEvaluator(circuit, observable, Setup(ExactDevice(kind), FixedShots(None)))
    exact = ExactEvaluator(circuit, observable)
    for approx in ("diag", "block-diag", "full"):
        found = evaluator.evaluate(program.theta, metric=as_metric(approx))
        expected = exact.evaluate(program.theta, metric=as_metric(approx))
        assert found.energy.value == pytest.approx(expected.energy.value, abs=1e-10)
        assert np.allclose(found.gradient.value, expected.gradient.value, rtol=0, atol=1e-10)
        assert np.allclose(found.metric.value, expected.metric.value, rtol=0, atol=1e-10)
        assert found.energy.is_exact == (kind == "means")
        assert np.array_equal(evaluator.metric(program.theta, as_metric(approx)).value, found.metric.value)


@pytest.mark.parametrize("kind", ["counts", "means"])
def test_a_run_on_an_exact_device_is_the_exact_run(kind):
    circuit, terms = ansatz(2, 1), {"ZZ": 1.0, "XI": 0.5, "IX": -0.3}
    theta = np.array([0.3, -0.6, 0.9, 0.2])
    given = {"optimizer": qngd.QNG(0.1, "block-diag", 1e-3), "max_steps": 8, "tol": 0}
    found = qngd.minimize(circuit, terms, theta, backend=ExactDevice(kind), **given)
    expected = qngd.minimize(circuit, terms, theta, **given)
    assert expected.history[-1] < expected.history[0] - 0.1
    assert np.allclose(found.history, expected.history, rtol=0, atol=1e-9)
    assert np.allclose(found.theta, expected.theta, rtol=0, atol=1e-8)


@pytest.mark.parametrize("grouping", ["qubit-wise", "commuting"])
@pytest.mark.parametrize("call", ["expectation", "gradient", "minimize"])
def test_the_user_chooses_the_grouping(call, grouping):
    """Energies take three circuits, or one; slopes that every group sees take as many times more."""
    circuit, terms, theta = ansatz(2, 1), {"ZZ": 1.0, "XX": 0.8, "YY": 0.5}, np.full(4, 0.4)
    device = ExactDevice()
    more = {"max_steps": 1} if call == "minimize" else {}
    getattr(qngd, call)(circuit, terms, theta, backend=device, shots=10, grouping=grouping, **more)
    planner = Planner(circuit, Observable.from_mapping(terms), grouping)
    plan = planner.plan(theta, gradient=call != "expectation", metric=BlockDiagonal() if more else None)
    assert len(device.submissions[0][1]) == plan.num_circuits
    assert np.count_nonzero(plan.energy_weights) == (3 if grouping == "qubit-wise" else 1)


@pytest.mark.parametrize(("cross", "circuits"), [("hadamard", 2 + 2), ("mid-circuit", 2 + 2), ("overlap", 2 + 4 * 4)])
def test_the_user_chooses_how_layers_are_compared(cross, circuits):
    device = ExactDevice()
    circuit, theta = ansatz(2, 1), np.array([0.4, -0.3, 0.8, 1.1])
    found = qngd.metric_tensor(circuit, theta, approx="full", backend=device, shots=10, cross=cross)
    assert len(device.submissions[0][1]) == circuits
    assert np.allclose(found, expected_metrics(circuit, theta)["full"], rtol=0, atol=1e-10)


@pytest.mark.parametrize("shots", [None, 100])
def test_an_unknown_grouping_is_named(shots):
    _, circuit, terms = problem()
    with pytest.raises(SettingError, match=r"grouping.*fully"):
        qngd.gradient(circuit, terms, np.zeros(4), shots=shots, grouping="fully")


@pytest.mark.parametrize("shots", [None, 100])
def test_an_unknown_cross_method_is_named(shots):
    _, circuit, _ = problem()
    with pytest.raises(SettingError, match=r"cross.*swap"):
        qngd.metric_tensor(circuit, np.zeros(4), approx="full", shots=shots, cross="swap")


# --- submissions ---


def test_everything_of_an_evaluation_is_one_submission():
    program, circuit, terms = problem()
    device = ExactDevice()
    evaluator = SampledEvaluator(circuit, Observable.from_mapping(terms), Setup(device, FixedShots(70)))
    found = evaluator.evaluate(program.theta, metric=Full(), seed=4)
    (templates, requests, seed) = device.submissions[0]
    assert len(device.submissions) == 1
    assert seed == 4
    assert {r.shots for r in requests} == {70}
    assert {r.template for r in requests} == set(range(len(templates)))
    assert found.cost.jobs == 1
    assert found.cost.circuits == len(requests)
    assert found.cost.shots == found.energy.shots > MANY  # those that came back
    assert evaluator.preview(program.theta, metric=Full()) == Cost(1, len(requests), 70 * len(requests))


def test_a_step_is_one_submission_with_a_seed_of_its_own():
    circuit, terms = ansatz(2, 1), {"ZZ": 1.0, "XI": 0.5}
    device = ExactDevice()
    result = qngd.minimize(circuit, terms, np.full(4, 0.4), backend=device, shots=100, seed=3, max_steps=5, tol=0)
    assert len(device.submissions) == result.steps + 1 == result.cost.jobs
    assert len({seed for _, _, seed in device.submissions}) == 6
    assert result.cost.circuits == sum(len(requests) for _, requests, _ in device.submissions)


def test_compiled_templates_can_be_kept_over_a_run():
    """The same template objects come with every submission of a run."""
    circuit, terms = ansatz(2, 1), {"ZZ": 1.0, "XI": 0.5}
    device = ExactDevice()
    qngd.minimize(circuit, terms, np.full(4, 0.4), backend=device, shots=100, seed=3, max_steps=4, tol=0)
    first = device.submissions[0][0]
    for templates, _, _ in device.submissions[1:]:
        assert {id(t) for t in templates} <= {id(t) for t in first}


class Splitting(ExactDevice):
    """At most three circuits a job, each run twice."""

    def preview(self, requests):
        shots = sum(2 * (request.shots or 0) for request in requests)
        return Cost(-(-2 * len(requests) // 3), 2 * len(requests), shots)


def test_what_a_device_makes_of_a_submission_is_announced():
    program, circuit, terms = problem()
    evaluator = SampledEvaluator(circuit, Observable.from_mapping(terms), Setup(Splitting(), FixedShots(70)))
    count = evaluator.planner.plan(program.theta, metric=Diagonal()).num_circuits
    assert evaluator.preview(program.theta, metric=Diagonal()) == Cost(-(-2 * count // 3), 2 * count, 140 * count)


def test_a_step_under_a_budget_is_planned_once(monkeypatch):
    circuit, terms = ansatz(2, 1), {"ZZ": 1.0, "XI": 0.5}
    planned = []
    plan = Planner.plan
    monkeypatch.setattr(Planner, "plan", lambda *a, **k: planned.append(1) or plan(*a, **k))
    budget = qngd.Budget(jobs=1000)
    result = qngd.minimize(circuit, terms, np.full(4, 0.4), shots=10, seed=3, max_steps=5, tol=0, budget=budget)
    assert len(planned) == result.cost.jobs == 6


# --- seeds ---


def numbers(seed, **what):
    program, circuit, terms = problem()
    evaluator = SampledEvaluator(circuit, Observable.from_mapping(terms), Setup(StatevectorSampler(), FixedShots(50)))
    found = evaluator.evaluate(program.theta, metric=BlockDiagonal(), seed=seed)
    return np.concatenate([[found.energy.value], found.gradient.value, found.metric.value.ravel()])


def test_the_same_seed_gives_the_same_numbers():
    assert np.array_equal(numbers(5), numbers(5))
    assert not np.array_equal(numbers(5), numbers(6))
    assert not np.array_equal(numbers(None), numbers(None))


@pytest.mark.parametrize("threads", [1, 3])
def test_the_same_seed_gives_the_same_run(threads, monkeypatch):
    def run(seed):
        circuit, terms = ansatz(2, 1), {"ZZ": 1.0, "XI": 0.5}
        return qngd.minimize(circuit, terms, np.full(4, 0.4), shots=100, seed=seed, max_steps=5, tol=0)

    expected = run(5)
    monkeypatch.setenv("QNGD_NUM_THREADS", str(threads))
    for same in (run(5), run(5)):
        assert np.array_equal(same.theta, expected.theta)
        assert np.array_equal(same.history, expected.history)
        assert np.array_equal(same.history_stderr, expected.history_stderr)
    assert not np.array_equal(run(6).history, expected.history)
    assert len(set(expected.history)) > 1


@pytest.mark.parametrize("seed", range(4))
def test_a_run_with_shots_ends_at_the_optimum_within_its_error(seed):
    circuit, terms = ansatz(2, 2), {"ZZ": 1.0, "XI": 0.5, "IX": 0.2}
    theta = np.random.default_rng(seed).normal(size=circuit.num_parameters)
    lowest = np.linalg.eigvalsh(dense.observable_matrix(terms))[0]
    result = qngd.minimize(circuit, terms, theta, shots=2000, seed=seed, max_steps=40)
    exact = float(qngd.expectation(circuit, terms, result.theta))
    assert exact - lowest < 0.02
    assert abs(result.energy - exact) <= 4 * result.stderr
    assert 0 < result.stderr < 0.05


# --- what is refused, and what is said ---


@pytest.mark.parametrize("shots", [0, -1, 1.5, float("nan"), True, "many", [100], "100"])
def test_bad_numbers_of_shots_are_named(shots):
    _, circuit, terms = problem()
    with pytest.raises(SettingError, match="shots"):
        qngd.expectation(circuit, terms, np.zeros(4), shots=shots)


@pytest.mark.parametrize("shots", [100, 100.0, np.int64(100), np.float64(100)])
def test_whole_numbers_of_any_type_are_taken(shots):
    program, circuit, terms = problem()
    found = qngd.expectation(circuit, terms, program.theta, shots=shots, seed=1)
    assert found.value == qngd.expectation(circuit, terms, program.theta, shots=100, seed=1).value


@pytest.mark.parametrize("backend", ["statevectors", "ibm", 3, object()])
def test_unknown_backends_are_named(backend):
    _, circuit, terms = problem()
    with pytest.raises(BackendError, match="backend"):
        qngd.expectation(circuit, terms, np.zeros(4), backend=backend, shots=10)


def test_an_energy_needs_an_observable():
    _, circuit, _ = problem()
    with pytest.raises(ObservableError, match="observable"):
        qngd.expectation(circuit, None, np.zeros(4), shots=10)


def test_expectation_values_are_not_samples():
    _, circuit, _ = problem()
    with pytest.raises(BackendError, match=r"exact means.*expectation values"):
        qngd.sample(circuit, np.zeros(4), shots=10, backend=ExactDevice("means"))


def test_noise_that_is_known_is_said():
    program, circuit, _ = problem()
    device = ExactDevice()
    assert qngd.metric_tensor(circuit, program.theta, backend=device, shots=10).note == ""
    device.is_noisy = True
    note = qngd.metric_tensor(circuit, program.theta, backend=device, shots=10).note
    assert "exact counts is noisy" in note
    assert "not the quantum Fisher information" in note
