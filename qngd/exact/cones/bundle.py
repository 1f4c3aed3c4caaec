"""Light cones as circuits on few qubits: equal ones once, side by side on the cores.

No field depends on angles, so a bundle is made once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from qngd._system.memory import available_bytes, format_bytes, require_bytes
from qngd._system.threads import num_threads, together
from qngd.circuit.angles import AngleMap
from qngd.circuit.pauli import PauliStrings
from qngd.errors import MemoryLimitError
from qngd.exact.kernels.colours import canonical_order
from qngd.exact.kernels.cones import Members
from qngd.exact.kernels.layout import Signed
from qngd.exact.kernels.spans import coordinates

_STATES = 3  # of a cone, while it is worked on
_SHARES = 8  # pieces of work for every thread


class Cone(NamedTuple):
    """The rotations (m,) of one cone in running order, and the strings that are watched at its end, with weights."""

    rotations: np.ndarray
    watched: PauliStrings
    weights: np.ndarray


class Few(NamedTuple):
    """The strings of a cone, its rotations' first, on the `num_qubits` qubits of its span, and the numbers of those
    whose x masks are the span's vectors."""

    num_qubits: int
    basis: np.ndarray
    x: np.ndarray
    z: np.ndarray
    sign: np.ndarray


def on_few(strings: PauliStrings) -> Few:
    """Strings on the qubits of their span; where these are more than 62, only how many."""
    count = len(strings)
    basis = np.zeros(count, dtype=np.int64)
    out = Signed(np.zeros(count, np.uint64), np.zeros(count, np.uint64), np.zeros(count))
    rank = coordinates(Signed(strings.x, strings.z, strings.sign.astype(float)), basis, out)
    return Few(rank, basis[:rank], *out)


def joined(*parts: PauliStrings) -> PauliStrings:
    """Strings of several lists as one."""
    x, z, sign = (np.concatenate([getattr(part, name) for part in parts]) for name in ("x", "z", "sign"))
    return PauliStrings(parts[0].num_qubits, x, z, sign)


def angle_classes(angles: AngleMap) -> np.ndarray:
    """(K,) numbers, equal for rotations whose angles are equal at all θ."""
    linear, offset = angles.linear, angles(np.zeros(angles.num_parameters)) if angles.is_affine else angles.constant
    known: dict[tuple[bytes, bytes, float], int] = {}
    found = np.empty(len(offset), dtype=np.uint64)
    for k, (begin, end) in enumerate(pairwise(linear.indptr.tolist())):
        key = (linear.indices[begin:end].tobytes(), linear.data[begin:end].tobytes(), float(offset[k]))
        found[k] = known.setdefault(key, len(known))
    return found


def has_room(num_qubits: int) -> bool:
    """Whether the states of a cone of so many qubits fit in memory."""
    return (_STATES * 16) << num_qubits <= available_bytes()


def require_room(num_qubits: int, rotations: int, name: Callable[[], str]) -> None:
    """Raise MemoryLimitError, which names the cone, if states of so many qubits do not fit in memory."""
    if has_room(num_qubits):
        return
    needed = (_STATES * 16) << num_qubits
    raise MemoryLimitError(
        f"light-cone: {name()} depends on {rotations} rotations that take {num_qubits} qubits together, which needs "
        f"{format_bytes(needed)}, and {format_bytes(available_bytes())} are available; use fewer layers, or an "
        "approximation, backend='pauli-propagation' or AerSimulator(method='matrix_product_state') of qiskit_aer, or a "
        "device"
    )


@dataclass(frozen=True, eq=False)
class Bundle:
    """Cones of one kind.

    Attributes:
        members: the different ones among them, D cones.
        which: (C,) of every cone the one that stands for it.
        rotations: of every cone the numbers of its rotations, in the order of those of the one that stands for it.
        spans: of every cone the vectors (r, W) of its qubits: masks of the circuit's qubits.
    """

    members: Members
    which: np.ndarray
    rotations: tuple[np.ndarray, ...]
    spans: tuple[np.ndarray, ...]

    @classmethod
    def of(cls, generators: PauliStrings, classes: np.ndarray, cones: Sequence[Cone]) -> Bundle:
        """Cones of a circuit with these generators (K), whose angles are equal within `classes` (K,). None may be wider
        than `require_room` allows."""
        shapes = [_shape(cone, classes) for cone in cones]
        count = Counter(shapes)
        numbers: dict[bytes, int] = {}
        different: list[tuple[np.ndarray, Few, np.ndarray]] = []
        which, rotations, spans = [], [], []
        for c, shape in enumerate(shapes):
            cone, key = cones[c], b""
            few = _on_few(generators, cone)
            if count[shape] > 1:
                cone = _ordered(few, classes, cone)
                few = _on_few(generators, cone)
                parts = (classes[cone.rotations], few.x, few.z, few.sign, cone.weights)
                key = b"|".join(part.tobytes() for part in parts)
            number = numbers.setdefault(key or b"%d" % len(different), len(different))
            if number == len(different):
                different.append((cone.rotations, few, cone.weights))
            which.append(number)
            rotations.append(cone.rotations)
            strings = joined(generators[cone.rotations], cone.watched)
            spans.append(strings.x[few.basis])
        return cls(_members(different), np.array(which, dtype=np.int64), tuple(rotations), tuple(spans))

    @property
    def largest(self) -> int:
        """The most qubits that a cone takes."""
        return int(self.members.num_qubits.max(initial=0))

    @property
    def num_bytes(self) -> int:
        """Memory of the states that are worked on at one time."""
        return (_STATES * 16 * min(num_threads(), max(1, len(self.members.num_qubits)))) << self.largest

    @cached_property
    def work(self) -> np.ndarray:
        """(D,) amplitudes that one pass over each cone touches."""
        m = self.members
        return (np.diff(m.start) + np.diff(m.end) + 1) * (1.0 * (1 << m.num_qubits))

    @cached_property
    def copies(self) -> np.ndarray:
        """(D,) how many cones each one stands for."""
        return np.bincount(self.which, minlength=len(self.members.num_qubits))

    @cached_property
    def places(self) -> tuple[np.ndarray, np.ndarray]:
        """Of the rotations of all cones: their numbers in the circuit, and in `members`."""
        start = self.members.start
        of_members = [np.arange(start[d], start[d + 1]) for d in self.which]
        empty = [np.zeros(0, dtype=np.int64)]
        return np.concatenate([*self.rotations, *empty]), np.concatenate([*of_members, *empty])

    def each(self, kernel: Callable[[int, int], None]) -> None:
        """kernel(begin, end) on all different cones, in pieces of about equal work, side by side."""
        require_states(self)
        share(kernel, self.work)


def require_states(bundle: Bundle) -> None:
    """Raise MemoryLimitError if the states of a bundle do not fit in memory at one time."""
    require_bytes(bundle.num_bytes, f"light cones of {bundle.largest} qubits")


def share(kernel: Callable[[int, int], None], work: np.ndarray) -> None:
    """kernel(begin, end) on items with so much work each, in pieces of about equal work, side by side."""
    if not len(work):
        return
    done = np.cumsum(work)
    threads = num_threads() if done[-1] > 1 << 15 else 1
    pieces = _SHARES * threads if threads > 1 else 1
    edges = np.unique(np.searchsorted(done, done[-1] * np.arange(1, pieces) / pieces))
    together([partial(kernel, a, b) for a, b in pairwise([0, *edges.tolist(), len(work)]) if a < b], threads)


def _shape(cone: Cone, classes: np.ndarray) -> bytes:
    """Equal for equal cones."""
    return np.sort(classes[cone.rotations]).tobytes() + np.sort(cone.weights).tobytes()


def _on_few(generators: PauliStrings, cone: Cone) -> Few:
    return on_few(joined(generators[cone.rotations], cone.watched))


def _ordered(few: Few, classes: np.ndarray, cone: Cone) -> Cone:
    """A cone, given with its strings on few qubits, in an order that does not depend on the names of the qubits."""
    count = len(cone.rotations)
    # P = i^p X^x Z^z has the same p on the few qubits
    phase = (np.bitwise_count(few.x & few.z) + (1 - few.sign).astype(np.int64)) & 3
    code = np.concatenate([classes[cone.rotations] << np.uint64(3), cone.weights.view(np.uint64)])
    code += 4 * (few.x == 0).astype(np.uint64) + phase.astype(np.uint64)
    order = canonical_order(few.x, few.z, code, count)
    rotations, ends = order[:count], order[count:] - count
    return Cone(cone.rotations[rotations], cone.watched[ends], cone.weights[ends])


def _members(different: Sequence[tuple[np.ndarray, Few, np.ndarray]]) -> Members:
    def ends(counts: Iterator[int]) -> np.ndarray:
        return np.cumsum([0, *counts], dtype=np.int64)

    def all_of(parts: list[np.ndarray], kind: type) -> np.ndarray:
        return np.concatenate([np.zeros(0, dtype=kind), *parts]).astype(kind)

    strings = [
        tuple(each[begin] for each in (few.x, few.z, few.sign) for begin in (slice(len(r)), slice(len(r), None)))
        for r, few, _ in different
    ]
    x, end_x, z, end_z, sign, end_sign = (
        (list(column) for column in zip(*strings, strict=True)) if strings else [[]] * 6
    )
    weights = [w * s for (_, _, w), s in zip(different, end_sign, strict=True)]
    return Members(
        num_qubits=np.array([few.num_qubits for _, few, _ in different], dtype=np.int64),
        start=ends(len(r) for r, _, _ in different),
        rotation=all_of([r for r, _, _ in different], np.int64),
        x=all_of(x, np.uint64),
        z=all_of(z, np.uint64),
        sign=all_of(sign, np.float64),
        end=ends(len(w) for w in weights),
        end_x=all_of(end_x, np.uint64),
        end_z=all_of(end_z, np.uint64),
        weight=all_of(weights, np.float64),
    )
