"""Arguments of functions that differ in the length of arrays alone: made longer, and the parameters in shorter ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from qngd.circuit.circuit import Circuit
from qngd.errors import ParameterError
from qngd.interop.pennylane.arguments import Arguments, is_named


def longer(circuit: Circuit, like: Any, rounds: np.ndarray) -> Any:
    """θ in the structure of `like`, whose arrays and lists are one entry longer along the axis along which the
    parameters' `rounds` (P,) count from 0.

    Raises:
        ParameterError: there is no such axis.
    """
    arguments = circuit.structure
    assert isinstance(arguments, Arguments)
    given = arguments.as_tuple(like)
    if given is None:
        raise ParameterError(
            "result: its theta is a flat array, which does not show how the function's arguments grow; give theta=, "
            "arguments to call the deeper circuit with"
        )
    leaves = iter([leaf.part(rounds) if leaf.trainable else None for leaf in arguments.leaves])
    names = arguments.names
    made = tuple(_longer(value, _by_place(value, leaves), name) for name, value in zip(names, given, strict=True))
    return made if type(like) is tuple or len(made) > 1 else made[0]


def parameters_in(circuit: Circuit, theta: Any) -> np.ndarray | None:
    """The parameters (p,) in arguments like those of the circuit's function, whose arrays may have other lengths; None
    where they are not as many arguments. The function, which need not take these, is not called."""
    arguments = circuit.structure
    assert isinstance(arguments, Arguments)
    given = theta if type(theta) is tuple else (theta,)
    return replace(arguments, example=given).theta if len(given) == len(arguments.names) else None


def _by_place(value: Any, leaves: Iterator[np.ndarray | None]) -> Any:
    """The leaves where they stand in an argument: lists of arrays of one shape as one array."""
    if isinstance(value, dict):
        return {key: _by_place(item, leaves) for key, item in value.items()}
    if not isinstance(value, (list, tuple)):
        return next(leaves)
    parts = [_by_place(item, leaves) for item in value]
    shapes = {part.shape if isinstance(part, np.ndarray) else None for part in parts}
    return np.stack(parts) if len(shapes) == 1 and None not in shapes and not is_named(value) else parts


def _longer(value: Any, rounds: Any, name: str) -> Any:
    if rounds is None:
        return value
    if isinstance(rounds, dict):
        return {key: _longer(item, rounds[key], f"{name}[{key!r}]") for key, item in value.items()}
    axis = _axis(rounds) if isinstance(rounds, np.ndarray) else None
    if axis is not None:
        return _extended(value, axis)
    if isinstance(value, (list, tuple)):
        parts = [_longer(item, part, f"{name}[{i}]") for i, (item, part) in enumerate(zip(value, rounds, strict=True))]
        return type(value)(*parts) if is_named(value) else type(value)(parts)
    raise ParameterError(
        f"theta: the argument {name} has no axis that counts the circuit's rounds, so it cannot be made one round "
        "longer; give theta=, arguments to call the deeper circuit with"
    )


def _axis(rounds: np.ndarray) -> int | None:
    """The first axis along which these count from 0, the same everywhere."""
    for axis, size in enumerate(rounds.shape):
        if np.all(np.moveaxis(rounds, axis, -1) == np.arange(size)):
            return axis
    return None


def _extended(value: Any, axis: int) -> Any:
    """A list or array, with its last entry along an axis once more."""
    if isinstance(value, (list, tuple)):
        return type(value)([*value, value[-1]] if axis == 0 else [_extended(item, axis - 1) for item in value])
    index = np.append(np.arange(value.shape[axis]), value.shape[axis] - 1)
    return value[(slice(None),) * axis + (index,)]
