"""Whether one method arrives from more starts than another by more than chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.stats import binomtest

LEVEL = 0.01  # of the chance that a rival as good as the other is ahead as far


def ahead(theirs: Sequence[bool], ours: Sequence[bool]) -> float:
    """How likely a rival that is no better would arrive from so many more of the same starts (a sign test of the starts
    from which only one of the two arrives).

    >>> ahead([True, True, False], [True, False, False])
    0.5
    """
    one, other = np.asarray(theirs, dtype=bool), np.asarray(ours, dtype=bool)
    differ = int(np.sum(one != other))
    return float(binomtest(int(np.sum(one & ~other)), differ, 0.5, "greater").pvalue) if differ else 1.0


def surely_ahead(arrived: Mapping[str, Sequence[bool]], ours: str) -> list[str]:
    """The methods that arrive from more starts than `ours` by more than chance."""
    return [name for name, theirs in arrived.items() if name != ours and ahead(theirs, arrived[ours]) < LEVEL]
