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
from scipy import sparse

from qngd._system.memory import require_bytes
from qngd.circuit.builder import CircuitBuilder
from qngd.circuit.circuit import Circuit
from qngd.circuit.frame import push
from qngd.circuit.ops import Ops
from qngd.circuit.pauli import PauliStrings
from qngd.circuit.quarter_turns import turns_to_z
from qngd.exact.simulator import Simulator
from qngd.exact.statevector import apply_rotations
from qngd.measured.template import Template, concatenate, template_of

BASES = 4  # per metric


def random_angles(num_qubits: int, seed: int | None) -> np.ndarray:
    """The angles (BASES, 4n) of `basis_ops`: of RZ uniform, of RY with a uniform cosine."""
    uniform = np.random.default_rng(seed).random((BASES, 2 * num_qubits, 2))
    turns = 2 * np.pi * uniform[..., 0]
    tilts = np.arccos(1 - 2 * uniform[..., 1])
    return np.stack([turns, tilts], axis=-1).reshape(BASES, 4 * num_qubits)


def basis_ops(num_qubits: int) -> Ops:
    """The gates of a basis, with 4n open angles."""
    builder = CircuitBuilder(num_qubits)
    _turn_each(builder)
    for first in (0, 1):
        for q in range(first, num_qubits - 1, 2):
            builder.clifford("cz", q, q + 1)
    _turn_each(builder)
    return builder.ops()


def _turn_each(builder: CircuitBuilder) -> None:
    for q in range(builder.num_qubits):
        for letter in "ZY":
            builder.rotation(letter, (q,), builder.slot())


def basis_template(circuit: Circuit) -> Template:
    """The whole circuit and a basis, measuring all qubits; the basis's angles are the request's own."""
    n = circuit.num_qubits
    own = np.full(4 * n, -1)
    reads = _every_z(n)
    ops = concatenate(circuit.ops, basis_ops(n))
    rotations = np.concatenate([np.arange(len(circuit.generators)), own])
    return template_of(circuit, ops, rotations, reads)


def _every_z(num_qubits: int) -> PauliStrings:
    ones = np.eye(num_qubits, dtype=bool)
    return PauliStrings.from_bits(np.zeros_like(ones), ones)


def exact_samples(
    simulator: Simulator, phi: np.ndarray, jacobian: sparse.csr_array, seed: int | None
) -> list[np.ndarray]:
    """F/2 (P, P) of every basis, from derivative states: p_l = |ψ_l|² and ∂_kψ(φ) = ½ψ(φ + π·e_k).

    Memory: BASES·P real vectors of 2ⁿ numbers.

    Raises:
        MemoryLimitError: they would not fit.
    """
    circuit = simulator.circuit
    n, parameters = circuit.num_qubits, jacobian.shape[1]
    require_bytes((8 * BASES * (parameters + 2) + 64) << n, f'approx="random-basis" on {n} qubits')
    change = _Change(circuit)
    angles = random_angles(n, seed)
    phases = [_phases(change.applied(simulator.state(phi), each)) for each in angles]
    roots = np.zeros((BASES, parameters, 1 << n))  # ∂p_l/√p_l
    for k in np.flatnonzero(np.diff(jacobian.indptr)):
        shifted = phi.copy()
        shifted[k] += np.pi
        tangent = simulator.state(shifted)
        moved = slice(jacobian.indptr[k], jacobian.indptr[k + 1])
        for basis, each in enumerate(angles):
            slope = (phases[basis] * change.applied(tangent.copy(), each)).sum(axis=0)
            for i, weight in zip(jacobian.indices[moved], jacobian.data[moved], strict=True):
                roots[basis, i] += weight * slope
    return [0.5 * each @ each.T for each in roots]


def _phases(state: np.ndarray) -> np.ndarray:
    """ψ_l/|ψ_l| (2, N), 0 where ψ_l is."""
    size = np.sqrt((state**2).sum(axis=0))
    return state / np.where(size > 0, size, 1.0)


class _Change:
    """The change to a random basis, as rotations of the simulator's state before the circuit's Clifford gates, up to
    the order of the outcomes, which F does not see."""

    def __init__(self, circuit: Circuit) -> None:
        n, count = circuit.num_qubits, len(circuit.generators)
        generators, frame = push(concatenate(circuit.ops, basis_ops(n)), n)
        basis = generators[count:]
        self._x, self._z = basis.x[:, 0].copy(), basis.z[:, 0].copy()
        self._sign = basis.sign.astype(float)
        self._turn_x, self._turn_z, _, _ = turns_to_z(frame.pull(_every_z(n)))

    def applied(self, state: np.ndarray, angles: np.ndarray) -> np.ndarray:
        """The state (2, N), which is changed in place."""
        half = 0.5 * self._sign * angles
        apply_rotations(state, self._x, self._z, np.cos(half), np.sin(half))
        quarter = np.full(len(self._turn_x), np.pi / 4)
        apply_rotations(state, self._turn_x, self._turn_z, np.cos(quarter), np.sin(quarter))
        return state


def average(samples: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray, str]:
    """The mean of the bases' matrices, its standard errors from their spread, and a note."""
    stacked = np.array(samples)
    stderr = stacked.std(axis=0, ddof=1) / np.sqrt(len(stacked))
    return stacked.mean(axis=0), stderr, f"mean of {len(stacked)} random bases"
