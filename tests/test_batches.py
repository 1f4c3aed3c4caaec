"""Mini-batches: every sample has its turn, a step is judged on one batch, runs are reproduced and resumed."""

import functools

import numpy as np
import pytest

import qngd
from qngd.errors import SettingError
from qngd.evaluators.objectives.batches import Batches
from qngd.evaluators.objectives.given import read_objective

RNG = np.random.default_rng(8)
X = RNG.uniform(-1, 1, (7, 2))
Y = np.cos(X[:, 0] + 0.5) * 0.8
THETA = np.array([0.1, -0.2, 0.3])


def circuit():
    made = qngd.CircuitBuilder(2)
    x0, x1, a, b, c = made.parameters("x0", "x1", "a", "b", "c")
    return made.ry(x0, 0).rx(x1, 1).ry(a, 0).cx(0, 1).rz(b * x1, 1).ry(c, 1)


def loss(outputs, targets):
    return np.mean((outputs - targets) ** 2)


def objective(rows=None, **more):
    data, targets = (X, Y) if rows is None else (X[rows], Y[rows])
    return qngd.Objective(circuit(), {"IZ": 1.0}, loss, data=data, targets=targets, inputs=["x0", "x1"], **more)


def test_every_epoch_takes_each_sample_once_in_an_order_of_the_seed():
    batches = Batches(7, 3)
    epochs = [[batches.rows(3 * epoch + i, 5).tolist() for i in range(3)] for epoch in range(4)]
    for epoch in epochs:
        assert sorted(np.concatenate(epoch)) == list(range(7))
        assert [len(batch) for batch in epoch] == [2, 2, 3]
    assert epochs[0] != epochs[1]
    assert [batches.rows(i, 6).tolist() for i in range(3)] != epochs[0]
    assert [batches.rows(i, 5).tolist() for i in range(3)] == epochs[0]


def test_both_ends_of_a_step_are_of_the_same_batch():
    seed, evaluator = 5, read_objective(objective(batch_size=3), None, THETA).evaluator()
    order = Batches(7, 3)
    optimizer = qngd.QNG()
    state = optimizer.init(evaluator, THETA, seed)
    for number in range(4):
        here = objective(order.rows(state.evaluation.batch, seed))
        assert state.evaluation.batch == number
        assert state.energy == pytest.approx(float(qngd.expectation(here, theta=state.theta)), abs=1e-12)
        slope = qngd.gradient(here, theta=state.theta).value
        np.testing.assert_allclose(state.evaluation.gradient.value, slope, atol=1e-12)
        new, info = optimizer.step(evaluator, state)
        assert info.accepted
        after = float(qngd.expectation(here, theta=new.theta))
        assert info.decrease == pytest.approx(state.energy - after, abs=1e-12)
        state = new


def test_a_rejected_trial_is_tried_again_on_its_batch():
    evaluator = read_objective(objective(batch_size=3), None, THETA).evaluator()
    optimizer = qngd.QNG(step=qngd.step.Armijo(initial=30.0, max_rate=30.0))
    state = optimizer.init(evaluator, THETA, 1)
    for _ in range(3):
        new, info = optimizer.step(evaluator, state)
        if not info.accepted:
            break
        state = new
    assert not info.accepted
    assert new.evaluation.batch == state.evaluation.batch


def test_the_rate_is_drawn_to_half_of_what_minimizes_the_batches():
    result = qngd.minimize(objective(batch_size=3), theta0=THETA, seed=2, max_steps=10, tol=0)
    for info, following in zip(result.infos, result.infos[1:], strict=False):
        slope, excess = info.predicted_decrease, info.predicted_decrease - info.decrease
        lowest = slope / (2 * excess) if excess > 0 else 0.0
        assert following.rate == pytest.approx(info.rate * np.clip(0.5 * lowest, 0.2, 5.0) ** 0.25)


@pytest.mark.parametrize("shots", [20, 300])
@pytest.mark.parametrize("seed", [1, 2])
def test_errors_of_shots_do_not_take_the_rate_to_nothing(shots, seed):
    """They make up all that the losses of a batch say of a short step."""
    start = THETA + np.array([1.5, 0.0, 0.0])  # with a loss above 0.5
    far, batches = objective(), objective(batch_size=3)
    result = qngd.minimize(batches, theta0=start, shots=shots, seed=seed, max_steps=40, tol=0)
    rates = [info.rate for info in result.infos]
    assert min(rates) > 0.1 * rates[0]
    end = float(qngd.expectation(far, theta=result.theta))
    assert end - qngd.minimize(far, theta0=start).energy < 0.1


@pytest.mark.parametrize("optimizer", ["qng", "adam", "spsa"])
def test_runs_are_reproduced_and_resumed(optimizer, tmp_path):
    made = objective(batch_size=3)

    def run(steps, run_dir=None, **more):
        return qngd.minimize(
            made, theta0=THETA, optimizer=optimizer, seed=4, max_steps=steps, tol=0, run_dir=run_dir, **more
        )

    whole = run(8)
    np.testing.assert_array_equal(run(8).history, whole.history)
    first = run(3)
    on = qngd.minimize(made, theta0=THETA, optimizer=optimizer, max_steps=5, tol=0, state=first.state)
    np.testing.assert_array_equal(on.history, whole.history[3:])
    run(3, tmp_path)
    kept = run(8, tmp_path)
    np.testing.assert_array_equal(kept.history, whole.history)
    np.testing.assert_array_equal(kept.theta, whole.theta)
    other = qngd.minimize(made, theta0=THETA, optimizer=optimizer, seed=5, max_steps=8, tol=0)
    assert not np.array_equal(other.history, whole.history)


def test_runs_from_shots_are_resumed(tmp_path):
    def run(steps, run_dir=None):
        return qngd.minimize(
            objective(batch_size=3), theta0=THETA, seed=4, shots=100, max_steps=steps, tol=0, run_dir=run_dir
        )

    whole = run(4)
    run(2, tmp_path)
    np.testing.assert_array_equal(run(4, tmp_path).history, whole.history)


def test_another_batch_size_data_or_loss_is_another_run(tmp_path):
    def run(made):
        return qngd.minimize(made, theta0=THETA, seed=1, max_steps=1, run_dir=tmp_path)

    run(objective(batch_size=3))
    for other in (
        objective(batch_size=4),
        objective(np.arange(6), batch_size=3),
        objective(batch_size=3, metric="gauss-newton"),
        objective(batch_size=3, bounds=(-1, 1)),
    ):
        with pytest.raises(SettingError, match="holds another run"):
            run(other)
    assert run(objective(batch_size=3)).steps == 1


FACTOR = 2.0


def scaled_by(factor):
    return lambda outputs, targets: factor * np.mean((outputs - targets) ** 2)


def _squares(outputs):
    return FACTOR * np.sum(outputs**2)


def of_global(outputs, targets):
    return _squares(outputs - targets)


def counting(outputs, targets, log=[]):  # noqa: B006
    log.append(1)
    return np.mean(outputs) * 3.0


@pytest.mark.parametrize(
    ("first", "other"),
    [
        (scaled_by(1.0), scaled_by(2.0)),
        (scaled_by(np.array([1.0, 2.0])[:1].sum()), scaled_by(np.array(3.0))),
        (functools.partial(lambda k, o, t: k * np.sum(o), 1.0), functools.partial(lambda k, o, t: k * np.sum(o), 2.0)),
        (lambda o, t: sum(each**2 for each in o), lambda o, t: sum(each**4 for each in o)),
        (lambda o, t, k=1.0: k * np.sum(o), lambda o, t, k=2.0: k * np.sum(o)),
    ],
)
def test_a_loss_with_other_numbers_is_another_run(first, other, tmp_path):
    def run(loss):
        made = qngd.Objective(circuit(), {"IZ": 1.0}, loss, data=X, targets=Y, inputs=["x0", "x1"])
        return qngd.minimize(made, theta0=THETA, max_steps=1, run_dir=tmp_path, tol=0)

    run(first)
    with pytest.raises(SettingError, match="holds another run"):
        run(other)
    assert run(first).steps == 1


def test_a_loss_with_another_global_number_is_another_run_and_one_that_notes_its_calls_is_not(tmp_path, monkeypatch):
    def run(loss, folder):
        made = qngd.Objective(circuit(), {"IZ": 1.0}, loss, data=X, targets=Y, inputs=["x0", "x1"])
        return qngd.minimize(made, theta0=THETA, max_steps=1, run_dir=tmp_path / folder, tol=0)

    run(of_global, "a")
    assert run(of_global, "a").steps == 1
    monkeypatch.setitem(globals(), "FACTOR", 3.0)
    with pytest.raises(SettingError, match="holds another run"):
        run(of_global, "a")
    run(counting, "b")
    assert run(counting, "b").steps == 1


def test_mini_batches_reach_the_fit_of_all_samples():
    best = qngd.minimize(objective(), theta0=THETA)
    result = qngd.minimize(objective(batch_size=4), theta0=THETA, seed=2, max_steps=120)
    reached = float(qngd.expectation(objective(), theta=result.theta))
    start = float(qngd.expectation(objective(), theta=THETA))
    assert reached - best.energy < 0.02 * (start - best.energy)
    assert "mini-batches of 4 of 7 samples" in result.note
    assert float(qngd.expectation(objective(batch_size=4), theta=result.theta)) == pytest.approx(reached)


def test_the_end_is_measured_with_all_samples():
    result = qngd.minimize(objective(batch_size=2), theta0=THETA, seed=1, shots=300, max_steps=2, final_shots=3000)
    assert abs(result.energy - float(qngd.expectation(objective(), theta=result.theta))) < 4 * result.stderr
    assert "by final_shots, is that of all samples" in result.note


@pytest.mark.parametrize("shots", [None, 300])
def test_starts_are_compared_by_all_samples(shots):
    """Not by the last batch of each, whose loss may be low by luck."""
    lucky = 0
    for seed in range(3):
        result = qngd.minimize(
            objective(batch_size=2), theta0=THETA, seed=seed, shots=shots, restarts=4, max_steps=8, tol=0
        )
        ends = [float(qngd.expectation(objective(), theta=one.theta)) for one in result.restarts]
        reached = float(qngd.expectation(objective(), theta=result.theta))
        assert "by the loss of all samples" in result.note
        if shots is None:
            assert reached == min(ends)
        else:
            batches = [one.history[-4:].mean() for one in result.restarts]  # 7 samples make 4
            assert result.energy == result.restarts[int(np.argmin(batches))].energy
        lucky += int(np.argmin([one.energy for one in result.restarts])) != int(np.argmin(ends))
    assert lucky > 0  # so that the choice by the last batches would be another


def test_a_target_is_reached_by_all_batches_together():
    best, start = qngd.minimize(objective(), theta0=THETA).energy, float(qngd.expectation(objective(), theta=THETA))
    target = best + 0.3 * (start - best)
    result = qngd.minimize(objective(batch_size=2), theta0=THETA, seed=1, target=target, tol=0)
    assert result.status == "target"
    assert np.mean(result.history[-4:]) <= target  # 7 samples make 4 batches
    assert np.min(result.history[:-4]) <= target  # some batch was low before


def test_what_needs_one_function_is_refused():
    with pytest.raises(SettingError, match="leave batch_size out"):
        qngd.minimize(objective(batch_size=3), theta0=THETA, optimizer="l-bfgs-b")
    assert qngd.minimize(objective(batch_size=7), theta0=THETA, optimizer="l-bfgs-b").status == "converged"
