"""Where PennyLane circuits come from: a QNode, a quantum function or a script, as operations in order."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pennylane as qml
from pennylane.measurements import MeasurementProcess
from pennylane.operation import Operator, StatePrepBase
from pennylane.ops.op_math import Adjoint, Controlled, Exp, Pow, SProd, Sum
from pennylane.tape import QuantumScript
from pennylane.workflow import construct_batch

from qngd.errors import CircuitError, QngdError
from qngd.interop._pennylane_arguments import Arguments
from qngd.interop._pennylane_trace import plain

# Their numbers make up the gate or the state rather than turn it, and are never parameters of a script.
_MATERIAL = (
    StatePrepBase, qml.QubitUnitary, qml.BlockEncode, qml.Hermitian, qml.QuantumMonteCarlo, qml.QDrift,
    Sum, SProd,
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Tape:
    """Operations in order, each with the data to use for it, and the measurements."""

    script: QuantumScript
    data: Sequence[Sequence[Any] | None]  # None: its own

    @property
    def operations(self) -> Iterator[tuple[Operator, Sequence[Any] | None]]:
        return zip(self.script.operations, self.data, strict=True)

    @property
    def measurements(self) -> list[MeasurementProcess]:
        return self.script.measurements

    @property
    def wires(self) -> tuple[Any, ...]:
        """The wires in the order that `default.qubit` gives them where its own are not set.

        Wires that are acted on come first, then those only measured, then work wires, each in order of
        first use; but if they are 0, 1, 2, … in this sense, they come in the order of the numbers.
        """
        acted = [op.wires for op in self.script.operations]
        measured = [m.wires for m in self.script.measurements]
        work = [getattr(op, "work_wires", None) or () for op in self.script.operations]
        order = _labels([*acted, *measured, *work])
        ends = [0, len(_labels(acted)), len(_labels([*acted, *measured])), len(order)]
        counted = all(set(order[start:end]) == set(range(start, end)) for start, end in itertools.pairwise(ends))
        return tuple(range(len(order))) if counted else tuple(order)


class Source(Protocol):
    """Something that is a circuit once its parameters have values."""

    arguments: Arguments
    device: Any
    device_shots: int | None

    def tape(self, values: Sequence[Any]) -> Tape:
        """The circuit at these values (or boxes) of the arguments' trainable leaves."""


class FunctionSource:
    """A quantum function, or the one inside a QNode (with the transforms the user put on it)."""

    def __init__(self, native: Callable[..., Any], example: tuple[Any, ...]) -> None:
        self._native = native
        self.device = native.device if isinstance(native, qml.QNode) else None
        self.device_shots = native.shots.total_shots if isinstance(native, qml.QNode) else None
        function = native.func if isinstance(native, qml.QNode) else native
        self.arguments = Arguments(example, _argument_names(function, example))

    def tape(self, values: Sequence[Any]) -> Tape:
        arguments = self.arguments.bind(values)
        try:
            script = self._script(arguments)
        except QngdError:
            raise
        except (TypeError, ValueError, AttributeError, NotImplementedError) as error:
            # a mistake of the user's own, or a value that is not allowed, raises here as well
            self._script(self.arguments.bind([plain(value) for value in values]))
            raise CircuitError(
                f"the quantum function works on numbers but its arithmetic cannot be followed "
                f"({type(error).__name__}: {error}); write it with pennylane.numpy or qml.math, and keep "
                "the parameters in their arrays (no float(), no int())"
            ) from error
        return Tape(script, [None] * len(script.operations))

    def _script(self, arguments: Sequence[Any]) -> QuantumScript:
        if not isinstance(self._native, qml.QNode):
            return qml.tape.make_qscript(self._native)(*arguments)
        batch, _ = construct_batch(self._native, level="user")(*arguments)
        if len(batch) != 1:
            raise CircuitError(
                f"the QNode's transforms make {len(batch)} circuits of it; wrap it without the transform that splits it"
            )
        return batch[0]


class ScriptSource:
    """A `QuantumScript`: its trainable parameters that are real numbers or arrays are the arguments."""

    device: Any = None
    device_shots: int | None = None

    def __init__(self, script: QuantumScript) -> None:
        self._script = script
        trainable = set(script.trainable_params)
        chosen = [
            info
            for i, info in enumerate(script.par_info)
            if i in trainable and info["op_idx"] < len(script.operations) and _may_vary(info["op"], info["p_idx"])
        ]
        self._places = [(info["op_idx"], info["p_idx"]) for info in chosen]
        # one argument, the list of parameters, like `script.get_parameters()`
        values = [_as_float(info["op"].data[info["p_idx"]]) for info in chosen]
        names = [_script_name(info) for info in chosen]
        self.arguments = Arguments((values,), ("t",), tuple(names))

    def tape(self, values: Sequence[Any]) -> Tape:
        data: list[Sequence[Any] | None] = [None] * len(self._script.operations)
        for (position, place), value in zip(self._places, values, strict=True):
            own = data[position] or self._script.operations[position].data
            data[position] = (*own[:place], value, *own[place + 1 :])
        return Tape(self._script, data)


def source_of(native: Any, example: tuple[Any, ...]) -> Source:
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
    return FunctionSource(native, example)


def _argument_names(function: Callable[..., Any], example: tuple[Any, ...]) -> tuple[str, ...]:
    signature = inspect.signature(function)
    try:
        bound = signature.bind(*example)
    except TypeError as error:
        name = getattr(function, "__name__", "the function")
        raise CircuitError(
            f"the arguments do not fit {name}{signature} ({error}); call wrap(node, *example_args) with "
            "arguments that it can be called with"
        ) from None
    names: list[str] = []
    for name, value in bound.arguments.items():
        if signature.parameters[name].kind is inspect.Parameter.VAR_POSITIONAL:
            names.extend(f"{name}[{i}]" for i in range(len(value)))
        else:
            names.append(name)
    return tuple(names)


def _script_name(info: dict[str, Any]) -> str:
    name = f"{info['op'].name}#{info['op_idx']}"
    return name if len(info["op"].data) == 1 else f"{name}[{info['p_idx']}]"


def _may_vary(op: Operator, place: int) -> bool:
    """Whether this parameter is a real number or array that turns the gate."""
    value = np.asarray(qml.math.unwrap([op.data[place]])[0])
    while isinstance(op, (Controlled, Adjoint, Pow)):
        op = op.base
    if isinstance(op, _MATERIAL):
        return False
    if (isinstance(op, qml.QSVT) and place == 0) or (isinstance(op, Exp) and place > 0):
        return False  # a matrix, and an operator's coefficients
    return value.dtype.kind == "f" or (value.dtype.kind == "i" and value.ndim == 0)


def _as_float(value: Any) -> Any:
    return value * 1.0 if np.ndim(value) else float(value)


def _labels(groups: Iterable[Iterable[Any]]) -> list[Any]:
    """The labels in all groups, in order of first use."""
    return list(dict.fromkeys(label for group in groups for label in group))
