"""Hash tables of Pauli strings, by open addressing."""

from __future__ import annotations

import numpy as np

from qngd._system.compilation import kernel

_PRIME = np.uint64(0x9E3779B97F4A7C15)


@kernel
def slot(x, z, size):
    """Where a string with masks x, z (W,) belongs in a table of `size` places, a power of two."""
    word = np.uint64(0)
    for w in range(x.shape[0]):
        word = (word ^ x[w]) * _PRIME
        word = ((word ^ (word >> np.uint64(29))) ^ z[w]) * _PRIME
    return np.int64((word ^ (word >> np.uint64(32))) & np.uint64(size - 1))


@kernel
def new_table(count):
    """A free table that is at most half full with so many strings."""
    size = 16
    while size < 2 * count:
        size *= 2
    return np.full(size, -1, dtype=np.int32)


@kernel
def find(x, z, xs, zs, table):
    """The number of the string among those with masks xs, zs, or −1; and its place in the table, whose free places
    hold −1."""
    place = slot(x, z, table.shape[0])
    while table[place] >= 0:
        t = table[place]
        same = True
        for w in range(x.shape[0]):
            same = same and xs[t, w] == x[w] and zs[t, w] == z[w]
        if same:
            return t, place
        place = (place + 1) & (table.shape[0] - 1)
    return -1, place
