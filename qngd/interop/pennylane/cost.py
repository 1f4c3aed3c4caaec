"""Cost functions around QNodes: the gradient of the whole, and which QNodes it calls at what, as functions of its own
arguments.

The function runs once as autograd differentiates it, with the QNodes on their devices, and once more with their answers
of the first time, to see how their arguments depend on the function's. What a QNode's result does to the arguments of
a later one is not followed.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import autograd
import numpy as np
import pennylane as qml
from autograd import numpy as anp
from autograd.tracer import isbox

from qngd.circuit.theta import ThetaStructure
from qngd.errors import CircuitError, ParameterError
from qngd.interop.pennylane.arguments import Arguments, rebuild, unmarked, walk
from qngd.interop.pennylane.batches import one_of_batch, size_of
from qngd.interop.pennylane.calls import Call, calls_of_qnodes
from qngd.interop.pennylane.frameworks import framework_of, numbers_of
from qngd.interop.pennylane.functions import ComputesWithNode
from qngd.interop.pennylane.signatures import argument_names
from qngd.interop.pennylane.trace import plain

__all__ = [
    "ComputesWithNode", "CostFunction", "Inner", "flat_gradient", "framework_among", "in_kind", "is_circuit"
]  # fmt: skip


@dataclass(frozen=True, eq=False)
class Inner:
    """A QNode that a cost function called: with these arguments, whose A trainable numbers follow the function's P
    parameters with this Jacobian (A, P)."""

    node: Callable[..., Any]
    args: tuple[Any, ...]
    jacobian: np.ndarray


class CostFunction:
    """A function of arguments that calls QNodes and returns one real number. `arguments` is the structure of θ."""

    def __init__(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        self._function = functools.partial(function, **kwargs) if kwargs else function
        given = Arguments(args, argument_names(self._function, args))
        # a whole number without a mark counts layers or samples
        self.arguments = replace(given, fixed_groups=frozenset(given.whole_numbers))
        self._answers: list[Any] = []

    def __call__(self, theta: np.ndarray) -> Any:
        """The cost at θ (P,), which may be traced."""
        parts = [anp.reshape(theta[leaf.start : leaf.stop], leaf.shape) for leaf in self.arguments.trainable]
        return self._function(*self.arguments.bind(parts))

    def value_and_gradient(self) -> tuple[float, np.ndarray]:
        """The cost and its gradient (P,), by autograd and PennyLane; what the QNodes answered is kept."""
        self._answers = []

        def run(_: Call, original: Callable[[], Any]) -> Any:
            result = original()
            self._answers.append(_plainly(result))
            return result

        with calls_of_qnodes(run):
            value, gradient = autograd.value_and_grad(self._one_number)(self.arguments.theta)
        return float(value), np.asarray(gradient, dtype=float)

    def value(self) -> float:
        """The cost alone."""
        self._answers = []

        def run(_: Call, original: Callable[[], Any]) -> Any:
            self._answers.append(original())
            return self._answers[-1]

        with calls_of_qnodes(run):
            return float(self._one_number(self.arguments.theta))

    def inner(self) -> list[Inner]:
        """The QNodes that were called when the value was computed.

        Raises:
            CircuitError: there was none, or one whose arguments cannot be followed.
        """
        given = iter(self._answers)
        found: list[tuple[Callable[..., Any], tuple[Any, ...]]] = []

        def moved(theta: Any) -> Any:
            found.clear()
            with calls_of_qnodes(lambda call, _: next(given)) as calls:
                self(theta)
            boxes = []
            for call in calls:
                node, args = _by_position(call)
                leaves = [leaf.value for argument in args for leaf in walk(argument, "", "")]
                marked = iter([_marked(value) for value in leaves])
                found.append((node, tuple(rebuild(argument, marked) for argument in args)))
                boxes.append([anp.ravel(value) for value in leaves if isbox(value)])
            sizes.extend(sum(int(np.size(plain(box))) for box in group) for group in boxes)
            flat = [box for group in boxes for box in group]
            return anp.concatenate(flat) if flat else np.zeros(0)

        sizes: list[int] = []
        rows = np.asarray(autograd.jacobian(moved)(self.arguments.theta)) if self._answers else np.zeros((0, 0))
        if not rows.size:
            raise CircuitError(
                "the cost function calls no QNode with its parameters, so there is no metric to follow; give "
                "metric_tensor_fn, or use another optimizer"
            )
        parts = np.split(rows, np.cumsum(sizes)[:-1])
        moving = [(node, args, part) for (node, args), part in zip(found, parts, strict=True) if len(part)]
        return [Inner(one, args, part) for node, args, part in moving for one in _one_by_one(node, args)]

    def _one_number(self, theta: Any) -> Any:
        value = self(theta)
        if np.size(plain(value)) != 1 or isinstance(value, (list, tuple)):
            raise ParameterError("the cost function must return one real number")
        return anp.reshape(value, ())


def flat_gradient(arguments: ThetaStructure, parts: Any, count: int) -> np.ndarray:
    """A gradient as `qml.grad` gives it, one part for each trainable argument, as a flat array (P,).

    Raises:
        ParameterError: it has another number of values.
    """
    parts = parts if isinstance(parts, (tuple, list)) else (parts,)
    values = [leaf.value for part in parts for leaf in walk(part, "", "") if leaf.value is not None]
    flat = np.concatenate([np.zeros(0), *(np.ravel(numbers_of(value)) for value in values)])
    if flat.shape != (count,):
        raise ParameterError(f"grad_fn must return {count} values for the trainable arguments; it returned {len(flat)}")
    return flat.astype(float)


def in_kind(values: np.ndarray, example: Any) -> Any:
    """An array as the kind that the example is of: JAX's, torch's, else PennyLane's."""
    leaves = [leaf.value for argument in example for leaf in walk(argument, "", "")]
    owner = next(((framework, leaf) for leaf in leaves if (framework := framework_of(leaf)) is not None), None)
    if owner is None:
        return qml.numpy.array(values, requires_grad=True)
    framework, leaf = owner
    made = framework.like(values, leaf)
    return framework.detached(made)


def is_circuit(value: Any) -> bool:
    """Whether it is a QNode, and not a function around one."""
    return isinstance(value, qml.QNode)


def framework_among(args: tuple[Any, ...]) -> str | None:
    """ "jax" or "torch" where arrays of theirs are among the arguments."""
    found = (framework_of(leaf.value) for argument in args for leaf in walk(argument, "", ""))
    return next((framework.name for framework in found if framework is not None), None)


def _by_position(call: Call) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """The QNode and its arguments by position; those by keyword that hold no traced numbers are fixed.

    Raises:
        CircuitError: a traced number comes by keyword, and can come in no other way.
    """
    bound = inspect.signature(call.node.func).bind(*call.args, **call.kwargs)
    kwargs = dict(bound.kwargs)
    if any(isbox(leaf.value) for value in kwargs.values() for leaf in walk(value, "", "")):
        raise CircuitError(
            f"the QNode {getattr(call.node, '__name__', '')} is given parameters by keyword only; give them by position"
        )
    return (functools.partial(call.node, **kwargs) if kwargs else call.node), tuple(bound.args)


def _one_by_one(node: Callable[..., Any], args: tuple[Any, ...]) -> list[Callable[..., Any]]:
    """The QNode for every circuit of a batch, which PennyLane runs as one."""
    inner, kwargs = (node.func, node.keywords) if isinstance(node, functools.partial) else (node, {})
    size = size_of(qml.workflow.construct_tape(inner, level="user")(*args, **kwargs))
    if size is None:
        return [node]
    return [functools.partial(one_of_batch(inner, number=number), **kwargs) for number in range(size)]


def _marked(value: Any) -> Any:
    """A traced number or array as a trainable one, anything else as data."""
    return qml.numpy.array(plain(value), requires_grad=True) if isbox(value) else unmarked(value, True)


def _plainly(result: Any) -> Any:
    """What a QNode returned, without boxes."""
    leaves: Iterator[Any] = iter([plain(leaf.value) for leaf in walk(result, "", "")])
    return rebuild(result, leaves)
