"""The page about runs: what its figures and tables say, that it stands alone, and how a browser shows it."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from matplotlib import rc_context
from matplotlib.figure import Figure

import qngd
from qngd.errors import SettingError
from qngd.report.catalogue import CATALOGUE
from qngd.report.drawing import png, svg
from qngd.report.groups import Group
from qngd.report.page import page, write_figures
from qngd.report.run_data import error_rows, of_result
from qngd.report.style import COLOURS
from tests.browser import CHROMIUM, seen
from tests.toy import problem

in_a_browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")


@pytest.fixture(scope="module")
def sampled():
    return qngd.minimize(problem(unit="hartree"), shots=200, seed=3, max_steps=6, tol=0)


@pytest.fixture(scope="module")
def exact():
    return qngd.minimize(problem(), max_steps=8, tol=0)


@pytest.fixture(scope="module")
def simplex():
    return qngd.minimize(problem(known=False), optimizer="nelder-mead", max_steps=4)


@pytest.fixture(scope="module")
def diagonal():
    toy = problem()
    return qngd.minimize(toy.circuit, {"ZZ": 1.0, "ZI": 0.3}, toy.theta0, shots=100, seed=1, max_steps=3, tol=0)


@pytest.fixture(scope="module")
def many_written(many):
    return page(many.runs)


@pytest.fixture(scope="module")
def many():
    """Three optimizers over five seeds."""
    toy = problem()
    return qngd.compare(
        {
            name: [qngd.minimize(toy, optimizer=name, shots=50, seed=s, max_steps=4, tol=0) for s in range(5)]
            for name in ("qng", "adam", "spsa")
        }
    )


class _Read(HTMLParser):
    """The parts of a page that must be right."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.titles: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "link", "br", "img"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] == ["title"]:
            self.titles.append(data)

    def all(self, name):
        return [attrs for tag, attrs in self.tags if tag == name]


@cache
def written(result):
    """The page about one result; each is made once."""
    return page([of_result(result)])


@pytest.mark.parametrize("name", ["sampled", "exact", "diagonal"])
def test_a_page_is_whole_and_stands_alone(name, request):
    text = written(request.getfixturevalue(name))
    read = _Read(text)
    assert read.open == []  # all that was opened was closed
    ids = [attrs["id"] for _, attrs in read.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:href="#|url\(#)([^")]+)', text)) <= set(ids)
    assert not read.all("script") + read.all("link") + read.all("iframe")
    outside = [value for _, attrs in read.tags for key, value in attrs.items() if key in ("src", "href", "xlink:href")]
    assert all(value.startswith(("#", "data:")) for value in outside)
    assert "@import" not in text
    assert not re.search(r"url\((?!#)", text)
    figures = read.all("svg")
    assert len(figures) == len(read.all("figure")) >= 8
    assert all(attrs["role"] == "img" and attrs["aria-labelledby"] in ids for attrs in figures)
    assert len(read.titles) == len(figures) + 1
    assert all(len(title.split()) >= 5 for title in read.titles[1:]), "a figure must say what it shows"


def test_names_are_text_whatever_they_hold(simplex):
    nasty = '<script>alert("$x$")</script> & more'
    data = of_result(simplex)
    named = replace(data, result={**data.result, "problem": {**data.result["problem"], "name": nasty}})
    text = page([named.labelled(nasty), data.labelled("b")])
    assert "<script" not in text
    assert "&lt;script&gt;" in text


def test_figures_say_what_the_numbers_say(sampled):
    data = of_result(sampled)
    known = {entry.key: entry.draw([Group("", (data,))]) for entry in CATALOGUE}
    (axes,) = known["energy"].figure.axes
    (bars,) = axes.containers
    line, _, (segments,) = bars
    np.testing.assert_array_equal(line.get_ydata(), sampled.history)
    middles = [np.ptp([end[1] for end in ends]) / 2 for ends in segments.get_segments()]
    np.testing.assert_allclose(middles, sampled.history_stderr)
    assert axes.get_ylabel() == "energy (hartree)"
    (axes,) = known["shots"].figure.axes
    shots = axes.containers[0][0].get_xdata()
    np.testing.assert_array_equal(shots[1:], [info.cost.shots for info in sampled.infos])
    assert shots[0] == sampled.infos[0].cost.shots - sampled.infos[0].step_cost.shots > 0
    (axes,) = known["gradient"].figure.axes
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), [info.gradient_norm for info in sampled.infos])
    assert axes.get_ylabel() == "gradient norm (hartree/rad)"
    np.testing.assert_array_equal(known["metric"].figure.axes[0].images[0].get_array(), sampled.state.evaluation.metric)
    assert f"{sampled.cost.shots:,} at the end" in known["cost"].text


def test_what_shots_were_for_adds_up(sampled, diagonal):
    for result in (sampled, diagonal):
        for info in result.infos:
            assert sum(info.shots_for.values()) == info.step_cost.shots
    # RY and CNOT: two energy circuits, two shifted angles of four parameters each, two layers of the metric
    assert sampled.infos[0].shots_for == {"energy": 400, "gradient": 2400, "metric": 400}
    assert qngd.minimize(problem(), optimizer="spsa", shots=10, seed=1, max_steps=1).infos[0].shots_for == {
        "energy": qngd.minimize(problem(), optimizer="spsa", shots=10, seed=1, max_steps=1).infos[0].step_cost.shots
    }


def test_nothing_is_drawn_where_nothing_was_measured(exact, simplex):
    """No empty frame: a sentence says why."""
    text = written(exact)
    assert "Gradients are exact: they have no statistical error." in text
    assert "No shots were taken: energies are exact." in text
    assert "the observable is not diagonal" in text
    text = written(simplex)
    for reason in (
        "No reference energy is known",
        "measured no gradient",
        "No metric was measured",
        "no learning rate",
    ):
        assert reason in text
    for key in ("rate", "metric", "distance", "strings"):
        with pytest.raises(SettingError, match="nothing to draw"):
            simplex.plot(key)
    assert len(simplex.plot().axes) == 1, "neither a reference nor a gradient is known"
    assert len(simplex.plot("energy").axes) == 1
    with pytest.raises(SettingError, match="Did you mean 'spectrum'"):
        simplex.plot("spectrm")
    start = qngd.minimize(problem(), max_steps=0)
    assert "No step was taken" in written(start)


def test_bit_strings_are_those_that_were_measured(diagonal):
    best = diagonal.bit_strings.most_probable(1)[0]
    text = written(diagonal)
    assert f"{best.bits} with {best.probability:.1%}" in text
    axes = diagonal.plot("strings").axes[0]
    assert [bar.get_width() for bar in axes.patches] == [s.probability for s in diagonal.bit_strings.most_probable(10)]


@pytest.mark.parametrize(
    ("error", "stderr", "verdict"),
    [
        (1e-4, 0.0, "yes"),
        (-1e-4, 1e-4, "yes"),
        (2e-3, 0.0, "no"),
        (0.136, 0.002, "no"),  # 68 standard errors away, though its own error exceeds the limit
        (-0.136, 0.002, "no"),
        (1e-4, 2e-3, "cannot tell: the energy's own error exceeds"),
        (1e-3, 1e-3, "cannot tell: 0.6 standard errors from"),
        (3e-3, 1e-3, "cannot tell: 1.4 standard errors from"),
        (float("nan"), 0.0, "cannot tell: the energy is no number"),
    ],
)
def test_chemical_accuracy_is_claimed_only_where_it_is_known(error, stderr, verdict):
    assert error_rows(-1.0 + error, stderr, -1.0, "hartree")["chemical accuracy"].startswith(verdict)


# --- several runs ---


def test_medians_and_quartiles(many, many_written):
    """Against sorted columns: of five values the quartiles are the second, third and fourth."""
    for name, (steps, found) in many.quartiles().items():
        runs = [run.history["energy"] for run in many.runs if run.label == name]
        np.testing.assert_allclose(found, np.sort(runs, axis=0)[1:4])
        assert steps.tolist() == list(range(5))
    energies = sorted(run.energy for run in many.runs if run.label == "adam")
    assert f"{energies[2]:.6g} [{energies[1]:.6g}, {energies[3]:.6g}]" in many_written
    assert "15 runs side by side: 15 max steps. Numbers are medians, in brackets quartiles." in many_written
    assert many_written.count("0, 1, 2, 3, 4</td>") == 3  # the seeds of each


def test_a_run_that_has_ended_keeps_its_last_energy_and_counts_what_it_had(exact):
    toy = problem()
    runs = [of_result(qngd.minimize(toy, max_steps=count, tol=0)) for count in (2, 4, 8)]
    group = Group("all", tuple(runs))
    steps, (_, middle, _) = group.quartiles("energy", "step")
    assert len(steps) == 9
    ends = sorted([runs[0].energy, runs[1].energy, runs[2].energy])
    assert middle[-1] == ends[1]
    places, values = group.quartiles("energy", "circuits")
    for place, value in zip(places, values[1], strict=True):
        at = [run.history["energy"][run.history["circuits"] <= place][-1] for run in runs]
        assert value == np.median(at)


def test_a_row_has_the_cost_of_the_energy_beside_it():
    """That of the measurement of the end with it."""
    found = qngd.minimize(problem(), shots=10, seed=1, max_steps=2, final_shots=1000)
    row = str(qngd.compare([found])).splitlines()[-1]
    assert f"{found.cost.circuits:,}  {found.cost.shots:,}" in row


def test_runs_are_told_apart_by_what_differs():
    toy = problem()
    runs = [qngd.minimize(toy, shots=n, seed=s, max_steps=1) for n in (10, 20) for s in (0, 1)]
    assert [run.label for run in qngd.compare(runs).runs] == ["shots=10", "shots=10", "shots=20", "shots=20"]
    found = qngd.compare([qngd.minimize(toy, optimizer=name, max_steps=1) for name in ("qng", "adam")])
    assert [run.label for run in found.runs] == ["QNG", "Adam"]
    assert len(repr(found)) < 100
    assert "<table>" in found._repr_html_()
    with pytest.raises(SettingError, match="is a Result or the path"):
        qngd.compare([3])
    with pytest.raises(SettingError, match="at least one"):
        qngd.compare([])
    with pytest.raises(qngd.StorageError, match="nowhere"):
        qngd.compare(["nowhere"])


def test_figures_as_files(sampled, tmp_path: Path):
    paths = write_figures([of_result(sampled)], tmp_path)
    assert {path.suffix for path in paths} == {".png", ".svg"}
    assert len(paths) == 2 * len(_Read(written(sampled)).all("figure"))
    for path in paths:
        content = path.read_bytes()
        assert content.startswith(b"\x89PNG" if path.suffix == ".png" else b"<?xml")
    text = (tmp_path / "energy.svg").read_text(encoding="utf-8")
    assert "prefers-color-scheme:dark" in text
    assert "<title" in text


def with_an_inset(layout):
    figure = Figure(layout=layout)
    axes = figure.subplots()
    axes.plot([1, 2], [3, 1e5])
    axes.set_ylabel("two\nlines")
    axes.inset_axes([0.5, 0.5, 0.3, 0.3]).plot([1, 2])
    return figure


@pytest.mark.parametrize("kind", ["energy", "metric", None, "constrained", "tight"])
def test_figures_are_what_matplotlib_saves(sampled, kind):
    """To the last byte, one format after the other; ours, and others by their layout."""
    entries = [entry for entry in CATALOGUE if entry.key == kind]
    group = Group("", (of_result(sampled),))
    ours, theirs = (entries[0].draw([group]).figure if entries else with_an_inset(kind) for _ in range(2))

    def saved(**how):
        file = io.BytesIO()
        theirs.savefig(file, **how)
        return file.getvalue()

    undated = {"Date": None, "Creator": None}
    with rc_context({"svg.hashsalt": "any"}):
        assert svg(ours, 150).encode() == saved(format="svg", dpi=150, metadata=undated, transparent=True)
    assert png(ours, 80) == saved(format="png", dpi=80)


def contrast(one, other):
    """WCAG 2.1's contrast ratio of two colours."""

    def luminance(colour):
        parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    bright, dim = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


@pytest.mark.parametrize("which", [0, 1], ids=["light", "dark"])
def test_colours_can_be_read(which):
    paper = COLOURS["paper"][which]
    assert min(contrast(COLOURS[name][which], paper) for name in ("ink", "grey")) >= 4.5
    assert min(contrast(COLOURS[name][which], paper) for name in ("blue", "red", "green", "purple")) >= 3.0


@in_a_browser
@pytest.mark.parametrize(("width", "dark"), [(1280, False), (500, True)])
def test_how_a_browser_shows_it(sampled, diagonal, many_written, width, dark, tmp_path: Path):
    """No text lies over another or outside of its figure, and nothing is wider than the window."""
    for text in (written(sampled), written(diagonal), many_written):
        (tmp_path / "page.html").write_text(text, encoding="utf-8")
        found = seen(tmp_path / "page.html", tmp_path, width, dark=dark)
        assert found["scroll"] <= found["width"] <= width
        assert len(found["figures"]) >= 8
        for figure in found["figures"]:
            assert figure["texts"] >= 4
            assert (figure["outside"], figure["overlaps"]) == ([], []), figure["title"]
        ink, paper = ("rgb(232, 232, 233)", "rgb(22, 22, 23)") if dark else ("rgb(28, 28, 29)", "rgb(255, 255, 254)")
        assert (found["ink"], found["paper"]) == (ink, paper)
        assert all(figure["colour"] in (ink, "rgb(168, 168, 168)", "rgb(107, 107, 107)") for figure in found["figures"])


def test_a_stored_run_reads_as_one_that_is_over(tmp_path):
    circuit = qngd.CircuitBuilder(1)
    circuit = circuit.ry(circuit.parameter("a"), 0)
    budget = qngd.Budget(shots=500)
    qngd.minimize(circuit, {"Z": 1.0}, [0.3], shots=10, seed=1, max_steps=1, budget=budget, run_dir=tmp_path / "run")
    qngd.compare([tmp_path / "run"]).report(tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    for words in ("1 qubit, 1 layer, 1 parameter", "and the call that began the run goes on", "Budget(shots=500)"):
        assert words in text
