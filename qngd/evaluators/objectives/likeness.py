"""What there is to recognize a user's function by in a later run: its name, its code, and the numbers, arrays and
functions that it uses from outside."""

from __future__ import annotations

import dis
import functools
import hashlib
from collections.abc import Iterator, Mapping
from types import CodeType, FunctionType, MethodType
from typing import Any

import numpy as np

from qngd.interop.arrays import as_numbers

_PLAIN = (int, float, complex, str, type(None), np.generic)


def text_of(function: Any) -> bytes:
    """The same for functions that cannot be told apart. Of what is no function of Python's only the name counts."""
    return _text_of(function, frozenset())


def _text_of(function: Any, seen: frozenset[int]) -> bytes:
    if isinstance(function, functools.partial):
        given = {**{str(place): value for place, value in enumerate(function.args)}, **function.keywords}
        return _text_of(function.func, seen) + _values_of(given, seen)
    name = repr(getattr(function, "__qualname__", type(function).__name__))
    code = getattr(function, "__code__", None)
    if code is None:
        return name.encode()
    own, *inner = ((each.co_code, each.co_names, _constants(each)) for each in _nested(code))
    text = repr((name, *own)) + (repr(inner) if inner else "")
    return text.encode() + _values_of(_used_by(function), seen | {id(function)})


def _constants(code: CodeType) -> list[Any]:
    return [value for value in code.co_consts if isinstance(value, _PLAIN)]


def _values_of(values: Mapping[str, Any], seen: frozenset[int]) -> bytes:
    told = {name: _told(value, seen) for name, value in sorted(values.items())}
    known = {name: text for name, text in told.items() if text}
    return repr(known).encode() if known else b""


def _told(value: Any, seen: frozenset[int]) -> bytes:
    """A number, some in a tuple, an array or a function in words; nothing for all else, as for a list, which may grow
    while the function runs."""
    if isinstance(value, _PLAIN) or (isinstance(value, tuple) and all(isinstance(each, _PLAIN) for each in value)):
        return repr(value).encode()
    if hasattr(value, "__code__") or isinstance(value, functools.partial):
        return b"" if id(value) in seen else _text_of(value, seen)
    array = as_numbers(value)
    if isinstance(array, np.ndarray) and not array.dtype.hasobject:
        return repr((array.dtype.str, array.shape)).encode() + hashlib.sha256(np.ascontiguousarray(array).data).digest()
    return b""


def _used_by(function: Any) -> dict[str, Any]:
    """The values that a function of Python's takes from where it was defined, by name. Of what only looks like one, as
    a compiled function does, nothing is known."""
    function = function.__func__ if isinstance(function, MethodType) else function
    if not isinstance(function, FunctionType):
        return {}
    found: dict[str, Any] = dict(function.__kwdefaults__ or {})
    found |= {str(place): value for place, value in enumerate(function.__defaults__ or ())}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=False):
        try:
            found[name] = cell.cell_contents
        except ValueError:  # not assigned yet
            continue
    return found | _globals_of(function)


def _globals_of(function: Any) -> dict[str, Any]:
    """The global numbers and arrays that it reads and does not set, and functions beside it."""
    around = function.__globals__
    steps = [step for code in _nested(function.__code__) for step in dis.get_instructions(code)]
    stored = {step.argval for step in steps if step.opname == "STORE_GLOBAL"}
    read = {step.argval for step in steps if step.opname == "LOAD_GLOBAL"} - stored
    values = {name: around[name] for name in read if name in around}
    return {name: value for name, value in values.items() if getattr(value, "__globals__", around) is around}


def _nested(code: CodeType) -> Iterator[CodeType]:
    """The code of a function and of those that are defined in it."""
    yield code
    for value in code.co_consts:
        if isinstance(value, CodeType):
            yield from _nested(value)
