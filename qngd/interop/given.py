"""What the user gave, as one: a problem or its parts, the wrapped circuit, and parameter values as plain numbers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from qngd.circuit.circuit import Circuit
from qngd.circuit.observable import Observable
from qngd.cvar import CVaR
from qngd.errors import ParameterError, QngdError
from qngd.interop import as_target, in_order, instead_of, is_parameters, wrap, wrap_for
from qngd.problem import Problem

Role = Literal["start", "point", "example"]


@dataclass(frozen=True, eq=False)
class Given:
    """A circuit with all that was given with it: `theta` (P,) are the parameter values, flat, and `like` the same in
    the user's structure."""

    name: str
    circuit: Circuit
    native_observable: Any
    theta: np.ndarray
    like: Any

    @cached_property
    def target(self) -> Observable | CVaR:
        """What is to be low, on the circuit's qubits; raises ObservableError where it does not fit."""
        return as_target(self.native_observable, self.circuit)

    @property
    def observable(self) -> Observable:
        """The observable on the circuit's qubits; raises ObservableError where it does not fit."""
        return self.target.observable if isinstance(self.target, CVaR) else self.target

    @property
    def words(self) -> str:
        """What distinguishes the target from its observable, by which a stored run is recognized; nothing mostly."""
        return f"CVaR {self.target.stages}" if isinstance(self.target, CVaR) else ""

    @property
    def has_observable(self) -> bool:
        """Whether one was given, or the circuit brings its own."""
        return not (self.native_observable is None and self.circuit.observable is None)

    def shaped(self, flat: np.ndarray) -> Any:
        """Flat parameter values (P,) in the user's structure."""
        return self.circuit.unflatten(flat, self.like)


def read_given(
    problem_or_circuit: Any,
    observable: Any = None,
    theta: Any = None,
    *,
    role: Role = "start",
    reached: np.ndarray | None = None,
) -> Given:
    """The parts of a `Problem`, or of anything `wrap` takes; `observable` and `theta` override them.

    Args:
        problem_or_circuit, observable, theta: as users give them, a QNode's θ also in the observable's place.
        role: what θ is for. "start": of a run, which may also be the example that the circuit was wrapped with, or what
            an earlier run `reached`. "point": of a function of one θ, which must be given, beside a circuit.
            "example": only the circuit is asked for, and zeros will do.
        reached: flat parameter values (P,).

    Raises:
        CircuitError, ParameterError: a part is missing or does not fit.
    """
    problem = _as_problem(problem_or_circuit, role)
    own_observable, own_theta = in_order(problem.observable, problem.theta0)
    observable, theta = in_order(observable, theta)  # before they are mixed: minimize(problem, theta0)
    observable = own_observable if observable is None else observable
    theta = own_theta if theta is None else theta
    if theta is None and role != "point":
        theta = _known(problem.circuit, reached)
    if theta is None and (role == "example" or _has_none(problem.circuit)):
        native: Any = problem.circuit
        circuit = wrap(native)
        flat = np.zeros(circuit.num_parameters)
        return Given(problem.name, circuit, observable, flat, flat)
    if theta is None:
        raise _missing(problem.circuit, role)
    circuit = wrap_for(problem.circuit, theta)
    found = Given(problem.name, circuit, observable, circuit.flatten(theta), theta)
    if role == "start":
        found.shaped(found.theta)  # what cannot be given back is refused before anything is spent
    return found


def _as_problem(given: Any, role: Role) -> Problem:
    return given if isinstance(given, Problem) and role != "point" else Problem(given)


def _has_none(circuit: Any) -> bool:
    """Whether this is a circuit without parameters, so that no θ need be given."""
    try:
        return wrap(circuit).num_parameters == 0
    except QngdError:
        return False


def _known(circuit: Any, reached: np.ndarray | None) -> Any:
    """The example that a circuit was wrapped with, or what was reached; None where there is neither, or where a flat
    array is nothing that the circuit could be called with."""
    if isinstance(circuit, Circuit):
        return reached if circuit.example is None else circuit.example
    return None if callable(circuit) else reached


def _missing(circuit: Any, role: Role) -> ParameterError:
    """What to say where θ is missing, and perhaps stands in the circuit's place."""
    if is_parameters(circuit):
        text = "circuit: parameter values stand in its place; "
        if role == "point":
            return ParameterError(
                f"{text}give both, as in metric_tensor(node, theta). For PennyLane's QNGOptimizer write "
                "metric_tensor_fn=lambda *args: qngd.metric_tensor(node, args)"
            )
        return ParameterError(
            f"{text}write minimize(circuit, observable, theta0), or minimize(node, theta0) for a QNode that returns an "
            "expectation value"
        )
    if role == "start":
        return ParameterError(
            "theta0 is missing: give the parameter values to start from, in the circuit's own structure"
        )
    if instead := instead_of(circuit):
        return ParameterError(f"circuit: {type(circuit).__name__} is not a circuit; {instead}")
    return ParameterError("theta is missing: give parameter values, in the circuit's own structure")
