"""How objects look: short texts, tables and pictures in notebooks, progress, and what the docs show."""

from __future__ import annotations

import io
import logging
import re
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import qngd
from qngd._system.html import coarsened, columns_table, matrix_picture
from qngd.cli.looking import Wanted, follow, view
from qngd.errors import SettingError
from qngd.report import live
from tests.command_line import TOY
from tests.command_line import qngd as command
from tests.pages import shown
from tests.toy import problem


@pytest.fixture(scope="module")
def long_run():
    """A run of 40 steps with 30 parameters."""
    builder = qngd.CircuitBuilder(5)
    for layer in range(6):
        for qubit in range(5):
            builder = builder.ry(builder.parameter(f"a{layer}_{qubit}"), qubit)
        for qubit in range(4):
            builder = builder.cx(qubit, qubit + 1)
    given = qngd.Problem(builder, {"ZZIII": 1.0, "IIXIX": 0.5, "IZIIZ": 0.2}, np.linspace(0.1, 1.0, 30))
    return given, qngd.minimize(given, max_steps=40, tol=0)


def test_texts_of_public_objects_are_short(long_run):
    given, result = long_run
    circuit = qngd.wrap(given.circuit)
    evaluation = result.state.evaluation
    objects = [
        result, result.state, result.infos[3], result.infos[3].spectrum, evaluation, evaluation.gradient,
        evaluation.metric, circuit, given.circuit, given, qngd.Problem(circuit, given.observable, given.theta0),
        qngd.Objective(given.circuit, [given.observable], lambda out: out[0]), qngd.cost(given), result.cost,
        circuit.layers[0], circuit.angle_map, circuit.generators, circuit.ops, circuit.frame, qngd.Budget(shots=3),
        qngd.excited_states(problem(), 2, max_steps=2)[0], qngd.compare([result]), qngd.CVaR(given.observable, 0.2),
        qngd.QNG(), qngd.AutoShots(100), result.restarts,
    ]  # fmt: skip
    for each in objects:
        assert len(repr(each)) <= 1000, f"{type(each).__name__}: {len(repr(each))}"
    assert len(repr(result)) < 300
    assert repr(result).startswith("Result(energy=")
    assert repr(evaluation.metric).startswith("MetricTensor(value=<array (30, 30)>")


def test_what_is_printed_is_for_people():
    """Prices and comparisons as the command line prints them, a step in a line."""
    seen = []
    given = problem()
    for seed in range(2):
        qngd.minimize(given, shots=50, seed=seed, max_steps=2, tol=0, callback=seen.append)
    for info in seen:
        energy, error = (float(text) for text in re.findall(r"energy (\S+) ± ([\d.]+),", str(info))[0])
        assert str(info).startswith(f"step {info.step}: ")
        assert energy == pytest.approx(info.energy, abs=error)
        assert str(info).endswith(", rejected") is not info.accepted
    price = qngd.cost(given, shots=50, steps=7)
    printed = command("cost", TOY, "--shots", "50", "--steps", "7").output.splitlines()
    assert str(price).splitlines() == printed[1:]
    cones = qngd.cost(given, backend="light-cone")
    assert [line.split("  ")[0] for line in str(cones).splitlines()] == list(cones.rows())
    runs = [qngd.minimize(given, optimizer=name, max_steps=2) for name in ("qng", "adam")]
    head, *rows = str(qngd.compare(dict(zip(("ours", "theirs"), runs, strict=True)))).splitlines()
    assert head.split()[:3] == ["runs", "ended", "energy"]
    for row, label, run in zip(rows, ("ours", "theirs"), runs, strict=True):
        assert row.startswith(label)
        assert f"{run.energy:.10g}" in row


def test_what_is_not_known_of_a_step_is_not_shown():
    output = command("run", TOY, "--optimizer", "cobyla", "--max-steps", "2").output
    assert "step 1/2" in output
    assert "nan" not in output


def test_small_arrays_are_written_out():
    toy = problem()
    assert repr(qngd.expectation(toy.circuit, toy.observable, [0.0] * 4)).startswith("Estimate(value=1.0")
    found = qngd.gradient(toy.circuit, toy.observable, [0.1, 0.2, 0.3, 0.4])
    assert f"value=[{found.value[0]:.6g}, {found.value[1]:.6g}, " in repr(found)


def test_tables_and_pictures_of_notebooks(long_run):
    given, result = long_run
    sampled = qngd.minimize(problem(), shots=50, seed=1, max_steps=1)
    evaluation = sampled.state.evaluation
    diagonal = qngd.minimize(given.circuit, qngd.CVaR({"ZZIII": 1.0}, 0.3), given.theta0, max_steps=1)
    (best,) = diagonal.bit_strings.best(1)
    texts = {
        "diagonal": (diagonal, ["mean energy", f"{diagonal.mean:.10g}", "best bit strings", f"{best.bits} (-1; "]),
        "result": (result, ["max steps", "40", 'alt="Energy against steps']),
        "circuit": (qngd.wrap(given.circuit), ["5 qubits", "30 parameters", "ry"]),
        "estimate": (evaluation.energy, ["±", "from 800 shots"]),
        "array": (evaluation.gradient, ["±"]),
        "metric": (evaluation.metric, ["block-diag", "largest standard error", "<img alt="]),
        "price": (qngd.cost(problem(), shots=50), ["device time", "one step", "QN-SPSA"]),
        "light cones": (qngd.cost(problem(), backend="light-cone"), ["memory"]),
    }
    for name, (each, words) in texts.items():
        html = each._repr_html_()
        assert html.count("<table>") == html.count("</table>") == (2 if name == "price" else 1), name
        assert [word for word in words if word not in html] == [], name


def test_a_notebook_shows_a_stored_run_as_its_result(long_run, tmp_path):
    _, result = long_run
    result.save(tmp_path)
    stored = qngd.load(tmp_path)
    html = stored._repr_html_()
    assert [word for word in ("StoredRun: ", "max steps", 'alt="Energy against steps') if word not in html] == []
    drawn, expected = (each.plot("spectrum").axes[0].lines[0].get_ydata() for each in (stored, result))
    assert np.array_equal(drawn, expected)
    with pytest.raises(SettingError, match="spectrm"):
        stored.plot("spectrm")


def test_a_notebook_shows_a_stored_run_without_an_energy(tmp_path):
    def broken(circuit, shots):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        qngd.minimize(problem(), backend=broken, shots=20, run_dir=tmp_path)
    assert "no energy yet" in qngd.load(tmp_path)._repr_html_()


def test_a_notebook_shows_figures_and_medians_without_pyplot(long_run):
    formats = pytest.importorskip("IPython.core.formatters")
    _, result = long_run
    several = qngd.compare([qngd.minimize(problem(), shots=20, seed=s, max_steps=2, tol=0) for s in range(3)])
    for figure in (result.plot(), result.plot("spectrum"), several.plot()):
        shown, _ = formats.DisplayFormatter().format(figure)
        assert shown["image/png"].startswith((b"\x89PNG", "iVBOR"))
    assert "Lines are medians over the runs" in several._repr_html_()


def test_a_table_escapes_what_it_holds():
    table = columns_table("a < b", ["<i>"], [["x & y", "<script>"]])
    assert "<script>" not in table
    assert "&lt;script&gt;" in table
    assert "a &lt; b" in table


def test_a_large_matrix_is_shown_by_its_largest_entries():
    matrix = np.zeros((7, 7))
    matrix[6, 2] = -5.0
    matrix[0, 0] = 1.0
    np.testing.assert_array_equal(coarsened(matrix, 3), [[1, 0, 0], [0, 0, 0], [-5, 0, 0]])
    assert "from -5 (blue) to 5 (red)" in matrix_picture(matrix, "x")
    assert matrix_picture(np.full((2, 2), np.nan), "x") == ""


# --- progress ---


def test_progress_goes_to_standard_error_and_changes_nothing(capsys):
    shown_to = []
    quiet = qngd.minimize(problem(), shots=20, seed=1, max_steps=20, tol=0)
    told = qngd.minimize(problem(), shots=20, seed=1, max_steps=20, tol=0, progress=True, callback=shown_to.append)
    assert np.array_equal(quiet.history, told.history)
    assert len(shown_to) == 20
    out, err = capsys.readouterr()
    assert out == ""
    assert [int(line.split("/")[0].split()[-1]) for line in err.splitlines()] == [1, *range(2, 21, 2)]


def test_progress_says_which_of_several_runs_goes_on(capsys):
    qngd.minimize(problem(), max_steps=2, tol=0, restarts=2, progress=True)
    assert [line.split("  ")[:2] for line in capsys.readouterr().err.splitlines()] == [
        [f"start-{k}", f"step {n}/2"] for k in (0, 1) for n in (1, 2)
    ]
    one = qngd.CircuitBuilder(1)
    seen = []
    one.ry(one.parameter("a"), 0)
    qngd.excited_states(
        one, 2, {"Z": 1.0}, [0.3], restarts=2, max_steps=1, callback=lambda info: seen.append(live.line(info, 1, None))
    )
    assert [line.split("  ")[0] for line in seen] == [f"state-{j} start-{k}" for j in (0, 1) for k in (0, 1)]


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_the_bar_of_several_runs_is_that_of_the_one_that_goes_on():
    shown = []
    screen = live._Redrawn(SimpleNamespace(draw=lambda lines, done, refresh: shown.append(done)), 2, None)
    qngd.minimize(problem(), max_steps=2, tol=0, restarts=2, callback=screen)
    assert shown == [0.5, 1.0, 0.5, 1.0]


def test_a_bar_on_a_terminal():
    stream = Terminal()
    with live.progress(4, -1.0, stream) as show:
        qngd.minimize(problem(), max_steps=2, callback=show)
    assert "step 2/4" in stream.getvalue()
    assert "━" in stream.getvalue()


def test_a_bar_in_a_notebook():
    """By IPython's own display, without widgets."""
    pytest.importorskip("IPython")
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.utils.capture import capture_output

    InteractiveShell.instance()
    try:
        with capture_output() as captured:
            screen = live._InNotebook()
            screen.draw(["step 1/2 <b>"], 0.5, True)
            screen.draw(["never"], 0.7, False)
            screen.draw(["step 2/2"], 1.0, True)
    finally:
        InteractiveShell.clear_instance()
    pages = [output.data["text/html"] for output in captured.outputs]
    assert ['value="0.5000"' in pages[0], "&lt;b&gt;" in pages[0]] == [True, True]
    assert "step 2/2" in pages[-1]
    assert len(pages) == 2


CODE = """
import logging, numba, sys
from qngd._system import announced
from qngd._system.compilation import kernel

class Terminal:
    def __init__(self): self.text = ""
    def isatty(self): return {terminal}
    def write(self, text): self.text += text
    def flush(self): pass

real, sys.stderr = sys.stderr, Terminal()
numba.njit(lambda x: x)(1)  # of somebody else
before = sys.stderr.text
def one(x): return x + 1
one.__module__ = "qngd.test"
made = numba.njit(one)
made(1); made(1.5)
print([before, sys.stderr.text.count("compiling")])
"""


@pytest.mark.parametrize("terminal", [True, False])
def test_compilation_is_announced_once_and_on_a_terminal_alone(terminal):
    code = CODE.replace("{terminal}", str(terminal))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == f"['', {int(terminal)}]"


# --- logs ---


def test_the_package_logs_what_costs_something(caplog):
    with caplog.at_level(logging.INFO, logger="qngd"):
        qngd.minimize(problem(), shots=10, seed=1, max_steps=1)
    texts = [record.getMessage() for record in caplog.records if record.name == "qngd"]
    assert re.fullmatch(r"run of two spins, \$1 begins: 4 parameters, statevector", texts[0])
    assert texts.count("submitted to statevector: 16 circuits, 160 shots") == 2
    assert texts[-1].startswith("run of two spins, $1 ended: ")


def test_nothing_is_shown_to_who_does_not_ask():
    code = "import logging, qngd, qngd._system.logs; print(logging.getLogger('qngd').handlers)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert "NullHandler" in done.stdout
    assert done.stderr == ""


# --- stored runs ---


def test_a_saved_result_is_the_run_that_was(tmp_path: Path):
    toy = problem(unit="hartree")
    result = qngd.minimize(toy, shots=50, seed=1, max_steps=3, tol=0)
    straight = qngd.minimize(toy, shots=50, seed=1, max_steps=5, tol=0, run_dir=tmp_path / "kept")
    result.save(tmp_path / "saved")
    stored = qngd.load(tmp_path / "saved")
    assert np.array_equal(stored.history, result.history)
    assert np.array_equal(stored.thetas[1:], [info.theta for info in result.infos])
    assert stored.infos[2].shots_for == result.infos[2].shots_for
    assert np.array_equal(stored.minimize(max_steps=5).history, straight.history)
    with pytest.raises(qngd.SettingError, match="holds a run already"):
        result.save(tmp_path / "saved")
    several = qngd.minimize(toy, restarts=2, seed=1, max_steps=1)
    several.save(tmp_path / "several")
    assert qngd.load(tmp_path / "several" / "start-1").energy == several.restarts[1].energy


def test_a_directory_gives_the_same_data_as_its_result(tmp_path: Path):
    toy = problem(unit="hartree")
    result = qngd.minimize(toy, shots=50, seed=1, max_steps=3, tol=0, run_dir=tmp_path / "run")
    (one,), (other,) = qngd.compare([tmp_path / "run"]).runs, qngd.compare([result]).runs
    for name, column in one.history.items():
        np.testing.assert_array_equal(column, other.history[name], err_msg=name)
    assert (one.name, one.unit, one.reference) == (other.name, other.unit, other.reference)
    assert sorted(one.metrics) == [0, 1, 2, 3]
    assert sorted(other.metrics) == [3]
    assert {k: one.result["run"][k] for k in ("shots", "seed")} == {"shots": 50, "seed": 1}


def test_the_report_command(tmp_path: Path):
    for seed in (1, 2, 3):
        qngd.minimize(problem(), shots=20, seed=seed, max_steps=1, tol=0, run_dir=tmp_path / f"run-{seed}")
    folders = [str(tmp_path / f"run-{seed}") for seed in (1, 2, 3)]
    done = command("report", *folders, "--html", str(tmp_path / "all.html"), "--labels", "a,a,b")
    assert done.exit_code == 0, done.output
    text = (tmp_path / "all.html").read_text(encoding="utf-8")
    assert "3 runs side by side" in text
    table = command("report", folders[0])
    assert table.output.splitlines()[0].split()[:2] == ["runs", "ended"]
    wrong = command("report", *folders, "--labels", "a,b")
    assert wrong.exit_code == 2
    assert "2 names for 3 directories" in wrong.output
    assert command("report", str(tmp_path / "nowhere")).exit_code != 0


def test_a_run_is_followed_to_its_end(tmp_path: Path, capsys):
    """The follower looks on while another thread runs, and ends with it."""
    go, stepped = threading.Event(), threading.Event()

    def wait(info):
        if info.step == 1:
            stepped.set()
            go.wait(30)

    how = {"max_steps": 3, "tol": 0, "run_dir": tmp_path / "run", "callback": wait}
    runner = threading.Thread(target=qngd.minimize, args=(problem(),), kwargs=how)
    runner.start()
    try:
        stepped.wait(30)
        assert "running" in view(qngd.load(tmp_path / "run"))[0]
    finally:
        go.set()
    follow(Wanted((tmp_path / "run",), html=tmp_path / "page.html"), 0.01)
    runner.join()
    out = capsys.readouterr().out
    assert "step 3/3" in out
    assert "max_steps=3 reached" in out
    assert 'http-equiv="refresh"' not in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_the_page_on_reports(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = shown("reports.md")
    assert np.all(found.lower <= found.median)
    written = {path.name for path in tmp_path.iterdir()}
    assert {"two-spins.html", "qng-and-adam.html", "rate.png", "steps.csv", "convergence.svg"} <= written


def test_the_page_about_tables(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = shown("howto/read-results.md")
    assert [row["energy"] for row in page.rows] == list(page.result.history[1:])
    assert [float(row["energy"]) for row in page.steps] == list(page.result.history[1:4])
    page.result.save(tmp_path / "kept")
    assert {"history", "thetas", "infos"} <= set(dir(qngd.load(tmp_path / "kept")))
    assert qngd.load(tmp_path / "kept").as_dict()
