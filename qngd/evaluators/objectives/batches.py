"""Mini-batches: which samples a step takes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Batches:
    """Samples 0…count−1 in batches of at most `size`: every epoch all of them, in an order that the seed decides, and
    in batches that differ by one sample at most."""

    count: int
    size: int

    @property
    def per_epoch(self) -> int:
        return -(-self.count // self.size)

    @property
    def largest(self) -> int:
        """The most samples that a batch has."""
        return -(-self.count // self.per_epoch)

    def rows(self, index: int, seed: int | None) -> np.ndarray:
        """The samples of batch number `index`, ascending: the same at every call.

        >>> sum((Batches(5, 2).rows(i, 7).tolist() for i in range(3)), []) != [0, 1, 2, 3, 4]
        True
        """
        epoch, place = divmod(index, self.per_epoch)
        order = np.random.default_rng([0 if seed is None else seed, epoch, 3]).permutation(self.count)
        edges = np.arange(self.per_epoch + 1) * self.count // self.per_epoch
        return np.sort(order[edges[place] : edges[place + 1]])


@dataclass(frozen=True, eq=False)
class SameBatch(Batches):
    """Batches that are all of these `samples`, for the price of steps."""

    samples: np.ndarray

    def rows(self, index: int, seed: int | None) -> np.ndarray:
        return self.samples
