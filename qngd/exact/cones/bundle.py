"""Light cones of one kind, of which equal ones stand for each other.

No field depends on angles, so a bundle is made once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np

from qngd.circuit.angles import AngleMap
from qngd.circuit.pauli import PauliStrings
from qngd.exact.cones.few import Cone, Few, FewCone
from qngd.exact.kernels.colours import canonical_order


def angle_classes(angles: AngleMap) -> np.ndarray:
    """(K,) numbers, equal for rotations whose angles are equal at all θ."""
    linear, offset = angles.linear, angles(np.zeros(angles.num_parameters)) if angles.is_affine else angles.constant
    known: dict[tuple[bytes, bytes, float], int] = {}
    found = np.empty(len(offset), dtype=np.uint64)
    for k, (begin, end) in enumerate(pairwise(linear.indptr.tolist())):
        key = (linear.indices[begin:end].tobytes(), linear.data[begin:end].tobytes(), float(offset[k]))
        found[k] = known.setdefault(key, len(known))
    return found


@dataclass(frozen=True, eq=False)
class Bundle:
    """Cones of one kind.

    Attributes:
        different: the different ones among them, D cones.
        which: (C,) of every cone the one that stands for it.
        rotations: of every cone the numbers of its rotations, in the order of those of the one that stands for it.
        spans: of every cone the vectors (r, W) of its qubits: masks of the circuit's qubits.
    """

    different: tuple[FewCone, ...]
    which: np.ndarray
    rotations: tuple[np.ndarray, ...]
    spans: tuple[np.ndarray, ...]

    @classmethod
    def of(cls, generators: PauliStrings, classes: np.ndarray, cones: Sequence[Cone]) -> Bundle:
        """Cones of a circuit with these generators (K), whose angles are equal within `classes` (K,)."""
        shapes = [_shape(cone, classes) for cone in cones]
        count = Counter(shapes)
        numbers: dict[bytes, int] = {}
        different: list[FewCone] = []
        which, rotations, spans = [], [], []
        for c, shape in enumerate(shapes):
            cone, key = cones[c], b""
            few = cone.on_few(generators)
            if count[shape] > 1:
                cone = _ordered(few, classes, cone)
                few = cone.on_few(generators)
                own = few.strings
                parts = (classes[cone.rotations], own.x, own.z, own.sign, cone.weights)
                key = b"|".join(part.tobytes() for part in parts)
            number = numbers.setdefault(key or b"%d" % len(different), len(different))
            if number == len(different):
                different.append(FewCone(cone.rotations, few.strings, cone.weights))
            which.append(number)
            rotations.append(cone.rotations)
            spans.append(_masks(generators, cone, few))
        return cls(tuple(different), np.array(which, dtype=np.int64), tuple(rotations), tuple(spans))

    def sorted(self, late: np.ndarray) -> Bundle:
        """The same with those of the different cones that are `late` (D,) behind the others."""
        order = np.argsort(late, kind="stable")
        which = np.argsort(order)[self.which]
        return replace(self, different=tuple(self.different[d] for d in order), which=which)

    @property
    def largest(self) -> int:
        """The most qubits that a cone takes."""
        return max((cone.num_qubits for cone in self.different), default=0)

    @cached_property
    def copies(self) -> np.ndarray:
        """(D,) how many cones each one stands for."""
        return np.bincount(self.which, minlength=len(self.different))

    @cached_property
    def start(self) -> np.ndarray:
        """(D+1,) where the rotations of each different cone begin, one cone after the other, with the end."""
        return np.cumsum([0, *(len(cone.rotations) for cone in self.different)], dtype=np.int64)

    @cached_property
    def places(self) -> tuple[np.ndarray, np.ndarray]:
        """Of the rotations of all cones: their numbers in the circuit, and among those of the different cones."""
        of_different = [np.arange(self.start[d], self.start[d + 1]) for d in self.which]
        empty = [np.zeros(0, dtype=np.int64)]
        return np.concatenate([*self.rotations, *empty]), np.concatenate([*of_different, *empty])


def _shape(cone: Cone, classes: np.ndarray) -> bytes:
    """Equal for equal cones."""
    return np.sort(classes[cone.rotations]).tobytes() + np.sort(cone.weights).tobytes()


def _masks(generators: PauliStrings, cone: Cone, few: Few) -> np.ndarray:
    """The vectors of a cone's qubits as masks of the circuit's."""
    count = len(cone.rotations)
    of_rotations = few.basis < count
    ours, theirs = cone.rotations[few.basis[of_rotations]], few.basis[~of_rotations] - count
    return np.concatenate([generators.x[ours], cone.watched.x[theirs]])


def _ordered(few: Few, classes: np.ndarray, cone: Cone) -> Cone:
    """A cone, given with its strings on few qubits, in an order that does not depend on the names of the qubits."""
    count, own = len(cone.rotations), few.strings
    # P = i^p X^x Z^z has the same p on the few qubits
    phase = (np.bitwise_count(own.x & own.z).sum(axis=1, dtype=np.int64) + 1 - own.sign) & 3
    code = np.concatenate([classes[cone.rotations] << np.uint64(3), cone.weights.view(np.uint64)])
    code += 4 * (~own.x.any(axis=1)).astype(np.uint64) + phase.astype(np.uint64)
    order = canonical_order(own.x, own.z, code, count)
    rotations, ends = order[:count], order[count:] - count
    return Cone(cone.rotations[rotations], cone.watched[ends], cone.weights[ends])
