"""What a quantum function is called, and its arguments."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import pennylane as qml

from qngd.errors import CircuitError

# Packages whose compiled functions name the function they were given.
_COMPILERS = ("jax", "jaxlib", "catalyst")


def uncompiled(native: Any) -> Any:
    """The function that `jax.jit` or `qml.qjit` was given; compiling changes nothing in what it computes."""
    while type(native).__module__.partition(".")[0] in _COMPILERS and hasattr(native, "__wrapped__"):
        native = native.__wrapped__
    return native


def argument_names(native: Callable[..., Any], example: tuple[Any, ...]) -> tuple[str, ...]:
    function = native.func if isinstance(native, qml.QNode) else native
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # of a function that is not Python's
        return tuple(f"args[{i}]" for i in range(len(example)))
    try:
        bound = signature.bind(*example)
    except TypeError as error:
        name = name_of(native)
        if len(example) == 1 and isinstance(example[0], list) and _fits(signature, example[0]):
            raise CircuitError(
                f"{name}{signature} takes {len(example[0])} arguments, and theta is a list, which is one; θ of several "
                "arguments is their tuple: write tuple(theta)"
            ) from None
        raise CircuitError(
            f"the arguments do not fit {name}{signature} ({error}); call wrap(node, *example_args) with "
            f"arguments that it can be called with, and fix keyword arguments first: functools.partial({name}, "
            f"name=value). Arguments that hold data go with a loss: qngd.Objective({name}, None, lambda outputs: …, "
            'data={"x": X})'
        ) from None
    names: list[str] = []
    for name, value in bound.arguments.items():
        if signature.parameters[name].kind is inspect.Parameter.VAR_POSITIONAL:
            names.extend(f"{name}[{i}]" for i in range(len(value)))
        else:
            names.append(name)
    return tuple(names)


def _fits(signature: inspect.Signature, arguments: Sequence[Any]) -> bool:
    try:
        signature.bind(*arguments)
    except TypeError:
        return False
    return True


def names_arguments(native: Callable[..., Any], arguments: Sequence[Any]) -> bool:
    """Whether the one argument is a dict of the function's arguments by name, as Qiskit's parameters are given."""
    if len(arguments) != 1 or not isinstance(arguments[0], dict) or not arguments[0]:
        return False
    function = native.func if isinstance(native, qml.QNode) else native
    return set(arguments[0]) <= set(inspect.signature(function).parameters)


def name_of(native: Any) -> str:
    native = native.func if isinstance(native, functools.partial) else native
    return str(getattr(native, "__name__", "the function"))
