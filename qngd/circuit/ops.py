"""The circuit as the user ordered it: Clifford gates and Pauli rotations on local qubits, as arrays.

Kept beside the neutral form because this is what a device runs. Operation k acts on
`qubits[start[k]:start[k+1]]`; for rotations `letters` holds the Pauli on each of these qubits.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

import numpy as np

from qngd._system.brief import brief_fields


class Op(IntEnum):
    """Kinds of operation. QUARTER is exp(−i m π/4 · P), a Pauli rotation by m quarter turns, m in 1, 2, 3;
    ROTATION is exp(−i φ/2 · P) with the next angle; RECORD writes the bit that qubit a reads now to place b,
    which no gate uses otherwise: a measurement midway, or by deferring it a CX onto a fresh qubit b."""

    H = 0
    S = 1
    SDG = 2
    X = 3
    Y = 4
    Z = 5
    CX = 6
    CZ = 7
    SWAP = 8
    QUARTER = 9
    ROTATION = 10
    RECORD = 11


CLIFFORD_OPS = {op.name.lower(): op for op in Op if op < Op.QUARTER}


class OpArrays(NamedTuple):
    """The arrays of `Ops`, as compiled functions take them."""

    kind: np.ndarray
    start: np.ndarray
    qubits: np.ndarray
    letters: np.ndarray
    turns: np.ndarray
    gate: np.ndarray


@dataclass(frozen=True, eq=False)
class Ops:
    """N operations: `kind` (N,) of `Op`, `start` (N+1,), `qubits` and `letters` (start[-1],), `turns`
    (N,) quarter turns of QUARTER, `gate` (N,) index of the user's gate that each came from."""

    kind: np.ndarray
    start: np.ndarray
    qubits: np.ndarray
    letters: np.ndarray
    turns: np.ndarray
    gate: np.ndarray

    __repr__ = brief_fields

    def __len__(self) -> int:
        return len(self.kind)

    @property
    def arrays(self) -> OpArrays:
        """All arrays together."""
        return OpArrays(self.kind, self.start, self.qubits, self.letters, self.turns, self.gate)

    @property
    def rotations(self) -> np.ndarray:
        """Positions of the rotations among the operations, in order."""
        return np.flatnonzero(self.kind == Op.ROTATION)

    def qubits_of(self, position: int) -> np.ndarray:
        return self.qubits[self.start[position] : self.start[position + 1]]

    def letters_of(self, position: int) -> np.ndarray:
        return self.letters[self.start[position] : self.start[position + 1]]


def select(ops: Ops, keep: np.ndarray) -> Ops:
    """The operations where the mask `keep` (N,) is true."""
    lengths = np.diff(ops.start)
    wires = np.repeat(keep, lengths)
    return Ops(
        kind=ops.kind[keep],
        start=np.concatenate([[0], np.cumsum(lengths[keep])]).astype(np.int64),
        qubits=ops.qubits[wires],
        letters=ops.letters[wires],
        turns=ops.turns[keep],
        gate=ops.gate[keep],
    )


def concatenate(first: Ops, second: Ops) -> Ops:
    """`first`, then `second`."""
    return Ops(
        kind=np.concatenate([first.kind, second.kind]),
        start=np.concatenate([first.start, first.start[-1] + second.start[1:]]),
        qubits=np.concatenate([first.qubits, second.qubits]),
        letters=np.concatenate([first.letters, second.letters]),
        turns=np.concatenate([first.turns, second.turns]),
        gate=np.concatenate([first.gate, second.gate]),
    )
