"""A `QuantumScript` as a source of tapes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pennylane as qml
from pennylane.operation import Operator, StatePrepBase
from pennylane.ops.op_math import Adjoint, Controlled, Exp, Pow, SProd, Sum
from pennylane.tape import QuantumScript

from qngd.interop.pennylane.arguments import Arguments
from qngd.interop.pennylane.frameworks import numbers_of
from qngd.interop.pennylane.tape import Tape, Way

# Their numbers make up the gate or the state rather than turn it, and are never parameters of a script.
_MATERIAL = (
    StatePrepBase, qml.QubitUnitary, qml.BlockEncode, qml.Hermitian, qml.QuantumMonteCarlo, qml.QDrift,
    Sum, SProd,
)  # fmt: skip


class ScriptSource:
    """A `QuantumScript`: its trainable parameters that are real numbers or arrays are the arguments."""

    device: Any = None
    device_shots: int | None = None
    way = Way()
    changes_results = False

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

    def ways(self) -> list[Way]:
        return [self.way]

    def variant(self, way: Way, fixed_groups: frozenset[str]) -> ScriptSource:
        return self

    def tape(self, values: Sequence[Any]) -> Tape:
        data: list[Sequence[Any] | None] = [None] * len(self._script.operations)
        for (position, place), value in zip(self._places, values, strict=True):
            own = data[position] or self._script.operations[position].data
            data[position] = (*own[:place], value, *own[place + 1 :])
        return Tape(self._script, data)


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
    numbers = np.asarray(numbers_of(value), dtype=float)
    return numbers if numbers.ndim else float(numbers)
