"""A cone's strings on few qubits: those of the space that they take |0…0⟩ through."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qngd.circuit.pauli import PauliStrings, num_words
from qngd.exact.kernels.layout import Signed
from qngd.exact.kernels.spans import coordinates


class Few(NamedTuple):
    """Strings on the qubits of their span, and the numbers (r,) of those whose x masks are its vectors, ascending."""

    strings: PauliStrings
    basis: np.ndarray


class Cone(NamedTuple):
    """The rotations (m,) of one cone in running order, and the strings that are watched at its end, with weights."""

    rotations: np.ndarray
    watched: PauliStrings
    weights: np.ndarray

    def on_few(self, generators: PauliStrings) -> Few:
        """Its strings, the rotations' first, of a circuit with these generators (K)."""
        return on_few(PauliStrings.joined([generators[self.rotations], self.watched]))


class FewCone(NamedTuple):
    """A cone on few qubits: the numbers of its rotations (m,) in the circuit, in running order; the strings of these,
    then those that are watched at its end; and the weights of the latter."""

    rotations: np.ndarray
    strings: PauliStrings
    weights: np.ndarray

    @property
    def num_qubits(self) -> int:
        """Of a state."""
        return self.strings.num_qubits


def on_few(strings: PauliStrings) -> Few:
    """Strings on the qubits of their span."""
    count = len(strings)
    basis = np.zeros(count, dtype=np.int64)
    out = Signed(np.empty_like(strings.x), np.empty_like(strings.z), np.empty_like(strings.sign))
    rank = coordinates(Signed(strings.x, strings.z, strings.sign), basis, out)
    x, z = (np.ascontiguousarray(part[:, : num_words(rank)]) for part in (out.x, out.z))
    return Few(PauliStrings(rank, x, z, out.sign), basis[:rank])
