"""A stored run as the plain data that tables, plots and pages are made of."""

from __future__ import annotations

import ast
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from qngd.circuit.observable import Observable
from qngd.errors import StorageError
from qngd.estimates.bit_strings import BitStrings
from qngd.estimates.evaluation import Cost
from qngd.evaluators.bit_strings import exact_bit_strings
from qngd.report.run_data import RunData, of_result
from qngd.solve.state import State, StepInfo

if TYPE_CHECKING:  # which shows itself by this
    from qngd.run.directory.loaded import StoredRun


def of_stored(run: StoredRun) -> RunData:
    """A run as it is stored now.

    Raises:
        StorageError: there is no energy yet.
    """
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
