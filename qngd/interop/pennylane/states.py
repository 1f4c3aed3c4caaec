"""PennyLane's state preparations from amplitudes, as Pauli rotations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pennylane as qml
import scipy.sparse
from pennylane.operation import Operator, StatePrepBase

from qngd.interop.pennylane.site import Site
from qngd.interop.pennylane.trace import node_of
from qngd.interop.states import state_turns
from qngd.interop.synthesis import Turn

# They turn |0…0⟩ into a state and say nothing about other inputs.
PREPARATIONS = (
    StatePrepBase,
    qml.MottonenStatePreparation,
    qml.MultiplexerStatePreparation,
    qml.QROMStatePreparation,
    qml.SumOfSlatersPrep,
    qml.Superposition,
    qml.MPSPrep,
)
_FROM_AMPLITUDES = (qml.StatePrep, qml.MottonenStatePreparation, qml.SumOfSlatersPrep)


def prepared(op: Operator, site: Site) -> list[Turn] | None:
    """The rotations that take |0…0⟩ to fixed amplitudes, dense or sparse; None for what is given in another way."""
    if not isinstance(op, _FROM_AMPLITUDES) or op.batch_size is not None or node_of(op.data[0]) is not None:
        return None
    amplitudes = np.asarray(densely(op).data[0], dtype=complex)
    if isinstance(op, qml.SumOfSlatersPrep):
        given, amplitudes = amplitudes, np.zeros(2 ** len(op.wires), dtype=complex)
        amplitudes[list(op.hyperparameters["indices"])] = given
    try:
        return state_turns(amplitudes, range(len(op.wires)))
    except ValueError as error:
        site.refuse(str(error))


def densely(op: Any) -> Any:
    """The preparation itself, or the same one with dense amplitudes in place of sparse ones."""
    if not isinstance(op, qml.StatePrep) or not scipy.sparse.issparse(op.data[0]):
        return op
    return qml.StatePrep(op.data[0].toarray().reshape(-1), wires=op.wires)
