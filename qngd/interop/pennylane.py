"""Reading PennyLane: QNodes, quantum functions and quantum scripts, and operators as observables.

Qubit i is the i-th wire of the QNode's device; without such wires, the i-th wire in the order that
`default.qubit` itself gives them (0, 1, 2, … if the circuit uses just these, else by first use). Since
PennyLane's first wire is the most significant bit of its state vectors and qubit 0 the least, the two
have their bits in opposite order.

θ holds the trainable arguments, flattened one after the other in C order. The function is run on
traced numbers (never on the device), so its arithmetic is differentiated exactly, however it is written.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pennylane as qml
from pennylane.exceptions import NonDifferentiableError
from pennylane.measurements import ExpectationMP
from scipy import sparse

from qngd.angles import AffineExpressions, Expressions
from qngd.builder import CircuitBuilder
from qngd.circuit import Circuit, finish
from qngd.errors import CircuitError, QngdError
from qngd.interop._pennylane_gates import GateReader
from qngd.interop._pennylane_observable import observable_of
from qngd.interop._pennylane_slots import Reading, Slots, TracedExpressions, check_same_circuit
from qngd.interop._pennylane_tape import Source, Tape, source_of
from qngd.interop._pennylane_trace import tracing
from qngd.observable import Observable

_SHIFTS = (0.4, 1e-3)  # how far from the example the circuit is looked at a second time; radians
_SAME_VALUE = 1e-9
_STEPS = (1e-6, 1e-8)  # of the check of the derivatives, whose forward differences are this accurate:
_SLOPE_TOLERANCE = 1e-4


def read_circuit(native: Any, *example_args: Any) -> Circuit:
    """The neutral form of a QNode, quantum function or `QuantumScript`.

    Args:
        native: the circuit; it is traced, not executed.
        *example_args: for a QNode or quantum function, arguments that it can be called with. Floating-point
            numbers and arrays are parameters unless marked `requires_grad=False`; all else is fixed. A
            script brings its own values; its trainable parameters are the circuit's.

    Raises:
        CircuitError: a gate is not unitary, has no exact decomposition or has broadcasted parameters; the
            circuit's structure depends on parameter values; or the arguments do not fit the function.
        ParameterError: an argument is not made of finite numbers.
        ObservableError: the QNode returns an expectation value whose observable cannot be read.
    """
    reader = _Reader(source_of(native, example_args))
    theta = reader.source.arguments.theta
    first, tape = reader.read(theta)
    second, other = _read_elsewhere(reader, theta)
    check_same_circuit(first, second)
    arguments = reader.source.arguments
    return finish(
        first.builder,
        first.angle_map(_expressions(reader, theta, first, other, second)),
        arguments.parameters,
        arguments,
        observable=_own_observable(tape, reader.wires),
        device=reader.source.device,
        device_shots=reader.source.device_shots,
        example=arguments.as_given,
        wires=tuple(reader.wires),
    )


def read_observable(native: Any, circuit: Circuit) -> Observable:
    """A PennyLane operator, or what else `observable_of` takes, as an observable on the circuit's qubits.

    Its wires are those of the circuit; for a circuit that came from another SDK they are qubit numbers.

    Raises:
        ObservableError: it is no Hermitian operator on these wires, or has no Pauli decomposition.
    """
    labels = circuit.wires if circuit.wires is not None else range(circuit.num_qubits)
    return observable_of(native, {label: qubit for qubit, label in enumerate(labels)})


class _Reader:
    """Runs the source at any θ; the wires are those of the first run."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.wires: dict[Any, int] = {}
        self._as_tensors = False

    def read(self, theta: np.ndarray) -> tuple[Reading, Tape]:
        with _without_collection():
            if not self._as_tensors:
                try:
                    return self._read(theta)
                except NonDifferentiableError:
                    # numbers met a tensor with requires_grad=False; slower, but tensors may
                    self._as_tensors = True
            return self._read(theta)

    def _read(self, theta: np.ndarray) -> tuple[Reading, Tape]:
        values = [leaf.traced_value(theta) for leaf in self.source.arguments.trainable]
        if self._as_tensors:
            values = [qml.numpy.array(value, requires_grad=True) for value in values]
        # what is not finite is reported where it matters
        with np.errstate(all="ignore"), tracing(values) as (boxes, trace):
            tape = self.source.tape(boxes)
            if not self.wires:
                self.wires = self._number_wires(tape)
            builder = CircuitBuilder(len(self.wires))
            reading = Reading(builder, Slots(builder), trace)
            gates = GateReader(builder, reading.slots, self.wires)
            for position, (op, data) in enumerate(tape.operations):
                gates.read(op, position, data)
        return reading, tape

    def _number_wires(self, tape: Tape) -> dict[Any, int]:
        own = getattr(self.source.device, "wires", None)
        labels = tuple(own) if own else tape.wires
        if not labels:
            raise CircuitError("the circuit has no wires; it must hold at least one operation")
        return {label: qubit for qubit, label in enumerate(labels)}


@contextmanager
def _without_collection() -> Iterator[None]:
    """Reading makes many objects that all live on; looking for garbage among them takes most of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _read_elsewhere(reader: _Reader, theta: np.ndarray) -> tuple[Reading, np.ndarray]:
    """The circuit at another, generic θ: what is fixed must be the same there, what vanished at the example
    by chance does not vanish again."""
    for shift in _SHIFTS:
        other = theta + shift * _direction(len(theta))
        try:
            reading, _ = reader.read(other)
        except QngdError:
            raise
        except (TypeError, ValueError, ArithmeticError) as error:
            raise CircuitError(
                f"the quantum function fails at parameter values near the example ({error}); mark "
                "arguments that cannot vary freely requires_grad=False"
            ) from error
        if reading.slots.are_finite:
            break
    return reading, other


def _direction(count: int) -> np.ndarray:
    return np.random.default_rng(20210).uniform(0.5, 1.0, count)


def _expressions(reader: _Reader, theta: np.ndarray, first: Reading, other: np.ndarray, second: Reading) -> Expressions:
    count = len(theta)
    values, jacobian = first.slots.values(), first.slots.jacobian(count)
    if first.slots.are_linear and not first.trace.branched:
        offset = values - jacobian @ theta
        # below the rounding of this subtraction an offset is nothing that the user wrote
        rounding = 8 * np.finfo(float).eps * (np.abs(values) + abs(jacobian) @ np.abs(theta))
        offset[np.abs(offset) <= rounding] = 0.0
        first.slots.check_equal(jacobian @ other + offset, second.slots.values(), _SAME_VALUE)
        return AffineExpressions(jacobian, offset)
    pattern = abs(jacobian) + first.slots.reachable(count, frozen_only=True)
    if second.slots.are_finite:
        elsewhere = second.slots.jacobian(count)
        _check_derivatives(reader, other, second, elsewhere)
        pattern = pattern + abs(elsewhere)
    if first.trace.branched:  # a branch not taken at either point may bring in other parameters
        pattern = pattern + first.slots.reachable(count)
    return TracedExpressions(lambda t: reader.read(t)[0], first, sparse.csr_array(pattern))


def _check_derivatives(reader: _Reader, theta: np.ndarray, here: Reading, jacobian: sparse.csr_array) -> None:
    """Along one direction the values change as the derivatives say: nothing went around the trace."""
    direction = _direction(len(theta))
    values, slope = here.slots.values(), jacobian @ direction
    smooth = here.slots.are_smooth
    for step in _STEPS:
        moved, _ = reader.read(theta + step * direction)
        check_same_circuit(here, moved)
        change = np.where(smooth, (moved.slots.values() - values) / step, slope)
        if (np.abs(change - slope) <= _SLOPE_TOLERANCE * (1.0 + np.abs(slope))).all():
            return
    here.slots.check_equal(slope, change, _SLOPE_TOLERANCE)


def _own_observable(tape: Tape, wires: dict[Any, int]) -> Observable | None:
    """What a QNode measures, if that is one expectation value."""
    if len(tape.measurements) != 1 or not isinstance(tape.measurements[0], ExpectationMP):
        return None
    operator = tape.measurements[0].obs
    return None if operator is None else observable_of(operator, wires)
