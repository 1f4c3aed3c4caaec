"""The exact engine beside its peers, all measured in turn in the same run.

The full metric against TensorCircuit-ng's and Qiskit's ReverseQGT, a natural gradient step against PennyLane's, and
what one step, a first call and wrapping cost; which targets these have to reach stands in `bench_report.targets`.

    python -m experiments.bench_peers            builds the peers' environments in .bench/ first; about half an hour
    python -m experiments.bench_peers --smoke    seconds; PennyLane alone, as this environment has it
    python -m experiments.bench_peers --only qulacs --sizes 8,4 12,4

Every measurement runs in a process of its own and is stopped after a limit. No peer is timed before its numbers agree
with qngd's at that very size. A peer that was stopped or failed is not tried at larger sizes. Beside the record there
are measurements.json, a table of all of them and plots in results/bench_peers/; `python -m experiments.bench_report`
draws these anew. With --only or --sizes there is no record.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from experiments import bench_plots, bench_report, record
from experiments.bench_exact import PUBLIC, QNGD, own_claims, save, show
from experiments.peers.environments import BuildError, python_of
from experiments.peers.launch import Contender, Row
from experiments.peers.launch import measure as launch
from experiments.record import Experiment, Verdict
from qngd._system.threads import usable_cores

OUT = Path("results/bench_peers")
LIMIT, BUDGET = 20.0, 0.5  # seconds of a measurement, and of its repeated calls
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
SMOKED = [peer for peer in PEERS if peer.module == "pennylane" and not peer.label.endswith("adjoint")]
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
        own, expected = launch(self._own, sys.executable, kind, size, self._budget, self._limit)
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
            launch(contender, python, kind, size, self._budget, self._limit, threads, expected)[0]
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


def measure(smoke: bool) -> dict[str, Any]:
    if smoke:
        benchmark = Benchmark({"pennylane": sys.executable}, 0.02, LIMIT)
        sizes = {kind: [(3, 2)] for kind in ("full_metric", "step")}
        return compared(benchmark, sizes, LIMIT, own_claims(smoke), peers=SMOKED)
    benchmark = Benchmark(pythons(PEERS), BUDGET, LIMIT)
    warm_up()
    return compared(benchmark, SIZES, LIMIT, own_claims(smoke), complete=True)


def compared(
    benchmark: Benchmark,
    sizes: dict[str, list[tuple[int, int]]],
    limit: float,
    claims: dict[str, float],
    complete: bool = False,
    peers: Sequence[Contender] = PEERS,
) -> dict[str, Any]:
    """All measurements, which are on disk after every size, with their table and plots."""
    about = {"machine": machine() | {"limit": limit}, "complete": complete, "claims": claims}
    for kind, places in sizes.items():
        for size in places:
            benchmark.compare(kind, size, peers)
            save(OUT / "measurements.json", benchmark.rows, about)
    bench_report.write(OUT)
    return about | {"rows": [asdict(row) for row in benchmark.rows]}


def judge(data: dict[str, Any]) -> list[Verdict]:
    rows = rows_of(data)
    wrong = [f"{row.label}: {row.kind} ({row.num_qubits}, {row.layers})" for row in rows if row.status == "wrong"]
    worst = max((row.deviation for row in rows if row.deviation is not None), default=0.0)
    verdicts = [Verdict("all compute the same numbers", not wrong, ", ".join(wrong) or f"to {worst:.0e}")]
    for target in bench_report.targets(rows, data["claims"]):
        if target.measured is not None:
            claim = f"{target.what} {target.wanted}".strip()
            verdicts.append(Verdict(claim, target.reached, target.measured))
    return [*verdicts, *_ahead(rows)]


def rows_of(data: dict[str, Any]) -> list[Row]:
    return [Row(**row | {"times": tuple(row["times"])}) for row in data["rows"]]


def _ahead(rows: Sequence[Row]) -> list[Verdict]:
    """Where a peer is faster than qngd, by kind."""
    verdicts = []
    for kind in [kind for kind in SIZES if any(kind in peer.methods for peer in PEERS)]:
        own = {(r.num_qubits, r.layers): r.median for r in rows if (r.kind, r.label) == (kind, QNGD.label)}
        found = [
            f"{row.label} at ({row.num_qubits}, {row.layers}), {base / row.median:.2g}×"
            for row in rows
            if row.kind == kind and row.label not in (QNGD.label, PUBLIC.label) and row.status == "ok" and row.median
            if (base := own.get((row.num_qubits, row.layers))) and row.median < base
        ]
        verdicts.append(Verdict(f"{bench_report.TITLES[kind]}: faster than qngd", None, "; ".join(found) or "none"))
    return verdicts


def draw(data: dict[str, Any]) -> Figure:
    return bench_plots.over_qubits(rows_of(data))


EXPERIMENT = Experiment(
    "bench_peers",
    "The exact engine beside TensorCircuit-ng, qulacs, PennyLane and Qiskit: times, memory, and where a peer is faster",
    "half an hour",
    measure,
    judge,
    draw,
)


def main() -> None:
    if {"--only", "--sizes"}.isdisjoint(sys.argv):
        record.main(EXPERIMENT)
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", default=[], metavar="PEER", help="these peers: " + ", ".join(modules()))
    parser.add_argument("--sizes", nargs="+", type=parse, metavar="QUBITS,LAYERS", help="these sizes alone")
    parser.add_argument("--limit", type=float, default=LIMIT, help="seconds a measurement may take (%(default)s)")
    parser.add_argument("--budget", type=float, default=BUDGET, help="seconds of repeated calls (%(default)s)")
    arguments = parser.parse_args()
    unknown = set(arguments.only) - set(modules())
    if unknown:
        parser.error(f"--only: {', '.join(sorted(unknown))} is none of {', '.join(modules())}")
    contenders = [c for c in PEERS if not arguments.only or c.module in arguments.only]
    benchmark = Benchmark(pythons(contenders), arguments.budget, arguments.limit)
    warm_up()
    compared(benchmark, {kind: arguments.sizes or usual for kind, usual in SIZES.items()}, arguments.limit, {})


def warm_up() -> None:
    """Compile the kernels that are not cached on disk yet."""
    for kind in QNGD.methods:
        launch(QNGD, sys.executable, kind, (4, 1), 0.0, 300.0)


def modules() -> list[str]:
    return list(dict.fromkeys(contender.module for contender in PEERS))


if __name__ == "__main__":
    main()
