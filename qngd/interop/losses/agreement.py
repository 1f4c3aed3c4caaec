"""Whether derivatives are those of a loss, by its values along one direction."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from qngd.errors import SettingError
from qngd.interop.losses.differentiator import Differentiator, as_number

_AGREEMENT = 1e-5  # of a derivative with differences, relative to the slope
_NEAR = (1e-4, 1e-5)  # steps of differences that should agree
_FALSE = 1e-2  # of a derivative that is given, beside differences of the loss


def check_slopes(way: Differentiator, function: Callable[..., Any], outputs: np.ndarray, targets: Any) -> None:
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
