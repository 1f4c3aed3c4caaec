"""Circuits for the entries of the full metric between different layers.

For rotations i and k, with k in a later layer, U the circuit up to that layer and P_i inserted at its place, all
three ways estimate

    g_ik = ¼(C_ik − ⟨P_i⟩⟨P_k⟩),   C_ik = Re⟨0|U†·P_k·U_{>i} P_i U_{≤i}|0⟩.

"hadamard": P_i controlled by an ancilla in |+⟩; C_ik = ⟨X_ancilla P_k⟩, for all k of a layer at once.
"mid-circuit": P_i measured where it stands, with outcome m; C_ik is the mean of m times the outcome of P_k, again
for all k of a layer at once (arXiv:1901.00015).
"overlap": 4g_ik = −½ Σ_{s,t=±1} s·t·|⟨ψ(φ)|ψ(φ + π/2(s·e_i + t·e_k))⟩|², four circuits a pair, each twice as deep,
by the frequency of all zeros (arXiv:2008.06517).
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from qngd.circuit.builder import OpsBuilder
from qngd.circuit.circuit import Circuit
from qngd.circuit.ops import Op, Ops, concatenate, select
from qngd.circuit.pauli import LETTERS, PauliStrings
from qngd.errors import check_word
from qngd.measured.cutting import light_cone, prefix
from qngd.measured.template import Template, template_of

CrossMethod = Literal["hadamard", "mid-circuit", "overlap"]
CROSS_METHODS = ("hadamard", "mid-circuit", "overlap")


def check_cross(cross: str) -> None:
    """Raise SettingError unless `cross` names a method."""
    check_word(cross, CROSS_METHODS, "cross")


def correlation_template(circuit: Circuit, rotation: int, layer: int, method: CrossMethod) -> Template:
    """The strings whose expectation values are C_ik for i = `rotation` and all k of `layer` in circuit order.

    One qubit more than the circuit: the ancilla, or the place of the bit measured midway.
    """
    n = circuit.num_qubits
    keep, rotations, strings = prefix(circuit, layer, also=rotation)
    position = circuit.ops.rotations[rotation]
    before = keep & (np.arange(len(keep)) < position)
    first, second = select(circuit.ops, before), select(circuit.ops, keep & ~before)
    letters = [LETTERS[code] for code in circuit.ops.letters_of(position)]
    qubits = [int(q) for q in circuit.ops.qubits_of(position)]
    if method == "hadamard":
        first = concatenate(_plus(n), first)
        inserted = _controlled(letters, qubits, n)
    else:
        inserted = _recorded(letters, qubits, n)
    reads = _with_last_qubit(strings, "X" if method == "hadamard" else "Z")
    ops = concatenate(concatenate(first, inserted), second)
    return template_of(circuit, ops, rotations, reads)


def overlap_template(circuit: Circuit, layer: int) -> Template:
    """The circuit through `layer`, then its inverse; the frequency of all zeros is an overlap.

    Its angles are those of the first half in order, then those of the second half negated and in reverse.
    """
    kept = circuit.level <= layer
    everywhere = np.zeros(circuit.num_qubits, dtype=bool)
    ops = select(circuit.ops, light_cone(circuit.ops, kept, kept, everywhere))
    n = circuit.num_qubits
    acted = np.zeros(n, dtype=bool)
    acted[ops.qubits] = True
    reads = np.eye(n, dtype=bool)[acted]
    zeros = PauliStrings.from_bits(np.zeros_like(reads), reads)
    rotations = np.flatnonzero(kept)
    both = np.concatenate([rotations, rotations[::-1]])
    return template_of(circuit, concatenate(ops, inverse(ops)), both, zeros)


def inverse(ops: Ops) -> Ops:
    """The operations undone, in reverse; the rotations expect negated angles in reverse order."""
    order = np.arange(len(ops))[::-1]
    lengths = np.diff(ops.start)[order]
    places = [np.arange(ops.start[k], ops.start[k + 1]) for k in order]
    wires = np.concatenate(places) if places else np.zeros(0, dtype=np.int64)
    swapped = {int(Op.S): int(Op.SDG), int(Op.SDG): int(Op.S)}
    turns = ops.turns[order]
    return Ops(
        kind=np.array([swapped.get(int(k), int(k)) for k in ops.kind[order]], dtype=ops.kind.dtype),
        start=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        qubits=ops.qubits[wires],
        letters=ops.letters[wires],
        turns=np.where(turns > 0, 4 - turns, 0).astype(ops.turns.dtype),
        gate=ops.gate[order],
    )


def _plus(ancilla: int) -> Ops:
    builder = OpsBuilder(ancilla + 1)
    builder.clifford("h", ancilla)
    return builder.ops()


def _controlled(letters: list[str], qubits: list[int], ancilla: int) -> Ops:
    """The Pauli string controlled by the ancilla, letter by letter."""
    builder = OpsBuilder(ancilla + 1)
    for letter, qubit in zip(letters, qubits, strict=True):
        builder.gate({"X": "cx", "Y": "cy", "Z": "cz"}[letter], (ancilla, qubit))
    return builder.ops()


def _recorded(letters: list[str], qubits: list[int], place: int) -> Ops:
    """Measure the Pauli string: gather its parity on its last qubit, record it, and undo the gathering."""
    builder = OpsBuilder(place + 1)
    for letter, qubit in zip(letters, qubits, strict=True):
        if letter == "Y":
            builder.clifford("sdg", qubit)
        if letter != "Z":
            builder.clifford("h", qubit)
    for qubit in qubits[:-1]:
        builder.clifford("cx", qubit, qubits[-1])
    gather = builder.ops()
    record = OpsBuilder(place + 1)
    record.record(qubits[-1], place)
    return concatenate(concatenate(gather, record.ops()), inverse(gather))


def _with_last_qubit(strings: PauliStrings, letter: str) -> PauliStrings:
    """The strings with one more qubit, on which they all have this letter."""
    codes = strings.letters()
    ones, zeros = np.ones((len(codes), 1), dtype=bool), np.zeros((len(codes), 1), dtype=bool)
    x = np.hstack([(codes == 1) | (codes == 2), ones if letter == "X" else zeros])
    z = np.hstack([codes >= 2, ones if letter == "Z" else zeros])
    wide = PauliStrings.from_bits(x, z)
    return PauliStrings(wide.num_qubits, wide.x, wide.z, strings.sign)
