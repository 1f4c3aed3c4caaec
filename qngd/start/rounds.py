"""Rounds of a circuit: the pattern of parameters that its depth repeats.

Parameters in the order in which they first turn something, each described by what it turns, form a sequence such as
γ β γ β γ β. Its period is what one round more adds. An unfinished round may end it, as the last rotations of a
hardware-efficient circuit do.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from qngd.circuit.circuit import Circuit


@dataclass(frozen=True, eq=False)
class Rounds:
    """Which parameter, by flat index, stands where: `part` (P,) within its round, `round` (P,) counted from 0. `size`
    is how many parameters a round has."""

    part: np.ndarray
    round: np.ndarray
    size: int

    def series(self) -> Iterator[np.ndarray]:
        """The parameters of one part, round after round."""
        for part in range(self.size):
            members = np.flatnonzero(self.part == part)
            yield members[np.argsort(self.round[members])]


def rounds_of(circuit: Circuit, fits: Callable[[int], bool]) -> Rounds | None:
    """The shortest period that repeats and that `fits`, or None.

    Two descriptions of what a parameter turns are tried: the generators, with the Clifford gates pushed to the end, in
    which all ways to write QAOA's cost are one; and the gates as they were written, for circuits whose entangling gates
    make the generators of each round different.
    """
    pattern = circuit.angle_map.pattern.tocsc()
    rows = [pattern.indices[a:b] for a, b in zip(pattern.indptr[:-1], pattern.indptr[1:], strict=True)]
    if not all(map(len, rows)):
        return None
    order = sorted(range(len(rows)), key=lambda parameter: (int(rows[parameter].min()), parameter))
    for described in (_by_generators, _as_written):
        words = described(circuit)
        sequence = [tuple(sorted(words[k] for k in rows[parameter])) for parameter in order]
        for size in range(1, len(sequence) + 1):
            if fits(size) and _repeats(sequence, size):
                place = np.empty(len(order), dtype=np.int64)
                place[order] = np.arange(len(order))
                return Rounds(place % size, place // size, size)
    return None


def _repeats(sequence: Sequence[Hashable], size: int) -> bool:
    return all(one == other for one, other in zip(sequence, sequence[size:], strict=False))


def _by_generators(circuit: Circuit) -> list[tuple[str, ...]]:
    return [(label,) for label in circuit.generators.labels()]


def _as_written(circuit: Circuit) -> list[tuple[str, ...]]:
    words: dict[int, tuple[str, ...]] = {
        rotation.index: (rotation.pauli, str(rotation.qubits), str(rotation.gate_qubits))
        for rotation in circuit.rotations
    }
    return [words[k] for k in range(len(words))]
