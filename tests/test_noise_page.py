"""docs/noise.md does what it says."""

import numpy as np
import pytest
import qiskit_aer  # noqa: F401 (the page needs it)
import qiskit_ibm_runtime  # noqa: F401

import qngd
from tests.pages import shown


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_page_about_noise():
    page = shown("noise.md")
    exact = qngd.expectation(page.circuit, page.energy, page.theta).value
    for found in (page.corrected, page.selected):
        assert abs(found.value - exact) < abs(page.plain.value - exact) + 3 * page.plain.stderr
    assert page.averaged.value.shape == (3,)
    assert np.all(np.asarray(page.averaged.stderr) > 0)
    assert page.price.step.shots == 1000 * page.price.step.circuits
    assert page.price.step.circuits % 2 == 0
