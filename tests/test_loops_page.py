"""docs/loops.md does what it says: its code is run as it stands there."""

import re

import numpy as np
import pytest

import qngd
from tests.pages import DOCS

PAGE = DOCS / "loops.md"
LOWEST = -np.hypot(1.0, 0.25)  # of what the circuit reaches


@pytest.fixture(scope="module")
def blocks():
    """The page's pieces of code, by the word that each is about."""
    found = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    words = ("qngd.evaluator", "QNGOptimizer", "scipy.optimize", "qngd.qiskit.Minimizer")
    assert len(found) == len(words)
    assert all(word in block for word, block in zip(words, found, strict=True))
    return dict(zip(words, found, strict=True))


def test_a_loop_of_ones_own_and_scipys(blocks, capsys):
    names = {}
    exec(blocks["qngd.evaluator"], names)
    assert len(capsys.readouterr().out.splitlines()) == 50
    own = names["state"].energy
    exec(blocks["scipy.optimize"], names)
    assert own == pytest.approx(names["found"].fun, abs=1e-7)
    assert own == pytest.approx(LOWEST, abs=1e-7)


def test_pennylanes_loop(blocks):
    pytest.importorskip("pennylane")
    names = {}
    exec(blocks["QNGOptimizer"], names)
    node, angles, scale = names["node"], names["angles"], names["scale"]
    assert node(angles, scale) < -0.9999
    assert scale.requires_grad


def test_qiskits_algorithms(blocks):
    pytest.importorskip("qiskit_algorithms")
    names = {"qngd": qngd}
    exec(blocks["qngd.qiskit.Minimizer"], names)
    assert callable(names["vqe"].optimizer)
