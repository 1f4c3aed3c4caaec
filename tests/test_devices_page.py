"""docs/devices.md and the pages that it leads to do what they say."""

import numpy as np
import pytest

import qngd
from tests.pages import shown


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    pytest.importorskip("qiskit_ibm_runtime")
    monkeypatch.chdir(tmp_path)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:.*local testing mode")
def test_the_page_about_devices():
    pytest.importorskip("qiskit_ibm_runtime.executor_estimator")
    page = shown("devices.md")
    exact = qngd.expectation(page.circuit, page.observable, page.theta0).value
    assert page.result.steps == 5
    assert page.result.energy < page.result.history[0]
    assert page.mitigated.history[0] == pytest.approx(exact, abs=0.25)
    assert qngd.load("results/run").steps == page.mitigated.steps == 1


def test_qubits_and_gates():
    page = shown("howto/choose-qubits.md")
    exact = qngd.expectation(page.circuit, page.observable, page.theta0).value
    for found in (page.here, page.there):
        assert found.value == pytest.approx(exact, abs=0.25 + 5 * found.stderr)


def test_limits_of_jobs():
    page = shown("howto/keep-to-job-limits.md")
    assert qngd.expectation(*page.given, backend=page.backend, shots=10).shots > 0
    assert qngd.cost(*page.given, backend="fake_manila", shots=1000).step.jobs == 1


def test_a_job_found_again():
    page = shown("howto/find-a-job-again.md")
    run = qngd.load("results/found-again")
    assert run.steps == 2
    whole = qngd.minimize(
        page.circuit, {"ZZ": 1.0, "IX": 0.4}, run.thetas[0], backend=page.device, shots=500, seed=1, max_steps=2
    )
    assert np.array_equal(whole.history, run.history)


def test_shots_that_are_chosen():
    page = shown("howto/choose-shots.md")
    assert page.as_needed.cost.shots <= 50_000
    exact = qngd.expectation(*page.given).value
    assert page.found.value == pytest.approx(exact, abs=5 * page.found.stderr)
