"""A quantum function's arguments: which numbers in them are parameters, and back from a flat vector.

An argument is a number, an array, or a list, tuple, named tuple or dict of such. The *leaves* of all
arguments, in order, hold the parameters; a leaf that is not trainable keeps the value it had at wrapping.

PennyLane's rule decides which are trainable: where one argument is marked `requires_grad=True`, all that
are marked, and no others; where none is marked, all that are real numbers. A whole number without a mark may
as well count layers or name a wire: `whole_numbers` are tried as parameters, and fixed where they cannot
be moved (`read_circuit`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pennylane as qml

from qngd.circuit.theta import as_flat
from qngd.errors import ParameterError
from qngd.interop.pennylane.frameworks import Framework, framework_of, numbers_of


@dataclass(frozen=True)
class Leaf:
    """One number or array among the arguments: `value` as the user gave it, `start` of its parameters. `marked`
    says that it asks to be trained; `group` is the argument, or the entry of a dict, that it stands in."""

    name: str
    group: str
    value: Any
    trainable: bool
    marked: bool
    start: int

    @property
    def shape(self) -> tuple[int, ...]:
        return _shape(self.value) or () if self.trainable else ()

    @property
    def size(self) -> int:
        return int(np.prod(self.shape, dtype=int)) if self.trainable else 0

    @property
    def stop(self) -> int:
        return self.start + self.size

    @property
    def parameter_names(self) -> list[str]:
        """`b` for a number, `a[0]`, `weights[0,1]` for the elements of an array."""
        if not self.trainable:
            return []
        if self.shape == ():
            return [self.name]
        return [f"{self.name}[{','.join(map(str, i))}]" for i in np.ndindex(self.shape)]

    def part(self, flat: np.ndarray) -> np.ndarray:
        """Its part of θ (P,), an array of its shape."""
        return flat[self.start : self.stop].reshape(self.shape)

    def traced_value(self, flat: np.ndarray) -> Any:
        """Its part of θ, as a number where the user gave a number."""
        is_array = isinstance(self.value, np.ndarray) or framework_of(self.value) is not None
        return self.part(flat) if is_array else self.part(flat)[()]


class _Found(NamedTuple):
    """A leaf before it is known what is trainable."""

    path: str
    group: str
    value: Any


@dataclass(frozen=True)
class Arguments:
    """The `ThetaStructure` of a QNode, quantum function or script.

    θ in the user's structure is the tuple of all arguments (a single argument may stand alone), those
    that are not trainable included; a flat array (P,) is taken as well.
    """

    example: tuple[Any, ...]
    names: tuple[str, ...]
    leaf_names: tuple[str, ...] | None = None  # where better ones than paths are known
    fixed_groups: frozenset[str] = frozenset()  # whose whole numbers are no parameters
    data: frozenset[str] = frozenset()  # arguments that hold a sample's data, which vary whatever their marks say

    @cached_property
    def _found(self) -> tuple[_Found, ...]:
        pairs = zip(self.names, self.example, strict=True)
        return tuple(leaf for name, argument in pairs for leaf in walk(argument, name, name))

    @cached_property
    def _holds_data(self) -> tuple[bool, ...]:
        """Of every leaf whether it belongs to a sample's data."""
        pairs = zip(self.names, self.example, strict=True)
        return tuple(name in self.data for name, argument in pairs for _ in walk(argument, name, name))

    @cached_property
    def leaves(self) -> tuple[Leaf, ...]:
        kinds = [
            "data" if is_data else _kind(leaf.value, leaf.path)
            for leaf, is_data in zip(self._found, self._holds_data, strict=True)
        ]
        any_marked = "marked" in kinds
        made: list[Leaf] = []
        start = 0
        for i, (leaf, kind) in enumerate(zip(self._found, kinds, strict=True)):
            name = self.leaf_names[i] if self.leaf_names else leaf.path
            free = kind == "real" or (kind == "whole" and leaf.group not in self.fixed_groups)
            trainable = kind in ("marked", "data") or (free and not any_marked)
            made.append(Leaf(name, leaf.group, leaf.value, trainable, kind == "marked", start))
            start += made[-1].size
        return tuple(made)

    @cached_property
    def trainable(self) -> tuple[Leaf, ...]:
        return tuple(leaf for leaf in self.leaves if leaf.trainable)

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        return tuple(name for leaf in self.leaves for name in leaf.parameter_names)

    @property
    def fixed(self) -> tuple[str, ...]:
        """The leaves that are no parameters, by name."""
        return tuple(leaf.name for leaf in self.leaves if not leaf.trainable)

    @property
    def whole_numbers(self) -> dict[str, tuple[Leaf, ...]]:
        """The trainable leaves of whole numbers without a mark, by group."""
        groups: dict[str, tuple[Leaf, ...]] = {}
        for leaf, is_data in zip(self.leaves, self._holds_data, strict=True):
            if leaf.trainable and not leaf.marked and not is_data and is_whole(leaf.value):
                groups[leaf.group] = (*groups.get(leaf.group, ()), leaf)
        return groups

    @property
    def framework(self) -> Framework | None:
        """torch or JAX where a parameter is an array of theirs."""
        return next(filter(None, (framework_of(leaf.value) for leaf in self.trainable)), None)

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

    def bind(self, values: Sequence[Any], *, numbers: bool = True) -> tuple[Any, ...]:
        """The arguments with these values (boxes, say) in place of the trainable leaves; with `numbers`, what is
        fixed as plain arrays."""
        new = iter(values)
        every = iter([next(new) if leaf.trainable else unmarked(leaf.value, numbers) for leaf in self.leaves])
        return tuple(rebuild(argument, every) for argument in self.example)

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
        pairs = zip(self.leaves, given, strict=True)
        every = iter([_of_kind(leaf.part(flat), value) if leaf.trainable else value for leaf, value in pairs])
        rebuilt = tuple(rebuild(argument, every) for argument in self.example)
        return rebuilt if len(rebuilt) != 1 or self._is_wrapped(like) else rebuilt[0]

    def split(self, flat: np.ndarray) -> Any:
        """A flat array (P,) as `qml.grad` gives derivatives: one part for each argument that holds parameters, in a
        tuple unless it is one; inside lists and dicts, None stands in the place of what is no parameter."""
        flat = np.asarray(flat, dtype=float)
        leaves = iter(self.leaves)
        chosen = []
        for argument in self.example:
            own = [next(leaves) for _ in walk(argument, "", "")]
            parts = [leaf.part(flat)[()] if leaf.trainable else None for leaf in own]
            if any(leaf.trainable for leaf in own):
                chosen.append(rebuild(argument, iter(parts)))
        return chosen[0] if len(chosen) == 1 else tuple(chosen)

    def as_tuple(self, theta: Any) -> tuple[Any, ...] | None:
        """θ in the structure of the arguments as one entry an argument, or None where it has another one."""
        if self._leaves_of(theta) is None:
            return None
        return tuple(theta) if len(self.example) != 1 or self._is_wrapped(theta) else (theta,)

    def one_of_a_batch(self, size: int) -> str:
        """What to write where an argument holds a batch of this size."""
        batches = [
            name for name, value in zip(self.names, self.example, strict=True) if (_shape(value) or (0,))[0] == size
        ]
        if not batches:
            return (
                "wrap the circuit for one set of parameters; where the batch is data, give one row of it, as "
                "node(theta, data[0]), and let an objective go through it: "
                'qngd.Objective(node, None, lambda outputs: …, data={"x": X})'
            )
        data = ", ".join(f'"{name}": {name}' for name in batches)
        shown = ", ".join(f"{name}[0]" if name in batches else name for name in self.names)
        return (
            f"wrap the circuit for one set of parameters; where the argument {' or '.join(batches)} holds a batch of "
            f"{size}, wrap(node, {shown}), and for a loss over all of it write "
            f"qngd.Objective(node, None, lambda outputs: …, data={{{data}}})"
        )

    def _is_wrapped(self, theta: Any) -> bool:
        """Whether a single argument comes inside a tuple of one."""
        return type(theta) is tuple and self._matched(theta) is not None

    def _leaves_of(self, theta: Any) -> list[Any] | None:
        """The leaves of θ if it has the structure of the arguments, else None."""
        if len(self.example) == 1 and not self._is_wrapped(theta):
            return self._matched((theta,))
        return self._matched(tuple(theta)) if type(theta) in (tuple, list) else None

    def _matched(self, theta: tuple[Any, ...]) -> list[Any] | None:
        given = _match(self.example, theta)
        if given is None:
            return None
        pairs = zip(self.leaves, given, strict=True)
        return given if all(not leaf.trainable or _shape(value) == leaf.shape for leaf, value in pairs) else None

    def _flat(self, theta: Any) -> np.ndarray:
        count = len(self.parameters)
        plain = numbers_of(theta)  # says it where another package differentiates
        try:
            numbers = _numbers(plain)
        except ParameterError:
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
                    f"circuit was wrapped (it is data, no parameter); for another value wrap it again: "
                    "wrap(node, *example_args)"
                )


def walk(value: Any, path: str, group: str) -> Iterator[_Found]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from walk(item, f"{path}[{key!r}]", f"{path}[{key!r}]")
    elif is_named(value):
        for name, item in zip(value._fields, value, strict=True):
            yield from walk(item, f"{path}.{name}", f"{path}.{name}")
    elif type(value) in (list, tuple):
        for i, item in enumerate(value):
            yield from walk(item, f"{path}[{i}]", group)
    else:
        yield _Found(path, group, value)


def is_named(value: Any) -> bool:
    """Whether it is a named tuple."""
    return isinstance(value, tuple) and hasattr(value, "_fields") and hasattr(value, "_make")


def rebuild(example: Any, leaves: Iterator[Any]) -> Any:
    if isinstance(example, dict):
        return {key: rebuild(item, leaves) for key, item in example.items()}
    if is_named(example):
        return example._make(rebuild(item, leaves) for item in example)
    if type(example) in (list, tuple):
        return type(example)(rebuild(item, leaves) for item in example)
    return next(leaves)


def _match(example: Any, given: Any) -> list[Any] | None:
    """The leaves of `given` where it has the structure of `example`, else None."""
    if isinstance(example, dict):
        if not isinstance(given, Mapping) or set(given) != set(example):
            return None
        pairs = [(item, given[key]) for key, item in example.items()]
    elif type(example) in (list, tuple) or is_named(example):
        if type(given) is not type(example) or len(given) != len(example):
            return None
        pairs = list(zip(example, given, strict=True))
    else:
        return [given]
    parts = [_match(item, other) for item, other in pairs]
    if any(part is None for part in parts):
        return None
    return [leaf for part in parts if part is not None for leaf in part]


def _shape(value: Any) -> tuple[int, ...] | None:
    if framework_of(value) is not None:
        return tuple(value.shape)
    try:
        return np.shape(value)
    except (TypeError, ValueError, RuntimeError):  # a ragged list, or one of torch's tensors
        return None


def unmarked(value: Any, numbers: bool) -> Any:
    """A constant as a plain array: a tensor with requires_grad=False refuses to meet traced numbers."""
    if isinstance(value, qml.numpy.tensor):
        return value.unwrap()
    return numbers_of(value) if numbers else value


def _kind(value: Any, path: str) -> str:
    """ "marked" (requires_grad=True), "real" or "whole" numbers without a mark, or "fixed".

    Raises:
        ParameterError: what is marked has no real numbers.
    """
    if isinstance(value, (bool, np.bool_)):
        return "fixed"
    if isinstance(value, (float, np.floating)):
        return "real"
    if isinstance(value, (int, np.integer)):
        return "whole"
    if not isinstance(value, np.ndarray) and framework_of(value) is None:
        numbers_of(value)  # an error where somebody else differentiates
        return "fixed"
    mark = getattr(value, "requires_grad", None)
    # torch's own default is False and says nothing, PennyLane's is True
    if mark is False and framework_of(value) is None:
        return "fixed"
    letter = np.asarray(numbers_of(value)).dtype.kind
    if letter == "O":
        raise ParameterError(f"the argument {path} is an array of Python objects; give an array of numbers")
    if letter in "fiu":
        return "marked" if mark else {"f": "real"}.get(letter, "whole")
    if mark:
        is_pennylanes = isinstance(value, qml.numpy.tensor)
        why = " (as pennylane.numpy marks every array)" if is_pennylanes else ""
        raise ParameterError(
            f"the argument {path} is marked requires_grad=True{why}, but parameters are real numbers and its dtype is "
            f"{value.dtype}; if it is data, write "
            + (f"pnp.array({path}, requires_grad=False)" if is_pennylanes else f"{path}.detach()")
        )
    return "fixed"


def is_whole(value: Any) -> bool:
    """Whether it is a whole number or an array of such."""
    return np.asarray(numbers_of(value)).dtype.kind in "iu"


def _numbers(value: Any) -> np.ndarray:
    try:
        if isinstance(value, (list, tuple)):
            value = [numbers_of(item) for item in value]
        numbers = np.asarray(numbers_of(value))
        if np.iscomplexobj(numbers):
            raise TypeError
        return numbers.astype(float)
    except (TypeError, ValueError) as error:
        if isinstance(error, ParameterError):
            raise
        raise ParameterError(f"theta: {_described(value)} is not real numbers") from None


def _of_kind(values: np.ndarray, like: Any) -> Any:
    """These values as the kind of array or number that `like` is, of its dtype where that is a real one."""
    framework = framework_of(like)
    if framework is not None:
        return framework.like(values, like)
    if isinstance(like, (np.ndarray, np.floating)):
        cast = values.astype(like.dtype if like.dtype.kind == "f" else float)
        if isinstance(like, qml.numpy.tensor):
            return qml.numpy.array(cast, requires_grad=like.requires_grad)
        return np.array(cast) if isinstance(like, np.ndarray) else cast[()]
    if isinstance(like, (list, tuple)):
        return rebuild(like, iter(values.reshape(-1).tolist()))
    return np.array(values) if np.ndim(values) else float(values)


def _same(a: Any, b: Any) -> bool:
    a, b = numbers_of(a), numbers_of(b)
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return np.shape(a) == np.shape(b) and bool(np.array_equal(np.asarray(a), np.asarray(b)))
    return a is b or bool(a == b)


def _described(value: Any) -> str:
    if isinstance(value, (tuple, list)):
        return f"a {type(value).__name__} of {len(value)}: ({', '.join(map(_described, value))})"
    shape = _shape(value)
    return f"{type(value).__name__} of shape {shape}" if shape else type(value).__name__
