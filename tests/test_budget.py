"""Budgets in every unit, against what a device that counts was asked for and arithmetic by hand."""

import dataclasses
import itertools
import re
from types import SimpleNamespace

import numpy as np
import pytest

import qngd
from qngd.backends.base import BackendBase, Footprint
from qngd.backends.statevector import StatevectorSampler
from qngd.estimates.estimate import format_seconds
from qngd.estimates.evaluation import Cost
from qngd.estimates.prices import JobSizes
from qngd.evaluators.meter import Meter, current_meter, metering
from qngd.refresh import Refresh
from qngd.run.budget import Clock
from qngd.run.stop import StopRule
from tests.silent import Silent
from tests.strategies import GateUse, Program, ansatz

TERMS = {"ZZI": 1.0, "IXY": -0.5, "XIX": 0.7, "IZI": 0.3}
CIRCUIT = ansatz(3, 1)
THETA = np.random.default_rng(1).normal(size=CIRCUIT.num_parameters)
FIXED = qngd.QNG(0.1)
PRICES = qngd.Prices(per_shot=0.001, per_circuit=0.02, per_task=0.5, per_second=7.0, minimum=2.0, currency="USD")
OPTIMIZERS = {
    "qng": FIXED,
    "refresh": qngd.QNG(0.1, refresh=Refresh(3)),
    "spsa": qngd.baselines.SPSA(),
    "rotosolve": "rotosolve",
    "cma-es": "cma-es",
}


class Timed(BackendBase):
    """The embedded sampler as a device: circuit k takes (k + 1) µs and 5 µs pass between shots. At most `most` circuits
    a job. It counts by itself what it was asked, and reports `factor` times its seconds where that is given."""

    name, is_noisy, rep_delay = "timed", False, 5e-6

    def __init__(self, most=10**6, factor=None):
        self.most, self.factor = most, factor
        self.jobs, self.circuits, self.shots, self.seconds, self.money = 0, 0, 0, 0.0, 0.0
        self._inner = StatevectorSampler()

    def describe(self, templates):
        return [Footprint(k, k, k, 1e-6 * (k + 1)) for k in range(len(templates))]

    def _parts(self, requests):
        return [range(k, min(k + self.most, len(requests))) for k in range(0, len(requests), self.most)]

    def preview(self, requests, templates):
        return Cost(len(self._parts(requests)), len(requests), sum(r.shots for r in requests))

    def spent(self, handle, requests):
        return Cost(len(self._parts(requests)), len(requests))

    def loads(self, requests, templates):
        (whole,) = super().loads(requests, templates)
        return [
            dataclasses.replace(whole, requests=np.array(p), shots=whole.shots[np.array(p)])
            for p in self._parts(requests)
        ]

    def submit(self, templates, requests, seed):
        used = 0.0
        for part in self._parts(requests):
            job = [requests[r] for r in part]
            shots = sum(r.shots for r in job)
            seconds = sum(r.shots * (1e-6 * (r.template + 1) + 5e-6) for r in job) * (self.factor or 1.0)
            price = PRICES.per_task + PRICES.per_circuit * len(job) + PRICES.per_shot * shots
            self.money += max(PRICES.minimum, price + PRICES.per_second * seconds)
            self.jobs, self.circuits, self.shots = self.jobs + 1, self.circuits + len(job), self.shots + shots
            used += seconds
        self.seconds += used
        return self._inner.submit(templates, requests, seed), used

    def collect(self, handle):
        return self._inner.collect(handle[0])

    def usage(self, handle):
        return None if self.factor is None else handle[1]


def minimize(backend=None, **how):
    settings = {"optimizer": FIXED, "shots": 20, "seed": 1, "max_steps": 6, "tol": 0, **how}
    return qngd.minimize(CIRCUIT, TERMS, THETA, backend=Timed() if backend is None else backend, **settings)


# --- prices ---


def test_a_job_costs_its_parts_but_at_least_the_minimum():
    rng = np.random.default_rng(3)
    circuits, shots, seconds = rng.integers(1, 20, 6), rng.integers(1, 5000, 6), rng.uniform(0, 1, 6)
    by_hand = sum(
        max(2.0, 0.5 + 0.02 * c + 0.001 * n + 7.0 * t) for c, n, t in zip(circuits, shots, seconds, strict=True)
    )
    assert PRICES.of(JobSizes(circuits, shots, seconds)) == pytest.approx(by_hand, rel=1e-12)
    assert PRICES.of(JobSizes(circuits, shots, None)) is None  # it has a price per second
    assert qngd.Prices(per_shot=0.5).of(JobSizes(circuits, shots, None)) == pytest.approx(0.5 * shots.sum())
    assert qngd.Prices().of(JobSizes(circuits, shots, seconds)) is None  # nothing is known of prices


@pytest.mark.parametrize("unit", ["jobs", "circuits", "shots", "seconds", "money"])
def test_the_steps_that_a_budget_buys(unit):
    start, step, end = (Cost(*map(int, n), 0, 0, *n[:2]) for n in np.random.default_rng(2).uniform(1, 9, (3, 3)))
    for limit in (0, 3, 17, 44, 100):
        steps = qngd.Budget(**{unit: limit}).steps(start, step, end)
        needs = [getattr(start + step * k + end, unit) for k in range(120)]
        assert steps == max((k for k, need in enumerate(needs) if need <= limit), default=0)
    assert qngd.Budget().steps(start, step) is None


def test_what_is_not_known_is_not_taken_for_nothing():
    known, unknown = Cost(1, 2, 3, seconds=1.5, money=2.0), Cost(1, 2, 3, seconds=None, money=None)
    assert (known + unknown).seconds is None
    assert (known + known).money == 4.0
    for cost in (known + known * 3 - known, unknown):
        again = Cost.from_numbers(cost.as_numbers())
        assert dataclasses.astuple(again) == dataclasses.astuple(cost)
    old = Cost.from_numbers(np.array([1, 2, 3, 4, 5]))  # as it was stored before there were seconds
    assert dataclasses.astuple(old) == dataclasses.astuple(Cost(1, 2, 3, 4, 5, None, None))


# --- what is spent ---


@pytest.mark.parametrize("factor", [None, 2.5])
@pytest.mark.parametrize("most", [10**6, 7])
def test_the_cost_is_what_the_device_counts(most, factor):
    device = Timed(most, factor)
    result = minimize(device, budget=qngd.Budget(prices=PRICES), max_steps=3)
    for unit in ("jobs", "circuits", "shots", "seconds", "money"):
        assert getattr(result.cost, unit) == pytest.approx(getattr(device, unit), rel=1e-12), unit
    assert result.state.cost.seconds == result.infos[-1].cost.seconds == result.cost.seconds
    assert result.cost.usage.ratio == pytest.approx(factor or 1.0)


@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_no_limit_in_any_unit_is_exceeded(optimizer):
    """By the count of the device, over random limits from what the start takes to what the run does."""
    whole = Timed(13)
    how = {"optimizer": optimizer, "max_steps": 3, "shots": 5}
    minimize(whole, **how)
    begun = Timed(13)
    minimize(begun, **{**how, "max_steps": 0})
    shares = np.random.default_rng(5).uniform(size=3)
    for unit, share in itertools.product(("jobs", "circuits", "shots", "seconds", "money"), shares):
        least, most = getattr(begun, unit), getattr(whole, unit)
        limit = least + share * (most - least)
        limit = int(limit) if unit in ("jobs", "circuits", "shots") else limit
        device = Timed(13)
        result = minimize(device, **how, budget=qngd.Budget(**{unit: limit}, prices=PRICES))
        assert least <= getattr(device, unit) <= limit * (1 + 1e-8)
        assert getattr(result.cost, unit) == pytest.approx(getattr(device, unit))
        assert result.status == "budget"
        assert "where" in result.message
        assert "left" in result.message


@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_an_exact_fit_is_spent(optimizer):
    for unit in ("seconds", "money", "shots"):
        device = Timed(13)
        minimize(device, optimizer=optimizer, max_steps=3)
        again = minimize(
            Timed(13),
            optimizer=optimizer,
            max_steps=3,
            budget=qngd.Budget(**{unit: getattr(device, unit)}, prices=PRICES),
        )
        assert again.status in ("max_steps", "budget")
        assert again.steps == 3 or optimizer in (
            "rotosolve",
            OPTIMIZERS["refresh"],
        )  # whose steps may take less than announced


@pytest.mark.parametrize("inner", [FIXED, qngd.baselines.SPSA(a=0.1)], ids=["one submission", "two"])
def test_the_last_word_is_had_before_each_submission(inner):
    """Whatever the step announced. What a step had spent before is counted, and the step not made."""
    device = Timed()
    result = minimize(device, optimizer=Silent(inner), budget=qngd.Budget(jobs=6))
    assert device.jobs == result.cost.jobs == 6
    assert result.status == "budget"
    assert result.steps == (5 if inner is FIXED else 2)
    assert "1 job where 0 jobs are left" in result.message
    more = minimize(device, optimizer=Silent(inner), state=result.state, max_steps=1, budget=qngd.Budget(jobs=20))
    assert more.steps == 1
    assert more.cost.jobs == device.jobs
    whole = minimize(optimizer=Silent(inner), max_steps=result.steps + 1)
    assert np.array_equal(more.history[-1], whole.history[-1])  # as if it had not stopped
    with pytest.raises(qngd.SettingError, match=r"budget: the evaluation at theta0 alone needs .*1 job where 0 jobs"):
        minimize(optimizer=Silent(inner), budget=qngd.Budget(jobs=0))


@pytest.mark.parametrize("every", [1, 2, 3])
def test_a_target_error_is_met_and_paid_for_without_a_metric_at_every_step(every):
    optimizer = qngd.QNG(1e-6, refresh=Refresh(every))
    how = {"optimizer": optimizer, "shots": qngd.TargetError(0.01), "max_steps": 5}
    found = minimize(**how)
    assert np.all(found.history_stderr[1:] < 0.0115)
    for limit in np.linspace(found.infos[0].cost.shots - 1, found.cost.shots, 5).astype(int):
        device = Timed()
        limited = minimize(device, **how, budget=qngd.Budget(shots=int(limit)))
        assert device.shots == limited.cost.shots <= limit


def test_slopes_that_no_preview_foresaw_are_not_paid_for():
    """Angles y + 3y²: the gradient's share of the shots of a target error follows slopes that are known only there."""
    gates = (
        GateUse("ry", (0,), ((1.0,),), (0.0,)),
        GateUse("rzz", (0, 1), ((2.0,),), (-2.5,)),
        GateUse("ry", (1,), ((1.5,),), (0.1,)),
    )
    program = Program(2, gates, np.array([0.05]), bend=3.0)
    how = {"optimizer": qngd.QNG(0.4), "shots": qngd.TargetError(0.2), "seed": 1, "tol": 0, "max_steps": 4}
    circuit = program.circuit()
    whole = qngd.minimize(circuit, {"XX": 1.0, "ZI": 0.3}, program.theta, backend=Timed(), **how)
    for limit in np.linspace(whole.infos[0].cost.shots, whole.cost.shots, 5).astype(int):
        device = Timed()
        qngd.minimize(
            circuit, {"XX": 1.0, "ZI": 0.3}, program.theta, backend=device, budget=qngd.Budget(shots=int(limit)), **how
        )
        assert device.shots <= limit


# --- what the provider reports ---


def test_the_estimate_corrects_itself():
    """A device that takes 2.5 times what its times say: after the start every preview is right, and the limit holds."""
    whole = minimize(Timed(factor=2.5), max_steps=4)
    start = minimize(Timed(factor=2.5), max_steps=0)
    for limit in np.linspace(start.cost.seconds, whole.cost.seconds, 12):
        device = Timed(factor=2.5)
        result = minimize(device, budget=qngd.Budget(seconds=limit))
        assert device.seconds <= limit * (1 + 1e-8)
        each = whole.infos[0].step_cost.seconds
        assert result.steps == int((limit * (1 + 1e-9) - start.cost.seconds) / each)


class Loading(Timed):
    """It takes `load` seconds besides for every circuit, and `begin` for every job, and reports them."""

    def __init__(self, load, factor=1.0, begin=0.0):
        super().__init__(factor=factor)
        self.load, self.begin = load, begin

    def submit(self, templates, requests, seed):
        inner, used = super().submit(templates, requests, seed)
        besides = self.load * len(requests) + self.begin * len(self._parts(requests))
        self.seconds += besides
        return inner, used + besides


@pytest.mark.parametrize(
    ("load", "factor", "shots"),
    [
        (load, (1.0, 2.0)[(i + j) % 2], shots)
        for i, load in enumerate((0.0, 1e-3, 0.02))
        for j, shots in enumerate(("auto", 20, 500))
    ],
)
def test_reports_of_more_than_shots_hold_a_budget(load, factor, shots):
    """Seconds of which a part is a circuit's and a part a shot's: after the first submission nothing is exceeded,
    whether steps take more shots or fewer; and the last step that is not made would not have fitted, or nearly so."""
    once = Loading(load, factor)
    minimize(once, shots=shots, max_steps=0)
    limit = 25 * once.seconds
    device = Loading(load, factor)
    result = minimize(device, shots=shots, max_steps=None, budget=qngd.Budget(seconds=limit))
    assert result.status == "budget"
    assert device.seconds == pytest.approx(result.cost.seconds, rel=1e-12)
    assert 0.6 * limit <= device.seconds <= limit * (1 + 1e-9)


@pytest.mark.parametrize("said", [False, True])
@pytest.mark.parametrize("shots", ["auto", 20])
def test_an_end_of_few_circuits_holds_a_budget_where_it_is_jobs_that_take_time(shots, said):
    """As IBM's do, about two seconds each: the end is a job like all others, and its shots are few. Whatever the limit
    leaves of a step."""
    for limit in np.linspace(9.2, 11.2, 9):
        device = Loading(0.0, 1.0, begin=2.0)
        budget = qngd.Budget(seconds=limit, prices=qngd.Prices(seconds_per_task=2.0) if said else None)
        result = minimize(device, shots=shots, max_steps=None, budget=budget, final_shots=7)
        assert result.status == "budget"
        assert result.infos[-1].cost.jobs < device.jobs == result.cost.jobs  # the end was measured
        assert device.seconds == pytest.approx(result.cost.seconds, rel=1e-12)
        assert device.seconds <= limit
        if shots == 20:
            assert device.jobs == int(limit / 2)


def test_an_end_for_which_reports_leave_no_room_is_told_by_what_it_takes(tmp_path):
    """The start was let through by an estimate that was too low, as a first one may be."""
    how = {"shots": 20, "final_shots": 100_000, "max_steps": 0, "run_dir": tmp_path}
    ended = minimize(Loading(0.02, begin=2.0), budget=qngd.Budget(seconds=9), **how)
    assert (ended.status, ended.steps) == ("budget", 0)
    spent, left = re.escape(ended.cost.in_short), re.escape(format_seconds(9 - ended.cost.seconds))
    assert re.fullmatch(
        rf"the measurement of the end with final_shots=100000 would exceed the budget \({spent} spent\): it takes .*"
        rf" of device time where {left} of device time are left; raise it and give this result's \.state as .* go on",
        ended.message,
    )
    assert "its end was not measured" in ended.note
    more = minimize(Loading(0.02, begin=2.0), budget=qngd.Budget(seconds=1e5), **how)
    assert (more.status, more.cost.jobs) == ("max_steps", 2)


def test_a_start_of_two_submissions_says_what_it_has_spent():
    """SPSA measures slopes after its energy, and the report of the latter leaves no room for them."""
    device = Loading(0.02, begin=2.0)
    with pytest.raises(
        qngd.SettingError, match=r"theta0 needs 1 job, .*, after 1 job, 3 circuits, 60 shots that it has"
    ):
        minimize(device, optimizer="spsa", shots=20, budget=qngd.Budget(seconds=3))
    assert device.jobs == 1


def test_what_a_circuit_takes_besides_its_shots_is_learnt_from_reports():
    """Steps under a budget of seconds take as many shots as where the user has said what loading takes, from the third
    on: a shot takes about 12 µs, loading as long as 1700 of them."""
    load, budget = 0.02, {"seconds": 1e6}
    infos = {}
    for name, prices, device in (
        ("said", qngd.Prices(seconds_per_circuit=load), Timed()),
        ("reported", None, Loading(load)),
        ("neither", None, Timed()),
    ):
        infos[name] = minimize(device, shots="auto", max_steps=8, budget=qngd.Budget(**budget, prices=prices)).infos
    shots = {name: sum(info.step_cost.shots for info in each) for name, each in infos.items()}
    assert shots["neither"] < 0.2 * shots["said"]
    assert 0.6 * shots["said"] < shots["reported"] < 1.5 * shots["said"]


def test_a_resumed_run_corrects_alike(tmp_path):
    budget = qngd.Budget(seconds=0.05, prices=PRICES)
    whole = minimize(Timed(factor=2.5), budget=budget, max_steps=50)
    assert whole.status == "budget"
    minimize(Timed(factor=2.5), budget=budget, max_steps=2, run_dir=tmp_path)
    again = minimize(Timed(factor=2.5), budget=budget, max_steps=50, run_dir=tmp_path)
    first = minimize(Timed(factor=2.5), budget=budget, max_steps=2)
    on = minimize(Timed(factor=2.5), budget=budget, max_steps=50, state=first.state)
    for other in (again, on):
        assert dataclasses.astuple(other.cost) == dataclasses.astuple(whole.cost)
        assert other.message == whole.message


def test_usage_without_times_is_what_is_spent():
    meter = Meter(qngd.Prices(per_second=2.0))
    paid = meter.paid(Cost(2, 3, 30), JobSizes(np.array([1, 2]), np.array([10, 20]), None), 6.0)
    assert (paid.seconds, paid.money, paid.usage.ratio) == (6.0, 12.0, 1.0)


def test_a_meter_stands_for_one_run_alone():
    with metering(Meter(PRICES)) as meter:
        assert current_meter() is meter
        minimize(Timed(), max_steps=0)  # a run within, say of a callback
        assert current_meter() is meter
        assert meter.spent.jobs == 0
    assert not current_meter().prices.are_given


# --- what cannot be limited ---


def test_what_is_not_known_cannot_be_limited():
    for budget, words in (
        (qngd.Budget(seconds=60), r"limits seconds, .*gives no times; .*seconds_per_shot=0.0003"),
        (qngd.Budget(money=60), r"limits money, .*prices=qngd.Prices\(per_shot="),
        (qngd.Budget(money=60, prices=qngd.Prices(per_second=1.0)), r"limits money, .*seconds_per_shot"),
    ):
        with pytest.raises(qngd.SettingError, match=words):
            minimize("statevector", budget=budget)


def test_a_shot_takes_what_the_user_says_where_the_backend_does_not():
    prices = qngd.Prices(per_second=3.0, seconds_per_shot=0.002)
    result = minimize("statevector", max_steps=50, budget=qngd.Budget(seconds=3, prices=prices))
    assert result.status == "budget"
    assert result.cost.seconds == pytest.approx(0.002 * result.cost.shots)
    assert result.cost.money == pytest.approx(0.006 * result.cost.shots)
    assert 3 - minimize("statevector", max_steps=0).cost.shots * 0.002 < result.cost.seconds <= 3
    assert minimize(budget=qngd.Budget(prices=prices), max_steps=0).cost.seconds < 1  # the device's own word counts


def test_an_exact_run_uses_no_device():
    result = qngd.minimize(CIRCUIT, TERMS, THETA, budget=qngd.Budget(seconds=0, money=0), max_steps=3, tol=0)
    assert (result.steps, result.cost.seconds, result.cost.money) == (3, 0, 0)


# --- by the clock ---


class Slow(Timed):
    """Each submission takes the next of these seconds, by a clock that only it moves."""

    def __init__(self, clock, times):
        super().__init__()
        self.clock, self.times = clock, iter(times)

    def collect(self, handle):
        self.clock.now += next(self.times)
        return super().collect(handle)


@pytest.mark.parametrize(
    ("wall", "times", "steps"),
    [
        (100, [10] * 20, 9),
        (99.5, [10] * 20, 8),
        (100, [1, 10, 50, 10, 10, 10], 2),  # after 61 s another 50 do not fit
        (100, [1, 10, 30, 10, 10, 30, 10], 5),
        (5, [10] * 20, 0),
    ],
)
def test_a_step_is_begun_if_the_longest_so_far_still_fits(monkeypatch, wall, times, steps):
    clock = SimpleNamespace(now=1e6)
    monkeypatch.setattr("qngd.run.budget.time", SimpleNamespace(monotonic=lambda: clock.now))
    result = minimize(Slow(clock, times), budget=qngd.Budget(wall=wall), max_steps=50)
    assert result.steps == steps
    assert result.status == "budget"
    assert "by the clock" in result.message
    assert steps == 0 or clock.now - 1e6 <= wall


def test_restarts_and_ends_share_the_clock(monkeypatch):
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr("qngd.run.budget.time", SimpleNamespace(monotonic=lambda: clock.now))
    result = minimize(Slow(clock, [10] * 99), budget=qngd.Budget(wall=100), max_steps=2, restarts=5, final_shots=50)
    assert clock.now <= 100
    assert result.status == "budget"
    assert len(result.restarts) == 3


def test_what_does_not_suffice_is_said_first():
    budget = qngd.Budget(jobs=9, shots=100, money=5.0, prices=qngd.Prices(per_shot=0.02))
    said = budget.lacking(Cost(1, 4, 50, money=1.0), Cost(1, 4, 60, money=1.2))
    assert said == "60 shots where 50 shots are left, 1 job where 8 jobs are left, 1.20 where 4.00 are left"


def test_a_clock_does_not_begin_what_has_no_time_left():
    now = iter([0.0, 0.0, 3.0, 3.0])
    clock = Clock(lambda: next(now))
    assert clock.allows(None)
    assert clock.allows(3.0)
    assert not clock.allows(3.0)


def test_a_price_is_in_the_currency():
    budget = qngd.Budget(money=3.5, prices=PRICES)
    result = minimize(budget=budget)
    assert f"USD where {3.5 - result.cost.money:.2f} USD are left" in result.message
    assert repr(qngd.Budget(jobs=3)) == "Budget(jobs=3)"


class Plain:
    """A backend of the user's own that derives from nothing, sends a job for every 7 circuits, and does not say which
    circuits a job holds."""

    name, is_noisy = "plain", False

    def __init__(self):
        self.inner, self.money = Timed(7), 0.0

    def preview(self, requests):
        return self.inner.preview(requests, None)

    def submit(self, templates, requests, seed):
        return self.inner.submit(templates, requests, seed)

    def collect(self, handle):
        return self.inner.collect(handle)


def test_of_a_division_that_is_not_known_the_dearest_is_counted():
    prices = dataclasses.replace(PRICES, per_second=0.0)
    device = Plain()
    result = minimize(device, max_steps=1, budget=qngd.Budget(prices=prices))
    assert result.cost.money >= device.inner.money - 7.0 * device.inner.seconds  # which were charged there
    limit = 0.8 * result.cost.money
    assert minimize(Plain(), budget=qngd.Budget(money=limit, prices=prices)).cost.money <= limit


# --- how many steps ---


def test_a_budget_alone_ends_a_run():
    """Without max_steps a run goes on beyond 200 steps, until nothing is left for another."""
    circuit = qngd.CircuitBuilder(1)
    circuit = circuit.ry(circuit.parameter("a"), 0)

    def run(**how):
        return qngd.minimize(circuit, {"Z": 1.0}, [0.3], optimizer=qngd.QNG(0.01), shots=2, seed=1, tol=0, **how)

    prices = qngd.Prices(per_shot=0.01)
    known = run(backend=Timed(), budget=qngd.Budget(prices=prices), max_steps=210)
    for unit in ("jobs", "circuits", "shots", "seconds", "money"):
        budget = qngd.Budget(**{unit: getattr(known.cost, unit)}, prices=prices)
        result = run(backend=Timed(), budget=budget)
        assert (result.steps, result.status) == (210, "budget"), unit
        assert np.array_equal(result.theta, known.theta)
        assert run(backend=Timed(), budget=budget, max_steps=3).status == "max_steps"


def test_what_costs_nothing_is_no_limit():
    """Exact steps spend nothing of shots, and a table of prices alone limits nothing: 200 steps as without."""
    circuit = qngd.CircuitBuilder(1)
    circuit = circuit.ry(circuit.parameter("a"), 0)
    for budget in (qngd.Budget(shots=10, seconds=1), qngd.Budget(prices=PRICES), None):
        result = qngd.minimize(circuit, {"Z": 1.0}, [0.3], optimizer=qngd.QNG(1e-6), tol=0, budget=budget)
        assert (result.steps, result.status) == (200, "max_steps")
    rule = StopRule.read(None, 1e-8, 0.0, None, qngd.Budget(wall=5))
    assert not rule.took_all(10**6, Cost())
    assert StopRule.read(7, 1e-8, 0.0, None, qngd.Budget(wall=5)).took_all(7, Cost())


def test_starts_share_a_budget():
    """Each has an equal part, or the first would leave nothing to the others; with a number of steps that."""
    circuit = qngd.CircuitBuilder(1)
    circuit = circuit.ry(circuit.parameter("a"), 0)
    how = {"optimizer": qngd.QNG(0.01), "shots": 1, "seed": 1, "tol": 0, "backend": Timed()}
    result = qngd.minimize(circuit, {"Z": 1.0}, [0.3], restarts=2, budget=qngd.Budget(jobs=60), **how)
    assert [each.steps for each in result.restarts] == [29, 29]
    result = qngd.minimize(circuit, {"Z": 1.0}, [0.3], restarts=2, budget=qngd.Budget(jobs=60), max_steps=40, **how)
    assert [each.steps for each in result.restarts] == [40, 18]
