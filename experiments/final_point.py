"""Which point of a sampled run is the one to give back: the last beside others that could be made of a run.

Each run is `qngd.minimize` with its defaults on the embedded sampler; its θ after every step are known, with the
measured energies and their errors. A rule makes one θ of them, whose exact energy is then compared with that of the
last point of the same run: the difference in units of the error of one energy, so that problems can be put together,
and the mean over all runs with its standard error. Runs of 40 steps have mostly come to rest, runs of 6 are on their
way.

    python -m experiments.final_point               a quarter of an hour on one core
    python -m experiments.final_point --smoke       two short runs of two problems
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

import qngd
from experiments.record import Experiment, Verdict, main
from experiments.zoo_cases import problem_of
from qngd.evaluators.choice import evaluator_for
from qngd.evaluators.setup import Setup
from qngd.interop import as_observable

SEEDS = 24
LATE, EARLY = 40, 6  # steps: most runs have come to rest, or are on their way
PROBLEMS = (
    ("h2-1", 50), ("h2-1", 400), ("pauli-ladder-5", 100), ("maxcut-4", 200), ("tfim-6-half-pi", 200),
    ("heisenberg-4", 100), ("heisenberg-4", 1000), ("qasm-ladder", 100),
)  # fmt: skip

SMOKE = (("h2-1", 50), ("maxcut-4", 200))
LITTLE = 0.05  # of the error of one energy: what the best mean of last points gains at rest

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
    result = qngd.minimize(problem, backend="statevector", shots=shots, seed=seed, max_steps=steps)
    flat = [problem.circuit.flatten(theta) for theta in (problem.theta0, *(info.theta for info in result.infos))]
    return np.array(flat), result.history, result.history_stderr


def run(name: str, shots: int, seeds: int, steps: int) -> dict[str, Any]:
    """Exact energies of all rules' points in all runs of a problem, and the error of one energy at the end of each."""
    found: dict[str, list[float]] = {rule: [] for rule in RULES}
    errors = []
    for seed in range(seeds):
        problem = problem_of(name, seed)
        exact = evaluator_for(problem.circuit, as_observable(problem.observable, problem.circuit), Setup("statevector"))
        seen = trail(problem, shots, seed, steps)
        errors.append(float(seen[2][-1]))
        for rule, choose in RULES.items():
            found[rule].append(float(exact.evaluate(choose(*seen), gradient=False).energy.value))
    return {"problem": name, "shots": shots, "max_steps": steps, "energies": found, "stderr": errors}


def measure(smoke: bool) -> list[dict[str, Any]]:
    rows = []
    for steps in (3,) if smoke else (LATE, EARLY):
        for name, shots in PROBLEMS:
            if not smoke or (name, shots) in SMOKE:
                rows.append(run(name, shots, 2 if smoke else SEEDS, steps))
                print(f"{name}, {shots} shots, at most {steps} steps", flush=True)
    return rows


def gains(rows: list[dict[str, Any]], rule: str) -> np.ndarray:
    """How much lower than the last point this rule's is, a number for each run, in standard errors of one energy."""
    each = [
        (np.array(row["energies"]["last"]) - np.array(row["energies"][rule])) / np.array(row["stderr"]) for row in rows
    ]
    return np.concatenate(each)


def mean(values: np.ndarray) -> tuple[float, float]:
    """With its standard error."""
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))


def by_length(rows: list[dict[str, Any]]) -> dict[int, list[dict[str, Any]]]:
    lengths = dict.fromkeys(row["max_steps"] for row in rows)
    return {steps: [row for row in rows if row["max_steps"] == steps] for steps in lengths}


def judge(rows: list[dict[str, Any]]) -> list[Verdict]:
    verdicts = []
    for steps, own in by_length(rows).items():
        others = {rule: mean(gains(own, rule)) for rule in RULES if rule != "last"}
        best = max(others, key=lambda rule: others[rule][0])
        verdicts.append(
            Verdict(
                f"at most {steps} steps: no rule's point is lower than the last by over a twentieth of an error",
                others[best][0] <= LITTLE,
                f"the lowest are those of {_named(best)}, by {_said(others[best])}",
            )
        )
        verdicts.append(
            Verdict(
                f"at most {steps} steps: the point with the lowest measured energy is not lower",
                others["lowest measured"][0] <= 0,
                f"lower by {_said(others['lowest measured'])}",
            )
        )
        said = "; ".join(f"{_named(rule)} {_said(gain)}" for rule, gain in others.items())
        verdicts.append(Verdict(f"at most {steps} steps: how much lower, in errors of one energy", None, said))
    return verdicts


def _named(rule: str) -> str:
    return f"“{rule}”"


def _said(gain: tuple[float, float]) -> str:
    return f"{gain[0]:+.3f} ± {gain[1]:.3f}"


def draw(rows: list[dict[str, Any]]) -> Figure:
    lengths = by_length(rows)
    figure, axes = plt.subplots(figsize=(6.4, 3.6))
    rules = [rule for rule in RULES if rule != "last"]
    for shift, (steps, own) in enumerate(lengths.items()):
        found = np.array([mean(gains(own, rule)) for rule in rules])
        places = np.arange(len(rules)) + 0.2 * (shift - (len(lengths) - 1) / 2)
        axes.errorbar(found[:, 0], places, xerr=found[:, 1], fmt="o", capsize=2, label=f"at most {steps} steps")
    axes.axvline(0, color="0.3", linewidth=0.8)
    axes.set_xscale("symlog", linthresh=0.1)
    axes.set(xlabel="lower than the last point by, in errors of one energy", yticks=range(len(rules)))
    axes.set_yticklabels(rules)
    axes.invert_yaxis()
    axes.legend(frameon=False)
    return figure


EXPERIMENT = Experiment(
    "final_point",
    "No point made of a run with shots is lower than its last by over a twentieth of the error of an energy",
    "a quarter of an hour",
    measure,
    judge,
    draw,
)

if __name__ == "__main__":
    main(EXPERIMENT)
