"""Races of optimizers to a goal: what each spends until the exact energy of its point is there.

An `Entry` is one optimizer with its settings fixed; a method is a grid of entries by the names of their settings. All
entries of a grid run from the first few starts, and the best, by arrivals and then by the median of what they spent,
from all starts: so the grid is tuned on some of the very starts that it is judged by, which can only favour it.

No run knows of the goal: the exact energy is looked at from outside after every step, and the first arrival counts.
Circuits are those that a device runs, whether one does or not: `Ours` prices what an exact run asks for by the plan of
the same questions with shots, `Theirs` reads PennyLane's tracker. Seconds are those of this process's processor in
steps alone; a first step beforehand compiles.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol

ONE_THREAD = dict.fromkeys(("QNGD_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
os.environ.update(ONE_THREAD)  # before numba and BLAS look at it

import numpy as np  # noqa: E402

import qngd  # noqa: E402
from qngd.errors import CircuitError, SettingError  # noqa: E402
from qngd.evaluators.base import Evaluator  # noqa: E402
from qngd.evaluators.choice import evaluator_for  # noqa: E402
from qngd.evaluators.forwarding import ForwardingEvaluator  # noqa: E402
from qngd.evaluators.setup import Setup  # noqa: E402
from qngd.interop import as_observable  # noqa: E402

UNITS = ("steps", "circuits", "shots", "seconds")
QUARTILES = (0.25, 0.5, 0.75)
_NOT_AT_ALL = (CircuitError, SettingError)  # the method is not for such a circuit, or not with shots


@dataclass(frozen=True)
class Spent:
    """What a run took until it arrived."""

    steps: int
    circuits: int
    shots: int
    seconds: float
    jobs: int = 0


@dataclass(frozen=True, eq=False)
class Goal:
    """A problem and the energy at which a run has arrived. Its circuit is in the neutral form; `node` is the same as a
    QNode of PennyLane's, where there is one. A `backend` without sampling may stand for the exact simulator."""

    problem: qngd.Problem
    limit: float
    node: Any = None
    backend: Any = "statevector"
    _prices: dict[tuple[Any, ...], int] = field(default_factory=dict, repr=False)

    def evaluator(self, shots: Any = None) -> Any:
        observable = as_observable(self.problem.observable, self.problem.circuit)
        return evaluator_for(self.problem.circuit, observable, Setup(self.backend, shots))

    @cached_property
    def _exact(self) -> Any:
        return self.evaluator()

    @cached_property
    def _planned(self) -> Any:
        return replace(self, backend="statevector").evaluator(1)  # it plans and runs nothing

    def energy(self, theta: Any) -> float:
        """The exact one at parameters in the problem's structure, or flat."""
        return float(self._exact.energies([self.flat(theta)], None)[0][0].value)

    def flat(self, theta: Any) -> np.ndarray:
        return np.asarray(self.problem.circuit.flatten(theta), float)

    def circuits(self, asked: tuple[Any, ...]) -> int:
        """What a device would have run for one question: a number of energies; or an evaluation, with its gradient and
        metric."""
        if asked not in self._prices:
            theta = self.flat(self.problem.theta0)
            if len(asked) == 1:
                cost = self._planned.preview_energies(theta, asked[0])
            else:
                cost = self._planned.preview(theta, gradient=asked[0], metric=asked[1], spread=None)
            self._prices[asked] = int(cost.circuits)
        return self._prices[asked]


@dataclass(frozen=True, eq=False)
class Start:
    """Where a run begins, in the structure of the problem's parameters."""

    goal: Goal
    theta: Any


class Entry(Protocol):
    """One optimizer with its settings fixed."""

    def run(self, start: Start, seed: int) -> Spent | None:
        """What it took to the goal; None where it did not arrive."""


class _Watched(ForwardingEvaluator):
    """An evaluator that notes what it was asked for."""

    def __init__(self, inner: Evaluator) -> None:
        super().__init__(inner)
        self.asked: list[tuple[Any, ...]] = []

    def evaluate(self, theta: np.ndarray, *, gradient: Any = True, metric: Any = None, **others: Any) -> Any:
        self.asked.append((gradient, metric))
        return super().evaluate(theta, gradient=gradient, metric=metric, **others)

    def energies(self, points: Sequence[np.ndarray], *others: Any) -> Any:
        self.asked.append((len(points),))
        return super().energies(points, *others)


@dataclass(frozen=True)
class Ours:
    """An optimizer of qngd, on the embedded simulator: exact, or with shots. A run fails after so many steps, with
    shots also after so many shots."""

    optimizer: Any
    shots: Any = None
    max_steps: int = 300
    max_shots: float = 10_000_000

    def run(self, start: Start, seed: int) -> Spent | None:
        goal = start.goal
        evaluator = _Watched(goal.evaluator(self.shots))
        seconds = -time.process_time()
        state = self.optimizer.init(evaluator, goal.flat(start.theta), seed)
        seconds += time.process_time()
        while not goal.energy(state.theta) <= goal.limit:
            if state.finished or state.step >= self.max_steps or state.cost.shots >= self.max_shots:
                return None
            seconds -= time.process_time()
            state, _ = self.optimizer.step(evaluator, state)
            seconds += time.process_time()
        circuits = state.cost.circuits if self.shots is not None else sum(map(goal.circuits, evaluator.asked))
        return Spent(state.step, circuits, state.cost.shots, seconds, state.cost.jobs)


@dataclass(frozen=True)
class Theirs:
    """An optimizer of PennyLane's, made with a seed, on the start's QNode; with shots, the executions of so many."""

    make: Callable[[int], Any]
    max_steps: int = 100
    shots: int | None = None

    def run(self, start: Start, seed: int) -> Spent | None:
        import pennylane as qml
        from pennylane import numpy as pnp

        goal = start.goal
        if goal.node is None:
            return None
        optimizer, node = self.make(seed), qml.set_shots(goal.node, self.shots)
        theta = pnp.array(start.theta, requires_grad=True)
        seconds, step = 0.0, 0
        with qml.Tracker(node.device) as tracker:
            while not goal.energy(theta) <= goal.limit:
                if step == self.max_steps or not np.all(np.isfinite(theta)):
                    return None
                seconds -= time.process_time()
                theta, _ = optimizer.step_and_cost(node, theta)
                seconds += time.process_time()
                step += 1
        return Spent(step, int(tracker.totals.get("executions", 0)), int(tracker.totals.get("shots", 0)), seconds)


Grid = Mapping[str, Entry]


def brief(methods: Mapping[str, Grid], max_steps: int = 2) -> dict[str, Grid]:
    """The first setting of each and a few steps: to see that it runs."""
    return {
        name: {setting: replace(entry, max_steps=max_steps)}  # type: ignore[type-var]
        for name, grid in methods.items()
        for setting, entry in [*grid.items()][:1]
    }


def race(
    starts: Sequence[Start], methods: Mapping[str, Grid], tuned_on: int, by: str = "circuits"
) -> dict[str, dict[str, Any]]:
    """Of every method the best setting and what it spent from all starts, as plain data.

    Args:
        starts: of the runs; the seed of a run is the place of its start.
        methods: grids by name.
        tuned_on: how many of the starts choose the setting.
        by: the unit in which the best setting spends least.

    Returns:
        By method: `setting`, `arrived` of `runs`, whether `each` did, for every unit the quartiles over all runs, None
        for those that lie among runs that never arrived, and of every setting `tried` the arrivals and the median in
        that unit.
    """
    found = {}
    for name, grid in methods.items():
        try:
            next(iter(grid.values())).run(starts[0], 0)  # compiles and plans
        except _NOT_AT_ALL as error:
            found[name] = {"refused": str(error)}
            continue
        tried = {setting: [entry.run(starts[k], k) for k in range(tuned_on)] for setting, entry in grid.items()}
        best = min(tried, key=lambda setting: _rank(tried[setting], by))
        runs = tried[best] + [grid[best].run(start, k) for k, start in enumerate(starts) if k >= tuned_on]
        found[name] = {
            "setting": best,
            "arrived": sum(run is not None for run in runs),
            "runs": len(runs),
            "each": [run is not None for run in runs],
            **{unit: quartiles(runs, unit) for unit in UNITS},
            "tried": {setting: [len(of) - of.count(None), quartiles(of, by)[1]] for setting, of in tried.items()},
        }
        print(
            f"  {name} ({best}): {found[name]['arrived']}/{len(runs)}",
            found[name][by],
            found[name]["seconds"],
            flush=True,
        )
    return found


def _rank(runs: Sequence[Spent | None], unit: str) -> tuple[float, ...]:
    middle = quartiles(runs, unit)[1]
    return runs.count(None), np.inf if middle is None else middle


def quartiles(runs: Sequence[Spent | None], unit: str) -> list[float | None]:
    """Of all runs, those that did not arrive counting as endless: None."""
    values = [np.inf if run is None else asdict(run)[unit] for run in runs]
    return [
        None if value == np.inf else round(float(value), 4)
        for value in np.quantile(values, QUARTILES, method="inverted_cdf")
    ]


def shown(values: Sequence[float | None]) -> str:
    """A median with its quartiles, as text."""
    low, middle, high = ("∞" if value is None else f"{value:.4g}" for value in values)
    return f"{middle} ({low} to {high})"


def path(goal: Goal, theta: Any, optimizer: Any, steps: int, seed: int, shots: Any = None) -> tuple[list[float], int]:
    """The exact energies of a run, with that of its start, and the circuits that its last step takes on a device. A run
    that finishes stays where it is."""
    evaluator = _Watched(goal.evaluator(shots))
    state = optimizer.init(evaluator, goal.flat(theta), seed)
    energies, last = [goal.energy(state.theta)], 0
    for _ in range(steps):
        if not state.finished:
            before, last = state.cost, len(evaluator.asked)
            state, _info = optimizer.step(evaluator, state)
        energies.append(goal.energy(state.theta))
    if shots is not None:
        return energies, (state.cost - before).circuits
    return energies, sum(map(goal.circuits, evaluator.asked[last:]))


Raced = Mapping[str, Mapping[str, Any]]  # what `race` found, by method


def median(found: Raced, method: str, unit: str) -> float:
    """Endless where fewer than half of the runs arrived, or the method refuses the circuit."""
    middle = found[method].get(unit, [None] * 3)[1]
    return np.inf if middle is None else float(middle)


def arrivals(found: Raced, method: str) -> float:
    """The share of runs that arrived."""
    one = found[method]
    return 0.0 if "refused" in one else one["arrived"] / one["runs"]


def winner(found: Raced, unit: str) -> str:
    """The method whose median is least."""
    return min(found, key=lambda method: median(found, method, unit))


def row(found: Raced, method: str, units: Sequence[str]) -> str:
    """This method beside the best in each unit, as text."""
    own = found[method]
    parts = [f"{named(found, method)}: {own['arrived']}/{own['runs']} arrive"]
    for unit in dict.fromkeys(("steps", *units)):
        best, text = winner(found, unit), f"{unit}: {shown(own[unit])}"
        if not np.isfinite(median(found, best, unit)):
            return f"{parts[0]}, and of no method as many as half"
        if unit not in units:
            parts.append(text)
        elif best == method:
            parts.append(f"{text}, the least of all")
        else:
            parts.append(f"{text}; least {named(found, best)} with {shown(found[best][unit])}")
    return ". ".join(parts)


def named(found: Raced, method: str) -> str:
    """With its best setting."""
    setting = found[method].get("setting")
    return f"{method} ({setting})" if setting else method


def methods_of(cases: Mapping[str, Raced]) -> list[str]:
    """All that ran on one of them, in their order."""
    return list(dict.fromkeys(method for found in cases.values() for method in found))


def draw_medians(axes: Any, cases: Mapping[str, Raced], unit: str, label: str, methods: Sequence[str]) -> None:
    """Medians and quartiles of a unit, a column a case, a colour a method; arrows at the top are medians of runs that
    never arrived."""
    finite = [m for found in cases.values() for method in found if np.isfinite(m := median(found, method, unit))]
    never = 3 * max(finite, default=1.0)
    for number, method in enumerate(methods):
        color, offset = f"C{number % 10}", 0.7 * (number / len(methods) - 0.5)
        places, middles, below, above = [], [], [], []
        for column, found in enumerate(cases.values()):
            if method not in found or "refused" in found[method]:
                continue
            low, middle, high = (np.inf if value is None else value for value in found[method][unit])
            if not np.isfinite(middle):
                axes.plot(column + offset, never, "^", color=color, markersize=4)
                continue
            places.append(column + offset)
            middles.append(middle)
            below.append(middle - low)
            above.append((high if np.isfinite(high) else never) - middle)
        axes.errorbar(
            places, middles, [below, above], fmt="o" if number < 10 else "s", color=color, markersize=4, label=method
        )
    axes.set(yscale="log", ylabel=label, xticks=range(len(cases)))
    axes.set_xticklabels(cases, rotation=35, ha="right")
