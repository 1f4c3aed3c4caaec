"""docs/noise.md does what it says."""

import pytest
import qiskit_aer  # noqa: F401 (the page needs it)
import qiskit_ibm_runtime  # noqa: F401

import qngd
from tests.pages import shown


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_page_about_noise():
    page = shown("noise.md")
    exact = qngd.expectation(page.circuit, page.energy, page.theta).value
    for found in (page.corrected, page.selected, page.plain, page.averaged, page.placed):
        assert 0 < found.stderr < 0.1
        assert abs(found.value - exact) < 0.15 + 5 * found.stderr
    assert page.selected.shots < page.plain.shots
    assert abs(page.found.value - exact) < 0.1 + 4 * page.found.stderr
    assert page.found.shots < page.corrected.shots
    assert page.price.step.shots == 1000 * page.price.step.circuits
    assert page.price.step.circuits % 2 == 0
