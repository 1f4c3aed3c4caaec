"""A small circuit on a few of many qubits, and the templates of the large one brought back to the few."""

import numpy as np

from qngd.circuit.ops import Ops
from qngd.circuit.pauli import PauliStrings
from tests.strategies import Program


def renamed(ops, names):
    return Ops(ops.kind, ops.start, np.asarray(names)[ops.qubits], ops.letters, ops.turns, ops.gate)


def widened(program, num_qubits, names):
    gates = tuple(
        type(use)(use.name, tuple(int(names[q]) for q in use.qubits), use.rows, use.offsets) for use in program.gates
    )
    return Program(num_qubits, gates, program.theta, program.bend)


def narrowed(template, num_qubits, names):
    """A template on many qubits as one on the few that it may act on; the first word of the masks is kept."""
    back = np.full(num_qubits, -1)
    back[names] = np.arange(len(names))
    letters = template.strings.letters()[:, names]
    bare = PauliStrings.from_bits((letters == 1) | (letters == 2), letters >= 2)
    masks = [sum(int(word) << 64 * w for w, word in enumerate(row)) for row in template.basis.z]
    assert all(mask & ~sum(1 << int(q) for q in names) == 0 for mask in masks)
    z = [[sum((mask >> int(q) & 1) << i for i, q in enumerate(names))] for mask in masks]
    basis = type(template.basis)(renamed(template.basis.ops, back), np.array(z, dtype=np.uint64), template.basis.sign)
    strings = PauliStrings(len(names), bare.x, bare.z, template.strings.sign)
    ops = renamed(template.ops, back)
    return type(template)(len(names), ops, template.rotations, strings, basis, template.pairs)
