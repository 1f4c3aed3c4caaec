"""Compiled algebra of bits: Pauli strings on the basis states that they reach from |0…0⟩.

A string takes |b⟩ to ±|b ⊕ x⟩ or ±i|b ⊕ x⟩, so a product of strings takes |0…0⟩ to a basis state in the span of their
x masks. With a basis b_1…b_r of the span, |Σ v_m b_m⟩ is basis state v of r qubits, where a string of the set has x'
with x = Σ x'_m b_m, and z'_m = z·b_m.
"""

from __future__ import annotations

import numpy as np

from qngd._system.compilation import kernel
from qngd.circuit.bits import common_bits, dot

_ONE = np.uint64(1)


@kernel
def lowest_bit(row):
    """The place of the lowest bit, or −1."""
    for w in range(row.shape[0]):
        if row[w]:
            bit = 0
            while not row[w] >> np.uint64(bit) & _ONE:
                bit += 1
            return 64 * w + bit
    return -1


@kernel
def reduce(rest, rows, pivots, size):
    """Take the first `size` rows of an echelon form out of a mask, in place."""
    for m in range(size):
        if rest[pivots[m] >> 6] >> np.uint64(pivots[m] & 63) & _ONE:
            for w in range(rest.shape[0]):
                rest[w] ^= rows[m, w]


@kernel
def echelon(x):
    """Rows that span the masks x (m, W) in order, the bit that each alone has to be reduced by, and how many of them
    the first k masks need, (m+1,)."""
    count = x.shape[0]
    rows, pivots, needed = x.copy(), np.empty(count, dtype=np.int64), np.zeros(count + 1, dtype=np.int64)
    rank = 0
    for k in range(count):
        rows[rank] = x[k]
        reduce(rows[rank], rows, pivots, rank)
        pivot = lowest_bit(rows[rank])
        if pivot >= 0:
            pivots[rank] = pivot
            rank += 1
        needed[k + 1] = rank
    return rows, pivots, needed


@kernel
def coordinates(strings, basis, out):
    """Strings (x, z, sign), masks (m, W), as strings of r qubits into `out`, masks (m, W), and into `basis` the numbers
    of the strings whose x masks are its vectors: those that are no sums of earlier ones. Returns r."""
    count, words = strings.x.shape
    rows = np.empty((count, 2 * words), dtype=np.uint64)  # a mask, and of which vectors it is the sum
    pivots = np.empty(count, dtype=np.int64)
    rank = 0
    for k in range(count):
        rows[rank, :words], rows[rank, words:] = strings.x[k], np.uint64(0)
        reduce(rows[rank], rows, pivots, rank)
        pivot = lowest_bit(rows[rank, :words])
        out.x[k] = rows[rank, words:]
        if pivot >= 0:
            bit = _ONE << np.uint64(rank & 63)
            rows[rank, words + (rank >> 6)] ^= bit
            out.x[k], out.x[k, rank >> 6] = np.uint64(0), bit
            basis[rank], pivots[rank] = k, pivot
            rank += 1
    for k in range(count):
        out.z[k] = np.uint64(0)
        for m in range(rank):
            if dot(strings.z[k], strings.x[basis[m]]) == _ONE:
                out.z[k, m >> 6] |= _ONE << np.uint64(m & 63)
        # i^|x∧z| (−1)^(z·v) is the string's factor on both sides
        turned = common_bits(strings.x[k], strings.z[k]) - common_bits(out.x[k], out.z[k])
        out.sign[k] = strings.sign[k] * (1 - (turned & 3))
    return rank


@kernel
def intersection(one, other, mine, theirs):
    """A basis of the intersection of the spans of two sets of independent masks (r, W), (s, W): each vector as a mask
    of vectors of the one into `mine`, of the other into `theirs`. Returns how many there are."""
    size, total = one.shape[0], one.shape[0] + other.shape[0]
    rows = np.empty((total, one.shape[1]), dtype=np.uint64)
    first, second = np.zeros(total, dtype=np.uint64), np.zeros(total, dtype=np.uint64)
    pivots = np.empty(total, dtype=np.int64)
    rank, found = 0, 0
    for k in range(total):
        rows[rank] = one[k] if k < size else other[k - size]
        a = _ONE << np.uint64(k) if k < size else np.uint64(0)
        b = _ONE << np.uint64(k - size) if k >= size else np.uint64(0)
        for m in range(rank):
            if rows[rank, pivots[m] >> 6] >> np.uint64(pivots[m] & 63) & _ONE:
                for w in range(rows.shape[1]):
                    rows[rank, w] ^= rows[m, w]
                a ^= first[m]
                b ^= second[m]
        pivot = lowest_bit(rows[rank])
        if pivot >= 0:
            pivots[rank], first[rank], second[rank] = pivot, a, b
            rank += 1
        else:  # Σ of the one = Σ of the other
            mine[found], theirs[found] = a, b
            found += 1
    return found


@kernel
def overlapping(vectors, start, union, chosen):
    """The overlapping pairs among the chosen states: both, and the size and vectors of every intersection."""
    room, filled, count = 64, 0, 0
    mine, theirs = np.empty(room, dtype=np.uint64), np.empty(room, dtype=np.uint64)
    first, second, size = (
        np.empty(room, dtype=np.int64),
        np.empty(room, dtype=np.int64),
        np.empty(room, dtype=np.int64),
    )
    for place in range(chosen.shape[0]):
        i = chosen[place]
        for other in range(place + 1):
            j = chosen[other]
            meets = False
            for w in range(union.shape[1]):
                meets = meets or union[i, w] & union[j, w] != 0
            if not meets:
                continue
            while filled + 64 > mine.shape[0]:
                mine, theirs = np.append(mine, mine), np.append(theirs, theirs)
            if count == first.shape[0]:
                first, second, size = np.append(first, first), np.append(second, second), np.append(size, size)
            here, there = vectors[start[i] : start[i + 1]], vectors[start[j] : start[j + 1]]
            shared = intersection(here, there, mine[filled:], theirs[filled:])
            if shared:
                first[count], second[count], size[count] = i, j, shared
                filled += shared
                count += 1
    return first[:count], second[:count], size[:count], mine[:filled], theirs[:filled]
