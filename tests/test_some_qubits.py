"""Outcomes of some of a circuit's qubits: against statevectors, and where there is none."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import qngd
from qngd.errors import BackendError, MemoryLimitError, SettingError
from tests.layered_circuits import qaoa
from tests.strategies import Sketch, ansatz, examples, programs


def marginal(state, qubits):
    """The distribution over the qubits of a dense state (2ⁿ,), the first the lowest bit, by adding up."""
    index = np.arange(len(state))
    outcome = sum((index >> q & 1) << k for k, q in enumerate(qubits))
    return np.bincount(outcome, np.abs(state) ** 2, minlength=1 << len(qubits))


def frequencies(counts, num_qubits):
    found = np.zeros(1 << num_qubits)
    for bits, count in counts.items():
        assert len(bits) == num_qubits
        found[int(bits, 2)] = count
    return found / found.sum()


@given(programs(max_qubits=5), st.randoms(use_true_random=False))
@examples(60)
def test_distributions_of_random_circuits(program, random):
    qubits = random.sample(range(program.num_qubits), random.randint(1, program.num_qubits))
    (state,) = program.states(program.theta[None])
    found = qngd.probabilities(program.circuit(), program.theta, qubits=qubits)
    np.testing.assert_allclose(found, marginal(state, qubits), atol=1e-10)


@pytest.mark.parametrize("backend", [None, "light-cone"])
@pytest.mark.parametrize("qubits", [[3, 0], [1], None])
def test_samples_follow_the_distribution(backend, qubits):
    circuit = ansatz(4)
    theta = np.random.default_rng(2).normal(size=circuit.num_parameters)
    expected = marginal(qngd.statevector(circuit, theta), range(4) if qubits is None else qubits)
    counts = qngd.sample(circuit, theta, shots=20_000, backend=backend, seed=3, qubits=qubits)
    assert sum(counts.values()) == 20_000
    # five standard deviations of each frequency
    allowed = 5 * np.sqrt(expected / 20_000) + 1e-12
    assert np.all(np.abs(frequencies(counts, 4 if qubits is None else len(qubits)) - expected) <= allowed)


def test_a_seed_gives_a_sample_again():
    circuit, theta = ansatz(3), np.full(12, 0.7)
    first, again, other = (
        qngd.sample(circuit, theta, shots=200, backend="light-cone", seed=seed) for seed in (1, 1, 2)
    )
    assert first == again != other


def test_idle_qubits_read_zero():
    sketch = Sketch(5, 1)
    sketch("ry", 3, sketch.t[0])
    found = qngd.probabilities(sketch.circuit(), [1.1], qubits=[0, 3, 4])
    expected = np.zeros(8)
    expected[[0b000, 0b010]] = np.cos(0.55) ** 2, np.sin(0.55) ** 2
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert set(qngd.sample(sketch.circuit(), [1.1], shots=100, qubits=[3, 4], backend="light-cone")) == {"00", "01"}


RING = [(q, (q + 1) % 130) for q in range(130)]


def test_neighbours_and_strangers_among_a_hundred_and_thirty():
    """⟨ZZ⟩ of what is read is what the energy says, and far qubits are independent of each other."""
    circuit, theta = qaoa(130, RING, 2, "rzz"), np.array([0.4, 0.9, -0.6, 0.3])
    pair, far = (qngd.probabilities(circuit, theta, qubits=qubits) for qubits in ([64, 63], [64, 63, 3, 120]))
    np.testing.assert_allclose(far, np.multiply.outer(far.reshape(4, 4).sum(axis=1), pair).reshape(-1), atol=1e-12)
    label = "".join("Z" if q in (63, 64) else "I" for q in reversed(range(130)))
    mean = float(qngd.expectation(circuit, {label: 1.0}, theta, backend="light-cone"))
    assert pair @ [1, -1, -1, 1] == pytest.approx(mean, abs=1e-12)
    shots = 4000
    every_tenth = list(range(0, 130, 10))  # too many outcomes for a list of them, and no trouble for samples
    counts = qngd.sample(circuit, theta, shots=shots, qubits=[*every_tenth, 64], seed=4)
    assert sum(counts.values()) == shots
    ones = sum(np.array([int(b) for b in reversed(bits)]) * count for bits, count in counts.items()) / shots
    np.testing.assert_allclose(ones, 0.5, atol=5 * 0.5 / np.sqrt(shots))  # by the circuit's symmetry


def test_all_qubits_where_none_depends_on_many():
    """No statevector of 90 qubits fits, but 30 groups of three do."""
    sketch = Sketch(90, 1)
    for q in range(0, 90, 3):
        sketch("ry", q, sketch.t[0])("cx", q, q + 1)("cx", q, q + 2)
    counts = qngd.sample(sketch.circuit(), [np.pi / 2], shots=50, seed=1)
    for bits in counts:
        groups = {bits[k : k + 3] for k in range(0, 90, 3)}
        assert groups <= {"000", "111"}
    assert len(counts) > 45


def test_what_is_too_wide_is_refused_with_what_to_do():
    circuit, theta = qaoa(130, RING, 2, "rzz"), np.full(4, 0.3)
    with pytest.raises(MemoryLimitError, match=r"what qubits 0, 1, 2, 3 and 126 more read.*read fewer qubits"):
        qngd.sample(circuit, theta, shots=10)
    with pytest.raises(MemoryLimitError, match=r"matrix_product_state"):
        qngd.sample(circuit, theta, shots=10, backend="light-cone")
    with pytest.raises(MemoryLimitError, match=r"40 of them have 2\^40 outcomes; ask for a sample"):
        qngd.probabilities(circuit, theta, qubits=list(range(40)))


@pytest.mark.parametrize("qubits", [[0, 5], [0, 0], [], "ab", [0.5], object(), [-1], [True]])
def test_qubits_that_are_none(qubits):
    for function, more in ((qngd.probabilities, {}), (qngd.sample, {"shots": 10})):
        with pytest.raises(SettingError, match="qubits"):
            function(ansatz(3), np.zeros(12), qubits=qubits, **more)


def test_a_sample_needs_shots():
    with pytest.raises(SettingError, match="needs a number of shots"):
        qngd.sample(ansatz(3), np.zeros(12), backend="light-cone", qubits=0)


def test_a_device_runs_what_the_qubits_depend_on():
    aer = pytest.importorskip("qiskit_aer")
    ring = [(q, (q + 1) % 60) for q in range(60)]
    circuit, theta = qaoa(60, ring, 1, "rzz"), np.array([0.4, 0.9])
    expected = qngd.probabilities(circuit, theta, qubits=[7, 9])
    device = aer.AerSimulator(method="matrix_product_state")
    counts = qngd.sample(circuit, theta, shots=8000, qubits=[7, 9], backend=device, seed=5)
    np.testing.assert_allclose(frequencies(counts, 2), expected, atol=5 * 0.5 / np.sqrt(8000))


def test_estimators_give_no_samples():
    primitives = pytest.importorskip("qiskit.primitives")
    with pytest.raises(BackendError, match="not samples"):
        qngd.sample(ansatz(3), np.zeros(12), shots=10, qubits=[1], backend=primitives.StatevectorEstimator())
