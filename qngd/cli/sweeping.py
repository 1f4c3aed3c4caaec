"""What `qngd sweep` does: options and settings by name as a grid, a table while it goes on, one at its end."""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.live import Live
from rich.table import Table

from qngd.cli.errors import UsageError
from qngd.cli.meaning import meant
from qngd.cli.options import as_data
from qngd.cli.problem_file import open_problem
from qngd.cli.spending import echo_columns
from qngd.cli.work import echo_json, opened
from qngd.cli.written import split
from qngd.errors import SettingError, counted, did_you_mean
from qngd.problem import Problem
from qngd.report import files
from qngd.sweeps.grid import GridPoint, combinations
from qngd.sweeps.python import swept
from qngd.sweeps.summary import summarized
from qngd.sweeps.work import fixed_text

_NOT_IN_GRIDS = {
    "seed": "--seeds gives each run one of its own, and --seed other ones to all",
    "run-dir": "each run has one below --out",
    "out": "each run is kept below --out",
    "set": "write the setting's name itself",
    "config": "give --config itself",
    "json": "it says how the sweep is shown",
    "traceback": "it says how errors are shown",
    "help": "it is no setting",
}
Parse = Callable[[list[str]], dict[str, Any]]


@dataclass(frozen=True)
class FileRecipe:
    """A problem file with options as texts, as a problem and the arguments of `minimize`."""

    target: str

    def __call__(self, values: Mapping[str, Any], repetition: int) -> tuple[Problem, dict[str, Any]]:
        settings = list(values["settings"])
        if "seed" in _settings_of(self.target) and not any(text.startswith("seed=") for text in settings):
            settings.append(f"seed={repetition}")
        found = opened(self.target, settings)
        with found.file.blamed():
            return meant(found.problem, found.given, values)


def carry_out(
    target: str,
    grid: Sequence[str],
    options: Sequence[str],
    reading: tuple[Parse, Sequence[str]],
    how: Mapping[str, Any],
    as_json: bool,
) -> int:
    """Run a sweep and show what came out; `options` are those of all runs, as typed, and `reading` reads such of `qngd
    run` and says their names. Returns the exit code."""
    parse, known = reading
    folder = files.prepare(how["out"], "--out")
    place = os.path.abspath(target) if os.path.exists(target) else target
    points = [
        _point([target, *options, *argv], labels, parse)
        for labels, argv in _combinations(grid, _settings_of(target), known)
    ]
    with _shown(len(points) * how["seeds"], as_json) as told:
        try:
            rows = swept(FileRecipe(place), points, on_run=told, **how)
        except KeyboardInterrupt:
            typer.echo("interrupted; the same command goes on from there", err=True)
            raise
    _tell(rows, folder, as_json)
    return 1 if any(row["status"] == "error" for row in rows) else 0


def _tell(rows: list[dict[str, Any]], folder: Path, as_json: bool) -> None:
    """Write what came out into a file, and show it."""
    document = {"runs": rows, "summary": summarized(rows)}
    _keep(document, folder)
    if as_json:
        echo_json(document)
        return
    typer.echo()
    echo_columns(table(document["summary"]))
    for row in rows:
        if row["status"] == "error":
            typer.echo(f"failed: {row['run_dir']}: {row['message']}", err=True)
    typer.echo(f"\ndata:  {folder}/sweep.json")


def _settings_of(target: str) -> list[str]:
    return list(inspect.signature(open_problem(target).function).parameters)


def _combinations(
    grid: Sequence[str], of_problem: Sequence[str], known: Sequence[str]
) -> Iterator[tuple[dict[str, str], list[str]]]:
    """The labels of every combination, and how it is typed."""
    values: dict[str, list[str]] = {}
    for text in grid:
        name, equals, parts = text.partition("=")
        if not equals or not name.strip():
            raise UsageError(f"--grid {text}: write NAME=VALUE,VALUE,…")
        values.setdefault(name.strip(), []).extend(split(parts))
    for labels, _ in combinations(values):
        yield labels, [part for name, label in labels.items() for part in _typed(name, label, of_problem, known)]


def _typed(name: str, value: str, of_problem: Sequence[str], known: Sequence[str]) -> list[str]:
    option = name.replace("_", "-")
    if name in of_problem or name.replace("-", "_") in of_problem:
        return ["--set", f"{name if name in of_problem else name.replace('-', '_')}={value}"]
    if option in _NOT_IN_GRIDS:
        raise UsageError(f"--grid {name}: {_NOT_IN_GRIDS[option]}")
    if option not in known:
        names = [*of_problem, *(each for each in known if each not in _NOT_IN_GRIDS)]
        raise UsageError(
            f"--grid: {name!r} is no setting of the problem and no option of qngd run.{did_you_mean(name, names)}"
        )
    if option in ("wrap-angles",):
        return [f"--{option}"] if value.lower() in ("true", "yes", "on") else []
    return [f"--{option}={value.removeprefix('(').removesuffix(')')}"]


def _point(argv: list[str], labels: dict[str, str], parse: Parse) -> GridPoint:
    try:
        texts = parse(argv)
    except typer.BadParameter as error:  # which would show the usage of qngd run
        raise UsageError(f"--grid: {error.format_message()}") from None
    common = {name: as_data(value) for name, value in texts.items() if name not in ("out", "run_dir", "seed")}
    return GridPoint(labels, texts, fixed_text(common))


@contextmanager
def _shown(total: int, as_json: bool) -> Iterator[Callable[[dict[str, Any], int, int], None] | None]:
    """What is called after each run: a line each, or a table that is redrawn on a terminal."""
    console = Console(highlight=False)
    if as_json:
        yield None
    elif not console.is_terminal:
        typer.echo(counted(total, "run"))
        yield _print_row
    else:
        rows: list[dict[str, Any]] = []
        with Live(console=console, auto_refresh=False) as live:

            def redraw(row: dict[str, Any], done: int, total: int) -> None:
                rows.append(row)
                live.update(_drawn(rows, done, total), refresh=True)

            yield redraw


def _print_row(row: Mapping[str, Any], done: int, total: int) -> None:
    energy = "" if row["energy"] is None else f"  energy {row['energy']:.10g}"
    names = "  ".join(f"{name}={label}" for name, label in row["settings"].items())
    typer.echo(f"{done}/{total}  {names}  #{row['repetition']}  {row['status'].replace('_', ' ')}{energy}")


def _drawn(rows: Sequence[Mapping[str, Any]], done: int, total: int) -> Table:
    heads, *lines = table(summarized(rows))
    drawn = Table(*heads, title=f"{done} of {counted(total, 'run')}", box=None)
    for line in lines:
        drawn.add_row(*line)
    return drawn


def table(summary: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Medians with quartiles as texts, headings first."""
    names = list(summary[0]["settings"]) if summary else []
    shown = ["energy", "error", "steps", "shots"]
    if all(row["error"] is None for row in summary):
        shown.remove("error")
    lines = [[*(names or ["runs"]), *(["runs"] if names else []), *shown]]
    for row in summary:
        count = f"{row['runs']}" + (f" ({row['failed']} failed)" if row["failed"] else "")
        lines.append([*(row["settings"][name] for name in names), count, *(_quartiles(row[name]) for name in shown)])
    return lines


def _quartiles(three: tuple[float, float, float] | None) -> str:
    if three is None:
        return "-"
    low, middle, high = (f"{value:.6g}" for value in three)
    return middle if low == high else f"{middle} [{low}, {high}]"


def _keep(content: Mapping[str, Any], folder: Path) -> None:
    path = folder / "sweep.json"
    try:
        path.write_text(json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise SettingError(f"--out: cannot write {path}: {(error.strerror or str(error)).lower()}") from None
