"""From exact outcomes, as counts or as expectation values, a plan gives exactly the energy, gradient and metric."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qngd.circuit.observable import Observable
from qngd.estimates.evaluation import Cost
from qngd.estimates.positive import project
from qngd.measured.assemble import assemble
from qngd.measured.planner import Planner
from qngd.metrics import BlockDiagonal, as_metric
from tests import dense
from tests.expected_metrics import expected_metrics
from tests.own_backends import EXACT, MANY, assembled, exact_counts
from tests.strategies import (
    Sketch,
    ansatz,
    examples,
    observables,
    programs,
    random_observable,
    random_program,
)


def check(program, terms, kind, grouping):
    circuit = program.circuit()
    if not len(circuit.moving):
        return  # tests.dense needs rotations
    truth = dense.Truth(program.states, program.theta, terms)
    metrics = expected_metrics(circuit, program.theta)
    scale = 1 + sum(map(abs, terms.values()))
    for approx in ("diag", "block-diag"):
        found = assembled(circuit, program.theta, terms, kind, grouping, metric=as_metric(approx))
        assert float(found.energy.value) == pytest.approx(truth.energy, abs=1e-9 * scale)
        assert np.allclose(found.gradient.value, truth.gradient, rtol=0, atol=1e-7 * scale)
        size = 1 + np.abs(metrics[approx]).max(initial=0)
        assert np.allclose(found.metric.value, metrics[approx], rtol=0, atol=1e-9 * size), approx
        assert found.metric.approx == approx
        assert found.is_finite


@pytest.mark.parametrize("kind", EXACT)
@pytest.mark.parametrize("grouping", ["qubit-wise", "commuting"])
@given(programs(max_qubits=4, max_parameters=4, max_gates=14), st.data())
@examples(25)
def test_steps_of_programs(kind, grouping, program, data):
    check(program, data.draw(observables(program.num_qubits)), kind, grouping)


@pytest.mark.parametrize("kind", EXACT)
@pytest.mark.parametrize("seed", range(3))
def test_steps_of_generic_programs(seed, kind):
    n = 3 + seed
    program = random_program(20 + seed, n, 30, 4, bend=0.1 * (seed % 2))
    check(program, random_observable(seed, n), kind, ["qubit-wise", "commuting"][seed % 2])


def test_exact_outcomes_say_so_and_counts_have_errors():
    circuit = ansatz(3, 1)
    theta = np.linspace(0.2, 1.4, 6)
    terms = random_observable(2, 3)
    exact = assembled(circuit, theta, terms, "means", metric=BlockDiagonal())
    for part in (exact.energy, exact.gradient, exact.metric):
        assert part.is_exact
    sampled = assembled(circuit, theta, terms, "counts", metric=BlockDiagonal())
    for part in (sampled.energy, sampled.gradient, sampled.metric):
        assert not part.is_exact
        assert part.shots > MANY / 2


# --- errors ---


def variance_of_energy(program, terms, groups):
    """Σ over groups of Var(H_group), from matrices."""
    psi = program.states(program.theta[None])[0]
    total = 0.0
    for labels in groups:
        matrix = dense.observable_matrix({label: terms[label] for label in labels})
        total += np.vdot(psi, matrix @ (matrix @ psi)).real - np.vdot(psi, matrix @ psi).real ** 2
    return total


@pytest.mark.parametrize(
    ("grouping", "groups"),
    [("qubit-wise", [["ZZI", "IZZ", "ZIZ"], ["XXI"], ["YYI"]]), ("commuting", [["ZZI", "XXI", "YYI"], ["IZZ", "ZIZ"]])],
)
def test_the_error_of_an_energy_holds_the_covariances_of_each_circuit(grouping, groups):
    program = random_program(9, 3, 30, 3)
    terms = {"ZZI": 2.0, "XXI": 1.5, "YYI": -1.2, "IZZ": 0.8, "ZIZ": 0.5, "III": 3.0}
    found = assembled(program.circuit(), program.theta, terms, grouping=grouping, gradient=False)
    expected = variance_of_energy(program, terms, groups)
    independent = variance_of_energy(program, terms, [[label] for labels in groups for label in labels])
    assert float(found.energy.stderr) ** 2 * MANY == pytest.approx(expected, rel=1e-6)
    assert abs(independent - expected) > 0.01 * expected


def test_the_error_of_a_gradient_by_hand():
    """Two RY on one qubit each, H = Z₀ + 2X₁: every slope is half a difference of two energies."""
    sketch = Sketch(2, 3)
    a, b, c = sketch.t
    sketch("ry", 0, a)("ry", 1, 0.5 * b + 3 * c)
    theta = np.array([0.4, 0.8, -0.2])
    found = assembled(sketch.circuit(), theta, {"IZ": 1.0, "XI": 2.0})
    first, second = 0.4, 0.5 * 0.8 - 3 * 0.2
    assert np.allclose(
        found.gradient.value, [-np.sin(first), 1.0 * np.cos(second), 6 * np.cos(second)], rtol=0, atol=1e-12
    )
    # Z₀ and X₁ are measured together: a shifted circuit's variance is that of Z₀ + 2X₁
    angles = {0: [(first + s, second) for s in (np.pi / 2, -np.pi / 2)],
              1: [(first, second + s) for s in (np.pi / 2, -np.pi / 2)]}  # fmt: skip
    variance = [sum(np.sin(u) ** 2 + 4 * np.cos(v) ** 2 for u, v in angles[k]) / 4 for k in (0, 1)]
    factors = np.array([[1, 0], [0, 0.5], [0, 3]])
    covariance = (factors * variance) @ factors.T
    assert np.allclose(found.gradient.covariance * MANY, covariance, rtol=1e-6, atol=1e-9)
    assert np.allclose(found.gradient.stderr**2 * MANY, np.diag(covariance), rtol=1e-6)


# --- parts that are not asked for ---


def test_only_what_is_asked_for():
    circuit = ansatz(2, 1)
    theta = np.linspace(0.3, 1.1, 4)
    terms = {"ZX": 1.0, "XI": 0.5}
    whole = assembled(circuit, theta, terms, metric=BlockDiagonal())
    energy = assembled(circuit, theta, terms, gradient=False)
    slope = assembled(circuit, theta, terms, energy=False)
    metric = assembled(circuit, theta, None, energy=False, gradient=False, metric=BlockDiagonal())
    assert energy.gradient is energy.metric is slope.metric is metric.gradient is None
    assert energy.energy.value == whole.energy.value
    assert np.array_equal(slope.gradient.value, whole.gradient.value)
    assert np.array_equal(metric.metric.value, whole.metric.value)
    assert energy.energy.shots < whole.energy.shots


@pytest.mark.parametrize("terms", [{"II": 2.5}, {"II": 2.5, "XZ": 0.0}])
def test_a_constant_observable_runs_nothing(terms):
    circuit = ansatz(2, 1)
    found = assembled(circuit, np.linspace(0.3, 1.1, 4), terms)
    assert found.energy.value == 2.5
    assert found.energy.is_exact
    assert np.array_equal(found.gradient.value, np.zeros(4))
    assert found.gradient.is_exact


def test_parameters_that_nothing_uses():
    sketch = Sketch(2, 3)
    circuit = sketch("ry", 0, sketch.t[1]).circuit()
    for approx in ("diag", "block-diag", "full"):
        found = assembled(circuit, [5.0, 0.3, -7.0], {"IX": 1.0}, metric=as_metric(approx))
        assert np.allclose(found.gradient.value, [0, np.cos(0.3), 0], rtol=0, atol=1e-12)
        assert np.allclose(found.metric.value, np.diag([0, 0.25, 0]), rtol=0, atol=1e-12)
        assert not found.metric.stderr[[0, 2]].any()


def test_one_outcome_for_every_request():
    circuit = ansatz(2, 1)
    plan = Planner(circuit, Observable.from_mapping({"ZX": 1.0})).plan(np.ones(4))
    outcomes = [exact_counts(plan.templates[r.template], r.angles) for r in plan.requests]
    with pytest.raises(ValueError, match="zip"):
        assemble(plan, outcomes[:-1], np.ones(4), Cost())


# --- projection ---


def symmetric(seed, size, rank=None):
    rng = np.random.default_rng(seed)
    vectors = np.linalg.qr(rng.normal(size=(size, size)))[0]
    values = rng.normal(size=size)
    values[size if rank is None else rank :] = 0
    return (vectors * values) @ vectors.T


@pytest.mark.parametrize("seed", range(8))
def test_the_projection_is_the_nearest_positive_matrix(seed):
    """Its optimality conditions: P ≥ 0, P − M ≥ 0, tr P(P − M) = 0."""
    matrix = symmetric(seed, 3 + seed)
    found, note = project(matrix)
    assert np.array_equal(found, found.T)
    for positive in (found, found - matrix):
        assert np.linalg.eigvalsh(positive).min() > -1e-14
    assert abs(np.sum(found * (found - matrix))) < 1e-13
    values = np.linalg.eigvalsh(matrix)
    assert values[0] < 0
    assert f"{int((values < 0).sum())} of {len(values)} eigenvalues were negative" in note
    assert f"the lowest {values[0]:.3g};" in note
    assert f"moved by {np.linalg.norm(found - matrix):.3g}" in note


@pytest.mark.parametrize("seed", range(4))
def test_a_positive_matrix_stays_and_nothing_is_said(seed):
    matrix = symmetric(seed, 5) @ symmetric(seed, 5) + 1e-3 * np.eye(5)
    found, note = project(matrix)
    assert np.array_equal(found, matrix)
    assert note == ""


@pytest.mark.parametrize("seed", range(4))
def test_a_zero_that_rounding_made_negative_is_nothing_to_say(seed):
    matrix = symmetric(seed, 6, 3) @ symmetric(seed, 6, 3)
    found, note = project(matrix)
    assert np.allclose(found, matrix, rtol=0, atol=1e-14)
    assert note == ""
