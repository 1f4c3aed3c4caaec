"""Which point of a sampled run is the one to give back.

Claim: of the points that a run with shots may be said to have ended at, none is lower in true energy than the last one
by more than a twentieth of the error of one energy, whether the run came to rest or was stopped on its way. The
point whose measured energy was the lowest is higher: it was chosen for its luck. Means of the last points gain that
twentieth at rest, and lose more than they gain on the way; a test of significance changes nothing.

Each run is `qngd.minimize` with its defaults on the embedded sampler; its θ after every step are known, with the
measured energies and their errors. A rule makes one θ of them, whose exact energy is then compared with that of the
last point of the same run: the difference in units of the error of one energy, so that problems can be put together,
and the mean over all runs with its standard error.

    python -m experiments.final_point               all; some minutes on one core
    python -m experiments.final_point h2-1          one problem
    python -m experiments.final_point --smoke       seconds

Expected: the table of docs/budgets.md.

Results: results/final_point/PROBLEM-SHOTS-STEPS.json, printed as a table.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

OUT = Path("results/final_point")
SEEDS = 24
LATE, EARLY = 40, 6  # steps: most runs have come to rest, or are on their way
PROBLEMS = (
    ("h2-1", 50), ("h2-1", 400), ("pauli-ladder-5", 100), ("maxcut-4", 200), ("tfim-6-half-pi", 200),
    ("heisenberg-4", 100), ("heisenberg-4", 1000), ("qasm-ladder", 100),
)  # fmt: skip

Rule = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]  # of θ (S, P), energies and errors (S,): θ (P,)


def _last(thetas: np.ndarray, energies: np.ndarray, errors: np.ndarray) -> np.ndarray:
    return thetas[-1]


def _lowest(thetas: np.ndarray, energies: np.ndarray, errors: np.ndarray) -> np.ndarray:
    return thetas[np.argmin(energies)]


def _significant(thetas: np.ndarray, energies: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """The last point, unless the lowest is lower by more than two standard errors of the difference."""
    low = int(np.argmin(energies))
    sure = energies[-1] - energies[low] > 2 * np.hypot(errors[-1], errors[low])
    return thetas[low] if sure else thetas[-1]


def _mean_of(count: int) -> Rule:
    return lambda thetas, energies, errors: thetas[-count:].mean(axis=0)


def _alike(count: int) -> Rule:
    """The mean of those of the last points whose energies cannot be told from that of the last one."""

    def choose(thetas: np.ndarray, energies: np.ndarray, errors: np.ndarray) -> np.ndarray:
        apart = np.abs(energies[-count:] - energies[-1]) > 2 * np.hypot(errors[-count:], errors[-1])
        first = int(np.flatnonzero(apart)[-1]) + 1 if apart.any() else 0
        return thetas[-count:][first:].mean(axis=0)

    return choose


def _indistinguishable(thetas: np.ndarray, energies: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """The mean of the points at the end that are within two standard errors of the lowest."""
    low = int(np.argmin(energies))
    apart = energies - energies[low] > 2 * np.hypot(errors, errors[low])
    (places,) = np.nonzero(apart)
    first = 0 if not len(places) else int(places[-1]) + 1
    return thetas[-1] if first == len(thetas) else thetas[first:].mean(axis=0)


RULES: dict[str, Rule] = {
    "last": _last,
    "lowest measured": _lowest,
    "lowest by test": _significant,
    "mean of 2": _mean_of(2),
    "mean of 3": _mean_of(3),
    "mean of 5": _mean_of(5),
    "mean of 10": _mean_of(10),
    "alike of 2": _alike(2),
    "alike of 3": _alike(3),
    "alike of 4": _alike(4),
    "indistinguishable": _indistinguishable,
}


def trail(problem: Any, shots: int, seed: int, steps: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """θ (S, P), energies and errors (S,) of a run's points, its start included."""
    import qngd

    result = qngd.minimize(problem, backend="statevector", shots=shots, seed=seed, max_steps=steps)
    flat = [problem.circuit.flatten(theta) for theta in (problem.theta0, *(info.theta for info in result.infos))]
    return np.array(flat), result.history, result.history_stderr


def run(name: str, shots: int, seeds: int, steps: int) -> dict[str, Any]:
    """Exact energies of all rules' points in all runs of a problem."""
    from experiments.zoo_cases import problem_of
    from qngd.evaluators.choice import evaluator_for
    from qngd.interop import as_observable

    found: dict[str, list[float]] = {rule: [] for rule in RULES}
    errors, ends = [], []
    for seed in range(seeds):
        problem = problem_of(name, seed)
        exact = evaluator_for(problem.circuit, as_observable(problem.observable, problem.circuit), "statevector")
        seen = trail(problem, shots, seed, steps)
        errors.append(float(seen[2][-1]))
        ends.append(len(seen[0]) - 1)
        for rule, choose in RULES.items():
            found[rule].append(float(exact.evaluate(choose(*seen), gradient=False).energy.value))
    return {"problem": name, "shots": shots, "energies": found, "stderr": errors, "steps": ends}


def gains(data: dict[str, Any], rule: str) -> np.ndarray:
    """How much lower than the last point this rule's is, a number for each run, in standard errors of one energy."""
    found = {name: np.array(values) for name, values in data["energies"].items()}
    return (found["last"] - found[rule]) / np.array(data["stderr"])


def show(rows: Sequence[dict[str, Any]]) -> None:
    """A table: rules against problems, and all together."""
    for rule in RULES:
        parts = [f"{gains(data, rule).mean():+6.2f}" for data in rows]
        together = np.concatenate([gains(data, rule) for data in rows])
        error = together.std(ddof=1) / np.sqrt(len(together))
        print(f"{rule:18s} {' '.join(parts)}   all {together.mean():+.2f} ± {error:.2f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("problems", nargs="*", help="left out: all")
    parser.add_argument("--smoke", action="store_true", help="two short runs of two problems, to show that it runs")
    arguments = parser.parse_args()
    os.environ.update(QNGD_NUM_THREADS="1", OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")
    seeds = 2 if arguments.smoke else SEEDS
    names = ["h2-1", "maxcut-4"] if arguments.smoke else arguments.problems
    OUT.mkdir(parents=True, exist_ok=True)
    for steps in (3,) if arguments.smoke else (LATE, EARLY):
        rows = []
        for name, shots in PROBLEMS:
            if not names or name in names:
                rows.append(run(name, shots, seeds, steps))
                (OUT / f"{name}-{shots}-{steps}.json").write_text(json.dumps(rows[-1], indent=1), encoding="utf-8")
        names_of = ", ".join(f"{row['problem']} {row['shots']}" for row in rows)
        print(f"\nat most {steps} steps; {names_of}")
        show(rows)


if __name__ == "__main__":
    main()
