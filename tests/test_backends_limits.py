"""A step is one batch of jobs within its provider's limits: what each holds, and that nothing is lost between."""

import math
import types
from dataclasses import replace

import numpy as np
import pennylane as qml
import pytest
from hypothesis import given
from hypothesis import strategies as st
from qiskit.primitives import BackendSamplerV2, StatevectorEstimator, StatevectorSampler
from qiskit.providers.fake_provider import GenericBackendV2
from qiskit_aer import AerSimulator
from qiskit_aer.primitives import EstimatorV2
from qiskit_ibm_runtime import fake_provider

import qngd
from qngd.backends import Limits, resolve
from qngd.backends.limits import divided
from qngd.backends.qiskit.choice import QiskitBackend, QiskitSettings, from_object
from qngd.circuit.observable import Observable
from qngd.circuit.pauli import PauliStrings
from qngd.errors import BackendError, SettingError
from qngd.evaluators.exact import ExactEvaluator
from qngd.evaluators.setup import Setup
from qngd.measured.cutting import observable_template
from qngd.measured.plan import Request
from qngd.metrics import BlockDiagonal
from qngd.run.pricing.price import cost
from tests.qiskit_devices import SERIAL, Counting, new_estimator, new_sampler
from tests.step_requests import one_request, requests_of
from tests.strategies import ansatz, examples, random_observable

# Aer reads it of IBM's fake devices.
pytestmark = pytest.mark.filterwarnings("ignore:max_circuits is deprecated:DeprecationWarning")
limit = st.one_of(st.none(), st.integers(1, 40), st.just(math.inf))


@examples(120)
@given(
    st.lists(st.tuples(st.integers(1, 30), st.integers(0, 3), st.floats(0.0, 5.0)), max_size=30),
    st.builds(Limits, circuits=limit, executions=limit, pubs=limit, seconds=limit),
)
def test_every_circuit_is_in_one_job_and_no_job_could_hold_another(circuits, limits):
    executions, pubs, seconds = (np.array(part) for part in zip(*circuits, strict=True)) if circuits else ([], [], [])
    pubs = np.sort(pubs)
    jobs = divided(limits, executions, pubs, np.array(seconds))
    assert [c for job in jobs for c in range(len(circuits))[job]] == list(range(len(circuits)))

    def fits(part):
        needs = (len(part), executions[part].sum(), len(set(pubs[part])), seconds[part].sum())
        bounds = (limits.circuits, limits.executions, limits.pubs, limits.seconds)
        return all(bound is None or need <= bound + 1e-9 for need, bound in zip(needs, bounds, strict=True))

    for job in jobs:
        held = np.arange(job.start, job.stop)
        assert len(held) == 1 or fits(held)
        if job.stop < len(circuits):
            assert not fits(np.arange(job.start, job.stop + 1)) or len(held) == 0


@pytest.mark.parametrize("value", [0, -1, 0.5, True, "many", [3], float("nan")])
def test_limits_are_checked(value):
    with pytest.raises(SettingError, match=r"limits: executions must be a whole number of at least 1, math\.inf"):
        Limits(executions=value)
    with pytest.raises(SettingError, match=r"limits must be a qngd\.backends\.Limits"):
        QiskitSettings(limits={"executions": 3})


def test_the_users_limits_come_before_what_is_known():
    known = Limits(circuits=300, executions=10_000_000)
    found = Limits(executions=math.inf, shots=50).over(known)
    assert (found.circuits, found.executions, found.shots) == (300, math.inf, 50)
    assert str(found) == "300 circuits, 50 shots a circuit"
    assert str(Limits()) == ""
    assert Limits(shots=900, executions=1000, seconds=10).most_shots(3) == 333
    assert Limits(shots=900, executions=1000, seconds=10).most_shots(2, 0.1) == 50


# --- what is known of providers ---


@pytest.mark.parametrize(
    ("make", "executions", "seconds"),
    [
        (fake_provider.FakeManilaV2, 10_000_000, 10_800),
        (lambda: new_sampler(fake_provider.FakeManilaV2()), 10_000_000, 10_800),
        (lambda: new_estimator(fake_provider.FakeManilaV2()), 10_000_000, 10_800),
        (lambda: BackendSamplerV2(backend=fake_provider.FakeManilaV2()), 10_000_000, 10_800),
        (AerSimulator, None, None),
        (lambda: GenericBackendV2(3, seed=1), None, None),
        (StatevectorSampler, None, None),
    ],
)
def test_ibms_documented_limits(make, executions, seconds):
    limits = from_object(make()).limits
    assert (limits.executions, limits.seconds) == (executions, seconds)


def test_what_a_device_says_of_itself():
    class Says(Counting):
        max_circuits = 7

    device = Says()
    device.options.set_validator("shots", (1, 500))
    assert from_object(device).limits == Limits(circuits=7, shots=500)
    assert from_object(device, limits=Limits(circuits=math.inf)).limits == Limits(circuits=math.inf, shots=500)


class PlainOptions(dict):
    """As AQT's: a mapping with attributes, without Qiskit's validators."""

    def __getattr__(self, name):
        if name not in self:
            raise AttributeError(name)
        return self[name]

    def max_shots(self):
        return 200


def test_options_that_are_not_qiskits():
    class Plain(GenericBackendV2):
        @property
        def options(self):
            return PlainOptions(shots=100)

    backend = from_object(Plain(2, seed=1))
    assert backend.limits.shots == 200
    assert backend.default_shots == 100


def test_a_limit_of_one_shot_says_nothing():
    class Ideal(GenericBackendV2):
        """As IonQ's simulator was."""

        def configuration(self):
            return types.SimpleNamespace(max_shots=1)

    assert from_object(Ideal(2, seed=1)).limits.shots is None


def test_zero_noise_extrapolation_multiplies_the_executions():
    estimator = new_estimator(fake_provider.FakeManilaV2())
    assert from_object(estimator).runs == 1
    estimator.options.resilience_level = 2
    assert from_object(estimator).runs == 3
    estimator.options.resilience.zne.noise_factors = (1, 1.5, 2, 3)
    assert from_object(estimator).runs == 4
    templates, (request,) = one_request()
    backend = from_object(estimator, limits=Limits(executions=1000))
    assert backend.preview([request] * 5, templates).jobs == 3  # two circuits of 400 executions each


# --- a step in several jobs ---

CIRCUIT = ansatz(3, 1)
THETA = np.linspace(0.3, 1.4, 6)
TERMS = random_observable(4, 3, 5)
OBSERVABLE = Observable.from_mapping(TERMS)


def evaluated(backend, **given):
    evaluator = qngd.evaluators.sampled.SampledEvaluator(CIRCUIT, OBSERVABLE, Setup(backend, given.pop("shots", 100)))
    return evaluator.evaluate(THETA, metric=BlockDiagonal(), **given)


@pytest.mark.parametrize(
    "limits",
    [Limits(circuits=7), Limits(pubs=1), Limits(executions=3 * 10**9), Limits(circuits=1)],
    ids=["circuits", "PUBs", "executions", "one circuit"],
)
@pytest.mark.parametrize("make", [StatevectorEstimator, lambda: EstimatorV2(options={"backend_options": SERIAL})])
def test_exact_values_do_not_depend_on_the_jobs(make, limits):
    """Every circuit of the step is another: one in the wrong place would show."""
    exact = ExactEvaluator(CIRCUIT, OBSERVABLE).evaluate(THETA, gradient=True, metric=BlockDiagonal())
    found = evaluated(from_object(make(), limits=limits), shots=None)
    assert found.cost.jobs > 3 or limits.executions
    assert float(found.energy.value) == pytest.approx(float(exact.energy.value), abs=1e-9)
    assert np.allclose(found.gradient, exact.gradient, atol=1e-9)
    assert np.allclose(found.metric, exact.metric, atol=1e-9)


SAMPLERS = {
    "a device": lambda limits: from_object(Counting(), limits=limits),
    "a sampler": lambda limits: from_object(StatevectorSampler(), limits=limits),
    "Aer by name": lambda limits: resolve("aer", limits=limits),
    "PennyLane's default.qubit": lambda limits: resolve(qml.device("default.qubit", wires=3), limits=limits),
    "lightning by name": lambda limits: resolve("lightning.qubit", limits=limits),
}


@pytest.mark.parametrize("make", SAMPLERS.values(), ids=SAMPLERS)
def test_sampled_steps_in_several_jobs(make):
    """Values within their errors, what it costs known before, and the same numbers from the same seed."""
    limits = Limits(circuits=30, shots=900, executions=20_000)
    exact = ExactEvaluator(CIRCUIT, OBSERVABLE).evaluate(THETA, gradient=True, metric=BlockDiagonal())
    backend = make(limits)
    found, again, other = (evaluated(backend, shots=1500, seed=seed) for seed in (5, 5, 6))
    for part in ("energy", "gradient", "metric"):
        estimate, truth = getattr(found, part), np.asarray(getattr(exact, part).value)
        assert np.all(np.abs(np.asarray(estimate.value) - truth) <= 5 * np.asarray(estimate.stderr) + 1e-9)
        assert np.array_equal(np.asarray(estimate), np.asarray(getattr(again, part)))
    assert not np.array_equal(np.asarray(found.gradient), np.asarray(other.gradient))
    price = cost(CIRCUIT, TERMS, THETA, backend=make(limits), shots=1500)
    assert (price.step.jobs, price.step.circuits, price.step.shots) == (
        found.cost.jobs, found.cost.circuits, found.cost.shots,
    )  # fmt: skip
    assert found.cost.jobs >= -(-found.cost.shots // 20_000) > 2


def test_jobs_hold_what_is_allowed_and_are_seeded_apart():
    device = Counting()
    backend = from_object(device, limits=Limits(circuits=30, shots=900, executions=20_000))
    evaluated(backend, shots=1500, seed=1)
    assert len(device.runs) > 2
    for run in device.runs:
        assert run["shots"] <= 900
        assert len(run["circuits"]) <= 30
        assert run["shots"] * len(run["circuits"]) <= 20_000
    assert len({run["seed_simulator"] for run in device.runs}) == len(device.runs)


def test_samplers_of_several_jobs_are_seeded_apart():
    """The same circuit in each: equal seeds would give equal counts."""
    templates, (request,) = one_request(3, shots=1000)
    backend = from_object(StatevectorSampler(), limits=Limits(circuits=1))
    outcomes = backend.collect(backend.submit(templates, [request] * 6, 3))
    assert len({tuple(outcome.counts) for outcome in outcomes}) > 3


def test_device_time_bounds_a_job():
    """On a fake device whose shots take some 255 µs."""
    native = fake_provider.FakeNairobiV2()
    templates, requests = requests_of(shots=1000)
    free = from_object(native, limits=Limits(seconds=math.inf))
    bounded = from_object(native, limits=Limits(seconds=1.0))
    times = np.array([f.seconds for f in free.describe(templates)]) + free.rep_delay
    per_request = 1000 * times[[request.template for request in requests]]
    assert free.preview(requests, templates).jobs == 1
    handle = bounded.prepare(templates, requests, 1)
    assert len(handle.jobs) == bounded.preview(requests, templates).jobs >= per_request.sum()
    start = 0
    for job in handle.jobs:
        assert per_request[start : start + job.circuits].sum() <= 1.0
        start += job.circuits
    assert start == len(requests)
    # a circuit that alone takes longer runs several times
    long = [replace(requests[0], shots=10_000)]
    repetitions, jobs = bounded.division(long, templates)
    assert repetitions.shots * times[requests[0].template] <= 1.0
    assert len(jobs) >= 3


def test_ten_million_executions_are_not_one_job_on_ibm():
    """As LiH with UCCSD and 4000 shots: 7475 circuits of 4000 shots."""
    templates, (request,) = one_request(2, shots=4000)
    backend = resolve("fake_nairobi")
    found = backend.preview([request] * 7475, templates)
    assert (found.jobs, found.circuits, found.shots) == (3, 7475, 29_900_000)
    assert resolve("aer").preview([request] * 7475, templates).jobs == 1


# --- what the user sees of it ---


def test_budgets_in_jobs_count_every_job_of_a_batch():
    limits = Limits(circuits=6)
    circuit, terms, theta = ansatz(2, 1), {"ZZ": 1.0, "XI": 0.5}, np.full(4, 0.4)
    given = {"shots": 50, "seed": 1, "max_steps": 9, "tol": 0}
    backend = from_object(Counting(), limits=limits)
    free = qngd.minimize(circuit, terms, theta, backend=backend, **given | {"max_steps": 2})
    assert free.cost.jobs == 6  # two for each of three submissions
    bounded = qngd.minimize(circuit, terms, theta, backend=backend, budget=qngd.Budget(jobs=5), **given)
    assert (bounded.status, bounded.steps, bounded.cost.jobs) == ("budget", 1, 4)
    price = qngd.cost(circuit, terms, theta, backend=backend, shots=50)
    assert price.rows()["jobs"] == "2 a step; a job holds at most 6 circuits, 1,000,000 shots a circuit"
    assert price.run.jobs == 202


def test_limits_belong_to_what_has_jobs():
    for embedded in (None, "statevector"):
        with pytest.raises(BackendError, match="limits: the embedded simulator has no jobs to limit"):
            resolve(embedded, limits=Limits(circuits=3))
    with pytest.raises(BackendError, match="limits: QiskitBackend is a backend already"):
        resolve(QiskitBackend(AerSimulator()), limits=Limits(circuits=3))


def test_nothing_to_run_is_no_job():
    for backend in (resolve("aer", limits=Limits(circuits=3)), resolve("default.qubit", limits=Limits(circuits=3))):
        assert backend.preview([], []).jobs == 0
        assert backend.collect(backend.submit([], [], 1)) == []


def test_pennylane_divides_the_shots_of_a_circuit():
    backend = resolve("default.qubit", limits=Limits(shots=40))
    templates, (request,) = one_request(2, shots=100)
    (outcome,) = backend.collect(backend.submit(templates, [request], 1))
    assert outcome.shots == 100
    assert backend.preview([request]).circuits == 3
    exact = [Request(0, request.angles, None)]
    assert backend.preview(exact).circuits == 1


@pytest.mark.parametrize("primitive", [StatevectorSampler, StatevectorEstimator])
def test_a_circuit_without_angles_is_a_pub_each_time_that_it_runs(primitive):
    circuit = qngd.wrap('OPENQASM 3.0; include "stdgates.inc"; input float a; qubit[2] q; h q[1]; ry(a) q[0];')
    templates = [observable_template(circuit, PauliStrings.from_labels([label])) for label in ("IZ", "ZI")]
    requests = [Request(0, np.array([0.3]), 100), Request(1, np.zeros(0), 300)]
    backend = from_object(primitive(), limits=Limits(pubs=2, shots=100))
    handle = backend.prepare(templates, requests, seed=1)
    assert [len(pubs) for pubs in handle.pubs] == [2, 2]
    assert backend.preview(requests, templates).jobs == 2
    backend.send(handle)
    assert len(backend.collect(handle)) == 2


@pytest.mark.parametrize("name", ["circuits", "shots", "executions", "pubs"])
@pytest.mark.parametrize("wrong", [1.5, 0, -3, math.nan, -math.inf, True, "3", [3]])
def test_limits_of_what_is_counted_are_whole(name, wrong):
    with pytest.raises(SettingError, match=f"limits: {name} must be a whole number of at least 1, math.inf"):
        Limits(**{name: wrong})
    for right in (1, 3.0, np.int64(7), math.inf, None):
        assert getattr(Limits(**{name: right}), name) == right


def test_limits_of_time_are_any_number():
    assert Limits(seconds=1.5).seconds == 1.5
    with pytest.raises(SettingError, match="limits: seconds must be a number of at least 1"):
        Limits(seconds=math.nan)


@pytest.mark.parametrize("name", ["aer", "lightning.qubit"])
def test_limits_that_are_none(name):
    with pytest.raises(SettingError, match=r"limits must be a qngd\.backends\.Limits, such as .*; got"):
        resolve(name, limits={"circuits": 3})


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("optimization_level", 4), ("optimization_level", 1.5), ("optimization_level", True),
        ("seed_transpiler", -1), ("seed_transpiler", 0.5), ("fractional_gates", "no"), ("is_noisy", "no"),
        ("retries", 1.5), ("retries", -1), ("retries", "a"),
        ("backoff", ()), ("backoff", 1.0), ("backoff", "abc"), ("backoff", (1.0, math.nan)), ("backoff", ("a",)),
    ],
)  # fmt: skip
def test_settings_out_of_range_are_named(name, wrong):
    """When they are given, and not when something is compiled or has failed."""
    with pytest.raises(SettingError, match=f"^{name} must be"):
        QiskitSettings(**{name: wrong})
