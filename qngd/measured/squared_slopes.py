"""Metrics made of squared slopes, Σ_s w_s ∂_is ∂_js, from the circuits of shift rules, without the bias of their shots.

A slope is linear in what the requests r measure, ∂_is = Σ_r L_ir s_r. With noise S_r, the covariance of the s_r, the
square of an estimated slope is too large by L·diag(Σ_s w_s S_r,ss)·Lᵀ on average, which is subtracted: the sample's
noise, which is unbiased. For errors S_r is at least what was not seen makes of it (see `outcomes`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from qngd.errors import BackendError
from qngd.measured.outcomes import Counts, Means, Outcome, unseen, weighted_values, widened
from qngd.measured.plan import BasisTerm, Plan
from qngd.measured.template import Template
from qngd.metrics.hamiltonian import scale

# A variance is at least this part of its second order: errors of entries that are nothing but noise come out too large
# (by up to a quarter) rather than now and then as 0.
_LEAST = 0.25


@dataclass(frozen=True, eq=False)
class _Readings:
    """What the shifted requests (R) of one template measured of its m strings, times the strings' coefficients:
    means (R, m), their covariances (R, m, m), Σ_s S_r,ss as the sample has it (R,), the numbers of shots (R,), infinite
    for independent errors, and L (P, R)."""

    requests: np.ndarray
    linear: sparse.csr_array
    means: np.ndarray
    covariances: np.ndarray
    traces: np.ndarray
    shots: np.ndarray

    @property
    def slopes(self) -> np.ndarray:
        """X (P, m), of coefficient times string."""
        return self.linear @ self.means

    @property
    def noise(self) -> np.ndarray:
        """Σ_s S_r,ss (R,); from a single shot, whose noise is unknown, all that it measured."""
        return np.where(self.shots < 2, (self.means**2).sum(axis=1), self.traces)


def hamiltonian_from_shots(plan: Plan, outcomes: Sequence[Outcome]) -> tuple[np.ndarray, np.ndarray, int]:
    """The Hamiltonian-aware metric (P, P), unbiased and perhaps indefinite; the variances of its entries; its shots."""
    size = plan.num_parameters
    value, shots = np.zeros((size, size)), 0
    variance, second = np.zeros((size, size)), np.zeros((size, size))
    factor = _scale(plan)
    for readings in _readings(plan, outcomes):
        slopes = readings.slopes
        bias = (readings.linear * readings.noise) @ readings.linear.T
        value += factor * (slopes @ slopes.T - bias.toarray())
        parts = _variance(readings, slopes)
        variance += factor**2 * parts[0]
        second += factor**2 * parts[1]
        shots += sum(outcomes[r].shots for r in readings.requests)
    return value, np.maximum(variance, _LEAST * second), shots


def step_variances(plan: Plan, outcomes: Sequence[Outcome], inverse: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """What each request adds to the variance of the step inverse·∇E = direction, to first order, (R,).

    Gradient and metric are of the same shots: with noise e_r the step moves by inverse·(L_r(1ᵀe_r) − δT·direction)
    and δT = c(L_r(Xe_r)ᵀ + Xe_rL_rᵀ).
    """
    found = np.zeros(plan.num_circuits)
    factor = _scale(plan)
    for readings in _readings(plan, outcomes):
        slopes = readings.slopes
        along, moved = slopes.T @ direction, inverse @ slopes
        ahead, share = inverse @ readings.linear.toarray(), readings.linear.T @ direction
        for place, request in enumerate(readings.requests):
            change = np.outer(ahead[:, place], 1 - factor * along) - factor * share[place] * moved
            found[request] += float(np.sum((change @ readings.covariances[place]) * change))
    return found


def _scale(plan: Plan) -> float:
    weights = [each for each in plan.coefficients if each is not None]
    return scale(np.concatenate(weights)) if weights else 0.0


def _readings(plan: Plan, outcomes: Sequence[Outcome]) -> Iterator[_Readings]:
    assert plan.mixing is not None
    linear = (plan.mixing @ plan.slopes).tocsc()
    used = np.flatnonzero(np.diff(linear.indptr))
    of_template = np.array([plan.requests[r].template for r in used], dtype=int)
    for t in np.unique(of_template):
        requests = used[of_template == t]
        weights = plan.coefficients[t]
        assert weights is not None
        parts = [_moments(outcomes[r], plan.reading(r), weights) for r in requests]
        means, covariances, traces, shots = (np.array(each) for each in zip(*parts, strict=True))
        yield _Readings(requests, linear[:, requests].tocsr(), means, covariances, traces, shots)


def _moments(outcome: Outcome, template: Template, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray, float, float]:
    """Means (m,) of the strings times their weights, the covariance of these means (m, m), its trace in the sample, and
    the shots."""
    count = len(weights)
    least = np.where(template.independent[0] < 0, 0.0, weights**2 * unseen(outcome.shots))
    if isinstance(outcome, Means):
        errors = (weights * outcome.stderr[:count]) ** 2
        return weights * outcome.values[:count], np.diag(widened(errors, least)), float(errors.sum()), np.inf
    values = weighted_values(outcome, template, np.diag(weights))
    frequencies = outcome.counts / outcome.shots
    mean = frequencies @ values
    centred = values - mean
    covariance = (frequencies[:, None] * centred).T @ centred / max(outcome.shots - 1, 1)
    variances = np.diag(covariance)
    if outcome.shots > 1:
        covariance = covariance + np.diag(widened(variances, least) - variances)
    return mean, covariance, float(variances.sum()), float(outcome.shots)


def _variance(readings: _Readings, slopes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
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
    for r, moved in enumerate(turned):
        span = slice(columns.indptr[r], columns.indptr[r + 1])
        rows, weights = columns.indices[span], columns.data[span]
        product = np.outer(weights, weights)
        first[np.ix_(rows, rows)] += 2 * product * (moved[rows] @ slopes[rows].T)
        pairs.append((rows[:, None] * size + rows).ravel())
        places.append(np.full(product.size, r))
        products.append(product.ravel())
    gram = _gram(readings)
    second = squares @ (squares @ gram).T
    entries = (np.concatenate(products), (np.concatenate(pairs), np.concatenate(places)))
    shared = sparse.coo_array(entries, shape=(size * size, len(turned))).tocsr()
    rows = np.flatnonzero(np.diff(shared.indptr))
    second.ravel()[rows] += shared[rows].multiply(shared[rows] @ gram).sum(axis=1)
    unknown = (shared @ (readings.shots < 2) != 0).reshape(size, size)
    return np.where(unknown, np.inf, first - second), second


def _gram(readings: _Readings) -> np.ndarray:
    """tr(S_r S_q), (R, R), with N/(N−1) on the diagonal."""
    flat = readings.covariances.reshape(len(readings.covariances), -1)
    gram = flat @ flat.T
    finite = np.isfinite(readings.shots) & (readings.shots > 1)
    counts = np.where(finite, readings.shots, 2.0)
    np.fill_diagonal(gram, np.diag(gram) * np.where(finite, counts / (counts - 1), 1.0))
    return gram


def unseen_fisher(term: BasisTerm, outcomes: Sequence[Outcome]) -> np.ndarray:
    """The variances (P, P) that F/2 has at least: every shifted circuit may have outcomes that no shot showed. Their
    frequency is off by 1/N_r and their weight is that of what the centre did not show, N + 1; so the F_ii/2 of a
    parameter without a slope is off by ½Σ_r L_ir²(N + 1)/N_r², and F_ij/2 by the geometric mean."""
    weight = _counts(outcomes[term.center]).shots + 1
    shots = np.array([max(outcome.shots, 1) for outcome in outcomes], dtype=float)
    noise = 0.5 * weight * (term.linear.multiply(term.linear) @ (1 / shots**2))
    return np.outer(noise, noise)


def fisher_from_shots(term: BasisTerm, outcomes: Sequence[Outcome]) -> tuple[np.ndarray, float]:
    """F/2 (P, P) in one basis, perhaps indefinite, and the share of its central shots whose outcome came only once.

    The slopes are those of the outcomes' frequencies. 1/p_l is estimated by w_l = (N+1)/(k_l+1) for k_l of N shots,
    whose mean is (1 − (1−p_l)^{N+1})/p_l, so that outcomes with p_l ≲ 1/N count too little and none too much.
    """
    used = np.flatnonzero(np.diff(term.linear.tocsc().indptr))
    counts = [_counts(outcomes[r]) for r in (term.center, *used)]
    center, *shifted = counts
    every, place = np.unique(np.concatenate([c.bits for c in counts]), axis=0, return_inverse=True)
    edges = np.cumsum([len(c.bits) for c in counts])
    places = np.split(place.reshape(-1), edges[:-1])
    seen = np.zeros(len(every))
    seen[places[0]] = center.counts
    weights = (center.shots + 1) / (seen + 1)
    share = float(center.counts[center.counts == 1].sum() / center.shots)
    if not len(used):
        return np.zeros((term.linear.shape[0],) * 2), share
    shots = np.array([c.shots for c in shifted])
    row = np.repeat(np.arange(len(shifted)), [len(c.bits) for c in shifted])
    frequency = np.concatenate([c.counts for c in shifted]) / shots[row]
    column = np.concatenate(places[1:])
    frequencies = sparse.coo_array((frequency, (row, column)), shape=(len(shifted), len(every))).tocsr()
    linear = term.linear[:, used]
    slopes = linear @ frequencies
    # f(1−f)/(N−1) is the variance of a frequency; of a single shot nothing is known, and its square goes
    spread = np.where(shots[row] < 2, frequency**2, frequency * (1 - frequency) / np.maximum(shots[row] - 1, 1))
    noise = np.bincount(row, weights[column] * spread, minlength=len(shifted))
    matrix = (slopes * weights) @ slopes.T - (linear * noise) @ linear.T
    return 0.5 * matrix.toarray(), share


def _counts(outcome: Outcome) -> Counts:
    if isinstance(outcome, Means):
        raise BackendError(
            'approx="random-basis" needs counts, and this backend gives expectation values; take a sampler, or '
            'approx="block-diag"'
        )
    return outcome
