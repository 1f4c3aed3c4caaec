"""Losses written with JAX, in double precision whatever its default is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from qngd.interop.losses.differentiator import as_number


class JaxWay:
    """By JAX."""

    name = "JAX"

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def _of(self, targets: Any) -> Callable[[Any], Any]:
        own = () if targets is None else (targets,)

        import jax.numpy as jnp

        def run(outputs: Any) -> Any:
            found = jnp.asarray(self._function(outputs, *own))
            return found.reshape(()) if found.size == 1 else found

        return run

    def slopes(self, outputs: np.ndarray, targets: Any) -> tuple[float, np.ndarray]:
        import jax
        import jax.numpy as jnp

        with _double():
            value, pull = jax.vjp(self._of(targets), jnp.asarray(outputs))
            number = as_number(value)
            (slope,) = pull(jnp.ones_like(value))
            return number, np.asarray(slope, dtype=float)

    def bends(self, outputs: np.ndarray, targets: Any, directions: np.ndarray) -> np.ndarray:
        import jax
        import jax.numpy as jnp

        with _double():
            at = jnp.asarray(outputs)
            slope = jax.grad(self._of(targets))
            found = jax.vmap(lambda one: jax.jvp(slope, (at,), (one,))[1])(jnp.asarray(directions))
            return np.asarray(found, dtype=float)


def _double() -> Any:
    import jax

    newer = getattr(jax, "enable_x64", None)  # where the older name is deprecated
    if newer is not None:
        return newer(True)
    from jax.experimental import enable_x64

    return enable_x64()
