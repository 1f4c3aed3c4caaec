"""Which shots break a symmetry of the circuit.

Which circuits a symmetry holds for follows from algebra, request by request. A Pauli string holds if it commutes with
the generators of all rotations that turn and is ±1 on |0…0⟩ behind the Clifford gates; a number of ones
N = Σ_q (1 − Z_q)/2, if rotations that commute with each other can be gathered to sums Σ_k φ_k P_k that commute with N,
as φ(XX + YY) does though neither part does. A shift rule moves one of these parts alone, and the number is then not
conserved, but its parity is. Where a symmetry does not hold, or the measured basis does not show it, nothing is left
out: so no estimate of a circuit without noise is changed by this.

Around a backend whose readout errors are undone there are no shots to leave out: means are then taken over the sector
of the symmetries in the corrected distribution, which may have negative parts. The projector on a number of m ones on k
qubits is Σ_j e^{iθ_j(N − m)}/(k + 1) with θ_j = 2πj/(k + 1), and on a parity (1 ± P)/2: sums of products over qubits,
as a `Sector` is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from qngd.backends.readout import EVERYTHING, Sector
from qngd.circuit.builder import OpsBuilder
from qngd.circuit.frame import push
from qngd.circuit.ops import concatenate
from qngd.circuit.pauli import LETTERS, PauliStrings, anticommute, product, unpack_bits
from qngd.measured.basis import Basis
from qngd.measured.outcomes import Counts
from qngd.measured.template import Template

_SAME = 1e-9  # of angles, in radians
_NO_TURN = 1e-8


@dataclass(frozen=True, eq=False)
class Sieve:
    """A `template` that measures symmetries after its own m strings: parities (their rows among the strings), and
    numbers (the rows of their qubits)."""

    template: Template
    parities: list[int]
    numbers: list[np.ndarray]

    @classmethod
    def of(cls, template: Template, parities: Sequence[str], particles: Sequence[tuple[int, ...] | None]) -> Sieve:
        count = template.num_qubits
        own = template.wires[: count if template.numbers is None else len(template.numbers)]
        place = {number: qubit for qubit, number in enumerate(own)}
        strings = [letters for label in parities if (letters := _letters(label, place, count)) is not None]
        sets = [[place[n] for n in (own if each is None else each) if n in place] for each in particles]
        strings += [_zs([qubits], count)[0] for qubits in sets if qubits]
        basis = concatenate(template.basis.ops, _free_turns(template, strings))
        _, frame = push(basis, count)
        of_parities = [letters[None] for letters in strings if _reads(frame, letters[None])]
        of_numbers = [each for qubits in sets if qubits and _reads(frame, each := _zs([[q] for q in qubits], count))]
        if not of_parities and not of_numbers:
            return cls(template, [], [])
        first = len(template.strings)
        ends = np.cumsum([first + len(of_parities), *map(len, of_numbers)]).tolist()
        added = _strings(np.concatenate([*of_parities, *of_numbers]))
        images = frame.carry(added)
        made = replace(
            template,
            strings=PauliStrings.joined([template.strings, added]),
            basis=Basis(
                basis,
                np.concatenate([template.basis.z, images.z]),
                np.concatenate([template.basis.sign, images.sign]),
            ),
            pairs=False,
        )
        return cls(made, list(range(first, ends[0])), [np.arange(*each) for each in pairwise(ends)])

    @cached_property
    def _algebra(self) -> tuple[PauliStrings, np.ndarray]:
        return self.template.algebra

    def checks(self, angles: np.ndarray) -> list[tuple[np.ndarray, int]]:
        """What holds at these angles (R,): rows of strings, and how many of them are −1; of a parity one row."""
        pulled, hits = self._algebra
        turns = np.abs(np.sin(0.5 * angles)) > 0.5 * _NO_TURN
        found = []
        for row in self.parities:
            if not pulled.x[row].any() and not hits[row, turns].any():
                found.append((np.array([row]), int(pulled.sign[row] < 0)))
        for k, rows in enumerate(self.numbers):
            if not pulled.x[rows].any() and self._conserves(k, np.flatnonzero(turns), angles):
                found.append((rows, int((pulled.sign[rows] < 0).sum())))
        return found

    def kept(self, outcome: Counts, angles: np.ndarray) -> Counts:
        """The shots with all symmetries that hold."""
        basis, keep = self.template.basis, np.ones(len(outcome.bits), dtype=bool)
        for rows, ones in self.checks(angles):
            crossings = np.bitwise_count(outcome.bits[:, None] & basis.z[rows][None]).sum(axis=2)
            keep &= ((crossings & 1).astype(bool) ^ (basis.sign[rows] < 0)).sum(axis=1) == ones
        return Counts(outcome.bits[keep], outcome.counts[keep])

    def sector(self, angles: np.ndarray) -> Sector:
        """The shots with all symmetries that hold, over the qubits that are measured."""
        found = EVERYTHING
        for rows, ones in self.checks(angles):
            found = found.also(self._sector_of(rows, ones))
        return found

    def _sector_of(self, rows: np.ndarray, ones: int) -> Sector:
        """Where so many of these strings are −1. Of several that read more than a qubit each, their product alone."""
        basis = self.template.basis
        inside = unpack_bits(basis.z[rows], self.template.num_qubits)[:, self.template.measured]  # (k, m)
        signs = basis.sign[rows].astype(float)
        if len(rows) > 1 and inside.sum() > len(rows):
            inside, signs, ones = (
                np.bitwise_xor.reduce(inside, axis=0, keepdims=True),
                signs.prod(keepdims=True),
                ones % 2,
            )
        if len(signs) == 1:
            phases = 0.5 * np.array([1.0, (-1) ** ones * signs[0]])
            return Sector(phases, np.stack([np.ones(inside.shape[1]), np.where(inside[0], -1.0, 1.0)]))
        waves = np.exp(2j * np.pi * np.arange(len(rows) + 1) / (len(rows) + 1))  # w_j = e^{iθ_j}
        phases = waves ** ((signs < 0).sum() - ones) / len(waves)
        own = waves[:, None] ** signs  # of every string, (k + 1, k): e^{iθ} where it is −1, if its sign is 1
        turns = np.ones((len(waves), inside.shape[1]), dtype=complex)
        for row, reads in enumerate(inside):
            turns[:, reads] *= own[:, [row]]
        return Sector(phases, turns)

    @cached_property
    def _generators(self) -> tuple[PauliStrings, np.ndarray]:
        """Those of the rotations, and which anticommute with which, (R, R)."""
        generators, _ = push(self.template.all_ops, self.template.num_qubits)
        return generators, anticommute(generators, generators)

    @cached_property
    def _commutators(self) -> list[list[dict[bytes, complex]]]:
        """Of every number and rotation, half the commutator of Σ_q Z_q with the generator: strings and factors."""
        pulled, hits = self._algebra
        generators, _ = self._generators
        return [[_commutator(pulled[rows[hits[rows, k]]], generators[[k]]) for k in range(len(generators))]
                for rows in self.numbers]  # fmt: skip

    def _conserves(self, number: int, turning: np.ndarray, angles: np.ndarray) -> bool:
        """Whether the rotations conserve a number: by gathering those that commute until their sum does."""
        _, apart = self._generators
        angles = np.pi - np.remainder(np.pi - angles, 2 * np.pi)
        group: list[int] = []
        left: dict[bytes, complex] = {}
        for k in turning:
            moves = self._commutators[number][k]
            if group and apart[k, group].any():
                return False
            if moves:
                group.append(int(k))
                for key, factor in moves.items():
                    left[key] = left.get(key, 0) + angles[k] * factor
                left = {key: value for key, value in left.items() if abs(value) > _SAME}
                if not left:
                    group = []
        return not left


def _commutator(zs: PauliStrings, generator: PauliStrings) -> dict[bytes, complex]:
    strings, phase = product(zs, generator[np.zeros(len(zs), dtype=int)])
    found: dict[bytes, complex] = {}
    for x, z, power in zip(strings.x, strings.z, phase, strict=True):
        key = x.tobytes() + z.tobytes()
        found[key] = found.get(key, 0) + 1j ** int(power)
    return {key: value for key, value in found.items() if value}


def _free_turns(template: Template, strings: Sequence[np.ndarray]) -> Any:
    """Gates that take letters X and Y of the strings to Z, on qubits that the template neither reads nor turns."""
    taken = set(template.measured.tolist()) | set(template.basis.ops.qubits.tolist()) | set(template.places.tolist())
    ops = OpsBuilder(template.num_qubits)
    for letters in strings:
        for qubit in np.flatnonzero(letters):
            if int(qubit) in taken:
                continue
            taken.add(int(qubit))
            if LETTERS[letters[qubit]] == "Y":
                ops.clifford("sdg", int(qubit))
            if LETTERS[letters[qubit]] in "XY":
                ops.clifford("h", int(qubit))
    return ops.ops()


def _reads(frame: Any, letters: np.ndarray) -> bool:
    """Whether the basis turns all strings of these letters (k, n) into Z strings."""
    return not frame.carry(_strings(letters)).x.any()


def _strings(letters: np.ndarray) -> PauliStrings:
    return PauliStrings.from_bits((letters == 1) | (letters == 2), letters >= 2)


def _letters(label: str, place: dict[int, int], count: int) -> np.ndarray | None:
    """The label's letters on the template's qubits (n,); None where it has X or Y on one that is not there."""
    found = np.zeros(count, dtype=np.uint8)
    for number, letter in enumerate(reversed(label)):
        if number in place:
            found[place[number]] = LETTERS.index(letter)
        elif letter in "XY":
            return None
    return found if found.any() else None


def _zs(sets: Sequence[Sequence[int]], count: int) -> np.ndarray:
    found = np.zeros((len(sets), count), dtype=np.uint8)
    for row, qubits in zip(found, sets, strict=True):
        row[list(qubits)] = LETTERS.index("Z")
    return found
