"""Looking at stored runs: tables and pages of them, once or for as long as they go on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import typer
from rich.console import Console
from rich.live import Live
from rich.text import Text

from qngd.cli.errors import UsageError
from qngd.cli.work import echo_json
from qngd.errors import StorageError, counted
from qngd.report import files, live
from qngd.report.compared import compared_table
from qngd.report.comparison import Comparison
from qngd.report.groups import grouped
from qngd.report.page import write_figures, write_page
from qngd.report.run_data import RunData
from qngd.run.directory.loaded import StoredRun, load
from qngd.run.side_by_side import compare

_PATIENCE = 10.0  # seconds in which a directory that holds nothing yet must become a run
_RELOAD = 5  # seconds after which a browser loads the page of a run that goes on anew, at least


@dataclass(frozen=True)
class Wanted:
    """What a report is made of and where it goes."""

    directories: tuple[Path, ...]
    html: Path | None = None
    figures: Path | None = None
    labels: str | None = None
    title: str | None = None


def refuse_both(watch: bool, as_json: bool) -> None:
    """Raise UsageError where a run is to be followed, and told as one document."""
    if watch and as_json:
        raise UsageError("--json: one document says how a run stands now, and --watch goes on; leave one of them out")


def report_once(wanted: Wanted, as_json: bool = False) -> None:
    """Write what is wanted and say so; print a table where no file is. As JSON: both."""
    runs = _runs(wanted)
    if as_json:
        table = compared_table(grouped(runs))
        echo_json({"columns": table["columns"], "rows": table["rows"], "files": _written(wanted, runs)})
        return
    if wanted.html is None and wanted.figures is None:
        typer.echo(str(Comparison(runs)))
    for path in _written(wanted, runs):
        typer.echo(path)


def _runs(wanted: Wanted) -> tuple[RunData, ...]:
    if wanted.labels is None:
        return compare(list(wanted.directories)).runs
    labels = wanted.labels.split(",")
    if len(labels) != len(wanted.directories):
        raise UsageError(
            f"--labels: {counted(len(labels), 'name')} for {counted(len(wanted.directories), 'directory')}; "
            "give as many"
        )
    named: dict[str, list[Path]] = {}
    for label, directory in zip(labels, wanted.directories, strict=True):
        named.setdefault(label.strip(), []).append(directory)
    return compare(named).runs


def _written(wanted: Wanted, runs: tuple[RunData, ...], refresh: int | None = None) -> list[Path]:
    """The files, written."""
    paths = []
    if wanted.html is not None:
        paths.append(write_page(runs, wanted.html, title=wanted.title, refresh=refresh, argument="--html"))
    if wanted.figures is not None:
        paths += write_figures(runs, files.prepare(wanted.figures, "--figures"), "--figures")
    return paths


def follow(wanted: Wanted, every: float) -> None:
    """Show the last step of a run that goes on in another process, and write what is wanted anew after each, until the
    run has ended."""
    if len(wanted.directories) != 1:
        raise UsageError("--watch follows one run; give one directory")
    (directory,) = wanted.directories
    shown, until = -1, time.monotonic() + _PATIENCE
    with _screen() as draw:
        while True:
            run = _looked_at(directory, until)
            if run is not None and (run.steps != shown or not _goes_on(run)):
                shown = run.steps
                draw(view(run))
                if run.state is not None:
                    again = max(_RELOAD, round(every)) if _goes_on(run) else None
                    _written(wanted, _runs(wanted), again)
            if run is not None and not _goes_on(run):
                return
            time.sleep(every)


def _looked_at(directory: Path, until: float) -> StoredRun | None:
    """The run as it stands; None up to some time where it is just being made."""
    try:
        return load(directory)
    except StorageError:
        if directory.is_dir() and time.monotonic() < until:
            return None
        raise


def _goes_on(run: StoredRun) -> bool:
    return run.status == "running"


def view(run: StoredRun) -> list[str]:
    """A run in a few lines: what it is, its last step, and what it has cost."""
    lines = [f"{run.about.get('problem', 'problem')}: {run.status}"]
    if run.infos:
        limit = run.sessions[-1].get("asked", {}).get("max_steps") if run.sessions else None
        lines.append(live.line(run.infos[-1], limit, run.about.get("reference_energy")))
        lines += live.details(run.infos[-1])
    else:
        lines.append(f"  {run}")
    lines.append(f"  {run.cost}")
    if not _goes_on(run):
        lines.append(f"  {run.message}")
    return lines


@contextmanager
def _screen() -> Iterator[Callable[[list[str]], None]]:
    """Where lines go: drawn over the last on a terminal, below each other elsewhere."""
    console = Console(highlight=False)
    if not console.is_terminal:
        yield lambda lines: typer.echo("\n".join(lines))
        return
    with Live(console=console, auto_refresh=False) as screen:
        yield lambda lines: screen.update(Text("\n".join(lines)), refresh=True)
