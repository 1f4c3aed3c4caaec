"""One circuit of those that a tape stands for where its gates have batches of parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pennylane as qml
from pennylane.operation import Operator
from pennylane.ops.functions import bind_new_parameters
from pennylane.tape import QuantumScript


def size_of(script: QuantumScript) -> int | None:
    """Of how many circuits it is a batch; None of one alone, and where its gates disagree, which is said of the gate
    when it is read."""
    try:
        size = script.batch_size
    except ValueError:
        return None
    return None if size is None else int(size)


def one_of(script: QuantumScript, number: int) -> QuantumScript:
    """The circuit of this number."""
    return script.copy(operations=[one for op in script.operations for one in _one_of(op, number)])


@qml.transform
def one_of_batch(script: QuantumScript, number: int) -> tuple[tuple[QuantumScript], Callable[[Any], Any]]:
    """As a transform of QNodes."""
    return (one_of(script, number),), lambda results: results[0]


def _one_of(op: Operator, number: int) -> list[Operator]:
    if op.batch_size is None:
        return [op]
    if not hasattr(op, "ndim_params"):  # products and exponentials of operators
        return [one for part in op.decomposition() for one in _one_of(part, number)]
    pairs = zip(op.data, op.ndim_params, strict=True)
    values = [value if qml.math.ndim(value) == ndim else value[number] for value, ndim in pairs]
    return [bind_new_parameters(op, values)]
