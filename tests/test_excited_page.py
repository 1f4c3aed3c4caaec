"""docs/excited.md does what it says."""

import pytest

from tests.pages import shown


def test_the_page_about_excited_states():
    page = shown("excited.md")
    assert [state.energy for state in page.states] == pytest.approx([-1.85727503, -1.24458455, -0.88272215], abs=1e-7)
    first, second = page.measured
    assert first.energy < second.energy
    assert 0 < second.stderr < 0.05
    assert 0 <= second.overlaps[0] <= 1
    assert second.overlaps_stderr[0] > 0
