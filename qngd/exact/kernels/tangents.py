"""Compiled kernels that carry many derivative states |T_i⟩ = Σ_k J_ki U_{>k}P_kU_{≤k}|0⟩ side by side.

They lie in the lanes of one array per part, (N, lanes): a row holds one amplitude of each, so that a rotation
treats all of them alike and nothing is shuffled inside a row. Since the strings of a stage commute, a derivative
begins at the end of its stage (carried backwards, at its beginning), and lanes are sorted by where they
begin: those that have begun are the first ones of every row.
"""

from __future__ import annotations

import numpy as np

from qngd._system.compilation import inner_loop, kernel
from qngd.exact.kernels.diagonal import turn_diagonal
from qngd.exact.kernels.pairs import rotate_each
from qngd.exact.kernels.rows import CHUNK, add_chunk
from qngd.exact.kernels.sweeps import run_stage
from qngd.exact.kernels.tiles import next_pass, run_tiles

_TILE = 1 << 12  # amplitudes of all lanes of a tile
_WRITTEN = 8  # lanes written side by side: a cache line
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
        rotate_each(re, im, _NONE, stride, width, x, z, cos, sin, begin, end, size)
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
    """Every lane[e] += weight_e·P_eψ with e's string entry[e]; lanes from `begun` on have not begun and hold anything.
    Entries are sorted by lane. Returns how many lanes have begun then."""
    chunk = min(state.shape[1], CHUNK)
    lanes = np.empty(_WRITTEN, dtype=np.int64)
    part = np.empty((2, chunk, _WRITTEN))
    first = 0
    while first < len(entry):
        last, count = _next_lanes(lane, first, begun, lanes)
        for item in range(state.shape[1] // chunk):
            part[:] = 0.0
            place = 0
            for e in range(first, last):
                place += lane[e] != lanes[place]
                k = entry[e]
                out_re, out_im = part[0, :, place], part[1, :, place]
                add_chunk(state[0], state[1], x[k], z[k], weight[e], item, chunk, out_re, out_im)
            here = item * chunk * stride
            _put(part[0], lanes, count, begun, re[here:], stride)
            _put(part[1], lanes, count, begun, im[here:], stride)
        begun = max(begun, lanes[count - 1] + 1)
        first = last
    return begun


@kernel
def _next_lanes(lane, first, begun, lanes):
    """How far from entry `first` there are no more lanes than `lanes` has places for, all of which have begun or none
    has; and how many: then `lanes` holds them."""
    last, count = first, 0
    while last < len(lane):
        if count == 0 or lane[last] != lanes[count - 1]:
            if count == len(lanes) or lane[first] < begun <= lane[last]:
                break
            lanes[count] = lane[last]
            count += 1
        last += 1
    return last, count


@inner_loop
def _put(rows, lanes, count, begun, out, stride):
    """Add rows (…, _WRITTEN) to `count` lanes, or set them if they have not begun: then they follow each other. Row by
    row, since a cache line of `out` holds several lanes of one row, and rows are far apart."""
    for j in range(rows.shape[0]):
        o = j * stride
        if lanes[0] < begun:
            for i in range(count):
                out[o + lanes[i]] += rows[j, i]
        elif count == _WRITTEN:  # the usual case, whose loop has a known length
            there = out[o + lanes[0] :]
            for i in range(_WRITTEN):
                there[i] = rows[j, i]
        else:
            for i in range(count):
                out[o + lanes[0] + i] = rows[j, i]


@kernel
def carry(state, x, z, cos, sin, start, diagonal, stages, active, entry_start, entry, lane, weight, re, im, stride):
    """Run `state`, and the lanes (re, im) that have begun, through the first `stages` stages.

    The lanes that begin before stage i are the first active[i]. After stage i follow its entries, numbers
    entry_start[i]…entry_start[i+1]: rotation, lane, and weight J_ki·s_k, sorted by lane. Lanes are numbered as
    they begin.
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
