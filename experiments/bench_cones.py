"""Energies and gradients of a hundred qubits beside what one would take instead, all measured in turn in the same run.

Claim: on brickwork of two layers (RY, RZ on every qubit, CX on even, then odd bonds) and an Ising chain, where every
parameter stands in one gate, light cones give a gradient at least ten times as fast as any peer that gets through
within the limit; no peer gives one of 100 qubits and 400 parameters within it. None of the peers gives a metric.

    python -m experiments.bench_cones            builds the peers' environments in .bench/ first; some twenty minutes
    python -m experiments.bench_cones --smoke    seconds; qngd alone, both ways
    python -m experiments.bench_cones --sizes 10,2

Peers: TensorCircuit-ng with its light cones, jitted, reverse mode; pauli-prop with the shift rule, no string left out;
the estimator of Aer's matrix product states with the shift rule, all shifts in one call. Every measurement runs in a
process of its own and is stopped after a limit; no peer is timed before its numbers agree. Writes measurements.json and
table.md to results/bench_cones/.

Expected, on two busy cores, a gradient in units of ours by light cones: TensorCircuit-ng 15 on 10 qubits, after 35 s of
compilation, and over the limit from 30 on; Aer's estimator 760 on 10 and 20 000 on 30; pauli-prop 25 000 on 10, and
over the limit from 30 on. An energy: TensorCircuit-ng 3, Aer 170 to 680, pauli-prop 900 to 7000; in units of our Pauli
propagation pauli-prop takes 12 to 50, Aer 2 to 10, and TensorCircuit-ng, once compiled, is the faster: .04 to .2.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from experiments.bench_exact import save
from experiments.bench_peers import Benchmark, machine, parse, pythons
from experiments.peers.launch import Contender, Row

OUT = Path("results/bench_cones")
CONES = Contender("qngd, light cones", "qngd", {"energy": "cone_energy", "gradient": "cone_gradient"})
PROPAGATION = Contender(
    "qngd, Pauli propagation", "qngd", {"energy": "propagated_energy", "gradient": "propagated_gradient"}
)
STEP = Contender("qngd, gradient and block metric", "qngd", {"gradient": "cone_step"})
PEERS = (
    Contender("TensorCircuit-ng, light cones", "tensorcircuit", {"energy": "cone_energy", "gradient": "cone_gradient"}),
    Contender(
        "pauli-prop, shift rule", "pauli_prop", {"energy": "propagated_energy", "gradient": "propagated_gradient"}
    ),
    Contender("Aer MPS estimator, shift rule", "pauli_prop", {"energy": "mps_energy", "gradient": "mps_gradient"}),
)
SIZES = [(10, 2), (30, 2), (100, 1), (100, 2)]


def ratios(rows: Sequence[Row]) -> list[str]:
    """What each peer takes in units of qngd's way that it is compared with, one line a measurement."""
    found = []
    own = {(row.label, row.kind, row.num_qubits, row.layers): row.median for row in rows}
    for row in rows:
        if row.label in (CONES.label, STEP.label, PROPAGATION.label):
            continue
        key = (row.kind, row.num_qubits, row.layers)
        beside = [(way.label, own.get((way.label, *key))) for way in (CONES, PROPAGATION)]
        if row.median is None:
            found.append(f"{row.kind} {key[1]},{key[2]}: {row.label}: {row.status} {row.note}".rstrip())
        for label, median in beside:
            if row.median is not None and median:
                ratio = row.median / median
                says = "slower" if ratio > 1 else "FASTER"
                found.append(f"{row.kind} {key[1]},{key[2]}: {row.label}: {ratio:.3g}× of {label} ({says})")
    return found


def table(rows: Sequence[Row]) -> str:
    """All measurements in Markdown."""
    lines = ["| kind | qubits, layers | | a call | first call | MiB | |", "| --- | --- | --- | --: | --: | --: | --- |"]
    for row in rows:
        steady = "" if row.median is None else f"{1e3 * row.median:.3g} ms"
        first = "" if row.first is None else f"{row.first:.3g} s"
        memory = "" if row.peak_mib is None else f"{row.peak_mib:.0f}"
        note = " ".join(filter(None, ["" if row.status == "ok" else row.status, row.note]))
        place = f"{row.num_qubits}, {row.layers}"
        lines.append(f"| {row.kind} | {place} | {row.label} | {steady} | {first} | {memory} | {note} |")
    return "\n".join([*lines, "", *(f"- {line}" for line in ratios(rows)), ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="one small size, qngd alone")
    parser.add_argument("--sizes", nargs="+", type=parse, metavar="QUBITS,LAYERS", help="these sizes alone")
    parser.add_argument("--limit", type=float, default=120.0, help="seconds a measurement may take (%(default)s)")
    arguments = parser.parse_args()
    others = (PROPAGATION, STEP, *(() if arguments.smoke else PEERS))
    budget, sizes = (0.02, [(6, 1)]) if arguments.smoke else (0.5, arguments.sizes or SIZES)
    benchmark = Benchmark(pythons(others), budget, arguments.limit, CONES)
    for kind in ("energy", "gradient"):
        for size in sizes:
            benchmark.compare(kind, size, others)
            save(OUT / "measurements.json", benchmark.rows, {"machine": machine() | {"limit": arguments.limit}})
    (OUT / "table.md").write_text(table(benchmark.rows), encoding="utf-8")
    print("\n".join(ratios(benchmark.rows)))
    print(f"data: {OUT / 'measurements.json'}, table: {OUT / 'table.md'}")
    if any(row.status == "wrong" for row in benchmark.rows):
        sys.exit(f"some measurements computed other numbers than qngd: see {OUT / 'table.md'}")


if __name__ == "__main__":
    main()
