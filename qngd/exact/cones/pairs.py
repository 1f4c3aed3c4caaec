"""Which pairs of derivative states overlap beside |0…0⟩, and on which basis states."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from qngd._system.compilation import kernel
from qngd.exact.kernels.cones import Pairs
from qngd.exact.kernels.spans import intersection


def pairs_of(spans: Sequence[np.ndarray], block: np.ndarray) -> Pairs:
    """The pairs i ≤ j of states with vectors spans[i] (r, W), within one of the blocks (C,), that have a basis state in
    common beside |0…0⟩."""
    order = np.argsort(block, kind="stable")
    edges = [0, *(np.flatnonzero(np.diff(block[order])) + 1).tolist(), len(order)]
    words = spans[0].shape[1] if spans else 1
    start = np.cumsum([0, *map(len, spans)])
    vectors = np.concatenate([np.zeros((0, words), dtype=np.uint64), *spans])
    union = np.array([np.bitwise_or.reduce(each, axis=0) for each in spans], dtype=np.uint64).reshape(-1, words)
    found = [_overlapping(vectors, start, union, order[a:b]) for a, b in pairwise(edges) if a < b]
    empty = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    none = (*empty, np.zeros(0, dtype=np.uint64), np.zeros(0, dtype=np.uint64))
    first, second, size, mine, theirs = (np.concatenate(parts) for parts in zip(none, *found, strict=True))
    return Pairs(first, second, np.cumsum(np.r_[0, size]), mine, theirs)


@kernel
def _overlapping(vectors, start, union, chosen):
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
