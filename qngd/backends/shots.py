"""One number of shots for a whole job: circuits that need more are run several times.

Devices take one number of shots (or one precision) per job, and a step is one job.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

CIRCUIT_START = 20  # shots that the start of a circuit is taken to cost where its provider says nothing
_MOST_COPIES = 64  # of the circuit with the most shots, unless the most shots of a circuit force more
_COPIES, _NUMBERS = 12, 32  # of circuits with other numbers of shots, and how many such numbers are looked at


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


def equal_shots(wanted: Sequence[int], most: float = np.inf, start: float = CIRCUIT_START) -> Repetitions:
    """The division into circuits of equal shots, at most `most` each, that gives request r at least `wanted[r]` and
    costs least, where every circuit costs its shots and `start` more to be started.

    With n circuits of u shots that is n·(u + start): few shots are rounded up rather than run by many circuits, many
    are run by several circuits rather than rounded up far. Of equal costs the one with the fewest circuits.

    >>> equal_shots([4000, 1000, 2000]).copies
    array([4, 1, 2])
    >>> equal_shots([18, 22, 20]).copies
    array([1, 1, 1])
    """
    shots = np.array(wanted, dtype=np.int64)
    if not len(shots):
        return Repetitions(0, shots)
    numbers, counts = np.unique(shots, return_counts=True)
    units = _units(numbers, most)
    circuits = -(-numbers // units[:, None]) @ counts
    unit = units[np.argmin(circuits * (units + start))]
    return Repetitions(int(unit), -(-shots // unit))


def _units(numbers: np.ndarray, most: float) -> np.ndarray:
    """Shots of a circuit, the most first, of which one is near the best where these `numbers` (D,), in ascending order,
    are wanted. The circuits become more only where a unit falls below ⌈N/k⌉ for a number N, so these are the best; of
    many numbers some are looked at, and all k of the largest."""
    fewest = max(1, math.ceil(numbers[-1] / most))
    some = numbers[np.unique(np.linspace(0, len(numbers) - 1, _NUMBERS).astype(int))]
    units = np.concatenate([
        -(-numbers[-1] // np.arange(fewest, fewest + _MOST_COPIES)),
        -(-some // np.arange(1, _COPIES + 1)[:, None]).ravel(),
    ])  # fmt: skip
    return np.unique(units[units <= most])[::-1]
