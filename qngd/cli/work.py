"""What the commands do: open a problem, minimize it, tell how it went, keep the files. Imported when one runs."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import typer

from qngd._system.columns import rows_lines
from qngd._system.interrupts import Terminated
from qngd.cli import config
from qngd.cli.meaning import meant
from qngd.cli.options import as_data
from qngd.cli.placed import placed
from qngd.cli.problem_file import ProblemFile, open_problem
from qngd.errors import QngdError
from qngd.evaluators.given import AnyGiven, read_any
from qngd.evaluators.objectives.given import GivenObjective
from qngd.problem import Problem
from qngd.report import files, live
from qngd.report.circuits import describe_circuit
from qngd.report.summary import summary
from qngd.run.loop import Result, minimize
from qngd.run.result import advised

_PLACES = ("out", "run_dir")  # where the file of settings stands; elsewhere it would be another run's
_KEPT = "the same command goes on"
_NOT_KEPT = "with --run-dir DIR the same command would go on from here"


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


def minimize_and_tell(found: Opened, texts: Mapping[str, Any], as_json: bool = False) -> str:
    """Minimize as the options say, print the closing table or a document of JSON, write files; returns the status."""
    out, run_dir = texts["out"], texts["run_dir"]
    problem, how = meant(found.problem, found.given, texts)
    for folder, argument in ((out, "--out"), (run_dir, "--run-dir")):
        if folder is not None:
            files.prepare(folder, argument)
    if not as_json:
        typer.echo(f"{problem.name}: {describe_circuit(found.given.circuit)}")
    start = time.perf_counter()
    shown = nullcontext() if as_json else live.progress(how["max_steps"], problem.reference_energy)
    with found.file.blamed(), placed(texts) as how["backend"], shown as show:
        result, error = _minimized(problem, callback=show, **how)
    seconds = time.perf_counter() - start
    about = {"file": found.file.label, "set": found.settings, **_told(texts), "seconds": round(seconds, 3)}
    # before anything is printed: the reader of a pipe may have gone
    paths = _keep(result, problem, out, about)
    for folder, argument in ((out, "--out"), (run_dir, "--run-dir")):
        if folder is not None:
            config.keep({name: value for name, value in _told(texts).items() if name not in _PLACES}, folder, argument)
    if not as_json:
        typer.echo()
        rows = summary(result, problem, seconds, how["budget"])
        echo_table({**rows, "message": advised(rows["message"], _NOT_KEPT if run_dir is None else _KEPT)})
        typer.echo()
        _tell_where(out, run_dir, paths)
    if as_json:
        echo_json(files.document(result, problem, about))
    if error is not None:
        with found.file.blamed():
            raise error
    return str(result.status)


def _told(texts: Mapping[str, Any]) -> dict[str, Any]:
    """The options as data, the settings of the problem by their option's name."""
    named = {"set" if name == "settings" else name: as_data(value) for name, value in texts.items()}
    return {name: value for name, value in named.items() if value is not None}


def _minimized(problem: Problem, **how: Any) -> tuple[Result, BaseException | None]:
    """The result; and what ended the run, an error or SIGTERM, where that came through after something was reached."""
    try:
        return minimize(problem, **how), None
    except (Exception, Terminated) as error:  # of the problem's own backend, or of a terminal that shows no step
        if not isinstance(kept := getattr(error, "result", None), Result):
            raise
        return kept, error


def _keep(result: Result, problem: Problem, out: Path | None, about: Mapping[str, Any]) -> tuple[Path, ...]:
    """Write the files of a run, if any are wanted; returns the plots."""
    if out is None:
        return ()
    try:
        files.write(result, problem, out, run=about, argument="--out")
    except QngdError:  # a full disk, say: what cannot be kept in a file is at least shown
        typer.echo(f"theta: {result.state.lowest[0].tolist()}", err=True)
        raise
    return files.plot(out, "--out")


def _tell_where(out: Path | None, run_dir: Path | None, paths: tuple[Path, ...]) -> None:
    if run_dir is not None:
        typer.echo(f"run:   {run_dir}, for qngd show and qngd report")
    if out is None and run_dir is None:
        typer.echo("no files written; --out DIR keeps plots, history and parameters")
    if out is not None:
        typer.echo(f"data:  {out}/history.csv, spectrum.csv, result.json")
        typer.echo(f"plots: {', '.join(map(str, paths))}")


def echo_json(document: Any) -> None:
    """Print a document as JSON; numbers that are not finite are null."""
    typer.echo(json.dumps(_plain(document), indent=2, ensure_ascii=False, allow_nan=False, default=str))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def echo_table(rows: Mapping[str, str], indent: str = "") -> None:
    """Print rows of a name and a text each, the texts below each other."""
    for line in rows_lines(rows, partial(typer.style, bold=True)):
        typer.echo(f"{indent}{line}")
