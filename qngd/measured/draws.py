"""Sums estimated from a random part of their terms.

By Rao, Hartley and Cochran (doi:10.1111/j.2517-6161.1962.tb00468.x): N terms x_i with sizes p_i, Σp_i = 1, are divided
at random into n groups of N_g terms, and from each group one is drawn, with the probability p_i/P_g, P_g = Σ_{i∈g} p_i:

    X̂ = Σ_g x_g P_g/p_g,     Var X̂ ≈ f·Σ_g P_g (x_g/p_g − X̂)²,    f = (ΣN_g² − N)/(N² − ΣN_g²),

both unbiased. No term is drawn twice, and with n = N all are and f = 0. Where the terms have errors of their own with
variances v_i, the same formula with what was found in place of x, plus Σ_g v_g P_g/p_g, is unbiased for the whole
variance (Raj, doi:10.1080/01621459.1966.10480875).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Draw:
    """What was drawn from the N terms of one sum: their places (n,), the shares P_g (n,) of their groups, P_g/p_g (n,)
    by which they count, and f."""

    places: np.ndarray
    shares: np.ndarray
    ratios: np.ndarray
    factor: float

    def covariance(self, terms: np.ndarray, variances: np.ndarray, along: np.ndarray) -> np.ndarray:
        """The covariance (P, P) of the sum of x_i·u_i: from the drawn x (n,), their own variances (n,), u (n, P)."""
        scaled = (self.ratios / self.shares * terms)[:, None] * along
        apart = scaled - self.shares @ scaled
        own = (self.ratios * variances * along.T) @ along
        found: np.ndarray = self.factor * (self.shares * apart.T) @ apart + own
        return found


def draw(sizes: np.ndarray, count: int, rng: np.random.Generator) -> Draw:
    """Draw `count` of the terms with these sizes (N,), all of them positive."""
    total = len(sizes)
    if count >= total:
        return Draw(np.arange(total), sizes / sizes.sum(), np.ones(total), 0.0)
    chances = sizes / sizes.sum()
    groups = np.array_split(rng.permutation(total), count)
    shares = np.array([chances[group].sum() for group in groups])
    within = (chances[group] / share for group, share in zip(groups, shares, strict=True))
    places = np.array([rng.choice(group, p=p / p.sum()) for group, p in zip(groups, within, strict=True)])
    squares = sum(len(group) ** 2 for group in groups)
    return Draw(places, shares, shares / chances[places], (squares - total) / (total**2 - squares))


def shared_out(count: int, sizes: Sequence[int], weights: np.ndarray, least: int) -> np.ndarray:
    """`count` draws over sums of so many terms each, in proportion to their weights, at least `least` from each or
    all of its terms."""
    limits = np.array(sizes)
    found = np.minimum(limits, least)
    for _ in range(max(count - int(found.sum()), 0)):
        behind = np.where(found < limits, found / np.maximum(weights, 1e-300), np.inf)
        if not np.isfinite(behind).any():
            break
        found[int(behind.argmin())] += 1
    return found
