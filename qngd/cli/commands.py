"""The `qngd` command. What is slow to import is imported inside the commands."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from qngd._system.version import __version__
from qngd.cli import options
from qngd.cli.config import MERGED, merged
from qngd.cli.errors import one_line_errors, readable_output

_EXIT_CODES = {"not_finite": 1, "failed": 1, "interrupted": 130}  # by status; 0 for the others

app = typer.Typer(
    add_completion=True,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """The entry point of the `qngd` command."""
    show_what_can_be_shown()
    with readable_output():
        app(prog_name="qngd")


def show_what_can_be_shown() -> None:
    """Let a console whose encoding has no θ, as one of Windows may be, show ? for it and end no run."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"qngd {__version__}")
        raise typer.Exit


@app.callback()
def _qngd(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    """Quantum natural gradient descent for variational quantum circuits.

    Exit codes: 0 done, 1 an error (or an energy that became NaN), 2 wrong usage, 130 interrupted by
    Ctrl-C, 143 ended by SIGTERM.
    """


@app.command()
def run(
    ctx: typer.Context,
    problem: options.PROBLEM,
    settings: options.SET = None,
    config: options.CONFIG = None,
    max_steps: Annotated[
        int | None,
        typer.Option(
            "--max-steps",
            "--steps",
            min=0,
            help="Steps at most: 100, or where a budget limits them as many as it buys.",
            show_default=False,
        ),
    ] = None,
    optimizer: options.OPTIMIZER = "qng",
    learning_rate: options.LEARNING_RATE = None,
    step: options.STEP = None,
    damping: options.DAMPING = None,
    approx: options.RUN_APPROX = None,
    gradient: options.RUN_GRADIENT = None,
    refresh: options.REFRESH = None,
    tol: Annotated[
        float,
        typer.Option(
            min=0.0,
            help="Stop when the energy changes by less than this (`minimize` says for how many steps); 0 never does.",
        ),
    ] = 1e-8,
    gtol: Annotated[
        float,
        typer.Option(min=0.0, help="Stop when the natural gradient's norm in state space is less than this."),
    ] = 0.0,
    target: Annotated[
        float | None,
        typer.Option(help="Stop when the energy plus its standard error is at most this.", show_default=False),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Of the run's shots. The problem's own seed, if it has one, is --set seed=N.",
            show_default=False,
        ),
    ] = None,
    restarts: Annotated[
        int,
        typer.Option(
            min=1,
            help="Runs from that many starts, the problem's and random ones, of which the best is kept; in the "
            "--run-dir each has a folder.",
        ),
    ] = 1,
    theta0: options.THETA0 = None,
    frozen: options.FROZEN = None,
    bounds: options.BOUNDS = None,
    wrap_angles: Annotated[
        bool, typer.Option("--wrap-angles", help="Give parameters in (−π, π] where a full turn changes nothing.")
    ] = False,
    cvar: options.CVAR = None,
    backend: options.BACKEND = None,
    mode: options.MODE = "job",
    initial_layout: options.LAYOUT = None,
    shots: options.SHOTS = None,
    grouping: options.GROUPING = "qubit-wise",
    cross: options.CROSS = "hadamard",
    out: Annotated[
        Path | None,
        typer.Option(
            parser=options.folder,
            metavar="DIR",
            help="Folder for convergence.png, spectrum.png, their data (history.csv, spectrum.csv, "
            "result.json) and settings.toml, what the run was called with. Left out: no files.",
            show_default=False,
        ),
    ] = None,
    final_shots: options.FINAL_SHOTS = None,
    budget_jobs: options.LIMIT = None,
    budget_circuits: options.LIMIT = None,
    budget_shots: options.LIMIT = None,
    budget_seconds: options.AMOUNT = None,
    budget_money: options.AMOUNT = None,
    budget_wall: options.AMOUNT = None,
    price: options.PRICE = None,
    run_dir: Annotated[
        Path | None,
        typer.Option(
            parser=options.folder,
            metavar="DIR",
            help="Folder that keeps the run step by step. A run that it already holds goes on where it stopped.",
            show_default=False,
        ),
    ] = None,
    as_json: options.JSON = False,
    traceback: options.TRACEBACK = False,
) -> None:
    """Minimize the energy of a problem and show how it went.

    Ctrl-C stops after the last finished step and keeps what was reached.

    Example: qngd run circuits/h2.py --set layers=2 --out results/h2
    """
    with one_line_errors(traceback):
        from qngd.cli.work import minimize_and_tell, opened

        texts = settled(ctx)
        status = minimize_and_tell(opened(problem, texts["settings"]), texts, as_json=as_json)
    raise typer.Exit(_EXIT_CODES.get(status, 0))


def settled(ctx: typer.Context) -> dict[str, Any]:
    """The values of a command's options, those of its --config among them."""
    leave = ("problem", "config", "as_json", "traceback")
    texts = {name: value for name, value in ctx.params.items() if name not in leave}
    return {**texts, **{name: merged(ctx, name, texts[name]) for name in MERGED if name in texts}}


@app.command()
def layers(
    ctx: typer.Context,
    problem: options.PROBLEM,
    settings: options.SET = None,
    config: options.CONFIG = None,
    backend: options.BACKEND = None,
    approx: options.APPROX = "block-diag",
    grouping: options.GROUPING = "qubit-wise",
    cross: options.CROSS = "hadamard",
    gradient: options.GRADIENT = "shift",
    cvar: options.CVAR = None,
    as_json: options.JSON = False,
    traceback: options.TRACEBACK = False,
) -> None:
    """Show a problem's circuit layer by layer, and the circuits of a step on a device, those that cost counts.

    Rotations of one layer commute: one circuit measures their block of the metric.
    """
    with one_line_errors(traceback):
        from qngd.cli.showing import show_layers
        from qngd.cli.work import opened

        texts = settled(ctx)
        show_layers(opened(problem, texts["settings"]), texts, as_json)


@app.command()
def cost(
    ctx: typer.Context,
    problem: options.PROBLEM,
    settings: options.SET = None,
    config: options.CONFIG = None,
    backend: options.BACKEND = None,
    mode: options.MODE = "job",
    initial_layout: options.LAYOUT = None,
    shots: options.SHOTS = None,
    steps: Annotated[int, typer.Option("--steps", "--max-steps", min=0, help="Steps of the run.")] = 100,
    approx: options.APPROX = "block-diag",
    grouping: options.GROUPING = "qubit-wise",
    cross: options.CROSS = "hadamard",
    gradient: options.GRADIENT = "shift",
    final_shots: options.FINAL_SHOTS = None,
    theta0: options.THETA0 = None,
    cvar: options.CVAR = None,
    budget_jobs: options.LIMIT = None,
    budget_circuits: options.LIMIT = None,
    budget_shots: options.LIMIT = None,
    budget_seconds: options.AMOUNT = None,
    budget_money: options.AMOUNT = None,
    price: options.PRICE = None,
    as_json: options.JSON = False,
    traceback: options.TRACEBACK = False,
) -> None:
    """Show what a run would cost on a backend: jobs, circuits, shots, depths, device time and money, beside what it
    costs with other settings, and what a budget buys. Nothing is run.

    Example: qngd cost circuits/h2.py --backend fake_nairobi --shots 4000 --budget-seconds 600
    """
    with one_line_errors(traceback):
        from qngd.cli.showing import show_cost
        from qngd.cli.work import opened

        texts = settled(ctx)
        show_cost(opened(problem, texts["settings"]), texts, as_json)


@app.command()
def sweep(
    ctx: typer.Context,
    problem: options.PROBLEM,
    out: Annotated[
        Path,
        typer.Option(
            parser=options.folder,
            metavar="DIR",
            help="Folder in which each run has one of its own. Runs that are done there are not run again.",
            show_default=False,
        ),
    ],
    grid: Annotated[
        list[str] | None,
        typer.Option(
            "--grid",
            metavar="NAME=A,B,…",
            help="Values of a setting of the problem, or of an option of qngd run; all combinations are run. A value "
            "with commas stands in brackets. Repeat for more names.",
            show_default=False,
        ),
    ] = None,
    settings: options.SET = None,
    config: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="A TOML file of options of qngd run, for all runs.", show_default=False),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each combination.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Another one gives all runs other seeds.")] = 0,
    workers: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Processes; 0 is this one, without Dask. Left out: one for every core.",
            show_default=False,
        ),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="A scheduler of Dask that is there already.", show_default=False),
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="Of each run.")] = 1,
    as_json: options.JSON = False,
    traceback: options.TRACEBACK = False,
) -> None:
    """Run all combinations of settings, each with several seeds, on many processes, and show medians and quartiles.

    A sweep that was stopped goes on when it is called again. Exit code 1 where a run failed.

    Example: qngd sweep circuits/h2.py --grid optimizer=qng,adam --grid layers=1,2 --seeds 5 --out results/h2
    """
    with one_line_errors(traceback):
        from qngd.cli.sweeping import carry_out

        typed = [*(("--config", config) if config else ()), *(f"--set={text}" for text in settings or [])]
        how = {"out": out, "seeds": seeds, "seed": seed, "workers": workers, "scheduler": scheduler, "threads": threads}

        assert ctx.parent is not None
        command = ctx.parent.command.commands["run"]  # type: ignore[attr-defined]

        def parse(argv: list[str]) -> dict[str, Any]:
            return settled(command.make_context("run", argv, parent=ctx.parent))

        known = [text.lstrip("-") for each in command.params for text in each.opts if text.startswith("--")]
        code = carry_out(problem, grid or [], typed, (parse, known), how, as_json)
    raise typer.Exit(code)


@app.command()
def doctor(as_json: options.JSON = False, traceback: options.TRACEBACK = False) -> None:
    """Show what this installation has: versions, threads, the cache of compiled code, backends, and what is missing.

    Exit code 1 where something is broken; what is merely not installed is no fault.
    """
    with one_line_errors(traceback):
        from qngd.cli.doctor import examine

        fit = examine(as_json)
    raise typer.Exit(0 if fit else 1)


@app.command()
def plot(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="The --out folder of a run.", show_default=False)],
    as_json: options.JSON = False,
    traceback: options.TRACEBACK = False,
) -> None:
    """Draw the plots of an earlier run again, from its data files."""
    with one_line_errors(traceback):
        from qngd.report import files

        paths = files.plot(directory, "DIR")
        if as_json:
            typer.echo(json.dumps({"plots": [str(path) for path in paths]}, ensure_ascii=False))
        else:
            typer.echo("\n".join(map(str, paths)))


_Watch = Annotated[
    bool, typer.Option("--watch", help="Follow a run that goes on in another process, until it has ended.")
]
_Every = Annotated[float, typer.Option(min=0.1, help="Seconds between two looks with --watch.")]


@app.command()
def report(
    directories: Annotated[
        list[Path],
        typer.Argument(metavar="DIR...", help="Directories of runs: --run-dir or --out of each.", show_default=False),
    ],
    html: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write the page here; it is one file and needs no network.", show_default=False
        ),
    ] = None,
    figures: Annotated[
        Path | None,
        typer.Option(
            parser=options.folder,
            metavar="DIR",
            help="Write each figure as PNG and SVG into this folder.",
            show_default=False,
        ),
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,...",
            help="What the runs are called, in their order; runs of one name are taken together, with medians and "
            "quartiles. Left out: the settings in which they differ.",
            show_default=False,
        ),
    ] = None,
    title: Annotated[str | None, typer.Option(metavar="TEXT", help="Of the page.", show_default=False)] = None,
    watch: _Watch = False,
    every: _Every = 2.0,
    as_json: options.JSON = False,
    traceback: options.TRACEBACK = False,
) -> None:
    """Make a page about runs, with all figures in it: one run, or several side by side.

    Without --html and --figures a table is printed.

    Example: qngd report runs/h2-* --html h2.html
    """
    with one_line_errors(traceback):
        from qngd.cli.looking import Wanted, follow, refuse_both, report_once

        refuse_both(watch, as_json)
        wanted = Wanted(tuple(directories), html, figures, labels, title)
        if watch:
            follow(wanted, every)
        else:
            report_once(wanted, as_json)


_Stored = Annotated[Path, typer.Argument(metavar="DIR", help="The --run-dir folder of a run.", show_default=False)]


@app.command()
def show(
    directory: _Stored,
    as_json: options.JSON = False,
    watch: _Watch = False,
    every: _Every = 2.0,
    traceback: options.TRACEBACK = False,
) -> None:
    """Show the run that a --run-dir holds, also while it goes on in another process.

    Example: qngd show results/my-run --json
    """
    with one_line_errors(traceback):
        if watch:
            from qngd.cli.looking import Wanted, follow, refuse_both

            refuse_both(watch, as_json)
            follow(Wanted((directory,)), every)
            return
        from qngd.cli.stored import show as show_stored

        show_stored(directory, as_json)


@app.command()
def runs(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A folder with runs.", show_default=False)],
    as_json: options.JSON = False,
    traceback: options.TRACEBACK = False,
) -> None:
    """List all runs in a folder and below it, a line each."""
    with one_line_errors(traceback):
        from qngd.cli.stored import listed

        listed(folder, as_json)


@app.command()
def resume(
    directory: _Stored,
    max_steps: Annotated[
        int | None,
        typer.Option("--max-steps", "--steps", min=0, help="Steps at most, those taken included.", show_default=False),
    ] = None,
    backend: options.BACKEND = None,
    as_json: options.JSON = False,
    traceback: options.TRACEBACK = False,
) -> None:
    """Go on with the run that a --run-dir holds, without the file of its problem.

    The embedded simulators and backends with a name are known again; a run that was begun in Python on a backend's
    object goes on in Python: qngd.load(DIR).minimize(backend=...).
    """
    with one_line_errors(traceback):
        from qngd.cli.stored import resume as go_on

        status = go_on(directory, max_steps, backend, as_json)
    raise typer.Exit(_EXIT_CODES.get(status, 0))
