"""Compiled ordering of a cone's rotations: in which order a string goes back through them, so that few strings are on
the way.

Rotations whose generators commute may change places. Behind some of them, where X is the span of the x masks of those
still to come, only strings with x in X ever become Z strings; and two that differ by a Z string that commutes with all
to come have the same value, so that of z only z·b for the vectors b of X counts. How many strings that leaves is
bounded by a dimension: of the span of the generators that were passed, as far as x is in X, without such Z strings. So
a qubit is taken up as late, and forgotten as early, as its gates allow: of the leaves of a tree only those of one
branch at a time are on the way.
"""

from __future__ import annotations

import numpy as np

from qngd._system.compilation import kernel
from qngd.circuit.bits import anticommuting, dot
from qngd.exact.kernels.spans import echelon, reduce

_ONE = np.uint64(1)


@kernel
def _num_strings(x, z, passed, rest, pivots, rank):
    """log2 of the most strings behind the rotations that were `passed`, given an echelon form of those to come."""
    words = x.shape[1]
    image = np.zeros((len(passed), 2 * words), dtype=np.uint64)
    outside = np.empty((len(passed), words), dtype=np.uint64)
    for i, k in enumerate(passed):
        image[i, :words] = outside[i] = x[k]
        for m in range(rank):
            if dot(z[k], rest[m]) == _ONE:
                image[i, words + (m >> 6)] |= _ONE << np.uint64(m & 63)
        reduce(outside[i], rest, pivots, rank)
    return echelon(image)[2][-1] - echelon(outside)[2][-1]


@kernel
def forgetful_order(x, z, most):
    """An order, the last rotation first, of those with masks (m, W) of generators in running order. Step by step that
    one is taken which leaves the fewest strings possible, of equal ones the last. Empty where these may be more than
    2^most."""
    count = x.shape[0]
    later = np.zeros(count, dtype=np.int64)  # rotations that must be passed before
    meets = np.zeros((count, count), dtype=np.bool_)
    for i in range(count):
        for j in range(i):
            if anticommuting(x[i], z[i], x[j], z[j]):
                meets[i, j] = True
                later[j] += 1
    order = np.empty(count, dtype=np.int64)
    to_come = np.ones(count, dtype=np.bool_)
    for place in range(count):
        best, least = -1, 0
        for k in range(count - 1, -1, -1):
            if not to_come[k] or later[k]:
                continue
            to_come[k], order[place] = False, k
            rest, pivots, needed = echelon(x[to_come])
            size = _num_strings(x, z, order[: place + 1], rest, pivots, needed[-1])
            to_come[k] = True
            if best < 0 or size < least:
                best, least = k, size
        if least > most:
            return order[:0]
        order[place], to_come[best] = best, False
        for j in range(best):
            later[j] -= meets[best, j]
    return order
