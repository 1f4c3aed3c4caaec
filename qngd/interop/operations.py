"""The operations that functions of the parameters are made of, on arrays of numbers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

NUMBER, PARAMETER = "number", "parameter"
_IMAGINARY_TOLERANCE = 1e-12  # of the modulus, or of 1: what complex powers leave of a real value


def is_real(x: np.ndarray) -> np.ndarray:
    """Where complex numbers are real but for rounding."""
    return abs(x.imag) <= _IMAGINARY_TOLERANCE * np.maximum(1.0, abs(x))


def _of_real(function: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
    """A function that has a derivative on the real axis alone: nan elsewhere."""

    def of_any(x: np.ndarray) -> np.ndarray:
        if not np.iscomplexobj(x):
            return function(x)
        return np.where(is_real(x), function(x.real), np.nan)

    return of_any


def _up_to_one(function: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
    """arcsin or arccos: a real argument beyond ±1 lies on the branch cut, where it has no value here."""

    def of_any(x: np.ndarray) -> np.ndarray:
        return np.where(is_real(x), function(x.real), function(x)) if np.iscomplexobj(x) else function(x)

    return of_any


# Of arrays of floats or of complex numbers; nan where there is no value.
OPERATIONS: dict[str, Callable[..., np.ndarray]] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "pow": np.power,
    "neg": np.negative,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "asin": _up_to_one(np.arcsin),
    "acos": _up_to_one(np.arccos),
    "atan": np.arctan,
    "exp": np.exp,
    "log": np.log,
    "abs": _of_real(np.abs),
    "sign": _of_real(np.sign),
    "conj": _of_real(np.positive),
    # the derivatives of abs and sign, which have none at 0
    "slope of abs": _of_real(lambda x: np.where(x == 0, np.nan, np.sign(x))),
    "slope of sign": _of_real(lambda x: np.where(x == 0, np.nan, 0.0)),
}
