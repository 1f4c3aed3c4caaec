"""Metrics made of squared slopes, Σ_s w_s ∂_is ∂_js, from the circuits of shift rules, without the bias of their shots.

A slope is linear in what the requests r measure, ∂_is = Σ_r L_ir s_r. With noise S_r, the covariance of the s_r, the
square of an estimated slope is too large by L·diag(Σ_s w_s S_r,ss)·Lᵀ on average, which is subtracted: the sample's
noise, which is unbiased. For errors S_r is at least what was not seen makes of it (see `outcomes`). Errors that all
requests share, as of a correction of readout, move all slopes together, by δX each; then it is Σδ δXδXᵀ as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from qngd.measured.outcomes import (
    Means,
    Outcome,
    covariance_of_shots,
    moved_together,
    shared_errors,
    unseen,
    weighted_values,
    widened,
)
from qngd.measured.readout import Readout
from qngd.measured.template import Template


@dataclass(frozen=True, eq=False)
class Readings:
    """What the shifted requests (R) of one template measured of its m strings, times the strings' coefficients:
    means (R, m), their covariances (R, m, m), Σ_s S_r,ss as the sample has it (R,), the numbers of shots (R,), infinite
    for independent errors, and L (P, R); and how the errors that all of them share move the means, (C, R, m)."""

    requests: np.ndarray
    linear: sparse.csr_array
    means: np.ndarray
    covariances: np.ndarray
    traces: np.ndarray
    shots: np.ndarray
    shared: np.ndarray

    @property
    def slopes(self) -> np.ndarray:
        """X (P, m), of coefficient times string."""
        return self.linear @ self.means

    @property
    def noise(self) -> np.ndarray:
        """Σ_s S_r,ss (R,); from a single shot, whose noise is unknown, all that it measured."""
        return np.where(self.shots < 2, (self.means**2).sum(axis=1), self.traces)


def readings_of(read: Readout) -> Iterator[Readings]:
    """What the requests of the gradient measured, template by template."""
    plan = read.plan
    linear = plan.linear.tocsc()
    used = np.flatnonzero(np.diff(linear.indptr))
    used = used[[not plan.is_overlap(r) for r in used]]
    of_template = np.array([plan.requests[r].template for r in used], dtype=int)
    for t in np.unique(of_template):
        requests = used[of_template == t]
        weights = plan.coefficients[t]
        assert weights is not None
        parts = [_moments(read.outcomes[r], read.templates[r], weights) for r in requests]
        means, covariances, traces, shots = (np.array(each) for each in zip(*parts, strict=True))
        errors = [shared_errors(read.outcomes[r], len(weights)) * weights for r in requests]
        shared = moved_together(means.shape, (((k,), own) for k, own in enumerate(errors)))
        yield Readings(requests, linear[:, requests].tocsr(), means, covariances, traces, shots, shared)


def _moments(outcome: Outcome, template: Template, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray, float, float]:
    """Means (m,) of the strings times their weights, the covariance of these means by the outcome's own shots (m, m),
    its trace in the sample, and the shots."""
    count = len(weights)
    least = np.where(template.independent[0] < 0, 0.0, weights**2 * unseen(outcome.shots))
    if isinstance(outcome, Means):
        covariance = weights[:, None] * covariance_of_shots(outcome, count) * weights
        errors = np.diag(covariance)
        wide = covariance + np.diag(widened(errors, least) - errors)
        return weights * outcome.values[:count], wide, float(errors.sum()), np.inf
    values = weighted_values(outcome, template, np.diag(weights))
    frequencies = outcome.counts / outcome.shots
    mean = frequencies @ values
    centred = values - mean
    covariance = (frequencies[:, None] * centred).T @ centred / max(outcome.shots - 1, 1)
    variances = np.diag(covariance)
    if outcome.shots > 1:
        covariance = covariance + np.diag(widened(variances, least) - variances)
    return mean, covariance, float(variances.sum()), float(outcome.shots)


def variances_of(readings: Readings, slopes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Variances of the entries of XXᵀ − L·diag(noise)·Lᵀ.

    With noise e_r in request r, δ_ij = Σ_r (L_ir X_j + L_jr X_i)·e_r + Σ_rq L_ir L_jq (e_r·e_q − its mean), whose two
    parts are uncorrelated. G_rq = tr(S_r S_q) gives the second's variance,

        V_ij = Σ_rq G_rq (L_ir² L_jq² + L_ir L_jr L_iq L_jq),   G_rr times N/(N−1),

    and an estimated X in place of X makes the first's too large by 2V on average.
    Returns the unbiased variance, which can be negative, and V.
    """
    linear, size = readings.linear, len(slopes)
    squares = linear.multiply(linear).tocsr()
    turned = np.stack([slopes @ each for each in readings.covariances])  # (R, P, m)
    apart = squares @ np.einsum("rpm,pm->rp", turned, slopes)
    first = apart + apart.T
    columns = linear.tocsc()
    pairs, places, products = [], [], []
    for r, each in enumerate(turned):
        span = slice(columns.indptr[r], columns.indptr[r + 1])
        rows, weights = columns.indices[span], columns.data[span]
        product = np.outer(weights, weights)
        first[np.ix_(rows, rows)] += 2 * product * (each[rows] @ slopes[rows].T)
        pairs.append((rows[:, None] * size + rows).ravel())
        places.append(np.full(product.size, r))
        products.append(product.ravel())
    gram = _gram(readings)
    second = squares @ (squares @ gram).T
    entries = (np.concatenate(products), (np.concatenate(pairs), np.concatenate(places)))
    both = sparse.coo_array(entries, shape=(size * size, len(turned))).tocsr()  # L_ir L_jr
    rows = np.flatnonzero(np.diff(both.indptr))
    second.ravel()[rows] += both[rows].multiply(both[rows] @ gram).sum(axis=1)
    unknown = (both @ (readings.shots < 2) != 0).reshape(size, size)
    return np.where(unknown, np.inf, first - second), second


def _gram(readings: Readings) -> np.ndarray:
    """tr(S_r S_q), (R, R), with N/(N−1) on the diagonal."""
    flat = readings.covariances.reshape(len(readings.covariances), -1)
    gram = flat @ flat.T
    finite = np.isfinite(readings.shots) & (readings.shots > 1)
    counts = np.where(finite, readings.shots, 2.0)
    np.fill_diagonal(gram, np.diag(gram) * np.where(finite, counts / (counts - 1), 1.0))
    return gram
