"""The `qngd` command. What is slow to import is imported inside the commands."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from qngd._system.version import __version__
from qngd.cli.errors import one_line_errors
from qngd.gradients.names import HOMES as WAYS
from qngd.gradients.names import GradientName as _Gradient
from qngd.metrics.names import HOMES
from qngd.metrics.names import Approx as _Approx
from qngd.run.names import OptimizerName

_Grouping = Literal["qubit-wise", "commuting", "auto", "shadows"]  # of qngd.measured.grouping.GroupingName
_Cross = Literal["hadamard", "mid-circuit", "overlap"]  # of qngd.measured.cross.CrossMethod
_WAYS = "; ".join(f"{name}, {words}" for name, (_, _, words) in WAYS.items())
_METRICS = "; ".join(f"{name}, {words}" for name, (_, _, words) in HOMES.items())
_EXIT_CODES = {"not_finite": 1, "failed": 1, "interrupted": 130}  # by status; 0 for the others

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _folder(text: str) -> Path:
    if not text:  # as of a shell's variable that is not set; Path("") would be the current folder
        raise typer.BadParameter("give the name of a folder")
    return Path(text)


_Path = Annotated[
    str,
    typer.Argument(
        metavar="PROBLEM",
        help="A Python file, or a dotted module, with a function problem(**settings) -> qngd.Problem.",
        show_default=False,
    ),
]
_Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="A setting for problem(), read by its annotation: a number, true/false, text, JSON for lists. "
        "Repeat for more.",
        show_default=False,
    ),
]
_Mode = Annotated[
    Literal["job", "batch", "session"],
    typer.Option(help="Of an IBM backend: a job of its own for each submission, or one batch or session for the run."),
]
_Layout = Annotated[
    str | None,
    typer.Option(
        metavar="QUBITS",
        help='Physical qubits of a Qiskit device, such as 3,5,4, or "best": those with the lowest errors. Left out: '
        "the transpiler chooses.",
        show_default=False,
    ),
]
_Backend = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Where circuits run: statevector, light-cone (exact, for many qubits and few layers), pauli-propagation "
        "(approximate, for more layers), aer, a fake IBM device such as fake_nairobi, or a PennyLane device such as "
        "lightning.qubit. Left out: the embedded simulator, or a QNode's own device.",
        show_default=False,
    ),
]
_Shots = Annotated[
    str | None,
    typer.Option(
        metavar="N|auto",
        help='Shots per circuit, or "auto" to choose how many a step gets, divided so that its error is smallest. '
        "Left out: exact.",
        show_default=False,
    ),
]
_MeasuredApprox = Annotated[_Approx, typer.Option(case_sensitive=False, help="Which metric a step measures.")]
_MeasuredGradient = Annotated[
    _Gradient, typer.Option(case_sensitive=False, help=f"How a step takes its gradient: {_WAYS}.")
]
_GroupingOption = Annotated[
    _Grouping,
    typer.Option(
        help="Which terms one circuit measures: with single-qubit gates; all that commute, with two-qubit gates "
        "where they need them and never in more circuits; the cheaper of both, circuits and shots weighed; or random "
        "ones."
    ),
]
_CrossOption = Annotated[
    _Cross, typer.Option(help="How shots measure the full metric between layers: with an ancilla, midway, or overlaps.")
]
_Limit = Annotated[int | None, typer.Option(min=0, show_default=False, rich_help_panel="Budget")]
_Amount = Annotated[float | None, typer.Option(min=0.0, show_default=False, rich_help_panel="Budget")]
_PriceOption = Annotated[
    list[str] | None,
    typer.Option(
        "--price",
        metavar="NAME=VALUE",
        help="What the device charges: per_shot, per_circuit, per_task (a job), per_second or minimum (of a job); "
        "currency=USD; seconds_per_shot of a device that gives no times. Repeat for more.",
        show_default=False,
        rich_help_panel="Budget",
    ),
]
_FinalShots = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Shots per circuit with which the energy is measured once more where the run ends. Left out: not.",
        show_default=False,
    ),
]
_Traceback = Annotated[bool, typer.Option("--traceback", help="Show the Python traceback of an error, not one line.")]


def main() -> None:
    """The entry point of the `qngd` command."""
    show_what_can_be_shown()
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

    Exit codes: 0 done, 1 an error (or an energy that became NaN), 2 wrong usage, 130 interrupted.
    """


@app.command()
def run(
    problem: _Path,
    settings: _Settings = None,
    max_steps: Annotated[int, typer.Option("--max-steps", "--steps", min=0, help="Steps at most.")] = 100,
    optimizer: Annotated[
        OptimizerName,
        typer.Option(case_sensitive=False, help="The quantum natural gradient, or one to compare it with."),
    ] = "qng",
    learning_rate: Annotated[
        float | None,
        typer.Option(
            help="Fixed learning rate, of qng quoted for the Fubini-Study metric. Left out: adapted at every step; "
            "adam takes 0.05.",
            show_default=False,
        ),
    ] = None,
    damping: Annotated[
        float | None,
        typer.Option(
            help="Added to the metric's eigenvalues; 0 is the pseudo-inverse. Left out: 1e-2.",
            show_default=False,
        ),
    ] = None,
    approx: Annotated[
        _Approx | None,
        typer.Option(
            case_sensitive=False,
            help=f"Which metric: {_METRICS}. Left out: full where that is exact and affordable, else block-diag.",
            show_default=False,
        ),
    ] = None,
    gradient: Annotated[
        _Gradient | None,
        typer.Option(
            case_sensitive=False, help=f"How qng takes gradients: {_WAYS}. Left out: shift.", show_default=False
        ),
    ] = None,
    tol: Annotated[
        float,
        typer.Option(
            min=0.0,
            help="Stop when the energy changes by less than this three steps in a row; 0 never does.",
        ),
    ] = 1e-8,
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
    backend: _Backend = None,
    mode: _Mode = "job",
    initial_layout: _Layout = None,
    shots: _Shots = None,
    grouping: _GroupingOption = "qubit-wise",
    cross: _CrossOption = "hadamard",
    out: Annotated[
        Path | None,
        typer.Option(
            parser=_folder,
            metavar="DIR",
            help="Folder for convergence.png, spectrum.png and their data (history.csv, spectrum.csv, "
            "result.json). Left out: no files.",
            show_default=False,
        ),
    ] = None,
    final_shots: _FinalShots = None,
    budget_jobs: _Limit = None,
    budget_circuits: _Limit = None,
    budget_shots: _Limit = None,
    budget_seconds: _Amount = None,
    budget_money: _Amount = None,
    budget_wall: _Amount = None,
    price: _PriceOption = None,
    run_dir: Annotated[
        Path | None,
        typer.Option(
            parser=_folder,
            metavar="DIR",
            help="Folder that keeps the run step by step. A run that it already holds goes on where it stopped.",
            show_default=False,
        ),
    ] = None,
    traceback: _Traceback = False,
) -> None:
    """Minimize the energy of a problem and show how it went.

    Ctrl-C stops after the last finished step and keeps what was reached.

    Example: qngd run circuits/h2.py --set layers=2 --out results/h2
    """
    with one_line_errors(traceback):
        from qngd.cli.spending import read_budget
        from qngd.cli.work import minimize_and_tell, opened, read_shots

        budget = read_budget(
            price, jobs=budget_jobs, circuits=budget_circuits, shots=budget_shots, seconds=budget_seconds,
            money=budget_money, wall=budget_wall,
        )  # fmt: skip
        options = {
            "max_steps": max_steps, "optimizer": optimizer,
            "learning_rate": learning_rate, "damping": damping, "approx": approx, "gradient": gradient, "tol": tol,
            "seed": seed, "backend": backend, "shots": read_shots(shots), "grouping": grouping, "cross": cross,
            "run_dir": run_dir, "restarts": restarts, "budget": budget, "final_shots": final_shots,
            "mode": mode, "initial_layout": initial_layout,
        }  # fmt: skip
        status = minimize_and_tell(opened(problem, settings or []), options, out)
    raise typer.Exit(_EXIT_CODES.get(status, 0))


@app.command()
def layers(
    problem: _Path,
    settings: _Settings = None,
    backend: _Backend = None,
    approx: _MeasuredApprox = "block-diag",
    grouping: _GroupingOption = "qubit-wise",
    cross: _CrossOption = "hadamard",
    gradient: _MeasuredGradient = "shift",
    traceback: _Traceback = False,
) -> None:
    """Show a problem's circuit layer by layer, and the circuits of a step on a device, those that cost counts.

    Rotations of one layer commute: one circuit measures their block of the metric.
    """
    with one_line_errors(traceback):
        from qngd.cli.work import echo_table, opened
        from qngd.report.circuits import describe_circuit, step_measurements
        from qngd.run.price import planned_step

        found = opened(problem, settings or [])
        given = found.given
        with found.file.blamed():
            observable = given.observable if given.has_observable else None
            step = planned_step(
                given, observable, backend=backend, approx=approx, grouping=grouping, cross=cross, gradient=gradient
            )
        typer.echo(f"{found.problem.name}: {describe_circuit(given.circuit)}\n")
        for layer in given.circuit.layers:
            typer.echo(f"{layer}\n")
        typer.echo("A step measures")
        echo_table(step_measurements(step), indent="  ")


@app.command()
def cost(
    problem: _Path,
    settings: _Settings = None,
    backend: _Backend = None,
    shots: _Shots = None,
    steps: Annotated[int, typer.Option(min=0, help="Steps of the run.")] = 100,
    approx: _MeasuredApprox = "block-diag",
    grouping: _GroupingOption = "qubit-wise",
    cross: _CrossOption = "hadamard",
    gradient: _MeasuredGradient = "shift",
    final_shots: _FinalShots = None,
    budget_jobs: _Limit = None,
    budget_circuits: _Limit = None,
    budget_shots: _Limit = None,
    budget_seconds: _Amount = None,
    budget_money: _Amount = None,
    price: _PriceOption = None,
    traceback: _Traceback = False,
) -> None:
    """Show what a run would cost on a backend: jobs, circuits, shots, depths, device time and money, beside what it
    costs with other settings, and what a budget buys. Nothing is run.

    Example: qngd cost circuits/h2.py --backend fake_nairobi --shots 4000 --budget-seconds 600
    """
    with one_line_errors(traceback):
        from qngd.cli.spending import echo_columns, read_budget
        from qngd.cli.work import echo_table, opened, read_shots
        from qngd.run.price import Price
        from qngd.run.price import cost as price_of

        found = opened(problem, settings or [])
        budget = read_budget(
            price, jobs=budget_jobs, circuits=budget_circuits, shots=budget_shots, seconds=budget_seconds,
            money=budget_money,
        )  # fmt: skip
        with found.file.blamed():
            priced = price_of(
                found.problem, backend=backend, shots=read_shots(shots), approx=approx, grouping=grouping,
                cross=cross, steps=steps, budget=budget, final_shots=final_shots, gradient=gradient,
            )  # fmt: skip
        typer.echo(f"{found.problem.name}")
        echo_table(priced.rows())
        if isinstance(priced, Price):
            typer.echo()
            echo_columns(priced.table())


@app.command()
def plot(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="The --out folder of a run.", show_default=False)],
    traceback: _Traceback = False,
) -> None:
    """Draw the plots of an earlier run again, from its data files."""
    with one_line_errors(traceback):
        from qngd.report import files

        for path in files.plot(directory, "DIR"):
            typer.echo(path)


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
            parser=_folder, metavar="DIR", help="Write each figure as PNG and SVG into this folder.", show_default=False
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
    traceback: _Traceback = False,
) -> None:
    """Make a page about runs, with all figures in it: one run, or several side by side.

    Without --html and --figures a table is printed.

    Example: qngd report runs/h2-* --html h2.html
    """
    with one_line_errors(traceback):
        from qngd.cli.looking import Wanted, follow, report_once

        wanted = Wanted(tuple(directories), html, figures, labels, title)
        if watch:
            follow(wanted, every)
        else:
            report_once(wanted)


_Stored = Annotated[Path, typer.Argument(metavar="DIR", help="The --run-dir folder of a run.", show_default=False)]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def show(
    directory: _Stored,
    as_json: _Json = False,
    watch: _Watch = False,
    every: _Every = 2.0,
    traceback: _Traceback = False,
) -> None:
    """Show the run that a --run-dir holds, also while it goes on in another process.

    Example: qngd show results/my-run --json
    """
    with one_line_errors(traceback):
        if watch:
            from qngd.cli.looking import Wanted, follow

            follow(Wanted((directory,)), every)
            return
        from qngd.cli.stored import show as show_stored

        show_stored(directory, as_json)


@app.command()
def runs(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A folder with runs.", show_default=False)],
    as_json: _Json = False,
    traceback: _Traceback = False,
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
    backend: _Backend = None,
    traceback: _Traceback = False,
) -> None:
    """Go on with the run that a --run-dir holds, without the file of its problem.

    The embedded simulators and backends with a name are known again; a run that was begun in Python on a backend's
    object goes on in Python: qngd.load(DIR).minimize(backend=...).
    """
    with one_line_errors(traceback):
        from qngd.cli.stored import resume as go_on

        status = go_on(directory, max_steps, backend)
    raise typer.Exit(_EXIT_CODES.get(status, 0))
