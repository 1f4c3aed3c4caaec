"""Light cones by states, side by side on the cores."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from qngd._system.memory import NARROWER, require_bytes
from qngd._system.threads import num_threads
from qngd.circuit.pauli import PauliStrings
from qngd.exact.cones.few import FewCone
from qngd.exact.cones.room import STATES, share
from qngd.exact.kernels import cones as kernels
from qngd.exact.kernels.cones import Members


@dataclass(frozen=True, eq=False)
class ConeStates:
    """S cones that are run as states. None may be wider than `require_room` allows."""

    members: Members

    @classmethod
    def of(cls, cones: Sequence[FewCone]) -> ConeStates:
        inner = [cone.strings[: len(cone.rotations)] for cone in cones]
        ends = [cone.strings[len(cone.rotations) :] for cone in cones]
        weights = [cone.weights * end.sign for cone, end in zip(cones, ends, strict=True)]
        members = Members(
            num_qubits=np.array([cone.num_qubits for cone in cones], dtype=np.int64),
            start=np.cumsum([0, *map(len, inner)], dtype=np.int64),
            rotation=_all((cone.rotations for cone in cones), np.int64),
            x=_words(inner, "x"),
            z=_words(inner, "z"),
            sign=_all((each.sign for each in inner), np.float64),
            end=np.cumsum([0, *map(len, ends)], dtype=np.int64),
            end_x=_words(ends, "x"),
            end_z=_words(ends, "z"),
            weight=_all(weights, np.float64),
        )
        return cls(members)

    def __len__(self) -> int:
        return len(self.members.num_qubits)

    @property
    def largest(self) -> int:
        """The most qubits that a cone takes."""
        return int(self.members.num_qubits.max(initial=0))

    @property
    def num_bytes(self) -> int:
        """Memory of the states that are worked on at one time."""
        return (STATES * 16 * min(num_threads(), len(self))) << self.largest

    @cached_property
    def work(self) -> np.ndarray:
        """(S,) amplitudes that one pass over each cone touches."""
        m = self.members
        return (np.diff(m.start) + np.diff(m.end) + 1) * np.exp2(m.num_qubits)

    def values(self, phi: np.ndarray) -> np.ndarray:
        """Σ weight·⟨P⟩ of each cone, (S,)."""
        found = np.zeros(len(self))
        self._each(lambda a, b: kernels.energies(self.members, 0.5 * phi, a, b, found))
        return found

    def values_and_slopes(self, phi: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """`values`, and the derivatives by the angle of each of their rotations, one cone after the other, by one
        forward and one reverse sweep over every cone."""
        found, slope = np.zeros(len(self)), np.zeros(len(self.members.x))
        self._each(lambda a, b: kernels.slopes(self.members, 0.5 * phi, a, b, found, slope))
        return found, slope

    def derivatives(self, phi: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """All U†PU|0⟩ side by side, (2, ·), and where each begins; U is a cone's circuit, P what is watched at its
        end."""
        ends = np.cumsum([0, *(1 << self.members.num_qubits).tolist()])
        states = np.empty((2, int(ends[-1])))
        self._each(lambda a, b: kernels.derivatives(self.members, 0.5 * phi, a, b, ends, states))
        return states, ends[:-1]

    def _each(self, kernel: Callable[[int, int], None]) -> None:
        """kernel(begin, end) on all cones, in pieces of about equal work, side by side."""
        require_bytes(self.num_bytes, f"light cones of {self.largest} qubits", NARROWER)
        share(kernel, self.work)


def _all(parts: Iterable[np.ndarray], kind: type) -> np.ndarray:
    return np.concatenate([np.zeros(0, dtype=kind), *parts]).astype(kind)


def _words(strings: Sequence[PauliStrings], name: str) -> np.ndarray:
    """Masks of strings on less than 64 qubits."""
    return _all((getattr(each, name)[:, 0] for each in strings), np.uint64)
