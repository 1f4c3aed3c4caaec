"""Compiled kernels that apply two rotations to many states side by side while their amplitudes are in registers.

Loads and stores, and the start of every short loop over lanes, cost as much as the arithmetic of a rotation. Two
rotations with different x masks map four rows a, a⊕x₁, a⊕x₂, a⊕x₁⊕x₂ to themselves, so that each is touched once for
both.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qngd._system.compilation import inner_loop, kernel
from qngd.circuit.bits import index_without, parity_sign, top_bit
from qngd.exact.kernels.layout import Amplitudes, rotation_at
from qngd.exact.kernels.rotations import form, rotate_rows, turn

_ONE = np.uint64(1)


class _Half(NamedTuple):
    """One of two rotations of four rows: its form, cosine, and sine on its first and on its second pair."""

    is_odd: bool
    cos: float
    near: float
    far: float


@kernel
def rotate_each(whole, rows, rotations, begin, end, size):
    """Apply the rotations begin…end−1 to `size` rows (see `rotate_rows`), if they are rows of lanes two at a time."""
    x = rotations.x
    k = begin
    while k < end:
        if rows.bits == 0 and k + 1 < end and x[k] and x[k + 1] and x[k] != x[k + 1]:
            _rotate_two(whole, rows, rotation_at(rotations, k), rotation_at(rotations, k + 1), size)
            k += 2
        else:
            items = size // 2 if x[k] >> rows.bits else size
            rotate_rows(whole, rows, rotation_at(rotations, k), 0, items)
            k += 1


@kernel
def _rotate_two(whole, rows, first, second, size):
    """One rotation, then another; their x masks differ, and neither is 0."""
    re, im = whole
    stride, width = rows.stride, rows.width
    odd1, c1, s1 = form(first)
    odd2, c2, s2 = form(second)
    # of every four rows one has two top bits clear
    top1 = top_bit(first.x)
    top2 = top_bit(second.x ^ first.x if second.x >> top1 & _ONE else second.x)
    flip1, flip2 = parity_sign(first.z & second.x), parity_sign(second.z & first.x)
    for item in range(size // 4):
        row = index_without(index_without(np.uint64(item), min(top1, top2)), max(top1, top2))
        u, v = s1 * parity_sign(first.z & row), s2 * parity_sign(second.z & row)
        a, b = np.int64(row) * stride, np.int64(row ^ first.x) * stride
        c, d = np.int64(row ^ second.x) * stride, np.int64(row ^ first.x ^ second.x) * stride
        _turn_four(
            Amplitudes(re[a : a + width], im[a : a + width]), Amplitudes(re[b : b + width], im[b : b + width]),
            Amplitudes(re[c : c + width], im[c : c + width]), Amplitudes(re[d : d + width], im[d : d + width]),
            _Half(odd1, c1, u, u * flip1), _Half(odd2, c2, v, v * flip2),
        )  # fmt: skip


@inner_loop
def _turn_four(a, b, c, d, first, second):
    """The first rotation mixes a with b and c with d, the second a with c and b with d."""
    odd1, c1, u, u_far = first
    odd2, c2, v, v_far = second
    for j in range(a.re.shape[0]):
        ar, ai, br, bi = turn(odd1, c1, u, a.re[j], a.im[j], b.re[j], b.im[j])
        cr, ci, dr, di = turn(odd1, c1, u_far, c.re[j], c.im[j], d.re[j], d.im[j])
        a.re[j], a.im[j], c.re[j], c.im[j] = turn(odd2, c2, v, ar, ai, cr, ci)
        b.re[j], b.im[j], d.re[j], d.im[j] = turn(odd2, c2, v_far, br, bi, dr, di)
