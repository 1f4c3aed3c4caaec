"""QNG as explicit state, on energies whose answers are known by hand."""

import dataclasses
import itertools

import numpy as np
import pytest

import qngd
from qngd.estimate import Estimate, MetricTensor
from qngd.damping import Absolute, SignalToNoise, SpectralCutoff, natural_direction
from qngd.errors import SettingError
from qngd.evaluate import Cost, Evaluation, Spread
from qngd.optimizer import QNG
from qngd.step import CurvatureRate, FixedRate
from tests.strategies import Sketch, random_observable, random_program

HESSIAN = np.array([[2.0, 0.5, 0.0], [0.5, 1.0, -0.3], [0.0, -0.3, 0.7]])
METRIC = np.array([[0.25, 0.05, 0.0], [0.05, 0.2, 0.02], [0.0, 0.02, 0.1]])
START = np.array([1.0, -2.0, 0.5])


ALONE, FULL = Cost(jobs=1, circuits=1), Cost(jobs=1, circuits=3, shots=50)  # an energy, and all there is


class Parabola:
    """E(θ) = ½ θᵀHθ with a constant metric. Writes down every question; answers may be spoiled."""

    is_exact = True

    def __init__(self, hessian=HESSIAN, metric=METRIC):
        self.circuit = Sketch(1, len(hessian)).circuit()
        self.hessian, self.matrix = hessian, metric
        self.asked = []
        self.spoil = {}  # number of the call -> what is wrong with its answer

    def default_approx(self):
        return "full"

    def preview(self, theta, *, metric, spread):
        return FULL

    def evaluate(self, theta, *, gradient, metric, seed, spread):
        self.asked.append((theta.copy(), gradient, metric, seed, spread))
        fault = self.spoil.get(len(self.asked))
        if isinstance(fault, BaseException):
            raise fault
        energy, slope, matrix = 0.5 * theta @ self.hessian @ theta, self.hessian @ theta, self.matrix
        if fault is not None:
            energy, slope, matrix = (
                part * np.nan if name in fault else part
                for name, part in (("energy", energy), ("gradient", slope), ("metric", matrix))
            )
        return Evaluation(
            theta=theta,
            energy=Estimate.exact(np.float64(energy)),
            gradient=Estimate.exact(slope) if gradient else None,
            metric=MetricTensor.exact(matrix, metric) if metric else None,
            cost=FULL if gradient or metric else ALONE,
        )


class Sampled(Parabola):
    """The same with Gaussian noise that the seed determines, and a spread to hand on."""

    is_exact = False
    covariance = 1e-4 * np.array([[2.0, 0.5, 0.0], [0.5, 1.0, 0.0], [0.0, 0.0, 0.3]])

    def evaluate(self, theta, *, gradient, metric, seed, spread):
        exact = super().evaluate(theta, gradient=gradient, metric=metric, seed=seed, spread=spread)
        rng = np.random.default_rng(seed)
        energy = Estimate(exact.energy.value + 1e-3 * rng.normal(), np.float64(1e-3), 50)
        slope = exact.gradient
        if slope is not None:
            noisy = rng.multivariate_normal(slope.value, self.covariance)
            slope = Estimate(noisy, np.sqrt(np.diag(self.covariance)), 50, self.covariance)
        seen = Spread(*rng.random((3, 3)))
        return dataclasses.replace(exact, energy=energy, gradient=slope, spread=seen)


RULES = pytest.mark.parametrize("optimizer", [QNG(0.1), QNG()], ids=["fixed", "adaptive"])
KINDS = pytest.mark.parametrize("kind", [Parabola, Sampled])


def walk(optimizer, evaluator, theta, steps, **how):
    state = optimizer.init(evaluator, theta, **how)
    infos = []
    for _ in range(steps):
        state, info = optimizer.step(evaluator, state)
        infos.append(info)
    return state, infos


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
    assert state.rate == rate
    assert np.allclose([info.energy for info in infos], energies[1:], rtol=1e-10)
    assert np.allclose([info.decrease for info in infos], -np.diff(energies), rtol=1e-9)
    assert [info.step for info in infos] == [1, 2, 3, 4]
    for info, theta, change in zip(infos, path, np.diff(path, axis=0), strict=False):
        assert info.accepted
        assert info.rate == rate
        assert info.gradient_norm == pytest.approx(np.linalg.norm(HESSIAN @ theta))
        assert info.length == pytest.approx(np.sqrt(change @ METRIC @ change))
        assert info.predicted_decrease == pytest.approx(-change @ HESSIAN @ theta)
        assert info.spectrum.damping == damping


def test_the_default_damping_is_absolute():
    state, _ = walk(QNG(0.1), Parabola(), START, 1)
    expected = START - 0.1 * np.linalg.solve(METRIC + 1e-3 * np.eye(3), HESSIAN @ START)
    assert np.allclose(state.theta, expected, rtol=1e-12)


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


def test_adaptive_steps_never_rise_on_exact_energies():
    """Any convex energy, also where the metric is singular and knows nothing of the Hessian."""
    for seed, rank in itertools.product(range(5), (3, 2)):
        rng = np.random.default_rng(seed)
        hessian, metric = (f @ f.T for f in (rng.normal(size=(3, 3)), rng.normal(size=(3, rank))))
        _, infos = walk(QNG(), Parabola(hessian, 0.2 * metric), START, 80)
        energies = np.array([0.5 * START @ hessian @ START, *(info.energy for info in infos)])
        assert np.all(np.diff(energies) <= 0)
        assert energies[-1] < 0.25 * energies[0]


def test_the_adaptive_rate_finds_newtons_step():
    """Where the metric is the Hessian up to a factor, one step teaches the rate, and the next arrives."""
    evaluator = Parabola(HESSIAN, 0.1 * HESSIAN)
    state, infos = walk(QNG(damping=0), evaluator, 0.05 * START, 6)
    assert infos[-1].energy < 1e-15 * infos[0].energy + 1e-25
    assert state.theta == pytest.approx(np.zeros(3), abs=1e-8)


def test_a_rejected_trial_leaves_the_state_but_shrinks_the_rate():
    evaluator = Parabola(100 * HESSIAN, METRIC)
    optimizer = QNG()
    start = 0.05 * START
    before = optimizer.init(evaluator, start)
    after, info = optimizer.step(evaluator, before)
    assert not info.accepted
    assert np.array_equal(after.theta, start)
    assert after.energy == before.energy == info.energy
    assert after.rate < before.rate
    assert after.step == 1
    assert after.evaluation.gradient is before.evaluation.gradient
    assert info.decrease < 0 < info.predicted_decrease
    # a trial asks for the energy alone
    assert [question[1:3] for question in evaluator.asked] == [(True, "full"), (False, None)]


def test_a_trial_that_is_not_finite_is_rejected():
    evaluator = Parabola()
    evaluator.spoil = {2: "energy"}
    optimizer = QNG()
    before = optimizer.init(evaluator, START)
    after, info = optimizer.step(evaluator, before)
    assert not info.accepted
    assert after.evaluation.is_finite
    assert after.rate == pytest.approx(0.25 * info.rate)


# --- state ---


@pytest.mark.parametrize("optimizer", [QNG(0.1), QNG()], ids=["fixed", "adaptive"])
@pytest.mark.parametrize("stop", [1, 3, 7])
def test_stopping_and_going_on_gives_the_same_digits(optimizer, stop):
    whole, infos = walk(optimizer, Parabola(), START, 9)
    first = Parabola()
    state = optimizer.init(first, START)
    energies = []
    for k in range(9):
        if k == stop:
            first = Parabola()  # nothing is kept but the state
        state, info = optimizer.step(first, state, last=k == stop - 1)
        energies.append(info.energy)
    assert np.array_equal(state.theta, whole.theta)
    assert energies == [info.energy for info in infos]
    assert state.rate == whole.rate


def test_a_last_step_asks_for_no_derivatives():
    evaluator = Parabola()
    optimizer = QNG(0.1)
    state, _ = optimizer.step(evaluator, optimizer.init(evaluator, START), last=True)
    assert [question[1:3] for question in evaluator.asked] == [(True, "full"), (False, None)]
    assert state.evaluation.gradient is None
    assert state.evaluation.metric is None


@pytest.mark.parametrize("optimizer", [QNG(0.1), QNG()], ids=["fixed", "adaptive"])
def test_the_cost_is_what_was_asked(optimizer):
    evaluator = Parabola()
    state = optimizer.init(evaluator, START)
    for k in range(6):
        before = state.cost
        state, info = optimizer.step(evaluator, state, last=k == 5)
        assert state.cost == info.cost == before + info.step_cost
    count = len(evaluator.asked)
    assert state.cost == Cost(count, 3 * count, 50 * count)


@pytest.mark.parametrize("optimizer", [QNG(0.1), QNG()], ids=["fixed", "adaptive"])
def test_every_submission_has_its_own_seed(optimizer):
    """Also the ones after a rejected trial, and the whole run again with the same."""

    class Sampled(Parabola):
        is_exact = False

    seeds = []
    for seed in (5, 5, 6):
        evaluator = Sampled(30 * HESSIAN, METRIC)
        walk(optimizer, evaluator, START, 8, seed=seed)
        seeds.append([question[3] for question in evaluator.asked])
    assert seeds[0] == seeds[1]
    assert len(set(seeds[0])) == len(seeds[0])
    assert not set(seeds[0]) & set(seeds[2])


def test_without_a_seed_none_is_given():
    evaluator = Parabola()
    walk(QNG(0.1), evaluator, START, 2)
    assert {question[3] for question in evaluator.asked} == {None}


def test_state_and_settings_cannot_be_changed():
    optimizer = QNG(0.1)
    state = optimizer.init(Parabola(), START)
    for thing, name in ((optimizer, "damping"), (state, "step"), (state.evaluation, "theta")):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(thing, name, 1)


def test_a_step_writes_nothing_to_the_state_before():
    evaluator, optimizer = Parabola(), QNG(0.1)
    state = optimizer.init(evaluator, START)
    first, _ = optimizer.step(evaluator, state)
    again, _ = optimizer.step(evaluator, state)
    assert np.array_equal(state.theta, START)
    assert state.step == 0
    assert np.array_equal(first.theta, again.theta)


# --- settings ---


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"learning_rate": 0}, "learning_rate"),
        ({"learning_rate": -0.1}, "learning_rate"),
        ({"learning_rate": np.nan}, "learning_rate"),
        ({"damping": -1e-3}, "damping"),
        ({"damping": np.inf}, "damping"),
        ({"approx": "blocks"}, "approx"),
    ],
)
def test_bad_settings_are_named(settings, word):
    with pytest.raises(qngd.SettingError, match=word):
        QNG(**settings)
