"""`qngd show`, `runs` and `resume`: runs that are kept, on the command line."""

import json

import numpy as np
import pytest

import qngd
from tests.command_line import qngd as command
from tests.known_runs import run


def qngd_command(*words):
    done = command(*map(str, words))
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done


def test_a_run_is_shown_also_as_json(tmp_path):
    result = run(run_dir=tmp_path, max_steps=2)
    done = qngd_command("show", tmp_path)
    assert done.exit_code == 0
    for words in ("max steps", "2 qubits, 4 parameters", str(result.cost), "seed", "QNG(", qngd.__version__):
        assert words in done.output
    found = json.loads(qngd_command("show", tmp_path, "--json").output)
    assert found["history"] == result.history.tolist()
    assert found["thetas"][-1] == result.infos[-1].theta.tolist()
    assert (found["status"], found["running"]) == ("max_steps", None)


def test_it_is_shown_while_it_goes_on(tmp_path):
    seen = []
    run(run_dir=tmp_path, max_steps=1, callback=lambda info: seen.append(qngd_command("show", tmp_path).output))
    assert "running" in seen[0]


def test_runs_are_listed_also_unreadable_ones(tmp_path):
    for name, steps in (("a", 1), ("b/start-0", 2)):
        run(run_dir=tmp_path / name, max_steps=steps)
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "run.sqlite").write_bytes(b"no database")
    lines = qngd_command("runs", tmp_path).output.splitlines()
    assert len(lines) == 4
    assert lines[1].split()[:3] == ["a", "max_steps", "1"]
    assert lines[3].split()[:2] == ["c", "unreadable"]
    found = json.loads(qngd_command("runs", tmp_path, "--json").output)
    assert [(each["status"], each["steps"]) for each in found] == [
        ("max_steps", 1), ("max_steps", 2), ("unreadable", None),
    ]  # fmt: skip
    assert qngd_command("runs", tmp_path / "a" / "..").output.splitlines() == lines
    (tmp_path / "empty").mkdir()
    assert "no runs in" in qngd_command("runs", tmp_path / "empty").output


def test_a_run_goes_on_without_its_problem_file(tmp_path):
    run(run_dir=tmp_path, max_steps=2)
    done = qngd_command("resume", tmp_path, "--max-steps", 5)
    assert done.exit_code == 0
    assert "max steps" in done.output
    assert np.array_equal(qngd.load(tmp_path).history, run(max_steps=5).history)


def test_a_run_that_its_budget_ended_goes_on_with_more(tmp_path):
    """Of the units that are given; what is not given stays, prices and currency too."""
    prices = qngd.Prices(per_shot=0.01, currency="EUR")
    one = run(max_steps=0, tol=0).cost.shots
    ended = run(run_dir=tmp_path, tol=0, budget=qngd.Budget(shots=3 * one, jobs=100, prices=prices))
    assert (ended.status, ended.steps) == ("budget", 2)
    for words in (("show", tmp_path), ("resume", tmp_path)):  # which adds nothing under the same budget
        assert f"money                    {0.03 * one:.2f} EUR".split() in [
            line.split() for line in qngd_command(*words).output.splitlines()
        ]
    done = qngd_command("resume", tmp_path, "--budget-shots", 5 * one)
    assert done.exit_code == 0
    assert f"{0.05 * one:.2f} EUR" in done.output
    found = qngd.load(tmp_path)
    assert (found.status, found.steps) == ("budget", 4)
    assert found.budget == qngd.Budget(shots=5 * one, jobs=100, prices=prices)
    qngd_command("resume", tmp_path, "--max-steps", 3, "--price", "per_shot=2")
    dearer = qngd.Prices(per_shot=2.0, currency="EUR")
    assert qngd.load(tmp_path).budget == qngd.Budget(shots=5 * one, jobs=100, prices=dearer)
    wrong = qngd_command("resume", tmp_path, "--price", "per_shut=2")
    assert wrong.exit_code == 2
    assert "Did you mean 'per_shot'" in wrong.output


@pytest.mark.parametrize(("command", "code"), [("show", 1), ("resume", 1), ("runs", 2)])
def test_what_is_no_folder_is_a_line(command, code, tmp_path):
    done = qngd_command(command, tmp_path / "nowhere")
    assert done.exit_code == code
    assert "qngd: error: " in done.output
    assert "nowhere" in done.output
    assert len(done.output.strip().splitlines()) == 1
