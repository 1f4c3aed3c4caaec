"""Compiled sums over the Pauli strings that a string turns into on its way back to |0…0⟩.

With R = exp(−iφ/2 P), R†QR is Q where the two commute, else cos φ·Q − i sin φ·QP. What is a Z string at the start has
the value 1, every other 0. A string whose x mask is no sum of those of the rotations still to come never becomes a Z
string, and is left out at once: so a rotation that alone could undo itself costs nothing. Two strings that differ by a
Z string that commutes with all rotations still to come have equal values, and are one. So a wide cone may have few
paths, the more so in a good order (see `elimination`).

Strings are on the qubits of their span (see `spans`), whose vectors are x masks of rotations, the first to run first:
then the rotations 0…k−1 reach the lowest `needed[k]` bits, and a string lives if x has no others, and of z only these
count.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qngd._system.compilation import kernel
from qngd.circuit.bits import anticommuting, common_bits
from qngd.exact.kernels.table import find, new_table

_ONE = np.uint64(1)


class Paths(NamedTuple):
    """The strings on the ways of T sums of watched strings, one sum after the other.

    Attributes:
        watched: (T+1,) where the watched strings of each begin, with the end.
        weight: (W,) theirs, with their signs.
        step: (T+1,) where the steps of each begin, with the end; a step goes back through one rotation.
        rotation: (S,) its number in the circuit.
        start: (S+1,) where the strings after each step begin, with the end.
        source: (E, 3) of which strings each is made: of one that commutes with the generator; of one that does not,
            with the cosine; and of one that is turned into it, with the sine. Places among 0, which is none, the
            watched strings and all others of the sum.
        sign: (E,) of the sine.
    """

    watched: np.ndarray
    weight: np.ndarray
    step: np.ndarray
    rotation: np.ndarray
    start: np.ndarray
    source: np.ndarray
    sign: np.ndarray


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
def _low_bits(count, words):
    """A mask of the lowest bits."""
    mask = np.zeros(words, dtype=np.uint64)
    for bit in range(count):
        mask[bit >> 6] |= _ONE << np.uint64(bit & 63)
    return mask


@kernel
def _put(x, z, low, xs, zs, table, source, filled, made):
    """The number of a string, as far as the low bits count, among those behind a step, of which so many are `made`."""
    for w in range(x.shape[0]):
        zs[made, w] = z[w] & low[w]
    number, place = find(x, zs[made], xs, zs, table)
    if number < 0:
        number = made
        xs[number] = x
        table[place] = number
        source[filled + number] = 0
    return number


@kernel
def _is_within(x, low):
    """Whether a mask has no other bits than the low ones."""
    beyond = np.uint64(0)
    for w in range(x.shape[0]):
        beyond |= x[w] & ~low[w]
    return beyond == 0


@kernel
def _more(values, wanted):
    """The array with room for at least so many."""
    size = values.shape[0]
    if wanted <= size:
        return values
    more = np.empty((max(wanted, 2 * size), values.shape[1]), dtype=values.dtype)
    more[:size] = values
    return more


@kernel
def find_paths(watched, generators, needed, limit):
    """The paths of watched strings, masks (V, W), through generators (m, W) in running order: how many strings there
    are after each step (m,), and `source` and `sign` of all of them. More than `limit` strings, and the first array is
    empty."""
    count, words = generators.x.shape
    sizes = np.zeros(count, dtype=np.int64)
    source, sign = np.empty((256, 3), dtype=np.int32), np.empty((256, 1), dtype=np.int8)
    filled, first, live = 0, 1, watched.x.shape[0]  # place 0 has nothing
    xs, zs = watched.x, watched.z
    new_x, new_z = np.empty(words, dtype=np.uint64), np.empty(words, dtype=np.uint64)
    for step in range(count):
        k = count - 1 - step
        low = _low_bits(needed[k], words)
        table = new_table(2 * live)
        next_x = np.empty((2 * live + 1, words), dtype=np.uint64)
        next_z = np.empty((2 * live + 1, words), dtype=np.uint64)
        source, sign = _more(source, filled + 2 * live), _more(sign, filled + 2 * live)
        made = 0
        for t in range(live):
            is_turned = anticommuting(xs[t], zs[t], generators.x[k], generators.z[k])
            if _is_within(xs[t], low):
                number = _put(xs[t], zs[t], low, next_x, next_z, table, source, filled, made)
                source[filled + number, 1 if is_turned else 0] = first + t
                made = max(made, number + 1)
            if is_turned:
                new_sign = turned_sign(xs[t], zs[t], generators, k, new_x, new_z)
                if _is_within(new_x, low):
                    number = _put(new_x, new_z, low, next_x, next_z, table, source, filled, made)
                    source[filled + number, 2], sign[filled + number, 0] = first + t, new_sign
                    made = max(made, number + 1)
        sizes[step] = made
        filled, first = filled + made, first + live
        if filled > limit:
            return sizes[:0], source[:0], sign[:0, 0]
        xs, zs, live = next_x, next_z, made
    return sizes, source[:filled].copy(), sign[:filled, 0].copy()


@kernel
def add_up(paths, phi, begin, end, with_slopes, value, slope):
    """Σ weight·⟨P⟩ of the sums begin…end−1 at the angles (K,) into value (T,), and its derivative by the angle of each
    of their steps into slope (S,)."""
    for t in range(begin, end):
        first, last = paths.step[t], paths.step[t + 1]
        some = paths.watched[t + 1] - paths.watched[t]
        base, size = paths.start[first], paths.start[last] - paths.start[first]
        weight = np.empty(1 + some + size)
        weight[0] = 0.0
        weight[1 : 1 + some] = paths.weight[paths.watched[t] : paths.watched[t + 1]]
        shift = 1 + some - base
        for s in range(first, last):
            c, v = np.cos(phi[paths.rotation[s]]), np.sin(phi[paths.rotation[s]])
            for e in range(paths.start[s], paths.start[s + 1]):
                still, own, other = paths.source[e, 0], paths.source[e, 1], paths.source[e, 2]
                weight[shift + e] = weight[still] + c * weight[own] + v * paths.sign[e] * weight[other]
        end_at = paths.start[last - 1] + shift if last > first else 1
        value[t] = np.sum(weight[end_at:])
        if with_slopes:
            dual = np.zeros_like(weight)
            dual[end_at:] = 1.0
            _add_slopes(paths, phi, first, last, shift, weight, dual, slope)


@kernel
def _add_slopes(paths, phi, first, last, shift, weight, dual, slope):
    """The derivatives, from the strings' weights on the way, and those of the sum by the last weights."""
    for s in range(last - 1, first - 1, -1):
        c, v = np.cos(phi[paths.rotation[s]]), np.sin(phi[paths.rotation[s]])
        total = 0.0
        for e in range(paths.start[s], paths.start[s + 1]):
            still, own, other = paths.source[e, 0], paths.source[e, 1], paths.source[e, 2]
            up, turned = dual[shift + e], dual[shift + e] * paths.sign[e]
            dual[still] += up
            dual[own] += c * up
            dual[other] += v * turned
            total += c * turned * weight[other] - v * up * weight[own]
        slope[s] = total
