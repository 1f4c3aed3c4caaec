"""A page about runs: one file of HTML with all figures in it, which needs no network, for screens light and dark, wide
and narrow, and for paper."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import files as resources
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from qngd._system.version import __version__
from qngd.errors import counted
from qngd.report.catalogue import CATALOGUE, Drawn, Entry
from qngd.report.compared import compared_table
from qngd.report.drawing import png
from qngd.report.files import require_writable, write_whole
from qngd.report.groups import Group, grouped
from qngd.report.run_data import RunData
from qngd.report.svg import alone, inline, palette

_SECTIONS = (
    ("Progress", ("energy", "distance", "circuits", "shots", "seconds")),
    ("Steps", ("length", "rate", "gradient", "significance")),
    ("Metric", ("damping", "spectrum", "metric")),
    ("Cost", ("division", "cost")),
    ("Bit strings", ("strings",)),
)
_FOOTER = (
    "Energies are those after a step; gradient, metric, rank and condition belong to the point that the step was taken "
    f"from. Made by qngd {__version__}."
)
_SHOWN = 6  # values of a setting
_ALONE = 6  # runs that get figures of their own
_GOOD, _BAD = ("converged", "target"), ("failed", "not_finite", "saddle", "stalled")


def page(runs: Sequence[RunData], *, title: str | None = None, refresh: int | None = None) -> str:
    """The page about runs; those with one label are taken together, with medians and quartiles.

    Args:
        runs: at least one, with different labels unless they belong together.
        title: the problem's name, where it is not given.
        refresh: after so many seconds a browser loads the page anew.
    """
    groups = grouped(runs)
    text = _template().render(
        title=title or _title(runs),
        version=__version__,
        palette=Markup(palette()),
        refresh=refresh,
        lead=_lead(runs),
        sections=list(_sections(groups)),
        footer=_FOOTER,
    )
    return "\n".join(line.rstrip() for line in text.splitlines() if line.strip()) + "\n"


def write_page(
    runs: Sequence[RunData],
    path: str | os.PathLike[str],
    *,
    title: str | None = None,
    refresh: int | None = None,
    argument: str = "path",
) -> Path:
    """Write the page into a file, as a whole or not at all; arguments as for `page`.

    Raises:
        SettingError: the file cannot be written.
    """
    target = Path(path)
    require_writable(target, argument)  # a page takes seconds to draw
    write_whole(target, page(runs, title=title, refresh=refresh).encode(), argument)
    return target


def write_figures(runs: Sequence[RunData], folder: Path, argument: str = "folder") -> list[Path]:
    """Write each figure of the page as PNG and SVG into a folder; returns their paths.

    Raises:
        SettingError: the folder cannot be written to.
    """
    paths = []
    for name, _, drawn in _figures(grouped(runs), CATALOGUE):
        if isinstance(drawn, str):
            continue
        for suffix, content in ((".png", png(drawn.figure, 200)), (".svg", alone(drawn.figure, drawn.text).encode())):
            paths.append(folder / f"{name}{suffix}")
            write_whole(paths[-1], content, argument)
    return paths


@cache
def _template() -> jinja2.Template:
    source = (resources("qngd.report") / "page.html").read_text(encoding="utf-8")
    return jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined).from_string(source)


def _title(runs: Sequence[RunData]) -> str:
    names = list(dict.fromkeys(run.name for run in runs))
    return names[0] if len(names) == 1 else f"{counted(len(runs), 'run')} of {counted(len(names), 'problem')}"


def _lead(runs: Sequence[RunData]) -> list[dict[str, str]]:
    """What to say first: of a single run how it ended and its energy; of several how many ended how."""
    if len(runs) > 1:
        counts: dict[str, int] = {}
        for run in runs:
            name = str(run.result["status"])
            counts[name] = counts.get(name, 0) + 1
        ended = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counts.items())
        return [
            {"status": "", "kind": "", "text": f"{counted(len(runs), 'run')} side by side: {ended}.{_brackets(runs)}"}
        ]
    rows, status = runs[0].rows(), str(runs[0].result["status"])
    kind = "good" if status in _GOOD else "bad" if status in _BAD else "other"
    text = f"Energy {rows['energy']} after {counted(int(rows['steps'].split(',')[0]), 'step')}."
    if "error" in rows:
        text += f" Error to the reference: {rows['error']}."
    return [{"status": rows["status"], "kind": kind, "text": text}]


def _brackets(runs: Sequence[RunData]) -> str:
    """What stands in brackets in the table that compares them."""
    groups = grouped(runs)
    kinds = [
        word
        for word, has in (("quartiles", True), ("ranges", False))
        if any(len(group.runs) > 1 and group.has_band is has for group in groups)
    ]
    return f" Numbers are medians, in brackets {' or '.join(kinds)}." if kinds else ""


def _sections(groups: Sequence[Group]) -> Iterator[dict[str, Any]]:
    runs = [run for group in groups for run in group.runs]
    yield _section("Summary", [_facts(runs[0].rows())] if len(runs) == 1 else [compared_table(groups)])
    entries = {entry.key: entry for entry in CATALOGUE}
    for title, keys in _SECTIONS:
        shown, missing = [], []
        for name, heading, drawn in _figures(groups, [entries[key] for key in keys]):
            if isinstance(drawn, str):
                missing.append(drawn if len(runs) == 1 else f"{heading}: {drawn}")
            else:
                svg = Markup(inline(drawn.figure, name, drawn.text))  # its texts are escaped by Matplotlib
                shown.append({"title": heading, "svg": svg, "text": drawn.text})
        yield {**_section(title, []), "figures": shown, "missing": list(dict.fromkeys(missing))}
    yield _section("Settings and versions", [_settings(runs)])


def _figures(groups: Sequence[Group], entries: Sequence[Entry]) -> Iterator[tuple[str, str, Drawn | str]]:
    """Figures by a name that is theirs alone, and a heading: those of all runs together, and those of each run where
    they are few, else of the one of lowest energy of each kind."""
    alone_ = _own(groups)
    for entry in entries:
        if entry.together:
            yield entry.key, entry.title, entry.draw(groups)
            continue
        for number, (label, run) in enumerate(alone_):
            name = entry.key if len(alone_) == 1 else f"{entry.key}-{number + 1}"
            heading = f"{entry.title}: {label}" if label else entry.title
            yield name, heading, entry.draw([Group(run.label, (run,))])


def _own(groups: Sequence[Group]) -> list[tuple[str, RunData]]:
    """The runs that get figures of their own, with what they are called."""
    runs = [run for group in groups for run in group.runs]
    if len(runs) == 1:
        return [("", runs[0])]
    if len(runs) == len(groups) and len(runs) <= _ALONE:
        return [(run.label, run) for run in runs]
    chosen = [(group, min(group.runs, key=lambda run: run.energy)) for group in groups[:_ALONE]]
    return [(f"{group.label}, run of lowest energy", run) for group, run in chosen]


def _section(title: str, tables: list[dict[str, Any]]) -> dict[str, Any]:
    name = title.lower().replace(" ", "-")
    return {"title": title, "id": name, "tables": tables, "figures": [], "missing": []}


def _facts(rows: dict[str, str]) -> dict[str, Any]:
    return {"kind": "facts", "columns": (), "rows": list(rows.items())}


def _settings(runs: Sequence[RunData]) -> dict[str, Any]:
    """Settings and versions: one column where all runs have the same, else one for each label."""
    columns = {group.label or "run": _in_all([_setting_rows(run) for run in group.runs]) for group in grouped(runs)}
    names = list(dict.fromkeys(name for rows in columns.values() for name in rows))
    if len(columns) == 1:
        return _facts(next(iter(columns.values())))
    rows = [[name, *(column.get(name, "") for column in columns.values())] for name in names]
    return {"kind": "compared", "columns": ["", *columns], "rows": rows}


def _in_all(runs: Sequence[dict[str, str]]) -> dict[str, str]:
    """The settings of several runs, such as their seeds: what differs with all its values, or the first and the last of
    many."""
    found = {}
    for name in dict.fromkeys(name for rows in runs for name in rows):
        values = list(dict.fromkeys(rows.get(name, "none") for rows in runs))
        many = [*values[:1], "…", *values[-1:]] if len(values) > _SHOWN else values
        found[name] = ", ".join(many)
    return found


def _setting_rows(run: RunData) -> dict[str, str]:
    problem, found = run.result["problem"], run.result
    size = [counted(problem[f"num_{word}s"], word) for word in ("qubit", "layer") if f"num_{word}s" in problem]
    rows = {"circuit": ", ".join([*size, counted(len(problem.get("parameters", [])), "parameter")])}
    rows |= {name.replace("_", " "): f"{value}" for name, value in found.get("run", {}).items() if value is not None}
    versions = found.get("versions") or ({"qngd": found["qngd"]} if found.get("qngd") else {})
    if versions:
        rows["versions"] = ", ".join(f"{name} {number}" for name, number in versions.items())
    if found.get("began"):
        rows["began"] = str(found["began"])
    return rows
