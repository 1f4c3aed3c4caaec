"""Compiled sweeps over the stages of a circuit (see `schedule`), for states too small to share out."""

from __future__ import annotations

import numpy as np

from qngd._system.compilation import kernel
from qngd.exact.kernels.diagonal import add_covariances, slopes, turn_diagonal, walsh, weights
from qngd.exact.kernels.rows import CHUNK, imaginary_overlap, num_items, rotate, run


@kernel
def run_stage(re, im, x, z, cos, sin, begin, end, is_diagonal):
    """Apply the rotations begin…end−1 of one stage."""
    if is_diagonal:
        turn_diagonal(re, im, z, cos, sin, begin, end, 0, re.shape[0] // min(re.shape[0], CHUNK))
    else:
        run(re, im, x, z, cos, sin, begin, end)


@kernel
def run_stages(re, im, x, z, cos, sin, start, diagonal, first, last):
    """Apply the stages first…last−1."""
    for stage in range(first, last):
        run_stage(re, im, x, z, cos, sin, start[stage], start[stage + 1], diagonal[stage])


@kernel
def backward(re, im, lre, lim, x, z, cos, undo, moving, start, diagonal, out):
    """Reverse sweep with undo = −sin: out[k] = Im ⟨λ|P_k|ψ⟩ where both states stand just after rotation k."""
    size = re.shape[0]
    chunks = size // min(size, CHUNK)
    sums = np.empty(size)
    for stage in range(start.shape[0] - 2, -1, -1):
        begin, end = start[stage], start[stage + 1]
        if diagonal[stage]:
            if moving[begin]:
                slopes(lre, lim, re, im, sums, 0, size)
                walsh(sums)
                for k in range(begin, end):
                    out[k] = sums[z[k]]
            turn_diagonal(re, im, z, cos, undo, begin, end, 0, chunks)
            turn_diagonal(lre, lim, z, cos, undo, begin, end, 0, chunks)
            continue
        for k in range(end - 1, begin - 1, -1):
            if moving[k]:
                out[k] = imaginary_overlap(lre, lim, re, im, x[k], z[k], 0, chunks)
            items = num_items(x[k], size)
            rotate(re, im, x[k], z[k], cos[k], undo[k], 0, items)
            rotate(lre, lim, x[k], z[k], cos[k], undo[k], 0, items)


@kernel
def add_block(
    re, im, x, z, cos, sin, work, sums, masks, sign, rows, indptr, columns, entries, block, is_diagonal, out, mean
):
    """The block of one layer on a small state: turn a copy (`work`) by the rotations that make the layer's strings
    the Z strings `masks`, transform its weights, `add_covariances`."""
    work[0, :] = re
    work[1, :] = im
    run(work[0], work[1], x, z, cos, sin, 0, x.shape[0])
    weights(work[0], work[1], sums, 0, sums.shape[0])
    walsh(sums)
    add_covariances(sums, masks, sign, rows, indptr, columns, entries, block, is_diagonal, out, mean)
