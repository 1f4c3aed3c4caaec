"""Compiled kernels that carry a tile of a large state through many rotations while it stays in the cache.

Rotations whose x masks, cut to the bits above a row, span d directions map each of the cosets of that span to
itself: 2ᵈ rows, copied out, are a state of their own with d qubits above a row. A string P acts on it as a
string with masks (x', z'), where x' are the coordinates of x in a basis of the span and z' the parities of z
with its members, times i^(w−w') and the sign (−1)^(z·b) of the coset's first row b.
"""

from __future__ import annotations

import numpy as np

from qngd._system.compilation import kernel
from qngd.circuit.bits import count_mod_4, parity, parity_sign, top_bit
from qngd.exact.kernels.layout import CHUNK, ROW_BITS, OneRotation, Rotations, Rows, amplitudes, new_amplitudes
from qngd.exact.kernels.pairs import rotate_each
from qngd.exact.kernels.rotations import rotate_rows
from qngd.exact.kernels.strings import imaginary_overlap

_ONE = np.uint64(1)


@kernel
def next_pass(x, bits, begin, end, step, limit):
    """How far from rotation `begin` towards `end` (not included, by `step`) the x masks span at most `limit`
    directions, and a basis of their span, each member the only one with its top bit."""
    basis = np.empty(limit, dtype=np.uint64)
    dim = 0
    k = begin
    while k != end:
        word = x[k] >> bits
        for i in range(dim):
            if word >> top_bit(basis[i]) & _ONE:
                word ^= basis[i]
        if word:
            if dim == limit:
                break
            top = top_bit(word)
            for i in range(dim):
                if basis[i] >> top & _ONE:
                    basis[i] ^= word
            basis[dim] = word
            dim += 1
        k += step
    return k, basis[:dim]


@kernel
def _localize(x, z, bits, basis):
    """Masks on a tile of a string's, and the sign i^(w−w')."""
    low = (_ONE << bits) - _ONE
    near_x, near_z = x & low, z & low
    for i in range(basis.shape[0]):
        place = bits + np.uint64(i)
        near_x |= (x >> bits >> top_bit(basis[i]) & _ONE) << place
        near_z |= parity(z >> bits & basis[i]) << place
    return near_x, near_z, 1.0 if count_mod_4(x & z) == count_mod_4(near_x & near_z) else -1.0


@kernel
def _first_row(coset, basis):
    """The row of a coset with none of the basis' top bits: the bits of its number in the places that are left."""
    tops = np.uint64(0)
    for member in basis:
        tops |= _ONE << top_bit(member)
    row = np.uint64(0)
    place = np.uint64(0)
    while coset:
        if not tops >> place & _ONE:
            row |= (coset & _ONE) << place
            coset >>= _ONE
        place += _ONE
    return row


@kernel
def _offsets(basis):
    """The members of the span, by their coordinates."""
    offsets = np.zeros(1 << basis.shape[0], dtype=np.uint64)
    for i in range(basis.shape[0]):
        for e in range(1 << i):
            offsets[(1 << i) + e] = offsets[e] ^ basis[i]
    return offsets


@kernel
def _take_tile(source, rows, first, offsets, tile):
    """Copy the rows of a coset into a tile, one after the other."""
    _copy_rows(source.re, rows.stride, rows.width, first, offsets, tile.re)
    _copy_rows(source.im, rows.stride, rows.width, first, offsets, tile.im)


@kernel
def _put_tile(tile, rows, first, offsets, target):
    """Copy the rows of a tile back to where `_take_tile` found them."""
    _put_rows(tile.re, rows.stride, rows.width, first, offsets, target.re)
    _put_rows(tile.im, rows.stride, rows.width, first, offsets, target.im)


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
def run_tiles(whole, rows, rotations, begin, end, basis, first, last):
    """Apply the rotations begin…end−1, one pass as found by `next_pass`, to the cosets first…last−1."""
    count, members = end - begin, 1 << basis.shape[0]
    offsets = _offsets(basis)
    near = Rotations(np.empty(count, np.uint64), np.empty(count, np.uint64), rotations.cos[begin:end], np.empty(count))
    near_sign = np.empty(count)
    for k in range(count):
        near.x[k], near.z[k], near_sign[k] = _localize(rotations.x[begin + k], rotations.z[begin + k], rows.bits, basis)
    tile, tile_rows = new_amplitudes(members * rows.width), Rows(rows.bits, rows.width, rows.width)
    for coset in range(first, last):
        row = _first_row(np.uint64(coset), basis)
        _take_tile(whole, rows, row, offsets, tile)
        for k in range(count):
            near.sin[k] = (
                near_sign[k] * rotations.sin[begin + k] * parity_sign(rotations.z[begin + k] >> rows.bits & row)
            )
        rotate_each(tile, tile_rows, near, 0, count, members)
        _put_tile(tile, rows, row, offsets, whole)


@kernel
def back_tiles(state, other, rotations, moving, begin, end, basis, first, last, out):
    """Undo the rotations begin, begin−1, …, end+1 on two whole states, one pass as found by `next_pass`, on the cosets
    first…last−1. Before each that is moving, out[begin−k] gets their part of Im ⟨λ|P_k|ψ⟩."""
    psi, dual = amplitudes(state), amplitudes(other)
    width = min(state.shape[1], CHUNK)
    rows = Rows(ROW_BITS, width, width)
    count, members = begin - end, 1 << basis.shape[0]
    offsets = _offsets(basis)
    near_x, near_z, near_sign = np.empty(count, np.uint64), np.empty(count, np.uint64), np.empty(count)
    for i in range(count):
        k = begin - i
        near_x[i], near_z[i], near_sign[i] = _localize(rotations.x[k], rotations.z[k], ROW_BITS, basis)
    tile, dual_tile = new_amplitudes(members * width), new_amplitudes(members * width)
    for coset in range(first, last):
        row = _first_row(np.uint64(coset), basis)
        _take_tile(psi, rows, row, offsets, tile)
        _take_tile(dual, rows, row, offsets, dual_tile)
        for i in range(count):
            k = begin - i
            s = near_sign[i] * parity_sign(rotations.z[k] >> ROW_BITS & row)
            undo = OneRotation(near_x[i], near_z[i], rotations.cos[k], -s * rotations.sin[k])
            if moving[k]:
                out[i] += s * imaginary_overlap(dual_tile, tile, undo, 0, members)
            items = members // 2 if near_x[i] >> ROW_BITS else members
            rotate_rows(tile, rows, undo, 0, items)
            rotate_rows(dual_tile, rows, undo, 0, items)
        _put_tile(tile, rows, row, offsets, psi)
        _put_tile(dual_tile, rows, row, offsets, dual)
