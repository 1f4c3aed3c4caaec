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
from qngd.run.directory.loaded import StoredRun, load
from qngd.run.directory.paths import holds_run, numbered_runs
from qngd.run.directory.report_data import of_stored
from qngd.run.directory.schema import NAME
from qngd.run.result import Result


def compare(runs: Mapping[str, Any] | Iterable[Any]) -> Comparison:
    """Several runs side by side, as a table, figures and a page.

    Args:
        runs: results, stored runs as `load` gives them, or their directories; the directory of a call with restarts,
            or of excited states, stands for all runs in it. In a list, runs are labelled by the settings in which they
            differ, and those that differ in their seeds alone belong together. Or a mapping from labels to a run, or to
            a list of runs that belong together.

    Raises:
        SettingError: something is no run.
        StorageError: a directory holds none.

    >>> circuit = qngd.CircuitBuilder(1)
    >>> circuit = circuit.ry(circuit.parameter("a"), 0)
    >>> few = [qngd.minimize(circuit, {"Z": 1.0}, [0.3], shots=100, seed=seed, max_steps=2) for seed in range(3)]
    >>> qngd.compare({"QNG": few})
    Comparison(3 runs: QNG: 3)
    """
    if isinstance(runs, (str, os.PathLike, Result, StoredRun, RunData)):
        runs = [runs]
    if isinstance(runs, Mapping):
        pairs = [(str(label), each) for label, given in runs.items() for each in _each_of(_listed(given))]
        found = tuple(run_data(each).labelled(label) for label, each in pairs)
    elif isinstance(runs, Iterable):
        found = told_apart([run_data(each) for each in _each_of(runs)])
    else:
        raise SettingError(f"runs must be a list of results, or a mapping from labels to them; got {shown(runs)}")
    if not found:
        raise SettingError("runs: give at least one run")
    return Comparison(found)


def _listed(given: Any) -> list[Any]:
    if isinstance(given, Iterable) and not isinstance(given, (str, os.PathLike)):
        return list(given)
    return [given]


def _each_of(runs: Iterable[Any]) -> list[Any]:
    """The runs, those of one call in the place of its directory."""
    found: list[Any] = []
    for run in runs:
        is_path = isinstance(run, (str, os.PathLike)) and not (Path(run) / "result.json").exists()
        parts = [] if not is_path or holds_run(Path(run)) else numbered_runs(Path(run))
        found += parts or [run]
    return found


def run_data(run: Any) -> RunData:
    """A run as plain data: a result, a stored run, a directory that `minimize` keeps one in, or a folder that
    `qngd run --out` has written.

    Raises:
        SettingError: it is none of these.
        StorageError: there is no run in the directory, or none that can be read.
    """
    if isinstance(run, RunData):
        return run
    if isinstance(run, Result):
        return of_result(run)
    if isinstance(run, StoredRun):
        return of_stored(run)
    if not isinstance(run, (str, os.PathLike)):
        raise SettingError(f"runs: a run is a Result or the path of a folder; got {shown(run)}")
    if (Path(run) / "result.json").exists() and not (Path(run) / NAME).exists():
        return files.read(Path(run), "runs")
    return of_stored(load(run))
