"""Nodes of a graph as a program that evaluates them, whole levels of equal operations at a time."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from qngd.interop.expressions import Graph
from qngd.interop.operations import NUMBER, OPERATIONS, PARAMETER, is_real

Call = tuple[str, slice, tuple[np.ndarray, ...]]


@dataclass(frozen=True, eq=False)
class NodeProgram:
    """Evaluates some nodes of a graph at a θ.

    Nodes are sorted by level (one above the highest operand) and operation, so that each operation of a level is
    one call on arrays.

    Attributes:
        roots: the places of the nodes asked for.
        places, columns: where parameters stand among the nodes, and in θ.
        start: the nodes (N,), numbers in their places.
        calls: in their order the operations, each with the nodes that it gives and the places of its operands.
    """

    roots: np.ndarray
    places: np.ndarray
    columns: np.ndarray
    start: np.ndarray
    calls: Sequence[Call]

    @classmethod
    def of(cls, graph: Graph, roots: Sequence[int]) -> NodeProgram:
        """The program of these nodes."""
        nodes = graph.below(*roots)
        levels: dict[int, int] = {}
        for node in nodes:
            levels[node] = 1 + max((levels[operand] for operand in graph.operands(node)), default=-1)
        nodes.sort(key=lambda node: (levels[node], graph.operation(node)))
        place = {node: i for i, node in enumerate(nodes)}
        places, columns = np.zeros((2, 0), dtype=np.int64)
        start, calls = np.zeros(len(nodes), dtype=complex), []
        first = 0
        for (_, operation), run in itertools.groupby(nodes, key=lambda node: (levels[node], graph.operation(node))):
            members = list(run)
            part = slice(first, first + len(members))
            first = part.stop
            if operation == NUMBER:
                start[part] = [graph.value_of(node) for node in members]
            elif operation == PARAMETER:
                places, columns = np.arange(part.start, part.stop), np.array(list(map(graph.column_of, members)))
            else:
                rows = np.array([[place[operand] for operand in graph.operands(node)] for node in members])
                calls.append((operation, part, tuple(rows.T)))
        return cls(np.array([place[root] for root in roots], dtype=np.int64), places, columns, start, calls)

    def as_arrays(self) -> dict[str, np.ndarray]:
        """The program as named arrays, from which `from_arrays` makes it again."""
        rows = [np.stack(operands) for _, _, operands in self.calls]
        return {
            "roots": self.roots,
            "places": self.places,
            "columns": self.columns,
            "start": self.start,
            "operations": np.array([operation for operation, _, _ in self.calls], dtype=str),
            "parts": np.array([(part.start, part.stop) for _, part, _ in self.calls], dtype=np.int64).reshape(-1, 2),
            "operands": np.array([len(each) for each in rows], dtype=np.int64),
            "rows": np.concatenate([each.ravel() for each in rows]) if rows else np.zeros(0, dtype=np.int64),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> NodeProgram:
        """The program that these arrays tell."""
        calls: list[Call] = []
        taken = 0
        for operation, (first, last), count in zip(
            arrays["operations"], arrays["parts"], arrays["operands"], strict=True
        ):
            size = int(count * (last - first))
            operands = arrays["rows"][taken : taken + size].reshape(int(count), -1)
            calls.append((str(operation), slice(int(first), int(last)), tuple(operands)))
            taken += size
        return cls(arrays["roots"], arrays["places"], arrays["columns"], arrays["start"], calls)

    def __call__(self, theta: np.ndarray) -> np.ndarray:
        """The values of the roots, in their order; nan where one is not a finite real number. At one θ (P,), or at
        several at a time, (P, B)."""
        values = np.full((len(self.roots), *np.shape(theta)[1:]), np.nan)
        if not self.start.imag.any():
            values = self._run(theta, self.start.real)
        if not np.isfinite(values).all():  # a real value may have been reached through complex ones
            others = self._run(theta, self.start)
            is_missing = ~np.isfinite(values)
            values[is_missing] = np.where(is_real(others), others.real, np.nan)[is_missing]
            values[~np.isfinite(values)] = np.nan
        return values

    def _run(self, theta: np.ndarray, start: np.ndarray) -> np.ndarray:
        values = np.empty((len(start), *np.shape(theta)[1:]), dtype=start.dtype)
        values.T[...] = start
        values[self.places] = theta[self.columns]
        with np.errstate(all="ignore"):
            for operation, part, operands in self.calls:
                values[part] = OPERATIONS[operation](*[values[operand] for operand in operands])
        return values[self.roots]
