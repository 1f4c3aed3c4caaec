"""Pauli propagation against the statevector: equal where nothing is left out, within its bound where something is."""

import numpy as np
import pytest
from hypothesis import given

import qngd
from qngd.circuit.observable import Observable
from qngd.errors import BackendError, MemoryLimitError, QngdWarning, SettingError
from qngd.evaluators.choice import evaluator_for
from qngd.evaluators.setup import Setup
from qngd.exact import propagation
from tests.command_line import TOY
from tests.command_line import qngd as command
from tests.layered_circuits import CHAIN, GRAPHS, qaoa, real_amplitudes
from tests.strategies import ansatz, examples, programs, random_terms

ALL = qngd.PauliPropagation(coefficient=0)


@given(programs(max_qubits=5))
@examples(60)
def test_equal_to_the_statevector_where_nothing_is_left_out(program):
    circuit, terms = program.circuit(), random_terms(1, program.num_qubits, 6)
    found = qngd.expectation(circuit, terms, program.theta, backend=ALL)
    assert float(found) == pytest.approx(float(qngd.expectation(circuit, terms, program.theta)), abs=1e-10)
    assert found.stderr == 0
    slopes = [qngd.gradient(circuit, terms, program.theta, backend=backend).value for backend in (ALL, None)]
    np.testing.assert_allclose(slopes[0], slopes[1], atol=1e-10)


CIRCUITS = {
    **{f"qaoa {name}": qaoa(n, edges, 2, "cx") for name, (n, edges) in GRAPHS.items()},
    "real amplitudes": real_amplitudes(4, 3, CHAIN),
    "ansatz": ansatz(6),
}
TRUNCATIONS = [
    qngd.PauliPropagation(coefficient=0.03),
    qngd.PauliPropagation(coefficient=0, weight=2),
    qngd.PauliPropagation(coefficient=0, count=24),
    qngd.PauliPropagation(coefficient=1e-3, count=50, weight=4),
]


@pytest.mark.filterwarnings("ignore:backend. pauli-propagation")
@pytest.mark.parametrize("truncation", TRUNCATIONS, ids=str)
@pytest.mark.parametrize("name", CIRCUITS)
def test_errors_are_within_their_bound_and_the_gradient_is_that_of_the_energy(name, truncation):
    circuit = CIRCUITS[name]
    terms = random_terms(3, circuit.num_qubits, 8)
    theta = np.random.default_rng(2).normal(size=circuit.num_parameters)
    asked = evaluator_for(circuit, Observable.from_mapping(terms), Setup(truncation))
    here = asked.evaluate(theta, gradient=True)
    left_out = asked.outlook(theta)
    exact = float(qngd.expectation(circuit, terms, theta))
    assert abs(float(here.energy) - exact) <= left_out.bound + 1e-12
    assert here.energy.stderr == left_out.norm <= left_out.bound
    if truncation.count < 1000:
        assert left_out.most <= 2 * truncation.count  # those of one step more than are kept after it
    # central differences; where what is left out changes between the points, the energy jumps, and bends by it
    slopes, bends = [], []
    for step in 1e-6 * np.eye(len(theta)):
        (up, down), _ = asked.energies([theta + step, theta - step])
        slopes.append((float(up) - float(down)) / 2e-6)
        bends.append(float(up) + float(down) - 2 * float(here.energy))
    smooth = np.abs(bends) < 1e-10
    has_ties = name.startswith("qaoa") and truncation.count < 1000  # by symmetry, and rounding decides
    assert smooth.mean() > 0.7 or has_ties
    np.testing.assert_allclose(here.gradient.value[smooth], np.array(slopes)[smooth], atol=1e-6)


@pytest.mark.filterwarnings("ignore:backend. pauli-propagation")
def test_the_error_shrinks_with_the_coefficient():
    circuit, terms = ansatz(6), random_terms(3, 6, 8)
    rng = np.random.default_rng(5)
    errors = []
    for coefficient in (0.3, 0.03, 0.003, 0.0003):
        backend = qngd.PauliPropagation(coefficient=coefficient)
        points = rng.normal(size=(6, circuit.num_parameters))
        differences = [
            float(qngd.expectation(circuit, terms, theta, backend=backend))
            - float(qngd.expectation(circuit, terms, theta))
            for theta in points
        ]
        errors.append(np.sqrt(np.mean(np.square(differences))))
    assert errors[0] > errors[1] > errors[2] > errors[3]
    assert errors[3] < 0.02 * errors[0]


def test_gradients_at_angles_of_zero_are_seen():
    """There all but the identity's paths have the coefficient 0."""
    circuit, terms = real_amplitudes(4, 2, CHAIN), random_terms(3, 4, 8)
    theta = np.zeros(circuit.num_parameters)
    slope = qngd.gradient(circuit, terms, theta, backend="pauli-propagation").value
    expected = qngd.gradient(circuit, terms, theta).value
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(slope, expected, atol=1e-10)


def test_the_metric_is_that_of_light_cones():
    circuit = ansatz(5)
    theta = np.random.default_rng(4).normal(size=circuit.num_parameters)
    for approx in ("diag", "block-diag", "full"):
        found, expected = (
            np.asarray(qngd.metric_tensor(circuit, theta, approx=approx, backend=backend))
            for backend in ("pauli-propagation", None)
        )
        np.testing.assert_allclose(found, expected, atol=1e-10)
    with pytest.raises(SettingError, match="whole states"):
        qngd.metric_tensor(circuit, theta, approx="qn-spsa", backend="pauli-propagation")


def ring(num_qubits):
    edges = [(q, (q + 1) % num_qubits) for q in range(num_qubits)]
    labels = ["".join("Z" if q in edge else "I" for q in reversed(range(num_qubits))) for edge in edges]
    return qaoa(num_qubits, edges, 3, "rzz"), dict.fromkeys(labels, 0.5)


def test_a_ring_of_seventy_is_minimized_as_by_light_cones():
    circuit, terms = ring(70)
    theta = qngd.start.ramp(circuit, terms)
    backend = qngd.PauliPropagation(coefficient=1e-6)
    optimizer = qngd.QNG(approx="block-diag")
    one, other = (
        qngd.minimize(circuit, terms, theta, optimizer=optimizer, backend=each, max_steps=4)
        for each in (backend, "light-cone")
    )
    assert one.energy == pytest.approx(other.energy, abs=1e-3)
    assert "approximate, by Pauli propagation" in one.note
    assert "coefficient=1e-06" in evaluator_for(circuit, Observable.from_mapping(terms), Setup(backend)).name
    assert one.stderr == pytest.approx(0, abs=1e-3)


def test_what_bounds_nothing_is_said():
    circuit = real_amplitudes(6, 4, [(q, (q + 1) % 6) for q in range(6)])
    theta = np.random.default_rng(1).normal(size=circuit.num_parameters)
    backend = qngd.PauliPropagation(coefficient=0.2)
    with pytest.warns(QngdWarning, match=r"more than the observable's range.*coefficient=0.02"):
        qngd.expectation(circuit, random_terms(1, 6, 5), theta, backend=backend)


def test_the_price_of_a_step():
    circuit, terms = ring(70)
    price = qngd.cost(circuit, terms, np.full(6, 0.3), backend="pauli-propagation", steps=3)
    assert price.left_out.most <= price.left_out.strings
    assert price.metric.count == 420
    assert min(price.num_bytes, price.seconds) > 0
    assert price.run.jobs == 4
    assert price.run_seconds == pytest.approx(4 * price.seconds)
    rows = price.rows()
    assert "Pauli strings" in rows["energy, gradient"]
    assert rows["backend"] == "Pauli propagation (coefficient=0.0001, count=262144)"


def test_the_command_line_takes_it_by_name(tmp_path):
    output = command("cost", TOY, "--backend", "pauli-propagation").output
    assert "Pauli strings" in output
    assert "if the signs of what is left out are random" in output
    assert "Pauli propagation" in command("run", TOY, "--backend", "pauli-propagation", "--out", str(tmp_path)).output


@pytest.mark.parametrize(
    "wrong", [{"coefficient": -1}, {"coefficient": 1}, {"count": 0}, {"weight": 0}, {"count": 2.5}, {"count": 1 << 31}]
)
def test_truncations_that_are_none(wrong):
    with pytest.raises(SettingError, match=next(iter(wrong))):
        qngd.PauliPropagation(**wrong)


def test_what_it_does_not_give():
    circuit, theta = ansatz(3), np.zeros(12)
    with pytest.raises(BackendError, match="leave out shots"):
        qngd.expectation(circuit, {"ZZZ": 1.0}, theta, backend="pauli-propagation", shots=10)
    with pytest.raises(SettingError, match="a CVaR takes the distribution"):
        qngd.expectation(circuit, qngd.CVaR({"ZZZ": 1.0}, 0.2), theta, backend="pauli-propagation")
    with pytest.raises(BackendError, match="runs no circuits"):
        qngd.sample(circuit, theta, backend="pauli-propagation", shots=10)
    with pytest.raises(BackendError, match="Did you mean 'pauli-propagation'"):
        qngd.expectation(circuit, {"ZZZ": 1.0}, theta, backend="pauli-propagaton")


def test_no_room_is_said_with_what_to_keep(monkeypatch):
    monkeypatch.setattr(propagation, "_ENTRY", 1 << 40)
    with pytest.raises(MemoryLimitError, match=r"qngd.PauliPropagation\(coefficient=0.001"):
        qngd.expectation(ansatz(3), {"ZXZ": 1.0}, np.full(12, 0.3), backend="pauli-propagation")
