"""Compiled kernels for what is diagonal: phases of Z strings, and their sums over basis states.

The Walsh–Hadamard transform ŵ[z] = Σ_b (−1)^(z·b) w[b] of real weights holds the sum for every Z string at
once. For w = |ψ|² these are the expectation values of all Z strings, so all ⟨P_i⟩ and ⟨P_iP_j⟩ of commuting
strings that were turned into Z strings are look-ups.
"""

from __future__ import annotations

import numpy as np

from qngd._system.compilation import kernel
from qngd.exact.kernels.rows import CHUNK, CHUNK_BITS, SIGNS, _sign

_LOW = np.uint64(CHUNK - 1)
_BITS = np.uint64(CHUNK_BITS)
BLOCK = 1 << 12  # real numbers that are transformed while they stay in the first-level cache


@kernel
def turn_diagonal(re, im, z, cos, sin, first, last, begin, end):
    """Apply rotations first…last−1, all about Z strings, to the chunks begin…end in one pass.

    Strings that agree on the low qubits, best given side by side, share one phase per chunk and sign.
    """
    chunk = min(re.shape[0], CHUNK)
    phase_re, phase_im = np.empty(CHUNK), np.empty(CHUNK)
    for item in range(begin, end):
        phase_re[:] = 1.0
        phase_im[:] = 0.0
        k = first
        while k < last:
            low = z[k] & _LOW
            c, s = 1.0, 0.0
            while k < last and z[k] & _LOW == low:
                t = sin[k] * _sign((z[k] >> _BITS) & np.uint64(item))
                c, s = c * cos[k] - s * t, s * cos[k] + c * t
                k += 1
            signs = SIGNS[low]
            for j in range(chunk):
                v = s * signs[j]
                t = phase_re[j]
                phase_re[j] = c * t + v * phase_im[j]
                phase_im[j] = c * phase_im[j] - v * t
        o = item * chunk
        r, i = re[o : o + chunk], im[o : o + chunk]
        for j in range(chunk):
            t = r[j]
            r[j] = phase_re[j] * t - phase_im[j] * i[j]
            i[j] = phase_re[j] * i[j] + phase_im[j] * t


@kernel
def weights(re, im, out, begin, end):
    """out = |ψ|² on the indices begin…end."""
    r, i, o = re[begin:end], im[begin:end], out[begin:end]
    for b in range(end - begin):
        o[b] = r[b] * r[b] + i[b] * i[b]


@kernel
def slopes(are, aim, bre, bim, out, begin, end):
    """out = Im(a*·b) on the indices begin…end."""
    ar, ai, br, bi, o = are[begin:end], aim[begin:end], bre[begin:end], bim[begin:end], out[begin:end]
    for b in range(end - begin):
        o[b] = ar[b] * bi[b] - ai[b] * br[b]


@kernel
def add_product(re, im, factors, out_re, out_im, begin, end):
    """out += factors·ψ on the indices begin…end, with real factors."""
    r, i, f = re[begin:end], im[begin:end], factors[begin:end]
    out_r, out_i = out_re[begin:end], out_im[begin:end]
    for b in range(end - begin):
        out_r[b] += f[b] * r[b]
        out_i[b] += f[b] * i[b]


@kernel
def _butterflies(values, half):
    """One step of the transform: pairs at distance `half`."""
    for begin in range(0, values.shape[0], 2 * half):
        a = values[begin : begin + half]
        b = values[begin + half : begin + 2 * half]
        for j in range(half):
            t = a[j]
            a[j] = t + b[j]
            b[j] = t - b[j]


@kernel
def walsh(values):
    """The transform of 2ᵐ numbers, in place."""
    size = values.shape[0]
    half = 1
    if size >= 8:
        for o in range(0, size, 8):
            a, b, c, d = values[o], values[o + 1], values[o + 2], values[o + 3]
            e, f, g, h = values[o + 4], values[o + 5], values[o + 6], values[o + 7]
            a, b, c, d, e, f, g, h = a + b, a - b, c + d, c - d, e + f, e - f, g + h, g - h
            a, b, c, d, e, f, g, h = a + c, b + d, a - c, b - d, e + g, f + h, e - g, f - h
            values[o], values[o + 1], values[o + 2], values[o + 3] = a + e, b + f, c + g, d + h
            values[o + 4], values[o + 5], values[o + 6], values[o + 7] = a - e, b - f, c - g, d - h
        half = 8
    while half < size:
        _butterflies(values, half)
        half *= 2


@kernel
def walsh_blocks(values, begin, end):
    """The transform over the low bits alone: of the blocks begin…end of BLOCK numbers each."""
    for block in range(begin, end):
        walsh(values[block * BLOCK : (block + 1) * BLOCK])


@kernel
def walsh_across(values, width, begin, end):
    """The transform over the bits above a block, for `width` neighbouring columns at a time: items begin…end."""
    rows = values.shape[0] // BLOCK
    tile = np.empty(rows * width)
    for item in range(begin, end):
        for r in range(rows):
            o = r * BLOCK + item * width
            tile[r * width : (r + 1) * width] = values[o : o + width]
        half = width
        while half < tile.shape[0]:
            _butterflies(tile, half)
            half *= 2
        for r in range(rows):
            o = r * BLOCK + item * width
            values[o : o + width] = tile[r * width : (r + 1) * width]


@kernel
def add_covariances(sums, z, sign, rows, indptr, columns, entries, block, is_diagonal, out, mean):
    """out += Jᵀ·¼(⟨P_iP_j⟩ − ⟨P_i⟩⟨P_j⟩)·J over strings of one block, where string i is sign_i times the Z string of
    mask z_i and `sums` the transform of |ψ|²; J is sparse, and row rows[i] of it (indptr, columns, entries) belongs
    to string i, as does block[rows[i]]. If diagonal, only entries out_aa. Then mean[rows[i]] = ⟨P_i⟩.
    """
    used = _columns_of(rows, indptr, columns, out.shape[0])
    line = np.zeros(out.shape[0])
    for i in range(z.shape[0]):
        mean[rows[i]] = sign[i] * sums[z[i]]
        for j in range(z.shape[0]):  # line = Σ_j covariance_ij J_j
            if block[rows[j]] != block[rows[i]]:
                continue
            covariance = sign[i] * sign[j] * (sums[z[i] ^ z[j]] - sums[z[i]] * sums[z[j]])
            for e in range(indptr[rows[j]], indptr[rows[j] + 1]):
                line[columns[e]] += 0.25 * covariance * entries[e]
        for e in range(indptr[rows[i]], indptr[rows[i] + 1]):
            if is_diagonal:
                out[columns[e], columns[e]] += entries[e] * line[columns[e]]
                continue
            for b in used:
                out[columns[e], b] += entries[e] * line[b]
        for b in used:
            line[b] = 0.0


@kernel
def _columns_of(rows, indptr, columns, count):
    """The columns that occur in these rows, each once."""
    seen = np.zeros(count, dtype=np.bool_)
    for row in rows:
        for e in range(indptr[row], indptr[row + 1]):
            seen[columns[e]] = True
    return np.flatnonzero(seen)
