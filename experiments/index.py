"""The page of evidence, README's summary and what other pages show of the records in experiments/evidence/.

python -m experiments.index            writes docs/evidence.md, README's summary, and the blocks of other pages
python -m experiments.index --check    exits with 1 if they are out of date

A page shows the record of an experiment between `<!-- evidence NAME -->` and `<!-- end -->`.
"""

from __future__ import annotations

import argparse
import ast
import json
import re
import sys
import textwrap
from pathlib import Path
from typing import Any

from experiments.record import EVIDENCE, ROOT

PAGE = ROOT / "docs" / "evidence.md"
README = ROOT / "README.md"
DOCS = ROOT / "docs"
FOLDER = ROOT / "experiments"
_WORDS = {True: "**Holds**", False: "**Fails**", None: "*Beside it*"}
_BEGIN, _END = "<!-- evidence: made by python -m experiments.index -->", "<!-- end -->"
_SHOWN = re.compile(r"(<!-- evidence (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
_UNRECORDED = {
    "bench_exact": "the part of `bench_peers` that needs no peers",
    "bench_report": "the table of all measurements of `bench_peers` and its plots, in results/bench_peers/",
}


def records() -> dict[str, dict[str, Any]]:
    """By the name of the experiment."""
    paths = sorted(EVIDENCE.glob("*.json"))
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in paths}


def page(found: dict[str, dict[str, Any]]) -> str:
    """docs/evidence.md."""
    head = [
        "# Evidence",
        "",
        "What is claimed, the command that measures it, and what it found. This page is made from the records in",
        "`experiments/evidence/` by `python -m experiments.index`; no number on it was typed. With `--smoke` a command",
        "shows in seconds that it runs; with `--check` it judges the record anew and fails where the claim does.",
        "",
        "Of several runs the median is told, the quartiles in parentheses, ∞ where so many did not arrive at the goal.",
        "± is one standard error. HVA is a Hamiltonian variational ansatz, each of whose parameters moves all gates of",
        "a kind, HEA a hardware-efficient one, whose parameters move a gate each.",
        "",
    ]
    return "\n".join([*head, *_overview(found, "#"), *_unrecorded(found), *_sections(found)]) + "\n"


def _overview(found: dict[str, dict[str, Any]], target: str) -> list[str]:
    rows = ["| `python -m experiments.` | claim | verdict |", "|---|---|---|"]
    for name, record in found.items():
        judged = [verdict["holds"] for verdict in record["verdicts"] if verdict["holds"] is not None]
        verdict = "holds" if judged == [True] else f"{sum(judged)} of {len(judged)} hold"
        rows.append(f"| [{name}]({target}{_anchor(name)}) | {record['title']} | {verdict} |")
    return rows


def _unrecorded(found: dict[str, dict[str, Any]]) -> list[str]:
    """Commands of experiments/ whose results are not kept."""
    lines = ["", "Further commands, of whose results no record is kept by itself:", ""]
    return [*lines, *(f"- `{name}`: {what}" for name, what in _UNRECORDED.items() if name not in found)]


def _anchor(name: str) -> str:
    return name.replace("_", "-")


def _sections(found: dict[str, dict[str, Any]]) -> list[str]:
    lines = []
    for name, record in found.items():
        lines += ["", f"## {_anchor(name)}", "", f"{record['title']}.", "", *_setup(name), *_verdicts(record)]
        if (EVIDENCE / f"{name}.svg").exists():
            lines += ["", f"![{record['title']}](../experiments/evidence/{name}.svg)"]
        lines += ["", *_stamp(name, record)]
    return lines


def _setup(name: str) -> list[str]:
    """What is run, in the words of the experiment's own module: all below its first line, but for its commands."""
    text = ast.get_docstring(ast.parse((FOLDER / f"{name}.py").read_text(encoding="utf-8"))) or ""
    return [line for part in text.split("\n\n")[1:] if not part.startswith("    ") for line in (*part.split("\n"), "")]


def _verdicts(record: dict[str, Any]) -> list[str]:
    """A list, which reads on a phone as well, of lines that Markdown takes for nothing else."""
    lines = []
    for verdict in record["verdicts"]:
        text = f"{_WORDS[verdict['holds']]}: {verdict['claim']}: {verdict['found']}"
        first, *rest = textwrap.wrap(text, 118, break_on_hyphens=False, break_long_words=False)
        lines += [f"- {first}", *("  " + re.sub(r"^([-+*>#]|\d+[.)])(?= )", r"\\\1", line) for line in rest)]
    return lines


def _stamp(name: str, record: dict[str, Any]) -> list[str]:
    versions = ", ".join(f"{package} {version}" for package, version in record["versions"].items())
    text = (
        f"`{record['command']}`, commit {record['commit']}, {record['date']}, {record['seconds']} s on "
        f"{record['machine']}; Python {record['python']}, {versions}. Data: `experiments/evidence/{name}.json`."
    )
    return textwrap.wrap(text, 120, break_on_hyphens=False, break_long_words=False)


def shown(text: str, found: dict[str, dict[str, Any]], page: str) -> str:
    """The text of a page of docs/ with its blocks of evidence renewed; `page`: how it names the page of evidence."""

    def block(match: re.Match[str]) -> str:
        begin, name, end = match.groups()
        record = found[name]
        more = f"By `{record['command']}`, {record['date']}; versions and machine: [evidence]({page}#{_anchor(name)})."
        return begin + "\n".join([*_verdicts(record), "", more, ""]) + end

    return _SHOWN.sub(block, text)


def readme(text: str, found: dict[str, dict[str, Any]]) -> str:
    """README with its summary renewed."""
    before, rest = text.split(_BEGIN)
    _, after = rest.split(_END, 1)
    return "\n".join([before + _BEGIN, *_overview(found, "docs/evidence.md#"), _END]) + after


def pages(found: dict[str, dict[str, Any]]) -> dict[Path, str]:
    """Every page that shows records, as it should be."""
    wanted = {PAGE: page(found), README: readme(README.read_text(encoding="utf-8"), found)}
    for path in sorted(DOCS.rglob("*.md")):
        if path != PAGE and "_build" not in path.parts and _SHOWN.search(text := path.read_text(encoding="utf-8")):
            up = "../" * (len(path.relative_to(DOCS).parts) - 1)
            wanted[path] = shown(text, found, f"{up}{PAGE.name}")
    return wanted


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exits with 1 if a page is out of date")
    check = parser.parse_args().check
    found = records()
    wanted = pages(found)
    late = [path for path, text in wanted.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    if check:
        sys.exit(
            f"out of date: {', '.join(path.name for path in late)}; run python -m experiments.index" if late else 0
        )
    for path in late:
        path.write_text(wanted[path], encoding="utf-8")
        print(f"written: {path}")


if __name__ == "__main__":
    main()
