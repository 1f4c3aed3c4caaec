"""The record of a run while it goes on: its last good state and what every step said, handed on to its store."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from qngd.errors import joined
from qngd.estimates.evaluation import Cost
from qngd.run.rest import LONGEST, Row, is_noise, noise_steps, trail_as_array, trail_of, why_still
from qngd.run.result import NOT_FINITE_AT_START, REMEDY, Result, Status
from qngd.run.stop import StopRule
from qngd.run.store import Nowhere, Store, Stored
from qngd.solve.state import State, StepInfo

_NOTED = 3  # steps whose notes a result repeats
_LOST_STEPS = 5  # trials in a row without a finite energy


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
        self._trail: list[Row] = []
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
        self._trail = trail_of(state)

    def add(self, state: State, info: StepInfo) -> StepInfo:
        """Count a step, and return what it said with its θ in the user's structure."""
        info = replace(info, theta=self._in_structure(state.theta))
        self.state = state
        self.infos.append(info)
        self._trail = [*self._trail, Row.of(info)][-LONGEST:]
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
        return replace(self.state, trail=trail_as_array(self._trail), made_by=self._made_by)

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
        self.finished = self.state.finished or why_still(self.state, self._trail, limits)
        if self.state.finished:
            return Status(self.state.finished_as)
        if self.finished:
            return Status.CONVERGED
        return Status.NOISE if limits.tol > 0 and is_noise(self.state.evaluation, self._trail) else None

    def reached(self, target: float | None, epoch: int) -> bool:
        """Whether the energy is at the target, errors considered; of mini-batches, `epoch` to all samples, their mean,
        since a single one may be low by luck."""
        if target is None or len(self.energies) < epoch:
            return False
        energy, stderr = np.mean(self.energies[-epoch:]), np.linalg.norm(self.stderrs[-epoch:]) / epoch
        return bool(energy + stderr <= target)

    def result(self, status: Status, limits: StopRule, note: str) -> Result:
        """The record as a `Result`; `note` is what the evaluator says of all its answers."""
        theta = self._in_structure(self.state.lowest[0])
        return Result(
            theta=theta,
            energy=self.state.lowest[1],
            stderr=self.stderrs[-1],
            steps=len(self.infos),
            status=status,
            message=self._message(status, limits),
            history=np.array(self.energies),
            history_stderr=np.array(self.stderrs),
            infos=tuple(self.infos),
            cost=self.state.cost,
            state=self.kept,
            note=joined(note, self._of_metric(note), *self._of_steps, *self._remarks, self._unshaped),
        )

    def _message(self, status: Status, limits: StopRule) -> str:
        """Why the run stopped, and what to do about it."""
        if status is Status.MAX_STEPS and self.state.finished:
            return self.state.finished  # a limit among the optimizer's own settings
        if status is Status.NOT_FINITE and not self.state.evaluation.is_finite:
            return NOT_FINITE_AT_START
        return REMEDY[status].format(
            finished=self.finished,
            target=limits.target,
            noise=noise_steps(self.state.evaluation),
            max_steps=limits.steps,
            cost=(self.state.cost + self._store.sent()).in_short,
            failure=self.failure,
        )

    def _of_metric(self, note: str) -> str:
        """What is to be said of the metric where the run stands, beside the evaluator's `note`."""
        metric = self.state.evaluation.metric
        return "" if metric is None else metric.note.removesuffix(note).removesuffix("; ")

    @property
    def _of_steps(self) -> list[str]:
        """What the first steps that were unusual say, and how many more there were."""
        notes = [f"step {info.step}: {info.note}" for info in self.infos if info.note]
        if len(notes) <= _NOTED:
            return notes
        return [*notes[:_NOTED], f"and so {len(notes) - _NOTED} more times"]
