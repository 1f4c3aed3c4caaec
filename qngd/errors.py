"""What can go wrong, by kind. Every error names the argument, the gate and its place, and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from numbers import Real
from typing import TypeGuard

_LONGEST = 80  # characters of a value in a message


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


class StorageError(QngdError, OSError):
    """Files of a run that cannot be written or read."""


class QngdWarning(UserWarning):
    """Something the caller should know that does not make the result wrong."""


class QngdDeprecationWarning(QngdWarning, DeprecationWarning):
    """A name that has another by now, and will be gone; Python shows it where a script uses it by itself."""


def is_number(value: object) -> TypeGuard[float]:
    """Whether it is a real number: of Python or NumPy, NaN and infinities included; not a bool, text or array."""
    return isinstance(value, Real) and not isinstance(value, bool)


def unboxed(value: object) -> object:
    """The number in an array without axes, such as the energy that a QNode returns; anything else as it is."""
    item = getattr(value, "item", None)
    return item() if getattr(value, "shape", None) == () and callable(item) else value


def require_positive(value: object, name: str) -> None:
    """Raise SettingError unless `value` is positive and finite."""
    require_range(value, name, "a positive number", lambda number: 0 < number < float("inf"))


def require_fraction(value: object, name: str) -> None:
    """Raise SettingError unless 0 ≤ value < 1."""
    require_range(value, name, "at least 0 and below 1", lambda number: 0 <= number < 1)


def require_range(value: object, name: str, wanted: str, fits: Callable[[float], bool]) -> None:
    """Raise SettingError, which says what is `wanted`, unless `value` is a number that fits."""
    if not (is_number(value) and fits(value)):
        raise SettingError(f"{name} must be {wanted}; got {shown(value)}")


def require_bool(value: object, name: str) -> None:
    """Raise SettingError unless it is True or False, of Python or NumPy."""
    if not isinstance(unboxed(value), bool):
        raise SettingError(f"{name} must be True or False; got {shown(value)}")


def whole_number(value: object, name: str, least: int) -> int:
    """`value` as an int; raises SettingError unless it is a whole number of at least `least`: 3, or 3.0, not 2.5."""
    if not (is_number(value) and value >= least and value != float("inf") and value == int(value)):
        raise SettingError(f"{name} must be a whole number of at least {least}; got {shown(value)}")
    return int(value)


def checked_seed(seed: object) -> int | None:
    """A seed as an int, or None; raises SettingError for anything else."""
    return None if seed is None else whole_number(seed, "seed", 0)


def settle_whole(owner: object, least: Mapping[str, int]) -> None:
    """Make these fields of a frozen dataclass whole numbers of at least so much; None stays None where a field may be
    None by default. Raises SettingError as `whole_number` does."""
    for name, smallest in least.items():
        value = getattr(owner, name)
        if value is None and getattr(type(owner), name, 0) is None:
            continue
        object.__setattr__(owner, name, whole_number(value, name, smallest))


def check_word(value: object, known: Sequence[str], name: str) -> None:
    """Raise SettingError, which suggests the closest, unless `value` is one of the known words."""
    if not isinstance(value, str) or value not in known:
        close = did_you_mean(value, known) if isinstance(value, str) else ""
        raise SettingError(f"{name}: {shown(value)} is none of {', '.join(known)}.{close}")


def shown(value: object) -> str:
    """A value in a message: its repr on one line, shortened. Of a class it says that an object of it is wanted."""
    if isinstance(value, type):
        return f"the class {value.__name__}; write {value.__name__}(…)"
    text = " ".join(repr(value).split())
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def counted(count: float, noun: str, form: str = "") -> str:
    """A count with its noun in the right number; `form`: how the count is written, as "," for thousands.

    >>> counted(1, "job"), counted(2000, "shot", ","), counted(0, "entry")
    ('1 job', '2,000 shots', '0 entries')
    """
    if count != 1:
        noun = f"{noun[:-1]}ies" if noun.endswith("ry") else f"{noun}s"
    return f"{count:{form}} {noun}"


def joined(*notes: str) -> str:
    """Several notes as one text, those that say nothing, or what is said already, left out.

    >>> joined("a; b", "", "c", "b")
    'a; b; c'
    """
    found = ""
    for note in notes:
        if note and f"; {note}; " not in f"; {found}; ":
            found = f"{found}; {note}" if found else note
    return found


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
