"""The Hamiltonian-aware metric, T_ij = Σ_s a_s² ∂_i⟨P_s⟩ ∂_j⟨P_s⟩ / (2√Σ a_s²), exact and from shots."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import qngd
from qngd.circuit.observable import Observable
from qngd.errors import ObservableError, SettingError
from qngd.estimates.evaluation import Cost
from qngd.measured.assemble import assemble
from qngd.measured.planner import Planner
from qngd.metrics import HamiltonianAware
from tests import dense
from tests.dense_templates import draws
from tests.hydrogen import error
from tests.own_backends import assembled
from tests.strategies import Sketch, examples, observables, programs
from tests.three_qubits import TERMS, THETA, ansatz

# asymmetric, and several strings to a circuit, so that what they measure is correlated


def expected(states, theta, terms) -> np.ndarray:
    """From derivatives of every string's expectation value, by finite differences of dense states."""
    acting = {label: a for label, a in terms.items() if set(label) != {"I"} and a}
    slopes = [a * dense.Truth(states, theta, {label: 1.0}).gradient for label, a in acting.items()]
    if not slopes:
        return np.zeros((len(theta), len(theta)))
    return np.array(slopes).T @ np.array(slopes) / (2 * np.linalg.norm(list(acting.values())))


def on_active(circuit, terms):
    """The terms as they are where no gate acts: Z is 1 there, and strings with X or Y are 0."""
    idle = set(range(circuit.num_qubits)) - set(circuit.ops.qubits.tolist())
    found = {}
    for label, value in terms.items():
        letters = list(label)
        outside = [len(letters) - 1 - q for q in idle]
        if not {letters[place] for place in outside} & {"X", "Y"}:
            kept = "".join("I" if place in outside else letter for place, letter in enumerate(letters))
            found[kept] = found.get(kept, 0.0) + value
    return found


def of_circuit(circuit):
    return lambda thetas: np.array([dense.statevector(circuit, theta) for theta in thetas])


def repeated(plan, shots, times, seed):
    return [(assemble(plan, outcomes, THETA, Cost()), outcomes) for outcomes in draws(plan, shots, times, seed)]


def test_where_no_gate_acts():
    """Of XI nothing is measured there, and ZZ is IZ."""
    circuit = qngd.CircuitBuilder(2)
    circuit.ry(circuit.parameter("a"), 0)
    found = qngd.metric_tensor(
        circuit, [0.4], approx="hamiltonian", observable={"IX": 0.3, "XI": 5.0, "ZZ": 0.5, "IZ": 0.25}
    )
    slopes = np.array([0.3 * np.cos(0.4), -0.75 * np.sin(0.4)])
    assert found.value[0, 0] == pytest.approx(slopes @ slopes / (2 * np.hypot(0.3, 0.75)))


@given(programs(max_qubits=4, max_gates=14), st.data())
@examples(25)
def test_it_is_the_sum_over_strings(program, data):
    """Exactly, and from exact outcomes in both groupings: neither light cones, nor shared or nonlinear parameters, nor
    general shift rules change it."""
    terms = data.draw(observables(program.num_qubits, max_terms=5))
    circuit, theta = program.circuit(), program.theta
    truth = expected(program.states, theta, on_active(circuit, terms))
    found = qngd.metric_tensor(circuit, theta, approx="hamiltonian", observable=terms)
    assert found.is_exact
    assert np.allclose(found, truth, atol=1e-8)
    for grouping in ("qubit-wise", "commuting"):
        for kind in ("means", "counts"):
            sampled = assembled(circuit, theta, terms, kind, grouping, metric=HamiltonianAware()).metric
            assert np.allclose(sampled, truth, atol=1e-7)


@given(programs(max_qubits=3, min_parameters=2, max_parameters=4, max_gates=10), st.data())
@examples(15)
def test_it_transforms_as_a_metric(program, data):
    terms = data.draw(observables(program.num_qubits, max_terms=4))
    count = program.num_parameters
    change = np.eye(count) + 0.3 * np.random.default_rng(count).normal(size=(count, count))
    other = program.reparametrized(change)
    here, there = (
        np.asarray(qngd.metric_tensor(p.circuit(), p.theta, approx="hamiltonian", observable=terms))
        for p in (program, other)
    )
    assert np.allclose(there, change.T @ here @ change, atol=1e-9)


def test_one_string_by_hand():
    """RY(t) on |0⟩ and H = a·X: ⟨X⟩ = sin t, and T = a²cos²t/(2|a|)."""
    sketch = Sketch(1, 1)
    circuit = sketch("ry", 0, sketch.t[0]).circuit()
    found = qngd.metric_tensor(circuit, [0.4], approx="hamiltonian", observable={"X": -3.0, "I": 7.0})
    assert np.allclose(found, 1.5 * np.cos(0.4) ** 2, atol=1e-14)


def test_it_costs_no_circuits():
    planner = Planner(ansatz(), Observable.from_mapping(TERMS))
    plain, aware = planner.plan(THETA), planner.plan(THETA, metric=HamiltonianAware())
    assert plain.num_circuits == aware.num_circuits
    assert plain.fingerprint == aware.fingerprint
    alone = planner.plan(THETA, energy=False, gradient=False, metric=HamiltonianAware())
    assert alone.num_circuits == plain.num_circuits - np.count_nonzero(plain.energy_weights)
    assert qngd.cost(ansatz(), TERMS, THETA, approx="hamiltonian").metric_circuits == 0


@pytest.mark.parametrize("shots", [None, 100])
def test_it_needs_an_observable(shots):
    with pytest.raises(SettingError, match=r'approx="hamiltonian".*pass observable='):
        qngd.metric_tensor(ansatz(), THETA, approx="hamiltonian", shots=shots)
    with pytest.raises(ObservableError, match="2 qubits"):
        qngd.metric_tensor(ansatz(), THETA, approx="hamiltonian", observable={"XX": 1.0}, shots=shots)


@pytest.mark.parametrize("shots", [None, 100])
def test_of_the_identity_nothing_is_left(shots):
    found = qngd.metric_tensor(ansatz(), THETA, approx="hamiltonian", observable={"III": 2.0}, shots=shots)
    assert not np.any(found)
    assert not np.any(found.stderr)


@pytest.mark.parametrize(("grouping", "shots"), [("qubit-wise", 40), ("commuting", 400)])
def test_shots_give_it_without_bias_and_with_the_right_errors(grouping, shots):
    circuit, times = ansatz(), 250
    plan = Planner(circuit, Observable.from_mapping(TERMS), grouping).plan(THETA, metric=HamiltonianAware())
    found = [e.metric for e, _ in repeated(plan, shots, times, 7)]
    raw = np.array([m.raw for m in found])
    truth = expected(of_circuit(circuit), THETA, TERMS)
    spread = raw.std(axis=0, ddof=1)
    assert np.all(np.abs(raw.mean(axis=0) - truth) < 4 * spread / np.sqrt(times))
    reported = np.sqrt(np.mean([m.stderr**2 for m in found], axis=0))
    assert np.mean(reported / spread) == pytest.approx(1, abs=0.05)
    assert np.all(np.abs(reported / spread - 1) < 0.15)  # the spread itself is known to 3 %, or 6 where tails are long
    assert min(m.eigenvalues.min() for m in found) > -1e-12
    assert all(("positive cone" in m.note) == (m.unprojected is not None) for m in found)
    if shots == 40:  # without the subtraction the mean would be off
        assert any(m.unprojected is not None for m in found)


def test_where_every_slope_vanishes_it_is_zero_within_its_errors():
    """Then all is the second order: squares of noise, whose error is not taken for 0."""
    sketch = Sketch(2, 2)
    circuit = sketch("rx", 0, sketch.t[0])("rx", 1, sketch.t[1]).circuit()
    theta, times = np.zeros(2), 1000
    plan = Planner(circuit, Observable.from_mapping({"IZ": 1.0, "ZI": 0.5, "ZZ": 0.3})).plan(
        theta, metric=HamiltonianAware()
    )
    found = [e.metric for e, _ in repeated(plan, 50, times, 3)]
    raw = np.array([m.raw for m in found])
    spread = raw.std(axis=0, ddof=1)
    assert np.all(np.abs(raw.mean(axis=0)) <= 4 * spread / np.sqrt(times))
    reported = np.sqrt(np.mean([m.raw_stderr**2 for m in found], axis=0))
    assert np.all(reported / spread > 0.9)
    assert np.all(reported / spread < 1.3)  # 1.2, as 3000 repetitions showed


def test_a_single_shot_says_nothing_of_its_noise():
    plan = Planner(ansatz(), Observable.from_mapping(TERMS)).plan(THETA, metric=HamiltonianAware())
    ((_, outcomes),) = repeated(plan, 1, 1, 5)
    found = assemble(plan, outcomes, THETA, Cost()).metric
    assert np.all(np.isfinite(found.raw))
    assert np.all(np.isinf(np.diag(found.raw_stderr)))
    assert found.shots == np.count_nonzero(plan.energy_weights == 0)


def test_auto_shots_see_the_error_of_the_step():
    """The spread of a step from the same shots' gradient and metric, by repetition."""
    circuit, shots, times = ansatz(), 4000, 300
    plan = Planner(circuit, Observable.from_mapping(TERMS)).plan(THETA, metric=HamiltonianAware())
    runs = repeated(plan, shots, times, 9)
    truth = expected(of_circuit(circuit), THETA, TERMS)
    damping = 0.1 * np.linalg.norm(truth, 2) * np.eye(4)
    steps = np.array([np.linalg.solve(e.metric.raw + damping, e.gradient.value) for e, _ in runs])
    seen = [assemble(plan, outcomes, THETA, Cost(), with_spread=True).spread for _, outcomes in runs[:20]]
    predicted = np.mean([each.step.sum() / shots for each in seen])
    off = steps - steps.mean(axis=0)
    spread = np.sum((off @ (truth + damping)) * off) / (times - 1)  # in the norm in which a step is off
    assert spread == pytest.approx(predicted, rel=0.15)


@pytest.mark.parametrize("shots", [None, 1000])
def test_it_finds_the_ground_state_of_hydrogen(shots):
    assert error("hamiltonian", shots) < (1e-8 if shots is None else 5e-3)
