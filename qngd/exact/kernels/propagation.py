"""Compiled propagation of Pauli strings back through rotations, with what is small left out.

With R = exp(−iφ/2 P), R†QR is Q where the two commute; else Q and Q' = −i·s·QP, of which one is the other's partner,
turn into each other: Q → cos φ·Q + s·sin φ·Q' and Q' → cos φ·Q' − s·sin φ·Q. So a rotation turns the pair of their
coefficients by φ, and undoing it takes no memory of what they were. What is a Z string at the start of the circuit has
the value 1, every other 0.

A string is left out by its *importance*, which is what its coefficient would be at most, if no sine and cosine were
smaller than `_LEAST`, and signs did not cancel: by the coefficients themselves, all that a small angle leads to would
be left out, and with it the slope there.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qngd._system.compilation import kernel
from qngd.circuit.bits import anticommuting, dot, ones
from qngd.exact.kernels.paths import turned_sign
from qngd.exact.kernels.spans import echelon, reduce
from qngd.exact.kernels.table import find, new_table, slot

_ONE = np.uint64(1)
_LEAST = 0.1
_OFTEN = 4096  # strings up to which none are looked for that have become small


class Cutoffs(NamedTuple):
    """What is left out: strings of less importance than `importance`, on more than `weight` qubits, and of more than
    `kept` the least important; and the most `entries` of a tape."""

    importance: float
    weight: int
    kept: int
    entries: int


class PairTape(NamedTuple):
    """What was done, step by step, the last rotation first.

    Attributes:
        start: (K+1,) where the pairs of each step begin, with the end.
        first: (E,) the string Q of a pair, by its number.
        second: (E,) its partner Q'; −1 where that was left out.
        sign: (E,) s.
        alone: (A,) of those without a partner the coefficient before the step, in their order.
        drop: (K+1,) where the strings that were left out after each step begin, with the end.
        lost, value: (L,) their numbers and coefficients.
    """

    start: np.ndarray
    first: np.ndarray
    second: np.ndarray
    sign: np.ndarray
    alone: np.ndarray
    drop: np.ndarray
    lost: np.ndarray
    value: np.ndarray


class _Pool(NamedTuple):
    """All strings that there were, by their numbers, with room for more: masks (R, W), coefficients and importances
    (R,). `live` holds the numbers of those that are kept, and in `table` these are found."""

    x: np.ndarray
    z: np.ndarray
    coefficient: np.ndarray
    importance: np.ndarray
    live: np.ndarray
    table: np.ndarray


class _Counts(NamedTuple):
    """How many strings there were, how many of them are kept, and how many of a tape's pairs are of one string."""

    made: int
    live: int
    alone: int


class _Step(NamedTuple):
    """One step: its number, the rotation's, its cosine and sine, and a mask `end` with which strings behind it that
    have an odd number of bits in common are dead."""

    number: int
    rotation: int
    cosine: float
    sine: float
    end: np.ndarray


class Strings(NamedTuple):
    """Where a propagation ends: of all S strings that there were the coefficients (S,) and whether each is among the Z
    strings at the start; the most that were kept at one time; Σ|c| and √Σc² of what was left out; and whether the tape
    had room."""

    coefficient: np.ndarray
    is_kept: np.ndarray
    most: int
    bound: float
    norm: float
    has_room: bool


@kernel
def _table(live, count, xs, zs, room):
    """A table of the live strings with room for so many."""
    table = new_table(room)
    for m in range(count):
        place = slot(xs[live[m]], zs[live[m]], table.shape[0])
        while table[place] >= 0:
            place = (place + 1) & (table.shape[0] - 1)
        table[place] = live[m]
    return table


@kernel
def _weight(x, z):
    """On how many qubits a string acts."""
    count = 0
    for w in range(x.shape[0]):
        count += ones(x[w] | z[w])
    return count


@kernel
def _ends(rows, pivots, rank):
    """Masks (rank, W): that of m has an odd number of bits in common with row m, and an even one with all before it."""
    found = np.zeros((rank, rows.shape[1]), dtype=np.uint64)
    for m in range(rank):
        found[m, pivots[m] >> 6] ^= _ONE << np.uint64(pivots[m] & 63)
        for j in range(m - 1, -1, -1):  # later rows have no bit at the pivots of earlier ones
            if dot(found[m], rows[j]) == _ONE:
                found[m, pivots[j] >> 6] ^= _ONE << np.uint64(pivots[j] & 63)
    return found


@kernel
def _lives(x, rows, pivots, size):
    """Whether a mask is a sum of the first `size` rows."""
    rest = x.copy()
    reduce(rest, rows, pivots, size)
    return not rest.any()


@kernel
def _turn(c, importance, t, u, cosine, sine):
    """The pair of string t and its partner u by an angle; −1, and the partner is left out."""
    large_cos, large_sin = max(abs(cosine), _LEAST), max(abs(sine), _LEAST)
    old, own, other = c[t], importance[t], 0.0
    c[t] = cosine * old
    if u >= 0:
        other = importance[u]
        c[t] -= sine * c[u]
        c[u] = cosine * c[u] + sine * old
        importance[u] = max(abs(c[u]), max(large_cos * other, large_sin * own))
    importance[t] = max(abs(c[t]), max(large_cos * own, large_sin * other))


@kernel
def _least(importance, limits):
    """The least importance of a string that is kept, and how many of those that have just that much are.

    Where there are too many, a quarter more than must be is left out, so that this is not done at every step.
    """
    count = len(importance)
    if count > limits.kept:
        wanted = (3 * limits.kept + 3) // 4
        by_size = np.sort(importance)
        least = by_size[count - wanted]
        if least >= limits.importance:
            return least, wanted - (count - np.searchsorted(by_size, least, side="right"))
    return limits.importance, count


@kernel
def _longer(values, filled, count):
    """The array, of which so much is filled, with room for `count`."""
    if count <= len(values):
        return values
    more = np.empty(max(count, 2 * len(values)), dtype=values.dtype)
    more[:filled] = values[:filled]
    return more


@kernel
def _more_rows(rows, filled, count):
    """As `_longer`, of rows."""
    if count <= len(rows):
        return rows
    more = np.empty((max(count, 2 * len(rows)), rows.shape[1]), dtype=rows.dtype)
    more[:filled] = rows[:filled]
    return more


@kernel
def _first_strings(x, z, coefficients, rows, pivots, size):
    """Those of the strings whose x masks are sums of the first `size` rows, and how many they are."""
    room = 256
    while room < 2 * len(x):
        room *= 2
    xs, zs = np.empty((room, x.shape[1]), dtype=np.uint64), np.empty((room, x.shape[1]), dtype=np.uint64)
    c, importance, live = np.empty(room), np.empty(room), np.empty(room, dtype=np.int32)
    made = 0
    for t in range(len(x)):
        if _lives(x[t], rows, pivots, size):
            xs[made], zs[made], c[made] = x[t], z[t], coefficients[t]
            importance[made] = abs(coefficients[t])
            live[made] = made
            made += 1
    return _Pool(xs, zs, c, importance, live, _table(live, made, xs, zs, room)), made


@kernel
def _with_room(pool, counts):
    """The pool with room for a partner of every string."""
    made, count = counts.made, counts.made + counts.live
    return _Pool(
        _more_rows(pool.x, made, count),
        _more_rows(pool.z, made, count),
        _longer(pool.coefficient, made, count),
        _longer(pool.importance, made, count),
        _longer(pool.live, made, count),
        pool.table,
    )


@kernel
def _with_table(pool, table):
    return _Pool(pool.x, pool.z, pool.coefficient, pool.importance, pool.live, table)


@kernel
def _empty_tape(steps, room):
    return PairTape(
        np.zeros(steps + 1, dtype=np.int64),
        np.empty(room, dtype=np.int32),
        np.empty(room, dtype=np.int32),
        np.empty(room, dtype=np.int8),
        np.empty(room),
        np.zeros(steps + 1, dtype=np.int64),
        np.empty(room, dtype=np.int32),
        np.empty(room),
    )


@kernel
def _tape_for(tape, step, counts):
    """The tape with room for one step more, before which it has so many."""
    entries, losses, count = tape.start[step], tape.drop[step], counts.live
    return PairTape(
        tape.start,
        _longer(tape.first, entries, entries + count),
        _longer(tape.second, entries, entries + count),
        _longer(tape.sign, entries, entries + count),
        _longer(tape.alone, counts.alone, counts.alone + count),
        tape.drop,
        _longer(tape.lost, losses, losses + 2 * count),
        _longer(tape.value, losses, losses + 2 * count),
    )


@kernel
def _ended(tape, steps, alone):
    """The tape of so many steps, without the room that it has left."""
    entries, losses = tape.start[steps], tape.drop[steps]
    return PairTape(
        tape.start,
        tape.first[:entries],
        tape.second[:entries],
        tape.sign[:entries],
        tape.alone[:alone],
        tape.drop,
        tape.lost[:losses],
        tape.value[:losses],
    )


@kernel
def _rotated(pool, counts, tape, step, generators, limits, left_out, with_tape):
    """The pool behind a step's rotation, and its counts. What is left out is added to `left_out`."""
    (made, count, alone), (xs, zs, c, importance, live, table) = counts, pool
    new_x, new_z = np.empty(xs.shape[1], dtype=np.uint64), np.empty(xs.shape[1], dtype=np.uint64)
    entries, k, reach = tape.start[step.number], step.rotation, max(abs(step.sine), _LEAST)
    for m in range(counts.live):
        t = live[m]
        if not anticommuting(xs[t], zs[t], generators.x[k], generators.z[k]):
            continue
        s = turned_sign(xs[t], zs[t], generators, k, new_x, new_z)
        u, place = find(new_x, new_z, xs, zs, table)
        if 0 <= u < t:  # its turn has been
            continue
        if u < 0 and dot(step.end, new_x) != _ONE:
            if reach * importance[t] < limits.importance or _weight(new_x, new_z) > limits.weight:
                left_out[0] += abs(step.sine * c[t])
                left_out[1] += (step.sine * c[t]) ** 2
            else:
                u = made
                xs[u], zs[u], c[u], importance[u] = new_x, new_z, 0.0, 0.0
                live[count] = u
                table[place] = u
                made += 1
                count += 1
                if 2 * count > table.shape[0]:
                    table = _table(live, count, xs, zs, 2 * count)
        if with_tape:
            tape.first[entries], tape.second[entries], tape.sign[entries] = t, u, s
            entries += 1
            if u < 0:
                tape.alone[alone] = c[t]
                alone += 1
        _turn(c, importance, t, u, step.cosine, s * step.sine)
    tape.start[step.number + 1] = entries
    return _with_table(pool, table), _Counts(made, count, alone)


@kernel
def _thinned(pool, count, tape, step, limits, left_out, with_tape):
    """How many of the `count` live strings are kept behind a step: without the dead ones, and those of little
    importance, which are added to `left_out`."""
    live, losses, kept = pool.live, tape.drop[step.number], 0
    least, ties = _least(pool.importance[live[:count]], limits)
    for m in range(count):
        t = live[m]
        own, is_dead = pool.importance[t], dot(step.end, pool.x[t]) == _ONE
        if not is_dead and (own > least or (own == least and ties > 0)):
            ties -= own == least
            live[kept] = t
            kept += 1
            continue
        if not is_dead:
            left_out[0] += abs(pool.coefficient[t])
            left_out[1] += pool.coefficient[t] ** 2
        if with_tape:
            tape.lost[losses], tape.value[losses] = t, pool.coefficient[t]
            losses += 1
    tape.drop[step.number + 1] = losses
    return kept


@kernel
def propagate(x, z, coefficients, generators, cos, sin, limits, with_tape):
    """Strings with masks x, z (T, W), signs +1, all different, and coefficients (T,), behind all rotations about the
    generators (K, W) with cosines and sines (K,) of their angles; and the tape, which is empty where none is asked for.

    A string whose x mask is no sum of those of the rotations still to come never becomes a Z string, and is left out
    without any error. What remains of the span loses a vector at some steps, and there one parity tells.
    """
    steps, words = generators.x.shape
    rows, pivots, needed = echelon(generators.x)
    ends, nothing = _ends(rows, pivots, needed[steps]), np.zeros(words, dtype=np.uint64)
    pool, made = _first_strings(x, z, coefficients, rows, pivots, needed[steps])
    tape, counts = _empty_tape(steps, 1024 if with_tape else 1), _Counts(made, made, 0)
    left_out = np.zeros(2)  # Σ|c| and Σc²
    done, most, next_look, has_room = 0, made, _OFTEN, True
    while done < steps and has_room:
        k = steps - 1 - done
        narrows = needed[k] < needed[k + 1]
        step = _Step(done, k, cos[k], sin[k], ends[needed[k]] if narrows else nothing)
        pool = _with_room(pool, counts)
        if with_tape:
            tape = _tape_for(tape, done, counts)
        pool, counts = _rotated(pool, counts, tape, step, generators, limits, left_out, with_tape)
        most = max(most, counts.live)
        tape.drop[done + 1] = tape.drop[done]
        if narrows or counts.live > limits.kept or counts.live > next_look:
            kept = _thinned(pool, counts.live, tape, step, limits, left_out, with_tape)
            if kept < counts.live:
                pool = _with_table(pool, _table(pool.live, kept, pool.x, pool.z, max(2 * kept, 256)))
            counts, next_look = _Counts(counts.made, kept, counts.alone), max(_OFTEN, 3 * kept // 2)
        done += 1
        has_room = tape.start[done] + counts.made <= limits.entries

    is_kept = np.zeros(counts.made, dtype=np.bool_)
    for t in pool.live[: counts.live]:
        is_kept[t] = not pool.x[t].any()
    found = pool.coefficient[: counts.made]
    strings = Strings(found, is_kept, most, left_out[0], np.sqrt(left_out[1]), has_room)
    return strings, _ended(tape, done, counts.alone)


@kernel
def slopes(tape, strings, cos, sin, out):
    """The derivatives (K,) of the sum of the Z strings' coefficients by all angles, with what was left out left out."""
    c = strings.coefficient.copy()
    dual = np.where(strings.is_kept, 1.0, 0.0)
    steps, halves = len(cos), len(tape.alone)
    for step in range(steps - 1, -1, -1):
        k = steps - 1 - step
        for m in range(tape.drop[step], tape.drop[step + 1]):
            c[tape.lost[m]], dual[tape.lost[m]] = tape.value[m], 0.0
        cosine, sine, total = cos[k], sin[k], 0.0
        for e in range(tape.start[step + 1] - 1, tape.start[step] - 1, -1):
            t, u, s = tape.first[e], tape.second[e], tape.sign[e]
            if u < 0:
                halves -= 1
                c[t] = tape.alone[halves]
                total -= dual[t] * sine * c[t]
                dual[t] *= cosine
                continue
            a, b, da, db = c[t], c[u], dual[t], dual[u]
            total += s * (db * a - da * b)
            c[t], c[u] = cosine * a + s * sine * b, cosine * b - s * sine * a
            dual[t], dual[u] = cosine * da + s * sine * db, cosine * db - s * sine * da
        out[k] = total
