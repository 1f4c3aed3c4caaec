"""Compiled kernels on statevectors. A state of N = 2ⁿ amplitudes is a float array (2, N): real, imaginary.

A Hermitian Pauli string with masks (x, z) and w = |x ∧ z| acts as

    (Pψ)[b] = i^w (−1)^(z·(b⊕x)) ψ[b⊕x],

so a rotation mixes the pairs (a, b = a⊕x): with σ = (−1)^(z·a), s = sin φ/2, c = cos φ/2,

    w even:  a' = c·a − i s τ·b,   b' = c·b − i s τ·a,   τ = i^w σ
    w odd:   a' = c·a − v·b,       b' = c·b + v·a,       v = s·(−i·i^w)·σ
    x = 0:   a' = (c − i s σ)·a.

Amplitudes are visited in rows of 64: inside a row σ is a line of a small table of signs times one
sign for the row, which leaves inner loops that vectorise. Signs of strings live in the angles.
Rotations also act on many states side by side, whose rows hold the same amplitude of each: then `bits`, the
low bits of an index that a row spans, is 0 instead of 6; `width` is what there is in a row, and `stride` the
distance between rows. Every kernel takes a range of work items so that threads can share one state.
"""

from __future__ import annotations

import numpy as np

from qngd._system.compilation import inner_loop, kernel

CHUNK_BITS = 6
CHUNK = 1 << CHUNK_BITS
_LOW = np.uint64(CHUNK - 1)
_BITS = np.uint64(CHUNK_BITS)
_ONE = np.uint64(1)
_COUNT = np.array([bin(i).count("1") for i in range(CHUNK)])
# SIGNS[z, j] = (−1)^(z·j)
SIGNS = 1.0 - 2.0 * (_COUNT[np.arange(CHUNK)[:, None] & np.arange(CHUNK)[None, :]] & 1)


@kernel
def _parity(word):
    word ^= word >> np.uint64(32)
    word ^= word >> np.uint64(16)
    word ^= word >> np.uint64(8)
    word ^= word >> np.uint64(4)
    word ^= word >> np.uint64(2)
    word ^= word >> np.uint64(1)
    return word & np.uint64(1)


@kernel
def _sign(word):
    return 1.0 - 2.0 * np.float64(_parity(word))


@kernel
def _count_mod_4(word):
    count = 0
    while word:
        word &= word - np.uint64(1)
        count += 1
    return count & 3


@kernel
def _top_bit(word):
    bit = np.uint64(0)
    while word > np.uint64(1):
        word >>= np.uint64(1)
        bit += np.uint64(1)
    return bit


@kernel
def _trailing_zeros(word):
    bit = 0
    while word & _ONE == 0:
        word >>= _ONE
        bit += 1
    return bit


@kernel
def _pair(j, top):
    """The j-th index with bit `top` clear."""
    low = j & ((_ONE << top) - _ONE)
    return ((j ^ low) << _ONE) | low


@kernel
def num_items(x, size):
    """Work items of a string with mask x on `size` amplitudes: chunks, or pairs of chunks."""
    chunk = min(size, CHUNK)
    chunks = size // chunk
    return chunks if (x >> _BITS) == 0 else chunks // 2


@kernel
def rotate(re, im, x, z, cos, sin, begin, end):
    """ψ ← exp(−i φ/2 P)ψ on the work items begin…end, with cos = cos φ/2 and sin = sin φ/2."""
    chunk = min(re.shape[0], CHUNK)
    rotate_rows(re, im, _BITS, chunk, chunk, x, z, cos, sin, begin, end)


@kernel
def rotate_rows(re, im, bits, stride, width, x, z, cos, sin, begin, end):
    """`rotate` on rows: work items are rows, or pairs of rows if x >> bits is not 0."""
    xl = x & ((_ONE << bits) - _ONE)
    if xl and xl & np.uint64(7) == 0 and stride == CHUNK:
        # partners are whole runs of 8 or more: as rows of that length nothing is shuffled inside them
        low = _trailing_zeros(xl)
        rows = CHUNK >> low if x >> bits else CHUNK >> (low + 1)
        _rotate_rows(re, im, np.uint64(low), 1 << low, 1 << low, x, z, cos, sin, begin * rows, end * rows)
    else:
        _rotate_rows(re, im, bits, stride, width, x, z, cos, sin, begin, end)


@kernel
def _rotate_rows(re, im, bits, stride, width, x, z, cos, sin, begin, end):
    low = (_ONE << bits) - _ONE
    signs = SIGNS[z & low]
    xl, xh, zh = x & low, x >> bits, z >> bits
    if x == 0:
        for item in range(begin, end):
            s = sin * _sign(zh & np.uint64(item))
            o = item * stride
            r, i = re[o : o + width], im[o : o + width]
            for j in range(width):
                v = s * signs[j]
                t = r[j]
                r[j] = cos * t + v * i[j]
                i[j] = cos * i[j] - v * t
        return
    is_odd, cos, sin = form(x, z, cos, sin)
    if xh == 0:
        _rotate_inside(re, im, width, xl, zh, signs, cos, sin, is_odd, begin, end)
        return
    top = _top_bit(xh)
    for item in range(begin, end):
        first = _pair(np.uint64(item), top)
        s = sin * _sign(zh & first)
        a, b = np.int64(first) * stride, np.int64(first ^ xh) * stride
        ra, ia, rb, ib = re[a : a + width], im[a : a + width], re[b : b + width], im[b : b + width]
        if xl == 0:
            _turn_rows(is_odd, cos, s, signs, ra, ia, rb, ib)
        else:
            _turn_shuffled(is_odd, cos, s, signs, ra, ia, rb, ib, xl)


@kernel
def form(x, z, cos, sin):
    """Whether a string has an odd number of Y's, and the cosine and sine for `turn`."""
    w = _count_mod_4(x & z)
    # −i·i^w is 1 for w = 1 and −1 for w = 3; i^w is 1 for w = 0 and −1 for w = 2
    return w & 1 == 1, cos, -sin if w >= 2 else sin


@kernel
def turn(is_odd, c, s, ar, ai, br, bi):
    """A rotation of one pair of amplitudes a, b. The compiler takes the test out of the loops that call this."""
    if is_odd:
        return c * ar - s * br, c * ai - s * bi, c * br + s * ar, c * bi + s * ai
    return c * ar + s * bi, c * ai - s * br, c * br + s * ai, c * bi - s * ar


@inner_loop
def _turn_rows(is_odd, cos, s, signs, ra, ia, rb, ib):
    for j in range(ra.shape[0]):
        ra[j], ia[j], rb[j], ib[j] = turn(is_odd, cos, s * signs[j], ra[j], ia[j], rb[j], ib[j])


@inner_loop
def _turn_shuffled(is_odd, cos, s, signs, ra, ia, rb, ib, xl):
    for j in range(ra.shape[0]):
        m = np.uint64(j) ^ xl
        ra[j], ia[j], rb[m], ib[m] = turn(is_odd, cos, s * signs[j], ra[j], ia[j], rb[m], ib[m])


@kernel
def _rotate_inside(re, im, chunk, xl, zh, signs, cos, sin, odd, begin, end):
    """The case where both members of every pair lie in one chunk."""
    old_re = np.empty(CHUNK)
    old_im = np.empty(CHUNK)
    for item in range(begin, end):
        s = sin * _sign(zh & np.uint64(item))
        o = item * chunk
        r, i = re[o : o + chunk], im[o : o + chunk]
        for j in range(chunk):
            old_re[j] = r[j]
            old_im[j] = i[j]
        # with m = j⊕x: τ is the same seen from both members, v changes its sign
        if odd:
            for j in range(chunk):
                m = np.uint64(j) ^ xl
                v = s * signs[m]  # seen from j: −v_j = +v_m
                r[j] = cos * old_re[j] + v * old_re[m]
                i[j] = cos * old_im[j] + v * old_im[m]
        else:
            for j in range(chunk):
                m = np.uint64(j) ^ xl
                v = s * signs[j]
                r[j] = cos * old_re[j] + v * old_im[m]
                i[j] = cos * old_im[j] - v * old_re[m]


@kernel
def run(re, im, x, z, cos, sin, begin, end):
    """Apply the rotations begin…end−1 to the whole state."""
    for k in range(begin, end):
        rotate(re, im, x[k], z[k], cos[k], sin[k], 0, num_items(x[k], re.shape[0]))


@kernel
def add_chunk(re, im, x, z, weight, item, chunk, out_re, out_im):
    """out += weight·Pψ on chunk `item` alone, which is all that `out` holds."""
    p = np.int64(np.uint64(item) ^ (x >> _BITS)) * chunk
    w = _count_mod_4(x & z)
    # (Pψ)[b] = (−i)^w (−1)^(z·b) ψ[b⊕x], because (−1)^(z·x) = (−1)^w
    s = weight * _sign(z >> _BITS & np.uint64(item))
    if w >= 2:
        s = -s
    _add_row(re[p : p + chunk], im[p : p + chunk], x & _LOW, SIGNS[z & _LOW], s, w & 1 == 1, out_re, out_im)


@inner_loop
def _add_row(re, im, xl, signs, s, is_odd, out_re, out_im):
    for j in range(out_re.shape[0]):
        m = np.uint64(j) ^ xl
        v = s * signs[j]
        if is_odd:
            out_re[j] += v * im[m]
            out_im[j] -= v * re[m]
        else:
            out_re[j] += v * re[m]
            out_im[j] += v * im[m]


@kernel
def add_pauli(re, im, x, z, weight, out_re, out_im, begin, end):
    """out += weight·Pψ on the chunks begin…end."""
    chunk = min(re.shape[0], CHUNK)
    for item in range(begin, end):
        o = item * chunk
        add_chunk(re, im, x, z, weight, item, chunk, out_re[o : o + chunk], out_im[o : o + chunk])


@kernel
def imaginary_overlap(ar, ai, br, bi, x, z, begin, end):
    """Im ⟨a|P|b⟩ on the chunks begin…end."""
    chunk = min(ar.shape[0], CHUNK)
    xl = x & _LOW
    if xl and xl & np.uint64(7) == 0 and chunk == CHUNK:  # in runs, see `rotate_rows`
        low = _trailing_zeros(xl)
        rows = CHUNK >> low
        return _overlap_rows(ar, ai, br, bi, np.uint64(low), 1 << low, x, z, begin * rows, end * rows)
    return _overlap_rows(ar, ai, br, bi, _BITS, chunk, x, z, begin, end)


@kernel
def _overlap_rows(ar, ai, br, bi, bits, width, x, z, begin, end):
    low = (_ONE << bits) - _ONE
    xl, xh, zh = x & low, x >> bits, z >> bits
    w = _count_mod_4(x & z)
    sums = np.zeros(width)  # of each place in a row: a sum over the row would be the slower part of the work
    for item in range(begin, end):
        o, p = item * width, np.int64(np.uint64(item) ^ xh) * width
        r, i, pr, pi = ar[o : o + width], ai[o : o + width], br[p : p + width], bi[p : p + width]
        s = _sign(zh & np.uint64(item))
        if xl == 0:
            _add_products(w & 1 == 1, s, r, i, pr, pi, sums)
        else:
            _add_shuffled(w & 1 == 1, s, r, i, pr, pi, xl, sums)
    signs = SIGNS[z & low]
    total = 0.0
    for j in range(width):
        total += signs[j] * sums[j]
    return -total if w >= 2 else total


@kernel
def _product(is_odd, r, i, pr, pi):
    """Im(a*·b), or −Re(a*·b) for an odd number of Y's, where ⟨a|P|b⟩ = −i·Σ ±a*b."""
    return -(r * pr + i * pi) if is_odd else r * pi - i * pr


@inner_loop
def _add_products(is_odd, s, r, i, pr, pi, out):
    for j in range(out.shape[0]):
        out[j] += s * _product(is_odd, r[j], i[j], pr[j], pi[j])


@inner_loop
def _add_shuffled(is_odd, s, r, i, pr, pi, xl, out):
    for j in range(out.shape[0]):
        m = np.uint64(j) ^ xl
        out[j] += s * _product(is_odd, r[j], i[j], pr[m], pi[m])


@kernel
def apply_observable(re, im, start, x, z, coefficient, out_re, out_im, begin, end):
    """out = Hψ on the chunks begin…end. Terms come in groups of equal x: start (G+1,), x (G,), z and
    coefficient (T,); the diagonals of a group are added up before the amplitudes are touched."""
    chunk = min(re.shape[0], CHUNK)
    even = np.empty(CHUNK)
    odd = np.empty(CHUNK)
    for item in range(begin, end):
        o = item * chunk
        out_re[o : o + chunk] = 0.0
        out_im[o : o + chunk] = 0.0
        for g in range(x.shape[0]):
            t = start[g]
            if start[g + 1] - t == 1:
                add_pauli(re, im, x[g], z[t], coefficient[t], out_re, out_im, item, item + 1)
                continue
            _diagonals(x[g], z, coefficient, t, start[g + 1], item, chunk, even, odd)
            r, i = out_re[o : o + chunk], out_im[o : o + chunk]
            xl = x[g] & _LOW
            p = np.int64(np.uint64(item) ^ (x[g] >> _BITS)) * chunk
            pr, pi = re[p : p + chunk], im[p : p + chunk]
            for j in range(chunk):
                m = np.uint64(j) ^ xl
                r[j] += even[j] * pr[m] + odd[j] * pi[m]
                i[j] += even[j] * pi[m] - odd[j] * pr[m]


@kernel
def _diagonals(x, z, coefficient, first, last, item, chunk, even, odd):
    """The factors by which the terms first…last−1, all of mask x, take amplitudes into chunk `item`: those of an
    even number of Y's, and of an odd one."""
    even[:] = 0.0
    odd[:] = 0.0
    for t in range(first, last):
        w = _count_mod_4(x & z[t])
        v = coefficient[t] * _sign((z[t] >> _BITS) & np.uint64(item))
        signs = SIGNS[z[t] & _LOW]
        if w >= 2:
            v = -v
        part = odd if w & 1 else even
        for j in range(chunk):
            part[j] += v * signs[j]
