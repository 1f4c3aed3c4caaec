"""A Clifford unitary as quarter turns and one Pauli string, rebuilt as a matrix."""

import numpy as np
import pytest

from qngd.circuit.frame import Frame, push
from qngd.circuit.pauli import PauliStrings
from qngd.circuit.quarter_turns import Word, as_arrays, quarter_turns
from tests.clifford_circuits import matrix_of, random_clifford_circuit
from tests.dense import label_matrix, rotation_matrix
from tests.strategies import random_labels


def label_of(word, num_qubits):
    letters = ["IXZY"[(word.x >> q & 1) + 2 * (word.z >> q & 1)] for q in range(num_qubits)]
    return "".join(reversed(letters))


def word_of(label, sign):
    strings = PauliStrings.from_labels([label])
    return Word(int(strings.x[0, 0]), int(strings.z[0, 0]), sign)


def word_matrix(word, num_qubits):
    return word.sign * label_matrix(label_of(word, num_qubits))


@pytest.mark.parametrize("num_qubits", [1, 2, 3, 4, 6])
@pytest.mark.parametrize("seed", range(5))
def test_the_product_is_the_clifford_up_to_a_phase(num_qubits, seed):
    builder, steps = random_clifford_circuit(seed, num_qubits, 40, ("gate", "quarter"))
    axes, pauli = quarter_turns(push(builder.ops(), num_qubits)[1])
    expected = np.eye(2**num_qubits, dtype=complex)
    for step in steps:
        expected = matrix_of(*step, num_qubits) @ expected
    product = np.eye(2**num_qubits, dtype=complex)
    for axis in axes:
        product = rotation_matrix(label_of(axis, num_qubits), axis.sign * np.pi / 2) @ product
    product = word_matrix(pauli, num_qubits) @ product
    phase = np.trace(product.conj().T @ expected) / 2**num_qubits
    assert abs(phase) == pytest.approx(1.0, abs=1e-12)
    assert np.allclose(phase * product, expected, atol=1e-12)
    assert len(axes) <= 4 * num_qubits


def test_nothing_to_do_without_gates():
    assert quarter_turns(Frame.identity(5)) == ([], Word(0, 0, 1))


@pytest.mark.parametrize("seed", range(3))
def test_turning_strings_against_matrices(seed):
    rng = np.random.default_rng(seed)
    labels = random_labels(seed, 3, 24)
    words = [word_of(label, int(rng.choice([-1, 1]))) for label in labels]
    met = set()
    for a, b in zip(words[::2], words[1::2], strict=True):
        p, q = word_matrix(a, 3), word_matrix(b, 3)
        met.add(a.anticommutes(b))
        assert a.anticommutes(b) == bool(np.abs(p @ q - q @ p).max() > 1e-12)
        turn = rotation_matrix(label_of(b, 3), b.sign * np.pi / 2)
        expected = turn @ p @ turn.conj().T
        assert np.allclose(word_matrix(a.turned_by(b), 3), expected, atol=1e-12)
        if a.anticommutes(b):
            assert np.allclose(word_matrix(a.times_i(b), 3), 1j * p @ q, atol=1e-12)
    assert met == {True, False}


def test_arrays_of_axes():
    x, z = as_arrays([Word(1, 3), Word(1 << 62, 0)])
    assert x.tolist() == [1, 1 << 62]
    assert z.tolist() == [3, 0]
    assert x.dtype == z.dtype == np.uint64
