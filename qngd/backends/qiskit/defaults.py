"""What a user has set in a Qiskit device or primitive before it is given to qngd: shots, precision, mitigation.

A device or primitive always has a number of shots, its class's own where the user set none (Aer: 1024), and this is
what it would take in Qiskit too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from qngd.errors import is_number

# What IBM's service takes where its options are unset, by their docstrings.
_IBM_SHOTS = 4096
_IBM_PRECISION = 1 / 64
_NOISE_FACTORS = (1, 3, 5)
_MITIGATION = ("resilience_level", "resilience", "twirling", "dynamical_decoupling")


def device_shots(native: Any) -> int | None:
    """The shots in the options of a `BackendV2`, as its maker or `set_options` set them."""
    return _count(_option(getattr(native, "options", None), "shots"))


def sampler_shots(native: Any) -> int | None:
    """The shots of a V2 sampler: its `default_shots`, or that of its options."""
    options = getattr(native, "options", None)
    found = _count(getattr(native, "default_shots", None)) or _count(_option(options, "default_shots"))
    return _IBM_SHOTS if found is None and _is_unset(_option(options, "default_shots")) else found


def estimator_shots(native: Any) -> int | None:
    """Shots per measurement basis of a V2 estimator, 1/precision²; None where its precision is 0, which asks for
    exact values. IBM's options may hold the shots themselves, which then count."""
    options = getattr(native, "options", None)
    shots = _count(_option(options, "default_shots"))
    if shots is not None:
        return shots
    precision = getattr(native, "default_precision", None)
    if precision is None:
        precision = _option(options, "default_precision")
    if _is_unset(precision):
        precision = _IBM_PRECISION
    if not is_number(precision) or not 0 < precision < math.inf:
        return None
    # as estimators count, but for the rounding of 1/√shots, which would make it one more
    return max(1, math.ceil(round(1 / float(precision) ** 2, 6)))


def noise_factors(native: Any) -> int:
    """How many noise factors an estimator of IBM's extrapolates from: 1 without zero-noise extrapolation."""
    options = getattr(native, "options", None)
    resilience = _option(options, "resilience")
    wanted = _option(resilience, "zne_mitigation")
    if not isinstance(wanted, bool):
        wanted = _option(options, "resilience_level") == 2
    if not wanted:
        return 1
    factors = _option(_option(resilience, "zne"), "noise_factors")
    return len(factors) if isinstance(factors, (list, tuple)) else len(_NOISE_FACTORS)


def mitigation(native: Any) -> list[str]:
    """The options of a primitive of IBM's that change what it returns, where they are set: name=value. Of all others
    nothing is said; they may hold what is private."""
    options: Any = getattr(native, "options", None)
    made: Any = type(options)
    try:
        usual = made()
    except Exception:  # of a class of somebody's own
        return []
    return [
        text for name in _MITIGATION for text in _set(name, getattr(options, name, None), getattr(usual, name, None))
    ]


def _set(name: str, value: Any, usual: Any) -> list[str]:
    """A setting that is not as usual, or those inside of it."""
    if type(value) is type(usual) and hasattr(value, "__dict__"):
        inner = [each for each in vars(value) if not each.startswith("_")]
        return [text for each in inner for text in _set(f"{name}.{each}", vars(value)[each], vars(usual).get(each))]
    text = repr(value)
    return [] if text == repr(usual) or " at 0x" in text else [f"{name}={text}"]


def _option(options: Any, name: str) -> Any:
    return options.get(name) if isinstance(options, Mapping) else getattr(options, name, None)


def _is_unset(value: Any) -> bool:
    """Whether it is what IBM's options hold in place of a value that is not set."""
    return type(value).__name__ == "UnsetType"


def _count(value: Any) -> int | None:
    whole = is_number(value) and value >= 1 and float(value).is_integer()
    return int(value) if whole else None
