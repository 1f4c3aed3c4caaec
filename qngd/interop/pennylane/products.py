"""The matrices of PennyLane's operators, where these hold products.

PennyLane multiplies the factors of a product that share wires, group by group, and puts the groups side by side; but
it takes the rows to count the wires in the order of the factors. Of Z(0)·H(1)·CZ(0, 2) the groups are on (0, 2) and
(1), the rows on (0, 1, 2), and the matrix is another operator's (seen in 0.45). An identity on all wires in front makes
one group of all factors.
"""

from __future__ import annotations

import copy
from typing import Any

import pennylane as qml
from pennylane.operation import Operator
from pennylane.ops.op_math import Prod, Sum, SymbolicOp


def matrix_of(op: Operator) -> Any:
    """The matrix on `op.wires`, the first of which is the most significant bit; sparse where there is no dense one."""
    same = _in_one_group(op)
    return same.matrix() if op.has_matrix else same.sparse_matrix()


def _in_one_group(op: Any) -> Any:
    """The same operator on the same wires, without products whose groups stand in another order than their wires."""
    match op:
        case Operator() if op.pauli_rep is not None:  # what its matrix is made of
            return op
        case Prod():
            factors = list(map(_in_one_group, op.operands))
            by_group = qml.wires.Wires.all_wires([factor.wires for group in op.overlapping_ops for factor in group])
            return Prod(*factors) if by_group == op.wires else Prod(qml.Identity(op.wires), *factors)
        case Sum():
            return Sum(*map(_in_one_group, op.operands))
        case SymbolicOp():
            made = copy.copy(op)
            made.hyperparameters["base"] = _in_one_group(op.base)
            return made
    return op
