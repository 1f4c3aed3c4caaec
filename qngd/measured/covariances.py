"""A block of the metric from the joint samples of one circuit: covariances of sums of its strings, and their errors."""

from __future__ import annotations

import numpy as np

from qngd.measured.influence import DiagonalInfluence, Influence, JointInfluence, all_errors
from qngd.measured.outcomes import (
    Counts,
    Means,
    Outcome,
    centred_sums,
    covariance_of_means,
    means,
    shared_errors,
    unseen,
    variances_of_shots,
    widened,
)
from qngd.measured.template import Template


def covariance(
    outcome: Outcome, template: Template, jacobian: np.ndarray, elsewhere: np.ndarray | float = 0.0
) -> Influence:
    """The covariance (p, p) of the sums jacobianᵀ·strings, `jacobian` (m, p).

    From counts it is the unbiased sample covariance S, never indefinite. With M_ab the mean of c_a²c_b², c the centred
    sums, the first order of its variance is (M_ab − S_ab²)/N, whose estimate is too large by
    (2 S_aa S_bb + 7 S_ab² − 5 M_ab)/N², and the second order is (S_aa S_bb + S_ab²)/(N(N−1)); for what was not seen see
    `_least_of_covariance`. `elsewhere` (p,) are sums of
    means of other circuits, whose products with the means of these sums are taken from the matrix in other parts; their
    errors through these means are counted here.
    """
    if isinstance(outcome, Means):
        return _covariance_of_means(outcome, template, jacobian, elsewhere)
    weights, centred = centred_sums(outcome, template, jacobian)
    if outcome.shots < 2:
        return _unknown(jacobian)
    matrix = _symmetric((weights[:, None] * centred).T @ centred) * (outcome.shots / (outcome.shots - 1))
    variances = np.diag(matrix)
    products = np.outer(variances, variances)
    bend = (products + matrix**2) / (outcome.shots * (outcome.shots - 1))
    excess = (2 * products + 7 * matrix**2 - 5 * _fourth(weights, centred)) / outcome.shots**2
    least = _least_of_covariance(outcome, template, jacobian, elsewhere)
    return Influence(matrix, weights, centred, 0.5 * centred - elsewhere, outcome.shots, bend, least, excess)


def _fourth(weights: np.ndarray, centred: np.ndarray) -> np.ndarray:
    """The means of c_a²c_b² (p, p)."""
    squares = centred**2
    return (weights[:, None] * squares).T @ squares


def _least_of_covariance(
    outcome: Counts, template: Template, jacobian: np.ndarray, elsewhere: np.ndarray | float
) -> np.ndarray:
    """What independent errors v = (2/N)² of the means m_k and of the products q_kl make in Jᵀ(q − m mᵀ)J: with y = Jᵀm
    and the sums over independent strings alone (see `Template.independent`),

        v·[Σ_k (J_ka y_b + J_kb y_a)² + Σ_{k<l} (J_ka J_lb + J_la J_kb)²].
    """
    rows, y = _independent_sums(outcome, template, jacobian, elsewhere)
    squares, gram = rows**2, rows.T @ rows
    sizes = squares.sum(axis=0)
    first = np.outer(sizes, y**2) + np.outer(y**2, sizes) + 2 * np.outer(y, y) * gram
    second = np.outer(sizes, sizes) + gram**2 - 2 * squares.T @ squares
    return unseen(outcome.shots) * (first + np.maximum(second, 0.0))


def _independent_sums(
    outcome: Counts, template: Template, jacobian: np.ndarray, elsewhere: np.ndarray | float
) -> tuple[np.ndarray, np.ndarray]:
    """The sums (r, p) over independent strings alone, and their means y (p,) with those of elsewhere."""
    rows = template.reduced(jacobian)
    mean = np.zeros(len(rows))
    place, sign = template.independent
    mean[place[place >= 0]] = (sign * means(outcome, template)[0])[place >= 0]
    return rows, rows.T @ mean + elsewhere


def _covariance_of_means(
    outcome: Means, template: Template, jacobian: np.ndarray, elsewhere: np.ndarray | float
) -> Influence:
    """From expectation values of the strings and of their products, so that unlike a sample covariance the result can
    be indefinite. Their errors are independent where nothing more is known. A product of two means is too large by
    their covariance on average, which is taken off.

    With C the covariance of the sums of means, the second order of the variance is C_aa C_bb + C_ab², and an estimated
    first order is too large by twice that."""
    count = len(jacobian)
    middle, joint = outcome.values[:count], covariance_of_means(outcome, count)
    products = np.eye(count) + joint
    i, j = np.triu_indices(count, 1)
    products[i, j] += outcome.values[count:]
    products[j, i] += outcome.values[count:]
    everywhere = np.broadcast_to(jacobian.T @ middle + elsewhere, jacobian.shape)
    place, _ = template.independent
    uncertain = np.concatenate([place >= 0, place[i] != place[j]])
    moved = _symmetric(jacobian.T @ joint @ jacobian)
    second = np.outer(np.diag(moved), np.diag(moved)) + moved**2
    found = Influence(
        value=_symmetric(jacobian.T @ (products - np.outer(middle, middle)) @ jacobian),
        weights=widened(variances_of_shots(outcome, len(uncertain)), unseen(outcome.shots) * uncertain),
        left=np.concatenate([-jacobian, jacobian[i]]),
        right=np.concatenate([everywhere, jacobian[j]]),
        shots=0,
        bend=second,
        excess=2 * second,
        shared=shared_errors(outcome, len(uncertain)),
    )
    if outcome.joint is None:
        return found
    return JointInfluence(**vars(found), joint=all_errors(outcome.joint, found.weights))


def diagonal(
    outcome: Outcome,
    template: Template,
    jacobian: np.ndarray,
    block: np.ndarray,
    elsewhere: np.ndarray | float = 0.0,
) -> Influence:
    """The diagonal (p, p) of the covariance of the sums jacobianᵀ·strings, without what correlates different blocks:
    Σ_b Var(Σ_{k in b} jacobian_ka·string k) for every a, where `block` (m,) numbers the blocks.

    With S the covariance of the sums of block and parameter, and M the mean of the products of their squares, the
    second order of its variance is 2 Σ_bc S_ba,ca²/(N(N−1)), and the first comes out too large by
    Σ_bc (5 S_ba,ba S_ca,ca + 4 S_ba,ca² − 5 M_ba,ca)/N²; for what was not seen see `_least_of_diagonal`.
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
    if isinstance(outcome, Means):
        moved = sums.T @ covariance_of_means(outcome, len(sums)) @ sums
        bend = np.diag(((2 * moved**2 @ select) * select).sum(axis=0))
        weights, shared = found.weights, found.shared @ left
        if isinstance(found, JointInfluence):
            left = found.joint @ left
            weights = np.ones(len(left))
        return DiagonalInfluence(value, weights, left, left, 0, bend, excess=2 * bend, shared=shared)
    squares = 2 * found.value**2 / (found.shots * (found.shots - 1))
    bend = np.diag(((squares @ select) * select).sum(axis=0))
    variances = np.diag(found.value)
    beyond = 5 * np.outer(variances, variances) + 4 * found.value**2 - 5 * _fourth(found.weights, found.left)
    excess = np.diag(((beyond @ select) * select).sum(axis=0)) / found.shots**2
    least = np.diag(_least_of_diagonal(outcome, template, sums, outside, select))
    return DiagonalInfluence(value, found.weights, left, left, found.shots, bend, least, excess)


def _least_of_diagonal(
    outcome: Counts, template: Template, sums: np.ndarray, elsewhere: np.ndarray | float, select: np.ndarray
) -> np.ndarray:
    """What the errors of `_least_of_covariance` make in the variances of the `sums` (m, q) of block and parameter,
    added up over the blocks, (p,); `select` (q, p) says which parameter."""
    rows, y = _independent_sums(outcome, template, sums, elsewhere)
    slopes, sizes = (2 * rows * y) @ select, rows**2 @ select
    products = ((rows.T @ rows) ** 2 @ select * select).sum(axis=0) - (sizes**2).sum(axis=0)
    return unseen(outcome.shots) * ((slopes**2).sum(axis=0) + 2 * np.maximum(products, 0.0))


def _block_sums(jacobian: np.ndarray, block: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For every block and parameter that moves it the column (m,) of `jacobian` there, side by side (m, q), and the
    parameters (q,)."""
    numbers, place = np.unique(block, return_inverse=True)
    moved = np.zeros((len(numbers), jacobian.shape[1]), dtype=bool)
    np.logical_or.at(moved, place, jacobian != 0)
    row, owner = np.nonzero(moved)
    return np.where(place[:, None] == row, jacobian[:, owner], 0.0), owner


def _unknown(jacobian: np.ndarray) -> Influence:
    """After a single shot: zero, with an infinite error where it enters."""
    size = jacobian.shape[1]
    enters = (jacobian != 0).any(axis=0)
    bend = np.where(np.logical_or.outer(enters, enters), np.inf, 0.0)
    nothing = np.zeros((1, size))
    return Influence(np.zeros((size, size)), np.ones(1), nothing, nothing, 1, bend)


def _symmetric(matrix: np.ndarray) -> np.ndarray:
    return 0.5 * (matrix + matrix.T)
