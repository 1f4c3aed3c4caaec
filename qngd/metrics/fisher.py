"""The classical Fisher information in a basis, from counts of shifted circuits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from qngd.errors import BackendError
from qngd.measured.outcomes import Counts, Means, Outcome


@dataclass(frozen=True, eq=False)
class BasisTerm:
    """The Fisher information in one random basis: the probabilities p of the outcomes are the frequencies of request
    `center`, and ∂p (P, outcomes) is `linear` (P, R) times the frequencies (R, outcomes) of all requests."""

    center: int
    linear: sparse.csr_array

    @property
    def requests(self) -> set[int]:
        """All of them."""
        return {self.center, *self.linear.indices.tolist()}


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
