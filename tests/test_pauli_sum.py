"""Sums of Pauli strings and their algebra, against explicit matrices."""

import functools
import operator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from qngd.circuit.pauli import PauliStrings
from qngd.circuit.pauli_sum import PauliSum, hermitian_part, of_matrix, projector
from qngd.errors import ObservableError
from tests.dense import label_matrix
from tests.strategies import examples

QUBITS = 3


def matrix(total):
    rows = zip(total.coefficients, total.strings.labels(), strict=True)
    assert (total.strings.sign == 1).all()
    assert len(set(total.strings.labels())) == len(total)
    return sum((c * label_matrix(label) for c, label in rows), np.zeros((2**total.num_qubits,) * 2, dtype=complex))


@st.composite
def sums(draw):
    labels = draw(st.lists(st.text("IXYZ", min_size=QUBITS, max_size=QUBITS), max_size=6))
    part = st.integers(-3, 3)
    values = [complex(draw(part), draw(part)) for _ in labels]
    return PauliSum.of_strings(PauliStrings.from_labels(labels, QUBITS), values)


@given(sums(), sums(), st.integers(0, 4))
@examples(60)
def test_the_algebra_is_that_of_the_matrices(a, b, exponent):
    ours, theirs = matrix(a), matrix(b)
    assert np.array_equal(matrix(a + b), ours + theirs)
    assert np.array_equal(matrix(a @ b), ours @ theirs)
    assert np.array_equal(matrix(a * 2j), 2j * ours)
    assert np.array_equal(matrix(a.dagger()), ours.conj().T)
    assert np.array_equal(matrix(a.power(exponent)), np.linalg.matrix_power(ours, exponent))
    assert np.array_equal(matrix(PauliSum.total([a, b, a], QUBITS)), 2 * ours + theirs)


@pytest.mark.parametrize("is_sparse", [False, True])
def test_a_matrix_is_found_again(is_sparse):
    rng = np.random.default_rng(5)
    dense = rng.normal(size=(8, 8)) + 1j * rng.normal(size=(8, 8))
    dense[rng.random((8, 8)) < 0.6] = 0
    total = of_matrix(sparse.csr_array(dense) if is_sparse else dense, [3, 0, 2], 4)
    # qubit 3 is the most significant bit of the index, then 0, then 2; qubit 1 is not acted on
    axes = dense.reshape((2,) * 6)
    expected = np.einsum("abcdef,gh->acgbdfhe", axes, np.eye(2)).reshape(16, 16)
    assert np.allclose(matrix(total), expected, atol=1e-14)


def test_a_sparse_matrix_has_the_terms_that_it_was_made_of():
    labels = ["ZZIIIIIIIIII", "IIIIIXIIIIII", "IIYIIIIIIYII", "IIIIIIIIIIII"]
    coefficients = [0.3, -0.7, 1.1, 1e-9]
    whole = sum(c * _sparse(label) for c, label in zip(coefficients, labels, strict=True))
    total = of_matrix(whole, range(12)[::-1], 12)
    found = dict(zip(total.strings.labels(), total.coefficients, strict=True))
    assert found.keys() == set(labels)
    assert [found[label] for label in labels] == pytest.approx(coefficients, rel=1e-6)


def _sparse(label):
    result = sparse.identity(1, format="csr", dtype=complex)
    for letter in label:
        result = sparse.kron(result, label_matrix(letter), format="csr")
    return result


def test_projectors():
    total = projector([1, 0], [2, 0], 3)
    expected = np.diag([float(b >> 2 & 1 and not b & 1) for b in range(8)])
    assert np.allclose(matrix(total), expected, atol=0)
    assert len(projector([], [], 3)) == 1


def test_zero_has_no_strings():
    zero = PauliSum.total([], 2)
    assert len(zero) == 0
    assert len(zero @ PauliSum.identity(2)) == len(PauliSum.identity(2) @ zero) == 0
    assert len(of_matrix(np.zeros((4, 4)), [1, 0], 2)) == 0


def test_what_is_too_large_is_refused_before_it_is_made():
    x_and_z = [PauliStrings.from_labels(["I" * q + letter + "I" * (29 - q) for letter in "XZ"]) for q in range(30)]
    with pytest.raises(ObservableError, match="more than 1048576"):
        projector([1] * 21, range(21), 30)
    with pytest.raises(ObservableError, match=r"sum of 2.1e\+06 Pauli strings"):
        functools.reduce(operator.matmul, map(PauliSum.of_strings, x_and_z))
    half = projector([0] * 19, range(19), 30)
    with pytest.raises(ObservableError, match="product of sums of 524288 and 524288"):
        half @ half
    rows, columns = np.random.default_rng(1).integers(2**16, size=(2, 10000))
    wide = sparse.coo_array((np.ones(10000), (rows, columns)), shape=(2**16, 2**16))
    with pytest.raises(ObservableError, match="without structure"):
        of_matrix(wide, range(16), 16)


def test_nearly_hermitian_matrices_are_made_hermitian():
    exact = np.array([[1.0, 2 - 1j], [2 + 1j, -3.0]]) / 7
    six_digits = np.round(exact, 6)
    six_digits[0, 1] += 1e-7j
    part = hermitian_part(six_digits, "M").toarray()
    assert np.array_equal(part, part.conj().T)
    assert np.abs(part - exact).max() < 1e-6
    with pytest.raises(ObservableError, match=r"the one: its matrix M is not Hermitian.* entries up to 0.05,"):
        hermitian_part(exact + np.array([[0, 0.1], [0, 0]]), "the one")
    for bad in (np.nan, np.inf):
        with pytest.raises(ObservableError):
            of_matrix(hermitian_part(np.diag([1.0, bad]), "M"), [0], 1)
