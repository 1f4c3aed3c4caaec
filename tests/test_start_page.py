"""docs/starts.md does what it says."""

import numpy as np

import qngd
from tests.pages import shown


def test_the_page_about_starts():
    page = shown("starts.md")
    sides = np.arange(2**5)
    largest = int(np.max(sum((sides >> i ^ sides >> j) & 1 for i, j in page.edges)))
    assert largest == 5
    assert -largest <= page.result.energy < -0.95 * largest
    assert page.start.shape == (6,)
    assert len(page.best.restarts) == 4
    assert page.gammas.shape == page.betas.shape == (3,)
    assert page.anywhere.shape == (4,)
    assert max(np.abs(part).max() for part in page.small) < 0.2
    assert qngd.expectation(page.node, None, (page.gammas, page.betas)).value < page.found.energy + 0.5
