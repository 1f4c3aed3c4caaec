"""The derivatives of a user's loss, by the library that it is written in: NumPy, autograd, JAX or torch.

Nobody is asked which: the loss is called on plain numbers, and what it returns tells. Each library is imported only
when its own numbers come back.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from qngd._system.packages import packages_of
from qngd.errors import SettingError, shown


class Differentiator(Protocol):
    """One way to differentiate a loss. Each may raise whatever the loss raises on the numbers that it is given."""

    name: str

    def slopes(self, outputs: np.ndarray, targets: Any) -> tuple[float, np.ndarray]:
        """The loss, and its derivatives by the outputs, of their shape."""

    def bends(self, outputs: np.ndarray, targets: Any, directions: np.ndarray) -> np.ndarray:
        """The second derivatives times each of the directions (m, …), shape (m, …)."""


class Loss:
    """A loss with its derivatives.

    Args:
        function: of the outputs, and of the targets where there are any; it returns a number.
        grad: its derivatives by the outputs, of their shape, where the user gives them.
    """

    def __init__(self, function: Callable[..., Any], grad: Callable[..., Any] | None = None) -> None:
        if not callable(function):
            raise SettingError(f"loss must be a function of the outputs; got {shown(function)}")
        if grad is not None and not callable(grad):
            raise SettingError(f"grad must be a function of the outputs, as loss is; got {shown(grad)}")
        self._function = function
        self._grad = grad
        self._ways: dict[tuple[int, ...], Differentiator] = {}  # by the shape of the outputs

    def value(self, outputs: np.ndarray, targets: Any) -> float:
        """The loss alone.

        Raises:
            SettingError: it fails, or returns no number.
        """
        return self.slopes(outputs, targets)[0]

    def slopes(self, outputs: np.ndarray, targets: Any) -> tuple[float, np.ndarray]:
        """The loss and its derivatives by the outputs, of their shape.

        Raises:
            SettingError: it fails, returns no number, or cannot be differentiated to 1e-8.
        """
        return self._way(outputs, targets).slopes(outputs, targets)

    def bends(self, outputs: np.ndarray, targets: Any, directions: np.ndarray) -> np.ndarray:
        """The second derivatives of the loss times each of the directions (m, …), shape (m, …)."""
        return self._way(outputs, targets).bends(outputs, targets, directions)

    def _way(self, outputs: np.ndarray, targets: Any) -> Differentiator:
        found = self._ways.get(outputs.shape)
        if found is None:
            found = self._ways[outputs.shape] = self._chosen(outputs, targets)
        return found

    def _chosen(self, outputs: np.ndarray, targets: Any) -> Differentiator:
        from qngd.interop.losses.plain import GivenSlopes, agrees, check_slopes, ways_of_numpy

        function, error = self._function, None
        packages = packages_of(targets)
        try:
            if "torch" not in packages:
                returned = function(outputs) if targets is None else function(outputs, targets)
                packages = packages | packages_of(returned)
        except Exception as failure:  # of the user's own code
            error = failure
        if self._grad is not None and error is None:
            given = GivenSlopes(function, self._grad)
            _tried(given, outputs, targets)
            check_slopes(given, function, outputs, targets)
            return given
        if error is not None and "torch" in sys.modules:
            packages = packages | {"torch"}
        if "torch" in packages:
            from qngd.interop.losses.of_torch import TorchWay

            return _tried(TorchWay(function), outputs, targets, error)
        if packages & {"jax", "jaxlib"}:
            from qngd.interop.losses.of_jax import JaxWay

            return _tried(JaxWay(function), outputs, targets)
        if error is not None:
            raise _failure(error, outputs) from error
        _number(returned)
        for way in ways_of_numpy(function):
            if agrees(way, function, outputs, targets):
                return way
        raise SettingError(
            "loss: its derivatives cannot be found to 1e-8: it can be followed by none of autograd, JAX and torch, and "
            "differences of its values are too rough. Give them: Objective(…, grad=lambda outputs: …), of the shape of "
            "the outputs; or write the loss with NumPy's functions of whole arrays"
        )


def _tried(way: Differentiator, outputs: np.ndarray, targets: Any, first: Exception | None = None) -> Differentiator:
    try:
        _, found = way.slopes(outputs, targets)
    except SettingError:
        raise
    except Exception as error:  # of the user's own code
        raise _failure(first or error, outputs) from error
    if found.shape != outputs.shape:
        raise SettingError(f"grad: it returned an array of shape {found.shape} for outputs of shape {outputs.shape}")
    return way


def _failure(error: Exception, outputs: np.ndarray) -> SettingError:
    return SettingError(
        f"loss: it fails ({type(error).__name__}: {error}) on outputs of shape {outputs.shape}. A list of observables "
        "gives outputs of shape (samples, observables), a single one (samples,), without data (observables,) or a "
        "number"
    )


def _number(value: Any) -> float:
    """What a loss returned, as a number; raises SettingError where it is none."""
    array = np.asarray(value)
    if array.size != 1 or array.dtype.kind not in "biuf":
        what = f"an array of shape {array.shape}" if array.dtype.kind in "biufc" and array.size != 1 else shown(value)
        raise SettingError(f"loss: it must return one real number; got {what}; a mean or sum over the samples is one")
    return float(array.reshape(()))


def as_number(value: Any) -> float:
    """What a loss returned, as a number.

    Raises:
        SettingError: it is none.
    """
    return _number(value)
