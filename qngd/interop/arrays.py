"""JAX arrays and torch tensors: to numbers and back. A framework is imported when one of its arrays arrives, never
before."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from qngd.errors import ParameterError

OUTSIDE = (
    "which cannot see into this package; call it outside of the function that is traced, with numbers: qngd.gradient "
    "gives the derivatives"
)
_PACKAGES = {"torch": "torch", "jax": "jax", "jaxlib": "jax"}


class Arrays(Protocol):
    """What is asked of a kind of arrays."""

    name: str

    def numbers(self, value: Any) -> np.ndarray:
        """Its array as a NumPy array."""

    def like(self, values: np.ndarray, example: Any) -> Any:
        """NumPy's as its own kind of array, of the example's dtype, device and requires_grad."""


class TorchArrays:
    name = "torch"

    def numbers(self, value: Any) -> np.ndarray:
        detached = value.detach().cpu()
        try:
            return np.asarray((detached.double() if detached.is_floating_point() else detached).numpy())
        except RuntimeError as error:  # a stand-in inside a function that torch transforms
            raise ParameterError(f"theta is being traced by torch, {OUTSIDE}") from error

    def like(self, values: np.ndarray, example: Any) -> Any:
        import torch

        dtype = example.dtype if example.is_floating_point() else torch.float64
        made = torch.as_tensor(values, dtype=dtype, device=example.device)
        if isinstance(example, torch.nn.Parameter):
            return torch.nn.Parameter(made, requires_grad=example.requires_grad)
        return made.requires_grad_(example.requires_grad)


class JaxArrays:
    name = "jax"

    def numbers(self, value: Any) -> np.ndarray:
        import jax

        if isinstance(value, jax.core.Tracer):
            raise ParameterError(f"theta is being traced by JAX (jax.jit, jax.grad, jax.vmap), {OUTSIDE}")
        numbers = np.asarray(value)
        return numbers.astype(float) if numbers.dtype.kind == "V" else numbers  # bfloat16 and its like

    def like(self, values: np.ndarray, example: Any) -> Any:
        import jax.numpy as jnp

        return jnp.asarray(values, dtype=example.dtype if jnp.issubdtype(example.dtype, jnp.floating) else float)


_KNOWN: dict[str, Arrays] = {"torch": TorchArrays(), "jax": JaxArrays()}


def framework_name(value: Any) -> str | None:
    """ "torch" or "jax" where the value is an array of theirs, else None."""
    for base in type(value).__mro__:
        package = _PACKAGES.get(base.__module__.partition(".")[0])
        if package is not None:
            numeric = isinstance(getattr(value, "dtype", None), np.dtype) or package == "torch"
            return package if numeric and hasattr(value, "dtype") else None  # a random key is no number
    return None


def arrays_of(value: Any) -> Arrays | None:
    """What is known of its kind of arrays, None for all but JAX's and torch's."""
    name = framework_name(value)
    return None if name is None else _KNOWN[name]


def as_numbers(value: Any) -> Any:
    """An array of a framework's as a NumPy array, also inside a list; anything else as it is.

    Raises:
        ParameterError: it stands for numbers that are not known, because the framework traces a function.
    """
    arrays = arrays_of(value)
    if arrays is not None:
        return arrays.numbers(value)
    if isinstance(value, (list, tuple)) and any(arrays_of(item) is not None for item in value):
        return type(value)([as_numbers(item) for item in value])
    return value


def in_kind_of(example: Any, values: Any) -> Any:
    """NumPy's array or number as the framework's kind of array that the example is of, or as it is."""
    arrays = arrays_of(example)
    return values if arrays is None else arrays.like(np.asarray(values), example)
