"""What can go wrong, by kind. Every error names the argument, the gate and its place, and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class QngdError(Exception):
    """Base of every error that qngd raises on purpose."""


class CircuitError(QngdError, ValueError):
    """A circuit, or a gate in it, that has no exact neutral form."""


class ParameterError(QngdError, ValueError):
    """Parameter values whose number, shape or kind does not fit the circuit."""


class ObservableError(QngdError, ValueError):
    """An observable that is not a real combination of Pauli strings on the circuit's qubits."""


class SettingError(QngdError, ValueError):
    """A setting outside its range, or one that does not go with another."""


class BackendError(QngdError, RuntimeError):
    """A backend that cannot run what was asked, or that failed while running it."""


class MemoryLimitError(QngdError, MemoryError):
    """A computation that would not fit in memory; raised before anything is allocated."""


class MissingPackageError(QngdError, ImportError):
    """An optional package that this call needs is not installed."""


class QngdWarning(UserWarning):
    """Something the caller should know that does not make the result wrong."""


def require_positive(value: float, name: str) -> None:
    """Raise SettingError unless `value` is positive and finite."""
    if not 0 < value < float("inf"):
        raise SettingError(f"{name} must be a positive number; got {value}")


def require_fraction(value: float, name: str) -> None:
    """Raise SettingError unless 0 ≤ value < 1."""
    if not 0 <= value < 1:
        raise SettingError(f"{name} must be at least 0 and below 1; got {value}")


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown name: the known one that is closest to it, or nothing if none is close.

    >>> did_you_mean("QNG-SPSA", ["qn-spsa", "full"])
    " Did you mean 'qn-spsa'?"
    """
    by_lower = {one.lower(): one for one in known}
    near = difflib.get_close_matches(name.lower(), by_lower, n=1)
    return f" Did you mean {by_lower[near[0]]!r}?" if near else ""


def how_to_install(extra: str) -> str:
    """The command that brings the packages of an extra: by path, as no index has the package by its name."""
    return f"pip install '.[{extra}]' in a checkout of qngd"
