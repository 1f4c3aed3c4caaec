"""Which rotations stand in one layer, and in which order to run them.

A layer is a set of commuting rotations with parameters; its block of the metric is a covariance of
their generators on one state. Two things decide where a rotation stands:

1. *Order.* With the Clifford gates pushed to the end, rotation j must come before a later rotation k
   iff their generators anticommute (or a chain of such pairs leads from j to k). Rotations that no
   parameter moves take part in the order but need no layer: they stand in slabs between the layers,
   slab l just before layer l. The longest chain gives the number of layers, and each rotation a
   window of layers [earliest, latest] it may stand in. So all commuting terms of a QAOA cost layer
   share one layer, and CX·RZ·CX is no obstacle.
2. *Peers.* Within its window a rotation joins those that stand beside it in the user's circuit: at
   the same depth of the gate graph (counting gates with parameters; neighbours on a wire with the
   same Pauli letter are unordered there). So an RY layer stays together even where single members
   would commute with an earlier layer.

Rotations are kept in buckets, one for each slab and layer. A string commutes with all of a bucket iff it commutes
with enough of them to generate the rest, so a bucket lists only members that are no product of earlier ones: at
most 2n, however many rotations it holds, and layering takes time linear in the gates.
"""

from __future__ import annotations

import numpy as np

from qngd._jit import kernel
from qngd.frame import anticommuting
from qngd.ops import Op, Ops
from qngd.pauli import PauliStrings

_ROTATION, _QUARTER = int(Op.ROTATION), int(Op.QUARTER)


def assign_layers(ops: Ops, generators: PauliStrings, moving: np.ndarray) -> np.ndarray:
    """The layer of every rotation, shape (K,).

    For a rotation that no parameter moves it is the slab: it runs just before the layer of that
    number, and as late as the order allows.
    """
    count = len(generators)
    if count == 0:
        return np.zeros(0, dtype=np.int64)
    x, z = generators.x, generators.z
    num_qubits = generators.num_qubits
    depth = _wire_depth(
        ops.kind, ops.start, ops.qubits, ops.letters, moving, num_qubits, count
    )  # fmt: skip
    earliest = _earliest(x, z, moving)
    latest = _latest(x, z, moving, _count_layers(earliest, moving))
    order = np.lexsort((np.arange(count), ~moving, depth))
    level = _join_peers(x, z, moving, depth, earliest, latest, order)
    return _sink_fixed(x, z, moving, level)


def running_order(level: np.ndarray, moving: np.ndarray) -> np.ndarray:
    """A permutation of the rotations in which slabs and layers follow each other without gaps."""
    return np.lexsort((np.arange(len(level)), moving, level))


def _count_layers(level: np.ndarray, moving: np.ndarray) -> int:
    return int(level[moving].max()) + 1 if moving.any() else 0


@kernel
def _wire_depth(kind, start, qubits, letters, moving, num_qubits, count):
    """Depth of every rotation in the gate graph. On each wire: the letter of the run of rotations it is in
    (0 after a Clifford gate), the depth before that run, and the depth after it."""
    run = np.zeros(num_qubits, dtype=np.int64)
    before = np.full(num_qubits, -1, dtype=np.int64)
    after = np.full(num_qubits, -1, dtype=np.int64)
    depth = np.zeros(count, dtype=np.int64)
    row = 0
    for k in range(kind.shape[0]):
        is_rotation = kind[k] == _ROTATION
        reached = -1
        for i in range(start[k], start[k + 1]):
            q = qubits[i]
            if not is_rotation or run[q] != letters[i]:
                run[q] = letters[i] if is_rotation else 0
                before[q] = after[q]
            reached = max(reached, before[q])
        if is_rotation:
            if moving[row]:
                reached += 1
            depth[row] = reached
            row += 1
        for i in range(start[k], start[k + 1]):
            q = qubits[i]
            after[q] = max(after[q], reached)
            if not is_rotation:
                before[q] = reached
    return depth


@kernel
def _required(x, z, k, head, link, top):
    """The earliest layer that the rotations placed so far allow for k. Bucket 2l is slab l, bucket 2l+1 layer l."""
    for bucket in range(top, 0, -1):
        j = head[bucket]
        while j >= 0:
            if anticommuting(x[j], z[j], x[k], z[k]):
                return (bucket + 1) // 2
            j = link[j]
    return 0


@kernel
def _enter(k, bucket, x, z, head, tail, link, rest, pivot):
    """Put rotation k into a bucket's list, unless its string is a product of those listed.

    `rest` holds what is left of each listed string (x and z side by side) after those listed before it were
    multiplied in wherever it had their pivot; `pivot` is a bit of that.
    """
    words = x.shape[1]
    rest[k, :words] = x[k]
    rest[k, words:] = z[k]
    j = head[bucket]
    while j >= 0:
        if rest[k, pivot[j] >> 6] >> np.uint64(pivot[j] & 63) & np.uint64(1):
            rest[k] ^= rest[j]
        j = link[j]
    for w in range(2 * words):
        if rest[k, w]:
            bit = 0
            while not rest[k, w] >> np.uint64(bit) & np.uint64(1):
                bit += 1
            pivot[k] = 64 * w + bit
            if head[bucket] < 0:
                head[bucket] = k
            else:
                link[tail[bucket]] = k
            tail[bucket] = k
            return


@kernel
def _buckets(count, words, num_layers):
    """Empty lists: head and tail of every bucket; link, rest and pivot of every rotation."""
    head = np.full(2 * num_layers + 4, -1, dtype=np.int64)
    link = np.full(count, -1, dtype=np.int64)
    rest = np.empty((count, 2 * words), dtype=np.uint64)
    return head, head.copy(), link, rest, np.zeros(count, dtype=np.int64)


@kernel
def _place(k, level, x, z, moving, head, tail, link, rest, pivot, top):
    bucket = 2 * level + (1 if moving[k] else 0)
    _enter(k, bucket, x, z, head, tail, link, rest, pivot)
    return max(top, bucket)


@kernel
def _earliest(x, z, moving):
    count = x.shape[0]
    level = np.zeros(count, dtype=np.int64)
    head, tail, link, rest, pivot = _buckets(count, x.shape[1], count)
    top = 0
    for k in range(count):
        level[k] = _required(x, z, k, head, link, top)
        top = _place(k, level[k], x, z, moving, head, tail, link, rest, pivot, top)
    return level


@kernel
def _allowed(x, z, k, head, link, bottom, num_layers, is_moving):
    """The latest layer that the later rotations placed so far allow for k."""
    for bucket in range(bottom, 2 * num_layers):
        j = head[bucket]
        while j >= 0:
            if anticommuting(x[j], z[j], x[k], z[k]):
                # before slab l or layer l: layer l−1, or for a fixed rotation slab l
                return bucket // 2 - (1 if is_moving else 0)
            j = link[j]
    return num_layers - (1 if is_moving else 0)


@kernel
def _latest(x, z, moving, num_layers):
    count = x.shape[0]
    level = np.zeros(count, dtype=np.int64)
    head, tail, link, rest, pivot = _buckets(count, x.shape[1], num_layers)
    bottom = 2 * num_layers
    for k in range(count - 1, -1, -1):
        level[k] = _allowed(x, z, k, head, link, bottom, num_layers, moving[k])
        bucket = 2 * level[k] + (1 if moving[k] else 0)
        _enter(k, bucket, x, z, head, tail, link, rest, pivot)
        bottom = min(bottom, bucket)
    return level


@kernel
def _join_peers(x, z, moving, depth, earliest, latest, order):
    """Depth by depth, lift the moving rotations to the layer that the latest of their peers needs."""
    count = x.shape[0]
    level = np.zeros(count, dtype=np.int64)
    head, tail, link, rest, pivot = _buckets(count, x.shape[1], count)
    top = 0
    begin = 0
    while begin < count:
        end = begin
        while end < count and depth[order[end]] == depth[order[begin]] and moving[order[end]] == moving[order[begin]]:
            end += 1
        if moving[order[begin]]:
            common = 0
            for i in range(begin, end):
                k = order[i]
                level[k] = _required(x, z, k, head, link, top)
                common = max(common, level[k])
            for i in range(begin, end):
                k = order[i]
                level[k] = min(latest[k], common)
                top = _place(k, level[k], x, z, moving, head, tail, link, rest, pivot, top)
        else:
            for i in range(begin, end):
                k = order[i]
                level[k] = _required(x, z, k, head, link, top)
                top = _place(k, level[k], x, z, moving, head, tail, link, rest, pivot, top)
        begin = end
    return level


@kernel
def _sink_fixed(x, z, moving, level):
    """Move the rotations without parameters to the latest slab that the layers allow."""
    count = x.shape[0]
    num_layers = 0
    for k in range(count):
        if moving[k]:
            num_layers = max(num_layers, level[k] + 1)
    sunk = level.copy()
    head, tail, link, rest, pivot = _buckets(count, x.shape[1], num_layers)
    bottom = 2 * num_layers
    for k in range(count - 1, -1, -1):
        if not moving[k]:
            sunk[k] = _allowed(x, z, k, head, link, bottom, num_layers, False)
        bucket = 2 * sunk[k] + (1 if moving[k] else 0)
        _enter(k, bucket, x, z, head, tail, link, rest, pivot)
        bottom = min(bottom, bucket)
    return sunk
