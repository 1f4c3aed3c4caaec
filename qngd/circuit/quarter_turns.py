"""A Clifford unitary as Pauli rotations by a quarter turn, exp(−i π/4 · Q), and one Pauli string.

Conjugation by such a rotation maps a string P that anticommutes with Q to ±iQP (a transvection) and leaves
the others, so strings can be moved onto X_q and Z_q qubit after qubit, with at most four rotations each
(after Koenig & Smolin, arXiv:1406.2170). The statevector engine then needs no kernel but its rotation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qngd.circuit.frame import Frame
from qngd.circuit.pauli import PauliStrings


@dataclass(frozen=True)
class Word:
    """A Hermitian Pauli string sign·P on up to 63 qubits, masks as Python ints."""

    x: int
    z: int
    sign: int = 1

    def anticommutes(self, other: Word) -> bool:
        return ((self.x & other.z).bit_count() + (self.z & other.x).bit_count()) % 2 == 1

    def times_i(self, other: Word) -> Word:
        """i·self·other, Hermitian for anticommuting strings."""
        x, z = self.x ^ other.x, self.z ^ other.z
        phase = (
            1
            + (self.x & self.z).bit_count()
            + (other.x & other.z).bit_count()
            - (x & z).bit_count()
            + 2 * (self.z & other.x).bit_count()
        ) % 4
        return Word(x, z, self.sign * other.sign * (1 - phase))

    def turned_by(self, axis: Word) -> Word:
        """exp(−iπ/4 Q)·P·exp(+iπ/4 Q): iPQ where the two anticommute."""
        return self.times_i(axis) if self.anticommutes(axis) else self


def quarter_turns(frame: Frame) -> tuple[list[Word], Word]:
    """Axes Q_1…Q_m and a Pauli P with C = P·R_m⋯R_1 up to a phase, R_i = exp(−iπ/4 Q_i).

    `frame` holds C†X_qC and C†Z_qC. Turning all of these by R_1, R_2, … until they are ±X_q, ±Z_q makes
    C·R_1†⋯R_m† a Pauli string, whose bits are the signs that are left.
    """
    n = frame.num_qubits
    images = [_row(frame, r) for r in range(2 * n)]
    axes: list[Word] = []

    def turn(axis: Word) -> None:
        axes.append(axis)
        images[:] = [image.turned_by(axis) for image in images]

    for q in range(n):
        x_q, z_q = Word(1 << q, 0), Word(0, 1 << q)
        for axis in _onto_x(images[q], q):
            turn(axis)
        if images[n + q].anticommutes(z_q) is False and _bits(images[n + q]) != _bits(z_q):
            turn(x_q)
        if _bits(images[n + q]) != _bits(z_q):
            turn(_between(images[n + q], z_q))
    x = sum(1 << q for q in range(n) if images[n + q].sign < 0)
    z = sum(1 << q for q in range(n) if images[q].sign < 0)
    return axes, Word(x, z)


def turns_to_z(
    strings: PauliStrings,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Quarter turns after which commuting strings (up to 63 qubits) are Z strings, at most one per string.

    Returns masks x and z of the axes in order of application, then for every string the mask of the
    qubits whose parity it reads, uint64, and whether that parity is flipped.
    """
    axes: list[Word] = []
    read: list[Word] = []
    for row in range(len(strings)):
        word = Word(int(strings.x[row, 0]), int(strings.z[row, 0]), int(strings.sign[row]))
        for axis in axes:
            word = word.turned_by(axis)
        if word.x:
            # It commutes with the Z strings so far, so a qubit where it has X or Y is free to take it.
            axis = _between(word, Word(0, word.x & -word.x))
            axes.append(axis)
            word = word.turned_by(axis)
            read = [other.turned_by(axis) for other in read]
        read.append(word)
    parity = np.array([word.z for word in read], dtype=np.uint64)
    flip = np.array([word.sign < 0 for word in read], dtype=bool)
    return *as_arrays(axes), parity, flip


def _row(frame: Frame, r: int) -> Word:
    x, z = int(frame.x[r, 0]), int(frame.z[r, 0])
    return Word(x, z, 1 - (int(frame.phase[r]) - (x & z).bit_count()) % 4)


def _bits(word: Word) -> tuple[int, int]:
    return word.x, word.z


def _between(a: Word, b: Word) -> Word:
    """The axis whose quarter turn maps a to ±b, for anticommuting a and b."""
    axis = a.times_i(b)
    return Word(axis.x, axis.z)


def _onto_x(word: Word, q: int) -> list[Word]:
    """Axes on qubits q and above that turn `word` (on qubits q and above) into ±X_q."""
    x_q = Word(1 << q, 0)
    if _bits(word) == _bits(x_q):
        return []
    if word.anticommutes(x_q):
        return [_between(word, x_q)]
    # A string that anticommutes with both: Z_q, and unless the word has X at q, a letter elsewhere.
    if word.x >> q & 1:
        helper = Word(0, 1 << q)
    elif word.x:
        helper = Word(0, 1 << q | word.x & -word.x)
    else:
        helper = Word(word.z & -word.z, 1 << q)
    return [_between(word, helper), _between(helper, x_q)]


def as_arrays(axes: list[Word]) -> tuple[np.ndarray, np.ndarray]:
    """Masks x, z (uint64) of the axes, whose signs are all +1."""
    x = np.array([axis.x for axis in axes], dtype=np.uint64)
    z = np.array([axis.z for axis in axes], dtype=np.uint64)
    return x, z
