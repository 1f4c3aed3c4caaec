"""Unitaries that depend on parameters in any way, as rotations whose state and derivatives are exact at every θ."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from autograd import numpy as anp

from qngd.interop.pennylane.generated import commute, samples
from qngd.interop.pennylane.site import FIX_IT, Site
from qngd.interop.pennylane.trace import Node, has_branched, plain
from qngd.interop.synthesis import Turn, evolution_turns, pauli_labels, pauli_matrix, turn_about, unitary_turns

_MAX_MOVING_WIRES = 3  # 4^k more rotations


def moving(matrix: Any, node: Node, places: Sequence[int], site: Site) -> list[Turn]:
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
        turns.append(turn_about(label, places, site.slot(anp.real(anp.sum(weight * matrix)))))
    return turns


def special_unitary(op: Any, node: Node, site: Site) -> list[Turn]:
    """exp(iΣ_m θ_m P_m) with parameters, as in `moving`: the derivatives of the exponential are known."""
    theta = op.data[0]
    places = range(len(op.wires))
    turns = _of_constant_generators(theta, node, places, site)
    if turns is not None:
        return turns
    now = np.asarray(node.value, dtype=float)
    labels = pauli_labels(len(places))
    paulis = np.array([pauli_matrix(label) for label in labels])
    unitary, changes = _exponential_and_derivatives(np.tensordot(now, paulis, axes=1), paulis)
    turns = _frozen_product(unitary, node, places, site)
    # rates[p, m] = ∂α_p/∂θ_m
    rates = np.real(2j / len(unitary) * np.einsum("pij,mji->pm", paulis, changes @ unitary.conj().T))
    for label, alpha in zip(labels, anp.dot(rates, theta - now), strict=True):
        turns.append(turn_about(label, places, site.slot(alpha)))
    return turns


def _of_constant_generators(theta: Any, node: Node, places: Sequence[int], site: Site) -> list[Turn] | None:
    """exp(iΣ_m θ_m P_m) where the P_m that ever occur commute, or where θ only changes its length; else None."""
    seen = None if has_branched() else samples(node, (0.3, 1.0, 1.0))
    if seen is None:
        return None
    rows = np.array([*seen, plain(node.value)], dtype=float)
    occur = np.flatnonzero(np.abs(rows).max(axis=0) > 0)
    labels = pauli_labels(len(places))
    if all(commute(labels[a], labels[b]) for a, b in itertools.combinations(occur, 2)):
        return [turn_about(labels[m], places, site.angle(theta[m] * -2.0)) for m in occur]
    _, lengths, axes = np.linalg.svd(rows)
    if lengths[1] > 1e-12 * lengths[0]:
        return None
    hamiltonian = np.tensordot(axes[0], np.array([pauli_matrix(label) for label in labels]), axes=1)
    return evolution_turns(hamiltonian, site.slot(-anp.dot(theta, axes[0])), places)


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
