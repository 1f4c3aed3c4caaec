"""Shots that break a symmetry of the circuit left out.

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

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from qngd.backends.around import Around, AroundHandle, Asked
from qngd.backends.base import Footprint, ResumableBackend
from qngd.backends.readout import EVERYTHING, ReadoutCorrected, Sector
from qngd.circuit.builder import OpsBuilder
from qngd.circuit.frame import push
from qngd.circuit.ops import concatenate
from qngd.circuit.pauli import LETTERS, PauliStrings, anticommute, product, unpack_bits
from qngd.errors import BackendError, SettingError, shown
from qngd.measured.grouping import Basis
from qngd.measured.outcomes import Counts, Outcome
from qngd.measured.plan import Request
from qngd.measured.template import Template

_SAME = 1e-9  # of angles, in radians
_NO_TURN = 1e-8


class PostSelected(Around):
    """A backend that gives counts, without the shots that break a symmetry of the circuit.

    What a symmetry's value is follows from the circuit. Energies, gradients and metrics use it alike, each circuit
    where it holds (see the module). Circuits measure the qubits that a symmetry needs besides their own, in bases that
    need no further two-qubit gates. Shots left out have been paid for and count; errors are those of the shots that are
    kept. Around `ReadoutCorrected` it selects what is read when readout errors are undone, and gives expectation values
    alone; they are ratios, whose bias falls as 1/N² with the shots.

    Args:
        backend: as in `minimize`; one that gives counts, or a `ReadoutCorrected` one.
        parities: Pauli strings that the circuit conserves, as labels such as "ZZZZ" (rightmost letter is qubit 0).
        particles: sets of qubits on each of which the number of ones is conserved, as [(0, 1), (2, 3)], or "all" for
            the number on all qubits. Where a circuit conserves only the parity of a number, that is used.

    Raises:
        BackendError: it is no backend, or has shots left out already.
        SettingError: no symmetry is given, or one is none.
    """

    about = "post-selected"
    goes_around = (ReadoutCorrected,)
    least_shots = 20  # so that some are kept of every circuit: with half of them lost, all are once in a million

    def __init__(self, backend: Any, *, parities: Iterable[str] = (), particles: Any = ()) -> None:
        super().__init__(backend)
        self.parities = _labels(parities)
        self.particles = _sets(particles)
        if not self.parities and not self.particles:
            raise SettingError('give a symmetry: parities=["ZZZZ"], particles=[(0, 1), (2, 3)] or particles="all"')
        self._sieves: WeakKeyDictionary[Template, Sieve] = WeakKeyDictionary()

    @property
    def corrects(self) -> str:
        return f"parities={self.parities}, particles={self.particles}"

    def sent(self, templates: Sequence[Template], requests: Sequence[Request]) -> Asked:
        """The same requests of circuits that measure what the symmetries need.

        Raises:
            BackendError: no symmetry holds for any of them.
        """
        if requests and not any(self._sieve(templates[r.template]).checks(r.angles) for r in requests):
            raise BackendError(
                f"backend: {self.name}: none of its circuits ({len(requests)}) conserves {self._all} in a "
                "basis that shows it, so that no shot could be left out; give symmetries of the circuit, or the "
                "backend itself"
            )
        return self.of_job(templates, requests)

    def of_job(self, templates: Sequence[Template], requests: Sequence[Request]) -> Asked:
        return Asked([self._sieve(template).template for template in templates], requests)

    @property
    def by_job(self) -> bool:
        """As the inner backend: every circuit stands for itself."""
        return isinstance(self.inner, ResumableBackend) and self.inner.by_job

    def describe(self, templates: Sequence[Template]) -> list[Footprint] | None:
        return self.inner.describe([self._sieve(template).template for template in templates])

    def collect(self, handle: AroundHandle) -> list[Outcome]:
        if not isinstance(self.inner, ReadoutCorrected):
            return super().collect(handle)
        templates = handle.asked.templates
        sectors = [self._sieve(templates[r.template]).sector(r.angles) for r in handle.asked.requests]
        return self.inner.selected(handle.inner, templates, sectors)

    def read(self, handle: AroundHandle, outcomes: list[Counts]) -> list[Outcome]:
        asked, found = handle.asked, []
        for r, (request, outcome) in enumerate(zip(asked.requests, outcomes, strict=True)):
            kept = self._sieve(asked.templates[request.template]).kept(outcome, request.angles)
            if not kept.shots:
                raise BackendError(
                    f"{self.name}: none of the {outcome.shots} shots of request {r} conserves {self._all}; take more "
                    "shots, or a device with less noise"
                )
            found.append(kept)
        return [*found]

    @property
    def _all(self) -> str:
        numbers = ("all qubits" if each is None else f"qubits {', '.join(map(str, each))}" for each in self.particles)
        return " or ".join([*self.parities, *(f"the number of ones on {each}" for each in numbers)])

    def _sieve(self, template: Template) -> Sieve:
        if template not in self._sieves:
            self._sieves[template] = Sieve.of(template, self.parities, self.particles)
        return self._sieves[template]


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
        more = _free_turns(template, strings)
        basis = concatenate(template.basis.ops, more)
        _, frame = push(basis, count)
        rows: list[np.ndarray] = []
        found_parities: list[int] = []
        found_numbers: list[np.ndarray] = []
        first = len(template.strings)
        for letters in strings:
            if _reads(frame, letters[None]):
                found_parities.append(first + len(rows))
                rows.append(letters)
        for qubits in sets:
            each = _zs([[q] for q in qubits], count)
            if qubits and _reads(frame, each):
                found_numbers.append(first + len(rows) + np.arange(len(qubits)))
                rows.extend(each)
        if not rows:
            return cls(template, [], [])
        added = _strings(np.array(rows))
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
        return cls(made, found_parities, found_numbers)

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


def _labels(parities: Any) -> tuple[str, ...]:
    labels = (parities,) if isinstance(parities, str) else tuple(parities)
    for label in labels:
        if not isinstance(label, str) or not label.strip("I") or label.strip(LETTERS):
            raise SettingError(f"parities are Pauli strings such as 'ZZZZ', not the identity; got {shown(label)}")
    return labels


def _sets(particles: Any) -> tuple[tuple[int, ...] | None, ...]:
    if isinstance(particles, str) and particles == "all":
        return (None,)
    try:
        given = tuple(particles)
        sets = (given,) if given and all(isinstance(each, (int, np.integer)) for each in given) else given
        found = tuple(tuple(int(qubit) for qubit in each) for each in sets)
        wrong = any(not each or min(each) < 0 or len(set(each)) < len(each) for each in found)
    except (TypeError, ValueError):
        wrong, found = True, ()
    if wrong or isinstance(particles, str):
        raise SettingError(f'particles are sets of qubits, as [(0, 1), (2, 3)], or "all"; got {shown(particles)}')
    return found
