"""The Clifford gates after which commuting strings are Z strings, so that one circuit measures them all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import stim

from qngd.circuit.builder import OpsBuilder
from qngd.circuit.frame import push
from qngd.circuit.ops import Ops
from qngd.circuit.pauli import PauliStrings

# the Clifford gates of stim's Gaussian elimination, by our names
_STIM_GATES = {"H": "h", "S": "s", "S_DAG": "sdg", "CX": "cx", "X": "x", "Y": "y", "Z": "z"}


@dataclass(frozen=True, eq=False)
class Basis:
    """Clifford gates after which m commuting strings are Z strings: string i reads as `sign[i]` times the parity
    of the qubits in `z[i]`, masks (m, W)."""

    ops: Ops
    z: np.ndarray
    sign: np.ndarray


def diagonalize(strings: PauliStrings) -> Basis:
    """The basis in which commuting strings are Z strings.

    Strings that share no qubits are treated apart. Where all agree letter by letter, single-qubit gates do;
    elsewhere stim's Gaussian elimination finds the gates.
    """
    builder = OpsBuilder(strings.num_qubits)
    letters = strings.letters()
    for rows, qubits in _components(letters != 0):
        part = letters[np.ix_(rows, qubits)]
        common = part.max(axis=0)
        if np.all((part == 0) | (part == common)):
            for q, letter in zip(qubits, common, strict=True):
                _rotate_to_z(builder, int(q), int(letter))
        else:
            _eliminate(builder, part, qubits)
    ops = builder.ops()
    _, frame = push(ops, strings.num_qubits)
    turned = frame.carry(strings)
    if turned.x.any():
        raise ValueError("the strings to diagonalize do not commute")
    return Basis(ops, turned.z, turned.sign)


def num_two_qubit_gates(basis: Basis) -> int:
    """Gates on two qubits that a basis takes."""
    return int((np.diff(basis.ops.start) > 1).sum())


def _rotate_to_z(builder: OpsBuilder, qubit: int, letter: int) -> None:
    if letter == 2:  # Y: S† makes it X
        builder.clifford("sdg", qubit)
    if letter in (1, 2):
        builder.clifford("h", qubit)


def _components(acts: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Sets of strings (rows) connected through shared qubits (columns), with their qubits."""
    left = np.flatnonzero(acts.any(axis=1))
    found = []
    while len(left):
        rows, qubits = left[:1], acts[left[0]]
        while True:
            touching = left[(acts[left] & qubits).any(axis=1)]
            grown = acts[touching].any(axis=0)
            if len(touching) == len(rows) and np.array_equal(grown, qubits):
                break
            rows, qubits = touching, grown
        found.append((rows, np.flatnonzero(qubits)))
        left = np.setdiff1d(left, rows)
    return found


def _eliminate(builder: OpsBuilder, letters: np.ndarray, qubits: np.ndarray) -> None:
    """Emit gates that turn the commuting strings with these letter codes on `qubits` into Z strings."""
    stabilizers = [stim.PauliString("".join("_XYZ"[c] for c in row)) for row in _independent(letters)]
    tableau = stim.Tableau.from_stabilizers(stabilizers, allow_underconstrained=True)
    # the inverse of the tableau's circuit, not a circuit of the inverse: it ends in more gates that can go
    gates = [
        (_STIM_GATES[instruction.name], tuple(int(qubits[t.value]) for t in targets))
        for instruction in tableau.to_circuit("elimination").inverse()
        for targets in instruction.target_groups()
    ]
    for name, wires in _without_last_permutations(gates):
        builder.clifford(name, *wires)


def _without_last_permutations(gates: list[tuple[str, tuple[int, ...]]]) -> list[tuple[str, tuple[int, ...]]]:
    """Without the gates at the end that turn Z strings into Z strings: all but H do."""
    kept: list[tuple[str, tuple[int, ...]]] = []
    busy: set[int] = set()
    for name, wires in reversed(gates):
        if name == "h" or not busy.isdisjoint(wires):
            kept.append((name, wires))
            busy.update(wires)
    return kept[::-1]


def _independent(letters: np.ndarray) -> np.ndarray:
    """Independent strings (letter codes) that generate the same group up to signs: the reduced row echelon form over
    two values, Z bits before X bits, which takes far fewer gates than the strings as given."""
    z, x = letters >= 2, (letters == 1) | (letters == 2)
    rows = np.hstack([z, x])
    rank = 0
    for column in range(rows.shape[1]):
        below = np.flatnonzero(rows[rank:, column])
        if len(below):
            rows[[rank, rank + below[0]]] = rows[[rank + below[0], rank]]
            others = rows[:, column].copy()
            others[rank] = False
            rows[others] ^= rows[rank]
            rank += 1
    z, x = np.hsplit(rows[:rank], 2)
    return np.where(x, np.where(z, 2, 1), np.where(z, 3, 0))
