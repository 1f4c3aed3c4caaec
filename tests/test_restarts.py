"""Several starts: the best is kept, all are in the result, and together they spend what one may."""

from dataclasses import replace

import numpy as np
import pytest

import qngd
from qngd.run.restarts import lowest_of
from tests import known_runs
from tests.known_runs import CIRCUIT, TERMS, THETA


def trap():
    """A function with several minima: ⟨Z⟩ of products of turns, E = cos(3a)·… of one angle used thrice."""
    circuit = qngd.CircuitBuilder(2)
    a, b = circuit.parameters("a", "b")
    return circuit.ry(a, 0).ry(3 * b, 0).ryy(2 * a + b, 0, 1).ry(a, 1)


ENERGY = {"ZI": 0.7, "IZ": -0.4, "XZ": 0.6, "XX": -0.9}


def energies(result):
    return [one.energy for one in result.restarts]


def test_the_best_of_all_starts_is_the_result():
    result = qngd.minimize(trap(), ENERGY, [0.1, 0.2], restarts=14, seed=2)
    assert len(result.restarts) == 14
    assert result.energy == min(energies(result)) < max(energies(result)) - 0.1
    best = result.restarts[int(np.argmin(energies(result)))]
    assert np.array_equal(result.theta, best.theta)
    assert np.array_equal(result.history, best.history)
    assert result.cost.circuits == sum(one.cost.circuits for one in result.restarts)
    assert "best of 14 starts" in result.note
    on_a_grid = min(
        qngd.expectation(trap(), ENERGY, [a, b]).value
        for a in np.linspace(-np.pi, np.pi, 25)
        for b in np.linspace(-np.pi, np.pi, 25)
    )
    assert result.energy < on_a_grid + 1e-9
    gone_on = qngd.minimize(trap(), ENERGY, [0.1, 0.2], state=result.state, max_steps=1)
    assert gone_on.energy <= result.energy + 1e-12


def test_random_starts_lie_within_the_bounds_and_not_at_them():
    circuit = qngd.CircuitBuilder(1)
    a, b, c, d, e = circuit.parameters(*"abcde")
    circuit = circuit.ry(a, 0).rx(b, 0).ry(c, 0).rx(d, 0).ry(e, 0)
    bounds = {"a": (0.0, 0.5), "b": (4.0, np.inf), "c": (-np.inf, -5.0), "d": (7.0, 7.5)}

    def starts(**more):
        result = qngd.minimize(circuit, {"Z": 1.0}, [0.2, 5, -6, 7.1, 3], restarts=40, seed=3, max_steps=0, **more)
        return np.array([one.theta for one in result.restarts[1:]])

    found = starts(bounds=bounds)
    for column, low, high in zip(
        found.T, (0, 4, -5 - 2 * np.pi, 7, -np.pi), (0.5, 4 + 2 * np.pi, -5, 7.5, np.pi), strict=True
    ):
        assert low < column.min() < low + 0.2 * (high - low)
        assert high - 0.2 * (high - low) < column.max() < high
        assert len(set(column)) == len(column)
    np.testing.assert_array_equal(starts()[:, 4], found[:, 4])


def test_the_first_start_is_the_given_one_and_the_others_follow_the_seed():
    single = known_runs.run("sampled, adaptive", max_steps=3)
    result, again, other = (
        known_runs.run("sampled, adaptive", max_steps=3, restarts=3, seed=seed) for seed in (5, 5, 6)
    )
    assert np.array_equal(result.restarts[0].history, single.history)
    for one, same in zip(result.restarts, again.restarts, strict=True):
        assert np.array_equal(one.history, same.history)
    assert len({*np.round([one.history[0] for one in (*result.restarts, *other.restarts)], 9)}) == 6
    without = [qngd.minimize(CIRCUIT, TERMS, THETA, restarts=3, max_steps=1) for _ in range(2)]
    assert energies(without[0]) == energies(without[1])


def test_restarts_keep_the_structure_of_a_qnode():
    import pennylane as qml
    from pennylane import numpy as pnp

    @qml.qnode(qml.device("default.qubit", wires=1))
    def node(angles, scale):
        qml.RX(angles[0] * scale, 0)
        qml.RY(angles[1], 0)
        return qml.expval(qml.Z(0))

    start = (pnp.array([0.1, 0.2], requires_grad=True), pnp.array(2.0, requires_grad=False))
    result = qngd.minimize(node, start, restarts=2, max_steps=3)
    for one in result.restarts:
        assert one.theta[0].requires_grad
        assert one.theta[1] == 2.0
        assert node(*one.theta) == pytest.approx(one.energy)


@pytest.mark.parametrize("shots", [150, 400, 1000])
def test_a_budget_is_for_all_starts_together(shots):
    settings = {"max_steps": 4, "restarts": 3, "shots": 5, "seed": 1}
    whole = qngd.minimize(trap(), ENERGY, [0.1, 0.2], **settings)
    result = qngd.minimize(trap(), ENERGY, [0.1, 0.2], budget=qngd.Budget(shots=shots), **settings)
    assert result.cost.shots <= shots < whole.cost.shots
    assert result.cost.shots == sum(one.cost.shots for one in result.restarts)
    assert result.status == "budget"
    assert "more" in result.note or len(result.restarts) == 3
    assert [len(one.history) for one in result.restarts[:-1]] == [5] * (len(result.restarts) - 1)
    last = result.restarts[-1]
    if last.status == "budget" and len(result.restarts) > 1:  # the result's state is another one's
        assert result.message.startswith(f"start-{len(result.restarts) - 1}: the next step would exceed the budget (")
        assert ("without restarts, goes on from the best" in result.message) == (result.energy != last.energy)


PRICES = qngd.Prices(per_circuit=0.3, per_shot=0.001, seconds_per_shot=0.001)
LIMITS = {"jobs": 40, "circuits": 800, "shots": 16_000, "seconds": 16.0, "money": 500.0}


def shared(unit, **how):
    """Four starts with shots by a budget in this unit."""
    settings = {
        "restarts": 4,
        "seed": 1,
        "tol": 0,
        "shots": 20,
        "budget": qngd.Budget(**{unit: LIMITS[unit]}, prices=PRICES),
    }
    return qngd.minimize(trap(), ENERGY, [0.1, 0.2], **(settings | how))


@pytest.mark.parametrize("unit", LIMITS)
@pytest.mark.parametrize("shots", [20, "auto"])
def test_starts_have_equal_parts_of_what_is_left(unit, shots):
    result, left = shared(unit, shots=shots), LIMITS[unit]
    assert len(result.restarts) in (3, 4)
    first = qngd.minimize(
        trap(), ENERGY, [0.1, 0.2], shots=shots, seed=1, max_steps=0, budget=qngd.Budget(prices=PRICES)
    )
    for number, one in enumerate(result.restarts):
        spent = getattr(one.cost, unit)
        parts = [left / count for count in range(1, 5 - number)]
        assert spent <= parts[0] * (1 + 1e-9)
        if one.status == "budget":  # of a part the next step did not fit
            step = 1.4 * spent / (one.steps + 1) + getattr(first.cost, unit)
            assert any(part - step <= spent <= part * (1 + 1e-9) for part in parts)
        left -= spent
    assert left >= -1e-9 * LIMITS[unit]
    assert sum(getattr(one.cost, unit) for one in result.restarts) == pytest.approx(getattr(result.cost, unit))


def test_what_a_start_that_has_converged_leaves_goes_to_the_others():
    """Exact starts on a device that counts: none of them takes its part."""
    budget = qngd.Budget(circuits=100_000)
    result = qngd.minimize(trap(), ENERGY, [0.1, 0.2], shots=2000, seed=2, restarts=3, budget=budget)
    assert [one.status for one in result.restarts] == ["noise"] * 3
    few = sum(one.cost.circuits for one in result.restarts[:2]) + 30 * result.restarts[0].cost.circuits // 22
    again = qngd.minimize(trap(), ENERGY, [0.1, 0.2], shots=2000, seed=2, restarts=2, budget=qngd.Budget(circuits=few))
    assert again.restarts[1].cost.circuits > few // 2 or again.restarts[1].status == "noise"


def one_turn():
    circuit = qngd.CircuitBuilder(1)
    return circuit.ry(circuit.parameter("a"), 0)


def test_a_budget_and_not_200_steps_ends_starts():
    given = (one_turn(), {"Z": 1.0}, [0.1])
    settings = {"shots": 2, "optimizer": qngd.QNG(0.001), "tol": 0, "seed": 1}
    step = qngd.minimize(*given, **settings, max_steps=1).cost.shots / 2
    result = qngd.minimize(*given, **settings, restarts=2, budget=qngd.Budget(shots=int(430 * step)))
    assert all(one.steps > 205 for one in result.restarts)
    states = qngd.excited_states(
        given[0], 2, *given[1:], **settings, restarts=1, budget=qngd.Budget(shots=int(430 * step))
    )
    assert max(state.steps for state in states) > 205


def test_a_part_that_buys_no_few_steps_is_not_made():
    result = shared("circuits", budget=qngd.Budget(circuits=250))  # of 20 a step
    assert result.restarts[0].steps == 9  # all that it buys, or noise
    assert len(result.restarts) < 4
    assert "more were not tried" in result.note


@pytest.mark.parametrize("unit", ["seconds", "money"])
def test_starts_that_share_a_budget_resume_in_the_middle(tmp_path, unit):
    expected, calls = shared(unit, shots="auto"), []

    def interrupt(info):
        calls.append(info)
        if len(calls) == 1 + expected.restarts[0].steps + expected.restarts[1].steps // 2:
            raise KeyboardInterrupt

    broken = shared(unit, shots="auto", run_dir=tmp_path, callback=interrupt)
    assert (broken.status, len(broken.restarts)) == ("interrupted", 2)
    steps = []
    result = shared(unit, shots="auto", run_dir=tmp_path, callback=lambda info: steps.append(info.step) and None)
    assert len(steps) == sum(one.steps for one in expected.restarts) - len(calls)
    assert [one.steps for one in result.restarts] == [one.steps for one in expected.restarts]
    for one, other in zip(result.restarts, expected.restarts, strict=True):
        assert np.array_equal(one.history, other.history)
    assert result.cost == expected.cost


def test_the_choice_among_starts_leaves_the_end_unbiased():
    """All starts end in the same minimum, where ⟨Y⟩ = 0 is all noise: the lowest of four ends would be too low by a
    whole standard error."""
    circuit = one_turn()
    found = [
        qngd.minimize(
            circuit, {"Z": 1.0, "Y": 1.0}, [2.9], shots=100, seed=seed, restarts=4, max_steps=2, tol=0, final_shots=400
        )
        for seed in range(24)
    ]
    off = [(each.energy - qngd.expectation(circuit, {"Z": 1.0}, each.theta).value) / each.stderr for each in found]
    assert abs(np.mean(off)) < 0.5
    lowest = [min(one.energy for one in each.restarts) for each in found]
    assert np.mean([low - each.energy for low, each in zip(lowest, found, strict=True)]) < -0.5 * found[0].stderr


def test_a_lucky_end_is_not_the_best_unless_it_leaves_no_doubt():
    run = qngd.minimize(trap(), ENERGY, [0.1, 0.2], shots=50, seed=1, max_steps=5, tol=0)

    def with_energies(*energies, stderr=0.1, end=None):
        infos = [replace(info, energy=e, stderr=0.1) for info, e in zip(run.infos, energies, strict=True)]
        return replace(run, infos=infos, energy=energies[-1] if end is None else end, stderr=stderr)

    low, lucky = with_energies(-1.0, -1.1, -0.9, -1.0, -0.9), with_energies(-0.8, -0.7, -0.8, -0.8, -1.0)
    assert lowest_of([lucky, low], 5) is low
    assert lowest_of([low, lucky], 5) is low
    assert lowest_of([lucky, low], 1) is lucky  # where the earlier ones are of another kind
    measured = with_energies(-0.8, -0.7, -0.8, -0.8, -1.0, stderr=0.01, end=-1.3)
    assert lowest_of([low, measured], 5) is measured


def test_a_target_and_a_callback_end_all():
    low = qngd.minimize(trap(), ENERGY, [0.1, 0.2], restarts=5, seed=2).energy
    result = qngd.minimize(trap(), ENERGY, [0.1, 0.2], restarts=5, seed=2, target=low + 0.01)
    assert result.status == "target"
    assert len(result.restarts) < 5
    assert result.energy == energies(result)[-1]
    seen = []
    result = qngd.minimize(
        trap(), ENERGY, [0.1, 0.2], restarts=5, max_steps=3, callback=lambda i: seen.append(i) or len(seen) == 5
    )
    assert (result.status, len(seen), len(result.restarts)) == ("stopped", 5, 2)


def test_an_interrupted_run_resumes_at_the_start_where_it_was(tmp_path):
    given = (trap(), ENERGY, [0.1, 0.2])
    settings = {"restarts": 3, "max_steps": 4, "shots": 30, "seed": 3, "tol": 0}
    expected = qngd.minimize(*given, **settings)
    calls = []

    def interrupt(info):
        calls.append(info)
        if len(calls) == 6:
            raise KeyboardInterrupt

    broken = qngd.minimize(*given, **settings, run_dir=tmp_path, callback=interrupt)
    assert broken.status == "interrupted"
    assert [one.steps for one in broken.restarts] == [4, 2]
    steps = []
    result = qngd.minimize(*given, **settings, run_dir=tmp_path, callback=lambda info: steps.append(info.step) and None)
    assert steps == [3, 4, 1, 2, 3, 4]  # nothing is paid for twice
    assert sorted(path.name for path in tmp_path.iterdir()) == ["start-0", "start-1", "start-2"]
    for one, other in zip(result.restarts, expected.restarts, strict=True):
        assert np.array_equal(one.history, other.history)
    assert result.cost == expected.cost


def test_restarts_with_a_schedule_of_a_cvar(tmp_path):
    target = qngd.CVaR({"ZI": 0.7, "IZ": -0.4, "ZZ": 0.3}, [0.3, 0.8])
    settings = {"restarts": 2, "seed": 1, "max_steps": 6, "tol": 0}
    result = qngd.minimize(trap(), target, [0.1, 0.2], **settings, run_dir=tmp_path)
    again = qngd.minimize(trap(), target, [0.1, 0.2], **settings, run_dir=tmp_path)
    assert energies(result) == energies(again)
    assert result.energy == pytest.approx(float(qngd.expectation(trap(), target, result.theta)), abs=1e-9)
    assert result.energy == min(energies(result))


def test_starts_that_a_budget_ends_in_other_stages_are_not_compared():
    """The mean of the lowest tenth is lower than that of all, wherever it is taken."""
    target = qngd.CVaR({"ZI": 0.7, "IZ": -0.4, "ZZ": 0.3}, [0.1, 1.0])
    settings = {"seed": 1, "max_steps": 6, "tol": 0, "shots": 100, "restarts": 3}
    spent = qngd.minimize(trap(), target, [0.1, 0.2], **{**settings, "restarts": 2}).cost.shots
    result = qngd.minimize(trap(), target, [0.1, 0.2], **settings, budget=qngd.Budget(shots=spent + 3000))
    first, second, cut = result.restarts
    assert (first.state.stage, second.state.stage, cut.state.stage) == (1, 1, 0)
    assert cut.energy < min(first.energy, second.energy)
    assert result.energy in (first.energy, second.energy)
    assert result.mean == pytest.approx(result.energy)


def test_an_exception_carries_what_was_reached():
    def fail(info, calls=[]):  # noqa: B006
        calls.append(info)
        if len(calls) == 4:
            raise ValueError("enough")

    with pytest.raises(ValueError, match="enough") as caught:
        qngd.minimize(trap(), ENERGY, [0.1, 0.2], restarts=3, max_steps=2, callback=fail)
    assert [one.steps for one in caught.value.result.restarts] == [2, 2]


def test_what_restarts_refuse(tmp_path):
    for restarts in (0, 1.5, "two"):
        with pytest.raises(qngd.SettingError, match="restarts"):
            qngd.minimize(trap(), ENERGY, [0.1, 0.2], restarts=restarts)
    single = qngd.minimize(trap(), ENERGY, [0.1, 0.2], max_steps=1, run_dir=tmp_path)
    assert single.restarts == ()
    with pytest.raises(qngd.SettingError, match="holds a single run"):
        qngd.minimize(trap(), ENERGY, [0.1, 0.2], max_steps=1, run_dir=tmp_path, restarts=2)
    with pytest.raises(qngd.SettingError, match="restarts"):
        qngd.minimize(trap(), ENERGY, state=single.state, restarts=2)
    with pytest.raises(qngd.SettingError, match="run_dir must be"):
        qngd.minimize(trap(), ENERGY, [0.1, 0.2], run_dir=3, restarts=2)
    with pytest.raises(qngd.SettingError, match="budget"):
        qngd.minimize(trap(), ENERGY, [0.1, 0.2], restarts=2, budget=qngd.Budget(circuits=0))


def test_frozen_parameters_and_objectives_restart_too():
    result = qngd.minimize(trap(), ENERGY, [0.1, 0.2], restarts=3, seed=1, frozen=["b"], max_steps=3)
    assert all(one.theta[1] == 0.2 for one in result.restarts)
    assert len({one.theta[0] for one in result.restarts}) == 3
    loss = qngd.Objective(trap(), [{"ZI": 1.0}, {"XX": 1.0}], lambda outputs: (outputs**2).sum())
    result = qngd.minimize(loss, theta0=[0.1, 0.2], restarts=3, seed=1, max_steps=3)
    assert len(set(energies(result))) == 3
    assert result.energy == min(energies(result))
    with pytest.raises(qngd.SettingError, match="Objective has no excited states"):
        qngd.excited_states(loss, 2, theta0=[0.1, 0.2])
