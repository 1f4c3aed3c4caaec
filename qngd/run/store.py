"""Where a run is kept while it goes on: what a store must do, and the store of a run that is kept nowhere."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from qngd.evaluators.job_log import JobLog
from qngd.run.identity import RunIdentity
from qngd.solve.state import State, StepInfo


class Stored(NamedTuple):
    """What is known of a run that goes on: the state to go on from, the energy at the start with its error, and the
    steps that led from there, their θ flat."""

    state: State
    start: tuple[float, float]
    infos: list[StepInfo]


class Store(Protocol):
    """Keeps one run. After each call what was handed over survives a crash of the process.

    `jobs` is where its jobs are written down, or None; an evaluator is given it when it is made, before the store is
    resumed.
    """

    @property
    def jobs(self) -> JobLog | None:
        """The log of the run's jobs."""

    def resume(self, identity: RunIdentity) -> Stored | None:
        """What is stored of this run; None for a new one. Called once, before the others, of which `close` is the last
        whatever happens.

        Raises:
            SettingError: another run is stored there.
            StorageError: it cannot be read or written, or another process writes it.
        """

    def seed(self, given: int | None) -> int | None:
        """The seed of the run: the one that is given, or one that an interrupted run without has drawn."""

    def begin(self, state: State) -> None:
        """Store the state after the first evaluation, or the one that a new run goes on from."""

    def add(self, state: State, info: StepInfo) -> None:
        """Store a step and the state it led to."""

    def keep(self, state: State) -> None:
        """Store the state alone, where a step has only made it costlier."""

    def end(self, status: str, message: str, note: str) -> None:
        """Store why the run has stopped. That it cannot be stored is no error: nothing is lost by it."""

    def close(self) -> None:
        """Let others have the store."""


class Nowhere:
    """The store of a run that is not kept."""

    jobs = None

    def resume(self, identity: RunIdentity) -> Stored | None:
        return None

    def seed(self, given: int | None) -> int | None:
        return given

    def begin(self, state: State) -> None:
        pass

    def add(self, state: State, info: StepInfo) -> None:
        pass

    def keep(self, state: State) -> None:
        pass

    def end(self, status: str, message: str, note: str) -> None:
        pass

    def close(self) -> None:
        pass
