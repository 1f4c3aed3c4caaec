"""What estimators.py compares with: a circuit in which a swapped qubit shows, and its numbers by Qiskit's statevectors.

Derivatives are central differences of statevectors in the angles of the gates, one angle a gate, so that nothing of
qngd's is used but which gates it puts into one layer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter, ParameterExpression
from qiskit.circuit.library import XXPlusYYGate
from qiskit.quantum_info import SparsePauliOp, Statevector

NAMES = ("a", "b", "c", "d", "e")
THETA = np.array([0.5, -0.9, 0.7, 1.1, 0.4])
QUBITS = 4

# a gate, its qubits, and what moves its angle: factors of the parameters, and what is added
_ROTATIONS: tuple[tuple[str, tuple[int, ...], dict[str, float], float], ...] = (
    ("ry", (0,), {"a": 1.0}, 0.0),
    ("rx", (1,), {"b": 1.0}, 0.3),
    ("ry", (2,), {"a": -0.7}, 0.0),
    ("rx", (3,), {"e": 0.8}, 0.0),
    ("rzz", (0, 1), {"c": 1.0}, 0.0),
    ("rzz", (1, 2), {"c": 1.0}, 0.0),
    ("rzz", (2, 3), {"c": 1.0}, 0.0),
    ("xy", (1, 3), {"d": 1.0}, 0.0),
    ("ry", (0,), {"b": 2.0, "e": 0.5}, 0.0),
    ("rx", (2,), {"d": 1.0}, 0.2),
)
_FLIPS = {4: ((0, 2),), 8: ((3, 0), (1, 2))}  # CNOTs before the gate of this number

MIXED = {"ZIXI": 0.7, "XXYI": -0.4, "IIZZ": 0.5, "YIIX": 0.3, "IIII": 0.2, "ZZII": 0.25, "IYIZ": -0.35}
DIAGONAL = {"IIIZ": 0.9, "IZZI": -0.45, "ZIIZ": 0.3, "ZZZI": 0.2, "IIII": -0.3, "IIZI": 0.17}
PARITY = "IZIZ"

Angle = float | ParameterExpression


def _written(angles: Sequence[Angle]) -> QuantumCircuit:
    circuit = QuantumCircuit(QUBITS)
    for number, ((name, qubits, *_), angle) in enumerate(zip(_ROTATIONS, angles, strict=True)):
        for control, target in _FLIPS.get(number, ()):
            circuit.cx(control, target)
        if name == "xy":
            circuit.append(XXPlusYYGate(angle), qubits)
        else:
            getattr(circuit, name)(angle, *qubits)
    return circuit


def circuit() -> QuantumCircuit:
    """With open parameters."""
    named = {name: Parameter(name) for name in NAMES}
    return _written([sum(f * named[p] for p, f in moves.items()) + more for _, _, moves, more in _ROTATIONS])


def jacobian() -> np.ndarray:
    """(K, P), gates to parameters."""
    return np.array([[moves.get(name, 0.0) for name in NAMES] for _, _, moves, _ in _ROTATIONS])


def angles(theta: np.ndarray) -> np.ndarray:
    """Of the gates, (K,)."""
    found: np.ndarray = jacobian() @ theta + np.array([more for *_, more in _ROTATIONS])
    return found


def state(phi: np.ndarray) -> np.ndarray:
    """The amplitudes (2ⁿ,) at these angles of the gates (K,)."""
    return np.asarray(Statevector(_written(phi.tolist())))


@lru_cache
def matrix(labels: tuple[tuple[str, float], ...]) -> np.ndarray:
    """Of an observable."""
    found: np.ndarray = SparsePauliOp.from_list(list(labels)).to_matrix()
    return found


def energy(observable: dict[str, float], theta: np.ndarray) -> float:
    psi = state(angles(theta))
    return float(np.vdot(psi, matrix(tuple(observable.items())) @ psi).real)


def probabilities(theta: np.ndarray) -> np.ndarray:
    """(2ⁿ,)."""
    return np.abs(state(angles(theta))) ** 2


def levels(observable: dict[str, float]) -> np.ndarray:
    """The energies (2ⁿ,) of the bit strings, of a diagonal observable."""
    return np.diag(matrix(tuple(observable.items()))).real


def tail(observable: dict[str, float], alpha: float, theta: np.ndarray) -> float:
    """The mean of the lowest share of the energies, bit string by bit string."""
    energies, weights = levels(observable), probabilities(theta)
    left, total = alpha, 0.0
    for k in np.argsort(energies):
        taken = min(left, weights[k])
        total += taken * energies[k]
        left -= taken
    return float(total / alpha)


def derivative(function: Callable[[np.ndarray], np.ndarray | float], at: np.ndarray, step: float = 2e-3) -> np.ndarray:
    """By central differences of fourth order, (P, …)."""
    found = []
    for shift in step * np.eye(len(at)):
        near = np.asarray(function(at + shift)) - np.asarray(function(at - shift))
        far = np.asarray(function(at + 2 * shift)) - np.asarray(function(at - 2 * shift))
        found.append((8 * near - far) / (12 * step))
    return np.array(found)


def gate_metric(theta: np.ndarray) -> np.ndarray:
    """The whole metric over the gates, (K, K)."""
    phi = angles(theta)
    psi, slopes = state(phi), derivative(state, phi)
    moved = slopes.conj() @ psi
    found: np.ndarray = (slopes.conj() @ slopes.T - np.outer(moved, moved.conj())).real
    return found


def metric(theta: np.ndarray, same: np.ndarray | None = None) -> np.ndarray:
    """(P, P); with `same` (K, K) from the entries of such pairs of gates alone."""
    own, factors = gate_metric(theta), jacobian()
    found: np.ndarray = factors.T @ (own if same is None else own * same) @ factors
    return found


def overlap(theta: np.ndarray, other: np.ndarray) -> float:
    return float(abs(np.vdot(state(angles(theta)), state(angles(other)))) ** 2)


def directions(count: int) -> np.ndarray:
    """All vectors of signs, (2^count, count)."""
    return 1.0 - 2.0 * (np.arange(2**count)[:, None] >> np.arange(count) & 1)


def mean_difference(observable: dict[str, float], theta: np.ndarray, step: float) -> np.ndarray:
    """What differences along random directions are on average: over all of these, (P,)."""
    signs = directions(len(theta))
    ups = np.array([energy(observable, theta + step * sign) for sign in signs])
    found: np.ndarray = ((ups - ups[::-1]) / (2 * step)) @ signs / len(signs)  # those in reverse have all signs changed
    return found


def mean_overlap_metric(theta: np.ndarray, step: float) -> np.ndarray:
    """What QN-SPSA's samples are on average (arXiv:2103.09232): over all pairs of directions, (P, P)."""
    here, signs = state(angles(theta)), directions(len(theta))

    @lru_cache
    def fidelity(shift: tuple[float, ...]) -> float:
        return float(abs(np.vdot(here, state(angles(theta + step * np.array(shift))))) ** 2)

    total = np.zeros((len(theta),) * 2)
    for first in signs:
        for second in signs:
            change = fidelity(tuple(first + second)) - fidelity(tuple(first))
            change -= fidelity(tuple(second - first)) - fidelity(tuple(-first))
            both = np.outer(first, second)
            total -= change * (both + both.T) / 2 / (4 * step**2)
    return total / len(signs) ** 2
