"""docs/sweeps.md does what it says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from qngd.sweeps.summary import summarized
from tests.pages import shown


def test_the_page_about_sweeps(tmp_path: Path):
    page = shown("sweeps.md")
    rows = page.compared(str(tmp_path), workers=0)
    assert len(rows) == 12
    points = {(point["settings"]["field"], point["settings"]["optimizer"]): point for point in summarized(rows)}
    for field in ("0.5", "1.0"):
        assert points[field, "qng"]["energy"][1] < points[field, "adam"]["energy"][1]
    first = tmp_path / rows[0]["run_dir"]
    assert (first / "done.json").exists()
    assert (first / "run").is_dir()


def test_a_step_spread_over_a_cluster():
    distributed = pytest.importorskip("distributed")
    page = shown("sweeps.md")
    options = {"n_workers": 1, "threads_per_worker": 1, "processes": False, "dashboard_address": None}
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster) as client:
        runs = [page.spread(client) for _ in range(2)]
    assert np.array_equal(runs[0].history, runs[1].history)
    assert runs[0].energy < runs[0].history[0]
