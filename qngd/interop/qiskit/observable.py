"""Qiskit's operators as observables."""

from __future__ import annotations

from typing import Any

import numpy as np
from qiskit.circuit import ParameterExpression
from qiskit.quantum_info import Operator, Pauli, PauliList, SparseObservable, SparsePauliOp
from qiskit.quantum_info.operators.base_operator import BaseOperator

from qngd.circuit.circuit import Circuit
from qngd.circuit.observable import Observable
from qngd.circuit.pauli import PauliStrings, pack_bits
from qngd.circuit.pauli_sum import PauliSum, hermitian_part, of_matrix, require_few
from qngd.errors import ObservableError


def read_observable(native: Any, circuit: Circuit) -> Observable:
    """An observable from a `SparsePauliOp`, a `SparseObservable`, a `Pauli` or an `Operator`.

    Raises:
        ObservableError: it is of another kind, has parameters, is not Hermitian, or is a sum of too many Pauli
            strings.
    """
    total = _sum_of(native)
    return Observable.from_strings(total.strings, total.coefficients)


def _sum_of(native: Any) -> PauliSum:
    match native:
        case SparsePauliOp():
            return PauliSum.of_strings(_strings(native), _coefficients(native))
        case SparseObservable():
            return _sum_of(_expanded(native))
        case Pauli():
            return _sum_of(SparsePauliOp(native))
        case PauliList() if len(native) == 1:
            return _sum_of(SparsePauliOp(native))
        case Operator():
            return _of_operator(native)
        case PauliList():
            advice = "if their sum is meant, give SparsePauliOp(paulis)"
        case BaseOperator() if hasattr(native, "to_operator"):
            advice = "give .to_operator(), or a SparsePauliOp"
        case _ if hasattr(native, "to_operator"):
            advice = "if the projector on the state is meant, give .to_operator()"
        case _:
            advice = "make it a SparsePauliOp (from_list, from_operator)"
    raise ObservableError(f"observable: a {type(native).__name__} is not read as one; {advice}")


def num_projectors(term: SparseObservable.Term) -> int:
    """How many letters of a term are projectors, each of which is a sum of two Pauli letters."""
    return sum(label not in "XYZ" for label in term.bit_labels())


def _expanded(native: SparseObservable) -> SparsePauliOp:
    """Projectors as sums of Pauli strings: |0⟩⟨0| = (1 + Z)/2 and so on."""
    require_few(sum(2.0 ** num_projectors(term) for term in native))
    return SparsePauliOp.from_sparse_observable(native)


def _of_operator(native: Operator) -> PauliSum:
    """From a matrix, whose index has qubit 0 as its least significant bit."""
    dimensions = set(native.input_dims()) | set(native.output_dims())
    if dimensions - {2} or native.num_qubits is None:
        raise ObservableError(
            f"observable: the Operator acts on systems of dimensions {sorted(dimensions)}, not on qubits"
        )
    matrix = hermitian_part(native.data, "the Operator")
    return of_matrix(matrix, range(native.num_qubits)[::-1], native.num_qubits)


def _strings(operator: SparsePauliOp) -> PauliStrings:
    x, z = pack_bits(operator.paulis.x), pack_bits(operator.paulis.z)
    return PauliStrings(operator.num_qubits, x, z, np.ones(len(operator), dtype=np.int8))


def _coefficients(operator: SparsePauliOp) -> np.ndarray:
    """The coefficients as numbers; those in Qiskit's expressions must have no parameters left."""
    for k, value in enumerate(operator.coeffs):
        if isinstance(value, ParameterExpression) and value.parameters:
            raise ObservableError(
                f"observable: the coefficient of {operator.paulis[k]} is {value}, with unbound "
                "parameters; bind them with assign_parameters"
            )
    return operator.coeffs.astype(complex)
