"""How the exact engine runs a circuit: its rotations in stages, and every layer's way to Z strings.

Nothing here depends on angles, so it is made once per circuit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qngd.circuit.circuit import Circuit
from qngd.circuit.pauli import PauliStrings
from qngd.circuit.quarter_turns import turns_to_z

_FEW = 3  # Z strings that are cheaper one by one than as one diagonal


@dataclass(frozen=True, eq=False)
class Turns:
    """Quarter turns (x, z, and cos = sin) after which a layer's strings are Z strings: `sign` times that of `mask`."""

    x: np.ndarray
    z: np.ndarray
    cos: np.ndarray
    mask: np.ndarray
    sign: np.ndarray


@dataclass(frozen=True, eq=False)
class Schedule:
    """The rotations in an order in which a Simulator runs them, cut into stages.

    Attributes:
        order: (K,) index of each rotation in the circuit.
        x, z, sign: (K,) masks and signs of the strings.
        moving: (K,) whether a parameter moves it.
        start: (S+1,) where the stages begin. A stage does not reach beyond a layer; those of a layer commute.
        diagonal: (S,) whether all strings of a stage are Z strings, enough of them to be applied in one pass.
        ends: (L,) stages that are done when a layer is.
        layers: for each layer, the indices in the circuit of its rotations, in running order.
        turns: for each layer, its way to Z strings.
    """

    order: np.ndarray
    x: np.ndarray
    z: np.ndarray
    sign: np.ndarray
    moving: np.ndarray
    start: np.ndarray
    diagonal: np.ndarray
    ends: tuple[int, ...]
    layers: tuple[np.ndarray, ...]
    turns: tuple[Turns, ...]

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
        start, diagonal = _stages(level[order], moving[order], is_z[order])
        level, moving = level[order], moving[order]
        layers, ends = [], []
        for index in range(circuit.num_layers):
            members = np.flatnonzero(moving & (level == index))
            layers.append(order[members])
            ends.append(int(np.searchsorted(start, members[-1] + 1)))
        turns = tuple(_turns(generators[layer]) for layer in layers)
        sign = generators.sign[order].astype(float)
        return cls(order, x, z, sign, moving, start, diagonal, tuple(ends), tuple(layers), turns)

    def __len__(self) -> int:
        return len(self.order)


def _stages(level: np.ndarray, moving: np.ndarray, is_z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the stages begin, with the end (S+1,), and which are diagonal (S,)."""
    changes = (np.diff(level) != 0) | np.diff(moving) | np.diff(is_z)
    ends = [len(level)] if len(level) else []
    start = np.concatenate([[0], np.flatnonzero(changes) + 1, ends]).astype(np.int64)
    many: np.ndarray = np.diff(start) >= _FEW
    return start, is_z[start[:-1]] & many


def _turns(strings: PauliStrings) -> Turns:
    x, z, mask, flip = turns_to_z(strings)
    return Turns(x, z, np.full(len(x), np.sqrt(0.5)), mask, 1.0 - 2.0 * flip)
