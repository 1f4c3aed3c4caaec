"""The end of a run, measured again: unbiased, paid for within the budget, once."""

import sqlite3
from contextlib import closing

import numpy as np
import pytest

import qngd
from qngd.backends.statevector import StatevectorSampler
from qngd.errors import BackendError
from qngd.estimates.estimate import format_with_error
from qngd.report.summary import summary
from tests.run_files import table
from tests.strategies import ansatz

TERMS = {"ZZI": 1.0, "IXY": -0.5, "XIX": 0.7, "IZI": 0.3}
CIRCUIT = ansatz(3, 1)
THETA = np.random.default_rng(1).normal(size=CIRCUIT.num_parameters)
DIAGONAL = {"ZZI": 1.0, "IZZ": 0.5, "ZII": 0.25}
FINAL = 700  # shots a circuit


class Lab(StatevectorSampler):
    """The embedded sampler, which notes the shots that it is asked for, and fails at submission number `trouble`."""

    def __init__(self, trouble=None, error=None):
        self.asked, self.trouble, self.error = [], trouble, error

    def submit(self, templates, requests, seed):
        self.asked.append([request.shots for request in requests])
        if self.error is not None and len(self.asked) == self.trouble:
            raise self.error
        return super().submit(templates, requests, seed)

    @property
    def shots(self):
        return sum(map(sum, self.asked))


def minimize(backend=None, observable=TERMS, **how):
    settings = {"optimizer": qngd.QNG(0.1), "shots": 20, "seed": 1, "max_steps": 4, "tol": 0, **how}
    if settings.get("final_shots", FINAL) is not None:
        settings.setdefault("final_shots", FINAL)
    return qngd.minimize(CIRCUIT, observable, THETA, backend=Lab() if backend is None else backend, **settings)


def test_the_end_is_measured_once_more_and_the_run_is_as_without():
    device = Lab()
    result, without = minimize(device), minimize(final_shots=None)
    assert device.asked[-1] == [FINAL] * len(device.asked[-1])
    assert device.asked[-2][0] == 20
    assert np.array_equal(result.history, without.history)
    assert np.array_equal(result.theta, without.theta)
    assert np.array_equal(result.history_stderr, without.history_stderr)
    assert result.energy != without.energy
    assert result.stderr < without.stderr / 3
    assert result.cost.shots == device.shots == without.cost.shots + sum(device.asked[-1])
    assert result.state.cost == result.cost
    assert result.mean == result.energy


def test_the_mean_beside_a_cvar_has_the_error_of_the_same_measurement():
    result = minimize(observable=qngd.CVaR(DIAGONAL, 0.2))
    seen = result.bit_strings
    spread = seen.probabilities @ (seen.energies - result.mean) ** 2
    assert seen.shots == FINAL
    assert result.mean == pytest.approx(seen.probabilities @ seen.energies)
    assert result.mean_stderr == pytest.approx(np.sqrt(spread / (FINAL - 1)))
    rows = summary(result, qngd.Problem(CIRCUIT, DIAGONAL, THETA))
    assert rows["mean energy"] == format_with_error(result.mean, result.mean_stderr)
    plain = minimize()
    assert (plain.mean, plain.mean_stderr) == (plain.energy, plain.stderr)


def test_the_energy_is_unbiased_and_its_error_right():
    """Where the lowest energy of each run is far too low: 60 runs, all from a few steps of few shots."""
    ends, lowest = [], []
    for seed in range(60):
        result = minimize(seed=seed, shots=8, max_steps=3, final_shots=200)
        exact = float(qngd.expectation(CIRCUIT, TERMS, result.theta))
        ends.append((result.energy - exact) / result.stderr)
        lowest.append(result.history.min() - exact)
    assert abs(np.mean(ends)) < 4 / np.sqrt(60)
    assert 0.7 < np.std(ends) < 1.3
    assert np.mean(lowest) < -0.1


def test_the_same_seed_gives_the_same_end_and_another_noise_than_the_last_step():
    first, second, other = minimize(), minimize(), minimize(seed=2)
    assert first.energy == second.energy != other.energy
    same_shots, plain = minimize(final_shots=20), minimize(final_shots=None)
    assert same_shots.energy != plain.energy


@pytest.mark.parametrize("unit", ["jobs", "circuits", "shots"])
def test_a_budget_keeps_room_for_it(unit):
    whole, start = minimize(), minimize(max_steps=0)
    for limit in np.linspace(getattr(start.cost, unit), getattr(whole.cost, unit), 6).astype(int):
        device = Lab()
        result = minimize(device, budget=qngd.Budget(**{unit: int(limit)}), max_steps=20)
        assert device.asked[-1][0] == FINAL
        assert result.status == "budget"
        assert "kept for the end" in result.message
        spent = {"jobs": len(device.asked), "circuits": sum(map(len, device.asked)), "shots": device.shots}
        assert getattr(result.cost, unit) == spent[unit] <= limit
    told = f"budget: the evaluation at theta0 alone .*kept for the end by final_shots={FINAL}; grant at least both"
    with pytest.raises(qngd.SettingError, match=told):
        minimize(budget=qngd.Budget(**{unit: getattr(start.cost, unit) - 1}))


@pytest.mark.parametrize(
    ("how", "is_told"),
    [
        ({"shots": "auto"}, True),
        ({"shots": "auto", "final_shots": 50}, False),
        ({"shots": qngd.AutoShots(total=2000)}, False),
        ({"shots": 20}, False),
    ],
)
def test_where_steps_take_few_shots_the_result_says_what_measures_its_end(how, is_told):
    assert ("final_shots measures" in minimize(**{"final_shots": None, **how}).note) == is_told


def test_it_is_paid_for_once(tmp_path):
    device = Lab()
    result = minimize(device, run_dir=tmp_path)
    again = minimize(device, run_dir=tmp_path)
    assert (again.energy, again.stderr, again.cost) == (result.energy, result.stderr, result.cost)
    assert len(device.asked) == result.cost.jobs
    # going on, every end is paid for and counted
    longer = minimize(device, run_dir=tmp_path, max_steps=6)
    assert longer.steps == 6
    assert longer.cost.shots == device.shots
    assert longer.energy != result.energy
    assert minimize(device, run_dir=tmp_path, max_steps=6).cost.shots == device.shots
    limit = device.shots + 10  # which knows of both ends
    assert minimize(device, run_dir=tmp_path, max_steps=9, budget=qngd.Budget(shots=limit)).cost.shots <= limit
    fewer = minimize(device, run_dir=tmp_path, max_steps=6, final_shots=30)
    assert fewer.stderr > result.stderr
    assert fewer.cost.shots == device.shots


def test_a_run_that_goes_on_from_a_state_has_paid_for_the_end():
    device = Lab()
    first = minimize(device)
    more = minimize(device, state=first.state)
    assert more.cost.shots == device.shots
    assert more.history[0] == first.history[-1]


def test_going_on_is_as_if_it_had_not_stopped():
    first = minimize(max_steps=2)
    more, whole = minimize(state=first.state, max_steps=2), minimize()
    assert np.array_equal(more.history, whole.history[2:])
    assert more.energy == whole.energy


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (BackendError("no device"), "failed", "final_shots: no device"),
        (KeyboardInterrupt(), "interrupted", "interrupted"),
    ],
    ids=["failure", "ctrl-c"],
)
def test_an_end_that_cannot_be_measured_loses_nothing(error, status, words, tmp_path):
    plain = minimize(final_shots=None)
    result = minimize(Lab(6, error), run_dir=tmp_path)
    assert result.status == status
    assert words in result.message
    assert "not measured with final_shots" in result.note
    assert (result.energy, result.cost) == (plain.energy, plain.cost)
    mended = minimize(run_dir=tmp_path)
    assert mended.status == "max_steps"
    assert mended.energy == minimize().energy


def test_an_interrupted_run_sends_nothing_more():
    device = Lab(3, KeyboardInterrupt())
    result = minimize(device)
    assert result.status == "interrupted"
    assert len(device.asked) == 3
    assert "not measured with final_shots" in result.note
    stopped = minimize(callback=lambda info: info.step == 2)
    assert stopped.status == "stopped"
    assert stopped.stderr < 0.1


def test_an_end_that_cannot_be_kept_is_in_the_result(tmp_path, monkeypatch):
    def full(self, key, data):
        raise qngd.StorageError("No space left on device")

    monkeypatch.setattr("qngd.run.directory.journal.Journal.keep_end", full)
    with pytest.warns(qngd.QngdWarning, match="No space left"):
        result = minimize(run_dir=tmp_path)
    assert result.energy == minimize().energy


def test_a_stored_run_says_what_its_result_does(tmp_path):
    result = minimize(run_dir=tmp_path)
    stored = qngd.load(tmp_path)
    assert (stored.energy, stored.stderr, stored.cost) == (result.energy, result.stderr, result.cost)
    longer = minimize(run_dir=tmp_path, max_steps=5, final_shots=None)
    assert qngd.load(tmp_path).energy == longer.energy  # the end is that of an earlier point


def test_an_end_of_before_format_2_is_known_again(tmp_path):
    """It lay in a file of its own beside the run's."""
    whole = minimize(run_dir=tmp_path / "whole")
    minimize(run_dir=tmp_path / "old", final_shots=None)
    (end,) = table(tmp_path / "whole", "ends")
    path = tmp_path / "old" / "final.npz"
    path.write_bytes(end["data"])
    with closing(sqlite3.connect(tmp_path / "old" / "run.sqlite")) as file:
        file.executescript("DROP TABLE ends; PRAGMA user_version = 1")
    assert qngd.load(tmp_path / "old").steps == 4  # without a change of the file
    device = Lab()
    again = minimize(device, run_dir=tmp_path / "old")
    assert device.asked == []
    assert (again.energy, again.cost) == (whole.energy, whole.cost)
    path.unlink()
    assert minimize(device, run_dir=tmp_path / "old").energy == whole.energy
    assert device.asked == []


def test_a_damaged_end_of_before_format_2_is_named(tmp_path):
    minimize(run_dir=tmp_path, final_shots=None)
    (tmp_path / "final.npz").write_bytes(b"PK garbage")
    with pytest.raises(qngd.StorageError, match=r"final.npz holds what this version of qngd cannot read"):
        minimize(run_dir=tmp_path)


def test_every_start_is_measured():
    device = Lab()
    result = minimize(device, restarts=3, max_steps=1)
    assert [sizes[0] for sizes in device.asked].count(FINAL) == 3
    assert result.cost.shots == device.shots
    assert result.energy == min(each.energy for each in result.restarts)


def test_of_a_cvar_it_is_that_of_its_last_stage():
    result = minimize(observable=qngd.CVaR(DIAGONAL, [0.3, 0.9]), max_steps=6, final_shots=5000)
    exact = float(qngd.expectation(CIRCUIT, qngd.CVaR(DIAGONAL, 0.9), result.theta))
    assert abs(result.energy - exact) < 5 * result.stderr < 0.2
    assert abs(result.mean - float(qngd.expectation(CIRCUIT, DIAGONAL, result.theta))) < 0.2
    assert result.bit_strings.shots == 5000


def test_of_an_objective_it_is_the_loss_of_all_samples():
    circuit = qngd.CircuitBuilder(2)
    a, b, x, y = circuit.parameters("a", "b", "x", "y")
    circuit.ry(x, 0).ry(y, 1).cx(0, 1).ry(a, 0).ry(b, 1)
    data = [{"x": 0.1 * k, "y": 0.3 - 0.2 * k} for k in range(6)]
    objective = qngd.Objective(circuit, [{"ZI": 1.0}], lambda out: np.mean((out - 0.4) ** 2), data=data, batch_size=2)
    result = qngd.minimize(
        objective, theta0={"a": 0.3, "b": -0.2}, shots=50, seed=1, max_steps=3, tol=0, final_shots=20_000
    )
    exact = float(qngd.expectation(objective, theta=result.theta))
    assert abs(result.energy - exact) < 5 * result.stderr + 1e-3
    assert result.stderr < 0.02


def test_excited_states_are_measured_with_them():
    device = Lab()
    how = {"restarts": 1, "shots": 20, "seed": 3, "max_steps": 2, "backend": device, "final_shots": FINAL}
    states = qngd.excited_states(CIRCUIT, 2, TERMS, THETA, **how)
    assert [sizes[0] for sizes in device.asked].count(FINAL) == 2
    assert sum(state.cost.shots for state in states) == device.shots
    for state in states:
        exact = float(qngd.expectation(CIRCUIT, TERMS, state.theta))
        assert abs(state.energy - exact) < 5 * state.stderr < 0.3
    for limit in (device.shots - 1, device.shots):
        limited = Lab()
        qngd.excited_states(CIRCUIT, 2, TERMS, THETA, **{**how, "backend": limited}, budget=qngd.Budget(shots=limit))
        assert limited.shots <= limit


def test_exact_energies_need_no_second_look():
    for backend in (None, "light-cone"):
        with pytest.raises(qngd.SettingError, match=r"final_shots: the energies of .* are exact"):
            qngd.minimize(CIRCUIT, TERMS, THETA, backend=backend, final_shots=100)


def test_angles_come_back_wrapped():
    far = [angle + 2 * np.pi * k for k, angle in enumerate(THETA)]
    result = qngd.minimize(
        CIRCUIT, TERMS, far, shots=50, seed=1, max_steps=2, tol=0, final_shots=5000, wrap_angles=True
    )
    assert np.all(np.abs(result.theta) <= np.pi)
    assert abs(result.energy - float(qngd.expectation(CIRCUIT, TERMS, result.theta))) < 5 * result.stderr
