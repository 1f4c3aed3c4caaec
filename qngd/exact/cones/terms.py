"""An observable by light cones: which terms are computed together, on which cone."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import partial

import numpy as np

from qngd._system.memory import available_bytes
from qngd.circuit.circuit import Circuit
from qngd.circuit.cones import Cones
from qngd.circuit.observable import Observable
from qngd.circuit.pauli import LETTERS, PauliStrings
from qngd.exact.cones.bundle import Bundle
from qngd.exact.cones.few import Cone, on_few
from qngd.exact.cones.room import require_room
from qngd.exact.cones.states import ConeStates
from qngd.exact.cones.trails import BYTES, Trail, Trails, trail_where_it_pays

_WRITTEN = 8  # letters of a term


@dataclass(frozen=True, eq=False)
class ConeTerms:
    """An observable: of the different cones in the bundle the first are run as states, the others by their paths."""

    bundle: Bundle
    states: ConeStates
    trails: Trails

    def expectation(self, phi: np.ndarray) -> float:
        """⟨H⟩."""
        return float(np.concatenate([self.states.values(phi), self.trails.values(phi)]) @ self.bundle.copies)

    def energy_and_gradient(self, phi: np.ndarray) -> tuple[float, np.ndarray]:
        """⟨H⟩ and ∂⟨H⟩/∂φ (K,) by one forward and one reverse sweep over every cone."""
        by_states, by_paths = self.states.values_and_slopes(phi), self.trails.values_and_slopes(phi)
        values, slopes = (np.concatenate(parts) for parts in zip(by_states, by_paths, strict=True))
        rotation, place = self.bundle.places
        return float(values @ self.bundle.copies), np.bincount(rotation, slopes[place], minlength=len(phi))


def terms_of(circuit: Circuit, cones: Cones, classes: np.ndarray, pulled: Observable) -> ConeTerms:
    """The cones of an observable that was pulled through the Clifford gates at the circuit's end.

    A term whose string takes |0…0⟩ where the rotations of its cone do not reach is 0 at all angles, and left out. One
    whose cone is part of another's is computed there.

    Raises:
        MemoryLimitError: a term's cone is too wide; the text names the term.
    """
    strings, weights, generators = pulled.strings, pulled.coefficients, circuit.generators
    found = cones.of(strings)
    kept = [t for t in np.flatnonzero(weights).tolist() if _is_reached(generators[found[t]], strings[[t]])]
    groups = [[kept[place] for place in group] for group in _gathered([found[t] for t in kept])]
    together = [Cone(found[group[0]], strings[group], weights[group]) for group in groups]
    bundle = Bundle.of(generators, classes, together)

    def name(cone: int) -> str:
        return f"the term {acting(circuit, groups[np.flatnonzero(bundle.which == cone)[0]][0], pulled)}"

    trails: list[Trail] = []
    by_paths = np.zeros(len(bundle.different), dtype=bool)
    most = available_bytes() // BYTES
    for number, cone in enumerate(bundle.different):
        trail = trail_where_it_pays(cone, most)
        if trail is None:
            require_room(cone.num_qubits, len(cone.rotations), partial(name, number))
            continue
        trails.append(trail)
        by_paths[number], most = True, most - len(trail)
    bundle = bundle.sorted(by_paths)
    return ConeTerms(bundle, ConeStates.of(bundle.different[: len(by_paths) - len(trails)]), Trails.of(trails))


def _is_reached(cone: PauliStrings, string: PauliStrings) -> bool:
    """Whether a string can take |0…0⟩ where the rotations of its cone do."""
    return len(cone) not in on_few(PauliStrings.joined([cone, string])).basis


def acting(circuit: Circuit, row: int, pulled: Observable) -> str:
    """A term of a pulled observable as the user wrote it, such as "Z_3 Z_17"; a long one by its ends."""
    (letters,) = circuit.frame.carry(pulled.strings[[row]]).letters()
    numbers = range(len(letters)) if circuit.numbers is None else circuit.numbers
    words = [f"{LETTERS[letter]}_{q}" for letter, q in zip(letters, numbers, strict=True) if letter]
    if len(words) > _WRITTEN:
        words[_WRITTEN - 2 : -1] = ["…"]
    return " ".join(words) or "1"


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
