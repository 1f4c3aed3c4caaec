"""The pages of docs/howto do what they say: their code is run as it stands there."""

from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from scipy import optimize

import qngd
from qngd.circuit.ops import Op
from tests import dense
from tests.lab import Service
from tests.pages import DOCS, blocks, shown

ENERGY = {"ZZ": 1.0, "XI": 0.5, "IY": -0.25, "YX": 0.3}
START = [0.3, -0.7, 0.4]


def problem():
    circuit = qngd.CircuitBuilder(2)
    a, b, c = circuit.parameters("a", "b", "c")
    return circuit.ry(a, 0).rx(0.3, 1).cx(0, 1).rz(2 * b, 1).rx(b, 0).ryy(c, 1, 0)


def state(theta):
    """The state of `problem`, by matrices."""
    a, b, c = theta
    found = dense.zero_state(2)
    for label, angle, qubits in (
        ("Y", a, [0]),
        ("X", 0.3, [1]),
        ("CX", 0, [0, 1]),
        ("Z", 2 * b, [1]),
        ("X", b, [0]),
        ("YY", c, [1, 0]),
    ):
        matrix = dense.CLIFFORD[Op.CX] if label == "CX" else dense.rotation_matrix(label, angle)
        found = dense.apply(matrix, qubits, found)
    return found[0]


def energy(theta):
    return float(np.real(state(theta).conj() @ dense.observable_matrix(ENERGY) @ state(theta)))


LOWEST = min(optimize.minimize(energy, start).fun for start in np.random.default_rng(1).uniform(-3, 3, (6, 3)))


@pytest.mark.parametrize("page", sorted({path.name for path in (DOCS / "howto").glob("*.md")} - {"index.md"}))
def test_a_page_is_at_most_a_page_and_its_code_is_tried(page):
    text = (DOCS / "howto" / page).read_text(encoding="utf-8")
    assert blocks(f"howto/{page}")
    assert len(text.splitlines()) <= 100
    tests = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*.py"))
    assert f'("howto/{page}")' in tests


# --- add-a-backend ---

BACKEND = shown("howto/add-a-backend.md")


def run(backend, **given):
    return qngd.minimize(problem(), ENERGY, START, backend=backend, shots=800, seed=2, **given)


@pytest.mark.parametrize("kind", ["Lab", "PatientLab"])
def test_what_a_backend_of_ones_own_gives(kind):
    """Energies, gradients and metrics, those between layers too, against statevectors."""
    backend = getattr(BACKEND, kind)(Service())
    for function in (qngd.expectation, qngd.gradient):
        exact = function(problem(), ENERGY, START).value
        sampled = function(problem(), ENERGY, START, backend=backend, shots=2000)
        assert np.all(abs(sampled.value - exact) <= 4.5 * np.asarray(sampled.stderr))
    for cross in ("hadamard", "mid-circuit", "overlap"):
        exact = np.asarray(qngd.metric_tensor(problem(), START, approx="full"))
        found = qngd.metric_tensor(problem(), START, approx="full", backend=backend, shots=2000, cross=cross)
        assert np.all(abs(found.raw - exact) <= 4.5 * found.stderr + 1e-12)
        assert 0 < found.stderr.max() < 0.1
    counts = qngd.sample(problem(), START, backend=backend, shots=3000)
    chances = np.abs(state(START)) ** 2
    assert np.allclose([counts[f"{k:02b}"] / 3000 for k in range(4)], chances, atol=0.05)


@pytest.mark.parametrize("kind", ["Lab", "PatientLab"])
def test_a_run_on_a_backend_of_ones_own(kind):
    service = Service()
    backend = getattr(BACKEND, kind)(service)
    price = qngd.cost(problem(), ENERGY, START, backend=backend, shots=800)
    assert (price.backend, price.step.jobs, service.jobs) == ("my lab", 1, {})
    result = run(backend, max_steps=25)
    exact = energy(result.theta)
    assert exact - LOWEST < 0.05
    assert abs(result.energy - exact) < 4.5 * result.stderr
    start, *rest = service.jobs.values()
    assert (price.step.circuits, price.step.shots) == (len(start), sum(shots for _, _, shots in start))
    assert (result.cost.jobs, result.cost.circuits) == (1 + len(rest), len(start) + sum(map(len, rest)))
    assert len(rest) >= result.steps


@pytest.mark.parametrize(("kind", "paid_twice"), [("Lab", 1), ("PatientLab", 0)])
def test_an_interrupted_run_on_a_backend_of_ones_own(kind, paid_twice, tmp_path):
    """The job under way is collected where jobs can be found again, and sent anew elsewhere."""
    make = getattr(BACKEND, kind)
    expected = run(make(Service()), max_steps=4, tol=0)
    service = Service()
    service.trouble = [None, None, KeyboardInterrupt()]
    assert run(make(service), max_steps=4, tol=0, run_dir=tmp_path).status == "interrupted"
    assert len(service.jobs) == 3
    with pytest.warns(qngd.QngdWarning, match="counts as paid") if paid_twice else nullcontext():
        result = run(make(service), max_steps=4, tol=0, run_dir=tmp_path)  # as a new process would
    assert len(service.jobs) == 5 + paid_twice
    assert (result.steps, result.cost.jobs) == (4, 5 + paid_twice)
    if not paid_twice:
        assert np.array_equal(result.history, expected.history)
        assert np.array_equal(result.theta, expected.theta)


# --- add-a-damping ---


def test_a_damping_of_ones_own():
    """Against the inverse on the eigenvectors that are kept, by NumPy."""
    damping = shown("howto/add-a-damping.md").TraceFraction
    metric = np.asarray(qngd.metric_tensor(problem(), START, approx="full"))
    slope = qngd.gradient(problem(), ENERGY, START).value
    values, vectors = np.linalg.eigh(metric)
    for kept, part in ((1, 0.3), (2, 0.9), (3, 0.9999)):
        assert (np.cumsum(values[::-1]) >= part * values.sum()).argmax() + 1 == kept
        some = vectors[:, -kept:]
        expected = START - 0.1 * some @ ((some.T @ slope) / values[-kept:])
        optimizer = qngd.QNG(0.1, approx="full", damping=damping(part))
        result = qngd.minimize(problem(), ENERGY, START, optimizer=optimizer, max_steps=1)
        assert np.allclose(result.theta, expected, rtol=0, atol=1e-9)
    with pytest.raises(qngd.SettingError, match="part must be at least 0 and below 1"):
        damping(1.5)


def test_a_run_with_a_damping_of_ones_own_is_resumed(tmp_path):
    damping = shown("howto/add-a-damping.md").TraceFraction(0.99)
    check_resumed(qngd.QNG(0.2, damping=qngd.damping.SignalToNoise(on=damping)), tmp_path)
    other = shown("howto/add-a-damping.md").TraceFraction(0.95)
    with pytest.raises(qngd.SettingError, match="run_dir"):
        qngd.minimize(problem(), ENERGY, START, optimizer=qngd.QNG(0.2, damping=other), run_dir=tmp_path / "exact")


def check_resumed(optimizer, tmp_path):
    """A run in two parts ends as one in a single part, exactly and from shots, and comes near the ground state."""
    for shots, folder in ((None, "exact"), (500, "shots")):
        given = {"optimizer": optimizer, "shots": shots, "seed": 3, "tol": 0}
        whole = qngd.minimize(problem(), ENERGY, START, max_steps=30, **given)
        qngd.minimize(problem(), ENERGY, START, max_steps=11, run_dir=tmp_path / folder, **given)
        parts = qngd.minimize(problem(), ENERGY, START, max_steps=30, run_dir=tmp_path / folder, **given)
        assert np.array_equal(parts.theta, whole.theta)
        assert np.array_equal(parts.history, whole.history)
        assert parts.cost == whole.cost
        assert energy(whole.theta) - LOWEST < (0.02 if shots is None else 0.1)


# --- add-a-step-rule ---


def test_a_step_rule_of_ones_own(tmp_path):
    rule = shown("howto/add-a-step-rule.md").BoldDriver
    check_resumed(qngd.QNG(step=rule()), tmp_path)


def test_the_memory_of_a_step_rule_of_ones_own():
    """Rates grow by a tenth after each accepted step and are halved after each rejected one."""
    rule = shown("howto/add-a-step-rule.md").BoldDriver
    seen = []
    optimizer = qngd.QNG(step=rule(initial=2.0), approx="full", damping=1e-3)
    qngd.minimize(problem(), ENERGY, START, optimizer=optimizer, max_steps=12, tol=0, callback=seen.append)
    assert {info.accepted for info in seen} == {True, False}
    rate = 2.0
    for info in seen:
        assert info.length <= 0.5 + 1e-12
        if info.length < 0.5 - 1e-12:  # else the bound made it smaller
            assert info.rate == pytest.approx(rate)
        rate *= 1.1 if info.accepted else 0.5
    with pytest.raises(qngd.SettingError, match="grow must be a positive number"):
        rule(grow=0)
