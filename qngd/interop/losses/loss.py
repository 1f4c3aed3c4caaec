"""A user's loss, differentiated by the library that it is written in.

Nobody is asked which: the loss is called on plain numbers, and what it returns tells. Each library is imported only
when its own numbers come back.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from qngd._system.packages import packages_of
from qngd.errors import SettingError, shown
from qngd.interop.arrays import as_numbers
from qngd.interop.losses.agreement import agrees, check_slopes
from qngd.interop.losses.differentiator import Differentiator, as_number, differences_of_slopes


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
        """The first way that can follow the loss."""
        returned, error = self._returned(outputs, targets)
        if self._grad is not None and error is None:
            return self._given(self._grad, outputs, targets)
        packages = packages_of(targets) | packages_of(returned)
        failures: list[tuple[str, Exception]] = []
        if error is not None:  # it may need a framework's own arrays, as JAX's `.at`
            failures.append(("", error))
            # JAX moves an index that is out of bounds to the edge, so that what fails by that must not be tried
            likely = {"torch", "jax"} if isinstance(error, AttributeError) else {"torch"}
            packages = packages | (likely & sys.modules.keys())
        for way in _of_frameworks(self._function, packages):
            failure = _failure_of(way, outputs, targets)
            if failure is None:
                return way
            failures.append((way.name, failure))
        if failures:
            raise _told(failures, outputs, targets) from failures[0][1]
        as_number(returned)
        return self._of_numpy(outputs, targets)

    def _returned(self, outputs: np.ndarray, targets: Any) -> tuple[Any, Exception | None]:
        """What the loss returns for plain numbers, or raises; nothing where its targets are torch's, which only goes
        with its own."""
        if "torch" in packages_of(targets):
            return None, None
        try:
            return (self._function(outputs) if targets is None else self._function(outputs, targets)), None
        except Exception as error:  # of the user's own code
            return None, error

    def _given(self, grad: Callable[..., Any], outputs: np.ndarray, targets: Any) -> Differentiator:
        """The derivatives that the user gives, if they are those of the loss."""
        given = _GivenSlopes(self._function, grad)
        if failure := _failure_of(given, outputs, targets):
            raise _told([("", failure)], outputs, targets) from failure
        check_slopes(given, self._function, outputs, targets)
        return given

    def _of_numpy(self, outputs: np.ndarray, targets: Any) -> Differentiator:
        """The best way to follow a loss that returns NumPy's or Python's numbers."""
        for way in _ways_of_numpy(self._function):
            if agrees(way, self._function, outputs, targets):
                return way
        raise SettingError(
            "loss: its derivatives cannot be found to 1e-8: it can be followed by none of autograd, JAX and torch, and "
            "differences of its values are too rough. Give them: Objective(…, grad=lambda outputs: …), of the shape of "
            "the outputs; or write the loss with NumPy's functions of whole arrays"
        )


class _GivenSlopes:
    """By the user's own `grad`."""

    name = "grad"

    def __init__(self, function: Callable[..., Any], grad: Callable[..., Any]) -> None:
        self._function, self._grad = function, grad

    def slopes(self, outputs: np.ndarray, targets: Any) -> tuple[float, np.ndarray]:
        own = () if targets is None else (targets,)
        return as_number(self._function(outputs, *own)), np.asarray(self._grad(outputs, *own), dtype=float)

    def bends(self, outputs: np.ndarray, targets: Any, directions: np.ndarray) -> np.ndarray:
        return differences_of_slopes(self, outputs, targets, directions)


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


def _ways_of_numpy(function: Callable[..., Any]) -> Iterator[Differentiator]:
    """The ways to try on a loss that returns NumPy's or Python's numbers, the best first."""
    from qngd.interop.losses.of_autograd import ways_of_autograd
    from qngd.interop.losses.of_values import ComplexStepWay, DifferencesWay

    yield from ways_of_autograd(function)
    yield ComplexStepWay(function)
    yield DifferencesWay(function)


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
