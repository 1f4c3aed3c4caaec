"""What the start of a circuit costs: how it decides how many shots a circuit gets, and how often it runs."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import qngd
from qngd.backends.executor import Executor
from qngd.backends.readout import ReadoutCorrected
from qngd.measured.equal_parts import in_equal_parts
from tests.strategies import examples

CIRCUIT = qngd.CircuitBuilder(3)
A, B = CIRCUIT.parameters("a", "b")
CIRCUIT.ry(A, 0).cx(0, 1).rz(2 * B, 1).rx(B, 0).ry(A, 2).cx(1, 2)
ONE_TURN = qngd.CircuitBuilder(1)
ONE_TURN.ry(ONE_TURN.parameter("a"), 0)
TERMS = {"ZIZ": 1.0, "XIY": 0.2, "IYI": -0.05, "IZX": 0.5}
THETA = [0.3, -0.7]
PRICES = qngd.Prices(per_circuit=0.30, per_shot=0.0009)  # a start as 333 shots
START = 0.30 / 0.0009


# --- one number of shots for all circuits ---


@examples(60)
@given(st.lists(st.integers(1, 60), min_size=1, max_size=4), st.integers(0, 60))
def test_no_other_equal_parts_are_worth_more_for_their_cost(wanted, start):
    """By trying all numbers of circuits up to eight each that cost no more, their starts included."""
    wanted = np.array(wanted)
    found = in_equal_parts(wanted, start)
    granted = wanted.sum() + start * len(wanted)
    unit = np.gcd.reduce(found)
    assert unit > 0

    def variance(circuits, unit):
        return (wanted**2 / (circuits * unit)).sum()

    least = np.inf
    for circuits in map(np.array, itertools.product(range(1, 9), repeat=len(wanted))):
        if (each := (granted - start * circuits.sum()) // circuits.sum()) >= 1:
            least = min(least, variance(circuits, each))
    # of all ways to make the same shots of equal circuits that with the fewest circuits costs least
    assert (found + start * (found // unit)).sum() <= granted
    # rounding circuits to the nearest is not always the best, and nearly so
    assert variance(found // unit, unit) <= 1.15 * least


def test_every_request_keeps_the_least_that_it_was_to_get():
    wanted = np.array([5, 8, 77, 74, 85, 21, 13, 87])
    assert in_equal_parts(wanted, 0).min() < 5
    assert in_equal_parts(wanted, 0, least=5).min() >= 5
    assert in_equal_parts(np.zeros(0, dtype=int), 20).sum() == 0


def on_aer(**how):
    """What `jobs` with this backend ran: circuits and shots of every job, and the run's cost."""
    devices = pytest.importorskip("tests.qiskit_devices")
    native = devices.Counting()
    backend = how.pop("around", lambda inner: inner)(qngd.backends.resolve(native))
    given = (ONE_TURN, {"Z": 1.0}, [0.3]) if how.pop("few", False) else (CIRCUIT, TERMS, THETA)
    result = qngd.minimize(*given, backend=backend, seed=1, tol=0, **how)
    return [(len(run["circuits"]), run["shots"]) for run in native.runs], result


@pytest.mark.parametrize("around", [lambda inner: inner, ReadoutCorrected])
def test_few_shots_of_auto_take_hardly_more_circuits_than_equal_ones(around):
    """Though its terms have weights of 0.05 to 1, and their shots of 6 to 48."""
    ran, result = on_aer(shots="auto", max_steps=2, around=around)
    same, _ = on_aer(shots=20, max_steps=0, around=around, optimizer=qngd.QNG(gradient="auto"))
    assert same[0][0] <= ran[0][0] <= 1.2 * same[0][0]
    assert ran[0][0] * ran[0][1] <= 1.1 * same[0][0] * same[0][1]  # nor more shots
    assert result.cost.circuits == sum(circuits for circuits, _ in ran)
    assert result.cost.shots == sum(circuits * shots for circuits, shots in ran)


@pytest.mark.parametrize(
    "kind", ["StatevectorSampler", "StatevectorEstimator", "BackendSamplerV2", "BackendEstimatorV2"]
)
def test_primitives_take_hardly_more_circuits_of_auto(kind):
    """An estimator by its precision, of which a job has one as well."""
    primitives = pytest.importorskip("qiskit.primitives")
    aer = pytest.importorskip("qiskit_aer").AerSimulator()
    made = getattr(primitives, kind)
    native = made(backend=aer) if kind.startswith("Backend") else made()
    costs = {
        shots: qngd.minimize(
            CIRCUIT, TERMS, THETA, backend=native, shots=shots, seed=1, max_steps=0,
            optimizer=qngd.QNG(gradient="auto"),
        ).cost
        for shots in ("auto", 20)
    }  # fmt: skip
    assert costs[20].circuits <= costs["auto"].circuits <= 1.2 * costs[20].circuits
    assert costs["auto"].shots <= 1.1 * costs[20].shots


class Unequal:
    """A rule that asks for 200 shots of most circuits, and 450 of two."""

    def shots(self, plan, spread):
        return np.where(np.arange(plan.num_circuits) < 2, 450, 200)


@pytest.mark.parametrize(("budget", "unit"), [(None, 225), (qngd.Budget(prices=PRICES), 450)])
def test_other_rules_are_rounded_up_by_what_a_start_costs(budget, unit):
    """With R circuits 225·(R + 2) shots and as many starts, or 450·R: the first if a start is worth 20 shots, and the
    second if it is worth 333 and R is small enough."""
    ran, result = on_aer(shots=Unequal(), max_steps=0, budget=budget, optimizer=qngd.QNG(approx="diag"), few=True)
    assert [shots for _, shots in ran] == [unit]
    assert result.cost.circuits == ran[0][0]


def test_a_preview_of_auto_says_what_is_sent():
    ran, _ = on_aer(shots="auto", max_steps=0)
    price = qngd.cost(CIRCUIT, TERMS, THETA, shots="auto", backend="aer", gradient="auto")
    assert (price.step.circuits, price.step.shots) == (ran[0][0], ran[0][0] * ran[0][1])


def test_a_function_of_lists_is_called_for_few_numbers_of_shots():
    """It is called once for every number of shots: a job each, for many."""
    pytest.importorskip("qiskit")
    calls = []

    def lists(circuits: list, *, shots):
        calls.append(shots)
        return [{"0" * each.num_clbits: shots} for each in circuits]

    qngd.minimize(CIRCUIT, TERMS, THETA, backend=Executor(lists), shots="auto", seed=1, max_steps=0)
    assert len(calls) <= 2


# --- money and seconds ---


def first_shots(budget, shots="auto", **how):
    """Shots a circuit of the first submission."""
    cost = qngd.minimize(
        CIRCUIT, TERMS, THETA, backend="statevector", shots=shots, seed=1, max_steps=0, budget=budget, **how
    ).cost
    return cost.shots / cost.circuits


@pytest.mark.parametrize(
    ("budget", "start"),
    [
        (qngd.Budget(money=100, prices=PRICES), START),
        (qngd.Budget(prices=PRICES), START),
        (qngd.Budget(shots=10**6, prices=PRICES), 0),
        (qngd.Budget(money=1000, prices=qngd.Prices(per_second=2, seconds_per_shot=1e-3, per_circuit=1.5)), 750),
        (qngd.Budget(money=1000, prices=qngd.Prices(per_second=2, seconds_per_shot=1e-3)), 0),
        (qngd.Budget(seconds=60, prices=qngd.Prices(seconds_per_shot=1e-3, seconds_per_circuit=0.4)), 400),
        (qngd.Budget(seconds=60, prices=qngd.Prices(seconds_per_shot=1e-3)), 0),
        (
            qngd.Budget(money=1000, prices=qngd.Prices(per_second=2, seconds_per_shot=1e-3, seconds_per_circuit=0.4)),
            400,
        ),
    ],
)
def test_the_first_step_takes_a_quarter_of_a_start(budget, start):
    assert first_shots(budget) == pytest.approx(max(20, start / 4), abs=1)


def test_a_start_of_the_users_own_comes_before_the_prices():
    budget = qngd.Budget(money=100, prices=PRICES)
    assert first_shots(budget, qngd.AutoShots(start=0)) == pytest.approx(20, abs=1)
    assert first_shots(budget, qngd.AutoShots(start=2000)) == pytest.approx(500, abs=1)
    assert first_shots(budget, 30) == 30


def test_the_price_of_a_job_is_shared_by_its_circuits():
    prices = qngd.Prices(per_task=100.0, per_shot=0.01)
    circuits = qngd.minimize(CIRCUIT, TERMS, THETA, backend="statevector", shots="auto", max_steps=0).cost.circuits
    found = first_shots(qngd.Budget(money=1000, prices=prices))
    assert found == pytest.approx(100 / 0.01 / circuits / 4, abs=1)


def test_the_seconds_of_a_job_are_shared_by_its_circuits():
    prices = qngd.Prices(seconds_per_task=2.0, seconds_per_shot=1e-4)
    circuits = qngd.minimize(CIRCUIT, TERMS, THETA, backend="statevector", shots="auto", max_steps=0).cost.circuits
    found = first_shots(qngd.Budget(seconds=100, prices=prices))
    assert found == pytest.approx(2.0 / 1e-4 / circuits / 4, abs=1)


@pytest.mark.parametrize("name", ["per_circuit", "per_task", "minimum"])
def test_where_shots_are_free_a_circuit_takes_all_that_it_may(name):
    """In the first step, and in every later one."""
    budget = qngd.Budget(money=1000, prices=qngd.Prices(**{name: 0.3}))
    assert first_shots(budget) == 10_000
    assert first_shots(budget, qngd.AutoShots(limit=500)) == 500
    cost = qngd.minimize(
        CIRCUIT, TERMS, THETA, backend="statevector", shots=qngd.AutoShots(limit=500), seed=1, max_steps=3, tol=0,
        budget=budget,
    ).cost  # fmt: skip
    assert cost.shots == 500 * cost.circuits


def test_where_a_second_has_a_price_and_a_shot_no_time_nothing_is_known_of_starts():
    budget = qngd.Budget(prices=qngd.Prices(per_second=2.0, seconds_per_circuit=0.5))
    assert first_shots(budget) == pytest.approx(20, abs=1)


@pytest.mark.parametrize("per_circuit", [0.0, 0.05])
def test_shots_that_the_least_price_of_a_job_pays_for_are_taken(per_circuit):
    """A job costs 9 in any case: what its circuits leave of that buys shots of 0.01."""
    prices = qngd.Prices(per_circuit=per_circuit, per_shot=0.01, minimum=9.0)
    infos = []
    qngd.minimize(
        CIRCUIT, TERMS, THETA, backend="statevector", shots="auto", seed=1, max_steps=3, tol=0,
        budget=qngd.Budget(money=1000, prices=prices), callback=infos.append,
    )  # fmt: skip
    one = infos[0].step_cost
    bought = (9.0 - per_circuit * one.circuits) / 0.01
    assert bought - one.circuits <= one.shots <= bought
    for info in infos:
        assert info.step_cost.shots >= bought - one.circuits
        assert info.step_cost.money >= 9.0
    free = qngd.minimize(
        CIRCUIT, TERMS, THETA, backend="statevector", shots="auto", seed=1, max_steps=0, budget=None
    ).cost.shots
    assert one.shots > 1.5 * free


@pytest.mark.parametrize(
    ("prices", "limits"),
    [
        ({"per_shot": 0.001, "minimum": 3.0}, {"executions": 400}),
        ({"per_circuit": 1.0}, {"executions": 400}),
        ({"per_circuit": 1.0}, {"shots": 90}),
        ({"minimum": 3.0}, {"shots": 90}),
    ],
)
def test_shots_that_cost_nothing_make_no_jobs_or_circuits_that_do(prices, limits):
    """Where circuits are paid for each runs once, and there are as few jobs as there can be, by what Aer is given."""
    devices = pytest.importorskip("tests.qiskit_devices")
    device = qngd.backends.resolve(native := devices.Counting(), limits=qngd.backends.Limits(**limits))
    budget = qngd.Budget(money=1000, prices=qngd.Prices(**prices))
    for steps in (0, 2):
        native.runs.clear()
        how = {"backend": device, "shots": qngd.AutoShots(limit=200), "budget": budget}
        result = qngd.minimize(CIRCUIT, TERMS, THETA, **how, seed=1, max_steps=steps, tol=0)
        evaluations = steps + 1
        single = qngd.cost(CIRCUIT, TERMS, THETA, backend="statevector", shots="auto").step.circuits
        assert len(native.runs) == evaluations
        if "per_circuit" in prices:
            assert sum(len(run["circuits"]) for run in native.runs) == evaluations * single == result.cost.circuits
        assert result.cost.shots >= evaluations * (200 if "executions" in limits else 45 * single)
    offer = qngd.cost(CIRCUIT, TERMS, THETA, steps=2, **how).offers[0]
    assert result.cost.money <= offer.most.money if offer.most else result.cost.money == offer.run.money


def test_what_starts_cost_grows_with_the_shots():
    """By at most 30 % from step to step, both together, until the shots cost as much as the starts; and a run costs no
    more than was said at most."""
    budget, steps = qngd.Budget(prices=PRICES), 6
    optimizer = qngd.QNG(approx="block-diag")
    infos = []
    lowest = qngd.minimize(CIRCUIT, TERMS, THETA).theta  # where all that is seen is noise
    qngd.minimize(
        CIRCUIT, TERMS, lowest, backend="statevector", shots="auto", seed=1, max_steps=steps, tol=0,
        optimizer=optimizer, budget=budget, callback=infos.append,
    )  # fmt: skip
    money = np.diff([info.cost.money for info in infos])
    assert np.all(money[1:] <= 1.3 * money[:-1] + 0.01)
    auto = qngd.cost(CIRCUIT, TERMS, THETA, backend="statevector", shots=20, steps=steps, budget=budget).offers[1]
    assert auto.most is not None
    starts = auto.step.circuits * PRICES.per_circuit
    assert 1.2 * auto.step.money < money.max() <= PRICES.per_task + 2 * starts + 0.01
    assert auto.start.money + auto.step.money * steps <= infos[-1].cost.money <= auto.most.money * (1 + 1e-9)


def test_a_circuit_takes_the_seconds_that_the_user_says():
    prices = qngd.Prices(per_second=2.0, seconds_per_shot=0.002, seconds_per_circuit=0.5)
    cost = qngd.minimize(
        CIRCUIT, TERMS, THETA, backend="statevector", shots=10, max_steps=2, tol=0, budget=qngd.Budget(prices=prices)
    ).cost
    assert cost.seconds == pytest.approx(0.002 * cost.shots + 0.5 * cost.circuits)
    assert cost.money == pytest.approx(2 * cost.seconds)


def test_a_job_takes_the_seconds_that_the_user_says():
    """As long as they are of a device with times; the price of a run says the same beforehand."""
    budget = qngd.Budget(prices=qngd.Prices(per_second=1.5, seconds_per_shot=0.002, seconds_per_task=2.0))
    how = {"backend": "statevector", "shots": 10, "budget": budget, "final_shots": 30}
    cost = qngd.minimize(CIRCUIT, TERMS, THETA, max_steps=2, tol=0, optimizer=qngd.QNG(approx="block-diag"), **how).cost
    assert cost.jobs == 4
    assert cost.seconds == pytest.approx(0.002 * cost.shots + 2.0 * cost.jobs)
    assert cost.money == pytest.approx(1.5 * cost.seconds)
    offer = qngd.cost(CIRCUIT, TERMS, THETA, steps=2, **how).offers[0]
    assert offer.run.seconds == pytest.approx(cost.seconds)
    assert offer.run.money == pytest.approx(cost.money)


@pytest.mark.parametrize("name", ["seconds_per_circuit", "seconds_per_task"])
def test_no_seconds_are_less_than_none(name):
    with pytest.raises(qngd.SettingError, match=name):
        qngd.Prices(**{name: -1.0})
