"""Entries of the metric between layers from one circuit: correlations of one generator with others, and overlaps."""

from __future__ import annotations

import numpy as np

from qngd.measured.influence import Influence
from qngd.measured.outcomes import Means, Outcome, centred_sums, means, unseen, zeros_frequency
from qngd.measured.template import Template


def correlations(
    outcome: Outcome, template: Template, jacobian: np.ndarray, own: np.ndarray, products: np.ndarray
) -> Influence:
    """Σ_k (⟨string k⟩ − products_k)·(own·J_kᵀ + J_k·ownᵀ), with J_k (p,) the rows of `jacobian` and `own` (p,).

    What was not seen makes its variance v·Σ_k (own_a J_kb + J_ka own_b)² with v = (2/N)², k over independent strings.
    """
    shots = outcome.shots
    mean, errors = means(outcome, template)
    least: np.ndarray | float = 0.0
    if isinstance(outcome, Means):
        weights, left, shots = errors, jacobian, 0
    elif shots < 2:  # nothing is known of the spread but its bound
        weights, left, shots = np.ones(1), np.abs(jacobian).sum(axis=0)[None], 0
    else:
        weights, left = centred_sums(outcome, template, jacobian)
        rows = template.reduced(jacobian)
        product = np.outer(own**2, (rows**2).sum(axis=0))
        least = unseen(shots) * (product + product.T + 2 * np.outer(own, own) * (rows.T @ rows))
    half = np.outer((mean - products) @ jacobian, own)
    nothing = np.zeros_like(half)
    return Influence(half + half.T, weights, left, np.broadcast_to(own, left.shape), shots, nothing, least)


def overlap(outcome: Outcome, template: Template, first: np.ndarray, second: np.ndarray) -> Influence:
    """The frequency of all zeros times (first·secondᵀ + second·firstᵀ)."""
    frequency, variance = zeros_frequency(outcome, template)
    half = np.outer(first, second)
    return Influence(
        frequency * (half + half.T), np.array([variance]), first[None], second[None], 0, np.zeros_like(half)
    )
