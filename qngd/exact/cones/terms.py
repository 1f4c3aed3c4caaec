"""An observable by light cones: which terms are computed together, on which cone."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from qngd.circuit.circuit import Circuit
from qngd.circuit.cones import Cones
from qngd.circuit.observable import Observable
from qngd.circuit.pauli import LETTERS, PauliStrings
from qngd.exact.cones.bundle import Bundle, Cone, joined, on_few


def bundle_of(circuit: Circuit, cones: Cones, classes: np.ndarray, pulled: Observable) -> Bundle:
    """The cones of an observable that was pulled through the Clifford gates at the circuit's end.

    A term whose string takes |0…0⟩ where the rotations of its cone do not reach is 0 at all angles, and left out. One
    whose cone is part of another's is computed there.

    Raises:
        MemoryLimitError: a term's cone is too wide; the text names the term.
    """
    strings, weights, generators = pulled.strings, pulled.coefficients, circuit.generators
    found = cones.of(strings)
    kept = [
        t
        for t, rotations in enumerate(found)
        if weights[t] and _reaches(joined(generators[rotations], strings[[t]]), len(rotations))
    ]
    groups = _gathered([found[t] for t in kept])
    rows = [np.array([kept[place] for place in group]) for group in groups]
    together = [Cone(found[group[0]], strings[group], weights[group]) for group in rows]

    def name(c: int) -> str:
        return f"the term {acting(circuit, rows[c][0], pulled)}"

    return Bundle.of(generators, classes, together, name)


def acting(circuit: Circuit, row: int, pulled: Observable) -> str:
    """A term of a pulled observable as the user wrote it, such as "Z_3 Z_17"."""
    (letters,) = circuit.frame.carry(pulled.strings[[row]]).letters()
    numbers = range(len(letters)) if circuit.numbers is None else circuit.numbers
    return " ".join(f"{LETTERS[letter]}_{q}" for letter, q in zip(letters, numbers, strict=True) if letter) or "1"


def _reaches(strings: PauliStrings, count: int) -> bool:
    """Whether the last string's x mask is in the span of those before it."""
    return on_few(strings).num_qubits == on_few(strings[:count]).num_qubits


def _gathered(cones: list[np.ndarray]) -> list[list[int]]:
    """The cones by number, each with those that are part of it; the widest first in its group."""
    members = [frozenset(cone.tolist()) for cone in cones]
    groups: list[list[int]] = []
    holding: dict[int, list[int]] = defaultdict(list)  # the groups whose first has a rotation
    for t in sorted(range(len(cones)), key=lambda t: -len(cones[t])):
        if members[t]:
            near = holding[int(cones[t][0])]
        else:
            near = list(range(min(1, len(groups))))
        whole = next((g for g in near if members[t] <= members[groups[g][0]]), None)
        if whole is None:
            for k in members[t]:
                holding[k].append(len(groups))
            groups.append([t])
        else:
            groups[whole].append(t)
    return groups
