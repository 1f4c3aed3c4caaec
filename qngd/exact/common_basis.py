"""Observables whose strings all commute, in a basis in which they are diagonal: functions of them, exactly.

A few quarter turns V take the pulled strings to Z strings. Then H is the diagonal of energies E(b), one for each basis
index b, all of them by one Walsh–Hadamard transform of the coefficients, and f(H) = V†·diag(f(E))·V for any function f:
its value and gradient cost what those of an observable of one string cost.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from qngd.circuit.active import beside_zeros
from qngd.circuit.observable import Observable
from qngd.circuit.quarter_turns import turns_to_z
from qngd.exact.kernels.layout import Rotations
from qngd.exact.statevector import apply_rotations, transform, weights_of

_HALF_QUARTER = np.pi / 4


@dataclass(frozen=True, eq=False)
class CommonBasis:
    """The quarter turns V, masks x and z in order of application, and the `energies` (N,) of the basis states behind
    them."""

    x: np.ndarray
    z: np.ndarray
    energies: np.ndarray

    @classmethod
    def of(cls, pulled: Observable, qubits: np.ndarray) -> CommonBasis:
        """That of a pulled observable of commuting strings, on these qubits, where all others stay |0⟩ and no string
        has X or Y."""
        within = beside_zeros(pulled, qubits)
        x, z, parity, flip = turns_to_z(within.strings)
        energies = np.zeros(1 << len(qubits))
        np.add.at(energies, parity.astype(np.int64), np.where(flip, -1.0, 1.0) * within.coefficients)
        transform(energies)
        return cls(x, z, energies)

    def weights(self, state: np.ndarray) -> np.ndarray:
        """The probability (N,) of every basis state behind V."""
        return weights_of(self._turned(state.copy(), 1))

    def applied(self, state: np.ndarray, values: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """f(H)ψ; `values` gives f (N,) at the energies, from the probabilities (N,)."""
        other = self._turned(state.copy(), 1)
        other *= values(weights_of(other))
        return self._turned(other, -1)

    def _turned(self, state: np.ndarray, way: int) -> np.ndarray:
        """The state behind V, or before it, in place."""
        half = np.full(len(self.x), way * _HALF_QUARTER)
        apply_rotations(state, Rotations.by(half, self.x[::way].copy(), self.z[::way].copy()))
        return state
