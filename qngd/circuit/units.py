"""Units: the commuting rotations of one gate that one parameter moves.

A controlled phase is three rotations by ±φ/2, a double excitation eight. The metric's diagonal entry of φ is the
variance of their sum, so it takes the correlations between them: they stand together, in one layer. Rotations of one
gate join if they commute, share a parameter, and nothing in between keeps them apart: either the later one commutes
with all that follows the unit in the gate, or the unit does with all that follows it.
"""

from __future__ import annotations

from typing import NamedTuple

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
    # of one type, whichever SciPy took, as the kernel is compiled for each
    moved = _MovedBy(*(each.astype(np.int64, copy=False) for each in (pattern.indptr, pattern.indices)))
    label = _label(gate, generators.x, generators.z, moved, pattern.shape[1])
    return np.unique(label, return_inverse=True)[1].reshape(-1)


class _MovedBy(NamedTuple):
    """The parameters that move each rotation: those of rotation k are parameter[start[k]:start[k+1]]."""

    start: np.ndarray
    parameter: np.ndarray


@kernel
def _label(gate, x, z, moved, num_parameters):
    """For every rotation (K,) the number of its unit, among them numbers of units that were merged into others."""
    count = x.shape[0]
    label = np.empty(count, dtype=np.int64)
    latest = np.full(num_parameters, -1, dtype=np.int64)  # the last unit that a parameter moves
    units = empty_buckets(count, x, z)
    first, begin, end = 0, 0, 0  # of the gate: its first rotation, its first unit; and one past its last unit
    for k in range(count):
        if gate[k] != gate[first]:
            first, begin = k, end
        unit = -1
        for e in range(moved.start[k], moved.start[k + 1]):
            unit = max(unit, latest[moved.parameter[e]])
        joins = unit >= begin and commutes(k, unit, units)
        target = unit if joins and _passes_back(k, unit, end, units) else end
        label[k] = target
        enter(k, target, units)
        end = max(end, target + 1)
        changed = k
        for e in range(moved.start[k], moved.start[k + 1]):
            other = latest[moved.parameter[e]]
            if begin <= other < target and _passes_on(other, target + 1, units):
                _move(other, target, first, k, label, units)
                changed = first
        for j in range(changed, k + 1):
            if label[j] == target:
                for e in range(moved.start[j], moved.start[j + 1]):
                    latest[moved.parameter[e]] = max(latest[moved.parameter[e]], target)
    return label


@kernel
def _move(unit, target, first, last, label, units):
    """Make the rotations of a unit, all among first…last−1, members of another."""
    units.head[unit] = -1
    for j in range(first, last):
        if label[j] == unit:
            label[j] = target
            units.link[j] = -1
            enter(j, target, units)


@kernel
def _passes_back(k, unit, end, units):
    """Whether rotation k commutes with all units after this one."""
    passes = True
    for later in range(unit + 1, end):
        passes = passes and commutes(k, later, units)
    return passes


@kernel
def _passes_on(unit, end, units):
    """Whether all of a unit commutes with all units after it, up to end − 1."""
    j = units.head[unit]
    while j >= 0:
        for later in range(unit + 1, end):
            if not commutes(j, later, units):
                return False
        j = units.link[j]
    return True
