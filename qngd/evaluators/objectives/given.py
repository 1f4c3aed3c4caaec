"""An objective as users give it, at a start."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from qngd.circuit.circuit import Circuit
from qngd.errors import BackendError, ParameterError, SettingError
from qngd.evaluators import light_cone, pauli_propagation
from qngd.evaluators.choice import settled
from qngd.evaluators.job_log import JobLog
from qngd.evaluators.objectives.exact import ConeObjective, ExactObjective
from qngd.evaluators.objectives.model import Model
from qngd.evaluators.objectives.objective import Objective
from qngd.evaluators.objectives.reading import can_start_anywhere, model_of
from qngd.evaluators.objectives.sampled import SampledObjective
from qngd.evaluators.setup import USUAL, Setup
from qngd.exact.point import simulator_of
from qngd.interop import in_order
from qngd.interop.given import Role
from qngd.problem import Problem


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
    for `qngd.evaluators.given.read_any`.

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
