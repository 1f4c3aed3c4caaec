"""Gradients of a hundred qubits by light cones beside what one would take instead, all measured in turn in one run.

Brickwork of one or two layers (RY, RZ on every qubit, CX on even, then odd bonds) and an Ising chain, where every
parameter stands in one gate, on 10, 30 and 100 qubits: an energy and a gradient by light cones, by Pauli propagation
and by the peers: TensorCircuit-ng with its light cones, jitted, reverse mode; pauli-prop with the shift rule, no string
left out; the estimator of Aer's matrix product states with the shift rule, all shifts in one call. None of them gives a
metric; ours is measured with the gradient besides.

    python -m experiments.bench_cones            builds the peers' environments in .bench/ first; a quarter of an hour
    python -m experiments.bench_cones --smoke    seconds; qngd alone, both ways

Every measurement runs in a process of its own and is stopped after a limit; no peer is timed before its numbers agree.
Seconds are the median of a few calls, after what is compiled.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from experiments.bench_peers import Benchmark, machine, pythons
from experiments.peers.environments import ROOT
from experiments.peers.launch import OVER_LIMIT, Contender, Row
from experiments.peers.launch import measure as launch
from experiments.record import Experiment, Verdict, main
from qngd.errors import counted

CONES = Contender("qngd, light cones", "qngd", {"energy": "cone_energy", "gradient": "cone_gradient"})
PROPAGATION = Contender(
    "qngd, Pauli propagation", "qngd", {"energy": "propagated_energy", "gradient": "propagated_gradient"}
)
STEP = Contender("qngd, gradient and block metric", "qngd", {"gradient": "cone_step"})
TENSORS = Contender(
    "TensorCircuit-ng, light cones", "tensorcircuit", {"energy": "cone_energy", "gradient": "cone_gradient"}
)
STRINGS = Contender(
    "pauli-prop, shift rule", "pauli_prop", {"energy": "propagated_energy", "gradient": "propagated_gradient"}
)
CHAINS = Contender("Aer MPS estimator, shift rule", "pauli_prop", {"energy": "mps_energy", "gradient": "mps_gradient"})
PEERS = (TENSORS, STRINGS, CHAINS)
PACKAGES = ("tensorcircuit-ng", "pauli-prop", "qiskit-aer")
SIZES = [(10, 2), (30, 2), (100, 1), (100, 2)]
LIMIT = 60.0  # seconds of a measurement
_TIMES_AS_FAST = 10.0


def measure(smoke: bool) -> dict[str, Any]:
    """All measurements, and the versions of the peers."""
    others = (PROPAGATION, STEP, *(() if smoke else PEERS))
    budget, sizes = (0.02, [(6, 1)]) if smoke else (0.5, SIZES)
    benchmark = Benchmark(pythons(others), budget, LIMIT, CONES)
    if not smoke:
        warm_up()
    for kind in ("energy", "gradient"):
        for size in sizes:
            benchmark.compare(kind, size, others)
    return {
        "machine": machine(),
        "limit": LIMIT,
        "peers": {} if smoke else versions(),
        "rows": [asdict(row) for row in benchmark.rows],
    }


def warm_up() -> None:
    """Compile what is not cached on disk yet."""
    for own in (CONES, PROPAGATION, STEP):
        for kind in own.methods:
            launch(own, sys.executable, kind, (4, 2), 0.0, 600.0)


def versions() -> dict[str, str]:
    """As the peers' requirements pin them."""
    lines = {
        line
        for peer in PEERS
        for line in (ROOT / f"experiments/peers/requirements/{peer.module}.txt")
        .read_text(encoding="utf-8")
        .splitlines()
    }
    pinned = dict(line.split("==") for line in sorted(lines) if "==" in line)
    return {package: pinned[package] for package in PACKAGES}


def ratios(rows: Sequence[Row], own: Contender, peer: Contender, kind: str) -> dict[str, float]:
    """What a peer takes in units of qngd's way, by size."""
    ours = {(row.num_qubits, row.layers): row.median for row in rows if (row.label, row.kind) == (own.label, kind)}
    found = {}
    for row in rows:
        base = ours.get((row.num_qubits, row.layers))
        if (row.label, row.kind) == (peer.label, kind) and row.median is not None and base:
            found[f"{row.num_qubits} qubits, {counted(row.layers, 'layer')}"] = row.median / base
    return found


def judge(data: dict[str, Any]) -> list[Verdict]:
    rows = [Row(**row | {"times": tuple(row["times"])}) for row in data["rows"]]
    wrong = [f"{row.label}: {row.kind}" for row in rows if row.status == "wrong"]
    found = [Verdict("all ways compute the same numbers", not wrong, ", ".join(wrong) or _agreement(rows))]
    for peer in PEERS:
        for kind, wanted in (("gradient", _TIMES_AS_FAST), ("energy", 1.0)):
            claim = f"{_a(kind)} takes {peer.label} at least {wanted:g} times as long as light cones"
            found += _beside(rows, CONES, peer, kind, wanted, claim)
    found += [_unreached(rows, data["limit"], peer) for peer in PEERS]
    for peer in PEERS:
        for kind in ("gradient", "energy"):
            found += _beside(
                rows, PROPAGATION, peer, kind, None, f"{_a(kind)} by {peer.label} beside Pauli propagation"
            )
    metric = ratios(rows, CONES, STEP, "gradient")
    found.append(Verdict("a gradient with block metric, in units of a gradient by light cones", None, _said(metric)))
    return found


def _a(kind: str) -> str:
    return "an energy" if kind == "energy" else f"a {kind}"


def _agreement(rows: Sequence[Row]) -> str:
    worst = max((row.deviation for row in rows if row.deviation is not None), default=0.0)
    return f"to {worst:.0e}"


def _beside(
    rows: Sequence[Row], own: Contender, peer: Contender, kind: str, wanted: float | None, claim: str
) -> list[Verdict]:
    """Nothing where the peer was not measured."""
    if not (found := ratios(rows, own, peer, kind)):
        return []
    said = _said(found)
    if any(ratio < 1 for ratio in found.values()):
        said += f": {peer.label} is faster where the number is below 1"
    return [Verdict(claim, None if wanted is None else min(found.values()) >= wanted, said)]


def _said(found: dict[str, float]) -> str:
    return "; ".join(f"{ratio:.3g}× on {size}" for size, ratio in found.items())


def _unreached(rows: Sequence[Row], limit: float, peer: Contender) -> Verdict:
    """What a peer did not get through."""
    missed = [row for row in rows if row.label == peer.label and row.median is None]
    said = [
        f"{row.kind} of {row.num_qubits} qubits, {counted(row.layers, 'layer')} ({row.note or row.status})"
        for row in missed
        if row.status != "not tried" or OVER_LIMIT in row.note
    ]
    return Verdict(f"what {peer.label} has not done in {limit:g} s", None, "; ".join(said) or "nothing")


EXPERIMENT = Experiment(
    "bench_cones",
    "Light cones give gradients of a hundred qubits faster than TensorCircuit-ng, pauli-prop and matrix product states",
    "a quarter of an hour",
    measure,
    judge,
)

if __name__ == "__main__":
    main(EXPERIMENT)
