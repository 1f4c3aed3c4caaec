"""An observable by light cones: which terms are computed together, on which cone."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import partial

import numpy as np

from qngd.circuit.circuit import Circuit
from qngd.circuit.cones import Cones
from qngd.circuit.observable import Observable
from qngd.circuit.pauli import LETTERS
from qngd.exact.cones.bundle import Bundle, Cone, joined, on_few, require_room
from qngd.exact.cones.wide import Trails, trail_where_it_pays


@dataclass(frozen=True, eq=False)
class ConeTerms:
    """An observable: most of its terms by states of their cones, those with wide cones by their paths."""

    bundle: Bundle
    trails: Trails

    @property
    def largest(self) -> int:
        """The most qubits that a state takes."""
        return self.bundle.largest


def terms_of(circuit: Circuit, cones: Cones, classes: np.ndarray, pulled: Observable) -> ConeTerms:
    """The cones of an observable that was pulled through the Clifford gates at the circuit's end.

    A term whose string takes |0…0⟩ where the rotations of its cone do not reach is 0 at all angles, and left out. One
    whose cone is part of another's is computed there.

    Raises:
        MemoryLimitError: a term's cone is too wide; the text names the term.
    """
    strings, weights, generators = pulled.strings, pulled.coefficients, circuit.generators
    found = cones.of(strings)

    def name(t: int) -> str:
        return f"the term {acting(circuit, t, pulled)}"

    kept, wide, trails = [], [], []
    for t in np.flatnonzero(weights).tolist():
        few = on_few(joined(generators[found[t]], strings[[t]]))
        if few.num_qubits > on_few(generators[found[t]]).num_qubits:
            continue
        trail = trail_where_it_pays(generators, found[t], strings[[t]], few.num_qubits)
        if trail is None:
            require_room(few.num_qubits, len(found[t]), partial(name, t))
            kept.append(t)
        else:
            wide.append(t)
            trails.append(trail)
    groups = _gathered([found[t] for t in kept])
    rows = [np.array([kept[place] for place in group]) for group in groups]
    together = [Cone(found[group[0]], strings[group], weights[group]) for group in rows]

    bundle = Bundle.of(generators, classes, together)
    return ConeTerms(bundle, Trails.of(trails, weights[wide] * strings.sign[wide]))


def acting(circuit: Circuit, row: int, pulled: Observable) -> str:
    """A term of a pulled observable as the user wrote it, such as "Z_3 Z_17"."""
    (letters,) = circuit.frame.carry(pulled.strings[[row]]).letters()
    numbers = range(len(letters)) if circuit.numbers is None else circuit.numbers
    return " ".join(f"{LETTERS[letter]}_{q}" for letter, q in zip(letters, numbers, strict=True) if letter) or "1"


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
