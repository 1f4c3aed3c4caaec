"""What a start is asked for: a circuit, and a θ that only says in which structure the start is wanted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from qngd.circuit.circuit import Circuit
from qngd.errors import ParameterError
from qngd.interop import in_order, missing_theta, wrap, wrap_for
from qngd.problem import Problem


@dataclass(frozen=True, eq=False)
class Example:
    """A circuit, the observable that came with it, and a θ in the user's structure, whose parameters do not matter."""

    circuit: Circuit
    observable: Any
    like: Any

    def shaped(self, flat: np.ndarray) -> Any:
        """Flat parameter values (P,) in the user's structure."""
        return self.circuit.unflatten(flat, self.like)


def read_example(circuit: Any, observable: Any = None, theta: Any = None) -> Example:
    """From a `Problem` or anything `wrap` takes.

    Raises:
        CircuitError, ParameterError: a part does not fit, is missing where it says what shapes there are, or there is
            no parameter.
    """
    problem = circuit if isinstance(circuit, Problem) else Problem(circuit)
    own_observable, own_theta = in_order(problem.observable, problem.theta0)
    observable, theta = in_order(observable, theta)
    observable = own_observable if observable is None else observable
    theta = own_theta if theta is None else theta
    native = problem.circuit
    if theta is None and isinstance(native, Circuit):
        theta = native.example
    if theta is None and callable(native) and not isinstance(native, Circuit):
        raise missing_theta(native)
    wrapped = wrap(native) if theta is None else wrap_for(native, theta)
    if wrapped.num_parameters == 0:
        raise ParameterError("circuit: it has no parameters, so there is no start to choose")
    like = np.zeros(wrapped.num_parameters) if theta is None else theta
    wrapped.flatten(like)  # what does not fit is refused before anything is spent
    return Example(wrapped, observable, like)
