"""A circuit some of whose parameters are not free: data, one set of values a sample, or frozen at a value.

The circuit is read once, with free parameters θ and data x alike. What only x moves is a fixed rotation: it stands in
no layer and takes no circuit, but keeps its place whatever the values are, so that all samples share generators,
layers, templates and schedules, and differ in their angles alone:

    φ_b(θ) = φ(θ, x_b),   J_b = ∂φ/∂θ at (θ, x_b),   nonzero on one pattern for all b.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from scipy import sparse

from qngd.circuit.angles import AffineExpressions, AngleMap
from qngd.circuit.circuit import Circuit
from qngd.circuit.layering import assign_layers, running_order
from qngd.circuit.theta import FlatTheta, ThetaStructure
from qngd.circuit.units import assign_units


class SampleAngles(ABC):
    """The angles of B samples: `pattern` (K, P) holds the places where a J_b may be nonzero."""

    pattern: sparse.csr_array
    num_samples: int

    @abstractmethod
    def linearize(self, theta: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The angles (b, K) of these samples, and their derivatives (b, nnz) on the pattern."""

    @abstractmethod
    def of(self, row: int) -> AngleMap:
        """The angle map of one sample."""


@dataclass(frozen=True, eq=False)
class AffineAngles(SampleAngles):
    """φ_b = J·θ + offset_b: `pattern` is J itself, `offset` is (B, K)."""

    pattern: sparse.csr_array
    offset: np.ndarray

    @property
    def num_samples(self) -> int:  # type: ignore[override]
        return len(self.offset)

    def linearize(self, theta: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        slopes = np.broadcast_to(self.pattern.data, (len(rows), self.pattern.nnz))
        return self.offset[rows] + self.pattern @ theta, slopes

    def of(self, row: int) -> AngleMap:
        own = AffineExpressions(self.pattern, np.zeros(self.pattern.shape[0]))
        return AngleMap(sparse.eye_array(self.pattern.shape[0], format="csr"), self.offset[row], own)


class ExpressionAngles(SampleAngles):
    """φ_b = C·e(θ, x_b) + c, where an SDK's expressions e mix θ and x, or are not affine in them.

    Where it is known that all e are affine in θ at any x, a sample's expressions are evaluated once.
    """

    def __init__(self, angle_map: AngleMap, free: np.ndarray, points: np.ndarray) -> None:
        self._map = angle_map
        self._free = free
        self._points = points
        self.num_samples = len(points)
        self._inner = sparse.csr_array(angle_map.expressions.pattern, dtype=float)
        kept = self._inner[:, np.flatnonzero(free)]
        self._moved = np.flatnonzero(np.diff(kept.indptr))  # slots that θ moves
        self.linear = angle_map.combination[:, self._moved].tocsr()
        self.pattern = _sorted(abs(self.linear) @ abs(kept[self._moved]))
        self._to_pattern = self._spread()
        self._once = angle_map.expressions.is_affine_in(free)
        self._known = np.zeros(self.num_samples, dtype=bool)
        self._values = np.zeros((self.num_samples, angle_map.combination.shape[1]))
        self._slopes = np.zeros((self.num_samples, self._inner.nnz))

    def linearize(self, theta: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        values, slopes = self._evaluated(theta, rows)
        return values @ self._map.combination.T + self._map.constant, slopes @ self._to_pattern

    def of(self, row: int) -> AngleMap:
        return _SampleMap(self._map.combination, self._map.constant, self._map.expressions, self, row)

    def chain(self, theta: np.ndarray, row: int) -> tuple[np.ndarray, sparse.csr_array]:
        """The angles (K,) of one sample, and the derivatives (D, P) of the slots that θ moves."""
        values, slopes = self._evaluated(theta, np.array([row]))
        inner = sparse.csr_array((slopes[0], self._inner.indices, self._inner.indptr), shape=self._inner.shape)
        moved = inner[self._moved][:, np.flatnonzero(self._free)].tocsr()
        return self._map.combination @ values[0] + self._map.constant, moved

    def _evaluated(self, theta: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The expressions (b, S) and their derivatives (b, ·) on their own pattern."""
        if not self._once:
            return self._map.expressions.linearize_many(self._at(theta, rows))
        new = rows[~self._known[rows]]
        if len(new):
            zero = np.zeros_like(theta)
            values, slopes = self._map.expressions.linearize_many(self._at(theta, new))
            self._slopes[new] = slopes
            self._values[new] = values - self._moved_by(slopes, theta - zero)
            self._known[new] = True
        return self._values[rows] + self._moved_by(self._slopes[rows], theta), self._slopes[rows]

    def _moved_by(self, slopes: np.ndarray, theta: np.ndarray) -> np.ndarray:
        """What θ adds to the expressions, (b, S)."""
        full = np.zeros(len(self._free))
        full[self._free] = theta
        rows = np.repeat(np.arange(self._inner.shape[0]), np.diff(self._inner.indptr))
        gather = sparse.csr_array(
            (full[self._inner.indices], (np.arange(len(rows)), rows)), shape=(len(rows), self._inner.shape[0])
        )
        return slopes @ gather

    def _at(self, theta: np.ndarray, rows: np.ndarray) -> np.ndarray:
        points = self._points[rows].copy()
        points[:, self._free] = theta
        return points

    def _spread(self) -> sparse.csr_array:
        """(nnz of e's pattern, nnz of J's): where C_ks takes the derivative of slot s, J_kp += C_ks·∂e_s/∂θ_p."""
        inner, columns = self._inner, np.cumsum(self._free) - 1
        c = self._map.combination.tocoo()
        lengths = np.diff(inner.indptr)[c.col]
        source = np.concatenate([np.arange(inner.indptr[s], inner.indptr[s + 1]) for s in c.col] or [np.zeros(0, int)])
        source = source.astype(np.int64)
        row, weight = np.repeat(c.row, lengths), np.repeat(c.data, lengths)
        kept = self._free[inner.indices[source]]
        source, row, weight = source[kept], row[kept], weight[kept]
        count = self.pattern.shape[1]
        own = np.repeat(np.arange(self.pattern.shape[0]), np.diff(self.pattern.indptr)) * count + self.pattern.indices
        target = np.searchsorted(own, row * count + columns[inner.indices[source]])
        return sparse.csr_array((weight, (source, target)), shape=(inner.nnz, self.pattern.nnz))


@dataclass(frozen=True)
class _SampleMap(AngleMap):
    """The angle map of one sample, affine in the slots that θ moves."""

    samples: ExpressionAngles
    row: int

    @property
    def num_parameters(self) -> int:
        return self.samples.pattern.shape[1]

    @property
    def is_affine(self) -> bool:
        return False

    @cached_property
    def pattern(self) -> sparse.csr_array:
        return self.samples.pattern

    @property
    def linear(self) -> sparse.csr_array:
        return self.samples.linear

    def chain(self, theta: np.ndarray) -> tuple[np.ndarray, sparse.csr_array]:
        return self.samples.chain(theta, self.row)


@dataclass(frozen=True, eq=False)
class BoundCircuit:
    """`circuit`, whose parameters are the free ones and whose angles are those of the first sample; and `angles`, those
    of every sample."""

    circuit: Circuit
    angles: SampleAngles


def bind(
    circuit: Circuit,
    free: np.ndarray,
    points: np.ndarray,
    structure: ThetaStructure | None = None,
    **more: Any,
) -> BoundCircuit:
    """The circuit with the parameters outside of `free` (mask over all P) at the values in the rows of `points` (B, P),
    whose free columns are not read. `structure` is how the user writes the free ones."""
    names = tuple(name for name, is_free in zip(circuit.parameters, free, strict=True) if is_free)
    angles = _sample_angles(circuit.angle_map, free, points)
    gate = circuit.ops.gate[circuit.ops.rotations]
    moving = np.diff(angles.pattern.indptr) > 0
    unit = assign_units(gate, circuit.generators, angles.pattern)
    level = assign_layers(circuit.ops, circuit.generators, moving, unit)
    bound = replace(
        circuit,
        parameters=names,
        angle_map=angles.of(0),
        moving=moving,
        unit=unit,
        level=level,
        order=running_order(level, moving),
        structure=structure or FlatTheta(names),
        **more,
    )
    return BoundCircuit(bound, angles)


def _sample_angles(angle_map: AngleMap, free: np.ndarray, points: np.ndarray) -> SampleAngles:
    if not angle_map.is_affine:
        return ExpressionAngles(angle_map, free, points)
    data = np.where(free, 0.0, points)
    jacobian = angle_map.linear
    offset = angle_map(np.zeros(len(free))) + (jacobian @ data.T).T
    return AffineAngles(_sorted(jacobian[:, np.flatnonzero(free)]), offset)


def joined(circuits: Sequence[BoundCircuit]) -> list[tuple[BoundCircuit, np.ndarray]]:
    """Circuits of one sample each, those that differ in fixed angles alone as one of several samples, with the numbers
    of these."""
    groups: dict[bytes, list[int]] = {}
    for number, each in enumerate(circuits):
        groups.setdefault(_likeness(each.circuit), []).append(number)
    found = []
    for numbers in groups.values():
        first = circuits[numbers[0]]
        if len(numbers) > 1:
            maps = [circuits[i].circuit.angle_map for i in numbers]
            offset = np.stack([each(np.zeros(each.num_parameters)) for each in maps])
            first = BoundCircuit(first.circuit, AffineAngles(_sorted(maps[0].linear), offset))
        found.append((first, np.array(numbers)))
    return found


def _likeness(circuit: Circuit) -> bytes:
    """What circuits have in common that differ in fixed angles alone, and measure the same; of one whose angles are not
    affine, nothing."""
    if not circuit.angle_map.is_affine:
        return repr(id(circuit)).encode()
    ops, jacobian = circuit.ops, _sorted(circuit.angle_map.linear)
    arrays = [
        ops.kind, ops.start, ops.qubits, ops.letters, ops.turns, ops.gate,
        jacobian.indptr, jacobian.indices, jacobian.data,
    ]  # fmt: skip
    for each in () if circuit.outputs is None else circuit.outputs.observables:
        arrays += [each.strings.x, each.strings.z, each.coefficients]
    return b"|".join(np.ascontiguousarray(array).tobytes() for array in arrays)


def _sorted(matrix: Any) -> sparse.csr_array:
    return sparse.csr_array(matrix, dtype=float).sorted_indices()
