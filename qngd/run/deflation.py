"""The search for one of several states: the lowest that is off those found before, and its own energy."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from qngd._system.seeds import derived
from qngd.circuit.observable import Observable
from qngd.cvar import CVaR
from qngd.errors import SettingError
from qngd.estimates.estimate import Estimate
from qngd.estimates.evaluation import Cost, Spread
from qngd.evaluators.bounded import bounded, without_bounds
from qngd.evaluators.deflated import OF_OBJECTIVES, OF_TAILS, Deflated, deflated, energy_spread
from qngd.evaluators.meter import metering
from qngd.interop.given import Given
from qngd.run.loop import carry_out
from qngd.run.measured_once import Measured, measured_once, paid_once
from qngd.run.restarts import Reader, best_of
from qngd.run.result import BROKEN_OFF, Result, Status
from qngd.run.task import Task

_MORE = "a circuit that reaches more states"
_LAST = 2**20  # the number of a submission that no run comes to
_NO_EIGENSTATE = 0.2  # a spread of the energy, in standard deviations of all eigenvalues


@dataclass(frozen=True, eq=False)
class Found:
    """A state as it was found: what its run said, its flat θ, its energy without penalties, and its overlaps with those
    before it."""

    result: Result
    theta: np.ndarray
    energy: Estimate
    overlaps: Estimate
    spread: float
    weight: float
    note: str = ""


@dataclass(frozen=True, eq=False)
class Search:
    """The search for the next state, off those that were `found`. `read` makes tasks of runs without penalties."""

    read: Reader
    found: tuple[Found, ...]
    seed: int | None
    folder: Any
    final_shots: Any = None

    @cached_property
    def task(self) -> Task:
        """The run from the given start."""
        return self.lifted(None, self.seed, self.folder, Cost())

    def lifted(self, start: Any, seed: int | None, run_dir: Any, spent: Cost) -> Task:
        """The task of a run with penalties on the states found before."""
        task = self.read(start, seed, run_dir, sum((each.result.cost for each in self.found), spent))
        if not isinstance(task.given, Given):
            raise SettingError(OF_OBJECTIVES)
        if isinstance(task.given.target, CVaR):
            raise SettingError(OF_TAILS)
        if not self.found:
            return task
        thetas, weights = self._lifts
        also = tuple((theta.tobytes().hex(), weight) for theta, weight in zip(thetas, weights, strict=True))
        # the reference is that of the lowest state
        problem = {**task.identity.problem, "reference_energy": None}
        settings = {**task.identity.settings, "lifted off": also}
        identity = replace(task.identity, settings=settings, problem=problem)
        about = {**task.about, "problem": problem}
        evaluator = task.evaluators[0]
        inner = deflated(without_bounds(evaluator), thetas, weights)
        lifted = bounded(inner, evaluator.box)
        with metering(task.limits.budget.meter(task.spent)):
            kept = self._at_end(task).undeflated_cost(task.given.theta)  # of the budget
        # its end is measured without the penalties
        spent = task.spent + kept + paid_once(self._path)
        return replace(task, evaluators=(lifted,), identity=identity, also=also, spent=spent, final=None, about=about)

    @property
    def _lifts(self) -> tuple[list[np.ndarray], list[float]]:
        return [each.theta for each in self.found], [each.weight for each in self.found]

    def _at_end(self, task: Task) -> Deflated:
        """What measures the end of a task without penalties."""
        evaluator = task.evaluators[0] if task.final is None else task.final.evaluators[0]
        return deflated(without_bounds(evaluator), *self._lifts)

    @property
    def _path(self) -> Path | None:
        """The file that keeps what was measured at its end."""
        return None if self.folder is None else self.folder / "energy.json"

    @cached_property
    def _unlifted(self) -> Deflated | None:
        """What measures the end of its runs without the penalties; None where there are none."""
        return self._at_end(self.read(None, self.seed, None, Cost())) if self.found else None

    def done(self, tries: int, later: int, weight: float | None) -> Found:
        """The best of so many starts, which leave a part of the budget to those of so many later states."""
        if tries == 1:
            result = carry_out(self.task.with_part(1 + later))
        else:
            result = best_of(tries, self.lifted, self.seed, self.folder, carry_out, later * tries)
        return self._measured(result, weight)

    def _measured(self, result: Result, weight: float | None) -> Found:
        """The state that a run has found, with its own energy."""
        task = self.task
        theta, observable = task.given.circuit.flatten(result.theta), task.given.observable
        assert observable is not None
        energy, overlaps = Estimate(result.energy, result.stderr), Estimate.exact(np.zeros(0))
        if self._unlifted is not None and (result.status not in BROKEN_OFF or task.evaluators[0].is_exact):
            energy, overlaps, cost = self._at_its_end(self._unlifted, result, theta)
            result = replace(result, cost=result.cost + cost)
        elif self._unlifted is not None:
            unknown = np.full(len(self.found), np.nan)
            energy, overlaps = Estimate(np.nan, np.nan), Estimate(unknown, unknown)
            result = replace(result, cost=result.cost + paid_once(self._path))
        if weight is None:
            weight = _to_the_top(observable, float(energy.value))
        spread, note = energy_spread(task.evaluators[0], observable, theta), ""
        if spread > _NO_EIGENSTATE * observable.deviation > 0:  # of a constant all states are eigenstates
            more = _MORE if result.status is Status.CONVERGED else f"more steps, or {_MORE}"
            note = f"its energy has a spread of {spread:.2g}, so it is no eigenstate: give {more}"
        return Found(result, theta, energy, overlaps, spread, weight, note)

    def _at_its_end(self, unlifted: Deflated, result: Result, theta: np.ndarray) -> Measured:
        """Energy and overlaps where a run ended, which the folder keeps too."""
        key = f"{self.task.identity.key} {theta.tobytes().hex()}"
        if self.final_shots is not None:
            key += f" {self.final_shots}"
        with metering(self.task.limits.budget.meter(result.cost)):  # which has kept room for it
            seen = self._affordable(unlifted, result, theta)
            seed = derived(self.seed, _LAST, 0)
            return measured_once(self._path, key, lambda: unlifted.undeflated(theta, seed, seen))

    def _affordable(self, unlifted: Deflated, result: Result, theta: np.ndarray) -> Spread | None:
        """What was seen where the run ended, by which a rule takes shots for its end; None where nothing was, or the
        budget has no room for that many."""
        spread = result.state.evaluation.spread
        if spread is None or self.final_shots is not None:
            return None
        kept = unlifted.undeflated_cost(theta)  # is in what the task counts as spent
        ahead = unlifted.undeflated_cost(theta, spread)
        return spread if self.task.limits.budget.allows(self.task.spent + result.cost - kept, ahead) else None


def _to_the_top(observable: Observable, energy: float) -> float:
    """More than from this energy to any other: no eigenvalue is above the mean one plus Σ|c|. At that very distance
    F would not fall between the two states."""
    bound = observable.norm_bound
    return 1.5 * max(observable.identity_coefficient + bound - energy, 0.1 * bound) or 1.0
