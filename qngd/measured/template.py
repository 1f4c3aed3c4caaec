"""Circuits to run, as plain data: Clifford gates and rotations with open angles, then Z measurements.

A *template* fixes the gates; a *request* adds the angles and the shots. A device compiles a template once
and runs it with many angles.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import count, islice
from typing import Any

import numpy as np

from qngd.circuit.circuit import Circuit
from qngd.circuit.frame import push
from qngd.circuit.ops import Op, Ops, concatenate
from qngd.circuit.pauli import PauliStrings, anticommute, product, unpack_bits
from qngd.measured.basis import Basis, diagonalize

_NO_TURN = 1e-8  # radians up to which a rotation is none: it changes probabilities by 1e-16


@dataclass(frozen=True, eq=False)
class Template:
    """Gates on `num_qubits` qubits starting in |0…0⟩, and m commuting strings to read at their end.

    `rotations` (R,) are the circuit's rotations that the template's rotations take their angles from, −1 for angles
    that a request brings itself.
    `basis` holds the Clifford gates to append and the Z strings that the strings become. `pairs` says that
    also the products of the strings are wanted, which counts hold anyway and an estimator must be asked for.
    `turns` (R,) are the rotations whose angle is not 0, where that is known, and `origin` is the template for all
    angles then; see `at`. `is_noisy` says that the device has noise; of its states algebra says nothing.
    `numbers` are those of the user's qubits that the template's first qubits are, in order (None: 0, 1, …), and
    `native` is the user's own circuit, if its kind of device can run that; `whole` says that the template is that
    circuit, with all its gates and rotations. With `is_pinned` the `numbers` are those of the device's own qubits.
    `gates` are all of the circuit's, also where the template has only some of them.
    """

    num_qubits: int
    ops: Ops
    rotations: np.ndarray
    strings: PauliStrings
    basis: Basis
    pairs: bool = False
    turns: np.ndarray | None = None
    origin: Template | None = None
    is_noisy: bool = False
    numbers: tuple[int, ...] | None = None
    native: Any = None
    whole: bool = False
    is_pinned: bool = False
    gates: Ops | None = None

    @property
    def wires(self) -> tuple[int, ...]:
        """The user's number of every qubit; those that are not the user's get the lowest numbers that are free."""
        own = self.numbers
        if own is None:
            return tuple(range(self.num_qubits))
        free = (number for number in count() if number not in own)
        return own + tuple(islice(free, self.num_qubits - len(own)))

    @property
    def complete(self) -> Template:
        """All gates of the circuit, and X measured of all its qubits: of Z a compiler leaves out gates at the end."""
        own = self.numbers or self.wires
        gates = self.ops if self.gates is None else self.gates
        each = np.eye(len(own), dtype=bool)
        reads = PauliStrings.from_bits(each, np.zeros_like(each))
        rotations = np.arange(len(gates.rotations))
        return Template(len(own), gates, rotations, reads, diagonalize(reads), numbers=own, native=self.native)

    @property
    def all_ops(self) -> Ops:
        """The gates with those of the measurement basis appended."""
        return concatenate(self.ops, self.basis.ops)

    def at(self, angles: np.ndarray) -> Template:
        """The template that knows which of its rotations turn at these angles (R,): where one does not, more strings
        may be certain."""
        turns = np.abs(np.sin(0.5 * angles)) > 0.5 * _NO_TURN
        if turns.all():
            return self
        key = turns.tobytes()
        if key not in self._at:
            self._at[key] = replace(self, turns=turns, origin=self)
        return self._at[key]

    @cached_property
    def _at(self) -> dict[bytes, Template]:
        return {}

    @cached_property
    def with_noise(self) -> Template:
        """The template on a noisy device."""
        return replace(self, is_noisy=True)

    @cached_property
    def algebra(self) -> tuple[PauliStrings, np.ndarray]:
        """What the strings are on |0…0⟩, behind all gates, and which rotations' generators they anticommute with,
        (m, R); the same at all angles."""
        if self.origin is not None:
            return self.origin.algebra
        reads = PauliStrings(self.num_qubits, np.zeros_like(self.basis.z), self.basis.z, self.basis.sign)
        generators, frame = push(self.all_ops, self.num_qubits)
        pulled = frame.pull(reads)
        return pulled, anticommute(pulled, generators)

    @cached_property
    def independent(self) -> tuple[np.ndarray, np.ndarray]:
        """What algebra alone says of the strings' values: for each the place of its class among C classes, −1 for those
        whose value is certain, and its sign in the class (m,).

        A Pauli string is certain if it commutes with the generators of all rotations that turn at all, and is ±1 on
        |0…0⟩ behind the Clifford gates. Two strings whose product is certain have the same value in every shot, up to a
        sign. On a device with noise only the identity is certain.
        """
        if self.is_noisy:
            acts = np.asarray(self.basis.z.any(axis=1))
            return np.where(acts, np.cumsum(acts) - 1, -1), np.ones(len(acts))
        pulled, hits = self.algebra
        if self.turns is not None:
            hits = hits[:, self.turns]
        # the product of two strings is certain iff both flip the same qubits and anticommute with the same generators
        rows = np.hstack([np.packbits(hits, axis=1), np.ascontiguousarray(pulled.x).view(np.uint8)])
        numbers = {bytes(rows.shape[1]): -1}
        place = [numbers.setdefault(row.tobytes(), len(numbers) - 1) for row in rows]
        first: dict[int, int] = {}
        firsts = [first.setdefault(number, k) for k, number in enumerate(place)]
        _, phase = product(pulled, pulled[np.array(firsts, dtype=int)])
        return np.array(place, dtype=int), 1.0 - phase

    def reduced(self, weights: np.ndarray) -> np.ndarray:
        """The `weights` (m, p) of the strings as weights (C, p) of one string of each class."""
        place, sign = self.independent
        found = np.zeros((place.max(initial=-1) + 1, weights.shape[1]))
        kept = place >= 0
        np.add.at(found, place[kept], sign[kept, None] * weights[kept])
        return found

    def squares(self, coefficients: np.ndarray) -> float:
        """Σ_C (Σ_{t∈C} ±c_t)² over the classes C of strings, from the strings' `coefficients` (m,)."""
        key = coefficients.tobytes()  # the same at all angles: found once
        if key not in self._squares:
            self._squares[key] = float((self.reduced(coefficients[:, None]) ** 2).sum())
        return self._squares[key]

    @cached_property
    def _squares(self) -> dict[bytes, float]:
        return {}

    @cached_property
    def measured(self) -> np.ndarray:
        """The qubits that the Z strings read."""
        masks = np.bitwise_or.reduce(self.basis.z, axis=0, keepdims=True, initial=0)
        return np.flatnonzero(unpack_bits(masks, self.num_qubits)[0])

    @property
    def places(self) -> np.ndarray:
        """The qubits that only hold a bit measured midway; a device that measures midway does not need them."""
        records = np.flatnonzero(self.ops.kind == Op.RECORD)
        return self.ops.qubits[self.ops.start[records] + 1]

    @property
    def num_wires(self) -> int:
        """Qubits of a device that measures midway; the places of the bits come last."""
        return self.num_qubits - len(self.places)

    @property
    def num_two_qubit_gates(self) -> int:
        """Gates on two or more qubits, before any compilation."""
        return int((np.diff(self.all_ops.start) > 1).sum())


def template_of(
    circuit: Circuit,
    ops: Ops,
    rotations: np.ndarray,
    strings: PauliStrings,
    pairs: bool = False,
    whole: bool = False,
) -> Template:
    """A template on the circuit's qubits and any that its strings have besides."""
    return Template(
        strings.num_qubits,
        ops,
        rotations,
        strings,
        diagonalize(strings),
        numbers=circuit.numbers or tuple(range(circuit.num_qubits)),
        native=circuit.native,
        pairs=pairs,
        whole=whole,
        gates=circuit.ops,
    )
