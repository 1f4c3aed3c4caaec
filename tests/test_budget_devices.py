"""Budgets on Qiskit's devices: jobs that limits force, times of the target, and what providers report."""

import dataclasses

import numpy as np
import pytest

import qngd
from qngd.backends import Limits, resolve
from tests.qiskit_devices import Counting, Unreliable

CIRCUIT = qngd.CircuitBuilder(2)
A, B = CIRCUIT.parameters("a", "b")
CIRCUIT.ry(A, 0).cx(0, 1).rz(2 * B, 1).rx(B, 0)
TERMS = {"ZZ": 1.0, "XI": 0.5, "IY": -0.25}
THETA = [0.3, -0.7]
PRICES = qngd.Prices(per_shot=0.001, per_circuit=0.02, per_task=0.5, minimum=1.0, seconds_per_shot=1e-3)


def minimize(backend, **how):
    settings = {"optimizer": qngd.QNG(0.1), "shots": 20, "seed": 1, "max_steps": 3, "tol": 0, **how}
    return qngd.minimize(CIRCUIT, TERMS, THETA, backend=backend, **settings)


def counted(native):
    """Jobs, circuits, shots and money of all that a device was asked to run."""
    sizes = [(len(run["circuits"]), run["shots"]) for run in native.runs]
    money = sum(max(1.0, 0.5 + 0.02 * c + 0.001 * c * shots) for c, shots in sizes)
    circuits, shots = sum(c for c, _ in sizes), sum(c * shots for c, shots in sizes)
    return {"jobs": len(sizes), "circuits": circuits, "shots": shots, "money": money, "seconds": 1e-3 * shots}


@pytest.mark.parametrize("unit", ["jobs", "circuits", "shots", "money", "seconds"])
def test_jobs_of_few_circuits_hold_a_budget(unit):
    """By what Aer was given to run, with shots that differ from circuit to circuit."""
    shots = qngd.AutoShots(400)
    native = Counting()
    whole = minimize(resolve(native, limits=Limits(circuits=5)), shots=shots, budget=qngd.Budget(prices=PRICES))
    for name, count in counted(native).items():
        assert getattr(whole.cost, name) == pytest.approx(count), name
    for share in (0.4, 0.77):
        native, limit = Counting(), share * getattr(whole.cost, unit)
        limit = int(limit) if unit in ("jobs", "circuits", "shots") else limit
        budget = qngd.Budget(**{unit: limit}, prices=PRICES)
        result = minimize(resolve(native, limits=Limits(circuits=5)), shots=shots, budget=budget)
        assert result.status == "budget"
        assert counted(native)[unit] == pytest.approx(getattr(result.cost, unit))
        assert counted(native)[unit] <= limit * (1 + 1e-8)


class Billing(Unreliable):
    """Aer whose jobs report so many seconds a shot; None reports nothing, 0 is what IBM says as long as it counts."""

    def __init__(self, reported):
        super().__init__()
        self.reported = reported

    def run(self, circuits, **options):
        job = super().run(circuits, **options)
        if self.reported is not None:
            seconds = self.reported * len(circuits) * options["shots"]
            job.usage = lambda: seconds
        return job


@pytest.mark.parametrize(("reported", "used"), [(None, 1e-3), (0, 1e-3), (4e-3, 4e-3), (np.nan, 1e-3)], ids=str)
def test_reported_seconds_take_the_place_of_estimated_ones(reported, used):
    budget = qngd.Budget(prices=PRICES)
    result = minimize(Billing(reported), budget=budget)
    assert result.cost.seconds == pytest.approx(used * result.cost.shots)
    assert result.cost.usage.ratio == pytest.approx(used / 1e-3)
    limit = 0.5 * result.cost.seconds
    limited = minimize(Billing(reported), budget=qngd.Budget(seconds=limit, prices=PRICES))
    assert limited.cost.seconds <= limit
    assert limited.status == "budget"


def test_seconds_are_the_times_of_the_target():
    """Of a fake device: from the circuit's start to the end of its readout, and the delay between shots."""
    pytest.importorskip("qiskit_ibm_runtime")
    price = qngd.cost(CIRCUIT, TERMS, THETA, backend="fake_manila", shots=100)
    result = minimize("fake_manila", shots=100, max_steps=1, budget=qngd.Budget(prices=qngd.Prices(per_second=2.0)))
    assert result.cost.seconds == pytest.approx(2 * price.seconds, rel=1e-12)
    assert result.cost.money == pytest.approx(2 * result.cost.seconds)
    assert price.step.seconds == price.seconds > 100 * price.step.circuits * 250e-6  # its delay
    limited = minimize("fake_manila", shots=100, budget=qngd.Budget(seconds=1.5 * price.seconds))
    assert (limited.steps, limited.status) == (0, "budget")
    assert "device time where" in limited.message


def test_lightning_counts_its_jobs():
    qml = pytest.importorskip("pennylane")
    device = resolve(qml.device("lightning.qubit", wires=2), limits=Limits(circuits=5, shots=15))
    result = minimize(device, max_steps=1, budget=qngd.Budget(prices=PRICES))
    assert result.cost.jobs > 2
    assert result.cost.money >= 1.0 * result.cost.jobs
    by_hand = 0.5 * result.cost.jobs + 0.02 * result.cost.circuits + 0.001 * result.cost.shots
    assert result.cost.money == pytest.approx(max(by_hand, result.cost.jobs))
    assert (
        dataclasses.replace(result.cost, money=0.0) == result.cost
    )  # what follows from the others does not tell apart
