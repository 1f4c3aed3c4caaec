"""CVaR in the place of an energy, against distributions from dense matrices."""

from __future__ import annotations

import numpy as np
import pytest

import qngd
from qngd.estimates.tail import quantile, tail_function
from tests.dense import observable_matrix
from tests.pages import shown

DIAGONAL = {"ZZII": 1.0, "IZZI": -0.7, "IIIZ": 0.3, "ZIIZ": 0.5, "IIII": 2.0}
ENTANGLED = {"XXII": 1.0, "ZZII": -0.7, "IIXY": 0.3, "IIYX": 0.45}


def ladder(num_qubits: int = 4, also_idle: int = 0) -> qngd.Circuit:
    """An asymmetric circuit with a shared and a scaled angle, and idle qubits above."""
    builder = qngd.CircuitBuilder(num_qubits + also_idle)
    angles = [builder.parameter(f"a{k}") for k in range(2 * num_qubits - 1)]
    for q in range(num_qubits):
        builder.ry(angles[q], q)
    builder.cx(0, 1).cx(1, 2).cx(num_qubits - 1, 0)
    for q in range(num_qubits):
        builder.rx(angles[min(num_qubits + q, len(angles) - 1)] * (0.5 + q), q)
    return qngd.wrap(builder)


def tail_of(circuit: qngd.Circuit, terms: dict[str, float], theta: np.ndarray, alpha: float) -> float:
    """The mean of the lowest share of the energies, filled up one eigenstate after the other."""
    energies, states = np.linalg.eigh(observable_matrix(terms))
    probabilities = np.abs(states.conj().T @ qngd.statevector(circuit, theta)) ** 2
    left, total = alpha, 0.0
    for energy, probability in zip(energies, probabilities, strict=True):
        taken = min(left, probability)
        total += taken * energy
        left -= taken
    return total / alpha


@pytest.mark.parametrize("terms", [DIAGONAL, ENTANGLED])
@pytest.mark.parametrize("alpha", [0.07, 0.25, 0.6, 1.0])
def test_value_and_gradient(terms, alpha):
    circuit, rng = ladder(), np.random.default_rng(7)
    theta = rng.normal(size=circuit.num_parameters)
    found = qngd.expectation(circuit, qngd.CVaR(terms, alpha), theta)
    assert found.is_exact
    assert float(found) == pytest.approx(tail_of(circuit, terms, theta, alpha), abs=1e-12)
    slope = qngd.gradient(circuit, qngd.CVaR(terms, alpha), theta).value
    for k, shift in enumerate(1e-5 * np.eye(len(theta))):
        above, below = (tail_of(circuit, terms, theta + s, alpha) for s in (shift, -shift))
        assert slope[k] == pytest.approx((above - below) / 2e-5, abs=1e-8)


def test_all_of_it_is_the_mean():
    circuit = ladder()
    theta = np.linspace(-1, 2, circuit.num_parameters)
    mean = float(qngd.expectation(circuit, DIAGONAL, theta))
    assert float(qngd.expectation(circuit, qngd.CVaR(DIAGONAL, 1), theta)) == pytest.approx(mean, abs=1e-12)


@pytest.mark.parametrize("label", ["XZIII", "YIIIZ", "ZZIII"])
def test_strings_on_a_qubit_that_stays_zero(label):
    """The mean of X on an idle qubit is 0, and its values are ±1."""
    circuit = ladder(4, also_idle=1)
    terms = {label: 0.8, "ZIZII" if label[0] == "Z" else "IIZII": 0.3}
    theta = np.linspace(-1, 2, circuit.num_parameters)
    found = float(qngd.expectation(circuit, qngd.CVaR(terms, 0.3), theta))
    assert found == pytest.approx(tail_of(circuit, terms, theta, 0.3), abs=1e-12)


def test_what_does_not_commute_is_refused():
    with pytest.raises(qngd.ObservableError, match="IIZZ and IIXZ, which do not commute"):
        qngd.expectation(ladder(), qngd.CVaR({"IIXZ": 1.0, "ZIII": 0.5, "IIZZ": 1.0}, 0.5), np.zeros(7))


@pytest.mark.parametrize("alpha", [0, -0.1, 1.01, np.nan, "0.5", None, [], [0.5, 0.2], [0.2, 0.2], [0.1, 2], True])
def test_wrong_alpha(alpha):
    with pytest.raises(qngd.SettingError, match="alpha must be a number above 0 and up to 1, or an ascending list"):
        qngd.CVaR({"Z": 1.0}, alpha)


def test_quantile_where_rounding_would_pass_it():
    energies, weights = np.array([2.0, -1.0, 0.0]), np.array([0.7, 0.1, 0.2])
    assert quantile(energies, weights, 0.1) == -1.0
    assert quantile(energies, weights, 0.3) == 0.0
    assert quantile(energies, weights, 0.31) == 2.0
    assert weights @ tail_function(energies, 0.0, 0.3) == pytest.approx(-1 / 3)


def test_minimize_finds_the_best_string():
    """Where the mean is at rest in a local minimum, a tail is not."""
    circuit = ladder()
    rng = np.random.default_rng(1)
    best = np.linalg.eigvalsh(observable_matrix(DIAGONAL))[0]
    for start in rng.uniform(-np.pi, np.pi, (3, circuit.num_parameters)):
        result = qngd.minimize(circuit, qngd.CVaR(DIAGONAL, 0.2), start, max_steps=60)
        assert result.energy == pytest.approx(best, abs=1e-6)


# --- from shots ---

SPREAD = {"ZZII": 1.0, "IZZI": -0.7, "IIIZ": 0.3, "ZIIZ": 0.51, "IZII": 0.23, "ZIII": -0.37, "IIZI": 0.11}


@pytest.mark.parametrize(("terms", "grouping"), [(SPREAD, "qubit-wise"), (ENTANGLED, "commuting")])
def test_errors_of_shots_are_what_repetition_shows(terms, grouping):
    circuit = ladder()
    theta = np.random.default_rng(7).normal(size=circuit.num_parameters)
    target, times = qngd.CVaR(terms, 0.45), 100
    asked = qngd.evaluator(circuit, target, theta, shots=400, grouping=grouping)
    found = [asked.evaluate(theta, gradient=True, metric=None, seed=seed) for seed in range(times)]
    values, slopes = [each.energy for each in found], [each.gradient for each in found]
    for found, exact in (
        (values, qngd.expectation(circuit, target, theta).value),
        (slopes, qngd.gradient(circuit, target, theta).value),
    ):
        sample = np.array([each.value for each in found], dtype=float).reshape(times, -1)
        told = np.sqrt(np.mean([np.square(each.stderr) for each in found], axis=0)).reshape(-1)
        assert np.abs(sample.mean(axis=0) - exact) == pytest.approx(0, abs=4.5 * told.max() / np.sqrt(times))
        assert sample.std(axis=0) == pytest.approx(told, rel=0.3)


@pytest.mark.parametrize(("alpha", "shots"), [(1e-4, 100), (0.02, 50), (0.3, 1)])
def test_errors_of_too_few_shots_are_no_larger_than_the_energies(alpha, shots):
    """Fewer than 1/α shots say nothing of the tail, which is a mean of energies all the same."""
    circuit, theta = ladder(), np.linspace(-1, 2, 7)
    target, whole = qngd.CVaR(SPREAD, alpha), 2 * sum(map(abs, SPREAD.values()))
    exact = float(qngd.expectation(circuit, target, theta))
    objective = qngd.Objective(circuit, [target], lambda outputs: outputs[0])
    for asked in (
        qngd.evaluator(circuit, target, theta, shots=shots),
        qngd.evaluator(objective, theta0=theta, shots=shots),
    ):
        found = [asked.evaluate(theta, gradient=False, metric=None, seed=seed).energy for seed in range(40)]
        errors = np.array([float(each.value) - exact for each in found])
        told = np.array([float(each.stderr) for each in found])
        assert np.all(told < 1.2 * whole)
        assert np.all(np.abs(errors) < 3 * told)


def test_of_all_shots_it_is_their_mean():
    """Energies above those that the shots at θ showed count as they are, near an eigenstate too."""
    made = qngd.CircuitBuilder(1)
    made.ry(*made.parameters("a"), 0)
    for terms, theta, seed in ((SPREAD, np.linspace(-1, 2, 7), 3), ({"Z": 1.0, "I": 0.3}, [np.pi - 0.1], 1)):
        circuit = made if len(theta) == 1 else ladder()
        for of in (qngd.expectation, qngd.gradient):
            tail, mean = (of(circuit, t, theta, shots=50, seed=seed) for t in (qngd.CVaR(terms, 1.0), terms))
            assert np.allclose(tail.value, mean.value, atol=1e-12)
            assert np.allclose(tail.stderr, mean.stderr, rtol=0.2)


def test_a_distribution_that_does_not_fit_may_be_sampled():
    wide = qngd.CircuitBuilder(40)
    for qubit, angle in enumerate(wide.parameters(*(f"t{k}" for k in range(40)))):
        wide = wide.ry(angle, qubit)
    target = qngd.CVaR({"Z" * 40: 1.0}, 0.5)
    with pytest.raises(qngd.MemoryLimitError, match=r"over 40 qubits .*use fewer qubits, or a backend with shots"):
        qngd.expectation(wide, target, np.zeros(40))


def test_a_sample_errs_upwards():
    """The mean of the lowest tenth of 20 shots is their two lowest, and too high on average; that of many is not."""
    circuit, theta = ladder(), np.linspace(-1, 2, 7)
    exact = float(qngd.expectation(circuit, qngd.CVaR(SPREAD, 0.1), theta))
    few, many = (
        np.mean([float(asked.evaluate(theta, gradient=False, metric=None, seed=s).energy) for s in range(100)])
        for asked in (qngd.evaluator(circuit, qngd.CVaR(SPREAD, 0.1), theta, shots=n) for n in (20, 2000))
    )
    assert few > exact + 0.02
    assert many == pytest.approx(exact, abs=0.01)


def test_one_basis_is_needed():
    circuit, theta = ladder(), np.zeros(7)
    with pytest.raises(qngd.ObservableError, match='take grouping="commuting"'):
        qngd.expectation(circuit, qngd.CVaR(ENTANGLED, 0.5), theta, shots=100)
    with pytest.raises(qngd.ObservableError, match="X or Y on a qubit that no gate acts on"):
        qngd.expectation(ladder(4, 1), qngd.CVaR({"XIIII": 1.0}, 0.5), theta, shots=100)


@pytest.mark.parametrize("alpha", [0.4, 1.0])
@pytest.mark.parametrize(
    "terms",
    [
        {"ZIIII": 0.8, "IZZII": -0.7, "IIIIZ": 0.3},  # Z alone where no gate acts
        {"ZZIII": 0.8, "IZIII": -0.3, "IIIZI": 0.4},  # strings that are the same beside it
        {"ZIIII": 0.8, "ZIIIZ": 0.5, "IIIIZ": -0.5, "IIIII": 2.0},  # and cancel there
        {"ZIIII": 0.8, "IIIII": 2.0},
        {"IIIII": 2.0},
        {"ZIIXX": 0.8, "IIIXX": 0.3, "IZIII": 0.4},
    ],
)
def test_z_on_idle_qubits_and_constants(terms, alpha):
    """Z is 1 in every shot where no gate acts: nothing is missed, and there is nothing of X or Y to refuse."""
    circuit, theta = ladder(4, also_idle=1), np.linspace(-1, 2, 7)
    target = qngd.CVaR(terms, alpha)
    found = qngd.expectation(circuit, target, theta, shots=4000, seed=3, backend="statevector")
    assert abs(float(found) - tail_of(circuit, terms, theta, alpha)) <= 4 * found.stderr + 1e-12
    slope = qngd.gradient(circuit, target, theta, shots=4000, seed=4, backend="statevector")
    exact = qngd.gradient(circuit, target, theta)
    assert np.all(np.abs(slope.value - exact.value) <= 4.5 * slope.stderr + 1e-12)


def test_expectation_values_are_not_enough():
    with pytest.raises(
        qngd.BackendError, match="gives expectation values, and observable: a CVaR needs the distribution"
    ):
        qngd.expectation(ladder(), qngd.CVaR(DIAGONAL, 0.5), np.zeros(7), backend="default.qubit")


def test_a_run_knows_mean_and_bit_strings():
    circuit = ladder(4, also_idle=1)
    terms = {f"I{label}": value for label, value in SPREAD.items()}
    exact = qngd.minimize(circuit, qngd.CVaR(terms, 0.3), np.linspace(-1, 2, 7), max_steps=8)
    probabilities = np.abs(qngd.statevector(circuit, exact.theta)) ** 2
    energies = np.diag(observable_matrix(terms))
    assert exact.mean == pytest.approx(probabilities @ energies, abs=1e-9)
    for each in exact.bit_strings.best(3):
        assert each.energy == pytest.approx(energies[int(each.bits, 2)])
        assert each.probability == pytest.approx(probabilities[int(each.bits, 2)])
    lowest = min(exact.infos, key=lambda info: info.energy)  # an energy may rise now and then
    assert lowest.mean == pytest.approx(exact.mean)
    sampled = qngd.minimize(circuit, terms, np.linspace(-1, 2, 7), max_steps=3, shots=500, seed=2)
    assert sum(sampled.bit_strings.counts.values()) == 500
    for each in sampled.bit_strings.most_probable(4):
        assert each.energy == pytest.approx(energies[int(each.bits, 2)])
    assert sum(e.energy * e.probability for e in sampled.bit_strings.best(32)) == pytest.approx(sampled.energy)


@pytest.mark.parametrize(
    "how", [{"bounds": (-4, 4)}, {"bounds": {"a0": (-4, 4)}, "frozen": ["a1"]}, {"backend": "light-cone"}]
)
@pytest.mark.parametrize("of_tail", [False, True])
def test_a_run_in_a_box_or_by_light_cones_knows_its_bit_strings(how, of_tail):
    if of_tail and "backend" in how:
        pytest.skip("light cones give means alone")
    circuit = ladder()
    found = qngd.minimize(
        circuit, qngd.CVaR(SPREAD, 0.3) if of_tail else SPREAD, np.linspace(-1, 2, 7), max_steps=2, **how
    )
    probabilities = np.abs(qngd.statevector(circuit, found.theta)) ** 2
    energies = np.diag(observable_matrix(SPREAD))
    for each in found.bit_strings.best(3):
        assert each.energy == pytest.approx(energies[int(each.bits, 2)])
        assert each.probability == pytest.approx(probabilities[int(each.bits, 2)])


def test_no_bit_strings_of_other_observables():
    found = qngd.minimize(ladder(), ENTANGLED, np.linspace(-1, 2, 7), max_steps=1)
    assert found.bit_strings is None


@pytest.mark.parametrize("shots", [None, 200])
def test_a_schedule_goes_through_its_stages_and_resumes(tmp_path, shots):
    circuit, start = ladder(), np.linspace(-1, 2, 7)
    how = {"max_steps": 12, "tol": 0, "seed": 4, "shots": shots}
    target = qngd.CVaR(SPREAD, [0.1, 0.4, 1.0])
    whole = qngd.minimize(circuit, target, start, **how)
    began = {info.step: info.note for info in whole.infos if info.note.startswith("began")}
    assert began == {5: "began stage 2 of 3", 9: "began stage 3 of 3"}
    assert whole.energy == pytest.approx(whole.mean)
    last = qngd.CVaR(SPREAD, 1.0)
    if shots is None:
        assert float(qngd.expectation(circuit, last, whole.theta)) == pytest.approx(whole.energy)

    def stop(info):
        return info.step == 6

    qngd.minimize(circuit, target, start, **how, run_dir=tmp_path, callback=stop)
    again = qngd.minimize(circuit, target, start, **how, run_dir=tmp_path)
    assert again.history.tolist() == whole.history.tolist()
    assert again.state.theta.tolist() == whole.state.theta.tolist()
    with pytest.raises(qngd.SettingError, match="holds another run"):
        qngd.minimize(circuit, qngd.CVaR(SPREAD, 0.4), start, **how, run_dir=tmp_path)


def test_a_run_that_ends_on_the_way_of_its_schedule_says_what_its_energy_is():
    target, start = qngd.CVaR(SPREAD, [0.1, 0.4, 1.0]), np.linspace(-1, 2, 7)
    result = qngd.minimize(ladder(), target, start, max_steps=12, tol=0, callback=lambda info: info.step == 6)
    assert "ended in stage 2 of 3: its energy is the CVaR with alpha=0.4" in result.note
    of_stage = qngd.expectation(ladder(), qngd.CVaR(SPREAD, 0.4), result.theta)
    assert result.energy == pytest.approx(float(of_stage), abs=1e-9)
    assert "ended in stage" not in qngd.minimize(ladder(), target, start, max_steps=12, tol=0).note


def test_a_target_is_that_of_the_last_share():
    circuit, start = ladder(), np.linspace(-1, 2, 7)
    target = qngd.CVaR(SPREAD, [0.1, 0.4, 1.0])
    low = float(qngd.expectation(circuit, qngd.CVaR(SPREAD, 0.1), start)) + 0.1  # reached at once by a small share
    result = qngd.minimize(circuit, target, start, max_steps=12, tol=0, target=low)
    assert result.status == "target"
    assert result.state.stage == 2
    assert float(qngd.expectation(circuit, qngd.CVaR(SPREAD, 1.0), result.theta)) <= low


def test_a_state_of_another_share_is_refused():
    circuit, start = ladder(), np.linspace(-1, 2, 7)
    before = qngd.minimize(circuit, qngd.CVaR(SPREAD, 0.2), start, max_steps=2)
    with pytest.raises(qngd.SettingError, match="another circuit or observable"):
        qngd.minimize(circuit, qngd.CVaR(SPREAD, 0.3), start, max_steps=2, state=before.state)
    on = qngd.minimize(circuit, qngd.CVaR(SPREAD, 0.2), start, max_steps=2, state=before.state)
    straight = qngd.minimize(circuit, qngd.CVaR(SPREAD, 0.2), start, max_steps=4)
    assert on.energy == straight.energy


@pytest.mark.parametrize("shots", ["auto", qngd.TargetError(0.05)])
def test_shots_are_divided(shots):
    found = qngd.minimize(ladder(), qngd.CVaR(SPREAD, 0.3), np.linspace(-1, 2, 7), max_steps=4, shots=shots, seed=1)
    assert np.isfinite(found.history).all()
    assert found.cost.shots > 0


def test_the_cost_is_that_of_the_mean():
    circuit, start = ladder(), np.zeros(7)
    of_mean, of_tail = (qngd.cost(circuit, each, start, shots=100) for each in (SPREAD, qngd.CVaR(SPREAD, 0.2)))
    assert of_tail.step == of_mean.step


def test_the_page_finds_the_largest_cut(capsys):
    page = shown("cvar.md")
    best = page.result.bit_strings.best(1)[0]
    assert best.energy == -5
    assert f"{best.bits} -5.0 {best.probability}" in capsys.readouterr().out


def test_the_mean_is_that_of_the_lowest_point():
    """Where the last point of an exact run is not its lowest."""
    circuit = ladder()
    wild = qngd.QNG(learning_rate=0.5, damping=1e-2)
    found = qngd.minimize(circuit, qngd.CVaR(SPREAD, 0.3), np.linspace(-1, 2, 7), max_steps=3, tol=0, optimizer=wild)
    assert found.energy < found.history[-1]
    assert found.mean == pytest.approx(float(qngd.expectation(circuit, SPREAD, found.theta)), abs=1e-12)


@pytest.mark.parametrize("seed", [4, 8, 11, 13])
def test_a_tail_within_one_outcome_is_no_end(seed):
    """These runs come to where a quarter of the shots is the second best of the portfolios, and the rare ones of the
    best are within the error of the gradient."""
    from experiments.cvar_portfolio import costs, observable

    builder = qngd.CircuitBuilder(6)
    for q in range(6):
        builder.ry(builder.parameter(f"a{q}"), q)
    for q in range(5):
        builder.cx(4 - q, 5 - q)
    for q in range(6):
        builder.ry(builder.parameter(f"b{q}"), q)
    start = np.random.default_rng(seed).uniform(-np.pi, np.pi, 12)
    target = qngd.CVaR(observable(), 0.25)
    result = qngd.minimize(builder, target, start, max_steps=25, shots=1000, seed=seed)
    best = int(np.argmin(costs()))
    assert abs(qngd.statevector(builder, result.theta)[best]) ** 2 > 0.1


@pytest.mark.parametrize("alpha", [0.25, 0.1])
def test_six_exact_steps_find_the_best_portfolio(alpha):
    """From ten starts; by the curvature that the last step met alone from 6 and 7 of them."""
    pytest.importorskip("qiskit")
    from experiments.cvar_portfolio import found

    assert found(alpha, 10, 6, None) == 10


def test_a_sampled_tail_at_rest_stops_after_ten_steps_of_noise():
    builder = qngd.CircuitBuilder(2)
    for q in range(2):
        builder.ry(builder.parameter(f"a{q}"), q)
    result = qngd.minimize(builder, qngd.CVaR({"ZZ": 1.0}, 0.2), [np.pi, 0.0], max_steps=30, shots=100, seed=1)
    assert result.status == "noise"
    assert result.steps == 10
    assert "10 steps" in result.message


def assets(seed: int) -> tuple[qngd.CircuitBuilder, dict[str, float], np.ndarray]:
    """Three of six assets, with returns and covariances: circuit, observable, start."""
    rng = np.random.default_rng(seed)
    mixing, returns = rng.normal(size=(6, 6)) / 8, rng.uniform(0, 0.3, 6)
    pairs = mixing @ mixing.T + np.ones((6, 6))
    linear = -returns - 6.0 * np.ones(6)  # of (Σx − 3)², but for the constant 9
    # x = (1 − z)/2
    terms = {"I" * 6: 9 + linear.sum() / 2 + (pairs.sum() + np.trace(pairs)) / 4}
    for i in range(6):
        terms[string(i)] = -linear[i] / 2 - pairs[i].sum() / 2
        terms |= {string(i, j): pairs[i, j] / 2 for j in range(i)}
    circuit = qngd.CircuitBuilder(6)
    angles = iter(circuit.parameters(*(f"t{k}" for k in range(12))))
    for q in range(6):
        circuit = circuit.ry(next(angles), q)
    for q in range(5):
        circuit = circuit.cx(q, q + 1)
    for q in range(6):
        circuit = circuit.ry(next(angles), q)
    return circuit, terms, rng.uniform(-np.pi, np.pi, 12)


def string(*places: int) -> str:
    return "".join("Z" if q in places else "I" for q in reversed(range(6)))


@pytest.mark.parametrize("seed", range(4))
def test_shots_that_are_chosen_show_the_tail(seed):
    """With as few shots as a mean takes there is no telling what a tail of them says, and runs went up."""
    circuit, terms, start = assets(seed)
    found = qngd.minimize(circuit, qngd.CVaR(terms, 0.2), start, shots="auto", seed=seed, max_steps=30)
    chances = np.abs(qngd.statevector(circuit, found.theta)) ** 2
    assert chances[np.argmin(np.diag(observable_matrix(terms)).real)] > 0.1
    assert found.infos[0].step_cost.shots >= 20 / 0.2 * found.infos[0].step_cost.circuits


def test_no_step_follows_what_rounding_makes_of_a_flat_tail():
    circuit, terms, start = assets(1)
    for zero in (0.0, 100.0):
        moved = qngd.CVaR({**terms, "I" * 6: terms["I" * 6] + zero}, 0.1)
        found = qngd.minimize(circuit, moved, start, max_steps=12, tol=0)
        flat = [info for info in found.infos if info.gradient_norm < 1e-9]
        assert flat
        assert max(info.length for info in flat) < 1e-6
