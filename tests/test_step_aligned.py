"""Momentum with a rate that follows how steps and slopes agree, against recursions by hand and what theory says."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

import qngd
from qngd.damping import Absolute
from qngd.evaluators.choice import evaluator_for
from qngd.evaluators.setup import Setup
from qngd.interop.given import read_given
from qngd.qng import QNG
from qngd.step import Adaptive, AlignedMomentum, FixedRate
from tests.parabola import HESSIAN, METRIC, START, Parabola, at, tried, walk

ONE = np.eye(1)  # E = ½θ² with g = 1: d = θ


def test_one_parameter_by_hand():
    """The cosine is ±1 there, so that the rate changes by e^±μ."""
    rule = AlignedMomentum(0.1, momentum=0.5, pace=0.3, max_length=np.inf)
    _, infos = walk(QNG(step=rule, damping=0), Parabola(ONE, ONE), [1.0], 12)
    theta, rate, mean = 1.0, 0.1, 0.0
    for k, info in enumerate(infos):
        mean = 0.5 * mean + 0.5 * theta
        delta = -rate * mean / (1 - 0.5 ** (k + 1))
        theta += delta
        assert info.rate == pytest.approx(rate)
        assert float(info.theta[0]) == pytest.approx(theta)
        rate *= np.exp((0.3 + 1 / (1 + k / 5)) * np.sign(-theta * delta))
    assert min(info.rate for info in infos) == 0.1 < max(info.rate for info in infos)


def test_three_parameters_in_a_damped_metric_by_hand():
    rule, damped = AlignedMomentum(0.05, momentum=0.8), METRIC + 0.02 * np.eye(3)
    _, infos = walk(QNG(step=rule, damping=0.02), Parabola(), START, 15)
    theta, rate, mean = START.copy(), 0.05, np.zeros(3)
    for k, info in enumerate(infos):
        mean = 0.8 * mean + 0.2 * HESSIAN @ theta
        vector = np.linalg.solve(damped, mean / (1 - 0.8 ** (k + 1)))
        rate = min(rate, 0.5 / np.sqrt(vector @ METRIC @ vector))
        delta = -rate * vector
        assert info.predicted_decrease == pytest.approx(-delta @ HESSIAN @ theta)
        theta = theta + delta
        assert info.theta == pytest.approx(theta)
        assert info.length == pytest.approx(np.sqrt(delta @ METRIC @ delta))
        slope = HESSIAN @ theta
        cosine = -slope @ delta / np.sqrt(delta @ damped @ delta * (slope @ np.linalg.solve(damped, slope)))
        rate *= np.exp((0.2 + 1 / (1 + k / 5)) * cosine)


def test_the_significance_is_that_of_the_mean():
    rule = AlignedMomentum(momentum=0.5)
    memory, here = rule.start(), at(gradient=(0.3, -0.2), covariance=np.diag([0.04, 0.09]))
    there = at(gradient=(0.1, 0.4), covariance=np.diag([0.01, 0.16]))
    first = tried(rule, here, there, memory, Absolute(0.1))
    squares = 0.3**2 / 0.04 + 0.2**2 / 0.09
    assert first.proposal.significance == pytest.approx((squares - 2) / 2)
    memory = rule.learn(first, True, memory)
    second = tried(rule, there, here, memory, Absolute(0.1))
    mean = (0.3 / 3 + 2 * 0.1 / 3, -0.2 / 3 + 2 * 0.4 / 3)
    spread = (0.04 / 9 + 4 * 0.01 / 9, 0.09 / 9 + 4 * 0.16 / 9)
    squares = sum(m**2 / s for m, s in zip(mean, spread, strict=True))
    assert second.proposal.significance == pytest.approx((squares - 2) / 2)
    assert tried(rule, at(), at(), None, Absolute(0.1)).proposal.significance == np.inf


@pytest.mark.parametrize("initial", [0.003, 0.5])
def test_the_rate_grows_while_slopes_agree_and_falls_where_noise_rules(initial):
    """In the geometric mean over runs; the energies of a fixed rate stay where its noise holds them."""
    grown, fallen, excess = zip(*(noisy_run(AlignedMomentum(initial), seed) for seed in range(8)), strict=True)
    assert np.exp(np.mean(np.log(grown))) > 0.03
    assert np.exp(np.mean(np.log(fallen))) < 0.2 * np.exp(np.mean(np.log(grown)))
    assert np.mean(excess) < 0.3 * excess_of_a_fixed_rate()


@cache
def excess_of_a_fixed_rate():
    return np.mean([noisy_run(AlignedMomentum(0.1), seed, fixed=True)[-1] for seed in range(8)])


def noisy_run(rule, seed, fixed=False):
    """The largest rate, the mean one of the last of 600 steps, and the mean excess energy there; with errors of 0.5 in
    every slope; `fixed` keeps the rate."""
    rng, memory, theta = np.random.default_rng(seed), {**rule.start()}, START.copy()
    rates, excess = [], []

    def evaluated():
        slope = HESSIAN @ theta + 0.5 * rng.normal(size=3)
        return at(0.5 * theta @ HESSIAN @ theta, slope, METRIC, stderr=0.1, covariance=0.25 * np.eye(3))

    here = evaluated()
    for _ in range(600):
        trial = tried(rule, here, here, memory, Absolute(0.05))
        theta = theta + trial.proposal.delta
        there = evaluated()
        memory = {**rule.learn(replace(trial, there=there), True, memory)}
        if fixed:
            memory["rate"] = np.array(rule.initial)
        here = there
        rates.append(float(memory["rate"]))
        excess.append(0.5 * theta @ HESSIAN @ theta)
    return max(rates), np.mean(rates[-100:]), np.mean(excess[-200:])


def ring(share):
    """Four spins; one parameter for all rotations of a layer, or one for each."""
    circuit = qngd.CircuitBuilder(4)
    for kind in ("rzz", "rx"):
        names = [kind] if share else [f"{kind}{q}" for q in range(4)]
        found = circuit.parameters(*names) if len(names) > 1 else [circuit.parameter(kind)] * 4
        for q, parameter in enumerate(found):
            circuit = circuit.rzz(parameter, q, (q + 1) % 4) if kind == "rzz" else circuit.rx(parameter, q)
    return circuit


@pytest.mark.parametrize("share", [True, False])
def test_it_is_the_default_with_shots(share):
    circuit = ring(share)
    theta = np.linspace(0.2, 0.5, 2 if share else 8)
    given = read_given(circuit, {"ZZII": 1.0, "IIIX": 0.5}, theta)
    for shots, wanted in ((50, AlignedMomentum(momentum=0.5 if share else 0.0)), (None, Adaptive())):
        evaluator = evaluator_for(given.circuit, given.observable, Setup("statevector", shots))
        state = QNG().init(evaluator, theta, seed=1)
        chosen = QNG().choices(evaluator, state.evaluation, state.memory)
        assert chosen.rule == wanted.at_scale(evaluator.energy_scale)
        assert QNG(0.1).choices(evaluator, state.evaluation).rule == FixedRate(0.1)
        seen = QNG().step(evaluator, state)[1].spectrum
        if shots and share:
            assert seen.damping == pytest.approx(0.3 * seen.eigenvalues.mean())
