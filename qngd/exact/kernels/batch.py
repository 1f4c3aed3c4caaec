"""Compiled loops over the samples begin…end−1 of a batch: states (B, 2, N) of one circuit at angles of their own.

Cosines and sines of half angles are (B, K), for a state each; all else is as in the kernels for one state.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qngd._system.compilation import kernel
from qngd.exact.kernels.layout import Amplitudes, Entries, Moments, Rotations, SparseRows, in_chunks
from qngd.exact.kernels.strings import apply_observable
from qngd.exact.kernels.sweeps import add_blocks, backward, run_stages
from qngd.exact.kernels.tangents import carry


class TermGroups(NamedTuple):
    """Terms of observables in groups of equal x: where the groups begin, with the end (G+1,), their masks (G,), and z
    and coefficient of every term (T,)."""

    start: np.ndarray
    x: np.ndarray
    z: np.ndarray
    coefficient: np.ndarray


@kernel
def _of(rotations, b):
    """The rotations of one sample."""
    return Rotations(rotations.x, rotations.z, rotations.cos[b], rotations.sin[b])


@kernel
def run_each(states, rotations, stages, first, last, begin, end):
    """Apply the stages first…last−1 to every state."""
    for b in range(begin, end):
        run_stages(states[b], _of(rotations, b), stages, first, last)


@kernel
def expectations(states, group, terms, out, begin, end):
    """out[b, k] = ⟨H_k⟩, where the terms of observable k are the groups group[k]…group[k+1]−1."""
    size = states.shape[2]
    chunks, _ = in_chunks(size)
    other = np.empty((2, size))
    for k in range(out.shape[1]):
        first, last = group[k], group[k + 1]
        own = TermGroups(terms.start[first : last + 1], terms.x[first:last], terms.z, terms.coefficient)
        for b in range(begin, end):
            apply_observable(states[b], own, other, 0, chunks)
            total = 0.0
            for part in range(2):
                for i in range(size):
                    total += states[b, part, i] * other[part, i]
            out[b, k] = total


@kernel
def slopes_back(states, terms, coefficients, rotations, stages, moving, out, begin, end):
    """out[b] = Im⟨ψ_b|H_b·P_k|ψ_b⟩ of all moving rotations, H_b the observable of coefficients[b]; the states are run
    back to the start."""
    size = states.shape[2]
    chunks, _ = in_chunks(size)
    other = np.empty((2, size))
    for b in range(begin, end):
        own = TermGroups(terms.start, terms.x, terms.z, coefficients[b])
        apply_observable(states[b], own, other, 0, chunks)
        backward(states[b], other, _of(rotations, b), stages, moving, out[b])


@kernel
def add_blocks_each(
    states, rotations, stages, layers, turns, strings, jacobian, slopes, block, is_diagonal, metric, mean, begin, end
):
    """Run every state through all layers; their blocks are added up in `metric`. `slopes` (B, nnz) are the values of
    J_b, `mean` is (B, K)."""
    for b in range(begin, end):
        own = SparseRows(jacobian.start, jacobian.column, slopes[b])
        found = Moments(metric, mean[b])
        add_blocks(states[b], _of(rotations, b), stages, layers, turns, strings, own, block, is_diagonal, found)


@kernel
def carry_each(states, rotations, stages, count, active, entries, weights, lanes, column, begin, end):
    """The lanes of one side of every state into lanes[b] (2, N, L) from `column` on, with weights (B, E); states[b],
    which is changed, is where the side starts."""
    stride = lanes.shape[3]
    for b in range(begin, end):
        own = Entries(entries.start, entries.rotation, entries.lane, weights[b])
        out = Amplitudes(lanes[b, 0].reshape(-1)[column:], lanes[b, 1].reshape(-1)[column:])
        carry(states[b], _of(rotations, b), stages, count, active, own, out, stride)
