"""The command line, by running it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import typing
from pathlib import Path

import pytest

import qngd as package
from qngd import __version__
from qngd.baselines import Adam
from qngd.cli.options import Cross
from qngd.cli.problem_file import UsageError, parse_settings
from qngd.cli.written import NAMES
from qngd.gradients.names import GRADIENTS
from qngd.measured.cross import CROSS_METHODS
from qngd.measured.grouping import GroupingName
from qngd.metrics.names import METRICS
from qngd.report import live as _progress
from qngd.report.live import details
from tests.command_line import NULL_BYTES, ROOT, TOY, file_with, qngd, refused

FILES = ["convergence.png", "history.csv", "result.json", "settings.toml", "spectrum.csv", "spectrum.png"]


def process(*arguments: str, **options: typing.Any) -> subprocess.CompletedProcess[str]:
    """The command as a process of its own."""
    command = [sys.executable, "-m", "qngd", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False, **options)


# --- in a process of its own ---


def test_a_run_from_start_to_files(tmp_path: Path):
    done = process("run", TOY, "--set", "layers=3", "--out", str(tmp_path / "out"), stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "two spins, $1: 2 qubits, 6 parameters" in done.stdout
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == FILES
    stored = json.loads((tmp_path / "out" / "result.json").read_text())
    assert stored["run"]["set"] == ["layers=3"]
    assert "max_steps" not in stored["run"]  # nobody gave it
    assert stored["status"] == "converged"


def test_help_imports_nothing_heavy():
    heavy = ("numpy", "numba", "matplotlib", "qiskit", "pennylane")
    code = (
        "import sys; from typer.testing import CliRunner; from qngd.cli.commands import app\n"
        "print(CliRunner().invoke(app, ['run', '--help']).exit_code)\n"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["0", "[]"]


@pytest.mark.skipif(os.name == "nt", reason="Windows sends Ctrl-C to whole groups of processes")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_keeps_what_it_reached(number, code, tmp_path: Path):
    command = [sys.executable, "-m", "qngd", "run", TOY, "--steps", "1000000", "--tol", "0"]
    command += ["--learning-rate", "1e-4", "--out", str(tmp_path)]
    # A shell that started the tests in the background would have made its children deaf to the signal.
    ready = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, **ready) as running:
        assert running.stdout is not None
        while not running.stdout.readline().startswith("step"):
            assert running.poll() is None
        running.send_signal(number)
        output, _ = running.communicate(timeout=60)
    assert running.returncode == code
    assert "interrupted from the keyboard" in output
    assert sorted(path.name for path in tmp_path.iterdir()) == FILES
    stored = json.loads((tmp_path / "result.json").read_text())
    assert stored["status"] == "interrupted"
    assert stored["steps"] >= 1


def test_an_error_is_one_line_on_stderr():
    done = process("run", "nowhere.py")
    assert done.returncode == 2
    assert done.stderr == "qngd: error: nowhere.py: no such file or directory\n"
    assert done.stdout == ""


# --- run ---


def test_the_closing_table():
    result = qngd("run", TOY, "--set", "unit=hartree")
    assert result.exit_code == 0, result.output
    rows = dict(line.split("  ", 1) for line in result.output.splitlines() if "  " in line)
    rows = {name.strip(): text.strip() for name, text in rows.items()}
    assert rows["circuit"] == "2 qubits, 4 parameters, 2 layers"
    assert rows["status"] == "converged"
    assert rows["energy"] == "-1.118033989 hartree"
    assert rows["chemical accuracy"] == "yes (0.0016 hartree)"
    assert "no files written; --out DIR" in result.output


def test_a_run_says_where_its_files_are(tmp_path: Path):
    folder = str(tmp_path / "run")
    kept = qngd("run", TOY, "--max-steps", "1", "--run-dir", folder)
    assert kept.exit_code == 0, kept.output
    assert "no files written" not in kept.output
    assert f"run:   {folder}, for qngd show" in kept.output
    assert qngd("show", folder).exit_code == 0


def test_progress_is_a_line_every_tenth_of_the_run():
    result = qngd("run", TOY, "--steps", "50", "--tol", "0", "--learning-rate", "0.01")
    lines = [line for line in result.output.splitlines() if line.startswith("step ") and "/" in line]
    assert [int(line.split("/")[0].split()[-1]) for line in lines] == [1, *range(5, 51, 5)]
    for word in ("energy", "error", "|grad|", "cond"):
        assert all(word in line for line in lines)
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("is_terminal", [False, True])
def test_a_step_that_takes_long_says_how_far_it_is(is_terminal, monkeypatch):
    monkeypatch.setattr(_progress, "_PART_PRINTED", -1.0)
    monkeypatch.setattr(_progress, "_PART_DRAWN", -1.0)
    monkeypatch.setattr(_progress, "_REDRAW", 0.0)
    if is_terminal:
        monkeypatch.setenv("FORCE_COLOR", "1")
    result = qngd("run", TOY, "--steps", "3", "--approx", "full")
    assert "derivative states of the metric: 100%" in result.output
    monkeypatch.setattr(_progress, "_PART_PRINTED", 100.0)
    monkeypatch.setattr(_progress, "_PART_DRAWN", 100.0)
    assert "derivative states" not in qngd("run", TOY, "--steps", "3", "--approx", "full").output


@pytest.mark.parametrize(("optimizer", "count"), [(package.QNG(), 2), (package.QNG(0.1), 2), (Adam(), 0)])
def test_details_of_a_step_fit_the_screen(optimizer, count):
    """Those of an optimizer that has no metric are left out."""
    infos = []
    program = 'OPENQASM 3.0; include "stdgates.inc"; input float a; input float b; qubit q; ry(a) q; rx(b) q;'
    package.minimize(program, {"Z": 1.0}, [0.3, 0.1], optimizer=optimizer, max_steps=3, callback=infos.append)
    lines = details(infos[-1])
    assert len(lines) == count
    assert max(map(len, lines), default=0) <= 80
    if count:
        assert ("of at most" in lines[0]) == (optimizer.learning_rate is None)
        for word in ("length", "rate", "decrease", "predicted"):
            assert word in lines[0]
        for word in ("rank 2/2", "eigenvalues", "damping"):
            assert word in lines[1]


def test_a_run_without_reference_shows_no_error():
    result = qngd("run", TOY, "--set", "known=false", "--steps", "3")
    assert result.exit_code == 0
    assert "error" not in result.output
    assert "reference" not in result.output


def test_options_reach_the_optimizer(tmp_path: Path):
    options = {"--learning-rate": "0.05", "--damping": "0.01", "--approx": "diag", "--steps": "3"}
    flags = [part for pair in options.items() for part in pair]
    assert qngd("run", TOY, *flags, "--out", str(tmp_path)).exit_code == 0
    history = [line.split(",") for line in (tmp_path / "history.csv").read_text().splitlines()]
    rows = [dict(zip(history[0], cells, strict=True)) for cells in history[2:]]
    assert [(row["rate"], row["damping"]) for row in rows] == [("0.05", "0.01")] * 3
    assert {row["rank"] for row in rows} == {"4"}  # the diagonal is regular where the full metric is not


@pytest.mark.parametrize("name", ["gd", "adam", "spsa", "l-bfgs-b", "cobyla"])
def test_optimizers_to_compare_with(name: str, tmp_path: Path):
    rate = ["--learning-rate", "0.2"] if name == "gd" else []
    result = qngd("run", TOY, "--optimizer", name, *rate, "--steps", "40", "--out", str(tmp_path))
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in tmp_path.iterdir()) == FILES
    assert json.loads((tmp_path / "result.json").read_text())["run"]["optimizer"] == name
    energies = [float(line.split(",")[1]) for line in (tmp_path / "history.csv").read_text().splitlines()[1:]]
    assert energies[-1] < energies[0] - 0.1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("gd",), "gd needs a --learning-rate"),
        (("spsa", "--learning-rate", "0.1"), "--learning-rate does not go with --optimizer spsa"),
        (("adam", "--damping", "0.1"), "--damping does not go with --optimizer adam"),
    ],
)
def test_settings_that_an_optimizer_does_not_have(options: tuple[str, ...], words: str):
    assert words in refused("run", TOY, "--optimizer", *options, code=2)


def test_shots_and_seed():
    runs = [qngd("run", TOY, "--shots", "5000", "--seed", seed, "--steps", "3").output for seed in "112"]
    energies = [next(t for t in run.splitlines() if t.startswith("energy")) for run in runs]
    assert " ± " in energies[0]
    assert energies[0] == energies[1] != energies[2]


def test_a_dotted_module_works_like_its_path(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(ROOT)
    assert qngd("run", "tests.toy", "--steps", "2").exit_code == 0


def test_a_problem_file_may_import_its_neighbours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    shutil.copy(TOY, tmp_path / "toy_neighbour.py")
    path = file_with(tmp_path, "from toy_neighbour import problem\n")
    assert qngd("run", path, "--steps", "2").exit_code == 0


def test_names_are_those_of_the_library():
    """What has a table of its own, so that the help imports nothing, has all there are."""

    def kinds(module: typing.Any, base: type) -> set[str]:
        found = {name for name in dir(module) if isinstance(getattr(module, name), type)}
        return {name for name in found if issubclass(getattr(module, name), base) and getattr(module, name) is not base}

    assert set(NAMES["approx"]) == {*METRICS, "matrix-free"}
    assert set(NAMES["gradient"]) == set(GRADIENTS)
    assert set(NAMES["grouping"]) == set(typing.get_args(GroupingName))
    assert {home[1] for home in NAMES["step"].values()} == kinds(package.step, package.step.StepRule)
    assert {home[1] for home in NAMES["damping"].values()} == kinds(package.damping, package.damping.Damping)
    assert typing.get_args(Cross) == CROSS_METHODS


def test_cost_and_run_know_grouping_and_cross(tmp_path: Path):
    pytest.importorskip("openqasm3")
    path = file_with(
        tmp_path,
        'import qngd\ntext = \'OPENQASM 3.0; include "stdgates.inc"; input float a; input float b; qubit[2] q;'
        " ry(a) q[0]; cx q[0], q[1]; ry(b) q[1];'\n"
        "def problem():\n    return qngd.Problem(text, {'XX': 1.0, 'YY': 0.5, 'ZZ': 0.2}, [0.3, 0.4], name='bell')\n",
    )

    def circuits(*how: str) -> int:
        output = qngd("cost", path, *how).output
        return int(output.split(" circuits")[0].split()[-1])

    assert circuits("--grouping", "commuting") < circuits("--grouping", "qubit-wise") == circuits()
    full = ("--approx", "full", "--cross")
    assert circuits(*full, "overlap") > circuits(*full, "hadamard") == circuits(*full, "mid-circuit")
    shots = ("--shots", "10", "--steps", "1", "--approx", "full", "--grouping", "commuting", "--cross", "overlap")
    result = qngd("run", path, *shots)
    assert result.exit_code == 0, result.output
    assert f"{2 * circuits('--grouping', 'commuting', *full, 'overlap')} circuits" in result.output


def test_the_main_job_reaches_chemical_accuracy(tmp_path: Path):
    pytest.importorskip("qiskit")
    result = qngd("run", str(ROOT / "circuits" / "h2.py"), "--out", str(tmp_path))
    assert result.exit_code == 0, result.output
    stored = json.loads((tmp_path / "result.json").read_text())
    assert abs(stored["energy"] - stored["problem"]["reference_energy"]) < 1.6e-3


# --- layers, plot, and the rest ---


def test_layers_names_gates_parameters_and_what_a_step_measures():
    result = qngd("layers", TOY, "--set", "layers=1")
    assert result.exit_code == 0
    expected = [
        "two spins, $1: 2 qubits, 2 parameters, 1 layer",
        "",
        "layer 0: 2 rotations, 2 parameters (t[0], t[1])",
        "  ry #0 on 0: R_Y(t[0])",
        "  ry #1 on 1: R_Y(t[1])",
        "",
        "A step measures",
        "  energy    2 circuits for 2 Pauli terms, grouped qubit by qubit",
        "  metric    1 circuit (block-diag)",
        "  gradient  4 circuits of the energy at shifted angles",
    ]
    assert result.output.splitlines() == expected


@pytest.mark.parametrize("options", [(), ("--approx", "full", "--cross", "overlap"), ("--grouping", "commuting")])
def test_layers_and_cost_say_the_same_of_a_step(options: tuple[str, ...]):
    told = dict(line.split(maxsplit=1) for line in qngd("layers", TOY, *options).output.splitlines()[-3:])
    price = qngd("cost", TOY, "--shots", "10", *options).output
    (circuits,) = [line.split(maxsplit=1)[1] for line in price.splitlines() if line.startswith("circuits")]
    assert circuits == ", ".join(f"{told[name].split()[0]} {name}" for name in ("energy", "gradient", "metric"))


TAIL = """
import qngd

def problem(alpha: float = 0.3):
    circuit = qngd.CircuitBuilder(3)
    a, b, c = circuit.parameters("a", "b", "c")
    circuit = circuit.ry(a, 0).ry(b, 1).cx(0, 1).rx(c, 2)
    terms = {"IXX": 1.0, "IZZ": 0.5, "ZII": 0.3}
    return qngd.Problem(circuit, qngd.CVaR(terms, alpha) if alpha else terms, [0.1, 0.2, 0.3])
"""


@pytest.mark.parametrize("options", [(), ("--set", "alpha=0", "--cvar", "0.3")])
def test_layers_plan_a_cvar_and_not_its_mean(tmp_path: Path, options: tuple[str, ...]):
    path = tmp_path / "tail.py"
    path.write_text(TAIL)
    assert "energy    2 circuits" in qngd("layers", str(path), "--set", "alpha=0").output
    together = qngd("layers", str(path), *options, "--grouping", "commuting").output
    assert "energy    1 circuit for 3 Pauli terms" in together
    for told in (qngd(command, str(path), *options) for command in ("layers", "cost")):
        assert told.exit_code == 1
        assert "a CVaR needs all values from the same shots" in told.output


def test_plot_draws_again(tmp_path: Path):
    assert qngd("run", TOY, "--steps", "2", "--out", str(tmp_path)).exit_code == 0
    (tmp_path / "spectrum.png").unlink()
    assert qngd("plot", str(tmp_path)).exit_code == 0
    assert (tmp_path / "spectrum.png").exists()


def test_version():
    assert qngd("--version").output == f"qngd {__version__}\n"


@pytest.mark.parametrize("command", ["run", "layers", "plot"])
def test_help_is_complete(command: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert command in qngd("--help").output
    text = qngd(command, "--help").output
    for option in ("--traceback", "--help"):
        assert option in text
    if command == "run":
        names = "set steps optimizer learning-rate damping approx tol seed backend shots grouping cross out"
        assert all(f"--{name}" in text for name in names.split())


# --- problem files with something wrong ---


def test_a_missing_file_suggests_the_one_that_is_there(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(ROOT)
    assert refused("run", "tests/toy", code=2).endswith("did you mean tests/toy.py?")


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("no.such.module", "no such file or module"),
        ("a b", "neither a file nor the name of a Python module"),
        (str(ROOT / "tests"), "is a directory"),
        (str(ROOT / "pyproject.toml"), "is not a Python file"),
        (".", ".: is a directory; give a Python file"),
        ("", "no file is given; give one such as circuits/h2.py"),
        (str(ROOT), "is a directory; give a Python file"),
        ("json", "has no function problem()"),
    ],
)
def test_what_is_no_problem_file(target: str, words: str):
    assert words in refused("layers", target, code=2)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("def problem(:\n", "mine.py:1: SyntaxError: invalid syntax"),
        ("\nx = y\n", "mine.py:2: NameError: name 'y' is not defined"),
        ("import no_such_thing\n", "mine.py:1: ModuleNotFoundError: No module named 'no_such_thing'"),
        ("def problem():\n    return 3\n", "problem() returned int, not a qngd.Problem"),
        ("def problem():\n    raise KeyError('two\\nlines')\n", "mine.py:2: KeyError: 'two\\nlines'"),
        ("def problem():\n    int('x')\n", "mine.py:2: invalid literal for int()"),
        ("import qngd\ndef problem():\n    return qngd.Problem(3)\n", "circuit: int is not a circuit"),
        ("\0", f"mine.py:1: {NULL_BYTES}"),
    ],
)
def test_code_that_fails_is_named_with_file_and_line(text: str, words: str, tmp_path: Path):
    assert words in refused("run", file_with(tmp_path, text), code=1)


def test_an_sdk_that_is_missing_can_be_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "pennylane", None)
    line = refused("run", file_with(tmp_path, "import pennylane\n"), code=1)
    assert line.endswith("pip install '.[pennylane]' in a checkout of qngd")


def test_code_that_fails_when_it_is_traced(tmp_path: Path):
    pytest.importorskip("pennylane")
    text = """
import pennylane as qml
import qngd

@qml.qnode(qml.device("default.qubit", wires=1))
def energy(x):
    qml.RX(x[5], 0)
    return qml.expval(qml.Z(0))

def problem():
    return qngd.Problem(energy, None, qml.numpy.array([1.0]))
"""
    assert "mine.py:7: IndexError" in refused("run", file_with(tmp_path, text), code=1)


def test_a_traceback_on_request(tmp_path: Path):
    path = file_with(tmp_path, "x = y\n")
    result = qngd("run", path, "--traceback")
    assert isinstance(result.exception.__cause__, NameError)


# --- options with something wrong ---


def test_an_unknown_setting_lists_the_known_ones():
    line = refused("run", TOY, "--set", "layer=3", code=2)
    assert "unknown setting 'layer'. Did you mean 'layers'? " in line
    assert "layers=2 (int), field=0.5 (float), known=True (bool), start=None (list[float] | None)" in line


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("layers=two", "setting layers: 'two' is not of type int"),
        ("layers=2.5", "setting layers: '2.5' is not of type int"),
        ("known=maybe", "write true or false"),
        ("start=[1", "write it as JSON, such as [1, 2]"),
        ("layers", "write it as name=value"),
        ("=3", "write it as name=value"),
    ],
)
def test_a_setting_of_the_wrong_kind(setting: str, words: str):
    assert words in refused("run", TOY, "--set", setting, code=2)


def test_what_the_problem_itself_refuses():
    assert refused("run", TOY, "--set", "layers=0", code=1).endswith(": layers must be at least 1, got 0")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--learning-rate", "-1"), "--learning-rate must be a positive number"),
        (("--damping", "nan"), "damping must be a finite number"),
        (("--backend", "abacus"), "backend: 'abacus'"),
        (("--out", TOY), "cannot write to"),
        (("--set", "start=[0.1]"), "theta must have shape (4,)"),
    ],
)
def test_what_the_library_refuses(options: tuple[str, str], words: str):
    assert words in refused("run", TOY, *options, code=1)


@pytest.mark.parametrize(
    "options", [("--steps", "-1"), ("--shots", "0"), ("--approx", "half"), ("--steps", "x"), ("--what",)]
)
def test_wrong_usage(options: tuple[str, ...]):
    assert qngd("run", TOY, *options).exit_code == 2


# --- settings as text ---


def annotated(
    whole: int = 0,
    part: float = 0.0,
    name: str = "",
    flag: bool = False,
    maybe: int | None = None,
    choice: typing.Literal["a", "b"] = "a",
    path: Path = Path(),
    pairs: list[tuple[int, int]] | None = None,
) -> None: ...


def plain(whole=1, part=0.5, name="x", flag=True, nothing=None, several=(1, 2)) -> None: ...


def anything(**settings: object) -> None: ...


@pytest.mark.parametrize(
    ("function", "setting", "value"),
    [
        (annotated, "whole=-3", -3),
        (annotated, "part=3", 3.0),
        (annotated, "part=1e-3", 1e-3),
        (annotated, "name=a=b", "a=b"),
        (annotated, "name=3", "3"),
        (annotated, "flag=Yes", True),
        (annotated, "flag=false", False),
        (annotated, "maybe=none", None),
        (annotated, "maybe=4", 4),
        (annotated, "choice=b", "b"),
        (annotated, "path=a/b", Path("a/b")),
        (annotated, "pairs=[[0, 1]]", [[0, 1]]),
        (plain, "whole=2", 2),
        (plain, "whole=2.5", 2.5),
        (plain, "part=2", 2.0),
        (plain, "name=true", "true"),
        (plain, "flag=off", False),
        (plain, "nothing=3", 3),
        (plain, "nothing=word", "word"),
        (plain, "several=[3]", [3]),
        (anything, "new=[1]", [1]),
        (anything, "new=word", "word"),
    ],
)
def test_settings_are_read_by_annotation_or_default(function, setting: str, value: object):
    (read,) = parse_settings(function, [setting]).values()
    assert read == value
    assert type(read) is type(value)


def test_the_last_of_several_settings_counts():
    assert parse_settings(plain, ["whole=2", "name=y", "whole=3"]) == {"whole": 3, "name": "y"}


def test_a_choice_outside_the_list():
    with pytest.raises(UsageError, match="'c' is not of type"):
        parse_settings(annotated, ["choice=c"])


def test_a_setting_without_default_is_asked_for():
    def needy(size: int, seed: int = 0) -> None: ...

    with pytest.raises(UsageError, match="needs --set size=…"):
        parse_settings(needy, [])
    assert parse_settings(needy, ["size=2"]) == {"size": 2}


def test_a_function_without_settings():
    with pytest.raises(UsageError, match="takes no settings"):
        parse_settings(lambda: None, ["a=1"])


def test_restarts_go_from_several_starts_and_keep_the_best(tmp_path):
    folder, out = tmp_path / "run", tmp_path / "out"
    given = ("run", TOY, "--restarts", "3", "--seed", "1", "--max-steps", "4", "--run-dir", str(folder))
    first = qngd(*given, "--out", str(out))
    assert first.exit_code == 0, first.output
    assert "the best of 3 starts" in first.output
    assert sorted(path.name for path in folder.iterdir() if path.is_dir()) == ["start-0", "start-1", "start-2"]
    assert json.loads((out / "result.json").read_text(encoding="utf-8"))
    assert "the best of 3 starts" in qngd(*given).output
    assert qngd("run", TOY, "--restarts", "0").exit_code == 2


def test_cost_shows_settings_side_by_side_and_what_a_budget_buys():
    limits = (
        "--budget-money",
        "30",
        "--budget-shots",
        "100000",
        "--price",
        "per_shot=0.001",
        "--price",
        "currency=EUR",
    )
    output = qngd("cost", TOY, "--shots", "10", *limits, "--final-shots", "500").output
    heads, *rows = [line for line in output.splitlines() if "EUR" in line or "a step of" in line]
    assert heads.startswith("a step of")
    assert heads.endswith("the budget buys")
    assert [line.split("  ")[0] for line in rows] == ["as asked", 'shots="auto"', 'gradient="sampled"', "QN-SPSA"]
    assert all(line.endswith("steps") for line in rows)
    assert len({len(line) for line in rows}) == 1


def test_run_spends_what_it_may_and_measures_the_end(tmp_path: Path):
    out = tmp_path / "out"
    limits = ("--budget-shots", "3000", "--budget-wall", "600", "--price", "per_shot=0.5", "--price", "currency=EUR")
    result = qngd("run", TOY, "--shots", "20", "--seed", "1", *limits, "--final-shots", "300", "--out", str(out))
    assert result.exit_code == 0, result.output
    data = json.loads((out / "result.json").read_text(encoding="utf-8"))
    assert data["status"] == "budget"
    assert "kept for the end" in data["message"]
    assert data["cost"]["shots"] <= 3000
    assert data["cost"]["money"] == 0.5 * data["cost"]["shots"]
