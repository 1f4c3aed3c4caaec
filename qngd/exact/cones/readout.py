"""What some of the qubits read at a circuit's end: the distribution of their outcomes, by light cones.

The Z strings of the qubits that are read commute, and a state in the light cone of all of them together gives their
joint distribution. Where the x masks of two cones act on different bits, no product of a string of the one and a string
of the other takes |0…0⟩ to itself unless both do, so that ⟨AB⟩ = ⟨A⟩⟨B⟩: such qubits are independent of each other, and
each group that holds together takes a state of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from qngd.circuit.cones import Cones
from qngd.circuit.pauli import PauliStrings
from qngd.circuit.quarter_turns import turns_to_z
from qngd.exact.cones.few import on_few
from qngd.exact.cones.room import require_room
from qngd.exact.kernels.layout import Rotations
from qngd.exact.statevector import apply_rotations, weights_of, zero_state

_QUARTER = np.pi / 4  # half the angle of a quarter turn


@dataclass(frozen=True, eq=False)
class QubitGroup:
    """Read strings that depend on each other: their `places` (m,) among all that are read, the `rotations` (R,) of
    their light cone, and the strings of both on the few qubits of the cone, the rotations first."""

    places: np.ndarray
    rotations: np.ndarray
    few: PauliStrings

    def outcomes(self, phi: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """At the angles (K,): the bits (B, m) of every basis state of the cone, behind the turns that make all read
        strings Z strings, and its probability (B,)."""
        count = len(self.rotations)
        own = self.few[:count]
        state = zero_state(self.few.num_qubits)
        apply_rotations(state, Rotations.by(0.5 * own.sign * phi[self.rotations], own.x[:, 0], own.z[:, 0]))
        turn_x, turn_z, parity, flip = turns_to_z(self.few[count:])
        apply_rotations(state, Rotations.by(np.full(len(turn_x), _QUARTER), turn_x, turn_z))
        index = np.arange(1 << self.few.num_qubits, dtype=np.uint64)
        odd = np.bitwise_count(index[:, None] & parity) & 1
        return odd.astype(bool) ^ flip, weights_of(state)

    def distribution(self, phi: np.ndarray) -> np.ndarray:
        """The probability (2^m,) of every outcome; the first string's bit is the lowest of its number."""
        bits, weights = self.outcomes(phi)
        return np.bincount(bits @ (1 << np.arange(len(self.places))), weights, minlength=1 << len(self.places))


def groups_of(
    generators: PauliStrings, cones: Cones, read: PauliStrings, name: Callable[[np.ndarray], str]
) -> list[QubitGroup]:
    """The groups of commuting strings that are read, pulled through the Clifford gates at the circuit's end, behind
    rotations about the generators (K). `name` says in words which the strings at some places are.

    Raises:
        MemoryLimitError: a group's cone is too wide; the text names it.
    """
    each = cones.of(read)
    reach = np.array([_reach(generators[cone], read[[t]]) for t, cone in enumerate(each)])
    found = []
    for places in _overlapping(reach):
        rotations = np.unique(np.concatenate([each[t] for t in places]))
        few = on_few(PauliStrings.joined([generators[rotations], read[places]])).strings
        require_room(few.num_qubits + 2, len(rotations), partial(name, places))  # and its outcomes
        found.append(QubitGroup(places, rotations, few))
    return found


def _reach(cone: PauliStrings, read: PauliStrings) -> np.ndarray:
    """The bits (W,) that any string of a cone flips."""
    return np.bitwise_or.reduce(np.concatenate([cone.x, read.x]), axis=0)


def _overlapping(reach: np.ndarray) -> list[np.ndarray]:
    """The masks (T, W) by number, those together that hang together by common bits."""
    groups: list[tuple[np.ndarray, list[int]]] = []
    for t, mask in enumerate(reach):
        near = [group for group in groups if (group[0] & mask).any()]
        groups = [group for group in groups if not (group[0] & mask).any()]
        whole = np.bitwise_or.reduce([mask, *(bits for bits, _ in near)], axis=0)
        groups.append((whole, sorted([t, *(member for _, members in near for member in members)])))
    return [np.array(members) for _, members in groups]
