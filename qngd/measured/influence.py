"""Entries of the metric from one circuit, and their errors by influence functions: what each shot moves.

To first order an estimated matrix M is off by a mean over N shots, M − M₀ ≈ Σ_u w_u·A_u, with frequencies w_u of
distinct outcomes and A_u = y_u z_uᵀ + z_u y_uᵀ, so

    Var M_ab = [Σ_u w_u A_u,ab² − (Σ_u w_u A_u,ab)²]/(N − 1)   and the second order.

For expectation values with independent errors the sum runs over these, and w_u are their variances.

An estimated first order is too large by as much as its own noise, which matters where there is hardly any first order,
as in the variance of a string whose mean is 0: `excess` is taken off again. What is left is unbiased but may be
negative, and counts as `SECOND_LEAST` of the second order at least: errors of such entries come out up to a quarter too
large.

Where the shots agree, that says too little: what they have not shown is not impossible (see `outcomes`). So a variance
is widened by the one that independent errors (2/N)² of all means, and of all products, of strings would make.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from qngd.measured.outcomes import widened

_ROUNDING = 1e-12  # of a variance
SECOND_LEAST = 0.25  # of the second order: what a variance is at least, lest it now and then be 0


@dataclass(frozen=True, eq=False)
class Influence:
    """An estimate `value` (p, p) and what moves it.

    Attributes:
        weights: (U,) frequencies of the outcomes, or variances of independent numbers.
        left, right: y and z, (U, p).
        shots: N, or 0 for independent numbers.
        bend: (p, p), the second order of the variance; infinite where nothing is known.
        least: (p, p), what the variance is at least, for what was not seen; 0 where the weights know of it.
        excess: (p, p), by how much the first order is too large on average.
        shared: (C, U), by how much each of the errors that all outcomes of a submission share moves the numbers; no
            rows where nothing is shared. The variances are without them: they add up over circuits, not as squares.
    """

    value: np.ndarray
    weights: np.ndarray
    left: np.ndarray
    right: np.ndarray
    shots: int
    bend: np.ndarray
    least: np.ndarray | float = 0.0
    excess: np.ndarray | float = 0.0
    shared: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))

    @property
    def variance(self) -> np.ndarray:
        """Of every entry, (p, p)."""
        found = self.first_order + self.bend - self.excess
        return widened(np.maximum(found, SECOND_LEAST * self.bend), self.least)

    @property
    def first_order(self) -> np.ndarray:
        """The part of the variance that falls as 1/N, (p, p)."""
        weights = self.weights[:, None]
        product = self.left * self.right
        apart = (weights * self.left**2).T @ self.right**2
        squares = apart + apart.T + 2 * (weights * product).T @ product
        half = (weights * self.left).T @ self.right
        return np.maximum(self._spread(squares, half + half.T), 0.0)

    def moved(self) -> Iterator[np.ndarray]:
        """How each shared error, one standard error large, moves the estimate, (p, p) of C."""
        for each in self.shared:
            half = (each[:, None] * self.left).T @ self.right
            yield half + half.T

    def along(self, matrix: np.ndarray, vector: np.ndarray) -> float:
        """Σ of the variances of the components of matrix·M·vector, `matrix` (q, p), to first order, widened by what was
        not seen."""
        return float(widened(self._total(self._moved(vector) @ matrix.T), self._least_along(matrix, vector)))

    def _moved(self, vector: np.ndarray) -> np.ndarray:
        """A_u·vector, (U, p)."""
        return self.left * (self.right @ vector)[:, None] + self.right * (self.left @ vector)[:, None]

    def _least_along(self, matrix: np.ndarray, vector: np.ndarray) -> float:
        least = np.broadcast_to(self.least, self.value.shape)
        return float((matrix**2).sum(axis=0) @ least @ vector**2)

    def _total(self, moved: np.ndarray) -> float:
        return float(self._spread(self.weights @ moved**2, self.weights @ moved).sum())

    def _spread(self, squares: np.ndarray, mean: np.ndarray) -> np.ndarray:
        return squares if not self.shots else (squares - mean**2) / max(self.shots - 1, 1)


class DiagonalInfluence(Influence):
    """An estimate of a diagonal matrix: A_u is diagonal and holds y_u. `shared` (C, p) move the diagonal itself."""

    def moved(self) -> Iterator[np.ndarray]:
        return map(np.diag, self.shared)

    @property
    def first_order(self) -> np.ndarray:
        return np.diag(np.maximum(self._spread(self.weights @ self.left**2, self.weights @ self.left), 0.0))

    def _moved(self, vector: np.ndarray) -> np.ndarray:
        return self.left * vector


@dataclass(frozen=True, eq=False)
class JointInfluence(Influence):
    """Of numbers whose errors are not independent: these are moved by `joint` (F, U), how independent errors, one
    standard error large, move each. `weights`, `shots` and `least` count for nothing."""

    joint: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))

    @property
    def first_order(self) -> np.ndarray:
        found = np.zeros_like(self.value)
        for a, (left, right) in enumerate(zip(self.left.T, self.right.T, strict=True)):
            slopes = left[:, None] * self.right + right[:, None] * self.left
            acts = np.flatnonzero(slopes.any(axis=1))
            found[a] = ((self.joint[:, acts] @ slopes[acts]) ** 2).sum(axis=0)
        return found

    def _moved(self, vector: np.ndarray) -> np.ndarray:
        return self.joint @ super()._moved(vector)

    def _total(self, moved: np.ndarray) -> float:
        return float((moved**2).sum())


def all_errors(known: np.ndarray, variances: np.ndarray) -> np.ndarray:
    """How independent errors, one standard error large, move numbers, (F, U): those `known` (F, U), and what the
    `variances` (U,) have beyond them."""
    beyond = variances - (known**2).sum(axis=0)
    more = np.flatnonzero(beyond > _ROUNDING * variances)
    return np.vstack([known, np.sqrt(beyond[more])[:, None] * np.eye(len(variances))[more]])
