"""Compiled ordering of a cone's strings by what they are to each other, whatever they are called.

Strings are told apart by colours, in rounds: the new colour of a string follows from its own and from those of all
strings that anticommute with it (Weisfeiler and Leman). Where several are left alike, one of them gets a colour of its
own. Two cones that differ by names of qubits alone mostly get the same order; where they do not, or where colours
collide, they are computed twice, and no harm is done.
"""

from __future__ import annotations

import numpy as np

from qngd._system.compilation import kernel
from qngd.circuit.bits import anticommuting

_ODD = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)  # splitmix64


@kernel
def _mixed(word):
    word += _ODD
    word = (word ^ (word >> np.uint64(30))) * _FIRST
    word = (word ^ (word >> np.uint64(27))) * _SECOND
    return word ^ (word >> np.uint64(31))


@kernel
def _num_different(colour):
    ordered = np.sort(colour)
    return 1 + int(np.sum(ordered[1:] != ordered[:-1]))


@kernel
def _spread(colour, meets):
    """Colours from those of all neighbours, until no more strings are told apart."""
    size = colour.shape[0]
    before, now = 0, _num_different(colour)
    fresh = np.empty_like(colour)
    while before < now < size:
        for i in range(size):
            total = np.uint64(0)
            for j in range(size):
                if meets[i, j]:
                    total += _mixed(colour[j] ^ _FIRST)
            fresh[i] = _mixed(_mixed(colour[i]) + total)
        colour[:] = fresh
        before, now = now, _num_different(colour)


@kernel
def _least_shared(colour):
    """The place of a string whose colour is the least that several have; −1 if all differ."""
    size, best = colour.shape[0], -1
    for i in range(size):
        if best >= 0 and colour[i] >= colour[best]:
            continue
        for j in range(size):
            if j != i and colour[j] == colour[i]:
                best = i
                break
    return best


@kernel
def canonical_order(x, z, code, count):
    """An order of strings with masks (m, W), by their codes (m,) and by which of them anticommute: the first `count`,
    the rotations of a cone in running order, come in another running order, then the others."""
    size = x.shape[0]
    meets = np.zeros((size, size), dtype=np.bool_)
    depth = np.zeros(size, dtype=np.int64)
    for i in range(size):
        for j in range(i):
            if anticommuting(x[i], z[i], x[j], z[j]):
                meets[i, j] = meets[j, i] = True
                if i < count:
                    depth[i] = max(depth[i], depth[j] + 1)
    depth[count:] = size
    colour = np.empty(size, dtype=np.uint64)
    for i in range(size):
        colour[i] = _mixed(code[i] ^ _mixed(np.uint64(depth[i])))
    _spread(colour, meets)
    place = _least_shared(colour)
    while place >= 0:
        colour[place] = _mixed(colour[place] ^ _SECOND)
        _spread(colour, meets)
        place = _least_shared(colour)
    by_colour = np.argsort(colour)
    return by_colour[np.argsort(depth[by_colour], kind="mergesort")]
