"""What the commands about stored runs do: show one, list many, go on with one. Imported when one runs."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import typer

from qngd.cli.errors import UsageError
from qngd.cli.meaning import budget_of
from qngd.cli.work import echo_json, echo_table
from qngd.errors import QngdError, StorageError, counted
from qngd.estimates.estimate import format_seconds
from qngd.report import live
from qngd.report.summary import spent_rows
from qngd.run.directory.loaded import AGAIN, StoredRun, load
from qngd.run.directory.paths import folders_of_runs, holds_run, numbered_runs
from qngd.run.result import advised


def show(directory: Path, as_json: bool) -> None:
    """Print what a directory holds, also while a process goes on with it."""
    parts = [] if holds_run(directory) else numbered_runs(directory)
    if parts:
        if not as_json:
            typer.echo(f"{counted(len(parts), 'run')} of one call; qngd show {parts[0]} shows one\n")
        listed(directory, as_json)
        return
    found = load(directory)
    if as_json:
        echo_json(found.as_dict())
        return
    last = found.sessions[-1]
    rows = {
        "problem": str(found.about["problem"]),
        "circuit": f"{counted(found.about['num_qubits'], 'qubit')}, "
        + counted(len(found.about["parameters"]), "parameter"),
        "status": found.status.replace("_", " "),
        "message": found.message,
        "steps": str(found.steps),
        "energy": str(found).partition(" after ")[0],
        **spent_rows(found.cost, found.budget),
        "of it sent": f"{found.sent}, which gave nothing yet" if found.sent.jobs else "",
        **{name: text for name, text in found.settings.items() if name != "optimizer"},
        "optimizer": str(found.about["optimizer"]),
        "jobs": _jobs(found),
        "begun": f"{found.about['made']}; last resumed {last['began']} on {last['host']}",
        "versions": ", ".join(f"{name} {version}" for name, version in found.versions.items()),
    }
    if found.note:
        rows["note"] = found.note
    echo_table({name: text for name, text in rows.items() if text})


def _jobs(found: StoredRun) -> str:
    if not found.jobs:
        return ""
    ids = ", ".join(job["job"] for job in found.jobs[-3:])
    return f"{len(found.jobs)} with an id, the last {ids}"


def listed(folder: Path, as_json: bool) -> None:
    """Print a line for every run in a folder and those below it."""
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder")
    rows = [_row(each, folder) for each in folders_of_runs(folder)]
    if as_json:
        echo_json(rows)
        return
    if not rows:
        typer.echo(f"no runs in {folder}")
        return
    widths = {name: max(len(name), *(len(_cell(row[name])) for row in rows)) for name in rows[0]}
    for row in [dict(zip(widths, widths, strict=True)), *rows]:
        typer.echo("  ".join(f"{_cell(row[name]):<{width}}" for name, width in widths.items()).rstrip())


def _row(directory: Path, above: Path) -> dict[str, Any]:
    name = str(directory.relative_to(above))
    try:
        found = load(directory)
    except QngdError as error:
        return {"run": name, "status": "unreadable", "steps": None, "energy": None, "stderr": None, "shots": None,
                "problem": str(error)}  # fmt: skip
    return {"run": name, "status": found.status, "steps": found.steps, "energy": found.energy, "stderr": found.stderr,
            "shots": found.cost.shots, "problem": found.about["problem"]}  # fmt: skip


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.8g}" if isinstance(value, float) else " ".join(str(value).split())


def resume(
    directory: Path,
    max_steps: int | None,
    backend: str | None,
    texts: Mapping[str, Any],
    as_json: bool = False,
) -> str:
    """Go on with a run, under its budget with the other limits and prices that options say; returns the status. As JSON
    it prints what `show` does."""
    if not holds_run(directory) and (parts := numbered_runs(directory)):
        raise UsageError(
            f"{directory} holds {counted(len(parts), 'run')} of one call, and this goes on with one: give {parts[0]}, "
            "say. The same call goes on with all of them: qngd run PROBLEM --config "
            f"{directory / 'settings.toml'} --run-dir {directory}"
        )
    found = load(directory)
    if found.running is not None:
        raise StorageError(f"run_dir: {found.directory} is in use by {found.running}; wait until it has ended")
    budget = budget_of(texts, found.budget)
    start = time.perf_counter()
    steps = found.sessions[-1]["asked"].get("max_steps", 0) if max_steps is None else max_steps
    with nullcontext() if as_json else live.progress(steps, None) as told:
        result = found.minimize(max_steps=max_steps, backend=backend, budget=budget, callback=told)
    if as_json:
        show(directory, as_json)
        return str(result.status)
    typer.echo()
    echo_table(
        {
            "problem": str(found.about["problem"]),
            "status": str(result.status).replace("_", " "),
            "message": advised(result.message, AGAIN),
            "steps": str(result.steps),
            "energy": str(result).partition(" after ")[0],
            **spent_rows(result.cost, budget or found.budget),
            "time": format_seconds(time.perf_counter() - start),
        }
    )
    return str(result.status)
