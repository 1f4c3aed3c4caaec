"""What an objective comes to at a start: circuits bound to samples, where their outputs and parameters stand, and the
loss of the outputs."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from scipy import sparse

from qngd.circuit.angles import AffineExpressions, AngleMap
from qngd.circuit.bound import BoundCircuit
from qngd.circuit.circuit import Circuit
from qngd.circuit.observable import Observable
from qngd.circuit.theta import ThetaStructure
from qngd.evaluators.objectives.likeness import text_of
from qngd.evaluators.objectives.objective import Objective
from qngd.interop.arrays import as_numbers
from qngd.interop.losses.loss import Loss


@dataclass(frozen=True, eq=False)
class DataCircuit:
    """A circuit with those samples that share its structure.

    Attributes:
        bound: the circuit, whose parameters are the free ones among `parameters` (places in θ, (p,)).
        samples: (b,) the number of every sample.
        columns: where its outputs stand among all.
        observables: these outputs.
        shares: the α of those outputs, by their number here, that are a CVaR.
    """

    bound: BoundCircuit
    samples: np.ndarray
    columns: slice
    observables: tuple[Observable, ...]
    parameters: np.ndarray
    shares: Mapping[int, float] = field(default_factory=dict)

    @property
    def circuit(self) -> Circuit:
        return self.bound.circuit


@dataclass(frozen=True, eq=False)
class BatchPart:
    """What a batch has of a part: its own rows, and their places in the batch."""

    part: DataCircuit
    rows: np.ndarray
    places: np.ndarray


@dataclass(frozen=True, eq=False)
class Model:
    """An objective at a start.

    Attributes:
        parts: circuits with samples; together they give every sample all its outputs.
        num_samples: B, or None without data.
        num_outputs: K.
        is_list: False where a sample has one output that stands alone.
        names: of the free parameters.
        structure: how the user writes θ.
        start: the free parameters (P,) of the start.
        loss, targets: of the outputs.
        like: the start as the user writes it.
    """

    objective: Objective
    parts: tuple[DataCircuit, ...]
    num_samples: int | None
    num_outputs: int
    is_list: bool
    names: tuple[str, ...]
    structure: ThetaStructure
    start: np.ndarray
    loss: Loss
    targets: Any
    like: Any

    @property
    def num_parameters(self) -> int:
        return len(self.names)

    @property
    def samples(self) -> np.ndarray:
        """The numbers of all samples; one where there are no data."""
        return np.arange(1 if self.num_samples is None else self.num_samples)

    def shaped(self, outputs: np.ndarray) -> np.ndarray:
        """Outputs (b, K) in the shape that the loss takes."""
        rows = outputs if self.is_list else outputs[:, 0]
        return rows[0] if self.num_samples is None else rows

    def flat(self, shaped: np.ndarray) -> np.ndarray:
        """The way back, (b, K)."""
        return np.asarray(shaped, dtype=float).reshape(-1, self.num_outputs)

    def targets_of(self, samples: np.ndarray) -> Any:
        """The targets of these samples, None where there are none."""
        if self.targets is None or self.num_samples is None:
            return self.targets
        return self.targets[samples]

    def parts_of(self, samples: np.ndarray) -> list[BatchPart]:
        """What every part has of these samples, ascending."""
        found = []
        for part in self.parts:
            rows = np.flatnonzero(np.isin(part.samples, samples))
            if len(rows):
                found.append(BatchPart(part, rows, np.searchsorted(samples, part.samples[rows])))
        return found

    def loss_of(self, outputs: np.ndarray, samples: np.ndarray) -> tuple[float, np.ndarray]:
        """The loss of the outputs (b, K) of these samples, and its derivatives (b, K)."""
        value, slopes = self.loss.slopes(self.shaped(outputs), self.targets_of(samples))
        return value, self.flat(slopes)

    def scale_of(self, slopes: np.ndarray, samples: np.ndarray) -> float:
        """What a loss with these derivatives (b, K) changes by, to first order, where every output of these samples
        changes by the deviation of its observable's eigenvalues; 0, as if unknown, where that is not finite."""
        found = float(np.abs(slopes).ravel() @ self._deviations[samples].ravel())
        return found if np.isfinite(found) else 0.0

    @cached_property
    def _deviations(self) -> np.ndarray:
        """The deviations of the outputs' observables (B, K), of a CVaR α times that."""
        found = np.zeros((len(self.samples), self.num_outputs))
        for part in self.parts:
            shares = (part.shares.get(k, 1.0) for k in range(len(part.observables)))
            found[part.samples, part.columns] = [
                share * each.deviation for each, share in zip(part.observables, shares, strict=True)
            ]
        return found

    def bends_of(self, outputs: np.ndarray, samples: np.ndarray, directions: np.ndarray) -> np.ndarray:
        """The second derivatives of the loss of these outputs, times directions (D, b, K), again (D, b, K)."""
        along = np.stack([self.shaped(each) for each in directions])
        bends = self.loss.bends(self.shaped(outputs), self.targets_of(samples), along)
        return np.asarray(bends).reshape(directions.shape)

    def bent_jacobian(self, outputs: np.ndarray, samples: np.ndarray, jacobian: np.ndarray) -> np.ndarray:
        """The second derivatives of the loss times ∂outputs/∂θ (b, K, P), again (b, K, P)."""
        used = np.flatnonzero(np.abs(jacobian).max(axis=(0, 1), initial=0.0) > 0)
        found = np.zeros_like(jacobian)
        if len(used):
            bends = self.bends_of(outputs, samples, np.moveaxis(jacobian[:, :, used], 2, 0))
            found[:, :, used] = np.moveaxis(bends, 0, 2)
        return found

    @cached_property
    def circuit(self) -> Circuit:
        """One that stands for all in messages and records: of the first sample, with the angles of every circuit."""
        first = self.parts[0]
        whole = replace(first.circuit, parameters=self.names, structure=self.structure, example=self.like)
        every = [part for part in self.parts if part.samples[0] == 0]
        if len(every) == 1 and len(first.parameters) == self.num_parameters:
            return whole
        return replace(whole, angle_map=_Stacked(*_NO_ANGLES, tuple(every), self.num_parameters))

    @cached_property
    def likeness(self) -> bytes:
        """What recognizes the problem in a later run: circuits, samples, observables and targets."""
        digest = hashlib.sha256(repr((self.names, self.num_samples, self.objective.metric)).encode())
        digest.update(repr((self.objective.batch_size, self.objective.bounds)).encode())
        for part in self.parts:
            circuit = part.circuit
            phi, slopes = part.bound.angles.linearize(np.full(len(part.parameters), 0.3), np.arange(len(part.samples)))
            arrays = [circuit.generators.x, circuit.generators.z, circuit.generators.sign, phi, slopes, part.samples]
            arrays += [circuit.frame.x, circuit.frame.z, circuit.frame.phase, part.parameters]
            for each in part.observables:
                arrays += [each.strings.x, each.strings.z, each.coefficients]
            if part.shares:
                arrays.append(np.array(sorted(part.shares.items())))
            for array in arrays:
                digest.update(np.ascontiguousarray(array).tobytes())
        if self.targets is not None:
            digest.update(_bytes_of(self.targets))
        digest.update(text_of(self.objective.loss))
        return digest.digest()


_NO_ANGLES = (sparse.csr_array((0, 0)), np.zeros(0), AffineExpressions(sparse.csr_array((0, 0)), np.zeros(0)))


@dataclass(frozen=True)
class _Stacked(AngleMap):
    """The angles of several circuits under each other."""

    parts: tuple[DataCircuit, ...]
    count: int

    @property
    def num_parameters(self) -> int:
        return self.count

    @property
    def is_affine(self) -> bool:
        return False

    @cached_property
    def pattern(self) -> sparse.csr_array:
        return self._under([part.bound.angles.pattern for part in self.parts])

    def linearize(self, theta: np.ndarray) -> tuple[np.ndarray, sparse.csr_array]:
        found = [part.circuit.angle_map.linearize(theta[part.parameters]) for part in self.parts]
        return np.concatenate([angles for angles, _ in found]), self._under([slopes for _, slopes in found])

    def _under(self, jacobians: Sequence[Any]) -> sparse.csr_array:
        rows = []
        for part, jacobian in zip(self.parts, jacobians, strict=True):
            place = sparse.csr_array(
                (np.ones(len(part.parameters)), (np.arange(len(part.parameters)), part.parameters)),
                shape=(len(part.parameters), self.count),
            )
            rows.append(jacobian @ place)
        return sparse.csr_array(sparse.vstack(rows))


def _bytes_of(targets: Any) -> bytes:
    array = np.ascontiguousarray(as_numbers(targets))
    return repr(array.tolist()).encode() if array.dtype.hasobject else array.tobytes()
