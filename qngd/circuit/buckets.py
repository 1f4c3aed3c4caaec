"""Sets of Pauli strings that answer quickly whether a string commutes with all of them.

A string commutes with all of a bucket iff it commutes with enough of them to generate the rest, so a bucket lists
only members that are no product of earlier ones: at most 2n, however many strings were put in.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qngd._system.compilation import kernel
from qngd.circuit.bits import anticommuting


class Buckets(NamedTuple):
    """Lists of strings, for compiled functions.

    Attributes:
        x, z: (K, W) masks of all strings.
        head, tail: of every bucket the first and the last string in its list, −1 where there is none.
        link: (K,) the string that follows in a list, or −1.
        rest: (K, 2W) what is left of each listed string (x and z side by side) after those listed before it were
            multiplied in wherever it had their pivot.
        pivot: (K,) a bit of that.
    """

    x: np.ndarray
    z: np.ndarray
    head: np.ndarray
    tail: np.ndarray
    link: np.ndarray
    rest: np.ndarray
    pivot: np.ndarray


@kernel
def empty_buckets(num_buckets, x, z):
    """Buckets 0…num_buckets−1 with none of the strings of masks (K, W) in them."""
    count, words = x.shape
    head = np.full(num_buckets, -1, dtype=np.int64)
    link = np.full(count, -1, dtype=np.int64)
    rest = np.empty((count, 2 * words), dtype=np.uint64)
    return Buckets(x, z, head, head.copy(), link, rest, np.zeros(count, dtype=np.int64))


@kernel
def enter(k, bucket, buckets):
    """Put string k into a bucket's list, unless it is a product of those listed."""
    b = buckets
    words = b.x.shape[1]
    b.rest[k, :words] = b.x[k]
    b.rest[k, words:] = b.z[k]
    j = b.head[bucket]
    while j >= 0:
        if b.rest[k, b.pivot[j] >> 6] >> np.uint64(b.pivot[j] & 63) & np.uint64(1):
            b.rest[k] ^= b.rest[j]
        j = b.link[j]
    for w in range(2 * words):
        if b.rest[k, w]:
            bit = 0
            while not b.rest[k, w] >> np.uint64(bit) & np.uint64(1):
                bit += 1
            b.pivot[k] = 64 * w + bit
            if b.head[bucket] < 0:
                b.head[bucket] = k
            else:
                b.link[b.tail[bucket]] = k
            b.tail[bucket] = k
            return


@kernel
def commutes(k, bucket, buckets):
    """Whether string k commutes with all of a bucket."""
    b = buckets
    j = b.head[bucket]
    while j >= 0:
        if anticommuting(b.x[j], b.z[j], b.x[k], b.z[k]):
            return False
        j = b.link[j]
    return True
