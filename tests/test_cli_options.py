"""What Python can say, the command line can: rules with settings, a file of options, JSON."""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
import typing
from pathlib import Path

import pytest
import typer

import qngd as package
from qngd.baselines import Adam, SciPy
from qngd.cli.commands import app
from qngd.cli.errors import UsageError
from qngd.cli.meaning import NOT_HERE, read_bounds, read_optimizer, read_shots
from qngd.cli.written import NAMES, read_rule, split
from qngd.damping import Absolute, PseudoInverse, SignalToNoise
from qngd.errors import SettingError
from qngd.metrics import QNSPSA
from qngd.refresh import Refresh
from qngd.step import Adaptive, FixedRate, QuasiNewton, TrustRegion
from tests.command_line import ROOT, TOY, file_with, qngd, refused

COMMANDS = typer.main.get_command(app).commands
DIAGONAL = """
import qngd

def problem(start: float = 0.4, seed: int = 0):
    circuit = qngd.CircuitBuilder(2)
    a, b, c = circuit.parameters("a", "b", "c")
    circuit.ry(a, 0).cx(0, 1).ry(b, 1).rx(2 * c, 0)
    return qngd.Problem(circuit, {"ZZ": 1.0, "ZI": -0.4, "IZ": 0.3}, [start, 0.3, 0.2], name="diagonal")
"""


def optimizer(**texts: typing.Any) -> typing.Any:
    unset = dict.fromkeys(("learning_rate", "step", "damping", "approx", "gradient", "refresh"))
    return read_optimizer({"optimizer": "qng", **unset, **texts})


def documents(*arguments: str, code: int = 0) -> typing.Any:
    result = qngd(*arguments, "--json")
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


# --- nothing of Python is missing ---


def test_every_argument_of_minimize_is_an_option_or_says_why_it_is_none():
    options = {parameter.name for parameter in COMMANDS["run"].params}
    arguments = set(inspect.signature(package.minimize).parameters)
    assert arguments - options == set(NOT_HERE)
    assert options & set(NOT_HERE) == set()
    assert "cvar" in options


def test_every_setting_of_the_natural_gradient_is_an_option():
    options = {parameter.name for parameter in COMMANDS["run"].params}
    settings = set(inspect.signature(package.QNG).parameters) - {"_step"}
    assert settings <= options


def test_every_argument_of_cost_is_an_option():
    options = {parameter.name for parameter in COMMANDS["cost"].params}
    arguments = set(inspect.signature(package.cost).parameters) - {"problem_or_circuit", "observable"}
    assert {"budget_shots", "budget_seconds", "budget_money", "budget_jobs", "budget_circuits"} <= options
    assert arguments - {"budget"} <= options


def test_every_limit_of_a_budget_is_an_option():
    options = {parameter.name for parameter in COMMANDS["run"].params}
    assert {f"budget_{name}" for name in package.Budget.__dataclass_fields__ if name != "prices"} <= options


# --- rules as text ---


@pytest.mark.parametrize(
    ("option", "text", "object_"),
    [
        ("step", "trust-region", TrustRegion()),
        ("step", "TrustRegion:radius=0.1", TrustRegion(radius=0.1)),
        ("step", "trust-region:0.1, max-radius=0.3", TrustRegion(0.1, 0.3)),
        ("step", "fixed-rate:0.05", FixedRate(0.05)),
        ("step", "adaptive:near=(quasi-newton:pairs=3),span=9", Adaptive(near=QuasiNewton(pairs=3), span=9)),
        ("damping", "absolute:0.1", Absolute(0.1)),
        ("damping", "pseudo-inverse", PseudoInverse()),
        ("damping", "signal-to-noise:2,on=(absolute:0.1)", SignalToNoise(2.0, Absolute(0.1))),
        ("approx", "block-diag", "block-diag"),
        ("approx", "matrix-free", "matrix-free"),
        ("approx", "qn-spsa:resamplings=3", QNSPSA(resamplings=3)),
        ("gradient", "spsa:perturbation=0.2", package.gradients.SimultaneousPerturbation(perturbation=0.2)),
        ("grouping", "shadows", "shadows"),
        ("grouping", "shadows:bases=40", package.RandomPaulis(bases=40)),
        ("shots", "auto:total=5000", package.AutoShots(total=5000)),
        ("shots", "target-error:0.01,limit=500", package.TargetError(0.01, limit=500)),
    ],
)
def test_a_rule_is_the_object(option, text, object_):
    assert read_rule(option, text) == object_


def test_optimizers_with_settings_are_the_objects():
    assert optimizer(optimizer="adam:beta1=0.8", learning_rate=0.1) == Adam(0.1, beta1=0.8)
    assert optimizer(optimizer="cobyla:rhobeg=0.2") == SciPy("COBYLA", {"rhobeg": 0.2})
    assert optimizer(optimizer="qn-spsa:resamplings=2") == package.QNG.qn_spsa(resamplings=2)
    assert optimizer(refresh="5") == package.QNG(refresh=Refresh(every=5))
    assert optimizer(refresh="average=all,drift=0.5") == package.QNG(refresh=Refresh(average="all", drift=0.5))
    assert optimizer(damping="0", step="armijo") == package.QNG(damping=0.0, step=package.step.Armijo())
    assert optimizer(approx="diag", gradient="sampled") == package.QNG(approx="diag", gradient="sampled")


def test_shots_and_bounds():
    assert read_shots("12") == 12
    assert read_shots("auto") == "auto"
    assert read_bounds([]) is None
    assert read_bounds(["-1,2"]) == (-1.0, 2.0)
    assert read_bounds(["t[0]=0,none"]) == {"t[0]": (0.0, None)}
    assert split('a=(b,c),["x,y"],d') == ["a=(b,c)", '["x,y"]', "d"]


@pytest.mark.parametrize(
    ("options", "code", "answer"),
    [
        (["--step", "trust-region:radus=0.1"], 2, "unknown setting 'radus'. Did you mean 'radius'?"),
        (["--step", "trust-region:radius=wide"], 2, "setting radius: 'wide' is not of type float"),
        (["--step", "trust-region:radius=-1"], 1, "--step trust-region:radius=-1: radius must be"),
        (["--step", "trust-region:0.1,0.2"], 2, "write '0.2' as key=value"),
        (["--step", "trust-region:radius=1,radius=2"], 2, "radius is given twice"),
        (["--step", "fixed-rate"], 2, "needs learning_rate=…"),
        (["--step", "adaptive:near=(nonsense)"], 2, "'nonsense' is none of adaptive"),
        (["--damping", "signal-to-noise:on=0.1"], 2, "'0.1' is none of absolute"),
        (["--step", "armijo", "--learning-rate", "0.1"], 1, "exclude each other"),
        (["--optimizer", "adam:betaa1=1"], 2, "unknown setting 'betaa1'. Did you mean 'beta1'?"),
        (["--optimizer", "adam:beta1=2"], 1, "beta1 must be"),
        (["--optimizer", "adam:learning_rate=1", "--learning-rate", "1"], 2, "leave one out"),
        (["--optimizer", "cobyla:nonsense=1"], 1, "nonsense"),
        (["--optimizer", "adam", "--refresh", "3"], 2, "--refresh does not go with --optimizer adam"),
        (["--optimizer", "rotosolve:x=1"], 2, "x"),
        (["--refresh", "0"], 1, "every must be a whole number"),
        (["--refresh", "often"], 2, "setting every: 'often' is not of type int"),
        (["--approx", "matrix-free:a=1"], 2, "matrix-free has no settings"),
        (["--approx", "full:a=1"], 2, "unknown setting 'a'"),
        (["--shots", "target-error"], 2, "needs energy=…"),
        (["--shots", "auto:total=-3"], 1, "total must be"),
        (["--bounds", "1"], 2, "write LOW,HIGH"),
        (["--bounds", "low,high"], 2, "write LOW,HIGH"),
        (["--bounds", "0,1", "--bounds", "t[0]=0,1"], 2, "exclude each other"),
        (["--bounds", "2,1"], 1, "low must be less than high"),
        (["--bounds", "x=0,1"], 1, "x"),
        (["--frozen", "x"], 1, "x"),
        (["--theta0", "zero"], 2, "write a list such as"),
        (["--theta0", "[1]"], 1, "theta"),
        (["--theta0", "[NaN, 1, 2, 3]"], 1, "theta"),
        (["--cvar", "half"], 2, "write a number above 0"),
        (["--cvar", ""], 2, "write a number above 0"),
        (["--cvar", "1.5"], 1, "alpha must be"),
        (["--cvar", "0.5,0.2"], 1, "does not ascend"),
        (["--cvar", "0.5"], 1, "do not commute"),
        (["--target", "nan"], 1, "--target"),
    ],
)
def test_what_cannot_be_meant_is_named(options, code, answer):
    assert answer in refused("run", TOY, *options, code=code)


@pytest.mark.parametrize("option", sorted(set(NAMES) - {"shots"}))
def test_an_unknown_name_lists_the_known_ones(option):
    with pytest.raises(UsageError, match=f"'nonsense' is none of {next(iter(NAMES[option]))}"):
        read_rule(option, "nonsense")


def test_a_rule_out_of_range_says_which_option():
    with pytest.raises(SettingError, match="--damping absolute:-1: damping: value must be"):
        read_rule("damping", "absolute:-1")


# --- options do what the arguments do ---


def test_options_give_what_python_gives(tmp_path: Path):
    path = file_with(tmp_path, DIAGONAL)
    found = documents(
        "run", path, "--cvar", "0.3,0.6", "--bounds", "b=0,0.5", "--frozen", "a", "--steps", "6", "--theta0",
        "[0.5, 0.2, 0.1]", "--step", "trust-region:radius=0.1", "--damping", "unit-diagonal:on=(absolute:0.05)",
    )  # fmt: skip
    space: dict[str, typing.Any] = {}
    exec(DIAGONAL, space)
    problem = space["problem"]()
    rule = package.QNG(step=TrustRegion(radius=0.1), damping=package.damping.UnitDiagonal(Absolute(0.05)))
    wanted = package.minimize(
        problem.circuit, package.CVaR(problem.observable, [0.3, 0.6]), [0.5, 0.2, 0.1], optimizer=rule, frozen=["a"],
        bounds={"b": (0.0, 0.5)}, max_steps=6,
    )  # fmt: skip
    assert found["energy"] == wanted.energy
    assert found["theta"] == list(wanted.state.lowest[0])
    assert found["run"]["cvar"] == "0.3,0.6"


def test_a_target_and_a_gradient_norm_end_a_run():
    assert documents("run", TOY, "--target", "-0.5")["status"] == "target"
    assert documents("run", TOY, "--gtol", "10", "--tol", "0")["steps"] <= 1


# --- a file of options ---

CONFIG = """
max-steps = 4
tol = 0.0
shots = 500
seed = 3
wrap-angles = true
bounds = {"t[0]" = [-3, 3]}

[set]
layers = 3
known = false

[step]
name = "trust-region"
radius = 0.1

[damping]
name = "signal-to-noise"
on = {name = "absolute", value = 0.1}

[budget]
shots = 100_000

[price]
per_shot = 0.001
"""
AS_OPTIONS = [
    "--max-steps", "4", "--tol", "0", "--shots", "500", "--seed", "3", "--wrap-angles", "--bounds", "t[0]=-3,3",
    "--set", "layers=3", "--set", "known=false", "--step", "trust-region:radius=0.1", "--damping",
    "signal-to-noise:on=(absolute:value=0.1)", "--budget-shots", "100000", "--price", "per_shot=0.001",
]  # fmt: skip


def config(folder: Path, text: str) -> str:
    path = folder / "run.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def numbers(document: dict[str, typing.Any]) -> typing.Any:
    return {name: part for name, part in document.items() if name not in ("run", "began")}


def test_a_file_says_what_options_say(tmp_path: Path):
    path = config(tmp_path, CONFIG)
    by_file, by_options = documents("run", TOY, "--config", path), documents("run", TOY, *AS_OPTIONS)
    assert numbers(by_file) == numbers(by_options)
    assert by_file["cost"]["money"] > 0
    same = set(by_file["run"]) - {"seconds"}
    assert {name: by_file["run"][name] for name in same} == {name: by_options["run"][name] for name in same}


def test_options_override_the_file(tmp_path: Path):
    path = config(tmp_path, CONFIG)
    changed = documents("run", TOY, "--config", path, "--max-steps", "2", "--set", "layers=1", "--step", "armijo")
    assert changed["steps"] == 2
    assert changed["run"]["step"] == "armijo"
    assert len(changed["theta"]) == 2  # by layers=1
    assert changed["problem"]["reference_energy"] is None  # by the file's known=false


def test_what_was_used_is_kept_and_does_the_same_again(tmp_path: Path):
    path = config(tmp_path, CONFIG)
    out, kept = tmp_path / "out", tmp_path / "kept"
    first = qngd("run", TOY, "--config", path, "--seed", "5", "--out", str(out), "--run-dir", str(kept))
    assert first.exit_code == 0, first.output
    assert (out / "settings.toml").read_text() == (kept / "settings.toml").read_text()
    again = documents("run", TOY, "--config", str(out / "settings.toml"))
    stored = json.loads((out / "result.json").read_text())
    assert numbers(again) == numbers(stored)
    assert again["run"]["seed"] == 5


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("max-step = 3", "unknown key 'max-step'. Did you mean 'max-steps'?"),
        ("zzz = 3", "unknown key 'zzz'. It knows "),
        ("problem = 'x'", "unknown key 'problem'"),
        ("config = 'x'", "unknown key 'config'"),
        ("[budget]\nshot = 3", "unknown key 'budget-shot'. Did you mean 'budget-shots'?"),
        ("max-steps = 'many'", "max-steps: "),
        ("max-steps = '3'", "max-steps: write the number without quotes; got '3'"),
        ("tol = '1e-3'", "tol: write the number without quotes; got '1e-3'"),
        ("max-steps = -1", "max-steps: "),
        ("max-steps = 1\nsteps = 2", "steps is given twice"),
        ("step = 'nonsense'", "step: 'nonsense' is none of adaptive"),
        ("[step]\nradius = 1", "step: "),
        ("wrap-angles = 'yes'", "wrap-angles: write true or false"),
        ("max-steps = [", "is no TOML"),
        ("max-steps", "is no TOML"),
        ("[set]\nlayer = 3", "unknown setting 'layer'. Did you mean 'layers'?"),
        ("[price]\nper_shots = 3", "Did you mean 'per_shot'?"),
    ],
)
def test_what_a_file_cannot_say(text: str, answer: str, tmp_path: Path):
    assert answer in refused("run", TOY, "--config", config(tmp_path, text), code=2)


def test_files_that_cannot_be_read(tmp_path: Path):
    (tmp_path / "binary").write_bytes(bytes(range(256)))
    assert "no such file or directory" in refused("run", TOY, "--config", str(tmp_path / "no"), code=2)
    assert "is a directory" in refused("run", TOY, "--config", str(tmp_path), code=2)
    assert "is no TOML" in refused("run", TOY, "--config", str(tmp_path / "binary"), code=2)


# --- help ---


@pytest.mark.parametrize("name", COMMANDS)
def test_help_shows_what_is_written(name: str):
    """Typer takes words in square brackets for markup, and keeps the ends of lines inside a paragraph."""
    command = COMMANDS[name]
    texts = [command.help or "", *(parameter.help or "" for parameter in command.params)]
    assert not [text for text in texts if "[" in text]
    assert not [part for part in (command.help or "").split("\n\n") if "\n" in part.strip()]


# --- JSON ---


def test_every_command_has_json():
    for name, command in COMMANDS.items():
        assert "as_json" in {parameter.name for parameter in command.params}, name


def test_keys_of_json(tmp_path: Path):
    out = str(tmp_path / "out")
    run = documents("run", TOY, "--steps", "2", "--out", out)
    assert {"qngd", "problem", "run", "status", "message", "steps", "energy", "stderr", "theta", "cost"} <= set(run)
    assert run["cost"].keys() >= {"jobs", "circuits", "shots", "seconds", "money"}
    assert [Path(path).name for path in documents("plot", out)["plots"]] == ["convergence.png", "spectrum.png"]
    layers = documents("layers", TOY)
    assert set(layers) == {"problem", "num_qubits", "parameters", "layers", "step"}
    assert len(layers["layers"]) == 2
    three = documents("cost", TOY, "--shots", "100", "--restarts", "3")
    price = documents("cost", TOY, "--shots", "100", "--budget-shots", "10000")
    assert three["run"]["shots"] == 3 * price["run"]["shots"]
    assert set(price) == {"problem", "backend", "steps", "restarts", "step", "run", "about", "offers"}
    assert price["run"]["shots"] == price["step"]["shots"] * 101
    assert price["offers"][0]["affordable_steps"] == 10_000 // price["step"]["shots"] - 1
    cones = documents("cost", TOY, "--backend", "light-cone")
    assert cones["memory_bytes"] > 0


def test_the_doctor(monkeypatch):
    found = documents("doctor")
    assert set(found) == {
        "qngd", "folder", "python", "executable", "platform", "packages", "threads", "blas", "cache", "backends",
        "missing", "faults",
    }  # fmt: skip
    assert found["qngd"] == package.__version__
    assert found["faults"] == []
    assert found["backends"][:2] == ["statevector", "light-cone"]
    assert found["cache"]["files"] > 0 or not found["cache"]["writable"]
    assert "all well" in qngd("doctor").output
    monkeypatch.setattr("qngd.api.expectation", lambda *arguments: 1 / 0)
    broken = documents("doctor", code=1)
    assert broken["faults"] == ["a run of one qubit failed: ZeroDivisionError: division by zero"]


def test_what_is_missing_comes_with_the_line_to_install_it(monkeypatch):
    from importlib import metadata

    def version(name: str) -> str:
        if name in ("cma", "pennylane"):
            raise metadata.PackageNotFoundError(name)
        return "1"

    monkeypatch.setattr("qngd.cli.doctor.metadata.version", version)
    found = documents("doctor")
    assert found["missing"]["cma"] == {"packages": ["cma"], "install": "pip install '.[cma]' in a checkout of qngd"}
    assert "default.qubit" not in found["backends"]
    extras = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert all(f"\n{extra} = [" in extras for extra in found["missing"])


# --- where it is called from ---


def shell(command: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    line = command.replace("qngd", f"{sys.executable} -m qngd")
    return subprocess.run(
        ["bash", "-c", line], cwd=ROOT, env={**os.environ, **environment}, capture_output=True, timeout=120, check=False
    )


@pytest.mark.skipif(os.name == "nt" or not os.path.exists("/dev/full"), reason="needs a shell and Linux")
def test_no_traceback_without_anybody_to_read():
    """A pipe whose reader has gone, closed outputs, a full disk."""
    for command, code in [
        ("qngd layers tests/toy.py --set layers=400 | head -1; exit ${PIPESTATUS[1]}", 0),
        ("qngd run tests/toy.py --steps 2 >&- 2>&-", None),
        ("qngd run tests/toy.py --steps 2 >/dev/full", 1),
    ]:
        done = shell(command)
        assert code in (None, done.returncode), command
        assert b"Traceback" not in done.stderr, done.stderr.decode()
        assert b"Exception ignored" not in done.stderr, done.stderr.decode()


@pytest.mark.skipif(os.name == "nt", reason="needs a shell")
def test_files_are_kept_though_the_reader_of_a_pipe_has_gone(tmp_path: Path):
    done = shell(f"qngd run tests/toy.py --steps 5 --tol 0 --out {tmp_path} | head -1")
    assert b"Traceback" not in done.stderr
    assert json.loads((tmp_path / "result.json").read_text())["status"] in ("max_steps", "failed")


def test_any_terminal_will_do():
    """A narrow one, and one whose encoding has no Greek letters."""
    narrow = {"COLUMNS": "40", "LC_ALL": "C", "PYTHONIOENCODING": "ascii", "TERM": "dumb", "NO_COLOR": "1"}
    done = shell("qngd run --help && qngd run tests/toy.py --steps 2 --seed 1", **narrow)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stderr == b""
