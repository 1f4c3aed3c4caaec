"""The page of evidence and README's summary, made from the records in experiments/evidence/.

python -m experiments.index            writes docs/evidence.md, docs/evidence/*.svg and README's summary
python -m experiments.index --check    exits with 1 if they are out of date
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from experiments.record import EVIDENCE, ROOT

PAGE = ROOT / "docs" / "evidence.md"
README = ROOT / "README.md"
_WORDS = {True: "holds", False: "**fails**", None: "beside it"}
_BEGIN, _END = "<!-- evidence: made by python -m experiments.index -->", "<!-- end -->"


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
    ]
    return "\n".join([*head, *_overview(found, "#"), *(line for item in found.items() for line in _section(*item))])


def _overview(found: dict[str, dict[str, Any]], target: str) -> list[str]:
    rows = ["| claim | command | verdict |", "|---|---|---|"]
    for name, record in found.items():
        judged = [verdict["holds"] for verdict in record["verdicts"] if verdict["holds"] is not None]
        verdict = "holds" if judged == [True] else f"{sum(judged)} of {len(judged)} hold"
        link = f"[{record['title']}]({target}{name.replace('_', '-')})"
        rows.append(f"| {link} | `{record['command']}` | {verdict} |")
    return rows


def _section(name: str, record: dict[str, Any]) -> list[str]:
    versions = ", ".join(f"{package} {version}" for package, version in record["versions"].items())
    lines = ["", f"## {name.replace('_', '-')}", "", f"{record['title']}.", ""]
    lines += ["| | claim | found |", "|---|---|---|"]
    lines += [
        f"| {_WORDS[verdict['holds']]} | {verdict['claim']} | {verdict['found']} |" for verdict in record["verdicts"]
    ]
    if (EVIDENCE / f"{name}.svg").exists():
        lines += ["", f"![{record['title']}](../experiments/evidence/{name}.svg)"]
    lines += [
        "",
        f"`{record['command']}`, commit {record['commit']}, {record['date']}, {record['seconds']} s on "
        f"{record['machine']}; Python {record['python']}, {versions}. Data: `experiments/evidence/{name}.json`.",
    ]
    return [*lines, ""]


def readme(text: str, found: dict[str, dict[str, Any]]) -> str:
    """README with its summary renewed."""
    before, rest = text.split(_BEGIN)
    _, after = rest.split(_END, 1)
    return "\n".join([before + _BEGIN, *_overview(found, "docs/evidence.md#"), _END]) + after


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exits with 1 if a page is out of date")
    check = parser.parse_args().check
    found = records()
    wanted: dict[Path, str] = {PAGE: page(found), README: readme(README.read_text(encoding="utf-8"), found)}
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
