"""Qiskit's parameter expressions as angles.

An expression is rebuilt from the operations that Qiskit records of it, and evaluated and differentiated here:
Qiskit's own `gradient` takes minutes for products of a few factors, and before 2.5.2 it is wrong ((2a)² has half its
derivative), as is `bind` (a² + b² becomes (a + b)²). From there on what was rebuilt is compared with what Qiskit
computes, at one point.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import qiskit
from qiskit.circuit import Parameter, ParameterExpression, QuantumCircuit
from qiskit.circuit.parameterexpression import op_code_to_method

from qngd.circuit.angles import Angle, Expressions
from qngd.circuit.builder import OpsBuilder
from qngd.errors import CircuitError, QngdWarning
from qngd.interop.angle_slots import AngleSlots, real_number
from qngd.interop.expressions import Graph
from qngd.interop.node_program import NodeProgram

# Qiskit's name of a recorded operation, and ours; the operands of the last three stand the other way round.
_BINARY = {"__add__": "add", "__sub__": "sub", "__mul__": "mul", "__truediv__": "div", "__pow__": "pow"}
_SWAPPED = {"__rsub__": "sub", "__rtruediv__": "div", "__rpow__": "pow"}
_UNARY = {
    "sin": "sin",
    "cos": "cos",
    "tan": "tan",
    "arcsin": "asin",
    "arccos": "acos",
    "arctan": "atan",
    "exp": "exp",
    "log": "log",
    "abs": "abs",
    "sign": "sign",
    "conjugate": "conj",
}
# Before it Qiskit computes wrongly, and from 2.2 on sums of sums may lose terms when it makes them: (a + 2) - (a + a)
# is 0. What Qiskit 2.1 records is what was written.
_FIRST_LOSSY_VERSION, _FIRST_RIGHT_VERSION = (2, 2), (2, 5, 2)
_AGREEMENT = 1e-6  # relative; a wrong formula is further off at a point that is not special


@dataclass(frozen=True)
class Symbols:
    """What a circuit's parameters stand for: nodes of a graph in θ."""

    graph: Graph
    nodes: Mapping[Parameter, int]

    @classmethod
    def of(cls, circuit: QuantumCircuit) -> Symbols:
        """θ in the order of `circuit.parameters`."""
        graph = Graph(parameter.name for parameter in circuit.parameters)
        return cls(graph, {parameter: graph.parameter(i) for i, parameter in enumerate(circuit.parameters)})


class AngleReader:
    """Turns the arguments of Qiskit's gates into angles of the builder."""

    def __init__(self, builder: OpsBuilder, symbols: Symbols) -> None:
        self._graph = symbols.graph
        self._nodes = symbols.nodes
        self._slots = AngleSlots(builder, symbols.graph)
        self._rebuilt: list[tuple[ParameterExpression, int]] = []
        self._known: dict[ParameterExpression, int] = {}

    def read(self, value: Any) -> Angle | float:
        """The angle that a gate's argument means.

        Raises:
            ValueError: it is not a real number, or an expression in a parameter that the circuit does not have; the
                text says which.
        """
        if type(value) is float:
            return real_number(value)
        if not isinstance(value, ParameterExpression):
            return _number(value)
        return self._slots.angle(self._node(value))

    def expressions(self) -> Expressions:
        """The values of all slots handed out so far.

        Raises:
            CircuitError: Qiskit computes another value of an expression than what it recorded of it.

        Warns:
            QngdWarning: this version of Qiskit is one that may have made an expression wrongly.
        """
        version = _version()
        if version >= _FIRST_RIGHT_VERSION:
            self._compare_with_qiskit()
        elif version >= _FIRST_LOSSY_VERSION:
            self._warn_of_version()
        return self._slots.expressions()

    def _node(self, value: ParameterExpression) -> int:
        if isinstance(value, Parameter):
            return self._parameter(value)
        with suppress(KeyError, OverflowError):  # Qiskit has no hash of what came to a negative number: a - a - 1
            return self._known[value]
        node = _rebuilt(value, self._graph, self._parameter)
        self._rebuilt.append((value, node))
        with suppress(OverflowError):
            self._known[value] = node
        return node

    def _parameter(self, parameter: Parameter) -> int:
        if parameter not in self._nodes:
            raise ValueError(
                f"the parameter {parameter.name} is not a parameter of the circuit; it was hidden "
                "inside a gate's definition: hand it to the gate as one of its params"
            )
        return self._nodes[parameter]

    def _compare_with_qiskit(self) -> None:
        """At a point between 0 and 1, where most functions have a value."""
        if not self._rebuilt:
            return
        theta = np.modf(0.29 + (math.sqrt(5) - 1) / 2 * np.arange(len(self._graph.names)))[0]
        nodes = dict.fromkeys([*self._nodes.values(), *(node for _, node in self._rebuilt)])
        ours = dict(zip(nodes, NodeProgram.of(self._graph, list(nodes))(theta), strict=True))
        for expression, node in self._rebuilt:
            point = {parameter: ours[self._nodes[parameter]] for parameter in expression.parameters}
            try:
                theirs = complex(expression.bind(point))
            except (ArithmeticError, RuntimeError, TypeError, ValueError):
                continue  # it has no value there
            if abs(theirs.imag) > _AGREEMENT * abs(theirs) or not math.isfinite(ours[node]):
                continue
            if abs(theirs.real - ours[node]) > _AGREEMENT * max(1.0, abs(theirs)):
                raise CircuitError(
                    f"circuit: Qiskit {qiskit.__version__} records the angle {expression} as "
                    f"{self._graph.text(node)}, which is something else; use another version of Qiskit, or write "
                    "the circuit in OpenQASM 3"
                )

    def _warn_of_version(self) -> None:
        doubtful = [e for e, node in self._rebuilt if not self._is_surely_right(e, node)]
        if doubtful:
            shown = ", ".join(map(str, doubtful[:3])) + (", …" if len(doubtful) > 3 else "")
            warnings.warn(
                f"circuit: Qiskit {qiskit.__version__} may lose terms of an expression when it is made: "
                f"(a + 2) - (a + a) becomes 0. What it holds here is {shown}. Make sure that this is what was "
                f"written, or use Qiskit {'.'.join(map(str, _FIRST_RIGHT_VERSION))} or newer",
                QngdWarning,
                stacklevel=5,  # the caller of `wrap`
            )

    def _is_surely_right(self, expression: ParameterExpression, node: int) -> bool:
        """One parameter, scaled and shifted: no term could be taken for another."""
        terms, _ = self._graph.affine(node)
        return len(expression.parameters) == 1 and [self._graph.is_parameter(term) for term in terms] == [True]


def _version() -> tuple[int, ...]:
    return tuple(int(part) for part in qiskit.__version__.split(".")[:3] if part.isdigit())


_NodeOf = Callable[[Parameter], int]


def _rebuilt(value: ParameterExpression, graph: Graph, node_of: _NodeOf) -> int:
    """The node of an expression, from the operations that Qiskit records."""
    if isinstance(value, Parameter):
        return node_of(value)
    if hasattr(value, "is_symbol") and value.is_symbol():  # since Qiskit 2.2; the record may hold what has cancelled
        name = str(value)
        return node_of(next(parameter for parameter in value.parameters if parameter.name == name))
    steps = list(value._qpy_replay)
    if not steps:  # before Qiskit 2.3 numbers have no record
        return graph.number(complex(value.numeric(strict=False)))
    try:
        return _replayed(steps, graph, node_of)
    except KeyError as error:
        raise ValueError(
            f"the angle {value} holds the operation {error}, which is not read; write it without"
        ) from None


def _replayed(steps: Sequence[Any], graph: Graph, node_of: _NodeOf) -> int:
    """The result of operations in postfix order, where an operand that is None is the last result."""
    results: list[int] = []

    def operand(native: Any) -> int:
        if native is None:
            return results.pop()
        return _rebuilt(native, graph, node_of) if isinstance(native, ParameterExpression) else graph.number(native)

    first = next((i for i in reversed(range(len(steps))) if hasattr(steps[i], "binds")), -1)
    if first >= 0:  # Qiskit 2.1: what was done before had other expressions in the place of some parameters
        inner = {
            p: _rebuilt(e, graph, node_of) if isinstance(e, ParameterExpression) else graph.number(e)
            for p, e in steps[first].binds.items()
        }
        results.append(_replayed(steps[:first], graph, lambda p: inner[p] if p in inner else node_of(p)))
    for step in steps[first + 1 :]:
        name = op_code_to_method(step.op)
        if name in _UNARY:
            results.append(graph.apply(_UNARY[name], operand(step.lhs)))
            continue
        right, left = operand(step.rhs), operand(step.lhs)
        if name in _SWAPPED:
            left, right = right, left
        results.append(graph.apply(_SWAPPED.get(name) or _BINARY[name], left, right))
    return results.pop()


def _number(value: Any) -> float:
    """A real number from whatever number Qiskit gives; raises ValueError where it is not one."""
    try:
        number = complex(value)
    except (TypeError, ValueError):
        raise ValueError(f"the angle {value!r} is not a number") from None
    return real_number(number)
