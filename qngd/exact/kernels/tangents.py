"""Compiled kernels that carry many derivative states |T_i⟩ = Σ_k J_ki U_{>k}P_kU_{≤k}|0⟩ side by side.

They lie in the lanes of one array per part, (N, lanes): a row holds one amplitude of each, so that a rotation
treats all of them alike and nothing is shuffled inside a row. Since the strings of a stage commute, a derivative
begins at the end of its stage (carried backwards, at its beginning), and lanes are sorted by where they
begin: those that have begun are the first ones of every row.
"""

from __future__ import annotations

import numpy as np

from qngd._system.compilation import inner_loop, kernel
from qngd.exact.kernels.diagonal import turn_diagonal, walsh
from qngd.exact.kernels.layout import Amplitudes, Rows, amplitudes, in_chunks
from qngd.exact.kernels.pairs import rotate_each
from qngd.exact.kernels.strings import add_chunk
from qngd.exact.kernels.sweeps import run_stage
from qngd.exact.kernels.tiles import next_pass, run_tiles

_TILE = 1 << 12  # amplitudes of all lanes of a tile
_WRITTEN = 8  # lanes written side by side: a cache line
_MANY = 4  # Z strings of a lane that a transform adds up in less time than one by one
_NO_BITS = np.uint64(0)  # of an index within a row of lanes


@kernel
def _turn_lanes(lanes, size, stride, width, rotations, begin, end, is_diagonal):
    """Apply one stage, rotations begin…end−1, to the first `width` lanes of `size` rows."""
    if is_diagonal:
        _multiply_rows(lanes, size, stride, width, rotations, begin, end)
        return
    rows = Rows(_NO_BITS, stride, width)
    limit = 3
    while width << (limit + 1) <= _TILE:
        limit += 1
    if size <= 1 << limit or size * width <= 4 * _TILE:  # in the cache as it is
        rotate_each(lanes, rows, rotations, begin, end, size)
        return
    while begin < end:
        stop, basis = next_pass(rotations.x, _NO_BITS, begin, end, 1, limit)
        run_tiles(lanes, rows, rotations, begin, stop, basis, 0, size >> basis.shape[0])
        begin = stop


@kernel
def _multiply_rows(lanes, size, stride, width, rotations, begin, end):
    """Multiply every row by the phase that a diagonal stage gives its amplitude."""
    phase = np.zeros((2, size))
    phase[0, :] = 1.0
    turn_diagonal(amplitudes(phase), rotations, begin, end, 0, in_chunks(size)[0])
    for b in range(size):
        c, s = phase[0, b], phase[1, b]
        r, i = lanes.re[b * stride : b * stride + width], lanes.im[b * stride : b * stride + width]
        for j in range(width):
            t = r[j]
            r[j] = c * t - s * i[j]
            i[j] = c * i[j] + s * t


@kernel
def _add_strings(state, rotations, entries, stage, is_diagonal, begun, lanes, stride):
    """Every lane[e] += weight_e·P_eψ, for the entries e of one stage (see `layout.Entries`), sorted by lane; lanes from
    `begun` on have not begun and hold anything. Returns how many lanes have begun then."""
    whole = amplitudes(state)
    if is_diagonal and _are_many(entries.lane[entries.start[stage] : entries.start[stage + 1]]):
        return _add_diagonals(whole, rotations.z, entries, stage, begun, lanes, stride)
    chunks, chunk = in_chunks(state.shape[1])
    places = np.empty(_WRITTEN, dtype=np.int64)
    part = np.empty((2, chunk, _WRITTEN))
    first, end = entries.start[stage], entries.start[stage + 1]
    while first < end:
        last, count = _next_lanes(entries.lane[:end], first, begun, places)
        for item in range(chunks):
            part[:] = 0.0
            place = 0
            for e in range(first, last):
                place += entries.lane[e] != places[place]
                k = entries.rotation[e]
                out = Amplitudes(part[0, :, place], part[1, :, place])
                add_chunk(whole, rotations.x[k], rotations.z[k], entries.weight[e], item, out)
            here = item * chunk * stride
            _put(part[0], places, count, begun, lanes.re[here:], stride)
            _put(part[1], places, count, begun, lanes.im[here:], stride)
        begun = max(begun, places[count - 1] + 1)
        first = last
    return begun


@kernel
def _are_many(lane):
    """Whether these lanes, sorted, have so many entries each that a transform adds them up in less time."""
    lanes = 1
    for e in range(1, len(lane)):
        lanes += lane[e] != lane[e - 1]
    return len(lane) >= _MANY * lanes


@kernel
def _add_diagonals(whole, z, entries, stage, begun, lanes, stride):
    """The same for Z strings: a lane gets Σ_e weight_e·(−1)^(z_e·b)·ψ_b, where the sum is the transform of weights."""
    first, end = entries.start[stage], entries.start[stage + 1]
    factors = np.empty(whole.re.shape[0])
    while first < end:
        lane = entries.lane[first]
        factors[:] = 0.0
        while first < end and entries.lane[first] == lane:
            factors[z[entries.rotation[first]]] += entries.weight[first]
            first += 1
        walsh(factors)
        for b in range(factors.shape[0]):
            o = b * stride + lane
            before_re, before_im = (lanes.re[o], lanes.im[o]) if lane < begun else (0.0, 0.0)
            lanes.re[o] = before_re + factors[b] * whole.re[b]
            lanes.im[o] = before_im + factors[b] * whole.im[b]
        begun = max(begun, lane + 1)
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
def carry(state, rotations, stages, count, active, entries, lanes, stride):
    """Run `state` (2, N), and the lanes that have begun, through the first `count` stages.

    `lanes` are the amplitudes of all, with `stride` numbers from row to row. The lanes that begin before stage i are
    the first active[i]; after stage i follow its entries. Lanes are numbered as they begin.
    """
    size = state.shape[1]
    begun = 0
    for i in range(count):
        run_stage(state, rotations, stages, i)
        if active[i]:
            begin, end = stages.start[i], stages.start[i + 1]
            _turn_lanes(lanes, size, stride, active[i], rotations, begin, end, stages.diagonal[i])
        begun = _add_strings(state, rotations, entries, i, stages.diagonal[i], begun, lanes, stride)
