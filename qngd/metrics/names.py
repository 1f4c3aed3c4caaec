"""The metrics by name. Loads none of them, so that the command line can show its help at once."""

from __future__ import annotations

import importlib
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from qngd.errors import SettingError, check_word, shown

if TYPE_CHECKING:
    from qngd.metrics.base import Metric

Approx = Literal["diag", "block-diag", "full", "qn-spsa", "random-basis", "hamiltonian", "identity"]

# by name: the module in this folder, the class, and a few words for people
HOMES: dict[Approx, tuple[str, str, str]] = {
    "diag": ("layers", "Diagonal", "the diagonal over gates"),
    "block-diag": ("layers", "BlockDiagonal", "a block a layer"),
    "full": ("full", "Full", "all entries"),
    "qn-spsa": ("spsa", "QNSPSA", "from random overlaps"),
    "random-basis": ("random_basis", "RandomBasis", "from random measurements"),
    "hamiltonian": ("hamiltonian", "HamiltonianAware", "of the observable's expectation values"),
    "identity": ("identity", "Identity", "plain gradient descent"),
}
METRICS = tuple(HOMES)


def as_metric(approx: Any) -> Metric:
    """The metric itself, or the one with this name.

    Raises:
        SettingError: it is neither.

    >>> as_metric("block-diag")
    BlockDiagonal()
    """
    if isinstance(approx, str) and approx in HOMES:
        return _named(approx)
    check_approx(approx)
    found: Metric = approx
    return found


def check_approx(approx: Any, *more: str) -> None:
    """Raise SettingError unless `approx` is a metric, or names one, or is one of the names `more`."""
    if isinstance(approx, str):
        if approx == "gauss-newton":
            raise SettingError(f'approx: "{approx}" is of an Objective; write qngd.Objective(…, metric="{approx}")')
        check_word(approx, (*METRICS, *more), "approx")
        return
    from qngd.metrics.base import Metric

    if not isinstance(approx, Metric):
        names = ", ".join((*METRICS, *more))
        raise SettingError(f"approx: {shown(approx)} is none of {names}, and no qngd.metrics.Metric")


@lru_cache
def _named(name: Approx) -> Metric:
    module, class_name, _ = HOMES[name]
    made: Metric = getattr(importlib.import_module(f"qngd.metrics.{module}"), class_name)()
    return made
