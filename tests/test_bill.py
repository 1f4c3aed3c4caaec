"""What the preview says a run takes is what it then spends, or lies in the range that is said."""

import itertools

import numpy as np
import pytest

import qngd
from experiments.misreading import Misreading
from qngd.backends import Executor, PostSelected, ReadoutCorrected
from qngd.measured.outcomes import Means

CIRCUIT = qngd.CircuitBuilder(3)
A, B, C = CIRCUIT.parameters("a", "b", "c")
CIRCUIT = CIRCUIT.x(0).rxx(A, 0, 1).ryy(A, 0, 1).rz(C, 0).rxx(B, 1, 2).ryy(B, 1, 2).rzz(C, 1, 2)
TERMS = {"IIZ": 0.7, "ZIZ": -0.4, "XXI": 0.3, "YYI": 0.3, "III": 1.0}
THETA = [0.4, -0.7, 0.9]
SHOTS, STEPS = 30, 3
PRICES = qngd.Prices(per_shot=0.01, per_circuit=0.2, per_task=1.5, minimum=3.0, seconds_per_shot=0.001)
CVAR = qngd.CVaR({"IIZ": 0.7, "ZIZ": -0.4}, 0.5)


OUTPUTS = [{"IIZ": 1.0}, {"ZIZ": 1.0}]
DATA = {"data": [[0.3], [-0.8], [0.1], [1.2]], "inputs": ["c"]}


def squares(outputs):
    return np.sum(outputs**2)


def uniform(circuit, *, shots):
    """An executor's function: half of the shots are those of the gates that flip, where there are no others."""
    width, flips = circuit.num_clbits, sum(each.name == "x" for each in circuit.data)
    if set(circuit.count_ops()) <= {"x", "measure", "barrier"}:  # a calibration
        return {("1" if flips else "0") * width: shots}
    return {"0" * width: shots // 2, "1" * width: shots - shots // 2}


def lists(circuits: list, *, shots):
    return [uniform(each, shots=shots) for each in circuits]


def values(circuits: list, observables):
    return [[0.1] * len(each) for each in observables]


def aer():
    return "aer"


def selected():
    return PostSelected("statevector", particles="all")


SETTINGS = {
    "default": {},
    **{f"gradient {way}": {"gradient": way} for way in ("sampled", "spsa", qngd.gradients.ParameterShift("two-term"))},
    **{f"approx {name}": {"approx": name} for name in ("diag", "full", "qn-spsa", "random-basis", "hamiltonian")},
    "full by overlaps": {"approx": "full", "cross": "overlap"},
    **{f"grouping {name}": {"grouping": name} for name in ("commuting", "auto", qngd.RandomPaulis(bases=4))},
    "final_shots": {"final_shots": 50},
    "auto": {"shots": "auto"},
    "auto, final_shots": {"shots": qngd.AutoShots(2000), "final_shots": 70},
    "CVaR": {"observable": CVAR, "final_shots": 50},
    "constant": {"observable": {"III": 1.5}, "approx": "identity", "final_shots": 50},
    "constant, target": {"observable": {"III": 1.5}, "approx": "identity", "shots": qngd.TargetError(0.2)},
    "constant, one number a job": {"observable": {"III": 1.5}, "approx": "identity", "shots": "auto", "backend": aer},
    "loss": {"loss": qngd.Objective(CIRCUIT, OUTPUTS, squares)},
    "mini-batches": {"loss": qngd.Objective(CIRCUIT, OUTPUTS, squares, **DATA, batch_size=2), "final_shots": 50},
    "readout corrected": {"backend": lambda: ReadoutCorrected("statevector"), "final_shots": 50},
    "calibrated by 77 shots": {"backend": lambda: ReadoutCorrected("statevector", shots=77)},
    "corrected, auto": {"backend": lambda: ReadoutCorrected("statevector"), "shots": "auto"},
    "post-selected": {"backend": selected, "final_shots": 50},
    "corrected, then selected": {
        "backend": lambda: PostSelected(ReadoutCorrected("statevector", shots=77), particles="all"),
        "final_shots": 50,
    },
    "post-selected, auto": {"backend": selected, "shots": "auto"},
    "auto, gradient sampled": {"shots": "auto", "gradient": "sampled", "steps": 12},
    "auto, gradient spsa": {"shots": "auto", "gradient": "spsa", "steps": 12},
    "target, gradient sampled": {"shots": qngd.TargetError(0.2, limit=300), "gradient": "sampled"},
    "post-selected, auto from 5": {"backend": selected, "shots": qngd.AutoShots(first=5)},
    "function": {"backend": lambda: Executor(uniform, runs=3)},
    "function of lists": {"backend": lambda: Executor(lists, runs=2), "final_shots": 50},
    "function of lists, auto": {"backend": lambda: Executor(lists), "shots": "auto"},
    "function of values": {"backend": lambda: Executor(values, shots=SHOTS)},
    "corrected function": {"backend": lambda: ReadoutCorrected(Executor(lists, runs=2), shots=40)},
}


def offer_and_bill(
    approx="block-diag", gradient="shift", observable=TERMS, loss=None, backend=None, steps=STEPS, **how
):
    if backend is not None:
        pytest.importorskip("qiskit")
    how = {"shots": SHOTS, **how, "backend": "statevector" if backend is None else backend()}
    given = (CIRCUIT, observable, THETA)
    if loss is not None:
        given = (loss, None, THETA if loss.data is None else THETA[:2])
    budget = qngd.Budget(prices=PRICES)
    price = qngd.cost(*given, approx=approx, gradient=gradient, steps=steps, budget=budget, **how)
    optimizer = qngd.QNG(approx=approx, gradient=gradient)
    result = qngd.minimize(*given, optimizer=optimizer, max_steps=steps, tol=0, seed=2, budget=budget, **how)
    return price.offers[0], result


UNITS = ("jobs", "circuits", "shots", "seconds", "money")


@pytest.mark.parametrize("name", SETTINGS)
def test_a_run_costs_what_was_said(name):
    offer, result = offer_and_bill(**SETTINGS[name])
    assert result.steps == SETTINGS[name].get("steps", STEPS)
    for unit in UNITS:
        spent, said = getattr(result.cost, unit), getattr(offer.run, unit)
        if offer.most is None:
            assert spent == pytest.approx(said, rel=1e-9), unit
        else:
            least = (offer.start + offer.end) if unit in ("shots", "seconds", "money") else offer.run
            assert getattr(least, unit) <= spent * (1 + 1e-9), unit
            assert spent <= getattr(offer.most, unit) * (1 + 1e-9), unit


@pytest.mark.parametrize("size", [1, 2, 3])
def test_unequal_mini_batches_take_no_more_than_was_said(size):
    """Batches that differ by one sample, of samples whose circuits differ: an angle of 0 leaves a gate out."""
    data = np.array([[0.0], [0.4], [0.0], [-0.7], [1.1]])
    loss = qngd.Objective(CIRCUIT, OUTPUTS, squares, data=data, inputs=["c"], batch_size=size)
    offer, result = offer_and_bill(loss=loss, steps=6, final_shots=40)
    for unit in UNITS:
        assert getattr(result.cost, unit) <= getattr(offer.run, unit) * (1 + 1e-9), unit


def test_a_step_on_a_mini_batch_begins_only_where_all_of_it_fits():
    """Whatever the limit, none is paid for in part: a step also measures the batch that the one before ended on."""
    loss = qngd.Objective(CIRCUIT, OUTPUTS, squares, **DATA, batch_size=2)
    how = {"theta0": THETA[:2], "shots": SHOTS, "seed": 1, "tol": 0}
    how["optimizer"] = qngd.QNG(step=qngd.step.ConjugateDirections())
    start = qngd.minimize(loss, max_steps=0, **how).cost
    for limit in range(start.circuits, 3 * start.circuits, 2):
        ended = qngd.minimize(loss, budget=qngd.Budget(circuits=limit), **how)
        assert (ended.status, ended.cost) == ("budget", sum((info.step_cost for info in ended.infos), start))


RULES = {
    "auto": "auto",
    "auto from 200": qngd.AutoShots(first=200),
    "auto in all": qngd.AutoShots(3000),
    "target": qngd.TargetError(0.2, limit=2000),
}
UNEQUAL = {"ZZI": 1.0, "IXY": -0.5, "XIX": 0.02, "IZI": 0.3, "YYX": 0.2}
MENUS = {
    "nothing": qngd.Prices(seconds_per_shot=0.001),
    "a task a circuit": qngd.Prices(per_circuit=0.3, per_shot=0.0009, seconds_per_shot=0.001),
    "circuits alone": qngd.Prices(per_circuit=1.0, seconds_per_shot=0.001),
    "seconds": qngd.Prices(per_second=1.6, seconds_per_shot=0.001, seconds_per_circuit=0.02),
    "jobs": qngd.Prices(per_task=0.3, per_shot=0.00145, minimum=0.5, seconds_per_shot=0.001),
    "seconds of jobs": qngd.Prices(per_second=1.6, seconds_per_shot=0.001, seconds_per_task=2.0),
}


@pytest.mark.parametrize(
    ("rule", "menu"),
    [*(("auto", menu) for menu in MENUS), *itertools.product(list(RULES)[1:], ("a task a circuit", "jobs"))],
)
def test_circuits_that_run_again_are_in_what_a_run_takes_at_most(rule, menu):
    """Where a job has one number of shots, counted by what Aer is given, nine circuits a job. Under a limit of shots
    the division looks at them alone, whatever a circuit costs."""
    devices = pytest.importorskip("tests.qiskit_devices")
    limits, steps = {"shots": 10**9} if menu == "a task a circuit" else {}, 2
    budget, native = qngd.Budget(**limits, prices=MENUS[menu]), devices.Counting()
    how = {"backend": qngd.backends.resolve(native, limits=qngd.backends.Limits(circuits=9)), "shots": RULES[rule]}
    offer = qngd.cost(CIRCUIT, UNEQUAL, THETA, steps=steps, budget=budget, **how).offers[0]
    result = qngd.minimize(CIRCUIT, UNEQUAL, THETA, max_steps=steps, tol=0, seed=1, budget=budget, **how)
    given = [(len(run["circuits"]), run["shots"]) for run in native.runs]
    counted = [len(given), sum(circuits for circuits, _ in given), sum(circuits * shots for circuits, shots in given)]
    assert counted == [result.cost.jobs, result.cost.circuits, result.cost.shots]
    for unit in UNITS:
        if (spent := getattr(result.cost, unit)) is not None:
            assert spent <= getattr(offer.most, unit) * (1 + 1e-9), unit
    if rule == "auto in all":
        assert offer.most.shots <= 1.03 * 3000 * (steps + 1)


def test_restarts_cost_as_many_runs():
    how = {"shots": SHOTS, "backend": "statevector", "final_shots": 50}
    one, three = (qngd.cost(CIRCUIT, TERMS, THETA, steps=STEPS, restarts=k, **how) for k in (1, 3))
    optimizer = qngd.QNG(approx="block-diag")
    result = qngd.minimize(
        CIRCUIT, TERMS, THETA, restarts=3, optimizer=optimizer, max_steps=STEPS, tol=0, seed=1, **how
    )
    assert three.offers[0].run == result.cost == one.offers[0].run * 3
    assert three.run == one.run * 3 == three.offers[0].run
    assert one.run == result.restarts[0].cost
    assert f"3 starts of {STEPS} steps" in str(three)
    assert str(three.step) == str(one.step)


@pytest.mark.parametrize("shots", [SHOTS, "auto"])
def test_starts_have_the_steps_that_a_budget_buys_each(shots):
    """As many as are said, and never more than it grants."""
    how = {"shots": shots, "backend": "statevector", "budget": qngd.Budget(circuits=900)}
    offer = qngd.cost(CIRCUIT, TERMS, THETA, restarts=3, **how).offers[0]
    alone = qngd.cost(CIRCUIT, TERMS, THETA, **how).offers[0]
    assert 1 <= offer.affordable < alone.affordable / 2
    optimizer = qngd.QNG(approx="block-diag")
    result = qngd.minimize(CIRCUIT, TERMS, THETA, restarts=3, optimizer=optimizer, tol=0, seed=1, **how)
    steps = [len(each.history) - 1 for each in result.restarts]
    assert len(steps) == 3
    assert steps[0] == min(steps) == offer.affordable
    assert result.cost.circuits <= 900


def test_a_submission_goes_whole_to_a_function_and_a_correction():
    """Each circuit is run once, whatever `runs` says of what that takes, and so are the two of the calibration."""
    pytest.importorskip("qiskit")
    calls = []

    def told(circuit, *, shots):
        calls.append(shots)
        return uniform(circuit, shots=shots)

    def many(circuits: list, *, shots):
        return [told(each, shots=shots) for each in circuits]

    for backend in (Executor(told, runs=3), Executor(many, runs=3), Executor(told), Executor(many)):
        calls.clear()
        price = qngd.cost(CIRCUIT, TERMS, THETA, backend=backend, shots=30, approx="diag")
        qngd.expectation(CIRCUIT, TERMS, THETA, backend=backend, shots=30)
        assert calls == [30] * price.energy_circuits
        calls.clear()
        qngd.expectation(CIRCUIT, TERMS, THETA, backend=ReadoutCorrected(backend, shots=90), shots=30)
        assert sorted(calls) == [30] * price.energy_circuits + [90] * 2


class Stopped:
    """Ctrl-C in the middle of the second submission, once."""

    def __init__(self, before):
        self.left = before

    def __call__(self):
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


def function_of(stop, **given):
    def told(circuit, *, shots):
        stop()
        return uniform(circuit, shots=shots)

    return Executor(told, **given)


def device_of(stop):
    """A device of the user's own, which is not this process."""

    class Away(Misreading):
        def collect(self, handle):
            stop()
            return super().collect(handle)

    return Away(np.zeros((2, 3)))


AWAY = {  # the calls of the first submission, and a few more; then the backend
    "readout corrected": (0, lambda stop: ReadoutCorrected(device_of(stop), shots=77)),
    "function": (3, lambda stop: function_of(stop, runs=3)),
    "corrected function": (5, lambda stop: ReadoutCorrected(function_of(stop, runs=3), shots=40)),
    "device": (0, device_of),
}


@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize("name", AWAY)
def test_a_submission_that_breaks_off_costs_all_that_it_asked_for(name, kept, tmp_path):
    """The circuits of its calibration too, and all runs of each; and it is paid for again when the run goes on."""
    if "function" in name:
        pytest.importorskip("qiskit")
    more, make = AWAY[name]
    how = {"shots": SHOTS, "optimizer": qngd.QNG(approx="block-diag"), "max_steps": STEPS, "tol": 0, "seed": 2}
    own = qngd.cost(CIRCUIT, TERMS, THETA, backend=make(Stopped(0)), shots=SHOTS, steps=STEPS)
    calls = own.step.circuits // 3 if "function" in name else 1
    backend = make(Stopped(calls + more + 1 if more else 2))
    directory = tmp_path / "run" if kept else None
    broken = qngd.minimize(CIRCUIT, TERMS, THETA, backend=backend, run_dir=directory, **how)
    assert (broken.status, broken.steps) == ("interrupted", 0)
    one = own.step
    assert (broken.cost.circuits, broken.cost.shots) == (2 * one.circuits, 2 * one.shots)
    if kept:
        assert qngd.load(directory).cost == broken.cost
        with pytest.warns(qngd.QngdWarning, match="counts as paid"):
            result = qngd.minimize(CIRCUIT, TERMS, THETA, backend=backend, run_dir=directory, **how)
        whole = own.offers[0].run
        assert (result.cost.circuits, result.cost.shots) == (
            whole.circuits + one.circuits,
            whole.shots + one.shots,
        )


class Turning(Misreading):
    """A device that from its second submission on reads each bit at random, its calibrations too, and so is of no use
    to any correction."""

    is_local = False

    def __init__(self):
        super().__init__(np.zeros((2, 3)))
        self.taken = np.zeros(3, dtype=int)

    def submit(self, templates, requests, seed):
        if self.asked:
            self.rates[:] = 0.5
        self.taken += (1, len(requests), sum(request.shots for request in requests))
        return super().submit(templates, requests, seed)


def of_circuits_and_values():
    """A device whose second answer holds expectation values, where a correction needs counts."""
    found = Turning()
    counts = found.collect

    def collect(handle):
        if len(found.asked) == 1:
            return counts(handle)
        _, templates, requests = handle
        strings = [
            (len(templates[request.template].strings), templates[request.template].pairs) for request in requests
        ]
        sizes = [count * (count + 1) // 2 if pairs else count for count, pairs in strings]
        return [Means(np.zeros(size), np.zeros(size), 7) for size in sizes]

    found.collect = collect
    return found


@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize(
    ("make", "around", "says"),
    [
        (Turning, ReadoutCorrected, "cannot be undone"),
        (Turning, lambda device: PostSelected(device, particles="all"), "none of the 1 shots"),
        (of_circuits_and_values, ReadoutCorrected, "counts"),
    ],
)
def test_circuits_that_ran_are_paid_for_whatever_a_correction_finds(make, around, says, kept, tmp_path):
    """The submission ran, though its outcomes are of no use."""
    device = make()
    optimizer = qngd.QNG(gradient="shift", approx="block-diag")
    shots = 1 if "none" in says else SHOTS
    result = qngd.minimize(
        CIRCUIT, TERMS, THETA, backend=around(device), shots=shots, seed=1, max_steps=3, tol=0, optimizer=optimizer,
        run_dir=tmp_path if kept else None,
    )  # fmt: skip
    assert (result.status, result.steps) == ("failed", 0)
    assert says in result.message
    assert device.taken[0] == 2
    assert (result.cost.jobs, result.cost.circuits, result.cost.shots) == tuple(device.taken)


@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize("answer", [lambda found: found[:-1], lambda found: None, lambda found: 7])
def test_scripts_that_ran_are_paid_for_whatever_comes_back(answer, kept, tmp_path):
    """Of a device of PennyLane's."""
    devices = pytest.importorskip("tests.pennylane_devices")

    class Turned(devices.FakeQPU):
        def execute(self, circuits, execution_config=None):
            found = super().execute(circuits, execution_config)
            return found if len(self.batches) == 1 else answer(found)

    device = Turned(wires=3)
    result = qngd.minimize(
        CIRCUIT, TERMS, THETA, backend=device, shots=SHOTS, seed=1, max_steps=3, tol=0, optimizer=qngd.QNG(0.1),
        run_dir=tmp_path if kept else None,
    )  # fmt: skip
    assert (result.status, result.steps, len(device.batches)) == ("failed", 0, 2)
    scripts = [script for batch in device.batches for script in batch]
    shots = sum(script.shots.total_shots for script in scripts)
    assert (result.cost.jobs, result.cost.circuits, result.cost.shots) == (2, len(scripts), shots)


@pytest.mark.parametrize("timeout", [None, 60.0])
@pytest.mark.parametrize("around", [lambda device: device, ReadoutCorrected])
def test_scripts_whose_answer_was_lost_count_before_they_run_again(around, timeout):
    """On a device of PennyLane's, which has no ids and no tags; with a timeout another thread runs them."""
    devices = pytest.importorskip("tests.pennylane_devices")
    from qngd.backends.pennylane.backend import PennyLaneBackend
    from qngd.backends.retry import Retry

    class Losing(devices.FakeQPU):
        def __init__(self, *lost):
            super().__init__(wires=3, answer=self.told)
            self.lost = lost

        def told(self, script):
            flips = sum(each.name == "PauliX" for each in script.operations)
            wires = len(script.measurements[0].wires)
            ones = flips == wires and len(script.operations) == flips  # a calibration
            return {("1" if ones else "0") * wires: script.shots.total_shots}

        def execute(self, circuits, execution_config=None):
            found = super().execute(circuits, execution_config)
            if len(self.batches) in self.lost:
                raise ConnectionError("reset")
            return found

        @property
        def taken(self):
            scripts = [script for batch in self.batches for script in batch]
            return len(self.batches), len(scripts), sum(script.shots.total_shots for script in scripts)

    def run(device, most=None, **limits):
        backend = around(PennyLaneBackend(device, Retry(3, (0.0,), timeout=timeout), most))
        result = qngd.minimize(
            CIRCUIT, TERMS, THETA, backend=backend, shots=SHOTS, seed=1, max_steps=2, tol=0, optimizer=qngd.QNG(0.1),
            budget=qngd.Budget(**limits, prices=PRICES),
        )  # fmt: skip
        assert (result.cost.jobs, result.cost.circuits, result.cost.shots) == device.taken
        return result

    plain = run(Losing())
    with pytest.warns(qngd.QngdWarning, match="the answer to a job was lost"):
        lost = run(Losing(2, 3))
    with pytest.warns(qngd.QngdWarning, match="the answer to a job was lost"):
        run(Losing(2, 6), qngd.backends.Limits(circuits=5))  # several jobs for a step
    assert (lost.status, lost.cost.jobs) == ("max_steps", plain.cost.jobs + 2)
    each = plain.infos[0].step_cost
    assert lost.cost.money == pytest.approx(plain.cost.money + 2 * each.money)
    assert lost.cost.seconds == pytest.approx(plain.cost.seconds + 2 * each.seconds)
    ended = run(Losing(3), circuits=plain.cost.circuits)  # no room for the last once more
    assert (ended.status, ended.steps) == ("budget", 1)
