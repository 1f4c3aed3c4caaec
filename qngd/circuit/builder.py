"""Building a circuit gate by gate: what every reader calls, that of users' `qngd.CircuitBuilder` included.

A reader announces each of the user's gates with `begin`, then emits what the gate consists of as
Clifford gates (`clifford`), Pauli rotations (`rotation`) or named standard gates (`gate`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from qngd.circuit.angles import Angle, AngleMap, Expressions
from qngd.circuit.gates import STANDARD_GATES
from qngd.circuit.ops import CLIFFORD_OPS, Op, Ops

_LETTER = {"I": 0, "X": 1, "Y": 2, "Z": 3}
_QUARTER_TOLERANCE = 1e-12  # radians; below it a fixed angle counts as a multiple of π/2


@dataclass(frozen=True, slots=True)
class Gate:
    """One gate of the user's circuit: its name there and its qubits in the neutral numbering."""

    name: str
    qubits: tuple[int, ...]


class OpsBuilder:
    """Collects operations on `num_qubits` qubits; `slot()` hands out the user's angle expressions."""

    def __init__(self, num_qubits: int) -> None:
        self.num_qubits = num_qubits
        self.gates: list[Gate] = []
        self.num_slots = 0
        self._kind: list[int] = []
        self._start: list[int] = [0]
        self._qubits: list[int] = []
        self._letters: list[int] = []
        self._turns: list[int] = []
        self._gate: list[int] = []
        self._angles: list[Angle] = []

    @property
    def is_empty(self) -> bool:
        """Whether nothing has been emitted yet (a state may still be prepared or reset)."""
        return not self._kind

    def begin(self, name: str, qubits: Sequence[int]) -> None:
        """What follows, up to the next `begin`, is this gate of the user's."""
        self.gates.append(Gate(name, tuple(qubits)))

    def slot(self) -> Angle:
        """A new angle expression; the reader supplies its value as that row of `Expressions`."""
        self.num_slots += 1
        return Angle.of_slot(self.num_slots - 1)

    def clifford(self, name: str, *qubits: int) -> None:
        """One of h, s, sdg, x, y, z, cx, cz, swap; control first."""
        self._append(CLIFFORD_OPS[name], qubits, (0,) * len(qubits), 0)

    def record(self, qubit: int, place: int) -> None:
        """Write the bit that `qubit` reads now to the fresh `place`, a qubit that no gate acts on."""
        self._append(Op.RECORD, (qubit, place), (0, 0), 0)

    def rotation(self, pauli: str, qubits: Sequence[int], angle: Angle | float) -> None:
        """exp(−i·angle/2·P) where letter i of `pauli` acts on `qubits[i]`; letters I are dropped.

        A fixed angle that is a multiple of π/2 is a Clifford gate and is treated as one. One that undoes what comes
        just before it in the same gate takes that away: a power of A·B·A† is A·Bⁿ·A†, whose B stand side by side.
        """
        support = [(q, _LETTER[p]) for p, q in zip(pauli, qubits, strict=True) if p != "I"]
        if not support:
            return  # a global phase
        on, letters = zip(*support, strict=True)
        if not isinstance(angle, Angle):
            angle = Angle((), float(angle))
        if not angle.terms:
            turns = angle.constant / (math.pi / 2)
            if abs(turns - round(turns)) * (math.pi / 2) < _QUARTER_TOLERANCE:
                quarters = round(turns) % 4
                if quarters and not self._undoes(Op.QUARTER, on, letters, 4 - quarters):
                    self._append(Op.QUARTER, on, letters, quarters)
                return
            last = self._angles[-1] if self._angles else angle
            if not last.terms and last.constant == -angle.constant and self._undoes(Op.ROTATION, on, letters, 0):
                self._angles.pop()
                return
        self._append(Op.ROTATION, on, letters, 0)
        self._angles.append(angle)

    def gate(self, name: str, qubits: Sequence[int], angles: Sequence[Angle | float] = ()) -> bool:
        """Emit a standard gate by its OpenQASM name; False if the table does not hold it."""
        known = STANDARD_GATES.get(name)
        if known is None:
            return False
        known.emit(self, tuple(qubits), tuple(angles))
        return True

    def _append(self, kind: int, qubits: Sequence[int], letters: Sequence[int], turns: int) -> None:
        self._kind.append(kind)
        self._qubits.extend(qubits)
        self._letters.extend(letters)
        self._start.append(len(self._qubits))
        self._turns.append(turns)
        self._gate.append(len(self.gates) - 1)

    def _undoes(self, kind: int, qubits: Sequence[int], letters: Sequence[int], turns: int) -> bool:
        """Take the last operation away if it belongs to this gate and is this one."""
        if not self._kind or (self._kind[-1], self._turns[-1], self._gate[-1]) != (kind, turns, len(self.gates) - 1):
            return False
        begin = self._start[-2]
        if (self._qubits[begin:], self._letters[begin:]) != (list(qubits), list(letters)):
            return False
        for each in (self._kind, self._turns, self._gate, self._start):
            each.pop()
        del self._qubits[begin:], self._letters[begin:]
        return True

    def fixed_angles(self) -> list[float]:
        """The angles of all rotations so far, none of which has a slot."""
        assert not any(angle.terms for angle in self._angles)
        return [angle.constant for angle in self._angles]

    def paste(self, ops: Ops, angles: Sequence[float], qubits: Sequence[int]) -> None:
        """Operations that another builder made, without slots: its qubit i is `qubits[i]` here; all belong to the gate
        that was begun last."""
        here = np.asarray(qubits, dtype=np.int64)
        offset = len(self._qubits)
        self._kind.extend(ops.kind.tolist())
        self._start.extend((ops.start[1:] + offset).tolist())
        self._qubits.extend(here[ops.qubits].tolist())
        self._letters.extend(ops.letters.tolist())
        self._turns.extend(ops.turns.tolist())
        self._gate.extend([len(self.gates) - 1] * len(ops))
        self._angles.extend([Angle((), angle) for angle in angles])

    def ops(self) -> Ops:
        """The operations so far, as arrays."""
        return Ops(
            kind=np.array(self._kind, dtype=np.int8),
            start=np.array(self._start, dtype=np.int64),
            qubits=np.array(self._qubits, dtype=np.int64),
            letters=np.array(self._letters, dtype=np.uint8),
            turns=np.array(self._turns, dtype=np.int8),
            gate=np.array(self._gate, dtype=np.int64),
        )

    @property
    def angles(self) -> list[Angle]:
        """The angles of all rotations so far, over the slots."""
        return list(self._angles)

    def angle_map(self, expressions: Expressions) -> AngleMap:
        """The angles of all rotations so far, over the reader's expressions (one row a slot)."""
        rows, columns, values = [], [], []
        for row, angle in enumerate(self._angles):
            for slot, coefficient in angle.terms:
                rows.append(row)
                columns.append(slot)
                values.append(coefficient)
        shape = (len(self._angles), self.num_slots)
        combination = sparse.coo_array((values, (rows, columns)), shape=shape, dtype=float)
        constant = np.array([angle.constant for angle in self._angles], dtype=float)
        return AngleMap(combination.tocsr(), constant, expressions)
