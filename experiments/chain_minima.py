"""Who ends lowest on chains with many minima: from sixty starts, since one says nothing.

Hardware-efficient circuits on the critical Ising chain and the Heisenberg chain have many local minima, and in which of
them a run ends is a matter of chance. So the methods of `wall_time` run from the same sixty random starts, 400 steps
at most. A rival is ahead if it would be so by chance in less than one of a hundred cases (see `chance`); and lower on
average if it is so by over two standard errors of the difference.

    python -m experiments.chain_minima                    six minutes on one core
    python -m experiments.chain_minima --smoke            seconds
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

if __name__ == "__main__":  # before numba and BLAS look at it
    os.environ.update(QNGD_NUM_THREADS="1", OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import numpy as np

import qngd
from circuits import heisenberg
from experiments.chance import surely_ahead
from experiments.record import Experiment, Verdict, main
from experiments.wall_time import METHODS, open_chain, run, wrapped

STARTS, STEPS = 60, 400
OURS = "QNG()"
NEAR = 1e-6  # of the lowest energy, relative
CHAINS: dict[str, Callable[[int], qngd.Problem]] = {
    "Ising chain of 6": lambda seed: open_chain(6, 5, seed),
    "Heisenberg chain of 6": lambda seed: heisenberg.problem(num_qubits=6, seed=seed),
}


def measure(smoke: bool) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """By chain and method the lowest energy, the steps and the seconds of the processor from every start."""
    count, most = (1, 20) if smoke else (STARTS, STEPS)
    return {name: from_starts(name, count, most) for name in list(CHAINS)[: 1 if smoke else None]}


def from_starts(name: str, count: int, most: int) -> dict[str, list[dict[str, Any]]]:
    """What every method ends with on a chain, from each start, after so many steps at most."""
    found: dict[str, list[dict[str, Any]]] = {method: [] for method in METHODS}
    for seed in range(count):
        problem = wrapped(CHAINS[name](seed))
        for method in METHODS:
            energies, seconds = run(problem, method, most)
            ended = {"energy": min(energies), "steps": len(energies) - 1, "seconds": round(seconds[-1], 5)}
            found[method].append(ended)
        print(name, seed, {method: round(runs[-1]["energy"], 6) for method, runs in found.items()}, flush=True)
    return found


def judge(data: dict[str, dict[str, list[dict[str, Any]]]]) -> list[Verdict]:
    return [verdict for name, found in data.items() for verdict in _of_chain(name, found)]


def _of_chain(name: str, found: dict[str, list[dict[str, Any]]]) -> list[Verdict]:
    ended = {method: np.array([one["energy"] for one in runs]) for method, runs in found.items()}
    energies = np.array([*ended.values()])
    lowest = energies <= energies.min(axis=0) + NEAR * abs(energies.min())
    wins = dict(zip(found, lowest.sum(axis=1).tolist(), strict=True))
    ahead = surely_ahead(dict(zip(found, lowest.tolist(), strict=True)), OURS)
    above = dict(zip(found, (energies - energies.min()).mean(axis=1).tolist(), strict=True))
    lower = [method for method, theirs in ended.items() if _is_lower(theirs, ended[OURS])]
    seconds = {method: float(np.median([one["seconds"] for one in runs])) for method, runs in found.items()}
    return [
        Verdict(
            f"{name}: no other ends lowest of all from more starts than the default by more than chance",
            not ahead,
            f"of {energies.shape[1]}: {_shown(wins, 'd')}",
        ),
        Verdict(
            f"{name}: no other ends lower on average by over two standard errors; above the lowest energy of all",
            not lower,
            _shown(above, ".1e"),
        ),
        Verdict(f"{name}: seconds of the processor, median", None, _shown(seconds, ".2g")),
    ]


def _is_lower(theirs: np.ndarray, ours: np.ndarray) -> bool:
    """Whether energies from the same starts are lower on average, by over two standard errors of the difference."""
    more = ours - theirs
    return len(more) > 1 and bool(more.mean() > 2 * more.std(ddof=1) / np.sqrt(len(more)))


def _shown(numbers: dict[str, Any], form: str) -> str:
    return ", ".join(f"{method} {number:{form}}" for method, number in numbers.items())


EXPERIMENT = Experiment(
    "chain_minima",
    "On chains with many minima it is chance who ends lowest: the default against its rivals from sixty starts",
    "six minutes",
    measure,
    judge,
)

if __name__ == "__main__":
    main(EXPERIMENT)
