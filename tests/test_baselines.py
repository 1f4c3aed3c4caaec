"""The baselines against steps by hand, against SciPy alone, and in the loop of `minimize`."""

import gc
import itertools
import threading
import time
from functools import cache

import numpy as np
import pytest
import scipy.optimize

import qngd
from qngd.baselines import CMAES, SPSA, Adam, GradientDescent, SciPy, evolution, scipy_methods
from qngd.baselines.scipy_methods import ENERGY_ONLY, WITH_GRADIENT
from qngd.evaluators.choice import evaluator_for
from qngd.evaluators.setup import Setup
from qngd.interop import as_observable
from tests.strategies import ansatz

TERMS = {"ZZI": 1.0, "IXY": -0.5, "XIX": 0.7, "IZI": 0.3}
ALL = [GradientDescent(0.2), Adam(), SPSA(), SciPy("L-BFGS-B"), SciPy("COBYLA")]
EVERY = pytest.mark.parametrize("optimizer", ALL, ids=["gd", "adam", "spsa", "l-bfgs-b", "cobyla"])
METHODS = pytest.mark.parametrize("method", [*WITH_GRADIENT, *ENERGY_ONLY])


@cache
def circuit_and_theta(seed=1):
    circuit = ansatz(3, 1)
    return circuit, np.random.default_rng(seed).normal(size=circuit.num_parameters)


def minimize(optimizer, **how):
    circuit, theta = circuit_and_theta()
    return qngd.minimize(circuit, TERMS, theta, optimizer=optimizer, **{"max_steps": 12, **how})


def energy(theta):
    return float(qngd.expectation(circuit_and_theta()[0], TERMS, theta))


def slope(theta):
    return np.asarray(qngd.gradient(circuit_and_theta()[0], TERMS, theta))


@cache
def evaluator(shots=None):
    circuit, _ = circuit_and_theta()
    return evaluator_for(circuit, as_observable(TERMS, circuit), Setup(shots=shots))


# --- steps by hand ---


def test_gradient_descent_by_hand():
    theta = circuit_and_theta()[1]
    result = minimize(GradientDescent(0.2), max_steps=4, tol=0)
    for _ in range(4):
        theta = theta - 0.2 * slope(theta)
    np.testing.assert_allclose(result.theta, theta, atol=1e-13)
    assert result.energy == pytest.approx(energy(theta), abs=1e-13)
    assert result.infos[0].predicted_decrease == pytest.approx(0.2 * result.infos[0].gradient_norm ** 2)


def test_adam_by_hand():
    """As Algorithm 1 of arXiv:1412.6980 writes it."""
    theta = circuit_and_theta()[1]
    result = minimize(Adam(0.1, 0.8, 0.95, 1e-6), max_steps=5, tol=0)
    mean, square, energies = np.zeros_like(theta), np.zeros_like(theta), [energy(theta)]
    for t in range(1, 6):
        g = slope(theta)
        mean = 0.8 * mean + 0.2 * g
        square = 0.95 * square + 0.05 * g * g
        theta = theta - 0.1 * (mean / (1 - 0.8**t)) / (np.sqrt(square / (1 - 0.95**t)) + 1e-6)
        energies.append(energy(theta))
    np.testing.assert_allclose(result.state.theta, theta, atol=1e-13)
    np.testing.assert_allclose(result.history, energies, atol=1e-13)


def test_adams_first_step_moves_each_parameter_by_the_rate():
    theta = circuit_and_theta()[1]
    result = minimize(Adam(0.03), max_steps=1)
    used = np.abs(slope(theta)) > 1e-6
    np.testing.assert_allclose(np.abs(result.state.theta - theta)[used], 0.03, rtol=1e-5)


@pytest.mark.parametrize("name", ["GradientDescentOptimizer", "AdamOptimizer"])
def test_descent_goes_where_pennylanes_does(name):
    """An implementation that is not ours, on the same gradients; its own β₂ is 0.99, and it adds ε before the bias is
    taken out, so ε is small here."""
    qml = pytest.importorskip("pennylane")
    theirs = getattr(qml, name)(0.1, **({"beta2": 0.999, "eps": 1e-15} if name == "AdamOptimizer" else {}))
    ours = {"GradientDescentOptimizer": GradientDescent(0.1), "AdamOptimizer": Adam(0.1, epsilon=1e-15)}[name]
    theta = qml.numpy.array(circuit_and_theta()[1], requires_grad=True)
    result = minimize(ours, max_steps=30, tol=0)
    for info in result.infos:
        theta = theirs.apply_grad((slope(np.asarray(theta)),), (theta,))[0]
        np.testing.assert_allclose(info.theta, theta, atol=1e-10)


def test_the_defaults_are_those_of_the_papers():
    """But for Adam's rate, 0.001 in the paper, which is small for angles: 0.05 is faster on every problem here."""
    assert (Adam().beta1, Adam().beta2, Adam().epsilon) == (0.9, 0.999, 1e-8)  # arXiv:1412.6980, Algorithm 1
    spsa = SPSA()
    assert (spsa.alpha, spsa.gamma) == (0.602, 0.101)  # doi:10.1109/7.705889
    assert (spsa.first_change, spsa.c, spsa.calibration) == (2 * np.pi / 10, 0.1, 25)  # arXiv:1704.05018


# --- SPSA ---


def test_spsa_solves_qiskits_test_problem():
    """Three qubits, Z⊗Z⊗I, 100 iterations, better than −0.95: from every seed."""
    library = pytest.importorskip("qiskit.circuit.library")
    circuit = qngd.wrap(library.pauli_two_design(3, reps=1, seed=1))
    start = [0.82311034, 0.02611798, 0.21077064, 0.61842177, 0.09828447, 0.62013131]
    how = {"optimizer": SPSA(), "max_steps": 100, "tol": 0}
    energies = [qngd.minimize(circuit, {"ZZI": 1.0}, start, seed=seed, **how).energy for seed in range(12)]
    assert max(energies) < -0.95


def test_spsa_calibrates_as_kandala_et_al_write_it():
    """a = (2π/5)·c/⟨|E(θ + cΔ) − E(θ − cΔ)|⟩ for A = 0 (arXiv:1704.05018, supplementary information)."""
    theta, reach = circuit_and_theta()[1], 0.1
    state = next(directions(SPSA(stability=0, calibration=2000), 0))
    signs = itertools.product((-1.0, 1.0), repeat=len(theta))
    rises = [abs(energy(theta + reach * np.array(s)) - energy(theta - reach * np.array(s))) for s in signs]
    assert float(state.memory["scale"]) == pytest.approx(2 * np.pi / 5 * reach / np.mean(rises), rel=0.05)


def test_spsa_does_not_divide_by_rounding():
    """At a symmetric maximum both energies are the same but for the last digit."""
    program = 'OPENQASM 3.0; include "stdgates.inc"; input float a; qubit q; ry(a) q;'
    state = qngd.minimize(program, {"Z": 1.0}, [0.0], optimizer=SPSA(), max_steps=0).state
    assert float(state.memory["scale"]) == pytest.approx(2 * np.pi / 10 * 11**0.602)


def directions(optimizer, num_steps, seed=3):
    """The thetas of a run, and the number of its submissions."""
    exact, theta = evaluator(), circuit_and_theta()[1]
    state = optimizer.init(exact, theta, seed)
    yield state
    for _ in range(num_steps):
        state, _ = optimizer.step(exact, state)
        yield state


def test_spsa_by_hand():
    """Each step is along signs, and as long as the two energies say."""
    optimizer = SPSA(a=0.5, c=0.2, stability=3)
    for k, (here, there) in enumerate(itertools.pairwise(directions(optimizer, 4))):
        gain, reach = 0.5 / (k + 1 + 3) ** 0.602, 0.2 / (k + 1) ** 0.101
        delta = there.theta - here.theta
        signs = np.sign(delta)
        assert np.ptp(np.abs(delta)) < 1e-14
        rise = energy(here.theta + reach * signs) - energy(here.theta - reach * signs)
        np.testing.assert_allclose(delta, -gain * rise / (2 * reach) * signs, atol=1e-12)
        assert there.evaluations - here.evaluations == 2  # both in one submission, then the one to report


def test_spsa_is_unbiased():
    """The mean of many first steps is gradient descent, up to terms of order c²."""
    here = circuit_and_theta()[1]
    optimizer = SPSA(a=1.0, c=0.01, stability=0)
    steps = [list(directions(optimizer, 1, seed))[-1].theta - here for seed in range(400)]
    mean, stderr = np.mean(steps, axis=0), np.std(steps, axis=0) / np.sqrt(len(steps))
    assert np.all(np.abs(mean + slope(here)) < 4 * stderr + 1e-3)
    assert stderr.max() < 0.25 * np.abs(slope(here)).max()


def test_spsa_calibrates_its_gain():
    """The first steps move each parameter by about `first_change`."""
    moves = []
    for seed in range(30):
        before, after = directions(SPSA(first_change=0.05, calibration=25), 1, seed)
        assert (before.cost.jobs, before.cost.circuits) == (2, 51)
        moves.append(np.abs(after.theta - before.theta).mean())
    assert np.mean(moves) == pytest.approx(0.05, rel=0.3)


def test_spsa_draws_anew_in_every_step_and_run():
    def signs(seed):
        return [tuple(np.sign(b.theta - a.theta)) for a, b in itertools.pairwise(directions(SPSA(), 5, seed))]

    assert signs(3) == signs(3) != signs(4)
    assert len({tuple(np.abs(s) * np.array(s) * s[0]) for s in signs(3)}) > 1


# --- SciPy ---


LIMITS = {
    "L-BFGS-B": ("maxiter", "maxfun"), "BFGS": ("maxiter",), "CG": ("maxiter",), "SLSQP": ("maxiter",),
    "TNC": ("maxfun",), "COBYLA": ("maxiter",), "COBYQA": ("maxfev", "maxiter"), "Nelder-Mead": ("maxfev", "maxiter"),
    "Powell": ("maxfev", "maxiter"),
}  # fmt: skip


@pytest.mark.parametrize(("method", "option"), [(method, one) for method, all_ in LIMITS.items() for one in all_])
def test_an_option_that_limits_scipy_is_no_convergence(method, option):
    count = 12 if method.startswith("COBY") else 2
    result = minimize(SciPy(method, {option: count}), max_steps=500, tol=0)
    assert result.status == "max_steps"
    again = scipy.optimize.minimize(
        lambda x: (energy(x), slope(x)) if method in WITH_GRADIENT else energy(x), circuit_and_theta()[1],
        jac=method in WITH_GRADIENT or None, method=method, options={option: count},
    )  # fmt: skip
    assert not again.success
    assert result.message == again.message


@METHODS
def test_max_steps_is_what_limits_scipy(method):
    """No limit of SciPy's own is left in place, unless the user sets one; then that one alone."""
    assert SciPy(method)._no_limits() == dict.fromkeys(LIMITS[method], 10**9)
    assert SciPy(method, {LIMITS[method][0]: 20})._no_limits() == {}
    assert minimize(SciPy(method), max_steps=7, tol=0).status == "max_steps"


def test_tnc_and_slsqp_go_beyond_scipys_own_limits():
    """Chained Rosenbrock valleys by hand: more than the 100 evaluations that TNC stops after by itself."""
    start = np.tile([-1.2, 1.0], 5)
    for method in ("TNC", "SLSQP", "CG"):
        optimizer = SciPy(method, {"ftol": 1e-15} if method != "CG" else {"gtol": 1e-9})
        outcome = optimizer.run(lambda x: (scipy.optimize.rosen(x), scipy.optimize.rosen_der(x)), start)
        assert outcome.success
        assert optimizer.ended_as(outcome) == "converged"
    assert not scipy.optimize.minimize(
        scipy.optimize.rosen, start, jac=scipy.optimize.rosen_der, method="TNC", options={"ftol": 1e-15}
    ).success


def test_what_scipy_calls_a_failure_is_no_convergence():
    """A line search that meets noise."""
    statuses = {minimize(SciPy("BFGS"), shots=20, seed=seed, tol=0, max_steps=200).status for seed in range(4)}
    assert "converged" not in statuses
    assert "stalled" in statuses


@METHODS
def test_scipy_is_followed_to_the_end(method):
    """The same points as SciPy alone on the same function."""
    theta = circuit_and_theta()[1]
    seen = []

    def function(x):
        seen.append((energy(x), x.copy()))
        return (seen[-1][0], slope(x)) if method in WITH_GRADIENT else seen[-1][0]

    # COBYQA and TNC are slow to end
    options = {
        "COBYQA": {"maxfev": 20}, "TNC": {"maxfun": 20}, "COBYLA": {"maxiter": 60}, "Powell": {"maxfev": 60},
        "Nelder-Mead": {"maxfev": 60},
    }.get(method, {})  # fmt: skip
    alone = scipy.optimize.minimize(
        function, theta, jac=True if method in WITH_GRADIENT else None, method=method, options=options
    )
    result = minimize(SciPy(method, options), max_steps=1000, tol=0)
    assert result.status == ("max_steps" if options else "converged")
    assert result.message == alone.message
    points = {x.tobytes() for _, x in seen}
    assert result.steps + 1 == len(points) == result.infos[-1].cost.jobs
    lowest = min(seen, key=lambda one: one[0])
    np.testing.assert_array_equal(result.theta, lowest[1])
    assert result.energy == pytest.approx(alone.fun, abs=1e-9 if method in WITH_GRADIENT else 1e-3)


def test_scipy_stands_at_the_lowest_energy():
    """Trials that do not improve are rejected, and nothing jumps up."""
    result = minimize(SciPy("COBYLA"), max_steps=60, tol=0)
    assert np.all(np.diff(result.history) <= 0)
    rejected = [info for info in result.infos if not info.accepted]
    assert 0 < len(rejected) < 60
    assert all(np.isnan(info.decrease) for info in rejected)


def test_trials_that_change_nothing_are_not_convergence():
    """Parameters on which the energy does not depend: COBYLA tries each in turn."""
    inputs = " ".join(f"input float {name};" for name in "abcde")
    program = f'OPENQASM 3.0; include "stdgates.inc"; {inputs} qubit q; rz(a) q; rz(b) q; rz(c) q; rz(d) q; ry(e) q;'
    result = qngd.minimize(program, {"Z": 1.0}, [0.1, 0.2, 0.3, 0.4, 0.5], optimizer=SciPy("COBYLA"), max_steps=300)
    assert result.energy == pytest.approx(-1, abs=1e-6)


def test_scipy_at_a_minimum_stops_at_once():
    program = 'OPENQASM 3.0; include "stdgates.inc"; input float a; qubit q; ry(a) q;'
    result = qngd.minimize(program, {"Z": -1.0}, [0.0], optimizer=SciPy())
    assert (result.steps, result.status) == (0, "converged")
    assert "GRADIENT" in result.message


def test_a_state_may_be_stepped_from_again():
    """What a state leads to depends on nothing but the state."""
    optimizer = SciPy("COBYLA")
    exact, theta = evaluator(), circuit_and_theta()[1]
    state = optimizer.init(exact, theta, 0)
    for _ in range(8):
        first, _ = optimizer.step(exact, state)
        second, _ = optimizer.step(exact, state)
        np.testing.assert_array_equal(first.memory["points"], second.memory["points"])
        state = first
    assert len(np.unique(state.memory["points"], axis=0)) == 9


def test_a_state_of_another_method_is_not_continued_with_its_scipy():
    exact, theta = evaluator(), circuit_and_theta()[1]
    state, _ = SciPy("COBYLA").step(exact, SciPy("COBYLA").init(exact, theta, 0))
    other, _ = SciPy("Nelder-Mead").step(exact, state)
    alone, _ = SciPy("Nelder-Mead").step(exact, SciPy("Nelder-Mead").init(exact, theta, 0))
    np.testing.assert_array_equal(other.memory["points"][-1], alone.memory["points"][-1])


def test_runs_may_take_turns():
    """Only one SciPy waits at a time; the other run replays."""
    exact, theta = evaluator(), circuit_and_theta()[1]
    optimizers = [SciPy("COBYLA"), SciPy("L-BFGS-B")]
    states = [optimizer.init(exact, theta, 0) for optimizer in optimizers]
    for _ in range(6):
        states = [o.step(exact, state)[0] for o, state in zip(optimizers, states, strict=True)]
    for optimizer, state in zip(optimizers, states, strict=True):
        np.testing.assert_array_equal(state.theta, minimize(optimizer, max_steps=6, tol=0).theta)


@pytest.mark.parametrize("budget", [None, qngd.Budget(shots=30_000)], ids=["no budget", "budget"])
@pytest.mark.parametrize("make", [lambda: SciPy("COBYLA"), CMAES], ids=["cobyla", "cma-es"])
def test_a_run_begins_its_search_once(monkeypatch, make, budget):
    """A search that is led to where it stood by all that is known, at every step, takes ever longer."""
    pytest.importorskip("cma")
    optimizer, known = make(), []
    began, found = scipy_methods._Halted.__init__, evolution._Search.at
    monkeypatch.setattr(scipy_methods._Halted, "__init__", lambda *it: known.append(len(it[2].points)) or began(*it))
    monkeypatch.setattr(evolution._Search, "at", lambda *it: known.append(len(it[1]["energies"])) or found(*it))
    minimize(optimizer, shots=50, seed=0, max_steps=8, tol=0, budget=budget)
    assert known == [1] * isinstance(optimizer, SciPy)


def test_threads_end_with_their_runs():
    minimize(SciPy("COBYLA"), max_steps=3, tol=0)
    minimize(SciPy("L-BFGS-B"), max_steps=2, tol=0)
    gc.collect()
    for _ in range(100):
        if not [t for t in threading.enumerate() if t.name == "qngd-scipy"]:
            return
        time.sleep(0.02)
    pytest.fail("a halted SciPy stays")


# --- in the loop ---


@EVERY
def test_energies_fall(optimizer):
    result = minimize(optimizer, max_steps=150, seed=0)
    assert result.energy < result.history[0] - 0.5
    assert result.energy == pytest.approx(energy(result.theta), abs=1e-12)


@EVERY
@pytest.mark.parametrize("shots", [None, 200], ids=["exact", "shots"])
def test_a_stored_run_goes_on_to_the_same_digits(optimizer, shots, tmp_path):
    whole = minimize(optimizer, shots=shots, seed=7, max_steps=9)
    minimize(optimizer, shots=shots, seed=7, max_steps=4, run_dir=tmp_path)
    resumed = minimize(optimizer, shots=shots, seed=7, max_steps=9, run_dir=tmp_path)
    np.testing.assert_array_equal(resumed.history, whole.history)
    np.testing.assert_array_equal(resumed.theta, whole.theta)
    assert resumed.cost == whole.cost
    with pytest.raises(qngd.SettingError, match="another"):
        minimize(GradientDescent(0.1), shots=shots, seed=7, run_dir=tmp_path)


@EVERY
def test_the_preview_is_what_is_spent(optimizer):
    sampled, theta = evaluator(50), circuit_and_theta()[1]
    state = optimizer.init(sampled, theta, 1)
    assert optimizer.preview(sampled, theta, None, first=True) == state.cost
    spent = optimizer.step(sampled, state)[0].cost - state.cost
    assert optimizer.preview(sampled, theta, None) == spent
    budget = qngd.Budget(shots=(state.cost + spent).shots)
    result = minimize(optimizer, shots=50, seed=1, budget=budget, tol=0)
    assert (result.steps, result.status) == (1, "budget")


@EVERY
def test_the_first_evaluation_must_be_paid(optimizer):
    with pytest.raises(qngd.SettingError, match="budget"):
        minimize(optimizer, budget=qngd.Budget(jobs=0))


@EVERY
def test_nan_stops_the_run_at_the_last_good_point(optimizer, spoil):
    at = 4  # after the start; of SPSA with its calibration, which are two
    spoil(at, "energy")
    result = minimize(optimizer, tol=0)
    assert result.status == "not_finite"
    assert np.all(np.isfinite(result.theta))
    assert np.isfinite(result.energy)
    assert result.cost.jobs >= at - 1


@EVERY
def test_nan_at_the_start(optimizer, spoil):
    spoil(1, "energy")
    result = minimize(optimizer)
    assert (result.steps, result.status) == (0, "not_finite")


def test_a_rate_far_too_large_is_reported():
    assert minimize(GradientDescent(1e308), max_steps=50).status == "not_finite"


@EVERY
def test_target_and_callback(optimizer):
    goal = minimize(optimizer, max_steps=40, seed=0, tol=0).energy
    result = minimize(optimizer, max_steps=40, seed=0, tol=0, target=goal)
    assert result.status == "target"
    assert minimize(optimizer, callback=lambda info: True, seed=0).steps == 1


@pytest.mark.parametrize("optimizer", [GradientDescent(0.05), Adam()], ids=["gd", "adam"])
def test_noise_stops_where_the_gradient_is_hidden_by_it(optimizer):
    program = 'OPENQASM 3.0; include "stdgates.inc"; input float a; qubit q; ry(a) q;'
    result = qngd.minimize(program, {"Z": 1.0}, [np.pi], optimizer=optimizer, shots=100, seed=0)
    assert result.status in ("noise", "converged")
    assert result.steps < 50


@EVERY
def test_journals_read_back(optimizer, tmp_path):
    """NaN and all."""
    result = minimize(optimizer, run_dir=tmp_path, max_steps=3, seed=1, tol=0)
    again = minimize(optimizer, run_dir=tmp_path, max_steps=3, seed=1, tol=0)
    np.testing.assert_array_equal([info.decrease for info in again.infos], [info.decrease for info in result.infos])
    assert again.cost == result.cost


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: GradientDescent(0), "learning_rate must be a positive"),
        (lambda: GradientDescent(np.nan), "learning_rate must be a positive"),
        (lambda: Adam(-1), "learning_rate must be a positive"),
        (lambda: Adam(beta1=1), "beta1 must be at least 0 and below 1"),
        (lambda: Adam(beta2=-0.1), "beta2 must be at least 0"),
        (lambda: Adam(epsilon=0), "epsilon must be a positive"),
        (lambda: SPSA(a=0), "a must be a positive"),
        (lambda: SPSA(c=-1), "c must be a positive"),
        (lambda: SPSA(stability=-1), "stability must be"),
        (lambda: SPSA(calibration=0), "calibration must be a whole number"),
        (lambda: SPSA(first_change=0), "first_change must be a positive"),
        (lambda: SciPy("Newton"), "method: 'Newton' is none of L-BFGS-B"),
        (lambda: SciPy(options={"ftoll": 1}), "options: L-BFGS-B refuses .*ftoll"),
        (lambda: SciPy("COBYLA", {"rhobeg": "long"}), "options: COBYLA refuses"),
        (lambda: SciPy(options=3), "options must be a mapping"),
    ],
)
def test_settings_out_of_range(make, words):
    with pytest.raises(qngd.SettingError, match=words):
        make()


def test_a_finished_state_has_no_next_step():
    program = 'OPENQASM 3.0; include "stdgates.inc"; input float a; qubit q; ry(a) q;'
    state = qngd.minimize(program, {"Z": -1.0}, [0.0], optimizer=SciPy()).state
    with pytest.raises(qngd.SettingError, match="has finished"):
        SciPy().step(None, state)
