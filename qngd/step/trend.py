"""What the energies of a run so far say about how it goes on, in little memory.

A trend is an array (n, 3), a row for one energy or several in succession: the sums of their weights w, of w·E and of
w²·Var E.
"""

from __future__ import annotations

import numpy as np

from qngd.estimates.estimate import Estimate

_ROWS = 60  # of a trend at most; then the two neighbours that weigh least together become one

NOTHING = np.zeros((0, 3))


def followed(trend: np.ndarray, energy: Estimate, weight: float) -> np.ndarray:
    """The trend with one more energy, of this weight."""
    value, error = float(energy.value), float(energy.stderr)
    longer = np.vstack([trend, [weight, weight * value, (weight * error) ** 2]])
    if len(longer) <= _ROWS:
        return longer
    lightest = int(np.argmin(longer[:-1, 0] + longer[1:, 0]))
    longer[lightest + 1] += longer[lightest]
    return np.delete(longer, lightest, axis=0)


def may_have_fallen(trend: np.ndarray) -> float:
    """By how much the energy fell from the second third of all weights to the last, and one standard error more; less
    than 0 where it rose by more than that, 0 where one energy has the weight of a third."""
    weights = np.cumsum(trend[:, 0])
    last = weights > 2 / 3 * weights[-1]
    second = (weights > weights[-1] / 3) & ~last
    before, after = trend[second].sum(axis=0), trend[last].sum(axis=0)
    if not (before[0] and after[0]):
        return 0.0
    fallen = before[1] / before[0] - after[1] / after[0]
    return float(fallen + np.hypot(np.sqrt(before[2]) / before[0], np.sqrt(after[2]) / after[0]))
