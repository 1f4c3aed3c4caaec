"""Sets of Pauli strings that answer quickly whether a string commutes with all of them.

A string commutes with all of a bucket iff it commutes with enough of them to generate the rest, so a bucket lists
only members that are no product of earlier ones: at most 2n, however many strings were put in.
"""

from __future__ import annotations

import numpy as np

from qngd._system.compilation import kernel
from qngd.circuit.frame import anticommuting


@kernel
def empty_buckets(num_buckets, count, words):
    """Lists of `count` strings at most: head and tail of every bucket; link, rest and pivot of every string."""
    head = np.full(num_buckets, -1, dtype=np.int64)
    link = np.full(count, -1, dtype=np.int64)
    rest = np.empty((count, 2 * words), dtype=np.uint64)
    return head, head.copy(), link, rest, np.zeros(count, dtype=np.int64)


@kernel
def enter(k, bucket, x, z, head, tail, link, rest, pivot):
    """Put string k into a bucket's list, unless it is a product of those listed.

    `rest` holds what is left of each listed string (x and z side by side) after those listed before it were
    multiplied in wherever it had their pivot; `pivot` is a bit of that.
    """
    words = x.shape[1]
    rest[k, :words] = x[k]
    rest[k, words:] = z[k]
    j = head[bucket]
    while j >= 0:
        if rest[k, pivot[j] >> 6] >> np.uint64(pivot[j] & 63) & np.uint64(1):
            rest[k] ^= rest[j]
        j = link[j]
    for w in range(2 * words):
        if rest[k, w]:
            bit = 0
            while not rest[k, w] >> np.uint64(bit) & np.uint64(1):
                bit += 1
            pivot[k] = 64 * w + bit
            if head[bucket] < 0:
                head[bucket] = k
            else:
                link[tail[bucket]] = k
            tail[bucket] = k
            return


@kernel
def commutes(k, bucket, x, z, head, link):
    """Whether string k commutes with all of a bucket."""
    j = head[bucket]
    while j >= 0:
        if anticommuting(x[j], z[j], x[k], z[k]):
            return False
        j = link[j]
    return True
