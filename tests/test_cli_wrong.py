"""Wrong input on the command line: never a traceback, never exit code 0, always the cause and what to write."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest

from tests.command_line import NULL_BYTES, ROOT, TOY, file_with, qngd, refused

WRITE = "write def problem(**settings): return qngd.Problem(circuit, observable, theta0)"


def usage(*arguments: str) -> str:
    """The words in the box that Typer draws around what it refuses itself."""
    result = qngd(*arguments)
    assert result.exit_code == 2, result.output
    assert isinstance(result.exception, SystemExit)
    return " ".join(re.sub(r"[│╭╮╰╯─|+]|-{2,}(?=\s|$)", " ", result.output).split())


# --- what is no problem file ---


@pytest.mark.parametrize("command", ["run", "layers", "cost"])
@pytest.mark.parametrize(
    ("target", "answer"),
    [
        ("", "no file is given; give one such as circuits/h2.py"),
        (".", ".: is a directory; give a file in it: mine.py"),
        ("./", "./: is a directory; give a file in it: mine.py"),
        ("..", "..: is a directory"),
        ("/", "/: is a directory"),
        ("folder.py", "folder.py: is a directory; give a Python file"),
        ("folder", "folder: is a directory; give a Python file"),
        ("folder/mine.py", "folder/mine.py: no such file or directory"),
        ("mine.py/x.py", "mine.py/x.py: not a directory"),
        ("a" * 300 + ".py", "file name too long"),
        ("a" * 300, "no such file or module"),
        ("empty", f"empty is not a Python file; in one, {WRITE}"),
        ("binary.png", f"binary.png is not a Python file; in one, {WRITE}"),
        ("circuit.qasm", f"circuit.qasm is not a Python file; in one, {WRITE}"),
        ("empty.py", f"empty.py has no function problem(). In it, {WRITE}"),
        ("number.py", f"number.py has no function problem(). In it, {WRITE}"),
        ("near.py", "near.py has no function problem(). Did you mean 'problems'? In it, write"),
        ("sys", "sys has no function problem()"),
        ("os.path", "os.path has no function problem()"),
        ("xml.nope.nope", "xml.nope.nope: no such file or module"),
        (".mine", "'.mine' is neither a file nor the name of a Python module"),
        ("mine.", "'mine.' is neither a file nor the name of a Python module"),
    ],
)
def test_what_is_no_problem_file(command: str, target: str, answer: str, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    for name in ("folder", "folder.py"):
        (tmp_path / name).mkdir()
    file_with(tmp_path, "x = 1\n\ndef problem():\n    return 3\n")
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "empty.py").write_bytes(b"")
    (tmp_path / "number.py").write_text("problem = 3\n", encoding="utf-8")
    (tmp_path / "near.py").write_text("def problems(): ...\n", encoding="utf-8")
    (tmp_path / "binary.png").write_bytes(bytes(range(256)))
    (tmp_path / "circuit.qasm").write_text("OPENQASM 3.0; qubit q;", encoding="utf-8")
    assert answer in refused(command, target, code=2)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no such files")
def test_a_pipe_is_not_waited_for(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe.py")
    assert "pipe.py: is not a regular file" in refused("run", str(tmp_path / "pipe.py"), code=2)


# --- what is wrong in one ---


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (b"def problem(:\n", "mine.py:1: SyntaxError: invalid syntax"),
        (b"def problem():\n\tx = 1\n        y = 2\n", "mine.py:3: TabError"),
        (b"x = '\xe9'\n", "mine.py:1: SyntaxError: (unicode error)"),
        (bytes(range(256)), f"mine.py:1: {NULL_BYTES}"),
        (b"import sys\nsys.exit(0)\n", "mine.py:2: SystemExit: 0; the file ends the program: what it does on its own"),
        (b"def problem():\n    raise SystemExit\n", "belongs under if __name__ == '__main__':"),
        (b"def problem(): pass\n", "problem() returned NoneType, not a qngd.Problem; end it with return qngd.Problem("),
        (b"async def problem(): pass\n", "problem() returned coroutine, not a qngd.Problem"),
        (b"def problem(): yield 1\n", "problem() returned generator, not a qngd.Problem"),
        (b"def problem(): return problem()\n", "mine.py:1: RecursionError"),
        (b"def problem(): raise MemoryError\n", "mine.py:1: MemoryError"),
        (b"class E(Exception):\n    def __str__(self): 1/0\ndef problem(): raise E\n", "mine.py:3: E"),
        (b"import qngd\ndef problem(): return qngd.Problm()\n", "has no attribute 'Problm'. Did you mean 'Problem'?"),
        (
            b"import qngd\ndef problem(): return qngd.Problem(x=1)\n",
            "mine.py:2: TypeError: Problem() got an",
        ),
        (b"def problem(a: 'x.y' = 1, b: '1 +' = 2): return a\n", "problem() returned int"),
        (b"import sys\ndef problem(a: 'sys.nope' = 1): return a\n", "problem() returned int"),
        (b"import networkx_is_not_there\n", "mine.py:1: ModuleNotFoundError"),
    ],
)
def test_what_is_wrong_in_a_problem_file(text: bytes, answer: str, tmp_path: Path):
    (tmp_path / "mine.py").write_bytes(text)
    assert answer in refused("run", str(tmp_path / "mine.py"), code=1)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("problem = dict\n", f"problem is <class 'dict'>, which does not tell what it takes; {WRITE}"),
        ("def problem(size, /): ...\n", "takes size by its place, and settings come by name; remove the /"),
        ("def problem(size): ...\n", "needs --set size=…"),
    ],
)
def test_a_function_that_cannot_be_called_by_names(text: str, answer: str, tmp_path: Path):
    assert answer in refused("run", file_with(tmp_path, text), code=2)


# --- settings ---


@pytest.mark.parametrize(
    ("setting", "answer"),
    [
        ("layers", "--set layers: write it as name=value"),
        ("=3", "--set =3: write it as name=value"),
        ("layer=3", "unknown setting 'layer'. Did you mean 'layers'? "),
        ("Layers=3", "unknown setting 'Layers'. Did you mean 'layers'? "),
        ("entirely=3", "unknown setting 'entirely'. "),
        ("layers=two", "setting layers: 'two' is not of type int"),
        ("layers=", "setting layers: '' is not of type int"),
        ("layers=1e3", "setting layers: '1e3' is not of type int"),
        ("known=maybe", "setting known: 'maybe' is not of type bool; write true or false"),
        ("start=[1", "write it as JSON, such as [1, 2]"),
    ],
)
def test_settings(setting: str, answer: str):
    line = refused("run", TOY, "--set", setting, code=2)
    assert answer in line
    assert ("Did you mean" in line) == ("Did you mean" in answer)


@pytest.mark.parametrize(
    ("setting", "answer"),
    [
        ("layers=0", "toy.py:22: layers must be at least 1, got 0"),
        ("start=[1, 2]", "theta"),
        ('start=["a", "b", "c", "d"]', "theta"),
        ("start=[1, 2, 3, null]", "theta"),
        ("field=nan", "reference_energy must be a finite number"),
    ],
)
def test_values_that_the_problem_does_not_take(setting: str, answer: str):
    assert answer in refused("run", TOY, "--set", setting, code=1)


# --- options ---


@pytest.mark.parametrize(
    ("options", "code", "answer"),
    [
        (["--shots", "-1"], 2, "--shots: '-1' is neither a whole number of at least 1 nor \"auto\""),
        (["--shots", "0"], 2, "--shots: '0'"),
        (["--shots", "1.5"], 2, "--shots: '1.5'"),
        (["--shots", "²"], 2, "--shots: '²'"),
        (["--shots", "many"], 2, "--shots: 'many'"),
        (["--shots", "1" + 30 * "0"], 1, "shots of a circuit on the embedded simulator needs"),
        (["--backend", "nonsense"], 1, "backend: 'nonsense' is not known. Give None or 'statevector'"),
        (["--backend", ""], 1, "backend: '' is not known."),
        (["--backend", "Statevector"], 1, "Did you mean 'statevector'?"),
        (["--learning-rate", "-0.1"], 1, "--learning-rate must be a positive number"),
        (["--learning-rate", "nan"], 1, "--learning-rate must be a positive number"),
        (["--damping", "-1"], 1, "damping must be"),
        (["--optimizer", "gd"], 2, "--optimizer gd needs a --learning-rate"),
        (["--out", "taken"], 1, "cannot write to taken: file exists"),
        (["--out", "taken/x"], 1, "cannot write to taken/x: not a directory"),
        (["--run-dir", "taken"], 1, "cannot write to taken: file exists"),
        (["--run-dir", "taken/x"], 1, "cannot write to taken/x: not a directory"),
    ],
)
def test_options(options: list[str], code: int, answer: str, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").write_bytes(b"")
    assert answer in refused("run", TOY, *options, code=code)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
@pytest.mark.parametrize("option", ["--out", "--run-dir"])
def test_a_folder_that_is_read_only(option: str, tmp_path: Path):
    tmp_path.chmod(0o500)
    assert "permission denied" in refused("run", TOY, option, str(tmp_path / "new"), code=1)


def test_shots_that_a_backend_needs_are_asked_for_as_they_are_written_here(monkeypatch):
    """Aer has shots of its own; a device that has none needs them."""
    pytest.importorskip("qiskit_aer")
    from qngd.backends.qiskit.run import QiskitBackend

    monkeypatch.setattr(QiskitBackend, "default_shots", None)
    assert refused("run", TOY, "--backend", "aer", code=1).endswith("give --shots N")


@pytest.mark.parametrize(
    ("arguments", "answers"),
    [
        (["--optimizer", "nonsense"], ["--optimizer", "nonsense", "qng", "adam", "cobyla"]),
        (["--approx", "nonsense"], ["--approx", "nonsense", "block-diag"]),
        (["--steps", "-1"], ["--steps", "0"]),
        (["--steps", "2.5"], ["--steps", "integer"]),
        (["--tol", "-1"], ["--tol", "0"]),
        (["--seed", "-1"], ["--seed", "0"]),
        (["--learning-rate", "fast"], ["--learning-rate"]),
        (["--out", ""], ["--out", "give the name of a folder"]),
        (["--run-dir", ""], ["--run-dir", "give the name of a folder"]),
        (["--step", "3"], ["--step", "trust-region. The number of steps is --max-steps"]),
        (["--damping", "little"], ["--damping", "'little' is none of absolute", "Or give a number."]),
        (["--learning_rate", "3"], ["--learning_rate", "--learning-rate"]),
        (["--set"], ["--set"]),
        (["more"], ["more"]),
    ],
)
def test_what_the_parser_refuses(arguments: list[str], answers: list[str]):
    text = usage("run", TOY, *arguments)
    assert all(answer in text for answer in answers), text


def test_a_tolerance_that_is_no_number():
    """Typer of some versions refuses it, qngd where Typer does not."""
    result = qngd("run", TOY, "--tol", "nan")
    assert result.exit_code in (1, 2)
    assert isinstance(result.exception, SystemExit)
    assert "tol" in result.output


def test_commands_and_missing_arguments():
    assert "'run'" in usage("rum", TOY)
    assert "PROBLEM" in usage("run")
    assert "DIR" in usage("plot")


@pytest.mark.parametrize(("option", "value"), [("--optimizer", "QNG"), ("--optimizer", "Adam"), ("--approx", "Full")])
def test_names_are_known_in_any_case(option: str, value: str):
    assert qngd("run", TOY, option, value, "--steps", "1").exit_code == 0


@pytest.mark.parametrize("target", ["", ".", "..", "/"])
def test_a_page_that_would_be_a_folder(target: str, tmp_path: Path, monkeypatch):
    """It is refused before anything is drawn."""
    assert qngd("run", TOY, "--steps", "1", "--run-dir", str(tmp_path)).exit_code == 0
    monkeypatch.setattr("qngd.report.page.page", lambda *_, **__: pytest.fail("drawn, and cannot be written"))
    assert "give the name of a file" in refused("report", str(tmp_path), "--html", target, code=1)


@pytest.mark.parametrize("target", ["nowhere", ".", "taken", "garbage"])
def test_plots_of_what_is_no_run(target: str, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").write_bytes(b"")
    (tmp_path / "garbage").mkdir()
    (tmp_path / "garbage" / "result.json").write_bytes(bytes(range(256)))
    assert refused("plot", target, code=1).startswith("DIR: ")


def test_examples_are_offered_where_a_folder_is_given(monkeypatch):
    monkeypatch.chdir(ROOT)
    assert "is a directory; give a file in it: circuits/h2.py, circuits/" in refused("run", "circuits", code=2)


def test_messages_name_what_was_typed(tmp_path: Path):
    """By the name that it has here, with the place that was given."""
    (tmp_path / "taken").write_bytes(b"")
    taken = str(tmp_path / "taken")
    assert refused("run", TOY, "--out", taken, code=1).startswith(f"--out: cannot write to {taken}")
    assert refused("run", TOY, "--run-dir", taken, code=1).startswith(f"--run-dir: cannot write to {taken}")
    assert refused("run", TOY, "--learning-rate", "0", code=1).startswith("--learning-rate must be a positive number")
    assert refused("run", TOY, "--damping", "nan", code=1).startswith("--damping must be a finite number")
    assert refused("run", TOY, "--backend", "statevctor", code=1).startswith("--backend: 'statevctor' is not known")
    kept = str(tmp_path / "kept")
    assert qngd("run", TOY, "--max-steps", "1", "--run-dir", kept).exit_code == 0
    answer = refused("run", TOY, "--max-steps", "1", "--run-dir", kept, "--damping", "1", code=1)
    assert answer.startswith(f"--run-dir: {kept} holds another run")
    nowhere = str(tmp_path / "nowhere")
    for command in ("show", "resume", "report"):
        assert refused(command, nowhere, code=1) == f"DIR: there is no folder {nowhere}"
    answer = refused("sweep", TOY, "--grid", "optimizer=qng,adm", "--out", str(tmp_path / "all"), code=2)
    assert answer.startswith("--grid: Invalid value for '--optimizer': 'adm' is none of")


def test_messages_say_how_a_run_goes_on_here(tmp_path: Path):
    """And not with what only Python has."""
    kept = str(tmp_path / "kept")
    run = ("run", TOY, "--max-steps", "1", "--tol", "0")
    for command, goes_on in (
        (run, "raise it, and with --run-dir DIR the same command would go on from here"),
        ((*run, "--run-dir", kept), "raise it, and the same command goes on"),
        (("resume", kept, "--max-steps", "2"), "raise it, and the call that began the run goes on"),
        (("show", kept), "raise it, and the call that began the run goes on"),
        (("show", kept, "--watch"), "raise it, and the call that began the run goes on"),
    ):
        output = qngd(*command).output
        assert f"reached; {goes_on}\n" in output
        assert "state=" not in output


def test_a_setting_is_called_as_in_python_and_by_its_old_name():
    named = [qngd("run", TOY, option, "2", "--tol", "0").output for option in ("--max-steps", "--steps")]
    assert "step 2/2" in named[0]
    assert named[0].splitlines()[1:3] == named[1].splitlines()[1:3]
