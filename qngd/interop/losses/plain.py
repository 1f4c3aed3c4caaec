"""Losses written with NumPy or autograd, and derivatives that the user gives.

By autograd where it is installed: on its own boxes, or, as plain NumPy's functions do not take those, on a stand-in for
an array that hands NumPy's functions on to autograd's. Elsewhere by the complex step f'(x) = Im f(x + ih)/h, which has
no cancellation; and what takes neither, by extrapolated differences whose own error says whether they will do.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from qngd.errors import SettingError
from qngd.interop.losses import Differentiator, as_number

_TINY = 1e-30  # of the complex step
_AGREEMENT = 1e-5  # of a derivative with differences, relative to the slope
_ENOUGH = 1e-9  # error of extrapolated differences, relative to the largest derivative
_WIDEST, _LEVELS = 0.04, 7  # steps of these
_NEAR = (1e-4, 1e-5)  # steps of differences that should agree
_FALSE = 1e-2  # of a derivative that is given, beside differences of the loss
_BEND = 1e-3  # step of differences of derivatives, fourth order


class GivenSlopes:
    """By the user's own `grad`."""

    name = "grad"

    def __init__(self, function: Callable[..., Any], grad: Callable[..., Any]) -> None:
        self._function, self._grad = function, grad

    def slopes(self, outputs: np.ndarray, targets: Any) -> tuple[float, np.ndarray]:
        own = () if targets is None else (targets,)
        return as_number(self._function(outputs, *own)), np.asarray(self._grad(outputs, *own), dtype=float)

    def bends(self, outputs: np.ndarray, targets: Any, directions: np.ndarray) -> np.ndarray:
        return differences_of_slopes(self, outputs, targets, directions)


def differences_of_slopes(way: Differentiator, outputs: np.ndarray, targets: Any, directions: np.ndarray) -> np.ndarray:
    """Second derivatives along the directions by differences of the first ones, of fourth order."""
    found = np.zeros_like(directions)
    for i, direction in enumerate(directions):
        size = float(np.abs(direction).max())
        if size == 0:
            continue
        step = _BEND / size
        for factor, times in ((8.0, 1.0), (-1.0, 2.0)):
            ahead, behind = (way.slopes(outputs + s * times * step * direction, targets)[1] for s in (1, -1))
            found[i] += factor * (ahead - behind) / (12 * step)
    return found


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


class _ComplexStep:
    """Element by element, Im f(x + ih)/h."""

    name = "complex step"

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def slopes(self, outputs: np.ndarray, targets: Any) -> tuple[float, np.ndarray]:
        own = () if targets is None else (targets,)
        found = np.zeros(outputs.shape)
        for index in np.ndindex(outputs.shape):
            moved = outputs.astype(complex)
            moved[index] += 1j * _TINY
            found[index] = np.imag(np.asarray(self._function(moved, *own)).reshape(())) / _TINY
        return as_number(self._function(outputs, *own)), found

    def bends(self, outputs: np.ndarray, targets: Any, directions: np.ndarray) -> np.ndarray:
        return differences_of_slopes(self, outputs, targets, directions)


class _Differences:
    """Element by element, central differences extrapolated to a step of zero (Ridders, doi:10.1016/0141-1195(82)
    90057-0)."""

    name = "differences"

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def slopes(self, outputs: np.ndarray, targets: Any) -> tuple[float, np.ndarray]:
        own = () if targets is None else (targets,)
        found, errors = np.zeros(outputs.shape), np.zeros(outputs.shape)
        for index in np.ndindex(outputs.shape):

            def at(shift: float, index: tuple[int, ...] = index) -> float:
                moved = outputs.copy()
                moved[index] += shift
                return as_number(self._function(moved, *own))

            found[index], errors[index] = _extrapolated(at)
        if not np.all(errors <= _ENOUGH * max(1.0, float(np.abs(found).max(initial=0.0)))):
            raise SettingError("loss: differences of its values are too rough")
        return as_number(self._function(outputs, *own)), found

    def bends(self, outputs: np.ndarray, targets: Any, directions: np.ndarray) -> np.ndarray:
        return differences_of_slopes(self, outputs, targets, directions)


def _extrapolated(at: Callable[[float], float]) -> tuple[float, float]:
    """The derivative at 0, and its error."""
    rows: list[list[float]] = []
    best, error = np.nan, np.inf
    for level in range(_LEVELS):
        step = _WIDEST / 2**level
        row = [(at(step) - at(-step)) / (2 * step)]
        for k in range(level):
            row.append(row[k] + (row[k] - rows[-1][k]) / (4 ** (k + 1) - 1))
            guess = max(abs(row[k + 1] - row[k]), abs(row[k + 1] - rows[-1][k]))
            if guess < error:
                best, error = row[k + 1], guess
        rows.append(row)
    return best, error


def ways_of_numpy(function: Callable[..., Any]) -> Iterator[Differentiator]:
    """The ways to try on a loss that returns NumPy's or Python's numbers, the best first."""
    try:
        import autograd  # noqa: F401
    except ImportError:
        pass
    else:
        yield _Autograd(function, "autograd", lambda box: box)
        yield _Autograd(function, "NumPy by autograd", _entered)
    yield _ComplexStep(function)
    yield _Differences(function)


def check_slopes(way: GivenSlopes, function: Callable[..., Any], outputs: np.ndarray, targets: Any) -> None:
    """Raise SettingError where the loss is smooth, and changes otherwise than the given derivatives say."""
    own = () if targets is None else (targets,)
    direction, beside = _beside(outputs)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            products = way.slopes(beside, targets)[1] * direction
            ends = [[as_number(function(beside + side * direction, *own)) for side in (step, -step)] for step in _NEAR]
        except Exception:  # of the user's own code, on what it was not written for
            return
        differences = [(ahead - behind) / (2 * step) for (ahead, behind), step in zip(ends, _NEAR, strict=True)]
    said, scale = float(products.sum()), float(np.abs(products).sum()) + abs(differences[0])
    is_smooth = abs(differences[0] - differences[1]) <= 1e-4 * scale
    if is_smooth and abs(differences[0] - said) > _FALSE * scale:
        raise SettingError(
            f"grad: it is not the derivative of the loss: along a direction the loss changes by {differences[0]:.6g}, "
            f"grad says {said:.6g}; leave grad out where NumPy, autograd, JAX or torch can follow the loss"
        )


def _beside(outputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A direction that moves all outputs, and a place a little along it: the outputs may stand at a kink."""
    rng = np.random.default_rng(20210)
    direction = rng.uniform(0.5, 1.0, outputs.shape) * rng.choice((-1.0, 1.0), outputs.shape)
    return direction, outputs + 1e-3 * direction


def agrees(way: Differentiator, function: Callable[..., Any], outputs: np.ndarray, targets: Any) -> bool:
    """Whether a way can follow the loss, and gives the slope that its values have along one direction. Asked a little
    beside the outputs, which may stand at a kink."""
    own = () if targets is None else (targets,)
    direction, beside = _beside(outputs)

    def along(step: float) -> float:
        return as_number(function(beside + step * direction, *own))

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            _, slope = way.slopes(outputs, targets)
            value, there = way.slopes(beside, targets)
            return slope.shape == outputs.shape and _is_slope(value, there * direction, along)
        except Exception:  # of the user's own code, on what it was not written for
            return False


def _is_slope(value: float, products: np.ndarray, along: Callable[[float], float]) -> bool:
    """Whether the sum of `products` is the derivative of `along`, as far as that has values."""
    plain = along(0.0)
    if not np.isfinite(plain):
        return True
    if abs(value - plain) > 1e-9 * max(1.0, abs(plain)):
        return False
    expected, scale = float(products.sum()), float(np.abs(products).sum()) + 1e-6 * max(1.0, abs(plain))
    differences = [(along(step) - along(-step)) / (2 * step) for step in (1e-4, 1e-5)]
    finite = [each for each in differences if np.isfinite(each)]
    return not finite or any(abs(each - expected) <= _AGREEMENT * scale for each in finite)
