"""Work on whole statevectors, shared out over the cores where that pays. A state is a float array (2, N)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qngd._system.threads import num_threads, split, splits
from qngd.circuit.observable import Observable
from qngd.exact.kernels import diagonal as _diagonal
from qngd.exact.kernels import rows as _kernels
from qngd.exact.kernels import sweeps as _sweeps
from qngd.exact.kernels import tiles as _tiles
from qngd.exact.schedule import Schedule

_ROW_BITS = np.uint64(_kernels.CHUNK_BITS)
_TILE_DIRECTIONS = 8  # a tile of 2⁸ rows, 256 KiB, stays in a second-level cache
_BACK_DIRECTIONS = 7  # with two states
_COLUMNS = 32  # real numbers side by side in a tile of the transform


@dataclass(frozen=True, eq=False)
class Terms:
    """An observable for the kernels: its terms grouped by x mask."""

    start: np.ndarray
    x: np.ndarray
    z: np.ndarray
    coefficient: np.ndarray

    @classmethod
    def of(cls, pulled: Observable) -> Terms:
        x, z = pulled.strings.x[:, 0], pulled.strings.z[:, 0]
        order = np.lexsort((z, x))
        x, z = x[order], z[order]
        heads = np.flatnonzero(np.r_[True, x[1:] != x[:-1]][: len(x)])
        start = np.r_[heads, len(x)].astype(np.int64)
        coefficient = (pulled.coefficients * pulled.strings.sign)[order]
        return cls(start, x[heads], z, coefficient)


def zero_state(num_qubits: int) -> np.ndarray:
    """|0…0⟩ as a float array (2, 2ⁿ)."""
    state = np.zeros((2, 1 << num_qubits))
    state[0, 0] = 1.0
    return state


def inner(a: np.ndarray, b: np.ndarray) -> float:
    """Re⟨a|b⟩."""
    return float(np.vdot(a, b))


def chunks_of(state: np.ndarray) -> int:
    """Work items of the kernels that go through a state (…, N) once."""
    size = state.shape[-1]
    return size // min(size, _kernels.CHUNK)


def apply_rotations(
    state: np.ndarray,
    x: np.ndarray,
    z: np.ndarray,
    cos: np.ndarray,
    sin: np.ndarray,
    begin: int = 0,
    end: int | None = None,
) -> None:
    """Apply the rotations begin…end−1 (all by default) to a state, on all cores where that pays."""
    re, im = state
    end = len(x) if end is None else end
    if not splits(len(re)):
        _kernels.run(re, im, x, z, cos, sin, begin, end)
        return
    basis = np.empty(_TILE_DIRECTIONS, dtype=np.uint64)
    width = min(len(re), _kernels.CHUNK)
    limit = _directions(len(re), _TILE_DIRECTIONS)
    while begin < end:
        stop, dim = _tiles.next_pass(x, _ROW_BITS, begin, end, 1, limit, basis)

        def part(a: int, b: int, begin: int = begin, stop: int = stop, dim: int = dim) -> None:
            _tiles.run_tiles(re, im, _ROW_BITS, width, width, x, z, cos, sin, begin, stop, basis, dim, a, b)

        split(part, chunks_of(state) >> dim, len(re))
        begin = stop


def run_stages(
    state: np.ndarray, schedule: Schedule, cos: np.ndarray, sin: np.ndarray, first: int = 0, last: int | None = None
) -> None:
    """Apply the stages first…last−1 (all by default)."""
    s = schedule
    last = len(s.diagonal) if last is None else last
    if not splits(state.shape[1]):
        _sweeps.run_stages(state[0], state[1], s.x, s.z, cos, sin, s.start, s.diagonal, first, last)
        return
    for stage in range(first, last):
        begin, end = s.start[stage], s.start[stage + 1]
        if s.diagonal[stage]:
            _turn_diagonal(state, s.z, cos, sin, begin, end)
        else:
            apply_rotations(state, s.x, s.z, cos, sin, begin, end)


def overlaps_back(
    state: np.ndarray, other: np.ndarray, schedule: Schedule, cos: np.ndarray, sin: np.ndarray
) -> np.ndarray:
    """Im⟨λ|P_k|ψ⟩ of every moving rotation (K,), 0 for others; both states, given at the end of the circuit,
    are run back to its start."""
    s = schedule
    out = np.zeros(len(s))
    if not splits(state.shape[1]):
        _sweeps.backward(*state, *other, s.x, s.z, cos, -sin, s.moving, s.start, s.diagonal, out)
        return out
    for stage in range(len(s.diagonal) - 1, -1, -1):
        begin, end = int(s.start[stage]), int(s.start[stage + 1])
        if s.diagonal[stage]:
            if s.moving[begin]:
                out[begin:end] = _diagonal_slopes(other, state)[s.z[begin:end]]
            for each in (state, other):
                _turn_diagonal(each, s.z, cos, -sin, begin, end)
        else:
            _undo(state, other, schedule, cos, sin, begin, end, out)
    return out


def _undo(
    state: np.ndarray,
    other: np.ndarray,
    schedule: Schedule,
    cos: np.ndarray,
    sin: np.ndarray,
    begin: int,
    end: int,
    out: np.ndarray,
) -> None:
    """One stage of `overlaps_back` on all cores."""
    s, size = schedule, state.shape[1]
    basis = np.empty(_BACK_DIRECTIONS, dtype=np.uint64)
    width, limit = min(size, _kernels.CHUNK), _directions(size, _BACK_DIRECTIONS)
    k = end - 1
    while k >= begin:
        stop, dim = _tiles.next_pass(s.x, _ROW_BITS, k, begin - 1, -1, limit, basis)

        def part(a: int, b: int, k: int = k, stop: int = stop, dim: int = dim) -> np.ndarray:
            found = np.zeros(k - stop)
            _tiles.back_tiles(*state, *other, width, s.x, s.z, cos, sin, s.moving, k, stop, basis, dim, a, b, found)
            return found

        out[stop + 1 : k + 1] = np.sum(split(part, chunks_of(state) >> dim, size), axis=0)[::-1]
        k = stop


def _directions(size: int, limit: int) -> int:
    """How many directions a tile may span so that every thread gets several tiles."""
    spare = (size // min(size, _kernels.CHUNK) // (4 * num_threads())).bit_length() - 1
    return max(1, min(limit, spare))


def _turn_diagonal(state: np.ndarray, z: np.ndarray, cos: np.ndarray, sin: np.ndarray, begin: int, end: int) -> None:
    def part(a: int, b: int) -> None:
        _diagonal.turn_diagonal(state[0], state[1], z, cos, sin, begin, end, a, b)

    split(part, chunks_of(state), state.shape[1])


def weights_of(state: np.ndarray) -> np.ndarray:
    """|ψ_b|² of every basis index b, shape (N,)."""
    weights = np.empty(state.shape[1])
    split(lambda a, b: _diagonal.weights(state[0], state[1], weights, a, b), len(weights), len(weights))
    return weights


def weight_sums(state: np.ndarray) -> np.ndarray:
    """⟨ψ|Z_z|ψ⟩ for every mask z, shape (N,)."""
    sums = weights_of(state)
    transform(sums)
    return sums


def _diagonal_slopes(other: np.ndarray, state: np.ndarray) -> np.ndarray:
    """Im⟨λ|Z_z|ψ⟩ for every mask z, shape (N,)."""
    sums = np.empty(state.shape[1])
    split(lambda a, b: _diagonal.slopes(*other, *state, sums, a, b), len(sums), len(sums))
    transform(sums)
    return sums


def transform(values: np.ndarray) -> None:
    """The Walsh–Hadamard transform, in place."""
    size = len(values)
    if not splits(size) or size <= _diagonal.BLOCK:
        _diagonal.walsh(values)
        return
    split(lambda a, b: _diagonal.walsh_blocks(values, a, b), size // _diagonal.BLOCK, size)
    split(lambda a, b: _diagonal.walsh_across(values, _COLUMNS, a, b), _diagonal.BLOCK // _COLUMNS, size)


def add_strings(state: np.ndarray, schedule: Schedule, stage: int, weights: np.ndarray, out: np.ndarray) -> None:
    """out += Σ_k weights_k·P_kψ over the rotations of a stage."""
    s = schedule
    begin, end = int(s.start[stage]), int(s.start[stage + 1])
    if s.diagonal[stage]:  # the sum of all is one diagonal, whose transform is the weights
        factors = np.zeros(state.shape[1])
        np.add.at(factors, s.z[begin:end], weights[begin:end])
        transform(factors)
        split(
            lambda a, b: _diagonal.add_product(state[0], state[1], factors, out[0], out[1], a, b),
            len(factors),
            len(factors),
        )
        return
    for k in range(begin, end):
        _add_pauli(state, s.x[k], s.z[k], weights[k], out)


def _add_pauli(state: np.ndarray, x: np.uint64, z: np.uint64, weight: float, out: np.ndarray) -> None:
    """out += weight·Pψ."""

    def part(a: int, b: int) -> None:
        _kernels.add_pauli(state[0], state[1], x, z, weight, out[0], out[1], a, b)

    split(part, chunks_of(state), state.shape[1])


def times_observable(state: np.ndarray, terms: Terms) -> np.ndarray:
    """Hψ."""
    out = np.empty_like(state)

    def part(a: int, b: int) -> None:
        _kernels.apply_observable(*state, terms.start, terms.x, terms.z, terms.coefficient, *out, a, b)

    split(part, chunks_of(state), state.shape[1])
    return out
