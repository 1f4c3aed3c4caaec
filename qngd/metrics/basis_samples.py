"""The Fisher information in random bases, from derivative states (see `qngd.metrics.bases`)."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from qngd._system.memory import OTHER_METRIC, require_bytes
from qngd.circuit.circuit import Circuit
from qngd.circuit.frame import push
from qngd.circuit.ops import concatenate
from qngd.circuit.quarter_turns import turns_to_z
from qngd.exact.kernels.layout import Rotations
from qngd.exact.simulator import Simulator
from qngd.exact.statevector import apply_rotations
from qngd.metrics.bases import BASES, basis_ops, every_z, random_angles


def basis_samples(
    simulator: Simulator, phi: np.ndarray, jacobian: sparse.csr_array, seed: int | None
) -> list[np.ndarray]:
    """F/2 (P, P) of every basis, from derivative states: p_l = |ψ_l|² and ∂_kψ(φ) = ½ψ(φ + π·e_k).

    Memory: BASES·P real vectors of 2ⁿ numbers.

    Raises:
        MemoryLimitError: they would not fit.
    """
    circuit = simulator.circuit
    n, parameters = circuit.num_qubits, jacobian.shape[1]
    needed = (8 * BASES * (parameters + 2) + 64) << n
    require_bytes(needed, f'approx="random-basis" on {n} qubits', OTHER_METRIC)
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
        turn_x, turn_z, _, _ = turns_to_z(frame.pull(every_z(n)))
        self._turns = Rotations.by(np.full(len(turn_x), np.pi / 4), turn_x, turn_z)

    def applied(self, state: np.ndarray, angles: np.ndarray) -> np.ndarray:
        """The state (2, N), which is changed in place."""
        apply_rotations(state, Rotations.by(0.5 * self._sign * angles, self._x, self._z))
        apply_rotations(state, self._turns)
        return state
