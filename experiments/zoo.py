"""The default optimizer needs no tuning: on every problem in circuits/ it keeps up with the best fixed setting.

`QNG()` beside a grid of fixed (η, λ), every other rule for the length and the damping, and all baselines, Rotosolve,
ExcitationSolve, CMA-ES and Momentum-QNG among them; of a group of settings the best for the problem counts. The goal is
within 1e-3 relative (molecules: chemical accuracy) of the ground energy, or of the lowest value that any method found.
With shots: 1000 a circuit, 60 steps at most, and the exact energy at the end is within 1e-2 of the reference. A step
may be a single energy (COBYLA, SPSA, CMA-ES: three times as many are allowed) or a sweep of some for every parameter
(Rotosolve, ExcitationSolve: a quarter). Where a method cannot do a problem (Rotosolve a spin glass, whose couplings
have no common measure) it is not run.

Three starts or instances of a problem exact, four with shots, and eight fixed settings, so that it ends within a
quarter of an hour: `SEEDS` takes more. `zoo_cases` is where a candidate or a problem is added.

    python -m experiments.zoo                      a quarter of an hour on one core
    python -m experiments.zoo --smoke              MaxCut of 4 vertices, few methods and steps
"""

from __future__ import annotations

import os
import time
from functools import cache
from typing import Any

ONE_THREAD = dict.fromkeys(("QNGD_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
if __name__ == "__main__":  # who judges the record keeps his threads
    os.environ.update(ONE_THREAD)  # before numba and BLAS look at it

from fnmatch import fnmatch  # noqa: E402

import qngd  # noqa: E402
from experiments.record import Experiment, main  # noqa: E402
from experiments.zoo_cases import CASES, METHODS, problem_of  # noqa: E402
from experiments.zoo_report import compact, draw, judge  # noqa: E402
from qngd.errors import SettingError  # noqa: E402
from qngd.evaluators.choice import evaluator_for  # noqa: E402
from qngd.evaluators.forwarding import ForwardingEvaluator  # noqa: E402
from qngd.evaluators.setup import Setup  # noqa: E402
from qngd.interop import as_observable  # noqa: E402

SEEDS = {"exact": 3, "shots": 4}
SHOTS, SHOT_STEPS = 1000, 60
TOL = {"exact": 1e-9, "shots": 1e-8}
SMOKE_STEPS = 5
SMOKE = ("default", "conjugate-directions", "unit-diagonal", "fixed-0.1-1e-02", "adam-0.05", "l-bfgs-b")


def measure(smoke: bool) -> list[dict[str, Any]]:
    """By problem what `compact` keeps of the runs of all methods that can do it."""
    rows = []
    for name, case in CASES.items():
        if smoke and name != "maxcut-4":
            continue
        began = time.process_time()
        runs = {part: _runs(part, name, smoke) for part in SEEDS if part == "exact" or case.with_shots}
        rows.append(compact(name, runs["exact"], runs.get("shots", {})))
        print(f"{name}: {time.process_time() - began:.0f} s", flush=True)
    return rows


def _runs(part: str, problem: str, smoke: bool) -> dict[str, dict[str, Any]]:
    """By method its runs, and what a step takes at most on a device."""
    found = {}
    for name, method in METHODS.items():
        if not fnmatch(problem, method.only) or (part == "shots" and not method.with_shots):
            continue
        if smoke and name not in SMOKE:
            continue
        seeds = range(2 if smoke else SEEDS[part])
        try:
            runs = [one_run(part, problem, name, seed, SMOKE_STEPS if smoke else None) for seed in seeds]
        except SettingError as error:  # the method says that it cannot do this problem
            print(f"{problem} without {name}: {error}", flush=True)
            continue
        found[name] = {"circuits_per_step": circuits_per_step(problem, name), "runs": runs}
    return found


def one_run(part: str, name: str, method: str, seed: int, most: int | None) -> dict[str, Any]:
    """The energies of a run, and the exact energy where it ended; of `most` steps at most, if that is given."""
    problem = problem_of(name, seed)
    limit = most or METHODS[method].steps * (CASES[name].max_steps if part == "exact" else SHOT_STEPS)
    start = time.process_time()
    result = qngd.minimize(
        problem, optimizer=METHODS[method].optimizer, backend="statevector", max_steps=int(limit),
        shots=SHOTS if part == "shots" else None, seed=seed, tol=TOL[part],
    )  # fmt: skip
    seconds = time.process_time() - start
    exact = qngd.expectation(problem.circuit, problem.observable, result.theta, backend="statevector")
    return {
        "seed": seed,
        "parameters": problem.circuit.num_parameters,
        "ground": problem.reference_energy,
        "unit": problem.unit,
        "status": str(result.status),
        "energies": result.history.tolist(),
        "final": float(exact),
        "seconds": seconds,
        "shots": result.cost.shots,
    }


class Planned(ForwardingEvaluator):
    """A device that counts circuits and runs none: each question is planned once."""

    def __init__(self, name: str) -> None:
        problem = problem_of(name, 0)
        observable = as_observable(problem.observable, problem.circuit)
        super().__init__(evaluator_for(problem.circuit, observable, Setup("statevector", 1)))
        self.theta = problem.circuit.flatten(problem.theta0)
        self._counted: dict[tuple[Any, Any], Any] = {}

    def preview(self, theta: Any, *, gradient: Any = True, metric: Any = None, spread: Any = None) -> Any:
        key = (gradient, metric)
        if key not in self._counted:
            self._counted[key] = super().preview(theta, gradient=gradient, metric=metric, spread=spread)
        return self._counted[key]


planned = cache(Planned)


def circuits_per_step(problem: str, method: str) -> int:
    """What a step takes at most on a device."""
    device = planned(problem)
    return int(METHODS[method].optimizer.preview(device, device.theta, None).circuits)


EXPERIMENT = Experiment(
    "zoo",
    "Without tuning the default keeps up with the best fixed setting of each example problem, and with the baselines",
    "a quarter of an hour",
    measure,
    judge,
    draw,
)

if __name__ == "__main__":
    main(EXPERIMENT)
