"""Qiskit's devices, samplers and estimators: values against the embedded simulator, what is sent, and what
fails."""

import copy
import types
import warnings
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from qiskit.circuit import Measure, Parameter
from qiskit.circuit.library import CXGate, RXGate, RZGate, RZZGate, SXGate, XGate
from qiskit.primitives import (
    BackendEstimatorV2,
    BackendSamplerV2,
    BitArray,
    DataBin,
    StatevectorEstimator,
    StatevectorSampler,
)
from qiskit.primitives.base import BaseEstimatorV2
from qiskit.providers import JobError, JobStatus, JobTimeoutError
from qiskit.providers.basic_provider import BasicSimulator
from qiskit.providers.fake_provider import GenericBackendV2
from qiskit.quantum_info import Statevector
from qiskit.transpiler import Target
from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel
from qiskit_aer.primitives import EstimatorV2, SamplerV2
from qiskit_ibm_runtime import EstimatorV2 as OldEstimator
from qiskit_ibm_runtime import IBMBackend, RuntimeJobV2, fake_provider
from qiskit_ibm_runtime import SamplerV2 as OldSampler
from qiskit_ibm_runtime.api.exceptions import RequestsApiError
from qiskit_ibm_runtime.exceptions import IBMRuntimeError

import qngd
from qngd.backends import resolve
from qngd.backends.qiskit.choice import (
    QiskitBackend,
    QiskitEstimator,
    QiskitSampler,
    QiskitSettings,
    Retry,
    from_name,
    from_object,
    known_names,
)
from qngd.backends.qiskit.circuits import build
from qngd.backends.qiskit.compile import Compiler
from qngd.backends.qiskit.device import Device
from qngd.backends.qiskit.estimator import AskedStrings, honest_errors
from qngd.backends.qiskit.jobs import Job, fetch
from qngd.circuit.observable import Observable
from qngd.circuit.pauli import PauliStrings
from qngd.errors import BackendError, QngdWarning, SettingError
from qngd.evaluators.exact import ExactEvaluator
from qngd.evaluators.sampled import SampledEvaluator
from qngd.evaluators.setup import Setup
from qngd.measured.cutting import observable_template
from qngd.measured.outcomes import Counts, Means
from qngd.measured.plan import Request
from qngd.measured.planner import Planner
from qngd.metrics import BlockDiagonal, Full
from tests.dense import run_ops, same_state
from tests.qiskit_devices import SERIAL, Counting, Unreliable, dead, new_estimator, new_sampler, without_last
from tests.step_requests import CIRCUIT, OBSERVABLE, THETA, one_request, requests_of
from tests.strategies import (
    Sketch,
    ansatz,
    examples,
    programs,
    random_observable,
)

# Aer reads it of IBM's fake devices.
pytestmark = pytest.mark.filterwarnings("ignore:max_circuits is deprecated:DeprecationWarning")
needs_angle_bounds = pytest.mark.skipif(
    not hasattr(Target, "has_angle_bounds"), reason="Qiskit before 2.2 knows no bounds of angles"
)
WITHIN = 5.0  # standard errors


def exactly(circuit=CIRCUIT, theta=THETA, observable=OBSERVABLE):
    return ExactEvaluator(circuit, observable).evaluate(theta, gradient=True, metric=BlockDiagonal())


def sampled(native, shots, seed=5, circuit=CIRCUIT, theta=THETA, observable=OBSERVABLE, **what):
    evaluator = SampledEvaluator(circuit, observable, Setup(from_object(native), shots))
    return evaluator.evaluate(theta, seed=seed, **({"gradient": True, "metric": BlockDiagonal()} | what))


def agrees(estimate, exact, within=WITHIN):
    """Whether every entry is within this many standard errors, where it has one, of the exact one."""
    deviation = np.abs(np.asarray(estimate) - np.asarray(exact))
    return bool(np.all(deviation <= within * np.asarray(estimate.stderr) + 1e-9))


# --- circuits ---


@examples(60)
@given(programs(max_qubits=5), st.randoms(use_true_random=False))
def test_a_template_becomes_the_same_unitary(program, random):
    circuit = program.circuit()
    rng = np.random.default_rng(random.randrange(2**32))
    for template in requests_of(circuit, program.theta, Observable.from_mapping({"Y" * program.num_qubits: 1.0}))[0]:
        angles = rng.normal(size=len(template.rotations))
        bound = build(template, measure=False).assign_parameters(angles)
        ours = types.SimpleNamespace(num_qubits=template.num_qubits, ops=template.all_ops)
        assert same_state(Statevector(bound).data, run_ops(ours, angles[None])[0])


@pytest.mark.parametrize("letters", [a + b for a in "XYZ" for b in "XYZ"] + ["YXZY", "ZZZ", "XYX"])
def test_every_pair_of_letters(letters):
    sketch = Sketch(5)
    for q in range(5):
        sketch("ry", q, 0.3 + 0.4 * q)("rz", q, 1.1 - 0.3 * q)
    sketch.builder.rotation(letters, (3, 1, 4, 0)[: len(letters)], 0.7)
    sketch.builder.rotation(letters, (0, 4, 1, 2)[: len(letters)], np.pi / 2)
    circuit = sketch.circuit()
    template = observable_template(circuit, PauliStrings.from_labels(["YXZXY"]))
    angles = circuit.angle_map(np.zeros(0))[template.rotations]
    bound = build(template, measure=False).assign_parameters(angles)
    ours = types.SimpleNamespace(num_qubits=5, ops=template.all_ops)
    assert same_state(Statevector(bound).data, run_ops(ours, angles[None])[0])


def test_only_the_qubits_that_are_read_are_measured():
    templates, _ = one_request(5, label="ZIIZI")
    circuit = build(templates[0], measure=True)
    measured = [
        (circuit.find_bit(m.qubits[0]).index, circuit.find_bit(m.clbits[0]).index)
        for m in circuit.data
        if m.operation.name == "measure"
    ]
    assert measured == [(1, 0), (4, 1)]


# --- values ---

SAMPLERS = {
    "BackendV2": lambda: AerSimulator(**SERIAL),
    "BasicSimulator": BasicSimulator,
    "StatevectorSampler": StatevectorSampler,
    "BackendSamplerV2": lambda: BackendSamplerV2(backend=AerSimulator(**SERIAL)),
    "Aer's sampler": lambda: SamplerV2(options={"backend_options": SERIAL}),
    "Aer with a coupling map": lambda: _aer_with_coupling(),
    "coupled qubits": lambda: _coupled(),
}


def _aer_with_coupling():
    if not hasattr(Target, "has_angle_bounds"):
        pytest.skip("Qiskit 2.0 does not compile for it")
    return AerSimulator(coupling_map=[[0, 1], [1, 2], [2, 3]], **SERIAL)


def _coupled():
    """Six qubits in a row with a branch, without noise."""
    target = Target(num_qubits=6)
    for gate in (RZGate(Parameter("angle")), SXGate(), XGate(), Measure()):
        target.add_instruction(gate, {(q,): None for q in range(6)})
    edges = [(0, 1), (1, 2), (2, 3), (1, 4), (4, 5)]
    target.add_instruction(CXGate(), dict.fromkeys(edges))
    return Counting(target=target)


ESTIMATORS = {
    "StatevectorEstimator": StatevectorEstimator,
    "BackendEstimatorV2": lambda: BackendEstimatorV2(backend=AerSimulator(**SERIAL)),
    "Aer's estimator": lambda: EstimatorV2(options={"backend_options": SERIAL}),
}


@pytest.mark.parametrize("make", (SAMPLERS | ESTIMATORS).values(), ids=SAMPLERS | ESTIMATORS)
def test_values_agree_within_their_errors(make):
    exact = exactly()
    found = sampled(make(), 1500)
    assert agrees(found.energy, exact.energy)
    assert agrees(found.gradient, exact.gradient)
    assert agrees(found.metric, exact.metric)
    assert found.energy.stderr > 0
    assert np.all(np.asarray(found.gradient.stderr)[np.abs(exact.gradient.value) > 0.1] > 0)


@pytest.mark.parametrize("make", SAMPLERS.values(), ids=SAMPLERS)
def test_metric_from_counts_is_positive(make):
    circuit = ansatz(3, 1)
    evaluator = SampledEvaluator(circuit, None, Setup(from_object(make()), 20))
    theta = np.linspace(-1, 1, circuit.num_parameters)
    for seed in range(3):
        assert evaluator.metric(theta, BlockDiagonal(), seed).eigenvalues[0] > -1e-12


@pytest.mark.parametrize("make", SAMPLERS.values(), ids=SAMPLERS)
def test_bits_belong_to_their_qubits(make):
    program = 'OPENQASM 3.0; include "stdgates.inc"; input float a; qubit[5] q; x q[1]; cx q[1], q[4]; ry(a) q[2];'
    counts = qngd.sample(program, [0.6], shots=400, backend=make(), seed=1)
    assert set(counts) == {"10010", "10110"}
    assert counts["10110"] / 400 == pytest.approx(np.sin(0.3) ** 2, abs=0.06)


def test_a_full_metric_by_hadamard_tests_has_its_ancilla():
    circuit = ansatz(2, 2)
    theta = np.linspace(-1, 1, circuit.num_parameters)
    evaluator = SampledEvaluator(circuit, None, Setup(from_object(AerSimulator(**SERIAL)), 1000))
    exact = ExactEvaluator(circuit, None).metric(theta, Full())
    found = evaluator.metric(theta, Full(), 3)
    assert np.abs(np.asarray(found) - np.asarray(exact)).max() < 0.06


def test_exact_values_of_exact_estimators():
    exact = exactly()
    for make in (StatevectorEstimator, EstimatorV2):
        found = sampled(make(), None)
        assert found.energy.value == pytest.approx(exact.energy.value, abs=1e-9)
        assert np.allclose(found.gradient, exact.gradient, atol=1e-9)
        assert np.allclose(found.metric, exact.metric, atol=1e-9)
        assert found.energy.is_exact


def test_errors_of_an_estimator_are_those_of_its_noise():
    templates, requests = one_request(3, shots=400, label="ZIZ")
    backend = from_object(StatevectorEstimator())
    values = []
    for seed in range(300):
        (means,) = backend.collect(backend.submit(templates, requests, seed))
        assert means.stderr == pytest.approx(0.05)
        assert means.shots == 400
        values.append(means.values[0])
    assert np.std(values) == pytest.approx(0.05, rel=0.15)


def test_products_of_strings_and_the_identity():
    """Z0, Z0·Z2, and their products: where two strings are equal the product is exactly 1."""
    sketch = Sketch(3)
    circuit = sketch("ry", 0, 0.5)("ry", 1, 1.1)("ry", 2, -0.7)("cx", 0, 2).circuit()
    reads = PauliStrings.from_labels(["IIZ", "ZIZ", "ZIZ"])
    template = replace(observable_template(circuit, reads), pairs=True)
    request = Request(0, circuit.angle_map(np.zeros(0))[template.rotations], None)
    backend = from_object(StatevectorEstimator())
    (means,) = backend.collect(backend.submit([template], [request], None))
    z0, z02 = np.cos(0.5), np.cos(0.7)  # after CX, Z0·Z2 is the old Z2
    assert means.values == pytest.approx([z0, z02, z02, z0 * z02, z0 * z02, 1.0])
    (noisy,) = backend.collect(backend.submit([template], [replace(request, shots=100)], 1))
    assert noisy.values[5] == 1.0
    assert noisy.stderr[5] == 0.0
    assert noisy.stderr[:5] == pytest.approx(0.1)


def test_observables_follow_the_layout():
    device = Device(fake_provider.FakeKawasaki(), "x", QiskitSettings())
    templates, _ = one_request(3, label="ZIZ")
    (compiled,) = Compiler(device, measure=False).compile(templates)
    (label,) = AskedStrings.of(templates[0], compiled).observables
    places = {q for q, letter in enumerate(reversed(label)) if letter == "Z"}
    assert len(label) == 127
    assert places == {compiled.layout[0], compiled.layout[2]}


@pytest.mark.parametrize(
    ("reported", "honest"),
    [
        ([0.0, 0.0, 0.0], [0.1, 0.1, 0.1]),  # reports none
        ([0.2, 0.15, 0.1], [0.2, 0.15, 0.1]),
        ([0.2, 1e-4, 0.1], [0.2, 0.08, 0.1]),  # below shot noise
        ([0.2, np.inf, np.nan], [0.2, 0.2, 0.2]),
        ([7.0, np.inf, 0.1], [7.0, 1.0, 0.1]),
        ([np.nan, np.nan, np.nan], [0.1, 0.1, 0.1]),  # reports none
        ([np.inf, np.inf, 0.0], [1.0, 1.0, 0.0]),
    ],
)
def test_errors_that_cannot_be_right_are_corrected(reported, honest):
    values = [np.array([[0.0, 0.6]]), np.array([[-1.0]])]
    errors = [np.array([reported[:2]]), np.array([reported[2:]])]
    corrected = honest_errors(values, errors, 0.1)
    assert np.concatenate([c.ravel() for c in corrected]) == pytest.approx(honest)


# --- what is sent ---


def test_a_step_is_one_run_of_all_circuits():
    device = Counting()
    evaluator = SampledEvaluator(CIRCUIT, OBSERVABLE, Setup(from_object(device), 50))
    for step in range(1, 4):
        evaluation = evaluator.evaluate(THETA, gradient=True, metric=BlockDiagonal(), seed=step)
        assert len(device.runs) == step
        assert len(device.runs[-1]["circuits"]) == evaluation.cost.circuits
        assert device.runs[-1]["shots"] == 50
    assert evaluation.cost.jobs == 1


def real_amplitudes(n, reps):
    sketch = Sketch(n, n * (reps + 1))
    angles = iter(sketch.t)
    for layer in range(reps + 1):
        for q in range(n):
            sketch("ry", q, next(angles))
        for q in range(n - 1 if layer < reps else 0):
            sketch("cx", q, q + 1)
    return sketch.circuit()


def test_metric_of_sixteen_parameters_is_four_circuits():
    device = Counting()
    circuit = real_amplitudes(4, 3)
    qngd.metric_tensor(circuit, np.linspace(0, 1, 16), backend=device, shots=100)
    assert [len(run["circuits"]) for run in device.runs] == [4]


def test_metric_of_maxcut_is_two_circuits_a_layer():
    device = Counting()
    for edges in ([(0, 1), (1, 2)], [(0, 1), (1, 2), (2, 3), (0, 3), (0, 2)]):
        sketch = Sketch(4, 4)
        for q in range(4):
            sketch("h", q)
        for p in range(2):
            for a, b in edges:
                sketch("rzz", a, b, sketch.t[2 * p])
            for q in range(4):
                sketch("rx", q, sketch.t[2 * p + 1])
        qngd.metric_tensor(sketch.circuit(), [0.1, 0.2, 0.3, 0.4], backend=device, shots=100)
        assert len(device.runs[-1]["circuits"]) == 4


@pytest.mark.parametrize("make", [Counting, lambda: StatevectorSampler(), StatevectorEstimator])
def test_requests_with_different_shots_share_the_job(make):
    native = make()
    backend = from_object(native)
    templates, requests = requests_of()
    # of a tenth, where a start is worth more beside shots, 134, 268 and 402 cost less
    wanted = [(1000, 2500, 4000)[r % 3] for r in range(len(requests))]
    requests = [replace(request, shots=s) for request, s in zip(requests, wanted, strict=True)]
    handle = backend.submit(templates, requests, 1)
    outcomes = backend.collect(handle)
    assert len(handle.jobs) == 1
    shots = [outcome.shots for outcome in outcomes]
    assert all(got >= asked for got, asked in zip(shots, wanted, strict=True))
    assert sum(shots) <= 1.05 * sum(wanted)
    assert handle.cost.shots == sum(shots)
    if isinstance(native, Counting):
        assert len(native.runs) == 1
        assert all(len(np.unique(o.bits, axis=0)) == len(o.bits) for o in outcomes)


def test_errors_shrink_with_the_shots_of_each_request():
    templates, (request,) = one_request()
    backend = from_object(StatevectorEstimator())
    asked = [replace(request, shots=shots) for shots in (100, 300)]
    few, many = backend.collect(backend.submit(templates, asked, 1))
    assert few.stderr == pytest.approx(0.1)
    assert many.stderr == pytest.approx(0.1 / np.sqrt(3))


class Limited(Counting):
    max_circuits = 4


def test_a_limit_on_circuits_splits_the_step_and_seeds_the_parts_apart():
    device = Limited()
    backend = from_object(device)
    templates, requests = one_request()
    requests = requests * 10
    handle = backend.submit(templates, requests, 3)
    assert [len(run["circuits"]) for run in device.runs] == [4, 4, 2]
    assert len({run["seed_simulator"] for run in device.runs}) == 3
    assert handle.num_jobs == handle.cost.jobs == 3
    assert handle.num_circuits == handle.cost.circuits == 10
    assert len(set(handle.job_ids)) == 3
    assert [outcome.shots for outcome in backend.collect(handle)] == [100] * 10


@pytest.mark.parametrize("make", [Counting, Limited, lambda: StatevectorSampler(), StatevectorEstimator])
def test_what_a_submission_will_cost_is_known_before(make):
    backend = from_object(make())
    templates, (request,) = one_request()
    requests = [replace(request, shots=shots) for shots in (100, 250, 400, 100, 100)]
    announced = backend.preview(requests)
    assert announced == backend.submit(templates, requests, 1).cost
    assert announced.circuits > len(requests)
    assert announced.jobs == (-(-announced.circuits // 4) if make is Limited else 1)


def test_nothing_to_run():
    for make in (Counting, StatevectorSampler, StatevectorEstimator):
        backend = from_object(make())
        handle = backend.submit([], [], 1)
        assert backend.collect(handle) == []
        assert handle.cost.jobs == 0


# --- seeds ---


def bits_of(native, seed, times=1):
    backend = from_object(native)
    circuit = ansatz(2, 1)
    templates, requests = requests_of(circuit, np.full(4, 0.4), Observable.from_mapping({"ZX": 1.0}))
    found = []
    for _ in range(times):
        outcomes = backend.collect(backend.submit(templates, requests, seed))
        arrays = [(o.bits, o.counts) if isinstance(o, Counts) else (o.values,) for o in outcomes]
        found.append(b"".join(a.tobytes() for arrays_ in arrays for a in arrays_))
    return found


SEEDED = {
    "BackendV2": lambda **seed: AerSimulator(**SERIAL, **{f"{k}_simulator": v for k, v in seed.items()}),
    "StatevectorSampler": StatevectorSampler,
    "StatevectorEstimator": StatevectorEstimator,
    "BackendSamplerV2": lambda **seed: BackendSamplerV2(
        backend=AerSimulator(**SERIAL), options={f"{k}_simulator": v for k, v in seed.items()}
    ),
    "BackendEstimatorV2": lambda **seed: BackendEstimatorV2(
        backend=AerSimulator(**SERIAL), options={f"{k}_simulator": v for k, v in seed.items()}
    ),
    "Aer's sampler": lambda **seed: SamplerV2(options={"backend_options": SERIAL}, **seed),
    "Aer's estimator": lambda **seed: EstimatorV2(
        options={"backend_options": SERIAL, "run_options": {f"{k}_simulator": v for k, v in seed.items()}}
    ),
}


@pytest.mark.parametrize("make", SEEDED.values(), ids=SEEDED)
def test_the_same_seed_gives_the_same_numbers_and_another_seed_others(make):
    (first,), (again,), (other,) = bits_of(make(), 7), bits_of(make(), 7), bits_of(make(), 8)
    assert first == again
    assert first != other


@pytest.mark.parametrize("name", ["aer", "fake_manila"])
def test_the_same_seed_gives_the_same_run(name):
    """Bit for bit, also with AutoShots, on a simulator made anew."""

    def run(seed):
        circuit, terms = ansatz(2, 1), {"ZZ": 1.0, "XI": 0.5}
        how = {"backend": name, "shots": qngd.AutoShots(4000), "max_steps": 2, "tol": 0}
        return qngd.minimize(circuit, terms, np.full(4, 0.4), seed=seed, **how)

    first, again, other = run(5), run(5), run(6)
    assert np.array_equal(first.theta, again.theta)
    assert np.array_equal(first.history, again.history)
    assert len(set(first.history)) == 3
    assert not np.array_equal(first.history, other.history)


@pytest.mark.parametrize("mode", ["Batch", "Session"])
def test_ibms_primitives_in_batch_and_session(mode):
    """The mode belongs to the primitive; local ones take it too."""
    runtime = pytest.importorskip("qiskit_ibm_runtime")
    fake = pytest.importorskip("qiskit_ibm_runtime.fake_provider").FakeManilaV2()
    circuit, terms = ansatz(2, 1), {"ZZ": 1.0}
    exact = float(qngd.expectation(circuit, terms, np.full(4, 0.4)))
    with getattr(runtime, mode)(backend=fake) as opened:
        found = qngd.expectation(circuit, terms, np.full(4, 0.4), backend=new_sampler(opened), shots=4000, seed=1)
    assert abs(found.value - exact) < 0.15  # its noise


@pytest.mark.parametrize("make", SEEDED.values(), ids=SEEDED)
def test_a_seed_that_the_user_fixed_does_not_repeat_the_noise(make):
    first, second = bits_of(make(seed=5), None, times=2)
    assert first != second
    assert [first, second] == bits_of(make(seed=5), None, times=2)


def test_the_users_primitive_is_left_as_it_was():
    native = StatevectorSampler(seed=5)
    bits_of(native, 7)
    assert native.seed == 5
    sampler = SamplerV2(seed=5)
    bits_of(sampler, 7)
    assert sampler.seed == 5


class Stubborn(BaseEstimatorV2):
    """An estimator that nothing is known of but its fixed seed."""

    seed = 3

    def run(self, pubs, *, precision=None):
        return StatevectorEstimator(seed=self.seed).run(pubs, precision=precision)


def test_a_fixed_seed_that_cannot_be_changed_is_warned_about():
    backend = from_object(Stubborn())
    templates, requests = one_request()
    with pytest.warns(QngdWarning, match="Stubborn has a fixed seed and returns the same noise"):
        backend.submit(templates, requests, 1)


def test_a_run_repeats_bit_for_bit_on_aer():
    circuit = ansatz(2, 1)
    runs = [
        qngd.minimize(
            circuit, {"ZZ": 1.0, "XI": 0.4}, [0.2] * 4, backend=AerSimulator(**SERIAL), shots=100,
            max_steps=3, tol=0, seed=11,
        )
        for _ in range(2)
    ]  # fmt: skip
    assert np.array_equal(runs[0].history, runs[1].history)
    assert np.array_equal(runs[0].theta, runs[1].theta)


# --- devices ---


@pytest.mark.parametrize(("level", "measure"), [(1, True), (1, False), (2, True), (3, False)])
def test_all_templates_are_pinned_to_the_same_physical_qubits(level, measure):
    settings = QiskitSettings(optimization_level=level)
    native = fake_provider.FakeKawasaki()
    backend = from_object(native, settings) if measure else from_object(BackendEstimatorV2(backend=native), settings)
    circuit = ansatz(4, 2)
    theta = np.linspace(-1, 1, circuit.num_parameters)
    planner = Planner(circuit, Observable.from_mapping(random_observable(0, 4, 4)))
    first = planner.plan(theta, gradient=False).templates
    step = planner.plan(theta, metric=Full()).templates
    assert len({made.layout for made in backend._compiler.compile(first)}) == 1
    layouts = [made.layout for made in backend._compiler.compile(step)]
    assert {len(layout) for layout in layouts} == {4, 5}  # with and without an ancilla
    assert len({layout for layout in layouts if len(layout) == 4}) == 1
    used = {
        made.circuit.find_bit(qubit).index
        for made in backend._compiler.compile(first)
        for instruction in made.circuit.data
        for qubit in instruction.qubits
    }
    assert used <= set(layouts[0])


def test_templates_with_an_ancilla_first_share_its_layout():
    backend = from_object(fake_provider.FakeKawasaki())
    circuit = ansatz(3, 2)
    theta = np.linspace(-1, 1, circuit.num_parameters)
    templates = Planner(circuit, None).plan(theta, energy=False, gradient=False, metric=Full()).templates
    layouts = {made.layout for made in backend._compiler.compile(templates)}
    (long,) = (layout for layout in layouts if len(layout) == 4)
    assert {layout[:3] for layout in layouts} == {long[:3]}


def test_templates_are_compiled_once():
    backend = from_object(AerSimulator(**SERIAL))
    templates, requests = requests_of()
    backend.submit(templates, requests, 1)
    first = backend._compiler.compile(templates)
    backend.submit(templates, requests, 2)
    assert all(a is b for a, b in zip(first, backend._compiler.compile(templates), strict=True))


def test_a_noisy_device_gives_what_its_exact_simulation_says():
    fake = fake_provider.FakeNairobiV2()
    noise = NoiseModel.from_backend(fake, readout_error=False)  # exact values would not see readout errors
    device = AerSimulator.from_backend(fake, noise_model=noise, method="density_matrix", **SERIAL)
    circuit = ansatz(3, 3)
    step = {
        "circuit": circuit,
        "theta": np.linspace(-0.1, 0.2, circuit.num_parameters),
        "observable": Observable.from_mapping({"ZZZ": 1.0}),
    }
    exact = sampled(EstimatorV2.from_backend(device), None, **step)
    found = sampled(device, 8000, **step)
    assert agrees(found.energy, exact.energy)
    assert agrees(found.gradient, exact.gradient)
    assert agrees(found.metric, exact.metric)
    assert not agrees(found.energy, exactly(**step).energy)  # the noise is seen


IBM = {
    "BackendV2": lambda native: native,
    "Sampler": lambda native: new_sampler(native),
    "SamplerV2": lambda native: _without_deprecation(OldSampler, native),
    "EstimatorV2": lambda native: _without_deprecation(OldEstimator, native),
}


def _without_deprecation(primitive, native):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return primitive(mode=native)


@pytest.mark.parametrize("make", IBM.values(), ids=IBM)
def test_ibm_fake_devices(make):
    native = make(fake_provider.FakeManilaV2())
    backend = from_object(native)
    assert backend.is_noisy
    circuit = real_amplitudes(2, 1)
    theta = np.array([0.3, -0.5, 0.8, 0.2])
    observable = Observable.from_mapping({"ZZ": 1.0, "XI": 0.5})
    exact = exactly(circuit, theta, observable)
    found = sampled(native, 1000, circuit=circuit, theta=theta, observable=observable)
    assert abs(found.energy.value - exact.energy.value) < 0.2 + WITHIN * found.energy.stderr
    assert np.allclose(found.metric, exact.metric, atol=0.06)


def test_a_run_on_the_new_estimator_with_readout_mitigation():
    estimator = new_estimator(fake_provider.FakeManilaV2())
    assert estimator.options.resilience_level == 1  # TREX
    estimator.options.simulator.seed_simulator = 7
    circuit = real_amplitudes(2, 1)
    observable = {"ZZ": 1.0, "XI": 0.5}
    theta = np.array([0.3, 0.2, 0.1, 0.4])
    result = qngd.minimize(circuit, observable, theta, backend=estimator, shots=500, max_steps=2, tol=0, seed=3)
    assert result.steps == 2
    assert result.energy <= result.history[0]
    for at, found, stderr in (
        (theta, result.history[0], result.history_stderr[0]),
        (result.theta, result.energy, result.stderr),
    ):
        exact = qngd.expectation(circuit, observable, at).value
        assert abs(found - exact) < 0.15 + WITHIN * stderr


def test_zero_noise_extrapolation_on_the_new_estimator():
    estimator = new_estimator(fake_provider.FakeManilaV2())
    estimator.options.resilience_level = 2
    estimator.options.simulator.seed_simulator = 7
    circuit = real_amplitudes(2, 1)
    found = qngd.expectation(circuit, {"ZZ": 1.0}, [0.3, 0.2, 0.1, 0.4], backend=estimator, shots=500)
    exact = qngd.expectation(circuit, {"ZZ": 1.0}, [0.3, 0.2, 0.1, 0.4])
    assert np.isfinite(found.stderr)
    assert agrees(found, exact)


def test_forty_qubits_on_matrix_product_states():
    n = 40
    edges = [(q, (q + 1) % n) for q in range(n)]
    sketch = Sketch(n, 2)
    for q in range(n):
        sketch("h", q)
    for a, b in edges:
        sketch("rzz", a, b, sketch.t[0])
    for q in range(n):
        sketch("rx", q, sketch.t[1])
    terms = {"".join("Z" if n - 1 - q in edge else "I" for q in range(n)): 1.0 for edge in edges}
    device = AerSimulator(method="matrix_product_state", max_parallel_experiments=0)
    found = sampled(
        device, 20, circuit=sketch.circuit(), theta=np.array([0.4, 0.3]),
        observable=Observable.from_mapping(terms),
    )  # fmt: skip
    # a ring of 40 at depth 1: E = 40·½·sin 2γ·sin 4β in the usual angles, here t0 = 2γ, t1 = 2β
    assert agrees(found.energy, 0.5 * n * np.sin(0.4) * np.sin(0.6) * 1.0)
    assert np.all(np.isfinite(found.gradient))
    assert found.metric.eigenvalues[0] > 0


def test_footprint_on_the_device():
    backend = from_name("fake_nairobi")
    templates, _ = requests_of(real_amplitudes(4, 3), np.linspace(0, 1, 16), OBSERVABLE)
    footprints = backend.describe(templates)
    assert [f.two_qubit_gates for f in footprints[-4:]] == [0, 3, 6, 9]
    full = max(footprints, key=lambda f: f.depth)
    assert 5 <= full.two_qubit_depth <= full.two_qubit_gates  # a staircase of three, three times
    assert 6e-6 < full.seconds < 15e-6  # there a CX takes some 0.3 µs and the readout 5 µs
    assert backend.rep_delay == pytest.approx(250e-6)
    assert from_object(StatevectorSampler()).describe(templates)[-1].seconds is None


@pytest.mark.parametrize(
    ("make", "is_noisy"),
    [
        (lambda: AerSimulator(), False),
        (lambda: BasicSimulator(), False),
        (lambda: StatevectorEstimator(), False),
        (lambda: AerSimulator(noise_model=NoiseModel()), True),
        (lambda: AerSimulator.from_backend(fake_provider.FakeManilaV2()), True),
        (lambda: AerSimulator.from_backend(fake_provider.FakeManilaV2(), noise_model=None), False),
        (lambda: fake_provider.FakeManilaV2(), True),
        (lambda: GenericBackendV2(3, seed=1), True),
        (lambda: GenericBackendV2(3, seed=1, noise_info=False), False),
        (lambda: GenericBackendV2(3, seed=1, noise_info=False, coupling_map=[[0, 1], [1, 2]]), True),
        (lambda: new_sampler(fake_provider.FakeManilaV2()), True),
        (lambda: SamplerV2.from_backend(fake_provider.FakeManilaV2()), True),
        (lambda: EstimatorV2(), False),
    ],
)
def test_noise_is_known(make, is_noisy):
    native = make()
    assert from_object(native).is_noisy is is_noisy
    assert from_object(native, QiskitSettings(is_noisy=not is_noisy)).is_noisy is not is_noisy


@needs_angle_bounds
def test_gates_of_bounded_angle_are_left_out_unless_wanted():
    backend = from_object(fake_provider.FakeFractionalBackend())
    templates, requests = _rzz_requests(0.4)
    assert "rzz" not in backend._compiler.compile(templates)[0].circuit.count_ops()
    backend.collect(backend.submit(templates, requests, 1))


def _rzz_requests(angle):
    sketch = Sketch(2, 1)
    circuit = sketch("h", 0)("h", 1)("rzz", 0, 1, sketch.t[0])("h", 0)("h", 1).circuit()
    template = observable_template(circuit, PauliStrings.from_labels(["ZZ", "IZ"]))
    return [template], [Request(0, np.array([angle]), 100)]


def _fractional_device():
    """A device with RZZ from 0 to π/2."""
    angle = Parameter("angle")
    target = Target(num_qubits=2)
    for gate in (RZGate(angle), RXGate(angle), SXGate(), XGate(), Measure()):
        target.add_instruction(gate, {(q,): None for q in range(2)})
    target.add_instruction(CXGate(), {(0, 1): None, (1, 0): None})
    target.add_instruction(RZZGate(angle), {(0, 1): None}, angle_bounds=[(0, np.pi / 2)])
    return Counting(target=target)


@needs_angle_bounds
def test_an_angle_that_the_device_refuses_is_named_before_submission():
    device = _fractional_device()
    backend = from_object(device, QiskitSettings(fractional_gates=True))
    templates, requests = _rzz_requests(0.4)
    backend.submit(templates, requests, 1)
    templates, requests = _rzz_requests(-0.4)
    with pytest.raises(BackendError, match=r"refuses rzz\(-0\.4\) on qubits 0, 1 of request 0; use fractional"):
        backend.submit(templates, requests, 1)
    assert len(device.runs) == 1


# --- refused before submission ---


def test_too_few_qubits():
    device = Counting()
    templates, requests = one_request(device.num_qubits + 1)
    with pytest.raises(BackendError, match=r"qubits, the circuit needs \d+; AerSimulator\(method="):
        from_object(device).submit(templates, requests, 1)
    assert device.runs == []
    templates, requests = one_request(6)
    with pytest.raises(BackendError, match=r"fake_manila has 5 qubits, the circuit needs 6$"):
        from_name("fake_manila").submit(templates, requests, 1)
    with pytest.raises(BackendError, match="Sampler on fake_manila has 5 qubits"):
        from_object(new_sampler(fake_provider.FakeManilaV2())).submit(templates, requests, 1)


def test_a_circuit_that_needs_more_shots_than_the_device_allows_runs_several_times():
    device = Counting()
    device.options.set_validator("shots", (1, 50))
    templates, requests = one_request(shots=120)
    backend = from_object(device)
    (outcome,) = backend.collect(backend.submit(templates, requests, 1))
    assert outcome.shots == 120
    assert [(len(run["circuits"]), run["shots"]) for run in device.runs] == [(3, 40)]
    templates, requests = one_request(shots=100_001)
    repetitions, _ = from_name("fake_nairobi").division(requests)
    assert (repetitions.shots, repetitions.copies.tolist()) == (50_001, [2])


@pytest.mark.parametrize("make", [Counting, StatevectorSampler, lambda: BackendEstimatorV2(backend=AerSimulator())])
def test_exact_values_from_a_device_with_shots(make):
    templates, requests = one_request(shots=None)
    with pytest.raises(BackendError, match="needs a number of shots"):
        from_object(make()).submit(templates, requests, 1)


def test_samples_from_an_estimator():
    with pytest.raises(BackendError, match="StatevectorEstimator returns expectation values, not samples"):
        qngd.sample(CIRCUIT, THETA, shots=10, backend=StatevectorEstimator())


def test_a_circuit_that_cannot_be_compiled():
    target = Target(num_qubits=2)
    target.add_instruction(XGate(), {(0,): None, (1,): None})
    device = Counting(target=target)
    templates, requests = one_request()
    with pytest.raises(BackendError, match="Qiskit cannot compile a circuit for aer_simulator"):
        from_object(device).submit(templates, requests, 1)


@pytest.mark.parametrize("setting", [{"optimization_level": 4}, {"optimization_level": -1}])
def test_settings_are_checked(setting):
    with pytest.raises(SettingError, match="optimization_level"):
        QiskitSettings(**setting)


# --- failures ---


class Naps(list):
    def __call__(self, seconds):
        self.append(seconds)


def run_on(device, requests=2, **retry):
    """The outcomes of some requests on an unreliable device, and the seconds slept."""
    naps = Naps()
    backend = from_object(device, retry=Retry(sleep=naps, **retry))
    templates, (request,) = one_request()
    handle = backend.submit(templates, [request] * requests, 1)
    return backend.collect(handle), handle, naps


def test_a_refused_submission_is_tried_again_where_the_network_failed():
    device = Unreliable(ConnectionError("no route"), TimeoutError("slow"))
    outcomes, handle, naps = run_on(device)
    assert [outcome.shots for outcome in outcomes] == [100, 100]
    assert naps == [1.0, 4.0]
    assert len(device.runs) == 3
    assert handle.cost.jobs == 1


def test_a_refused_circuit_ends_the_run_with_what_the_provider_said():
    device = Unreliable(ValueError("gate foo is not supported"))
    with pytest.raises(BackendError, match="aer_simulator refused the job: ValueError: gate foo is not supported"):
        run_on(device)
    assert len(device.runs) == 1


def test_a_lost_connection_while_waiting_does_not_send_the_job_again():
    device = Unreliable({"errors": (ConnectionError("reset"), JobTimeoutError("waited 60 s"))})
    outcomes, _, naps = run_on(device)
    assert len(outcomes) == 2
    assert naps == [1.0, 4.0]
    assert len(device.runs) == 1
    assert device.jobs[0].asked == 3


def test_a_failed_job_is_sent_again_where_the_provider_says_so():
    device = Unreliable(dead("Error code 5203; failed to run job"), dead("Error code 1010; at backend level"))
    outcomes, handle, naps = run_on(device)
    assert [outcome.shots for outcome in outcomes] == [100, 100]
    assert naps == [1.0, 4.0]
    assert len(device.runs) == 3
    assert handle.cost.jobs == 3
    assert device.runs[0]["seed_simulator"] == device.runs[2]["seed_simulator"]
    assert handle.job_ids == [device.jobs[-1].job_id()]


@pytest.mark.parametrize(
    "plan",
    [
        dead("Error code 1305; ran too long"),
        dead("qubit 3 has left the building"),
        {"errors": (JobError("Job was cancelled."),), "status": JobStatus.CANCELLED},
    ],
)
def test_a_job_that_failed_for_good_says_what_the_provider_said(plan):
    device = Unreliable(plan)
    with pytest.raises(BackendError, match=r"aer_simulator: job id-of-\w+ failed: JobError") as caught:
        run_on(device)
    assert str(plan["errors"][0].message) in str(caught.value)
    assert len(device.runs) == 1


def test_a_failure_that_stays_ends_the_run():
    device = Unreliable(*[dead("Error code 5203; failed")] * 4)
    with pytest.raises(BackendError, match=r"failed \(tried 3 times\): JobError: .*5203"):
        run_on(device, retries=2)
    assert len(device.runs) == 3


def test_half_a_result_names_the_requests_that_are_missing():
    device = Unreliable({"change": without_last})
    with pytest.raises(BackendError, match="returned 2 results for 3 circuits; missing are those of requests 2"):
        run_on(device, requests=3)


def test_a_simulation_that_failed_names_the_request():
    class OutOfMemory(Counting):
        def run(self, circuits, **options):
            return super().run(circuits, max_memory_mb=1, method="density_matrix", **options)

    templates, requests = one_request(14)
    backend = from_object(OutOfMemory())
    with pytest.raises(BackendError, match=r"(?s)aer_simulator.*(Insufficient|insufficient|memory)"):
        backend.collect(backend.submit(templates, requests, 1))


class HalfSampler(StatevectorSampler):
    """Loses the last PUB, or the last rows of each."""

    def __init__(self, lose):
        super().__init__()
        self.lose = lose

    def run(self, pubs, *, shots=None):
        job = super().run(pubs, shots=shots)
        results = list(job.result())
        if self.lose == "pub":
            results = results[:-1]
        else:
            cut = [BitArray(r.data.meas.array[:-1], r.data.meas.num_bits) for r in results]
            results = [types.SimpleNamespace(data=DataBin(meas=bits, shape=bits.shape)) for bits in cut]
        return types.SimpleNamespace(result=lambda: results, job_id=lambda: "half", status=lambda: JobStatus.DONE)


@pytest.mark.parametrize("lose", ["pub", "row"])
def test_half_a_result_of_a_sampler(lose):
    backend = from_object(HalfSampler(lose))
    templates, (request,) = one_request()
    requests = [request, replace(request, angles=np.array([0.1])), replace(request, template=1)]
    handle = backend.submit([*templates, one_request()[0][0]], requests, None)
    with pytest.raises(BackendError, match=f"job half returned .* requests {'2' if lose == 'pub' else '1'}"):
        backend.collect(handle)


class HalfEstimator(StatevectorEstimator):
    """Loses the last row of each PUB."""

    def run(self, pubs, *, precision=None):
        results = list(super().run(pubs, precision=precision).result())
        cut = [types.SimpleNamespace(evs=r.data.evs[:-1], stds=r.data.stds[:-1]) for r in results]
        return types.SimpleNamespace(
            result=lambda: [types.SimpleNamespace(data=data) for data in cut],
            job_id=lambda: "half",
            status=lambda: JobStatus.DONE,
        )


def test_half_a_result_of_an_estimator():
    backend = from_object(HalfEstimator())
    templates, (request,) = one_request()
    handle = backend.submit(templates, [request, replace(request, angles=np.array([0.1]))], None)
    with pytest.raises(BackendError, match=r"job half returned 1 results for 2 circuits; .* requests 1$"):
        backend.collect(handle)


def test_a_circuit_without_counts_names_its_request():
    def emptied(result):
        made = copy.deepcopy(result)
        made.results[1].data.counts = {}
        return made

    device = Unreliable({"change": emptied})
    with pytest.raises(BackendError, match=r"aer_simulator: job id-of-\w+ returned no counts \(DONE\) \(request 1\)"):
        run_on(device)


class Client:
    """IBM's server, as `RuntimeJobV2` sees it."""

    def __init__(self, **state):
        self.state = state

    def job_get(self, job_id, **_):
        return {"state": self.state}

    def job_results(self, job_id):
        return "Traceback: something on the server"


def ibm_job(**state):
    return RuntimeJobV2(backend=None, api_client=Client(**state), job_id="abc", program_id="sampler", service=None)


@pytest.mark.parametrize(
    ("state", "jobs"),
    [
        ({"status": "Failed", "reason": "failed to run", "reasonCode": 5203}, 3),
        ({"status": "Failed", "reason": "not valid for this backend", "reasonCode": 1002}, 1),
        ({"status": "Cancelled", "reason": "ran too long", "reasonCode": 1305}, 1),
        ({"status": "Cancelled"}, 1),
    ],
)
def test_states_of_ibm_jobs(state, jobs):
    naps = Naps()
    job = Job(lambda tag: ibm_job(**state), np.zeros(1, dtype=int))
    job.submit("ibm_x", Retry())
    with pytest.raises(BackendError, match="ibm_x: job abc failed") as caught:
        fetch(job, "ibm_x", Retry(retries=2, sleep=naps))
    assert job.sent == jobs
    assert state.get("reason", "cancelled") in str(caught.value)


class Service:
    """IBM's service, at first unavailable. Jobs return zeros."""

    is_local = False

    def __init__(self):
        self.calls = []

    def _run(self, **inputs):
        self.calls.append(inputs)
        if len(self.calls) == 1:
            try:
                raise RequestsApiError("busy", 503)
            except RequestsApiError:
                raise IBMRuntimeError("Failed to run program: busy") from None
        bits = BitArray(np.zeros((2, 100, 1), dtype=np.uint8), 2)
        result = [types.SimpleNamespace(data=DataBin(meas=bits, shape=(2,)))]
        return types.SimpleNamespace(result=lambda: result, job_id=lambda: "abc", status=lambda: "DONE")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_ibm_hardware_gets_a_sampler():
    """Its own `run` is gone. Submitting meets IBM's errors as they come: the status is only in the
    context."""
    fake = fake_provider.FakeManilaV2()
    fake.properties()
    service = Service()
    client = types.SimpleNamespace(backend_properties=lambda *_, **__: dict(fake._props_dict))
    native = IBMBackend(configuration=fake.configuration(), service=service, api_client=client)
    naps = Naps()
    backend = from_object(native, retry=Retry(sleep=naps))
    assert isinstance(backend, QiskitSampler)
    assert backend.is_noisy
    templates, (request,) = one_request()
    handle = backend.submit(templates, [request, request], 1)
    assert naps == [1.0]
    assert handle.job_ids == ["abc"]
    assert len(service.calls) == 2
    assert [outcome.counts.tolist() for outcome in backend.collect(handle)] == [[100], [100]]


# --- names and objects ---


def test_names():
    assert isinstance(resolve("aer"), QiskitBackend)
    assert not resolve("aer").is_noisy
    nairobi = resolve("fake_nairobi")
    assert nairobi.name == "fake_nairobi"
    assert nairobi.is_noisy
    assert {"aer", "fake_manila", "fake_nairobi", "fake_sherbrooke"} <= set(known_names())
    with pytest.raises(BackendError, match=r"'fake_news' is not known\..* Give one of aer, .*fake_manila"):
        resolve("fake_news")
    with pytest.raises(BackendError, match=r"'qiskit' is not known\. .*'fake_nairobi'"):
        resolve("qiskit")


def test_objects():
    assert isinstance(resolve(AerSimulator()), QiskitBackend)
    assert isinstance(resolve(fake_provider.FakeManilaV2()), QiskitBackend)
    assert isinstance(resolve(SamplerV2()), QiskitSampler)
    assert isinstance(resolve(EstimatorV2()), QiskitEstimator)
    backend = resolve("aer")
    assert resolve(backend) is backend
    with pytest.raises(BackendError, match="QuantumCircuit is not a BackendV2, a V2 sampler or a V2 estimator"):
        resolve(build(one_request()[0][0], measure=True))


def test_means_and_counts_are_what_backends_return():
    templates, requests = one_request()
    for make, kind in ((Counting, Counts), (StatevectorSampler, Counts), (StatevectorEstimator, Means)):
        backend = from_object(make())
        (outcome,) = backend.collect(backend.submit(templates, requests, 1))
        assert isinstance(outcome, kind)
        assert outcome.shots == 100
