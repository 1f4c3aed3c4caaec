"""Reading PennyLane: QNodes, quantum functions and quantum scripts, and operators as observables.

Qubit i is the i-th wire of the QNode's device; without such wires, the i-th wire in the order that
`default.qubit` itself gives them (0, 1, 2, … if the circuit uses just these, else by first use). Since
PennyLane's first wire is the most significant bit of its state vectors and qubit 0 the least, the two
have their bits in opposite order.

θ holds the trainable arguments, flattened one after the other in C order. The function is run on
traced numbers (never on the device), so its arithmetic is differentiated exactly, however it is written: by
autograd, or where it calls torch's or JAX's functions, by those.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import autoray
import numpy as np
import pennylane as qml
from pennylane.exceptions import DeviceError, NonDifferentiableError, QuantumFunctionError, WireError
from pennylane.measurements import ExpectationMP, MeasurementProcess, ProbabilityMP
from pennylane.operation import Operator
from pennylane.tape import QuantumScript
from scipy import sparse

from qngd._system.memory import without_collection
from qngd.circuit.angles import AffineExpressions, Expressions
from qngd.circuit.builder import OpsBuilder
from qngd.circuit.circuit import Circuit, finish
from qngd.circuit.observable import Observable
from qngd.circuit.outputs import Outputs
from qngd.errors import CircuitError, ObservableError, QngdError
from qngd.estimates.estimate import Estimate, MetricTensor
from qngd.interop.pennylane.arguments import Arguments, Leaf, is_whole
from qngd.interop.pennylane.functions import NO_OPERATIONS, FunctionSource
from qngd.interop.pennylane.gates import GateReader
from qngd.interop.pennylane.observable import observable_of
from qngd.interop.pennylane.outputs import outputs_of
from qngd.interop.pennylane.scripts import ScriptSource
from qngd.interop.pennylane.signatures import argument_names, uncompiled
from qngd.interop.pennylane.site import Batched
from qngd.interop.pennylane.slots import Slots, TracedExpressions, TracedRun, check_same_circuit
from qngd.interop.pennylane.tape import Source, Tape, Way
from qngd.interop.pennylane.trace import tracing

# PennyLane's optimizers take our answers for arrays, as in QNGOptimizer's metric_tensor_fn.
for _answer in (Estimate, MetricTensor):
    autoray.register_backend(_answer, "numpy")

_SHIFTS = (0.4, 1e-3)  # how far from the example the circuit is looked at a second time; radians
_SAME_VALUE = 1e-9
_SAME_COEFFICIENT = 1e-12
_LOSS = "minimize(qngd.Objective(node, None, lambda outputs: …), theta0=…)"
_STEPS = (1e-6, 1e-8)  # of the check of the derivatives, whose forward differences are this accurate:
_SLOPE_TOLERANCE = 1e-4
_SINGLE_STEPS, _SINGLE_SLOPE_TOLERANCE = (1e-2, 1e-3), 3e-2  # the same where arrays are in single precision

# What a user's function may raise when it is run on what it was not written for, and then is run another way.
FAILED = (
    ArithmeticError, AttributeError, LookupError, NotImplementedError, RuntimeError, TypeError, ValueError,
    DeviceError, QuantumFunctionError, WireError,
)  # fmt: skip


def read_circuit(native: Any, *example_args: Any) -> Circuit:
    """The neutral form of a QNode, quantum function or `QuantumScript`.

    Args:
        native: the circuit, or a function that hands its arguments on to a QNode and returns its result as it is; it
            is traced, not executed.
        *example_args: for a QNode or quantum function, arguments that it can be called with. Where one is marked
            `requires_grad=True`, all that are marked are parameters, as in PennyLane; where none is, all real numbers
            and arrays (NumPy's, JAX's and torch's) that are not marked False. Whole numbers are parameters too, unless
            the function cannot take another number in their place (a number of layers, a wire) or no gate depends on
            them. All else is fixed, and named in the circuit's text. A script brings its own values; its trainable
            parameters are the circuit's.

    Raises:
        CircuitError: a gate is not unitary, has no exact decomposition or has broadcasted parameters; the
            circuit's structure depends on parameter values; or the arguments do not fit the function.
        ParameterError: an argument is not made of finite numbers, or is marked but cannot be a parameter.
        ObservableError: the QNode returns an expectation value whose observable cannot be read.
    """
    return read_source(_source_of(native, example_args))


def _source_of(native: Any, example: tuple[Any, ...]) -> Source:
    """The source behind a QNode, quantum function or script.

    Raises:
        CircuitError: it is none of these, or example arguments are missing or superfluous.
    """
    if isinstance(native, QuantumScript):
        if example:
            raise CircuitError(
                "a QuantumScript carries its own parameter values; call wrap(script) without example arguments"
            )
        return ScriptSource(native)
    if isinstance(native, (Operator, MeasurementProcess)) or not callable(native):
        raise CircuitError(
            f"{type(native).__name__} is not a circuit; give a QNode, a quantum function or a QuantumScript"
        )
    native = uncompiled(native)
    return FunctionSource(native, Arguments(example, argument_names(native, example)), Way())


def read_source(source: Source) -> Circuit:
    """The neutral form of a source; whole numbers among its arguments are parameters where they can be.

    Raises:
        CircuitError, ParameterError, ObservableError: as for `read_circuit`.
    """
    groups = source.arguments.whole_numbers
    if not groups:
        return _read_some_way(source, frozenset())
    try:
        circuit = _read_some_way(source, frozenset())
    except FAILED:
        fixed = frozenset(groups)
        for group in groups if len(groups) > 1 else ():
            fixed = fixed - _movable(source, group, fixed)
    else:
        fixed = frozenset(group for group in groups if not _matters(circuit, groups[group]))
        if not fixed:
            return circuit
    return _read_some_way(source, fixed)


def _movable(source: Source, group: str, fixed: frozenset[str]) -> frozenset[str]:
    """The group if its whole numbers can be parameters beside those that are not `fixed`, else nothing."""
    try:
        circuit = _read_some_way(source, fixed - {group})
    except FAILED:
        return frozenset()
    return frozenset({group} if _matters(circuit, source.arguments.whole_numbers[group]) else ())


def _matters(circuit: Circuit, leaves: Sequence[Leaf]) -> bool:
    """Whether a gate depends on one of these leaves, or they stand in a list with numbers that are not whole."""
    arguments = circuit.structure
    assert isinstance(arguments, Arguments)
    groups = {leaf.group for leaf in leaves}
    used = set(np.unique(circuit.angle_map.pattern.indices).tolist())
    beside = [leaf for leaf in arguments.trainable if leaf.group in groups]
    return any(not is_whole(leaf.value) or not used.isdisjoint(range(leaf.start, leaf.stop)) for leaf in beside)


def _read_some_way(source: Source, fixed_groups: frozenset[str]) -> Circuit:
    """The circuit, run on autograd's boxes if that will do, else on the user's own kind of arrays.

    Where every way fails, the error is that of the user's own kind of arrays.
    """
    first = source.variant(source.way, fixed_groups)
    ways = first.ways()
    errors: list[Exception] = []
    for way in ways:
        try:
            return _read(first.variant(way, fixed_groups))
        except FAILED as error:
            errors.append(error)
    raise errors[0 if source.arguments.framework is None else -1]


def _read(source: Source) -> Circuit:
    reader = _TapeReader(source)
    theta = source.arguments.theta
    first, tape = reader.read(theta)
    second, other, elsewhere = _read_elsewhere(reader, theta)
    check_same_circuit(first, second)
    observable = None if source.changes_results else _own_observable(tape, reader.wires)
    _check_same_observable(observable, tape, elsewhere, reader.wires)
    measurements = tape.measurements, elsewhere.measurements
    outputs = None if source.changes_results else partial(_outputs, observable, *measurements, reader.wires)
    return finish(
        first.builder,
        first.angle_map(_expressions(reader, theta, first, other, second)),
        source.arguments.parameters,
        source.arguments,
        observable=observable,
        no_observable="" if observable is not None else _changed(tape) if source.changes_results else _measured(tape),
        device=source.device,
        device_shots=source.device_shots,
        example=source.arguments.as_given,
        wires=tuple(reader.wires),
        fixed=source.arguments.fixed,
        read_outputs=outputs,
    )


def read_observable(native: Any, circuit: Circuit) -> Observable:
    """A PennyLane operator, or what else `observable_of` takes, as an observable on the circuit's qubits.

    Its wires are those of the circuit; for a circuit that came from another SDK they are qubit numbers.

    Raises:
        ObservableError: it is no Hermitian operator on these wires, or has no Pauli decomposition.
    """
    labels = circuit.wires if circuit.wires is not None else range(circuit.num_qubits)
    return observable_of(native, {label: qubit for qubit, label in enumerate(labels)})


class _TapeReader:
    """Runs the source at any θ; the wires are those of the first run."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.wires: dict[Any, int] = {}
        self._as_tensors = False

    def read(self, theta: np.ndarray) -> tuple[TracedRun, Tape]:
        with without_collection():
            if not self._as_tensors:
                try:
                    return self._read(theta)
                except NonDifferentiableError:
                    # numbers met a tensor with requires_grad=False; slower, but tensors may
                    self._as_tensors = True
            return self._read(theta)

    def _read(self, theta: np.ndarray) -> tuple[TracedRun, Tape]:
        values = [leaf.traced_value(theta) for leaf in self.source.arguments.trainable]
        if self._as_tensors:
            values = [qml.numpy.array(value, requires_grad=True) for value in values]
        # what is not finite is reported where it matters
        with np.errstate(all="ignore"), tracing(values) as (boxes, trace):
            tape = self.source.tape(boxes)
            if not self.wires:
                self.wires = self._number_wires(tape)
            builder = OpsBuilder(len(self.wires))
            reading = TracedRun(builder, Slots(builder), trace)
            gates = GateReader(builder, reading.slots, self.wires)
            try:
                for position, (op, data) in enumerate(tape.operations):
                    gates.read(op, position, data)
            except Batched as error:
                raise CircuitError(f"{error}: {self.source.arguments.one_of_a_batch(error.size)}") from None
        return reading, tape

    def _number_wires(self, tape: Tape) -> dict[Any, int]:
        own = getattr(self.source.device, "wires", None)
        labels = tuple(own) if own else tape.wires
        if not labels:
            raise CircuitError(NO_OPERATIONS)
        return {label: qubit for qubit, label in enumerate(labels)}


def _read_elsewhere(reader: _TapeReader, theta: np.ndarray) -> tuple[TracedRun, np.ndarray, Tape]:
    """The circuit at another, generic θ: what is fixed must be the same there, what vanished at the example
    by chance does not vanish again."""
    for shift in _SHIFTS:
        other = theta + shift * _direction(len(theta))
        try:
            reading, tape = reader.read(other)
        except QngdError:
            raise
        except (TypeError, ValueError, ArithmeticError) as error:
            raise CircuitError(
                f"the quantum function fails at parameter values near the example ({error}); mark "
                "arguments that cannot vary freely requires_grad=False"
            ) from error
        if reading.slots.are_finite:
            break
    return reading, other, tape


def _direction(count: int) -> np.ndarray:
    return np.random.default_rng(20210).uniform(0.5, 1.0, count)


def _expressions(
    reader: _TapeReader, theta: np.ndarray, first: TracedRun, other: np.ndarray, second: TracedRun
) -> Expressions:
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


def _check_derivatives(reader: _TapeReader, theta: np.ndarray, here: TracedRun, jacobian: sparse.csr_array) -> None:
    """Along one direction the values change as the derivatives say: nothing went around the trace."""
    direction = _direction(len(theta))
    values, slope = here.slots.values(), jacobian @ direction
    smooth = here.slots.are_smooth
    double = reader.source.way.double
    tolerance = _SLOPE_TOLERANCE if double else _SINGLE_SLOPE_TOLERANCE
    for step in _STEPS if double else _SINGLE_STEPS:
        moved, _ = reader.read(theta + step * direction)
        check_same_circuit(here, moved)
        change = np.where(smooth, (moved.slots.values() - values) / step, slope)
        if (np.abs(change - slope) <= tolerance * (1.0 + np.abs(slope))).all():
            return
    here.slots.check_equal(slope, change, tolerance)


def _own_observable(tape: Tape, wires: dict[Any, int]) -> Observable | None:
    """What a QNode measures, if that is one expectation value."""
    if len(tape.measurements) != 1 or not isinstance(tape.measurements[0], ExpectationMP):
        return None
    operator = tape.measurements[0].obs
    return None if operator is None else observable_of(operator, wires)


def _outputs(
    observable: Observable | None,
    here: Sequence[MeasurementProcess],
    elsewhere: Sequence[MeasurementProcess],
    wires: dict[Any, int],
) -> Outputs | None:
    """All that a circuit returns, where that can be read and is the same at other parameters."""
    if observable is not None:
        return Outputs((observable,), is_list=False)
    try:
        ours, theirs = (outputs_of(measurements, wires) for measurements in (here, elsewhere))
        if ours is None or theirs is None or len(ours) != len(theirs):
            return None
        for one, other in zip(ours.observables, theirs.observables, strict=True):
            _check_equal(one, other)
    except QngdError:
        return None
    return ours


def _check_same_observable(observable: Observable | None, here: Tape, elsewhere: Tape, wires: dict[Any, int]) -> None:
    """Raises ObservableError where the coefficients follow the parameters, or random numbers, unseen by the trace."""
    if observable is None or here.measurements[0].obs is elsewhere.measurements[0].obs:
        return
    _check_equal(observable, _own_observable(elsewhere, wires))


def _check_equal(observable: Observable, other: Observable | None) -> None:
    terms, others = (
        {} if o is None else dict(zip(o.strings.labels(), o.coefficients, strict=True)) for o in (observable, other)
    )
    if any(abs(terms.get(word, 0.0) - others.get(word, 0.0)) > _SAME_COEFFICIENT for word in {**terms, **others}):
        raise ObservableError(
            "the observable changes with the parameters (or with random numbers); mark the arguments that its "
            "coefficients are made of requires_grad=False, since only gates may have parameters"
        )


def _changed(tape: Tape) -> str:
    """The same where transforms of the QNode compute with what is measured."""
    shown = ", ".join(map(str, tape.measurements[:3])) + (", …" if len(tape.measurements) > 3 else "")
    return (
        f"transforms of the QNode compute with the values that it measures ({shown}), as those that split an "
        "observable do; give the QNode without them, or the operator that is meant, as in observable=qml.Z(0) + 0.5 * "
        "qml.X(1)"
    )


def _measured(tape: Tape) -> str:
    """Why a circuit brings no observable of its own, and what to write; empty where it measures nothing."""
    if not tape.measurements:
        return ""
    kinds = [isinstance(m, ExpectationMP) for m in tape.measurements]
    shown = ", ".join(map(str, tape.measurements[:3])) + (", …" if len(kinds) > 3 else "")
    if all(kinds):
        sum_of = " + ".join(str(m.obs) for m in tape.measurements[:2]) + (" + …" if len(kinds) > 2 else "")
        return (
            f"it returns {len(kinds)} expectation values ({shown}); give one operator: observable={sum_of}, say; or a "
            f"loss of all of them: {_LOSS}"
        )
    is_readable = all(isinstance(m, (ExpectationMP, ProbabilityMP)) for m in tape.measurements)
    return (
        f"it returns {shown}, which is no single expectation value; give the operator whose expectation value is "
        "meant, as in observable=qml.Z(0) + 0.5 * qml.X(1)" + (f"; or a loss of them: {_LOSS}" if is_readable else "")
    )
