"""Compiled arithmetic of bits: of masks and of basis indices, uint64."""

from __future__ import annotations

import numpy as np

from qngd._system.compilation import kernel

_ONE = np.uint64(1)


@kernel
def parity(word):
    """The number of bits, modulo 2."""
    word ^= word >> np.uint64(32)
    word ^= word >> np.uint64(16)
    word ^= word >> np.uint64(8)
    word ^= word >> np.uint64(4)
    word ^= word >> np.uint64(2)
    word ^= word >> np.uint64(1)
    return word & np.uint64(1)


@kernel
def parity_sign(word):
    """(−1)^(number of bits)."""
    return 1.0 - 2.0 * np.float64(parity(word))


@kernel
def count_mod_4(word):
    """The number of bits, modulo 4."""
    count = 0
    while word:
        word &= word - np.uint64(1)
        count += 1
    return count & 3


@kernel
def top_bit(word):
    """The place of the highest bit; 0 for no bits."""
    bit = np.uint64(0)
    while word > np.uint64(1):
        word >>= np.uint64(1)
        bit += np.uint64(1)
    return bit


@kernel
def trailing_zeros(word):
    """The place of the lowest bit of a word that has one."""
    bit = 0
    while word & _ONE == 0:
        word >>= _ONE
        bit += 1
    return bit


@kernel
def index_without(j, top):
    """The j-th index with bit `top` clear."""
    low = j & ((_ONE << top) - _ONE)
    return ((j ^ low) << _ONE) | low


@kernel
def dot(a, b):
    """The parity of |a ∧ b|, over all words of two masks (W,)."""
    odd = np.uint64(0)
    for w in range(a.shape[0]):
        odd ^= a[w] & b[w]
    return parity(odd)


@kernel
def ones(word):
    """How many bits of a word are set."""
    count = 0
    while word:
        word &= word - _ONE
        count += 1
    return count


@kernel
def common_bits(a, b):
    """|a ∧ b|, over all words of two masks (W,)."""
    count = 0
    for w in range(a.shape[0]):
        count += ones(a[w] & b[w])
    return count


@kernel
def anticommuting(ax, az, bx, bz):
    """Whether two Pauli strings, given by their masks (W,), anticommute."""
    odd = np.uint64(0)
    for w in range(ax.shape[0]):
        odd ^= (ax[w] & bz[w]) ^ (az[w] & bx[w])
    return parity(odd) == _ONE
