"""docs/loops.md and the pages that it leads to do what they say: their code is run as it stands there."""

import numpy as np
import pytest

import qngd
from qngd.run.names import SETTINGS
from tests.pages import shown, text_of

LOWEST = -np.hypot(1.0, 0.25)  # of what the circuit reaches


def test_a_loop_of_ones_own(capsys):
    page = shown("howto/write-your-own-loop.md")
    assert len(capsys.readouterr().out.splitlines()) == 50  # every step
    assert page.state.energy == pytest.approx(LOWEST, abs=1e-7)


def test_scipys_minimize():
    page = shown("howto/use-in-scipy.md")
    assert page.found.fun == pytest.approx(LOWEST, abs=1e-7)


def test_pennylanes_loop():
    pytest.importorskip("pennylane")
    page = shown("howto/use-in-pennylane.md")
    angles, scale = np.array([0.1, 0.2]), 2.0
    optimizer = page.QNGOptimizer(stepsize=0.1, lam=1e-3)
    for _ in range(20):
        (angles, scale), _ = optimizer.step_and_cost(page.node, *map(page.pnp.array, (angles, scale)))
    assert page.node(angles, scale) < -0.9999
    assert scale.requires_grad
    assert page.value < page.cost(np.array([0.1, 0.2]), 1.2)


def test_qiskits_algorithms():
    pytest.importorskip("qiskit_algorithms")
    page = shown("howto/use-in-qiskit.md")
    assert callable(page.vqe.optimizer)


def test_other_optimizers(capsys):
    page = shown("howto/compare-optimizers.md")
    assert capsys.readouterr().out.count("\n") == 1 + len(page.rivals)
    assert {run.status for run in page.runs.values()} <= {"converged", "max_steps"}
    assert page.runs["L-BFGS-B"].energy == pytest.approx(LOWEST, abs=1e-6)
    text = text_of("howto/compare-optimizers.md")
    assert not [name for name in SETTINGS if f"`{name}`" not in text]
    assert qngd.baselines.Adam().learning_rate == 0.05
