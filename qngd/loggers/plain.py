"""Callbacks that need nothing but the standard library."""

from __future__ import annotations

import csv
import logging
import os
import warnings
import weakref
from pathlib import Path
from typing import Any, TextIO

from qngd._system.keywords import hinted
from qngd._system.logs import logger as _package_logger
from qngd.errors import QngdWarning, SettingError
from qngd.estimates.estimate import format_with_error
from qngd.loggers.base import Callback, scalars
from qngd.solve.state import StepInfo

_COLUMNS = (
    "step", "energy", "stderr", "mean", "decrease", "predicted_decrease", "accepted", "rate", "length", "radius",
    "gradient_norm", "significance", "natural_norm", "metric.rank", "metric.condition", "metric.smallest",
    "metric.largest", "metric.damping", "cost.jobs", "cost.circuits", "cost.shots", "cost.seconds", "cost.money",
)  # fmt: skip


@hinted
class Logging(Callback):
    """A line a step to the standard library's `logging`.

    Args:
        logger: a logger, or its name; None is "qngd.run".
        level: of the lines.

    >>> qngd.loggers.Logging(level=logging.DEBUG)
    Logging('qngd.run')
    """

    def __init__(self, logger: logging.Logger | str | None = None, level: int = logging.INFO) -> None:
        if isinstance(logger, str):
            logger = logging.getLogger(logger)
        self._logger = _package_logger.getChild("run") if logger is None else logger
        self._level = level

    def _write(self, info: StepInfo) -> None:
        if not self._logger.isEnabledFor(self._level):
            return
        self._logger.log(
            self._level,
            "step %d: energy %s%s; %s so far%s",
            info.step,
            format_with_error(info.energy, info.stderr),
            "" if info.accepted else " (rejected)",
            info.cost,
            f"; {info.note}" if info.note else "",
        )

    def __repr__(self) -> str:
        return f"Logging({self._logger.name!r})"


@hinted
class CSV(Callback):
    """A row a step in a file; each is written before the next step begins. A file that this class has begun is added
    to, as by a run that is resumed.

    Args:
        path: of the file; its folder must exist.

    Raises:
        SettingError: it cannot be written to, or holds something else.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        try:
            begun = self.path.exists() and self.path.stat().st_size > 0
            if begun:
                self._check()
            else:
                self.path.write_text(",".join(_COLUMNS) + "\n", encoding="utf-8")
            self._file: TextIO = self.path.open("a", newline="", encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise SettingError(f"path: cannot write to {self.path}: {reason.lower()}") from None
        self._table: Any = csv.DictWriter(self._file, _COLUMNS, lineterminator="\n")
        self.close = weakref.finalize(self, _closed, self._file)  # type: ignore[method-assign]

    def _check(self) -> None:
        with self.path.open(newline="", encoding="utf-8") as file:
            if next(csv.reader(file), []) != list(_COLUMNS):
                raise SettingError(f"path: {self.path} holds something else; give another name")

    def _write(self, info: StepInfo) -> None:
        if self._file.closed:
            raise SettingError(f"this CSV is closed; begin another: qngd.loggers.CSV({str(self.path)!r})")
        found = scalars(info)
        whole = {name: int(value) if value.is_integer() else value for name, value in found.items()}
        self._table.writerow({"step": info.step, **whole})
        self._file.flush()

    def __repr__(self) -> str:
        return f"CSV({str(self.path)!r})"


def _closed(file: TextIO) -> None:
    try:
        file.close()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        warnings.warn(f"{file.name}: its last rows could not be written: {reason}", QngdWarning, stacklevel=2)
