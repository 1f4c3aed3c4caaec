"""The page on objectives: what it shows is run; and the command line takes objectives."""

import pytest
from typer.testing import CliRunner

from qngd.cli.commands import app
from tests.pages import shown

PROBLEM = """
import numpy as np
import qngd

X = np.linspace(-1, 1, 6).reshape(3, 2)


def problem(size: int = 0):
    circuit = qngd.CircuitBuilder(2)
    x, y, a, b = circuit.parameters("x", "y", "a", "b")
    circuit = circuit.ry(x + a, 0).rx(y, 1).cx(0, 1).ry(b, 1)
    objective = qngd.Objective(
        circuit, [{"IZ": 1.0}, {"ZI": 1.0}], lambda o: np.mean((o - 0.3) ** 2), data=X, inputs=["x", "y"],
        batch_size=size or None,
    )
    return qngd.Problem(objective, theta0=[0.1, 0.2], name="a fit")
"""


def test_every_example_on_the_page_runs():
    page = shown("objectives.md")
    assert page.found.stderr > 0
    assert page.result.theta[0] == 0.1
    assert 0.0 <= page.result.theta[1] <= 0.5


@pytest.fixture
def problem(tmp_path):
    path = tmp_path / "fit.py"
    path.write_text(PROBLEM)
    return path


def test_the_command_line_takes_an_objective(problem, tmp_path):
    runner = CliRunner()
    out = tmp_path / "out"
    ran = runner.invoke(
        app, ["run", str(problem), "--steps", "4", "--out", str(out), "--run-dir", str(tmp_path / "kept")]
    )
    assert ran.exit_code == 0, ran.output
    assert "a fit: 2 qubits, 2 parameters" in ran.output
    assert (out / "convergence.png").exists()
    sampled = runner.invoke(
        app, ["run", str(problem), "--set", "size=2", "--steps", "2", "--shots", "50", "--seed", "1"]
    )
    assert sampled.exit_code == 0, sampled.output
    assert "mini-batches of 2 of 3 samples" in sampled.output
    price = runner.invoke(app, ["cost", str(problem), "--shots", "50", "--steps", "3"])
    assert price.exit_code == 0, price.output
    layers = runner.invoke(app, ["layers", str(problem)])
    assert layers.exit_code == 0, layers.output
    assert "layer 0" in layers.output
