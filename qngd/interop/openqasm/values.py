"""The classical part of an OpenQASM 3 program: expressions whose value is known before it runs.

A value is a number, an expression in the program's inputs, an array of these, or bits and qubits.
"""

from __future__ import annotations

import difflib
import math
import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from openqasm3 import ast

from qngd.errors import CircuitError
from qngd.interop.expressions import Expression
from qngd.interop.openqasm.text import POWER, advice_for, where


@dataclass(frozen=True)
class Qubits:
    """A register of qubits, an alias of some, or one qubit: their numbers."""

    numbers: tuple[int, ...]
    is_register: bool = True


@dataclass(frozen=True)
class Bits:
    """Bits that hold measured values, which nothing here may depend on."""


@dataclass(frozen=True)
class KnownBits:
    """Bits of a fixed value; bit 0 is the rightmost."""

    number: int
    count: int


Value: TypeAlias = float | int | bool | Expression

CONSTANTS: dict[str, float] = {
    "pi": math.pi,
    "π": math.pi,
    "tau": math.tau,
    "τ": math.tau,
    "euler": math.e,
    "ℇ": math.e,
}
# of numbers, and the expressions' function of that kind, if it has a derivative
_FUNCTIONS: dict[str, tuple[Callable[[float], float], str | None]] = {
    "sin": (math.sin, "sin"),
    "cos": (math.cos, "cos"),
    "tan": (math.tan, "tan"),
    "arcsin": (math.asin, "asin"),
    "arccos": (math.acos, "acos"),
    "arctan": (math.atan, "atan"),
    "asin": (math.asin, "asin"),
    "acos": (math.acos, "acos"),
    "atan": (math.atan, "atan"),
    "exp": (math.exp, "exp"),
    "log": (math.log, "log"),
    "ln": (math.log, "log"),
    "abs": (abs, "abs"),
    "ceiling": (math.ceil, None),
    "floor": (math.floor, None),
}
_OF_MORE = ("sqrt", "mod", "pow", "popcount", "sizeof")
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


_NO_NUMBERS = {
    ast.ImaginaryLiteral: "a complex number",
    ast.DurationLiteral: "a duration",
    ast.DurationOf: "a duration",
    ast.ArrayLiteral: "an array",
    ast.BitstringLiteral: "a bit string",
    ast.Concatenation: "a register",
}


def refusal(node: ast.QASMNode, problem: str) -> CircuitError:
    """An error at the place of a node in the program."""
    place = where(node)
    return CircuitError(f"OpenQASM{place and f', {place}'}: {problem}")


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
        return _call(node, names)
    if isinstance(node, ast.Cast):
        return converted(node, node.type, evaluate(node.argument, names))
    if isinstance(node, ast.SizeOf):
        return _size(node, names)
    if isinstance(node, ast.IndexExpression):
        return _element(node, names)
    what = _NO_NUMBERS.get(type(node), f"a {type(node).__name__}")
    raise refusal(node, f"{what} has no value that a gate can use; write a number")


def array(node: ast.Expression, kind: ast.ArrayType, names: Mapping[str, Any]) -> tuple[Any, ...]:
    """The elements of an array literal, or of another array, nested where it has more dimensions."""
    sizes = [integer(size, names) for size in kind.dimensions]
    value = _elements(node, kind.base_type, names)
    _check_sizes(node, value, sizes)
    return value


def _elements(node: ast.Expression, kind: ast.ClassicalType | None, names: Mapping[str, Any]) -> Any:
    if isinstance(node, ast.ArrayLiteral):
        return tuple([_elements(value, kind, names) for value in node.values])
    if isinstance(node, (ast.Identifier, ast.IndexExpression)):
        found = _collection(node, names)
        if isinstance(found, tuple):
            return found
    return converted(node, kind, evaluate(node, names))


def _check_sizes(node: ast.QASMNode, value: Any, sizes: list[int]) -> None:
    if not sizes:
        if isinstance(value, tuple):
            raise refusal(node, "the array has more dimensions than declared; correct its type")
        return
    count = len(value) if isinstance(value, tuple) else 1
    if count != sizes[0] or not isinstance(value, tuple):
        raise refusal(node, f"the array is declared with {sizes[0]} elements and has {count}; correct one of them")
    for element in value:
        _check_sizes(node, element, sizes[1:])


def _collection(node: ast.Expression, names: Mapping[str, Any]) -> Any:
    """What an index is applied to, or what is left of an array after some indices."""
    if isinstance(node, ast.Identifier):
        return names.get(node.name)
    if not isinstance(node, ast.IndexExpression):
        return None
    value = _collection(node.collection, names)
    if not isinstance(value, (tuple, KnownBits)):
        return None
    if isinstance(node.index, ast.DiscreteSet):
        raise refusal(node, "an array is read one element at a time; write its index")
    for index in node.index:
        if isinstance(index, ast.RangeDefinition):
            raise refusal(node, "an array is read one element at a time; write its index")
        value = _picked(node, value, integer(index, names))
    return value


def _picked(node: ast.QASMNode, value: Any, index: int) -> Any:
    if not isinstance(value, (tuple, KnownBits)):
        raise refusal(node, "it has more indices than the array has dimensions; leave some out")
    size = len(value) if isinstance(value, tuple) else value.count
    if not -size <= index < size:
        raise refusal(node, f"the index {index} is outside the array of {size} elements")
    return value[index % size] if isinstance(value, tuple) else value.number >> index % size & 1


def _element(node: ast.IndexExpression, names: Mapping[str, Any]) -> Value:
    value = _collection(node, names)
    if value is None:
        evaluate(node.collection, names)  # refuses bits and qubits by name
        raise refusal(node, "it is no array and has no elements; leave the index out")
    if isinstance(value, (tuple, KnownBits)):
        raise refusal(node, "an array is no number; write the index of one element")
    return value


def integer(node: ast.Expression, names: Mapping[str, Any]) -> int:
    """The value of an expression that must be an integer."""
    if isinstance(node, ast.Identifier) and names.get(node.name) is None and node.name not in CONSTANTS:
        raise refusal(node, f"{node.name} is not declared here; write the number, or const int {node.name} = …;")
    value = evaluate(node, names)
    if not isinstance(value, int) or isinstance(value, bool):
        raise refusal(node, f"an integer is needed here, not {value}; write one, or a const int")
    return value


def number(node: ast.Expression, names: Mapping[str, Any]) -> float:
    """The value of an expression that must not depend on an input.

    Here 1/2 is one half, as it is in the specification's own `pow(1/2) @ x`.
    """
    if isinstance(node, ast.BinaryExpression) and node.op.name == "/":
        quotient = binary(node, "/", float(number(node.lhs, names)), float(number(node.rhs, names)))
        assert not isinstance(quotient, Expression)
        return quotient
    value = evaluate(node, names)
    if isinstance(value, Expression):
        raise refusal(node, f"a number is needed here, and {value} depends on an input; fix it")
    return value


def values_of(node: ast.QASMNode, names: Mapping[str, Any]) -> Iterable[Value]:
    """What a loop runs over: a range (its end included), a set, or an array."""
    if isinstance(node, ast.DiscreteSet):
        return [evaluate(value, names) for value in node.values]
    if isinstance(node, ast.Identifier) and isinstance(names.get(node.name), tuple):
        return names[node.name]
    return integers(node, names)


def integers(node: ast.QASMNode, names: Mapping[str, Any]) -> Iterable[int]:
    """The values of a range (its end included) or of a set."""
    if isinstance(node, ast.DiscreteSet):
        return [integer(value, names) for value in node.values]
    if not isinstance(node, ast.RangeDefinition) or node.start is None or node.end is None:
        raise refusal(node, "a loop runs over [start:end], [start:step:end] or {a, b, …} of integers, or over an array")
    step = 1 if node.step is None else integer(node.step, names)
    if step == 0:
        raise refusal(node, "the step of a range must not be 0")
    end = integer(node.end, names)
    return range(integer(node.start, names), end + (1 if step > 0 else -1), step)


def converted(node: ast.QASMNode, kind: ast.ClassicalType | None, value: Value) -> Value:
    """A value as a variable of this type holds it."""
    if isinstance(value, (Bits, KnownBits, Qubits, tuple)) or value is None:
        raise refusal(node, "a number is needed here; this is none")
    if isinstance(kind, (ast.FloatType, ast.AngleType)):
        return value if isinstance(value, Expression) else float(value)
    if isinstance(kind, (ast.IntType, ast.UintType)) and not isinstance(value, Expression):
        if value != int(value):
            raise refusal(node, f"{value} is no integer; declare a float or round it")
        return int(value)
    if isinstance(kind, ast.BoolType) and not isinstance(value, Expression):
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
    if symbol == "/" and not isinstance(right, Expression) and right == 0:
        raise refusal(node, f"{left} / {right} has no value (division by zero); change it")
    if symbol == "/" and isinstance(left, int) and isinstance(right, int):
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
    return any(isinstance(value, Expression) for value in values)


def _named(node: ast.Identifier, names: Mapping[str, Any]) -> Value:
    value = names.get(node.name)
    if value is None:
        if node.name not in CONSTANTS:
            near = difflib.get_close_matches(node.name, [*names], n=1)
            do = f"declare it with input float {node.name}; and hand it to a gate that needs it as one of its angles"
            raise refusal(node, f"{node.name} is not declared here; {advice_for(near, do)}")
        return CONSTANTS[node.name]
    if isinstance(value, Bits):
        raise refusal(
            node,
            f"{node.name} holds measured values; classical control is not part of a unitary "
            "circuit: remove it or write out the branch that is meant",
        )
    if isinstance(value, KnownBits):
        if value.count == 1:
            return value.number
        raise refusal(
            node, f"{node.name} is {value.count} bits, and a number is needed here; write {node.name}[0] or so"
        )
    what = {Qubits: "a qubit", _Unset: "declared without a value", tuple: "an array"}.get(type(value))
    if what is None and callable(value):
        what = "a subroutine"
    if what is not None:
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
    if node.op.name == "~" and isinstance(value, int):
        raise refusal(node, f"~{value} depends on how many bits it has; write the number")
    raise refusal(node, f"{node.op.name}{value} has no value that a gate can use; write a number")


def _call(node: ast.FunctionCall, names: Mapping[str, Any]) -> Any:
    name = "pow" if node.name.name == POWER else node.name.name
    own = names.get(name)
    if callable(own):
        return own(node, names)
    if name == "popcount" and len(node.arguments) == 1:
        return _popcount(node, node.arguments[0], names)
    values = [evaluate(argument, names) for argument in node.arguments]
    if name == "sqrt" and len(values) == 1:
        return binary(node, "**", values[0], 0.5)
    if name == "mod" and len(values) == 2:
        return binary(node, "%", *values)
    if name == "pow" and len(values) == 2:
        return binary(node, "**", *values)
    if name not in _FUNCTIONS or len(values) != 1:
        known = [*_FUNCTIONS, *_OF_MORE]
        near = difflib.get_close_matches(name, [one for one in known if one != name], n=1)
        others = f"there are {', '.join(known)}, and what def defines"
        raise refusal(
            node, f"{name} of {len(values)} arguments is not a function that is read; {advice_for(near, others)}"
        )
    of_numbers, of_expressions = _FUNCTIONS[name]
    value = values[0]
    if isinstance(value, Expression):
        if of_expressions is None:
            raise refusal(node, f"{name}({value}) has no derivative; use it on numbers only")
        return value.function(of_expressions)
    try:
        return of_numbers(value)
    except (ArithmeticError, TypeError, ValueError) as error:
        raise refusal(node, f"{name}({value}) has no value ({error}); change it") from None


def _popcount(node: ast.QASMNode, argument: ast.Expression, names: Mapping[str, Any]) -> int:
    """The number of ones among known bits, or in an unsigned integer."""
    value = known_bits(argument, names)
    if value is not None:
        return value.number.bit_count()
    number = integer(argument, names)
    if number < 0:
        raise refusal(node, f"popcount({number}): the bits of a negative number are not known; use bits or a uint")
    return number.bit_count()


def known_bits(node: Any, names: Mapping[str, Any]) -> KnownBits | None:
    """The fixed bits that an expression is, if it is a bit string or a name of one."""
    if isinstance(node, ast.BitstringLiteral):
        return KnownBits(node.value, node.width)
    value = names.get(node.name) if isinstance(node, ast.Identifier) else None
    return value if isinstance(value, KnownBits) else None


def _size(node: ast.SizeOf, names: Mapping[str, Any]) -> int:
    value = _collection(node.target, names)
    depth = 0 if node.index is None else integer(node.index, names)
    if isinstance(value, Qubits) and depth == 0:
        return len(value.numbers)
    for _ in range(depth):
        value = value[0] if isinstance(value, tuple) and value else None
    if not isinstance(value, tuple):
        raise refusal(node, "sizeof is read of qubit registers and arrays only; write the number")
    return len(value)
