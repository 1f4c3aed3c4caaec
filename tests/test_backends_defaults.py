"""Shots and precision that a user has set in a device or primitive count where none are given, on every way in."""

import warnings

import numpy as np
import pennylane as qml
import pytest
from qiskit.primitives import BackendEstimatorV2, BackendSamplerV2, StatevectorEstimator, StatevectorSampler
from qiskit_aer import AerSimulator
from qiskit_aer.primitives import EstimatorV2, SamplerV2
from qiskit_ibm_runtime import EstimatorV2 as OldEstimator
from qiskit_ibm_runtime import SamplerV2 as OldSampler
from qiskit_ibm_runtime import fake_provider

import qngd
from qngd.backends import resolve
from qngd.errors import BackendError, SettingError
from tests.own_backends import Own
from tests.qiskit_devices import SERIAL, Counting, new_estimator, new_sampler
from tests.strategies import ansatz

# Aer reads it of IBM's fake devices; PennyLane warns of shots of a device.
pytestmark = [
    pytest.mark.filterwarnings("ignore:max_circuits is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Setting shots on device is deprecated"),
]
CIRCUIT, THETA, TERMS = ansatz(2, 1), np.array([0.3, -0.6, 0.9, 0.2]), {"ZZ": 1.0, "XI": 0.5}


def with_options(native, **options):
    for name, value in options.items():
        setattr(native.options, name, value)
    return native


def old(primitive, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return primitive(mode=fake_provider.FakeManilaV2(), options=options)


def own():
    backend = Own()
    backend.default_shots = 60
    return backend


def set_to(shots):
    device = AerSimulator(**SERIAL)
    device.set_options(shots=shots)
    return device


DEVICES = {
    "AerSimulator(shots=…)": (lambda: AerSimulator(shots=60, **SERIAL), 60),
    "set_options": (lambda: set_to(60), 60),
    "Aer as it comes": (lambda: AerSimulator(**SERIAL), 1024),
    "Aer's sampler": (lambda: SamplerV2(default_shots=60, options={"backend_options": SERIAL}), 60),
    "StatevectorSampler": (lambda: StatevectorSampler(default_shots=60), 60),
    "BackendSamplerV2": (lambda: BackendSamplerV2(backend=AerSimulator(**SERIAL), options={"default_shots": 60}), 60),
    "a PennyLane device": (lambda: qml.device("default.qubit", wires=2, shots=60), 60),
    "a backend of one's own": (own, 60),
}
ESTIMATORS = {
    "StatevectorEstimator": (lambda: StatevectorEstimator(default_precision=0.1), 100),
    "Aer's estimator": (lambda: EstimatorV2(options={"backend_options": SERIAL, "default_precision": 0.1}), 100),
    "BackendEstimatorV2": (
        lambda: BackendEstimatorV2(backend=AerSimulator(**SERIAL), options={"default_precision": 0.125}), 64,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("make", "shots"), (DEVICES | ESTIMATORS).values(), ids=DEVICES | ESTIMATORS)
def test_they_count_on_every_way_in(make, shots):
    given = {"backend": make()}
    energy = qngd.expectation(CIRCUIT, TERMS, THETA, **given)
    slope = qngd.gradient(CIRCUIT, TERMS, THETA, **given)
    metric = qngd.metric_tensor(CIRCUIT, THETA, **given)
    assert (energy.shots, slope.shots, metric.shots) == (2 * shots, 8 * shots, 2 * shots)
    assert energy.stderr > 0
    result = qngd.minimize(CIRCUIT, TERMS, THETA, max_steps=0, **given)
    price = qngd.cost(CIRCUIT, TERMS, THETA, **given)
    assert result.cost.shots == price.step.shots == 10 * shots
    if make in [make for make, _ in DEVICES.values()]:
        assert sum(qngd.sample(CIRCUIT, THETA, **given).values()) == shots


@pytest.mark.parametrize(("make", "shots"), (DEVICES | ESTIMATORS).values(), ids=DEVICES | ESTIMATORS)
def test_shots_that_are_given_come_first(make, shots):
    assert qngd.expectation(CIRCUIT, TERMS, THETA, backend=make(), shots=30).shots == 2 * 30 != 2 * shots


def test_the_device_is_asked_for_them():
    device = Counting(shots=33)
    qngd.expectation(CIRCUIT, TERMS, THETA, backend=device)
    device.set_options(shots=44)
    qngd.sample(CIRCUIT, THETA, backend=device)
    assert [run["shots"] for run in device.runs] == [33, 44]


@pytest.mark.parametrize("make", [StatevectorEstimator, lambda: EstimatorV2(options={"backend_options": SERIAL})])
def test_a_precision_of_zero_asks_for_exact_values(make):
    assert resolve(make()).default_shots is None
    assert qngd.expectation(CIRCUIT, TERMS, THETA, backend=make()).is_exact


IBM = {
    "Sampler": (lambda: with_options(new_sampler(fake_provider.FakeManilaV2()), default_shots=64), 64),
    "Sampler as it comes": (lambda: new_sampler(fake_provider.FakeManilaV2()), 4096),
    "Estimator": (lambda: with_options(new_estimator(fake_provider.FakeManilaV2()), default_precision=0.1), 100),
    "Estimator, shots": (lambda: with_options(new_estimator(fake_provider.FakeManilaV2()), default_shots=64), 64),
    "Estimator as it comes": (lambda: new_estimator(fake_provider.FakeManilaV2()), 4096),
    "SamplerV2": (lambda: old(OldSampler, default_shots=64), 64),
    "SamplerV2 as it comes": (lambda: old(OldSampler), 4096),
    "EstimatorV2": (lambda: old(OldEstimator, default_precision=0.1), 100),
    "EstimatorV2, shots": (lambda: old(OldEstimator, default_shots=64), 64),
    "EstimatorV2 as it comes": (lambda: old(OldEstimator), 4096),
}


@pytest.mark.parametrize(("make", "shots"), IBM.values(), ids=IBM)
def test_ibms_options(make, shots):
    assert resolve(make()).default_shots == shots


@pytest.mark.parametrize("precision", [1 / np.sqrt(n) for n in (1, 7, 1000, 4096, 123_457)])
def test_a_precision_is_its_number_of_shots(precision):
    shots = resolve(StatevectorEstimator(default_precision=float(precision))).default_shots
    assert shots == round(1 / precision**2)


def test_without_shots_anywhere_a_sample_says_what_to_write():
    for given in ({}, {"backend": "statevector"}, {"backend": "lightning.qubit"}):
        with pytest.raises(SettingError, match="shots: a sample needs a number of shots"):
            qngd.sample(CIRCUIT, THETA, **given)
    with pytest.raises(BackendError, match="not samples"):
        qngd.sample(CIRCUIT, THETA, backend=StatevectorEstimator(default_precision=0.1))
