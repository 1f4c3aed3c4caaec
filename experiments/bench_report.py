"""Tables of the benchmark, drawn from its data alone: what was wanted, and every measurement.

    python -m experiments.bench_report     from results/bench_peers/measurements.json

The claim is that of `experiments.bench_peers`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from experiments import bench_plots
from experiments.bench_exact import PUBLIC, QNGD
from experiments.peers.launch import OVER_LIMIT, Row
from experiments.peers.protocol import MEMORY_CAP

TITLES = {
    "full_metric": "Full metric",
    "step": "One natural gradient step: energy, gradient, block-diagonal metric, solve",
    "gradient": "Gradient of the energy",
    "state": "Plain run: the statevector",
    "run": "Plain run of qngd in the frame without Clifford gates, which is what its steps are made of",
}
TENSORCIRCUIT, REVERSE_QGT, PENNYLANE = "TensorCircuit-ng", "Qiskit", "PennyLane"
OPTIMIZER = "PennyLane default.qubit"  # with the defaults of QNGOptimizer
EXPLANATION = """\
RY and RZ on every qubit and a CNOT ladder, L times, P = 2nL; energy of an open Ising chain; double precision.
Each line is a process of its own, measured in turn in one run. *First call* is the first in a fresh process, with
preparation and compilation, without imports; qngd's kernels are compiled once per machine, not per circuit, and were
cached on disk. *Further calls* are the median [quartiles] of calls at other θ. *Memory* is the peak over that of the
imports. *Difference* is the largest from qngd's numbers at that size; nobody is timed before it is small. qulacs and
PennyLane have one OpenMP and BLAS thread below 14 qubits, and the faster of one and all cores above; the others choose
for themselves. qulacs' gradient comes without the energy; qngd's step in its first call includes the energy, gradient
and metric at the start, which a run has only once. PennyLane's lightning.qubit and its adjoint variant differentiate by
`adjoint` and take the block-diagonal metric from the circuits of `metric_tensor`; its full metric is
`adjoint_metric_tensor`.
"""


@dataclass(frozen=True)
class Target:
    """A number that is wanted, and the one that was measured (None: it could not be)."""

    what: str
    wanted: str
    measured: str | None
    reached: bool | None


def write(folder: Path) -> None:
    """table.md and the plots, from measurements.json in `folder`."""
    data = json.loads((folder / "measurements.json").read_text(encoding="utf-8"))
    rows = [Row(**row | {"times": tuple(row["times"])}) for row in data["rows"]]
    wanted = [target for target in targets(rows, data["claims"]) if data["complete"] or target.measured]
    text = "\n".join([_head(data["machine"]), EXPLANATION, *_target_table(wanted), *_tables(rows)])
    (folder / "table.md").write_text(text + "\n", encoding="utf-8")
    print("\n".join(_target_table(wanted)))
    print(f"table: {folder / 'table.md'}")
    for path in bench_plots.draw(rows, folder):
        print(f"plot: {path}")


def targets(rows: Sequence[Row], claims: Mapping[str, float]) -> Iterator[Target]:
    """What is wanted of a run, and what was measured."""
    steady, first = (lambda row: row.median), (lambda row: row.first)
    for n in (8, 10, 12):
        size, what = ("full_metric", n, 4), f"full metric ({n}, 4)"
        for own in (QNGD.label, PUBLIC.label):
            yield _ratio(rows, size, own, TENSORCIRCUIT, steady, 5, f"{what}, {own}: TensorCircuit-ng, further calls")
        what += ", first call in a fresh process: TensorCircuit-ng's"
        yield _ratio(rows, size, PUBLIC.label, TENSORCIRCUIT, first, 50, what)
    yield _ratio(rows, ("full_metric", 8, 4), QNGD.label, REVERSE_QGT, steady, 1000, "full metric (8, 4): ReverseQGT")
    for n in (8, 10, 12):
        what = f"step ({n}, 4): QNGOptimizer on default.qubit"
        yield _ratio(rows, ("step", n, 4), QNGD.label, OPTIMIZER, steady, 200, what, exactly=True)
    yield _ratio(rows, ("step", 16, 4), QNGD.label, PENNYLANE, steady, 20, "step (16, 4): best of PennyLane")
    yield from _large_step(rows)
    yield _below("first full metric of a fresh process at n = 8, after imports", claims.get("first_metric"), 1.0)
    yield _below("the same with no kernels cached", claims.get("first_metric_without_cache"), None)
    yield _below("imports before it, Qiskit's included", claims.get("imports"), None)
    yield _below("`qngd run circuits/h2.py --steps 20`", claims.get("command_line"), 3.0)
    gates = claims.get("wrapped_gates", 0)
    yield _below(f"wrapping {gates:,.0f} gates on 100 qubits", claims.get("wrap"), 10.0)


def _ratio(
    rows: Sequence[Row],
    size: tuple[str, int, int],
    own: str,
    peer: str,
    seconds: Callable[[Row], float | None],
    wanted: float,
    what: str,
    exactly: bool = False,
) -> Target:
    """How many times longer the fastest peer whose label begins with `peer` takes than qngd."""
    here = [row for row in rows if (row.kind, row.num_qubits, row.layers) == size]
    mine = [value for row in here if row.label == own and (value := seconds(row))]
    theirs = [row for row in here if (row.label == peer if exactly else row.label.startswith(peer))]
    times = [(value, row.label) for row in theirs if (value := seconds(row)) and row.status != "wrong"]
    if not mine or not theirs:
        return Target(what, f"≥ {wanted:g}×", None, None)
    if not times:
        limited = any(row.status == OVER_LIMIT for row in theirs)
        return Target(what, f"≥ {wanted:g}×", "over the limit" if limited else "failed", None)
    fastest, label = min(times)
    ratio = fastest / mine[0]
    return Target(what, f"≥ {wanted:g}×", f"{ratio:.3g}× ({label})", ratio >= wanted)


def _large_step(rows: Sequence[Row]) -> Iterator[Target]:
    found = {row.kind: row for row in rows if (row.label, row.num_qubits) == (QNGD.label, 20)}
    step, run = found.get("step"), found.get("run")
    if step is None or step.peak_mib is None:
        return
    memory = f"{step.peak_mib:.0f} MiB ({step.over_imports_mib:.0f} over imports)"
    yield Target("step (20, 4): peak memory of the process", "≤ 512 MiB", memory, step.peak_mib <= 512)
    if run is not None and run.median and step.median:
        ratio = step.median / run.median
        yield Target("step (20, 4): plain runs of the circuit", "≤ 12", f"{ratio:.3g}", ratio <= 12)


def _below(what: str, seconds: float | None, limit: float | None) -> Target:
    wanted = "" if limit is None else f"< {limit:g} s"
    if seconds is None:
        return Target(what, wanted, None, None)
    return Target(what, wanted, f"{seconds:.2f} s", None if limit is None else seconds < limit)


def _target_table(wanted: Sequence[Target]) -> list[str]:
    lines = ["## What was wanted", "", "| | wanted | measured | |", "|---|---|---|---|"]
    verdicts = {True: "reached", False: "**not reached**", None: ""}
    for target in wanted:
        measured = target.measured or "not measured"
        lines.append(f"| {target.what} | {target.wanted} | {measured} | {verdicts[target.reached]} |")
    return [*lines, ""]


def _head(machine: Mapping[str, object]) -> str:
    return (
        "# The exact engine beside its peers\n\n"
        f"{machine['processor']}, {machine['cores']} cores, load {machine['load_at_start']:.1f} when it began, "
        f"Python {machine['python']}; at most {machine['limit']:g} s and "
        f"{MEMORY_CAP >> 30} GiB a measurement.\n"
    )


def _tables(rows: Sequence[Row]) -> Iterator[str]:
    for kind, title in TITLES.items():
        here = [row for row in rows if row.kind == kind]
        if not here:
            continue
        yield f"## {title}\n"
        yield "| n | L | P | | further calls | first call | × qngd | memory | threads | difference |"
        yield "|--:|--:|--:|---|--:|--:|--:|--:|--:|--:|"
        own = {(row.num_qubits, row.layers): row.median for row in here if row.label == QNGD.label}
        for row in sorted(here, key=lambda row: (row.num_qubits, row.layers)):
            yield _line(row, own.get((row.num_qubits, row.layers)))
        yield ""


def _line(row: Row, own: float | None) -> str:
    cells = [
        str(row.num_qubits),
        str(row.layers),
        str(row.parameters),
        row.label,
        _further(row),
        _time(row.first),
        _times_ours(row, own),
        "" if row.over_imports_mib is None else f"{row.over_imports_mib:.0f} MiB",
        "own" if row.threads is None else str(row.threads),
        "" if row.deviation is None else f"{row.deviation:.0e}",
    ]
    return f"| {' | '.join(cells)} |"


def _further(row: Row) -> str:
    """Median and quartiles, or why there are none."""
    if row.median is None or row.quartiles is None or row.status == "wrong":
        return f"{row.status}: {row.note}" if row.note else row.status
    low, high = row.quartiles
    return f"{_time(row.median)} [{_time(low)}, {_time(high)}]"


def _times_ours(row: Row, own: float | None) -> str:
    if row.median is None or own is None or row.label == QNGD.label:
        return ""
    ratio = row.median / own
    return f"**{ratio:.2g}, faster**" if ratio < 1 else f"{ratio:.3g}"


def _time(seconds: float | None) -> str:
    if seconds is None:
        return ""
    for unit, factor in (("s", 1.0), ("ms", 1e3)):
        if seconds * factor >= 1:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds * 1e6:.3g} µs"


if __name__ == "__main__":
    write(Path("results/bench_peers"))
