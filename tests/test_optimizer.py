"""QNG as explicit state, on energies whose answers are known by hand."""

import dataclasses
import itertools

import numpy as np
import pytest

import qngd
from qngd.damping import Absolute, PseudoInverse, Relative, SignalToNoise, SpectralCutoff, UnitDiagonal
from qngd.estimates.evaluation import Cost
from qngd.metrics import BlockDiagonal
from qngd.qng import QNG
from qngd.refresh import Refresh
from qngd.solve.direction import natural_direction
from qngd.step import Adaptive, AlignedMomentum, CurvatureRate, FixedRate
from tests.parabola import ALONE, FULL, HESSIAN, METRIC, START, Parabola, Sampled, walk
from tests.step_rules import RULES as STEP_RULES
from tests.strategies import Sketch, random_observable, random_program

RULES = pytest.mark.parametrize("optimizer", [QNG(0.1), QNG()], ids=["fixed", "adaptive"])
ALL_RULES = pytest.mark.parametrize("optimizer", [QNG(step=r) for r in STEP_RULES.values()], ids=STEP_RULES.keys())
KINDS = pytest.mark.parametrize("kind", [Parabola, Sampled])


# --- fixed rate ---


@pytest.mark.parametrize("damping", [0.0, 1e-3, 0.3])
@pytest.mark.parametrize("rate", [0.01, 0.2])
def test_fixed_steps_by_hand(rate, damping):
    """θ ← (1 − η(g + λ)⁻¹H)θ, again and again."""
    state, infos = walk(QNG(rate, damping=damping), Parabola(), START, 4)
    once = np.eye(3) - rate * np.linalg.inv(METRIC + damping * np.eye(3)) @ HESSIAN
    path = [np.linalg.matrix_power(once, k) @ START for k in range(5)]
    energies = [0.5 * t @ HESSIAN @ t for t in path]
    assert np.allclose(state.theta, path[-1], rtol=1e-10)
    assert state.step == 4
    assert np.allclose([info.energy for info in infos], energies[1:], rtol=1e-10)
    assert np.allclose([info.decrease for info in infos], -np.diff(energies), rtol=1e-9)
    assert [info.step for info in infos] == [1, 2, 3, 4]
    for info, theta, change in zip(infos, path, np.diff(path, axis=0), strict=False):
        assert info.accepted
        assert info.significance == np.inf
        assert info.rate == rate
        assert info.gradient_norm == pytest.approx(np.linalg.norm(HESSIAN @ theta))
        assert info.length == pytest.approx(np.sqrt(change @ METRIC @ change))
        assert info.predicted_decrease == pytest.approx(-change @ HESSIAN @ theta)
        assert info.spectrum.damping == pytest.approx(damping, abs=1e-15)


def test_the_default_damping_is_absolute():
    state, _ = walk(QNG(0.1), Parabola(), START, 1)
    expected = START - 0.1 * np.linalg.solve(METRIC + 1e-2 * np.eye(3), HESSIAN @ START)
    assert np.allclose(state.theta, expected, rtol=1e-12)


def test_the_default_damping_follows_the_errors_of_sampled_gradients():
    """So that they move no parameter by more than 0.1 rad where g says nothing."""
    evaluator = Sampled()
    before = QNG(0.7).init(evaluator, 0.01 * START, seed=3)
    after, info = QNG(0.7).step(evaluator, before)
    level = 0.7 * np.sqrt(np.trace(Sampled.covariance) / 3) / 0.1
    assert level > 0.05
    assert info.spectrum.damping == pytest.approx(level)
    moved = np.linalg.solve(METRIC + level * np.eye(3), before.evaluation.gradient.value)
    assert np.allclose(after.theta, before.theta - 0.7 * moved, rtol=1e-10)


@pytest.mark.parametrize("rule", [Absolute(0.3), SpectralCutoff(0.5), SignalToNoise(2.0, Absolute(0.1))], ids=str)
@KINDS
def test_a_damping_rule_is_used(kind, rule):
    evaluator = kind()
    before = QNG(0.1).init(evaluator, START, seed=1)
    after, info = QNG(0.1, damping=rule).step(evaluator, before)
    seen = natural_direction(before.evaluation.metric, before.evaluation.gradient, rule)
    assert np.array_equal(after.theta, START - 0.1 * seen.vector)
    assert info.spectrum.damping == seen.spectrum.damping
    assert info.significance == seen.significance
    plain, _ = QNG(0.1).step(evaluator, before)
    assert not np.allclose(after.theta, plain.theta, rtol=1e-3)


def test_a_singular_metric_is_pseudo_inverted():
    """Nothing moves in the null space, whatever the gradient there."""
    metric = np.diag([0.25, 0.1, 0.0])
    state, infos = walk(QNG(0.1, damping=0), Parabola(metric=metric), START, 1)
    slope = HESSIAN @ START
    assert np.allclose(state.theta, START - 0.1 * slope * [4, 10, 0], rtol=1e-12)
    assert slope[2] != 0
    assert infos[0].spectrum.rank == 2


def test_two_parameters_that_do_the_same():
    """RY(a)·RY(b) on |0⟩, E = cos(a + b): the pseudo-inverse splits the step, as one parameter would move."""
    sketch = Sketch(1, 2)
    circuit = sketch("ry", 0, sketch.t[0])("ry", 0, sketch.t[1]).circuit()
    run = {"optimizer": QNG(0.1, damping=0), "max_steps": 1}
    result = qngd.minimize(circuit, {"Z": 1.0}, [0.3, 0.4], **run)
    move = 0.1 * 4 * np.sin(0.7)  # g = ¼ in a + b, E' = −sin
    assert np.allclose(result.theta, [0.3 + move / 2, 0.4 + move / 2], atol=1e-12)


def test_one_parameter_by_hand():
    """E = cos θ, g = ¼: θ ← θ + η sin θ/(¼ + λ)."""
    sketch = Sketch(1, 1)
    circuit = sketch("ry", 0, sketch.t[0]).circuit()
    theta = 0.3
    run = {"optimizer": QNG(0.05, damping=0.01), "max_steps": 5, "tol": 0}
    result = qngd.minimize(circuit, {"Z": 1.0}, [theta], **run)
    energies = [np.cos(theta)]
    for _ in range(5):
        theta += 0.05 * np.sin(theta) / 0.26
        energies.append(np.cos(theta))
    assert result.theta == pytest.approx([theta], abs=1e-12)
    assert np.allclose(result.history, energies, atol=1e-12)


@pytest.mark.parametrize("approx", ["full", "block-diag", "diag"])
def test_the_approximation_asked_for_is_used(approx):
    program = random_program(0, 4, 40, 4)
    circuit, terms = program.circuit(), random_observable(0, 4)
    g = np.asarray(qngd.metric_tensor(circuit, program.theta, approx=approx))
    slope = qngd.gradient(circuit, terms, program.theta).value
    expected = program.theta - 0.1 * np.linalg.solve(g + 0.05 * np.eye(4), slope)
    optimizer = QNG(0.1, approx=approx, damping=0.05)
    result = qngd.minimize(circuit, terms, program.theta, optimizer=optimizer, max_steps=1)
    assert np.allclose(result.theta, expected, atol=1e-10)


# --- adaptive rate ---


def test_adaptive_steps_stay_below_the_recent_energies():
    """Any convex energy, also where the metric is singular and knows nothing of the Hessian."""
    for seed, rank in itertools.product(range(5), (3, 2)):
        rng = np.random.default_rng(seed)
        hessian, metric = (f @ f.T for f in (rng.normal(size=(3, 3)), rng.normal(size=(3, rank))))
        _, infos = walk(QNG(), Parabola(hessian, 0.2 * metric), START, 80)
        energies = np.array([0.5 * START @ hessian @ START, *(info.energy for info in infos if info.accepted)])
        for k in range(1, len(energies)):
            assert energies[k] <= energies[max(0, k - 10) : k].max() + 1e-13
        assert energies[-1] < 0.1 * energies[0]
        assert max(info.length for info in infos) <= Adaptive().plane.max_radius + 1e-12


@pytest.mark.parametrize("factor", [0.02, 0.1, 0.3])
def test_the_adaptive_rate_finds_newtons_step(factor):
    """Where the metric is the Hessian up to a factor η, that is the rate: after one step at 0.1 the next arrives."""
    state, infos = walk(QNG(damping=0), Parabola(HESSIAN, factor * HESSIAN), 0.05 * START, 3)
    assert infos[1 + (not infos[0].accepted)].rate == pytest.approx(factor, rel=1e-9)
    assert infos[-1].energy < 1e-25
    assert state.theta == pytest.approx(np.zeros(3), abs=1e-12)


def test_a_rejected_trial_leaves_the_state_but_shrinks_the_rate():
    evaluator = Parabola(60 * HESSIAN, METRIC)
    optimizer = QNG()
    start = 0.1 * START
    before = optimizer.init(evaluator, start)
    after, info = optimizer.step(evaluator, before)
    assert not info.accepted
    assert np.array_equal(after.theta, start)
    assert after.energy == before.energy == info.energy
    # the energy is a parabola: the new rate would have gone to its lowest point
    delta = evaluator.asked[1][0] - start
    lowest = -(delta @ evaluator.hessian @ start) / (delta @ evaluator.hessian @ delta)
    assert 0.1 < lowest < 0.5
    assert after.memory["rate"] == pytest.approx(info.rate * lowest)
    assert after.step == 1
    assert after.evaluation.gradient is before.evaluation.gradient
    assert info.decrease < 0 < info.predicted_decrease
    # a trial asks for the energy alone
    assert [question[1:3] for question in evaluator.asked] == [(True, "full"), (False, None)]


@pytest.mark.parametrize("kind", [Parabola, Sampled])
@pytest.mark.parametrize("part", ["energy", "energy gradient metric"])
def test_a_trial_that_is_not_finite_is_rejected(kind, part):
    evaluator = kind()
    evaluator.spoil = {2: part}
    optimizer = QNG()
    before = optimizer.init(evaluator, START, seed=1)
    after, info = optimizer.step(evaluator, before)
    assert not info.accepted
    assert np.isnan(info.decrease)
    assert info.energy == before.energy
    assert after.evaluation.is_finite
    assert after.memory["rate"] == pytest.approx(0.1 * info.rate)
    _, info = optimizer.step(evaluator, after)
    assert info.accepted


def test_a_sampled_trial_asks_for_everything_at_once():
    """Submissions cost a queue, and most trials are accepted."""
    evaluator = Sampled()
    _, infos = walk(QNG(), evaluator, START, 4, seed=2)
    assert [info.accepted for info in infos] == [True] * 4
    assert [question[1:3] for question in evaluator.asked] == [(True, "full")] * 5


def test_a_step_rule_is_used():
    state, infos = walk(QNG(step=CurvatureRate(initial=0.02, max_length=0.01)), Parabola(), START, 2)
    assert [info.length for info in infos] == pytest.approx([0.01, 0.01])
    assert state.memory["recent"].shape == (2, 2)
    fixed, _ = walk(QNG(step=FixedRate(0.02)), Parabola(), START, 2)
    assert np.array_equal(fixed.theta, walk(QNG(0.02), Parabola(), START, 2)[0].theta)


# --- state ---


def same_state(one, other):
    assert np.array_equal(one.theta, other.theta)
    assert one.energy == other.energy
    assert one.memory.keys() == other.memory.keys()
    assert all(np.array_equal(one.memory[name], other.memory[name]) for name in one.memory)
    assert one.step == other.step
    return True


@KINDS
@ALL_RULES
@pytest.mark.parametrize("stop", [1, 3, 7])
def test_going_on_from_a_state_gives_the_same_digits(optimizer, kind, stop):
    """Nothing is kept but the state."""
    whole, infos = walk(optimizer, kind(), START, 9, seed=4)
    state, first = walk(optimizer, kind(), START, stop, seed=4)
    evaluator = kind()
    for _ in range(9 - stop):
        state, info = optimizer.step(evaluator, state)
        first.append(info)
    assert same_state(state, whole)
    assert state.evaluations == whole.evaluations
    assert [info.energy for info in first] == [info.energy for info in infos]
    assert state.cost == whole.cost


def takes_all(optimizer, evaluator, state):
    """Whether its rule accepts every step whose energy is finite."""
    return isinstance(optimizer.choices(evaluator, state.evaluation).rule, FixedRate | AlignedMomentum)


@KINDS
@RULES
def test_the_cost_is_what_was_asked_and_no_more_than_announced(optimizer, kind):
    """Also of rejected trials."""
    evaluator = kind(100 * HESSIAN, METRIC)
    state = optimizer.init(evaluator, 0.05 * START, seed=1)
    refused = 0
    for _ in range(9):
        before, count = state.cost, len(evaluator.asked)
        announced = optimizer.preview(evaluator, state.theta, state.evaluation.spread)
        assert len(evaluator.asked) == count
        state, info = optimizer.step(evaluator, state)
        asked = [FULL if question[1] else ALONE for question in evaluator.asked[count:]]
        assert info.step_cost == sum(asked, Cost())
        assert state.cost == info.cost == before + info.step_cost
        assert min((announced - info.step_cost).as_numbers()) >= 0
        assert info.accepted or not evaluator.is_exact or ALONE in asked
        refused += not info.accepted
        if info.accepted and not isinstance(optimizer.choices(evaluator).rule, Adaptive):  # whose search may be spared
            assert announced == info.step_cost
    assert (refused == 0) == takes_all(optimizer, evaluator, state)
    assert state.cost == sum((FULL if question[1] else ALONE for question in evaluator.asked), Cost())


@RULES
def test_every_submission_has_its_own_seed(optimizer):
    """Also the ones after a rejected trial, and the whole run again with the same."""
    seeds = []
    for seed in (5, 5, 6):
        evaluator = Sampled(100 * HESSIAN, METRIC)
        state, infos = walk(optimizer, evaluator, 0.05 * START, 8, seed=seed)
        assert all(info.accepted for info in infos) == takes_all(optimizer, evaluator, state)
        seeds.append([question[3] for question in evaluator.asked])
    assert seeds[0] == seeds[1]
    assert len(set(seeds[0])) == len(seeds[0]) == 9
    assert not set(seeds[0]) & set(seeds[2])


@RULES
def test_every_question_hands_on_the_spread_of_where_it_starts(optimizer):
    evaluator = Sampled(30 * HESSIAN, METRIC)
    state = optimizer.init(evaluator, START, seed=5)
    assert evaluator.asked[0][4] is None
    for k in range(1, 7):
        spread = state.evaluation.spread
        state, _ = optimizer.step(evaluator, state)
        assert evaluator.asked[k][4] is spread is not None


@pytest.mark.parametrize("asked", ["diag", None])
def test_the_evaluator_chooses_the_metric_where_the_user_does_not(asked):
    class Choosy(Parabola):
        def default_metric(self):
            return BlockDiagonal()

    evaluator = Choosy()
    walk(QNG(0.1, approx=asked), evaluator, START, 2)
    assert {question[2] for question in evaluator.asked} == {asked or "block-diag"}


def test_without_a_seed_none_is_given():
    evaluator = Parabola()
    walk(QNG(0.1), evaluator, START, 2)
    assert {question[3] for question in evaluator.asked} == {None}


@ALL_RULES
def test_what_breaks_an_evaluation_comes_through(optimizer):
    """And the state before it is as good as ever."""
    evaluator = Parabola()
    state = optimizer.init(evaluator, START)
    evaluator.spoil = {2: KeyboardInterrupt()}
    with pytest.raises(KeyboardInterrupt):
        optimizer.step(evaluator, state)
    again, _ = optimizer.step(evaluator, state)
    assert same_state(again, walk(optimizer, Parabola(), START, 1)[0])


def test_state_and_settings_cannot_be_changed():
    optimizer = QNG(0.1)
    state = optimizer.init(Parabola(), START)
    for thing, name in ((optimizer, "damping"), (state, "step"), (state.evaluation, "theta")):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(thing, name, 1)


@ALL_RULES
def test_a_step_writes_nothing_to_the_state_before(optimizer):
    evaluator = Parabola()
    state, _ = walk(optimizer, evaluator, START, 2)
    theta, memory = state.theta.copy(), {name: array.copy() for name, array in state.memory.items()}
    first, _ = optimizer.step(evaluator, state)
    again, _ = optimizer.step(evaluator, state)
    assert np.array_equal(state.theta, theta)
    assert all(np.array_equal(state.memory[name], memory[name]) for name in memory)
    assert state.step == 2
    assert same_state(first, again)


# --- settings ---


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"learning_rate": 0}, "learning_rate"),
        ({"learning_rate": -0.1}, "learning_rate"),
        ({"learning_rate": np.nan}, "learning_rate"),
        ({"damping": -1e-3}, "damping"),
        ({"damping": np.inf}, "damping"),
        ({"damping": "strong"}, "damping"),
        ({"learning_rate": 0.1, "step": CurvatureRate()}, "step"),
        ({"approx": "blocks"}, "approx"),
        ({"step": 0.1}, "step"),
        ({"step": "armijo"}, "step"),
        ({"refresh": 3}, "refresh"),
        ({"approx": "matrix-free", "refresh": Refresh(2)}, "refresh"),
        *(
            ({"approx": "matrix-free", "damping": damping}, "damping")
            for damping in (0, PseudoInverse(), Relative(0.1), SpectralCutoff(0.1), UnitDiagonal())
        ),
        ({"approx": "matrix-free", "damping": SignalToNoise(on=Relative(0.1))}, "damping"),
    ],
)
def test_bad_settings_are_named(settings, word):
    with pytest.raises(qngd.SettingError, match=word):
        QNG(**settings)


@pytest.mark.parametrize("time_step", [0, -0.1, np.nan, np.inf])
def test_a_bad_time_step_is_named(time_step):
    with pytest.raises(qngd.SettingError, match="time_step"):
        QNG.imaginary_time(time_step)


@pytest.mark.parametrize("damping", [1e-3, Absolute(0.1), SignalToNoise(), None])
def test_what_a_matrix_free_solve_takes(damping):
    assert QNG(approx="matrix-free", damping=damping, refresh=Refresh()).approx == "matrix-free"
