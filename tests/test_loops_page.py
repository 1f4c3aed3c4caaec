"""docs/loops.md does what it says: its code is run as it stands there."""

import numpy as np
import pytest

import qngd
from tests.pages import shown

LOWEST = -np.hypot(1.0, 0.25)  # of what the circuit reaches
OWN, PENNYLANE, SCIPY, QISKIT = range(4)  # the page's pieces of code


def test_a_loop_of_ones_own_and_scipys(capsys):
    page = shown("loops.md", [OWN, SCIPY])
    assert len(capsys.readouterr().out.splitlines()) == 50 + 1  # every step, and what SciPy found
    assert page.state.energy == pytest.approx(page.found.fun, abs=1e-7)
    assert page.state.energy == pytest.approx(LOWEST, abs=1e-7)


def test_pennylanes_loop():
    pytest.importorskip("pennylane")
    page = shown("loops.md", [PENNYLANE])
    assert page.node(page.angles, page.scale) < -0.9999
    assert page.scale.requires_grad


def test_qiskits_algorithms():
    pytest.importorskip("qiskit_algorithms")
    page = shown("loops.md", [QISKIT], qngd=qngd)
    assert callable(page.vqe.optimizer)
