"""The `qngd` command. What is slow to import is imported inside the commands."""

from __future__ import annotations

import atexit
import gc
import io
import json
import sys
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
    atexit.register(gc.freeze)  # or Python looks through all packages before it ends, for a fifth of a short run's time
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

    Exit codes: 0 done, 1 an error (or an energy that became NaN), 2 wrong usage, 130 Ctrl-C, 143 SIGTERM.
    """


@app.command()
def run(
    ctx: typer.Context,
    problem: options.PROBLEM,
    settings: options.SET = None,
    config: options.CONFIG = None,
    max_steps: options.MAX_STEPS = None,
    optimizer: options.OPTIMIZER = "qng",
    learning_rate: options.LEARNING_RATE = None,
    step: options.STEP = None,
    damping: options.DAMPING = None,
    approx: options.RUN_APPROX = None,
    gradient: options.RUN_GRADIENT = None,
    refresh: options.REFRESH = None,
    tol: options.TOL = 1e-8,
    gtol: options.GTOL = 0.0,
    target: options.TARGET = None,
    seed: options.SEED = None,
    restarts: options.RESTARTS = 1,
    theta0: options.THETA0 = None,
    frozen: options.FROZEN = None,
    bounds: options.BOUNDS = None,
    wrap_angles: options.WRAP_ANGLES = False,
    cvar: options.CVAR = None,
    backend: options.BACKEND = None,
    mode: options.MODE = "job",
    initial_layout: options.LAYOUT = None,
    shots: options.SHOTS = None,
    grouping: options.GROUPING = "qubit-wise",
    cross: options.CROSS = "hadamard",
    out: options.OUT = None,
    final_shots: options.FINAL_SHOTS = None,
    budget_jobs: options.LIMIT = None,
    budget_circuits: options.LIMIT = None,
    budget_shots: options.LIMIT = None,
    budget_seconds: options.AMOUNT = None,
    budget_money: options.AMOUNT = None,
    budget_wall: options.AMOUNT = None,
    price: options.PRICE = None,
    run_dir: options.RUN_DIR = None,
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
    steps: options.STEPS = 100,
    approx: options.APPROX = "block-diag",
    grouping: options.GROUPING = "qubit-wise",
    cross: options.CROSS = "hadamard",
    gradient: options.GRADIENT = "shift",
    final_shots: options.FINAL_SHOTS = None,
    states: options.STATES = 1,
    restarts: options.RESTARTS = 1,
    optimizer: options.ANOTHER = None,
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
    """Show what a run would cost on a backend and with other settings, and what a budget buys. Nothing is run.

    The costs are jobs, circuits, shots, depths, device time, and money if --price says what the device charges.

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
    out: options.SWEEP_OUT,
    grid: options.GRID = None,
    settings: options.SET = None,
    config: options.SWEEP_CONFIG = None,
    seeds: options.SEEDS = 1,
    seed: options.SWEEP_SEED = 0,
    workers: options.WORKERS = None,
    scheduler: options.SCHEDULER = None,
    threads: options.THREADS = 1,
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
    directory: options.PLOTTED,
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


@app.command()
def report(
    directories: options.DIRECTORIES,
    html: options.HTML = None,
    figures: options.FIGURES = None,
    labels: options.LABELS = None,
    title: options.TITLE = None,
    watch: options.WATCH = False,
    every: options.EVERY = 2.0,
    as_json: options.JSON = False,
    traceback: options.TRACEBACK = False,
) -> None:
    """Make a page about runs, with all figures in it: one run, or several side by side.

    Without --html and --figures a table is printed.

    Example: qngd report runs/h2-* --html h2.html
    """
    with one_line_errors(traceback, run_dir="DIR"):
        from qngd.cli.looking import Wanted, follow, refuse_both, report_once

        refuse_both(watch, as_json)
        wanted = Wanted(tuple(directories), html, figures, labels, title)
        if watch:
            follow(wanted, every)
        else:
            report_once(wanted, as_json)


@app.command()
def show(
    directory: options.STORED,
    as_json: options.JSON = False,
    watch: options.WATCH = False,
    every: options.EVERY = 2.0,
    traceback: options.TRACEBACK = False,
) -> None:
    """Show the run that a --run-dir holds, also while it goes on in another process.

    Example: qngd show results/my-run --json
    """
    with one_line_errors(traceback, run_dir="DIR"):
        if watch:
            from qngd.cli.looking import Wanted, follow, refuse_both

            refuse_both(watch, as_json)
            follow(Wanted((directory,)), every)
            return
        from qngd.cli.stored import show as show_stored

        show_stored(directory, as_json)


@app.command()
def runs(
    folder: options.RUNS,
    as_json: options.JSON = False,
    traceback: options.TRACEBACK = False,
) -> None:
    """List all runs in a folder and below it, a line each."""
    with one_line_errors(traceback):
        from qngd.cli.stored import listed

        listed(folder, as_json)


@app.command()
def resume(
    ctx: typer.Context,
    directory: options.STORED,
    max_steps: options.RESUME_MAX_STEPS = None,
    backend: options.BACKEND = None,
    budget_jobs: options.LIMIT = None,
    budget_circuits: options.LIMIT = None,
    budget_shots: options.LIMIT = None,
    budget_seconds: options.AMOUNT = None,
    budget_money: options.AMOUNT = None,
    budget_wall: options.AMOUNT = None,
    price: options.PRICE = None,
    as_json: options.JSON = False,
    traceback: options.TRACEBACK = False,
) -> None:
    """Go on with the run that a --run-dir holds, without the file of its problem.

    What is given of limits and prices takes the place of what the run had.

    A run that was begun on a backend's object goes on in Python: qngd.load(DIR).minimize(backend=...).
    """
    with one_line_errors(traceback, run_dir="DIR"):
        from qngd.cli.stored import resume as go_on

        status = go_on(directory, max_steps, backend, ctx.params, as_json)
    raise typer.Exit(_EXIT_CODES.get(status, 0))
