"""The exact engine on a batch: states of one circuit at the angles of many samples.

Small states are taken through the kernels sample after sample without a step in Python, the samples shared out over the
threads; of states that are large enough to be split themselves, one after the other is. The metric is summed over the
batch: for the full one all derivative states stand under each other, and one product makes Σ_b Re⟨T_i|T_j⟩.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Literal

import numpy as np
from scipy import sparse

from qngd._system.memory import require_bytes
from qngd._system.threads import num_threads, one_blas_thread, splits, together
from qngd.circuit.active import moved_qubits
from qngd.circuit.circuit import Circuit
from qngd.circuit.observable import Observable
from qngd.exact.engine import Engine
from qngd.exact.kernels import batch
from qngd.exact.kernels.batch import TermGroups
from qngd.exact.kernels.layout import Rotations, SparseRows
from qngd.exact.schedule import Schedule
from qngd.exact.simulator import Simulator
from qngd.exact.statevector import Terms
from qngd.exact.tangents import TangentPlan, over_parameters

_LANES = 1 << 21  # real numbers in all derivative states that are made at a time by a thread

Kind = Literal["diag", "block-diag", "full"]
_Places = tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]  # entries of J and signs, of both sides


@dataclass(frozen=True, eq=False)
class BatchAngles:
    """Angles φ (B, K) and the derivatives (B, nnz) on a shared pattern (K, P)."""

    phi: np.ndarray
    pattern: sparse.csr_array
    slopes: np.ndarray

    def __len__(self) -> int:
        return len(self.phi)

    def part(self, rows: slice) -> BatchAngles:
        """Those of some samples."""
        return BatchAngles(self.phi[rows], self.pattern, self.slopes[rows])

    def jacobian(self, row: int) -> sparse.csr_array:
        """J of one sample."""
        return sparse.csr_array((self.slopes[row], self.pattern.indices, self.pattern.indptr), self.pattern.shape)

    def over_parameters(self, over_rotations: np.ndarray) -> np.ndarray:
        """Jᵀ·v of every sample, (B, P), for v (B, K)."""
        rows = np.repeat(np.arange(self.pattern.shape[0]), np.diff(self.pattern.indptr))
        products = self.slopes * over_rotations[:, rows]
        columns = self.pattern.indices
        gather = sparse.csr_array(
            (np.ones(len(columns)), (np.arange(len(columns)), columns)), shape=(len(columns), self.pattern.shape[1])
        )
        return products @ gather


class BatchSimulator:
    """States, several expectation values, gradients and summed metrics of a circuit's samples.

    Args:
        circuit: without idle qubits.
        outputs: K pulled observables.

    Raises:
        MemoryLimitError: at the call that would need more memory than there is.
    """

    def __init__(self, circuit: Circuit, outputs: Sequence[Observable]) -> None:
        self.simulator = Simulator(circuit, moved_qubits(circuit.generators))
        self.num_outputs = len(outputs)
        self._terms = [self.simulator.terms(each) for each in outputs]
        self._is_large = splits(1 << self.simulator.num_qubits)

    most_bytes = 1 << 28  # of the states that are kept for gradients

    # ----- the values -----

    def forward(
        self, angles: BatchAngles, kind: Kind | None
    ) -> tuple[np.ndarray, np.ndarray | None, Callable[[np.ndarray], np.ndarray]]:
        """The outputs (B, K); the metric (P, P) summed over the samples, if a `kind` is asked for; and a function that
        takes weights w (B, K) to Σ_k w_bk·∇_θ⟨H_k⟩ of every sample, (B, P)."""
        if self._is_large:
            return self._one_by_one(angles, kind)
        most = max(1, self.most_bytes // (16 << self.simulator.num_qubits))
        if len(angles) > most:
            return self._in_parts(angles, kind, most)
        s, size, count = self._schedule, 1 << self.simulator.num_qubits, len(angles)
        rotations = Rotations.by(0.5 * s.sign * angles.phi[:, s.order], s.x, s.z)
        require_bytes((count + 4 * num_threads()) * 16 * size, f"{count} statevectors", "use fewer samples or qubits")
        states, values = np.zeros((count, 2, size)), np.empty((count, self.num_outputs))
        states[:, 0, 0] = 1.0
        found = _shared_out(count, partial(self._values, states, rotations, angles, kind, values))
        metric = None if kind is None else np.sum([each for each in found if each is not None], axis=0)
        return values, metric, partial(self._gradients, states, rotations, angles)

    def _in_parts(
        self, angles: BatchAngles, kind: Kind | None, most: int
    ) -> tuple[np.ndarray, np.ndarray | None, Callable[[np.ndarray], np.ndarray]]:
        """The same of more samples than have room: their states are made anew for gradients."""
        parts = [slice(first, first + most) for first in range(0, len(angles), most)]
        found = [self.forward(angles.part(part), kind)[:2] for part in parts]

        def gradients(weights: np.ndarray) -> np.ndarray:
            return np.concatenate([self.forward(angles.part(part), None)[2](weights[part]) for part in parts])

        metrics = [metric for _, metric in found if metric is not None]
        return np.concatenate([values for values, _ in found]), np.sum(metrics, axis=0) if metrics else None, gradients

    def _values(
        self,
        states: np.ndarray,
        rotations: Rotations,
        angles: BatchAngles,
        kind: Kind | None,
        values: np.ndarray,
        begin: int,
        end: int,
    ) -> np.ndarray | None:
        """The outputs of a share of the samples, whose states end after the circuit, and their metric."""
        s = self._schedule
        metric, done = None, 0
        if kind in ("diag", "block-diag"):
            metric, done = self._blocks(states, rotations, angles, kind == "diag", begin, end), int(s.layers.stage[-1])
        batch.run_each(states, rotations, s.stages, done, len(s.stages.diagonal), begin, end)
        batch.expectations(states, *self._stacked, values, begin, end)
        if kind == "full":
            own = rotations._replace(cos=rotations.cos[begin:end], sin=rotations.sin[begin:end])
            metric = self._full(states[begin:end], own, angles.pattern, angles.slopes[begin:end])
        return metric

    def _gradients(
        self, states: np.ndarray, rotations: Rotations, angles: BatchAngles, weights: np.ndarray
    ) -> np.ndarray:
        s, (terms, mixing) = self._schedule, self._union
        coefficients = np.ascontiguousarray(weights @ mixing)
        found, again = np.zeros((len(angles), len(s))), states.copy()

        def work(begin: int, end: int) -> None:
            batch.slopes_back(again, terms, coefficients, rotations, s.stages, s.moving, found, begin, end)

        _shared_out(len(angles), work)
        over_rotations = np.empty_like(found)
        over_rotations[:, s.order] = found * s.sign
        return angles.over_parameters(over_rotations)

    # ----- the metric -----

    def _blocks(
        self, states: np.ndarray, rotations: Rotations, angles: BatchAngles, diagonal: bool, begin: int, end: int
    ) -> np.ndarray:
        """The blocks of all layers; the states are then behind the last."""
        s, pattern = self._schedule, angles.pattern
        metric, mean = np.zeros((pattern.shape[1],) * 2), np.zeros(angles.phi.shape)
        rows = SparseRows.of(pattern)
        block = self.simulator.circuit.block_of(diagonal)
        batch.add_blocks_each(
            states, rotations, s.stages, s.layers, s.turns, s.strings, rows, angles.slopes, block, diagonal, metric,
            mean, begin, end,
        )  # fmt: skip
        if len(self.simulator.circuit.split_gates):
            for b in range(begin, end):
                self.simulator.add_split_gates(angles.phi[b], angles.jacobian(b), mean[b], diagonal, metric)
        return metric

    def _full(
        self, finals: np.ndarray, rotations: Rotations, pattern: sparse.csr_array, slopes: np.ndarray
    ) -> np.ndarray:
        plan, places = self._tangents(pattern)
        total = np.zeros((len(plan.parameter),) * 2)
        if not len(plan.parameter):  # none moves the state
            return over_parameters(total, plan)
        step = max(1, _LANES // (len(plan.parameter) * finals.shape[2] * 2))
        for first in range(0, len(finals), step):
            part = slice(first, first + step)
            own = rotations._replace(cos=rotations.cos[part], sin=rotations.sin[part])
            total += self._gram(plan, places, finals[part], own, slopes[part])
        return over_parameters(0.25 * total, plan)

    def _gram(
        self, plan: TangentPlan, places: _Places, finals: np.ndarray, rotations: Rotations, slopes: np.ndarray
    ) -> np.ndarray:
        """Σ_b of 4g over lanes."""
        count = len(finals)
        starts = np.zeros_like(finals), finals.copy()
        starts[0][:, 0, 0] = 1.0
        lanes = np.empty((count, 2, finals.shape[2], len(plan.parameter)))
        column = 0
        for side, own, (place, sign), start in zip(
            plan.sides, (rotations, _undone(rotations)), places, starts, strict=True
        ):
            active = np.searchsorted(side.begin, np.arange(side.count + 1))
            weights = np.ascontiguousarray(slopes[:, place] * sign)
            batch.carry_each(
                start, own, side.stages, side.count, active, side.entries, weights, lanes, column, 0, count
            )
            column += len(side.parameter)
        # the first side has left its states at the cut
        rows = lanes.reshape(-1, lanes.shape[3])
        means = np.matmul(starts[0].reshape(count, 1, -1), lanes.reshape(count, -1, lanes.shape[3]))[:, 0]
        return rows.T @ rows - means.T @ means

    def _tangents(self, pattern: sparse.csr_array) -> tuple[TangentPlan, _Places]:
        """The plan for this pattern, and for both sides which entry of J each weight is, with which sign."""
        if self._kept is None or self._kept[0] is not pattern:
            numbers = np.arange(1.0, pattern.nnz + 1)
            numbered = sparse.csr_array((numbers, pattern.indices, pattern.indptr), shape=pattern.shape)
            plan = TangentPlan.of(self._schedule, numbered)
            to, back = (
                (np.rint(np.abs(side.entries.weight)).astype(np.int64) - 1, np.sign(side.entries.weight))
                for side in plan.sides
            )
            self._kept = pattern, plan, (to, back)
        return self._kept[1], self._kept[2]

    _kept: tuple[Any, TangentPlan, _Places] | None = None

    # ----- what does not depend on angles -----

    @cached_property
    def _schedule(self) -> Schedule:
        return self.simulator.schedule

    @cached_property
    def _stacked(self) -> tuple[np.ndarray, TermGroups]:
        """The terms of all observables after each other, as `expectations` takes them."""
        groups = np.cumsum([0, *(len(t.x) for t in self._terms)])
        offsets = np.cumsum([0, *(len(t.z) for t in self._terms)])
        starts = [t.start[:-1] + o for t, o in zip(self._terms, offsets, strict=False)]
        start = np.concatenate([*starts, offsets[-1:]]).astype(np.int64)
        x, z, coefficient = (np.concatenate([getattr(t, n) for t in self._terms]) for n in ("x", "z", "coefficient"))
        return groups, TermGroups(start, x, z, coefficient)

    @cached_property
    def _union(self) -> tuple[TermGroups, np.ndarray]:
        """The strings of all observables as one, and the coefficients (K, T) of each."""
        masks = [np.stack([np.repeat(t.x, np.diff(t.start)), t.z], axis=1) for t in self._terms]
        found, place = np.unique(np.concatenate(masks), axis=0, return_inverse=True)
        x, z = np.ascontiguousarray(found.T)
        heads = np.flatnonzero(np.r_[True, x[1:] != x[:-1]][: len(x)])
        mixing = np.zeros((self.num_outputs, len(found)))
        owner = np.repeat(np.arange(self.num_outputs), [len(t.z) for t in self._terms])
        np.add.at(mixing, (owner, place.reshape(-1)), np.concatenate([t.coefficient for t in self._terms]))
        start = np.r_[heads, len(x)].astype(np.int64)
        return TermGroups(start, x[heads], z, np.zeros(len(x))), mixing

    # ----- large states -----

    def _one_by_one(
        self, angles: BatchAngles, kind: Kind | None
    ) -> tuple[np.ndarray, np.ndarray | None, Callable[[np.ndarray], np.ndarray]]:
        count = len(angles)
        values = np.array([[self.simulator.expectation(phi, t) for t in self._terms] for phi in angles.phi])
        metrics = [] if kind is None else [metric_of_one(self.simulator, angles, b, kind) for b in range(count)]

        def gradients(weights: np.ndarray) -> np.ndarray:
            rows = []
            joint, mixing = self._union
            for phi, coefficients in zip(angles.phi, weights @ mixing, strict=True):
                terms = Terms(joint.start, joint.x, joint.z, coefficients)
                rows.append(self.simulator.energy_and_gradient(phi, terms)[1])
            return angles.over_parameters(np.array(rows))

        return values, np.sum(metrics, axis=0) if metrics else None, gradients


def metric_of_one(engine: Engine, angles: BatchAngles, row: int, kind: Kind) -> np.ndarray:
    """The metric of one sample, (P, P)."""
    phi, jacobian = angles.phi[row], angles.jacobian(row)
    if kind == "full":
        return engine.full_metric(phi, jacobian)
    return engine.block_metric(phi, jacobian, diagonal=kind == "diag")[0]


def _undone(rotations: Rotations) -> Rotations:
    """The inverse of all rotations of every sample: from the last to the first, by negative angles."""
    x, z, cos, sin = rotations
    turned = (np.ascontiguousarray(each[:, ::-1]) for each in (cos, -sin))
    return Rotations(np.ascontiguousarray(x[::-1]), np.ascontiguousarray(z[::-1]), *turned)


def _shared_out(count: int, work: Callable[[int, int], Any]) -> list[Any]:
    """work(begin, end) of 0…count in one piece a thread."""
    threads = max(1, min(num_threads(), count))
    edges = [count * t // threads for t in range(threads + 1)]
    with one_blas_thread():
        return together([partial(work, a, b) for a, b in itertools.pairwise(edges)])
