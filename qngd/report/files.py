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
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from qngd.errors import MissingPackageError, SettingError
from qngd.evaluators.given import read_any
from qngd.problem import Problem
from qngd.report.run_data import HISTORY_COLUMNS, LATER_COLUMNS, RunData, finite, of_result

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
    data = _data_of(result, problem, run or {})
    columns = [data.history[name] for name in HISTORY_COLUMNS]
    spectra = ((step, *map(_ten_digits, row)) for step, row in zip(columns[0][1:], data.eigenvalues, strict=True))
    names = ("step", *(f"eigenvalue_{i}" for i in range(1, data.eigenvalues.shape[1] + 1)))
    write_whole(folder / "history.csv", _csv(HISTORY_COLUMNS, zip(*columns, strict=True)), argument)
    write_whole(folder / "spectrum.csv", _csv(names, spectra), argument)
    text = json.dumps(data.result, indent=2, ensure_ascii=False, allow_nan=False, default=str)
    write_whole(folder / "result.json", text.encode() + b"\n", argument)


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
        history = {name: _column(name, columns, rows) for name in HISTORY_COLUMNS}
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


def _column(name: str, columns: list[str], rows: np.ndarray) -> np.ndarray:
    """A column of a table; ValueError where it is missing, but for those that a file of 0.1 does not have."""
    if name not in columns and name in LATER_COLUMNS:
        return np.full(len(rows), np.nan)
    return rows[:, columns.index(name)]


def plot(directory: str | Path, argument: str = "directory") -> tuple[Path, Path]:
    """Draw convergence.png and spectrum.png in a folder from the data files there; returns their paths.

    Raises:
        SettingError: a data file is missing or is not one of ours, or the folder cannot be written to.
        MissingPackageError: matplotlib is not installed.
    """
    try:
        from qngd.report import figures  # matplotlib is wanted here alone
        from qngd.report.drawing import png
    except ImportError as error:
        raise MissingPackageError(
            f"plots need matplotlib: {error}; with it installed, qngd plot {directory} draws them from the data there"
        ) from error

    folder = Path(directory)
    data = read(folder, argument)
    paths = folder / "convergence.png", folder / "spectrum.png"
    for path, draw in zip(paths, (figures.convergence, figures.spectrum), strict=True):
        write_whole(path, png(draw(data), 150), argument)
    return paths


def document(result: Result, problem: Problem, run: Mapping[str, Any]) -> dict[str, Any]:
    """What result.json holds, as JSON takes it."""
    return dict(_data_of(result, problem, run).result)


def _data_of(result: Result, problem: Problem, run: Mapping[str, Any]) -> RunData:
    return of_result(result, _problem_of(result, problem), run)


def _problem_of(result: Result, problem: Problem) -> dict[str, Any]:
    circuit = read_any(problem, role="example").circuit
    return {
        "name": problem.name,
        "unit": problem.unit,
        "reference_energy": finite(problem.reference_energy),
        "num_qubits": circuit.num_qubits,
        "num_layers": circuit.num_layers,
        "parameters": list(circuit.parameters),
    }


def _ten_digits(value: float) -> str:
    return f"{value:.10g}"


def _csv(names: Iterable[str], rows: Iterable[Iterable[Any]]) -> bytes:
    """A table as CSV: numbers with all their digits, whole ones as such, NaN as an empty cell."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(names)
    for row in rows:
        table.writerow(map(_cell, row))
    return text.getvalue().encode()


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return value if value != "nan" else ""
    return "" if math.isnan(value) else int(value) if float(value).is_integer() else float(value)


def _table(path: Path) -> tuple[list[str], np.ndarray]:
    """The column names of a CSV file and its numbers, NaN where a cell is empty."""
    with path.open(newline="", encoding="utf-8") as file:
        names, *rows = csv.reader(file)
    numbers = [[float(cell) if cell else math.nan for cell in row] for row in rows]
    return names, np.array(numbers, dtype=float).reshape(len(rows), len(names))


def write_whole(path: Path, content: bytes, argument: str) -> None:
    """Write beside the file, then rename: a reader sees the old file or the new one, never half of it."""
    with _draft_of(path, argument) as draft:
        draft.write_bytes(content)
        draft.replace(path)


def require_writable(path: Path, argument: str) -> None:
    """Raise SettingError where no file can be written, before anybody waits for what it is to hold."""
    with _draft_of(path, argument) as draft:
        draft.touch()


@contextmanager
def _draft_of(path: Path, argument: str) -> Iterator[Path]:
    """A file beside this one, to be renamed; it does not stay."""
    if path.is_dir():  # also "" and "/", which have no name
        raise SettingError(f"{argument}: cannot write {path}: it is a folder; give the name of a file")
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        try:
            yield draft
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise SettingError(f"{argument}: cannot write {path}: {_reason(error)}") from None


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
