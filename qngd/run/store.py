"""Where a run is kept while it goes on: what a store must do, and the store of a run that is kept nowhere."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from qngd.estimates.evaluation import Cost
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

    def keep(self, state: State, counts: bool) -> None:
        """Store the state alone, where a step has only made it costlier; whether its cost holds all that was sent from
        it on, of which nothing is then collected again."""

    def sent(self) -> Cost:
        """What was sent from the last state on and is in no state's cost, because the run broke off; it is collected,
        and counted, when the run goes on."""

    def end_at(self, key: str | None = None) -> bytes | None:
        """What is kept of the measurement of an end with this key, without one of the last; None where there is none.
        Also before `resume`.

        Raises:
            StorageError: it cannot be read.
        """

    def begin_end(self) -> None:
        """What is sent or collected from now on is for an end, and for no step."""

    def keep_end(self, key: str, data: bytes) -> None:
        """Store the measurement of an end, whose cost holds all that was sent for it. What was sent for a step that
        ended halfway stays, to be collected when the run goes on.

        Raises:
            StorageError: it cannot be written.
        """

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

    def keep(self, state: State, counts: bool) -> None:
        pass

    def sent(self) -> Cost:
        return Cost()

    def end_at(self, key: str | None = None) -> bytes | None:
        return None

    def begin_end(self) -> None:
        pass

    def keep_end(self, key: str, data: bytes) -> None:
        pass

    def end(self, status: str, message: str, note: str) -> None:
        pass

    def close(self) -> None:
        pass
