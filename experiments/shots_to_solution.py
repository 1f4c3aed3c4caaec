"""What a method spends until the true energy of its point is at the goal.

Question: whether `shots="auto"` needs fewer shots than shots fixed beforehand, whichever of the declared grid, and than
other optimizers. Found so far (5 to 12 seeds): on H2 and MaxCut with 10 vertices, p = 2, it does; on the Ising ring,
the Ising ladder and the Heisenberg chain 50 shots a circuit, or Adam with them, need fewer.

    python -m experiments.shots_to_solution                             all; hours on one core
    python -m experiments.shots_to_solution --problem h2 --seeds 20     one problem
    python -m experiments.shots_to_solution --smoke                     seconds

The goal is chemical accuracy, or that this part of the way from the start is left to where an exact run from the same
start ends. A run that does not arrive within the problem's shots counts as endless; where half of the runs do, there is
no median. The exact energy is looked at after every step, which no run knows of. Seconds are those of fake_torino: 260
µs a shot, nearly all of it the delay between shots, as `qngd cost` says; waiting is not counted.

Results: results/shots_to_solution/PROBLEM.json, and a table of all that is there, table.md.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

OUT = Path("results/shots_to_solution")
SEEDS = 20
SECONDS_PER_SHOT = 2.6e-4
CHEMICAL_ACCURACY = 1.6e-3  # hartree


@dataclass(frozen=True)
class Row:
    """A problem: its name among those of the zoo, or how it is built; the part of the way that may be left, None for
    chemical accuracy; and the shots after which a run has failed."""

    zoo: str = ""
    graph: tuple[int, int] | None = None  # vertices and depth of MaxCut
    left: float | None = 0.05
    most: int = 10_000_000
    one_start: bool = False


PROBLEMS = {
    "h2": Row("h2-1", left=None, most=2_000_000, one_start=True),
    "heisenberg-4": Row("heisenberg-4"),
    "lih-3": Row("lih-3", left=None),
    "maxcut-10-p2": Row(graph=(10, 2)),
    "maxcut-10-p3": Row(graph=(10, 3)),
    "maxcut-12-p2": Row(graph=(12, 2)),
    "maxcut-12-p3": Row(graph=(12, 3)),
    "ising-ring-6": Row("tfim-6-small", left=0.1),
    "ising-ring-8": Row("tfim-8-small", left=0.1),
    "qasm-ladder": Row("qasm-ladder"),
    "sk-6": Row("sk-6", left=0.1),
}


def methods() -> dict[str, tuple[Any, Any]]:
    """Optimizer and shots by name. Of the names before a colon the best setting counts."""
    import qngd
    from qngd.baselines import CMAES, SPSA, Adam, ExcitationSolve, GradientDescent, SciPy

    grid = (50, 200, 1000)
    found: dict[str, tuple[Any, Any]] = {
        "auto": (qngd.QNG(), "auto"),
        **{f"fixed:{shots}": (qngd.QNG(), shots) for shots in grid},
        **{f"adam:{shots}": (Adam(0.05), shots) for shots in grid},
        **{f"gradient descent:{rate}": (GradientDescent(rate), 200) for rate in (0.02, 0.1)},
        "gradient descent, auto": (GradientDescent(0.05), "auto"),  # gCANS, but for the rate
        **{f"spsa:{shots}": (SPSA(first_change=0.1), shots) for shots in grid},
        **{f"cobyla:{shots}": (SciPy("COBYLA", {"rhobeg": 0.3, "tol": 1e-6}), shots) for shots in grid[1:]},
        **({f"cma-es:{shots}": (CMAES(), shots) for shots in grid} if find_spec("cma") else {}),
        **{f"excitation-solve:{shots}": (ExcitationSolve(), shots) for shots in grid[1:]},
    }
    if hasattr(qngd.QNG, "qn_spsa"):
        found |= {f"qn-spsa:{shots}": (qngd.QNG.qn_spsa(), shots) for shots in grid}
        found |= {f"sampled gradient:{shots}": (qngd.QNG(gradient="sampled"), shots) for shots in grid}
    return found


@cache
def problem_of(name: str, start: int) -> Any:
    """The problem, its circuit in the neutral form."""
    import numpy as np

    from circuits import maxcut
    from experiments import zoo_cases
    from qngd.interop.given import read_given

    row = PROBLEMS[name]
    if row.graph is None:
        return zoo_cases.problem_of(row.zoo, start)
    vertices, depth = row.graph
    problem = maxcut.problem(num_vertices=vertices, depth=depth, seed=start)
    problem = replace(problem, circuit=read_given(problem).circuit)
    flat = problem.circuit.flatten(problem.theta0) + np.random.default_rng(start).normal(0, 0.1, 2 * depth)
    return replace(problem, theta0=problem.circuit.unflatten(flat, problem.theta0))


@cache
def goal(name: str, start: int) -> float:
    """The exact energy to reach."""
    import qngd

    problem, left = problem_of(name, start), PROBLEMS[name].left
    found = qngd.minimize(problem, backend="statevector", max_steps=400)
    if left is None:
        best = problem.reference_energy if PROBLEMS[name].one_start else found.energy
        return best + CHEMICAL_ACCURACY
    return found.energy + left * (found.history[0] - found.energy)


def spent(name: str, start: int, seed: int, optimizer: Any, shots: Any, most: int) -> dict[str, float] | None:
    """What it took to the goal; None where the run did not arrive, or cannot be made."""
    from qngd.errors import CircuitError, SettingError
    from qngd.evaluators.choice import evaluator_for
    from qngd.interop import as_observable

    problem = problem_of(name, start)
    circuit, observable = problem.circuit, as_observable(problem.observable, problem.circuit)
    sampled = evaluator_for(circuit, observable, "statevector", shots)
    exact = evaluator_for(circuit, observable, "statevector")
    end = goal(name, start)
    try:
        state = optimizer.init(sampled, circuit.flatten(problem.theta0), seed)
    except (CircuitError, SettingError):
        return None
    while state.cost.shots < most and not state.finished:
        if exact.energies([state.theta], None)[0][0].value <= end:
            cost = state.cost
            return {
                "shots": cost.shots,
                "circuits": cost.circuits,
                "jobs": cost.jobs,
                "seconds": cost.shots * SECONDS_PER_SHOT,
            }
        state, _ = optimizer.step(sampled, state)
    return None


def run(name: str, seeds: int, most: int, only: Callable[[str], bool]) -> dict[str, Any]:
    """All runs of a problem: per method what every seed spent, and quartiles of the shots."""
    import numpy as np

    row, data = PROBLEMS[name], {}
    for method, (optimizer, shots) in methods().items():
        if not only(method):
            continue
        found = [spent(name, 0 if row.one_start else k, k, optimizer, shots, most) for k in range(seeds)]
        quartiles = {
            key: [
                None if value == np.inf else float(value)
                for value in np.quantile(
                    [np.inf if one is None else one[key] for one in found], (0.25, 0.5, 0.75), method="inverted_cdf"
                )
            ]
            for key in ("shots", "circuits", "jobs", "seconds")
        }
        data[method] = {"runs": found, "quartiles": quartiles, "arrived": sum(one is not None for one in found)}
        print(f"{name:14s} {method:24s} {_cell(quartiles['shots'])}  {data[method]['arrived']}/{seeds}", flush=True)
    return {"problem": name, "seeds": seeds, "most": most, "methods": data}


def _cell(quartiles: list[float | None]) -> str:
    low, middle, high = ("∞" if value is None else f"{value / 1000:.0f}k" for value in quartiles)
    return f"{middle} ({low} to {high})"


def table() -> str:
    """All results that are there: of every method the best of its settings, by the median of the shots."""
    lines = ["| problem | method | shots | circuits | jobs | seconds | arrived |", "|---|---|---|---|---|---|---|"]
    for path in sorted(OUT.glob("*.json")):
        data = json.loads(path.read_text(encoding="utf-8"))
        best: dict[str, tuple[float, float, str]] = {}
        for method, one in data["methods"].items():
            group = method.partition(":")[0]
            low, middle, _ = (float("inf") if value is None else value for value in one["quartiles"]["shots"])
            rank = middle, low, method
            best[group] = min(best.get(group, rank), rank)
        for _, _, method in sorted(best.values()):
            one = data["methods"][method]
            medians = ["–" if value[1] is None else f"{value[1]:.0f}" for value in one["quartiles"].values()]
            cells = [_cell(one["quartiles"]["shots"]), *medians[1:], f"{one['arrived']}/{data['seeds']}"]
            lines.append(f"| {data['problem']} | {method} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--problem", choices=PROBLEMS, action="append", help="left out: all")
    parser.add_argument("--method", action="append", help="all settings of this method, such as adam; left out: all")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--most", type=int, help="shots after which a run has failed, in place of the problem's")
    parser.add_argument("--smoke", action="store_true", help="two seeds of one problem, to show that it runs")
    given = parser.parse_args()
    os.environ.update(QNGD_NUM_THREADS="1", OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")
    names = ["h2"] if given.smoke else given.problem or list(PROBLEMS)
    chosen = ["auto", "fixed", "spsa"] if given.smoke else given.method
    OUT.mkdir(parents=True, exist_ok=True)
    for name in names:
        most = 5_000 if given.smoke else given.most or PROBLEMS[name].most
        seeds = 2 if given.smoke else given.seeds
        data = run(name, seeds, most, lambda method: not chosen or method.partition(":")[0] in chosen)
        (OUT / f"{name}.json").write_text(json.dumps(data, indent=1), encoding="utf-8")
    (OUT / "table.md").write_text(table(), encoding="utf-8")
    print(table())


if __name__ == "__main__":
    main()
