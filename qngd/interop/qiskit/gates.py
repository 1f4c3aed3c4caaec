"""Qiskit's gates under modifiers: inverse, power and control, carried out."""

from __future__ import annotations

from typing import Any

import numpy as np
from qiskit.circuit import (
    AnnotatedOperation,
    ControlModifier,
    Gate,
    InverseModifier,
    Operation,
    ParameterExpression,
    PowerModifier,
    QuantumCircuit,
)
from qiskit.circuit.library import HamiltonianGate, PauliEvolutionGate, PermutationGate, UnitaryGate
from qiskit.circuit.library.standard_gates import get_standard_gate_name_mapping
from qiskit.exceptions import QiskitError
from qiskit.quantum_info import Clifford, Operator, SparsePauliOp
from qiskit.synthesis import synth_permutation_basic

from qngd.interop.synthesis import require_unitary

_STANDARD = get_standard_gate_name_mapping()
_MAX_REPEATS = 16  # an integer power is written out up to here
_MAX_MATRIX_QUBITS = 6  # other powers are taken of the gate's matrix


def plain_gate(operation: Operation) -> Gate:
    """The gate that an operation means, the modifiers of an `AnnotatedOperation` carried out.

    Raises:
        ValueError: a modifier cannot be carried out exactly; the text says which and what to do.
    """
    if isinstance(operation, Clifford):
        return operation.to_circuit().to_gate()
    if isinstance(operation, PermutationGate):  # has no definition
        return synth_permutation_basic(operation.pattern).to_gate()
    if isinstance(operation, HamiltonianGate) and has_parameters(operation):
        return _in_eigenbasis(operation)
    if not isinstance(operation, AnnotatedOperation):
        matrix = own_matrix(operation)
        return operation if matrix is None else UnitaryGate(matrix)
    gate = plain_gate(operation.base_op)
    for modifier in operation.modifiers:
        try:
            gate = _modified(gate, modifier)
        except QiskitError as error:
            raise ValueError(
                f"Qiskit cannot carry out the {type(modifier).__name__} of {gate.name} "
                f"({one_line(error)}); write the modified gate out"
            ) from error
    return gate


def _in_eigenbasis(gate: HamiltonianGate) -> Gate:
    """exp(−i·time·H) = V·exp(−i·time·Λ)·V†, for a time with parameters: Qiskit defines it for numbers alone."""
    matrix, time = gate.params
    levels, basis = np.linalg.eigh(matrix)
    circuit = QuantumCircuit(gate.num_qubits, name=f"{gate.name}_")
    circuit.append(UnitaryGate(basis.conj().T), circuit.qubits)
    circuit.append(PauliEvolutionGate(SparsePauliOp.from_operator(Operator(np.diag(levels))), time), circuit.qubits)
    circuit.append(UnitaryGate(basis), circuit.qubits)
    return circuit.to_gate()


def own_matrix(operation: Operation) -> np.ndarray | None:
    """The matrix of a gate that has one and no definition, None for every other operation.

    Raises:
        ValueError: the matrix depends on unbound parameters, or is not unitary.
    """
    if not isinstance(operation, Gate) or _is_standard(operation) or operation.definition is not None:
        return None
    unbound = [str(value) for value in operation.params if is_open(value)]
    try:
        matrix = np.asarray(operation.to_matrix(), dtype=complex)
    except (QiskitError, NotImplementedError, TypeError, ValueError) as error:
        if unbound and hasattr(operation, "__array__"):
            raise ValueError(
                f"{operation.name} is given by its matrix alone, which cannot be computed for the unbound "
                f"{unbound[0]}; give it a definition made of standard gates"
            ) from error
        return None
    try:
        require_unitary(matrix)
    except ValueError as error:
        raise ValueError(f"{operation.name}: {error}; correct its __array__") from None
    return matrix


def is_open(value: object) -> bool:
    """Whether it is an expression in a parameter."""
    return isinstance(value, ParameterExpression) and bool(value.parameters)


def has_parameters(gate: Operation) -> bool:
    """Whether a parameter moves the gate."""
    return any(map(is_open, gate.params))


def holds_matrix(gate: Operation) -> bool:
    """Whether a matrix on several qubits is among what a gate consists of."""
    if isinstance(gate, UnitaryGate):
        return gate.num_qubits > 1
    definition = getattr(gate, "definition", None)
    return definition is not None and any(
        holds_matrix(instruction.operation) for instruction in definition.data if not instruction.is_standard_gate()
    )


def one_line(error: Exception) -> str:
    """An SDK's message on one line."""
    return " ".join(str(error).strip("'\"").split()) or type(error).__name__


def _modified(gate: Gate, modifier: Any) -> Gate:
    if isinstance(modifier, InverseModifier) or modifier is InverseModifier:  # the class: of Qiskit's DiagonalGate
        return gate.inverse()
    if isinstance(modifier, PowerModifier):
        return _power(gate, modifier.power)
    if isinstance(modifier, ControlModifier):
        return _controlled(gate, modifier.num_ctrl_qubits, modifier.ctrl_state)
    raise ValueError(f"the modifier {modifier} of {gate.name} is unknown; write the gate out")


def _is_standard(gate: Gate) -> bool:
    """Whether it is Qiskit's own gate of its name."""
    namesake = _STANDARD.get(gate.name)
    return namesake is not None and isinstance(gate, namesake.base_class)


def _controlled(gate: Gate, count: int, state: int) -> Gate:
    """The gate where `count` more qubits, in front of its own, hold the bits of `state`."""
    if gate.name in _STANDARD and not _is_standard(gate):
        gate = gate.copy(name=f"{gate.name}_")  # Qiskit's `control` goes by names
    return gate.control(count, ctrl_state=state, annotated=False)


def _power(gate: Gate, power: float) -> Gate:
    """An integer power repeats the gate; any other is the principal power of its matrix."""
    if power == int(power) and abs(power) <= _MAX_REPEATS:
        return _repeated(gate if power >= 0 else gate.inverse(), abs(int(power)))
    if has_parameters(gate) or gate.num_qubits > _MAX_MATRIX_QUBITS:
        raise ValueError(
            f"the power {power:g} of {gate.name} has no exact form, because the gate has unbound "
            f"parameters or more than {_MAX_MATRIX_QUBITS} qubits; scale its angle instead"
        )
    return UnitaryGate(Operator(gate).power(power))


def _repeated(gate: Gate, times: int) -> Gate:
    if times == 1:
        return gate
    circuit = QuantumCircuit(gate.num_qubits, name=f"{gate.name}^{times}")
    for _ in range(times):
        circuit.append(gate, circuit.qubits)
    return circuit.to_gate()
