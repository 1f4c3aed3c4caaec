"""The exact engine beside its peers, all measured in turn in the same run.

Claim: the targets printed in the table `results/bench_peers/table.md`: the full metric against TensorCircuit-ng's and
Qiskit's ReverseQGT, a natural gradient step against PennyLane's, and what one step, a first call and wrapping cost.

    python -m experiments.bench_peers            builds the peers' environments in .bench/ first; about half an hour
    python -m experiments.bench_peers --smoke    seconds; PennyLane alone, as this environment has it
    python -m experiments.bench_peers --only qulacs --sizes 8,4 12,4

Every measurement runs in a process of its own and is stopped after a limit. No peer is timed before its numbers agree
with qngd's at that very size. A peer that was stopped or failed is not tried at larger sizes. Writes
measurements.json, table.md and plots; `python -m experiments.bench_report` draws them anew.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path

from experiments import bench_report
from experiments.bench_exact import PUBLIC, QNGD, own_claims, save, show
from experiments.peers.environments import BuildError, python_of
from experiments.peers.launch import Contender, Row, measure
from qngd._system.threads import usable_cores

OUT = Path("results/bench_peers")
PEERS = (
    PUBLIC,
    Contender(
        "TensorCircuit-ng (JAX)",
        "tensorcircuit",
        {"full_metric": "qng", "gradient": "gradient", "state": "state"},
    ),
    Contender("TensorCircuit-ng, own jacfwd", "tensorcircuit", {"full_metric": "jacfwd"}),
    Contender(
        "qulacs",
        "qulacs",
        {"full_metric": "full_metric", "gradient": "gradient", "state": "state"},
        tries_threads=True,
    ),
    Contender("Qiskit", "qiskit", {"full_metric": "reverse_qgt", "state": "state"}),
    Contender(
        "PennyLane default.qubit",
        "pennylane",
        {
            "full_metric": "adjoint_metric_tensor",
            "step": "default.qubit step",
            "gradient": "default.qubit backprop",
            "state": "default.qubit state",
        },
        tries_threads=True,
    ),
    Contender(
        "PennyLane default.qubit, adjoint",
        "pennylane",
        {"step": "default.qubit adjoint step", "gradient": "default.qubit adjoint"},
        tries_threads=True,
    ),
    Contender(
        "PennyLane lightning.qubit",
        "pennylane",
        {"step": "lightning.qubit step", "gradient": "lightning.qubit adjoint", "state": "lightning.qubit state"},
        tries_threads=True,
    ),
)
OVER_QUBITS = [(n, 4) for n in (4, 8, 10, 12, 16, 20)]
OVER_PARAMETERS = [(8, layers) for layers in (1, 2, 8, 16)]
SIZES = {
    "full_metric": OVER_QUBITS[:-1] + OVER_PARAMETERS,  # the derivative states of 20 qubits are gigabytes
    "step": OVER_QUBITS + OVER_PARAMETERS,
    "gradient": OVER_QUBITS,
    "state": OVER_QUBITS,
    "run": OVER_QUBITS,
}


def pythons(contenders: Sequence[Contender]) -> dict[str, str]:
    """The Python that runs each module. A peer whose environment cannot be made is named and left out."""
    found = {QNGD.module: sys.executable}
    for module in dict.fromkeys(contender.module for contender in contenders):
        if module in found:
            continue
        try:
            print(f"environment of {module}", flush=True)
            found[module] = str(python_of(module))
        except BuildError as error:
            print(f"{module} is left out, it cannot be installed: {error}", file=sys.stderr)
    return found


class Benchmark:
    """Rows so far, and how to get more. `own` is whose numbers count."""

    def __init__(self, python: dict[str, str], budget: float, limit: float, own: Contender = QNGD) -> None:
        self.rows: list[Row] = []
        self._python, self._budget, self._limit, self._own = python, budget, limit, own

    def compare(self, kind: str, size: tuple[int, int], contenders: Sequence[Contender]) -> None:
        """qngd first, then all others against its numbers."""
        own, expected = measure(self._own, sys.executable, kind, size, self._budget, self._limit)
        self._add(own)
        for contender in contenders:
            if kind not in contender.methods or contender.module not in self._python:
                continue
            if expected is None:
                self._add(Row(contender.label, kind, *size, "not tried", "nothing to compare with"))
            elif gave_up := self._gave_up(contender.label, kind, size):
                self._add(Row(contender.label, kind, *size, "not tried", gave_up))
            else:
                self._add(self._best(contender, kind, size, expected))

    def _best(self, contender: Contender, kind: str, size: tuple[int, int], expected: list[float]) -> Row:
        """The fastest of the numbers of threads that are tried; a wrong one, if there is any."""
        python = self._python[contender.module]
        tried = [
            measure(contender, python, kind, size, self._budget, self._limit, threads, expected)[0]
            for threads in contender.threads(size[0])
        ]
        return min(
            tried, key=lambda row: (row.status != "wrong", row.status != "ok", row.median or row.first or float("inf"))
        )

    def _gave_up(self, label: str, kind: str, size: tuple[int, int]) -> str:
        """Why there is no use in trying, if it did not get through a smaller size."""
        for row in self.rows:
            smaller = row.num_qubits <= size[0] and row.layers <= size[1]
            if (row.label, row.kind) == (label, kind) and smaller and row.status != "ok":
                return row.note if row.status == "not tried" else f"{row.status} at ({row.num_qubits}, {row.layers})"
        return ""

    def _add(self, row: Row) -> None:
        show(row)
        self.rows.append(row)


def machine() -> dict[str, object]:
    return {
        "processor": platform.processor() or platform.machine(),
        "cores": usable_cores(),
        "load_at_start": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,  # not on Windows
        "python": platform.python_version(),
    }


def parse(text: str) -> tuple[int, int]:
    num_qubits, layers = text.split(",")
    return int(num_qubits), int(layers)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="one small size, PennyLane alone")
    parser.add_argument("--only", nargs="+", default=[], metavar="PEER", help="these peers: " + ", ".join(modules()))
    parser.add_argument("--sizes", nargs="+", type=parse, metavar="QUBITS,LAYERS", help="these sizes alone")
    parser.add_argument("--limit", type=float, default=20.0, help="seconds a measurement may take (%(default)s)")
    parser.add_argument("--budget", type=float, default=0.5, help="seconds of repeated calls (%(default)s)")
    arguments = parser.parse_args()
    unknown = set(arguments.only) - set(modules())
    if unknown:
        parser.error(f"--only: {', '.join(sorted(unknown))} is none of {', '.join(modules())}")
    about = machine() | {"limit": arguments.limit}
    if arguments.smoke:
        benchmark = Benchmark(dict.fromkeys(("qngd", "pennylane"), sys.executable), 0.02, arguments.limit)
        sizes = {kind: [(3, 2)] for kind in ("full_metric", "step")}
    else:
        contenders = [c for c in PEERS if not arguments.only or c.module in arguments.only]
        benchmark = Benchmark(pythons(contenders), arguments.budget, arguments.limit)
        sizes = {kind: arguments.sizes or usual for kind, usual in SIZES.items()}
        warm_up()
    complete = not (arguments.smoke or arguments.only or arguments.sizes)
    claims = own_claims(arguments.smoke) if complete or arguments.smoke else {}
    data = OUT / "measurements.json"
    for kind, places in sizes.items():
        for size in places:
            benchmark.compare(kind, size, PEERS)
            save(data, benchmark.rows, {"machine": about, "complete": complete, "claims": claims})
    print(f"data: {data}")
    bench_report.write(OUT)
    wrong = [row for row in benchmark.rows if row.status == "wrong"]
    if wrong:
        sys.exit(f"{len(wrong)} measurements computed other numbers than qngd: see {OUT / 'table.md'}")


def warm_up() -> None:
    """Compile the kernels that are not cached on disk yet."""
    for kind in QNGD.methods:
        measure(QNGD, sys.executable, kind, (4, 1), 0.0, 300.0)


def modules() -> list[str]:
    return list(dict.fromkeys(contender.module for contender in PEERS))


if __name__ == "__main__":
    main()
