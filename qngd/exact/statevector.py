"""Work on whole statevectors, shared out over the cores where that pays. A state is a float array (2, N)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qngd._system.threads import num_threads, split, splits
from qngd.circuit.observable import Observable
from qngd.exact.kernels import diagonal, strings, sweeps, tiles
from qngd.exact.kernels.layout import CHUNK, ROW_BITS, Amplitudes, Rotations, Rows
from qngd.exact.schedule import Schedule

_TILE_DIRECTIONS = 8  # a tile of 2⁸ rows, 256 KiB, stays in a second-level cache
_BACK_DIRECTIONS = 7  # with two states
_COLUMNS = 32  # real numbers side by side in a tile of the transform


class Terms(NamedTuple):
    """An observable for the kernels: its terms in groups of equal x mask.

    Attributes:
        start: (G+1,) where the groups begin, with the end.
        x: (G,) the mask of each group.
        z, coefficient: (T,) of every term.
    """

    start: np.ndarray
    x: np.ndarray
    z: np.ndarray
    coefficient: np.ndarray

    @classmethod
    def of(cls, pulled: Observable) -> Terms:
        """From an observable that was pulled through the Clifford gates at the circuit's end."""
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


def complex_inner(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """Real and imaginary part of ⟨a|b⟩."""
    return inner(a, b), float(np.vdot(a[0], b[1]) - np.vdot(a[1], b[0]))


def chunks_of(state: np.ndarray) -> int:
    """Work items of the kernels that go through a state (…, N) once."""
    size = state.shape[-1]
    return size // min(size, CHUNK)


def apply_rotations(state: np.ndarray, rotations: Rotations, begin: int = 0, end: int | None = None) -> None:
    """Apply the rotations begin…end−1 (all by default) to a state, on all cores where that pays."""
    size = state.shape[1]
    end = len(rotations.x) if end is None else end
    if not splits(size):
        sweeps.run(state, rotations, begin, end)
        return
    whole, rows = Amplitudes(*state), _rows(size)
    limit = _directions(size, _TILE_DIRECTIONS)
    while begin < end:
        stop, basis = tiles.next_pass(rotations.x, ROW_BITS, begin, end, 1, limit)

        def part(a: int, b: int, begin: int = begin, stop: int = stop, basis: np.ndarray = basis) -> None:
            tiles.run_tiles(whole, rows, rotations, begin, stop, basis, a, b)

        split(part, chunks_of(state) >> len(basis), size)
        begin = stop


def _rows(size: int) -> Rows:
    """The rows of a state that are its chunks."""
    return Rows(ROW_BITS, min(size, CHUNK), min(size, CHUNK))


def run_schedule(
    state: np.ndarray, schedule: Schedule, rotations: Rotations, first: int = 0, last: int | None = None
) -> None:
    """Apply the stages first…last−1 (all by default), with the schedule's `rotations`."""
    start, diagonal_stages = schedule.stages
    last = len(diagonal_stages) if last is None else last
    if not splits(state.shape[1]):
        sweeps.run_stages(state, rotations, schedule.stages, first, last)
        return
    for stage in range(first, last):
        begin, end = start[stage], start[stage + 1]
        if diagonal_stages[stage]:
            _turn_diagonal(state, rotations, begin, end)
        else:
            apply_rotations(state, rotations, begin, end)


def overlaps_back(state: np.ndarray, other: np.ndarray, schedule: Schedule, rotations: Rotations) -> np.ndarray:
    """Im⟨λ|P_k|ψ⟩ of every moving rotation (K,), 0 for others; both states, given at the end of the circuit,
    are run back to its start."""
    out = np.zeros(len(schedule))
    if not splits(state.shape[1]):
        sweeps.backward(state, other, rotations, schedule.stages, schedule.moving, out)
        return out
    start, diagonal_stages = schedule.stages
    undo = rotations._replace(sin=-rotations.sin)
    for stage in range(len(diagonal_stages) - 1, -1, -1):
        begin, end = int(start[stage]), int(start[stage + 1])
        if diagonal_stages[stage]:
            if schedule.moving[begin]:
                out[begin:end] = _diagonal_slopes(other, state)[schedule.z[begin:end]]
            for each in (state, other):
                _turn_diagonal(each, undo, begin, end)
        else:
            out[begin:end] = _undo(state, other, rotations, schedule.moving, begin, end)
    return out


def _undo(
    state: np.ndarray, other: np.ndarray, rotations: Rotations, moving: np.ndarray, begin: int, end: int
) -> np.ndarray:
    """One stage of `overlaps_back` on all cores: the overlaps of the rotations begin…end−1."""
    size = state.shape[1]
    out = np.zeros(end - begin)
    limit = _directions(size, _BACK_DIRECTIONS)
    k = end - 1
    while k >= begin:
        stop, basis = tiles.next_pass(rotations.x, ROW_BITS, k, begin - 1, -1, limit)

        def part(a: int, b: int, k: int = k, stop: int = stop, basis: np.ndarray = basis) -> np.ndarray:
            found = np.zeros(k - stop)
            tiles.back_tiles(state, other, rotations, moving, k, stop, basis, a, b, found)
            return found

        parts = split(part, chunks_of(state) >> len(basis), size)
        out[stop + 1 - begin : k + 1 - begin] = np.sum(parts, axis=0)[::-1]
        k = stop
    return out


def _directions(size: int, limit: int) -> int:
    """How many directions a tile may span so that every thread gets several tiles."""
    spare = (size // min(size, CHUNK) // (4 * num_threads())).bit_length() - 1
    return max(1, min(limit, spare))


def _turn_diagonal(state: np.ndarray, rotations: Rotations, begin: int, end: int) -> None:
    """Apply the rotations begin…end−1, all about Z strings."""
    whole = Amplitudes(*state)
    split(lambda a, b: diagonal.turn_diagonal(whole, rotations, begin, end, a, b), chunks_of(state), state.shape[1])


def weights_of(state: np.ndarray) -> np.ndarray:
    """|ψ_b|² of every basis index b, shape (N,)."""
    weights = np.empty(state.shape[1])
    split(lambda a, b: diagonal.weights(state, weights, a, b), len(weights), len(weights))
    return weights


def weight_sums(state: np.ndarray) -> np.ndarray:
    """⟨ψ|Z_z|ψ⟩ for every mask z, shape (N,)."""
    sums = weights_of(state)
    transform(sums)
    return sums


def _diagonal_slopes(other: np.ndarray, state: np.ndarray) -> np.ndarray:
    """Im⟨λ|Z_z|ψ⟩ for every mask z, shape (N,)."""
    sums = np.empty(state.shape[1])
    split(lambda a, b: diagonal.slopes(other, state, sums, a, b), len(sums), len(sums))
    transform(sums)
    return sums


def transform(values: np.ndarray) -> None:
    """The Walsh–Hadamard transform, in place."""
    size = len(values)
    if not splits(size) or size <= diagonal.BLOCK:
        diagonal.walsh(values)
        return
    split(lambda a, b: diagonal.walsh_blocks(values, a, b), size // diagonal.BLOCK, size)
    split(lambda a, b: diagonal.walsh_across(values, _COLUMNS, a, b), diagonal.BLOCK // _COLUMNS, size)


def add_strings(state: np.ndarray, schedule: Schedule, stage: int, weights: np.ndarray, out: np.ndarray) -> None:
    """out += Σ_k weights_k·P_kψ over the rotations of a stage."""
    s, size = schedule, state.shape[1]
    begin, end = int(s.stages.start[stage]), int(s.stages.start[stage + 1])
    if s.stages.diagonal[stage]:  # the sum of all is one diagonal, whose transform is the weights
        factors = np.zeros(size)
        np.add.at(factors, s.z[begin:end], weights[begin:end])
        transform(factors)
        split(lambda a, b: diagonal.add_product(state, factors, out, a, b), size, size)
        return
    for k in range(begin, end):
        _add_pauli(state, s.x[k], s.z[k], weights[k], out)


def _add_pauli(state: np.ndarray, x: np.uint64, z: np.uint64, weight: float, out: np.ndarray) -> None:
    """out += weight·Pψ."""
    split(lambda a, b: strings.add_pauli(state, x, z, weight, out, a, b), chunks_of(state), state.shape[1])


def times_observable(state: np.ndarray, terms: Terms) -> np.ndarray:
    """Hψ."""
    out = np.empty_like(state)
    split(lambda a, b: strings.apply_observable(state, terms, out, a, b), chunks_of(state), state.shape[1])
    return out
