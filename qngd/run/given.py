"""What the user gave, as one: a problem or its parts, the wrapped circuit, and the start as plain numbers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from qngd.circuit.circuit import Circuit
from qngd.circuit.observable import Observable
from qngd.cvar import CVaR
from qngd.errors import ParameterError
from qngd.interop import as_target, in_order, is_parameters, wrap_for
from qngd.problem import Problem


@dataclass(frozen=True, eq=False)
class Given:
    """A problem with all its parts: `theta` (P,) is its start, flat, and `like` the same in the user's structure."""

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

    def shaped(self, flat: np.ndarray) -> Any:
        """Flat parameter values (P,) in the user's structure."""
        return self.circuit.unflatten(flat, self.like)


def read_given(
    problem_or_circuit: Any, observable: Any = None, theta0: Any = None, reached: np.ndarray | None = None
) -> Given:
    """The parts of a `Problem`, or of anything `wrap` takes; `observable` and `theta0` override them. A start that is
    given nowhere is the example that the circuit was wrapped with, or what an earlier run `reached`, flat.

    Raises:
        CircuitError, ParameterError: a part is missing or does not fit.
    """
    given = problem_or_circuit
    problem = given if isinstance(given, Problem) else Problem(given)
    own_observable, own_start = in_order(problem.observable, problem.theta0)
    observable, start = in_order(observable, theta0)  # before they are mixed: minimize(problem, theta0)
    observable = own_observable if observable is None else observable
    start = own_start if start is None else start
    is_wrapped = isinstance(problem.circuit, Circuit)
    if start is None and is_wrapped:
        start = problem.circuit.example
    if start is None and (is_wrapped or not callable(problem.circuit)):
        start = reached
    if start is None and is_parameters(problem.circuit):
        raise ParameterError(
            "circuit: parameter values stand in its place; write minimize(circuit, observable, theta0), or "
            "minimize(node, theta0) for a QNode that returns an expectation value"
        )
    if start is None:
        raise ParameterError(
            "theta0 is missing: give the parameter values to start from, in the circuit's own structure"
        )
    circuit = wrap_for(problem.circuit, start)
    flat = circuit.flatten(start)
    found = Given(problem.name, circuit, observable, flat, start)
    found.shaped(flat)  # what cannot be given back is refused before anything is spent
    return found
