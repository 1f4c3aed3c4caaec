"""Operations of fixed numbers that take long to synthesize, kept by their content.

A QNode is read anew at every call, since nothing else shows whether the data, globals or closures that it uses have
changed. What it prepares or applies is then mostly what it was the last time: a state of twelve qubits is thirty
thousand operations, and PennyLane's decomposition of it most of the time that a reading takes. The content is all that
the decomposition depends on (the class, every byte of its numbers, its options and the number of wires), so that what
is kept cannot go stale.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass

import numpy as np
import pennylane as qml
from pennylane.operation import Operator

from qngd.circuit.builder import OpsBuilder
from qngd.circuit.ops import Ops

# PennyLane's own alone: a derived class may decompose in a way of its own.
_KEPT = frozenset(
    {
        qml.StatePrep, qml.AmplitudeEmbedding, qml.MottonenStatePreparation, qml.QubitUnitary,
        qml.DiagonalQubitUnitary,
    }
)  # fmt: skip
_MAX_OPERATIONS = 1 << 20  # of all fragments kept; some 40 MB


@dataclass(frozen=True, eq=False)
class Fragment:
    """The operations of one gate, on its own wires 0, 1, …, and the angles of its rotations."""

    ops: Ops
    angles: list[float]

    @classmethod
    def of(cls, builder: OpsBuilder) -> Fragment:
        return cls(builder.ops(), builder.fixed_angles())


_fragments: OrderedDict[Hashable, Fragment] = OrderedDict()


def content_of(op: Operator) -> Hashable | None:
    """All that the decomposition of an operation depends on; None where that is not known, or depends on parameters."""
    if type(op) not in _KEPT:
        return None
    options = sorted(op.hyperparameters.items())
    if not all(isinstance(value, (type(None), bool, int, float, complex, str)) for _, value in options):
        return None
    if not all(isinstance(value, np.ndarray) and value.dtype != object for value in op.data):
        return None
    numbers = tuple((value.dtype.str, value.shape, value.tobytes()) for value in op.data)
    return type(op), len(op.wires), tuple((name, repr(value)) for name, value in options), numbers


def fragment_of(content: Hashable, read: Callable[[], Fragment]) -> Fragment:
    """The fragment of this content, read now if it is not known."""
    fragment = _fragments.pop(content, None) or read()
    _fragments[content] = fragment  # the last one used comes last
    total = sum(len(kept.ops) for kept in list(_fragments.values()))
    while total > _MAX_OPERATIONS and len(_fragments) > 1:
        _, oldest = _fragments.popitem(last=False)
        total -= len(oldest.ops)
    return fragment
