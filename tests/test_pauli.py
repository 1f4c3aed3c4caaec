"""Pauli strings as masks, against matrices on few qubits and against stim on many."""

import itertools

import numpy as np
import pytest
import stim

from qngd.circuit.pauli import PauliStrings, anticommute, num_words, product
from tests.dense import label_matrix
from tests.strategies import random_labels

MANY = [1, 63, 64, 65, 128, 130]


def stim_label(label: str) -> str:
    """stim writes qubit 0 first."""
    return label[::-1].replace("I", "_")


@pytest.mark.parametrize(("num_qubits", "words"), [(0, 1), (1, 1), (63, 1), (64, 1), (65, 2), (128, 2), (129, 3)])
def test_number_of_words(num_qubits, words):
    assert num_words(num_qubits) == words


@pytest.mark.parametrize("num_qubits", MANY)
def test_labels_come_back(num_qubits):
    labels = random_labels(num_qubits, num_qubits, 20)
    strings = PauliStrings.from_labels(labels)
    assert strings.labels() == labels
    assert strings.x.shape == strings.z.shape == (20, num_words(num_qubits))


def test_rightmost_letter_is_qubit_0():
    strings = PauliStrings.from_labels(["IXYZ"])
    assert strings.letters().tolist() == [[3, 2, 1, 0]]
    assert (strings.x[0, 0], strings.z[0, 0]) == (0b0110, 0b0011)


@pytest.mark.parametrize(("qubit", "word", "bit"), [(0, 0, 0), (63, 0, 63), (64, 1, 0), (129, 2, 1)])
def test_where_a_qubit_stands_in_the_masks(qubit, word, bit):
    label = "".join("Y" if q == qubit else "I" for q in reversed(range(130)))
    strings = PauliStrings.from_labels([label])
    expected = [0, 0, 0]
    expected[word] = 1 << bit
    assert strings.x[0].tolist() == strings.z[0].tolist() == expected


def test_rows_are_taken_by_slice_index_and_mask():
    strings = PauliStrings.from_labels(["XI", "IY", "ZZ"])
    assert strings[1:].labels() == ["IY", "ZZ"]
    assert strings[[2, 0]].labels() == ["ZZ", "XI"]
    assert strings[np.array([True, False, True])].labels() == ["XI", "ZZ"]


@pytest.mark.parametrize(("labels", "word"), [(["XX", "XXX"], "XXX"), (["XA"], "'A'"), (["xx"], "'x'")])
def test_bad_labels_are_named(labels, word):
    with pytest.raises(ValueError, match=word):
        PauliStrings.from_labels(labels)


@pytest.mark.parametrize("num_qubits", [1, 2, 3])
def test_commutation_of_all_pairs_against_matrices(num_qubits):
    labels = ["".join(letters) for letters in itertools.product("IXYZ", repeat=num_qubits)]
    strings = PauliStrings.from_labels(labels)
    found = anticommute(strings, strings)
    matrices = np.array([label_matrix(label) for label in labels])
    products = np.einsum("aij,bjk->abik", matrices, matrices)
    expected = np.abs(products + products.swapaxes(0, 1)).max((2, 3)) < 1e-12
    assert np.array_equal(found, expected)
    assert found.any()
    assert not found.all()


@pytest.mark.parametrize("num_qubits", [1, 2, 4])
def test_products_against_matrices(num_qubits):
    rng = np.random.default_rng(num_qubits)
    a, b = (random_labels(seed, num_qubits, 60) for seed in (1, 2))
    signs = rng.choice([-1, 1], (2, 60)).astype(np.int8)
    strings = [PauliStrings.from_labels(labels) for labels in (a, b)]
    left, right = (PauliStrings(num_qubits, s.x, s.z, sign) for s, sign in zip(strings, signs, strict=True))
    found, phase = product(left, right)
    assert set(phase) == {0, 1, 2, 3}
    for k, label in enumerate(found.labels()):
        expected = signs[0, k] * signs[1, k] * label_matrix(a[k]) @ label_matrix(b[k])
        assert np.allclose(1j ** phase[k] * label_matrix(label), expected, atol=1e-12)
    assert np.array_equal(found.sign, np.ones(60))


@pytest.mark.parametrize("num_qubits", MANY)
def test_products_and_commutation_against_stim(num_qubits):
    a, b = (random_labels(seed, num_qubits, 30) for seed in (3, 4))
    left, right = PauliStrings.from_labels(a), PauliStrings.from_labels(b)
    found, phase = product(left, right)
    pairs = anticommute(left, right)
    for k in range(30):
        p, q = stim.PauliString(stim_label(a[k])), stim.PauliString(stim_label(b[k]))
        assert pairs[k, k] == (not p.commutes(q))
        assert stim.PauliString(stim_label(found.labels()[k])) * 1j ** int(phase[k]) == p * q
    assert pairs.any()
    assert not pairs.all()
