"""The exact engine against explicit matrices: kernels one by one, then states, energies, gradients."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import qngd
from qngd.circuit.observable import Observable
from qngd.circuit.pauli import PauliStrings
from qngd.exact.kernels import rotations, strings
from qngd.exact.kernels.layout import CHUNK, Amplitudes, OneRotation
from qngd.exact.simulator import Simulator
from qngd.exact.statevector import Terms
from tests import dense
from tests.strategies import (
    Sketch,
    ansatz,
    examples,
    observables,
    programs,
    random_labels,
    random_observable,
    random_program,
)

# A chunk holds 2⁶ amplitudes: below, at and above it, with pairs inside a chunk and across chunks.
SIZES = range(1, 9)
# x and z masks on 8 qubits with bits below and above the chunk's boundary, of every |x∧z| mod 4
LOW_AND_HIGH = [
    "ZIIIIIII", "XIIIIIII", "YIIIIIII", "YYIIIIII", "YYIZIIII", "IIIIIIIX", "IIIIIIIY", "IIIIIIIZ",
    "ZIIIIIIX", "XIIIIIIZ",
    "YIIIIIIY", "YYYIIIII", "YIIIIIYY", "IYYYYIII", "IIIIYYYY", "XXYIIIII", "IXIIIIYY", "ZZIIIIYZ",
    "IZXIIIIZ", "YYYYYYYY", "XXXXXXXX", "ZZZZZZZZ", "IIXXIIII", "IYIYZIXI",
]  # fmt: skip


def random_state(seed, num_qubits):
    rng = np.random.default_rng(seed)
    state = rng.normal(size=(2, 2**num_qubits))
    return state / np.linalg.norm(state)


def amplitudes(state):
    return state[0] + 1j * state[1]


def string_cases():
    rng = np.random.default_rng(0)
    for n in SIZES:
        every = ["".join(letters) for letters in itertools.product("IXYZ", repeat=n)]
        some = (LOW_AND_HIGH if n == 8 else []) + random_labels(n, n, 24)
        for label in every if n < 3 else dict.fromkeys(some):
            yield n, label, float(rng.normal())


CASES = list(string_cases())


def masks(label):
    strings = PauliStrings.from_labels([label])
    return strings.x[0, 0], strings.z[0, 0]


def chunks_of(state):
    return state.shape[1] // min(state.shape[1], CHUNK)


def spans(count):
    """A range of work items in up to three pieces of different lengths, later pieces first."""
    edges = sorted({0, count // 3, count // 2, count})
    return list(itertools.pairwise(edges))[::-1]


def test_the_cases_cover_the_kernels_branches():
    """Pairs inside a chunk, across chunks or both, signs that differ between chunks, and |x∧z| mod 4."""
    met = set()
    for _, label, _ in CASES:
        x, z = (int(m) for m in masks(label))
        met.add((x & 63 != 0, x >> 6 != 0, (x & z).bit_count() % 4))
    expected = {(False, False, 0), *((False, True, w) for w in (0, 1, 2))}  # two high qubits: YY at most
    expected |= {(True, high, w) for high in (False, True) for w in range(4)}
    assert expected <= met


@pytest.mark.parametrize("n", SIZES)
def test_rotate(n):
    for size, label, angle in CASES:
        if size != n:
            continue
        state = random_state(1, n)
        expected = dense.rotation_matrix(label, angle) @ amplitudes(state)
        x, z = masks(label)
        rotation = OneRotation(x, z, np.cos(angle / 2), np.sin(angle / 2))
        for begin, end in spans(rotations.num_items(x, 2**n)):
            rotations.rotate(Amplitudes(*state), rotation, begin, end)
        assert np.allclose(amplitudes(state), expected, rtol=0, atol=1e-14), label


@pytest.mark.parametrize("n", SIZES)
def test_add_pauli_and_imaginary_overlap(n):
    for size, label, weight in CASES:
        if size != n:
            continue
        matrix = dense.label_matrix(label)
        state, other, out = (random_state(seed, n) for seed in (2, 3, 4))
        a, b = amplitudes(state), amplitudes(other)
        expected = amplitudes(out) + weight * (matrix @ a)
        x, z = masks(label)
        string = OneRotation(x, z, 1.0, 0.0)  # of which only the masks count
        imaginary = 0.0
        for begin, end in spans(chunks_of(state)):
            strings.add_pauli(state, x, z, weight, out, begin, end)
            imaginary += strings.imaginary_overlap(Amplitudes(*other), Amplitudes(*state), string, begin, end)
        assert np.allclose(amplitudes(out), expected, rtol=0, atol=1e-14), label
        assert imaginary == pytest.approx((b.conj() @ matrix @ a).imag, abs=1e-13), label


@pytest.mark.parametrize("n", SIZES)
def test_apply_observable(n):
    chosen = [(label, c) for size, label, c in CASES if size == n]
    state = random_state(5, n)
    a = amplitudes(state)
    terms = Terms.of(Observable.from_mapping(dict(chosen)))
    result = np.empty_like(state)
    for begin, end in spans(chunks_of(state)):
        strings.apply_observable(state, terms, result, begin, end)
    expected = dense.observable_matrix(dict(chosen)) @ a
    assert np.allclose(amplitudes(result), expected, rtol=0, atol=1e-12)


# --- circuits: state, energy, gradient ---


@st.composite
def measured(draw):
    program = draw(programs())
    return program, draw(observables(program.num_qubits))


@given(programs())
@examples(60)
def test_states_of_programs(program):
    found = qngd.statevector(program.circuit(), program.theta)
    assert dense.same_state(found, program.states(program.theta[None])[0])


@given(measured())
@examples(60)
def test_energies_and_gradients_of_programs(case):
    program, terms = case
    circuit = program.circuit()
    truth = dense.Truth(program.states, program.theta, terms)
    energy = qngd.expectation(circuit, terms, program.theta)
    gradient = qngd.gradient(circuit, terms, program.theta)
    assert float(energy.value) == pytest.approx(truth.energy, abs=1e-10)
    assert np.shape(gradient.value) == (program.num_parameters,)
    assert np.allclose(gradient.value, truth.gradient, rtol=0, atol=1e-9)
    assert energy.is_exact
    assert gradient.is_exact


@pytest.mark.parametrize(("seed", "num_qubits"), list(enumerate([1, 2, 3, 4, 5, 6, 7, 8, 8, 7])))
def test_states_energies_and_gradients_of_generic_programs(seed, num_qubits):
    program = random_program(seed, num_qubits, 60, 4, bend=0.1 * (seed % 3 == 0))
    circuit = program.circuit()
    terms = random_observable(seed, num_qubits, 20)
    truth = dense.Truth(program.states, program.theta, terms)
    assert dense.same_state(qngd.statevector(circuit, program.theta), truth.state)
    assert float(qngd.expectation(circuit, terms, program.theta)) == pytest.approx(truth.energy, abs=1e-10)
    gradient = qngd.gradient(circuit, terms, program.theta).value
    assert np.allclose(gradient, truth.gradient, rtol=0, atol=1e-9)
    assert np.abs(gradient).max() > 1e-3


def test_the_gradient_over_rotations():
    """∂E/∂φ_k, which a sum over shared parameters could hide; 0 where no parameter moves the rotation."""
    circuit = ansatz(4, 2)
    terms = random_observable(2, 4)
    theta = np.random.default_rng(0).normal(size=circuit.num_parameters)
    phi = circuit.angle_map(theta)
    states = 0.5 * dense.run_ops(circuit, phi + np.pi * np.eye(len(phi)))
    psi = dense.run_ops(circuit, phi[None])[0]
    expected = 2 * np.real(states.conj() @ dense.observable_matrix(terms) @ psi)
    pulled = Terms.of(circuit.pull(Observable.from_mapping(terms)))
    _, slopes = Simulator(circuit).energy_and_gradient(phi, pulled)
    assert np.allclose(slopes[circuit.moving], expected[circuit.moving], atol=1e-12)
    assert not slopes[~circuit.moving].any()
    assert not circuit.moving.all()


def test_hundreds_of_terms():
    program = random_program(11, 7, 40, 3)
    terms = random_observable(11, 7, 600)
    truth = dense.Truth(program.states, program.theta, terms)
    found = qngd.gradient(program.circuit(), terms, program.theta).value
    assert np.allclose(found, truth.gradient, rtol=0, atol=1e-8)


@pytest.mark.parametrize("num_qubits", [1, 3, 7])
def test_eigenstates_of_single_qubits_show_the_qubit_order(num_qubits):
    """X on the last qubit alone: amplitude 1 at index 2^(n−1), bitstring 10…0."""
    circuit = Sketch(num_qubits)("x", num_qubits - 1).circuit()
    state = qngd.statevector(circuit, [])
    assert np.flatnonzero(np.abs(state) > 0.5).tolist() == [2 ** (num_qubits - 1)]
    assert qngd.sample(circuit, [], shots=3) == {"1" + "0" * (num_qubits - 1): 3}
    label = "Z" + "I" * (num_qubits - 1)
    assert float(qngd.expectation(circuit, {label: 1.0}, [])) == pytest.approx(-1.0)


# --- samples ---


@pytest.mark.parametrize("num_qubits", [1, 4, 7])
def test_samples_follow_the_state(num_qubits):
    program = random_program(num_qubits, num_qubits, 40, 3)
    counts = qngd.sample(program.circuit(), program.theta, shots=20_000, seed=5)
    assert counts.total() == 20_000
    assert all(len(bits) == num_qubits for bits in counts)
    expected = np.abs(program.states(program.theta[None])[0]) ** 2
    found = np.array([counts[f"{b:0{num_qubits}b}"] for b in range(2**num_qubits)]) / 20_000
    error = np.sqrt(expected * (1 - expected) / 20_000)
    assert np.all(np.abs(found - expected) <= 5 * error + 1e-12)


def test_samples_depend_on_the_seed_alone():
    program = random_program(1, 5, 40, 3)
    circuit = program.circuit()
    first, again, other = (qngd.sample(circuit, program.theta, shots=500, seed=seed) for seed in (1, 1, 2))
    assert first == again != other


def test_unseeded_samples_differ():
    program = random_program(1, 6, 40, 3)
    circuit = program.circuit()
    a, b = (qngd.sample(circuit, program.theta, shots=2000) for _ in range(2))
    assert a != b


@pytest.mark.parametrize("shots", [0, -1])
def test_samples_need_shots(shots):
    with pytest.raises(qngd.SettingError, match="shots"):
        qngd.sample(Sketch(1).circuit(), [], shots=shots)


# --- edges ---


def test_a_circuit_without_gates():
    circuit = Sketch(3).circuit()
    assert dense.same_state(qngd.statevector(circuit, []), dense.zero_state(3)[0])
    assert float(qngd.expectation(circuit, {"ZZI": 0.5, "XII": 3.0}, [])) == 0.5
    assert qngd.gradient(circuit, {"ZZI": 0.5}, []).value.shape == (0,)


def test_parameters_that_nothing_uses():
    sketch = Sketch(2, 3)
    sketch("h", 0)("ry", 1, sketch.t[1])
    gradient = qngd.gradient(sketch.circuit(), {"XI": 1.0}, [5.0, 0.3, 7.0]).value
    assert np.allclose(gradient, [0, np.cos(0.3), 0], atol=1e-14)


def test_the_observable_must_fit_the_circuit():
    with pytest.raises(qngd.ObservableError, match=r"3 qubits.*2"):
        qngd.expectation(Sketch(2).circuit(), {"ZZZ": 1.0}, [])


def test_results_do_not_depend_on_earlier_calls():
    """No state of a simulator survives a call."""
    program = random_program(4, 5, 40, 3)
    circuit = program.circuit()
    simulator = Simulator(circuit)
    terms = Terms.of(circuit.pull(Observable.from_mapping(random_observable(1, 5))))
    phi, jacobian = circuit.angle_map.linearize(program.theta)
    first = simulator.energy_and_gradient(phi, terms)
    simulator.full_metric(phi + 1, jacobian)
    simulator.block_metric(phi - 1, jacobian, terms)
    simulator.probabilities(phi)
    second = simulator.energy_and_gradient(phi, terms)
    assert first[0] == second[0]
    assert np.array_equal(first[1], second[1])


def test_the_dense_matrices_are_exponentials():
    """The truth of these tests: exp(−iφ/2·P) by scipy, and a derivative by a half turn."""
    import scipy.linalg

    for label in ("X", "YZ", "ZIX"):
        matrix = dense.label_matrix(label)
        expected = scipy.linalg.expm(-0.5j * 0.83 * matrix)
        assert np.allclose(dense.rotation_matrix(label, 0.83), expected, atol=1e-14)
        slope = -0.5j * matrix @ expected
        assert np.allclose(dense.rotation_matrix(label, 0.83 + np.pi) / 2, slope, atol=1e-14)
