"""Rotations applied tile by tile, to one state and to many side by side, against explicit matrices."""

import numpy as np
import pytest

from qngd.circuit.pauli import PauliStrings
from qngd.exact.kernels import rows as _kernels
from qngd.exact.kernels import tangents as _tangents
from qngd.exact.kernels import tiles as _tiles
from tests import dense
from tests.strategies import random_labels

N = 9
ROW = np.uint64(_kernels.CHUNK_BITS)


@pytest.fixture(scope="module")
def rotations():
    labels = [*random_labels(5, N, 14), "IIIIIIIIX", "IIIIIIIIY", "YIIIIIIII", "IYYIIIIII", "ZIIZIIIII", "IIIXIIIII"]
    strings = PauliStrings.from_labels(labels)
    angle = np.random.default_rng(6).normal(size=len(labels))
    x, z = (np.ascontiguousarray(masks[:, 0]) for masks in (strings.x, strings.z))
    return labels, x, z, angle


def states(count):
    return np.random.default_rng(count).normal(size=(count, 2, 2**N)) / 2 ** (N / 2)


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_passes_go_as_far_as_the_span_allows(limit, rotations):
    _, x, _, _ = rotations
    basis = np.zeros(limit, dtype=np.uint64)
    k = 0
    while k < len(x):
        stop, dim = _tiles.next_pass(x, ROW, k, len(x), 1, limit, basis)
        assert stop > k
        span = {0}
        for member in basis[:dim]:
            span |= {word ^ int(member) for word in span}
        assert len(span) == 2**dim
        assert {int(word) >> 6 for word in x[k:stop]} <= span
        assert stop == len(x) or int(x[stop]) >> 6 not in span
        k = stop


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_one_state(limit, rotations):
    labels, x, z, angle = rotations
    (state,) = states(1)
    expected = state[0] + 1j * state[1]
    for label, phi in zip(labels, angle, strict=True):
        expected = dense.rotation_matrix(label, phi) @ expected
    basis = np.zeros(limit, dtype=np.uint64)
    cos, sin = np.cos(angle / 2), np.sin(angle / 2)
    k = 0
    while k < len(x):
        stop, dim = _tiles.next_pass(x, ROW, k, len(x), 1, limit, basis)
        cosets = 8 >> dim
        for first, last in ((cosets // 2, cosets), (0, cosets // 2)):
            _tiles.run_tiles(*state, ROW, 64, 64, x, z, cos, sin, k, stop, basis, dim, first, last)
        k = stop
    assert np.allclose(state[0] + 1j * state[1], expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("limit", [1, 3])
def test_two_states_back(limit, rotations):
    labels, x, z, angle = rotations
    state, other = states(2)
    a, b = (each[0] + 1j * each[1] for each in (state, other))
    moving = np.arange(len(x)) % 3 != 1
    cos, sin = np.cos(angle / 2), np.sin(angle / 2)
    basis = np.zeros(limit, dtype=np.uint64)
    k = len(x) - 1
    while k >= 0:
        stop, dim = _tiles.next_pass(x, ROW, k, -1, -1, limit, basis)
        found = np.zeros(k - stop)
        cosets = 8 >> dim
        for first, last in ((0, cosets // 2), (cosets // 2, cosets)):
            _tiles.back_tiles(
                *state, *other, 64, x, z, cos, sin, moving, k, stop, basis, dim, first, last, found
            )  # fmt: skip
        for i in range(k, stop, -1):
            overlap = (b.conj() @ dense.label_matrix(labels[i]) @ a).imag
            assert found[k - i] == pytest.approx(overlap if moving[i] else 0.0, abs=1e-14)
            undo = dense.rotation_matrix(labels[i], -angle[i])
            a, b = undo @ a, undo @ b
        k = stop
    assert np.allclose(state[0] + 1j * state[1], a, rtol=0, atol=1e-14)
    assert np.allclose(other[0] + 1j * other[1], b, rtol=0, atol=1e-14)


@pytest.mark.parametrize("width", [1, 5, 40])
@pytest.mark.parametrize("tile", [1 << 5, 1 << 12])
def test_lanes(width, tile, rotations, monkeypatch):
    """Many states side by side, in tiles and all at once; lanes that have not begun stay as they are."""
    labels, x, z, angle = rotations
    monkeypatch.setattr(_tangents, "_TILE", tile)
    turn = _tangents._turn_lanes.py_func
    lanes = np.ascontiguousarray(states(width + 3).transpose(1, 2, 0))
    before = lanes.copy()
    re, im = (part.reshape(-1) for part in lanes)
    cos, sin = np.cos(angle / 2), np.sin(angle / 2)
    turn(re, im, 2**N, width + 3, width, x, z, cos, sin, 0, len(x), False)
    expected = before[0] + 1j * before[1]
    for label, phi in zip(labels, angle, strict=True):
        expected[:, :width] = dense.rotation_matrix(label, phi) @ expected[:, :width]
    assert np.allclose(lanes[0] + 1j * lanes[1], expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("begun", [0, 3, 8, 20])
@pytest.mark.parametrize("lanes", [[0], range(8), range(9), [0, 0, 2, 2, 2, 7], [1, 2, 3, 4, 5], [0, 2, *range(3, 20)]])
def test_strings_are_added_to_lanes(lanes, begun, rotations):
    """More lanes than are written at once, several strings in one, and lanes that have begun before others that set
    what was there: those follow each other without a gap."""
    labels, x, z, weight = rotations
    lane = np.array([k for k in lanes if k < begun] + list(range(begun, begun + sum(k >= begun for k in lanes))))
    entry = np.arange(len(lane)) % len(labels)
    (state,) = states(1)
    out = np.full((2, 2**N, 41), np.nan)
    out[:, :, :begun] = np.random.default_rng(1).normal(size=(2, 2**N, begun))
    expected = np.nan_to_num(out[0] + 1j * out[1])
    for k, e in zip(lane, entry, strict=True):
        expected[:, k] += weight[e] * (dense.label_matrix(labels[e]) @ (state[0] + 1j * state[1]))
    re, im = (part.reshape(-1) for part in out)
    last = _tangents._add_strings(state, x, z, weight[entry], entry, lane, begun, re, im, 41)
    assert last == max(begun, lane.max() + 1)
    assert np.allclose((out[0] + 1j * out[1])[:, :last], expected[:, :last], rtol=0, atol=1e-14)
    assert np.isnan(out[:, :, last:]).all()
