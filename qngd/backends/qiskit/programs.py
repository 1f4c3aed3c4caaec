"""Bound Qiskit circuits for functions that run them, and what they return."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from qiskit import QuantumCircuit
from qiskit.quantum_info import SparsePauliOp

from qngd.backends.qiskit.circuits import build, measured
from qngd.backends.qiskit.compile import Compiled
from qngd.backends.qiskit.estimator import AskedStrings
from qngd.backends.results import Unreadable, check_bounds, estimates, said, standard_errors
from qngd.measured.outcomes import Means
from qngd.measured.template import Template


@dataclass(frozen=True, eq=False)
class ForCounts:
    """A circuit that measures the qubits `measured` (k,), bit j the j-th of them."""

    circuit: QuantumCircuit
    measured: np.ndarray

    @property
    def arguments(self) -> tuple[Any, ...]:
        return (self.circuit,)


@dataclass(frozen=True, eq=False)
class ForValues:
    """A circuit that does not measure, and what is asked of it."""

    circuit: QuantumCircuit
    asked: AskedStrings

    @property
    def arguments(self) -> tuple[Any, ...]:
        return self.circuit, [SparsePauliOp(label) for label in self.asked.observables]

    def read(self, answer: Any, shots: int | None, overhead: float) -> Means:
        """Expectation values from what a function returned: values, or a pair of values and standard errors.

        Raises:
            Unreadable: it is something else.
        """
        shape = (len(self.asked.observables),)
        values, errors = _pair(answer, shape[0])
        if np.ndim(values) == 0 and shape == (1,):
            values, errors = [values], None if errors is None else [errors]
        found = estimates(_real(values), shape, "expectation values")
        if errors is None:
            stderr = np.full(shape, math.sqrt(overhead / shots) if shots else 0.0)
        else:
            stderr = standard_errors(errors, shape)
            if not np.isfinite(stderr).all():
                raise Unreadable(f"the standard error {stderr[~np.isfinite(stderr)][0]}")
        check_bounds(found, stderr)
        return Means(self.asked.values(found), self.asked.errors(stderr), shots or 0)


def _pair(answer: Any, count: int) -> tuple[Any, Any]:
    """Values and, if they are there, standard errors."""
    if isinstance(answer, dict) or answer is None or isinstance(answer, str):
        raise Unreadable(
            f"{said(answer)} where {count} expectation values were expected; a function that returns counts takes the "
            "circuit alone"
        )
    is_pair = isinstance(answer, tuple) and len(answer) == 2 and (np.ndim(answer[0]) == 1 or count == 1)
    return (answer[0], answer[1]) if is_pair else (answer, None)


def _real(values: Any) -> Any:
    """Complex numbers without imaginary parts, as mitiq's are, as real ones."""
    try:
        found = np.asarray(values)
    except (TypeError, ValueError):
        return values
    return found.real if found.dtype.kind == "c" and np.abs(found.imag).max(initial=0.0) < 1e-9 else values


def for_counts(template: Template, angles: np.ndarray) -> ForCounts:
    """The circuit of a request, with its measurements."""
    return ForCounts(Compiled.of(build(template, True), None).bind(angles), measured(template))


def for_values(template: Template, angles: np.ndarray) -> ForValues:
    """The circuit of a request without measurements, and the Z strings that it asks for."""
    compiled = Compiled.of(build(template, False), None)
    return ForValues(compiled.bind(angles), AskedStrings.of(template, compiled))
