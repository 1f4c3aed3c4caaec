"""One number of shots for a whole job: circuits that need more are run several times.

Devices take one number of shots (or one precision) per job, and a step is one job.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_EXCESS = 0.05  # of all shots; more than asked for is acceptable up to this
_MOST_COPIES = 64  # of the circuit with the most shots, unless the most shots of a circuit force more


@dataclass(frozen=True, eq=False)
class Repetitions:
    """Every circuit runs with `shots` shots, that of request r `copies[r]` times: at least what was asked
    for."""

    shots: int
    copies: np.ndarray

    @property
    def rows(self) -> np.ndarray:
        """The request of every circuit, in the order of the requests."""
        return np.repeat(np.arange(len(self.copies)), self.copies)


def equal_shots(wanted: Sequence[int], most: float = np.inf) -> Repetitions:
    """The fewest circuits of equal shots, at most `most` each, that give request r at least `wanted[r]`, and in total
    at most 5 % more than wanted; where no such division is found, the one with the least excess.

    >>> equal_shots([4000, 1000, 2000]).copies
    array([4, 1, 2])
    """
    shots = np.array(wanted, dtype=np.int64)
    if not len(shots):
        return Repetitions(0, shots)
    best, least = None, np.inf
    fewest = max(1, math.ceil(shots.max() / most))
    for times in range(fewest, fewest + _MOST_COPIES):  # of the circuit with the most shots
        unit = -(-shots.max() // times)
        copies = -(-shots // unit)
        excess = float((copies * unit - shots).sum() / shots.sum())
        if excess < least:
            best, least = Repetitions(int(unit), copies), excess
        if least <= _EXCESS:
            break
    assert best is not None
    return best
