"""Runs that know what they may spend: the part that is used, and what is made of it."""

from dataclasses import replace

import numpy as np
import pytest

import qngd
from qngd.estimates.evaluation import Cost
from qngd.qng import QNG
from qngd.run.budget import Budget
from qngd.solve.state import State
from qngd.step import AlignedMomentum
from tests.parabola import Parabola

PRICES = qngd.Prices(per_shot=0.5, seconds_per_shot=0.25)
ENERGY = {"ZZ": 1.0, "XI": 0.5, "IY": -0.25}


class Noted(QNG):
    """Writes down the part that each step is told, and what was spent before it."""

    def step(self, evaluator, state: State):
        SEEN.append((state.used, state.cost))
        return super().step(evaluator, state)


SEEN: list[tuple[float | None, Cost]] = []


def problem():
    circuit = qngd.CircuitBuilder(2)
    a, b = circuit.parameters("a", "b")
    return circuit.ry(a, 0).cx(0, 1).rz(2 * b, 1).rx(b, 0), ENERGY, [0.3, -0.7]


def seen(**settings):
    """The result of a run, and what its steps were told."""
    SEEN.clear()
    result = qngd.minimize(*problem(), optimizer=Noted(), shots=40, seed=3, **settings)
    return result, list(SEEN)


def test_the_part_is_the_largest_of_all_units_beside_what_others_took_and_the_end_takes():
    def of(shots, seconds, money):
        return Cost(jobs=2, circuits=3, shots=shots, seconds=seconds, money=money)

    budget = Budget(shots=1000, seconds=200)
    assert budget.used(Cost(), of(100, 30, 5), Cost()) == pytest.approx(0.15)
    assert budget.used(of(500, 0, 0), of(100, 30, 5), Cost()) == pytest.approx(0.2)
    assert budget.used(of(500, 0, 0), of(100, 30, 5), of(400, 50, 0)) == 1.0
    assert budget.used(of(5000, 0, 0), of(100, 30, 5), Cost()) == 1.0
    assert budget.used(Cost(), Cost(), Cost()) is None
    assert Budget(money=20).used(Cost(), of(100, 30, 5), Cost()) == pytest.approx(0.25)
    assert Budget(wall=20).used(Cost(), of(100, 30, 5), Cost()) is None


@pytest.mark.parametrize(
    ("unit", "limit"), [("shots", 9000), ("circuits", 220), ("jobs", 15), ("seconds", 2300), ("money", 4400.0)]
)
def test_steps_are_told_what_part_of_the_budget_is_used(unit, limit):
    result, steps = seen(budget=Budget(**{unit: limit}, prices=PRICES))
    assert result.status == "budget"
    assert len(steps) > 5
    assert [part for part, _ in steps] == pytest.approx([getattr(cost, unit) / limit for _, cost in steps])


def test_room_for_the_end_is_no_part_of_it():
    _, steps = seen(budget=Budget(shots=9000), final_shots=500)
    (first, cost), last = steps[0], steps[-1][0]
    end = cost.shots / first
    assert 9000 - end == pytest.approx(500 * (9000 - end) // 500)  # of so many circuits
    assert 9000 - end > 500
    assert 0.8 < last <= 1


def test_starts_begin_anew():
    _, steps = seen(budget=Budget(shots=40_000), restarts=3)
    parts = np.array([part for part, _ in steps])
    assert np.sum(np.diff(parts) < 0) == 2
    assert parts[0] < 0.2
    assert all(part < 0.2 for part in parts[1:][np.diff(parts) < 0])


def test_a_limit_on_steps_counts_beside_one_on_what_is_spent():
    _, steps = seen(budget=Budget(shots=10**6), max_steps=5)
    assert [part for part, _ in steps[1:]] == pytest.approx([0.2, 0.4, 0.6, 0.8])
    _, steps = seen(budget=Budget(shots=10**6), max_steps=0)
    assert not steps


@pytest.mark.parametrize(
    "settings", [{}, {"budget": Budget(wall=1000)}, {"budget": Budget(shots=9000), "target": -9.0}]
)
def test_without_a_known_end_nothing_is_planned(settings):
    _, steps = seen(max_steps=4, **settings)
    assert [part for part, _ in steps] == [None] * 4


def test_what_is_used_goes_on_where_a_run_goes_on(tmp_path):
    budget = Budget(shots=9000)
    whole, steps = seen(budget=budget)
    first, _ = seen(budget=budget, run_dir=tmp_path, callback=lambda info: info.step == 4)
    resumed, others = seen(budget=budget, run_dir=tmp_path)
    assert first.status == "stopped"
    assert [part for part, _ in others] == [part for part, _ in steps][4:]
    np.testing.assert_array_equal(resumed.theta, whole.theta)


def test_a_run_that_sees_noise_alone_ends_when_it_has_spent_as_much_again():
    limit = 10**6
    result, steps = seen(budget=Budget(shots=limit))
    assert result.status == "noise"
    end = result.state.ends_at * limit
    assert end <= result.cost.shots < end + (result.cost.shots / len(steps) * 2)
    early = [(part, cost) for part, cost in steps if cost.shots < end / 2]
    late = [(part, cost) for part, cost in steps if cost.shots >= end / 2]
    assert [part for part, _ in early] == pytest.approx([cost.shots / limit for _, cost in early])
    assert [part for part, _ in late] == pytest.approx([cost.shots / end for _, cost in late])
    assert len(late) > 3


def test_what_the_budget_does_not_allow_is_said_once():
    noted = [
        seen(budget=Budget(shots=shots))[0].note.count("does not allow to look") for shots in range(5600, 6800, 80)
    ]
    assert set(noted) == {0, 1}


def test_an_end_that_was_planned_by_another_budget_is_forgotten():
    first, _ = seen(budget=Budget(shots=10**6))
    assert first.state.ends_at is not None
    result, steps = seen(budget=Budget(shots=2 * first.cost.shots), state=first.state, tol=0, max_steps=3)
    assert result.state.ends_at is None
    assert steps[0][0] == pytest.approx(0.5)


def test_a_budget_without_tol_is_spent():
    result, _ = seen(budget=Budget(shots=60_000), tol=0)
    assert result.status == "budget"


def test_such_an_end_is_kept_and_goes_on(tmp_path):
    budget = Budget(shots=10**6)
    whole, steps = seen(budget=budget)
    seen(budget=budget, run_dir=tmp_path, callback=lambda info: info.step == len(steps) - 2)
    resumed, others = seen(budget=budget, run_dir=tmp_path)
    assert [part for part, _ in others] == [part for part, _ in steps][-2:]
    assert (resumed.status, resumed.cost.shots) == (whole.status, whole.cost.shots)
    np.testing.assert_array_equal(resumed.theta, whole.theta)


def test_the_rate_falls_as_the_budget_is_used_by_hand():
    """In one parameter the cosine is ±1."""
    rule = AlignedMomentum(0.1, momentum=0.0, pace=0.3, max_length=np.inf)
    optimizer, evaluator = QNG(step=rule, damping=0), Parabola(np.eye(1), np.eye(1))
    state, theta, rate = optimizer.init(evaluator, [1.0]), 1.0, 0.1
    for k in range(10):
        state, info = optimizer.step(evaluator, replace(state, used=k / 10))
        assert info.rate == pytest.approx(rate)
        step, theta = -rate * theta, theta - rate * theta
        assert float(info.theta[0]) == pytest.approx(theta)
        pace, sign, used = 0.3 + 1 / (1 + k / 5), np.sign(-theta * step), k / 10
        rate *= np.exp(pace * (sign + max(0.25 - 0.75 * used, 0)))
        if used > 1 / 3:
            rate *= np.exp(-7.5 * (used - 1 / 3) ** 2) / np.exp(-7.5 * max(used - 0.1 - 1 / 3, 0) ** 2)
