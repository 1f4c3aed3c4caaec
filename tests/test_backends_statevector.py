"""The embedded sampler: true multinomial counts from the distribution that matrices give, and seeds."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

import qngd
from qngd._system import threads as _threads
from qngd.backends import resolve
from qngd.backends.statevector import StatevectorSampler
from qngd.circuit.observable import Observable
from qngd.circuit.pauli import PauliStrings
from qngd.errors import BackendError, MemoryLimitError
from qngd.measured.cross import CROSS_METHODS
from qngd.measured.cutting import layer_template, observable_template
from qngd.measured.plan import Request
from qngd.measured.planner import Planner
from qngd.metrics import BlockDiagonal, Full
from tests.clifford_circuits import commuting_strings
from tests.dense_templates import outcome_probabilities
from tests.strategies import Sketch, ansatz, examples, programs, random_observable, random_program

MANY = 20_000  # shots that are drawn by outcomes


def collect(templates, requests, seed=0):
    device = StatevectorSampler()
    return device.collect(device.submit(templates, requests, seed))


def frequencies(template, outcome):
    """Counts over the values of the measured qubits, (2^measured,), lowest measured qubit first."""
    places = {int(q): i for i, q in enumerate(template.measured)}
    found = np.zeros(1 << len(places), dtype=int)
    for bits, count in zip(outcome.bits, outcome.counts, strict=True):
        mask = int(bits[0])
        assert mask & ~sum(1 << q for q in places) == 0
        found[sum((mask >> q & 1) << i for q, i in places.items())] += count
    return found


def expected_probabilities(template, angles):
    whole = outcome_probabilities(template, angles).reshape((2,) * template.num_qubits)
    # axis a of the array is qubit n − 1 − a
    others = tuple(template.num_qubits - 1 - q for q in range(template.num_qubits) if q not in template.measured)
    return whole.sum(axis=others).reshape(-1)


def check_counts(template, angles, shots, seed):
    """Impossible outcomes never come; the others as often as chi² allows."""
    (outcome,) = collect([template], [Request(0, angles, shots)], seed)
    assert outcome.shots == shots
    assert len(np.unique(outcome.bits, axis=0)) == len(outcome.bits)
    found, expected = frequencies(template, outcome), shots * expected_probabilities(template, angles)
    assert found[expected < 1e-9 * shots].sum() == 0
    likely = expected >= 5
    wanted = np.append(expected[likely], shots - expected[likely].sum())
    got = np.append(found[likely], shots - found[likely].sum())
    filled = wanted >= 1
    if filled.sum() > 1:
        statistic = ((got - wanted)[filled] ** 2 / wanted[filled]).sum()
        assert stats.chi2.sf(statistic, filled.sum() - 1) > 1e-6


@given(programs(max_qubits=4), st.data(), st.sampled_from([2000, MANY]))
@examples(60)
def test_counts_of_layers_and_observables(program, data, shots):
    circuit, n = program.circuit(), program.num_qubits
    phi = circuit.angle_map(program.theta)
    strings = commuting_strings(data.draw(st.integers(0, 10**6)), n, data.draw(st.integers(1, 2 * n)))
    templates = [observable_template(circuit, strings)]
    templates += [layer_template(circuit, layer) for layer in range(circuit.num_layers)]
    for k, template in enumerate(templates):
        check_counts(template, phi[template.rotations], shots, k)


@pytest.mark.parametrize("cross", CROSS_METHODS)
@pytest.mark.parametrize("seed", range(2))
def test_counts_of_whole_steps(seed, cross):
    program = random_program((29, 54)[seed], 2 + seed, 14, 3)
    observable = Observable.from_mapping(random_observable(seed, 2 + seed))
    planner = Planner(program.circuit(), observable, "commuting", cross)
    plan = planner.plan(program.theta, metric=Full())
    assert len(plan.requests) > 40
    for k, request in enumerate(plan.requests[::3]):
        check_counts(plan.templates[request.template], request.angles, 3000, k)


@pytest.mark.parametrize("shots", [50, MANY])
def test_counts_are_multinomial(shots):
    """Variances and covariances of the counts over repetitions, not only their means."""
    circuit = ansatz(2, 1)
    phi = circuit.angle_map(np.array([0.9, 0.4, -0.3, 1.0]))
    template = observable_template(circuit, PauliStrings.from_labels(["XZ", "XI", "IZ"]))
    angles, times = phi[template.rotations], 3000
    found = [frequencies(template, o) for o in collect([template], [Request(0, angles, shots)] * times)]
    p = expected_probabilities(template, angles)
    assert p.min() > 0.03
    expected = shots * (np.diag(p) - np.outer(p, p))
    assert np.allclose(np.cov(np.array(found).T), expected, rtol=0, atol=0.1 * expected.max())
    assert np.allclose(np.mean(found, axis=0), shots * p, rtol=0, atol=4 * np.sqrt(expected.max() / times))


@pytest.mark.parametrize("shots", [1, 2, 17])
def test_few_shots(shots):
    template = layer_template(ansatz(3, 1), 0)
    (outcome,) = collect([template], [Request(0, np.zeros(1), shots)])
    assert outcome.shots == shots


@pytest.mark.parametrize("shots", [100, 10**12])
def test_certain_outcomes_are_certain(shots):
    """Bits read where they belong: X on qubits 0 and 2 of four."""
    circuit = Sketch(4)("x", 0)("x", 2)("h", 3).circuit()
    template = observable_template(circuit, PauliStrings.from_labels(["IIIZ", "IIZI", "IZII", "XIII"]))
    (outcome,) = collect([template], [Request(0, np.zeros(0), shots)])
    assert outcome.bits.tolist() == [[0b0101]]
    assert outcome.counts.tolist() == [shots]


# --- seeds ---


def step(seed):
    program = random_program(12, 3, 25, 4)
    observable = Observable.from_mapping(random_observable(1, 3))
    plan = Planner(program.circuit(), observable).plan(program.theta, metric=BlockDiagonal())
    plan = plan.with_shots(np.full(plan.num_circuits, 50))
    return collect(plan.templates, plan.requests, seed)


def same(first, second):
    return all(
        np.array_equal(a.bits, b.bits) and np.array_equal(a.counts, b.counts)
        for a, b in zip(first, second, strict=True)
    )


@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1])
def test_a_seed_gives_the_same_bits(seed):
    assert same(step(seed), step(seed))


def test_other_seeds_and_no_seed_give_other_bits():
    runs = [step(seed) for seed in (0, 1, 2, None, None)]
    assert not any(same(a, b) for a, b in itertools.combinations(runs, 2))


@pytest.mark.parametrize("split_from", [1, 1 << 30])
@pytest.mark.parametrize("count", [1, 2, 5])
def test_bits_do_not_depend_on_the_threads(count, split_from, monkeypatch):
    """Whether the threads share a state, or the requests."""
    expected = step(3)
    monkeypatch.setenv("QNGD_NUM_THREADS", str(count))
    monkeypatch.setattr(_threads, "_SPLIT_FROM", split_from)
    assert same(step(3), expected)


def test_equal_requests_of_one_submission_are_independent():
    template = layer_template(ansatz(3, 1), 1)
    angles = np.linspace(0.5, 1.5, len(template.rotations))
    outcomes = collect([template], [Request(0, angles, 100)] * 20)
    assert not any(same([a], [b]) for a, b in itertools.combinations(outcomes, 2))


# --- limits ---


def test_exact_values_are_refused():
    template = layer_template(ansatz(2, 1), 0)
    with pytest.raises(BackendError, match="number of shots"):
        StatevectorSampler().submit([template], [Request(0, np.zeros(0), None)], 0)


@pytest.mark.parametrize("num_qubits", [45, 64, 100])
def test_too_many_qubits_are_refused_at_submission(num_qubits):
    sketch = Sketch(num_qubits, 1)
    for q in range(num_qubits):
        sketch("ry", q, sketch.t[0])
    template = observable_template(sketch.circuit(), PauliStrings.from_labels(["Z" * num_qubits]))
    with pytest.raises(MemoryLimitError, match=f"{num_qubits} qubits on the embedded simulator"):
        StatevectorSampler().submit([template], [Request(0, np.zeros(num_qubits), 10)], 0)


def test_a_state_that_the_threads_share():
    """Sixteen qubits in a GHZ state: all bits equal, either way, and nothing else."""
    sketch = Sketch(16)
    sketch("h", 3)
    for q in (0, 1, 2, *range(4, 16)):
        sketch("cx", 3, q)
    counts = qngd.sample(sketch.circuit(), [], shots=1000, seed=1)
    assert set(counts) == {"0" * 16, "1" * 16}
    assert abs(counts["0" * 16] - 500) < 80


def test_its_names():
    assert isinstance(resolve(None), StatevectorSampler)
    assert isinstance(resolve("statevector"), StatevectorSampler)
    assert resolve(None).name == "statevector"
    assert not resolve(None).is_noisy


@given(programs(max_qubits=3))
@examples(20)
def test_samples_of_programs_by_name_and_by_object(program):
    """The function for users: bitstrings with the rightmost bit qubit 0, the same by name and by object."""
    circuit = program.circuit()
    backends = (None, "statevector", StatevectorSampler())
    runs = [qngd.sample(circuit, program.theta, shots=500, seed=4, backend=b) for b in backends]
    assert runs[0] == runs[1] == runs[2]
    weights = np.abs(program.states(program.theta[None])[0]) ** 2
    assert sum(runs[0].values()) == 500
    for index, p in enumerate(weights):
        label = format(index, f"0{program.num_qubits}b")
        assert abs(runs[0][label] - 500 * p) <= 5.5 * np.sqrt(500 * p * (1 - p)) + 1e-6
