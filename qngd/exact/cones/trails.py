"""Light cones by sums over paths (see `qngd.exact.kernels.paths`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from qngd.circuit.pauli import PauliStrings, unpack_bits
from qngd.exact.cones.few import FewCone, on_few
from qngd.exact.cones.room import share
from qngd.exact.kernels import paths as kernels
from qngd.exact.kernels.elimination import forgetful_order
from qngd.exact.kernels.layout import Signed
from qngd.exact.kernels.paths import Paths

BYTES = 13 + 16  # of a string on a path, with its weights while they are added up
_MOST_STRINGS = 1 << 21  # on the paths of one cone
_FEW_STRINGS = 1 << 10  # for which no better order is looked for
_MOST_ROTATIONS = 512  # of a cone for which one is looked for
_LESS = 8  # bits by which there may be less strings at a time than their bound
_SMALL = 1 << 9  # amplitudes of rotations of a cone that is as soon run as a state
_STRING = 4  # work on a string, in amplitudes of a rotation


@dataclass(frozen=True, eq=False)
class Trail:
    """The paths of a cone's watched strings with their `weights` (V,), through its rotations in an `order` (m,) of
    places among them, the last first: their numbers `rotations` (m,) in the circuit, and what `find_paths` gives."""

    order: np.ndarray
    rotations: np.ndarray
    weights: np.ndarray
    sizes: np.ndarray
    source: np.ndarray
    sign: np.ndarray

    @property
    def is_zero(self) -> bool:
        """Whether no path leads to a Z string."""
        return not (self.sizes[-1] if len(self.sizes) else len(self.weights))

    def __len__(self) -> int:
        return len(self.sign)


def trail_of(cone: FewCone, limit: int = _MOST_STRINGS) -> Trail | None:
    """The paths through a cone; None if more than `limit` strings lie on them."""
    count = len(cone.rotations)
    found = _trail_along(cone, np.arange(count)[::-1], min(limit, _FEW_STRINGS))
    if found is None and limit > _FEW_STRINGS and count <= _MOST_ROTATIONS:
        inner = cone.strings[:count]
        order = forgetful_order(inner.x, inner.z, limit.bit_length() + _LESS)
        found = _trail_along(cone, order, limit) if len(order) else None
    return found


def _trail_along(cone: FewCone, order: np.ndarray, limit: int) -> Trail | None:
    count = len(order)
    own, basis = on_few(cone.strings[np.concatenate([order[::-1], np.arange(count, len(cone.strings))])])
    needed = np.searchsorted(basis, np.arange(count + 1))
    generators, ends = own[:count], own[count:]
    # a watched string with a vector that no rotation has never becomes a Z string
    alive = np.flatnonzero(~unpack_bits(ends.x, own.num_qubits)[:, needed[-1] :].any(axis=1))
    ends = ends[alive]
    sizes, source, sign = kernels.find_paths(_signed(ends), _signed(generators), needed, limit)
    if len(sizes) < count:
        return None
    return Trail(order, cone.rotations[order], cone.weights[alive] * ends.sign, sizes, source, sign)


def _signed(strings: PauliStrings) -> Signed:
    return Signed(strings.x, strings.z, strings.sign)


def trail_where_it_pays(cone: FewCone, most: int) -> Trail | None:
    """The paths through a cone, where they are less work than its state and at most so many strings; None elsewhere."""
    work = len(cone.strings) << min(cone.num_qubits, 48)
    if work < _SMALL:
        return None
    return trail_of(cone, min(_MOST_STRINGS, most, int(work / _STRING)))


@dataclass(frozen=True, eq=False)
class Trails:
    """The paths of T cones; `place` (S,) is of each step where its rotation stands, one cone after the other."""

    paths: Paths
    place: np.ndarray

    @classmethod
    def of(cls, trails: Sequence[Trail]) -> Trails:
        none, ends = np.zeros(0, dtype=np.int64), np.cumsum([0, *(len(trail.order) for trail in trails)])
        return cls(
            Paths(
                watched=np.cumsum([0, *(len(trail.weights) for trail in trails)]),
                weight=np.concatenate([np.zeros(0), *(trail.weights for trail in trails)]),
                step=ends,
                rotation=np.concatenate([none, *(trail.rotations for trail in trails)]),
                start=np.cumsum(np.concatenate([[0], none, *(trail.sizes for trail in trails)]).astype(np.int64)),
                source=np.concatenate([np.zeros((0, 3), dtype=np.int32), *(trail.source for trail in trails)]),
                sign=np.concatenate([np.zeros(0, dtype=np.int8), *(trail.sign for trail in trails)]),
            ),
            np.concatenate([none, *(trail.order + begin for trail, begin in zip(trails, ends, strict=False))]),
        )

    def __len__(self) -> int:
        return len(self.paths.step) - 1

    @property
    def num_strings(self) -> int:
        """On all paths."""
        return len(self.paths.sign)

    @property
    def longest(self) -> int:
        """The most rotations of a cone."""
        return int(np.diff(self.paths.step).max(initial=0))

    @cached_property
    def _work(self) -> np.ndarray:
        return np.diff(self.paths.start[self.paths.step]) + 1.0

    def values(self, phi: np.ndarray) -> np.ndarray:
        """Σ weight·⟨P⟩ of each cone, (T,)."""
        value, none = np.zeros(len(self)), np.zeros(0)
        share(lambda a, b: kernels.add_up(self.paths, phi, a, b, False, value, none), self._work)
        return value

    def values_and_slopes(self, phi: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """`values`, and the derivatives by the angle of each of their rotations, one cone after the other."""
        value, along, slope = np.zeros(len(self)), np.zeros(len(self.place)), np.zeros(len(self.place))
        share(lambda a, b: kernels.add_up(self.paths, phi, a, b, True, value, along), self._work)
        slope[self.place] = along
        return value, slope
