"""The main loop: step until something says stop, and say what it was."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np

from qngd.circuit import Circuit
from qngd.cross import CrossMethod
from qngd.errors import BackendError, ParameterError, SettingError
from qngd.evaluate import Cost, Evaluator
from qngd.interop import as_observable, in_order, wrap_for
from qngd.journal import Journal, about, fingerprint
from qngd.measurement import Grouping
from qngd.optimizer import QNG
from qngd.problem import Problem
from qngd.sampled import SampledEvaluator, evaluator_for
from qngd.state import Optimizer, State, StepInfo

_NOISE_STEPS = 5  # steps in a row whose gradient must not differ from zero by 2 standard deviations
_STILL_STEPS = 3  # steps in a row that must change the energy by less than `tol`


class Status(StrEnum):
    """Why a run stopped."""

    CONVERGED = "converged"
    TARGET = "target"
    NOISE = "noise"
    MAX_STEPS = "max_steps"
    BUDGET = "budget"
    STOPPED = "stopped"
    INTERRUPTED = "interrupted"
    NOT_FINITE = "not_finite"
    FAILED = "failed"


_REMEDY = {
    Status.CONVERGED: "{finished}",
    Status.TARGET: "the energy, with its standard error, reached target={target}",
    Status.NOISE: "the gradient was within its statistical error for {noise} steps in a row; "
    "take more shots to go lower",
    Status.MAX_STEPS: "max_steps={max_steps} reached; raise it, or resume from .theta, to go on",
    Status.BUDGET: "the next step would exceed the budget ({cost} spent); raise it to go on",
    Status.STOPPED: "the callback asked to stop",
    Status.INTERRUPTED: "interrupted from the keyboard; resume from .theta to go on",
    Status.NOT_FINITE: "the energy or its derivatives became NaN or infinite; .theta is the last good point; "
    "use a smaller learning_rate or a larger damping",
    Status.FAILED: "the backend failed, and what was reached before is kept: {failure}; mend it and resume from .theta",
}


@dataclass(frozen=True)
class Budget:
    """Limits on what a run may spend; None means no limit. A step that would exceed one is not started.

    >>> Budget(shots=100_000)
    Budget(jobs=None, circuits=None, shots=100000)
    """

    jobs: int | None = None
    circuits: int | None = None
    shots: int | None = None

    @property
    def is_open(self) -> bool:
        """Whether there is no limit."""
        return self.jobs is None and self.circuits is None and self.shots is None

    def allows(self, spent: Cost, next_step: Cost) -> bool:
        """Whether `next_step` can still be paid."""
        total = spent + next_step
        pairs = ((self.jobs, total.jobs), (self.circuits, total.circuits), (self.shots, total.shots))
        return all(limit is None or used <= limit for limit, used in pairs)


@dataclass(frozen=True, eq=False)
class Result:
    """Where a run ended and how it got there.

    Attributes:
        theta: the parameters of the lowest energy met where energies are exact, else the last accepted ones; in the
            structure of theta0.
        energy, stderr: the energy there and its standard error.
        steps: steps taken, rejected trials included.
        status, message: why it stopped, and what to do about it.
        history: the energy at theta0 and after every step, (steps + 1,).
        history_stderr: their standard errors.
        infos: what each step saw and did.
        cost: jobs, circuits and shots spent.
        note: what else the user should know, such as that the backend is noisy.
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

    def __str__(self) -> str:
        return f"{self.state.evaluation.energy} after {self.steps} steps: {self.status}, {self.message}"


def minimize(
    problem_or_circuit: Any,
    observable: Any = None,
    theta0: Any = None,
    *,
    optimizer: Optimizer | None = None,
    backend: Any = None,
    shots: Any = None,
    grouping: Grouping = "qubit-wise",
    cross: CrossMethod = "hadamard",
    max_steps: int = 200,
    tol: float = 1e-8,
    gtol: float = 0.0,
    target: float | None = None,
    seed: int | None = None,
    callback: Callable[[StepInfo], Any] | None = None,
    run_dir: str | Path | None = None,
    budget: Budget | None = None,
) -> Result:
    """Lower ⟨H⟩ by natural gradient descent from `theta0`.

    Args:
        problem_or_circuit: a `Problem`, or anything `wrap` takes.
        observable, theta0: as in `Problem`; given here they override the problem's. A QNode brings its observable:
            `minimize(node, theta0)`.
        optimizer: a `QNG`, whose defaults need no tuning, or one of `qngd.baselines`.
        backend: None for the embedded simulator (a QNode's own device otherwise).
        shots: shots per circuit; "auto" or an `AutoShots` divides a total so that the error of the step is smallest;
            a `TargetError` takes what a standard error needs; None means exact.
        grouping: which terms one circuit measures: "qubit-wise" commuting ones, with single-qubit gates, or all
            "commuting" ones, with a Clifford circuit that diagonalizes them.
        cross: how shots estimate a full metric between layers, as in `metric_tensor`.
        max_steps: steps at most, rejected trials included.
        tol: stop when the energy changes by less than this three steps in a row, or when a sampled gradient is
            within its error five steps in a row; 0 never stops so.
        gtol: stop when the natural gradient's norm in state space, √(∇Eᵀg⁻¹∇E) up to the damping, is less than this.
        target: stop when the energy plus its standard error is at most this.
        seed: for all random numbers of the run; each submission gets its own, derived from it.
        callback: called with each step's `StepInfo`; a true return value stops the run.
        run_dir: a directory to keep the run in, step by step; a run that it already holds is resumed, and
            continues as if it had not stopped.
        budget: limits on jobs, circuits and shots.

    Returns:
        A `Result`; numerical trouble, Ctrl-C and a backend that fails for good end a run with a status, never with an
        exception (unless nothing was reached yet).

    Raises:
        CircuitError, ObservableError, ParameterError, SettingError: an argument does not fit.

    >>> program = 'OPENQASM 3.0; include "stdgates.inc"; input float a; qubit q; ry(a) q;'
    >>> round(qngd.minimize(program, {"Z": 1.0}, [0.3]).energy, 6)
    -1.0
    """
    problem = _problem(problem_or_circuit, observable, theta0)
    circuit, flat = _start(problem)
    chosen = optimizer if optimizer is not None else QNG()
    evaluator = evaluator_for(circuit, as_observable(problem.observable, circuit), backend, shots, grouping, cross)
    limits = _Limits(max_steps, tol, gtol, target, budget or Budget())
    run = _Run()
    state = _begin_or_resume(run, chosen, evaluator, flat, seed, problem, run_dir, shots, limits.budget)
    try:
        status = _loop(evaluator, chosen, state, run, limits, callback)
    except KeyboardInterrupt:  # in a step, in the journal or in the callback
        status = Status.INTERRUPTED
    except BackendError as error:
        status, run.failure = Status.FAILED, str(error)
    theta = circuit.unflatten(run.state.lowest[0], problem.theta0)
    return run.result(status, limits, theta, evaluator.note)


def _begin_or_resume(
    run: _Run,
    optimizer: Optimizer,
    evaluator: Evaluator,
    theta0: np.ndarray,
    seed: int | None,
    problem: Problem,
    run_dir: str | Path | None,
    shots: Any,
    budget: Budget,
) -> State:
    """The state to go on from: of a new run, or the one that `run_dir` holds."""
    if run_dir is not None:
        circuit = evaluator.circuit
        observable = as_observable(problem.observable, circuit)
        key = fingerprint(circuit, observable, theta0, optimizer, seed, evaluator.name, shots)
        run.journal = Journal(run_dir, key, about(problem.name, optimizer, circuit))
        if isinstance(evaluator, SampledEvaluator):
            evaluator.job_log = run.journal.jobs
        if (stored := run.journal.load()) is not None:
            run.restore(*stored)
            return run.state
    first = optimizer.preview(evaluator, theta0, None, first=True)
    if not budget.allows(Cost(), first):
        raise SettingError(f"budget: the evaluation at theta0 alone needs {first}; grant at least that")
    state = optimizer.init(evaluator, theta0, seed)
    run.begin(state)
    return state


@dataclass(frozen=True)
class _Limits:
    max_steps: int
    tol: float
    gtol: float
    target: float | None
    budget: Budget

    def __post_init__(self) -> None:
        if self.max_steps < 0:
            raise SettingError(f"max_steps must be at least 0; got {self.max_steps}")
        for name in ("tol", "gtol"):
            if not getattr(self, name) >= 0:
                raise SettingError(f"{name} must be at least 0; got {getattr(self, name)}")
        if self.target is not None and not np.isfinite(self.target):
            raise SettingError(f"target must be a finite energy; got {self.target}")


class _Run:
    """The record of a run: its last good state and what every step said, also on disk if it has a journal."""

    state: State

    def __init__(self) -> None:
        self.journal: Journal | None = None
        self.failure = ""
        self.finished = ""
        self.energies: list[float] = []
        self.stderrs: list[float] = []
        self.infos: list[StepInfo] = []

    def begin(self, state: State) -> None:
        self.state = state
        self._note(state.energy, float(state.evaluation.energy.stderr))
        if self.journal is not None:
            self.journal.begin(state)

    def add(self, state: State, info: StepInfo) -> None:
        self.state = state
        self.infos.append(info)
        self._note(info.energy, info.stderr)
        if self.journal is not None:
            self.journal.add(state, info)

    def spend(self, cost: Cost) -> None:
        """Count a step that led nowhere: the state before it stays."""
        self.state = replace(self.state, cost=self.state.cost + cost)
        if self.journal is not None:
            self.journal.keep(self.state)

    def restore(self, state: State, start: tuple[float, float], infos: list[StepInfo]) -> None:
        """Go on from a journal: `start` is the energy at theta0 and its error."""
        self.state = state
        self.infos = infos
        self._note(*start)
        for info in infos:
            self._note(info.energy, info.stderr)

    def _note(self, energy: float, stderr: float) -> None:
        self.energies.append(energy)
        self.stderrs.append(stderr)

    def converged(self, limits: _Limits) -> str:
        """Why the run has converged, or nothing."""
        if self.state.finished:
            return self.state.finished
        recent = self.infos[-_STILL_STEPS:]
        if len(recent) == _STILL_STEPS and all(abs(info.decrease) < limits.tol for info in recent):
            return f"the energy changed by less than tol={limits.tol:g} for {_STILL_STEPS} steps in a row"
        if recent and recent[-1].natural_norm < limits.gtol:
            return f"the natural gradient's norm fell below gtol={limits.gtol:g}"
        return ""

    def reached(self, target: float | None) -> bool:
        """Whether the energy is at the target, errors considered."""
        return target is not None and self.energies[-1] + self.stderrs[-1] <= target

    def is_noise(self) -> bool:
        """Whether the last gradients cannot be told from zero."""
        recent = self.infos[-_NOISE_STEPS:]
        return len(recent) == _NOISE_STEPS and all(info.significance < 2 for info in recent)

    def result(self, status: Status, limits: _Limits, theta: Any, note: str) -> Result:
        message = _REMEDY[status].format(
            finished=self.finished,
            target=limits.target,
            noise=_NOISE_STEPS,
            max_steps=limits.max_steps,
            cost=self.state.cost,
            failure=self.failure,
        )
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
            state=self.state,
            note=note,
        )


def _loop(
    evaluator: Evaluator,
    optimizer: Optimizer,
    state: State,
    run: _Run,
    limits: _Limits,
    callback: Callable[[StepInfo], Any] | None,
) -> Status:
    """Step until something says stop. `run` holds what was reached, whatever happens."""
    while True:
        if not state.evaluation.is_finite:
            return Status.NOT_FINITE
        if run.reached(limits.target):
            return Status.TARGET
        run.finished = run.converged(limits)
        if run.finished:
            return Status.CONVERGED
        if limits.tol > 0 and run.is_noise():
            return Status.NOISE
        if len(run.infos) >= limits.max_steps:
            return Status.MAX_STEPS
        if not limits.budget.is_open:
            ahead = optimizer.preview(evaluator, state.theta, state.evaluation.spread)
            if not limits.budget.allows(state.cost, ahead):
                return Status.BUDGET
        state, info = optimizer.step(evaluator, state)
        if not state.evaluation.is_finite:
            run.spend(info.step_cost)
            return Status.NOT_FINITE
        run.add(state, info)
        if callback is not None and callback(info):
            return Status.STOPPED


def _problem(given: Any, observable: Any, theta0: Any) -> Problem:
    problem = given if isinstance(given, Problem) else Problem(given)
    observable, theta0 = in_order(
        problem.observable if observable is None else observable, problem.theta0 if theta0 is None else theta0
    )
    return replace(problem, observable=observable, theta0=theta0)


def _start(problem: Problem) -> tuple[Circuit, np.ndarray]:
    theta0 = problem.theta0
    if theta0 is None and isinstance(problem.circuit, Circuit):
        theta0 = problem.circuit.example
    if theta0 is None:
        raise ParameterError(
            "theta0 is missing: give the parameter values to start from, in the circuit's own structure"
        )
    circuit = wrap_for(problem.circuit, theta0)
    if circuit.num_parameters == 0:
        fixed = f": {', '.join(circuit.fixed)} is fixed (see docs/pennylane.md)" if circuit.fixed else ""
        raise ParameterError(f"the circuit has no trainable parameters, so there is nothing to minimize{fixed}")
    return circuit, circuit.flatten(theta0)
