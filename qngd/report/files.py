"""The files that a run leaves behind, and plots drawn from them.

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

from qngd._system.version import __version__
from qngd.errors import MissingPackageError, SettingError
from qngd.evaluators.objectives.given import read_any
from qngd.problem import Problem
from qngd.report.run_data import HISTORY_COLUMNS, RunData
from qngd.solve.state import StepInfo

if TYPE_CHECKING:
    from qngd.run.loop import Result


def prepare(directory: str | Path, argument: str = "directory") -> Path:
    """The folder for a run's files, made if it is missing: better to fail before the run than after it. `argument` is
    what the user knows it by, here and below.

    Raises:
        SettingError: it cannot be written to.
    """
    folder = Path(directory)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise SettingError(f"{argument}: cannot write to {folder}: {_reason(error)}") from None
    return folder


def write(
    result: Result,
    problem: Problem,
    directory: str | Path,
    *,
    run: Mapping[str, Any] | None = None,
    argument: str = "directory",
) -> None:
    """Write the data files of a run into a folder; each appears whole or not at all.

    Args:
        result: what `minimize` returned.
        problem: what it was given.
        directory: made if it is missing; files of an earlier run there are replaced.
        run: more to keep in result.json, as JSON takes it: settings, seed, seconds.

    Raises:
        SettingError: the folder cannot be written to.
    """
    folder = prepare(directory, argument)
    count = len(result.state.theta)
    spectra = ((i.step, *map(_ten_digits, _eigenvalues(i, count))) for i in result.infos)
    names = ("step", *(f"eigenvalue_{i}" for i in range(1, count + 1)))
    _write_whole(folder / "history.csv", _csv(HISTORY_COLUMNS, _history_rows(result, problem)), argument)
    _write_whole(folder / "spectrum.csv", _csv(names, spectra), argument)
    content = document(result, problem, run or {})
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False, default=str)
    _write_whole(folder / "result.json", text.encode() + b"\n", argument)


def read(directory: str | Path, argument: str = "directory") -> RunData:
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
        raise SettingError(
            f"{argument}: cannot read {where}: {_reason(error)}; give the folder that a run with --out has written"
        ) from None
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise SettingError(f"{argument}: {folder} holds no readable run: {error}") from None
    return data


def plot(directory: str | Path, argument: str = "directory") -> tuple[Path, Path]:
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
    data = read(folder, argument)
    paths = folder / "convergence.png", folder / "spectrum.png"
    for path, draw in zip(paths, (figures.convergence, figures.spectrum), strict=True):
        image = io.BytesIO()
        draw(data).savefig(image, format="png", dpi=150)
        _write_whole(path, image.getvalue(), argument)
    return paths


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


def document(result: Result, problem: Problem, run: Mapping[str, Any]) -> dict[str, Any]:
    """What result.json holds, as JSON takes it."""
    circuit = read_any(problem, role="example").circuit
    return {
        "qngd": __version__,
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
        "mean_energy": _finite(result.mean),
        "bit_strings": [] if result.bit_strings is None else [each._asdict() for each in result.bit_strings.best(10)],
        "theta": [_finite(value) for value in result.state.lowest[0]],
        "cost": {
            "jobs": result.cost.jobs,
            "circuits": result.cost.circuits,
            "shots": result.cost.shots,
            "seconds": _finite(result.cost.seconds),
            "money": _finite(result.cost.money),
        },
    }


def _finite(value: float | None) -> float | None:
    """The number, or None for one that JSON has no word for: NaN and infinities."""
    return float(value) if value is not None and math.isfinite(value) else None


def _ten_digits(value: float) -> str:
    return f"{value:.10g}"


def _csv(names: Iterable[str], rows: Iterable[Iterable[Any]]) -> bytes:
    """A table as CSV: numbers with all their digits, NaN as an empty cell."""
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


def _write_whole(path: Path, content: bytes, argument: str) -> None:
    """Write beside the file, then rename: a reader sees the old file or the new one, never half of it."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        try:
            draft.write_bytes(content)
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise SettingError(f"{argument}: cannot write {path}: {_reason(error)}") from None


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
