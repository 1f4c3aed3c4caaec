"""What users give, be it a circuit and an observable or an objective, with what is frozen and bounded of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from qngd.circuit.angles import AngleMap
from qngd.circuit.bound import bind
from qngd.circuit.chosen import PartOfTheta, chosen, limits
from qngd.circuit.circuit import Circuit
from qngd.cvar import CVaR
from qngd.errors import BackendError, ParameterError, SettingError
from qngd.evaluators import light_cone, pauli_propagation
from qngd.evaluators.base import Evaluator
from qngd.evaluators.bounded import Bounded
from qngd.evaluators.choice import evaluator_for, settled
from qngd.evaluators.job_log import JobLog
from qngd.evaluators.objectives.exact import ConeObjective, ExactObjective
from qngd.evaluators.objectives.model import Model
from qngd.evaluators.objectives.objective import Objective
from qngd.evaluators.objectives.reading import can_start_anywhere, model_of
from qngd.evaluators.objectives.sampled import SampledObjective
from qngd.evaluators.setup import USUAL, Setup
from qngd.exact.point import simulator_of
from qngd.interop import in_order
from qngd.interop.given import Given, Role, read_given
from qngd.problem import Problem

_WHOLE = 1e-12  # a multiple that is this close to a whole one is one


@dataclass(frozen=True, eq=False)
class GivenObjective:
    """An objective at a start: `theta` (P,) are its free parameters, flat."""

    name: str
    model: Model

    @property
    def like(self) -> Any:
        """The start as the user writes it."""
        return self.model.like

    @property
    def circuit(self) -> Circuit:
        """One that stands for all."""
        return self.model.circuit

    @property
    def theta(self) -> np.ndarray:
        return self.model.start

    @property
    def observable(self) -> None:
        """None: it has outputs."""

    target = None
    has_observable = False
    words = ""

    def shaped(self, flat: np.ndarray) -> Any:
        """Flat parameter values (P,) in the user's structure."""
        return self.model.structure.unflatten(flat, self.like)

    def evaluator(self, setup: Setup = USUAL, job_log: JobLog | None = None) -> ExactObjective | SampledObjective:
        """What answers a step's questions about the objective by this setup.

        Raises:
            BackendError, SettingError: as for a circuit and an observable.
        """
        first = self.model.parts[0].circuit
        if light_cone.is_meant(setup.backend):
            light_cone.require_mean(first, None, setup.shots, light_cone.NAME)
            return ConeObjective(self.model)
        if pauli_propagation.truncation_of(setup.backend) is not None:
            raise BackendError(
                f"backend: {pauli_propagation.NAME!r} takes one circuit and observable, no Objective; "
                f"{light_cone.NAME!r} takes one"
            )
        holding = settled(setup, first)
        if holding.backend is None:
            fits = all(simulator_of(part.circuit).fits for part in self.model.parts)
            return ExactObjective(self.model) if fits or setup.backend is not None else ConeObjective(self.model, True)
        return SampledObjective(self.model, holding, job_log)


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
    structure = PartOfTheta(circuit.structure, free, found.theta)
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
    box = limits(bounds, given.circuit.parameters)
    return found if box is None else Bounded(found, *box)


def evaluators_of(
    given: AnyGiven, setup: Setup, job_log: JobLog | None = None, bounds: Any = None
) -> tuple[Evaluator, ...]:
    """The evaluators of all stages of a run: one, unless a CVaR has a schedule. As `evaluator_of`."""
    stages = range(len(given.target.stages)) if isinstance(given.target, CVaR) else (0,)
    return tuple(evaluator_of(given, setup, job_log, bounds, stage) for stage in stages)


def read_objective(
    given: Any,
    observable: Any = None,
    theta0: Any = None,
    *,
    role: Role = "start",
    reached: np.ndarray | None = None,
    frozen: Any = None,
) -> GivenObjective | None:
    """The objective in what was given: itself, or the circuit of a `Problem`; None where there is none. Arguments as
    for `read_any`.

    Raises:
        CircuitError, ObservableError, ParameterError, SettingError: a part is missing or does not fit.
    """
    problem = given if isinstance(given, Problem) else Problem(given)
    if isinstance(observable, Objective):
        raise SettingError("observable: an Objective takes the place of the circuit, too: minimize(objective, theta0)")
    if not isinstance(problem.circuit, Objective):
        return None
    if isinstance(given, Problem) and theta0 is None:
        theta0 = problem.theta0
    observable, theta0 = in_order(observable, theta0)
    if observable is not None or problem.observable is not None:
        raise SettingError("observable: an Objective has its own observables; leave it out")
    start = reached if theta0 is None else theta0
    if start is None and not (role == "example" and can_start_anywhere(problem.circuit)):
        raise ParameterError(
            "theta0 is missing: give the parameter values to start from, in the circuit's own structure: "
            "minimize(objective, theta0=…)"
        )
    found = GivenObjective(problem.name, model_of(problem.circuit, start, frozen))
    found.shaped(found.theta)  # what cannot be given back is refused before anything is spent
    return found


def wrapped_angles(given: AnyGiven, evaluator: Evaluator, theta: np.ndarray) -> np.ndarray:
    """θ (P,) with those parameters in (−π, π] of which a full turn changes nothing: where every rotation that one moves
    turns by a whole multiple of it, R_P(φ + 2πm) = (−1)^m·R_P(φ), and no bound holds it."""
    whole = evaluator.unbounded if isinstance(evaluator, Bounded) else np.ones(len(theta), dtype=bool)
    maps = [(given.circuit.angle_map, np.arange(len(theta)))]
    if isinstance(given, GivenObjective):
        maps = [(part.circuit.angle_map, part.parameters) for part in given.model.parts]
    for angle_map, places in maps:
        whole[places] &= _turns_whole(angle_map)
    turned = np.pi - np.mod(np.pi - theta, 2 * np.pi)
    return np.where(whole, turned, theta)


def _turns_whole(angle_map: AngleMap) -> np.ndarray:
    """Of every parameter (p,) whether all angles hold whole multiples of it; of angles that are not affine it is not
    known."""
    if not angle_map.is_affine:
        return np.zeros(angle_map.num_parameters, dtype=bool)
    entries = angle_map.linear.tocoo()
    broken = entries.col[np.abs(entries.data - np.rint(entries.data)) > _WHOLE]
    return ~np.isin(np.arange(angle_map.num_parameters), broken)
