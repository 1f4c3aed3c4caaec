"""Compiled kernels that carry a tile of a large state through many rotations while it stays in the cache.

Rotations whose x masks, cut to the bits above a row, span d directions map each of the cosets of that span to
itself: 2ᵈ rows, copied out, are a state of their own with d qubits above a row. A string P acts on it as a
string with masks (x', z'), where x' are the coordinates of x in a basis of the span and z' the parities of z
with its members, times i^(w−w') and the sign (−1)^(z·b) of the coset's first row b.
"""

from __future__ import annotations

import numpy as np

from qngd._system.compilation import kernel
from qngd.exact.kernels.pairs import rotate_each
from qngd.exact.kernels.rows import CHUNK_BITS, _count_mod_4, _parity, _sign, _top_bit, imaginary_overlap, rotate_rows

_BITS = np.uint64(CHUNK_BITS)
_ONE = np.uint64(1)


@kernel
def next_pass(x, bits, begin, end, step, limit, basis):
    """How far from rotation `begin` towards `end` (not included, by `step`) the x masks span at most `limit`
    directions, and how many: then `basis` holds them, each the only one with its top bit."""
    dim = 0
    k = begin
    while k != end:
        word = x[k] >> bits
        for i in range(dim):
            if word >> _top_bit(basis[i]) & _ONE:
                word ^= basis[i]
        if word:
            if dim == limit:
                break
            top = _top_bit(word)
            for i in range(dim):
                if basis[i] >> top & _ONE:
                    basis[i] ^= word
            basis[dim] = word
            dim += 1
        k += step
    return k, dim


@kernel
def _localize(x, z, bits, basis, dim):
    """Masks on a tile of a string's, and the sign i^(w−w')."""
    low = (_ONE << bits) - _ONE
    near_x, near_z = x & low, z & low
    for i in range(dim):
        place = bits + np.uint64(i)
        near_x |= (x >> bits >> _top_bit(basis[i]) & _ONE) << place
        near_z |= _parity(z >> bits & basis[i]) << place
    return near_x, near_z, 1.0 if _count_mod_4(x & z) == _count_mod_4(near_x & near_z) else -1.0


@kernel
def _first_row(coset, basis, dim):
    """The row of a coset with none of the basis' top bits: the bits of its number in the places that are left."""
    tops = np.uint64(0)
    for i in range(dim):
        tops |= _ONE << _top_bit(basis[i])
    row = np.uint64(0)
    place = np.uint64(0)
    while coset:
        if not tops >> place & _ONE:
            row |= (coset & _ONE) << place
            coset >>= _ONE
        place += _ONE
    return row


@kernel
def _offsets(basis, dim):
    """The members of the span, by their coordinates."""
    offsets = np.zeros(1 << dim, dtype=np.uint64)
    for i in range(dim):
        for e in range(1 << i):
            offsets[(1 << i) + e] = offsets[e] ^ basis[i]
    return offsets


@kernel
def _copy_rows(source, stride, width, first, offsets, tile):
    for e in range(offsets.shape[0]):
        o = np.int64(first ^ offsets[e]) * stride
        row, place = source[o : o + width], tile[e * width : (e + 1) * width]
        for j in range(width):
            place[j] = row[j]


@kernel
def _put_rows(tile, stride, width, first, offsets, target):
    for e in range(offsets.shape[0]):
        o = np.int64(first ^ offsets[e]) * stride
        row, place = target[o : o + width], tile[e * width : (e + 1) * width]
        for j in range(width):
            row[j] = place[j]


@kernel
def run_tiles(re, im, bits, stride, width, x, z, cos, sin, begin, end, basis, dim, first, last):
    """Apply the rotations begin…end−1, one pass as found by `next_pass`, to the cosets first…last−1."""
    count, rows = end - begin, 1 << dim
    offsets = _offsets(basis, dim)
    near_x, near_z, near_sign = np.empty(count, np.uint64), np.empty(count, np.uint64), np.empty(count)
    for k in range(count):
        near_x[k], near_z[k], near_sign[k] = _localize(x[begin + k], z[begin + k], bits, basis, dim)
    near_cos, near_sin = cos[begin:end], np.empty(count)
    tile_re, tile_im = np.empty(rows * width), np.empty(rows * width)
    for coset in range(first, last):
        row = _first_row(np.uint64(coset), basis, dim)
        _copy_rows(re, stride, width, row, offsets, tile_re)
        _copy_rows(im, stride, width, row, offsets, tile_im)
        for k in range(count):
            near_sin[k] = near_sign[k] * sin[begin + k] * _sign(z[begin + k] >> bits & row)
        rotate_each(tile_re, tile_im, bits, width, width, near_x, near_z, near_cos, near_sin, 0, count, rows)
        _put_rows(tile_re, stride, width, row, offsets, re)
        _put_rows(tile_im, stride, width, row, offsets, im)


@kernel
def back_tiles(
    re, im, lre, lim, width, x, z, cos, sin, moving, begin, end, basis, dim, first, last, out
):  # fmt: skip
    """Undo the rotations begin, begin−1, …, end+1 on two states, one pass as found by `next_pass`, on the cosets
    first…last−1. Before each that is moving, out[begin−k] gets their part of Im ⟨λ|P_k|ψ⟩."""
    count, rows = begin - end, 1 << dim
    offsets = _offsets(basis, dim)
    near_x, near_z, near_sign = np.empty(count, np.uint64), np.empty(count, np.uint64), np.empty(count)
    for i in range(count):
        near_x[i], near_z[i], near_sign[i] = _localize(x[begin - i], z[begin - i], _BITS, basis, dim)
    size = rows * width
    a, b, c, d = np.empty(size), np.empty(size), np.empty(size), np.empty(size)
    for coset in range(first, last):
        row = _first_row(np.uint64(coset), basis, dim)
        for source, tile in ((re, a), (im, b), (lre, c), (lim, d)):
            _copy_rows(source, width, width, row, offsets, tile)
        for i in range(count):
            k = begin - i
            s = near_sign[i] * _sign(z[k] >> _BITS & row)
            if moving[k]:
                out[i] += s * imaginary_overlap(c, d, a, b, near_x[i], near_z[i], 0, rows)
            items = rows // 2 if near_x[i] >> _BITS else rows
            rotate_rows(a, b, _BITS, width, width, near_x[i], near_z[i], cos[k], -s * sin[k], 0, items)
            rotate_rows(c, d, _BITS, width, width, near_x[i], near_z[i], cos[k], -s * sin[k], 0, items)
        for target, tile in ((re, a), (im, b), (lre, c), (lim, d)):
            _put_rows(tile, width, width, row, offsets, target)
