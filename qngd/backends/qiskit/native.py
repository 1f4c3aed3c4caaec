"""Circuits that are written for a device already (ISA circuits, in Qiskit's words): which are, and running them as
they are.

A device runs such a circuit's own gates on its own qubits, barriers, delays and folded gates included. Every angle that
a parameter moves becomes a parameter of its own, so that shift rules can set it, and the measurement is appended.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
from qiskit import QuantumCircuit, QuantumRegister
from qiskit.circuit import CircuitInstruction, Parameter, ParameterExpression, ParameterVector
from qiskit.transpiler import Target

from qngd.backends.qiskit.circuits import append
from qngd.circuit.builder import OpsBuilder
from qngd.circuit.ops import Ops, select
from qngd.interop.qiskit.gates import is_open
from qngd.interop.qiskit.reader import SAME_AS

Compile = Callable[[QuantumCircuit, tuple[int, ...]], QuantumCircuit]
_NOT_GATES = frozenset({"delay", "measure", "reset"})


def is_written_for(target: Target, circuit: QuantumCircuit) -> bool:
    """Whether the device has every gate of the circuit, on its qubits."""
    if target.num_qubits is not None and circuit.num_qubits > target.num_qubits:
        return False
    for instruction in circuit.data:
        if instruction.name == "barrier":
            continue
        if instruction.name == "delay" and any(map(is_open, instruction.params)):
            return False
        qubits = _places(circuit, instruction)
        if not _is_of(target, instruction) or not target.instruction_supported(instruction.name, qubits):
            return False
    return True


def _is_of(target: Target, instruction: CircuitInstruction) -> bool:
    """Whether it is what the target means by its name: users name gates of their own as they like."""
    name = instruction.name
    if name not in target.operation_names:
        return False
    if instruction.is_standard_gate() or name in _NOT_GATES:
        return True
    return isinstance(instruction.operation, type(target.operation_from_name(name)))


def with_open_angles(
    circuit: QuantumCircuit, ops: Ops, numbers: Sequence[int], num_qubits: int, compiled: Compile
) -> QuantumCircuit:
    """The circuit without its measurements, on `num_qubits` qubits, with a parameter for every rotation that it leaves
    open: element k of a vector is the angle of rotation k.

    Only a gate that turns several rotations by one angle, as CRX does, is written out as these.

    Args:
        circuit: a circuit that is written for a device.
        ops: all the operations that it was read as.
        numbers: the circuit's qubits that the qubits of `ops` are.
        num_qubits: of the device.
        compiled: compiles a circuit onto physical qubits.
    """
    rotations = _rotations_of_instructions(ops, len(circuit.data))
    angles = ParameterVector("angle", len(ops.rotations))
    opened = QuantumCircuit(QuantumRegister(num_qubits, "q"))
    for index, (instruction, rows) in enumerate(zip(circuit.data, rotations, strict=True)):
        if instruction.name == "measure":
            continue
        operation, places = instruction.operation, _places(circuit, instruction)
        if any(is_open(value) for value in operation.params):
            own = [angles[k] for k in rows]
            values = _gate_angles(instruction, own)
            if values is None:
                alone = select(ops, ops.gate == index)
                on = [places.index(numbers[qubit]) for qubit in alone.qubits]
                opened.compose(compiled(_written_out(alone, own, on, len(places)), places), inplace=True)
                continue
            operation = operation.to_mutable()
            operation.params = values
        opened.append(operation, places, copy=False)
    return opened


def _written_out(ops: Ops, angles: Sequence[Parameter], qubits: Sequence[int], num_qubits: int) -> QuantumCircuit:
    """The operations of one gate, put on these of its qubits, as a circuit of its own."""
    circuit = QuantumCircuit(num_qubits)
    append(circuit, replace(ops, qubits=np.array(qubits, dtype=np.int64)), angles)
    return circuit


def _places(circuit: QuantumCircuit, instruction: CircuitInstruction) -> tuple[int, ...]:
    return tuple(circuit.find_bit(qubit).index for qubit in instruction.qubits)


def _rotations_of_instructions(ops: Ops, num_instructions: int) -> list[np.ndarray]:
    """The numbers of the rotations that each of the circuit's instructions was read as."""
    owner = ops.gate[ops.rotations]
    ends = np.searchsorted(owner, np.arange(num_instructions + 1))
    return [np.arange(first, last) for first, last in pairwise(ends)]


def _gate_angles(instruction: CircuitInstruction, angles: list[Parameter]) -> list[ParameterExpression | float] | None:
    """The gate's own angles, from those of the rotations that it was read as; None where they do not follow."""
    if not instruction.is_standard_gate():
        return None
    name = instruction.name
    places = range(len(instruction.qubits))
    builder = OpsBuilder(len(places))
    values = [builder.slot() if is_open(value) else float(value) for value in instruction.params]
    if not builder.gate(SAME_AS.get(name, name), places, values):
        return None
    emitted = builder.angles
    if len(emitted) != len(angles):
        return None
    found: list[ParameterExpression | float | None] = [None if is_open(v) else float(v) for v in instruction.params]
    slots = [i for i, value in enumerate(found) if value is None]
    for angle, parameter in zip(emitted, angles, strict=True):
        if not angle.terms:
            continue
        (slot, factor), *others = angle.terms
        if others or found[slots[slot]] is not None:
            return None
        plain = factor == 1 and angle.constant == 0
        found[slots[slot]] = parameter if plain else (parameter - angle.constant) / factor
    return None if any(value is None for value in found) else found
