"""The main loop: why it stops, what it returns, and what can go wrong on the way."""

import dataclasses

import numpy as np
import pytest

import qngd
from qngd.circuit.observable import Observable
from qngd.damping import SpectralCutoff, UnitDiagonal
from qngd.estimates.evaluation import Cost
from qngd.evaluators.choice import evaluator_for
from qngd.evaluators.setup import Setup
from qngd.refresh import Refresh
from qngd.run.record import Record
from qngd.run.stop import StopRule
from qngd.run.store import Nowhere
from qngd.solve.state import StepInfo
from tests import dense
from tests.step_rules import RULES
from tests.strategies import GateUse, Program, Sketch, ansatz, ising, random_observable, random_program

FIXED = qngd.QNG(0.1)
ADAPTIVE = qngd.QNG()
EVERY_RULE = pytest.mark.parametrize("rule", RULES.values(), ids=RULES.keys())
BOTH = pytest.mark.parametrize("optimizer", [FIXED, ADAPTIVE], ids=["fixed", "adaptive"])
TERMS = {"ZZI": 1.0, "IXY": -0.5, "XIX": 0.7, "IZI": 0.3}
SHOTS = pytest.mark.parametrize(
    "shots",
    [50, "auto", qngd.AutoShots(2000), qngd.TargetError(0.05), qngd.TargetError(0.5, metric=0.5)],
    ids=["50", "auto", "2000 in all", "fine", "coarse"],
)


def circuit_and_theta(seed=1):
    circuit = ansatz(3, 1)
    return circuit, np.random.default_rng(seed).normal(size=circuit.num_parameters)


def minimize(optimizer=FIXED, **how):
    circuit, theta = circuit_and_theta()
    return qngd.minimize(circuit, TERMS, theta, optimizer=optimizer, **{"max_steps": 12, **how})


def stays_below_recent(result):
    """Whether no accepted energy lies above the ten before it."""
    energies = [result.history[0], *(info.energy for info in result.infos if info.accepted)]
    return all(energies[k] <= max(energies[max(0, k - 10) : k]) + 1e-12 for k in range(1, len(energies)))


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


@BOTH
@SHOTS
def test_a_sampled_run_says_what_it_measured(optimizer, shots):
    circuit, theta = circuit_and_theta()
    how = {"optimizer": optimizer, "shots": shots, "max_steps": 4, "tol": 0}
    first, second, other = (qngd.minimize(circuit, TERMS, theta, seed=s, **how) for s in (1, 1, 2))
    assert first.history.tolist() == [first.history[0], *(info.energy for info in first.infos)]
    assert first.history_stderr.tolist() == [first.history_stderr[0], *(info.stderr for info in first.infos)]
    assert np.all(first.history_stderr > 0)
    assert (first.energy, first.stderr) == (first.history[-1], first.history_stderr[-1])
    exact = float(qngd.expectation(circuit, TERMS, first.theta))
    assert abs(first.energy - exact) < 5 * first.stderr
    assert first.cost.jobs == 5  # whatever was accepted
    assert first.cost == first.infos[-1].cost
    assert sum(info.step_cost.shots for info in first.infos) < first.cost.shots
    assert np.array_equal(first.history, second.history)
    assert np.array_equal(first.theta, second.theta)
    assert not np.any(first.history == other.history)


def test_without_a_seed_every_run_is_another():
    runs = [minimize(shots=50, max_steps=1).history for _ in range(2)]
    assert not np.array_equal(*runs)


def test_a_target_error_is_met_to_the_end():
    """At a standstill the variances seen before are those to come: all errors but the first are as wanted."""
    circuit, theta = circuit_and_theta()
    how = {"optimizer": qngd.QNG(1e-6), "shots": qngd.TargetError(0.01), "seed": 1, "max_steps": 3}
    errors = qngd.minimize(circuit, TERMS, theta, **how).history_stderr
    assert errors[0] > 0.02
    assert np.all(errors[1:] < 0.0115)


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


@pytest.mark.parametrize("seed", range(6))
def test_the_defaults_find_a_ground_state(seed):
    """A ring of three spins in a field, deep enough to reach everything; exact diagonalisation knows."""
    circuit = ansatz(3, 4)
    theta = np.random.default_rng(seed).normal(size=circuit.num_parameters)
    result = qngd.minimize(circuit, ising(3), theta, max_steps=100)
    assert result.status == "converged"
    assert result.energy == pytest.approx(ground_energy(ising(3)), abs=1e-6)
    assert stays_below_recent(result)


@pytest.mark.parametrize("approx", ["block-diag", "diag"])
@pytest.mark.parametrize("seed", range(3))
def test_the_cheaper_metrics_come_close(seed, approx):
    circuit = ansatz(3, 4)
    theta = np.random.default_rng(seed).normal(size=circuit.num_parameters)
    optimizer = qngd.QNG(approx=approx)
    result = qngd.minimize(circuit, ising(3), theta, optimizer=optimizer, max_steps=150)
    assert 0 <= result.energy - ground_energy(ising(3)) < 1e-2
    assert stays_below_recent(result)


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


@EVERY_RULE
@pytest.mark.parametrize("damping", [None, 0, UnitDiagonal(), SpectralCutoff(1e-3)], ids=str)
def test_every_rule_with_one_parameter_that_counts(rule, damping):
    """Of one, and of three with zero rows in g for the other two."""
    for count, used in ((1, 0), (3, 1)):
        sketch = Sketch(1, count)
        circuit = sketch("ry", 0, sketch.t[used]).circuit()
        theta = np.array([5.0, 0.9, -7.0])[3 - count - (count == 1) : 3 - (count == 1)]
        optimizer = qngd.QNG(step=rule, damping=damping)
        result = qngd.minimize(circuit, {"Z": 1.0}, theta, optimizer=optimizer, max_steps=500)
        assert result.energy == pytest.approx(-1, abs=1e-6)
        assert np.array_equal(np.delete(result.theta, used), np.delete(theta, used))


@EVERY_RULE
@pytest.mark.parametrize("damping", [None, 0])
@pytest.mark.parametrize("shots", [None, 20])
def test_every_rule_where_the_gradient_is_zero(rule, damping, shots):
    """A flat energy: RZ on |0⟩ moves no state, so g is zero too; RX does, but not its ⟨X⟩."""
    sketch = Sketch(1, 2)
    circuit = sketch("rz", 0, sketch.t[0])("rx", 0, sketch.t[1]).circuit()
    how = {"optimizer": qngd.QNG(step=rule, damping=damping), "max_steps": 30, "shots": shots, "seed": 1}
    result = qngd.minimize(circuit, {"X": 1.0, "I": 2.0}, [0.3, 0.4], **how)
    assert result.status in ("converged", "noise")
    if shots is None:
        assert np.allclose(result.theta, [0.3, 0.4], atol=1e-9)
        assert np.allclose(result.history, 2, atol=1e-12)


@EVERY_RULE
@pytest.mark.parametrize("part", ["gradient", "metric"])
@pytest.mark.parametrize("refresh", [None, Refresh(average="all")], ids=str)
def test_every_rule_stops_at_the_last_good_point_before_a_nan(rule, part, refresh, spoil):
    how = {"optimizer": qngd.QNG(step=rule, refresh=refresh), "tol": 0}
    whole = minimize(max_steps=3, **how)
    assert all(info.accepted for info in whole.infos)
    spoil(whole.infos[2].cost.jobs, part)
    result = minimize(**how)
    assert (result.status, result.steps) == ("not_finite", 2)
    assert np.array_equal(result.history, whole.history[:3])
    assert np.all(np.isfinite(result.theta))


@BOTH
def test_an_exact_stationary_point(optimizer):
    """No gradient, for as long as one likes, where the run may not look around: nothing overflows, and θ stays."""
    sketch = Sketch(1, 1)
    circuit = sketch("ry", 0, sketch.t[0]).circuit()
    result = qngd.minimize(circuit, {"Z": 1.0}, [0.0], optimizer=optimizer, max_steps=900, tol=0)
    assert result.theta.tolist() == [0.0]
    assert result.energy == 1.0
    assert result.status == "max_steps"


def test_a_constant_observable():
    circuit, theta = circuit_and_theta()
    result = qngd.minimize(circuit, {"III": 2.5}, theta)
    assert result.status == "converged"
    assert np.allclose(result.history, 2.5, atol=1e-12)


# --- why it stops ---


@pytest.mark.parametrize("tol", [1e-2, 1e-6])
def test_tol_stops_after_three_small_changes(tol):
    result = minimize(FIXED, max_steps=2000, tol=tol)
    assert result.status == "converged"
    assert f"{tol:g}" in result.message
    changes = np.abs([info.decrease for info in result.infos])
    assert np.all(changes[-3:] < tol)
    small = changes < tol
    assert not np.any(small[:-3] & small[1:-2] & small[2:-1])


@pytest.mark.parametrize("tol", [1e-2, 1e-6, 1e-9])
def test_tol_stops_after_one_small_change_where_decreases_fall_off(tol):
    """As they do near a minimum for whoever knows its curvature; then hardly anything is left."""
    quick = qngd.QNG(step=qngd.step.Adaptive(near=qngd.step.QuasiNewton(initial=0.1)))
    result = minimize(quick, max_steps=2000, tol=tol)
    assert result.status == "converged"
    assert "as predicted" in result.message
    changes = np.abs([info.decrease for info in result.infos])
    assert changes[-1] < tol < changes[-3]
    assert result.energy - minimize(quick, max_steps=60, tol=0).energy < 0.1 * tol


def test_what_falls_off_goes_on_from_a_state_as_before():
    """The promised decreases are in the state, so that a run in parts stops where a whole one does."""
    whole = minimize(qngd.QNG(), max_steps=2000, tol=1e-6)
    first = minimize(qngd.QNG(), max_steps=whole.steps - 1, tol=1e-6)
    rest = minimize(qngd.QNG(), max_steps=2000, tol=1e-6, state=first.state)
    assert (rest.steps, rest.energy, rest.message) == (1, whole.energy, whole.message)


@pytest.mark.parametrize(
    "falls",
    [
        [(-1.0, 1e-3), (1.0, 1.0), (1e-12, 1e-12)],  # the way back from a rise
        [(1.0, np.nan), (1e-12, np.nan)],  # which nobody promised
        [(1.0, 1.0), (1e-12, 1e-3)],  # fell short of the promise
        [(1.0, 1.0), (-1e-7, 1e-12)],  # rose
        [(2e-9, 2e-9), (1e-9, 1e-9)],  # will go on falling
        [(1e-12, 1e-12)],
    ],
)
def test_small_changes_that_say_nothing_of_what_is_left(falls):
    circuit, theta = circuit_and_theta()
    state = qngd.QNG().init(qngd.evaluator(circuit, TERMS, theta))
    record, limits = Record(np.copy, "QNG", Nowhere()), StopRule.read(99, 1e-8, 0.0, None, None)
    record.begin(state, limits)
    for decrease, promised in falls:
        info = StepInfo(1, state.energy, 0.0, decrease, True, Cost(), Cost(), predicted_decrease=promised)
        record.add(state, info)
    assert record.at_rest(limits) is None


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
@pytest.mark.parametrize("shots", [None, 50])
def test_an_interrupted_evaluation_ends_the_run(optimizer, shots, spoil):
    how = {"optimizer": optimizer, "shots": shots, "seed": 1, "tol": 0}
    whole = minimize(**how)
    assert all(info.accepted for info in whole.infos[:3])
    spoil(whole.infos[2].cost.jobs + 1, KeyboardInterrupt())  # the first of the fourth step
    try:
        result = minimize(**how)
    except KeyboardInterrupt:
        pytest.fail("Ctrl-C in an evaluation came through")
    assert result.status == "interrupted"
    assert "keyboard" in result.message
    assert result.steps == 3
    assert np.array_equal(result.history, whole.history[:4])
    assert result.energy == whole.history[3]
    assert result.cost == whole.infos[2].cost


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


@pytest.mark.parametrize("shots", [None, 50])
@pytest.mark.parametrize(
    ("optimizer", "part"),
    [
        (FIXED, "energy"),
        (FIXED, "gradient"),
        (FIXED, "metric"),
        (ADAPTIVE, "gradient"),  # a NaN energy is only rejected
        (ADAPTIVE, "metric"),
    ],
    ids=lambda v: v if isinstance(v, str) else "adaptive" if v == ADAPTIVE else "fixed",
)
def test_nan_ends_a_run_at_the_last_good_point(optimizer, part, shots, spoil):
    how = {"optimizer": optimizer, "shots": shots, "seed": 1, "tol": 0}
    whole = minimize(max_steps=5, **how)
    assert whole.infos[3].accepted
    failed = whole.infos[3].cost  # with all that the fourth step asked for
    spoil(failed.jobs, part)
    result = minimize(**how)
    assert result.status == "not_finite"
    assert "learning_rate" in result.message
    assert "damping" in result.message
    assert result.steps == 3
    assert np.array_equal(result.history, whole.history[:4])
    assert result.energy == whole.history[3]
    good = minimize(**how, callback=lambda info: info.step == 3)
    assert np.array_equal(result.theta, good.theta)
    assert result.cost == failed  # what was spent is spent


@pytest.mark.parametrize("part", ["energy", "gradient", "metric"])
@BOTH
def test_nan_at_the_start(part, optimizer, spoil):
    circuit, theta = circuit_and_theta()
    spoil(1, part)
    result = qngd.minimize(circuit, TERMS, theta, optimizer=optimizer)
    assert result.status == "not_finite"
    assert result.steps == 0
    assert np.array_equal(result.theta, theta)


@pytest.mark.parametrize("shots", [None, 2000])
def test_an_adaptive_run_gets_over_a_nan(shots, spoil):
    spoil(4, "energy")
    result = minimize(ADAPTIVE, tol=0, shots=shots, seed=1, max_steps=20)
    assert result.status == "max_steps"
    assert result.energy < result.history[0] - 0.5
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


@BOTH
@pytest.mark.parametrize("unit", ["jobs", "circuits", "shots"])
def test_a_sampled_budget_is_used_up_and_no_more(optimizer, unit):
    """Every step costs the same: limits around three times that allow the start and one or two steps."""
    start = minimize(optimizer, shots=20, max_steps=0, tol=0).cost
    one = getattr(start, unit)
    for limit, steps in ((3 * one - 1, 1), (3 * one, 2), (4 * one - 1, 2)):
        result = minimize(optimizer, shots=20, tol=0, budget=qngd.Budget(**{unit: limit}))
        assert result.status == "budget"
        assert (result.steps, getattr(result.cost, unit)) == (steps, (steps + 1) * one)


@pytest.mark.parametrize("max_steps", [2, 9])
@SHOTS
def test_no_way_to_share_out_shots_exceeds_a_budget(shots, max_steps):
    """Limits around what one, two and three steps take; the second may be the last of the run."""
    how = {"shots": shots, "seed": 1, "tol": 0, "max_steps": max_steps}
    start, *spent = (info.cost.shots for info in minimize(**{**how, "max_steps": 9}).infos[:3])
    for limit in (start, *(total + d for total in spent for d in (-1, 0, 1))):
        result = minimize(budget=qngd.Budget(shots=limit), **how)
        assert result.cost.shots <= limit
        assert result.steps >= 1


def test_a_budget_with_angles_that_are_not_linear():
    """Angles y + y²/10: the slopes of RZ, RZ and RZZ are equal at θ = 0, where one group of two shifts would do for
    all three, and nowhere else."""
    gates = (
        GateUse("h", (0,)),
        GateUse("ry", (1,), ((0.0,),), (1.0,)),
        GateUse("rz", (0,), ((1.0,),), (0.0,)),
        GateUse("rz", (1,), ((1.0,),), (0.0,)),
        GateUse("rzz", (0, 1), ((2.0,),), (-2.5,)),
    )
    program = Program(2, gates, np.array([0.0]), bend=0.1)
    how = {"shots": 10, "seed": 1, "tol": 0}
    start = qngd.minimize(program.circuit(), {"XX": 1.0, "YI": 0.3}, program.theta, max_steps=0, **how).cost.circuits
    for limit, steps in ((2 * start - 1, 0), (2 * start, 1)):
        budget = qngd.Budget(circuits=limit)
        result = qngd.minimize(program.circuit(), {"XX": 1.0, "YI": 0.3}, program.theta, budget=budget, **how)
        assert result.status == "budget"
        assert (result.steps, result.cost.circuits) == (steps, (steps + 1) * start)


@pytest.mark.parametrize("budget", [{"jobs": 0}, {"circuits": 3}, {"shots": 100}], ids=str)
@pytest.mark.parametrize("shots", [20, qngd.AutoShots(2000), qngd.TargetError(0.05)], ids=str)
def test_a_budget_must_pay_for_the_start(budget, shots, spoil):
    """Which is not begun."""
    spoil(1, ZeroDivisionError())
    with pytest.raises(qngd.SettingError, match="budget"):
        minimize(shots=shots, budget=qngd.Budget(**budget))


# --- targets, small gradients, optimizers with a stopping rule of their own ---


@BOTH
def test_a_target_stops_where_it_is_reached(optimizer):
    whole = minimize(optimizer, tol=0)
    target = float(whole.history[5])
    result = minimize(optimizer, tol=0, target=target)
    assert result.status == "target"
    assert f"{target}" in result.message
    assert result.steps == np.argmax(whole.history <= target)
    assert result.energy <= target
    assert minimize(optimizer, tol=0, target=whole.history[0]).steps == 0
    assert minimize(optimizer, tol=0, target=-9.0).status == "max_steps"


def test_a_sampled_target_must_be_reached_beyond_its_error():
    whole = minimize(ADAPTIVE, shots=500, seed=2, tol=0, max_steps=20)
    target = float(whole.history[9] + 0.5 * whole.history_stderr[9])  # within the error of step 9
    result = minimize(ADAPTIVE, shots=500, seed=2, tol=0, max_steps=20, target=target)
    assert result.status == "target"
    reached = whole.history + whole.history_stderr <= target
    assert result.steps == np.argmax(reached) > 0
    assert result.energy + result.stderr <= target


@BOTH
def test_a_small_gradient_stops(optimizer):
    """√(dᵀgd) with d = (g + λ)⁻¹∇E; the step that it was taken for is the last."""
    result = minimize(optimizer, tol=0, gtol=1e-2, max_steps=500)
    assert result.status == "converged"
    assert "gtol=0.01" in result.message
    norms = [info.natural_norm for info in result.infos]
    assert norms[-1] < 1e-2 <= min(norms[:-1])
    circuit, _ = circuit_and_theta()
    slope = qngd.gradient(circuit, TERMS, result.theta).value
    g = np.asarray(qngd.metric_tensor(circuit, result.theta, approx="full"))
    d = np.linalg.solve(g + 1e-2 * np.eye(len(g)), slope)
    assert np.sqrt(d @ g @ d) < 2e-2
    assert minimize(optimizer, tol=0, gtol=0).status == "max_steps"


class Finishing(qngd.QNG):
    """Says that it has finished after three steps."""

    def step(self, evaluator, state):
        new, info = super().step(evaluator, state)
        return dataclasses.replace(new, finished="three are enough" if new.step == 3 else ""), info


def test_an_optimizer_may_say_that_it_has_finished(tmp_path):
    for _ in range(2):  # and is believed when the run is read again
        result = minimize(Finishing(0.1), tol=0, run_dir=tmp_path)
        assert (result.status, result.message, result.steps) == ("converged", "three are enough", 3)


# --- the best and the last ---


@pytest.mark.parametrize(("rate", "steps"), [(0.5, 25), (1.5, 5)])
def test_the_best_exact_energy_is_returned_and_the_state_goes_on_from_the_last(rate, steps):
    """A rate so large that the energy goes up and down; while rounding has not yet decided where it stands."""
    result = minimize(qngd.QNG(rate), tol=0, max_steps=steps)
    assert result.history[-1] > result.history.min() + 1e-3
    assert result.energy == result.history.min()
    circuit, _ = circuit_and_theta()
    assert float(qngd.expectation(circuit, TERMS, result.theta)) == pytest.approx(result.energy, abs=1e-12)
    assert result.state.energy == result.history[-1]
    last = float(qngd.expectation(circuit, TERMS, result.state.theta))
    assert last == pytest.approx(result.history[-1], abs=1e-12)


def test_the_best_is_kept_while_it_lasts():
    """At every step of the run."""
    whole = minimize(qngd.QNG(1.5), tol=0, max_steps=12)
    for steps in range(1, 13):
        result = minimize(qngd.QNG(1.5), tol=0, max_steps=steps)
        assert result.energy == whole.history[: steps + 1].min()
        assert result.state.lowest[1] == result.energy


def test_a_sampled_run_ends_where_it_stands():
    """The lowest of many noisy energies is lucky, not good."""
    result = minimize(qngd.QNG(1.5, damping=1e-2), shots=50, seed=1, tol=0, max_steps=9)
    assert result.history[-1] > result.history.min()
    assert result.energy == result.history[-1]
    assert np.array_equal(result.theta, result.state.theta)


# --- noise ---


def noisy_minimum(*, rows=((1.0,),), theta=(5 * np.pi / 4,)):
    """RY(θ) and Z + X, which is lowest at 5π/4: the energy is exact there to first order, its two terms are not."""
    program = Program(1, (GateUse("ry", (0,), rows, (0.0,)),), np.array(theta))
    return program.circuit(), {"Z": 1.0, "X": 1.0}, program.theta


@BOTH
@pytest.mark.parametrize("seed", range(5))
def test_a_run_at_the_minimum_ends_in_noise(optimizer, seed):
    result = qngd.minimize(*noisy_minimum(), optimizer=optimizer, shots=100, seed=seed)
    assert result.status == "noise"
    assert "shots" in result.message
    assert 5 <= result.steps < 60
    quiet = [info.significance < 2 for info in result.infos]
    assert all(quiet[-5:])
    assert not any(all(quiet[k : k + 5]) for k in range(len(quiet) - 5))  # and no sooner
    assert abs(result.energy + np.sqrt(2)) < 5 * result.stderr
    assert result.stderr > 0
    assert float(qngd.expectation(*noisy_minimum()[:2], result.theta)) < -1.35


def test_noise_does_not_stop_what_still_goes_down():
    circuit, terms, theta = noisy_minimum(theta=(1.2,))
    result = qngd.minimize(circuit, terms, theta, shots=100, seed=1)
    assert result.status == "noise"
    assert result.infos[0].significance > 10
    assert float(qngd.expectation(circuit, terms, result.theta)) == pytest.approx(-np.sqrt(2), abs=0.05)


@pytest.mark.parametrize("how", [{"tol": 0}, {"shots": None}], ids=["tol=0", "exact"])
def test_what_noise_does_not_end(how):
    result = qngd.minimize(*noisy_minimum(), **{"shots": 100, "seed": 0, "max_steps": 30, **how})
    assert result.status == ("max_steps" if "tol" in how else "converged")


def test_noise_is_seen_where_parameters_do_the_same():
    circuit, terms, theta = noisy_minimum(rows=((1.0, 1.0),), theta=(5 * np.pi / 4 - 0.7, 0.7))
    assert qngd.minimize(circuit, terms, theta, shots=100, seed=0).status == "noise"


def test_unused_parameters_stay_in_a_sampled_run():
    sketch = Sketch(1, 3)
    circuit = sketch("ry", 0, sketch.t[1]).circuit()
    result = qngd.minimize(circuit, {"Z": 1.0, "X": 1.0}, [5.0, 1.2, -7.0], shots=100, seed=1)
    assert result.theta[[0, 2]].tolist() == [5.0, -7.0]
    assert result.status == "noise"


# --- going on ---


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
@pytest.mark.parametrize("shots", [None, 50])
def test_going_on_from_the_state_gives_the_same_digits(optimizer, shots):
    """An adaptive rate and the seeds are in the state."""
    how = {"shots": shots, "seed": 3, "tol": 0}
    whole = minimize(optimizer, max_steps=10, **how)
    state = minimize(optimizer, callback=lambda info: info.step == 4, **how).state
    circuit, _ = circuit_and_theta()
    evaluator = evaluator_for(circuit, Observable.from_mapping(TERMS), Setup(shots=shots))
    for _ in range(6):
        state, _ = optimizer.step(evaluator, state)
    assert np.array_equal(state.theta, whole.state.theta)
    assert state.energy == whole.history[-1]
    assert state.step == 10
    assert state.cost == whole.cost


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
        ({"gtol": -1e-9}, "gtol"),
        ({"gtol": np.nan}, "gtol"),
        ({"target": np.nan}, "target"),
        ({"target": -np.inf}, "target"),
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


def test_a_circuit_without_parameters_needs_no_theta():
    bell = qngd.CircuitBuilder(2).h(0).cx(0, 1).s(1)
    assert qngd.expectation(bell, {"ZZ": 1.0, "YX": 0.5}).value == pytest.approx(1.5)
    assert set(qngd.sample(bell, shots=40, seed=1)) == {"00", "11"}
    assert abs(qngd.statevector(bell)) == pytest.approx([0.5**0.5, 0, 0, 0.5**0.5])
    assert qngd.probabilities(bell) == pytest.approx([0.5, 0, 0, 0.5])
    assert qngd.gradient(bell, {"ZZ": 1.0}).value.shape == (0,)
    with pytest.raises(qngd.ParameterError, match=r"no trainable parameters.*qngd\.expectation"):
        qngd.minimize(bell, {"ZZ": 1.0})


def test_rotations_are_not_needed():
    """Parameters that nothing uses: a flat energy, and a run that converges."""
    result = qngd.minimize(Sketch(1, 2)("h", 0).circuit(), {"X": 1.0}, [0.1, 0.2])
    assert result.status == "converged"
    assert result.energy == pytest.approx(1)


def test_a_run_on_a_generic_program_lowers_the_energy():
    program = random_program(8, 5, 40, 5, bend=0.1)
    result = qngd.minimize(program.circuit(), random_observable(8, 5), program.theta, max_steps=40)
    assert stays_below_recent(result)
    assert result.energy < result.history[0] - 1e-2
