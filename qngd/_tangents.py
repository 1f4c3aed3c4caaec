"""Compiled kernels that carry many derivative states |T_i⟩ = Σ_k J_ki U_{>k}P_kU_{≤k}|0⟩ side by side.

They lie in the lanes of one array per part, (N, lanes): a row holds one amplitude of each, so that a rotation
treats all of them alike and nothing is shuffled inside a row. Since the strings of a stage commute, a derivative
begins at the end of its stage (carried backwards, at its beginning), and lanes are sorted by where they
begin: those that have begun are the first ones of every row.
"""

from __future__ import annotations

import numpy as np

from qngd._diagonal import turn_diagonal
from qngd._jit import kernel
from qngd._kernels import CHUNK, add_chunk, rotate_rows
from qngd._sweeps import run_stage
from qngd._tiles import next_pass, run_tiles

_TILE = 1 << 12  # amplitudes of all lanes of a tile
_NONE = np.uint64(0)


@kernel
def _turn_lanes(re, im, size, stride, width, x, z, cos, sin, begin, end, diagonal):
    """Apply one stage to the first `width` lanes."""
    if diagonal:
        _multiply_rows(re, im, size, stride, width, z, cos, sin, begin, end)
        return
    limit = 3
    while width << (limit + 1) <= _TILE:
        limit += 1
    if size <= 1 << limit or size * width <= 4 * _TILE:  # in the cache as it is
        for k in range(begin, end):
            items = size // 2 if x[k] else size
            rotate_rows(re, im, _NONE, stride, width, x[k], z[k], cos[k], sin[k], 0, items)
        return
    basis = np.empty(limit, dtype=np.uint64)
    while begin < end:
        stop, dim = next_pass(x, _NONE, begin, end, 1, limit, basis)
        run_tiles(re, im, _NONE, stride, width, x, z, cos, sin, begin, stop, basis, dim, 0, size >> dim)
        begin = stop


@kernel
def _multiply_rows(re, im, size, stride, width, z, cos, sin, begin, end):
    """Multiply every row by the phase that a diagonal stage gives its amplitude."""
    phase = np.zeros((2, size))
    phase[0, :] = 1.0
    turn_diagonal(phase[0], phase[1], z, cos, sin, begin, end, 0, size // min(size, CHUNK))
    for b in range(size):
        c, s = phase[0, b], phase[1, b]
        r, i = re[b * stride : b * stride + width], im[b * stride : b * stride + width]
        for j in range(width):
            t = r[j]
            r[j] = c * t - s * i[j]
            i[j] = c * i[j] + s * t


@kernel
def _add_strings(state, x, z, weight, entry, lane, begun, re, im, stride):
    """Every lane[e] += weight_e·P_eψ with e's string entry[e], or = for lanes from `begun` on at their first e."""
    chunk = min(state.shape[1], CHUNK)
    is_first = np.zeros(len(entry), dtype=np.bool_)
    for e in range(len(entry)):
        is_first[e] = lane[e] == begun
        begun += is_first[e]
    for item in range(state.shape[1] // chunk):
        for e in range(len(entry)):
            k = entry[e]
            to = slice(item * chunk * stride + lane[e], ((item + 1) * chunk - 1) * stride + lane[e] + 1, stride)
            r, i = re[to], im[to]
            if is_first[e]:
                r[:] = 0.0
                i[:] = 0.0
            add_chunk(state[0], state[1], x[k], z[k], weight[e], item, chunk, r, i)
    return begun


@kernel
def carry(state, x, z, cos, sin, start, diagonal, stages, active, entry_start, entry, lane, weight, re, im, stride):
    """Run `state`, and the lanes (re, im) that have begun, through the first `stages` stages.

    The lanes that begin before stage i are the first active[i]. After stage i follow its entries, numbers
    entry_start[i]…entry_start[i+1]: rotation, lane, and weight J_ki·s_k. Lanes are numbered as they begin.
    """
    size = state.shape[1]
    begun = 0
    for i in range(stages):
        begin, end = start[i], start[i + 1]
        run_stage(state[0], state[1], x, z, cos, sin, begin, end, diagonal[i])
        if active[i]:
            _turn_lanes(re, im, size, stride, active[i], x, z, cos, sin, begin, end, diagonal[i])
        here = slice(entry_start[i], entry_start[i + 1])
        begun = _add_strings(state, x, z, weight[here], entry[here], lane[here], begun, re, im, stride)
