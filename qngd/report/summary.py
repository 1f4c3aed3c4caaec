"""What a run leaves behind: data files, plots drawn from them, and the closing table.

`write` puts three files into a folder, and `plot` draws two pictures from what `read` finds there:

    result.json      the problem, where the run ended and why, θ included
    history.csv      one row per step, `HISTORY_COLUMNS`; row 0 is the start
    spectrum.csv     step, then the eigenvalues of the metric that the step was taken from, ascending
    convergence.png  energy, and its error to the reference (or the gradient norm)
    spectrum.png     the eigenvalues with the damping, and their number above rounding

In row k of `history.csv`, `energy`, `stderr`, `error` and the costs are those after step k; `gradient_norm`,
`rank`, `condition` and `damping` belong to the point that step k was taken from, and a rejected step stays
there. Energies are in the observable's own unit, `rate` and `damping` are quoted for the Fubini–Study metric
g, `length` is √(δᵀgδ).
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import qngd
from qngd.circuit.active import active_qubits, as_measured
from qngd.circuit.circuit import Circuit
from qngd.circuit.observable import Observable
from qngd.errors import MissingPackageError, SettingError
from qngd.estimates.estimate import format_seconds, format_with_error
from qngd.interop import as_observable, wrap, wrap_for
from qngd.measured.grouping import group
from qngd.measured.shifts import shift_rules
from qngd.problem import Problem
from qngd.report.run_data import CHEMICAL_ACCURACY, HISTORY_COLUMNS, RunData
from qngd.solve.state import StepInfo

if TYPE_CHECKING:
    from qngd.run.loop import Result

_SURE = 3.0  # standard errors


def prepare(directory: str | Path) -> Path:
    """The folder for a run's files, made if it is missing: better to fail before the run than after it.

    Raises:
        SettingError: it cannot be written to.
    """
    folder = Path(directory)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise SettingError(f"directory: cannot write to {folder}: {_reason(error)}") from None
    return folder


def write(result: Result, problem: Problem, directory: str | Path, *, run: Mapping[str, Any] | None = None) -> None:
    """Write the data files of a run into a folder; each appears whole or not at all.

    Args:
        result: what `minimize` returned.
        problem: what it was given.
        directory: made if it is missing; files of an earlier run there are replaced.
        run: more to keep in result.json, as JSON takes it: settings, seed, seconds.

    Raises:
        SettingError: the folder cannot be written to.
    """
    folder = prepare(directory)
    count = len(result.state.theta)
    spectra = ((i.step, *map(_ten_digits, _eigenvalues(i, count))) for i in result.infos)
    names = ("step", *(f"eigenvalue_{i}" for i in range(1, count + 1)))
    _write_whole(folder / "history.csv", _csv(HISTORY_COLUMNS, _history_rows(result, problem)))
    _write_whole(folder / "spectrum.csv", _csv(names, spectra))
    document = _document(result, problem, run or {})
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False, default=str)
    _write_whole(folder / "result.json", text.encode() + b"\n")


def read(directory: str | Path) -> RunData:
    """What `write` left in a folder.

    Raises:
        SettingError: a file is missing or is not one of ours.
    """
    folder = Path(directory)
    try:
        result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
        columns, rows = _table(folder / "history.csv")
        _, spectra = _table(folder / "spectrum.csv")
        history = {name: rows[:, columns.index(name)] for name in HISTORY_COLUMNS}
        data = RunData(result, history, spectra[:, 1:])
        _ = data.name, data.unit, data.reference
        if len(spectra) != len(rows) - 1:
            raise ValueError("history.csv and spectrum.csv differ in their number of steps")
    except OSError as error:
        where = error.filename or folder
        raise SettingError(f"directory: cannot read {where}: {_reason(error)}") from None
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise SettingError(f"directory: {folder} holds no readable run: {error}") from None
    return data


def plot(directory: str | Path) -> tuple[Path, Path]:
    """Draw convergence.png and spectrum.png in a folder from the data files there; returns their paths.

    Raises:
        SettingError: a data file is missing or is not one of ours, or the folder cannot be written to.
        MissingPackageError: matplotlib is not installed.
    """
    try:
        from qngd.report import figures  # matplotlib is wanted here alone
    except ImportError as error:
        raise MissingPackageError(
            f"plots need matplotlib: {error}; with it installed, qngd plot {directory} draws them from the data there"
        ) from error

    folder = Path(directory)
    data = read(folder)
    paths = folder / "convergence.png", folder / "spectrum.png"
    for path, draw in zip(paths, (figures.convergence, figures.spectrum), strict=True):
        image = io.BytesIO()
        draw(data).savefig(image, format="png", dpi=150)
        _write_whole(path, image.getvalue())
    return paths


def summary(result: Result, problem: Problem, seconds: float | None = None) -> dict[str, str]:
    """The closing table, from row names to text: what was run, how it ended and what to do, what came out,
    what it cost."""
    rejected = sum(not info.accepted for info in result.infos)
    rows = {
        "problem": problem.name,
        "circuit": describe_circuit(wrapped(problem)),
        "status": str(result.status).replace("_", " "),
        "message": result.message,
        "steps": f"{result.steps}" + (f", {rejected} of them rejected" if rejected else ""),
        "energy": _with_unit(format_with_error(result.energy, result.stderr), problem),
        **_errors(result, problem),
        "cost": str(result.cost),
    }
    if result.note:
        rows["note"] = result.note
    if seconds is not None:
        rows["time"] = format_seconds(seconds)
    return rows


def wrapped(problem: Problem) -> Circuit:
    """The problem's circuit in neutral form, θ₀ serving as a QNode's example arguments."""
    if problem.theta0 is None:
        return wrap(problem.circuit)
    return wrap_for(problem.circuit, problem.theta0)


def describe_circuit(circuit: Circuit) -> str:
    """'4 qubits, 12 parameters, 3 layers', or '127 qubits (4 active), …'."""
    counts = {
        "qubit": circuit.num_qubits,
        "parameter": circuit.num_parameters,
        "layer": circuit.num_layers,
    }
    texts = [plural(count, name) for name, count in counts.items()]
    active = len(active_qubits(circuit))
    if active < circuit.num_qubits:
        texts[0] += f" ({active} active)"
    return ", ".join(texts)


def plural(count: int, noun: str) -> str:
    """'1 layer', '2 layers'."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def step_measurements(circuit: Circuit, problem: Problem) -> dict[str, str]:
    """What one step measures on a device, from row names to text."""
    points = sum(2 * len(direction.shifts) for direction in shift_rules(circuit, circuit.angle_map.linear)[0])
    rows = {
        "metric": f"{plural(circuit.num_layers, 'circuit')}, one per layer (block-diag)",
        "gradient": f"the energy at {plural(points, 'shifted point')}",
    }
    if problem.observable is None and circuit.observable is None:
        return {"energy": "no observable given", **rows}
    observable = as_measured(as_observable(problem.observable, circuit), circuit)
    terms, groups = _measured_terms(observable)
    text = f"{plural(groups, 'circuit')} for {plural(terms, 'Pauli term')}, grouped qubit by qubit"
    return {"energy": text, **rows}


def _measured_terms(observable: Observable) -> tuple[int, int]:
    """The terms that must be measured, and the circuits that this takes."""
    rows = observable.acting
    groups = group(observable.strings[rows], observable.coefficients[rows], "qubit-wise")
    return len(rows), len(groups)


def _errors(result: Result, problem: Problem) -> dict[str, str]:
    """The rows that need a reference energy."""
    reference = problem.reference_energy
    if reference is None:
        return {}
    error, stderr = result.energy - reference, result.stderr
    text = f"{error:.2e}" + (f" ± {stderr:.1e}" if stderr else "")
    rows = {"reference": _with_unit(f"{reference:.10g}", problem), "error": _with_unit(text, problem)}
    if problem.unit == "hartree":
        rows["chemical accuracy"] = _chemical_accuracy(error, stderr)
    return rows


def _chemical_accuracy(error: float, stderr: float) -> str:
    limit = f"{CHEMICAL_ACCURACY:g} hartree"
    beyond = abs(error) - CHEMICAL_ACCURACY
    if stderr > CHEMICAL_ACCURACY and beyond <= _SURE * stderr:
        return f"cannot tell: the energy's own error exceeds {limit}"
    return f"{'yes' if beyond <= 0 else 'no'} ({limit})"


def _with_unit(text: str, problem: Problem) -> str:
    return f"{text} {problem.unit}".strip()


def _history_rows(result: Result, problem: Problem) -> Iterable[tuple[Any, ...]]:
    reference = math.nan if problem.reference_energy is None else problem.reference_energy
    energy, stderr = float(result.history[0]), float(result.history_stderr[0])
    start = (0, energy, stderr, energy - reference)
    yield (*start, *[math.nan] * (len(HISTORY_COLUMNS) - len(start)))
    for info in result.infos:
        yield _history_row(info, reference)


def _history_row(info: StepInfo, reference: float) -> tuple[Any, ...]:
    seen = info.spectrum
    spectrum = [math.nan] * 5
    if seen is not None:
        spectrum = [seen.rank, seen.condition, seen.smallest, seen.largest, seen.damping]
    return (
        info.step, info.energy, info.stderr, info.energy - reference, int(info.accepted), info.decrease,
        info.predicted_decrease, info.rate, info.length, info.radius, info.gradient_norm, info.natural_norm,
        *spectrum, info.cost.jobs, info.cost.circuits, info.cost.shots,
    )  # fmt: skip


def _eigenvalues(info: StepInfo, count: int) -> np.ndarray:
    """The largest eigenvalues that a step saw, (count,), after NaN for those that it did not see."""
    seen = np.zeros(0) if info.spectrum is None else info.spectrum.eigenvalues[-count:]
    return np.concatenate([np.full(count - len(seen), np.nan), seen])


def _document(result: Result, problem: Problem, run: Mapping[str, Any]) -> dict[str, Any]:
    circuit = wrapped(problem)
    return {
        "qngd": qngd.__version__,
        "problem": {
            "name": problem.name,
            "unit": problem.unit,
            "reference_energy": _finite(problem.reference_energy),
            "num_qubits": circuit.num_qubits,
            "num_layers": circuit.num_layers,
            "parameters": list(circuit.parameters),
        },
        "run": dict(run),
        "status": str(result.status),
        "message": result.message,
        "steps": result.steps,
        "energy": _finite(result.energy),
        "stderr": _finite(result.stderr),
        "theta": [_finite(value) for value in result.state.lowest[0]],
        "cost": {
            "jobs": result.cost.jobs,
            "circuits": result.cost.circuits,
            "shots": result.cost.shots,
        },
    }


def _finite(value: float | None) -> float | None:
    """JSON has no NaN."""
    return float(value) if value is not None and math.isfinite(value) else None


def _ten_digits(value: float) -> str:
    return f"{value:.10g}"


def _csv(names: Iterable[str], rows: Iterable[Iterable[Any]]) -> bytes:
    """Numbers with all their digits, NaN as an empty cell."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(names)
    for row in rows:
        table.writerow(["" if isinstance(v, float) and math.isnan(v) else v for v in row])
    return text.getvalue().encode()


def _table(path: Path) -> tuple[list[str], np.ndarray]:
    """The column names of a CSV file and its numbers, NaN where a cell is empty."""
    with path.open(newline="", encoding="utf-8") as file:
        names, *rows = csv.reader(file)
    numbers = [[float(cell) if cell else math.nan for cell in row] for row in rows]
    return names, np.array(numbers, dtype=float).reshape(len(rows), len(names))


def _write_whole(path: Path, content: bytes) -> None:
    """Write beside the file, then rename: a reader sees the old file or the new one, never half of it."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        try:
            draft.write_bytes(content)
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise SettingError(f"directory: cannot write {path}: {_reason(error)}") from None


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
