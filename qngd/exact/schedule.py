"""How the exact engine runs a circuit: its rotations in stages, and every layer's way to Z strings.

No field depends on angles, so a schedule is made once per circuit.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from qngd.circuit.circuit import Circuit
from qngd.circuit.pauli import PauliStrings
from qngd.circuit.quarter_turns import turns_to_z
from qngd.exact.kernels.layout import Layers, ReadStrings, Rotations, Stages

_FEW = 3  # Z strings that are cheaper one by one than as one diagonal


@dataclass(frozen=True, eq=False)
class Schedule:
    """The rotations in an order in which a Simulator runs them, cut into stages.

    Attributes:
        order: (K,) index of each rotation in the circuit.
        x, z, sign: (K,) masks and signs of the strings.
        moving: (K,) whether a parameter moves it.
        stages: where S stages begin, and which are diagonal: of Z strings alone, enough of them to be applied in one
            pass. A stage does not reach beyond a layer; the strings of a layer's stage commute.
        layers: how far each of L layers reaches in stages, turns and strings.
        turns: quarter turns after which the strings of a layer are Z strings, layer by layer.
        strings: these Z strings, in running order; `rotation` is an index in the circuit.
    """

    order: np.ndarray
    x: np.ndarray
    z: np.ndarray
    sign: np.ndarray
    moving: np.ndarray
    stages: Stages
    layers: Layers
    turns: Rotations
    strings: ReadStrings

    @classmethod
    def of(cls, circuit: Circuit) -> Schedule:
        generators, level = circuit.generators, circuit.level
        moving = circuit.moving
        low = generators.z[:, 0] & np.uint64(63)
        is_z: np.ndarray = np.logical_not(generators.x.any(axis=1))
        # within a layer all commute: Z strings first, those that agree on the low qubits side by side
        first = np.lexsort((low, ~is_z))
        rank = np.empty(len(level), dtype=np.int64)
        rank[first] = np.arange(len(level))
        fixed_place = np.empty(len(level), dtype=np.int64)
        fixed_place[circuit.order] = np.arange(len(level))
        order = np.lexsort((np.where(moving, rank, fixed_place), moving, level))
        x, z = (np.ascontiguousarray(masks[order, 0]) for masks in (generators.x, generators.z))
        stages = _stages(level[order], moving[order], is_z[order])
        level, moving = level[order], moving[order]
        members = [np.flatnonzero(moving & (level == index)) for index in range(circuit.num_layers)]
        ends = [int(np.searchsorted(stages.start, rows[-1] + 1)) for rows in members]
        layers, turns, strings = _ways_to_z(generators, [order[rows] for rows in members], ends)
        sign = generators.sign[order].astype(float)
        return cls(order, x, z, sign, moving, stages, layers, turns, strings)

    def __len__(self) -> int:
        return len(self.order)

    def rotations(self, phi: np.ndarray) -> Rotations:
        """The rotations, in running order, by angles (K,) in the circuit's."""
        return Rotations.by(self._half_sign * phi[self.order], self.x, self.z)

    @cached_property
    def _half_sign(self) -> np.ndarray:
        return 0.5 * self.sign

    def layer(self, index: int) -> tuple[Rotations, ReadStrings]:
        """The quarter turns and the strings of one layer."""
        turns = slice(self.layers.turn[index], self.layers.turn[index + 1])
        strings = slice(self.layers.string[index], self.layers.string[index + 1])
        return Rotations(*(each[turns] for each in self.turns)), ReadStrings(*(each[strings] for each in self.strings))


def _stages(level: np.ndarray, moving: np.ndarray, is_z: np.ndarray) -> Stages:
    """The stages of rotations in running order, from arrays (K,)."""
    changes = (np.diff(level) != 0) | np.diff(moving) | np.diff(is_z)
    ends = [len(level)] if len(level) else []
    start = np.concatenate([[0], np.flatnonzero(changes) + 1, ends]).astype(np.int64)
    many: np.ndarray = np.diff(start) >= _FEW
    return Stages(start, is_z[start[:-1]] & many)


def _ways_to_z(
    generators: PauliStrings, members: list[np.ndarray], ends: list[int]
) -> tuple[Layers, Rotations, ReadStrings]:
    """Quarter turns after which the commuting strings of each layer are Z strings, and these, layer by layer; `members`
    are the rotations of every layer, `ends` the stages that are done when it is."""
    found = [turns_to_z(generators[rows]) for rows in members]
    x, z, mask, flip = (_joined([each[i] for each in found], kind) for i, kind in enumerate("uuub"))
    half = np.full(len(x), np.sqrt(0.5))
    layers = Layers(
        stage=np.array([0, *ends], dtype=np.int64),
        turn=_offsets([len(each[0]) for each in found]),
        string=_offsets([len(each[2]) for each in found]),
    )
    strings = ReadStrings(mask, 1.0 - 2.0 * flip, rotation=_joined(members, "i"))
    return layers, Rotations(x, z, cos=half, sin=half), strings


def _joined(parts: list[np.ndarray], kind: str) -> np.ndarray:
    """All parts after each other, also where there are none."""
    return np.concatenate([np.zeros(0, {"u": np.uint64, "i": np.int64, "b": np.bool_}[kind]), *parts])


def _offsets(lengths: list[int]) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
