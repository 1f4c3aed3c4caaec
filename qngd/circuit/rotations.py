"""A circuit for people: its rotations and layers, with their angles as text."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from qngd._system.brief import brief_fields
from qngd.circuit.pauli import LETTERS
from qngd.errors import counted

if TYPE_CHECKING:  # which has them
    from qngd.circuit.circuit import Circuit


@dataclass(frozen=True)
class Rotation:
    """One Pauli rotation exp(−i φ/2 · P) of a circuit.

    `gate` is the user's gate, number `position` in the circuit counting from 0, on `gate_qubits`. `pauli` and
    `qubits` say how it acts (letter i on qubits[i]); `generator` is the label
    with the Clifford gates pushed to the end; `angle` is φ as text; `moves` whether a parameter moves it.
    """

    index: int
    gate: str
    position: int
    gate_qubits: tuple[int, ...]
    pauli: str
    qubits: tuple[int, ...]
    angle: str
    generator: str
    moves: bool
    layer: int

    def __str__(self) -> str:
        gate = f"{self.gate} #{self.position} on {', '.join(map(str, self.gate_qubits))}"
        turn = f"R_{self.pauli}({self.angle})"
        if self.qubits != self.gate_qubits:
            turn += f" on {', '.join(map(str, self.qubits))}"
        return f"{gate}: {turn}"


@dataclass(frozen=True)
class Layer:
    """Commuting rotations with parameters, measured by one circuit: a block of the metric."""

    index: int
    rotations: tuple[Rotation, ...]
    parameters: tuple[str, ...]

    __repr__ = brief_fields

    def __len__(self) -> int:
        return len(self.rotations)

    def __str__(self) -> str:
        names = self.parameters
        rotations = counted(len(self), "rotation")
        parameters = counted(len(names), "parameter")
        shown = names if len(names) <= 6 else (*names[:3], "…", names[-1])
        head = f"layer {self.index}: {rotations}, {parameters} ({', '.join(shown)})"
        return "\n".join([head, *(f"  {rotation}" for rotation in self.rotations)])

    def row(self) -> tuple[str, str, str, str]:
        """Its number, how many rotations it has, their gates and its parameters, for a table."""
        gates = Counter(rotation.gate for rotation in self.rotations)
        shown = self.parameters if len(self.parameters) <= 6 else (*self.parameters[:3], "…", self.parameters[-1])
        kinds = ", ".join(f"{count} {gate}" for gate, count in gates.most_common(4))
        more = f" and {len(gates) - 4} more kinds" if len(gates) > 4 else ""
        return str(self.index), str(len(self)), kinds + more, ", ".join(shown)


def rotations_of(circuit: Circuit) -> tuple[Rotation, ...]:
    """See `Circuit.rotations`."""
    labels, angles, ops = circuit.generators.labels(), _angle_texts(circuit), circuit.ops
    made = []
    for k, position in enumerate(ops.rotations):
        gate_index = int(ops.gate[position])
        gate = circuit.gates[gate_index]
        common = Rotation(
            index=k,
            gate=gate.name,
            position=gate_index,
            gate_qubits=gate.qubits,
            pauli="".join(LETTERS[code] for code in ops.letters_of(position)),
            qubits=tuple(int(q) for q in ops.qubits_of(position)),
            angle="",
            generator=("-" if circuit.generators.sign[k] < 0 else "") + labels[k],
            moves=bool(circuit.moving[k]),
            layer=int(circuit.level[k]),
        )
        made += [replace(common, angle=text) for text in angles[k]]
    return tuple(made)


def layers_of(circuit: Circuit) -> tuple[Layer, ...]:
    """The layers in running order."""
    members: list[list[Rotation]] = [[] for _ in range(circuit.num_layers)]
    for rotation in circuit.rotations:
        if rotation.moves:
            members[rotation.layer].append(rotation)
    pattern = circuit.angle_map.pattern
    made = []
    for index, rotations in enumerate(members):
        columns = sorted({int(c) for r in rotations for c in _row(pattern, r.index)[0]})
        made.append(Layer(index, tuple(rotations), tuple(circuit.parameters[c] for c in columns)))
    return tuple(made)


def _angle_texts(circuit: Circuit) -> list[list[str]]:
    """The angle of every rotation, one text for each parameter it is a sum over."""
    angle_map = circuit.angle_map
    rows = [_row(angle_map.pattern, k) for k in range(len(circuit.generators))]
    names = [[circuit.parameters[c] for c in columns] for columns, _ in rows]
    if not angle_map.is_affine:
        fixed = angle_map.constant
        return [[f"f({', '.join(own)})" if own else f"{fixed[k]:.6g}"] for k, own in enumerate(names)]
    constants = angle_map(np.zeros(circuit.num_parameters))
    return [_affine_texts(own, row[1], float(at)) for own, row, at in zip(names, rows, constants, strict=True)]


def _affine_texts(names: list[str], factors: np.ndarray, constant: float) -> list[str]:
    texts = [_scaled(factor, name) for name, factor in zip(names, factors, strict=True)]
    if not texts:
        return [f"{constant:.6g}"]
    if abs(constant) > 1e-15:
        texts[0] += f" {'-' if constant < 0 else '+'} {abs(constant):.6g}"
    return texts


def _scaled(factor: float, name: str) -> str:
    if abs(factor) == 1:
        return name if factor > 0 else f"-{name}"
    return f"{factor:.6g}*{name}"


def _row(matrix: Any, k: int) -> tuple[np.ndarray, np.ndarray]:
    span = slice(matrix.indptr[k], matrix.indptr[k + 1])
    return matrix.indices[span], matrix.data[span]
