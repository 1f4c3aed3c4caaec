"""Light cones by algebra: which rotations matter to a Pauli string.

A rotation matters to a string iff its generator anticommutes with the string, or with the generator of a later rotation
that matters: all others commute past everything and cancel against their inverses. Wires do not decide. What matters
to a generator that matters, matters too, so the cone of a string is a union of the cones of generators, and one pass
over the circuit finds those of all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from qngd._system.compilation import kernel
from qngd.circuit.bits import anticommuting, parity
from qngd.circuit.circuit import Circuit
from qngd.circuit.pauli import PauliStrings, num_words, unpack_bits


@dataclass(frozen=True, eq=False)
class Cones:
    """The light cones of a circuit's rotations, whose `generators` (K) stand in the order of the circuit."""

    generators: PauliStrings

    @cached_property
    def _of_rotations(self) -> np.ndarray:
        """(K, ⌈K/64⌉) bits: row k has those of the rotations that matter to generator k and come before it, and k."""
        count = len(self.generators)
        rows = np.zeros((count, num_words(count)), dtype=np.uint64)
        index = np.arange(count)
        rows[index, index >> 6] = np.uint64(1) << (index & 63).astype(np.uint64)
        own = self._ranged
        _gather(own, index, np.ones(count, dtype=bool), own, rows, rows)
        return rows

    @cached_property
    def _ranged(self) -> _Ranged:
        return _ranged(self.generators)

    def before(self, k: int) -> np.ndarray:
        """The rotations before k that matter to its generator, ascending."""
        return _members(self._of_rotations[k], len(self.generators))[:-1]

    def of(self, strings: PauliStrings, before: np.ndarray | None = None) -> list[np.ndarray]:
        """The rotations that matter to each string at the end of the circuit, ascending. Given `before`, a mask (K,)
        that holds all that must come before what it holds, of the circuit of these rotations alone."""
        count = len(self.generators)
        allowed = np.ones(count, dtype=bool) if before is None else before
        rows = np.zeros((len(strings), num_words(count)), dtype=np.uint64)
        begin = np.full(len(strings), count)
        _gather(_ranged(strings), begin, allowed, self._ranged, self._of_rotations, rows)
        return [_members(row, count) for row in rows]


def _members(row: np.ndarray, count: int) -> np.ndarray:
    return np.flatnonzero(unpack_bits(row[None], count)[0])


class _Ranged(NamedTuple):
    """Masks (K, W) of strings, and the words first…last−1 (K,) outside which a string is the identity."""

    x: np.ndarray
    z: np.ndarray
    first: np.ndarray
    last: np.ndarray


def _ranged(strings: PauliStrings) -> _Ranged:
    acts = (strings.x | strings.z) != 0
    words = acts.shape[1]
    first = np.where(acts.any(axis=1), acts.argmax(axis=1), words)
    return _Ranged(strings.x, strings.z, first, np.where(acts.any(axis=1), words - acts[:, ::-1].argmax(axis=1), 0))


@kernel
def _gather(strings, begin, allowed, generators, cones, rows):
    """Into each of the `rows` the cone of a string that comes after the allowed ones of the rotations 0…begin−1."""
    for t in range(rows.shape[0]):
        row = rows[t]
        for k in range(begin[t] - 1, -1, -1):
            known = row[k >> 6] >> np.uint64(k & 63) & np.uint64(1)
            if allowed[k] and not known and _anticommute(strings, t, generators, k):
                for w in range((k >> 6) + 1):
                    row[w] |= cones[k, w]


@kernel
def _anticommute(strings, t, generators, k):
    odd = np.uint64(0)
    first, last = max(strings.first[t], generators.first[k]), min(strings.last[t], generators.last[k])
    for w in range(first, last):
        odd ^= (strings.x[t, w] & generators.z[k, w]) ^ (strings.z[t, w] & generators.x[k, w])
    return parity(odd)


def causal_cone(circuit: Circuit, strings: PauliStrings, allowed: np.ndarray) -> np.ndarray:
    """Which of the `allowed` rotations (mask over K) the expectation values of the pulled `strings` can depend on: the
    cone of all of them together, without those of all generators."""
    generators = circuit.generators
    matters = np.zeros(len(generators), dtype=bool)
    x = np.concatenate([strings.x, np.zeros_like(generators.x)])
    z = np.concatenate([strings.z, np.zeros_like(generators.z)])
    _cone(x, z, len(strings), generators.x, generators.z, circuit.order, allowed, matters)
    return matters


@kernel
def _cone(x, z, count, gx, gz, order, allowed, matters):
    """Rows 0…count of (x, z) are what is sensitive so far; rotations that matter are appended."""
    for place in range(order.shape[0] - 1, -1, -1):
        k = order[place]
        if not allowed[k]:
            continue
        for row in range(count - 1, -1, -1):
            if anticommuting(x[row], z[row], gx[k], gz[k]):
                matters[k] = True
                x[count] = gx[k]
                z[count] = gz[k]
                count += 1
                break
