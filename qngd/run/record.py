"""The record of a run while it goes on: its last good state and what every step said, handed on to its store."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from qngd.errors import joined
from qngd.estimates.evaluation import Cost
from qngd.run.result import NOT_FINITE_AT_START, REMEDY, Result, Status
from qngd.run.stop import StopRule
from qngd.run.store import Nowhere, Store, Stored
from qngd.solve.state import State, StepInfo

_NOISE_STEPS = 5  # steps in a row whose gradient must not differ from zero by 2 standard deviations
_TAIL_STEPS = 10  # the same for a CVaR: what lies below its quantile shows in few shots, and now and then in none
_NOTED = 3  # steps whose notes a result repeats
_LOST_STEPS = 5  # trials in a row without a finite energy
_STILL_STEPS = 3  # steps in a row that must change the energy by less than `tol`
_BY_CHANCE = 10  # times `tol`: with such an error three changes below `tol` come of a few shots that agree
_LEFT = 0.01  # of `tol`: what may be left to gain where decreases fall off as they were promised to


class Record:
    """What a run has reached. Nothing in it is lost whatever ends the run."""

    state: State

    def __init__(self, shaped: Callable[[np.ndarray], Any], made_by: str, store: Store) -> None:
        self.failure = ""
        self.finished = ""
        self.energies: list[float] = []
        self.stderrs: list[float] = []
        self.infos: list[StepInfo] = []
        self._shaped = shaped
        self._made_by = made_by
        self._store = store
        self._trail: list[tuple[float, ...]] = []
        self._remarks: list[str] = []
        self._unshaped = ""
        self._resumed_with = 0

    @property
    def has_begun(self) -> bool:
        """Whether anything was reached."""
        return bool(self.energies)

    @property
    def is_kept(self) -> bool:
        """Whether the run goes on from a store another time."""
        return not isinstance(self._store, Nowhere)

    @property
    def is_lost(self) -> bool:
        """Whether the last trials of this process had no finite energy, so that more of them are paid for nothing."""
        recent = self.infos[max(self._resumed_with, len(self.infos) - _LOST_STEPS) :]
        lost = len(recent) == _LOST_STEPS and all(info.lost for info in recent)
        if lost:
            self.remark(f"{_LOST_STEPS} trials in a row had an energy that is NaN or infinite, and were rejected")
        return lost

    def ended(self, status: Status, failure: str = "") -> Status:
        """The status that a run ends with, and what failed, kept for its message."""
        self.failure = failure
        return status

    def begin(self, state: State, limits: StopRule) -> None:
        """Begin the record at a state: of a new run, or of one that goes on."""
        self._take(replace(state, ends_at=None))  # which another budget had said
        if state.looked and not state.finished and self.at_rest(limits):
            self._trail = []  # it had ended here, and is asked to go on all the same, say with more shots
        self._note(state.energy, float(state.evaluation.energy.stderr))
        self._store.begin(self.kept)

    def restore(self, stored: Stored) -> None:
        """Bring the record to where a stored run had stopped."""
        self._take(stored.state)
        self.infos = [replace(info, theta=self._in_structure(info.theta)) for info in stored.infos]
        self._resumed_with = len(self.infos)
        self._note(*stored.start)
        for info in stored.infos:
            self._note(info.energy, info.stderr)

    def _take(self, state: State) -> None:
        self.state = state
        if state.trail is not None:
            # before 0.2 without the promised decrease
            rows = np.full((len(state.trail), 4), np.nan)
            rows[:, : state.trail.shape[1]] = state.trail
            self._trail = [tuple(row) for row in rows.tolist()]

    def add(self, state: State, info: StepInfo) -> StepInfo:
        """Count a step, and return what it said with its θ in the user's structure."""
        info = replace(info, theta=self._in_structure(state.theta))
        self.state = state
        self.infos.append(info)
        row = (info.decrease, info.significance, info.natural_norm, info.predicted_decrease)
        self._trail = [*self._trail[1 - _TAIL_STEPS :], row]
        self._note(info.energy, info.stderr)
        if self.is_kept:
            self._store.add(self.kept, info)
        return info

    def remark(self, text: str) -> None:
        """Keep a text for the result's note."""
        self._remarks.append(text)

    def spend(self, cost: Cost, counts: bool = True) -> None:
        """Count a step that led nowhere: the state before it stays. `counts` as for `Store.keep`."""
        self.stay(replace(self.state, cost=self.state.cost + cost), counts)

    def stay(self, state: State, counts: bool = True) -> None:
        """Take a state at the same point: only what was spent, or remembered, has changed."""
        self.state = state
        self._store.keep(self.kept, counts)

    @property
    def kept(self) -> State:
        """The state with all that is needed to go on from it in another run."""
        return replace(self.state, trail=np.array(self._trail).reshape(-1, 4), made_by=self._made_by)

    def _in_structure(self, theta: np.ndarray | None) -> Any:
        """A flat θ as the user writes it. That was tried at the start; should it fail now, the numbers are not lost."""
        if theta is None:
            return None
        try:
            return self._shaped(theta)
        except Exception as error:  # of other people's arrays
            self._unshaped = f"theta is flat, its structure failed: {type(error).__name__}: {error}"
            return theta

    def _note(self, energy: float, stderr: float) -> None:
        self.energies.append(energy)
        self.stderrs.append(stderr)

    def at_rest(self, limits: StopRule) -> Status | None:
        """Why the run is at rest, or None: `finished` then says more."""
        self.finished = self.state.finished or self._still(limits)
        if self.state.finished:
            return Status(self.state.finished_as)
        if self.finished:
            return Status.CONVERGED
        return Status.NOISE if limits.tol > 0 and self._is_noise() else None

    def _still(self, limits: StopRule) -> str:
        recent = self._trail[-_STILL_STEPS:]
        # a tail within one outcome, and few shots that all agree, give the same number again and again, and say nothing
        # of what lies below
        unseen = self._largest_error > limits.tol * (1 if self._is_tail else _BY_CHANCE)
        is_still = len(recent) == _STILL_STEPS and all(abs(decrease) < limits.tol for decrease, *_ in recent)
        if is_still and not unseen:
            return f"the energy changed by less than tol={limits.tol:g} for {_STILL_STEPS} steps in a row"
        if recent and recent[-1][2] < limits.gtol:
            return f"the natural gradient's norm fell below gtol={limits.gtol:g}"
        if self._has_nothing_left(limits.tol):
            return f"the energy fell by less than tol={limits.tol:g}, as predicted, and less is left to gain"
        return ""

    @property
    def _largest_error(self) -> float:
        """The standard error of the energy here; of a sampled one that algebra makes certain that of its gradient."""
        here = self.state.evaluation
        if here.energy.stderr or here.gradient is None or not self.state.cost.shots:
            return float(here.energy.stderr)
        return float(np.max(here.gradient.stderr, initial=0.0))

    def _has_nothing_left(self, tol: float) -> bool:
        """Whether the last exact energy fell by less than `tol`, as its step had promised, and so much less than in the
        step before that a geometric series of such decreases has next to nothing left: so it is where a model of the
        energy holds, and steps converge faster than by a fixed factor."""
        here = self.state.evaluation
        if len(self._trail) < 2 or here.energy.stderr or here.batch is not None or self._is_tail:
            return False
        (before, *_, promised_before), (now, *_, promised) = self._trail[-2:]
        rise = min([0.0, *(earlier for earlier, *_ in self._trail[-3:-2])])  # a bounce falls as far as it rose
        # NaN where an optimizer promises nothing
        larger, smaller = np.minimum(before + rise, promised_before), np.maximum(now, promised)
        falls_off = larger > smaller and smaller**2 < _LEFT * tol * (larger - smaller)
        return bool(falls_off and smaller < tol and now > -_LEFT * tol)

    def _is_noise(self) -> bool:
        """Whether the last gradients cannot be told from zero, neither alone nor together: they are independent, so
        that n significances of s each are one of s·√n."""
        recent = [significance for _, significance, *_ in self._trail[-self._noise_steps :]]
        if len(recent) < self._noise_steps or not all(significance < 2 for significance in recent):
            return False
        return bool(sum(recent) < 2 * np.sqrt(self._noise_steps))

    @property
    def _noise_steps(self) -> int:
        return _TAIL_STEPS if self._is_tail else _NOISE_STEPS

    @property
    def _is_tail(self) -> bool:
        """Whether the energies are a CVaR."""
        return self.state.evaluation.mean is not None

    def reached(self, target: float | None, epoch: int) -> bool:
        """Whether the energy is at the target, errors considered; of mini-batches, `epoch` to all samples, their mean,
        since a single one may be low by luck."""
        if target is None or len(self.energies) < epoch:
            return False
        energy, stderr = np.mean(self.energies[-epoch:]), np.linalg.norm(self.stderrs[-epoch:]) / epoch
        return bool(energy + stderr <= target)

    def _of_metric(self, note: str) -> str:
        """What is to be said of the metric where the run stands, beside the evaluator's `note`."""
        metric = self.state.evaluation.metric
        return "" if metric is None else metric.note.removesuffix(note).removesuffix("; ")

    def result(self, status: Status, limits: StopRule, note: str) -> Result:
        """The record as a `Result`; `note` is what the evaluator says of all its answers."""
        theta = self._in_structure(self.state.lowest[0])
        message = REMEDY[status].format(
            finished=self.finished,
            target=limits.target,
            noise=self._noise_steps,
            max_steps=limits.steps,
            cost=(self.state.cost + self._store.sent()).in_short,
            failure=self.failure,
        )
        if status is Status.MAX_STEPS and self.state.finished:
            message = self.state.finished  # a limit among the optimizer's own settings
        if status is Status.NOT_FINITE and not self.state.evaluation.is_finite:
            message = NOT_FINITE_AT_START
        of_steps = [f"step {info.step}: {info.note}" for info in self.infos if info.note]
        if len(of_steps) > _NOTED:
            of_steps = [*of_steps[:_NOTED], f"and so {len(of_steps) - _NOTED} more times"]
        return Result(
            theta=theta,
            energy=self.state.lowest[1],
            stderr=self.stderrs[-1],
            steps=len(self.infos),
            status=status,
            message=message,
            history=np.array(self.energies),
            history_stderr=np.array(self.stderrs),
            infos=tuple(self.infos),
            cost=self.state.cost,
            state=self.kept,
            note=joined(note, self._of_metric(note), *of_steps, *self._remarks, self._unshaped),
        )
