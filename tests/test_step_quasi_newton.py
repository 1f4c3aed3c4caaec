"""Curvature pairs: against the textbook's matrices, and what is kept and forgotten."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qngd.damping import PseudoInverse
from qngd.estimates.estimate import Estimate
from qngd.qng import QNG
from qngd.solve.direction import natural_direction
from qngd.step import CurvatureRate, QuasiNewton
from qngd.step.quasi_newton import inverse_hessian
from tests.parabola import Parabola, at, tried, walk
from tests.strategies import examples


def textbook(steps, changes, first):
    """Nocedal and Wright's (6.17), pair by pair, from the matrix `first`."""
    inverse, one = first, np.eye(steps.shape[1])
    for s, y in zip(steps, changes, strict=True):
        left = one - np.outer(s, y) / (s @ y)
        inverse = left @ inverse @ left.T + np.outer(s, s) / (s @ y)
    return inverse


@examples(20)
@given(st.integers(0, 10**6), st.integers(1, 5))
def test_two_loops_are_the_textbooks_updates(seed, count):
    rng = np.random.default_rng(seed)
    hessian, start = (f @ f.T + 0.1 * np.eye(4) for f in rng.normal(size=(2, 4, 4)))
    steps = rng.normal(size=(count, 4))
    changes = steps @ hessian
    scale = steps[-1] @ changes[-1] / (changes[-1] @ start @ changes[-1])
    expected = textbook(steps, changes, scale * start)
    vector = rng.normal(size=4)
    found = inverse_hessian(steps, changes, start.__matmul__, vector)
    assert np.allclose(found, expected @ vector, rtol=1e-6, atol=1e-8 * np.abs(expected).max())
    assert np.allclose(inverse_hessian(steps, changes, start.__matmul__, changes[-1]), steps[-1], rtol=1e-7, atol=1e-8)


def stiff(count=8, seed=3):
    """Curvatures from 1 to 1000 in directions that the metric does not know."""
    turn = np.linalg.qr(np.random.default_rng(seed).normal(size=(count, count)))[0]
    hessian = turn @ np.diag(np.geomspace(1, 1000, count)) @ turn.T
    return Parabola(hessian, np.diag(np.linspace(0.1, 0.3, count)))


def steps_to(rule, evaluator, goal):
    start = np.full(len(evaluator.hessian), 0.05)
    _, infos = walk(QNG(step=rule, damping=1e-3), evaluator, start, 200)
    return next((info.step for info in infos if info.energy < goal), 200)


def test_a_tail_takes_few_steps():
    """Where the metric says nothing of the curvatures the rate alone zigzags."""
    assert steps_to(QuasiNewton(), stiff(), 1e-12) < 0.5 * steps_to(CurvatureRate(), stiff(), 1e-12)


def test_a_right_model_is_kept_and_a_step_of_it_ends_at_the_minimum():
    """In one dimension the second step knows the curvature."""
    state, infos = walk(QNG(step=QuasiNewton(initial=0.2)), Parabola(3 * np.eye(1), np.eye(1)), [0.1], 2)
    assert abs(state.theta[0]) < 1e-14
    assert infos[1].predicted_decrease == pytest.approx(infos[1].decrease)
    assert not state.memory["failed"]
    assert state.memory["held"] == 1
    assert len(state.memory["steps"]) == 2


@pytest.mark.parametrize(
    ("curvature", "length"),
    [(1.0, 0.3), (-1.0, 0.5), (0.1, 0.5), (30.0, 0.03)],
    ids=["to the lowest point", "as far as allowed", "no farther", "no less than the rate at hand"],
)
def test_of_a_tail_an_energy_on_the_way_may_lengthen_a_step(curvature, length):
    """E = −0.3·s + ½·curvature·s² along the step: of a mean the rate alone says how far it goes."""
    here = at(0.0, [0.3, 0.0], np.eye(2))
    asked = []

    def probe(shifts):
        asked.extend(shifts)
        return [Estimate.exact(-0.3 * s + 0.5 * curvature * s**2) for s in np.linalg.norm(shifts, axis=1)]

    rule = QuasiNewton(initial=0.1)
    direction = natural_direction(here.metric, here.gradient, PseudoInverse())
    assert rule.propose(direction, here, rule.start(), probe).length == pytest.approx(0.03)
    assert not asked
    tail = replace(here, mean=Estimate.exact(1.0))
    step = rule.propose(direction, tail, rule.start(), probe)
    assert step.length == pytest.approx(length)
    assert np.allclose(step.delta, [-length, 0.0])
    assert len(asked) == rule.num_probes


HERE = at(0.0, [1.0, 0.0], np.eye(2))


def pairs_after(rule, there, accepted=True, memory=None):
    trial = tried(rule, HERE, there, memory)
    return rule.learn(trial, accepted, memory or rule.start())


def test_what_is_kept():
    rule = QuasiNewton(initial=0.1)
    memory = pairs_after(rule, at(-0.05, [0.4, 0.1]))
    assert np.allclose(memory["steps"], [[-0.1, 0.0]])
    assert np.allclose(memory["changes"], [[-0.6, 0.1]])
    assert memory["paths"] == pytest.approx([0.1])
    assert rule.is_settled(memory)
    assert not rule.has_failed(memory)


GOOD, CONCAVE, REFUSED = at(-0.05, [0.4, 0.1]), at(-0.05, [1.5, 0.0]), at(0.3, None, None)


@pytest.mark.parametrize(
    ("there", "accepted"),
    [(REFUSED, False), (CONCAVE, True), (at(-0.05, [1.0, 3.0]), True)],
    ids=["refused", "concave", "flat"],
)
def test_what_makes_it_forget(there, accepted):
    rule = QuasiNewton(initial=0.1)
    before = {**pairs_after(rule, GOOD), "held": np.array(1)}
    memory = pairs_after(rule, there, accepted, before)
    assert not len(memory["steps"])
    assert rule.has_failed(memory)
    assert not rule.is_settled(memory)
    for count in range(1, 6):  # five pairs are needed from now on
        memory = pairs_after(rule, at(-0.001, [0.999, 0.0]), True, {**memory, "rate": np.array(1e-3)})
        assert rule.is_settled(memory) == (count == 5)


def test_a_failure_is_forgiven_after_steps_that_met_their_model():
    """A step that is refused is tried again with its pairs; a negative curvature leaves none, but the next one counts;
    and a second failure needs as many good steps again."""
    rule = QuasiNewton(initial=0.1, reach=10)
    memory = pairs_after(rule, GOOD)
    for count in range(2):
        assert memory["held"] == count
        promised = tried(rule, HERE, GOOD, memory).proposal.predicted
        memory = pairs_after(rule, at(-promised, [0.7, 0.1]), True, memory)
    again = pairs_after(rule, REFUSED, False, memory)
    assert len(again["steps"]) == len(memory["steps"])
    assert float(again["bound"]) < tried(rule, HERE, REFUSED, memory).proposal.length
    bent = pairs_after(rule, CONCAVE, True, memory)
    assert not len(bent["steps"])
    for forgiven in (again, pairs_after(rule, GOOD, True, bent)):
        assert rule.is_settled(forgiven)
        assert not rule.has_failed(forgiven)
        assert rule.has_failed(pairs_after(rule, CONCAVE, True, forgiven))


@pytest.mark.parametrize(
    ("there", "fails"),
    [(at(-0.02, [0.4, 0.1]), True), (at(-0.03, [0.4, 0.1]), False)],
    ids=["falls short", "does as promised"],
)
def test_a_first_step_far_from_a_minimum_is_not_forgiven(there, fails):
    """A quarter of what the slope of 1 promises over 0.1 rad is 0.025."""
    rule = QuasiNewton(initial=0.1)
    assert rule.has_failed(pairs_after(rule, there)) is fails
    later = {**rule.start(), "recent": np.zeros((1, 2))}
    assert not rule.has_failed(pairs_after(rule, there, True, later))


def test_steps_by_the_rate_lengthen_where_the_slope_keeps_its_word():
    """At a slope of 1: 0.2 rad, then 0.4, then no more than 0.5; where the energy falls by less than half of what the
    slope promises they stay as they are, and begin anew where it falls by less than a quarter."""
    rule, length = QuasiNewton(initial=10.0), 0.2
    memory = {**rule.start(), "failed": np.array(True)}
    for share, after in ((0.9, 0.4), (0.4, 0.4), (0.6, 0.5), (0.3, 0.5), (0.2, 0.2)):
        there = at(-share * length, [0.9, 0.0])
        assert tried(rule, HERE, there, memory).proposal.length == pytest.approx(length)
        memory = {**pairs_after(rule, there, True, memory), "failed": np.array(True), "rate": np.array(10.0)}
        memory |= {"steps": np.zeros((0, 0)), "changes": np.zeros((0, 0)), "paths": np.zeros(0)}
        length = after
    assert tried(rule, HERE, HERE, memory).proposal.length == pytest.approx(length)
    short = QuasiNewton(initial=10.0, max_length=0.1)
    assert tried(short, HERE, HERE).proposal.length == pytest.approx(0.1)


def test_a_bound_of_quasi_newton_steps_does_not_hold_steps_by_the_rate():
    rule = QuasiNewton(initial=10.0)
    memory = {**rule.start(), "bound": np.array(1e-3)}
    assert tried(rule, HERE, HERE, memory).proposal.length == pytest.approx(0.2)


def test_what_was_seen_far_away_is_forgotten_without_a_failure():
    rule = QuasiNewton(initial=0.1, reach=0.25, needed=2)
    memory = rule.start()
    for k in range(5):
        memory = pairs_after(rule, at(-0.05, [0.4, 0.0]), True, {**memory, "failed": np.array(True)})
        assert len(memory["steps"]) <= 2, k
        assert max(memory["paths"], default=0.0) <= 0.25
    short = {**memory, "rate": np.array(0.01)}
    assert len(pairs_after(QuasiNewton(pairs=1), at(-0.005, [0.9, 0.0]), True, short)["steps"]) == 1


def test_no_step_is_longer_than_its_bound():
    rule = QuasiNewton(max_length=0.05)
    _, infos = walk(QNG(step=rule, damping=1e-3), stiff(), np.full(8, 0.5), 60)
    assert max(info.length for info in infos) <= 0.05 * (1 + 1e-9)
    assert infos[-1].energy < infos[0].energy


def test_a_refused_step_of_the_rate_leaves_the_pairs_alone():
    rule = QuasiNewton(initial=0.1)
    before = {**pairs_after(rule, at(-0.05, [0.4, 0.1])), "failed": np.array(True)}
    assert not rule.is_settled(before)
    memory = pairs_after(rule, REFUSED, False, before)
    assert np.array_equal(memory["steps"], before["steps"])
    assert float(memory["rate"]) < float(before["rate"])


def test_a_short_step_that_is_refused_is_tried_again_with_all_its_pairs():
    rule = QuasiNewton(initial=0.1, short=0.3)
    before = pairs_after(rule, at(-0.05, [0.4, 0.1]))
    refused = tried(rule, HERE, REFUSED, before)
    memory = rule.learn(refused, False, before)
    assert np.array_equal(memory["steps"], before["steps"])
    assert rule.is_settled(memory)
    assert not rule.has_failed(memory)
    again = tried(rule, HERE, at(-0.01, [0.5, 0.0]), memory).proposal
    factor = again.length / refused.proposal.length
    assert 0.1 <= factor <= 0.5
    assert np.allclose(again.delta, factor * refused.proposal.delta)
    assert again.predicted == pytest.approx(factor * (2 - factor) * refused.proposal.predicted)


def test_a_bound_grows_again_where_the_model_holds():
    rule = QuasiNewton(initial=0.1)
    memory = {**pairs_after(rule, at(-0.05, [0.4, 0.1])), "bound": np.array(0.01)}
    short = tried(rule, HERE, at(0.0, None, None), memory).proposal
    assert short.length == pytest.approx(0.01)
    good = at(-short.predicted, [0.99, 0.0])
    assert float(pairs_after(rule, good, True, memory)["bound"]) == pytest.approx(0.02)
    bad = at(-0.1 * short.predicted, [0.99, 0.0])
    assert float(pairs_after(rule, bad, True, memory)["bound"]) == pytest.approx(0.005)
