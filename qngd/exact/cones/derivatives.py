"""What a metric by light cones is made of: derivative states, and paths where a cone is too wide for a state."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from qngd._system.memory import available_bytes, format_bytes
from qngd.circuit.circuit import Circuit
from qngd.circuit.cones import Cones
from qngd.circuit.pauli import PauliStrings, product
from qngd.errors import MemoryLimitError
from qngd.exact.cones.bundle import Bundle
from qngd.exact.cones.few import Cone, FewCone
from qngd.exact.cones.pairs import pairs_of
from qngd.exact.cones.states import ConeStates
from qngd.exact.cones.trails import Trail, Trails, trail_of
from qngd.exact.kernels.cones import Pairs

_SHARE = 8  # of the memory, that one derivative state may take at most a part of
_NARROW = 17  # qubits of a state that is no matter


@dataclass(frozen=True, eq=False)
class WideEntries:
    """Entries ⟨P_iP_j⟩ − ⟨P_i⟩⟨P_j⟩ by paths: rotations `first` and `second` (Q,), the trails of the products, and the
    place of each of these among the entries; the others' products are 0."""

    first: np.ndarray
    second: np.ndarray
    products: Trails
    place: np.ndarray


@dataclass(frozen=True, eq=False)
class MetricPlan:
    """One kind of metric: the pairs of derivative states, and the entries of wide cones."""

    pairs: Pairs
    wide: WideEntries


class Derivatives:
    """The derivative states of a circuit's moving rotations: those that `narrow` cones make room for, of which `bundle`
    has the cones, and the `wide` others, rotations by number. States are the first choice where they are small or, if
    `by_memory`, where there is room."""

    def __init__(self, circuit: Circuit, cones: Cones, classes: np.ndarray, by_memory: bool = False) -> None:
        self.circuit = circuit
        self._cones = cones
        generators = circuit.generators
        moving = np.flatnonzero(circuit.moving)
        found = [self._cone(k) for k in moving.tolist()]
        width = np.array([cone.on_few(generators).strings.num_qubits for cone in found], dtype=int)
        fits = np.exp2(width + 4.0) <= available_bytes() / _SHARE if by_memory else width <= _NARROW
        self.by_memory = by_memory
        self.narrow, self.wide = moving[fits], moving[~fits]
        self.bundle = Bundle.of(generators, classes, [cone for cone, good in zip(found, fits, strict=True) if good])
        self.states = ConeStates.of(self.bundle.different)
        self.num_bytes = 16 * int((1 << self.states.members.num_qubits).sum())

    def _cone(self, k: int) -> Cone:
        return Cone(self._cones.before(k), self.circuit.generators[[k]], np.ones(1))

    @property
    def have_states(self) -> bool:
        """Whether all of them are states that fit in memory at one time."""
        return not len(self.wide) and self.num_bytes <= available_bytes()

    @cached_property
    def means(self) -> Trails:
        """⟨P_i⟩ of the wide ones."""
        generators = self.circuit.generators
        return Trails.of([self._trail(self._cones.before(k), generators[[k]], k) for k in self.wide.tolist()])

    def plan(self, block: np.ndarray) -> MetricPlan:
        """The entries of all pairs of rotations with the same number in `block` (K,), which commute where one of them
        is wide.

        Raises:
            MemoryLimitError: an entry has too many paths; the text names the gate.
        """
        pairs = pairs_of(self.bundle.spans, block[self.narrow])
        generators = self.circuit.generators
        first, second = np.array([*self._wide_pairs(block)], dtype=np.int64).reshape(-1, 2).T
        strings, phase = product(generators[first], generators[second])
        trails: list[Trail] = []
        place = []
        for entry, cone in enumerate(self._before_layers(first, second)):
            trail = self._trail(cone, strings[[entry]], int(first[entry]), 1.0 - phase[entry])
            if not trail.is_zero:
                trails.append(trail)
                place.append(entry)
        return MetricPlan(pairs, WideEntries(first, second, Trails.of(trails), np.array(place, dtype=np.int64)))

    def _wide_pairs(self, block: np.ndarray) -> Iterator[tuple[int, int]]:
        is_wide = np.zeros(len(block), dtype=bool)
        is_wide[self.wide] = True
        for k in self.wide:
            for j in np.flatnonzero(self.circuit.moving & (block == block[k])):
                if not is_wide[j] or j <= k:
                    yield int(k), int(j)

    def _before_layers(self, first: np.ndarray, second: np.ndarray) -> Iterator[np.ndarray]:
        """The rotations before the layer of each pair, both of one layer, that matter to the product of their strings:
        of those that matter to either."""
        strings, _ = product(self.circuit.generators[first], self.circuit.generators[second])
        level, moving = self.circuit.level, self.circuit.moving
        for entry, k in enumerate(first):
            before = np.where(moving, level < level[k], level <= level[k])
            yield self._cones.of(strings[[entry]], before)[0]

    def _trail(self, rotations: np.ndarray, string: PauliStrings, k: int, weight: float = 1.0) -> Trail:
        cone = Cone(rotations, string, np.array([weight]))
        trail = trail_of(FewCone(rotations, cone.on_few(self.circuit.generators).strings, cone.weights))
        if trail is None:
            raise self.too_wide(k)
        return trail

    def too_wide(self, k: int, remedy: str = "use fewer layers") -> MemoryLimitError:
        """What to raise where rotation k's entries cannot be had."""
        cone = self._cone(k)
        gate = self.circuit.gates[int(self.circuit.ops.gate[self.circuit.ops.rotations[k]])]
        return MemoryLimitError(
            f"light-cone: the metric's entries of gate {gate.name} on qubits {', '.join(map(str, gate.qubits))} depend "
            f"on {len(cone.rotations)} rotations that take {cone.on_few(self.circuit.generators).strings.num_qubits} "
            f"qubits together, and "
            f"{format_bytes(available_bytes())} are available; {remedy}"
        )
