"""The files a run leaves, the plots drawn from them, and the closing table."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import qngd
from qngd.errors import SettingError
from qngd.evaluators.setup import Setup
from qngd.interop.given import read_given
from qngd.report import figures as _figures
from qngd.report import files as report
from qngd.report.circuits import step_measurements
from qngd.report.summary import format_seconds, summary
from qngd.run.pricing.planned import planned_step
from qngd.step import CurvatureRate
from tests.toy import problem

PLOTS = ("convergence.png", "spectrum.png")
DATA = ("history.csv", "result.json", "spectrum.csv")


def minimized(toy: qngd.Problem, **settings: object) -> qngd.Result:
    return qngd.minimize(toy, **{"max_steps": 20, "tol": 0, **settings})


@pytest.fixture
def toy() -> qngd.Problem:
    return problem()


@pytest.fixture
def exact(toy: qngd.Problem) -> qngd.Result:
    """Starts with steps that are far too long, so that some are rejected."""
    return minimized(toy, optimizer=qngd.QNG(step=CurvatureRate(initial=20.0, max_length=20.0, window=1)))


@pytest.fixture
def folder(toy: qngd.Problem, exact: qngd.Result, tmp_path: Path) -> Path:
    report.write(exact, toy, tmp_path / "new" / "run", run={"seed": 3})
    return tmp_path / "new" / "run"


# --- data files ---


def test_the_files_are_the_data_and_nothing_else(folder: Path):
    assert sorted(path.name for path in folder.iterdir()) == list(DATA)


def test_history_holds_a_row_per_step_to_all_digits(folder: Path, exact: qngd.Result, toy: qngd.Problem):
    with (folder / "history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == report.HISTORY_COLUMNS
    assert [float(row["energy"]) for row in rows] == exact.history.tolist()
    assert [int(row["step"]) for row in rows] == list(range(exact.steps + 1))
    assert rows[0]["gradient_norm"] == rows[0]["accepted"] == ""
    for row, info in zip(rows[1:], exact.infos, strict=True):
        assert float(row["error"]) == info.energy - toy.reference_energy
        assert float(row["gradient_norm"]) == info.gradient_norm
        assert float(row["condition"]) == info.spectrum.condition
        assert int(row["accepted"]) == info.accepted
        assert int(row["circuits"]) == info.cost.circuits


def test_spectrum_holds_the_eigenvalues_of_every_step(folder: Path, exact: qngd.Result):
    data = report.read(folder)
    expected = np.array([info.spectrum.eigenvalues for info in exact.infos])
    assert data.eigenvalues.shape == (exact.steps, 4)
    np.testing.assert_allclose(data.eigenvalues, expected, rtol=1e-9)


def test_result_says_what_was_run_and_where_it_ended(folder: Path, exact: qngd.Result, toy: qngd.Problem):
    stored = json.loads((folder / "result.json").read_text())
    assert stored["theta"] == exact.state.lowest[0].tolist()
    assert stored["energy"] == exact.energy
    assert stored["status"] == "max_steps"
    assert stored["problem"]["parameters"] == ["t[0]", "t[1]", "t[2]", "t[3]"]
    assert stored["problem"]["reference_energy"] == toy.reference_energy
    assert stored["run"] == {"seed": 3}


def test_reading_gives_back_what_was_written(folder: Path, exact: qngd.Result, toy: qngd.Problem):
    data = report.read(folder)
    assert (data.name, data.unit, data.reference) == (toy.name, "", toy.reference_energy)
    np.testing.assert_array_equal(data.history["energy"], exact.history)
    assert np.isnan(data.history["rate"][0])
    assert not np.isnan(data.history["rate"][1:]).any()


def test_an_energy_that_is_not_a_number_is_null_and_an_empty_cell(tmp_path: Path):
    toy = problem(start=[0.1, 0.2, 0.3, 0.4])
    result = minimized(toy, max_steps=0)
    broken = type(result)(**{**vars(result), "energy": np.nan, "history": np.array([np.nan])})
    report.write(broken, toy, tmp_path)
    assert json.loads((tmp_path / "result.json").read_text())["energy"] is None
    assert np.isnan(report.read(tmp_path).history["energy"]).all()


def test_a_later_run_replaces_the_files(folder: Path, toy: qngd.Problem):
    report.write(minimized(toy, max_steps=2), toy, folder)
    assert len(report.read(folder).eigenvalues) == 2
    assert sorted(path.name for path in folder.iterdir()) == list(DATA)


# --- plots ---


def assert_is_picture(path: Path) -> None:
    content = path.read_bytes()
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    assert len(content) > 10_000


def test_plots_are_drawn_from_the_data_files(folder: Path):
    assert report.plot(folder) == (folder / PLOTS[0], folder / PLOTS[1])
    for name in PLOTS:
        assert_is_picture(folder / name)
    assert sorted(path.name for path in folder.iterdir()) == sorted([*DATA, *PLOTS])


def test_plots_follow_the_data(folder: Path):
    report.plot(folder)
    before = [(folder / name).read_bytes() for name in PLOTS]
    for name in ("history.csv", "spectrum.csv"):
        lines = (folder / name).read_text().splitlines()
        (folder / name).write_text("\n".join(lines[:-5]) + "\n")
    report.plot(folder)
    after = [(folder / name).read_bytes() for name in PLOTS]
    assert all(a != b for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize(
    ("settings", "options"),
    [
        ({"known": False}, {}),
        ({"unit": "hartree"}, {"shots": 50, "seed": 1, "max_steps": 4}),
        ({}, {"max_steps": 0}),
        ({}, {"optimizer": qngd.QNG(learning_rate=0.05, damping=0), "max_steps": 80}),
        ({"start": [0.0, 0.0, 0.0, 0.0], "field": 0.0}, {"max_steps": 2}),
    ],
    ids=["no reference", "shots", "no step", "many steps without damping", "zero gradient"],
)
def test_every_kind_of_run_can_be_drawn(settings, options, tmp_path: Path):
    toy = problem(**settings)
    report.write(minimized(toy, **options), toy, tmp_path)
    for path in report.plot(tmp_path):
        assert path.read_bytes().startswith(b"\x89PNG")


def drawn(toy: qngd.Problem, folder: Path, **options: object) -> tuple[str, str]:
    """The labels and legends of the two panels of the convergence plot."""
    report.write(minimized(toy, **options), toy, folder)
    texts = []
    for axes in _figures.convergence(report.read(folder)).axes:
        legend = axes.get_legend()
        entries = [text.get_text() for text in legend.get_texts()] if legend else []
        texts.append(" | ".join([axes.get_ylabel(), *entries]))
    return texts[0], texts[1]


def test_axes_carry_units_and_the_chemical_accuracy_of_molecules(tmp_path: Path):
    top, bottom = drawn(problem(unit="hartree"), tmp_path)
    assert top.startswith("energy (hartree) | reference | energy")
    assert bottom == "|energy − reference| (hartree) | chemical accuracy, 0.0016 hartree"


def test_without_a_reference_the_gradient_is_shown(tmp_path: Path):
    assert drawn(problem(known=False), tmp_path)[1] == "gradient norm"


def test_rejected_steps_are_marked_where_they_happened(folder: Path, exact: qngd.Result):
    rejected = [info.step for info in exact.infos if not info.accepted]
    assert rejected, "the example should have a rejected step"
    lines = {line.get_label(): line for line in _figures.convergence(report.read(folder)).axes[0].lines}
    assert lines["step rejected"].get_xdata().tolist() == rejected


def test_zero_eigenvalues_are_counted_and_not_drawn(folder: Path):
    data = report.read(folder)
    top, bottom = _figures.spectrum(data).axes
    eigenvalues = np.array([line.get_ydata() for line in top.lines if line.get_label() != "damping"])
    assert np.isfinite(eigenvalues).sum() == data.history["rank"][1:].sum()
    assert np.nanmin(eigenvalues) > 0
    np.testing.assert_array_equal(bottom.lines[-1].get_ydata(), data.history["rank"][1:])


# --- what cannot be read or written ---


def test_a_folder_without_a_run_is_refused(tmp_path: Path):
    with pytest.raises(SettingError, match=r"cannot read .*result\.json: no such file"):
        report.plot(tmp_path)


@pytest.mark.parametrize("name", DATA)
def test_a_file_of_something_else_is_refused(name: str, folder: Path):
    (folder / name).write_text("3\n")
    with pytest.raises(SettingError, match="holds no readable run"):
        report.read(folder)


def test_a_file_is_no_folder(tmp_path: Path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(SettingError, match=r"cannot write to .*taken: file exists"):
        report.prepare(tmp_path / "taken")


# --- the closing table ---


def test_the_table_names_everything(exact: qngd.Result, toy: qngd.Problem):
    rows = summary(exact, toy, seconds=200)
    assert rows["circuit"] == "2 qubits, 4 parameters, 2 layers"
    assert rows["status"] == "max steps"
    assert rows["message"] == exact.message
    assert rows["energy"] == f"{exact.energy:.10g}"
    assert rows["cost"] == str(exact.cost)
    assert rows["time"] == "3 min 20 s"
    assert float(rows["error"]) == pytest.approx(exact.energy - toy.reference_energy, abs=1e-9)
    assert "rejected" in rows["steps"]
    assert "chemical accuracy" not in rows


def test_without_a_reference_there_is_no_error():
    toy = problem(known=False)
    assert not {"reference", "error"} & set(summary(minimized(toy), toy))


@pytest.mark.parametrize(
    ("options", "verdict"),
    [
        ({}, "yes (0.0016 hartree)"),
        ({"max_steps": 1}, "no (0.0016 hartree)"),
        ({"max_steps": 1, "shots": 20, "seed": 0}, "no (0.0016 hartree)"),  # 0.62 ± 0.12
        (
            {"max_steps": 5, "shots": 20, "seed": 0},
            "cannot tell: the energy's own error exceeds 0.0016 hartree",
        ),
    ],
)
def test_chemical_accuracy(options, verdict: str):
    toy = problem(unit="hartree")
    assert summary(minimized(toy, **options), toy)["chemical accuracy"] == verdict


def test_a_sampled_energy_is_shown_with_its_error():
    toy = problem()
    rows = summary(minimized(toy, shots=100, seed=2, max_steps=2), toy)
    assert " ± " in rows["energy"]
    assert " ± " in rows["error"]


@pytest.mark.parametrize(("seconds", "text"), [(0.4213, "0.42 s"), (12.2, "12 s"), (119.8, "2 min 0 s")])
def test_times(seconds: float, text: str):
    assert format_seconds(seconds) == text


# --- what a step measures ---


def measured(given: qngd.Problem, approx: str = "block-diag", **how: Any) -> dict[str, str]:
    read = read_given(given, role="example")
    observable = read.observable if read.has_observable else None
    return step_measurements(planned_step(read, observable, Setup(**how), approx=approx))


def test_what_a_step_measures(toy: qngd.Problem):
    rows = measured(toy)
    assert rows["energy"] == "2 circuits for 2 Pauli terms, grouped qubit by qubit"
    assert rows["metric"] == "2 circuits (block-diag)"
    assert rows["gradient"] == "12 circuits of the energy at shifted angles"


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"approx": "full"},
        {"approx": "full", "cross": "overlap"},
        {"approx": "qn-spsa"},
        {"approx": "hamiltonian"},
        {"grouping": "commuting"},
        {"backend": "fake_nairobi"},
    ],
    ids=str,
)
def test_a_step_is_told_as_it_is_priced(toy: qngd.Problem, how: dict[str, str]):
    if "backend" in how:
        pytest.importorskip("qiskit_ibm_runtime")
    terms = {"XX": 1.0, "YY": 0.7, "ZZ": 0.4, "IZ": 0.2}
    problem = qngd.Problem(toy.circuit, terms, toy.theta0)
    rows, price = measured(problem, **how), qngd.cost(problem, shots=10, **how)
    told = [int(rows[name].split()[0]) for name in ("energy", "gradient", "metric")]
    assert told == [price.energy_circuits, price.gradient_circuits, price.metric_circuits]
    assert rows["energy"].endswith("what commutes" if "grouping" in how else "qubit by qubit")
    assert "for 4 Pauli terms" in rows["energy"]


def test_the_identity_is_not_measured(toy: qngd.Problem):
    with_identity = qngd.Problem(toy.circuit, {"II": 3.0, "ZZ": 1.0, "IZ": 1.0}, toy.theta0)
    assert measured(with_identity)["energy"] == "1 circuit for 2 Pauli terms, grouped qubit by qubit"


def test_a_circuit_without_observable_or_start_still_has_layers(toy: qngd.Problem):
    rows = measured(qngd.Problem(toy.circuit))
    assert rows == {"energy": "no observable given", "metric": "2 circuits (block-diag)"}


def test_the_observable_of_a_problem_may_be_left_out_where_a_node_brings_it():
    """Its start then stands in the observable's place, as in minimize(node, theta0)."""
    qml = pytest.importorskip("pennylane")

    @qml.qnode(qml.device("default.qubit", wires=2))
    def node(w):
        qml.RY(w[0], 0)
        qml.CNOT([0, 1])
        qml.RX(w[1], 1)
        return qml.expval(qml.Z(0) @ qml.X(1) + 0.5 * qml.Z(0))

    given = qngd.Problem(node, np.array([0.3, -0.7]))
    assert measured(given)["energy"] == measured(qngd.Problem(node, None, np.array([0.3, -0.7])))["energy"]
    assert summary(minimized(given), given)["circuit"] == "2 qubits, 2 parameters, 1 layer"
