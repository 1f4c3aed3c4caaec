"""The `qngd` command. What is slow to import is imported inside the commands."""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from qngd import __version__

if TYPE_CHECKING:
    from qngd.circuit.circuit import Circuit
    from qngd.cli.problem_file import ProblemFile
    from qngd.problem import Problem
    from qngd.run.loop import Result
    from qngd.solve.state import Optimizer

# the words of qngd.estimates.evaluation.Approx, without importing it
_Approx = Literal["full", "block-diag", "diag", "qn-spsa", "random-basis", "hamiltonian"]
_Grouping = Literal["qubit-wise", "commuting"]  # of qngd.measured.grouping.Grouping
_Cross = Literal["hadamard", "mid-circuit", "overlap"]  # of qngd.measured.cross.CrossMethod
_OF_MINIMIZE = ("max_steps", "tol", "seed", "backend", "shots", "grouping", "cross", "run_dir")
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
_Backend = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Where circuits run: statevector, aer, a fake IBM device such as fake_nairobi, or a PennyLane device "
        "such as lightning.qubit. Left out: the embedded simulator, or a QNode's own device.",
        show_default=False,
    ),
]
_Shots = Annotated[
    str | None,
    typer.Option(
        metavar="N|auto",
        help='Shots per circuit, or "auto" to divide 1000 per circuit so that the step\'s error is smallest. '
        "Left out: exact.",
        show_default=False,
    ),
]
_GroupingOption = Annotated[
    _Grouping,
    typer.Option(
        help="Which terms one circuit measures: with single-qubit gates, or all that commute, with two-qubit gates "
        "where they need them and never in more circuits."
    ),
]
_CrossOption = Annotated[
    _Cross, typer.Option(help="How shots measure the full metric between layers: with an ancilla, midway, or overlaps.")
]
_Traceback = Annotated[bool, typer.Option("--traceback", help="Show the Python traceback of an error, not one line.")]


def main() -> None:
    """The entry point of the `qngd` command."""
    show_what_can_be_shown()
    app(prog_name="qngd")


def show_what_can_be_shown() -> None:
    """A console whose encoding has no θ, as one of Windows may be, shows ? for it and ends no run."""
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
    steps: Annotated[int, typer.Option(min=0, help="Steps at most.")] = 100,
    optimizer: Annotated[
        Literal[
            "qng", "momentum-qng", "gd", "adam", "spsa", "rotosolve", "excitation-solve", "cma-es", "l-bfgs-b", "cobyla"
        ],
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
            help="Which metric. Left out: full where that is exact and affordable, else block-diag.",
            show_default=False,
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
    backend: _Backend = None,
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
    with _one_line_errors(traceback):
        options = {
            "max_steps": steps, "optimizer": optimizer,
            "learning_rate": learning_rate, "damping": damping, "approx": approx, "tol": tol,
            "seed": seed, "backend": backend, "shots": _read_shots(shots), "grouping": grouping, "cross": cross,
            "run_dir": run_dir,
        }  # fmt: skip
        status = _run(_open(problem, settings or []), options, out)
    raise typer.Exit(_EXIT_CODES.get(status, 0))


@app.command()
def layers(problem: _Path, settings: _Settings = None, traceback: _Traceback = False) -> None:
    """Show a problem's circuit layer by layer, and what a step would measure on a device.

    Rotations of one layer commute: one circuit measures their block of the metric.
    """
    with _one_line_errors(traceback):
        from qngd.report.summary import describe_circuit, step_measurements

        opened = _open(problem, settings or [])
        typer.echo(f"{opened.problem.name}: {describe_circuit(opened.circuit)}\n")
        for layer in opened.circuit.layers:
            typer.echo(f"{layer}\n")
        typer.echo("A step measures")
        _echo_table(step_measurements(opened.circuit, opened.problem), indent="  ")


@app.command()
def cost(
    problem: _Path,
    settings: _Settings = None,
    backend: _Backend = None,
    shots: _Shots = None,
    steps: Annotated[int, typer.Option(min=0, help="Steps of the run.")] = 100,
    approx: Annotated[_Approx, typer.Option(case_sensitive=False, help="Which metric a step measures.")] = "block-diag",
    grouping: _GroupingOption = "qubit-wise",
    cross: _CrossOption = "hadamard",
    traceback: _Traceback = False,
) -> None:
    """Show what a run would cost on a backend: jobs, circuits, shots, depths and device time. Nothing is run.

    Example: qngd cost circuits/h2.py --backend fake_nairobi --shots 4000
    """
    with _one_line_errors(traceback):
        import qngd

        opened = _open(problem, settings or [])
        with opened.file.blamed():
            price = qngd.cost(
                opened.problem, backend=backend, shots=_read_shots(shots), approx=approx, grouping=grouping,
                cross=cross, steps=steps,
            )  # fmt: skip
        typer.echo(f"{opened.problem.name}")
        _echo_table(price.rows())


@app.command()
def plot(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="The --out folder of a run.", show_default=False)],
    traceback: _Traceback = False,
) -> None:
    """Draw the plots of an earlier run again, from its data files."""
    with _one_line_errors(traceback):
        from qngd.report import summary as report

        for path in report.plot(directory):
            typer.echo(path)


@dataclass(frozen=True)
class _Opened:
    """A problem with its wrapped circuit, and the file whose code may still be called."""

    file: ProblemFile
    settings: tuple[str, ...]
    problem: Problem

    @property
    def circuit(self) -> Circuit:
        return self.problem.circuit


def _open(target: str, settings: list[str]) -> _Opened:
    from qngd.cli.problem_file import open_problem

    file = open_problem(target)
    problem = file.build(settings)
    from qngd.report.summary import wrapped

    with file.blamed():
        circuit = wrapped(problem)
    return _Opened(file, tuple(settings), replace(problem, circuit=circuit))


def _run(opened: _Opened, options: Mapping[str, Any], out: Path | None) -> str:
    """Minimize, print the closing table, write files; returns the status."""
    from qngd.cli.live import progress
    from qngd.report import summary as report

    problem = opened.problem
    how = {name: options[name] for name in _OF_MINIMIZE}
    optimizer = _optimizer(options)
    for folder in (out, options["run_dir"]):
        if folder is not None:
            report.prepare(folder)
    typer.echo(f"{problem.name}: {report.describe_circuit(opened.circuit)}")
    start = time.perf_counter()
    with (
        opened.file.blamed(),
        progress(options["max_steps"], problem.reference_energy) as show,
    ):
        result, error = _minimized(problem, optimizer=optimizer, callback=show, **how)
    seconds = time.perf_counter() - start
    typer.echo()
    _echo_table(report.summary(result, problem, seconds))
    typer.echo()
    about = {"file": opened.file.label, "set": opened.settings, **options, "seconds": round(seconds, 3)}
    _keep(result, problem, out, about)
    if error is not None:
        with opened.file.blamed():
            raise error
    return str(result.status)


def _minimized(problem: Problem, **how: Any) -> tuple[Result, Exception | None]:
    """The result; and the error that ended the run, where one came through after something was reached."""
    import qngd

    try:
        return qngd.minimize(problem, **how), None
    except Exception as error:  # of the problem's own backend, or of a terminal that cannot show a step
        if not isinstance(kept := getattr(error, "result", None), qngd.Result):
            raise
        return kept, error


def _optimizer(options: Mapping[str, Any]) -> Optimizer:
    """The optimizer by its name, with those of its settings that were given."""
    from qngd import QNG
    from qngd.cli.problem_file import UsageError

    name = options["optimizer"]
    given = {key: options[key] for key in ("learning_rate", "approx", "damping") if options[key] is not None}
    taken = {"qng": ("learning_rate", "approx", "damping"), "gd": ("learning_rate",), "adam": ("learning_rate",)}
    for key in given:
        if key not in taken.get(name, ()):
            raise UsageError(f"--{key.replace('_', '-')} does not go with --optimizer {name}")
    if name == "gd" and not given:
        raise UsageError("--optimizer gd needs a --learning-rate")
    if name == "qng":
        return QNG(**given)
    from qngd.baselines import Adam, GradientDescent  # with all of scipy.optimize
    from qngd.run.optimizers import as_optimizer

    if name == "gd":
        return GradientDescent(**given)
    return Adam(**given) if name == "adam" else as_optimizer(name)


def _read_shots(text: str | None) -> int | str | None:
    if text is None or text == "auto":
        return text
    if not text.isdecimal() or int(text) < 1:
        from qngd.cli.problem_file import UsageError

        raise UsageError(f'--shots: {text!r} is neither a whole number of at least 1 nor "auto"')
    return int(text)


def _keep(result: Result, problem: Problem, out: Path | None, about: Mapping[str, Any]) -> None:
    from qngd.errors import QngdError
    from qngd.report import summary as report

    if out is None:
        typer.echo("no files written; --out DIR keeps plots, history and parameters")
        return
    try:
        report.write(result, problem, out, run=about)
    except QngdError:  # a full disk, say: what cannot be kept in a file is at least shown
        typer.echo(f"theta: {result.state.lowest[0].tolist()}")
        raise
    typer.echo(f"data:  {out}/history.csv, spectrum.csv, result.json")
    paths = report.plot(out)
    typer.echo(f"plots: {', '.join(map(str, paths))}")


def _echo_table(rows: Mapping[str, str], indent: str = "") -> None:
    width = max(map(len, rows))
    for name, text in rows.items():
        typer.echo(f"{indent}{typer.style(f'{name:<{width}}', bold=True)}  {text}")


@contextmanager
def _one_line_errors(traceback: bool) -> Iterator[None]:
    """An error that qngd raised on purpose is one line on stderr, and an exit code."""
    from qngd.cli.problem_file import UsageError
    from qngd.errors import QngdError

    try:
        yield
    except QngdError as error:
        if traceback:
            raise
        sys.stdout.flush()
        text = " ".join(str(error).split()).replace("shots=…", "--shots N")  # as it is written here
        typer.echo(f"qngd: error: {text}", err=True)
        raise typer.Exit(2 if isinstance(error, UsageError) else 1) from None
