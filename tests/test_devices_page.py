"""docs/devices.md does what it says."""

import pytest

import qngd
from tests.pages import shown


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:.*local testing mode")
def test_the_page_about_devices(tmp_path, monkeypatch):
    pytest.importorskip("qiskit_ibm_runtime.executor_estimator")
    monkeypatch.chdir(tmp_path)
    page = shown("devices.md")
    exact = qngd.expectation(page.circuit, page.observable, page.theta0).value
    assert page.there.value == pytest.approx(exact, abs=0.25 + 5 * page.there.stderr)
    assert page.result.steps == 5
    assert page.result.energy < page.result.history[0]
    assert page.mitigated.history[0] == pytest.approx(exact, abs=0.25)
    assert qngd.load("results/run").steps == page.mitigated.steps == page.limited.steps == 1
    assert page.backend.name == "fake_manila"
