"""Units: the commuting rotations of one gate that one parameter moves.

A controlled phase is three rotations by ±φ/2, a double excitation eight. The metric's diagonal entry of φ is the
variance of their sum, so it takes the correlations between them: they stand together, in one layer. Rotations of one
gate join if they commute, share a parameter, and nothing in between keeps them apart: either the later one commutes
with all that follows the unit in the gate, or the unit does with all that follows it.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from qngd._system.compilation import kernel
from qngd.circuit.buckets import commutes, empty_buckets, enter
from qngd.circuit.pauli import PauliStrings


def assign_units(gate: np.ndarray, generators: PauliStrings, pattern: sparse.csr_array) -> np.ndarray:
    """The unit of every rotation, shape (K,): numbers from 0 on, in an order that the circuit may run in.

    `gate` (K,) is the gate that each rotation came from, `pattern` (K, P) nonzero where a parameter moves it; one
    that none moves is a unit by itself.
    """
    if len(generators) == 0:
        return np.zeros(0, dtype=np.int64)
    label = _label(gate, generators.x, generators.z, pattern.indptr, pattern.indices, pattern.shape[1])
    return np.unique(label, return_inverse=True)[1].reshape(-1)


@kernel
def _label(gate, x, z, indptr, parameters, num_parameters):
    count = x.shape[0]
    label = np.empty(count, dtype=np.int64)
    latest = np.full(num_parameters, -1, dtype=np.int64)  # the last unit that a parameter moves
    head, tail, link, rest, pivot = empty_buckets(count, count, x.shape[1])
    first, begin, end = 0, 0, 0  # of the gate: its first rotation, its first unit; and one past its last unit
    for k in range(count):
        if gate[k] != gate[first]:
            first, begin = k, end
        unit = -1
        for e in range(indptr[k], indptr[k + 1]):
            unit = max(unit, latest[parameters[e]])
        joins = unit >= begin and commutes(k, unit, x, z, head, link)
        target = unit if joins and _passes_back(k, unit, end, x, z, head, link) else end
        label[k] = target
        enter(k, target, x, z, head, tail, link, rest, pivot)
        end = max(end, target + 1)
        changed = k
        for e in range(indptr[k], indptr[k + 1]):
            other = latest[parameters[e]]
            if begin <= other < target and _passes_on(other, target + 1, x, z, head, link):
                _move(other, target, first, k, label, x, z, head, tail, link, rest, pivot)
                changed = first
        for j in range(changed, k + 1):
            if label[j] == target:
                for e in range(indptr[j], indptr[j + 1]):
                    latest[parameters[e]] = max(latest[parameters[e]], target)
    return label


@kernel
def _move(unit, target, first, last, label, x, z, head, tail, link, rest, pivot):
    """Make the rotations of a unit, all among first…last−1, members of another."""
    head[unit] = -1
    for j in range(first, last):
        if label[j] == unit:
            label[j] = target
            link[j] = -1
            enter(j, target, x, z, head, tail, link, rest, pivot)


@kernel
def _passes_back(k, unit, end, x, z, head, link):
    """Whether rotation k commutes with all units after this one."""
    passes = True
    for later in range(unit + 1, end):
        passes = passes and commutes(k, later, x, z, head, link)
    return passes


@kernel
def _passes_on(unit, end, x, z, head, link):
    """Whether all of a unit commutes with all units after it, up to end − 1."""
    j = head[unit]
    while j >= 0:
        for later in range(unit + 1, end):
            if not commutes(j, later, x, z, head, link):
                return False
        j = link[j]
    return True
