"""Compiled rotations of statevectors.

A Hermitian Pauli string with masks (x, z) and w = |x ∧ z| acts as

    (Pψ)[b] = i^w (−1)^(z·(b⊕x)) ψ[b⊕x],

so a rotation mixes the pairs (a, b = a⊕x): with σ = (−1)^(z·a), s = sin φ/2, c = cos φ/2,

    w even:  a' = c·a − i s τ·b,   b' = c·b − i s τ·a,   τ = i^w σ
    w odd:   a' = c·a − v·b,       b' = c·b + v·a,       v = s·(−i·i^w)·σ
    x = 0:   a' = (c − i s σ)·a.

Amplitudes are visited in rows (see `layout`). Every kernel takes a range of work items so that threads can share one
state.
"""

from __future__ import annotations

import numpy as np

from qngd._system.compilation import inner_loop, kernel
from qngd.circuit.bits import count_mod_4, index_without, parity_sign, top_bit, trailing_zeros
from qngd.exact.kernels.layout import CHUNK, ROW_BITS, SIGNS, Amplitudes, Rows, in_chunks, rotation_at

_ONE = np.uint64(1)


@kernel
def num_items(x, size):
    """Work items of a string with mask x on `size` amplitudes: chunks, or pairs of chunks."""
    chunks, _ = in_chunks(size)
    return chunks if (x >> ROW_BITS) == 0 else chunks // 2


@kernel
def rotate(whole, rotation, begin, end):
    """ψ ← exp(−i φ/2 P)ψ on the work items begin…end of a state's amplitudes."""
    chunk = min(whole.re.shape[0], CHUNK)
    rotate_rows(whole, Rows(ROW_BITS, chunk, chunk), rotation, begin, end)


@kernel
def rotate_rows(whole, rows, rotation, begin, end):
    """`rotate` on rows: work items are rows, or pairs of rows if the string's x reaches beyond a row."""
    near = rotation.x & ((_ONE << rows.bits) - _ONE)
    if near and near & np.uint64(7) == 0 and rows.stride == CHUNK:
        # partners are whole runs of 8 or more: as rows of that length nothing is shuffled inside them
        low = trailing_zeros(near)
        runs = CHUNK >> low if rotation.x >> rows.bits else CHUNK >> (low + 1)
        _rotate_rows(whole, Rows(np.uint64(low), 1 << low, 1 << low), rotation, begin * runs, end * runs)
    else:
        _rotate_rows(whole, rows, rotation, begin, end)


@kernel
def _rotate_rows(whole, rows, rotation, begin, end):
    low = (_ONE << rows.bits) - _ONE
    x, z, stride, width = rotation.x, rotation.z, rows.stride, rows.width
    signs = SIGNS[z & low]
    near, far, z_far = x & low, x >> rows.bits, z >> rows.bits
    if x == 0:
        _turn_phases(whole, rows, rotation, signs, begin, end)
        return
    is_odd, cos, sin = form(rotation)
    if far == 0:
        _rotate_inside(whole, width, near, z_far, signs, is_odd, cos, sin, begin, end)
        return
    re, im = whole
    top = top_bit(far)
    for item in range(begin, end):
        first = index_without(np.uint64(item), top)
        s = sin * parity_sign(z_far & first)
        a, b = np.int64(first) * stride, np.int64(first ^ far) * stride
        one = Amplitudes(re[a : a + width], im[a : a + width])
        other = Amplitudes(re[b : b + width], im[b : b + width])
        if near == 0:
            _turn_rows(one, other, signs, is_odd, cos, s)
        else:
            _turn_shuffled(one, other, signs, is_odd, cos, s, near)


@kernel
def _turn_phases(whole, rows, rotation, signs, begin, end):
    """The rotation about a Z string: a phase for every amplitude."""
    cos, stride, width = rotation.cos, rows.stride, rows.width
    for item in range(begin, end):
        s = rotation.sin * parity_sign(rotation.z >> rows.bits & np.uint64(item))
        o = item * stride
        r, i = whole.re[o : o + width], whole.im[o : o + width]
        for j in range(width):
            v = s * signs[j]
            t = r[j]
            r[j] = cos * t + v * i[j]
            i[j] = cos * i[j] - v * t


@kernel
def form(rotation):
    """Whether a rotation's string has an odd number of Y's, and the cosine and sine for `turn`."""
    w = count_mod_4(rotation.x & rotation.z)
    # −i·i^w is 1 for w = 1 and −1 for w = 3; i^w is 1 for w = 0 and −1 for w = 2
    return w & 1 == 1, rotation.cos, -rotation.sin if w >= 2 else rotation.sin


@kernel
def turn(is_odd, c, s, ar, ai, br, bi):
    """A rotation of one pair of amplitudes a, b. The compiler takes the test out of the loops that call this."""
    if is_odd:
        return c * ar - s * br, c * ai - s * bi, c * br + s * ar, c * bi + s * ai
    return c * ar + s * bi, c * ai - s * br, c * br + s * ai, c * bi - s * ar


@inner_loop
def _turn_rows(a, b, signs, is_odd, cos, s):
    for j in range(a.re.shape[0]):
        a.re[j], a.im[j], b.re[j], b.im[j] = turn(is_odd, cos, s * signs[j], a.re[j], a.im[j], b.re[j], b.im[j])


@inner_loop
def _turn_shuffled(a, b, signs, is_odd, cos, s, near):
    for j in range(a.re.shape[0]):
        m = np.uint64(j) ^ near
        a.re[j], a.im[j], b.re[m], b.im[m] = turn(is_odd, cos, s * signs[j], a.re[j], a.im[j], b.re[m], b.im[m])


@kernel
def _rotate_inside(whole, chunk, near, z_far, signs, is_odd, cos, sin, begin, end):
    """The case where both members of every pair lie in one chunk."""
    old_re = np.empty(CHUNK)
    old_im = np.empty(CHUNK)
    for item in range(begin, end):
        s = sin * parity_sign(z_far & np.uint64(item))
        o = item * chunk
        r, i = whole.re[o : o + chunk], whole.im[o : o + chunk]
        for j in range(chunk):
            old_re[j] = r[j]
            old_im[j] = i[j]
        # with m = j⊕x: τ is the same seen from both members, v changes its sign
        if is_odd:
            for j in range(chunk):
                m = np.uint64(j) ^ near
                v = s * signs[m]  # seen from j: −v_j = +v_m
                r[j] = cos * old_re[j] + v * old_re[m]
                i[j] = cos * old_im[j] + v * old_im[m]
        else:
            for j in range(chunk):
                m = np.uint64(j) ^ near
                v = s * signs[j]
                r[j] = cos * old_re[j] + v * old_im[m]
                i[j] = cos * old_im[j] - v * old_re[m]


@kernel
def rotate_by_each(whole, rotations, begin, end):
    """Apply the rotations begin…end−1 to a whole state's amplitudes."""
    for k in range(begin, end):
        rotate(whole, rotation_at(rotations, k), 0, num_items(rotations.x[k], whole.re.shape[0]))
