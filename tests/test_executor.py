"""Functions that run circuits as backends: against statevectors, and with a stand-in for mitiq's classes."""

import warnings

import numpy as np
import pytest
from qiskit.quantum_info import Statevector

import qngd
from qngd.backends import Executor, resolve
from tests.three_angles import ENERGY, START, circuit


def values(circuit, observables):
    state = Statevector(circuit)
    return [float(np.real(state.expectation_value(each))) for each in observables]


def counts(circuit, *, shots):
    """As many of every outcome as expected, up to rounding."""
    bare = circuit.remove_final_measurements(inplace=False)
    qubits = [circuit.find_bit(each.qubits[0]).index for each in circuit.data if each.name == "measure"]
    chances = Statevector(bare).probabilities_dict(qubits)
    return {bits: round(chance * shots) for bits, chance in chances.items() if round(chance * shots)}


class MeasurementResult:
    """mitiq's: bits from left to right are of `qubit_indices`."""

    def __init__(self, found, qubit_indices=None):
        self.found = found
        self.qubit_indices = tuple(range(len(next(iter(found))))) if qubit_indices is None else qubit_indices

    def get_counts(self):
        return self.found


def mitiq_like(circuit):
    return MeasurementResult({bits[::-1]: n for bits, n in counts(circuit, shots=10**9).items()})


def by_index(circuit):
    """The same with the qubits' numbers, in another order."""
    measured = [circuit.find_bit(each.qubits[0]).index for each in circuit.data if each.name == "measure"]
    return MeasurementResult(counts(circuit, shots=10**9), tuple(measured[::-1]))


def many_counts(circuits) -> list[dict]:
    return [counts(each, shots=10**9) for each in circuits]


def many_values(circuits: list, observables, *, shots):
    return [(values(c, o), [1e-9] * len(o)) for c, o in zip(circuits, observables, strict=True)]


class MitiqExecutor:
    """mitiq's `Executor`: not callable, runs lists."""

    __module__ = "mitiq.executor.executor"

    def run(self, circuits, force_run_all=True, **kwargs):
        return [mitiq_like(each) for each in circuits]


KINDS = {
    "values": (values, {}),
    "counts": (counts, {"shots": 10**9}),
    "mitiq's counts": (Executor(mitiq_like, shots=10**9), {}),
    "mitiq's counts by index": (Executor(by_index, shots=10**9), {}),
    "lists of counts": (Executor(many_counts, shots=10**9), {}),
    "lists of values with errors": (many_values, {"shots": 10**9}),
    "mitiq's executor": (Executor(MitiqExecutor(), shots=10**9), {}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_an_executor_gives_is_that_of_the_statevector(kind):
    backend, given = KINDS[kind]
    for function in (qngd.expectation, qngd.gradient):
        exact = function(circuit(), ENERGY, START).value
        assert np.allclose(function(circuit(), ENERGY, START, backend=backend, **given).value, exact, atol=1e-7)
    for approx in ("block-diag", "full"):
        exact = np.asarray(qngd.metric_tensor(circuit(), START, approx=approx))
        found = qngd.metric_tensor(circuit(), START, approx=approx, backend=backend, **given)
        assert np.allclose(np.asarray(found), exact, atol=1e-6)


def test_errors_are_those_that_it_gives_or_of_the_shots():
    """Of one circuit: 0.75 by overhead 2.25 of 4 shots; of two values by the coefficients."""
    one = qngd.CircuitBuilder(1)
    one.ry(one.parameter("a"), 0)
    loose = Executor(values, shots=400, overhead=2.25)
    assert qngd.expectation(one, {"Z": 2.0}, [0.4], backend=loose).stderr == pytest.approx(2 * 1.5 / 20)
    told = Executor(lambda circuit, observables: (values(circuit, observables), [0.25]), shots=400)
    assert qngd.expectation(one, {"Z": 2.0}, [0.4], backend=told).stderr == pytest.approx(0.5)
    bare = Executor(lambda circuit, observables: complex(values(circuit, observables)[0]))
    assert qngd.expectation(one, {"Z": 2.0}, [0.4], backend=bare).value == pytest.approx(2 * np.cos(0.4))


@pytest.mark.parametrize("batched", [False, True])
def test_what_it_costs_is_multiplied_by_its_runs(batched):
    function = many_counts if batched else mitiq_like
    backend = Executor(function, shots=1000, runs=3)
    plain = qngd.cost(circuit(), ENERGY, START, backend=Executor(function, shots=1000)).step
    price = qngd.cost(
        circuit(), ENERGY, START, backend=backend, budget=qngd.Budget(prices=qngd.Prices(per_shot=0.01, per_task=1))
    )
    assert (price.step.circuits, price.step.shots) == (3 * plain.circuits, 3 * plain.shots)
    assert price.step.jobs == (1 if batched else 3 * plain.circuits)
    assert price.step.money == pytest.approx(0.01 * price.step.shots + price.step.jobs)


def test_a_budget_counts_every_run():
    def asked(circuit, *, shots):
        return counts(circuit, shots=shots)

    backend = Executor(asked, runs=3)
    result = qngd.minimize(circuit(), ENERGY, START, backend=backend, shots=100_000, max_steps=1, seed=1)
    assert result.cost.shots == 100_000 * result.cost.circuits
    assert result.cost.circuits % 3 == 0
    few = qngd.Budget(circuits=result.cost.circuits - 1)
    assert qngd.minimize(circuit(), ENERGY, START, backend=backend, shots=100_000, budget=few).status == "budget"


def test_a_run_descends():
    exact = qngd.minimize(circuit(), ENERGY, START)
    found = qngd.minimize(circuit(), ENERGY, START, backend=values, max_steps=15)
    assert found.energy - exact.energy < 1e-2


@pytest.mark.parametrize(
    ("function", "given", "words"),
    [
        (mitiq_like, {"shots": 100}, r"Executor\(function, shots=100\)"),
        (mitiq_like, {}, "their number is not known"),
        (counts, {}, "their number is not known"),
        (lambda circuit: {}, {"shots": 9}, r"def function\(circuit, …, \*, shots\)"),
        (lambda: 0, {}, "takes 0 arguments"),
        (lambda a, b, c: 0, {}, "takes 3 arguments"),
        (Executor(lambda circuit: 0.5, shots=10), {}, r"def function\(circuit, observables\)"),
        (Executor(lambda circuit: {"0": 3}, shots=3), {}, "of 1 bits"),
        (Executor(lambda circuit: [{}, {}], shots=3, batched=True), {}, "batched=False"),
        (lambda circuit, observables: {"00": 1}, {}, "takes the circuit alone"),
        (lambda circuit, observables: [0.1] * 9, {}, "expectation values of shape"),
        (lambda circuit, observables: [np.nan] * len(observables), {}, "nan among its expectation values"),
        (lambda circuit, observables: [7.0] * len(observables), {}, "between −1 and 1"),
        (lambda circuit, observables: 1 / 0, {}, "ZeroDivisionError"),
    ],
)
def test_what_is_no_executor_is_said(function, given, words):
    with pytest.raises(qngd.BackendError, match=words):
        qngd.expectation(circuit(), ENERGY, START, backend=function, **given)


@pytest.mark.parametrize(
    ("setting", "words"),
    [({"runs": 0}, "runs"), ({"overhead": 0}, "overhead"), ({"shots": 0.5}, "shots"), ({"batched": 1}, "batched")],
)
def test_settings_out_of_range(setting, words):
    with pytest.raises(qngd.SettingError, match=words):
        Executor(values, **setting)


def test_it_has_no_jobs_to_limit():
    with pytest.raises(qngd.BackendError, match="limits"):
        resolve(values, limits=qngd.backends.Limits(circuits=3))
    assert resolve(values).name == "values"


class Failing:
    """A function of yours that fails once, at its call number `at`, and one more that returns what it should not."""

    def __init__(self, at, returns=None):
        self.calls, self.at, self.returns = 0, at, returns

    def __call__(self, circuit, *, shots):
        self.calls += 1
        if self.calls == self.at:
            if self.returns is None:
                raise RuntimeError("no beam")
            return self.returns
        return counts(circuit, shots=shots)


@pytest.mark.parametrize(("runs", "returns"), [(2, None), (1, None), (2, "nothing"), (1, "nothing")])
@pytest.mark.parametrize("kept", [False, True])
def test_calls_that_a_failure_has_made_vain_are_paid(runs, returns, kept, tmp_path):
    """The second of a submission's calls fails, in the first step: the one before it was made."""
    how = {"shots": 100, "seed": 1, "max_steps": 1, "tol": 0}

    def run(function, run_dir=tmp_path if kept else None):
        return qngd.minimize(circuit(), ENERGY, START, backend=Executor(function, runs=runs), run_dir=run_dir, **how)

    device = Failing(10**9)
    whole = run(device, run_dir=None)
    in_step = device.calls // 2
    device = Failing(in_step + 2, returns)
    failed = run(device)
    assert failed.status == "failed"
    assert failed.cost.circuits >= runs * (device.calls - (returns is None))
    if kept:
        before = device.calls
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", qngd.QngdWarning)
            result = run(device)
        assert np.array_equal(result.history, whole.history)
        assert result.cost.circuits >= runs * (device.calls - (returns is None))
        if runs == 1 and returns is None:  # sent one by one: what came back is not sent again
            assert device.calls - before == in_step - 1
            assert result.cost == whole.cost


def test_a_function_that_fails_at_once_has_run_nothing(tmp_path):
    how = {"shots": 100, "seed": 1, "max_steps": 1, "tol": 0}
    device = Failing(1)
    with pytest.raises(qngd.BackendError, match="no beam"):
        qngd.minimize(circuit(), ENERGY, START, backend=Executor(device, runs=2), run_dir=tmp_path, **how)
    cost = qngd.minimize(circuit(), ENERGY, START, backend=Executor(device, runs=2), run_dir=tmp_path, **how).cost
    assert cost.circuits == 2 * (device.calls - 1)
