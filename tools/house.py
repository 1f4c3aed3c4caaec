"""The order of the house: what stands where, and who may import whom. It stands here alone; the tests and the table in
docs/architecture.md are made from it.

    python -m tools.house      # writes the table anew
"""

from __future__ import annotations

import sys
from pathlib import Path

PAGE = Path(__file__).parent.parent / "docs" / "architecture.md"
BEGIN, END = "<!-- made by python -m tools.house -->", "<!-- end -->"

# From the ground up: each imports only from those above it. "qngd" is the flat surface, `qngd/__init__.py`, which loads
# names from anywhere when they are first used.
ORDER = {
    "errors": "errors, warnings, and the checks of settings",
    "_system": "compilation, memory, threads, progress of long work, packages that may be missing",
    "circuit": "the neutral form: strings, operations, angles, builder, Clifford frame, units, layers, observable",
    "estimates": "numbers with errors; metric tensors; costs; the protocol of evaluators; making a matrix positive",
    "metrics": "QN-SPSA, the Hamiltonian-aware metric, random bases: their formulas",
    "exact": "statevectors: simulator, schedule, full metric; `kernels/` holds the compiled loops",
    "measured": "what a device runs in a step and what its outcomes mean: grouping, templates, plan, assemble, shots",
    "interop": "reading circuits and observables, and the public builder: `qiskit/`, `pennylane/`, `openqasm/`",
    "backends": "running requests: `qiskit/`, `pennylane/`, the embedded sampler; checks of what comes back",
    "evaluators": "who answers what a step asks: exact, or sampled by plan and assemble; the choice between them",
    "api": "functions for one θ",
    "problem": "a circuit with its observable and start",
    "start": "where runs start: ramps, interpolation between depths, random values",
    "damping": "dampings of the metric",
    "solve": "the damped solve; the state that steps go from",
    "step": "step rules: how far",
    "refresh": "when a metric is measured anew",
    "baselines": "optimizers to compare with",
    "qng": "the natural gradient as an optimizer",
    "run": "whole runs: the loop, records on disk, price, result",
    "qngd": "the flat surface",
    "report": "tables, data files and plots of a run",
    "cli": "the command line",
    "__main__": "`python -m qngd`",
}

# They do not know each other.
APART = {("exact", "measured"), ("measured", "exact")}


def table() -> str:
    """The order as a table of Markdown."""
    rows = [f"| `{name}` | {what} |" for name, what in ORDER.items() if name not in ("qngd", "__main__")]
    return "\n".join(["| folder or file, from the ground up | what stands in it |", "| --- | --- |", *rows])


def with_table(page: str) -> str:
    """The page with the table of today between its marks."""
    head, _, rest = page.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n{table()}\n{END}{tail}"


def main() -> None:
    """Write the table into the page."""
    page = PAGE.read_text(encoding="utf-8")
    if BEGIN not in page:
        sys.exit(f"{PAGE} has no mark {BEGIN}")
    PAGE.write_text(with_table(page), encoding="utf-8")


if __name__ == "__main__":
    main()
