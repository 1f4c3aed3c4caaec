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
from qngd.circuit.bits import anticommuting, dot
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
        word = x[w] | z[w]
        while word:
            word &= word - _ONE
            count += 1
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
def _longer(values, filled):
    """The array with room for more."""
    if filled < values.shape[0]:
        return values
    return np.append(values, np.empty_like(values))


@kernel
def _more_rows(rows, filled):
    if filled < rows.shape[0]:
        return rows
    more = np.empty((2 * rows.shape[0], rows.shape[1]), dtype=rows.dtype)
    more[: rows.shape[0]] = rows
    return more


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
def propagate(x, z, coefficients, generators, cos, sin, limits, with_tape):
    """Strings with masks x, z (T, W), signs +1, all different, and coefficients (T,), behind all rotations about the
    generators (K, W) with cosines and sines (K,) of their angles; and the tape, which is empty where none is asked for.

    A string whose x mask is no sum of those of the rotations still to come never becomes a Z string, and is left out
    without any error. What remains of the span loses a vector at some steps, and there one parity tells.
    """
    steps, words = generators.x.shape
    rows, pivots, needed = echelon(generators.x)
    ends = _ends(rows, pivots, needed[steps])

    room = 256
    while room < 2 * len(x):
        room *= 2
    xs, zs = np.empty((room, words), dtype=np.uint64), np.empty((room, words), dtype=np.uint64)
    c, importance = np.empty(room), np.empty(room)
    live = np.empty(room, dtype=np.int32)
    made, count = 0, 0
    for t in range(len(x)):
        if _lives(x[t], rows, pivots, needed[steps]):
            xs[made], zs[made], c[made] = x[t], z[t], coefficients[t]
            importance[made] = abs(coefficients[t])
            live[made] = made
            made += 1
    count = made
    table = _table(live, count, xs, zs, room)

    size = 1024 if with_tape else 1
    first, second = np.empty(size, dtype=np.int32), np.empty(size, dtype=np.int32)
    sign = np.empty(size, dtype=np.int8)
    alone, lost, value = np.empty(size), np.empty(size, dtype=np.int32), np.empty(size)
    start, drop = np.zeros(steps + 1, dtype=np.int64), np.zeros(steps + 1, dtype=np.int64)
    entries, halves, losses = 0, 0, 0

    new_x, new_z = np.empty(words, dtype=np.uint64), np.empty(words, dtype=np.uint64)
    bound, squares, most, next_look = 0.0, 0.0, count, _OFTEN
    has_room = True
    for step in range(steps):
        k = steps - 1 - step
        cosine, sine = cos[k], sin[k]
        narrows = needed[k] < needed[k + 1]
        before = count
        for m in range(before):
            t = live[m]
            if not anticommuting(xs[t], zs[t], generators.x[k], generators.z[k]):
                continue
            s = turned_sign(xs[t], zs[t], generators, k, new_x, new_z)
            u, place = find(new_x, new_z, xs, zs, table)
            if 0 <= u < t:  # its turn has been
                continue
            old = c[t]
            if u < 0:
                if narrows and dot(ends[needed[k]], new_x) == _ONE:
                    u = -2
                elif (
                    max(abs(sine), _LEAST) * importance[t] < limits.importance or _weight(new_x, new_z) > limits.weight
                ):
                    u = -1
                    bound += abs(sine * old)
                    squares += (sine * old) ** 2
                else:
                    if made == xs.shape[0]:
                        xs, zs = _more_rows(xs, made), _more_rows(zs, made)
                        c, importance, live = _longer(c, made), _longer(importance, made), _longer(live, made)
                    u = made
                    xs[u], zs[u], c[u], importance[u] = new_x, new_z, 0.0, 0.0
                    live[count] = u
                    table[place] = u
                    made += 1
                    count += 1
                    if 2 * count > table.shape[0]:
                        table = _table(live, count, xs, zs, 2 * count)
            if with_tape:
                if entries == first.shape[0]:
                    first, second, sign = _longer(first, entries), _longer(second, entries), _longer(sign, entries)
                first[entries], second[entries], sign[entries] = t, max(u, -1), s
                entries += 1
                if u < 0:
                    alone = _longer(alone, halves)
                    alone[halves] = old
                    halves += 1
            _turn(c, importance, t, u, cosine, s * sine)
        start[step + 1] = entries
        most = max(most, count)

        if narrows or count > limits.kept or count > next_look:
            least, ties = _least(importance[live[:count]], limits)
            kept = 0
            for m in range(count):
                t = live[m]
                is_dead = narrows and dot(ends[needed[k]], xs[t]) == _ONE
                if not is_dead and (importance[t] > least or (importance[t] == least and ties > 0)):
                    ties -= importance[t] == least
                    live[kept] = t
                    kept += 1
                    continue
                if not is_dead:
                    bound += abs(c[t])
                    squares += c[t] ** 2
                if with_tape:
                    if losses == lost.shape[0]:
                        lost, value = _longer(lost, losses), _longer(value, losses)
                    lost[losses], value[losses] = t, c[t]
                    losses += 1
            if kept < count:
                count = kept
                table = _table(live, count, xs, zs, max(2 * count, 256))
            next_look = max(_OFTEN, 3 * count // 2)
        drop[step + 1] = losses
        if entries + made > limits.entries:
            has_room = False
            break

    is_kept = np.zeros(made, dtype=np.bool_)
    for m in range(count):
        is_kept[live[m]] = not xs[live[m]].any()
    tape = PairTape(
        start, first[:entries], second[:entries], sign[:entries], alone[:halves], drop, lost[:losses], value[:losses]
    )
    return Strings(c[:made], is_kept, most, bound, np.sqrt(squares), has_room), tape


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
