"""The tail of a distribution of energies: quantile, and the mean of the lowest part (CVaR, arXiv:1907.04769).

With q the α-quantile of E, the lower tail's mean is that of h(E) = min(E − q, 0)/α + q, and as q is where
max_q ⟨min(E − q, 0)/α + q⟩ is reached, its derivative is that of ⟨h⟩ with q held fixed. That maximum also says which
way a sample errs: its own tail lies too high on average, by O(1/(αN)) of the tail's spread.
"""

from __future__ import annotations

import numpy as np


def quantile(energies: np.ndarray, weights: np.ndarray, alpha: float) -> float:
    """The lowest energy q with Σ_{E ≤ q} weights ≥ α·Σ weights; `energies` (U,) in any order."""
    order = np.argsort(energies, kind="stable")
    filled = np.cumsum(weights[order])
    # rounding of the sum must not push the quantile over the next gap
    wanted = alpha * filled[-1] * (1 - 8 * np.finfo(float).eps)
    place = min(int(np.searchsorted(filled, wanted)), len(order) - 1)
    return float(energies[order[place]])


def tail_function(energies: np.ndarray, q: float, alpha: float) -> np.ndarray:
    """h(E) = min(E − q, 0)/α + q, whose mean is the tail's, shape (U,)."""
    return np.minimum(energies - q, 0.0) / alpha + q
