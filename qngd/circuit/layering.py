"""Which rotations stand in one layer, and in which order to run them.

A layer is a set of commuting rotations with parameters; its block of the metric is a covariance of
their generators on one state. Two things decide where a rotation stands:

1. *Order.* With the Clifford gates pushed to the end, rotation j must come before a later rotation k
   iff their generators anticommute (or a chain of such pairs leads from j to k). The rotations of a
   unit (see `units`) move as one. Rotations that no parameter moves take part in the order but need
   no layer: they stand in slabs between the layers, slab l just before layer l. The longest chain of
   units gives the number of layers, and each unit a window of layers [earliest, latest] it may stand
   in. So all commuting terms of a QAOA cost layer share one layer, and CX·RZ·CX is no obstacle.
2. *Peers.* Within its window a unit joins those that stand beside it in the user's circuit: at
   the same depth of the gate graph (counting gates with parameters; neighbours on a wire with the
   same Pauli letter are unordered there). So an RY layer stays together even where single members
   would commute with an earlier layer.

Rotations are kept in buckets, one for each slab and layer, which makes layering take time linear in the gates.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qngd._system.compilation import kernel
from qngd.circuit.buckets import commutes, empty_buckets, enter
from qngd.circuit.ops import Op, Ops
from qngd.circuit.pauli import PauliStrings

_ROTATION = int(Op.ROTATION)


class _Units(NamedTuple):
    """Units for compiled functions: rotations sorted by unit, those of unit u being start[u]…start[u+1]−1; their masks
    (K, W); and which units a parameter moves (U,)."""

    start: np.ndarray
    x: np.ndarray
    z: np.ndarray
    moving: np.ndarray


class _Peers(NamedTuple):
    """What `_join_peers` knows of units: their depth in the gate graph (U,), the latest layer that each may stand in
    (U,), and the order in which they are placed, a permutation."""

    depth: np.ndarray
    latest: np.ndarray
    order: np.ndarray


class _Gates(NamedTuple):
    """How gates are made of units: the unit of every rotation in the order of the operations (K,); by number of the
    gate (−1: none), whether it has a unit of several rotations."""

    unit: np.ndarray
    is_joint: np.ndarray


def assign_layers(ops: Ops, generators: PauliStrings, moving: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """The layer of every rotation, shape (K,); those of one `unit` (K,) share it.

    For a rotation that no parameter moves it is the slab: it runs just before the layer of that
    number, and as late as the order allows.
    """
    if len(generators) == 0:
        return np.zeros(0, dtype=np.int64)
    rows = np.argsort(unit, kind="stable")
    start = np.searchsorted(unit[rows], np.arange(unit.max() + 2))
    units = _Units(start, x=generators.x[rows], z=generators.z[rows], moving=moving[rows[start[:-1]]])
    depth = _gate_depth(ops, units.moving, unit, generators.num_qubits)
    latest = _latest(units, _count_layers(_earliest(units), units.moving))
    order = np.lexsort((np.arange(len(units.moving)), ~units.moving, depth))
    level = _join_peers(units, _Peers(depth=depth, latest=latest, order=order))
    return _sink_fixed(units, level)[unit]


def running_order(level: np.ndarray, moving: np.ndarray) -> np.ndarray:
    """A permutation of the rotations in which slabs and layers follow each other without gaps."""
    return np.lexsort((np.arange(len(level)), moving, level))


def _count_layers(level: np.ndarray, moving: np.ndarray) -> int:
    return int(level[moving].max()) + 1 if moving.any() else 0


def _gate_depth(ops: Ops, moving: np.ndarray, unit: np.ndarray, num_qubits: int) -> np.ndarray:
    """Depth of every unit in the gate graph, (U,)."""
    gate_of_unit = np.empty(len(moving), dtype=np.int64)
    gate_of_unit[unit] = ops.gate[ops.rotations]
    joint = np.zeros(int(ops.gate.max()) + 2, dtype=bool)
    joint[gate_of_unit[np.bincount(unit) > 1]] = True
    return _wire_depth(ops.arrays, _Gates(unit, is_joint=joint), moving, num_qubits)


class _Wires(NamedTuple):
    """What is known of each wire (n,): the letter of the run of rotations that it is in (0 after anything else), the
    depth before that run, and the depth after it; and the letter that the present gate has there (0 for several, or
    where it is no rotation)."""

    run: np.ndarray
    before: np.ndarray
    after: np.ndarray
    letter: np.ndarray


@kernel
def _wire_depth(ops, gates, moving, num_qubits):
    """Depth of every unit (U,). A gate with a unit of several rotations acts as a whole."""
    kind, start, qubits, _, _, gate = ops
    run, letter = np.zeros(num_qubits, dtype=np.int64), np.zeros(num_qubits, dtype=np.int64)
    wires = _Wires(run, np.full(num_qubits, -1, dtype=np.int64), np.full(num_qubits, -1, dtype=np.int64), letter)
    depth = np.zeros(moving.shape[0], dtype=np.int64)
    row = 0
    k = 0
    while k < kind.shape[0]:
        end = _end_of_gate(k, gate, gates.is_joint)
        touched = qubits[start[k] : start[end]]
        _find_letters(k, end, ops, touched, wires.letter)
        reached = _enter_gate(touched, wires)
        rows = row
        for op in range(k, end):
            rows += 1 if kind[op] == _ROTATION else 0
        reached = _stack_units(gates.unit[row:rows], moving, reached, depth)
        _leave_gate(touched, reached, wires)
        row, k = rows, end
    return depth


@kernel
def _end_of_gate(k, gate, is_joint):
    """The operation behind the last one that acts together with operation k."""
    end = k + 1
    if is_joint[gate[k]]:
        while end < gate.shape[0] and gate[end] == gate[k]:
            end += 1
    return end


@kernel
def _find_letters(k, end, ops, touched, letter):
    """Find the letter that operations k…end−1 have on every wire which they touch."""
    kind, start, qubits, letters, _, _ = ops
    for q in touched:
        letter[q] = -1
    for op in range(k, end):
        for i in range(start[op], start[op + 1]):
            own = letters[i] if kind[op] == _ROTATION else 0
            q = qubits[i]
            letter[q] = own if letter[q] < 0 or letter[q] == own else 0


@kernel
def _enter_gate(touched, wires):
    """Begin a run on every wire that was in another; returns the depth before the gate."""
    reached = -1
    for q in touched:
        if wires.letter[q] == 0 or wires.run[q] != wires.letter[q]:
            wires.run[q] = wires.letter[q]
            wires.before[q] = wires.after[q]
        reached = max(reached, wires.before[q])
    return reached


@kernel
def _stack_units(units, moving, reached, depth):
    """Put the units of a gate, which are numbered in order, above each other; returns the depth of the last."""
    if units.shape[0] > 0:
        for u in range(units.min(), units.max() + 1):
            reached += 1 if moving[u] else 0
            depth[u] = reached
    return reached


@kernel
def _leave_gate(touched, reached, wires):
    for q in touched:
        wires.after[q] = max(wires.after[q], reached)
        if wires.letter[q] == 0:
            wires.before[q] = reached


@kernel
def _required(u, units, buckets, top):
    """The earliest layer that the units placed so far allow for u. Bucket 2l is slab l, bucket 2l+1 layer l."""
    for bucket in range(top, 0, -1):
        for k in range(units.start[u], units.start[u + 1]):
            if not commutes(k, bucket, buckets):
                return (bucket + 1) // 2
    return 0


@kernel
def _allowed(u, units, buckets, bottom, num_layers):
    """The latest layer that the later units placed so far allow for u."""
    for bucket in range(bottom, 2 * num_layers):
        for k in range(units.start[u], units.start[u + 1]):
            if not commutes(k, bucket, buckets):
                # before slab l or layer l: layer l−1, or for a fixed rotation slab l
                return bucket // 2 - (1 if units.moving[u] else 0)
    return num_layers - (1 if units.moving[u] else 0)


@kernel
def _place(u, bucket, units, buckets):
    """Put the strings of a unit into a bucket."""
    for k in range(units.start[u], units.start[u + 1]):
        enter(k, bucket, buckets)


@kernel
def _earliest(units):
    """The earliest layer of every unit, (U,)."""
    moving = units.moving
    count = moving.shape[0]
    level = np.zeros(count, dtype=np.int64)
    buckets = empty_buckets(2 * count + 4, units.x, units.z)
    top = 0
    for u in range(count):
        level[u] = _required(u, units, buckets, top)
        bucket = 2 * level[u] + (1 if moving[u] else 0)
        _place(u, bucket, units, buckets)
        top = max(top, bucket)
    return level


@kernel
def _latest(units, num_layers):
    """The latest layer of every unit, (U,), of so many."""
    moving = units.moving
    count = moving.shape[0]
    level = np.zeros(count, dtype=np.int64)
    buckets = empty_buckets(2 * num_layers + 4, units.x, units.z)
    bottom = 2 * num_layers
    for u in range(count - 1, -1, -1):
        level[u] = _allowed(u, units, buckets, bottom, num_layers)
        bucket = 2 * level[u] + (1 if moving[u] else 0)
        _place(u, bucket, units, buckets)
        bottom = min(bottom, bucket)
    return level


@kernel
def _join_peers(units, peers):
    """Depth by depth, lift the moving units to the layer that the latest of their peers needs."""
    moving = units.moving
    depth, latest, order = peers
    count = moving.shape[0]
    level = np.zeros(count, dtype=np.int64)
    buckets = empty_buckets(2 * count + 4, units.x, units.z)
    top = 0
    begin = 0
    while begin < count:
        end = begin
        while end < count and depth[order[end]] == depth[order[begin]] and moving[order[end]] == moving[order[begin]]:
            end += 1
        if moving[order[begin]]:
            common = 0
            for i in range(begin, end):
                u = order[i]
                level[u] = _required(u, units, buckets, top)
                common = max(common, level[u])
            for i in range(begin, end):
                u = order[i]
                level[u] = min(latest[u], common)
                _place(u, 2 * level[u] + 1, units, buckets)
                top = max(top, 2 * level[u] + 1)
        else:
            for i in range(begin, end):
                u = order[i]
                level[u] = _required(u, units, buckets, top)
                _place(u, 2 * level[u], units, buckets)
                top = max(top, 2 * level[u])
        begin = end
    return level


@kernel
def _sink_fixed(units, level):
    """Move the rotations without parameters to the latest slab that the layers allow."""
    moving = units.moving
    count = moving.shape[0]
    num_layers = 0
    for u in range(count):
        if moving[u]:
            num_layers = max(num_layers, level[u] + 1)
    sunk = level.copy()
    buckets = empty_buckets(2 * num_layers + 4, units.x, units.z)
    bottom = 2 * num_layers
    for u in range(count - 1, -1, -1):
        if not moving[u]:
            sunk[u] = _allowed(u, units, buckets, bottom, num_layers)
        bucket = 2 * sunk[u] + (1 if moving[u] else 0)
        _place(u, bucket, units, buckets)
        bottom = min(bottom, bucket)
    return sunk
