"""Old names of settings, which go on working for a while."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from qngd.errors import QngdDeprecationWarning

_Class = TypeVar("_Class", bound=type)
_GONE_IN = "0.3"


def renamed(**names: str) -> Callable[[_Class], _Class]:
    """For a class, outside `@dataclass`: its settings `old="new"` are taken, and can be read, by their old names too.

    Warns:
        QngdDeprecationWarning: an old name is used.

    >>> @renamed(length="step")
    ... class Walk:
    ...     def __init__(self, step):
    ...         self.step = step
    >>> with warnings.catch_warnings(record=True) as told:
    ...     warnings.simplefilter("always")
    ...     Walk(length=2).step
    2
    >>> print(told[0].message)
    Walk(length=…) is now Walk(step=…); the old name works until qngd 0.3
    """

    def with_old_names(given: _Class) -> _Class:
        kind: Any = given
        made = kind.__init__

        @wraps(made)
        def init(self: Any, *args: Any, **settings: Any) -> None:
            for old in names.keys() & settings.keys():
                new = names[old]
                if new in settings:
                    raise TypeError(f"{kind.__name__}: {old} is the old name of {new}; give {new} alone")
                _tell(f"{kind.__name__}({old}=…) is now {kind.__name__}({new}=…)")
                settings[new] = settings.pop(old)
            made(self, *args, **settings)

        kind.__init__ = init
        for old, new in names.items():
            setattr(kind, old, _reader(kind.__name__, old, new))
        return given

    return with_old_names


def _reader(kind: str, old: str, new: str) -> property:
    """A property that reads a setting by its old name, whose value is in `_new` where `new` is a method."""

    def read(self: Any) -> Any:
        _tell(f"{kind}.{old} is now {kind}({new}=…)")
        return vars(self)[new] if new in vars(self) else vars(self)[f"_{new}"]

    return property(read)


def _tell(text: str) -> None:
    warnings.warn(f"{text}; the old name works until qngd {_GONE_IN}", QngdDeprecationWarning, stacklevel=3)
