"""Why a run stopped, and what it returns."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from qngd.estimates.bit_strings import BitStrings
from qngd.estimates.estimate import format_with_error
from qngd.estimates.evaluation import Cost
from qngd.solve.state import State, StepInfo


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


_GO_ON = "give this result's .state as state= to go on"
REMEDY = {
    Status.CONVERGED: "{finished}",
    Status.SADDLE: "the gradient vanishes, but this is no minimum: {failure}; give more steps to leave it",
    Status.STALLED: "the optimizer could not go on from here: {finished}",
    Status.TARGET: "the energy, with its standard error, reached target={target}",
    Status.NOISE: "the gradient was within its statistical error for {noise} steps in a row; "
    "take more shots to go lower",
    Status.MAX_STEPS: "max_steps={max_steps} reached; raise it, or " + _GO_ON,
    Status.BUDGET: "the next step would exceed the budget ({cost} spent){failure}; raise it and " + _GO_ON,
    Status.STOPPED: "the callback asked to stop; " + _GO_ON,
    Status.INTERRUPTED: "interrupted from the keyboard; " + _GO_ON,
    Status.NOT_FINITE: "the energy or its derivatives became NaN or infinite; .theta is the last good point; "
    "use a smaller learning_rate or a larger damping",
    Status.FAILED: "{failure}; what was reached before is kept: mend it and " + _GO_ON,
}
"""What to do about each, with blanks to fill in."""


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
        mean: the mean of all energies there: `energy` itself, unless that is a CVaR.
        bit_strings: of a diagonal observable what its last measurement gave, or what that of the exact state would give
            (up to 20 qubits): `.best()` the lowest in energy, `.most_probable()`, `.counts`; None for others.
        restarts: with `minimize(…, restarts=k)` the results of all starts in their order, of which this is the best,
            `cost` that of all together.
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
    restarts: tuple[Result, ...] = ()

    def __str__(self) -> str:
        energy = format_with_error(self.energy, self.stderr)
        return f"{energy} after {self.steps} steps: {self.status}, {self.message}"
