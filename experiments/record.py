"""What an experiment found, kept in the repository: experiments/evidence/NAME.json, with when, where and of what.

An experiment hands over three functions: `measure(smoke)` returns plain data, `judge(data)` says which claims hold in
it, `draw(data)` makes a figure of it. Its command then has four modes:

    python -m experiments.NAME            measures, judges, and puts record and figure into experiments/evidence/
    python -m experiments.NAME --smoke    a small measurement that shows that it runs; results/NAME/
    python -m experiments.NAME --check    judges what was recorded, and exits with 1 if a claim fails
    python -m experiments.NAME --judge    judges it, writes that down and draws: for when claims were worded anew

`python -m experiments.index` makes the page of evidence and README's summary of all records.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

import qngd

ROOT = Path(__file__).resolve().parent.parent
EVIDENCE = ROOT / "experiments" / "evidence"
_WORDS = {True: "holds", False: "FAILS", None: "beside"}
_PACKAGES = ("qngd", "numpy", "scipy", "numba", "qiskit", "qiskit-aer", "pennylane", "pennylane-lightning")


@dataclass(frozen=True)
class Verdict:
    """A claim, whether it holds, and the numbers that say so; None for what only stands beside it."""

    claim: str
    holds: bool | None
    found: str


@dataclass(frozen=True)
class Experiment:
    """A measured claim.

    Attributes:
        name: of its module.
        title: the claim in one line.
        duration: of the whole measurement, as "3 minutes".
        measure: from whether it is only a smoke test to data that JSON can hold.
        judge: from data to verdicts. A claim's limit stands in it, not in the data.
        draw: from data to a figure; None where a table says more.
    """

    name: str
    title: str
    duration: str
    measure: Callable[[bool], Any]
    judge: Callable[[Any], Sequence[Verdict]]
    draw: Callable[[Any], Figure] | None = None


def main(experiment: Experiment, arguments: Sequence[str] | None = None) -> None:
    """The command line of an experiment."""
    parser = argparse.ArgumentParser(description=experiment.title)
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--smoke", action="store_true", help="a small measurement, to show that it runs")
    mode.add_argument("--check", action="store_true", help="judge what was recorded; exits with 1 if a claim fails")
    mode.add_argument("--judge", action="store_true", help="judge what was recorded, write the verdicts down and draw")
    chosen = parser.parse_args(arguments)
    if chosen.check or chosen.judge:
        path = EVIDENCE / f"{experiment.name}.json"
        record = json.loads(path.read_text(encoding="utf-8"))
        verdicts = list(experiment.judge(record["data"]))
        _say(verdicts)
        if chosen.judge:
            _write(path, record | {"title": experiment.title, "verdicts": [asdict(verdict) for verdict in verdicts]})
            _draw(experiment, record["data"], path)
        sys.exit(any(verdict.holds is False for verdict in verdicts))
    folder = Path("results") / experiment.name if chosen.smoke else EVIDENCE
    _say(run(experiment, folder, chosen.smoke))


def run(experiment: Experiment, folder: Path, smoke: bool) -> list[Verdict]:
    """Measure, and write record and figure into `folder`."""
    before = stamp(experiment.name)  # the commit is the one whose code was loaded
    begin = time.perf_counter()
    data = json.loads(json.dumps(experiment.measure(smoke), default=_plain))
    verdicts = list(experiment.judge(data))
    record = {
        "title": experiment.title,
        **before,
        "seconds": round(time.perf_counter() - begin),
        "verdicts": [asdict(verdict) for verdict in verdicts],
        "data": data,
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{experiment.name}.json"
    _write(path, record)
    _draw(experiment, data, path)
    return verdicts


def _write(path: Path, record: dict[str, Any]) -> None:
    path.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"record: {path}")


def _draw(experiment: Experiment, data: Any, path: Path) -> None:
    """The figure beside its record, where there is one."""
    if experiment.draw is None:
        return
    figure = experiment.draw(data)
    # No date and no random ids: the same data give the same file.
    with plt.rc_context({"svg.hashsalt": experiment.name}):
        figure.savefig(path.with_suffix(".svg"), metadata={"Date": None}, bbox_inches="tight")
    plt.close(figure)
    print(f"figure: {path.with_suffix('.svg')}")


def stamp(name: str) -> dict[str, Any]:
    """By which command, from which commit, with which versions, on what and when."""
    return {
        "command": f"python -m experiments.{name}",
        "commit": _commit(),
        "date": datetime.now(UTC).date().isoformat(),
        "python": platform.python_version(),
        "versions": {package: version for package in _PACKAGES if (version := _version(package))},
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
    }


def _commit() -> str:
    """The commit, with "+" where tracked files were changed since."""

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
        return done.stdout.strip()

    if not (commit := git("rev-parse", "--short=10", "HEAD")):
        return "unknown"
    changed = git("status", "--porcelain", "--untracked-files=no", "--", "qngd", "circuits", "experiments/*.py")
    return commit + ("+" if changed else "")


def _version(package: str) -> str:
    if package == "qngd":  # which may be run from the checkout
        return qngd.__version__
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _plain(value: object) -> object:
    """NumPy's numbers and arrays as Python's."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is no plain data")


def _say(verdicts: Sequence[Verdict]) -> None:
    for verdict in verdicts:
        print(f"{_WORDS[verdict.holds]}  {verdict.claim}: {verdict.found}")
