"""The classical part of an OpenQASM 3 program: expressions whose value is known before it runs.

A value is a number, a Qiskit parameter expression in the program's inputs, or bits and qubits.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from openqasm3 import ast
from qiskit.circuit import ParameterExpression

from qngd.errors import CircuitError


@dataclass(frozen=True)
class Qubits:
    """A register of qubits, an alias of some, or one qubit: their numbers."""

    numbers: tuple[int, ...]
    is_register: bool = True


@dataclass(frozen=True)
class Bits:
    """Bits that hold measured values, which nothing here may depend on."""


Value: TypeAlias = float | int | bool | ParameterExpression

CONSTANTS: dict[str, float] = {
    "pi": math.pi,
    "π": math.pi,
    "tau": math.tau,
    "τ": math.tau,
    "euler": math.e,
    "ℇ": math.e,
}
# of numbers, and the name of Qiskit's method for expressions, if it has one
_FUNCTIONS: dict[str, tuple[Callable[[float], float], str | None]] = {
    "sin": (math.sin, "sin"),
    "cos": (math.cos, "cos"),
    "tan": (math.tan, "tan"),
    "arcsin": (math.asin, "arcsin"),
    "arccos": (math.acos, "arccos"),
    "arctan": (math.atan, "arctan"),
    "exp": (math.exp, "exp"),
    "log": (math.log, "log"),
    "ceiling": (math.ceil, None),
    "floor": (math.floor, None),
}
_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "**": operator.pow,
}


def _remainder(a: float, b: float) -> float:
    remainder = math.fmod(a, b)
    return int(remainder) if isinstance(a, int) and isinstance(b, int) else remainder


_OF_KNOWN_NUMBERS: dict[str, Callable[[Any, Any], Any]] = {
    "%": _remainder,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    "&&": lambda a, b: bool(a) and bool(b),
    "||": lambda a, b: bool(a) or bool(b),
    "&": operator.and_,
    "|": operator.or_,
    "^": operator.xor,
    "<<": operator.lshift,
    ">>": operator.rshift,
}


def refusal(node: ast.QASMNode, problem: str) -> CircuitError:
    """An error at the place of a node in the program."""
    span = node.span
    if span is None:
        return CircuitError(f"OpenQASM: {problem}")
    return CircuitError(f"OpenQASM, line {span.start_line}: {problem}")


def evaluate(node: ast.Expression, names: Mapping[str, Any]) -> Value:
    """The value of an expression; `names` holds what the program has declared.

    Raises:
        CircuitError: it has none before the program runs, or is of a kind that is not read.
    """
    if isinstance(node, (ast.IntegerLiteral, ast.FloatLiteral, ast.BooleanLiteral)):
        return node.value
    if isinstance(node, ast.Identifier):
        return _named(node, names)
    if isinstance(node, ast.UnaryExpression):
        return _unary(node, evaluate(node.expression, names))
    if isinstance(node, ast.BinaryExpression):
        return binary(node, node.op.name, evaluate(node.lhs, names), evaluate(node.rhs, names))
    if isinstance(node, ast.FunctionCall):
        return _call(node, [evaluate(argument, names) for argument in node.arguments])
    if isinstance(node, ast.Cast):
        return converted(node, node.type, evaluate(node.argument, names))
    if isinstance(node, ast.SizeOf):
        return _size(node, names)
    if isinstance(node, ast.IndexExpression):
        evaluate(node.collection, names)  # refuses bits and qubits by name
    raise refusal(node, f"a {type(node).__name__} has no value that a gate can use; write a number")


def integer(node: ast.Expression, names: Mapping[str, Any]) -> int:
    """The value of an expression that must be an integer."""
    value = evaluate(node, names)
    if not isinstance(value, int) or isinstance(value, bool):
        raise refusal(node, f"an integer is needed here, not {value}; write one, or a const int")
    return value


def number(node: ast.Expression, names: Mapping[str, Any]) -> float:
    """The value of an expression that must not depend on an input.

    Here 1/2 is one half, as it is in the specification's own `pow(1/2) @ x`.
    """
    if isinstance(node, ast.BinaryExpression) and node.op.name == "/":
        above, below = number(node.lhs, names), number(node.rhs, names)
        return binary(node, "/", float(above), float(below))
    value = evaluate(node, names)
    if isinstance(value, ParameterExpression):
        raise refusal(node, f"a number is needed here, and {value} depends on an input; fix it")
    return value


def integers(node: ast.QASMNode, names: Mapping[str, Any]) -> Iterable[int]:
    """The values of a range (its end included) or of a set."""
    if isinstance(node, ast.DiscreteSet):
        return [integer(value, names) for value in node.values]
    if not isinstance(node, ast.RangeDefinition) or node.start is None or node.end is None:
        raise refusal(node, "a loop runs over [start:end], [start:step:end] or {a, b, …} of integers")
    step = 1 if node.step is None else integer(node.step, names)
    if step == 0:
        raise refusal(node, "the step of a range must not be 0")
    end = integer(node.end, names)
    return range(integer(node.start, names), end + (1 if step > 0 else -1), step)


def converted(node: ast.QASMNode, kind: ast.ClassicalType | None, value: Value) -> Value:
    """A value as a variable of this type holds it."""
    if isinstance(kind, (ast.FloatType, ast.AngleType)):
        return value if isinstance(value, ParameterExpression) else float(value)
    if isinstance(kind, (ast.IntType, ast.UintType)) and not isinstance(value, ParameterExpression):
        if value != int(value):
            raise refusal(node, f"{value} is no integer; declare a float or round it")
        return int(value)
    if isinstance(kind, ast.BoolType) and not isinstance(value, ParameterExpression):
        return bool(value)
    name = type(kind).__name__.removesuffix("Type").lower()
    raise refusal(node, f"{value} cannot be held as {name}; use float, angle, int, uint or bool")


def binary(node: ast.QASMNode, symbol: str, left: Value, right: Value) -> Value:
    """left symbol right."""
    operation = _ARITHMETIC.get(symbol)
    if operation is None and not _depends(left, right):
        operation = _OF_KNOWN_NUMBERS.get(symbol)
    if operation is None:
        raise refusal(
            node,
            f"{left} {symbol} {right} has no value before the program runs; use + - * / ** on "
            "inputs, and the rest on numbers",
        )
    if symbol == "/" and isinstance(left, int) and isinstance(right, int) and right:
        return _exact_quotient(node, left, right)
    try:
        value = operation(left, right)
    except (ArithmeticError, TypeError, ValueError) as error:
        raise refusal(node, f"{left} {symbol} {right} has no value ({error}); change it") from None
    if isinstance(value, complex):
        raise refusal(node, f"{left} {symbol} {right} is not real; change it")
    return value


def _exact_quotient(node: ast.QASMNode, left: int, right: int) -> int:
    """Of two integers; 1/2 is 0 in OpenQASM 3, and rarely meant so."""
    if left % right:
        raise refusal(
            node,
            f"{left}/{right} is a division of integers, which drops the fraction in OpenQASM 3; "
            f"write {left}.0/{right} for the fraction",
        )
    return left // right


def _depends(*values: Value) -> bool:
    return any(isinstance(value, ParameterExpression) for value in values)


def _named(node: ast.Identifier, names: Mapping[str, Any]) -> Value:
    value = names.get(node.name)
    if value is None:
        if node.name not in CONSTANTS:
            raise refusal(
                node,
                f"{node.name} is not declared here; declare it with input float {node.name}; and "
                "hand it to a gate that needs it as one of its angles",
            )
        return CONSTANTS[node.name]
    if isinstance(value, Bits):
        raise refusal(
            node,
            f"{node.name} holds measured values; classical control is not part of a unitary "
            "circuit: remove it or write out the branch that is meant",
        )
    if isinstance(value, Qubits) or value is UNSET:
        what = "a qubit" if isinstance(value, Qubits) else "declared without a value"
        raise refusal(node, f"{node.name} is {what}, and a number is needed here")
    return value


class _Unset:
    """What a variable holds before it gets a value."""


UNSET = _Unset()


def _unary(node: ast.UnaryExpression, value: Value) -> Value:
    if node.op.name == "-":
        return -value
    if node.op.name == "!" and not _depends(value):
        return not value
    raise refusal(node, f"{node.op.name}{value} has no value that a gate can use; write a number")


def _call(node: ast.FunctionCall, values: list[Value]) -> Value:
    name = node.name.name
    if name == "sqrt" and len(values) == 1:
        return binary(node, "**", values[0], 0.5)
    if name == "mod" and len(values) == 2:
        return binary(node, "%", *values)
    if name not in _FUNCTIONS or len(values) != 1:
        raise refusal(
            node,
            f"{name} of {len(values)} arguments is not a function that is read; there are "
            f"{', '.join([*_FUNCTIONS, 'sqrt', 'mod'])}",
        )
    of_numbers, method = _FUNCTIONS[name]
    value = values[0]
    if isinstance(value, ParameterExpression):
        if method is None:
            raise refusal(node, f"{name}({value}) has no derivative; use it on numbers only")
        return getattr(value, method)()
    try:
        return of_numbers(value)
    except (ArithmeticError, ValueError) as error:
        raise refusal(node, f"{name}({value}) has no value ({error}); change it") from None


def _size(node: ast.SizeOf, names: Mapping[str, Any]) -> int:
    value = names.get(getattr(node.target, "name", ""))
    if not isinstance(value, Qubits):
        raise refusal(node, "sizeof is read of a qubit register only; write the number")
    return len(value.numbers)
