"""Frequencies of energies along a direction in the space of angles, string by string.

Moved along c, φ + s·c, with commuting rotations, a Pauli string Q that the rotations meet turns by those alone whose
generators P_k anticommute with it:

    Q → Q·Π_k exp(±i(φ_k + s·c_k)P_k),   frequencies |Σ_k ±c_k|, every choice of signs.

Which Q meet them follows by algebra from what is measured: going backwards through the circuit, a rotation makes of Q
also P_k·Q where the two anticommute. So a sum over 150 edges, whose spectrum is unknown, has 2 frequencies in the
energy of one edge of a ring, and that sets the number of circuits of a shift rule (arXiv:2107.12390). Where these Q
are too many to write down, any of the rotations in the string's light cone may take part or not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from qngd.circuit.circuit import Circuit
from qngd.circuit.cones import causal_cone
from qngd.circuit.pauli import PauliStrings, anticommute

TOLERANCE = 1e-9  # below it two frequencies are one
_MOST_TURNED = 512  # strings that one measured string may become
_MOST_FREQUENCIES = 64
_MOST_STRINGS = 500  # measured strings that are followed one by one

# of a string: the rotations in its light cone (mask over K), and per layer the strings that meet its rotations, as rows
# of x and z masks, as far as they are known
_Path = tuple[np.ndarray, dict[int, np.ndarray]]


@dataclass(frozen=True, eq=False)
class Spectra:
    """The frequencies of a circuit's energies; keeps what it has found of every string."""

    circuit: Circuit
    _paths: dict[bytes, _Path] = field(default_factory=dict)
    _sums: dict[tuple[tuple[float, ...], bool], np.ndarray | None] = field(default_factory=dict)

    def of(self, strings: PauliStrings, members: np.ndarray, coefficients: np.ndarray) -> np.ndarray | None:
        """The positive frequencies, ascending, of the energies of these strings, measured at the circuit's end, where
        the rotations `members` of one layer move together by `coefficients`; None if they are too many to know."""
        if len(strings) > _MOST_STRINGS:
            return None
        layer, found = int(self.circuit.level[members[0]]), []
        for row in range(len(strings)):
            each = self._of_one(strings[[row]], layer, members, coefficients)
            if each is None:
                return None
            found.append(each)
        every = distinct(np.concatenate(found)) if found else np.zeros(0)
        every = every[every > TOLERANCE]
        return None if len(every) > _MOST_FREQUENCIES else every

    def _of_one(
        self, string: PauliStrings, layer: int, members: np.ndarray, coefficients: np.ndarray
    ) -> np.ndarray | None:
        cone, met = self._path(string)
        inside = cone[members]
        if layer not in met:
            return self._signed_sums(np.abs(coefficients[inside]), True)
        if not inside.any():
            return np.zeros(1)
        turning = _clashes(met[layer], self.circuit, members[inside])
        found = []
        for row in np.unique(turning, axis=0):
            each = self._signed_sums(np.abs(coefficients[inside][row]), False)
            if each is None:
                return None
            found.append(each)
        return distinct(np.concatenate(found))

    def _path(self, string: PauliStrings) -> _Path:
        key = string.x.tobytes() + string.z.tobytes()
        if key not in self._paths:
            self._paths[key] = _followed(self.circuit, string)
        return self._paths[key]

    def _signed_sums(self, sizes: np.ndarray, may_rest: bool) -> np.ndarray | None:
        """|Σ ±c| over all signs, or with `may_rest` over all signs of all subsets; None if they are too many."""
        key = tuple(np.sort(sizes).tolist()), may_rest
        if key not in self._sums:
            self._sums[key] = _signed_sums(key[0], may_rest)
        return self._sums[key]


def _signed_sums(sizes: Sequence[float], may_rest: bool) -> np.ndarray | None:
    values = np.zeros(1)
    for size in sizes:
        values = distinct(np.concatenate([values - size, values + size, *([values] if may_rest else [])]))
        if len(values) > 2 * _MOST_FREQUENCIES + 1:
            return None
    return distinct(np.abs(values))


def _followed(circuit: Circuit, string: PauliStrings) -> _Path:
    pulled = circuit.frame.pull(string)
    cone = causal_cone(circuit, pulled, np.ones(len(circuit.generators), dtype=bool))
    rows = np.hstack([pulled.x, pulled.z])
    met: dict[int, np.ndarray] = {}
    for k in circuit.order[cone[circuit.order]][::-1]:  # layer by layer, whose moving rotations commute
        layer = int(circuit.level[k])
        if circuit.moving[k] and layer not in met:
            met[layer] = rows
        own = np.hstack([circuit.generators.x[k], circuit.generators.z[k]])
        hits = _clashes(rows, circuit, np.array([k]))[:, 0]
        if hits.any():
            rows = np.unique(np.concatenate([rows, rows[hits] ^ own]), axis=0)
        if len(rows) > _MOST_TURNED:
            # the strings that meet this layer are known, for they were there before any of its rotations
            break
    return cone, met


def _clashes(rows: np.ndarray, circuit: Circuit, rotations: np.ndarray) -> np.ndarray:
    """Which strings, rows of masks (m, 2W), anticommute with which of the generators, (m, k)."""
    x, z = np.hsplit(rows, 2)
    strings = PauliStrings(circuit.num_qubits, np.ascontiguousarray(x), np.ascontiguousarray(z), np.ones(len(rows)))
    return anticommute(strings, circuit.generators[rotations])


def distinct(values: np.ndarray) -> np.ndarray:
    """The values, ascending, each once up to rounding."""
    ordered = np.sort(values)
    return ordered[np.r_[True, np.diff(ordered) > TOLERANCE]]
