"""Which pairs of derivative states overlap beside |0…0⟩, and on which basis states."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from qngd.exact.kernels.cones import Pairs
from qngd.exact.kernels.spans import overlapping


def pairs_of(spans: Sequence[np.ndarray], block: np.ndarray) -> Pairs:
    """The pairs i ≤ j of states with vectors spans[i] (r, W), within one of the blocks (C,), that have a basis state in
    common beside |0…0⟩."""
    order = np.argsort(block, kind="stable")
    edges = [0, *(np.flatnonzero(np.diff(block[order])) + 1).tolist(), len(order)]
    words = spans[0].shape[1] if spans else 1
    start = np.cumsum([0, *map(len, spans)])
    vectors = np.concatenate([np.zeros((0, words), dtype=np.uint64), *spans])
    union = np.array([np.bitwise_or.reduce(each, axis=0) for each in spans], dtype=np.uint64).reshape(-1, words)
    found = [overlapping(vectors, start, union, order[a:b]) for a, b in pairwise(edges) if a < b]
    empty = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    none = (*empty, np.zeros(0, dtype=np.uint64), np.zeros(0, dtype=np.uint64))
    first, second, size, mine, theirs = (np.concatenate(parts) for parts in zip(none, *found, strict=True))
    return Pairs(first, second, np.cumsum(np.r_[0, size]), mine, theirs)
