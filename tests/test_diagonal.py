"""Phases and sums of Z strings against explicit matrices."""

import numpy as np
import pytest
import scipy.linalg
from scipy import sparse

from qngd._system.threads import num_threads
from qngd.exact import statevector as amplitudes
from qngd.exact.kernels import diagonal
from qngd.exact.kernels.layout import CHUNK, Amplitudes, Moments, ReadStrings, Rotations, SparseRows
from tests import dense


def z_label(mask, num_qubits):
    return "".join("Z" if mask >> q & 1 else "I" for q in reversed(range(num_qubits)))


@np.vectorize
def parity_signs(word):
    return 1.0 - 2.0 * (int(word).bit_count() % 2)


@pytest.mark.parametrize("num_qubits", range(1, 9))
@pytest.mark.parametrize("count", [1, 3, 9])
def test_diagonal_turns(num_qubits, count):
    rng = np.random.default_rng(num_qubits)
    z = np.sort(rng.integers(0, 2**num_qubits, count)).astype(np.uint64)
    angle = rng.normal(size=count)
    state = rng.normal(size=(2, 2**num_qubits))
    expected = state[0] + 1j * state[1]
    for mask, phi in zip(z[1:], angle[1:], strict=True):
        expected = dense.rotation_matrix(z_label(int(mask), num_qubits), phi) @ expected
    chunks = amplitudes.chunks_of(state)
    rotations = Rotations.by(angle / 2, np.zeros_like(z), z)
    for begin, end in ((chunks // 2, chunks), (0, chunks // 2)):
        diagonal.turn_diagonal(Amplitudes(*state), rotations, 1, count, begin, end)
    assert np.allclose(state[0] + 1j * state[1], expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("num_qubits", range(11))
def test_the_transform_is_hadamards_matrix(num_qubits):
    values = np.random.default_rng(num_qubits).normal(size=2**num_qubits)
    expected = scipy.linalg.hadamard(2**num_qubits) @ values
    diagonal.walsh(values)
    assert np.allclose(values, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("width", [4, 32])
def test_the_transform_in_blocks(width):
    values = np.random.default_rng(0).normal(size=8 * diagonal.BLOCK)
    expected = values.copy()
    diagonal.walsh(expected)
    for begin, end in ((3, 8), (0, 3)):
        diagonal.walsh_blocks(values, begin, end)
    columns = diagonal.BLOCK // width
    for begin, end in ((5, columns), (0, 5)):
        diagonal.walsh_across(values, width, begin, end)
    assert np.allclose(values, expected, rtol=0, atol=1e-10)


def test_sums_of_a_large_state(monkeypatch):
    """⟨Z_z⟩ by the definition, for a few masks, where threads share the work."""
    monkeypatch.setenv("QNGD_NUM_THREADS", "2")
    assert num_threads() == 2
    state = np.random.default_rng(1).normal(size=(2, 2**15))
    sums = amplitudes.weight_sums(state)
    weights = (state**2).sum(axis=0)
    index = np.arange(2**15)
    for mask in (0, 1, 77, 4096, 2**15 - 1):
        signs = parity_signs(index & mask)
        assert sums[mask] == pytest.approx(signs @ weights, rel=1e-12, abs=1e-9)


@pytest.mark.parametrize("is_diagonal", [False, True])
def test_covariances_are_contracted_with_the_jacobian(is_diagonal):
    """Against the covariance of ±1 values under the weights, with rows that have several entries and none."""
    rng = np.random.default_rng(2)
    weights = rng.uniform(size=32)
    weights /= weights.sum()
    z = np.array([1, 6, 6, 31, 12], dtype=np.uint64)
    sign = np.array([1.0, -1.0, 1.0, -1.0, 1.0])
    rows = np.array([6, 0, 3, 4, 2])
    jacobian = sparse.csr_array(rng.uniform(size=(7, 4)) * (rng.uniform(size=(7, 4)) < 0.5))
    values = sign[:, None] * parity_signs(np.arange(32) & z[:, None].astype(int))
    mean = values @ weights
    covariance = (values * weights) @ values.T - np.outer(mean, mean)
    block = np.array([3, 9, 5, 3, 5, 9, 3])  # of the rows of the Jacobian
    covariance *= block[rows][:, None] == block[rows]
    local = jacobian.toarray()[rows]
    expected = 0.25 * local.T @ covariance @ local
    if is_diagonal:
        expected = np.diag(np.diag(expected))
    sums = weights.copy()
    diagonal.walsh(sums)
    out, means = np.zeros((4, 4)), np.full(7, np.nan)
    strings, sparse_rows = ReadStrings(z, sign, rows), SparseRows(jacobian.indptr, jacobian.indices, jacobian.data)
    diagonal.add_covariances(sums, strings, sparse_rows, block, is_diagonal, Moments(out, means))
    assert np.allclose(out, expected, rtol=0, atol=1e-15)
    assert np.allclose(means[rows], mean, rtol=0, atol=1e-15)
    assert np.isnan(means).sum() == 2


def test_weights_and_slopes():
    a, b = np.random.default_rng(3).normal(size=(2, 2, 100))
    out = np.full(100, 7.0)
    diagonal.weights(a, out, 10, 60)
    assert np.allclose(out[10:60], (a[0] ** 2 + a[1] ** 2)[10:60])
    diagonal.slopes(a, b, out, 10, 60)
    assert np.allclose(out[10:60], ((a[0] - 1j * a[1]) * (b[0] + 1j * b[1])).imag[10:60])
    assert np.array_equal(out[:10], np.full(10, 7.0))
    assert np.array_equal(out[60:], np.full(40, 7.0))
    assert CHUNK == 64  # what the sizes above are chosen around
