"""Compiled sums over the Pauli strings that a string turns into on its way back to |0…0⟩.

With R = exp(−iφ/2 P), R†QR is Q where the two commute, else cos φ·Q − i sin φ·QP. What is a Z string at the start has
the value 1, every other 0. A string whose x mask is no sum of those of the rotations still to come never becomes a Z
string, and is left out at once: so a rotation that alone could undo itself costs nothing, and a wide cone may have
few paths.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qngd._system.compilation import kernel
from qngd.circuit.bits import anticommuting, common_bits
from qngd.exact.kernels.spans import lowest_bit
from qngd.exact.kernels.table import find

_ONE = np.uint64(1)


class Paths(NamedTuple):
    """The strings on the ways of T watched strings, one watched string after the other.

    Attributes:
        step: (T+1,) where the steps of each begin, with the end; a step goes back through one rotation.
        rotation: (S,) its number in the circuit.
        start: (S+1,) where the strings after each step begin, with the end.
        own: (E,) for each string, which it was before the step, counted from the first string there; −1 if it was none.
        other: (E,) which string before the step turns into it; −1 if none does.
        sign: (E,) of the latter's sine.
        turns: (E,) whether it anticommutes with the rotation's generator.
    """

    step: np.ndarray
    rotation: np.ndarray
    start: np.ndarray
    own: np.ndarray
    other: np.ndarray
    sign: np.ndarray
    turns: np.ndarray


@kernel
def echelon(x):
    """Rows that span the masks x (m, W) in order, the bit that each alone has to be reduced by, and how many of them
    the first k masks need, (m+1,)."""
    count = x.shape[0]
    rows, pivots, needed = x.copy(), np.empty(count, dtype=np.int64), np.zeros(count + 1, dtype=np.int64)
    rank = 0
    for k in range(count):
        rows[rank] = x[k]
        _reduce(rows[rank], rows, pivots, rank)
        pivot = lowest_bit(rows[rank])
        if pivot >= 0:
            pivots[rank] = pivot
            rank += 1
        needed[k + 1] = rank
    return rows, pivots, needed


@kernel
def _reduce(mask, rows, pivots, size):
    for m in range(size):
        if mask[pivots[m] >> 6] >> np.uint64(pivots[m] & 63) & _ONE:
            for w in range(mask.shape[0]):
                mask[w] ^= rows[m, w]


@kernel
def lives(x, rows, pivots, size):
    """Whether a mask is a sum of the first `size` rows."""
    rest = x.copy()
    _reduce(rest, rows, pivots, size)
    return not rest.any()


@kernel
def turned_sign(x, z, generators, k, out_x, out_z):
    """−i·Q·P_k for a string with masks x, z and sign +1 into the masks; returns its sign."""
    gx, gz = generators.x[k], generators.z[k]
    for w in range(x.shape[0]):
        out_x[w] = x[w] ^ gx[w]
        out_z[w] = z[w] ^ gz[w]
    phase = 3 + common_bits(x, z) + common_bits(gx, gz) + 2 * common_bits(z, gx) - common_bits(out_x, out_z)
    return generators.sign[k] * (1 - (phase & 3))


@kernel
def find_paths(x, z, generators, limit):
    """The paths of a string with masks x, z (W,) through the generators (m, W) of its cone, from the last to the first:
    how many strings there are after each step (m,), and `own`, `other`, `sign` and `turns` of all of them. More than
    `limit` strings, and the first array is empty."""
    count, words = generators.x.shape
    rows, pivots, needed = echelon(generators.x)
    sizes = np.zeros(count, dtype=np.int64)
    room, filled = 256, 0
    own, other = np.empty(room, dtype=np.int32), np.empty(room, dtype=np.int32)
    sign, turns = np.empty(room, dtype=np.int8), np.empty(room, dtype=np.bool_)
    xs, zs = x.reshape(1, -1).copy(), z.reshape(1, -1).copy()
    live = 1 if lives(x, rows, pivots, needed[count]) else 0
    new_x, new_z = np.empty(words, dtype=np.uint64), np.empty(words, dtype=np.uint64)
    for step in range(count):
        k = count - 1 - step
        bits = 2
        while 1 << bits < 4 * live:
            bits += 1
        table = np.full(1 << bits, -1, dtype=np.int32)
        next_x = np.empty((2 * live, words), dtype=np.uint64)
        next_z = np.empty((2 * live, words), dtype=np.uint64)
        while filled + 2 * live > own.shape[0]:
            own, other = np.append(own, own), np.append(other, other)
            sign, turns = np.append(sign, sign), np.append(turns, turns)
        made = 0
        for t in range(live):
            is_turned = anticommuting(xs[t], zs[t], generators.x[k], generators.z[k])
            if lives(xs[t], rows, pivots, needed[k]):
                found, place = find(xs[t], zs[t], next_x, next_z, table)
                is_new = found < 0
                at = filled + (made if is_new else found)
                if is_new:
                    table[place] = made
                    next_x[made], next_z[made] = xs[t], zs[t]
                    other[at], sign[at], turns[at] = -1, 0, is_turned
                    made += 1
                own[at] = t
            if is_turned:
                new_sign = turned_sign(xs[t], zs[t], generators, k, new_x, new_z)
                if lives(new_x, rows, pivots, needed[k]):
                    found, place = find(new_x, new_z, next_x, next_z, table)
                    is_new = found < 0
                    at = filled + (made if is_new else found)
                    if is_new:
                        table[place] = made
                        next_x[made], next_z[made] = new_x, new_z
                        own[at], turns[at] = -1, True
                        made += 1
                    other[at], sign[at] = t, new_sign
        sizes[step] = made
        filled += made
        if filled > limit:
            return sizes[:0], own[:0], other[:0], sign[:0], turns[:0]
        xs, zs, live = next_x, next_z, made
    return sizes, own[:filled], other[:filled], sign[:filled], turns[:filled]


@kernel
def add_up(paths, phi, begin, end, with_slopes, value, slope):
    """⟨P_t⟩ of the watched strings begin…end−1 at the angles (K,) into value (T,), and its derivative by the angle of
    each of their steps into slope (S,)."""
    for t in range(begin, end):
        first, last = paths.step[t], paths.step[t + 1]
        base = paths.start[first]
        weight = np.empty(paths.start[last] - base + 1)
        weight[0] = 1.0  # before the first step, the watched string itself
        before = 0
        for s in range(first, last):
            c, v = np.cos(phi[paths.rotation[s]]), np.sin(phi[paths.rotation[s]])
            for e in range(paths.start[s], paths.start[s + 1]):
                total = 0.0
                if paths.own[e] >= 0:
                    total = weight[before + paths.own[e]] * (c if paths.turns[e] else 1.0)
                if paths.other[e] >= 0:
                    total += v * paths.sign[e] * weight[before + paths.other[e]]
                weight[e - base + 1] = total
            before = paths.start[s] - base + 1
        value[t] = np.sum(weight[before:])
        if with_slopes:
            _add_slopes(paths, phi, first, last, weight, slope)


@kernel
def _add_slopes(paths, phi, first, last, weight, slope):
    """The derivatives, from the strings' weights on the way."""
    base = paths.start[first]
    dual = np.zeros_like(weight)
    dual[(paths.start[last - 1] - base + 1 if last > first else 0) :] = 1.0
    for s in range(last - 1, first - 1, -1):
        c, v = np.cos(phi[paths.rotation[s]]), np.sin(phi[paths.rotation[s]])
        before = paths.start[s - 1] - base + 1 if s > first else 0
        total = 0.0
        for e in range(paths.start[s], paths.start[s + 1]):
            own, other, up = paths.own[e], paths.other[e], dual[e - base + 1]
            if own >= 0:
                dual[before + own] += up * (c if paths.turns[e] else 1.0)
                if paths.turns[e]:
                    total -= v * up * weight[before + own]
            if other >= 0:
                dual[before + other] += up * v * paths.sign[e]
                total += c * paths.sign[e] * up * weight[before + other]
        slope[s] = total
