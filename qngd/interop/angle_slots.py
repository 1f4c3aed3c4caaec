"""Expressions in the parameters as angles of the builder.

Slot i is parameter i itself, so an affine expression is a combination of slots; whatever is not affine takes a slot
of its own behind them, and expressions that differ by factors and sums share it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse

from qngd.circuit.angles import AffineExpressions, Angle, Expressions
from qngd.circuit.builder import OpsBuilder
from qngd.errors import ParameterError
from qngd.interop.expressions import Graph
from qngd.interop.node_program import NodeProgram


@dataclass(frozen=True)
class NonlinearSlot:
    """One nonlinear function: the parameters that it depends on, by their place in θ, the function as text, and the
    first gate whose angle it is in."""

    columns: tuple[int, ...]
    text: str
    place: str


@dataclass(frozen=True)
class SymbolicExpressions(Expressions):
    """The parameters themselves, then the nonlinear functions of them."""

    names: tuple[str, ...]
    slots: tuple[NonlinearSlot, ...]
    program: NodeProgram  # of all values, then of all derivatives

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.names) + len(self.slots), len(self.names)

    @cached_property
    def pattern(self) -> sparse.csr_array:
        return self._jacobian(np.ones(sum(len(slot.columns) for slot in self.slots)))

    def linearize(self, theta: np.ndarray) -> tuple[np.ndarray, sparse.csr_array]:
        """The values, shape (S,), and the exact Jacobian, shape (S, P).

        Raises:
            ParameterError: one of them is not a finite real number at this θ.
        """
        results = self.program(theta)
        if np.isnan(results).any():
            raise self._refusal(results, theta)
        values, slopes = results[: len(self.slots)], results[len(self.slots) :]
        return np.concatenate([theta, values]), self._jacobian(slopes)

    def linearize_many(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The values (B, S) at several θ, (B, P), and the derivatives (B, ·) on the pattern.

        Raises:
            ParameterError: one of them is not a finite real number.
        """
        results = self.program(points.T)
        for row in np.flatnonzero(np.isnan(results).any(axis=0))[:1]:
            raise self._refusal(results[:, row], points[row])
        values, slopes = results[: len(self.slots)], results[len(self.slots) :]
        ones = np.ones((len(points), len(self.names)))
        return np.concatenate([points, values.T], axis=1), np.concatenate([ones, slopes.T], axis=1)

    def _refusal(self, results: np.ndarray, theta: np.ndarray) -> ParameterError:
        first = int(np.flatnonzero(np.isnan(results))[0])
        kind, number = "value", first
        if first >= len(self.slots):
            owners = np.repeat(np.arange(len(self.slots)), [len(slot.columns) for slot in self.slots])
            kind, number = "derivative", int(owners[first - len(self.slots)])
        slot = self.slots[number]
        where = ", ".join(f"{self.names[column]} = {theta[column]:g}" for column in slot.columns)
        return ParameterError(
            f"theta: the angle {slot.text} of {slot.place} has no finite real {kind} "
            f"at {where}; start elsewhere or write the angle in another way"
        )

    def _jacobian(self, slopes: np.ndarray) -> sparse.csr_array:
        indices, starts = self._layout
        data = np.concatenate([np.ones(len(self.names)), slopes])
        return sparse.csr_array((data, indices, starts), shape=self.shape)

    @cached_property
    def _layout(self) -> tuple[np.ndarray, np.ndarray]:
        """Column indices and row starts of the Jacobian: the identity above the nonlinear rows."""
        count = len(self.names)
        own = [column for slot in self.slots for column in slot.columns]
        lengths = [1] * count + [len(slot.columns) for slot in self.slots]
        indices = np.concatenate([np.arange(count), np.array(own, dtype=np.int64)])
        return indices, np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


class AngleSlots:
    """Hands out the builder's slots for the functions of a graph."""

    def __init__(self, builder: OpsBuilder, graph: Graph) -> None:
        self._builder = builder
        self._graph = graph
        self._parameters = [builder.slot() for _ in graph.names]
        self._nonlinear: dict[int, tuple[Angle, str]] = {}  # and the first gate that a function is in
        self._angles: dict[int, Angle | float] = {}

    def angle(self, node: int) -> Angle | float:
        """The angle that a function of the graph means.

        Raises:
            ValueError: it is not real or not finite, whatever the parameters are.
        """
        known = self._angles.get(node)
        if known is None:
            known = self._angles[node] = self._angle(node)
        return known

    def expressions(self) -> Expressions:
        """The values of all slots handed out so far."""
        graph, count = self._graph, len(self._graph.names)
        if not self._nonlinear:
            return AffineExpressions(sparse.eye_array(count, format="csr"), np.zeros(count))
        slots: list[NonlinearSlot] = []
        slopes: list[int] = []
        for node, (_, place) in self._nonlinear.items():
            gradient = graph.gradient(node)
            slots.append(NonlinearSlot(tuple(gradient), graph.text(node), place))
            slopes += gradient.values()
        program = NodeProgram.of(graph, [*self._nonlinear, *slopes])
        return SymbolicExpressions(tuple(graph.names), tuple(slots), program)

    def _angle(self, node: int) -> Angle | float:
        graph = self._graph
        if graph.is_parameter(node):
            return self._parameters[graph.column_of(node)]
        terms, constant = graph.affine(node)
        nonlinear = {term for term in terms if not graph.is_parameter(term)}
        if any(terms[term].imag for term in nonlinear) or (constant.imag and nonlinear):
            return self._slot(node)  # real only as a whole, if at all
        angle: Angle | float = real_number(constant)
        for term, weight in sorted(terms.items()):
            slot = self._slot(term) if term in nonlinear else self._parameters[graph.column_of(term)]
            angle = slot * real_number(weight) + angle
        return angle

    def _slot(self, node: int) -> Angle:
        if node not in self._nonlinear:
            graph = self._graph
            if not graph.columns(node):
                raise ValueError(f"the angle {graph.text(node)} has no value; angles must be finite")
            gates = self._builder.gates
            self._nonlinear[node] = self._builder.slot(), f"instruction {len(gates) - 1} ({gates[-1].name})"
        return self._nonlinear[node][0]


def real_number(value: complex) -> float:
    """A finite real number; raises ValueError where it is not one."""
    if value.imag:
        raise ValueError(f"the angle has the complex part {value:g}; angles must be real")
    if not math.isfinite(value.real):
        raise ValueError(f"the angle is {value.real}; angles must be finite")
    return value.real
