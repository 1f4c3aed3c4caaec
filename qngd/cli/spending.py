"""Budgets and prices as the command line writes them, and tables of what things cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import typer

from qngd._system.columns import columns_lines
from qngd.cli.errors import UsageError
from qngd.errors import SettingError, did_you_mean
from qngd.estimates.prices import Prices
from qngd.run.budget import Budget


def read_budget(prices: Sequence[str] | None, before: Budget | None = None, **limits: float | None) -> Budget | None:
    """The budget of these limits, with prices written as "name=value"; where they are not given those of the one
    `before`, and None where there is none.

    Raises:
        UsageError: a price is not written so, or none of that name is known.
        SettingError: one cannot be meant.
    """
    given = {name: limit for name, limit in limits.items() if limit is not None}
    if not given and not prices:
        return before
    table = None if before is None else before.prices
    if prices:
        table = read_prices(prices, table)
    if before is not None:
        given = {name: getattr(before, name) for name in limits if getattr(before, name) is not None} | given
    for name, limit in given.items():  # one after the other, so that it is known whose a message is
        _named(f"--budget-{name}", Budget, **{name: limit, "prices": table})
    return Budget(**given, prices=table)  # type: ignore[arg-type]


def _named(option: str, make: Callable[..., Any], **given: Any) -> Any:
    """What is made of a setting, whose error names the option that says it."""
    try:
        return make(**given)
    except SettingError as error:
        raise SettingError(f"{option}: {error}") from None


def read_prices(texts: Sequence[str], before: Prices | None = None) -> Prices:
    """Prices written as "name=value", else as `before`; raises as `read_budget`.

    >>> read_prices(["per_second=1.6", "currency=USD"]).per_second
    1.6
    """
    known = tuple(Prices.__dataclass_fields__)
    found: dict[str, str | float] = {}
    for text in texts:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not equals or name not in known:
            raise UsageError(
                f"--price {text}: write NAME=VALUE with one of {', '.join(known)}.{did_you_mean(name, known)}"
            )
        try:
            found[name] = value if name == "currency" else float(value)
        except ValueError:
            raise UsageError(f"--price {text}: {value!r} is no number") from None
    return _named(f"--price {' '.join(texts)}", partial(replace, before or Prices()), **found)


def echo_columns(rows: Sequence[Sequence[str]]) -> None:
    """Print rows of as many texts each below each other, the first as headings."""
    for number, line in enumerate(columns_lines(rows)):
        typer.echo(typer.style(line, bold=number == 0))
