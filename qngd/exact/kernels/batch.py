"""Compiled loops over the samples begin…end−1 of a batch: states (B, 2, N) of one circuit at angles of their own.

Cosines and sines of half angles are (B, K), for a state each; all else is as in the kernels for one state.
"""

from __future__ import annotations

import numpy as np

from qngd._system.compilation import kernel
from qngd.exact.kernels.rows import CHUNK, apply_observable
from qngd.exact.kernels.sweeps import add_block, backward, run_stages
from qngd.exact.kernels.tangents import carry


@kernel
def run_each(states, x, z, cos, sin, start, diagonal, first, last, begin, end):
    """Apply the stages first…last−1 to every state."""
    for b in range(begin, end):
        run_stages(states[b, 0], states[b, 1], x, z, cos[b], sin[b], start, diagonal, first, last)


@kernel
def expectations(states, group, start, x, z, coefficient, out, begin, end):
    """out[b, k] = ⟨H_k⟩, where the terms of observable k are the groups group[k]…group[k+1] of equal x."""
    size = states.shape[2]
    chunks = size // min(size, CHUNK)
    other = np.empty((2, size))
    for b in range(begin, end):
        re, im = states[b, 0], states[b, 1]
        for k in range(out.shape[1]):
            first, last = group[k], group[k + 1]
            apply_observable(
                re, im, start[first : last + 1], x[first:last], z, coefficient, other[0], other[1], 0, chunks
            )
            total = 0.0
            for i in range(size):
                total += re[i] * other[0, i] + im[i] * other[1, i]
            out[b, k] = total


@kernel
def slopes_back(states, tstart, tx, tz, coefficients, x, z, cos, undo, moving, start, diagonal, out, begin, end):
    """out[b] = Im⟨ψ_b|H_b·P_k|ψ_b⟩ of all moving rotations, H_b the observable of coefficients[b]; the states are run
    back to the start."""
    size = states.shape[2]
    chunks = size // min(size, CHUNK)
    other = np.empty((2, size))
    for b in range(begin, end):
        re, im = states[b, 0], states[b, 1]
        apply_observable(re, im, tstart, tx, tz, coefficients[b], other[0], other[1], 0, chunks)
        backward(re, im, other[0], other[1], x, z, cos[b], undo[b], moving, start, diagonal, out[b])


@kernel
def add_blocks(
    states, x, z, cos, sin, masks, sign, rows, indptr, columns, entries, block, is_diagonal, out, mean, begin, end
):
    """The blocks of one layer, all added up in `out`; entries (B, nnz) are those of J_b, mean is (B, K)."""
    size = states.shape[2]
    work, sums = np.empty((2, size)), np.empty(size)
    for b in range(begin, end):
        add_block(
            states[b, 0], states[b, 1], x, z, cos, sin, work, sums, masks, sign, rows, indptr, columns, entries[b],
            block, is_diagonal, out, mean[b],
        )  # fmt: skip


@kernel
def carry_each(
    states, x, z, cos, sin, start, diagonal, stages, active, entry_start, entry, lane, weight, lanes, column, begin, end
):
    """The lanes of one side of every state into lanes[b] (2, N, L) from `column` on, with weights (B, ·); states[b],
    which is changed, is where the side starts."""
    stride = lanes.shape[3]
    for b in range(begin, end):
        re, im = lanes[b, 0].reshape(-1)[column:], lanes[b, 1].reshape(-1)[column:]
        carry(
            states[b], x, z, cos[b], sin[b], start, diagonal, stages, active, entry_start, entry, lane, weight[b], re,
            im, stride,
        )  # fmt: skip
