"""Entries of the metric from one circuit, and their errors by influence functions: what each shot moves.

To first order an estimated matrix M is off by a mean over N shots, M − M₀ ≈ Σ_u w_u·A_u, with frequencies w_u of
distinct outcomes and A_u = y_u z_uᵀ + z_u y_uᵀ, so

    Var M_ab = [Σ_u w_u A_u,ab² − (Σ_u w_u A_u,ab)²]/(N − 1)   and the second order.

For expectation values with independent errors the sum runs over these, and w_u are their variances.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qngd.outcomes import Counts, Means, Outcome, weighted_values, zeros_frequency
from qngd.template import Template


@dataclass(frozen=True, eq=False)
class Influence:
    """An estimate `value` (p, p) and what moves it.

    Attributes:
        weights: (U,) frequencies of the outcomes, or variances of independent numbers.
        left, right: y and z, (U, p).
        shots: N, or 0 for independent numbers.
        bend: (p, p), the second order of the variance; infinite where nothing is known.
    """

    value: np.ndarray
    weights: np.ndarray
    left: np.ndarray
    right: np.ndarray
    shots: int
    bend: np.ndarray

    @property
    def variance(self) -> np.ndarray:
        """Of every entry, (p, p)."""
        return self.first_order + self.bend

    @property
    def first_order(self) -> np.ndarray:
        """The part of the variance that falls as 1/N, (p, p)."""
        weights = self.weights[:, None]
        product = self.left * self.right
        apart = (weights * self.left**2).T @ self.right**2
        squares = apart + apart.T + 2 * (weights * product).T @ product
        half = (weights * self.left).T @ self.right
        return np.maximum(self._spread(squares, half + half.T), 0.0)

    def along(self, matrix: np.ndarray, vector: np.ndarray) -> float:
        """Σ of the variances of the components of matrix·M·vector, `matrix` (q, p), to first order."""
        moved = self.left * (self.right @ vector)[:, None] + self.right * (self.left @ vector)[:, None]
        return self._total(moved @ matrix.T)

    def _total(self, moved: np.ndarray) -> float:
        return float(self._spread(self.weights @ moved**2, self.weights @ moved).sum())

    def _spread(self, squares: np.ndarray, mean: np.ndarray) -> np.ndarray:
        return squares if not self.shots else (squares - mean**2) / max(self.shots - 1, 1)


class DiagonalInfluence(Influence):
    """An estimate of a diagonal matrix: A_u is diagonal and holds y_u."""

    @property
    def first_order(self) -> np.ndarray:
        return np.diag(np.maximum(self._spread(self.weights @ self.left**2, self.weights @ self.left), 0.0))

    def along(self, matrix: np.ndarray, vector: np.ndarray) -> float:
        return self._total((self.left * vector) @ matrix.T)


def covariance(
    outcome: Outcome, template: Template, jacobian: np.ndarray, elsewhere: np.ndarray | float = 0.0
) -> Influence:
    """The covariance (p, p) of the sums jacobianᵀ·strings, `jacobian` (m, p).

    From counts it is the unbiased sample covariance S, never indefinite; the second order of its variance is
    (S_aa S_bb + S_ab²)/(N(N−1)). `elsewhere` (p,) are sums of means of other circuits, whose products with the
    means of these sums are taken from the matrix in other parts; their errors through these means are counted here.
    """
    if isinstance(outcome, Means):
        return _covariance_of_means(outcome, jacobian, elsewhere)
    weights, centred = _centred(outcome, template, jacobian)
    if outcome.shots < 2:
        return _unknown(jacobian)
    matrix = _symmetric((weights[:, None] * centred).T @ centred) * (outcome.shots / (outcome.shots - 1))
    variances = np.diag(matrix)
    bend = (np.outer(variances, variances) + matrix**2) / (outcome.shots * (outcome.shots - 1))
    return Influence(matrix, weights, centred, 0.5 * centred - elsewhere, outcome.shots, bend)


def _covariance_of_means(outcome: Means, jacobian: np.ndarray, elsewhere: np.ndarray | float) -> Influence:
    """From expectation values of the strings and of their products, whose errors are independent, so that unlike
    a sample covariance the result can be indefinite."""
    count = len(jacobian)
    means, products = outcome.values[:count], np.eye(count)
    i, j = np.triu_indices(count, 1)
    products[i, j] = products[j, i] = outcome.values[count:]
    everywhere = np.broadcast_to(jacobian.T @ means + elsewhere, jacobian.shape)
    return Influence(
        value=_symmetric(jacobian.T @ (products - np.outer(means, means)) @ jacobian),
        weights=outcome.stderr**2,
        left=np.concatenate([-jacobian, jacobian[i]]),
        right=np.concatenate([everywhere, jacobian[j]]),
        shots=0,
        bend=np.zeros((jacobian.shape[1],) * 2),
    )


def diagonal(
    outcome: Outcome,
    template: Template,
    jacobian: np.ndarray,
    block: np.ndarray,
    elsewhere: np.ndarray | float = 0.0,
) -> Influence:
    """The diagonal (p, p) of the covariance of the sums jacobianᵀ·strings, without what correlates different blocks:
    Σ_b Var(Σ_{k in b} jacobian_ka·string k) for every a, where `block` (m,) numbers the blocks.

    The second order of its variance is 2 Σ_bc S_ba,ca²/(N(N−1)), S the covariance of the sums of block and parameter.
    """
    if isinstance(outcome, Counts) and outcome.shots < 2:
        return _unknown(jacobian)
    size = jacobian.shape[1]
    sums, owner = _block_sums(jacobian, block)
    select = (owner[:, None] == np.arange(size)).astype(float)
    outside = np.broadcast_to(elsewhere, (size,))[owner]
    found = covariance(outcome, template, sums, outside)
    left = 2 * (found.left * found.right) @ select
    value = np.diag(np.diag(found.value) @ select)
    bend = np.zeros_like(value)
    if found.shots:
        squares = 2 * found.value**2 / (found.shots * (found.shots - 1))
        bend = np.diag(((squares @ select) * select).sum(axis=0))
    return DiagonalInfluence(value, found.weights, left, left, found.shots, bend)


def _block_sums(jacobian: np.ndarray, block: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For every block and parameter that moves it the column (m,) of `jacobian` there, side by side (m, q), and the
    parameters (q,)."""
    numbers, place = np.unique(block, return_inverse=True)
    moved = np.zeros((len(numbers), jacobian.shape[1]), dtype=bool)
    np.logical_or.at(moved, place, jacobian != 0)
    row, owner = np.nonzero(moved)
    return np.where(place[:, None] == row, jacobian[:, owner], 0.0), owner


def correlations(
    outcome: Outcome, template: Template, jacobian: np.ndarray, own: np.ndarray, products: np.ndarray
) -> Influence:
    """Σ_k (⟨string k⟩ − products_k)·(own·J_kᵀ + J_k·ownᵀ), with J_k (p,) the rows of `jacobian` and `own` (p,)."""
    count, shots = len(jacobian), outcome.shots
    if isinstance(outcome, Means):
        means, weights, left, shots = outcome.values[:count], outcome.stderr[:count] ** 2, jacobian, 0
    else:
        values, weights = weighted_values(outcome, template, np.eye(count)), outcome.counts / shots
        means = weights @ values
        left = (values - means) @ jacobian
        if shots < 2:  # nothing is known of the spread but its bound
            weights, left, shots = np.ones(1), np.abs(jacobian).sum(axis=0)[None], 0
    half = np.outer((means - products) @ jacobian, own)
    return Influence(half + half.T, weights, left, np.broadcast_to(own, left.shape), shots, np.zeros_like(half))


def overlap(outcome: Outcome, first: np.ndarray, second: np.ndarray) -> Influence:
    """The frequency of all zeros times (first·secondᵀ + second·firstᵀ)."""
    frequency, variance = zeros_frequency(outcome)
    half = np.outer(first, second)
    return Influence(
        frequency * (half + half.T), np.array([variance]), first[None], second[None], 0, np.zeros_like(half)
    )


def _centred(outcome: Counts, template: Template, jacobian: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies (U,) of the distinct outcomes and their centred sums (U, p)."""
    values = weighted_values(outcome, template, jacobian)
    weights = outcome.counts / outcome.shots
    return weights, values - weights @ values


def _unknown(jacobian: np.ndarray) -> Influence:
    """After a single shot: zero, with an infinite error where it enters."""
    size = jacobian.shape[1]
    enters = (jacobian != 0).any(axis=0)
    bend = np.where(np.logical_or.outer(enters, enters), np.inf, 0.0)
    nothing = np.zeros((1, size))
    return Influence(np.zeros((size, size)), np.ones(1), nothing, nothing, 1, bend)


def _symmetric(matrix: np.ndarray) -> np.ndarray:
    return 0.5 * (matrix + matrix.T)
