"""Strings whose cones are too wide for states, by sums over paths (see `qngd.exact.kernels.paths`)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from qngd.circuit.pauli import PauliStrings
from qngd.exact.cones.bundle import has_room, share
from qngd.exact.kernels import paths as kernels
from qngd.exact.kernels.layout import Signed
from qngd.exact.kernels.paths import Paths

_MOST_STRINGS = 1 << 19  # on the paths of one watched string
_SOME_STRINGS = 1 << 14
_WIDE = 16  # qubits from which on paths are looked for
_STRING = 4  # work on a string, in amplitudes of a rotation


@dataclass(frozen=True, eq=False)
class Trail:
    """The paths of one watched string: its `rotations` from the last to the first, and what `find_paths` gives."""

    rotations: np.ndarray
    sizes: np.ndarray
    strings: tuple[np.ndarray, ...]

    @property
    def is_zero(self) -> bool:
        """Whether no path leads to a Z string."""
        return len(self.sizes) > 0 and self.sizes[-1] == 0

    def __len__(self) -> int:
        return len(self.strings[0])


def trail_of(
    generators: PauliStrings, rotations: np.ndarray, watched: PauliStrings, limit: int = _MOST_STRINGS
) -> Trail | None:
    """The paths of one string through the rotations of its cone; None if more than `limit` strings lie on them."""
    cone = generators[rotations]
    if not len(rotations):
        sizes = np.zeros(int(watched.x.any()), dtype=np.int64)  # a step to nothing for what is 0
        return Trail(np.zeros(len(sizes), dtype=np.int64), sizes, _NOTHING)
    sizes, *strings = kernels.find_paths(watched.x[0], watched.z[0], Signed(cone.x, cone.z, cone.sign), limit)
    return Trail(rotations[::-1], sizes, tuple(strings)) if len(sizes) else None


def trail_where_it_pays(
    generators: PauliStrings, rotations: np.ndarray, watched: PauliStrings, num_qubits: int
) -> Trail | None:
    """The paths of a string whose cone takes a state of so many qubits, where they are less work; None elsewhere."""
    if num_qubits < _WIDE:
        return None
    # where a state is possible, few strings must do: to look for many takes longer than many runs of the state
    most = _SOME_STRINGS if has_room(num_qubits) else _MOST_STRINGS
    limit = min(most, int((len(rotations) << min(num_qubits, 40)) / _STRING))
    return trail_of(generators, rotations, watched, limit)


_NOTHING = tuple(np.zeros(0, dtype=kind) for kind in (np.int32, np.int32, np.int8, np.bool_))


@dataclass(frozen=True, eq=False)
class Trails:
    """The paths of T watched strings with `weights` (T,), the signs of the strings included."""

    paths: Paths
    weights: np.ndarray

    @classmethod
    def of(cls, trails: Iterable[Trail], weights: Iterable[float]) -> Trails:
        found = list(trails)
        own, other, sign, turns = (
            np.concatenate([nothing, *(trail.strings[i] for trail in found)]) for i, nothing in enumerate(_NOTHING)
        )
        none = np.zeros(0, dtype=np.int64)
        return cls(
            Paths(
                step=np.cumsum([0, *(len(trail.sizes) for trail in found)]),
                rotation=np.concatenate([none, *(trail.rotations for trail in found)]),
                start=np.cumsum(np.concatenate([[0], none, *(trail.sizes for trail in found)]).astype(np.int64)),
                own=own, other=other, sign=sign, turns=turns,
            ),
            np.array(list(weights), dtype=float),
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self.weights)

    @property
    def num_strings(self) -> int:
        """On all paths."""
        return len(self.paths.own)

    @property
    def longest(self) -> int:
        """The most rotations of a cone."""
        return int(np.diff(self.paths.step).max(initial=0))

    @property
    def _work(self) -> np.ndarray:
        return np.diff(self.paths.start[self.paths.step]) + 1.0

    def values(self, phi: np.ndarray) -> np.ndarray:
        """weight·⟨P⟩ of each watched string, (T,)."""
        value, none = np.zeros(len(self)), np.zeros(0)
        share(lambda a, b: kernels.add_up(self.paths, phi, a, b, False, value, none), self._work)
        return self.weights * value

    def values_and_slope(self, phi: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """`values`, and the derivative of their sum by all angles (K,)."""
        value, slope = np.zeros(len(self)), np.zeros(len(self.paths.rotation))
        share(lambda a, b: kernels.add_up(self.paths, phi, a, b, True, value, slope), self._work)
        weighted = np.repeat(self.weights, np.diff(self.paths.step)) * slope
        return self.weights * value, np.bincount(self.paths.rotation, weighted, minlength=len(phi))
