"""The pages on objectives: what they show is run; and the command line takes objectives."""

import numpy as np
import pytest
from typer.testing import CliRunner

import qngd
from qngd.cli.commands import app
from tests.dense import observable_matrix
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
    pytest.importorskip("pennylane")
    page = shown("objectives.md")
    exact = qngd.expectation(page.objective, theta=page.weights).value
    assert page.found.value == pytest.approx(exact, abs=5 * page.found.stderr + 0.1)  # a curved loss is biased


def test_data_in_circuits():
    pytest.importorskip("qiskit")
    page = shown("howto/feed-data.md")
    moved = np.array([0.1, 0.2])
    away = [qngd.expectation(page.amplitudes, theta=moved + shift * np.eye(2)[0]).value for shift in (1e-5, -1e-5)]
    assert page.slope[0] == pytest.approx((away[0] - away[1]) / 2e-5, abs=1e-8)


def test_a_subspace():
    page = shown("howto/search-a-subspace.md")
    lowest = np.linalg.eigvalsh(observable_matrix(page.hamiltonian))[:2]
    assert qngd.outputs(page.subspace, page.result.theta).value == pytest.approx(lowest, abs=1e-3)


def test_mini_batches():
    page = shown("howto/take-mini-batches.md")
    at_start, at_end = (qngd.expectation(page.fit, theta=theta).value for theta in ([0.4, -0.5], page.result.theta))
    assert at_end < at_start


def test_frozen_and_bounded():
    pytest.importorskip("qiskit")
    page = shown("howto/freeze-and-bound.md")
    assert page.result.energy < page.result.history[0]
    assert list(qngd.wrap(page.ansatz).parameters) == [f"θ[{k}]" for k in range(8)]


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
