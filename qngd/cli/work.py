"""What the commands do: open a problem, minimize it, tell how it went, keep the files. Imported when one runs."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import typer

from qngd.backends import in_mode, resolve
from qngd.cli.errors import UsageError
from qngd.cli.problem_file import ProblemFile, open_problem
from qngd.errors import QngdError
from qngd.evaluators.objectives.given import AnyGiven, GivenObjective, read_any
from qngd.problem import Problem
from qngd.report import files, live
from qngd.report.circuits import describe_circuit
from qngd.report.summary import summary
from qngd.run.loop import Result, minimize
from qngd.run.names import SETTINGS
from qngd.run.optimizers import named
from qngd.solve.state import Optimizer

_OF_MINIMIZE = (
    "max_steps", "tol", "seed", "backend", "shots", "grouping", "cross", "run_dir", "restarts", "budget",
    "final_shots",
)  # fmt: skip


@dataclass(frozen=True)
class Opened:
    """A problem with its circuit wrapped, what was read of it, and the file whose code may still be called."""

    file: ProblemFile
    settings: tuple[str, ...]
    problem: Problem
    given: AnyGiven


def opened(target: str, settings: list[str]) -> Opened:
    """The problem of a file, with these settings; raises as `open_problem`, `ProblemFile.build` and `wrap` do."""
    file = open_problem(target)
    problem = file.build(settings)
    with file.blamed():
        given = read_any(problem, role="example")
    if not isinstance(given, GivenObjective):
        problem = replace(problem, circuit=given.circuit)
    return Opened(file, tuple(settings), problem, given)


def minimize_and_tell(found: Opened, options: Mapping[str, Any], out: Path | None) -> str:
    """Minimize, print the closing table, write files; returns the status."""
    problem = found.problem
    how = {name: options[name] for name in _OF_MINIMIZE}
    optimizer = _optimizer(options)
    for folder, argument in ((out, "--out"), (options["run_dir"], "--run-dir")):
        if folder is not None:
            files.prepare(folder, argument)
    typer.echo(f"{problem.name}: {describe_circuit(found.given.circuit)}")
    start = time.perf_counter()
    with (
        found.file.blamed(),
        _running(options) as how["backend"],
        live.progress(options["max_steps"], problem.reference_energy) as show,
    ):
        result, error = _minimized(problem, optimizer=optimizer, callback=show, **how)
    seconds = time.perf_counter() - start
    typer.echo()
    echo_table(summary(result, problem, seconds))
    typer.echo()
    about = {"file": found.file.label, "set": found.settings, **options, "seconds": round(seconds, 3)}
    _keep(result, problem, out, about)
    if error is not None:
        with found.file.blamed():
            raise error
    return str(result.status)


@contextmanager
def _running(options: Mapping[str, Any]) -> Iterator[Any]:
    """The backend of a run, with its qubits chosen, in a batch or session if that is wanted."""
    backend, layout = options["backend"], _layout(options["initial_layout"])
    if options["mode"] != "job":
        if backend is None:
            raise UsageError(f"--mode {options['mode']} needs a --backend of IBM's, such as fake_nairobi")
        with in_mode(backend, options["mode"], layout) as found:
            yield found
    else:
        yield backend if layout is None else resolve(backend, initial_layout=layout)


def _layout(text: str | None) -> list[int] | str | None:
    if text is None or text == "best":
        return text
    if not all(part.strip().isdecimal() for part in text.split(",")):
        raise UsageError(f'--initial-layout: {text!r} is neither qubits, such as 3,5,4, nor "best"')
    return [int(part) for part in text.split(",")]


def _minimized(problem: Problem, **how: Any) -> tuple[Result, Exception | None]:
    """The result; and the error that ended the run, where one came through after something was reached."""
    try:
        return minimize(problem, **how), None
    except Exception as error:  # of the problem's own backend, or of a terminal that cannot show a step
        if not isinstance(kept := getattr(error, "result", None), Result):
            raise
        return kept, error


def _optimizer(options: Mapping[str, Any]) -> Optimizer:
    """The optimizer by its name, with those of its settings that were given."""
    name = options["optimizer"]
    given = {
        key: options[key] for key in ("learning_rate", "approx", "damping", "gradient") if options[key] is not None
    }
    for key in given:
        if key not in SETTINGS.get(name, ()):
            raise UsageError(f"--{key.replace('_', '-')} does not go with --optimizer {name}")
    if name == "gd" and not given:
        raise UsageError("--optimizer gd needs a --learning-rate")
    return named(name, **given)


def read_shots(text: str | None) -> int | Literal["auto"] | None:
    """The shots that an option says; raises UsageError."""
    if text is None:
        return None
    if text == "auto":
        return "auto"
    if not text.isdecimal() or int(text) < 1:
        raise UsageError(f'--shots: {text!r} is neither a whole number of at least 1 nor "auto"')
    return int(text)


def _keep(result: Result, problem: Problem, out: Path | None, about: Mapping[str, Any]) -> None:
    if out is None:
        typer.echo("no files written; --out DIR keeps plots, history and parameters")
        return
    try:
        files.write(result, problem, out, run=about, argument="--out")
    except QngdError:  # a full disk, say: what cannot be kept in a file is at least shown
        typer.echo(f"theta: {result.state.lowest[0].tolist()}")
        raise
    typer.echo(f"data:  {out}/history.csv, spectrum.csv, result.json")
    paths = files.plot(out, "--out")
    typer.echo(f"plots: {', '.join(map(str, paths))}")


def echo_table(rows: Mapping[str, str], indent: str = "") -> None:
    """Print rows of a name and a text each, the texts below each other."""
    width = max(map(len, rows))
    for name, text in rows.items():
        typer.echo(f"{indent}{typer.style(f'{name:<{width}}', bold=True)}  {text}")
