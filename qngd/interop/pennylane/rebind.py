"""PennyLane operations with other parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pennylane as qml
from pennylane.exceptions import QuantumFunctionError
from pennylane.operation import Operator
from pennylane.ops.op_math import ChangeOpBasis, Evolution

from qngd.interop.pennylane.matrices import FAILURES


def rebuilt(op: Operator, data: Sequence[Any]) -> Operator | None:
    """The operation with these parameters; None where PennyLane cannot rebuild it."""
    # two that PennyLane's own function gets wrong
    if isinstance(op, Evolution):
        return Evolution(op.base, *data)
    if isinstance(op, ChangeOpBasis):
        values = iter(data)
        own = [(factor, [next(values) for _ in factor.data]) for factor in op.operands]
        factors = [rebuilt(factor, part) for factor, part in reversed(own)]
        return None if any(factor is None for factor in factors) else ChangeOpBasis(*factors)
    bind = qml.ops.functions.bind_new_parameters
    try:
        same = qml.equal(bind(op, op.data), op, check_interface=False, check_trainability=False)
        return bind(op, data) if same else None
    except (*FAILURES, QuantumFunctionError):
        return None  # refused by the caller, by name
