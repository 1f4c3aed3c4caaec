"""Prices against what a backend that counts is asked for, and arithmetic by hand."""

import re
from dataclasses import dataclass

import numpy as np
import pytest

import qngd
from qngd.backends.statevector import StatevectorSampler
from qngd.errors import BackendError, ObservableError, ParameterError, SettingError
from qngd.estimates.evaluation import Cost
from qngd.measured.auto_shots import AutoShots
from qngd.measured.planner import Planner
from qngd.measured.target_error import TargetError
from tests import toy
from tests.layered_circuits import CHAIN, GRAPHS, qaoa, real_amplitudes
from tests.own_backends import ExactDevice
from tests.strategies import Sketch, ansatz, random_observable


def problem():
    return ansatz(3, 2), random_observable(4, 3, 5), np.linspace(0.1, 1.9, 12)


class Counting(StatevectorSampler):
    """The embedded sampler, remembering what it was asked."""

    def __init__(self):
        self.submissions = []

    def submit(self, templates, requests, seed):
        self.submissions.append((templates, requests, seed))
        return super().submit(templates, requests, seed)


def asked(device, place=0):
    """Circuits and shots of a submission, as the device saw them."""
    _, requests, _ = device.submissions[place]
    return len(requests), sum(r.shots for r in requests)


# --- what is asked for ---


@pytest.mark.parametrize("optimizer", ["adam", "spsa", "cobyla", "l-bfgs-b", "rotosolve", "cma-es", qngd.QNG(0.01)])
def test_a_run_by_any_optimizer_costs_what_its_offer_says(optimizer):
    if optimizer == "cma-es":
        pytest.importorskip("cma")
    circuit, terms, theta = problem()
    offer = qngd.cost(circuit, terms, theta, shots=30, steps=3, optimizer=optimizer).offers[1]
    assert offer.name == (optimizer if isinstance(optimizer, str) else "QNG")
    device = ExactDevice()
    qngd.minimize(circuit, terms, theta, backend=device, shots=30, optimizer=optimizer, max_steps=3, tol=0, seed=1)
    sent = [asked(device, place) for place in range(len(device.submissions))]
    assert (offer.run.circuits, offer.run.shots) == tuple(map(sum, zip(*sent, strict=True)))


def test_of_an_optimizer_without_a_price_its_offer_says_why():
    assert "give a number of shots" in qngd.cost(toy.problem(), shots="auto", optimizer="adam").offers[1].refused
    shared, theta = qaoa(*GRAPHS["ring"], 1, "rzz"), [0.1, 0.2]
    assert "Rotosolve" in qngd.cost(shared, {"ZZIIII": 1.0}, theta, optimizer="excitation-solve").offers[1].refused
    with pytest.raises(SettingError, match="optimizer: the price"):
        qngd.cost(toy.problem(), optimizer="adam", backend="light-cone")


@pytest.mark.parametrize("approx", ["diag", "block-diag", "full"])
@pytest.mark.parametrize("shots", [None, 250, AutoShots(200_000), TargetError(0.01, limit=150), "auto"])
def test_a_step_costs_what_the_backend_is_asked_for(approx, shots):
    circuit, terms, theta = problem()
    price = qngd.cost(circuit, terms, theta, shots=shots, approx=approx)
    device = ExactDevice()
    result = qngd.minimize(
        circuit, terms, theta, backend=device, shots=1000 if shots is None else shots,
        optimizer=qngd.QNG(0.01, approx), max_steps=2, tol=0,
    )  # fmt: skip
    assert (price.step.circuits, price.step.shots) == asked(device)
    assert price.step.jobs == 1
    assert len(device.submissions) == result.cost.jobs == 3


@pytest.mark.parametrize(("layers", "gradient"), [(1, 4), (2, 12)])
def test_parts_of_a_step_are_what_the_backend_is_asked_for(layers, gradient):
    """The last CNOT leaves both terms of the toy on qubit 1, so each sees one rotation of the last layer."""
    problem = toy.problem(layers=layers)
    parts = problem.circuit, problem.observable, problem.theta0
    price, device = qngd.cost(problem, shots=10), Counting()
    qngd.expectation(*parts, backend=device, shots=10)
    qngd.gradient(*parts, backend=device, shots=10)
    qngd.metric_tensor(*parts[::2], backend=device, shots=10)
    energy, both, metric = (asked(device, k)[0] for k in range(3))
    assert (price.energy_circuits, price.gradient_circuits) == (energy, both - energy) == (2, gradient)
    assert price.metric_circuits == metric == layers


@pytest.mark.parametrize("steps", [0, 1, 4])
def test_a_run_costs_what_the_backend_is_asked_for(steps):
    """Every step asks for the same with a fixed number of shots a circuit; the last one may ask for less."""
    circuit, terms, theta = problem()
    price = qngd.cost(circuit, terms, theta, shots=50, steps=steps)
    device = Counting()
    result = qngd.minimize(circuit, terms, theta, backend=device, shots=50, max_steps=steps, tol=0)
    assert len(device.submissions) == price.run.jobs == steps + 1 == result.cost.jobs
    totals = np.array([asked(device, k) for k in range(steps + 1)]).sum(axis=0)
    assert (result.cost.circuits, result.cost.shots) == tuple(totals)
    assert totals[0] <= price.run.circuits
    assert totals[1] <= price.run.shots
    assert price.run == Cost(steps + 1, price.step.circuits * (steps + 1), price.step.shots * (steps + 1))
    full = [asked(device, k) for k in range(max(1, steps))]
    assert set(full) == {(price.step.circuits, price.step.shots)}


@pytest.mark.parametrize(
    ("approx", "how"),
    [("block-diag", {"grouping": "commuting"}), ("full", {"cross": "overlap"}), ("full", {"cross": "mid-circuit"})],
)
def test_grouping_and_cross_are_priced_as_they_are_run(approx, how):
    circuit, terms, theta = problem()
    price = qngd.cost(circuit, terms, theta, shots=30, approx=approx, **how)
    device = ExactDevice()
    qngd.minimize(circuit, terms, theta, backend=device, shots=30, optimizer=qngd.QNG(0.01, approx), max_steps=0, **how)
    assert (price.step.circuits, price.step.shots) == asked(device)
    other = qngd.cost(circuit, terms, theta, shots=30, approx=approx)
    assert "grouping" not in how or price.step.circuits < other.step.circuits
    assert how.get("cross") != "overlap" or price.metric_circuits > other.metric_circuits


def test_a_wrong_grouping_or_cross_is_named():
    circuit, terms, theta = problem()
    with pytest.raises(SettingError, match=r"grouping: 'all' is none of qubit-wise, commuting"):
        qngd.cost(circuit, terms, theta, grouping="all")
    with pytest.raises(SettingError, match=r"cross: 'swap' is none of hadamard"):
        qngd.cost(circuit, terms, theta, cross="swap")


def test_circuits_by_what_they_are_for():
    circuit, terms, theta = problem()
    price = qngd.cost(circuit, terms, theta, shots=10)
    devices = {}
    for name, call in {
        "energy": lambda d: qngd.expectation(circuit, terms, theta, backend=d, shots=10),
        "gradient": lambda d: qngd.gradient(circuit, terms, theta, backend=d, shots=10),
        "metric": lambda d: qngd.metric_tensor(circuit, theta, backend=d, shots=10),
    }.items():
        call(devices.setdefault(name, ExactDevice()))
    energy, gradient, metric = (asked(devices[name])[0] for name in ("energy", "gradient", "metric"))
    assert price.energy_circuits == energy > 1
    assert price.gradient_circuits == gradient - energy > 10  # `gradient` estimates the energy beside it
    assert price.metric_circuits == metric == 4
    assert price.step.circuits == price.energy_circuits + price.gradient_circuits + price.metric_circuits


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("graph", GRAPHS)
def test_qaoa_pays_two_metric_circuits_a_depth(graph, depth):
    num_qubits, edges = GRAPHS[graph]
    circuit = qaoa(num_qubits, edges, depth, "cx rz cx")
    terms = {"".join("Z" if num_qubits - 1 - q in e else "I" for q in range(num_qubits)): 0.5 for e in edges}
    price = qngd.cost(circuit, terms, np.ones(2 * depth))
    assert price.metric_circuits == 2 * depth
    assert price.energy_circuits == 1


def test_real_amplitudes_pay_four_metric_circuits():
    price = qngd.cost(real_amplitudes(4, 3, CHAIN), {"ZZZZ": 1.0}, np.ones(16), shots=4000)
    assert price.metric_circuits == 4
    assert price.step.shots == 4000 * price.step.circuits


def test_a_hundred_qubits_are_priced():
    sketch = Sketch(100, 100)
    for q in range(100):
        sketch("ry", q, sketch.t[q])
    for q in range(99):
        sketch("cz", q, q + 1)
    price = qngd.cost(sketch.circuit(), {"Z" * 100: 1.0, "X" * 100: 0.5}, np.ones(100), backend=ExactDevice())
    assert price.metric_circuits == 1
    assert price.energy_circuits == 2
    assert price.two_qubit_gates == 99


def test_problems_bring_their_own():
    given = toy.problem()
    price = qngd.cost(given, shots=100)
    direct = qngd.cost(given.circuit, given.observable, given.theta0, shots=100)
    assert price == direct
    other = qngd.cost(given, {"ZI": 1.0}, np.ones(4), shots=100)
    assert other.energy_circuits == 1
    assert price.energy_circuits == 2


# --- footprints of a backend that compiles ---


@dataclass(frozen=True)
class Footprint:
    depth: int
    two_qubit_depth: int
    two_qubit_gates: int
    seconds: float | None


class Compiler(ExactDevice):
    """Says that the k-th circuit takes (k + 1) µs and has depth 10·(k + 1)."""

    rep_delay = 5e-6
    repetition_delay = 5e-6
    is_noisy = True

    def __init__(self, times=True):
        super().__init__()
        self.times = times

    def describe(self, templates):
        return [Footprint(10 * k, 3 * k, 4 * k, 1e-6 * k if self.times else None) for k in range(1, len(templates) + 1)]


def test_device_time_is_that_of_every_shot():
    circuit, terms, theta = problem()
    device = Compiler()
    price = qngd.cost(circuit, terms, theta, backend=device, shots=AutoShots(100_000), steps=9)
    assert device.submissions == []  # nothing was run
    qngd.minimize(circuit, terms, theta, backend=device, shots=AutoShots(100_000), max_steps=1)
    templates, requests, _ = device.submissions[0]
    expected = sum(r.shots * (1e-6 * (r.template + 1) + 5e-6) for r in requests)
    assert price.seconds == pytest.approx(expected, rel=1e-12)
    assert price.run_seconds == pytest.approx(10 * expected, rel=1e-12)
    count = len(templates)
    assert (price.depth, price.two_qubit_depth, price.two_qubit_gates) == (10 * count, 3 * count, 4 * count)
    assert (price.step.depth, price.step.two_qubit_gates) == (price.run.depth, 4 * count) == (price.depth, 4 * count)
    assert price.is_noisy
    assert price.backend == device.name


def test_unknown_times_are_unknown():
    circuit, terms, theta = problem()
    price = qngd.cost(circuit, terms, theta, backend=Compiler(times=False))
    assert price.seconds is price.run_seconds is None
    assert price.depth > 0
    assert "unknown" in price.rows()["device time"]


def test_without_a_compiler_gates_are_counted_as_written():
    """CX and RZZ of the whole circuit; the metric is measured before them."""
    sketch = Sketch(2, 2)
    sketch("ry", 0, sketch.t[0])("ry", 1, sketch.t[1])("cx", 0, 1)("rzz", 0, 1, 0.3)
    price = qngd.cost(sketch.circuit(), {"XI": 1.0}, [0.3, 0.4])
    assert price.two_qubit_gates == 2
    assert price.depth is price.two_qubit_depth is price.seconds is None
    assert not price.is_noisy
    assert price.backend == "statevector"


def test_prices_for_people():
    circuit, terms, theta = problem()
    price = qngd.cost(circuit, terms, theta, backend=Compiler(), shots=100, steps=20)
    rows = price.rows()
    assert rows["backend"] == "exact counts (noisy)"
    assert rows["one step"] == f"1 job, {price.step.circuits} circuits, {price.step.shots} shots"
    assert rows["20 steps"] == f"21 jobs, {21 * price.step.circuits} circuits, {21 * price.step.shots} shots"
    assert re.findall(r"\d+", rows["circuits"]) == [
        str(n) for n in (price.energy_circuits, price.gradient_circuits, price.metric_circuits)
    ]
    assert str(price.two_qubit_gates) in rows["two-qubit gates"]
    assert re.findall(r"\d+", rows["depth"]) == [str(price.depth), str(price.two_qubit_depth)]
    for name, text in rows.items():
        assert re.search(rf"^{re.escape(name)} +{re.escape(text)}$", str(price), re.MULTILINE)


# --- refused ---


def test_bad_arguments_are_named():
    circuit, terms, theta = problem()
    for error, named, call in (
        (SettingError, "approx", lambda: qngd.cost(circuit, terms, theta, approx="blocks")),
        (SettingError, "shots", lambda: qngd.cost(circuit, terms, theta, shots=0)),
        (SettingError, "shots", lambda: qngd.cost(circuit, terms, theta, shots="many")),
        (SettingError, "shots.*too few", lambda: qngd.cost(circuit, terms, theta, shots=AutoShots(20))),
        (SettingError, "steps", lambda: qngd.cost(circuit, terms, theta, steps=-1)),
        (ParameterError, "theta0", lambda: qngd.cost(circuit, terms)),
        (ParameterError, "theta", lambda: qngd.cost(circuit, terms, theta[:-1])),
        (BackendError, "backend", lambda: qngd.cost(circuit, terms, theta, backend="nowhere")),
        (ObservableError, "observable", lambda: qngd.cost(circuit, {"ZZ": 1.0}, theta)),
        (ObservableError, "observable", lambda: qngd.cost(circuit, None, theta)),
    ):
        with pytest.raises(error, match=named):
            call()


# --- settings side by side, and what a budget buys ---


def runs_of(name):
    """How a run with the settings of an offer is asked for."""
    way = "sampled" if name == 'gradient="sampled"' else "shift"
    optimizer = qngd.QNG.qn_spsa() if name == "QN-SPSA" else qngd.QNG(approx="block-diag", gradient=way)
    return {"optimizer": optimizer, "shots": "auto" if name == 'shots="auto"' else 40}


def test_offers_cost_what_the_backend_is_asked_for():
    circuit, terms, theta = problem()
    price = qngd.cost(circuit, terms, theta, shots=40, steps=2, final_shots=70)
    assert [offer.name for offer in price.offers] == ["as asked", 'shots="auto"', 'gradient="sampled"', "QN-SPSA"]
    for offer in price.offers:
        device = Counting()
        how = runs_of(offer.name)
        result = qngd.minimize(circuit, terms, theta, backend=device, seed=1, max_steps=2, tol=0, final_shots=70, **how)
        start, *steps, end = (asked(device, k) for k in range(len(device.submissions)))
        assert start == (offer.start.circuits, offer.start.shots)
        assert end == (offer.end.circuits, offer.end.shots)
        for circuits, shots in steps:
            assert circuits <= offer.step.circuits * (2 if "sampled" in offer.name else 1)
            assert shots <= (offer.step if offer.most is None else offer.most).shots
        assert result.cost.shots <= (offer.run if offer.most is None else offer.most).shots


def test_a_budget_buys_the_steps_that_it_is_said_to():
    circuit, terms, theta = problem()
    prices = qngd.Prices(per_shot=0.001, per_task=1.5, currency="EUR")
    for limits in ({"money": 60}, {"shots": 30_000}, {"jobs": 4}, {"circuits": 700, "money": 100}):
        budget = qngd.Budget(**limits, prices=prices)
        price = qngd.cost(circuit, terms, theta, shots=40, budget=budget, final_shots=70)
        for offer in price.offers:
            if offer.affordable == 0:  # not even the start may fit
                continue
            result = qngd.minimize(
                circuit, terms, theta, seed=1, max_steps=99, tol=0, budget=budget, final_shots=70, **runs_of(offer.name)
            )
            assert result.status == "budget"
            if offer.most is not None:  # steps take what they gain by, or are rejected
                assert offer.affordable_at_most_shots <= result.steps
                assert offer.affordable_at_most_shots <= offer.affordable
            elif offer.name == "QN-SPSA":  # of which a blocked step alone takes all that it may
                assert offer.affordable <= result.steps
            else:
                assert result.steps == offer.affordable
    assert qngd.cost(circuit, terms, theta, shots=40).offers[0].affordable is None


@pytest.mark.parametrize("shots", ["auto", qngd.TargetError(0.05, limit=3000), qngd.AutoShots(total=20_000)])
def test_a_rule_for_shots_is_priced_from_its_first_step_to_the_most_it_may_take(shots):
    """Every run lies below; the dearest is told step by step."""
    circuit, terms, theta = problem()
    price = qngd.cost(circuit, terms, theta, shots=shots, steps=6)
    offer = price.offers[0]
    if isinstance(shots, qngd.AutoShots):
        assert offer.most is None
    elif shots == "auto":  # the first hundred steps take no more than the first
        assert offer.most == offer.run
        assert qngd.cost(circuit, terms, theta, shots=shots, steps=200).offers[0].most.shots > 201 * offer.start.shots
    else:
        assert offer.most.shots > offer.run.shots
        assert offer.most.circuits == offer.run.circuits
    device = Counting()
    result = qngd.minimize(circuit, terms, theta, backend=device, shots=shots, seed=1, max_steps=6, tol=0)
    assert asked(device, 0)[1] == offer.start.shots
    assert result.cost.shots <= (offer.run if offer.most is None else offer.most).shots
    if shots == "auto":
        circuits = offer.step.circuits
        assert offer.most.shots == circuits * 20 * 7


def test_a_step_is_planned_once_for_all_the_shots_that_it_is_priced_at(monkeypatch):
    """However many there are up to the limit of the rule."""
    circuit, terms, theta = problem()
    plan, planned = Planner.plan, []
    monkeypatch.setattr(Planner, "plan", lambda *args, **more: planned.append(more) or plan(*args, **more))
    counts = set()
    for limit in (30, 10_000):
        planned.clear()
        qngd.cost(circuit, terms, theta, shots=qngd.AutoShots(limit=limit))
        counts.add(len(planned))
    assert len(counts) == 1


def test_a_cvar_is_priced_with_the_circuits_of_its_distribution():
    """Whose shift rules count the frequencies of the distribution, not those of a mean."""
    circuit = qngd.CircuitBuilder(4)
    a = circuit.parameter("a")
    circuit.h(0).h(1).h(2).h(3).rzz(a, 0, 1).rzz(a, 1, 2).rzz(a, 2, 3).rx(0.4, 0).rx(0.5, 1).rx(0.6, 2).rx(0.7, 3)
    target = qngd.CVaR({"ZIII": 1.0, "IIZZ": 0.5}, 0.3)
    device = Counting()
    qngd.minimize(circuit, target, [0.3], backend=device, shots=50, seed=1, max_steps=1, tol=0)
    assert qngd.cost(circuit, target, [0.3], shots=50).step.circuits == asked(device, 0)[0]


def test_offers_for_people():
    circuit, terms, theta = problem()
    budget = qngd.Budget(seconds=3, prices=qngd.Prices(per_second=2.0, currency="EUR"))
    price = qngd.cost(circuit, terms, theta, backend=Compiler(), shots=100, steps=20, budget=budget)
    heads, *rows = price.table()
    assert heads == [
        "a step of",
        "jobs",
        "circuits",
        "shots",
        "device time",
        "money",
        "20 steps",
        "in money",
        "the budget buys",
    ]
    assert {len(row) for row in rows} == {len(heads)}
    first = price.offers[0]
    assert rows[0][3] == f"{first.step.shots:,}"
    assert rows[0][5] == f"{2 * first.step.seconds:.2f} EUR"
    assert rows[0][-1] == f"{first.affordable} steps"
    plain, *_ = qngd.cost(circuit, terms, theta, shots=100).table()
    assert plain == ["a step of", "jobs", "circuits", "shots", "100 steps"]


def test_steps_that_are_as_many_at_most_shots_are_told_once():
    circuit, terms, theta = problem()
    money = qngd.Prices(per_task=1.0)
    for left, bought in ((1.5, "0 steps"), (4.5, "3 steps")):
        price = qngd.cost(circuit, terms, theta, shots="auto", budget=qngd.Budget(money=left, prices=money))
        assert price.table()[1][-1] == bought
    price = qngd.cost(circuit, terms, theta, shots="auto", budget=qngd.Budget(shots=1_000_000))
    low, high = price.offers[0].affordable_at_most_shots, price.offers[0].affordable
    assert 0 < low < high
    assert price.table()[1][-1] == f"{low} to {high} steps"


def test_what_cannot_be_offered_says_why():
    model = qngd.CircuitBuilder(1)
    model.ry(model.parameter("a"), 0)
    objective = qngd.Objective(model, [{"Z": 1.0}], lambda out: (out**2).sum(), metric="gauss-newton")
    asked_for, *others = qngd.cost(objective, theta0=[0.3], shots=10, approx="block-diag").offers
    assert "gauss-newton" in others[-1].refused
    assert asked_for.name == "as asked"


def test_a_run_of_any_length_has_a_price():
    """Of a rule whose steps take more and more shots up to a limit."""
    few, one, two, many = (
        next(
            offer for offer in qngd.cost(toy.problem(), steps=steps, shots="auto").offers if offer.most is not None
        ).most
        for steps in (5, 1000, 1001, 10**40)
    )
    last = two.shots - one.shots
    assert few.shots < 5 * last
    assert many.shots == one.shots + last * (10**40 - 1000)
