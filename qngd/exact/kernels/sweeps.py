"""Compiled sweeps over the stages of a circuit (see `schedule`), for states too small to share out.

All take whole states, (2, N).
"""

from __future__ import annotations

import numpy as np

from qngd._system.compilation import kernel
from qngd.exact.kernels.diagonal import add_covariances, slopes, turn_diagonal, walsh, weights
from qngd.exact.kernels.layout import ReadStrings, Rotations, amplitudes, in_chunks, rotation_at
from qngd.exact.kernels.rotations import num_items, rotate, rotate_by_each
from qngd.exact.kernels.strings import imaginary_overlap


@kernel
def run(state, rotations, begin, end):
    """Apply the rotations begin…end−1."""
    rotate_by_each(amplitudes(state), rotations, begin, end)


@kernel
def run_stage(state, rotations, stages, stage):
    """Apply the rotations of one stage."""
    begin, end = stages.start[stage], stages.start[stage + 1]
    if stages.diagonal[stage]:
        turn_diagonal(amplitudes(state), rotations, begin, end, 0, in_chunks(state.shape[1])[0])
    else:
        rotate_by_each(amplitudes(state), rotations, begin, end)


@kernel
def run_stages(state, rotations, stages, first, last):
    """Apply the stages first…last−1."""
    for stage in range(first, last):
        run_stage(state, rotations, stages, stage)


@kernel
def backward(state, other, rotations, stages, moving, out):
    """Undo the rotations on both states ψ, λ, from the last to the first: out[k] = Im ⟨λ|P_k|ψ⟩ where both stand just
    after rotation k, for those that are moving."""
    psi, dual = amplitudes(state), amplitudes(other)
    size = state.shape[1]
    chunks, _ = in_chunks(size)
    undo = Rotations(rotations.x, rotations.z, rotations.cos, -rotations.sin)
    sums = np.empty(size)
    for stage in range(stages.start.shape[0] - 2, -1, -1):
        begin, end = stages.start[stage], stages.start[stage + 1]
        if stages.diagonal[stage]:
            if moving[begin]:
                slopes(other, state, sums, 0, size)
                walsh(sums)
                for k in range(begin, end):
                    out[k] = sums[undo.z[k]]
            turn_diagonal(psi, undo, begin, end, 0, chunks)
            turn_diagonal(dual, undo, begin, end, 0, chunks)
            continue
        for k in range(end - 1, begin - 1, -1):
            back = rotation_at(undo, k)
            if moving[k]:
                out[k] = imaginary_overlap(dual, psi, back, 0, chunks)
            items = num_items(back.x, size)
            rotate(psi, back, 0, items)
            rotate(dual, back, 0, items)


@kernel
def add_blocks(state, rotations, stages, layers, turns, strings, jacobian, block, is_diagonal, found):
    """Run all layers, and add up their blocks of the metric on the way (see `add_covariances`).

    Where a layer is done, a copy of the state goes through the quarter turns that make the layer's strings Z strings,
    and the transform of its weights holds all their expectation values.
    """
    work, sums = np.empty_like(state), np.empty(state.shape[1])
    for i in range(layers.stage.shape[0] - 1):
        run_stages(state, rotations, stages, layers.stage[i], layers.stage[i + 1])
        work[:] = state
        run(work, turns, layers.turn[i], layers.turn[i + 1])
        weights(work, sums, 0, sums.shape[0])
        walsh(sums)
        here = slice(layers.string[i], layers.string[i + 1])
        own = ReadStrings(strings.mask[here], strings.sign[here], strings.rotation[here])
        add_covariances(sums, own, jacobian, block, is_diagonal, found)
