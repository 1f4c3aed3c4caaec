"""Losses written with autograd, or with NumPy where autograd is installed.

On autograd's own boxes; or, as plain NumPy's functions do not take those, on a stand-in for an array that hands NumPy's
functions on to autograd's.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from qngd.interop.losses.differentiator import Differentiator, as_number, differences_of_slopes


def ways_of_autograd(function: Callable[..., Any]) -> Iterator[Differentiator]:
    """Both ways, if autograd is installed."""
    try:
        import autograd  # noqa: F401
    except ImportError:
        return
    yield _Autograd(function, "autograd", lambda box: box)
    yield _Autograd(function, "NumPy by autograd", _entered)


class _Autograd:
    """By autograd, on what `enter` makes of its boxes."""

    def __init__(self, function: Callable[..., Any], name: str, enter: Callable[[Any], Any]) -> None:
        self.name = name
        self._function, self._enter = function, enter

    def _of(self, targets: Any) -> Callable[[Any], Any]:
        own = () if targets is None else (targets,)

        def run(outputs: Any) -> Any:
            found = _left(self._function(self._enter(outputs), *own))
            return found.reshape(()) if np.shape(found) else found

        return run

    def slopes(self, outputs: np.ndarray, targets: Any) -> tuple[float, np.ndarray]:
        from autograd import value_and_grad

        with _of_constants():
            value, slope = value_and_grad(self._of(targets))(outputs)
        return as_number(value), np.asarray(slope, dtype=float)

    def bends(self, outputs: np.ndarray, targets: Any, directions: np.ndarray) -> np.ndarray:
        from autograd import grad
        from autograd import numpy as anp

        def along(direction: np.ndarray) -> Any:
            return grad(lambda at: anp.sum(grad(self._of(targets))(at) * direction))(outputs)

        try:
            with _of_constants():
                return np.stack([np.asarray(along(one), dtype=float) for one in directions])
        except (TypeError, ValueError, AttributeError, NotImplementedError):
            return differences_of_slopes(self, outputs, targets, directions)


@contextmanager
def _of_constants() -> Iterator[None]:
    """Inside, autograd does not warn of derivatives that are 0."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Output seems independent of input", UserWarning)
        yield


class _StandIn(np.lib.mixins.NDArrayOperatorsMixin):
    """In the place of an array: NumPy's functions of it are autograd's of the box inside."""

    def __init__(self, box: Any) -> None:
        self.box = box

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        if method != "__call__" or options.get("out") is not None:
            raise TypeError(f"np.{ufunc.__name__}.{method} is not followed")
        return _entered(_of_autograd(ufunc.__name__)(*map(_left, inputs), **options))

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        place = function.__module__.removeprefix("numpy").strip(".")
        own = _of_autograd(function.__name__, place)
        return _entered(own(*map(_left, args), **{name: _left(value) for name, value in kwargs.items()}))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        found = getattr(self.box, name)
        if not callable(found):
            return _entered(found)
        return lambda *args, **kwargs: _entered(found(*map(_left, args), **kwargs))

    def __getitem__(self, index: Any) -> Any:
        return _entered(self.box[_left(index)])

    def __len__(self) -> int:
        return len(self.box)

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))


def _of_autograd(name: str, place: str = "") -> Any:
    from autograd import numpy as anp

    home = getattr(anp, place.split(".")[-1], anp) if place in ("linalg", "fft") else anp
    found = getattr(home, name, None)
    if found is None:
        raise TypeError(f"autograd has no np.{name}")
    return found


def _entered(value: Any) -> Any:
    """A box in a stand-in; anything else as it is."""
    from autograd.tracer import isbox

    if isinstance(value, (list, tuple)):
        return type(value)(map(_entered, value))
    return _StandIn(value) if isbox(value) else value


def _left(value: Any) -> Any:
    """The boxes in place of stand-ins."""
    if isinstance(value, _StandIn):
        return value.box
    if type(value) in (list, tuple):
        return type(value)(map(_left, value))
    return value
