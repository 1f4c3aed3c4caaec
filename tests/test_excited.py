"""Excited states against exact diagonalization, and the penalties against dense states and finite differences."""

import numpy as np
import pennylane as qml
import pytest
from pennylane import numpy as pnp
from qiskit.circuit.library import efficient_su2, n_local
from qiskit.primitives import StatevectorEstimator
from qiskit.quantum_info import SparsePauliOp, Statevector

import qngd
from qngd.backends.statevector import StatevectorSampler
from qngd.evaluators.choice import evaluator_for
from qngd.evaluators.deflated import deflated
from qngd.evaluators.setup import Setup
from qngd.interop import as_observable
from qngd.metrics.names import as_metric
from qngd.report.run_data import of_result
from qngd.run.side_by_side import run_data

# the tutorial's, with the exact energies that it prints
H2 = {
    "II": -1.052373245772859,
    "IZ": 0.39793742484318045,
    "ZI": -0.39793742484318045,
    "ZZ": -0.01128010425623538,
    "XX": 0.18093119978423156,
}
PRINTED = (-1.85727503, -1.24458455, -0.88272215)
ODD = {"ZIX": 0.7, "IYI": -0.4, "XXI": 0.9, "IZZ": 0.5, "ZII": 0.3, "III": -0.2, "YIY": 0.25}


def spectrum(terms):
    return np.linalg.eigvalsh(SparsePauliOp.from_list(list(terms.items())).to_matrix())


def h2_circuit():
    return n_local(2, ["ry", "rz"], "cz", reps=1)


def start(circuit, seed=1):
    return np.random.default_rng(seed).uniform(-2, 2, circuit.num_parameters)


def test_hydrogen_as_the_tutorial_prints_it():
    states = qngd.excited_states(h2_circuit(), 3, H2, start(h2_circuit()), seed=1)
    assert [state.energy for state in states] == pytest.approx(PRINTED, abs=1e-7)
    for place, state in enumerate(states):
        assert isinstance(state, qngd.Result)
        assert (state.mean, state.mean_stderr) == (state.energy, state.stderr)
        vector = Statevector(h2_circuit().assign_parameters(state.theta))
        assert vector.expectation_value(SparsePauliOp.from_list(list(H2.items()))).real == pytest.approx(state.energy)
        others = [abs(vector.inner(Statevector(h2_circuit().assign_parameters(s.theta)))) ** 2 for s in states]
        assert state.overlaps == pytest.approx(others, abs=1e-9)
        assert state.overlaps[place] == 1
        assert np.delete(state.overlaps, place).max() < 1e-6
        assert not np.any(state.overlaps_stderr)


@pytest.mark.parametrize("shots", [None, 200])
def test_states_of_a_diagonal_observable_have_bit_strings(shots):
    terms = {"ZZI": 1.0, "IZZ": 0.5, "IIZ": 0.2}
    circuit = efficient_su2(3, reps=1)
    for state in qngd.excited_states(circuit, 2, terms, start(circuit, 3), seed=2, shots=shots, max_steps=15):
        (likely,) = state.bit_strings.most_probable(1)
        exact = Statevector(circuit.assign_parameters(state.theta)).probabilities_dict()[likely.bits]
        assert likely.probability == pytest.approx(exact, abs=0.15 if shots else 1e-9)


@pytest.mark.parametrize("weights", [None, 4.0, [3.0, 3.5, 4.0]])
def test_an_asymmetric_observable_on_three_qubits(weights):
    circuit = efficient_su2(3, reps=2)
    states = qngd.excited_states(circuit, 4, ODD, start(circuit, 3), seed=2, weights=weights)
    assert [state.energy for state in states] == pytest.approx(spectrum(ODD)[:4], abs=1e-5)
    if weights is not None:
        assert [state.weight for state in states[:3]] == [3.0, 3.5, 4.0] if isinstance(weights, list) else [4.0] * 3


def test_the_weights_reach_from_each_state_to_the_highest():
    circuit = efficient_su2(3, reps=2)
    states = qngd.excited_states(circuit, 3, ODD, start(circuit, 3), seed=2)
    levels = spectrum(ODD)
    for state in states:
        assert 1.2 * (levels[-1] - state.energy) < state.weight <= 3 * sum(map(abs, ODD.values()))


def test_states_of_one_energy_are_told_apart():
    """A singlet below three states of a triplet."""
    terms = {"XX": 1.0, "YY": 1.0, "ZZ": 1.0}
    circuit = n_local(2, ["ry", "rz"], "cx", reps=2)
    states = qngd.excited_states(circuit, 4, terms, start(circuit, 5), seed=3)
    assert [state.energy for state in states] == pytest.approx([-3, 1, 1, 1], abs=1e-6)
    assert np.allclose([state.overlaps for state in states], np.eye(4), atol=1e-5)


@pytest.mark.parametrize("metric", [None, "full", "block-diag", "diag"])
def test_penalties_against_dense_states_and_finite_differences(metric):
    """Also with an idle qubit, and one that never leaves |0⟩."""
    native = efficient_su2(3, reps=1).copy_empty_like()
    body = efficient_su2(3, reps=1)
    wide = type(native)(5)
    wide.compose(body, [0, 2, 3], inplace=True)
    wide.rz(0.3, 1)
    circuit = qngd.wrap(wide)
    terms = {"IIZIX": 0.5, "ZXIIY": 0.7, "IIIZI": 0.2}
    thetas, weights = np.random.default_rng(4).normal(size=(2, circuit.num_parameters)), np.array([1.7, 0.4])
    inner = evaluator_for(circuit, as_observable(terms, circuit))
    asked = deflated(inner, thetas, weights)

    def state(theta):
        return Statevector(wide.assign_parameters(theta))

    def value(theta):
        energy = state(theta).expectation_value(SparsePauliOp.from_list(list(terms.items()))).real
        overlaps = [abs(state(each).inner(state(theta))) ** 2 for each in thetas]
        return energy, np.array(overlaps)

    theta = np.random.default_rng(5).normal(size=circuit.num_parameters)
    metric = None if metric is None else as_metric(metric)
    found = asked.evaluate(theta, gradient=True, metric=metric, seed=None)
    energy, overlaps = value(theta)
    assert found.energy.value == pytest.approx(energy + weights @ overlaps, abs=1e-10)
    assert asked.evaluate(theta, gradient=False, seed=None).energy.value == pytest.approx(found.energy.value, abs=1e-12)
    plain, seen, _ = asked.undeflated(theta, None)
    assert plain.value == pytest.approx(energy, abs=1e-10)
    assert seen.value == pytest.approx(overlaps, abs=1e-10)
    step = 1e-5
    slopes = []
    for shift in step * np.eye(circuit.num_parameters):
        ahead, behind = value(theta + shift), value(theta - shift)
        slopes.append((ahead[0] - behind[0] + weights @ (ahead[1] - behind[1])) / (2 * step))
    assert found.gradient.value == pytest.approx(slopes, abs=1e-8)
    if metric is not None:
        assert np.array_equal(found.metric, inner.metric(theta, metric, None))


def test_a_cvar_has_no_excited_states():
    with pytest.raises(qngd.SettingError, match="CVaR has no excited states"):
        qngd.excited_states(h2_circuit(), 2, qngd.CVaR({"ZZ": 1.0}, 0.5), start(h2_circuit()))


def test_an_objective_has_no_excited_states():
    objective = qngd.Objective(h2_circuit(), H2, lambda energy: energy**2)
    for start_too in ({}, {"theta0": start(h2_circuit())}):
        with pytest.raises(qngd.SettingError, match="an Objective has no excited states; give a circuit"):
            qngd.excited_states(objective, 2, **start_too)


def test_weights_that_are_too_small_show_in_the_overlaps():
    states = qngd.excited_states(h2_circuit(), 2, H2, start(h2_circuit()), seed=1, weights=0.1)
    assert states[1].overlaps[0] > 0.9
    assert "overlaps with state 0" in states[1].note
    assert "larger weights" in states[1].note


def test_a_circuit_that_reaches_no_eigenstate_is_told_by_the_spread_of_its_energy():
    """One angle for two qubits, of four that are not in order; and an observable of what never turns."""
    circuit = qngd.CircuitBuilder(4)
    a = circuit.parameter("a")
    circuit.ry(a, 3).ry(2 * a, 0).cx(3, 0).h(2)
    terms = {"ZIIZ": 1.0, "IIIX": 0.5, "XXII": 0.0, "ZXIX": 0.7, "YIIY": 0.9, "IIZI": 0.4}
    matrix = SparsePauliOp.from_list(list(terms.items())).to_matrix()
    states = qngd.excited_states(circuit, 2, terms, [0.3])
    for state in states:
        vector = qngd.statevector(circuit, state.theta)
        assert state.spread == pytest.approx(np.linalg.norm(matrix @ vector - state.energy * vector), abs=1e-9)
        assert ("no eigenstate" in state.note) == (state.spread > 0.4)
    assert states[1].spread > 0.4
    assert states[1].note.endswith("no eigenstate: give a circuit that reaches more states")
    (early,) = qngd.excited_states(h2_circuit(), 1, H2, start(h2_circuit()), seed=1, max_steps=0)
    assert early.note.endswith("no eigenstate: give more steps, or a circuit that reaches more states")
    for state in qngd.excited_states(circuit, 2, {"IIII": 2.5}, [0.3]):  # of which every state is an eigenstate
        assert "no eigenstate" not in state.note
    (unknown,) = qngd.excited_states(circuit, 1, {**terms, "IZII": 0.3}, [0.3])
    assert np.isnan(unknown.spread)
    for state in qngd.excited_states(h2_circuit(), 2, H2, start(h2_circuit()), seed=1):
        assert state.spread < 1e-3
        assert "eigenstate" not in state.note


def test_the_structure_of_a_qnode_is_kept():
    @qml.qnode(qml.device("default.qubit", wires=2))
    def node(angles, scale):
        for layer in angles:
            qml.RY(scale * layer[0], 0)
            qml.RY(layer[1], 1)
            qml.CNOT([0, 1])
        return qml.expval(qml.Z(0) @ qml.X(1) + 0.4 * qml.Z(1) - 0.2 * qml.X(0))

    given = (pnp.array(np.random.default_rng(1).normal(size=(3, 2)), requires_grad=True), 0.5)
    states = qngd.excited_states(qngd.Problem(node, theta0=given), 2, seed=1)
    levels = np.linalg.eigvalsh(qml.matrix(qml.Z(0) @ qml.X(1) + 0.4 * qml.Z(1) - 0.2 * qml.X(0), wire_order=[0, 1]))
    assert [state.energy for state in states] == pytest.approx(levels[:2], abs=1e-6)
    for state in states:
        assert node(*state.theta) == pytest.approx(state.energy, abs=1e-9)


def test_an_interrupted_search_goes_on_where_it_was(tmp_path):
    given = (h2_circuit(), 3, H2, start(h2_circuit()))
    expected = qngd.excited_states(*given, restarts=2, seed=1)
    calls = []

    def interrupt(info):
        calls.append(info)
        if len(calls) == 50:
            raise KeyboardInterrupt

    broken = qngd.excited_states(*given, restarts=2, seed=1, run_dir=tmp_path, callback=interrupt)
    assert 1 <= len(broken) < 3
    assert broken[-1].status == "interrupted"
    result = qngd.excited_states(*given, restarts=2, seed=1, run_dir=tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["state-0", "state-1", "state-2"]
    for state, other in zip(result, expected, strict=True):
        assert state.energy == other.energy
        assert np.array_equal(state.history, other.history)
    with pytest.raises(qngd.SettingError, match="another run: the states before it, or the weights"):
        qngd.excited_states(*given, restarts=2, seed=1, run_dir=tmp_path, weights=5.0)


class Counting(StatevectorSampler):
    """It says whether a submission, by its number, may be sent, and counts the circuits of each."""

    def __init__(self, breaks_at=-1, error=KeyboardInterrupt):
        self.sent, self.breaks_at, self.error = [], breaks_at, error

    def submit(self, templates, requests, seed):
        if len(self.sent) == self.breaks_at:
            self.breaks_at = -1
            raise self.error("gone")
        self.sent.append(len(requests))
        return super().submit(templates, requests, seed)


SAMPLED = {"shots": 40, "seed": 3, "restarts": 1, "max_steps": 3, "tol": 0}


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_nothing_more_is_sent_after_a_state_broke_off(error, tmp_path):
    given = (h2_circuit(), 2, H2, start(h2_circuit()))
    whole = Counting()
    expected = qngd.excited_states(*given, backend=whole, **SAMPLED)
    device = Counting(7, error)
    states = qngd.excited_states(*given, backend=device, run_dir=tmp_path, **SAMPLED)
    assert len(device.sent) == 7
    assert states[-1].status in ("interrupted", "failed")
    assert "was not measured" in states[-1].note
    assert np.isnan([states[-1].energy, states[-1].stderr, states[-1].overlaps[0]]).all()
    assert sum(state.cost.circuits for state in states) == sum(device.sent)
    assert "state=" not in states[-1].message
    again = qngd.excited_states(*given, backend=device, run_dir=tmp_path, **SAMPLED)
    assert [state.energy for state in again] == [state.energy for state in expected]
    assert device.sent == whole.sent


def test_the_remedy_is_one_that_states_have():
    given = (h2_circuit(), 2, H2, start(h2_circuit()))
    how = {**SAMPLED, "restarts": 3, "backend": Counting(), "max_steps": None}
    (state,) = qngd.excited_states(*given, budget=qngd.Budget(jobs=13), **how)
    assert state.message.endswith("raise the budget: the same call with its run_dir tries what was not")


def test_ends_that_were_measured_before_a_budget_was_raised_are_in_the_cost(tmp_path):
    given = (h2_circuit(), 2, H2, start(h2_circuit()))
    whole = Counting()
    qngd.excited_states(*given, backend=whole, **SAMPLED)
    device, settings = Counting(), {**SAMPLED, "run_dir": tmp_path}
    limit = sum(whole.sent) - whole.sent[0]
    small = qngd.excited_states(*given, backend=device, budget=qngd.Budget(circuits=limit), **settings)
    assert small[-1].status == "budget"
    assert "with a run_dir the same call goes on" in small[-1].message
    assert sum(state.cost.circuits for state in small) == sum(device.sent) <= limit
    again = qngd.excited_states(*given, backend=device, budget=qngd.Budget(circuits=limit), **settings)
    assert [state.cost for state in again] == [state.cost for state in small]
    for more in (whole.sent[-1], 10**6):  # what the end took, is spent too
        done = qngd.excited_states(*given, backend=device, budget=qngd.Budget(circuits=limit + more), **settings)
        assert sum(state.cost.circuits for state in done) == sum(device.sent) <= limit + more
    assert done[-1].status == "max_steps"


def test_a_state_goes_on_with_its_penalties_only():
    states = qngd.excited_states(h2_circuit(), 2, H2, start(h2_circuit()), restarts=1, max_steps=3)
    with pytest.raises(qngd.SettingError, match="state"):
        qngd.minimize(h2_circuit(), H2, state=states[1].state)


def test_a_budget_is_for_all_states_together():
    given = (h2_circuit(), 3, H2, start(h2_circuit()))
    whole = qngd.excited_states(*given, restarts=1)
    spent = [state.cost.circuits for state in whole]
    for limit in (spent[0], spent[0] + 1, spent[0] + 4, spent[0] + spent[1] + 5):
        states = qngd.excited_states(*given, restarts=1, budget=qngd.Budget(circuits=limit))
        assert sum(state.cost.circuits for state in states) <= limit
        assert len(states) < 3 or states[-1].status == "budget"
    assert len(qngd.excited_states(*given, restarts=1, budget=qngd.Budget(circuits=sum(spent)))) == 3
    (only,) = qngd.excited_states(*given, restarts=1, budget=qngd.Budget(circuits=spent[0] // 2))
    assert only.status == "budget"
    (only,) = qngd.excited_states(*given, restarts=1, max_steps=0, budget=qngd.Budget(circuits=1))
    assert "the budget allowed 1 of 3 states" in only.note


@pytest.mark.parametrize(
    ("count", "settings", "text"),
    [
        (0, {}, "count"),
        (2.5, {}, "count"),
        (H2, {}, r"comes second, as in excited_states\(circuit, 3, observable, theta0\)"),
        (5, {}, "count: a circuit of 2 qubits has 4 orthogonal states; got 5"),
        (3, {"weights": -1.0}, "weights"),
        (3, {"weights": [1.0]}, "each of the first 2"),
        (3, {"weights": "large"}, "weights"),
        (3, {"restarts": 0}, "restarts"),
        (3, {"run_dir": 3}, "run_dir"),
        (3, {"seed": -1}, "seed"),
    ],
)
def test_wrong_settings(count, settings, text):
    with pytest.raises(qngd.SettingError, match=text):
        qngd.excited_states(h2_circuit(), count, H2, start(h2_circuit()), **settings)


# --- measured ---


def sampled(circuit, terms, thetas, weights, shots=300, **how):
    wrapped = qngd.wrap(circuit)
    return deflated(evaluator_for(wrapped, as_observable(terms, wrapped), Setup(shots=shots, **how)), thetas, weights)


def shared():
    """A parameter that turns several gates, one of a gate with four frequencies, scaled and nonlinear angles."""
    circuit = qngd.CircuitBuilder(3)
    a, b, c = circuit.parameters("a", "b", "c")
    circuit.ry(a, 0).rx(0.7, 1).cx(0, 1).rz(2 * a, 1).rxx(b, 0, 2).ryy(-b, 0, 2).h(1).ry(a * c, 1).rzz(c, 1, 2).s(0)
    return circuit


def test_measured_penalties_are_those_of_statevectors():
    """Values within their errors, and errors as large as repetition says."""
    thetas, weights = np.array([[0.5, -0.3, 1.1], [1.4, 0.2, -0.6]]), np.array([1.5, 0.8])
    terms = {"ZIX": 0.4, "XYI": 0.3, "IIZ": -0.2}
    theta = np.array([0.3, 0.9, -0.4])
    wrapped = qngd.wrap(shared())
    exact = deflated(evaluator_for(wrapped, as_observable(terms, wrapped)), thetas, weights)
    truth = exact.evaluate(theta, gradient=True, seed=None)
    asked = sampled(shared(), terms, thetas, weights)
    found = [asked.evaluate(theta, gradient=True, seed=seed) for seed in range(60)]
    assert np.array_equal(found[0].gradient.value, asked.evaluate(theta, gradient=True, seed=0).gradient.value)
    for name in ("energy", "gradient"):
        values = np.array([getattr(each, name).value for each in found])
        errors = np.array([getattr(each, name).stderr for each in found])
        mean = np.sqrt((errors**2).mean(axis=0))
        assert np.all(abs(values.mean(axis=0) - getattr(truth, name).value) < 4 * mean / np.sqrt(60))
        assert np.all(abs(values.std(axis=0) / mean - 1) < 0.35)
    energy, overlaps, cost = asked.undeflated(theta, 5)
    bare, seen, _ = exact.undeflated(theta, None)
    assert abs(energy.value - bare.value) < 4.5 * energy.stderr
    assert np.all(abs(overlaps.value - seen.value) < 4.5 * overlaps.stderr)
    assert cost == asked.undeflated_cost(theta)


@pytest.mark.parametrize("metric", [None, "block-diag", "full", "qn-spsa"])
def test_a_step_with_penalties_is_one_submission(metric):
    theta = np.array([0.3, 0.9, -0.4])
    chosen = None if metric is None else as_metric(metric)
    plain = evaluator_for(qngd.wrap(shared()), as_observable({"ZII": 1.0}, qngd.wrap(shared())), Setup(shots=20))
    others = np.array([[0.5, -0.3, 1.1], [1.4, 0.2, -0.6]])
    asked = sampled(shared(), {"ZII": 1.0}, others, [1.0, 1.0], shots=20)
    found = asked.evaluate(theta, gradient=True, metric=chosen, seed=1)
    assert found.cost == asked.preview(theta, gradient=True, metric=chosen, spread=None)
    assert found.cost.jobs == 1
    more = found.cost.circuits - plain.evaluate(theta, gradient=True, metric=chosen, seed=1).cost.circuits
    slope = plain.evaluate(theta, gradient=True, seed=1).cost.circuits
    energies = plain.evaluate(theta, gradient=False, seed=1).cost.circuits
    assert 2 * (1 + slope - energies) <= more <= 40
    twice = sampled(shared(), {"ZII": 1.0}, others[[0, 0]], [1.0, 1.0], shots=20)
    assert twice.evaluate(theta, gradient=True, metric=chosen, seed=1).cost.circuits == found.cost.circuits - more / 2
    if chosen is not None:
        assert np.allclose(asked.metric(theta, chosen, 1), plain.metric(theta, chosen, 1))


def test_hydrogen_from_shots():
    settings = {"shots": 2000, "seed": 4, "restarts": 2, "max_steps": 12, "weights": 2.0}
    states = qngd.excited_states(h2_circuit(), 2, H2, start(h2_circuit(), 3), **settings)
    exact = [Statevector(h2_circuit().assign_parameters(state.theta)) for state in states]
    operator = SparsePauliOp.from_list(list(H2.items()))
    for state, vector, level in zip(states, exact, PRINTED, strict=False):
        value = vector.expectation_value(operator).real
        assert 0 < state.stderr < 0.02
        assert abs(state.energy - value) < 4.5 * state.stderr
        assert value == pytest.approx(level, abs=0.05)
    overlap = abs(exact[0].inner(exact[1])) ** 2
    assert abs(states[1].overlaps[0] - overlap) < 4.5 * states[1].overlaps_stderr[0]
    assert states[0].overlaps_stderr[0] == 0 < states[0].overlaps_stderr[1]


def zeros(native, theta, other):
    """|⟨ψ(θ')|ψ(θ)⟩|²"""
    return abs(np.vdot(qngd.statevector(native, other), qngd.statevector(native, theta))) ** 2


def test_what_shots_of_overlaps_are_worth():
    """A shot adds p(1 − p) to an overlap's variance, and w²p(1 − p) to that of the energy with penalties."""
    others, weights = np.array([[0.5, -0.3, 1.1], [1.4, 0.2, -0.6]]), np.array([1.5, 0.8])
    theta = np.array([0.3, 0.9, -0.4])
    asked = sampled(shared(), {"ZIX": 0.4, "XYI": 0.3, "IIZ": -0.2}, others, weights)
    asked = asked.with_shots(qngd.AutoShots(total=2_000_000))
    found = asked.evaluate(theta, gradient=True, metric=as_metric("block-diag"), seed=1)
    plan = asked.planner.plan(theta)
    places = list(plan.overlaps.requests)
    overlaps = np.array([zeros(shared(), theta, other) for other in others])
    assert found.spread.energy[places] == pytest.approx(overlaps * (1 - overlaps), rel=0.1)
    assert plan.energy_weights[places] == pytest.approx(weights)
    again = asked.evaluate(theta, gradient=True, metric=as_metric("block-diag"), seed=2, spread=found.spread)
    assert again.cost.shots == 2_000_000
    only = asked.evaluate(theta, gradient=False, seed=2, spread=found.spread)  # the first of these requests
    assert only.spread.energy[places] == pytest.approx(overlaps * (1 - overlaps), rel=0.1)


@pytest.mark.parametrize(
    ("gradient", "grouping"), [("sampled", "qubit-wise"), ("spsa", "qubit-wise"), (True, qngd.RandomPaulis(bases=12))]
)
def test_penalties_in_gradients_and_measurements_by_chance(gradient, grouping):
    """Unbiased, with errors as large as repetition says."""
    from qngd.gradients.names import as_gradient

    others, weights = np.array([[0.5, -0.3, 1.1], [1.4, 0.2, -0.6]]), np.array([1.5, 0.8])
    terms, theta = {"ZIX": 0.4, "XYI": 0.3, "IIZ": -0.2}, np.array([0.3, 0.9, -0.4])
    wrapped = qngd.wrap(shared())
    truth = deflated(evaluator_for(wrapped, as_observable(terms, wrapped)), others, weights)
    truth = truth.evaluate(theta, gradient=True, seed=None)
    asked = sampled(shared(), terms, others, weights, shots=200, grouping=grouping)
    way = as_gradient(gradient) if isinstance(gradient, str) else gradient
    found = [asked.evaluate(theta, gradient=way, seed=seed) for seed in range(60)]
    for name in ("energy", "gradient"):
        values = np.array([getattr(each, name).value for each in found])
        mean = np.sqrt((np.array([getattr(each, name).stderr for each in found]) ** 2).mean(axis=0))
        assert np.all(abs(values.mean(axis=0) - getattr(truth, name).value) < 4 * mean / np.sqrt(60) + 0.02)
        assert np.all(abs(values.std(axis=0) / mean - 1) < 0.35)


def test_the_end_of_a_state_has_random_bases_by_the_seed():
    others, weights = np.array([[0.5, -0.3, 1.1]]), np.array([1.5])
    grouping = qngd.RandomPaulis(bases=6)
    asked = sampled(shared(), {"ZIX": 0.4, "XYI": 0.3, "IIZ": -0.2}, others, weights, shots=10, grouping=grouping)
    first, second = (float(asked.undeflated(others[0], 7)[0].value) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("shots", ["auto", qngd.AutoShots(total=60_000), qngd.TargetError(0.01)])
def test_shots_by_a_rule(shots):
    settings = {"shots": shots, "seed": 4, "restarts": 1, "max_steps": 8, "weights": 2.0}
    states = qngd.excited_states(h2_circuit(), 2, H2, start(h2_circuit(), 3), **settings)
    operator = SparsePauliOp.from_list(list(H2.items()))
    exact = [Statevector(h2_circuit().assign_parameters(state.theta)) for state in states]
    for state, vector in zip(states, exact, strict=True):
        assert abs(state.energy - vector.expectation_value(operator).real) < 4.5 * state.stderr
    assert abs(states[1].overlaps[0] - abs(exact[0].inner(exact[1])) ** 2) < 4.5 * states[1].overlaps_stderr[0]
    if isinstance(shots, qngd.TargetError):
        assert all(state.stderr < 0.013 for state in states)


@pytest.mark.parametrize("shots", [qngd.AutoShots(total=6000), qngd.TargetError(0.02)])
def test_a_budget_holds_with_a_rule_for_shots(shots):
    settings = {"shots": shots, "seed": 4, "restarts": 1, "max_steps": 3, "weights": 2.0}
    given = (h2_circuit(), 2, H2, start(h2_circuit(), 3))
    spent = [state.cost.shots for state in qngd.excited_states(*given, **settings)]
    for limit in (sum(spent) - 1, sum(spent) - spent[1] // 3):
        states = qngd.excited_states(*given, **settings, budget=qngd.Budget(shots=limit))
        assert sum(state.cost.shots for state in states) <= limit


# --- frozen and bounded ---


@pytest.mark.parametrize("shots", [None, 400])
def test_frozen_parameters_keep_their_start_in_every_state(shots):
    """As a circuit does in which they stand as numbers."""
    circuit, theta0 = efficient_su2(3, reps=2), start(efficient_su2(3, reps=2), 3)
    names = [parameter.name for parameter in circuit.parameters]
    frozen = [names[1], names[4], names[7]]
    places = [names.index(name) for name in frozen]
    settings = {"seed": 2, "shots": shots, "max_steps": 3 if shots else 200, "restarts": 2}
    states = qngd.excited_states(circuit, 2, ODD, theta0, frozen=frozen, **settings)
    bound = circuit.assign_parameters({circuit.parameters[i]: theta0[i] for i in places})
    same = qngd.excited_states(bound, 2, ODD, np.delete(theta0, places), **settings)
    assert not any(name in bound.parameters for name in frozen)
    for state, other in zip(states, same, strict=True):
        assert np.array_equal(state.theta[places], theta0[places])
        assert np.delete(state.theta, places) == pytest.approx(other.theta, abs=1e-6)
        assert state.energy == pytest.approx(other.energy, abs=1e-8)
        assert state.overlaps == pytest.approx(other.overlaps, abs=1e-8)


def one_rotation():
    circuit = qngd.CircuitBuilder(1)
    return circuit.ry(circuit.parameter("a"), 0)


@pytest.mark.parametrize("shots", [None, 4000])
def test_bounded_states_are_the_lowest_in_the_box(shots):
    """The ground state at the edge that is nearest to π, the next where cos θ + w·cos²((θ − 2)/2) is lowest."""
    settings = {"seed": 2, "shots": shots, "weights": 3.0, "max_steps": 60}
    states = qngd.excited_states(one_rotation(), 2, {"Z": 1.0}, [0.4], bounds=(-1.5, 2.0), **settings)
    grid = np.linspace(-1.5, 2.0, 100_001)
    lowest = grid[np.argmin(np.cos(grid) + 3 * np.cos((grid - 2.0) / 2) ** 2)]
    found = [float(state.theta[0]) for state in states]
    assert found == pytest.approx([2.0, lowest], abs=0.1 if shots else 1e-4)
    for state in states:
        assert -1.5 <= state.theta[0] <= 2.0
        if not shots:
            assert state.energy == pytest.approx(np.cos(state.theta[0]), abs=1e-9)


def test_a_bounded_search_is_recognized_on_disk(tmp_path):
    given = (one_rotation(), 2, {"Z": 1.0}, [0.4])
    first = qngd.excited_states(*given, bounds=(-1.5, 2.0), seed=2, restarts=1, run_dir=tmp_path)
    again = qngd.excited_states(*given, bounds=(-1.5, 2.0), seed=2, restarts=1, run_dir=tmp_path)
    assert [state.energy for state in first] == [state.energy for state in again]
    with pytest.raises(qngd.SettingError, match="bounds"):
        qngd.excited_states(*given, bounds=(-1.5, 1.9), seed=2, restarts=1, run_dir=tmp_path)


def test_a_state_below_that_went_on_is_named_where_those_above_do_not_fit_any_more(tmp_path):
    given, settings = (h2_circuit(), 2, H2, start(h2_circuit())), {"seed": 1, "restarts": 1, "run_dir": tmp_path}
    qngd.excited_states(*given, **settings, max_steps=2)
    with pytest.raises(qngd.SettingError, match=r"state-1.*the states before it.*are others now \(by max_steps"):
        qngd.excited_states(*given, **settings, max_steps=4)


def test_a_reference_is_that_of_the_lowest_state_alone(tmp_path):
    problem = qngd.Problem(h2_circuit(), H2, start(h2_circuit()), reference_energy=PRINTED[0])
    states = qngd.excited_states(problem, 2, seed=1, restarts=1, run_dir=tmp_path)
    assert [state.about["problem"]["reference_energy"] for state in states] == [PRINTED[0], None]
    stored = [of_result(state) for state in states]
    assert [each.reference for each in stored] == [PRINTED[0], None]
    kept = [run_data(tmp_path / f"state-{k}").reference for k in range(2)]
    assert kept == [PRINTED[0], None]


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"frozen": ["nothing"]}, "frozen: there is no parameter"),
        ({"frozen": [True]}, "frozen: a mask"),
        ({"bounds": (2, 1)}, "low must be less than high"),
        ({"bounds": {"b": (0, 1)}}, "bounds: there is no parameter"),
    ],
)
def test_wrong_frozen_and_bounds(settings, text):
    with pytest.raises(qngd.SettingError, match=text):
        qngd.excited_states(h2_circuit(), 2, H2, start(h2_circuit()), **settings)


def test_a_sampled_budget_keeps_what_the_overlaps_cost_at_the_end():
    settings = {"shots": 20, "seed": 4, "restarts": 1, "max_steps": 4}
    given = (h2_circuit(), 2, H2, start(h2_circuit()))
    spent = [state.cost.circuits for state in qngd.excited_states(*given, **settings)]
    for limit in range(sum(spent) - 60, sum(spent) + 1, 20):
        states = qngd.excited_states(*given, **settings, budget=qngd.Budget(circuits=limit))
        assert sum(state.cost.circuits for state in states) <= limit


def test_a_search_with_shots_that_is_over_is_not_paid_for_again(tmp_path, monkeypatch):
    settings = {"shots": 20, "seed": 4, "restarts": 2, "max_steps": 2, "run_dir": tmp_path}
    given = (h2_circuit(), 2, H2, start(h2_circuit()))
    states = qngd.excited_states(*given, **settings)
    monkeypatch.setattr("qngd.evaluators.sampled.run_plan", None)
    monkeypatch.setattr("qngd.evaluators.deflated.run_plan", None)
    again = qngd.excited_states(*given, **settings)
    for state, other in zip(states, again, strict=True):
        assert (state.energy, state.stderr, state.cost) == (other.energy, other.stderr, other.cost)
        assert np.array_equal(state.overlaps, other.overlaps)
        assert np.array_equal(state.overlaps_stderr, other.overlaps_stderr)
    (tmp_path / "state-1" / "energy.json").write_text("{", encoding="utf-8")
    states = qngd.excited_states(*given, **settings)
    assert "energy.json is damaged" in states[-1].note


@pytest.mark.parametrize("grouping", ["qubit-wise", "commuting"])
@pytest.mark.parametrize("final_shots", [None, 70])
def test_the_price_of_a_state_is_what_its_run_takes(grouping, final_shots):
    settings = {"shots": 40, "final_shots": final_shots, "grouping": grouping}
    circuit = h2_circuit()
    given = (H2, start(circuit))
    found = qngd.excited_states(circuit, 3, *given, seed=1, max_steps=3, tol=0, restarts=1, **settings)
    by_cost = sorted(found, key=lambda state: state.cost.shots)
    for number, state in enumerate(by_cost, start=1):
        price = qngd.cost(circuit, *given, steps=3, states=number, **settings)
        run = price.offers[0].run
        assert (run.jobs, run.circuits, run.shots) == (state.cost.jobs, state.cost.circuits, state.cost.shots)
        assert all(info.step_cost == price.step for info in state.infos)


def test_what_has_no_price_of_excited_states():
    circuit = h2_circuit()
    with pytest.raises(qngd.SettingError, match="an Objective has no excited states; give a circuit"):
        qngd.cost(qngd.Objective(circuit, H2, lambda values: values[0]), None, start(circuit), states=2)
    with pytest.raises(qngd.SettingError, match="CVaR has no excited states"):
        qngd.cost(circuit, qngd.CVaR({"ZZ": 1.0}, 0.5), start(circuit), states=2)
    with pytest.raises(qngd.SettingError, match="states: a circuit of 2 qubits has 4 orthogonal states; got 5"):
        qngd.cost(circuit, H2, start(circuit), states=5)
    with pytest.raises(qngd.SettingError, match="states must be a whole number"):
        qngd.cost(circuit, H2, start(circuit), states=0)


def test_what_overlaps_cannot_be_measured_with():
    given = (h2_circuit(), 2, H2, start(h2_circuit()))
    with pytest.raises(qngd.BackendError, match="an overlap of two states needs counts"):  # before anything is paid for
        qngd.excited_states(*given, backend=StatevectorEstimator(seed=1), max_steps=0, restarts=1)
