"""Shots divided by what the step needs of them are never worse than shots divided equally.

Claim: to come near the end of an exact run, as judged by the exact energy, `shots="auto"` takes no more shots in all
than the same total a step divided equally, on every problem of circuits/ that the zoo runs with shots; on some clearly
fewer. The ratio is the geometric mean over pairs of runs from the same starts and seeds, with its standard error; a run
that does not arrive counts with all that it spent.

    python -m experiments.auto_shots               all; some minutes on one core
    python -m experiments.auto_shots h2-1          one problem
    python -m experiments.auto_shots --smoke       seconds

Expected: ratios 0.87 ± 0.03 on H2 and 0.90 ± 0.06, 0.95 ± 0.03, 1.02 ± 0.04, 1.04 ± 0.04 and 0.88 ± 0.09 on the others,
in the order below.

Results: results/auto_shots/PROBLEM-SHOTS.json, printed as a table.
"""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

OUT = Path("results/auto_shots")
PAIRS, STEPS = 20, 60
CHEMICAL_ACCURACY = 1.6e-3  # hartree


@dataclass(frozen=True)
class Row:
    """A problem of the zoo, its shots a circuit, and the goal: this part of the way from the start still to go where an
    exact run ends, or chemical accuracy. `starts`: how many starts the pairs go round."""

    problem: str
    shots: int
    left: float | None
    starts: int = PAIRS

    @property
    def name(self) -> str:
        return f"{self.problem}-{self.shots}"


ROWS = (
    Row("h2-1", 400, None, 1),
    Row("pauli-ladder-5", 100, 0.03),
    Row("maxcut-4", 200, 0.05),
    Row("tfim-6-half-pi", 200, 0.1),
    Row("heisenberg-4", 100, 0.05),
    Row("qasm-ladder", 100, 0.1),
)


@cache
def goal(row: Row, start: int) -> float:
    """The exact energy to reach."""
    import qngd
    from experiments.zoo_cases import problem_of

    problem = problem_of(row.problem, start)
    if row.left is None:
        return problem.reference_energy + CHEMICAL_ACCURACY
    found = qngd.minimize(problem, backend="statevector", max_steps=300)
    return found.energy + row.left * (found.history[0] - found.energy)


def spent(row: Row, start: int, seed: int, auto: bool, steps: int) -> tuple[int, bool]:
    """Shots until the exact energy is at the goal, and whether it came to that within `steps`."""
    import qngd
    from experiments.zoo_cases import problem_of
    from qngd.evaluators.choice import evaluator_for
    from qngd.interop import as_observable
    from qngd.measured.shots import AutoShots

    problem = problem_of(row.problem, start)
    circuit, observable = problem.circuit, as_observable(problem.observable, problem.circuit)
    total = row.shots * qngd.cost(problem, backend="statevector", shots=1).step.circuits
    sampled = evaluator_for(circuit, observable, "statevector", AutoShots(total) if auto else row.shots)
    exact = evaluator_for(circuit, observable, "statevector")
    optimizer = qngd.QNG()
    state = optimizer.init(sampled, circuit.flatten(problem.theta0), seed)
    for _ in range(steps):
        if float(exact.evaluate(state.theta, gradient=False).energy.value) <= goal(row, start):
            return int(state.cost.shots), True
        state, _ = optimizer.step(sampled, state)
    return int(state.cost.shots), False


def run(row: Row, pairs: int, steps: int) -> dict[str, Any]:
    """All pairs of a row, and what they say."""
    import numpy as np

    runs = {
        kind: [spent(row, k % row.starts, k, kind == "auto", steps) for k in range(pairs)] for kind in ("equal", "auto")
    }
    totals = {kind: np.array([shots for shots, _ in found], dtype=float) for kind, found in runs.items()}
    data: dict[str, Any] = {"problem": row.problem, "shots": row.shots, "pairs": pairs, "max_steps": steps}
    for kind, found in runs.items():
        logs = np.log(totals[kind] / totals["equal"])
        data[kind] = {
            "median": float(np.median(totals[kind])),
            "arrived": sum(arrived for _, arrived in found),
            "ratio": float(np.exp(logs.mean())),
            "error": float(np.exp(logs.mean()) * logs.std(ddof=1) / np.sqrt(pairs)),
        }
    return data


def show(data: dict[str, Any]) -> None:
    for kind in ("equal", "auto"):
        row = data[kind]
        ratio = "" if kind == "equal" else f"ratio {row['ratio']:.2f} ± {row['error']:.2f}"
        arrived = f"{row['arrived']}/{data['pairs']} arrived"
        name = f"{data['problem']}, {data['shots']}"
        print(f"{name:22s} {kind:6s} median {row['median']:9.0f} shots, {arrived:14s} {ratio}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("problems", nargs="*", help="left out: all")
    parser.add_argument("--smoke", action="store_true", help="two pairs of two small problems, to show that it runs")
    arguments = parser.parse_args()
    os.environ.update(QNGD_NUM_THREADS="1", OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")
    pairs, steps = (2, 4) if arguments.smoke else (PAIRS, STEPS)
    names = ["maxcut-4", "pauli-ladder-5"] if arguments.smoke else arguments.problems
    OUT.mkdir(parents=True, exist_ok=True)
    for row in ROWS:
        if not names or row.problem in names:
            data = run(row, pairs, steps)
            (OUT / f"{row.name}.json").write_text(json.dumps(data, indent=1), encoding="utf-8")
            show(data)


if __name__ == "__main__":
    main()
