"""Rotations applied tile by tile, to one state and to many side by side, against explicit matrices."""

import numpy as np
import pytest

from qngd.circuit.pauli import PauliStrings
from qngd.exact.kernels import tangents, tiles
from qngd.exact.kernels.layout import ROW_BITS, Amplitudes, Entries, Rotations, Rows
from tests import dense
from tests.strategies import random_labels

N = 9


@pytest.fixture(scope="module")
def program():
    """Labels, angles, and the rotations that kernels make of them."""
    return program_of(
        [*random_labels(5, N, 14), "IIIIIIIIX", "IIIIIIIIY", "YIIIIIIII", "IYYIIIIII", "ZIIZIIIII", "IIIXIIIII"]
    )


def program_of(labels):
    strings = PauliStrings.from_labels(labels)
    angle = np.random.default_rng(6).normal(size=len(labels))
    x, z = (np.ascontiguousarray(masks[:, 0]) for masks in (strings.x, strings.z))
    return labels, angle, Rotations.by(angle / 2, x, z)


def states(count):
    return np.random.default_rng(count).normal(size=(count, 2, 2**N)) / 2 ** (N / 2)


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_passes_go_as_far_as_the_span_allows(limit, program):
    _, _, (x, *_) = program
    k = 0
    while k < len(x):
        stop, basis = tiles.next_pass(x, ROW_BITS, k, len(x), 1, limit)
        assert stop > k
        span = {0}
        for member in basis:
            span |= {word ^ int(member) for word in span}
        assert len(span) == 2 ** len(basis)
        assert {int(word) >> 6 for word in x[k:stop]} <= span
        assert stop == len(x) or int(x[stop]) >> 6 not in span
        k = stop


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_one_state(limit, program):
    labels, angle, rotations = program
    (state,) = states(1)
    expected = state[0] + 1j * state[1]
    for label, phi in zip(labels, angle, strict=True):
        expected = dense.rotation_matrix(label, phi) @ expected
    k = 0
    while k < len(labels):
        stop, basis = tiles.next_pass(rotations.x, ROW_BITS, k, len(labels), 1, limit)
        cosets = 8 >> len(basis)
        for first, last in ((cosets // 2, cosets), (0, cosets // 2)):
            tiles.run_tiles(Amplitudes(*state), Rows(ROW_BITS, 64, 64), rotations, k, stop, basis, first, last)
        k = stop
    assert np.allclose(state[0] + 1j * state[1], expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("limit", [1, 3])
def test_two_states_back(limit, program):
    labels, angle, rotations = program
    state, other = states(2)
    a, b = (each[0] + 1j * each[1] for each in (state, other))
    moving = np.arange(len(labels)) % 3 != 1
    k = len(labels) - 1
    while k >= 0:
        stop, basis = tiles.next_pass(rotations.x, ROW_BITS, k, -1, -1, limit)
        found = np.zeros(k - stop)
        cosets = 8 >> len(basis)
        for first, last in ((0, cosets // 2), (cosets // 2, cosets)):
            tiles.back_tiles(state, other, rotations, moving, k, stop, basis, first, last, found)
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
def test_lanes(width, tile, program, monkeypatch):
    """Many states side by side, in tiles and all at once; lanes that have not begun stay as they are."""
    labels, angle, rotations = program
    monkeypatch.setattr(tangents, "_TILE", tile)
    turn = tangents._turn_lanes.py_func
    lanes = np.ascontiguousarray(states(width + 3).transpose(1, 2, 0))
    before = lanes.copy()
    turn(Amplitudes(*lanes.reshape(2, -1)), 2**N, width + 3, width, rotations, 0, len(labels), False)
    expected = before[0] + 1j * before[1]
    for label, phi in zip(labels, angle, strict=True):
        expected[:, :width] = dense.rotation_matrix(label, phi) @ expected[:, :width]
    assert np.allclose(lanes[0] + 1j * lanes[1], expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("begun", [0, 3, 8, 20])
@pytest.mark.parametrize("lanes", [[0], range(8), range(9), [0, 0, 2, 2, 2, 7], [1, 2, 3, 4, 5], [0, 2, *range(3, 20)]])
def test_strings_are_added_to_lanes(lanes, begun, program):
    """More lanes than are written at once, several strings in one, and lanes that have begun before others that set
    what was there: those follow each other without a gap."""
    add_strings(program, False, lanes, begun)


@pytest.mark.parametrize("begun", [0, 2, 8])
@pytest.mark.parametrize("lanes", [[0] * 4, [0, 0, 2, 2, 2, 2, 2, 2], [*range(9)], [1] * 9 + [2] * 3])
def test_diagonal_strings_are_added_to_lanes(lanes, begun):
    """By a transform where a lane has many of them, and one by one where it has few."""
    diagonal = [label.translate(str.maketrans("XY", "ZI")) for label in random_labels(8, N, 12)]
    add_strings(program_of(diagonal), True, lanes, begun)


def add_strings(program, is_diagonal, lanes, begun):
    labels, weight, rotations = program
    lane = np.array([k for k in lanes if k < begun] + list(range(begun, begun + sum(k >= begun for k in lanes))))
    entry = np.arange(len(lane)) % len(labels)
    (state,) = states(1)
    out = np.full((2, 2**N, 41), np.nan)
    out[:, :, :begun] = np.random.default_rng(1).normal(size=(2, 2**N, begun))
    expected = np.nan_to_num(out[0] + 1j * out[1])
    for k, e in zip(lane, entry, strict=True):
        expected[:, k] += weight[e] * (dense.label_matrix(labels[e]) @ (state[0] + 1j * state[1]))
    # between entries of other stages, which are not of this call
    before, after = ([0] * 3, [1] * 2)
    entries = Entries(
        start=np.array([0, 3, 3 + len(lane), 5 + len(lane)]),
        rotation=np.r_[before, entry, after],
        lane=np.r_[before, lane, lane[-1:], after[:1]],
        weight=np.r_[[np.nan] * 3, weight[entry], [np.nan] * 2],
    )
    whole = Amplitudes(*out.reshape(2, -1))
    last = tangents._add_strings(state, rotations, entries, 1, is_diagonal, begun, whole, 41)
    assert last == max(begun, lane.max() + 1)
    assert np.allclose((out[0] + 1j * out[1])[:, :last], expected[:, :last], rtol=0, atol=1e-14)
    assert np.isnan(out[:, :, last:]).all()
