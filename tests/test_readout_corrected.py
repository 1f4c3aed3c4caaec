"""Readout errors undone: against a device that misreads at known rates, and exact values."""

import numpy as np
import pytest

import qngd
from qngd.backends import ReadoutCorrected
from tests.lab import Service
from tests.noisy_backends import Misreading
from tests.own_backends import ExactDevice
from tests.pages import shown

RATES = [[0.02, 0.10, 0.05, 0.0], [0.08, 0.03, 0.12, 0.0]]
ENERGY = {"ZZI": 1.0, "IZI": -0.4, "XIY": 0.5, "IYX": -0.25, "ZIZ": 0.3}
START = [0.3, -0.7, 0.4]


def circuit():
    made = qngd.CircuitBuilder(3)
    a, b, c = made.parameters("a", "b", "c")
    return made.ry(a, 0).cx(0, 1).rz(2 * b, 1).rx(b, 2).ryy(c, 1, 2)


def corrected(**given):
    return ReadoutCorrected(Misreading(RATES), **given)


def test_energies_gradients_and_metrics_are_those_without_readout_errors():
    shots = 20_000
    for function in (qngd.expectation, qngd.gradient):
        exact = function(circuit(), ENERGY, START).value
        plain = function(circuit(), ENERGY, START, backend=Misreading(RATES), shots=shots, seed=3)
        found = function(circuit(), ENERGY, START, backend=corrected(), shots=shots, seed=3)
        assert np.abs(plain.value - exact).max() > 5 * np.max(plain.stderr)
        assert np.all(np.abs(found.value - exact) < 4.5 * np.asarray(found.stderr))
    exact = np.asarray(qngd.metric_tensor(circuit(), START, approx="full"))
    plain = qngd.metric_tensor(circuit(), START, approx="full", backend=Misreading(RATES), shots=shots, seed=4)
    found = qngd.metric_tensor(circuit(), START, approx="full", backend=corrected(), shots=shots, seed=4)
    assert np.abs(plain.raw - exact).max() > 0.03
    assert np.abs(found.raw - exact).max() < 0.02


@pytest.mark.parametrize(("shots", "calibration"), [(300, 300), (1000, 100)])
def test_standard_errors_are_right(shots, calibration):
    """To 10 %, over repetitions; also where most of the error is that of the calibration."""
    small = qngd.CircuitBuilder(2)
    a, b = small.parameters("a", "b")
    small.ry(a, 0).cx(0, 1).ry(b, 1)
    theta, energy = [0.8, 0.5], {"ZZ": 1.0, "IZ": 0.6, "ZI": -0.3}
    backend, repetitions = corrected(shots=calibration), 400
    for function, seed in ((qngd.expectation, 0), (qngd.gradient, 10_000)):
        exact = function(small, energy, theta).value
        found = [
            function(small, energy, theta, backend=backend, shots=shots, seed=seed + k) for k in range(repetitions)
        ]
        values = np.array([np.atleast_1d(each.value) for each in found])
        told = np.sqrt(np.mean([np.atleast_1d(each.stderr) ** 2 for each in found], axis=0))
        assert np.all(np.abs(values.mean(axis=0) - exact) < 4 * told / np.sqrt(repetitions) + 0.002)
        assert np.allclose(values.std(axis=0), told, rtol=0.1)


def test_two_circuits_more_in_the_same_submission():
    lab = Misreading(RATES)
    plain = qngd.cost(circuit(), ENERGY, START, backend=lab, shots=500).step
    price = qngd.cost(circuit(), ENERGY, START, backend=ReadoutCorrected(lab, shots=2000), shots=500).step
    assert (price.jobs, price.circuits, price.shots) == (1, plain.circuits + 2, plain.shots + 4000)
    lab.asked.clear()
    result = qngd.minimize(
        circuit(), ENERGY, START, backend=ReadoutCorrected(lab, shots=2000), shots=500, seed=1, max_steps=2, tol=0
    )
    assert len(lab.asked) == result.cost.jobs
    assert result.cost.shots == sum(request.shots for _, requests in lab.asked for request in requests)
    for templates, requests in lab.asked:
        zeros, ones = (templates[request.template] for request in requests[-2:])
        assert (len(zeros.all_ops), len(ones.all_ops)) == (0, len(ones.measured))
        assert not any(templates[request.template].is_pinned for request in requests[:-2])


def test_what_cannot_be_corrected_is_refused():
    with pytest.raises(qngd.BackendError, match=r"qubit 1 reads 1 of \|0⟩"):
        qngd.expectation(
            circuit(),
            ENERGY,
            START,
            backend=ReadoutCorrected(Misreading([[0, 0.5, 0], [0, 0.45, 0]])),
            shots=2000,
            seed=0,
        )
    with pytest.raises(qngd.BackendError, match="needs counts"):
        qngd.expectation(circuit(), ENERGY, START, backend=ReadoutCorrected(ExactDevice("means")), shots=10)
    with pytest.raises(qngd.BackendError, match="two corrections"):
        ReadoutCorrected(corrected())
    with pytest.raises(qngd.BackendError, match="number of shots"):
        qngd.expectation(circuit(), ENERGY, START, backend=corrected())
    with pytest.raises(qngd.BackendError, match="midway"):
        qngd.metric_tensor(circuit(), START, approx="full", backend=corrected(), shots=10, cross="mid-circuit")
    with pytest.raises(qngd.SettingError, match="shots"):
        corrected(shots=0)


def test_an_interrupted_submission_is_found_again(tmp_path):
    """Its two circuits are in the job that was under way."""
    lab = shown("howto/add-a-backend.md").PatientLab

    def run(service, **given):
        backend = ReadoutCorrected(lab(service))
        return qngd.minimize(circuit(), ENERGY, START, backend=backend, shots=300, seed=2, max_steps=3, tol=0, **given)

    expected = run(Service())
    service = Service()
    service.trouble = [None, None, KeyboardInterrupt()]
    assert run(service, run_dir=tmp_path).status == "interrupted"
    assert len(service.jobs) == 3
    result = run(service, run_dir=tmp_path)
    assert len(service.jobs) == 4
    assert np.array_equal(result.theta, expected.theta)
