"""Steps do not depend on the unit of energy, nor on where its zero is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import qngd
from qngd.circuit.observable import Observable
from qngd.damping import NoiseBound, SignalToNoise
from qngd.step import AlignedMomentum, Armijo, ConjugateDirections, CurvatureRate, QuasiNewton, TrustRegion

COUPLED = {"ZZI": 1.0, "IZZ": 1.1, "XII": 0.74, "IXI": 0.67, "IIX": 0.6, "IYZ": 0.3}
DIAGONAL = {"ZZI": 1.0, "IZZ": 1.1, "ZII": 0.74, "IZI": -0.67, "IIZ": 0.6}


def few_gates() -> qngd.CircuitBuilder:
    """A parameter a gate, asymmetric."""
    circuit = qngd.CircuitBuilder(3)
    angles = iter(circuit.parameters(*(f"t{i}" for i in range(8))))
    for qubit in range(3):
        circuit = circuit.ry(next(angles), qubit).rz(next(angles), qubit)
    return circuit.cx(0, 1).cx(1, 2).rx(next(angles), 0).ry(next(angles), 2)


def many_gates() -> qngd.CircuitBuilder:
    """Five gates a parameter, as in QAOA."""
    circuit = qngd.CircuitBuilder(3)
    angles = iter(circuit.parameters("a", "b", "c", "d"))
    for qubit in range(3):
        circuit = circuit.h(qubit)
    for _ in range(2):
        cost, mixer = next(angles), next(angles)
        circuit = circuit.rzz(cost, 0, 1).rzz(1.1 * cost, 1, 2)
        for qubit in range(3):
            circuit = circuit.rx(2 * mixer, qubit).rz((0.3 + 0.2 * qubit) * cost, qubit)
    return circuit


CIRCUITS = {"few gates": few_gates(), "many gates": many_gates()}


def in_unit(terms: dict[str, float], unit: float, zero: float) -> dict[str, float]:
    return {label: unit * value for label, value in terms.items()} | {"III": zero * unit}


def path(circuit: Any, observable: Any, **settings: Any) -> np.ndarray:
    """θ after every step, (steps, P)."""
    size = qngd.wrap(circuit).num_parameters
    start = np.random.default_rng(5).uniform(-1.5, 1.5, size)
    result = qngd.minimize(circuit, observable, start, seed=3, tol=0, max_steps=4, **settings)
    return np.array([info.theta for info in result.infos])


@pytest.mark.parametrize("shots", [None, 100, "auto"])
@pytest.mark.parametrize("circuit", CIRCUITS.values(), ids=CIRCUITS)
@pytest.mark.parametrize("share", [None, 0.8])
def test_the_default_takes_the_same_steps_in_every_unit(circuit, share, shots):
    def asked(unit: float, zero: float) -> Any:
        terms = in_unit(COUPLED if share is None else DIAGONAL, unit, zero)
        return terms if share is None else qngd.CVaR(terms, share)

    ours = path(circuit, asked(1.0, 0.0), shots=shots)
    assert np.abs(np.diff(ours, axis=0)).max() > 1e-3
    for unit, zero in ((1000.0, 0.0), (1e-3, 0.0), (1.0, 30.0)):
        assert path(circuit, asked(unit, zero), shots=shots) == pytest.approx(ours, abs=1e-7), (unit, zero)


OTHERS: dict[str, Any] = {
    "aligned": qngd.QNG(step=AlignedMomentum()),
    "armijo": qngd.QNG(step=Armijo()),
    "curvature": qngd.QNG(step=CurvatureRate()),
    "conjugate": qngd.QNG(step=ConjugateDirections()),
    "not blocked": qngd.QNG.qn_spsa(blocking=False),
    "quasi-newton": qngd.QNG(step=QuasiNewton(), approx="block-diag"),
    "trust region": qngd.QNG(step=TrustRegion(), damping=NoiseBound()),
    "filtered": qngd.QNG(damping=SignalToNoise()),
    "sampled": qngd.QNG(gradient="sampled"),
    "spsa gradient": qngd.QNG(gradient="spsa"),
    **{name: name for name in ("momentum-qng", "qn-spsa", "spsa", "adam", "rotosolve", "cobyla")},
}


@pytest.mark.parametrize("shots", [None, 100])
@pytest.mark.parametrize("optimizer", OTHERS.values(), ids=OTHERS)
def test_so_do_other_rules_that_are_given_no_rate(optimizer, shots):
    ours, other = (
        path(CIRCUITS["few gates"], in_unit(COUPLED, unit, 0.0), shots=shots, optimizer=optimizer)
        for unit in (1.0, 1000.0)
    )
    assert np.abs(ours[-1] - ours[0]).max() > 1e-3
    assert other == pytest.approx(ours, abs=1e-6)


@pytest.mark.parametrize("shots", [None, 100, "auto"])
@pytest.mark.parametrize("batch_size", [None, 2])
def test_and_so_do_losses(shots, batch_size):
    circuit = few_gates()
    data, targets = np.random.default_rng(2).uniform(-1, 1, (5, 2)), np.array([1, -1, 0.5, 1, -1])

    def along(unit: float, zero: float) -> np.ndarray:
        def loss(outputs: Any, targets: Any) -> Any:
            return unit * (np.mean((outputs[:, 0] - targets) ** 2 + 0.3 * outputs[:, 1]) + zero)

        observables = [{"ZZI": 1.0}, {"IIX": 2.0, "IYI": 0.5}]
        objective = qngd.Objective(
            circuit, observables, loss, data=data, targets=targets, inputs=["t0", "t3"], batch_size=batch_size
        )
        start = np.random.default_rng(5).uniform(-1.5, 1.5, 6)
        result = qngd.minimize(objective, theta0=start, seed=3, tol=0, max_steps=4, shots=shots)
        return np.array([info.theta for info in result.infos])

    ours = along(1.0, 0.0)
    assert np.abs(np.diff(ours, axis=0)).max() > 1e-3
    assert along(1000.0, 0.0) == pytest.approx(ours, abs=1e-7)
    assert along(1.0, 30.0) == pytest.approx(ours, abs=1e-7)


def test_a_rate_that_is_given_is_one_over_the_users_unit():
    for rate in (0.1, 0.02):
        for optimizer in (qngd.QNG(rate, damping=0.1), qngd.QNG(damping=0.1, step=CurvatureRate(initial=rate))):
            one, ten = (path(few_gates(), in_unit(COUPLED, unit, 0.0), optimizer=optimizer)[0] for unit in (1.0, 0.1))
            start = np.random.default_rng(5).uniform(-1.5, 1.5, 8)
            assert ten - start == pytest.approx(0.1 * (one - start), abs=1e-9)


def test_the_scale_of_an_observable_is_the_deviation_of_its_eigenvalues():
    letters = {
        "I": np.eye(2), "X": np.array([[0, 1], [1, 0]]), "Y": np.array([[0, -1j], [1j, 0]]), "Z": np.diag([1, -1])
    }  # fmt: skip
    whole = np.zeros((8, 8), dtype=complex)
    for label, value in (COUPLED | {"III": 7.0}).items():
        product = np.eye(1)
        for letter in label:
            product = np.kron(product, letters[letter])
        whole += value * product
    found = Observable.from_mapping(COUPLED | {"III": 7.0}).deviation
    assert found == pytest.approx(np.linalg.eigvalsh(whole).std())
    assert Observable.from_mapping({"III": 7.0}).deviation == 0
