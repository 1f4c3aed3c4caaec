"""Folders in which one call has kept several runs: of restarts, and of excited states."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import qngd
from qngd.cli.commands import app

ENERGY = {"ZZ": 1.0, "XI": 0.5, "IY": -0.25}


def circuit() -> qngd.CircuitBuilder:
    found = qngd.CircuitBuilder(2)
    a, b = found.parameters("a", "b")
    return found.ry(a, 0).cx(0, 1).rz(2 * b, 1).rx(b, 0)


@pytest.fixture
def several(tmp_path: Path) -> Path:
    qngd.minimize(circuit(), ENERGY, [0.3, -0.7], restarts=11, seed=1, max_steps=1, run_dir=tmp_path / "runs")
    return tmp_path / "runs"


def printed(*arguments: object, code: int = 0) -> str:
    result = CliRunner().invoke(app, [str(each) for each in arguments])
    assert result.exit_code == code, result.output
    return result.output


def test_the_folder_stands_for_all_runs_in_it(several):
    again = qngd.minimize(circuit(), ENERGY, [0.3, -0.7], restarts=11, seed=1, max_steps=1, run_dir=several)
    found = qngd.compare(several).runs
    assert len(found) == 11
    # in the order of their numbers, 2 before 10
    np.testing.assert_array_equal([run.energy for run in found], [run.energy for run in again.restarts])
    assert qngd.compare({"ours": [several, again]}).runs[-1].label == "ours"
    table = printed("report", several)
    assert len(table.splitlines()) >= 2
    assert json.loads(printed("report", several, "--json"))["rows"]


def test_show_lists_them_and_resume_says_how_to_go_on_with_all(several):
    lines = printed("show", several).splitlines()
    assert "11 runs of one call" in lines[0]
    assert len(lines) == 2 + 1 + 11
    assert len(json.loads(printed("show", several, "--json"))) == 11
    refused = " ".join(printed("resume", several, code=2).split())
    assert "give" in refused
    assert "start-0" in refused
    assert "--config" in refused
    assert "status" in printed("resume", several / "start-10", "--steps", "2")


@pytest.mark.parametrize("restarts", [1, 2])
def test_excited_states_are_a_call_of_several_runs(tmp_path, restarts):
    problem = qngd.Problem(circuit(), ENERGY, [0.3, -0.7])
    found = qngd.excited_states(problem, 2, seed=1, restarts=restarts, max_steps=2, run_dir=tmp_path / "states")
    every = [run for state in found for run in (state.restarts or [state])]
    assert len(qngd.compare([tmp_path / "states"]).runs) == len(every) == 2 * restarts
    assert f"{2 * restarts} runs of one call" in printed("show", tmp_path / "states")


def test_other_folders_are_as_they_were(tmp_path, several):
    with pytest.raises(qngd.errors.StorageError, match="holds no run"):
        qngd.compare(tmp_path)
    assert len(qngd.compare([several / "start-3"]).runs) == 1
