"""The order of the house: what stands where, and who may import whom. It stands here alone; the tests and the table in
docs/architecture.md are made from it, and the drawing there from the imports as they are.

    python -m tools.house      # writes both anew
"""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

from tools.imports import arrows

PAGE = Path(__file__).parent.parent / "docs" / "architecture.md"
END = "<!-- end -->"

# From the ground up: each imports only from those above it. "qngd" is the flat surface, `qngd/__init__.py`, which loads
# names from anywhere when they are first used.
ORDER = {
    "errors": "errors, warnings, and the checks of settings",
    "_system": "compilation, memory, threads, progress of long work, packages that may be missing",
    "cvar": "CVaR: an observable's lowest values in place of its mean",
    "problem": "a circuit with its observable and start",
    "circuit": "the neutral form: strings, operations, angles, builder, frame, units, layers, light cones, observable",
    "estimates": "numbers with errors; metric tensors; costs; evaluations; making a matrix positive",
    "exact": "statevectors; `cones/`: the same numbers by light cones; `kernels/`: the compiled loops",
    "measured": "what a device runs in a step and what its outcomes mean: grouping, templates, plan, assemble, shots",
    "gradients": "ways to take gradients, each an object: exact, and measured with its requests",
    "metrics": "metrics, each an object: exact, and measured with its requests, estimate and worth of its shots",
    "interop": "reading circuits and observables, and the public builder: `qiskit/`, `pennylane/`, `openqasm/`",
    "backends": "running requests: `qiskit/`, `pennylane/`, the embedded sampler; checks of what comes back",
    "evaluators": "who answers what a step asks: exact, by plan and assemble, a function, `objectives/`; the choice",
    "api": "functions for one θ",
    "start": "where runs start: ramps, interpolation between depths, random values",
    "damping": "dampings of the metric",
    "solve": "the damped solve; the state that steps go from",
    "step": "step rules: how far",
    "refresh": "when a metric is measured anew",
    "baselines": "optimizers to compare with",
    "qng": "the natural gradient as an optimizer",
    "report": "tables, data files, plots and pages of runs",
    "loggers": "ready callbacks: logging, CSV, TensorBoard, MLflow",
    "run": "whole runs: the loop, records on disk, price, result",
    "sweeps": "many runs: grids of settings with seeds, on many workers",
    "scipy": "qngd inside SciPy's minimize",
    "qiskit": "qngd inside Qiskit's algorithms",
    "pennylane": "qngd inside PennyLane's loops",
    "qngd": "the flat surface",
    "cli": "the command line",
    "__main__": "`python -m qngd`",
}

# They do not know each other.
APART = {("exact", "measured"), ("measured", "exact")}


def table() -> str:
    """The order as a table of Markdown."""
    rows = [f"| `{name}` | {what} |" for name, what in ORDER.items() if name not in ("qngd", "__main__")]
    return "\n".join(["| folder or file, from the ground up | what stands in it |", "| --- | --- |", *rows])


def floors() -> dict[str, int]:
    """How high each folder or file stands: one above the highest of those that it imports."""
    below = arrows()

    @cache
    def height(name: str) -> int:
        return 1 + max(map(height, below[name]), default=0)

    return {name: height(name) for name in below}


def drawn() -> list[tuple[str, str]]:
    """The arrows of the drawing, importer first: without those that others imply, as a → c beside a → b → c."""
    below = arrows()

    @cache
    def all_below(name: str) -> frozenset[str]:
        return frozenset(below[name]).union(*map(all_below, below[name]))

    order = list(ORDER)
    return [
        (name, other)
        for name in sorted(below, key=order.index)
        for other in sorted(below[name], key=order.index)
        if not any(other in all_below(between) for between in below[name])
    ]


def size() -> str:
    """How many folders and files stand at the top level, how high, and how many imports join them: *floors* are the
    longest chain, *arrows* the pairs (importing, imported)."""
    count = sum(map(len, arrows().values()))
    return f"{len(arrows())} folders and files, {max(floors().values())} floors, {count} arrows ({len(drawn())} drawn)"


def drawing() -> str:
    """The folders and files with their arrows, as Mermaid."""
    lines = [f"    {name}" for name in ORDER if name != "__main__"]
    lines += [f"    {name} --> {other}" for name, other in drawn()]
    return "\n".join(["```mermaid", "flowchart BT", *lines, "```"])


# The parts of the page that are made, by the names in their marks.
MADE = {"table": table, "drawing": drawing}


def _mark(name: str) -> str:
    return f"<!-- {name}: made by python -m tools.house -->"


def with_made_parts(page: str) -> str:
    """The page with the table and the drawing of today between their marks."""
    for name, make in MADE.items():
        head, _, rest = page.partition(_mark(name))
        _, _, tail = rest.partition(END)
        page = f"{head}{_mark(name)}\n{make()}\n{END}{tail}"
    return page


def main() -> None:
    """Write the table and the drawing into the page, and say how large the house is."""
    page = PAGE.read_text(encoding="utf-8")
    if missing := [_mark(name) for name in MADE if _mark(name) not in page]:
        sys.exit(f"{PAGE} has no mark {missing[0]}")
    PAGE.write_text(with_made_parts(page), encoding="utf-8")
    print(size())


if __name__ == "__main__":
    main()
