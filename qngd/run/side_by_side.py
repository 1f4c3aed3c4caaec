"""Runs side by side: results, runs on disk, and what a command has left in a folder, as the same plain data."""

from __future__ import annotations

import ast
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from qngd.circuit.observable import Observable
from qngd.errors import SettingError, StorageError, shown
from qngd.estimates.bit_strings import BitStrings
from qngd.estimates.evaluation import Cost
from qngd.evaluators.bit_strings import exact_bit_strings
from qngd.report import files
from qngd.report.comparison import Comparison, told_apart
from qngd.report.run_data import RunData, of_result
from qngd.run.directory.loaded import StoredRun, load
from qngd.run.directory.paths import holds_run, numbered_runs
from qngd.run.directory.schema import NAME
from qngd.run.result import Result
from qngd.solve.state import State, StepInfo


def compare(runs: Mapping[str, Any] | Iterable[Any]) -> Comparison:
    """Several runs side by side, as a table, figures and a page.

    Args:
        runs: results, stored runs as `load` gives them, or their directories; that of a call with restarts, or of
            excited states, stands for all runs in it. A list: they are told apart by the
            settings in which they differ; those that differ in their seeds alone belong together. Or a mapping from
            labels to a run, or to a list of runs that belong together.

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


def run_data(run: Any, argument: str = "runs") -> RunData:
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
        return _of_stored(run)
    if not isinstance(run, (str, os.PathLike)):
        raise SettingError(f"{argument}: a run is a Result or the path of a folder; got {shown(run)}")
    if (Path(run) / "result.json").exists() and not (Path(run) / NAME).exists():
        return files.read(Path(run), argument)
    return _of_stored(load(run))


def _of_stored(run: StoredRun) -> RunData:
    state = run.state
    if state is None:
        raise StorageError(f"run_dir: {run.directory} holds no energy yet; wait for the first one")
    metrics = {step: m for step, m in enumerate(run.metrics) if m is not None}
    seen = _Seen(
        energy=run.energy, stderr=run.stderr, steps=run.steps, status=run.status, message=run.message, note=run.note,
        history=run.history, history_stderr=run.history_stderr, infos=run.infos, cost=run.cost, state=state,
        bit_strings=_bit_strings(run, state), mean=math.nan, mean_stderr=math.nan, about=_about(run),
    )  # fmt: skip
    if (mean := state.evaluation.mean) is not None:
        seen = replace(seen, mean=float(mean.value), mean_stderr=float(mean.stderr))
    first = run.infos[0].step - 1 if run.infos else state.step
    return of_result(seen, metrics={first + place: np.asarray(metric) for place, metric in metrics.items()})


@dataclass(frozen=True, eq=False)
class _Seen:
    """A stored run as what `of_result` looks at."""

    energy: float
    stderr: float
    steps: int
    status: str
    message: str
    note: str
    history: np.ndarray
    history_stderr: np.ndarray
    infos: tuple[StepInfo, ...]
    cost: Cost
    state: State
    bit_strings: BitStrings | None
    mean: float
    mean_stderr: float
    about: dict[str, Any]


def _bit_strings(run: StoredRun, state: State) -> BitStrings | None:
    """Those that were measured; of an exact run those of its state, where the circuit is kept."""
    found = state.evaluation.bit_strings
    if found is not None or run.cost.shots or run.circuit is None or not isinstance(run.observable, Observable):
        return found
    return exact_bit_strings(run.circuit, run.observable, run.theta)


def _read(text: str) -> Any:
    """A setting that was written as Python writes it: numbers and texts as such, other things as that text."""
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
    return value if isinstance(value, (str, int, float)) else text


def _about(run: StoredRun) -> dict[str, Any]:
    about = run.about
    problem = {
        "name": about.get("problem", "problem"),
        "unit": about.get("unit", ""),
        "reference_energy": about.get("reference_energy"),
        "parameters": about.get("parameters", []),
    }
    problem |= {name: about[name] for name in ("num_qubits", "num_layers") if name in about}
    return {
        "problem": problem,
        "settings": {k: _read(v) for k, v in run.settings.items()},
        "versions": run.versions,
        "began": about.get("made", ""),
    }
