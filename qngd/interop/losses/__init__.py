"""The derivatives of a user's loss, by the library that it is written in: NumPy, autograd, JAX or torch.

Nobody is asked which: the loss is called on plain numbers, and what it returns tells. Each library is imported only
when its own numbers come back.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np

from qngd._system.packages import packages_of
from qngd.errors import SettingError, shown
from qngd.interop.arrays import as_numbers


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
        try:
            return self._followed(outputs, targets)
        except SettingError:
            plain = as_numbers(targets)
            if plain is targets:
                raise
            try:  # targets of a framework, and a loss of NumPy
                return _OfNumbers(self._followed(outputs, plain))
            except SettingError:
                pass
            raise

    def _followed(self, outputs: np.ndarray, targets: Any) -> Differentiator:
        from qngd.interop.losses.plain import GivenSlopes, agrees, check_slopes, ways_of_numpy

        function, error = self._function, None
        packages = packages_of(targets)
        try:
            if "torch" not in packages:
                returned = function(outputs) if targets is None else function(outputs, targets)
                packages = packages | packages_of(returned)
        except Exception as raised:  # of the user's own code
            error = raised
        if self._grad is not None and error is None:
            given = GivenSlopes(function, self._grad)
            if failure := _failure_of(given, outputs, targets):
                raise _told([("", failure)], outputs, targets) from failure
            check_slopes(given, function, outputs, targets)
            return given
        failures: list[tuple[str, Exception]] = []
        if error is not None:  # it may need a framework's own arrays, as JAX's `.at`
            failures.append(("", error))
            # JAX moves an index that is out of bounds to the edge, so that what fails by that must not be tried
            likely = {"torch", "jax"} if isinstance(error, AttributeError) else {"torch"}
            packages = packages | (likely & sys.modules.keys())
        for way in _of_frameworks(function, packages):
            failure = _failure_of(way, outputs, targets)
            if failure is None:
                return way
            failures.append((way.name, failure))
        if failures:
            raise _told(failures, outputs, targets) from failures[0][1]
        _number(returned)
        for way in ways_of_numpy(function):
            if agrees(way, function, outputs, targets):
                return way
        raise SettingError(
            "loss: its derivatives cannot be found to 1e-8: it can be followed by none of autograd, JAX and torch, and "
            "differences of its values are too rough. Give them: Objective(…, grad=lambda outputs: …), of the shape of "
            "the outputs; or write the loss with NumPy's functions of whole arrays"
        )


class _OfNumbers:
    """A way to differentiate a loss that takes targets as NumPy's arrays, on those of a framework."""

    def __init__(self, way: Differentiator) -> None:
        self.name = way.name
        self._way = way

    def slopes(self, outputs: np.ndarray, targets: Any) -> tuple[float, np.ndarray]:
        return self._way.slopes(outputs, as_numbers(targets))

    def bends(self, outputs: np.ndarray, targets: Any, directions: np.ndarray) -> np.ndarray:
        return self._way.bends(outputs, as_numbers(targets), directions)


def _of_frameworks(function: Callable[..., Any], packages: set[str]) -> Iterator[Differentiator]:
    """The ways of those frameworks that are among the packages."""
    if "torch" in packages:
        from qngd.interop.losses.of_torch import TorchWay

        yield TorchWay(function)
    if packages & {"jax", "jaxlib"}:
        from qngd.interop.losses.of_jax import JaxWay

        yield JaxWay(function)


def _failure_of(way: Differentiator, outputs: np.ndarray, targets: Any) -> Exception | None:
    """What the user's own code raises, if it does.

    Raises:
        SettingError: it computes what is no loss, or no derivative of one.
    """
    try:
        _, found = way.slopes(outputs, targets)
    except SettingError:
        raise
    except Exception as error:
        return error
    if found.shape != outputs.shape:
        raise SettingError(f"grad: it returned an array of shape {found.shape} for outputs of shape {outputs.shape}")
    return None


def _told(failures: Sequence[tuple[str, Exception]], outputs: np.ndarray, targets: Any) -> SettingError:
    """How a loss failed: at first, and in another way on the arrays of a framework."""
    (_, first), *others = failures
    texts = [f"{type(first).__name__}: {first}"]
    texts += [f"on {name}'s arrays {type(each).__name__}: {each}" for name, each in others if str(each) != str(first)]
    given = "without targets" if targets is None else "with the targets of the same samples"
    return SettingError(
        f"loss: it fails ({'; '.join(texts)}) on outputs of shape {outputs.shape}, {given}. A list of observables "
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
