"""Compiled kernels for what is diagonal: phases of Z strings, and their sums over basis states.

The Walsh–Hadamard transform ŵ[z] = Σ_b (−1)^(z·b) w[b] of real weights holds the sum for every Z string at
once. For w = |ψ|² these are the expectation values of all Z strings, so all ⟨P_i⟩ and ⟨P_iP_j⟩ of commuting
strings that were turned into Z strings are look-ups.
"""

from __future__ import annotations

import numpy as np

from qngd._system.compilation import kernel
from qngd.circuit.bits import parity_sign
from qngd.exact.kernels.layout import CHUNK, LOW, ROW_BITS, SIGNS, amplitudes

BLOCK = 1 << 12  # real numbers that are transformed while they stay in the first-level cache


@kernel
def turn_diagonal(whole, rotations, first, last, begin, end):
    """Apply rotations first…last−1, all about Z strings, to the chunks begin…end of a state's amplitudes in one pass.

    Strings that agree on the low qubits, best given side by side, share one phase per chunk and sign.
    """
    z, cos, sin = rotations.z, rotations.cos, rotations.sin
    chunk = min(whole.re.shape[0], CHUNK)
    phase_re, phase_im = np.empty(CHUNK), np.empty(CHUNK)
    for item in range(begin, end):
        phase_re[:] = 1.0
        phase_im[:] = 0.0
        k = first
        while k < last:
            low = z[k] & LOW
            c, s = 1.0, 0.0
            while k < last and z[k] & LOW == low:
                t = sin[k] * parity_sign((z[k] >> ROW_BITS) & np.uint64(item))
                c, s = c * cos[k] - s * t, s * cos[k] + c * t
                k += 1
            signs = SIGNS[low]
            for j in range(chunk):
                v = s * signs[j]
                t = phase_re[j]
                phase_re[j] = c * t + v * phase_im[j]
                phase_im[j] = c * phase_im[j] - v * t
        o = item * chunk
        r, i = whole.re[o : o + chunk], whole.im[o : o + chunk]
        for j in range(chunk):
            t = r[j]
            r[j] = phase_re[j] * t - phase_im[j] * i[j]
            i[j] = phase_re[j] * i[j] + phase_im[j] * t


@kernel
def weights(state, out, begin, end):
    """out = |ψ|² on the indices begin…end of a whole state."""
    whole = amplitudes(state)
    r, i, o = whole.re[begin:end], whole.im[begin:end], out[begin:end]
    for b in range(end - begin):
        o[b] = r[b] * r[b] + i[b] * i[b]


@kernel
def slopes(one, other, out, begin, end):
    """out = Im(a*·b) on the indices begin…end of two whole states a, b."""
    a, b = amplitudes(one), amplitudes(other)
    ar, ai, br, bi, o = a.re[begin:end], a.im[begin:end], b.re[begin:end], b.im[begin:end], out[begin:end]
    for j in range(end - begin):
        o[j] = ar[j] * bi[j] - ai[j] * br[j]


@kernel
def add_product(state, factors, out, begin, end):
    """out += factors·ψ on the indices begin…end of whole states, with real factors."""
    whole, result = amplitudes(state), amplitudes(out)
    r, i, f = whole.re[begin:end], whole.im[begin:end], factors[begin:end]
    out_r, out_i = result.re[begin:end], result.im[begin:end]
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
def add_covariances(sums, strings, jacobian, block, is_diagonal, found):
    """metric += Jᵀ·¼(⟨P_iP_j⟩ − ⟨P_i⟩⟨P_j⟩)·J over the strings of one layer, a `ReadStrings`, where `sums` is the
    transform of |ψ|²; row k of the sparse J, and block[k], belong to rotation k. Pairs of different blocks add nothing.
    If diagonal, only entries metric_aa. `found` is a `Moments`, which gets mean_k = ⟨P_k⟩ besides.
    """
    start, column, value = jacobian
    mask, sign, rows = strings
    used = _columns_of(rows, jacobian, found.metric.shape[0])
    line = np.zeros(found.metric.shape[0])
    for i in range(mask.shape[0]):
        found.mean[rows[i]] = sign[i] * sums[mask[i]]
        for j in range(mask.shape[0]):  # line = Σ_j covariance_ij J_j
            if block[rows[j]] != block[rows[i]]:
                continue
            covariance = sign[i] * sign[j] * (sums[mask[i] ^ mask[j]] - sums[mask[i]] * sums[mask[j]])
            for e in range(start[rows[j]], start[rows[j] + 1]):
                line[column[e]] += 0.25 * covariance * value[e]
        for e in range(start[rows[i]], start[rows[i] + 1]):
            if is_diagonal:
                found.metric[column[e], column[e]] += value[e] * line[column[e]]
                continue
            for b in used:
                found.metric[column[e], b] += value[e] * line[b]
        for b in used:
            line[b] = 0.0


@kernel
def _columns_of(rows, matrix, count):
    """The columns that occur in these rows of a sparse matrix with `count` columns, each once."""
    seen = np.zeros(count, dtype=np.bool_)
    for row in rows:
        for e in range(matrix.start[row], matrix.start[row + 1]):
            seen[matrix.column[e]] = True
    return np.flatnonzero(seen)
