"""What users give, be it a circuit and an observable or an objective, with what is frozen and bounded of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from qngd.circuit.bound import bind
from qngd.circuit.chosen import PartOfTheta, chosen, limits
from qngd.circuit.circuit import Circuit
from qngd.cvar import CVaR
from qngd.evaluators.base import Box, Evaluator
from qngd.evaluators.bounded import bounded
from qngd.evaluators.choice import evaluator_for
from qngd.evaluators.job_log import JobLog
from qngd.evaluators.objectives.given import GivenObjective, read_objective
from qngd.evaluators.setup import Setup
from qngd.interop.given import Given, Role, read_given

AnyGiven = Given | GivenObjective


def read_any(
    given: Any,
    observable: Any = None,
    theta: Any = None,
    *,
    role: Role = "start",
    reached: np.ndarray | None = None,
    frozen: Any = None,
) -> AnyGiven:
    """What was given, arguments and errors as for `interop.given.read_given`; where parameters are frozen, which keep
    the values that θ has, with the others alone."""
    objective = read_objective(given, observable, theta, role=role, reached=reached, frozen=frozen)
    if objective is not None:
        return objective
    found = read_given(given, observable, theta, role=role, reached=reached)
    free = ~chosen(frozen, found.circuit.parameters, "frozen")
    if free.all():
        return found
    circuit = found.circuit
    structure = PartOfTheta(circuit.structure, free, found.theta, circuit.parameters)
    names = tuple(name for name, is_free in zip(circuit.parameters, free, strict=True) if not is_free)
    bound = bind(circuit, free, found.theta[None], structure, fixed=(*circuit.fixed, *names)).circuit
    return replace(found, circuit=bound, theta=found.theta[free])


def evaluator_of(
    given: AnyGiven, setup: Setup, job_log: JobLog | None = None, bounds: Any = None, stage: int = -1
) -> Evaluator:
    """What answers a step's questions about what was given by this setup, within these bounds; of a CVaR at one stage
    of its schedule.

    Raises:
        BackendError, SettingError: as for `evaluator_for`; or the bounds cannot be meant.
    """
    found: Evaluator
    if isinstance(given, GivenObjective):
        found = given.evaluator(setup, job_log)
        bounds = given.model.objective.bounds if bounds is None else bounds
    else:
        found = evaluator_for(given.circuit, given.target, setup, job_log, stage)
    return bounded(found, _box(bounds, given.circuit))


def _box(bounds: Any, circuit: Circuit) -> Box | None:
    """The lowest and the highest value (P,) of a circuit's parameters; bounds are of frozen ones, too, where there are
    any, and mean nothing for these."""
    structure = circuit.structure
    if not isinstance(structure, PartOfTheta):
        return limits(bounds, circuit.parameters)
    box = limits(bounds, structure.names)
    return None if box is None else (box[0][structure.free], box[1][structure.free])


def evaluators_of(
    given: AnyGiven, setup: Setup, job_log: JobLog | None = None, bounds: Any = None
) -> tuple[Evaluator, ...]:
    """The evaluators of all stages of a run: one, unless a CVaR has a schedule. As `evaluator_of`."""
    stages = range(len(given.target.stages)) if isinstance(given.target, CVaR) else (0,)
    return tuple(evaluator_of(given, setup, job_log, bounds, stage) for stage in stages)
