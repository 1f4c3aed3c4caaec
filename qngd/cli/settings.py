"""Settings of a problem, written as name=value, read by the annotations and defaults of its function."""

from __future__ import annotations

import inspect
import json
import re
import types
import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from qngd.cli.errors import UsageError
from qngd.errors import did_you_mean

WRITE = "write def problem(**settings): return qngd.Problem(circuit, observable, theta0)"


def parse_settings(
    function: Callable[..., Any],
    settings: Sequence[str],
    label: str = "problem()",
    *,
    write: str = "--set {}=…",
    known_anyway: Sequence[str] = (),
) -> dict[str, Any]:
    """Settings written as "name=value" as keyword arguments of `function`, by its annotations and defaults; `write`
    says how the user gives one, `known_anyway` which need not be among them.

    Raises:
        UsageError: the text lists what the function accepts.

    >>> parse_settings(lambda layers=1, edges=(): None, ["layers=3", "edges=[[0, 1]]"])
    {'layers': 3, 'edges': [[0, 1]]}
    """
    accepted, takes_any = _accepted(function, label)
    arguments: dict[str, Any] = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        name = name.strip()
        if not equals or not name:
            raise UsageError(f"--set {setting}: write it as name=value")
        if name not in accepted and not takes_any:
            raise UsageError(_unknown(name, accepted, label))
        arguments[name] = _converted(name, text.strip(), accepted.get(name))
    given = {*arguments, *known_anyway}
    missing = [name for name, one in accepted.items() if one.required and name not in given]
    if missing:
        raise UsageError(f"{label} needs {', '.join(write.format(name) for name in missing)}")
    return arguments


@dataclass(frozen=True)
class _Setting:
    """A setting that a problem's function takes: its type `hint`, also as it is `written`, and its default."""

    name: str
    hint: Any
    default: Any
    written: str

    @property
    def required(self) -> bool:
        """Whether the function has no default for the setting."""
        return self.default is inspect.Parameter.empty

    def __str__(self) -> str:
        default = "" if self.required else f"={self.default!r}"
        return f"{self.name}{default}" + (f" ({self.written})" if self.written else "")


def _accepted(function: Callable[..., Any], label: str) -> tuple[dict[str, _Setting], bool]:
    """The settings a function takes by keyword, and whether it takes any name."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # of something built in
        raise UsageError(f"{label}: problem is {function!r}, which does not tell what it takes; {WRITE}") from None
    for p in parameters:
        if p.kind is inspect.Parameter.POSITIONAL_ONLY and p.default is inspect.Parameter.empty:
            raise UsageError(f"{label}: problem() takes {p.name} by its place, and settings come by name; remove the /")
    try:
        hints = typing.get_type_hints(function)
    except Exception:  # annotations for type checkers alone may be any code: go by defaults
        hints = {}
    keyword = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    accepted = {
        p.name: _Setting(p.name, hints.get(p.name), p.default, _written(p)) for p in parameters if p.kind in keyword
    }
    return accepted, any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters)


def _written(parameter: inspect.Parameter) -> str:
    annotation = parameter.annotation
    if annotation is inspect.Parameter.empty:
        return ""
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    return re.sub(r"\b(collections\.abc|typing|pathlib|numpy)\.", "", text)


def _unknown(name: str, accepted: dict[str, _Setting], label: str) -> str:
    if not accepted:
        return f"unknown setting {name!r}: {label} takes no settings"
    known = ", ".join(map(str, accepted.values()))
    return f"unknown setting {name!r}.{did_you_mean(name, accepted)} {label} takes {known}"


def _converted(name: str, text: str, setting: _Setting | None) -> Any:
    hint = None if setting is None else setting.hint
    default = inspect.Parameter.empty if setting is None else setting.default
    kinds = _kinds_of_default(default) if hint is None else _kinds_of_hint(hint)
    choices = typing.get_args(hint) if typing.get_origin(hint) is typing.Literal else ()
    for kind in sorted(kinds, key=list(_PARSERS).index):
        try:
            value = _PARSERS[kind](text)
        except ValueError:
            continue
        if not choices or value in choices:
            return value
    wanted = setting.written if setting and setting.written else " or ".join(sorted(kinds))
    hints = [how for kind, how in _HOW_TOWRITE.items() if kind in kinds]
    raise UsageError("; ".join([f"setting {name}: {text!r} is not of type {wanted}", *hints]))


def _parse_none(text: str) -> None:
    if text.lower() not in ("none", "null"):
        raise ValueError


def _parse_bool(text: str) -> bool:
    words = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
    if text.lower() not in words:
        raise ValueError
    return words[text.lower()]


# In the order in which the members of a union are tried: the narrowest first.
_PARSERS: dict[str, Callable[[str], Any]] = {
    "none": _parse_none,
    "bool": _parse_bool,
    "int": int,
    "float": float,
    "json": json.loads,
    "path": Path,
    "str": str,
}
_HOW_TOWRITE = {"bool": "write true or false", "json": "write it as JSON, such as [1, 2]"}
_KIND_OF_TYPE: dict[Any, str] = {
    types.NoneType: "none",
    bool: "bool",
    int: "int",
    Integral: "int",
    float: "float",
    Real: "float",
    str: "str",
    Path: "path",
}


def _kinds_of_hint(hint: Any) -> set[str]:
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        return set().union(*(_kinds_of_hint(member) for member in typing.get_args(hint)))
    if origin is typing.Annotated:
        return _kinds_of_hint(typing.get_args(hint)[0])
    if origin is typing.Literal:
        return {_KIND_OF_TYPE.get(type(c), "json") for c in typing.get_args(hint)}
    if hint in (Any, object):
        return {"json", "str"}
    return {_KIND_OF_TYPE.get(hint, "json")}


def _kinds_of_default(default: Any) -> set[str]:
    """What a setting without annotation may be: a whole number as default does not rule out a fraction."""
    if default is inspect.Parameter.empty or default is None:
        return {"json", "str"}
    kind = _KIND_OF_TYPE.get(type(default), "json")
    return {"int", "float"} if kind == "int" else {kind}
