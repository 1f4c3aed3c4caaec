"""The site: its pages' code runs, its reference names everything public, and its tools are declared."""

from __future__ import annotations

import re

import numpy as np
import pytest

import qngd
from tests.pages import DOCS, shown, text_of


def test_first_run_gives_the_same_from_every_package():
    pytest.importorskip("qiskit")
    pytest.importorskip("pennylane")
    page = shown("start/first-run.md")
    found = [page.from_qiskit, page.from_pennylane, page.from_openqasm, page.from_builder]
    energies = [result.energy for result in found]
    assert max(energies) - min(energies) < 1e-7
    assert page.sampled.cost.shots > 0
    assert page.g.value.shape == (2, 2)


def test_front_page_runs():
    assert shown("index.md").result.status == "converged"


def test_readme_gives_the_same_from_every_way(tmp_path, monkeypatch):
    """Its two circuits, the second one with shots too, reach what they can."""
    pytest.importorskip("qiskit_aer")
    pytest.importorskip("pennylane")
    monkeypatch.chdir(tmp_path)
    lowest = -np.hypot(1.0, 0.25)
    first, node, sampled = (shown("README.md", range(count)).result for count in (2, 3, 4))
    assert first.energy == pytest.approx(lowest, abs=1e-7)
    assert node.energy == pytest.approx(-1.0, abs=1e-6)
    assert sampled.energy == pytest.approx(lowest, abs=0.02 + 5 * sampled.stderr)
    assert qngd.load("results/my-run").steps == sampled.steps


def test_the_pages_about_the_solver():
    shown("solver.md")
    assert set(shown("step-rules.md").steps) == {"FixedRate", "TrustRegion", "ConjugateDirections", "Adaptive"}
    rules = {name for name in qngd.step.__all__ if name[0].isupper()} - OF_THE_HOUSE
    assert not [name for name in rules if f"`{name}`" not in text_of("step-rules.md")]
    dampings = [name for name, kind in vars(qngd.damping).items() if is_a_damping(kind)]
    assert not [name for name in dampings if f"`{name}" not in text_of("solver.md")]


OF_THE_HOUSE = {"Memory", "MetricAge", "Proposal", "StepRule", "Trial"}  # what rules are made of


def is_a_damping(kind):
    return isinstance(kind, type) and issubclass(kind, qngd.damping.Damping) and kind is not qngd.damping.Damping


def test_a_run_goes_on():
    page = shown("howto/go-on.md")
    assert (page.result.status, page.result.steps) == ("failed", 1)
    assert list(page.resumed.history) == list(page.whole.history) == [*page.first.history, *page.rest.history[1:]]
    assert page.first.cost.shots < page.rest.cost.shots == page.whole.cost.shots


def test_the_page_about_units():
    page = shown("reference/units.md")
    assert page.other.energy == pytest.approx(1000 * page.one.energy + 7)


def test_other_packages_do_the_same():
    pytest.importorskip("qiskit")
    pytest.importorskip("pennylane")
    page = shown("reference/migration.md")
    assert page.ours.theta == pytest.approx(page.theirs, abs=1e-6)
    assert page.evolved.energy == pytest.approx(-2.0099750987, abs=1e-6)  # exact imaginary time τ = 5


def test_reference_has_every_public_name():
    shown_there = re.findall(r"^\.\. auto(?:function|class):: (\w+)$", (DOCS / "reference/api.md").read_text(), re.M)
    assert sorted(shown_there) == sorted(qngd.__all__)


def anchors(page):
    """Of the headings of a page, as GitHub and MyST make them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_links_lead_somewhere():
    pages = [page for page in DOCS.rglob("*.md") if "_build" not in page.parts]
    lost = []
    for page in [*pages, DOCS.parent / "README.md", DOCS.parent / "CONTRIBUTING.md"]:
        for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
            file, _, anchor = link.partition("#")
            there = page.parent / file if file else page
            if "://" in link or (there.suffix == ".md" and there.exists() and (not anchor or anchor in anchors(there))):
                continue
            if there.suffix == ".md" or not there.exists():
                lost.append(f"{page.name}: {link}")
    assert not lost
