"""Matrices as products of Pauli rotations: what an SDK's "unitary from a matrix" gates become.

All of it is exact to rounding (no tolerance decides anything but whether a matrix is meant to be unitary) and the
global phase is kept, because under a control it matters. Matrices take the first of their places as the most
significant bit.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.linalg

from qngd.circuit.angles import Angle

# A rotation with k controls is 2^k commuting rotations; beyond, it goes by way of Toffoli ladders.
MAX_CONTROLS = 5
# How far a unitary, or a state's norm, may be off: what six digits, or single precision, leave of it.
UNITARY_TOLERANCE = 1e-5


@dataclass(frozen=True, slots=True)
class Turn:
    """exp(−i·angle/2·P) with letter i of `pauli` on `places[i]`; the empty string is the identity: a phase.

    A `bare` turn belongs to a change of basis A in A·B·A†: who controls the product need not control it.
    """

    pauli: str
    places: tuple[int, ...]
    angle: Angle | float
    bare: bool = False

    def inverse(self) -> Turn:
        return replace(self, angle=-self.angle)


def phase_turn(phase: Angle | float) -> Turn:
    """exp(i·phase)."""
    return Turn("", (), phase * -2.0)


def turn_about(label: str, places: Sequence[int], angle: Angle | float) -> Turn:
    """A rotation about a label with a letter for every place, I where it does nothing."""
    on = [i for i, letter in enumerate(label) if letter != "I"]
    return Turn("".join(label[i] for i in on), tuple(places[i] for i in on), angle)


def under_controls(turn: Turn, controls: Sequence[tuple[int, bool]]) -> list[Turn]:
    """exp(−i·angle/2·P⊗Π) with the projector Π = ∏(1 ± Z)/2 onto the values of `controls` (places and values): 2^k
    commuting rotations. A bare turn stays as it is."""
    if turn.bare or not controls:
        return [turn]
    share = turn.angle * 0.5 ** len(controls)
    turns = []
    for chosen in range(2 ** len(controls)):
        extra = [control for i, control in enumerate(controls) if chosen >> i & 1]
        sign = (-1.0) ** sum(value for _, value in extra)  # |1⟩⟨1| = (1 − Z)/2
        turns.append(Turn("Z" * len(extra) + turn.pauli, (*(p for p, _ in extra), *turn.places), share * sign))
    return turns


def walsh_of_angles(values: Sequence[Angle | float]) -> list[Angle | float]:
    """c with f(s) = Σ_S c_S·(−1)^|S ∧ s| for the 2^k values f(s); S and s are bit masks."""
    sums = list(values)
    step = 1
    while step < len(sums):
        for start in range(0, len(sums), 2 * step):
            for i in range(start, start + step):
                a, b = sums[i], sums[i + step]
                sums[i], sums[i + step] = a + b, a - b
        step *= 2
    return [value * (1.0 / len(sums)) for value in sums]


def _z_places(mask: int, places: Sequence[int]) -> tuple[int, ...]:
    last = len(places) - 1
    return tuple(place for i, place in enumerate(places) if mask >> (last - i) & 1)


def diagonal_turns(phases: Sequence[Angle | float], places: Sequence[int]) -> list[Turn]:
    """diag(exp(i·phases)): commuting rotations about Z strings, exp(iΣ_S c_S Z_S)."""
    turns = []
    for mask, coefficient in enumerate(walsh_of_angles(phases)):
        on = _z_places(mask, places)
        turns.append(Turn("Z" * len(on), on, coefficient * -2.0))
    return turns


def multiplexed_turns(letter: str, angles: Sequence[Angle | float], selects: Sequence[int], target: int) -> list[Turn]:
    """Σ_s |s⟩⟨s| ⊗ R_letter(angles[s]) with s on `selects`: commuting, exp(−iΣ_S c_S/2·Z_S⊗letter)."""
    turns = []
    for mask, coefficient in enumerate(walsh_of_angles(angles)):
        on = _z_places(mask, selects)
        turns.append(Turn("Z" * len(on) + letter, (*on, target), coefficient))
    return turns


def require_unitary(matrix: np.ndarray) -> None:
    """Raise ValueError, which names the deviation, unless a square matrix is unitary but for rounding."""
    if matrix.dtype.kind not in "biufc" or not np.isfinite(matrix).all():
        raise ValueError("its matrix has entries that are not finite numbers")
    deviation = float(np.abs(matrix.conj().T @ matrix - np.eye(len(matrix))).max(initial=0.0))
    if not deviation <= UNITARY_TOLERANCE:
        raise ValueError(
            f"its matrix U is not unitary: U†U differs from 1 by {deviation:.3g}, where {UNITARY_TOLERANCE:g} counts "
            "as rounding; give it with at least six digits"
        )


def unitary_turns(matrix: np.ndarray, places: Sequence[int]) -> list[Turn]:
    """A unitary matrix of 2^k rows, in order of application: (3/2)·4^k rotations at most.

    The quantum Shannon decomposition (arXiv:quant-ph/0406176), whose multiplexed rotations are here
    commuting rotations about Z strings and one more letter. What is unitary but for rounding stands for the unitary
    nearest to it.

    Raises:
        ValueError: the matrix is not unitary; the text names its deviation.
    """
    require_unitary(matrix)
    left, _, right = np.linalg.svd(matrix)
    return _shannon(left @ right, tuple(places))


def _shannon(u: np.ndarray, places: tuple[int, ...]) -> list[Turn]:
    if not places:
        return [phase_turn(float(np.angle(u[0, 0])))]
    if len(places) == 1:
        return _euler(u, places[0])
    half = len(u) // 2
    (u1, u2), theta, (v1, v2) = scipy.linalg.cossin(u, p=half, q=half, separate=True)
    middle = multiplexed_turns("Y", [float(2 * t) for t in theta], places[1:], places[0])
    return [*_demultiplex(v1, v2, places), *middle, *_demultiplex(u1, u2, places)]


def _demultiplex(a: np.ndarray, b: np.ndarray, places: tuple[int, ...]) -> list[Turn]:
    """|0⟩⟨0|⊗A + |1⟩⟨1|⊗B = (1⊗V)(D ⊕ D†)(1⊗W) with AB† = V·D²·V† and W = D·V†·B."""
    triangle, v = scipy.linalg.schur(a @ b.conj().T, output="complex")  # diagonal, as AB† is normal
    delta = np.angle(np.diag(triangle)) / 2
    w = np.exp(1j * delta)[:, None] * (v.conj().T @ b)
    middle = multiplexed_turns("Z", [float(-2 * d) for d in delta], places[1:], places[0])
    return [*_shannon(w, places[1:]), *middle, *_shannon(v, places[1:])]


def _euler(u: np.ndarray, place: int) -> list[Turn]:
    """U = exp(iα)·RZ(φ)·RY(θ)·RZ(λ)."""
    alpha = float(np.angle(np.linalg.det(u))) / 2
    v = u * np.exp(-1j * alpha)
    theta = 2 * math.atan2(abs(v[1, 0]), abs(v[1, 1]))
    plus, minus = float(np.angle(v[1, 1])), float(np.angle(v[1, 0]))  # (φ ± λ)/2
    on = (place,)
    return [
        Turn("Z", on, plus - minus),
        Turn("Y", on, theta),
        Turn("Z", on, plus + minus),
        phase_turn(alpha),
    ]


def evolution_turns(hamiltonian: np.ndarray, time: Angle | float, places: Sequence[int]) -> list[Turn]:
    """exp(−i·time·H) for a Hermitian matrix and any time: the eigenbasis V is fixed, V·exp(−i·time·Λ)·V†."""
    levels, basis = np.linalg.eigh(hamiltonian)
    return turns_in_basis(basis, [time * -float(level) for level in levels], places)


def turns_in_basis(basis: np.ndarray, phases: Sequence[Angle | float], places: Sequence[int]) -> list[Turn]:
    """V·diag(exp(i·phases))·V† with the columns of a fixed basis V."""
    into = [replace(turn, bare=True) for turn in unitary_turns(basis.conj().T, places)]
    out = [turn.inverse() for turn in reversed(into)]
    return [*into, *diagonal_turns(phases, places), *out]


def all_commute(x: np.ndarray, z: np.ndarray) -> bool:
    """Whether all Pauli strings commute: x (K, n) is true where they have X or Y, z where they have Z or Y."""
    if not x.any() or not z.any():
        return True
    crossings = x.astype(np.float32) @ z.T.astype(np.float32)  # exact: counts of places
    return not ((crossings + crossings.T) % 2).any()


def pauli_labels(num_qubits: int) -> list[str]:
    """The 4^k − 1 labels other than the identity."""
    labels = ("".join(letters) for letters in itertools.product("IXYZ", repeat=num_qubits))
    return [label for label in labels if set(label) != {"I"}]


def pauli_matrix(label: str) -> np.ndarray:
    """The matrix of a label whose first letter acts on the most significant bit."""
    matrix = np.eye(1, dtype=complex)
    for letter in label:
        matrix = np.kron(matrix, _PAULI[letter])
    return matrix


_PAULI = {
    "I": np.eye(2, dtype=complex),
    "X": np.array([[0, 1], [1, 0]], dtype=complex),
    "Y": np.array([[0, -1j], [1j, 0]]),
    "Z": np.diag([1.0 + 0j, -1.0]),
}
