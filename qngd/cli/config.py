"""A TOML file of options: `--config run.toml`.

    max-steps = 50
    shots = 1000

    [set]                # settings of the problem
    layers = 2

    [step]               # the same as step = "trust-region:radius=0.1"
    name = "trust-region"
    radius = 0.1

    [budget]             # the same as budget-shots = 100000
    shots = 100_000

What it says stands in for options that are not given on the command line.
"""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from qngd.cli.errors import UsageError, one_line_errors
from qngd.errors import SettingError, did_you_mean

MERGED = ("settings", "price")  # lists of NAME=VALUE in which a later one overrides an earlier one
_NOT_IN_FILES = ("help", "config", "traceback", "as_json")
_META = "qngd.config"
KEPT_AS = "settings.toml"


def read_config(ctx: typer.Context, path: str | None) -> str | None:
    """Make the options of a file the defaults of this command; ends it where the file cannot be read."""
    if path is not None:
        with one_line_errors(False):
            values = options_of(path, ctx)
        ctx.meta[_META] = {name: values.pop(name) for name in MERGED if name in values}
        ctx.default_map = {**(ctx.default_map or {}), **values}
    return path


def merged(ctx: typer.Context, name: str, given: list[str] | None) -> list[str]:
    """An option of NAME=VALUE, the file's before those that were given."""
    return [*ctx.meta.get(_META, {}).get(name, []), *(given or [])]


def options_of(path: str, ctx: typer.Context) -> dict[str, Any]:
    """The values of a file by the names of the command's parameters, as they would be typed.

    Raises:
        UsageError: it cannot be read, or a key is not known, or its value is of another type.
    """
    known = _known(ctx)
    found: dict[str, Any] = {}
    for key, value in _pairs(_table(path)):
        parameter = known.get(key.replace("-", "_"))
        if parameter is None:
            names = sorted({name.replace("_", "-") for name in known})
            raise UsageError(f"--config {path}: unknown key {key!r}.{did_you_mean(key, names) or _all(names)}")
        if parameter.name in found:
            raise UsageError(f"--config {path}: {key} is given twice")
        found[parameter.name] = _checked(value, parameter, ctx, f"--config {path}: {key}")
    return found


def _known(ctx: typer.Context) -> dict[str, Any]:
    known = {}
    for parameter in ctx.command.params:
        if parameter.param_type_name == "option" and parameter.name not in _NOT_IN_FILES:
            known.update({option.lstrip("-").replace("-", "_"): parameter for option in parameter.opts})
    return known


def _all(names: list[str]) -> str:
    return f" It knows {', '.join(names)}."


def _table(path: str) -> dict[str, Any]:
    try:
        return tomllib.loads(Path(path).read_bytes().decode())
    except OSError as error:
        raise UsageError(f"--config: cannot read {path}: {(error.strerror or str(error)).lower()}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise UsageError(f"--config {path}: is no TOML: {error}") from None


def _pairs(table: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Keys and values, those of [budget] by their options' names."""
    budget = table.get("budget")
    flat = {key: value for key, value in table.items() if not (key == "budget" and isinstance(budget, dict))}
    return [*flat.items(), *((f"budget-{key}", v) for key, v in (budget if isinstance(budget, dict) else {}).items())]


def _checked(value: Any, parameter: Any, ctx: typer.Context, label: str) -> Any:
    """The value as it would be typed."""
    typed = _typed(value, parameter, label)
    try:
        read = parameter.process_value(ctx, typed)
    except typer.BadParameter as error:
        raise UsageError(f"{label}: {error.message}") from None
    if isinstance(value, str) and isinstance(read, (int, float)):
        raise UsageError(f"{label}: write the number without quotes; got {value!r}")
    return typed


def _typed(value: Any, parameter: Any, label: str) -> Any:
    if parameter.is_flag:
        if not isinstance(value, bool):
            raise UsageError(f"{label}: write true or false; got {value!r}")
        return value
    if parameter.multiple:
        if isinstance(value, dict):
            return [f"{name}={as_text(each, bare=parameter.name == 'bounds')}" for name, each in value.items()]
        return [as_text(each) for each in (value if isinstance(value, list) else [value])]
    if isinstance(value, dict) and parameter.name != "theta0":
        return rule_text(value, label)
    return as_text(value, bare=parameter.name == "cvar")


def rule_text(table: Mapping[str, Any], label: str = "") -> str:
    """A table of a rule as it would be typed.

    >>> rule_text({"name": "signal-to-noise", "threshold": 2, "on": {"name": "absolute", "value": 0.1}})
    'signal-to-noise:threshold=2,on=(absolute:value=0.1)'
    """
    name, parts = table.get("name"), []
    for key, value in table.items():
        if key != "name":
            text = f"({rule_text(value, label)})" if isinstance(value, dict) and "name" in value else as_text(value)
            parts.append(f"{key}={text}")
    if name is None:
        return ",".join(parts)
    return f"{name}:{','.join(parts)}" if parts else f"{name}"


def as_text(value: Any, bare: bool = False) -> str:
    """A value as it would be typed; a list `bare` without brackets."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list) and bare:
        return ",".join(map(as_text, value))
    return json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, (list, dict)) else str(value)


def keep(options: Mapping[str, Any], folder: Path, argument: str) -> None:
    """Write options into a folder as a file that --config reads; raises SettingError."""
    lines = [f"{name.replace('_', '-')} = {_toml(value)}" for name, value in options.items() if value not in (None, [])]
    text = "# what this run was called with; qngd run PROBLEM --config does the same again\n" + "\n".join(lines) + "\n"
    try:
        (folder / KEPT_AS).write_text(text, encoding="utf-8")
    except OSError as error:
        raise SettingError(
            f"{argument}: cannot write {folder / KEPT_AS}: {(error.strerror or str(error)).lower()}"
        ) from None


def _toml(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    # JSON's texts are TOML's, but for the one character of ASCII that only TOML escapes
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
