"""PennyLane operations that are known by a matrix or as an exponential, as Pauli rotations.

All functions give the rotations in order of application, on places counted along `op.wires`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pennylane as qml
import scipy.sparse
from autograd import numpy as anp
from pennylane.operation import Operator
from pennylane.ops.op_math import Evolution

from qngd.angles import Angle
from qngd.interop._pennylane_site import FIX_IT, Site
from qngd.interop._pennylane_table import commuting_words
from qngd.interop._pennylane_trace import Node, node_of, plain
from qngd.interop._synthesis import (
    Turn,
    diagonal_turns,
    evolution_turns,
    is_unitary,
    pauli_labels,
    pauli_matrix,
    unitary_turns,
)

_MAX_MATRIX_WIRES = 8  # of a fixed unitary: (3/2)·4^k rotations
_MAX_EVOLUTION_WIRES = 6  # of exp(−itH) by way of H's eigenbasis
_MAX_MOVING_WIRES = 3  # of a unitary that depends on parameters: 4^k more rotations
_TOLERANCE = 1e-10
_NOT_HERMITIAN = "it is not unitary: the operator in the exponent is not Hermitian"
# What PennyLane raises where its arithmetic does not go with traced numbers.
FAILURES = (AttributeError, TypeError, ValueError, IndexError, NotImplementedError)


def exponential(op: Any, site: Site) -> list[Turn]:
    """exp(−i·t·H): exact where the words of H commute, or on a few wires if H is fixed."""
    time = op.data[0] if isinstance(op, Evolution) else 1j * op.coeff
    if np.max(np.abs(np.imag(plain(time)))) > _TOLERANCE:
        site.refuse("it is not unitary: the coefficient in the exponent must be imaginary")
    sentence = op.base.pauli_rep
    if sentence is None or not commuting_words(sentence):
        return _in_eigenbasis(op, site.angle(time), site)
    if any(abs(np.imag(plain(coefficient))) > _TOLERANCE for coefficient in sentence.values()):
        site.refuse(_NOT_HERMITIAN)
    places = {label: place for place, label in enumerate(op.wires)}
    return [
        Turn(
            "".join(word.values()),
            tuple(places[label] for label in word),
            site.angle(2.0 * time * coefficient),
        )
        for word, coefficient in sentence.items()
    ]


def _in_eigenbasis(op: Any, time: Angle | float, site: Site) -> list[Turn]:
    advice = "use qml.TrotterProduct or qml.ApproxTimeEvolution to say which product is meant"
    if len(op.wires) > _MAX_EVOLUTION_WIRES:
        site.refuse(f"its terms do not commute, and it acts on more than {_MAX_EVOLUTION_WIRES} wires; {advice}")
    matrix = qml.matrix(op.base, wire_order=op.wires)
    if node_of(matrix) is not None:
        site.refuse(f"its terms do not commute and have parameters of their own; {advice}")
    matrix = np.asarray(matrix)
    if not np.allclose(matrix, matrix.conj().T, rtol=0, atol=_TOLERANCE):
        site.refuse(_NOT_HERMITIAN)
    return evolution_turns(matrix, time, range(len(op.wires)))


def diagonal(op: Any, site: Site) -> list[Turn]:
    """A `DiagonalQubitUnitary`, whose entries may depend on parameters."""
    entries = op.data[0]
    if not np.allclose(np.abs(plain(entries)), 1.0, rtol=0, atol=1e-8):
        site.refuse("it is not unitary: its entries must have absolute value 1")
    phases = [site.angle(anp.angle(entry)) for entry in entries]
    return diagonal_turns(phases, range(len(op.wires)))


def from_matrix(op: Operator, site: Site) -> list[Turn]:
    """An operation that is known by its matrix alone."""
    if not op.has_matrix and not op.has_sparse_matrix:
        site.refuse(f"{op.name} has neither a decomposition nor a matrix; write it with other gates")
    count = len(op.wires)
    if count > _MAX_MATRIX_WIRES:
        site.refuse(
            f"{op.name} is given by a matrix on {count} wires; at most {_MAX_MATRIX_WIRES} are "
            "decomposed: write it with smaller gates"
        )
    matrix = _matrix_of(op, site)
    node = node_of(matrix)
    if not is_unitary(np.asarray(plain(matrix))):
        hint = f" at all values near the given ones; if it is no parameter, {FIX_IT}"
        site.refuse("it is not unitary" + (hint if node is not None else ""))
    if node is None:
        return unitary_turns(np.asarray(matrix), range(count))
    return _moving(matrix, node, range(count), site)


def _matrix_of(op: Operator, site: Site) -> Any:
    try:
        matrix = op.matrix() if op.has_matrix else op.sparse_matrix()
    except FAILURES as error:
        site.refuse(
            f"PennyLane cannot compute the matrix of {op.name} from these parameters "
            f"({type(error).__name__}: {error}); write it with other gates"
        )
    return matrix.toarray() if scipy.sparse.issparse(matrix) else matrix


def _moving(matrix: Any, node: Node, places: Sequence[int], site: Site) -> list[Turn]:
    """A unitary U(θ) that arithmetic made.

    No product of rotations has angles that are smooth functions of every U. So at each θ, U is written
    as U₀ = U(θ) with frozen angles, and after it R_P(α_P) about every Pauli string, where α_P is 0 and

        dU·U₀† = −i/2·Σ_P dα_P·P,   dα_P = 2i/2^k·tr(P·dU·U₀†) (a real number).

    The state and its derivatives are exact at every θ, though the product is another one at each.
    """
    now = np.asarray(plain(matrix))
    turns = _frozen_product(now, node, places, site)
    for label in ("I" * len(places), *pauli_labels(len(places))):
        weight = (2j / len(now)) * (now.conj().T @ pauli_matrix(label)).T
        turns.append(_dense_turn(label, site.slot(anp.real(anp.sum(weight * matrix)))))
    return turns


def special_unitary(op: Any, site: Site) -> list[Turn]:
    """exp(iΣ_m θ_m P_m) with parameters, as in `_moving`: the derivatives of the exponential are known."""
    theta = op.data[0]
    node = node_of(theta)
    if node is None:
        return from_matrix(op, site)
    places = range(len(op.wires))
    now = np.asarray(node.value, dtype=float)
    labels = pauli_labels(len(places))
    paulis = np.array([pauli_matrix(label) for label in labels])
    unitary, changes = _exponential_and_derivatives(np.tensordot(now, paulis, axes=1), paulis)
    turns = _frozen_product(unitary, node, places, site)
    # rates[p, m] = ∂α_p/∂θ_m
    rates = np.real(2j / len(unitary) * np.einsum("pij,mji->pm", paulis, changes @ unitary.conj().T))
    for label, alpha in zip(labels, anp.dot(rates, theta - now), strict=True):
        turns.append(_dense_turn(label, site.slot(alpha)))
    return turns


def _exponential_and_derivatives(hermitian: np.ndarray, directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """exp(iA) and its derivatives along A + t·B for every B, (M, N, N), in A's eigenbasis."""
    levels, basis = np.linalg.eigh(hermitian)
    mean, half = np.add.outer(levels, levels) / 2, np.subtract.outer(levels, levels) / 2
    # (exp(iμ_a) − exp(iμ_b)) / (μ_a − μ_b) without the division by zero
    quotient = 1j * np.exp(1j * mean) * np.sinc(half / np.pi)
    inner = basis.conj().T @ directions @ basis
    unitary = (basis * np.exp(1j * levels)) @ basis.conj().T
    return unitary, basis @ (quotient * inner) @ basis.conj().T


def _frozen_product(unitary: np.ndarray, node: Node, places: Sequence[int], site: Site) -> list[Turn]:
    if len(places) > _MAX_MOVING_WIRES:
        site.refuse(
            f"its matrix depends on parameters and acts on {len(places)} wires, more than "
            f"{_MAX_MOVING_WIRES}; write it with rotations, or if it is no parameter, {FIX_IT}"
        )
    return [
        Turn(turn.pauli, turn.places, site.frozen(float(plain(turn.angle)), node))
        for turn in unitary_turns(unitary, places)
    ]


def _dense_turn(label: str, angle: Angle) -> Turn:
    places = tuple(i for i, letter in enumerate(label) if letter != "I")
    return Turn("".join(label[i] for i in places), places, angle)
