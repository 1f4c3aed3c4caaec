"""What exact computations cost on the embedded simulator: the part of the benchmark that needs no peers.

Claim: one step (energy, gradient, block-diagonal metric, solve) on 20 qubits takes at most 512 MiB and the time of 12
plain runs of the circuit (the ladder ansatz of `experiments.peers.protocol` with four layers, an Ising energy); the
first metric of a fresh process comes in well under a second; a short run from the command line ends in 3 s; wrapping
is linear in the gates.

    python -m experiments.bench_exact            a minute or two; results/bench_exact/measurements.json
    python -m experiments.bench_exact --smoke    a few seconds

Each measurement runs in a process of its own, so that its peak memory is its own. Times are medians.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from statistics import median

from experiments.peers.environments import ROOT
from experiments.peers.launch import Contender, Row, measure

KINDS = ("run", "state", "gradient", "step", "full_metric")
QNGD = Contender("qngd", "qngd", {kind: kind for kind in KINDS})
PUBLIC = Contender("qngd, public call", "qngd", {"full_metric": "metric_tensor"})
LIMIT, COMPILING = 60.0, 600.0  # seconds a measurement, and one that compiles all kernels
OUT = Path("results/bench_exact")


def wrap_seconds(gates: int) -> float:
    """Time to wrap RZ, RY and CNOT gates on 100 qubits, each rotation with its own parameter."""
    from qiskit import QuantumCircuit
    from qiskit.circuit import ParameterVector

    import qngd

    def circuit(gates: int) -> QuantumCircuit:
        angles = iter(ParameterVector("t", gates))
        made = QuantumCircuit(100)
        for k in range(gates):
            qubit = (7 * k) % 100
            if k % 3 == 2:
                made.cx(qubit, (qubit + 1) % 100)
            else:
                (made.ry if k % 3 else made.rz)(next(angles), qubit)
        return made

    qngd.wrap(circuit(10))
    large = circuit(gates)
    start = time.perf_counter()
    qngd.wrap(large)
    return time.perf_counter() - start


def wrap_in_a_process(gates: int) -> float:
    command = [sys.executable, "-m", "experiments.bench_exact", "--wrap", str(gates)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def command_line_seconds() -> float:
    """Wall time of `qngd run circuits/h2.py --steps 20`, imports included."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "qngd", "run", str(ROOT / "circuits" / "h2.py"), "--steps", "20"]
        command += ["--out", str(Path(folder) / "run")]
        start = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        return time.perf_counter() - start


def first_metric() -> dict[str, float]:
    """Seconds in fresh processes, n = 8: imports (Qiskit's for the circuit among them), then wrapping and the first
    full metric with the kernels cached on disk, and with an empty cache."""

    def fresh(settings: dict[str, str]) -> Row:
        row, _ = measure(PUBLIC, sys.executable, "full_metric", (8, 4), 0.0, COMPILING, settings=settings)
        if row.first is None:
            raise RuntimeError(f"first metric: {row.note or row.status}")
        return row

    warm = [fresh({}) for _ in range(3)]
    with tempfile.TemporaryDirectory() as folder:
        cold = fresh({"NUMBA_CACHE_DIR": folder})
    return {
        "imports": median(row.imports for row in warm),
        "first_metric": median(row.first for row in warm),
        "first_metric_without_cache": cold.first,
    }


def own_claims(smoke: bool) -> dict[str, float]:
    """Seconds of what no peer is asked for."""
    gates = 1000 if smoke else 100_000
    claims: dict[str, float] = {"wrapped_gates": gates, "wrap": wrap_in_a_process(gates)}
    if not smoke:
        claims |= first_metric()
        claims["command_line"] = median(command_line_seconds() for _ in range(3))
    return claims


def show(row: Row) -> None:
    steady = "-" if row.median is None else f"{row.median * 1e3:.3f} ms"
    first = "-" if row.first is None else f"{row.first * 1e3:.0f} ms"
    print(
        f"{row.kind:12s} n = {row.num_qubits:2d}  P = {row.parameters:3d}  {row.label:32s} {steady:>14s}   "
        f"first call {first:>9s}   {row.status if row.status != 'ok' else ''} {row.note}".rstrip(),
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="small sizes, to show that it runs")
    parser.add_argument("--wrap", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.wrap:
        print(wrap_seconds(arguments.wrap))
        return
    rows = []
    for size in [(4, 2)] if arguments.smoke else [(n, 4) for n in (4, 8, 10, 12, 16, 20)]:
        for kind in ("run", "step") if arguments.smoke else KINDS:
            row, _ = measure(QNGD, sys.executable, kind, size, 0.05 if arguments.smoke else 1.0, LIMIT)
            show(row)
            rows.append(row)
    claims = own_claims(arguments.smoke)
    print(json.dumps(claims, indent=1))
    save(OUT / "measurements.json", rows, {"claims": claims})
    print(f"data: {OUT / 'measurements.json'}")


def save(path: Path, rows: list[Row], rest: dict[str, object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(rest | {"rows": [asdict(row) for row in rows]}, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
