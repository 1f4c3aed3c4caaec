"""The default optimizer needs no tuning: on every problem in circuits/ it keeps up with the best fixed setting.

Claim: `QNG()` reaches the reference of every problem (the ground energy, or the lowest value that any method found) to
1e-3 relative (chemical accuracy for molecules) from as many of ten starts as the best fixed (η, λ) of a grid per
problem, and in about as many steps; where a baseline wins, the table says so. Every other rule for the length and the
damping is run beside it, so the table also says which would be the better default.

    python -m experiments.zoo                      all; about half an hour on two cores
    python -m experiments.zoo --part exact         without shots
    python -m experiments.zoo --only 'default/*' --only '*/h2-*'      METHOD/PROBLEM
    python -m experiments.zoo --report             tables and plot from the data that are there
    python -m experiments.zoo --smoke              seconds

Results: results/zoo/runs/PART/PROBLEM/METHOD.json, one a pair, kept: an interrupted experiment goes on, and a method
whose settings have changed is run anew (code that has changed is not seen: delete its files). From them
results/zoo/table.md, summary.json and profile.png.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Any

OUT = Path("results/zoo")
SHOTS, SHOT_STEPS = 1000, 60
TOL = {"exact": 1e-9, "shots": 1e-8}
Task = tuple[str, str, str, int]  # part, problem, method, seeds


def tasks(parts: Sequence[str], patterns: Sequence[str], seeds: int) -> Iterator[Task]:
    """What to run, problem by problem: a process makes each of its problems once."""
    from experiments.zoo_cases import CASES, METHODS

    for part in parts:
        for problem, case in CASES.items():
            for name, method in METHODS.items():
                wanted = any(fnmatch(f"{name}/{problem}", pattern) for pattern in patterns)
                wanted = wanted and fnmatch(problem, method.only)
                if wanted and (part == "exact" or (case.with_shots and method.with_shots)):
                    yield part, problem, name, seeds


def path_of(task: Task) -> Path:
    part, problem, name, _ = task
    return OUT / "runs" / part / problem / f"{name}.json"


def heading(task: Task) -> dict[str, Any]:
    """What a stored file must say for its runs to be those of this task."""
    from experiments.zoo_cases import CASES, METHODS

    part, problem, name, seeds = task
    limit = CASES[problem].max_steps if part == "exact" else SHOT_STEPS
    return {
        "part": part,
        "problem": problem,
        "method": name,
        "optimizer": repr(METHODS[name].optimizer),
        "max_steps": limit * METHODS[name].steps,
        "seeds": seeds,
    }


def is_done(task: Task) -> bool:
    path = path_of(task)
    return path.exists() and heading(task).items() <= json.loads(path.read_text(encoding="utf-8")).items()


def run(task: Task) -> tuple[Task, float]:
    """Run a task's seeds and store them; the seconds it took."""
    start = time.perf_counter()
    head = heading(task)
    runs = [one_run(task, head["max_steps"], seed) for seed in range(task[3])]
    data = {**head, "circuits_per_step": circuits_per_step(task[1], task[2]), "runs": runs}
    path = path_of(task)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(data), encoding="utf-8")
    os.replace(partial, path)
    return task, time.perf_counter() - start


def one_run(task: Task, max_steps: int, seed: int) -> dict[str, Any]:
    """The energies of a run, and the exact energy where it ended."""
    import qngd
    from experiments.zoo_cases import METHODS, problem_of

    part, name, method, _ = task
    problem = problem_of(name, seed)
    start = time.perf_counter()
    result = qngd.minimize(
        problem, optimizer=METHODS[method].optimizer, backend="statevector", max_steps=max_steps,
        shots=SHOTS if part == "shots" else None, seed=seed, tol=TOL[part],
    )  # fmt: skip
    seconds = time.perf_counter() - start
    exact = qngd.expectation(problem.circuit, problem.observable, result.theta, backend="statevector")
    return {
        "seed": seed,
        "parameters": problem.circuit.num_parameters,
        "ground": problem.reference_energy,
        "unit": problem.unit,
        "status": str(result.status),
        "message": result.message,
        "energies": result.history.tolist(),
        "final": float(exact),
        "seconds": round(seconds, 4),
        "circuits": result.cost.circuits,
        "shots": result.cost.shots,
    }


class Planned:
    """Stands for a device that counts circuits and runs none: the block-diagonal metric is the one it measures."""

    is_exact = False

    def __init__(self, name: str) -> None:
        from experiments.zoo_cases import problem_of
        from qngd.evaluators.choice import evaluator_for
        from qngd.interop import as_observable

        problem = problem_of(name, 0)
        observable = as_observable(problem.observable, problem.circuit)
        self.circuit = problem.circuit
        self._evaluator = evaluator_for(problem.circuit, observable, "statevector", 1)
        self.theta = problem.circuit.flatten(problem.theta0)
        self._counted: dict[tuple[bool, Any], Any] = {}

    def default_metric(self) -> Any:
        from qngd.metrics import as_metric

        return as_metric("block-diag")

    def first_metric(self) -> Any:
        return self.default_metric()

    def preview_energies(self, theta: Any, count: int) -> Any:
        return self._evaluator.preview_energies(self.theta, count)

    def preview(self, theta: Any, *, gradient: bool, metric: Any, spread: Any) -> Any:
        key = (gradient, metric)
        if key not in self._counted:
            self._counted[key] = self._evaluator.preview(self.theta, gradient=gradient, metric=metric, spread=None)
        return self._counted[key]


planned = cache(Planned)


def circuits_per_step(problem: str, method: str) -> int:
    """What a step takes at most on a device."""
    from experiments.zoo_cases import METHODS

    device = planned(problem)
    return int(METHODS[method].optimizer.preview(device, device.theta, None).circuits)


def run_all(todo: Sequence[Task], jobs: int) -> None:
    """In processes of one thread each: they inherit the environment before numba and BLAS look at it."""
    os.environ.update(QNGD_NUM_THREADS="1", OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")
    if jobs == 1:
        show(map(run, todo), len(todo))
        return
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        show(pool.imap_unordered(run, todo), len(todo))


def show(done: Iterable[tuple[Task, float]], count: int) -> None:
    """A line for every task as it is done."""
    start = time.perf_counter()
    for number, (task, seconds) in enumerate(done, 1):
        spent = time.perf_counter() - start
        print(f"{number:4d}/{count}  {spent:6.0f} s  {'/'.join(task[:3])}: {seconds:.1f} s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--part", choices=("exact", "shots", "all"), default="all")
    parser.add_argument("--only", action="append", metavar="METHOD/PROBLEM", help="a pattern; may be repeated")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--report", action="store_true", help="run nothing")
    parser.add_argument("--smoke", action="store_true", help="two seeds of two small problems, to show that it runs")
    arguments = parser.parse_args()
    from experiments import zoo_cases, zoo_report

    parts = ("exact", "shots") if arguments.part == "all" else (arguments.part,)
    patterns, seeds, jobs = arguments.only or ["*"], zoo_cases.SEEDS, arguments.jobs
    if arguments.smoke:
        kept = ("default", "unit-diagonal", "fixed-0.1-1e-02", "adam-0.05", "l-bfgs-b")
        patterns, seeds, jobs = [f"{name}/maxcut-4" for name in kept], 2, 1
    if not arguments.report:
        todo = [task for task in tasks(parts, patterns, seeds) if not is_done(task)]
        run_all(todo, jobs) if todo else print("all runs are there")
    for path in zoo_report.write(OUT):
        print(path)


if __name__ == "__main__":
    main()
