"""Slow, obvious linear algebra to test against: explicit matrices, one gate at a time.

Nothing here reads a circuit's generators, frame or layers; what reads `circuit.ops` says so. Functions of
many states at once take and give arrays whose first axis counts them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from qngd.circuit.circuit import Circuit
from qngd.circuit.ops import Op

PAULI = {
    "I": np.eye(2, dtype=complex),
    "X": np.array([[0, 1], [1, 0]], dtype=complex),
    "Y": np.array([[0, -1j], [1j, 0]]),
    "Z": np.diag([1.0 + 0j, -1.0]),
}
_H = np.array([[1, 1], [1, -1]]) / np.sqrt(2)
CLIFFORD = {
    Op.H: _H,
    Op.S: np.diag([1, 1j]),
    Op.SDG: np.diag([1, -1j]),
    Op.X: PAULI["X"],
    Op.Y: PAULI["Y"],
    Op.Z: PAULI["Z"],
    # qubit order of the matrices: the first qubit of the gate is the least significant bit
    Op.CX: np.array([[1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0], [0, 1, 0, 0]]),
    Op.CZ: np.diag([1, 1, 1, -1]),
    Op.SWAP: np.array([[1, 0, 0, 0], [0, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 1]]),
}
# Central difference of the eighth order: weights of f(±1h), f(±2h), …
_STENCIL = (4 / 5, -1 / 5, 4 / 105, -1 / 280)
_STEP = 5e-3


@functools.lru_cache(maxsize=4096)
def label_matrix(label: str) -> np.ndarray:
    """The matrix of a Pauli label, rightmost letter qubit 0 (least significant bit)."""
    return functools.reduce(np.kron, [PAULI[letter] for letter in label], np.eye(1))


def observable_matrix(terms: Mapping[str, float]) -> np.ndarray:
    return sum(c * label_matrix(label) for label, c in terms.items())


def rotation_matrix(label: str, angle: float) -> np.ndarray:
    """exp(−i·angle/2·P), by P² = 1."""
    return np.cos(angle / 2) * np.eye(2 ** len(label)) - 1j * np.sin(angle / 2) * label_matrix(label)


def apply(matrix: np.ndarray, qubits: Sequence[int], states: np.ndarray) -> np.ndarray:
    """A k-qubit gate on states (…, 2ⁿ); qubits[0] is the matrix's least significant bit.

    `matrix` is (2ᵏ, 2ᵏ), or for states (B, 2ⁿ) also (B, 2ᵏ, 2ᵏ): one for each state.
    """
    flat = states.reshape(-1, states.shape[-1])
    n, k = flat.shape[1].bit_length() - 1, len(qubits)
    axes = [n - q for q in reversed(qubits)]  # axis 0 counts the states
    last = list(range(n + 1 - k, n + 1))
    tensor = np.moveaxis(flat.reshape((len(flat), *(2,) * n)), axes, last)
    moved = tensor.reshape(len(flat), -1, 2**k) @ np.swapaxes(matrix, -1, -2)
    return np.moveaxis(moved.reshape(tensor.shape), last, axes).reshape(states.shape)


def zero_state(num_qubits: int, count: int = 1) -> np.ndarray:
    states = np.zeros((count, 2**num_qubits), dtype=complex)
    states[:, 0] = 1
    return states


def run_ops(circuit: Circuit, angles: np.ndarray) -> np.ndarray:
    """The states (B, 2ⁿ) at rotation angles (B, K), from the circuit's operations in the user's order."""
    states = zero_state(circuit.num_qubits, len(angles))
    ops = circuit.ops
    rotation = 0
    for k in range(len(ops)):
        qubits = [int(q) for q in ops.qubits_of(k)]
        kind = Op(ops.kind[k])
        if kind in CLIFFORD:
            states = apply(CLIFFORD[kind], qubits, states)
            continue
        label = "".join("IXYZ"[code] for code in reversed(ops.letters_of(k)))
        if kind is Op.QUARTER:
            angle = np.full(len(angles), np.pi / 2 * ops.turns[k])
        else:
            angle = angles[:, rotation]
            rotation += 1
        turned = apply(label_matrix(label), qubits, states)
        states = np.cos(angle / 2)[:, None] * states - 1j * np.sin(angle / 2)[:, None] * turned
    return states


def statevector(circuit: Circuit, theta: np.ndarray, angles: np.ndarray | None = None) -> np.ndarray:
    """The state of a wrapped circuit, from its operations in the user's order, up to a global phase."""
    phi = circuit.angle_map(np.asarray(theta, float)) if angles is None else angles
    return run_ops(circuit, np.asarray(phi)[None])[0]


def rotation_metric(circuit: Circuit, angles: np.ndarray) -> np.ndarray:
    """The full metric over all rotation angles (K, K), exactly: ∂R(φ) = ½R(φ+π)."""
    psi = run_ops(circuit, angles[None])[0]
    return _metric(psi, 0.5 * run_ops(circuit, angles + np.pi * np.eye(len(angles))))


def derivative_states(
    function: Callable[[np.ndarray], np.ndarray], theta: np.ndarray, step: float = _STEP
) -> np.ndarray:
    """∂|ψ⟩/∂θ_i, shape (P, 2ⁿ), by central differences; `function` must keep its phase."""
    return _derivatives(lambda points: np.array([function(p) for p in points]), theta, step)


def metric(function: Callable[[np.ndarray], np.ndarray], theta: np.ndarray, step: float = _STEP) -> np.ndarray:
    """The full Fubini–Study metric of θ → |ψ(θ)⟩ by central differences."""
    theta = np.asarray(theta, float)
    return _metric(function(theta), derivative_states(function, theta, step))


def gradient(
    function: Callable[[np.ndarray], np.ndarray],
    matrix: np.ndarray,
    theta: np.ndarray,
    step: float = _STEP,
) -> np.ndarray:
    """∇⟨H⟩ by central differences of the states."""
    theta = np.asarray(theta, float)
    return _gradient(function(theta), derivative_states(function, theta, step), matrix)


class Truth:
    """State, energy, gradient and metric at one θ of a function θ (B, P) → states (B, 2ⁿ)."""

    def __init__(
        self,
        states: Callable[[np.ndarray], np.ndarray],
        theta: np.ndarray,
        terms: Mapping[str, float] | None = None,
    ) -> None:
        theta = np.asarray(theta, float)
        self.state = states(theta[None])[0]
        self.tangents = _derivatives(states, theta, _STEP)
        self.metric = _metric(self.state, self.tangents)
        if terms is not None:
            matrix = observable_matrix(terms)
            self.energy = float(np.real(self.state.conj() @ (matrix @ self.state)))
            self.gradient = _gradient(self.state, self.tangents, matrix)


def overlap_error(state: np.ndarray, expected: np.ndarray) -> float:
    """The largest deviation of an amplitude, global phase aside."""
    overlap = np.vdot(expected, state)
    return float(np.abs(state - expected * overlap / abs(overlap)).max())


def same_state(a: np.ndarray, b: np.ndarray, atol: float = 1e-10) -> bool:
    """Whether two normalised states agree up to a global phase (to first order, unlike their fidelity)."""
    phase = np.vdot(a, b)
    return abs(phase) > 0.5 and bool(np.allclose(a * (phase / abs(phase)), b, rtol=0, atol=atol))


def _derivatives(states: Callable[[np.ndarray], np.ndarray], theta: np.ndarray, step: float) -> np.ndarray:
    theta = np.asarray(theta, float)
    if not theta.size:
        return np.zeros((0, states(theta[None]).shape[1]), dtype=complex)
    offsets = [(m, w) for j, w in enumerate(_STENCIL, 1) for m, w in ((j, w), (-j, -w))]
    points = [theta + m * step * e for e in np.eye(theta.size) for m, _ in offsets]
    values = states(np.array(points)).reshape(theta.size, len(offsets), -1)
    return np.einsum("m,pmn->pn", [w / step for _, w in offsets], values)


def _metric(psi: np.ndarray, tangents: np.ndarray) -> np.ndarray:
    overlap = tangents.conj() @ psi
    return np.real(tangents.conj() @ tangents.T) - np.real(np.outer(overlap, overlap.conj()))


def _gradient(psi: np.ndarray, tangents: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    return 2 * np.real(tangents.conj() @ (matrix @ psi))
