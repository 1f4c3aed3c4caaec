"""Shots for a device with one number of them for all circuits of a job, where a circuit that needs more runs several
times."""

from __future__ import annotations

import numpy as np

_MOST_PARTS = 32  # of the circuit with the most shots


def in_equal_parts(wanted: np.ndarray, start: float, least: int = 1) -> np.ndarray:
    """The division (R,) into circuits of equal shots that is worth most and costs no more than one circuit for every
    request with the shots of `wanted` (R,) on average, where `wanted`, all at least `least`, is the best division, and
    the start of a circuit costs as much as `start` shots. Every request gets at least `least`.

    Where N_r shots are best, a request's part of the variance at n_r shots is N_r²/n_r, up to a factor that all share.
    With k_r circuits of u shots each the cost is Σ k_r·(u + start): of the u that this leaves for Σ N_r + R·start the
    division with the least variance Σ N_r²/(k_r·u) is taken. So circuits that are run again are paid for by fewer
    shots. With one circuit for every request, which is the first that is tried, that is an equal division.

    >>> in_equal_parts(np.array([30, 10, 20]), start=20)
    array([20, 20, 20])
    >>> in_equal_parts(np.array([3000, 1000, 2000]), start=20)
    array([2970,  990, 1980])
    """
    if not len(wanted):
        return wanted
    total, largest = int(wanted.sum()), int(wanted.max())
    best, lowest = wanted, np.inf
    for parts in range(1, _MOST_PARTS + 1):
        circuits = np.maximum(1, np.round(parts * wanted / largest).astype(np.int64))
        count = int(circuits.sum())
        started = start * (count - len(wanted)) if count > len(wanted) else 0.0
        if (unit := (total - started) // count) * int(circuits.min()) < max(least, 1):
            continue
        variance = float((wanted**2.0 / circuits).sum() / unit)
        if variance < lowest:
            best, lowest = circuits * int(unit), variance
    return best
