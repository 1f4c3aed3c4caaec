"""A quantum function's arguments: which numbers in them are parameters, and back from a flat vector.

An argument is a number, an array, or a list, tuple or dict of such. The *leaves* of all arguments, in
order, hold the parameters; a leaf that is not trainable keeps the value it had at wrapping.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pennylane as qml

from qngd.circuit import as_flat
from qngd.errors import ParameterError

_FOREIGN = ("torch", "jax", "tensorflow")


@dataclass(frozen=True)
class Leaf:
    """One number or array among the arguments: `value` as the user gave it, `start` of its parameters."""

    name: str
    value: Any
    trainable: bool
    start: int

    @property
    def shape(self) -> tuple[int, ...]:
        return np.shape(self.value) if self.trainable else ()

    @property
    def size(self) -> int:
        return int(np.prod(self.shape, dtype=int)) if self.trainable else 0

    @property
    def parameter_names(self) -> list[str]:
        """`b` for a number, `a[0]`, `weights[0,1]` for the elements of an array."""
        if not self.trainable:
            return []
        if self.shape == ():
            return [self.name]
        return [f"{self.name}[{','.join(map(str, i))}]" for i in np.ndindex(self.shape)]

    def traced_value(self, flat: np.ndarray) -> Any:
        """Its part of θ as an array of its shape, or as a number where the user gave a number."""
        part = flat[self.start : self.start + self.size]
        return part.reshape(self.shape) if isinstance(self.value, np.ndarray) else part[0]


@dataclass(frozen=True)
class Arguments:
    """The `ThetaStructure` of a QNode, quantum function or script.

    θ in the user's structure is the tuple of all arguments (a single argument may stand alone), those
    that are not trainable included; a flat array (P,) is taken as well.
    """

    example: tuple[Any, ...]
    names: tuple[str, ...]
    leaf_names: tuple[str, ...] | None = None  # where better ones than paths are known

    @cached_property
    def leaves(self) -> tuple[Leaf, ...]:
        made: list[Leaf] = []
        start = 0
        found = [
            leaf for name, argument in zip(self.names, self.example, strict=True) for leaf in _walk(argument, name)
        ]
        for i, (path, value) in enumerate(found):
            name = self.leaf_names[i] if self.leaf_names else path
            made.append(Leaf(name, value, _is_trainable(value, name), start))
            start += made[-1].size
        return tuple(made)

    @cached_property
    def trainable(self) -> tuple[Leaf, ...]:
        return tuple(leaf for leaf in self.leaves if leaf.trainable)

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        return tuple(name for leaf in self.leaves for name in leaf.parameter_names)

    @property
    def theta(self) -> np.ndarray:
        """The example's parameters as a flat array (P,).

        Raises:
            ParameterError: one of them is not finite.
        """
        parts = [_numbers(leaf.value).reshape(-1) for leaf in self.trainable]
        return as_flat(np.concatenate([np.zeros(0), *parts]), len(self.parameters))

    @property
    def as_given(self) -> Any:
        """The example in the structure that `flatten` takes."""
        return self.example[0] if len(self.example) == 1 else self.example

    def bind(self, values: Sequence[Any]) -> tuple[Any, ...]:
        """The arguments with these values (boxes, say) in place of the trainable leaves."""
        new = iter(values)
        every = iter([next(new) if leaf.trainable else _unmarked(leaf.value) for leaf in self.leaves])
        return tuple(_rebuild(argument, every) for argument in self.example)

    def flatten(self, theta: Any) -> np.ndarray:
        """θ as a flat array (P,).

        Raises:
            ParameterError: it fits neither the arguments nor a flat array, or it changes an argument that
                is not trainable.
        """
        given = self._leaves_of(theta)
        if given is None:
            return self._flat(theta)
        parts = [_numbers(value).reshape(-1) for leaf, value in zip(self.leaves, given, strict=True) if leaf.trainable]
        self._check_fixed(given)
        return as_flat(np.concatenate([np.zeros(0), *parts]), len(self.parameters))

    def unflatten(self, flat: np.ndarray, like: Any) -> Any:
        """A flat array (P,) in the structure of `like`, with arrays and numbers of the same kinds."""
        flat = np.asarray(flat, dtype=float)
        given = self._leaves_of(like)
        if given is None:
            return _of_kind(flat, like)
        leaves = []
        for leaf, value in zip(self.leaves, given, strict=True):
            part = flat[leaf.start : leaf.start + leaf.size]
            leaves.append(_of_kind(part.reshape(leaf.shape), value) if leaf.trainable else value)
        every = iter(leaves)
        rebuilt = tuple(_rebuild(argument, every) for argument in self.example)
        return rebuilt if len(rebuilt) != 1 or self._is_wrapped(like) else rebuilt[0]

    def _is_wrapped(self, theta: Any) -> bool:
        """Whether a single argument comes inside a tuple of one."""
        return isinstance(theta, tuple) and _match(self.example, theta) is not None

    def _leaves_of(self, theta: Any) -> list[Any] | None:
        """The leaves of θ if it has the structure of the arguments, else None."""
        if len(self.example) == 1 and not self._is_wrapped(theta):
            return _match(self.example, (theta,))
        return _match(self.example, tuple(theta)) if isinstance(theta, (tuple, list)) else None

    def _flat(self, theta: Any) -> np.ndarray:
        count = len(self.parameters)
        try:
            numbers = np.asarray(theta, dtype=float)
        except (TypeError, ValueError):
            numbers = np.zeros((0, 0))
        if numbers.shape != (count,):
            raise ParameterError(
                f"theta must be {self._wanted()}, or a flat array of shape ({count},); got {_described(theta)}"
            )
        return as_flat(numbers, count)

    def _wanted(self) -> str:
        parts = [
            f"{leaf.name}: shape {leaf.shape}" if leaf.trainable else f"{leaf.name}: as at wrapping"
            for leaf in self.leaves
        ]
        return f"the {len(self.example)} argument(s) ({'; '.join(parts)})"

    def _check_fixed(self, given: Sequence[Any]) -> None:
        for leaf, value in zip(self.leaves, given, strict=True):
            if not leaf.trainable and not _same(leaf.value, value):
                raise ParameterError(
                    f"theta: the argument {leaf.name} is not trainable and was {leaf.value!r} when the "
                    f"circuit was wrapped; for another value wrap it again: wrap(node, *example_args)"
                )


def _walk(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _walk(item, f"{path}[{key!r}]")
    elif type(value) in (list, tuple):
        for i, item in enumerate(value):
            yield from _walk(item, f"{path}[{i}]")
    else:
        yield path, value


def _rebuild(example: Any, leaves: Iterator[Any]) -> Any:
    if isinstance(example, dict):
        return {key: _rebuild(item, leaves) for key, item in example.items()}
    if type(example) in (list, tuple):
        return type(example)(_rebuild(item, leaves) for item in example)
    return next(leaves)


def _match(example: Any, given: Any) -> list[Any] | None:
    """The leaves of `given` where it has the structure of `example`, else None."""
    if isinstance(example, dict):
        if not isinstance(given, Mapping) or set(given) != set(example):
            return None
        pairs = [(item, given[key]) for key, item in example.items()]
    elif type(example) in (list, tuple):
        if type(given) is not type(example) or len(given) != len(example):
            return None
        pairs = list(zip(example, given, strict=True))
    else:
        fits = not _is_trainable(example, "") or _shape(given) == np.shape(example)
        return [given] if fits else None
    parts = [_match(item, other) for item, other in pairs]
    if any(part is None for part in parts):
        return None
    return [leaf for part in parts if part is not None for leaf in part]


def _shape(value: Any) -> tuple[int, ...] | None:
    try:
        return np.shape(value)
    except ValueError:  # a ragged list
        return None


def _unmarked(value: Any) -> Any:
    """A constant as a plain array: a tensor with requires_grad=False refuses to meet traced numbers."""
    return value.unwrap() if isinstance(value, qml.numpy.tensor) else value


def _is_foreign(value: Any) -> bool:
    return type(value).__module__.partition(".")[0] in (*_FOREIGN, "jaxlib")


def _is_trainable(value: Any, path: str) -> bool:
    """Floating-point numbers and arrays are, unless they say `requires_grad=False`."""
    if isinstance(value, (float, np.floating)):
        return True
    if not isinstance(value, np.ndarray) and not _is_foreign(value):
        return False
    dtype = np.asarray(qml.math.unwrap([value])[0] if _is_foreign(value) else value).dtype
    if dtype.kind == "O":
        raise ParameterError(f"the argument {path} is an array of Python objects; give an array of numbers")
    return dtype.kind == "f" and getattr(value, "requires_grad", True) is not False


def _numbers(value: Any) -> np.ndarray:
    try:
        return np.asarray(qml.math.unwrap([value])[0] if _is_foreign(value) else value, dtype=float)
    except (TypeError, ValueError):
        raise ParameterError(f"theta: {_described(value)} is not real numbers") from None


def _of_kind(values: np.ndarray, like: Any) -> Any:
    """These values as the kind of array or number that `like` is."""
    if isinstance(like, qml.numpy.tensor):
        return qml.numpy.array(values, requires_grad=like.requires_grad)
    if isinstance(like, np.ndarray):
        return np.array(values)
    if isinstance(like, (list, tuple)):
        return type(like)(values.tolist())
    if _is_foreign(like):
        return qml.math.convert_like(values, like)
    return np.float64(values) if isinstance(like, np.floating) else float(values)


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray) or _is_foreign(a):
        return np.shape(a) == np.shape(b) and bool(np.array_equal(np.asarray(a), np.asarray(b)))
    return a is b or bool(a == b)


def _described(value: Any) -> str:
    if isinstance(value, (tuple, list)):
        return f"a {type(value).__name__} of {len(value)}: ({', '.join(map(_described, value))})"
    shape = _shape(value)
    return f"{type(value).__name__} of shape {shape}" if shape else type(value).__name__
