"""Objects as a line or two of text, whatever arrays they hold."""

from __future__ import annotations

import dataclasses
from reprlib import Repr
from typing import Any

import numpy as np

_ENTRIES = 6  # of an array that is written out
_LONGEST = 160  # characters of what is not ours


class _Brief(Repr):
    """What the standard library shortens, and arrays by their shape."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel, self.maxdict, self.maxlist, self.maxtuple = 4, 4, _ENTRIES, _ENTRIES
        self.maxstring, self.maxother, self.maxlong = 200, _LONGEST, 60

    def repr_ndarray(self, array: np.ndarray, level: int) -> str:
        """An array: its entries if they are few, else its shape."""
        if array.size > _ENTRIES or array.dtype == object:
            return f"<array {array.shape}>"
        numbers: Any = {"float_kind": "{:.6g}".format}
        return np.array2string(array, formatter=numbers, separator=", ").replace("\n", "")

    def repr_instance(self, value: Any, level: int) -> str:
        """An object that the standard library does not know: numbers as Python writes them."""
        if isinstance(value, np.generic):
            return repr(value.item())
        return super().repr_instance(value, level)


_BRIEF = _Brief()


def brief(value: Any) -> str:
    """The text of a value, of a few hundred characters at most.

    >>> brief(np.zeros((40, 40)))
    '<array (40, 40)>'
    """
    return _BRIEF.repr(value)


def brief_fields(self: Any) -> str:
    """A data class as Python writes it, its fields in brief: to stand in the class as `__repr__`."""
    shown = [f for f in dataclasses.fields(self) if f.repr]
    parts = (f"{f.name}={brief(getattr(self, f.name))}" for f in shown)
    return f"{type(self).__name__}({', '.join(parts)})"
