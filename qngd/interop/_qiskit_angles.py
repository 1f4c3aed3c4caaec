"""Qiskit's parameter expressions as angles.

Slot i is parameter i itself, so an affine expression is a combination of slots; a nonlinear one
takes a slot of its own behind them. Qiskit differentiates (`ParameterExpression.gradient`), so the
Jacobian is exact.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from qiskit.circuit import Parameter, ParameterExpression
from scipy import sparse

from qngd.angles import AffineExpressions, Angle, Expressions
from qngd.builder import CircuitBuilder
from qngd.errors import ParameterError

_IMAGINARY_TOLERANCE = 1e-12  # of the modulus: what complex powers leave of a real value


@dataclass(frozen=True)
class NonlinearExpression:
    """One nonlinear function of a few parameters.

    `columns[i]` is where parameters[i] stands in θ, `gradients[i]` the derivative by it, and
    `place` the gate whose angle it is, for messages.
    """

    expression: ParameterExpression
    parameters: tuple[Parameter, ...]
    columns: tuple[int, ...]
    gradients: tuple[ParameterExpression | complex, ...]
    place: str

    def linearize(self, theta: np.ndarray) -> tuple[float, list[float]]:
        """Its value and its derivatives by its own parameters.

        Raises:
            ParameterError: one of them is not a finite real number at this θ.
        """
        point = dict(zip(self.parameters, theta[list(self.columns)].tolist(), strict=True))
        value = self._evaluate(self.expression, point, "value")
        return value, [self._evaluate(g, point, "derivative") for g in self.gradients]

    def _evaluate(
        self,
        function: ParameterExpression | complex,
        point: dict[Parameter, float],
        kind: str,
    ) -> float:
        value = _bound(function, point)
        if abs(value.imag) <= _IMAGINARY_TOLERANCE * abs(value) and math.isfinite(value.real):
            return value.real
        where = ", ".join(f"{p.name} = {v:g}" for p, v in point.items())
        raise ParameterError(
            f"theta: the angle {self.expression} of {self.place} has no finite real {kind} "
            f"at {where}; start elsewhere or write the angle in another way"
        )


@dataclass(frozen=True)
class SymbolicExpressions:
    """The parameters themselves, then the nonlinear expressions in them."""

    num_parameters: int
    nonlinear: tuple[NonlinearExpression, ...]

    @property
    def shape(self) -> tuple[int, int]:
        return self.num_parameters + len(self.nonlinear), self.num_parameters

    @cached_property
    def pattern(self) -> sparse.csr_array:
        return self._jacobian(np.ones(sum(len(row.columns) for row in self.nonlinear)))

    def linearize(self, theta: np.ndarray) -> tuple[np.ndarray, sparse.csr_array]:
        rows = [row.linearize(theta) for row in self.nonlinear]
        values = np.array([value for value, _ in rows])
        derivatives = np.array([d for _, gradient in rows for d in gradient])
        return np.concatenate([theta, values]), self._jacobian(derivatives)

    def _jacobian(self, derivatives: np.ndarray) -> sparse.csr_array:
        indices, starts = self._layout
        data = np.concatenate([np.ones(self.num_parameters), derivatives])
        return sparse.csr_array((data, indices, starts), shape=self.shape)

    @cached_property
    def _layout(self) -> tuple[np.ndarray, np.ndarray]:
        """Column indices and row starts of the Jacobian: the identity above the nonlinear rows."""
        own = [column for row in self.nonlinear for column in row.columns]
        lengths = [1] * self.num_parameters + [len(row.columns) for row in self.nonlinear]
        indices = np.concatenate([np.arange(self.num_parameters), np.array(own, dtype=np.int64)])
        return indices, np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


class AngleReader:
    """Turns the arguments of Qiskit's gates into angles of the builder."""

    def __init__(self, builder: CircuitBuilder, parameters: Iterable[Parameter], names: Sequence[str]) -> None:
        """`names` is θ's order; it holds the names of all `parameters`, and may hold more."""
        self._builder = builder
        self._num_parameters = len(names)
        slots = {name: (i, builder.slot()) for i, name in enumerate(names)}
        self._slots = {parameter: slots[parameter.name] for parameter in parameters}
        self._nonlinear: list[NonlinearExpression] = []
        self._read: dict[ParameterExpression, Angle | float] = {}

    def read(self, value: Any) -> Angle | float:
        """The angle that a gate's argument means.

        Raises:
            ValueError: it is not a real number, or an expression without exact derivatives, or in a
                parameter that the circuit does not have; the text says which.
        """
        if type(value) is float:
            return _finite(value)
        if not isinstance(value, ParameterExpression):
            return _number(value)
        known = self._read.get(value)
        if known is None:
            known = self._read[value] = self._expression(value)
        return known

    def expressions(self) -> Expressions:
        """The values of all slots handed out so far."""
        count = self._num_parameters
        if self._nonlinear:
            return SymbolicExpressions(count, tuple(self._nonlinear))
        return AffineExpressions(sparse.eye_array(count, format="csr"), np.zeros(count))

    def _expression(self, value: ParameterExpression) -> Angle | float:
        if isinstance(value, Parameter):
            return self._slot(value)[1]
        gradients = {}
        for parameter in sorted(value.parameters, key=lambda p: self._slot(p)[0]):
            try:
                gradients[parameter] = value.gradient(parameter)
            except RuntimeError as error:  # what Qiskit raises for sign(x)
                raise ValueError(
                    f"the angle {value} has no derivative that Qiskit knows ({error}); write it without such a function"
                ) from None
        if any(isinstance(g, ParameterExpression) for g in gradients.values()):
            return self._nonlinear_slot(value, gradients)
        angle: Angle | float = _number(_bound(value, dict.fromkeys(value.parameters, 0.0)))
        for parameter, slope in gradients.items():
            angle = self._slot(parameter)[1] * _number(slope) + angle
        return angle

    def _nonlinear_slot(
        self, value: ParameterExpression, gradients: dict[Parameter, ParameterExpression | complex]
    ) -> Angle:
        gate = self._builder.gates[-1]
        self._nonlinear.append(
            NonlinearExpression(
                expression=value,
                parameters=tuple(gradients),
                columns=tuple(self._slot(p)[0] for p in gradients),
                gradients=tuple(gradients.values()),
                place=f"instruction {len(self._builder.gates) - 1} ({gate.name})",
            )
        )
        return self._builder.slot()

    def _slot(self, parameter: Parameter) -> tuple[int, Angle]:
        if parameter not in self._slots:
            raise ValueError(
                f"the parameter {parameter.name} is not a parameter of the circuit; it was hidden "
                "inside a gate's definition: hand it to the gate as one of its params"
            )
        return self._slots[parameter]


def _bound(function: ParameterExpression | complex, point: dict[Parameter, float]) -> complex:
    """The function's value at a point; nan where it has none."""
    if not isinstance(function, ParameterExpression):
        return complex(function)
    try:
        return complex(function.bind({p: point[p] for p in function.parameters}))
    except (ZeroDivisionError, RuntimeError, TypeError):  # a division by zero, nan, no number
        return complex("nan")


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError(f"the angle is {value}; angles must be finite")
    return value


def _number(value: Any) -> float:
    """A real number from whatever number Qiskit gives; raises ValueError where it is not one."""
    try:
        number = complex(value)
    except (TypeError, ValueError):
        raise ValueError(f"the angle {value!r} is not a number") from None
    if number.imag:
        raise ValueError(f"the angle has the complex part {number:g}; angles must be real")
    return _finite(number.real)
