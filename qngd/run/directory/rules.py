"""Optimizers, rules and settings from what was written of them."""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import Any

from qngd.errors import QngdError
from qngd.run.identity import KIND, agrees

# Where qngd's own rules stand. Of a class that is in none of them the user must give the object.
_MODULES = (
    "qngd.qng", "qngd.baselines", "qngd.step", "qngd.damping", "qngd.refresh", "qngd.metrics", "qngd.measured.shots",
    "qngd.measured.auto_shots", "qngd.measured.target_error", "qngd.run.budget", "qngd.estimates.prices",
)  # fmt: skip


class Unknown(Exception):
    """Something written of a class that is none of qngd's; the text names it."""


def rebuilt(written: Any) -> Any:
    """The setting that was written, as JSON has it: numbers, texts, lists, and rules with their fields.

    Raises:
        Unknown: it holds an object of the user's own, or of another version of qngd.
    """
    if isinstance(written, list):
        return tuple(map(rebuilt, written))
    if not isinstance(written, dict) or KIND not in written:
        return written
    if written[KIND] == "mapping":
        return {rebuilt(key): rebuilt(value) for key, value in written["items"]}
    kind = _class(written[KIND])
    known = inspect.signature(kind).parameters
    try:
        made = kind(**{name: rebuilt(value) for name, value in written.items() if name in known})
    except (TypeError, QngdError) as error:
        raise Unknown(f"{written[KIND]}: {error}") from None
    if not agrees(written, made):
        raise Unknown(written[KIND])
    return made


def _class(name: str) -> type:
    for module in _MODULES:
        found = getattr(import_module(module), name, None)
        if isinstance(found, type):
            return found
    raise Unknown(name)
