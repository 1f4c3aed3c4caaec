"""Direction: the regularized solve d = (g + damping)⁻¹ ∇E, and what it saw of the metric."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from weakref import WeakKeyDictionary

import numpy as np

from qngd._system.brief import brief_fields
from qngd._system.threads import one_blas_thread
from qngd.damping import Absolute, Damping, Eigenbasis, NoiseBound, SignalToNoise, rounding_level
from qngd.errors import QngdWarning, SettingError
from qngd.estimates.estimate import Estimate, MetricTensor

Product = Callable[[np.ndarray], np.ndarray]
_KEPT = 256  # directions of a matrix-free solve that others in the same metric begin with
_FEW = 32  # rows, which BLAS does not share out
_TOLERANCE = 1e-10  # of a right side's norm: what a matrix-free solve goes on to leave of it
_LEFT_OVER = 1e-6  # of a gradient that a matrix-free solve may leave over unsaid


@dataclass(frozen=True)
class Spectrum:
    """What a solve saw of the metric: numerical rank, condition number over the nonzero eigenvalues, extreme
    eigenvalues, the damping (in units of eigenvalues), and all eigenvalues (P,): of the metric in the damping's own
    coordinates, which are those of θ but for `UnitDiagonal`.

    A matrix-free solve saw only the Ritz values of its iterations, which stand for the eigenvalues."""

    rank: int
    condition: float
    smallest: float
    largest: float
    damping: float
    eigenvalues: np.ndarray

    __repr__ = brief_fields

    @classmethod
    def of(cls, values: np.ndarray, damping: float) -> Spectrum:
        """The spectrum of a metric with these eigenvalues, ascending."""
        kept = values[values > rounding_level(values)]
        return cls(
            rank=len(kept),
            condition=float(kept[-1] / kept[0]) if len(kept) else 1.0,
            smallest=float(values[0]) if len(values) else 0.0,
            largest=float(values[-1]) if len(values) else 0.0,
            damping=damping,
            eigenvalues=values,
        )


@dataclass(frozen=True)
class Direction:
    """A natural gradient: `vector` d (P,) with g·d ≈ ∇E, and `length`, √(dᵀgd).

    `noise` is the part of d·∇E that the gradient's errors alone would make; `significance` says by how many standard
    deviations χ² = Σ ρ²/σ² exceeds what it would be for ∇E = 0 (infinite for an exact gradient). `times` multiplies
    by g, `solve` by the damped inverse that takes ∇E to d, and `added` (P,) is the diagonal D that the damping's level
    amounts to: λ, or λ·g_ii in the coordinates of `UnitDiagonal`.
    """

    vector: np.ndarray
    length: float
    noise: float
    significance: float
    spectrum: Spectrum
    times: Product
    added: np.ndarray
    solve: Product

    __repr__ = brief_fields

    def length_of(self, delta: np.ndarray) -> float:
        """The length √(δᵀgδ) of a step δ (P,) in state space, radians."""
        return float(np.sqrt(max(float(delta @ self.times(delta)), 0.0)))

    def damped_inner(self, a: np.ndarray, b: np.ndarray) -> float:
        """The inner product aᵀ(g + D)b in the metric with its damping D."""
        return float(a @ self.times(b) + (a * self.added) @ b)

    def damped_square(self, a: np.ndarray) -> float:
        """The square aᵀ(g + D)a of a vector (P,) in that inner product, at least 0."""
        return max(self.damped_inner(a, a), 0.0)


def natural_direction(metric: MetricTensor, gradient: Estimate, damping: Damping) -> Direction:
    """The natural gradient d = (g + damping)⁻¹∇E, by the eigenvalues of g.

    Args:
        metric: symmetric (P, P).
        gradient: (P,), with its covariance where it was sampled.
        damping: the rule.

    >>> from qngd.damping import PseudoInverse
    >>> g = MetricTensor.exact(np.diag([0.25, 0.0]), "full")
    >>> natural_direction(g, Estimate.exact(np.array([1.0, 0.0])), PseudoInverse()).vector
    array([4., 0.])
    """
    slope = np.asarray(gradient.value, dtype=float)
    matrix = metric.value
    if not len(slope):
        return Direction(slope, 0.0, 0.0, np.inf, Spectrum.of(slope, 0.0), matrix.__matmul__, slope, np.copy)
    weights = 1.0 / damping.scale(metric)
    scaled, values, turned = _axes(metric, weights)
    projected = turned.T @ slope
    errors = _errors_along(turned, gradient)
    basis = Eigenbasis(np.maximum(values, 0.0), projected, errors, scaled)
    inverse, level = damping.inverse(basis), damping.level(basis)
    vector = turned @ (inverse * projected)
    added = np.divide(level, weights**2, out=np.zeros_like(weights), where=weights > 0)
    return Direction(
        vector=vector,
        length=float(np.sqrt(max(vector @ matrix @ vector, 0.0))),
        noise=float(inverse @ errors**2),
        significance=_significance(projected, errors, _is_exact(gradient)),
        spectrum=Spectrum.of(values, level),
        times=matrix.__matmul__,
        added=added,
        solve=lambda v: turned @ (inverse * (turned.T @ v)),
    )


def _axes(metric: MetricTensor, weights: np.ndarray) -> tuple[MetricTensor, np.ndarray, np.ndarray]:
    """The metric in coordinates θ/weights, its eigenvalues (P,) there, and its eigenvectors as directions of θ (P, P):
    once for all steps that keep a metric, since for many parameters that takes longer than a gradient."""
    known = _AXES.get(metric)
    if known is not None and np.array_equal(known[0], weights):
        return known[1]
    scaled = metric
    if np.any(weights != 1):
        outer = np.outer(weights, weights)
        scaled = MetricTensor(outer * metric.value, outer * metric.stderr, metric.approx, metric.shots)
    with one_blas_thread() if len(weights) > _FEW else nullcontext():
        values, vectors = np.linalg.eigh(scaled.value)
    found = (scaled, values, weights[:, None] * vectors)
    _AXES[metric] = (weights, found)
    return found


def conjugate_direction(times: Product, gradient: Estimate, damping: Damping) -> Direction:
    """The natural gradient by conjugate gradients on (g + λI)d = ∇E, without the matrix g.

    Args:
        times: v ↦ g·v.
        gradient: (P,), exact.
        damping: an absolute one.

    Raises:
        SettingError: the damping needs the eigenvalues of g.

    Warns:
        QngdWarning: rounding kept the solution from what was asked for, as it does for a very small λ.

    >>> times = lambda v: np.array([0.25, 0.09]) * v
    >>> conjugate_direction(times, Estimate.exact(np.array([0.5, 0.2])), Absolute(0.01)).vector.round(6)
    array([1.923077, 2.      ])
    """
    level = absolute_level(damping)
    slope = np.asarray(gradient.value, dtype=float)
    solver = _Conjugate(times, level, len(slope))
    vector = solver.solved(slope)
    seen = Spectrum.of(solver.ritz_values() - level, level)
    image = times(vector)
    # not the residual of the recursion, which goes on falling where rounding has stopped the true one
    _check_residual(slope - image - level * vector, slope, level)
    squared = float(vector @ image)
    return Direction(
        vector=vector,
        length=float(np.sqrt(max(squared, 0.0))),
        noise=0.0,
        significance=np.inf,
        # rounding makes copies of Ritz values
        spectrum=replace(seen, rank=min(seen.rank, len(slope))),
        times=times,
        added=np.full(len(slope), level),
        solve=solver.solved,
    )


class _Conjugate:
    """(g + λI)⁻¹ on several vectors by conjugate directions, of which none is lost.

    The rows p_i of `_directions` have p_iᵀAp_j = δ_ij in A = g + λI. What A⁻¹b has along them is Σ_i p_i(p_i·b), and
    the residual of that, made conjugate to all of them, is the next: in exact arithmetic the iterations of conjugate
    gradients. Rounding makes those repeat directions, which these cannot; and the next right side begins with all that
    the ones before have found (Saad, doi:10.1137/1.9780898718003, 6.7 and 9.4). It needs no product that is not new.
    """

    def __init__(self, times: Product, level: float, count: int) -> None:
        self._times = times
        self._level = level
        # of the last so many directions, and of their images A·p_i: (≤ count, P)
        self._directions, self._images = np.zeros((2, min(_KEPT, count), count))
        self._found = 0

    def solved(self, right: np.ndarray) -> np.ndarray:
        """(g + λI)⁻¹·right (P,), as far as rounding allows."""
        along = self._directions @ right
        vector, residual = along @ self._directions, right - along @ self._images
        goal = _TOLERANCE * float(np.linalg.norm(right))
        for _ in range(10 * len(right)):
            square = float(residual @ residual)
            if not square > goal**2:
                break
            direction = self._conjugate(self._conjugate(residual))
            # the residual is orthogonal to all directions so far, unless it is no more than their rounding
            if not residual @ direction > 0.5 * square:
                break
            direction, image = self._normalized(direction)
            share = float(direction @ residual)
            vector += share * direction
            residual = residual - share * image
        return vector

    def ritz_values(self) -> np.ndarray:
        """The eigenvalues (m,) of A within the span of the directions, ascending: with I = PAPᵀ, those of (PPᵀ)⁻¹."""
        known = self._directions[: self._found]
        return np.asarray(1.0 / np.linalg.eigvalsh(known @ known.T))[::-1]

    def _conjugate(self, vector: np.ndarray) -> np.ndarray:
        """The part of a vector that is conjugate to all directions."""
        return vector - (self._images @ vector) @ self._directions

    def _normalized(self, direction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """A new direction with pᵀAp = 1, and its image; both are kept, in the oldest's place if there is no other."""
        image = self._times(direction) + self._level * direction
        place, norm = self._found % len(self._directions), np.sqrt(float(direction @ image))
        self._directions[place], self._images[place] = direction / norm, image / norm
        self._found += 1
        return self._directions[place], self._images[place]


def _check_residual(residual: np.ndarray, slope: np.ndarray, level: float) -> None:
    """Warn if a residual ∇E − (g + λI)d is not small beside ∇E; in the same words each time, to be shown once."""
    left, whole = (float(np.linalg.norm(each)) for each in (residual, slope))
    if left > _LEFT_OVER * whole:
        warnings.warn(
            f"matrix-free solve: more than {_LEFT_OVER:g} of the gradient is left over, so that this step is not quite "
            f"the one asked for. The damping {level:g} is small against rounding: raise it",
            QngdWarning,
            stacklevel=2,
        )


def absolute_level(damping: Damping) -> float:
    """The λ of a damping that needs no eigenvalues of g; raises SettingError for any other."""
    if isinstance(damping, NoiseBound):
        return damping.floor  # of exact gradients
    rule = damping.on if isinstance(damping, SignalToNoise) else damping
    if not isinstance(rule, Absolute):
        raise SettingError(
            f"damping: a matrix-free solve takes a positive number only; got {damping!r}; "
            'or choose approx="full" or "block-diag"'
        )
    return rule.value


def _errors_along(axes: np.ndarray, gradient: Estimate) -> np.ndarray:
    """The standard errors (P,) of a gradient's components along the columns of `axes`."""
    if _is_exact(gradient):
        return np.zeros(axes.shape[1])
    covariance = _covariance(gradient)
    return np.sqrt(np.maximum(np.einsum("ji,jk,ki->i", axes, covariance, axes), 0.0))


def _is_exact(gradient: Estimate) -> bool:
    """Whether a gradient has no errors."""
    return not np.any(gradient.stderr if gradient.covariance is None else gradient.covariance)


def _significance(projected: np.ndarray, errors: np.ndarray, exact: bool) -> float:
    # the eigenbasis leaves traces of rounding where a component has neither value nor error
    noisy = errors > 1e-7 * errors.max(initial=0.0)
    count = int(noisy.sum())
    if exact or np.any(np.abs(projected[~noisy]) > 1e-10 * np.abs(projected).max()):
        return np.inf
    if not count:  # the coordinates in which the step is sought leave all of a sampled gradient out
        return 0.0
    excess = float(((projected[noisy] / errors[noisy]) ** 2).sum()) - count
    return excess / np.sqrt(2 * count)


def _covariance(gradient: Estimate) -> np.ndarray:
    if gradient.covariance is not None:
        return gradient.covariance
    return np.diag(np.asarray(gradient.stderr, dtype=float) ** 2)


# of metrics that are in use: the weights, and what `_axes` found
_AXES: WeakKeyDictionary[MetricTensor, tuple[np.ndarray, tuple[MetricTensor, np.ndarray, np.ndarray]]] = (
    WeakKeyDictionary()
)
