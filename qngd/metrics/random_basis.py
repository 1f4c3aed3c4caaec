"""The metric from the classical Fisher information in random bases (Random Natural Gradient, arXiv:2311.04135).

The outcomes l of a measurement in some basis have the probabilities p_l and the Fisher information

    F_ij = Σ_l ∂_ip_l ∂_jp_l / p_l.

It is at most 4g, and for Haar-random bases its mean is half of that, E[F] = 2g (arXiv:2509.08196): g is the mean of
F/2. A gradient's number of circuits measures it in one basis, where the full metric takes a number quadratic in P.

A Haar-random basis takes exponentially many gates. Here a basis is RZ and RY on every qubit with random angles, which
turn Z into a uniformly random axis, a chain of CZ between neighbours (depth 2), and RZ and RY anew. All bases share
one template, which is compiled once. E[F]/2 is then g exactly for one qubit and near it else: for RY, RZ, CNOT-ladder
circuits of two layers it is off by 2, 4, 7 and 9 % (Frobenius norm) on 2, 3, 4 and 6 qubits, against 21, 15, 16 and
16 % without the CZ and 9 to 12 % with two layers of random two-qubit Clifford gates. The spread of F/2 over single
bases is far larger: 0.85, 0.76, 0.63 and 0.44 of g.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qngd.circuit.builder import OpsBuilder
from qngd.circuit.ops import Ops
from qngd.circuit.pauli import PauliStrings

BASES = 4  # per metric


def random_angles(num_qubits: int, seed: int | None) -> np.ndarray:
    """The angles (BASES, 4n) of `basis_ops`: of RZ uniform, of RY with a uniform cosine."""
    uniform = np.random.default_rng(seed).random((BASES, 2 * num_qubits, 2))
    turns = 2 * np.pi * uniform[..., 0]
    tilts = np.arccos(1 - 2 * uniform[..., 1])
    return np.stack([turns, tilts], axis=-1).reshape(BASES, 4 * num_qubits)


def basis_ops(num_qubits: int) -> Ops:
    """The gates of a basis, with 4n open angles."""
    builder = OpsBuilder(num_qubits)
    _turn_each(builder)
    for first in (0, 1):
        for q in range(first, num_qubits - 1, 2):
            builder.clifford("cz", q, q + 1)
    _turn_each(builder)
    return builder.ops()


def _turn_each(builder: OpsBuilder) -> None:
    for q in range(builder.num_qubits):
        for letter in "ZY":
            builder.rotation(letter, (q,), builder.slot())


def every_z(num_qubits: int) -> PauliStrings:
    """Z on each qubit."""
    ones = np.eye(num_qubits, dtype=bool)
    return PauliStrings.from_bits(np.zeros_like(ones), ones)


def average(samples: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray, str]:
    """The mean of the bases' matrices, its standard errors from their spread, and a note."""
    stacked = np.array(samples)
    stderr = stacked.std(axis=0, ddof=1) / np.sqrt(len(stacked))
    return stacked.mean(axis=0), stderr, f"mean of {len(stacked)} random bases"
