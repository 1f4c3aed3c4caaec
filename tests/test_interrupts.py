"""Ctrl-C and SIGTERM: what was reached is kept, and what goes on after it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import qngd
from qngd.backends.statevector import StatevectorSampler
from tests.known_runs import run
from tests.toy import problem

ROOT = Path(__file__).resolve().parent.parent
BOTH = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])


def raising(number, at=1, then=None):
    """A callback that raises a signal after so many calls."""
    calls = []

    def callback(info):
        calls.append(info.step)
        if len(calls) == at:
            signal.raise_signal(number)
        return None if then is None else then(info)

    callback.calls = calls
    return callback


def test_sigterm_comes_through_with_what_was_reached(tmp_path):
    with pytest.raises(KeyboardInterrupt, match="SIGTERM") as ended:
        run(run_dir=tmp_path, callback=raising(signal.SIGTERM, 2))
    result = ended.value.result
    assert (result.status, result.steps) == ("interrupted", 2)
    stored = qngd.load(tmp_path)
    assert (stored.status, stored.steps) == ("interrupted", 2)
    expected = run()
    assert run(run_dir=tmp_path).history.tolist() == expected.history.tolist()
    assert run(state=result.state, max_steps=1).history[-1] == expected.history[3]


def test_ctrl_c_is_a_status():
    result = run(callback=raising(signal.SIGINT, 2))
    assert (result.status, result.steps) == ("interrupted", 2)


def test_a_run_inside_of_another_ends_with_it():
    """As of a callback that tunes something: SIGTERM ends both."""
    inner, outer = raising(signal.SIGTERM), []

    def callback(info):
        outer.append(info.step)
        run(callback=inner)

    with pytest.raises(KeyboardInterrupt) as ended:
        run(callback=callback)
    assert inner.calls == outer == [1]
    assert (ended.value.result.status, ended.value.result.steps) == ("interrupted", 1)
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


@BOTH
def test_it_ends_all_starts(number):
    callback = raising(number, 4)

    def begun():
        return qngd.minimize(problem(), restarts=3, seed=1, shots=50, max_steps=3, tol=0, callback=callback)

    if number == signal.SIGTERM:
        with pytest.raises(KeyboardInterrupt) as ended:
            begun()
        result = ended.value.result
    else:
        result = begun()
    assert (result.status, len(result.restarts), len(callback.calls)) == ("interrupted", 2, 4)


def test_sigterm_before_anything_is_reached_leaves_the_starts_before():
    def spoiled(count):
        calls = []

        class Backend(StatevectorSampler):
            def submit(self, *arguments):
                calls.append(0)
                if len(calls) == count:
                    signal.raise_signal(signal.SIGTERM)
                return super().submit(*arguments)

        return Backend()

    how = {"restarts": 2, "seed": 1, "shots": 50, "max_steps": 1, "tol": 0}
    with pytest.raises(KeyboardInterrupt) as ended:
        qngd.minimize(problem(), backend=spoiled(3), **how)
    assert (ended.value.result.status, len(ended.value.result.restarts)) == ("interrupted", 1)
    with pytest.raises(KeyboardInterrupt) as ended:
        qngd.minimize(problem(), backend=spoiled(1), **how)
    assert ended.value.result is None


@BOTH
def test_it_ends_the_search_for_states(number):
    callback = raising(number, 3)

    def found():
        return qngd.excited_states(problem(), 3, restarts=1, shots=50, seed=1, max_steps=2, tol=0, callback=callback)

    if number == signal.SIGTERM:
        with pytest.raises(KeyboardInterrupt) as ended:
            found()
        assert len(ended.value.result) == 1
    else:
        assert [state.status for state in found()].count("interrupted") == 1
    assert len(callback.calls) == 3


def test_a_second_one_changes_nothing():
    """Also of the other kind: SIGTERM is what counts."""
    both = lambda info: (signal.raise_signal(signal.SIGTERM), signal.raise_signal(signal.SIGINT))  # noqa: E731
    with pytest.raises(KeyboardInterrupt, match="SIGTERM") as ended:
        run(callback=both)
    assert (ended.value.result.status, ended.value.result.steps) == ("interrupted", 1)


@BOTH
def test_it_ends_a_sweep_which_goes_on_when_it_is_called_again(number, tmp_path, monkeypatch):
    how = {"seeds": 2, "shots": 50, "max_steps": 3, "tol": 0, "workers": 0}
    expected = qngd.sweep(problem, {"layers": [1, 2]}, out=tmp_path / "whole", **how)
    told = []
    with monkeypatch.context() as patch:
        interrupting(patch, number, 5)
        with pytest.raises(KeyboardInterrupt):
            qngd.sweep(problem, {"layers": [1, 2]}, out=tmp_path / "cut", on_run=lambda *row: told.append(row), **how)
    assert len(told) == 1
    assert len([*(tmp_path / "cut").rglob("done.json")]) == 1
    assert len([*(tmp_path / "cut").rglob("run.sqlite")]) == 2
    assert qngd.sweep(problem, {"layers": [1, 2]}, out=tmp_path / "cut", **how) == expected


def interrupting(patch, number, at):
    """Let a signal come with the given evaluation of all that are made."""
    from qngd.evaluators.sampled import SampledEvaluator

    real, calls = SampledEvaluator.evaluate, []

    def evaluate(self, *arguments, **settings):
        calls.append(0)
        if len(calls) == at:
            signal.raise_signal(number)
        return real(self, *arguments, **settings)

    patch.setattr(SampledEvaluator, "evaluate", evaluate)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGTERM that a process may handle")
def test_a_script_of_many_runs_ends_with_sigterm():
    """Without a traceback, and with what stands under finally."""
    code = """
from tests.known_runs import run
try:
    for number in range(1000):
        run(callback=lambda info: print(number, info.step, flush=True), max_steps=10**6)
finally:
    print("finally")
"""
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=-1, stderr=-1, text=True) as process:
        process.stdout.readline()
        process.terminate()
        said, errors = process.communicate(timeout=30)
    assert process.returncode == 128 + signal.SIGTERM
    assert said.endswith("finally\n")
    assert "\n1 " not in said  # the second run has not begun
    assert errors == ""
