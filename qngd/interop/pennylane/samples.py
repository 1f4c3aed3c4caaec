"""QNodes and quantum functions with data among their arguments."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pennylane as qml
from pennylane.operation import Operator
from pennylane.tape import QuantumScript

from qngd.circuit.circuit import Circuit
from qngd.errors import CircuitError
from qngd.interop.pennylane.arguments import Arguments
from qngd.interop.pennylane.batches import one_of, size_of
from qngd.interop.pennylane.frameworks import numbers_of
from qngd.interop.pennylane.functions import FunctionSource
from qngd.interop.pennylane.reader import FAILED, read_source
from qngd.interop.pennylane.signatures import uncompiled
from qngd.interop.pennylane.tape import Way

__all__ = ["FAILED", "DataArguments", "data_arguments", "is_of_batches", "read_joint", "read_one"]

_EMPTY = inspect.Parameter.empty


@dataclass(frozen=True, eq=False)
class DataArguments:
    """A function whose arguments `names` hold data, and the others, from the first one on, θ."""

    native: Callable[..., Any]
    signature: inspect.Signature
    names: tuple[str, ...]

    def call(self, theta: Sequence[Any], data: Sequence[Any]) -> Any:
        """The function at these values."""
        bound = inspect.BoundArguments(self.signature, {})
        for name, value in [
            *zip(self.theta_names(len(theta)), theta, strict=True),
            *zip(self.names, data, strict=True),
        ]:
            bound.arguments[name] = value
        # in the order of the signature, as BoundArguments wants them
        bound.arguments = {name: bound.arguments[name] for name in self.signature.parameters if name in bound.arguments}
        return self.native(*bound.args, **bound.kwargs)

    def called(self, count: int, shapes: Sequence[tuple[int, ...]]) -> str:
        """What the arguments were given: θ of `count` arguments, and samples of these shapes."""
        mine = ", ".join(self.theta_names(count))
        samples = " and ".join(f"{name} (of shape {shape})" for name, shape in zip(self.names, shapes, strict=True))
        return (
            f"data: {_name(self.native)}{self.signature} was given {mine} from theta0 and {samples} from data, one "
            'sample in a call; if other arguments hold data, name them, as in data={"x": X}'
        )

    def theta_names(self, count: int) -> tuple[str, ...]:
        """The arguments that θ of `count` arguments fills.

        Raises:
            CircuitError: they are fewer, or others must have values, too.
        """
        free = [name for name in self.signature.parameters if name not in self.names]
        needed = [name for name in free if self.signature.parameters[name].default is _EMPTY]
        if count > len(free) or len(needed) > count:
            raise CircuitError(
                f"circuit: {_name(self.native)}{self.signature} has the data {', '.join(self.names)}, and theta0 fills "
                f"{count} of its other arguments ({', '.join(free) or 'there are none'}); give theta0 as the tuple of "
                'their values, and name the data: data={"x": X}; of several circuits let each take all of θ, as in '
                "lambda a, b, x: first(a, x)"
            )
        return tuple(free[:count])


def data_arguments(native: Any, names: Sequence[str] | None, num_theta: int, num_data: int) -> DataArguments:
    """Which arguments hold data: those of these names, or the `num_data` that follow those of θ.

    Raises:
        CircuitError: there are no such arguments.
    """
    if isinstance(native, QuantumScript) or not callable(native):
        raise CircuitError("circuit: a QuantumScript has no arguments for data; give the function that makes it")
    native = uncompiled(native)
    function = native.func if isinstance(native, qml.QNode) else native
    signature = inspect.signature(function)
    known = [name for name, parameter in signature.parameters.items() if parameter.kind not in _VARIADIC]
    if names is None:
        names = known[num_theta : num_theta + num_data]
        if len(names) < num_data:
            raise CircuitError(
                f"data: {_name(native)}{signature} has no arguments left for it behind those of theta0; name the "
                f'arguments that hold data, as in data={{"{known[-1] if known else "x"}": X}}'
            )
    for name in names:
        if name not in known:
            raise CircuitError(
                f"data: {_name(native)}{signature} has no argument {name!r}; its arguments are {', '.join(known)}"
            )
    return DataArguments(native, signature, tuple(names))


_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def read_joint(arguments: DataArguments, theta: tuple[Any, ...], sample: Sequence[Any]) -> tuple[Circuit, Arguments]:
    """The circuit with θ and the data of a sample as parameters, those of θ first; and how the user writes θ.

    Raises:
        CircuitError, ParameterError: data may not vary so in this circuit, or it cannot be read.
    """
    numbers = [np.asarray(numbers_of(value), dtype=float) for value in sample]
    values = tuple(value if value.ndim else float(value) for value in numbers)
    names = (*arguments.theta_names(len(theta)), *arguments.names)
    joint = Arguments((*theta, *values), names, data=frozenset(arguments.names))

    @_named_as(arguments.native)
    def native(*args: Any) -> Any:
        return arguments.call(args[: len(theta)], args[len(theta) :])

    circuit = read_source(FunctionSource(native, joint, Way()))
    found = circuit.structure
    assert isinstance(found, Arguments)
    structure = replace(found, example=theta, names=names[: len(theta)], data=frozenset())
    return replace(circuit, fixed=structure.fixed, example=structure.as_given), structure


def read_one(arguments: DataArguments, theta: tuple[Any, ...], sample: Sequence[Any]) -> Circuit:
    """The circuit of one sample, whose data are constants.

    Raises:
        CircuitError, ParameterError: it cannot be read.
    """
    return read_source(_source(arguments, theta, sample))


def is_of_batches(arguments: DataArguments, theta: tuple[Any, ...], samples: Sequence[np.ndarray]) -> bool:
    """Whether samples (B, …), given all at a time, make a batch of the circuits that each makes as a batch of one. One
    that subtracts their mean does not."""
    count = len(samples[0])
    whole = _source(arguments, theta, samples).script()
    if count > 1 and size_of(whole) != count:
        return False
    for number in (0, count - 1):
        alone = _source(arguments, theta, [column[number : number + 1] for column in samples]).script().operations
        found = one_of(whole, number).operations
        if len(found) != len(alone) or not all(map(_is_same, found, alone)):
            return False
    return True


def _is_same(first: Operator, second: Operator) -> bool:
    return bool(qml.equal(first, second, check_interface=False, check_trainability=False))


def _source(arguments: DataArguments, theta: tuple[Any, ...], data: Sequence[Any]) -> FunctionSource:
    """The function of θ at these data."""
    values = tuple(numbers_of(value) for value in data)

    @_named_as(arguments.native)
    def native(*args: Any) -> Any:
        return arguments.call(args, values)

    return FunctionSource(native, Arguments(theta, arguments.theta_names(len(theta))), Way())


def _named_as(native: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A decorator that gives a function the name that errors call it by."""

    def renamed(function: Callable[..., Any]) -> Callable[..., Any]:
        function.__name__ = _name(native)
        return function

    return renamed


def _name(native: Any) -> str:
    return str(getattr(native, "__name__", "the function"))
