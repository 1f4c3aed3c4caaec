"""docs/gradients.md does what it says."""

import re

import numpy as np

import qngd
from tests.pages import DOCS, shown


def test_the_page_about_gradients():
    page = shown("gradients.md")
    text = (DOCS / "gradients.md").read_text(encoding="utf-8")
    assert page.sampled.shots == 7 * 400  # with the circuit of the energy
    exact = qngd.gradient(page.circuit, page.cut, page.theta).value
    for found in (page.sampled, page.directions):
        assert np.all(np.abs(found.value - exact) < 6 * found.stderr)
    assert page.run.steps == 5
    names = {"shift", "sampled", "spsa", "qubit-wise", "commuting", "auto", "shadows"}
    assert names <= set(re.findall(r'^\| `"([a-z-]+)"`', text, re.M))
