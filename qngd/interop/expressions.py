"""Real functions of the parameters, as programs and SDKs write them: evaluated and differentiated here.

All functions of a circuit stand in one `Graph`, whose nodes are operations on earlier nodes; equal nodes are one.
A gradient is further nodes of the same graph (reverse accumulation), so a product of n factors costs n steps and
not 2ⁿ, and one `NodeProgram` evaluates values and derivatives together, a whole level of equal operations at a time.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from numbers import Number
from typing import Any, NoReturn

import numpy as np

from qngd.errors import CircuitError
from qngd.interop.operations import NUMBER, OPERATIONS, PARAMETER

_LONGEST = 160  # characters of an expression in a message
_SIGNS = {"add": " + ", "sub": " - ", "mul": "*", "div": "/", "pow": "**"}
_STRENGTH = {"add": 1, "sub": 1, "neg": 2, "mul": 3, "div": 3, "pow": 4}  # what binds stronger needs no brackets


@dataclass(frozen=True, slots=True, repr=False)
class Expression:
    """A real function of the parameters, a node of a graph: a parameter, or what `+ - * / **`, `abs` and NumPy's
    functions (those with a method here, and what these operators make) give of parameters and numbers."""

    graph: Graph
    node: int

    def _with(self, operation: str, other: Any, swapped: bool = False) -> Expression:
        if isinstance(other, Expression):
            if other.graph is not self.graph:
                raise CircuitError(
                    f"angle: {self} and {other} belong to different circuits; declare both parameters in the same one"
                )
            node = other.node
        elif isinstance(other, Number):
            node = self.graph.number(other)  # type: ignore[arg-type]
        else:
            return NotImplemented  # an array has this operation done for each of its elements
        pair = (node, self.node) if swapped else (self.node, node)
        return Expression(self.graph, self.graph.apply(operation, *pair))

    def __add__(self, other: Any) -> Expression:
        return self._with("add", other)

    def __radd__(self, other: Any) -> Expression:
        return self._with("add", other, swapped=True)

    def __sub__(self, other: Any) -> Expression:
        return self._with("sub", other)

    def __rsub__(self, other: Any) -> Expression:
        return self._with("sub", other, swapped=True)

    def __mul__(self, other: Any) -> Expression:
        return self._with("mul", other)

    def __rmul__(self, other: Any) -> Expression:
        return self._with("mul", other, swapped=True)

    def __truediv__(self, other: Any) -> Expression:
        return self._with("div", other)

    def __rtruediv__(self, other: Any) -> Expression:
        return self._with("div", other, swapped=True)

    def __pow__(self, other: Any) -> Expression:
        return self._with("pow", other)

    def __rpow__(self, other: Any) -> Expression:
        return self._with("pow", other, swapped=True)

    def __neg__(self) -> Expression:
        return self.function("neg")

    def __pos__(self) -> Expression:
        return self

    def __abs__(self) -> Expression:
        return self.function("abs")

    def function(self, name: str) -> Expression:
        """A function of it, by its name in `interop.operations`."""
        return Expression(self.graph, self.graph.apply(name, self.node))

    def sin(self) -> Expression:
        return self.function("sin")

    def cos(self) -> Expression:
        return self.function("cos")

    def tan(self) -> Expression:
        return self.function("tan")

    def arcsin(self) -> Expression:
        return self.function("asin")

    def arccos(self) -> Expression:
        return self.function("acos")

    def arctan(self) -> Expression:
        return self.function("atan")

    def exp(self) -> Expression:
        return self.function("exp")

    def log(self) -> Expression:
        return self.function("log")

    def sqrt(self) -> Expression:
        return self**0.5

    def sinh(self) -> Expression:
        return (self.exp() - (-self).exp()) / 2

    def cosh(self) -> Expression:
        return (self.exp() + (-self).exp()) / 2

    def tanh(self) -> Expression:
        return 1 - 2 / ((2 * self).exp() + 1)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        """NumPy's functions of it: of elements that are objects they call the method of their name, or the operator."""
        boxed = [np.array(x, dtype=object) if isinstance(x, Expression) else x for x in inputs]
        try:
            return getattr(ufunc, method)(*boxed, **options)
        except (AttributeError, TypeError):
            raise TypeError(
                f"np.{ufunc.__name__} of an angle is not known; known are + - * / **, abs, sin, cos, tan, arcsin, "
                "arccos, arctan, sinh, cosh, tanh, exp, log, sqrt and square"
            ) from None

    def __float__(self) -> NoReturn:
        raise TypeError(f"{self} has no value before parameters have; for its sine write np.sin(…), not math.sin(…)")

    def __bool__(self) -> NoReturn:
        raise TypeError(f"{self} is neither true nor false before parameters have values; a circuit has no branches")

    def __str__(self) -> str:
        return self.graph.text(self.node)

    __repr__ = __str__


class Graph:
    """Functions of the parameters with these names; a node is a number, its place."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self.names: list[str] = list(names)
        self._nodes: list[tuple[str, tuple[Any, ...]]] = []
        self._places: dict[tuple[str, tuple[Any, ...]], int] = {}
        self._affine: dict[int, tuple[dict[int, complex], complex]] = {}

    def __len__(self) -> int:
        return len(self._nodes)

    def parameter(self, column: int) -> int:
        """The parameter that stands at this place in θ."""
        return self._place(PARAMETER, (column,))

    def number(self, value: complex) -> int:
        """A fixed number."""
        value = complex(value)
        return self._place(NUMBER, (value if value.imag else value.real + 0.0,))

    def apply(self, operation: str, *operands: int) -> int:
        """An operation on earlier nodes: a number where it is known, an earlier node where it changes nothing."""
        if operation in ("add", "mul"):
            operands = tuple(sorted(operands))  # a*b and b*a are one
        numbers = [self.value_of(operand) for operand in operands]
        if None not in numbers:
            value = _known(operation, numbers)
            if value is not None:
                return self.number(value)
        same = self._simpler(operation, operands, numbers)
        return self._place(operation, operands) if same is None else same

    def value_of(self, node: int) -> complex | None:
        """The value of a fixed number, None for everything else."""
        operation, operands = self._nodes[node]
        return operands[0] if operation == NUMBER else None

    def is_parameter(self, node: int) -> bool:
        return self._nodes[node][0] == PARAMETER

    def column_of(self, parameter: int) -> int:
        return self._nodes[parameter][1][0]

    def operation(self, node: int) -> str:
        return self._nodes[node][0]

    def operands(self, node: int) -> tuple[int, ...]:
        """The nodes that it is an operation on."""
        operation, operands = self._nodes[node]
        return () if operation in (NUMBER, PARAMETER) else operands

    def below(self, *roots: int) -> list[int]:
        """All nodes that these depend on and they themselves, each after its operands."""
        found = set(roots)
        open_nodes = list(found)
        while open_nodes:
            fresh = set(self.operands(open_nodes.pop())) - found
            found |= fresh
            open_nodes += fresh
        return sorted(found)

    def columns(self, root: int) -> list[int]:
        """Where the parameters that a node depends on stand in θ, ascending."""
        return sorted(self.column_of(node) for node in self.below(root) if self.is_parameter(node))

    def affine(self, root: int) -> tuple[dict[int, complex], complex]:
        """root = Σ coefficient·node + constant, over parameters and whatever is not affine.

        What an earlier root came to is looked up, so that a hundred thousand angles may each be the one before and a
        bit more.
        """
        if root not in self._affine:
            self._affine[root] = self._flattened(root)
        return self._affine[root]

    def _flattened(self, root: int) -> tuple[dict[int, complex], complex]:
        weights: dict[int, complex] = {root: 1.0}
        order = [-root]  # the highest node first: all that it is an operand of have gone before
        terms: dict[int, complex] = {}
        constant: complex = 0.0
        while order:
            node = -heapq.heappop(order)
            weight = weights.pop(node)
            value = self.value_of(node)
            parts = self._affine_parts(node)
            if value is not None:
                constant += weight * value
            elif node in self._affine:
                earlier, shift = self._affine[node]
                constant += weight * shift
                for term, factor in earlier.items():
                    terms[term] = terms.get(term, 0.0) + weight * factor
            elif parts is None:
                terms[node] = terms.get(node, 0.0) + weight
            else:
                for operand, factor in parts:
                    if operand not in weights:
                        heapq.heappush(order, -operand)
                    weights[operand] = weights.get(operand, 0.0) + weight * factor
        return {node: weight for node, weight in terms.items() if weight}, constant

    def gradient(self, root: int) -> dict[int, int]:
        """The derivative by each parameter that a node depends on: its place in θ, and a node.

        Reverse accumulation: root̄ = 1, and each operand x of a node v receives v̄·∂v/∂x.
        """
        adjoints = {root: self.number(1.0)}
        result = {}
        for node in reversed(self.below(root)):
            adjoint = adjoints.pop(node, None)
            if self.is_parameter(node):
                result[self.column_of(node)] = self.number(0.0) if adjoint is None else adjoint
            elif adjoint is not None and self.operands(node):
                for operand, slope in self._slopes(node):
                    part = self.apply("mul", adjoint, slope)
                    adjoints[operand] = self.apply("add", adjoints[operand], part) if operand in adjoints else part
        return dict(sorted(result.items()))

    def text(self, root: int) -> str:
        """The function as text, shortened where it is long."""
        texts: dict[int, tuple[str, int]] = {}
        for node in self.below(root):
            texts[node] = self._text(node, texts)
        return texts[root][0]

    def _place(self, operation: str, operands: tuple[Any, ...]) -> int:
        key = (operation, operands)
        place = self._places.setdefault(key, len(self._nodes))
        if place == len(self._nodes):
            self._nodes.append(key)
        return place

    def _simpler(self, operation: str, operands: tuple[int, ...], numbers: Sequence[complex | None]) -> int | None:
        first, last = operands[0], operands[-1]
        match operation, numbers:
            case ("add", [0, _]) | ("mul", [1, _]):
                return last
            case ("add" | "sub", [_, 0]) | ("mul" | "div" | "pow", [_, 1]):
                return first
            case ("mul", [0, _]) | ("mul", [_, 0]):
                return self.number(0.0)
            case ("pow", [_, 0]):
                return self.number(1.0)
            case ("sub", [0, _]) | ("mul", [-1, _]):
                return self.apply("neg", last)
            case ("mul" | "div", [_, -1]):
                return self.apply("neg", first)
            case ("neg", _) if self.operation(first) == "neg":
                return self.operands(first)[0]
            case ("pow", [_, power]) if power in (2, 4) and self.operation(first) == "abs":
                return self.apply("pow", self.operands(first)[0], last)  # which has a derivative at 0
        return None

    def _affine_parts(self, node: int) -> list[tuple[int, complex]] | None:
        """The operands that a node is a linear combination of, each with its factor."""
        operands = self.operands(node)
        match self.operation(node), [self.value_of(operand) for operand in operands]:
            case "add", _:
                return [(operands[0], 1.0), (operands[1], 1.0)]
            case "sub", _:
                return [(operands[0], 1.0), (operands[1], -1.0)]
            case "neg", _:
                return [(operands[0], -1.0)]
            case "mul", [_, factor] if factor is not None:
                return [(operands[0], factor)]
            case "mul", [factor, _] if factor is not None:
                return [(operands[1], factor)]
            case "div", [_, divisor] if divisor:
                return [(operands[0], 1.0 / divisor)]
        return None

    def _slopes(self, node: int) -> Iterator[tuple[int, int]]:
        """∂node/∂operand for each operand that is not a number."""
        operands = self.operands(node)
        rule = _SLOPES[self.operation(node)]
        own = Expression(self, node)
        slopes = rule(own, *[Expression(self, operand) for operand in operands])
        for operand, slope in zip(operands, slopes, strict=True):
            if self.value_of(operand) is None:
                found = slope()
                yield operand, found.node if isinstance(found, Expression) else self.number(found)

    def _text(self, node: int, texts: Mapping[int, tuple[str, int]]) -> tuple[str, int]:
        """The text, and how strongly its last operation binds."""
        operation, operands = self._nodes[node]
        if operation == NUMBER:
            value = operands[0]
            return f"{value:.12g}", 2 if isinstance(value, float) and value < 0 else 5
        if operation == PARAMETER:
            return self.names[operands[0]], 5
        strength = _STRENGTH.get(operation, 5)
        if operation == "mul" and self.operation(operands[1]) == NUMBER:
            operands = operands[::-1]  # 2*a, not a*2
        if operation not in _STRENGTH:
            text = f"{operation}({texts[operands[0]][0]})"
        elif operation == "neg":
            text = "-" + _in_brackets(*texts[operands[0]], strength + 1)
        else:
            left = _in_brackets(*texts[operands[0]], strength + (operation == "pow"))
            right = _in_brackets(*texts[operands[1]], strength + 1)
            text = left + _SIGNS[operation] + right
        if len(text) > _LONGEST:
            text = f"{text[: _LONGEST // 2]} … {text[-_LONGEST // 2 :]}"
        return text, strength


def _in_brackets(text: str, strength: int, needed: int) -> str:
    return text if strength >= needed else f"({text})"


def _known(operation: str, numbers: Sequence[Any]) -> complex | None:
    """The value of an operation on numbers; None where it has none, which is said when it is met."""
    for kind in (float, complex):
        if kind is float and any(isinstance(number, complex) for number in numbers):
            continue
        with np.errstate(all="ignore"):
            value = complex(OPERATIONS[operation](*[np.array(number, dtype=kind) for number in numbers])[()])
        if math.isfinite(value.real) and math.isfinite(value.imag):
            return value
    return None


_Slope = Callable[[], Any]
# For v = operation(x, y): ∂v/∂x and ∂v/∂y, made when they are asked for.
_SLOPES: dict[str, Callable[..., tuple[_Slope, ...]]] = {
    "add": lambda v, x, y: (lambda: 1.0, lambda: 1.0),
    "sub": lambda v, x, y: (lambda: 1.0, lambda: -1.0),
    "mul": lambda v, x, y: (lambda: y, lambda: x),
    "div": lambda v, x, y: (lambda: 1.0 / y, lambda: -v / y),
    "pow": lambda v, x, y: (lambda: y * x ** (y - 1.0), lambda: v * x.function("log")),
    "neg": lambda v, x: (lambda: -1.0,),
    "sin": lambda v, x: (lambda: x.function("cos"),),
    "cos": lambda v, x: (lambda: -x.function("sin"),),
    "tan": lambda v, x: (lambda: 1.0 + v * v,),
    "asin": lambda v, x: (lambda: (1.0 - x * x) ** -0.5,),
    "acos": lambda v, x: (lambda: -((1.0 - x * x) ** -0.5),),
    "atan": lambda v, x: (lambda: 1.0 / (1.0 + x * x),),
    "exp": lambda v, x: (lambda: v,),
    "log": lambda v, x: (lambda: 1.0 / x,),
    "abs": lambda v, x: (lambda: x.function("slope of abs"),),
    "sign": lambda v, x: (lambda: x.function("slope of sign"),),
    "conj": lambda v, x: (lambda: 1.0,),  # it is refused where its argument is not real
}
