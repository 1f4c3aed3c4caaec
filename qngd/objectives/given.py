"""An objective that was given in the place of a circuit and its observable."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from qngd.circuit.chosen import limits
from qngd.circuit.circuit import Circuit
from qngd.errors import ParameterError, SettingError
from qngd.estimates.evaluation import Evaluator
from qngd.evaluators.bounded import Bounded
from qngd.evaluators.choice import backend_and_shots
from qngd.interop import in_order
from qngd.measured.cross import CrossMethod
from qngd.measured.grouping import Grouping
from qngd.measured.shots import as_rule
from qngd.objectives.exact import ExactObjective
from qngd.objectives.model import Model, model_of
from qngd.objectives.objective import Objective
from qngd.objectives.sampled import SampledObjective
from qngd.problem import Problem


@dataclass(frozen=True, eq=False)
class GivenObjective:
    """An objective at a start: `theta` (P,) are its free parameters, flat, and `like` all in the user's structure."""

    name: str
    model: Model
    like: Any

    @property
    def circuit(self) -> Circuit:
        """One that stands for all."""
        return self.model.circuit

    @property
    def theta(self) -> np.ndarray:
        return self.model.start

    def shaped(self, flat: np.ndarray) -> Any:
        """Flat parameter values (P,) in the user's structure."""
        return self.model.structure.unflatten(flat, self.like)

    def evaluator(
        self,
        backend: Any = None,
        shots: Any = None,
        grouping: Grouping = "qubit-wise",
        cross: CrossMethod = "hadamard",
        batches: bool = True,
    ) -> Evaluator:
        """What answers a step's questions about the objective on this backend; of all samples unless `batches`.

        Raises:
            BackendError, SettingError: as for a circuit and an observable.
        """
        found = self.plain_evaluator(backend, shots, grouping, cross)
        found = found if batches else found.of_all()
        bounds = limits(self.model.objective.bounds, self.model.names)
        return found if bounds is None else Bounded(found, *bounds)

    def plain_evaluator(
        self,
        backend: Any = None,
        shots: Any = None,
        grouping: Grouping = "qubit-wise",
        cross: CrossMethod = "hadamard",
    ) -> ExactObjective | SampledObjective:
        """The same without bounds."""
        chosen, shots = backend_and_shots(self.model.parts[0].circuit, backend, shots)
        if chosen is None:
            return ExactObjective(self.model)
        return SampledObjective(self.model, chosen, as_rule(shots), grouping, cross)

    def fingerprint(self, theta: np.ndarray, *settings: object) -> str:
        """A hash of what determines a run, as `run.journal.fingerprint` is of a circuit and an observable."""
        digest = hashlib.sha256(self.model.likeness)
        digest.update(np.ascontiguousarray(theta).tobytes())
        digest.update(repr(settings).encode())
        return digest.hexdigest()


def read_objective(
    given: Any, observable: Any = None, theta0: Any = None, reached: np.ndarray | None = None
) -> GivenObjective | None:
    """The objective in what was given: itself, or the circuit of a `Problem`; None where there is none.

    Raises:
        CircuitError, ObservableError, ParameterError, SettingError: a part is missing or does not fit.
    """
    problem = given if isinstance(given, Problem) else Problem(given)
    if not isinstance(problem.circuit, Objective):
        return None
    if isinstance(given, Problem) and theta0 is None:
        theta0 = problem.theta0
    observable, theta0 = in_order(observable, theta0)
    if observable is not None or problem.observable is not None:
        raise SettingError("observable: an Objective has its own observables; leave it out")
    start = reached if theta0 is None else theta0
    if start is None:
        raise ParameterError(
            "theta0 is missing: give the parameter values to start from, in the circuit's own structure: "
            "minimize(objective, theta0=…)"
        )
    model, like = model_of(problem.circuit, start)
    found = GivenObjective(problem.name, model, like)
    found.shaped(found.theta)  # what cannot be given back is refused before anything is spent
    return found
