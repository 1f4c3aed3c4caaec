"""The main loop: why it stops, what it returns, and what can go wrong on the way."""

import numpy as np
import pytest

import qngd
from qngd.evaluate import ExactEvaluator
from qngd.observable import Observable
from tests import dense
from tests.strategies import Sketch, ansatz, random_observable, random_program, terms_of

FIXED = qngd.QNG(0.1)
ADAPTIVE = qngd.QNG()
BOTH = pytest.mark.parametrize("optimizer", [FIXED, ADAPTIVE], ids=["fixed", "adaptive"])
TERMS = {"ZZI": 1.0, "IXY": -0.5, "XIX": 0.7, "IZI": 0.3}


def circuit_and_theta(seed=1):
    circuit = ansatz(3, 1)
    return circuit, np.random.default_rng(seed).normal(size=circuit.num_parameters)


def minimize(optimizer=FIXED, **how):
    circuit, theta = circuit_and_theta()
    return qngd.minimize(circuit, TERMS, theta, optimizer=optimizer, **{"max_steps": 12, **how})


@pytest.fixture
def spoil(monkeypatch):
    """spoil(n, fault): the n-th evaluation raises `fault`, or has NaN in the part it names."""
    answer = ExactEvaluator.evaluate
    faults, calls = {}, []

    def evaluate(self, theta, **how):
        calls.append(theta)
        fault = faults.get(len(calls))
        if isinstance(fault, BaseException):
            raise fault
        evaluation = answer(self, theta, **how)
        part = fault and getattr(evaluation, fault)
        if part is not None:
            object.__setattr__(part, "value", part.value * np.nan)
        return evaluation

    monkeypatch.setattr(ExactEvaluator, "evaluate", evaluate)
    return lambda count, fault: faults.__setitem__(count, fault)


# --- what a result holds ---


@BOTH
@pytest.mark.parametrize("steps", [0, 1, 7])
def test_the_history_starts_at_theta0_and_has_an_entry_a_step(optimizer, steps):
    circuit, theta = circuit_and_theta()
    result = qngd.minimize(circuit, TERMS, theta, optimizer=optimizer, max_steps=steps, tol=0)
    assert result.steps == len(result.infos) == steps
    assert result.history.shape == result.history_stderr.shape == (steps + 1,)
    assert result.history[0] == float(qngd.expectation(circuit, TERMS, theta))
    assert result.energy == result.history[-1]
    assert result.energy == pytest.approx(float(qngd.expectation(circuit, TERMS, result.theta)))
    assert [info.energy for info in result.infos] == result.history[1:].tolist()
    assert result.stderr == 0
    assert not result.history_stderr.any()
    assert result.status == "max_steps"
    assert "max_steps" in result.message


def test_no_steps_change_nothing():
    circuit, theta = circuit_and_theta()
    result = qngd.minimize(circuit, TERMS, theta, max_steps=0)
    assert np.array_equal(result.theta, theta)
    assert result.steps == 0


def test_theta0_is_not_written_to():
    circuit, theta = circuit_and_theta()
    before = theta.copy()
    result = qngd.minimize(circuit, TERMS, theta, max_steps=3)
    assert np.array_equal(theta, before)
    assert not np.shares_memory(result.theta, theta)


def test_theta_comes_back_in_its_own_structure():
    circuit, theta = circuit_and_theta()
    names = list(circuit.parameters)[::-1]
    mapping = {name: theta[circuit.parameters.index(name)] for name in names}
    by_name = qngd.minimize(circuit, TERMS, mapping, optimizer=FIXED, max_steps=3)
    by_order = qngd.minimize(circuit, TERMS, theta, optimizer=FIXED, max_steps=3)
    assert list(by_name.theta) == names
    assert [by_name.theta[name] for name in circuit.parameters] == by_order.theta.tolist()


def test_the_cost_of_an_exact_run_is_counted():
    result = minimize(max_steps=5, tol=0)
    assert result.cost.jobs == 6
    assert result.cost.shots == 0
    assert result.cost == result.infos[-1].cost


def test_text_says_how_it_went():
    result = minimize(max_steps=2, tol=0)
    for part in (f"{result.energy:.10g}", "2 steps", "max_steps"):
        assert part in str(result)


@BOTH
def test_the_same_run_gives_the_same_digits(optimizer):
    first, second = minimize(optimizer), minimize(optimizer)
    assert np.array_equal(first.theta, second.theta)
    assert np.array_equal(first.history, second.history)


# --- it works ---


def ground_energy(terms):
    return np.linalg.eigvalsh(dense.observable_matrix(terms))[0]


def ising(n):
    bonds = {((q, "Z"), ((q + 1) % n, "Z")): -1.0 for q in range(n)}
    return terms_of({**bonds, **{((q, "X"),): -1.0 for q in range(n)}}, n)


@pytest.mark.parametrize("seed", range(6))
def test_the_defaults_find_a_ground_state(seed):
    """A ring of three spins in a field, deep enough to reach everything; exact diagonalisation knows."""
    circuit = ansatz(3, 4)
    theta = np.random.default_rng(seed).normal(size=circuit.num_parameters)
    result = qngd.minimize(circuit, ising(3), theta, max_steps=100)
    assert result.status == "converged"
    assert result.energy == pytest.approx(ground_energy(ising(3)), abs=1e-6)
    assert np.all(np.diff(result.history) <= 0)


@pytest.mark.parametrize("approx", ["block-diag", "diag"])
@pytest.mark.parametrize("seed", range(3))
def test_the_cheaper_metrics_come_close(seed, approx):
    circuit = ansatz(3, 4)
    theta = np.random.default_rng(seed).normal(size=circuit.num_parameters)
    optimizer = qngd.QNG(approx=approx)
    result = qngd.minimize(circuit, ising(3), theta, optimizer=optimizer, max_steps=150)
    assert 0 <= result.energy - ground_energy(ising(3)) < 1e-2
    assert np.all(np.diff(result.history) <= 0)


def test_one_qubit_and_one_parameter():
    sketch = Sketch(1, 1)
    result = qngd.minimize(sketch("ry", 0, sketch.t[0]).circuit(), {"Z": 1.0}, [0.3])
    assert result.energy == pytest.approx(-1, abs=1e-7)
    assert np.cos(result.theta[0]) == pytest.approx(-1, abs=1e-7)


@pytest.mark.parametrize("damping", [None, 0])
def test_unused_parameters_stay(damping):
    sketch = Sketch(1, 3)
    circuit = sketch("ry", 0, sketch.t[1]).circuit()
    optimizer = qngd.QNG(damping=damping)
    result = qngd.minimize(circuit, {"Z": 1.0}, [5.0, 0.3, -7.0], optimizer=optimizer)
    assert result.theta[[0, 2]].tolist() == [5.0, -7.0]
    assert result.energy == pytest.approx(-1, abs=1e-7)


@BOTH
@pytest.mark.parametrize("tol", [0, 1e-8])
def test_an_exact_stationary_point(optimizer, tol):
    """No gradient, for as long as one likes: nothing overflows, and θ stays."""
    sketch = Sketch(1, 1)
    circuit = sketch("ry", 0, sketch.t[0]).circuit()
    run = {"optimizer": optimizer, "max_steps": 900, "tol": tol}
    result = qngd.minimize(circuit, {"Z": 1.0}, [0.0], **run)
    assert result.theta.tolist() == [0.0]
    assert result.energy == 1.0
    assert result.status == ("converged" if tol else "max_steps")


def test_a_constant_observable():
    circuit, theta = circuit_and_theta()
    result = qngd.minimize(circuit, {"III": 2.5}, theta)
    assert result.status == "converged"
    assert np.allclose(result.history, 2.5, atol=1e-12)


# --- why it stops ---


@BOTH
@pytest.mark.parametrize("tol", [1e-2, 1e-6])
def test_tol_stops_after_three_small_changes(optimizer, tol):
    result = minimize(optimizer, max_steps=2000, tol=tol)
    assert result.status == "converged"
    assert f"{tol:g}" in result.message
    changes = np.abs([info.decrease for info in result.infos])
    assert np.all(changes[-3:] < tol)
    small = changes < tol
    assert not np.any(small[:-3] & small[1:-2] & small[2:-1])


def test_a_callback_sees_every_step_and_may_stop():
    seen = []
    result = minimize(callback=lambda info: seen.append(info) or len(seen) == 4, tol=0)
    assert result.status == "stopped"
    assert "callback" in result.message
    assert result.steps == 4
    assert [info.step for info in seen] == [1, 2, 3, 4]
    assert tuple(seen) == result.infos


def test_a_callback_that_returns_nothing_does_not_stop():
    assert minimize(callback=lambda info: None, tol=0).steps == 12


def test_an_error_in_a_callback_comes_through():
    def fail(info):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        minimize(callback=fail)


def test_an_error_in_an_evaluation_comes_through(spoil):
    spoil(3, ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        minimize()


@BOTH
def test_an_interrupted_evaluation_ends_the_run(optimizer, spoil):
    whole = minimize(optimizer, tol=0)
    assert all(info.accepted for info in whole.infos[:3])
    done = 4 if optimizer is FIXED else 7  # evaluations of three accepted steps
    spoil(whole.cost.jobs + done + 1, KeyboardInterrupt())
    try:
        result = minimize(optimizer, tol=0)
    except KeyboardInterrupt:
        pytest.fail("Ctrl-C in an evaluation came through")
    assert result.status == "interrupted"
    assert "keyboard" in result.message
    assert result.steps == 3
    assert np.array_equal(result.history, whole.history[:4])
    assert result.energy == whole.history[3]


def test_an_interrupted_callback_ends_the_run_after_its_step():
    def interrupt(info):
        if info.step == 3:
            raise KeyboardInterrupt

    try:
        result = minimize(callback=interrupt, tol=0)
    except KeyboardInterrupt:
        pytest.fail("Ctrl-C in the callback came through")
    assert result.status == "interrupted"
    assert result.steps == 3
    assert len(result.history) == 4


@pytest.mark.parametrize("part", ["energy", "gradient", "metric"])
def test_nan_ends_a_fixed_run_at_the_last_good_point(part, spoil):
    good = minimize(max_steps=3, tol=0)
    spoil(good.cost.jobs + 5, part)
    result = minimize(tol=0)
    assert result.status == "not_finite"
    assert "learning_rate" in result.message
    assert "damping" in result.message
    assert result.steps == 3
    assert np.all(np.isfinite(result.history))
    assert np.array_equal(result.theta, good.theta)
    assert result.cost.jobs == 5  # what was spent is spent


@pytest.mark.parametrize("part", ["energy", "gradient", "metric"])
@BOTH
def test_nan_at_the_start(part, optimizer, spoil):
    circuit, theta = circuit_and_theta()
    spoil(1, part)
    result = qngd.minimize(circuit, TERMS, theta, optimizer=optimizer)
    assert result.status == "not_finite"
    assert result.steps == 0
    assert np.array_equal(result.theta, theta)


def test_an_adaptive_run_gets_over_a_nan(spoil):
    spoil(4, "energy")
    result = minimize(ADAPTIVE, tol=0)
    assert result.status == "max_steps"
    assert np.all(np.isfinite(result.history))
    assert [info.accepted for info in result.infos].count(False) >= 1


@pytest.mark.parametrize("rate", [1e200, 1e307])
def test_an_absurd_rate_is_a_status_not_an_error(rate):
    circuit, theta = circuit_and_theta()
    optimizer = qngd.QNG(rate, damping=0)
    result = qngd.minimize(circuit, TERMS, theta, optimizer=optimizer, max_steps=20, tol=0)
    assert result.status in ("not_finite", "max_steps")
    assert np.all(np.isfinite(result.history))
    assert np.all(np.isfinite(result.theta))


@BOTH
@pytest.mark.parametrize("jobs", [1, 2, 3, 8])
def test_a_budget_is_never_exceeded(optimizer, jobs):
    result = minimize(optimizer, budget=qngd.Budget(jobs=jobs), max_steps=50, tol=0)
    assert result.status == "budget"
    assert "budget" in result.message
    assert result.cost.jobs <= jobs


def test_a_budget_is_used_up():
    """A fixed step costs one job: the start and five steps for six jobs."""
    result = minimize(budget=qngd.Budget(jobs=6), max_steps=50, tol=0)
    assert result.cost.jobs == 6
    assert result.steps == 5
    assert minimize(budget=qngd.Budget(shots=0), tol=0).status == "max_steps"


def test_going_on_from_theta_gives_the_same_digits():
    """A fixed rate remembers nothing but θ."""
    circuit, theta = circuit_and_theta()
    how = {"optimizer": FIXED, "tol": 0}
    whole = qngd.minimize(circuit, TERMS, theta, max_steps=9, **how)
    first = qngd.minimize(circuit, TERMS, theta, max_steps=4, **how)
    second = qngd.minimize(circuit, TERMS, first.theta, max_steps=5, **how)
    assert np.array_equal(whole.theta, second.theta)
    assert np.array_equal(whole.history, [*first.history, *second.history[1:]])


@BOTH
def test_going_on_from_the_state_gives_the_same_digits(optimizer):
    """An adaptive rate is in the state; 'last' leaves derivatives out, and going on asks for them."""
    whole = minimize(optimizer, max_steps=9, tol=0)
    circuit, _ = circuit_and_theta()
    state = minimize(optimizer, max_steps=4, tol=0).state
    evaluator = ExactEvaluator(circuit, Observable.from_mapping(TERMS))
    for k in range(5):
        state, _ = optimizer.step(evaluator, state, last=k == 4)
    assert np.array_equal(state.theta, whole.theta)
    assert state.energy == whole.energy
    assert state.step == 9


# --- what it takes ---


def test_a_problem_and_what_overrides_it():
    circuit, theta = circuit_and_theta()
    problem = qngd.Problem(circuit, TERMS, theta)
    by_problem = qngd.minimize(problem, max_steps=2, optimizer=FIXED)
    assert np.array_equal(by_problem.theta, minimize(max_steps=2).theta)
    other = random_observable(3, 3)
    result = qngd.minimize(problem, other, theta + 1, max_steps=0)
    assert result.energy == float(qngd.expectation(circuit, other, theta + 1))
    assert problem.observable is TERMS


@pytest.mark.parametrize(
    ("how", "word"),
    [
        ({"max_steps": -1}, "max_steps"),
        ({"tol": -1e-9}, "tol"),
        ({"tol": np.nan}, "tol"),
        ({"shots": 0}, "shots"),
    ],
)
def test_bad_settings_are_named(how, word):
    with pytest.raises(qngd.SettingError, match=word):
        minimize(**how)


def test_bad_settings_cost_nothing(spoil):
    spoil(1, ZeroDivisionError())
    with pytest.raises(qngd.SettingError):
        minimize(max_steps=-1)


def test_an_unknown_backend_is_named():
    with pytest.raises(qngd.BackendError, match="moon"):
        minimize(backend="moon")


def test_a_start_is_needed():
    circuit, _ = circuit_and_theta()
    with pytest.raises(qngd.ParameterError, match="theta0"):
        qngd.minimize(circuit, TERMS)


def test_the_start_must_fit():
    circuit, _ = circuit_and_theta()
    with pytest.raises(qngd.ParameterError, match=r"\(6,\)"):
        qngd.minimize(circuit, TERMS, np.zeros(5))


def test_an_observable_is_needed():
    circuit, theta = circuit_and_theta()
    with pytest.raises(qngd.ObservableError, match="observable"):
        qngd.minimize(circuit, None, theta)


def test_something_to_minimize_is_needed():
    with pytest.raises(qngd.ParameterError, match="no trainable parameters"):
        qngd.minimize(Sketch(1)("h", 0).circuit(), {"Z": 1.0}, [])


def test_rotations_are_not_needed():
    """Parameters that nothing uses: a flat energy, and a run that converges."""
    result = qngd.minimize(Sketch(1, 2)("h", 0).circuit(), {"X": 1.0}, [0.1, 0.2])
    assert result.status == "converged"
    assert result.energy == pytest.approx(1)


def test_a_run_on_a_generic_program_lowers_the_energy():
    program = random_program(8, 5, 40, 5, bend=0.1)
    result = qngd.minimize(program.circuit(), random_observable(8, 5), program.theta, max_steps=40)
    assert np.all(np.diff(result.history) <= 0)
    assert result.energy < result.history[0] - 1e-2
