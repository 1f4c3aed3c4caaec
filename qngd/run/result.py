"""Why a run stopped, and what it returns."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np

from qngd.errors import BackendError, counted
from qngd.estimates.bit_strings import BitStrings
from qngd.estimates.estimate import format_with_error
from qngd.estimates.evaluation import Cost
from qngd.solve.state import State, StepInfo

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from qngd.run.identity import RunIdentity


class Status(StrEnum):
    """Why a run stopped."""

    CONVERGED = "converged"
    SADDLE = "saddle"
    STALLED = "stalled"
    TARGET = "target"
    NOISE = "noise"
    MAX_STEPS = "max_steps"
    BUDGET = "budget"
    STOPPED = "stopped"
    INTERRUPTED = "interrupted"
    NOT_FINITE = "not_finite"
    FAILED = "failed"


BROKEN_OFF = (Status.FAILED, Status.INTERRUPTED)  # nothing more is sent
GO_ON = "give this result's .state as state= to go on"
"""How a run goes on, in Python; the command line says it otherwise."""
REMEDY = {
    Status.CONVERGED: "{finished}",
    Status.SADDLE: "the gradient vanishes, but this is no minimum: {failure}; give more steps to leave it",
    Status.STALLED: "the optimizer could not go on from here: {finished}",
    Status.TARGET: "the energy, with its standard error, reached target={target}",
    Status.NOISE: "the gradient was within its statistical error for {noise} steps in a row; "
    "take more shots to go lower",
    Status.MAX_STEPS: "max_steps={max_steps} reached; raise it, or " + GO_ON,
    Status.BUDGET: "the next step would exceed the budget ({cost} spent){failure}; raise it and " + GO_ON,
    Status.STOPPED: "the callback asked to stop; " + GO_ON,
    Status.INTERRUPTED: "interrupted from the keyboard or by SIGTERM; " + GO_ON,
    Status.NOT_FINITE: "the energy or its derivatives became NaN or infinite; .theta is the last good point; "
    "use a smaller learning_rate or a larger damping",
    Status.FAILED: "{failure}; what was reached before is kept: mend it and " + GO_ON,
}
"""What to do about each, with blanks to fill in."""
_FROM_BEST = ", and this result's .state as state=, without restarts, goes on from the best"
OUT_OF_BUDGET = (
    "{failure} ({cost} spent); raise the budget: the same call with its run_dir tries what was not" + _FROM_BEST
)
"""The same for a call with several starts."""
NOT_FINITE_AT_START = (
    "the energy or its derivatives are NaN or infinite at the start itself; look at qngd.expectation and qngd.gradient "
    "there, and in a loss at logarithms, roots and quotients"
)


def ended_by(error: BaseException) -> tuple[Status, str]:
    """The status of a run that an expected error ended, and what failed, for its message."""
    if isinstance(error, KeyboardInterrupt):
        return Status.INTERRUPTED, ""
    return Status.FAILED, f"the backend failed: {error}" if isinstance(error, BackendError) else f"{error}"


def by_run_dir(message: str) -> str:
    """A remedy for a run whose state nothing takes, because it was one of several that depend on each other.

    >>> by_run_dir(REMEDY[Status.STOPPED])
    'the callback asked to stop; with a run_dir the same call goes on'
    """
    for link, other in ((", or ", ": "), (" and ", ": "), ("; ", "; ")):
        message = message.replace(link + GO_ON, f"{other}with a run_dir the same call goes on")
    return message.replace(_FROM_BEST, "")


def advised(message: str, again: str) -> str:
    """The message of a run with what goes on from it elsewhere than in Python, or later, in the place of its state.

    >>> advised(f"max_steps=3 reached; raise it, or {GO_ON}", "the same command goes on")
    'max_steps=3 reached; raise it, and the same command goes on'
    """
    joined = re.compile(rf"(,? (?:or|and) )?{re.escape(GO_ON)}")
    return joined.sub(lambda found: f"{', and ' if found[1] else ''}{again}", message)


def of_start(name: str, message: str, is_best: bool) -> str:
    """The message of the start that ended a call with several; the call's result has the state of the best.

    >>> of_start("start-1", REMEDY[Status.STOPPED], is_best=True)
    "start-1: the callback asked to stop; give this result's .state as state= to go on"
    """
    if not is_best and GO_ON in message:
        message = advised(message, "the same call with its run_dir goes on") + _FROM_BEST
    return f"{name}: {message}"


@dataclass(frozen=True, eq=False)
class Result:
    """Where a run ended and how it got there.

    Attributes:
        theta: the parameters of the lowest energy met where energies are exact, else the last accepted ones; in the
            structure of theta0.
        energy, stderr: the energy there and its standard error.
        steps: steps taken, rejected trials included.
        status, message: why it stopped, and what to do about it.
        history: the energy at theta0 and after every step, (steps + 1,). A run that goes on from a `state` starts
            there: `steps` and `history` are its own.
        history_stderr: their standard errors.
        infos: what each step saw and did.
        cost: jobs, circuits, shots, device seconds and money spent, those before `state` included; of the last two what
            is not known is None.
        state: what `minimize(…, state=…)` goes on from, as if the run had not stopped.
        note: what else the user should know, such as that the backend is noisy.
        mean, mean_stderr: the mean of all energies there and its standard error: `energy` and `stderr` themselves,
            unless that is a CVaR.
        bit_strings: of a diagonal observable what its last measurement gave, or what that of the exact state would give
            (up to 20 qubits): `.best()` the lowest in energy, `.most_probable()`, `.counts`; None for others.
        restarts: with `minimize(…, restarts=k)` the results of all starts in their order, of which this is the best,
            `cost` that of all together.
        about: what was run: "problem", "settings", "versions", and when it "began".
        origin: what the run is recognized by, for `save`; None of a result that `minimize` did not make.
    """

    theta: Any
    energy: float
    stderr: float
    steps: int
    status: Status
    message: str
    history: np.ndarray
    history_stderr: np.ndarray
    infos: tuple[StepInfo, ...]
    cost: Cost
    state: State
    note: str = ""
    bit_strings: BitStrings | None = None
    mean: float = np.nan
    mean_stderr: float = np.nan
    restarts: tuple[Result, ...] = ()
    about: Mapping[str, Any] = field(default_factory=dict)
    origin: RunIdentity | None = None

    def __str__(self) -> str:
        energy = format_with_error(self.energy, self.stderr)
        return f"{energy} after {counted(self.steps, 'step')}: {self.status}, {self.message}"

    def __repr__(self) -> str:
        # no arrays: those of a long run are thousands of lines
        numbers = f"energy={float(self.energy)!r}, stderr={float(self.stderr)!r}, steps={self.steps}"
        count = counted(np.size(self.state.theta), "parameter")
        return f"{type(self).__name__}({numbers}, status={str(self.status)!r}, cost={self.cost!r}, theta=<{count}>)"

    def _repr_html_(self) -> str:
        """For notebooks: the closing table, and the energy over steps."""
        from qngd.report.notebook import of_run
        from qngd.report.run_data import of_result

        return of_run(type(self).__name__, of_result(self))

    def plot(self, what: str = "convergence") -> Figure:
        """A figure of Matplotlib: "convergence" (energy, and its error or the gradient, over steps), "spectrum" (of the
        metric), or one of the report's, such as "shots" or "rate" (see `qngd.report.catalogue`).

        Raises:
            SettingError: there is no such figure, or nothing of it was measured; the text says which there are, or why.
        """
        from qngd.report.catalogue import drawn
        from qngd.report.run_data import of_result

        return drawn(of_result(self), what)

    def save(self, directory: str | os.PathLike[str]) -> None:
        """Keep it in a directory, which is made, as `minimize(…, run_dir=…)` would have: `qngd.load` gives it back.

        Raises:
            SettingError: a run is there already, or this result was not made by `minimize`.
            StorageError: it cannot be written.
        """
        from qngd.run.directory.saved import save

        save(self, directory)

    def report(self, path: str | os.PathLike[str]) -> None:
        """Write a page about the run: one file of HTML that needs no network. For several runs see `qngd.compare`.

        Raises:
            SettingError: the file cannot be written.
        """
        from qngd.report.page import write_page
        from qngd.report.run_data import of_result

        write_page([of_result(self)], path)
