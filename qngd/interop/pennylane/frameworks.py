"""JAX arrays and torch tensors: to numbers and back, and a function's derivatives by its own framework.

A function that calls `torch.sin` or `jnp.sin` takes nothing but its framework's arrays, so it cannot run on
autograd's boxes. It then runs on those arrays, and the framework's own reverse mode says how the numbers that
come out depend on those that went in.

A framework is imported when one of its arrays arrives, never before.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

import numpy as np
from autograd.core import defvjp_argnums
from autograd.tracer import isbox, primitive

from qngd.errors import ParameterError
from qngd.interop.arrays import OUTSIDE, Arrays, JaxArrays, TorchArrays, framework_name


class Derived:
    """A number or array that a run on a framework's arrays gave: `value`, and `slopes[i]`, its derivative by leaf i,
    of the shape value.shape + leaf.shape."""

    def __init__(self, value: np.ndarray, slopes: Sequence[np.ndarray]) -> None:
        self.value = value
        self.slopes = slopes

    def box(self, leaves: Sequence[Any]) -> Any:
        """The value as autograd sees it: with these derivatives by the boxes `leaves`."""
        if np.isrealobj(self.value):
            return _linearized(self.value, self.slopes, *leaves)
        parts = (np.real, np.imag)
        real, imag = (_linearized(part(self.value), [part(s) for s in self.slopes], *leaves) for part in parts)
        return real + 1j * imag


@primitive
def _linearized(value: np.ndarray, slopes: Sequence[np.ndarray], *leaves: Any) -> Any:
    return value[()]


def _linearized_vjp(argnums: Sequence[int], value: Any, args: Any, kwargs: Any) -> Callable[[Any], Any]:
    slopes = [args[1][argnum - 2] for argnum in argnums]
    return lambda grad: [np.tensordot(grad, slope, axes=np.ndim(grad)) for slope in slopes]


defvjp_argnums(_linearized, _linearized_vjp)


class Framework(Arrays, Protocol):
    """What is asked of torch or JAX."""

    def leaf(self, values: np.ndarray, example: Any, *, double: bool) -> Any:
        """An array to run a function on: in double precision, or in that of the example."""

    def detached(self, leaf: Any) -> Any:
        """The leaf without derivatives."""

    def precision(self) -> AbstractContextManager[Any]:
        """In which double precision is to be had."""

    def follows(self, value: Any) -> bool:
        """Whether a number that came out depends on a leaf."""

    def derive(self, run: Callable[..., Iterable[Any]], leaves: Sequence[Any]) -> list[Derived]:
        """`run(*leaves)`, whose results are arrays that depend on the leaves, with their derivatives."""


class _Torch(TorchArrays):
    def leaf(self, values: np.ndarray, example: Any, *, double: bool) -> Any:
        import torch

        own = framework_of(example) is self and not double and example.is_floating_point()
        dtype = example.dtype if own else torch.float64
        device = example.device if framework_of(example) is self else None
        return torch.as_tensor(np.array(values), dtype=dtype, device=device).requires_grad_(True)

    def detached(self, leaf: Any) -> Any:
        return leaf.detach()

    def precision(self) -> AbstractContextManager[Any]:
        return nullcontext()

    def follows(self, value: Any) -> bool:
        return framework_of(value) is self and bool(value.requires_grad)

    def derive(self, run: Callable[..., Iterable[Any]], leaves: Sequence[Any]) -> list[Derived]:
        return [self._derived(value, leaves) for value in run(*leaves)]

    def _derived(self, value: Any, leaves: Sequence[Any]) -> Derived:
        numbers = self.numbers(value)
        slopes = [np.zeros((numbers.size, int(np.prod(leaf.shape))), dtype=numbers.dtype) for leaf in leaves]
        for row, element in enumerate(value.reshape(-1)):
            # the derivative of a complex number by a real one, part by part
            parts = ((1.0, element.real), (1j, element.imag)) if value.is_complex() else ((1.0, element),)
            for factor, part in parts:
                for slope, gradient in zip(slopes, self._gradients(part, leaves), strict=True):
                    if gradient is not None:
                        slope[row] += factor * self.numbers(gradient).reshape(-1)
        shaped = [s.reshape((*numbers.shape, *leaf.shape)) for s, leaf in zip(slopes, leaves, strict=True)]
        return Derived(numbers, shaped)

    def _gradients(self, element: Any, leaves: Sequence[Any]) -> Sequence[Any]:
        import torch

        return torch.autograd.grad(element, leaves, retain_graph=True, allow_unused=True)


class _Jax(JaxArrays):
    def leaf(self, values: np.ndarray, example: Any, *, double: bool) -> Any:
        import jax.numpy as jnp

        own = framework_of(example) is self and not double and jnp.issubdtype(example.dtype, jnp.floating)
        return jnp.asarray(values, dtype=example.dtype if own else jnp.float64)

    def detached(self, leaf: Any) -> Any:
        return leaf  # derivatives belong to a transformation

    def precision(self) -> AbstractContextManager[Any]:
        import jax

        newer = getattr(jax, "enable_x64", None)  # where the older name is deprecated
        return newer(True) if newer is not None else jax.experimental.enable_x64()

    def follows(self, value: Any) -> bool:
        import jax

        return isinstance(value, jax.core.Tracer)

    def derive(self, run: Callable[..., Iterable[Any]], leaves: Sequence[Any]) -> list[Derived]:
        import jax
        import jax.numpy as jnp

        def split(*args: Any) -> list[Any]:  # reverse mode wants real numbers
            parts = [(jnp.real(v), jnp.imag(v)) if jnp.iscomplexobj(v) else (v, None) for v in run(*args)]
            flat = [jnp.ravel(part) for pair in parts for part in pair if part is not None]
            shapes.extend((np.shape(real), imag is not None) for real, imag in parts)
            return [jnp.concatenate(flat) if flat else jnp.zeros(0)]

        shapes: list[tuple[tuple[int, ...], bool]] = []
        (flat,), pull = jax.vjp(split, *leaves)
        rows = jax.vmap(lambda grad: pull([grad]))(jnp.eye(flat.size, dtype=flat.dtype)) if flat.size else ()
        return list(_assembled(np.asarray(flat), [np.asarray(row) for row in rows], shapes))


def _assembled(
    flat: np.ndarray, rows: Sequence[np.ndarray], shapes: Sequence[tuple[tuple[int, ...], bool]]
) -> Iterable[Derived]:
    """Arrays of these shapes (and whether each is complex), laid out one after the other, back from flat ones."""
    start = 0
    for shape, is_complex in shapes:
        size = int(np.prod(shape, dtype=int))

        def part(array: np.ndarray, first: int = start, size: int = size, shape: Any = shape) -> np.ndarray:
            return array[first : first + size].reshape(shape + array.shape[1:])

        value, slopes = part(flat), [part(row) for row in rows]
        if is_complex:
            value = value + 1j * part(flat, start + size)
            slopes = [slope + 1j * part(row, start + size) for slope, row in zip(slopes, rows, strict=True)]
        yield Derived(value, slopes)
        start += size * (2 if is_complex else 1)


_KNOWN: dict[str, Framework] = {"torch": _Torch(), "jax": _Jax()}


def framework_of(value: Any) -> Framework | None:
    """torch or JAX where the value is an array of theirs, else None."""
    name = framework_name(value)
    return None if name is None else _KNOWN[name]


def loaded_frameworks() -> list[Framework]:
    """Those that the user has imported."""
    return [framework for name, framework in _KNOWN.items() if name in sys.modules]


def numbers_of(value: Any) -> Any:
    """An array of a framework's as a NumPy array; anything else as it is.

    Raises:
        ParameterError: it stands for numbers that are not known: another package differentiates or compiles a
            function that calls this one.
    """
    if isbox(value):
        raise ParameterError(f"theta is being differentiated by autograd (qml.grad, qml.jacobian), {OUTSIDE}")
    framework = framework_of(value)
    return value if framework is None else framework.numbers(value)
