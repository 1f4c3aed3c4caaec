"""What the preview says a run takes is what it then spends, or lies in the range that is said."""

import numpy as np
import pytest

import qngd
from qngd.backends import Executor, PostSelected, ReadoutCorrected

CIRCUIT = qngd.CircuitBuilder(3)
A, B, C = CIRCUIT.parameters("a", "b", "c")
CIRCUIT = CIRCUIT.x(0).rxx(A, 0, 1).ryy(A, 0, 1).rz(C, 0).rxx(B, 1, 2).ryy(B, 1, 2).rzz(C, 1, 2)
TERMS = {"IIZ": 0.7, "ZIZ": -0.4, "XXI": 0.3, "YYI": 0.3, "III": 1.0}
THETA = [0.4, -0.7, 0.9]
SHOTS, STEPS = 30, 3
PRICES = qngd.Prices(per_shot=0.01, per_circuit=0.2, per_task=1.5, minimum=3.0, seconds_per_shot=0.001)
CVAR = qngd.CVaR({"IIZ": 0.7, "ZIZ": -0.4}, 0.5)


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
    "loss": {"loss": True},
    "readout corrected": {"backend": lambda: ReadoutCorrected("statevector"), "final_shots": 50},
    "calibrated by 77 shots": {"backend": lambda: ReadoutCorrected("statevector", shots=77)},
    "corrected, auto": {"backend": lambda: ReadoutCorrected("statevector"), "shots": "auto"},
    "post-selected": {"backend": selected, "final_shots": 50},
    "function": {"backend": lambda: Executor(uniform, runs=3)},
    "function of lists": {"backend": lambda: Executor(lists, runs=2), "final_shots": 50},
    "function of lists, auto": {"backend": lambda: Executor(lists), "shots": "auto"},
    "function of values": {"backend": lambda: Executor(values, shots=SHOTS)},
    "corrected function": {"backend": lambda: ReadoutCorrected(Executor(lists, runs=2), shots=40)},
}


def offer_and_bill(approx="block-diag", gradient="shift", observable=TERMS, loss=False, backend=None, **how):
    if backend is not None:
        pytest.importorskip("qiskit")
    how = {"shots": SHOTS, **how, "backend": "statevector" if backend is None else backend()}
    given = (CIRCUIT, observable, THETA)
    if loss:
        objective = qngd.Objective(CIRCUIT, [{"IIZ": 1.0}, {"ZIZ": 1.0}], lambda o: np.sum(o**2))
        given = (objective, None, THETA)
    budget = qngd.Budget(prices=PRICES)
    price = qngd.cost(*given, approx=approx, gradient=gradient, steps=STEPS, budget=budget, **how)
    optimizer = qngd.QNG(approx=approx, gradient=gradient)
    result = qngd.minimize(*given, optimizer=optimizer, max_steps=STEPS, tol=0, seed=2, budget=budget, **how)
    return price.offers[0], result


UNITS = ("jobs", "circuits", "shots", "seconds", "money")


@pytest.mark.parametrize("name", SETTINGS)
def test_a_run_costs_what_was_said(name):
    offer, result = offer_and_bill(**SETTINGS[name])
    assert result.steps == STEPS
    for unit in UNITS:
        spent, said = getattr(result.cost, unit), getattr(offer.run, unit)
        if offer.most is None:
            assert spent == pytest.approx(said, rel=1e-9), unit
        else:
            least = (offer.start + offer.end) if unit in ("shots", "seconds", "money") else offer.run
            assert getattr(least, unit) <= spent * (1 + 1e-9), unit
            assert spent <= getattr(offer.most, unit) * (1 + 1e-9), unit


def test_restarts_cost_as_many_runs():
    how = {"shots": SHOTS, "backend": "statevector", "final_shots": 50}
    offer = qngd.cost(CIRCUIT, TERMS, THETA, steps=STEPS, **how).offers[0]
    optimizer = qngd.QNG(approx="block-diag")
    result = qngd.minimize(
        CIRCUIT, TERMS, THETA, restarts=3, optimizer=optimizer, max_steps=STEPS, tol=0, seed=1, **how
    )
    assert (result.cost.circuits, result.cost.shots) == (3 * offer.run.circuits, 3 * offer.run.shots)


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
