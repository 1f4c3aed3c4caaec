"""The angle map φ(θ): from the user's parameters to the rotation angles, with its Jacobian.

A circuit uses S *slots*, each a real function e_s(θ) that the user wrote as the argument of some
gate; each rotation angle is a linear combination of slots, φ = C·e(θ) + c. An SDK knows how to
evaluate its own expressions; here they are either affine (a matrix) or an object with two methods.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse

from qngd._system.brief import brief_fields


@dataclass(frozen=True, slots=True)
class Angle:
    """A linear combination of slots plus a constant, in radians: Σ coefficient·e_slot(θ) + constant.

    >>> 2 * Angle.of_slot(3) + 0.5
    Angle(terms=((3, 2.0),), constant=0.5)
    """

    terms: tuple[tuple[int, float], ...] = ()
    constant: float = 0.0

    @classmethod
    def of_slot(cls, slot: int) -> Angle:
        return cls(((slot, 1.0),))

    def __add__(self, other: Angle | float) -> Angle:
        if isinstance(other, Angle):
            return Angle(self.terms + other.terms, self.constant + other.constant)
        return Angle(self.terms, self.constant + float(other))

    __radd__ = __add__

    def __mul__(self, factor: float) -> Angle:
        terms = tuple((slot, coefficient * factor) for slot, coefficient in self.terms)
        return Angle(terms, self.constant * factor)

    __rmul__ = __mul__

    def __truediv__(self, divisor: float) -> Angle:
        return self * (1.0 / divisor)

    def __neg__(self) -> Angle:
        return self * -1.0

    def __sub__(self, other: Angle | float) -> Angle:
        return self + (-other)

    def __rsub__(self, other: float) -> Angle:
        return -self + other


class Expressions(ABC):
    """S real functions of P parameters, evaluated by whoever knows how."""

    @property
    def branches(self) -> bool:
        """Whether a value decided something, so that the circuit may be another one elsewhere."""
        return False

    @property
    @abstractmethod
    def pattern(self) -> sparse.csr_array:
        """(S, P), nonzero where a slot may depend on a parameter at some θ."""

    @property
    def shape(self) -> tuple[int, int]:
        """(S, P)."""
        return self.pattern.shape

    @abstractmethod
    def linearize(self, theta: np.ndarray) -> tuple[np.ndarray, sparse.csr_array]:
        """The values e(θ), shape (S,), and the exact Jacobian ∂e/∂θ, shape (S, P)."""

    def linearize_many(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The values (B, S) at several θ, (B, P), and the derivatives (B, ·) on the pattern."""
        pattern = self.pattern
        rows = np.repeat(np.arange(pattern.shape[0]), np.diff(pattern.indptr))
        values, slopes = np.empty((len(points), pattern.shape[0])), np.empty((len(points), pattern.nnz))
        for i, point in enumerate(points):
            values[i], jacobian = self.linearize(point)
            slopes[i] = jacobian.toarray()[rows, pattern.indices]
        return values, slopes

    def is_affine_in(self, free: np.ndarray) -> bool:
        """Whether it is known that all slots are affine functions of the parameters in `free` (mask), whatever the
        others are."""
        return False


@dataclass(frozen=True)
class AffineExpressions(Expressions):
    """e(θ) = A·θ + a, the common case: `matrix` of shape (S, P), `offset` of shape (S,)."""

    matrix: sparse.csr_array
    offset: np.ndarray

    @property
    def pattern(self) -> sparse.csr_array:
        return self.matrix

    def linearize(self, theta: np.ndarray) -> tuple[np.ndarray, sparse.csr_array]:
        return self.matrix @ theta + self.offset, self.matrix


@dataclass(frozen=True)
class AngleMap:
    """φ(θ) = combination·e(θ) + constant: `combination` is (K, S), `constant` is (K,)."""

    combination: sparse.csr_array
    constant: np.ndarray
    expressions: Expressions

    __repr__ = brief_fields

    @property
    def num_rotations(self) -> int:
        return self.combination.shape[0]

    @property
    def num_parameters(self) -> int:
        return self.expressions.shape[1]

    @property
    def is_affine(self) -> bool:
        """Whether the Jacobian is the same at every θ."""
        return isinstance(self.expressions, AffineExpressions)

    @cached_property
    def pattern(self) -> sparse.csr_array:
        """(K, P), nonzero where a rotation angle may depend on a parameter."""
        if self.is_affine:
            return self._affine[1]
        slots = abs(sparse.csr_array(self.expressions.pattern, dtype=float))
        return (abs(self.combination) @ slots).tocsr().sorted_indices()

    @cached_property
    def _affine(self) -> tuple[np.ndarray, sparse.csr_array]:
        values, matrix = self.expressions.linearize(np.zeros(self.num_parameters))
        jacobian = (self.combination @ matrix).tocsr()
        jacobian.eliminate_zeros()
        jacobian.sort_indices()
        return self.combination @ values + self.constant, jacobian

    @cached_property
    def _identity(self) -> sparse.csr_array:
        return sparse.eye_array(self.num_parameters, format="csr")

    @property
    def linear(self) -> sparse.csr_array:
        """(K, D), the constant ∂φ/∂u for variables u(θ) that the angles are affine in: θ itself where the whole map is
        affine, the slots elsewhere."""
        return self._affine[1] if self.is_affine else self.combination

    def chain(self, theta: np.ndarray) -> tuple[np.ndarray, sparse.csr_array]:
        """The angles φ(θ), shape (K,), and ∂u/∂θ, shape (D, P), of the variables that `linear` belongs to."""
        if self.is_affine:
            return self(theta), self._identity
        values, inner = self.expressions.linearize(theta)
        return self.combination @ values + self.constant, inner

    def linearize(self, theta: np.ndarray) -> tuple[np.ndarray, sparse.csr_array]:
        """The angles φ(θ), shape (K,), and the exact Jacobian J = ∂φ/∂θ, shape (K, P)."""
        angles, inner = self.chain(theta)
        return angles, self.jacobian(inner)

    def jacobian(self, inner: sparse.csr_array) -> sparse.csr_array:
        """J from the ∂u/∂θ of `chain`."""
        return self.linear if self.is_affine else (self.linear @ inner).tocsr().sorted_indices()

    def __call__(self, theta: np.ndarray) -> np.ndarray:
        if self.is_affine:
            offset, jacobian = self._affine
            return jacobian @ theta + offset
        return self.chain(theta)[0]


def is_shared(pattern: sparse.csr_array) -> bool:
    """Whether parameters move three rotations or more on average, by which of (K, P) they move: as in QAOA and
    Hamiltonian variational ansätze. Blocks of the metric say little there, and the noise of a gradient much."""
    return bool(pattern.nnz >= 3 * pattern.shape[1] > 0)
