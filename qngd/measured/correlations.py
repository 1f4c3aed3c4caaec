"""Entries of the metric between layers from one circuit: correlations of one generator with others, and overlaps."""

from __future__ import annotations

import numpy as np

from qngd.measured.influence import Influence, JointInfluence, all_errors
from qngd.measured.outcomes import (
    Means,
    Outcome,
    centred_sums,
    means,
    shared_errors,
    unseen,
    zeros_frequency,
)
from qngd.measured.template import Template


def correlations(
    outcome: Outcome, template: Template, jacobian: np.ndarray, own: np.ndarray, products: np.ndarray
) -> Influence:
    """Σ_k (⟨string k⟩ − products_k)·(own·J_kᵀ + J_k·ownᵀ), with J_k (p,) the rows of `jacobian` and `own` (p,).

    What was not seen makes its variance v·Σ_k (own_a J_kb + J_ka own_b)² with v = (2/N)², k over independent strings.
    """
    shots = outcome.shots
    mean, errors = means(outcome, template)
    half = np.outer((mean - products) @ jacobian, own)
    value, nothing = half + half.T, np.zeros_like(half)
    if isinstance(outcome, Means):
        return _of_means(outcome, errors, value, jacobian, own)
    least: np.ndarray | float = 0.0
    if shots < 2:  # nothing is known of the spread but its bound
        weights, left, shots = np.ones(1), np.abs(jacobian).sum(axis=0)[None], 0
    else:
        weights, left = centred_sums(outcome, template, jacobian)
        rows = template.reduced(jacobian)
        product = np.outer(own**2, (rows**2).sum(axis=0))
        least = unseen(shots) * (product + product.T + 2 * np.outer(own, own) * (rows.T @ rows))
    return Influence(value, weights, left, np.broadcast_to(own, left.shape), shots, nothing, least)


def _of_means(
    outcome: Means, variances: np.ndarray, value: np.ndarray, jacobian: np.ndarray, own: np.ndarray
) -> Influence:
    """The same from expectation values with these variances (m,) by the outcome's own shots, which are independent
    where nothing more is known."""
    right, nothing = np.broadcast_to(own, jacobian.shape), np.zeros_like(value)
    found = Influence(value, variances, jacobian, right, 0, nothing, shared=shared_errors(outcome, len(jacobian)))
    if outcome.covariance is None:
        return found
    sizes, vectors = np.linalg.eigh(outcome.covariance)
    of_shots = (vectors * np.sqrt(np.maximum(sizes, 0.0))).T
    return JointInfluence(**vars(found), joint=all_errors(of_shots, found.weights))


def overlap(outcome: Outcome, template: Template, first: np.ndarray, second: np.ndarray) -> Influence:
    """The frequency of all zeros times (first·secondᵀ + second·firstᵀ)."""
    frequency, variance = zeros_frequency(outcome, template)
    half = np.outer(first, second)
    return Influence(
        frequency * (half + half.T), np.array([variance]), first[None], second[None], 0, np.zeros_like(half)
    )
