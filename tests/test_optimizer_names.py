"""Optimizers by name: one table for Python and the command line."""

from __future__ import annotations

import inspect
import subprocess
import sys
from typing import get_args

import pytest

import qngd
from qngd.baselines import METHODS, SPSA, Adam, ExcitationSolve, GradientDescent, Rotosolve, SciPy
from qngd.errors import SettingError
from qngd.run.names import SETTINGS, OptimizerName
from qngd.run.optimizers import as_optimizer, kind_of, maker, named
from qngd.step import Momentum

NAMES = get_args(OptimizerName)
CIRCUIT = qngd.CircuitBuilder(1)
A, B = CIRCUIT.parameters("a", "b")
CIRCUIT.ry(A, 0).rz(B, 0).rx(A, 0)


def test_the_table_has_every_method_of_scipys():
    ours = {"qng", "qn-spsa", "momentum-qng", "gd", "adam", "spsa", "rotosolve", "excitation-solve", "cma-es"}
    assert set(NAMES) == {*ours, *(method.lower() for method in METHODS)}
    assert set(SETTINGS) <= set(NAMES)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "gd"])
def test_every_name_runs(name):
    if name == "cma-es":
        pytest.importorskip("cma")
    result = qngd.minimize(CIRCUIT, {"X": 1.0}, [0.3, 0.2], optimizer=name.upper(), max_steps=3, tol=0, seed=1)
    assert result.steps == 3
    kinds = {
        "qng": "QNG", "qn-spsa": "QNG", "momentum-qng": "QNG", "adam": "Adam", "spsa": "SPSA", "rotosolve": "Rotosolve",
        "excitation-solve": "ExcitationSolve", "cma-es": "CMAES",
    }  # fmt: skip
    assert kind_of(as_optimizer(name)).split()[0] == kinds.get(name, "SciPy")


def test_names_with_settings_are_the_objects():
    assert named("gd", learning_rate=0.2) == GradientDescent(0.2)
    assert named("adam", learning_rate=0.2) == Adam(0.2)
    assert named("qng", approx="diag", damping=0.0) == qngd.QNG(approx="diag", damping=0.0)
    assert named("spsa") == SPSA()
    assert named("rotosolve") == Rotosolve()
    assert named("excitation-solve") == ExcitationSolve()
    assert named("momentum-qng") == qngd.QNG(step=Momentum())
    assert named("momentum-qng", learning_rate=0.2, momentum=0.1) == qngd.QNG(step=Momentum(0.2, 0.1))
    assert named("qn-spsa", resamplings=2) == qngd.QNG.qn_spsa(resamplings=2)
    assert named("Nelder-Mead") == SciPy("Nelder-Mead")
    assert named("cobyla", options={"rhobeg": 0.2}) == SciPy("COBYLA", {"rhobeg": 0.2})


def test_the_settings_in_the_table_are_those_that_the_optimizers_take():
    for name in NAMES:
        assert set(SETTINGS[name]) == set(inspect.signature(maker(name)).parameters) - {"_step"}, name


@pytest.mark.parametrize(
    ("name", "settings", "text"),
    [
        ("gd", {}, r"write optimizer=qngd.baselines.GradientDescent\(0.1\)"),
        ("adams", {}, r"'adams' is none of qng, adam, spsa, gd, .*l-bfgs-b, .*Did you mean 'adam'\?"),
        ("cobyla", {"learning_rate": 0.1}, "learning_rate does not go with optimizer='cobyla'"),
        ("adam", {"damping": 0.1}, "damping does not go with optimizer='adam'"),
    ],
)
def test_what_cannot_be_meant(name, settings, text):
    with pytest.raises(SettingError, match=text):
        named(name, **settings)


def test_the_table_imports_no_optimizer():
    code = "import sys, qngd.run.names; print(any(m in sys.modules for m in ('numpy', 'scipy', 'qngd.qng')))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.split() == ["False"]
