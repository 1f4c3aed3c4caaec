"""Many runs: the same rows whoever does them, in whatever order, as often as it takes."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import qngd
from qngd._system.threads import num_threads
from qngd.errors import MissingPackageError, SettingError
from qngd.sweeps.grid import GridPoint, combinations
from qngd.sweeps.summary import quartiles, summarized
from qngd.sweeps.work import limited
from tests.command_line import TOY, refused
from tests.command_line import qngd as command
from tests.sweep_problems import deadly, faulty, seeded
from tests.toy import problem

GRID = {"layers": [1, 2], "optimizer": ["qng", "adam"]}
COMMON = {"seeds": 2, "shots": 50, "max_steps": 3, "tol": 0}


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """A sweep in this process, and its folder."""
    out = tmp_path_factory.mktemp("here")
    return out, qngd.sweep(problem, GRID, out=out, workers=0, **COMMON)


# --- in this process ---


def test_each_row_is_the_run_that_minimize_makes(here):
    _, rows = here
    assert [(row["settings"]["layers"], row["settings"]["optimizer"]) for row in rows[::2]] == [
        ("1", "qng"), ("1", "adam"), ("2", "qng"), ("2", "adam"),
    ]  # fmt: skip
    for row in rows:
        layers, name = int(row["settings"]["layers"]), row["settings"]["optimizer"]
        same = qngd.minimize(problem(layers=layers), optimizer=name, shots=50, max_steps=3, tol=0, seed=row["seed"])
        assert row["energy"] == same.energy
        assert row["theta"] == list(same.state.lowest[0])
        assert row["error"] == same.energy + math.sqrt(1.25)
        assert row["cost"]["shots"] == same.cost.shots
    assert len({row["seed"] for row in rows}) == len(rows)


def test_what_is_done_is_not_run_again(here, monkeypatch):
    out, rows = here
    monkeypatch.setattr("qngd.sweeps.work.minimize", lambda *arguments, **settings: 1 / 0)
    assert qngd.sweep(problem, GRID, out=out, workers=0, **COMMON) == rows
    part = qngd.sweep(problem, {"optimizer": ["adam", "qng"], "layers": [2]}, out=out, workers=0, **COMMON)
    by_place = {(row["settings"]["layers"], row["settings"]["optimizer"], row["repetition"]): row for row in rows}
    for row in part:  # a part of the grid, in another order, has the same seeds
        assert row["seed"] == by_place["2", row["settings"]["optimizer"], row["repetition"]]["seed"]


def test_a_run_that_was_cut_off_goes_on(here, tmp_path: Path):
    """Its folder holds two steps of three; what is paid is not paid again."""
    _, rows = here
    qngd.sweep(problem, GRID, out=tmp_path, workers=0, **COMMON)
    row = rows[5]
    (tmp_path / row["run_dir"] / "done.json").unlink()
    assert qngd.sweep(problem, GRID, out=tmp_path, workers=0, **COMMON) == rows
    (tmp_path / row["run_dir"] / "done.json").write_text('{"key": "x", "r')  # as of a disk that was full
    assert qngd.sweep(problem, GRID, out=tmp_path, workers=0, **COMMON) == rows


def test_another_problem_in_the_folder_is_refused(tmp_path: Path):
    def changed(**settings):
        return problem(field=0.25, **settings)

    first = qngd.sweep(problem, {"layers": [1]}, out=tmp_path, workers=0, max_steps=1)
    (row,) = qngd.sweep(changed, {"layers": [1]}, out=tmp_path, workers=0, max_steps=1)
    assert first[0]["status"] == "max_steps"
    assert row["status"] == "error"
    assert "holds a run of another problem or optimizer" in row["message"]


def test_other_common_settings_have_other_folders(tmp_path: Path):
    rows = [qngd.sweep(problem, {"layers": [1]}, out=tmp_path, workers=0, max_steps=n)[0] for n in (1, 2)]
    assert [row["steps"] for row in rows] == [1, 2]
    assert rows[0]["run_dir"] != rows[1]["run_dir"]


def test_a_problem_with_a_seed_gets_the_repetition(tmp_path: Path):
    rows = qngd.sweep(seeded, {"layers": [1]}, out=tmp_path, seeds=3, workers=0, max_steps=0)
    wanted = [qngd.minimize(seeded(seed=k), max_steps=0).energy for k in range(3)]
    assert [row["energy"] for row in rows] == wanted
    assert len(set(wanted)) == 3
    fixed = qngd.sweep(seeded, {"seed": [1]}, out=tmp_path, seeds=2, workers=0, max_steps=0)
    assert [row["energy"] for row in fixed] == [wanted[1]] * 2


def test_a_run_that_fails_is_a_row(tmp_path: Path):
    rows = qngd.sweep(faulty, {"layers": [1, 2]}, out=tmp_path, workers=0, max_steps=1)
    assert [row["status"] for row in rows] == ["error", "max_steps"]
    assert rows[0]["message"] == "RuntimeError: one layer is too few"
    assert rows[0]["energy"] is None
    assert rows[0].keys() == rows[1].keys()
    assert [point["failed"] for point in summarized(rows)] == [1, 0]


def test_objects_are_known_by_their_text_or_a_label(tmp_path: Path):
    rules = [qngd.step.TrustRegion(radius=0.1), qngd.step.Armijo()]
    rows = qngd.sweep(problem(), {"step": rules}, out=tmp_path, workers=0, max_steps=1)
    assert rows[0]["settings"]["step"].startswith("TrustRegion(radius=0.1")
    labelled = {"small": qngd.QNG(0.01), "large": qngd.QNG(0.1)}
    rows = qngd.sweep(problem(), {"optimizer": labelled}, out=tmp_path, workers=0, max_steps=1)
    assert [row["settings"]["optimizer"] for row in rows] == ["small", "large"]
    assert rows[0]["energy"] > rows[1]["energy"]


@pytest.mark.parametrize(
    ("grid", "more", "answer"),
    [
        ({"layer": [1]}, {}, "'layer' is no setting of the problem, of minimize or of an optimizer. Did you mean 'la"),
        ({"seed": [1]}, {}, "seed: the runs of a point get seeds of their own"),
        ({"run_dir": ["a"]}, {}, "run_dir: each run has a folder of its own"),
        ({"callback": [print]}, {}, "callback: it belongs to one run"),
        ({"layers": []}, {}, "layers has no values"),
        ({"layers": [1, 1]}, {}, "layers has 1 twice"),
        ({"optimizer": "adam"}, {}, "must be a list of values"),
        ({"backend": [object()]}, {}, "has no text of its own; write a mapping"),
        ({"layers": [1]}, {"layers": 2}, "the grid has it, too"),
        ({}, {"seeds": 0}, "seeds must be a whole number of at least 1"),
        ({}, {"workers": -1}, "workers must be a whole number"),
        ({}, {"threads": 0}, "threads must be a whole number"),
        ({}, {"out": ""}, "out must be a folder"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant(grid, more, answer, tmp_path: Path):
    with pytest.raises(SettingError) as caught:
        qngd.sweep(problem, grid, **{"out": tmp_path, "workers": 0, **more})
    assert answer in str(caught.value)


def test_what_is_no_problem(tmp_path: Path):
    for wrong in (3, qngd.Problem, problem().circuit):
        with pytest.raises(SettingError, match=r"problem must be a qngd\.Problem, or a function"):
            qngd.sweep(wrong, out=tmp_path, workers=0)


def test_threads_are_those_asked_for_and_only_meanwhile(monkeypatch):
    monkeypatch.setenv("QNGD_NUM_THREADS", "7")
    with limited(3):
        assert num_threads() == 3
    assert num_threads() == 7
    monkeypatch.delenv("QNGD_NUM_THREADS")
    with limited(1):
        assert num_threads() == 1
    assert "QNGD_NUM_THREADS" not in os.environ


def test_seeds_follow_from_the_point_and_folders_tell_points_apart():
    points = [GridPoint(labels, values) for labels, values in combinations({"a": [1, 2], "b": ["x/y", "x-y"]})]
    seeds = {point.seed(first, k) for point in points for first in (0, 1) for k in range(3)}
    assert len(seeds) == 4 * 2 * 3
    assert len({point.folder for point in points}) == 4
    assert all(set(point.folder) <= set("abcdefghijklmnopqrstuvwxyz0123456789=-_.") for point in points)
    swapped = GridPoint({"b": "x/y", "a": "1"}, None)
    assert swapped.seed(0, 1) == points[0].seed(0, 1)


def test_quartiles_are_numpys():
    values = [3.0, 1.0, 7.0, 2.0, 11.0]
    assert quartiles(values) == tuple(np.percentile(values, [25, 50, 75]))
    assert quartiles([2.0, None]) == (2.0, 2.0, 2.0)
    assert quartiles([None]) is None


def test_without_dask_it_is_said_what_to_do(monkeypatch, tmp_path: Path):
    import sys

    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MissingPackageError, match=r"needs the package distributed; .*'\.\[sweep\]'.*or give workers=0"):
        qngd.sweep(problem, {"layers": [1]}, out=tmp_path)


# --- on the command line ---


def test_the_command(tmp_path: Path):
    arguments = ["--grid", "layers=1,2", "--grid", "optimizer=qng,adam:beta1=0.8", "--grid", "max-steps=2"]
    arguments += ["--set", "known=false", "--workers", "0", "--out", str(tmp_path)]
    result = command("sweep", TOY, *arguments)
    assert result.exit_code == 0, result.output
    assert "4 runs" in result.output
    told = json.loads((tmp_path / "sweep.json").read_text())
    again = command("sweep", TOY, *arguments, "--json")
    assert json.loads(again.stdout) == told
    for row in told["runs"]:
        settings = row["settings"]
        by_run = command(
            "run", TOY, "--set", f"layers={settings['layers']}", "--optimizer", settings["optimizer"], "--steps", "2",
            "--json",
        )  # fmt: skip
        assert row["energy"] == json.loads(by_run.stdout)["energy"]
    assert told["summary"][0]["energy"] == [told["runs"][0]["energy"]] * 3


def test_a_failed_run_is_told_and_ends_with_1(tmp_path: Path):
    options = ["--grid", "layers=0,1", "--grid", "max-steps=1", "--workers", "0", "--out", str(tmp_path)]
    result = command("sweep", TOY, *options)
    assert result.exit_code == 1
    assert "toy.py:22: layers must be at least 1, got 0" in result.output
    assert "1 (1 failed)" in result.output


@pytest.mark.parametrize(
    ("options", "answer"),
    [
        (
            ["--grid", "layrs=1"],
            "'layrs' is no setting of the problem and no option of qngd run. Did you mean 'layers'?",
        ),
        (["--grid", "layers"], "write NAME=VALUE,VALUE"),
        (["--grid", "seed=1"], "--seeds gives each run one of its own"),
        (["--grid", "out=a"], "each run is kept below --out"),
    ],
)
def test_what_the_command_refuses(options, answer, tmp_path: Path):
    assert answer in refused("sweep", TOY, *options, "--workers", "0", "--out", str(tmp_path), code=2)


# --- on Dask ---


def test_two_workers_give_the_same_as_none_though_one_is_killed(tmp_path: Path):
    """The one that reads the problem of two layers first takes its process down."""
    pytest.importorskip("distributed")
    grid = {"layers": [1, 2], "optimizer": ["qng", "adam"], "folder": [str(tmp_path)]}
    seen: list[tuple[int, int]] = []
    two = qngd.sweep(
        deadly, grid, out=tmp_path / "two", workers=2, on_run=lambda row, done, total: seen.append((done, total)),
        **COMMON,
    )  # fmt: skip
    assert (tmp_path / "died").exists()
    assert seen == [(k, 8) for k in range(1, 9)]
    again = qngd.sweep(deadly, grid, out=tmp_path / "three", workers=0, **COMMON)
    assert two == again
    assert all(row["status"] == "max_steps" for row in two)


def test_errors_that_a_submission_shares_are_not_divided_among_workers():
    """Each part would measure the rates of its own."""
    client = SimpleNamespace(submit=len, gather=len, cancel=len)
    corrected = qngd.backends.ReadoutCorrected("statevector")
    assert qngd.backends.ReadoutCorrected(qngd.backends.Dask(client, "statevector")).shares_errors
    for backend in (corrected, qngd.backends.PostSelected(corrected, parities="ZZ")):
        with pytest.raises(qngd.BackendError, match=r"write qngd.backends.ReadoutCorrected\(qngd.backends.Dask\("):
            qngd.backends.Dask(client, backend)


def test_a_cluster_that_is_there_runs_sweeps_and_steps(here, tmp_path: Path):
    """Its requests are spread over one worker and over two."""
    distributed = pytest.importorskip("distributed")
    _, rows = here
    found = []
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None
    ) as cluster, distributed.Client(cluster) as client:  # fmt: skip
        assert qngd.sweep(problem, GRID, out=tmp_path, scheduler=client, **COMMON) == rows
        for count in (2, 1):
            cluster.scale(count)
            client.wait_for_workers(count)
            backend = qngd.backends.Dask(client, "statevector", size=3)
            found.append(qngd.minimize(problem(), backend=backend, shots=200, max_steps=2, seed=4))
        price = qngd.cost(problem(), backend=backend, shots=200, steps=2).run
    assert np.array_equal(found[0].history, found[1].history)
    assert found[0].cost.shots == found[1].cost.shots == price.shots
    assert found[0].cost.jobs == price.jobs
    exact = qngd.expectation(problem().circuit, problem().observable, found[0].theta)
    assert abs(found[0].energy - exact.value) < 5 * found[0].stderr
