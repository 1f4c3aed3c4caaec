"""Compiled kernels that apply two rotations to many states side by side while their amplitudes are in registers.

Loads and stores, and the start of every short loop over lanes, cost as much as the arithmetic of a rotation. Two
rotations with different x masks map four rows a, a⊕x₁, a⊕x₂, a⊕x₁⊕x₂ to themselves, so that each is touched once for
both.
"""

from __future__ import annotations

import numpy as np

from qngd._system.compilation import inner_loop, kernel
from qngd.exact.kernels.rows import _pair, _sign, _top_bit, form, rotate_rows, turn

_ONE = np.uint64(1)


@kernel
def rotate_each(re, im, bits, stride, width, x, z, cos, sin, begin, end, size):
    """Apply the rotations begin…end−1 to `size` rows (see `rotate_rows`), if they are rows of lanes two at a time."""
    k = begin
    while k < end:
        if bits == 0 and k + 1 < end and x[k] and x[k + 1] and x[k] != x[k + 1]:
            _rotate_two(re, im, stride, width, x, z, cos, sin, k, size)
            k += 2
        else:
            items = size // 2 if x[k] >> bits else size
            rotate_rows(re, im, bits, stride, width, x[k], z[k], cos[k], sin[k], 0, items)
            k += 1


@kernel
def _rotate_two(re, im, stride, width, x, z, cos, sin, k, size):
    """Rotation k, then k + 1; their x masks differ, and neither is 0."""
    x1, x2 = x[k], x[k + 1]
    odd1, c1, s1 = form(x1, z[k], cos[k], sin[k])
    odd2, c2, s2 = form(x2, z[k + 1], cos[k + 1], sin[k + 1])
    # of every four rows one has two top bits clear
    top1 = _top_bit(x1)
    top2 = _top_bit(x2 ^ x1 if x2 >> top1 & _ONE else x2)
    flip1, flip2 = _sign(z[k] & x2), _sign(z[k + 1] & x1)
    for item in range(size // 4):
        row = _pair(_pair(np.uint64(item), min(top1, top2)), max(top1, top2))
        u, v = s1 * _sign(z[k] & row), s2 * _sign(z[k + 1] & row)
        u_far, v_far = u * flip1, v * flip2
        a, b = np.int64(row) * stride, np.int64(row ^ x1) * stride
        c, d = np.int64(row ^ x2) * stride, np.int64(row ^ x1 ^ x2) * stride
        _turn_four(
            re[a : a + width], im[a : a + width], re[b : b + width], im[b : b + width],
            re[c : c + width], im[c : c + width], re[d : d + width], im[d : d + width],
            odd1, c1, u, u_far, odd2, c2, v, v_far,
        )  # fmt: skip


@inner_loop
def _turn_four(are, aim, bre, bim, cre, cim, dre, dim, odd1, c1, u, u_far, odd2, c2, v, v_far):
    """The first rotation mixes a with b and c with d, the second a with c and b with d."""
    for j in range(are.shape[0]):
        ar, ai, br, bi = turn(odd1, c1, u, are[j], aim[j], bre[j], bim[j])
        cr, ci, dr, di = turn(odd1, c1, u_far, cre[j], cim[j], dre[j], dim[j])
        are[j], aim[j], cre[j], cim[j] = turn(odd2, c2, v, ar, ai, cr, ci)
        bre[j], bim[j], dre[j], dim[j] = turn(odd2, c2, v_far, br, bi, dr, di)
