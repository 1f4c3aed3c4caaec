"""Compiled sums over Pauli strings: P applied and added up, overlaps ⟨a|P|b⟩, observables.

How a string acts is told in `rotations`. A string is given by anything with masks x and z, a `OneRotation` for one.
"""

from __future__ import annotations

import numpy as np

from qngd._system.compilation import inner_loop, kernel
from qngd.circuit.bits import count_mod_4, parity_sign, trailing_zeros
from qngd.exact.kernels.layout import CHUNK, LOW, ROW_BITS, SIGNS, Amplitudes, amplitudes, in_chunks

_ONE = np.uint64(1)


@kernel
def add_chunk(whole, x, z, weight, item, out):
    """out += weight·Pψ on chunk `item` alone, which is all that `out` holds."""
    chunk = out.re.shape[0]
    p = np.int64(np.uint64(item) ^ (x >> ROW_BITS)) * chunk
    w = count_mod_4(x & z)
    # (Pψ)[b] = (−i)^w (−1)^(z·b) ψ[b⊕x], because (−1)^(z·x) = (−1)^w
    s = weight * parity_sign(z >> ROW_BITS & np.uint64(item))
    if w >= 2:
        s = -s
    partners = Amplitudes(whole.re[p : p + chunk], whole.im[p : p + chunk])
    _add_row(partners, x & LOW, SIGNS[z & LOW], s, w & 1 == 1, out)


@inner_loop
def _add_row(partners, near, signs, s, is_odd, out):
    for j in range(out.re.shape[0]):
        m = np.uint64(j) ^ near
        v = s * signs[j]
        if is_odd:
            out.re[j] += v * partners.im[m]
            out.im[j] -= v * partners.re[m]
        else:
            out.re[j] += v * partners.re[m]
            out.im[j] += v * partners.im[m]


@kernel
def add_pauli(state, x, z, weight, out, begin, end):
    """out += weight·Pψ on the chunks begin…end, for whole states."""
    _add_pauli(amplitudes(state), x, z, weight, amplitudes(out), begin, end)


@kernel
def _add_pauli(whole, x, z, weight, out, begin, end):
    _, chunk = in_chunks(whole.re.shape[0])
    for item in range(begin, end):
        o = item * chunk
        add_chunk(whole, x, z, weight, item, Amplitudes(out.re[o : o + chunk], out.im[o : o + chunk]))


@kernel
def imaginary_overlap(a, b, string, begin, end):
    """Im ⟨a|P|b⟩ on the chunks begin…end of two states' amplitudes."""
    _, chunk = in_chunks(a.re.shape[0])
    near = string.x & LOW
    if near and near & np.uint64(7) == 0 and chunk == CHUNK:  # in runs, see `rotate_rows`
        low = trailing_zeros(near)
        runs = CHUNK >> low
        return _overlap_rows(a, b, string, np.uint64(low), 1 << low, begin * runs, end * runs)
    return _overlap_rows(a, b, string, ROW_BITS, chunk, begin, end)


@kernel
def _overlap_rows(a, b, string, bits, width, begin, end):
    low = (_ONE << bits) - _ONE
    near, far, z_far = string.x & low, string.x >> bits, string.z >> bits
    w = count_mod_4(string.x & string.z)
    sums = np.zeros(width)  # of each place in a row: a sum over the row would be the slower part of the work
    for item in range(begin, end):
        o, p = item * width, np.int64(np.uint64(item) ^ far) * width
        one = Amplitudes(a.re[o : o + width], a.im[o : o + width])
        partners = Amplitudes(b.re[p : p + width], b.im[p : p + width])
        s = parity_sign(z_far & np.uint64(item))
        if near == 0:
            _add_products(w & 1 == 1, s, one, partners, sums)
        else:
            _add_shuffled(w & 1 == 1, s, one, partners, near, sums)
    signs = SIGNS[string.z & low]
    total = 0.0
    for j in range(width):
        total += signs[j] * sums[j]
    return -total if w >= 2 else total


@kernel
def _product(is_odd, r, i, pr, pi):
    """Im(a*·b), or −Re(a*·b) for an odd number of Y's, where ⟨a|P|b⟩ = −i·Σ ±a*b."""
    return -(r * pr + i * pi) if is_odd else r * pi - i * pr


@inner_loop
def _add_products(is_odd, s, a, b, out):
    for j in range(out.shape[0]):
        out[j] += s * _product(is_odd, a.re[j], a.im[j], b.re[j], b.im[j])


@inner_loop
def _add_shuffled(is_odd, s, a, b, near, out):
    for j in range(out.shape[0]):
        m = np.uint64(j) ^ near
        out[j] += s * _product(is_odd, a.re[j], a.im[j], b.re[m], b.im[m])


@kernel
def apply_observable(state, terms, out, begin, end):
    """out = Hψ on the chunks begin…end, for whole states; the diagonals of a group of terms are added up before the
    amplitudes are touched."""
    whole, result = amplitudes(state), amplitudes(out)
    _, chunk = in_chunks(state.shape[1])
    even = np.empty(CHUNK)
    odd = np.empty(CHUNK)
    for item in range(begin, end):
        o = item * chunk
        r, i = result.re[o : o + chunk], result.im[o : o + chunk]
        r[:] = 0.0
        i[:] = 0.0
        for g in range(terms.x.shape[0]):
            x, t = terms.x[g], terms.start[g]
            if terms.start[g + 1] - t == 1:
                add_chunk(whole, x, terms.z[t], terms.coefficient[t], item, Amplitudes(r, i))
                continue
            _diagonals(terms, g, item, chunk, even, odd)
            near = x & LOW
            p = np.int64(np.uint64(item) ^ (x >> ROW_BITS)) * chunk
            pr, pi = whole.re[p : p + chunk], whole.im[p : p + chunk]
            for j in range(chunk):
                m = np.uint64(j) ^ near
                r[j] += even[j] * pr[m] + odd[j] * pi[m]
                i[j] += even[j] * pi[m] - odd[j] * pr[m]


@kernel
def _diagonals(terms, group, item, chunk, even, odd):
    """The factors by which a group of terms, all of one mask x, take amplitudes into chunk `item`: those of an even
    number of Y's, and of an odd one."""
    even[:] = 0.0
    odd[:] = 0.0
    for t in range(terms.start[group], terms.start[group + 1]):
        z = terms.z[t]
        w = count_mod_4(terms.x[group] & z)
        v = terms.coefficient[t] * parity_sign((z >> ROW_BITS) & np.uint64(item))
        signs = SIGNS[z & LOW]
        if w >= 2:
            v = -v
        part = odd if w & 1 else even
        for j in range(chunk):
            part[j] += v * signs[j]
