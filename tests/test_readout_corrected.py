"""Readout errors undone: against a device that misreads at known rates, and exact values."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom

import qngd
from experiments.misreading import Misreading
from qngd.backends import PostSelected, ReadoutCorrected
from qngd.backends.readout import EVERYTHING, Misread, calibration
from qngd.backends.tallies import joined
from qngd.circuit.observable import Observable
from qngd.evaluators.choice import evaluator_for
from qngd.evaluators.setup import Setup
from qngd.measured.outcomes import Counts, Means
from qngd.metrics.names import as_metric
from qngd.run.directory.encoding import outcomes_to, packed, unpacked
from tests.lab import Service
from tests.own_backends import ExactDevice
from tests.pages import shown
from tests.three_angles import START, circuit

RATES = [[0.02, 0.10, 0.05, 0.0], [0.08, 0.03, 0.12, 0.0]]
ENERGY = {"ZZI": 1.0, "IZI": -0.4, "XIY": 0.5, "IYX": -0.25, "ZIZ": 0.3}


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
    assert np.any(np.abs(plain.raw - exact) > 5 * np.asarray(plain.stderr) + 0.01)
    assert np.all(np.abs(found.raw - exact) < 4 * np.asarray(found.stderr) + 0.001)


@pytest.mark.parametrize(("shots", "calibration"), [(300, 300), (1000, 100)])
def test_standard_errors_are_right(shots, calibration):
    """To 10 %, over repetitions; also where most of the error is that of the calibration."""
    small = qngd.CircuitBuilder(2)
    a, b = small.parameters("a", "b")
    small.ry(a, 0).cx(0, 1).ry(b, 1)
    theta, energy, repetitions = np.array([0.8, 0.5]), {"ZZ": 1.0, "IZ": 0.6, "ZI": -0.3}, 400
    evaluator = evaluator_for(
        qngd.wrap(small), Observable.from_mapping(energy), Setup(corrected(shots=calibration), shots)
    )
    answers = [evaluator.evaluate(theta, gradient=True, metric=None, seed=seed) for seed in range(repetitions)]
    for function, found in (
        (qngd.expectation, [each.energy for each in answers]),
        (qngd.gradient, [each.gradient for each in answers]),
    ):
        exact = function(small, energy, theta).value
        values = np.array([np.atleast_1d(each.value) for each in found])
        told = np.sqrt(np.mean([np.atleast_1d(each.stderr) ** 2 for each in found], axis=0))
        assert np.all(np.abs(values.mean(axis=0) - exact) < 4 * told / np.sqrt(repetitions) + 0.002)
        assert np.allclose(values.std(axis=0), told, rtol=0.1)


def misread_by(zeros, ones, shots):
    """What the two circuits say where so many of the shots are wrong."""
    counts = [
        Counts(np.array([[right], [1 - right]], dtype=np.uint64), np.array([shots - wrong, wrong]))
        for right, wrong in ((0, zeros), (1, ones))
    ]
    return Misread.of((0,), *counts, "lab")


@pytest.mark.parametrize("angle", [0.8, 2.0])
def test_what_bias_is_left_falls_as_the_square_of_the_calibrations_shots(angle):
    """Over all that the two circuits can give, with the counts that the device gives on average. By the rates alone, as
    if they were not estimated, the bias would fall as 1/N."""
    rates, biases, uncorrected = (0.15, 0.25), [], []
    one = np.sin(angle / 2) ** 2
    seen = one * (1 - rates[1]) + (1 - one) * rates[0]
    outcome = Counts(np.array([[0], [1]], dtype=np.uint64), np.array([1 - seen, seen]) * 10**9)
    template = calibration((0,), False)
    for shots in (60, 120):
        chances = [binom.pmf(np.arange(shots + 1), shots, rate) for rate in rates]
        mean = plain = 0.0
        for zeros, ones in np.argwhere(np.multiply.outer(*chances) > 1e-10):
            misread = misread_by(zeros, ones, shots)
            found = misread.corrected(outcome, template.measured, (0,), template, EVERYTHING)
            weight = chances[0][zeros] * chances[1][ones]
            mean += weight * found.values[0]
            plain += weight * (1 - 2 * seen + (zeros - ones) / shots) / (1 - (zeros + ones) / shots)
        biases.append(abs(mean - np.cos(angle)))
        uncorrected.append(abs(plain - np.cos(angle)))
    assert uncorrected[0] / uncorrected[1] == pytest.approx(2, rel=0.1)
    assert biases[0] / biases[1] > 3.5
    assert biases[0] < 0.1 * uncorrected[0]


def test_errors_of_a_metric_are_right():
    """Of strings that share qubits, whose values and products err together."""
    made = qngd.CircuitBuilder(3)
    a, b = made.parameters("a", "b")
    made.ry(0.7, 0).ry(-0.5, 1).rx(0.9, 2).rzz(a, 0, 1).rzz(a, 1, 2).rz(b, 0).rx(b, 0)
    theta, repetitions = np.array([0.8, 0.5]), 400
    for approx in ("block-diag", "diag"):
        exact = np.asarray(qngd.metric_tensor(made, theta, approx=approx))
        evaluator = evaluator_for(qngd.wrap(made), None, Setup(corrected(shots=300), 300))
        found = [evaluator.metric(theta, as_metric(approx), seed) for seed in range(repetitions)]
        values, told = np.array([each.raw for each in found]), np.array([each.raw_stderr for each in found])
        moves = values.std(axis=0) > 1e-12
        told = np.sqrt(np.mean(told**2, axis=0))[moves]
        assert moves.sum() >= 2
        assert np.allclose(values.std(axis=0)[moves], told, rtol=0.1)
        assert np.all(np.abs(values.mean(axis=0) - exact)[moves] < 4 * told / np.sqrt(repetitions))


def test_parts_that_are_joined_keep_what_errs_together():
    """Each part has rates of its own, and its outcomes share no errors with others."""
    template = calibration((0, 1), False)
    rng = np.random.default_rng(3)
    parts = []
    for shots in (100, 300):  # two strings and their product
        own, shared = rng.normal(size=(5, 3)), rng.normal(size=(4, 3))
        stderr = np.sqrt((own**2).sum(axis=0) + (shared**2).sum(axis=0))
        parts.append(Means(rng.normal(size=3), stderr, shots, own[:, :2].T @ own[:, :2], shared, own))
    found = joined(parts, template)
    weights = [0.25, 0.75]
    expected = sum(w**2 * (p.joint.T @ p.joint + p.shared.T @ p.shared) for w, p in zip(weights, parts, strict=True))
    assert np.allclose(found.covariance, expected[:2, :2])
    assert np.allclose(found.joint.T @ found.joint, expected)
    assert np.allclose(found.stderr**2, np.diag(expected))
    assert found.shared is None


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
    with pytest.raises(qngd.BackendError, match=r"twice; write qngd.backends.ReadoutCorrected\(misreading lab, …\)"):
        ReadoutCorrected(corrected())
    with pytest.raises(qngd.BackendError, match="number of shots"):
        qngd.expectation(circuit(), ENERGY, START, backend=corrected())
    with pytest.raises(qngd.BackendError, match="midway"):
        qngd.metric_tensor(circuit(), START, approx="full", backend=corrected(), shots=10, cross="mid-circuit")
    with pytest.raises(qngd.SettingError, match="shots"):
        corrected(shots=0)


def hopping():
    made = qngd.CircuitBuilder(3)
    a, b, c = made.parameters("a", "b", "c")
    return made.x(0).rxx(a, 0, 1).ryy(a, 0, 1).rzz(c, 0, 2).rxx(b, 1, 2).ryy(b, 1, 2)


@pytest.mark.parametrize("is_selected", [False, True])
def test_an_interrupted_submission_is_found_again(is_selected, tmp_path):
    """Its two circuits are in the job that was under way."""
    lab = shown("howto/add-a-backend.md").PatientLab

    def run(service, **given):
        backend, made = ReadoutCorrected(lab(service)), circuit()
        if is_selected:
            backend, made = PostSelected(backend, particles="all"), hopping()
        return qngd.minimize(made, ENERGY, START, backend=backend, shots=300, seed=2, max_steps=3, tol=0, **given)

    expected = run(Service())
    service = Service()
    service.trouble = [None, None, KeyboardInterrupt()]
    assert run(service, run_dir=tmp_path).status == "interrupted"
    assert len(service.jobs) == 3
    result = run(service, run_dir=tmp_path)
    assert len(service.jobs) == 4
    assert np.array_equal(result.theta, expected.theta)
    assert result.cost == expected.cost


@pytest.mark.parametrize("is_of_before", [False, True])
def test_outcomes_of_an_interrupted_run_are_of_use(is_of_before, tmp_path, monkeypatch):
    """Those of a version that did not say what shared errors do to products are corrected anew, from the same job."""
    lab = shown("howto/add-a-backend.md").PatientLab

    def run(service, **given):
        how = {"shots": 300, "seed": 2, "max_steps": 2, "tol": 0, **given}
        return qngd.minimize(circuit(), ENERGY, START, backend=ReadoutCorrected(lab(service)), **how)

    def of_before(outcomes):
        old = []
        for outcome in outcomes:
            shared, joint = outcome.shared[:, : len(outcome.covariance)], outcome.joint
            joint = None if joint is None else np.vstack([joint, outcome.shared])
            old.append(replace(outcome, shared=shared, joint=joint))
        archive = unpacked(outcomes_to(old))
        del archive["format"]
        return packed(archive)

    def stopped(*given):
        raise KeyboardInterrupt

    expected, service = run(Service()), Service()
    run(service, run_dir=tmp_path, max_steps=1)
    with monkeypatch.context() as patch:
        patch.setattr("qngd.evaluators.submission.put_together", stopped)
        if is_of_before:
            patch.setattr("qngd.run.directory.jobs.outcomes_to", of_before)
        assert run(service, run_dir=tmp_path).status == "interrupted"
    waited = []
    monkeypatch.setattr(service, "wait", lambda job: waited.append(job) or Service.wait(service, job))
    result = run(service, run_dir=tmp_path)
    assert len(service.jobs) == 3
    assert waited == (["job-2"] if is_of_before else [])
    assert np.array_equal(result.theta, expected.theta)
    assert result.cost == expected.cost
