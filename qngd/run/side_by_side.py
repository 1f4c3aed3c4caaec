"""Runs side by side: results, runs on disk, and what a command has left in a folder, as the same plain data."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from qngd.errors import SettingError, shown
from qngd.report import files
from qngd.report.comparison import Comparison, told_apart
from qngd.report.run_data import RunData, of_result
from qngd.run.result import Result

Run = Result | RunData | str | os.PathLike[str]


def compare(runs: Mapping[str, Any] | Iterable[Any]) -> Comparison:
    """Several runs side by side, as a table, figures and a page.

    Args:
        runs: results or folders of runs. A list: they are told apart by the settings in which they differ; those that
            differ in their seeds alone belong together. Or a mapping from labels to a run, or to a list of runs that
            belong together.

    Raises:
        SettingError: something is no run, or a folder holds none.

    >>> circuit = qngd.CircuitBuilder(1)
    >>> circuit = circuit.ry(circuit.parameter("a"), 0)
    >>> few = [qngd.minimize(circuit, {"Z": 1.0}, [0.3], shots=100, seed=seed, max_steps=2) for seed in range(3)]
    >>> qngd.compare({"QNG": few})
    Comparison(3 runs: QNG: 3)
    """
    if isinstance(runs, (str, bytes, os.PathLike, Result, RunData)):
        runs = [runs]
    if isinstance(runs, Mapping):
        pairs = [(str(label), each) for label, given in runs.items() for each in _listed(given)]
        found = tuple(run_data(each).labelled(label) for label, each in pairs)
    elif isinstance(runs, Iterable):
        found = told_apart([run_data(each) for each in runs])
    else:
        raise SettingError(f"runs must be a list of results, or a mapping from labels to them; got {shown(runs)}")
    if not found:
        raise SettingError("runs: give at least one run")
    return Comparison(found)


def _listed(given: Any) -> list[Any]:
    if isinstance(given, Iterable) and not isinstance(given, (str, os.PathLike)):
        return list(given)
    return [given]


def run_data(run: Any, argument: str = "runs") -> RunData:
    """A run as plain data: a result, a folder that `minimize` keeps a run in, or one that `qngd run --out` has written.

    Raises:
        SettingError: it is none of these.
    """
    if isinstance(run, RunData):
        return run
    if isinstance(run, Result):
        return of_result(run)
    if not isinstance(run, (str, os.PathLike)):
        raise SettingError(f"{argument}: a run is a Result or the path of a folder; got {shown(run)}")
    return files.read(Path(run), argument)
