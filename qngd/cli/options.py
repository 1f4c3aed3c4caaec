"""The options of the commands: their names, types and help. `commands.py` says which command has which."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from qngd.cli.config import read_config
from qngd.cli.errors import UsageError
from qngd.cli.written import NAMES, checked_name
from qngd.gradients.names import HOMES as WAYS
from qngd.metrics.names import HOMES

Cross = Literal["hadamard", "mid-circuit", "overlap"]  # of qngd.measured.cross.CrossMethod
WORDS_OF_WAYS = "; ".join(f"{name}, {words}" for name, (_, _, words) in WAYS.items())
WORDS_OF_METRICS = "; ".join(f"{name}, {words}" for name, (_, _, words) in HOMES.items())
_RULES = "Rules"


def folder(text: str) -> Path:
    """A folder's name, which an option gives; raises BadParameter."""
    if not text:  # as of a shell's variable that is not set; Path("") would be the current folder
        raise typer.BadParameter("give the name of a folder")
    return Path(text)


def rule(option: str, also: str = "") -> Callable[[str], str]:
    """What reads the text of an option whose values are names with settings; its settings are read when it is used.
    `also` is what an error says besides."""

    def parsed(text: str) -> str:
        try:
            return checked_name(option, text)
        except UsageError as error:
            raise typer.BadParameter(" ".join(filter(None, [str(error), also]))) from None

    return parsed


def _written(option: str) -> str:
    return f"One of {', '.join(NAMES[option])}; with settings as NAME:key=value,…"


def _damping(text: str) -> str:
    try:
        float(text)
    except ValueError:
        return rule("damping", also="Or give a number.")(text)
    return text


PROBLEM = Annotated[
    str,
    typer.Argument(
        metavar="PROBLEM",
        help="A Python file, or a dotted module, with a function problem(**settings) -> qngd.Problem.",
        show_default=False,
    ),
]
SET = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="A setting for problem(), read by its annotation: a number, true/false, text, JSON for lists. "
        "Repeat for more.",
        show_default=False,
    ),
]
CONFIG = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help='A TOML file of these options by their names, problem settings in its table "set". Options given here '
        "override it.",
        show_default=False,
        is_eager=True,
        callback=read_config,
    ),
]
JSON = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
BACKEND = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Where circuits run: statevector, light-cone (exact, for many qubits and few layers), pauli-propagation "
        "(approximate, for more layers), aer, a fake IBM device such as fake_nairobi, or a PennyLane device such as "
        "lightning.qubit. Left out: the embedded simulator, or a QNode's own device.",
        show_default=False,
    ),
]
MODE = Annotated[
    Literal["job", "batch", "session"],
    typer.Option(help="Of an IBM backend: a job of its own for each submission, or one batch or session for the run."),
]
LAYOUT = Annotated[
    str | None,
    typer.Option(
        metavar="QUBITS",
        help='Physical qubits of a Qiskit device, such as 3,5,4, or "best": those with the lowest errors. Left out: '
        "the transpiler chooses.",
        show_default=False,
    ),
]
SHOTS = Annotated[
    str | None,
    typer.Option(
        metavar="N|RULE",
        help='Shots per circuit; "auto" chooses how many a step gets (auto:total=N takes N), divided so that its error '
        "is smallest; target-error:energy=0.01 takes what that error needs. Left out: exact.",
        show_default=False,
    ),
]
APPROX = Annotated[
    str,
    typer.Option(parser=rule("approx"), metavar="METRIC", help=f"Which metric a step measures: {WORDS_OF_METRICS}."),
]
GRADIENT = Annotated[
    str,
    typer.Option(parser=rule("gradient"), metavar="WAY", help=f"How a step takes its gradient: {WORDS_OF_WAYS}."),
]
GROUPING = Annotated[
    str,
    typer.Option(
        parser=rule("grouping"),
        metavar="GROUPING",
        help="Which terms one circuit measures: qubit-wise, with single-qubit gates; commuting, all that commute, with "
        "two-qubit gates where they need them and never in more circuits; auto, the cheaper of both, circuits and "
        "shots weighed; or shadows, random ones, shadows:bases=N.",
    ),
]
CROSS = Annotated[
    Cross, typer.Option(help="How shots measure the full metric between layers: with an ancilla, midway, or overlaps.")
]
CVAR = Annotated[
    str | None,
    typer.Option(
        "--cvar",
        metavar="ALPHA[,ALPHA…]",
        help="Minimize the mean of the lowest share ALPHA of the values, not of all; several, ascending, are gone "
        "through one after the other.",
        show_default=False,
    ),
]
FROZEN = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME",
        help="A parameter, or a vector of them, that keeps its start. Repeat for more.",
        show_default=False,
    ),
]
BOUNDS = Annotated[
    list[str] | None,
    typer.Option(
        metavar="[NAME=]LOW,HIGH",
        help="Bounds of all parameters, or of one by its name; none is no bound. Repeat for more.",
        show_default=False,
    ),
]
THETA0 = Annotated[
    str | None,
    typer.Option(
        "--theta0",
        metavar="JSON",
        help="The start in place of the problem's own: a list of numbers, or an object of numbers by name.",
        show_default=False,
    ),
]
LIMIT = Annotated[int | None, typer.Option(min=0, show_default=False, rich_help_panel="Budget")]
AMOUNT = Annotated[float | None, typer.Option(min=0.0, show_default=False, rich_help_panel="Budget")]
PRICE = Annotated[
    list[str] | None,
    typer.Option(
        "--price",
        metavar="NAME=VALUE",
        help="What the device charges: per_shot, per_circuit, per_task (a job), per_second or minimum (of a job); "
        "currency=USD; seconds_per_shot of a device that gives no times; seconds_per_circuit besides its shots, and "
        "seconds_per_task besides its circuits. "
        "Repeat for more.",
        show_default=False,
        rich_help_panel="Budget",
    ),
]
FINAL_SHOTS = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Shots per circuit with which the energy is measured once more where the run ends. Left out: not.",
        show_default=False,
    ),
]
STATES = Annotated[
    int,
    typer.Option(
        "--states",
        min=1,
        metavar="N",
        help="Price the run for the last of N states of qngd.excited_states, with its overlaps with those before it.",
    ),
]
TRACEBACK = Annotated[bool, typer.Option("--traceback", help="Show the Python traceback of an error, not one line.")]

OPTIMIZER = Annotated[
    str,
    typer.Option(
        parser=rule("optimizer"),
        metavar="NAME",
        help=f"The quantum natural gradient, or one to compare it with. {_written('optimizer')}.",
    ),
]
ANOTHER = Annotated[
    str | None,
    typer.Option(
        "--optimizer",
        parser=rule("optimizer"),
        metavar="NAME",
        help=f"Price a run by this optimizer, too. {_written('optimizer')}.",
        show_default=False,
    ),
]
LEARNING_RATE = Annotated[
    float | None,
    typer.Option(
        help="Fixed learning rate, of qng quoted for the Fubini-Study metric. Left out: adapted at every step; "
        "adam takes 0.05.",
        show_default=False,
    ),
]
DAMPING = Annotated[
    str | None,
    typer.Option(
        parser=_damping,
        metavar="VALUE|RULE",
        help=f"Added to the metric's eigenvalues; 0 is the pseudo-inverse; or a rule. {_written('damping')}. "
        "Left out: 1e-2.",
        show_default=False,
        rich_help_panel=_RULES,
    ),
]
STEP = Annotated[
    str | None,
    typer.Option(
        "--step",
        parser=rule("step", also="The number of steps is --max-steps, or --steps."),
        metavar="RULE",
        help=f"How far qng goes, in place of a learning rate. {_written('step')}.",
        show_default=False,
        rich_help_panel=_RULES,
    ),
]
REFRESH = Annotated[
    str | None,
    typer.Option(
        metavar="N|key=value,…",
        help="When qng measures its metric anew: every N steps; or every=N, drift=, average=, from_identity=.",
        show_default=False,
        rich_help_panel=_RULES,
    ),
]
RUN_APPROX = Annotated[
    str | None,
    typer.Option(
        parser=rule("approx"),
        metavar="METRIC",
        help=f"Which metric: {WORDS_OF_METRICS}; matrix-free, full without its matrix. Left out: full where that is "
        "exact and affordable, else block-diag.",
        show_default=False,
        rich_help_panel=_RULES,
    ),
]
RUN_GRADIENT = Annotated[
    str | None,
    typer.Option(
        parser=rule("gradient"),
        metavar="WAY",
        help=f"How qng takes gradients: {WORDS_OF_WAYS}. Left out: shift.",
        show_default=False,
        rich_help_panel=_RULES,
    ),
]

# of run alone
MAX_STEPS = Annotated[
    int | None,
    typer.Option(
        "--max-steps",
        "--steps",
        min=0,
        help="Steps at most: 100, or where a budget limits them as many as it buys.",
        show_default=False,
    ),
]
TOL = Annotated[
    float,
    typer.Option(
        min=0.0,
        help="Stop when the energy changes by less than this (`minimize` says for how many steps); 0 never does.",
    ),
]
GTOL = Annotated[
    float,
    typer.Option(min=0.0, help="Stop when the natural gradient's norm in state space is less than this."),
]
TARGET = Annotated[
    float | None,
    typer.Option(help="Stop when the energy plus its standard error is at most this.", show_default=False),
]
SEED = Annotated[
    int | None,
    typer.Option(
        min=0,
        help="Of the run's shots. The problem's own seed, if it has one, is --set seed=N.",
        show_default=False,
    ),
]
RESTARTS = Annotated[
    int,
    typer.Option(
        min=1,
        help="Runs from that many starts, the problem's and random ones, of which the best is kept; in the "
        "--run-dir each has a folder.",
    ),
]
WRAP_ANGLES = Annotated[
    bool, typer.Option("--wrap-angles", help="Give parameters in (−π, π] where a full turn changes nothing.")
]
OUT = Annotated[
    Path | None,
    typer.Option(
        parser=folder,
        metavar="DIR",
        help="Folder for convergence.png, spectrum.png, their data (history.csv, spectrum.csv, "
        "result.json) and settings.toml, what the run was called with. Left out: no files.",
        show_default=False,
    ),
]
RUN_DIR = Annotated[
    Path | None,
    typer.Option(
        parser=folder,
        metavar="DIR",
        help="Folder that keeps the run step by step. A run that it already holds goes on where it stopped.",
        show_default=False,
    ),
]

# of cost, sweep and plot alone
STEPS = Annotated[int, typer.Option("--steps", "--max-steps", min=0, help="Steps of the run.")]
SWEEP_OUT = Annotated[
    Path,
    typer.Option(
        parser=folder,
        metavar="DIR",
        help="Folder in which each run has one of its own. Runs that are done there are not run again.",
        show_default=False,
    ),
]
GRID = Annotated[
    list[str] | None,
    typer.Option(
        "--grid",
        metavar="NAME=A,B,…",
        help="Values of a setting of the problem, or of an option of qngd run; all combinations are run. A value "
        "with commas stands in brackets. Repeat for more names.",
        show_default=False,
    ),
]
SWEEP_CONFIG = Annotated[
    str | None,
    typer.Option(metavar="FILE", help="A TOML file of options of qngd run, for all runs.", show_default=False),
]
SEEDS = Annotated[int, typer.Option(min=1, help="Runs of each combination.")]
SWEEP_SEED = Annotated[int, typer.Option(min=0, help="Another one gives all runs other seeds.")]
WORKERS = Annotated[
    int | None,
    typer.Option(
        min=0,
        help="Processes; 0 is this one, without Dask. Left out: one for every core.",
        show_default=False,
    ),
]
SCHEDULER = Annotated[
    str | None,
    typer.Option(metavar="ADDRESS", help="A scheduler of Dask that is there already.", show_default=False),
]
THREADS = Annotated[int, typer.Option(min=1, help="Of each run.")]
PLOTTED = Annotated[Path, typer.Argument(metavar="DIR", help="The --out folder of a run.", show_default=False)]

# of looking at runs, and of going on with one
WATCH = Annotated[
    bool, typer.Option("--watch", help="Follow a run that goes on in another process, until it has ended.")
]
EVERY = Annotated[float, typer.Option(min=0.1, help="Seconds between two looks with --watch.")]
DIRECTORIES = Annotated[
    list[Path],
    typer.Argument(metavar="DIR...", help="Directories of runs: --run-dir or --out of each.", show_default=False),
]
HTML = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Write the page here; it is one file and needs no network.", show_default=False),
]
FIGURES = Annotated[
    Path | None,
    typer.Option(
        parser=folder,
        metavar="DIR",
        help="Write each figure as PNG and SVG into this folder.",
        show_default=False,
    ),
]
LABELS = Annotated[
    str | None,
    typer.Option(
        metavar="A,B,...",
        help="What the runs are called, in their order; runs of one name are taken together, with medians and "
        "quartiles. Left out: the settings in which they differ.",
        show_default=False,
    ),
]
TITLE = Annotated[str | None, typer.Option(metavar="TEXT", help="Of the page.", show_default=False)]
STORED = Annotated[Path, typer.Argument(metavar="DIR", help="The --run-dir folder of a run.", show_default=False)]
RUNS = Annotated[Path, typer.Argument(metavar="FOLDER", help="A folder with runs.", show_default=False)]
RESUME_MAX_STEPS = Annotated[
    int | None,
    typer.Option("--max-steps", "--steps", min=0, help="Steps at most, those taken included.", show_default=False),
]


def as_data(value: Any) -> Any:
    """An option's value as JSON and TOML take it."""
    if isinstance(value, (list, tuple)):
        return [as_data(each) for each in value]
    return str(value) if isinstance(value, Path) else value
