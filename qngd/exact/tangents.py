"""The full metric: a Gram matrix of derivative states.

    g = ¼(Re⟨T_i|T_j⟩ − ⟨ψ|T_i⟩⟨ψ|T_j⟩),   |T_i⟩ = Σ_k J_ki U_{>k}P_kU_{≤k}|0⟩

A Gram matrix does not see the frame, so every part of a T_i is carried only to a cut in the middle of the
circuit: what comes from rotations before the cut forwards, the rest backwards, that is forwards through the
reversed circuit. Each is a *lane* (see `kernels.tangents`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import NamedTuple

import numpy as np
from scipy import sparse

from qngd._system.memory import OTHER_METRIC, available_bytes, require_bytes
from qngd._system.progress import Work
from qngd._system.threads import blas_beside, num_threads, together
from qngd.exact.kernels.layout import Amplitudes, Entries, Rotations, Stages
from qngd.exact.kernels.tangents import carry
from qngd.exact.schedule import Schedule
from qngd.exact.statevector import run_schedule, zero_state

_DIAGONAL_COST = 2  # of a diagonal stage, in rotations
_LANES = 64  # at most, side by side in a row
_THREADS_FROM = 1 << 17  # real numbers in all lanes; below it, handing out work costs more than the work


class _Nonzero(NamedTuple):
    """The nonzero entries J_ki·s_k of a Jacobian, in any order: stage and number of rotation k, parameter i, value."""

    stage: np.ndarray
    rotation: np.ndarray
    parameter: np.ndarray
    weight: np.ndarray


@dataclass(frozen=True, eq=False)
class Side:
    """One direction: the circuit as it is run to the cut, and its derivatives.

    Attributes:
        stages: all stages of the circuit, reversed for the way back.
        count: how many of them lie before the cut.
        parameter: (L,) of every lane; lanes are numbered as they begin.
        begin: (L,) the stage after which a lane begins.
        stage: (E,) of every entry.
        entries: what the lanes take, by stage and lane.
    """

    stages: Stages
    count: int
    parameter: np.ndarray
    begin: np.ndarray
    stage: np.ndarray
    entries: Entries

    @classmethod
    def of(cls, stages: Stages, count: int, nonzero: _Nonzero) -> Side:
        """From the entries of the Jacobian whose rotations stand in the first `count` stages."""
        columns, inverse = np.unique(nonzero.parameter, return_inverse=True)
        first = np.full(len(columns), count)
        np.minimum.at(first, inverse, nonzero.stage)
        by_begin = np.argsort(first, kind="stable")
        lane = np.empty(len(columns), dtype=np.int64)
        lane[by_begin] = np.arange(len(columns))
        order = np.lexsort((lane[inverse], nonzero.stage))
        stage = nonzero.stage[order]
        entries = Entries(
            start=np.searchsorted(stage, np.arange(count + 1)),
            rotation=nonzero.rotation[order],
            lane=lane[inverse][order],
            weight=nonzero.weight[order],
        )
        return cls(stages, count, columns[by_begin], first[by_begin], stage, entries)

    def carry(
        self, state: np.ndarray, rotations: Rotations, first: int, last: int, out: np.ndarray, column: int
    ) -> None:
        """Fill lanes first…last−1 into out (2, N, lanes), from `column` on. `state` (2, N), which is changed, is where
        this side starts; `rotations` are its own."""
        re, im = out
        lanes = Amplitudes(re.reshape(-1)[column:], im.reshape(-1)[column:])
        active, entries = self._all if last - first == len(self.parameter) else self._some(first, last)
        carry(state, rotations, self.stages, self.count, active, entries, lanes, out.shape[2])

    @cached_property
    def _all(self) -> tuple[np.ndarray, Entries]:
        """Of every stage how many lanes begin before it, and the entries."""
        return np.searchsorted(self.begin, np.arange(self.count + 1)), self.entries

    def _some(self, first: int, last: int) -> tuple[np.ndarray, Entries]:
        """The same of lanes first…last−1 alone, numbered from 0 on."""
        here = (self.entries.lane >= first) & (self.entries.lane < last)
        steps = np.arange(self.count + 1)
        entries = Entries(
            start=np.searchsorted(self.stage[here], steps),
            rotation=self.entries.rotation[here],
            lane=self.entries.lane[here] - first,
            weight=self.entries.weight[here],
        )
        return np.searchsorted(self.begin[first:last], steps), entries


@dataclass(frozen=True, eq=False)
class TangentPlan:
    """How to make the derivative states for one Jacobian: nothing of it depends on the angles but through J.

    Attributes:
        schedule: the circuit.
        jacobian: J, (K, P).
        cut: stages before the cut.
        sides: the way forwards and the way back.
        parameter: (L,) of every lane, those of the first side first.
    """

    schedule: Schedule
    jacobian: sparse.csr_array
    cut: int
    sides: tuple[Side, Side]
    parameter: np.ndarray

    @cached_property
    def order(self) -> np.ndarray | None:
        """(P,), the lane of every parameter, if each has one."""
        order = np.argsort(self.parameter)
        return order if np.array_equal(self.parameter[order], np.arange(self.jacobian.shape[1])) else None

    @classmethod
    def of(cls, schedule: Schedule, jacobian: sparse.csr_array) -> TangentPlan:
        """The plan for the derivatives by the parameters of J (K, P)."""
        s = schedule
        count, stages = len(s), len(s.stages.diagonal)
        place = np.empty(count, dtype=np.int64)
        place[s.order] = np.arange(count)
        entry = place[np.repeat(np.arange(count), np.diff(jacobian.indptr))]
        column = jacobian.indices.astype(np.int64)
        weight = jacobian.data * s.sign[entry]
        stage = np.searchsorted(s.stages.start, entry, side="right") - 1
        cut = _cut(s, stage, column, jacobian.shape[1])
        to, back = stage < cut, stage >= cut
        mirrored = Stages(start=_reversed(count - s.stages.start), diagonal=_reversed(s.stages.diagonal))
        ahead = _Nonzero(stage[to], entry[to], column[to], weight[to])
        behind = _Nonzero(stages - 1 - stage[back], count - 1 - entry[back], column[back], weight[back])
        sides = (Side.of(s.stages, cut, ahead), Side.of(mirrored, stages - cut, behind))
        return cls(s, jacobian, cut, sides, np.concatenate([side.parameter for side in sides]))


def _reversed(array: np.ndarray) -> np.ndarray:
    """A copy that lies in memory the other way round."""
    return np.ascontiguousarray(array[::-1])


def _cut(schedule: Schedule, stage: np.ndarray, column: np.ndarray, parameters: int) -> int:
    """The cut for which lanes are taken through the fewest rotations."""
    stages = len(schedule.stages.diagonal)
    first, last = np.full(parameters, stages), np.full(parameters, -1)
    np.minimum.at(first, column, stage)
    np.maximum.at(last, column, stage)
    used = last >= 0
    begun = np.searchsorted(np.sort(first[used]), np.arange(stages))
    unfinished = used.sum() - np.searchsorted(np.sort(last[used]), np.arange(stages), side="right")
    cost = np.where(schedule.stages.diagonal, _DIAGONAL_COST, np.diff(schedule.stages.start))
    forward = np.r_[0, np.cumsum(cost * begun)]
    back = np.r_[0, np.cumsum(cost * unfinished)]
    return int(np.argmin(forward + back[-1] - back))


class Ways:
    """The derivative states of a plan, in the frame of its cut, at given angles; `work` counts those that were made.
    `final` is the state (2, N) at the end of the circuit, if it is known.

    Attributes:
        center: the state at the cut, (2, N), which the first lanes bring along.
    """

    center: np.ndarray

    def __init__(
        self, num_qubits: int, plan: TangentPlan, rotations: Rotations, work: Work, final: np.ndarray | None = None
    ) -> None:
        self._plan = plan
        self._work = work
        self._num_qubits = num_qubits
        if final is None:
            final = zero_state(num_qubits)
            run_schedule(final, plan.schedule, rotations)
        self._final = final
        self._rotations = (rotations, _undone(rotations))

    def lanes(self, block: slice) -> np.ndarray:
        """The derivative states |T_i⟩ whose numbers (see the plan's `parameter`) lie in `block`, side by side in one
        array (2, N, length of the block)."""
        out = np.empty((2, self._final.shape[1], block.stop - block.start))
        threads = num_threads() if out.size >= _THREADS_FROM else 1
        each = max(1, min(_LANES, -(-out.shape[2] // threads)))
        calls: list[Callable[[], np.ndarray]] = []
        counts: list[int] = []
        before = 0
        for way, side in enumerate(self._plan.sides):
            count = len(side.parameter)
            begin, end = max(block.start - before, 0), min(block.stop - before, count)
            for a in range(begin, end, each):
                last = min(a + each, end)
                calls.append(partial(self._carry, way, a, last, out, a + before - block.start))
                counts.append(last - a)
            before += count
        self.center = together(calls, threads, lambda number: self._work.advance(counts[number]))[0]
        return out

    def _carry(self, way: int, first: int, last: int, out: np.ndarray, column: int) -> np.ndarray:
        """Lanes first…last−1 of one side into out, from `column` on; and the state at the cut."""
        state = self._final.copy() if way else zero_state(self._num_qubits)
        self._plan.sides[way].carry(state, self._rotations[way], first, last, out, column)
        return state


def _undone(rotations: Rotations) -> Rotations:
    """The inverse of all rotations: from the last to the first, by negative angles."""
    r = rotations
    return Rotations(x=_reversed(r.x), z=_reversed(r.z), cos=_reversed(r.cos), sin=_reversed(-r.sin))


def gram_metric(
    num_qubits: int, plan: TangentPlan, rotations: Rotations, final: np.ndarray | None = None
) -> np.ndarray:
    """The full metric over parameters, (P, P), with the schedule's rotations at some angles; `final` is the state at
    the end of the circuit, if it is known.

    If the derivative states do not fit in memory, they are made in blocks, all pairs of blocks after each other.

    Raises:
        MemoryLimitError: not even two of them fit.
    """
    count = len(plan.parameter)
    if not count:
        return np.zeros((plan.jacobian.shape[1],) * 2)
    blocks = _blocks(count, num_qubits)
    work = Work("derivative states of the metric", sum(block.stop for block in blocks))
    ways = Ways(num_qubits, plan, rotations, work, final)
    gram, means = np.zeros((count, count)), np.zeros(count)
    for i, block in enumerate(blocks):
        lanes = ways.lanes(block)
        gram[block, block] = _symmetric_product(lanes)
        means[block] = ways.center[0] @ lanes[0] + ways.center[1] @ lanes[1]
        for other in blocks[:i]:
            gram[block, other] = _product(lanes, ways.lanes(other))
            gram[other, block] = gram[block, other].T
        del lanes
    gram -= np.outer(means, means)
    return over_parameters(0.25 * gram, plan)


def _blocks(count: int, num_qubits: int) -> list[slice]:
    """The lanes 0…count−1 in as few blocks as fit in memory, where more than one must fit in pairs."""
    what = f"a full metric on {num_qubits} qubits"
    state = 16 << num_qubits
    extra = 4 * num_threads()
    fitting = available_bytes() // state - extra - 2
    if count <= fitting:
        require_bytes((count + extra) * state, what, OTHER_METRIC)
        return [slice(0, count)]
    size = fitting // 2
    if size < 1:
        require_bytes((extra + 4) * state, what, OTHER_METRIC)
    return [slice(a, min(a + size, count)) for a in range(0, count, size)]


def _symmetric_product(lanes: np.ndarray) -> np.ndarray:
    """Re⟨T_i|T_j⟩ of one block of lanes (2, N, lanes)."""
    if lanes.size >= _THREADS_FROM:
        return _product(lanes, lanes)
    rows = lanes.reshape(-1, lanes.shape[2])
    return rows.T @ rows  # the cores are BLAS's: lanes that few were made by one thread


def _product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Re⟨A_i|B_j⟩ of two blocks of lanes, real and imaginary parts at the same time."""
    with blas_beside(a.size):
        # BLAS makes only one triangle where both are the same
        parts = together([partial(np.matmul, left.T, right) for left, right in zip(a, b, strict=True)], num_threads())
    return parts[0] + parts[1]


def over_parameters(matrix: np.ndarray, plan: TangentPlan) -> np.ndarray:
    """A matrix over lanes as one over parameters, some of which have two lanes and some none."""
    if plan.order is not None:
        return matrix.take(plan.order, axis=0).take(plan.order, axis=1)
    out = np.zeros((plan.jacobian.shape[1],) * 2)
    np.add.at(out, np.ix_(plan.parameter, plan.parameter), matrix)
    return out
