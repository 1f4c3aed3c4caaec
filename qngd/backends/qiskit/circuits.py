"""Templates as Qiskit circuits: a parameter per open angle, a classical bit per measured qubit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
from qiskit.circuit import ParameterVector

from qngd.circuit.ops import Op, Ops
from qngd.circuit.pauli import LETTERS
from qngd.measured.template import Template

REGISTER = "meas"  # the classical register: bit j is the j-th measured qubit
_X, _Y = LETTERS.index("X"), LETTERS.index("Y")
_ROTATIONS = {
    "X": "rx", "Y": "ry", "Z": "rz",
    "XX": "rxx", "YY": "ryy", "ZZ": "rzz", "ZX": "rzx",
}  # fmt: skip


def build(template: Template, measure: bool) -> QuantumCircuit:
    """The template's gates on n qubits with R parameters; `measure` appends the measurements.

    A bit recorded midway is measured midway; without measurements it is copied to a qubit of its own.
    """
    circuit = QuantumCircuit(QuantumRegister(template.num_wires if measure else template.num_qubits, "q"))
    read = [int(qubit) for qubit in measured(template)]
    if measure:
        circuit.add_register(ClassicalRegister(len(read), REGISTER))

    def record(qubit: int, place: int) -> None:
        if measure:
            circuit.measure(qubit, read.index(place))
        else:
            circuit.cx(qubit, place)

    append(circuit, template.all_ops, ParameterVector("angle", len(template.rotations)), record)
    if measure:
        at_end = [(qubit, bit) for bit, qubit in enumerate(read) if qubit not in template.places]
        circuit.measure(*zip(*at_end, strict=True))
    return circuit


def append(
    circuit: QuantumCircuit, ops: Ops, angles: Iterable[Any], record: Callable[[int, int], None] | None = None
) -> None:
    """Append operations whose rotations have these angles; `record` writes a bit to a place."""
    left = iter(angles)
    for position, kind in enumerate(ops.kind):
        qubits = [int(qubit) for qubit in ops.qubits_of(position)]
        if kind == Op.ROTATION:
            rotate(circuit, ops.letters_of(position), qubits, next(left))
        elif kind == Op.QUARTER:
            turns = float(ops.turns[position])
            rotate(circuit, ops.letters_of(position), qubits, turns * np.pi / 2)
        elif kind == Op.RECORD:
            assert record is not None
            record(*qubits)
        else:
            getattr(circuit, Op(kind).name.lower())(*qubits)


def measured(template: Template) -> np.ndarray:
    """The qubits to measure; qubit 0 where nothing needs to be, because devices refuse to measure nothing."""
    qubits = template.measured
    return qubits if len(qubits) else np.zeros(1, dtype=np.int64)


def rotate(circuit: QuantumCircuit, letters: Sequence[int] | np.ndarray, qubits: list[int], angle: Any) -> None:
    """Append exp(−i·angle/2·P), letter i on qubits[i]."""
    label = "".join(LETTERS[letter] for letter in letters)
    if label == "XZ":
        label, qubits = "ZX", qubits[::-1]
    if label in _ROTATIONS:
        getattr(circuit, _ROTATIONS[label])(angle, *qubits)
    else:
        _rotate_as_z(circuit, letters, qubits, angle)


def _rotate_as_z(circuit: QuantumCircuit, letters: Sequence[int] | np.ndarray, qubits: list[int], angle: Any) -> None:
    """Turn every letter to Z, gather the parity on the last but one qubit, rotate about ZZ, and undo both.

    Consecutive rotations with the same letters on their first qubits (excitations have them) begin and end
    alike, and the transpiler cancels what meets. Compiled, this takes as many two-qubit gates as Qiskit's
    PauliEvolutionGate, and fewer where the device has RZZ.
    """
    turned = list(zip(letters, qubits, strict=True))
    for letter, qubit in turned:
        if letter == _X:
            circuit.h(qubit)
        elif letter == _Y:  # √X takes Y to Z
            circuit.sx(qubit)
    ladder = list(pairwise(qubits[:-1]))
    for control, target in ladder:
        circuit.cx(control, target)
    circuit.rzz(angle, *qubits[-2:])
    for control, target in reversed(ladder):
        circuit.cx(control, target)
    for letter, qubit in turned:
        if letter == _X:
            circuit.h(qubit)
        elif letter == _Y:
            circuit.sxdg(qubit)
