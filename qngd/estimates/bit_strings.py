"""Bit strings with their probabilities and energies: what a search for the best one ends with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from qngd.errors import counted


class BitString(NamedTuple):
    """One bit string, rightmost bit qubit 0, its energy, and its probability or the share of the shots it had."""

    bits: str
    energy: float
    probability: float


@dataclass(frozen=True, eq=False)
class BitStrings:
    """Measured bit strings of a diagonal observable, or what would be measured, each once.

    Attributes:
        ones: (U, n), column q for qubit q.
        energies: (U,), the observable's value at each.
        probabilities: (U,); shares of the shots where there were any. Of an exact state only the most probable strings
            and the lowest in energy are kept.
        shots: how many; 0 where the probabilities are exact.
        measured: (n,), which qubits were read; an unread one is shown as "-".

    >>> found = BitStrings(np.array([[0, 1], [1, 1]], dtype=bool), np.array([-1.0, 1.0]), np.array([0.75, 0.25]), 100)
    >>> found.best(1)
    [BitString(bits='10', energy=-1.0, probability=0.75)]
    >>> found.counts
    Counter({'10': 75, '11': 25})
    """

    ones: np.ndarray
    energies: np.ndarray
    probabilities: np.ndarray
    shots: int = 0
    measured: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.energies)

    def __repr__(self) -> str:
        kind = counted(self.shots, "shot") if self.shots else "exact"
        return f"BitStrings({kind}; best: {self.best(1)[0] if len(self) else 'none'})"

    @property
    def counts(self) -> Counter[str]:
        """How often each was seen; empty where the probabilities are exact."""
        seen = np.rint(self.probabilities * self.shots).astype(int)
        return Counter({label: int(k) for label, k in zip(self._labels(range(len(self))), seen, strict=True) if k})

    def on(self, num_qubits: int, idle: np.ndarray) -> BitStrings:
        """The same on more qubits, of which the `idle` ones are 0 without being measured."""
        ones = np.zeros((len(self), num_qubits), dtype=bool)
        ones[:, : self.ones.shape[1]] = self.ones
        measured = np.zeros(num_qubits, dtype=bool)
        measured[: self.ones.shape[1]] = True if self.measured is None else self.measured
        measured[idle] = True
        return replace(self, ones=ones, measured=measured)

    def best(self, count: int = 5) -> list[BitString]:
        """The lowest in energy, of equals the more probable first."""
        return self._listed(np.lexsort((-self.probabilities, self.energies))[:count])

    def most_probable(self, count: int = 5) -> list[BitString]:
        """The most probable, of equals the lower in energy first."""
        return self._listed(np.lexsort((self.energies, -self.probabilities))[:count])

    @property
    def probability_of_best(self) -> float:
        """How probable it is to measure one of the lowest energy seen here."""
        if not len(self):
            return 0.0
        least = self.energies.min()
        near = np.abs(self.energies - least) <= 1e-9 * max(1.0, float(np.abs(self.energies).max()))
        return float(self.probabilities[near].sum())

    def _listed(self, rows: np.ndarray) -> list[BitString]:
        values = zip(self._labels(rows), self.energies[rows], self.probabilities[rows], strict=True)
        return [BitString(label, float(energy), float(weight)) for label, energy, weight in values]

    def _labels(self, rows: Iterable[int]) -> list[str]:
        chosen = self.ones[list(rows)]
        letters = np.where(chosen, "1", "0")
        if self.measured is not None:
            letters = np.where(self.measured, letters, "-")
        return ["".join(row) for row in letters[:, ::-1]]
