"""Direction: the regularized solve (g + damping)⁻¹ ∇E, and what it saw."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qngd.errors import SettingError


@dataclass(frozen=True)
class Spectrum:
    """What a solve saw of the metric: numerical rank, condition number over the nonzero eigenvalues, extreme
    eigenvalues, and the damping that was added."""

    rank: int
    condition: float
    smallest: float
    largest: float
    damping: float
    eigenvalues: np.ndarray


def natural_direction(
    metric: np.ndarray, gradient: np.ndarray, damping: float
) -> tuple[np.ndarray, Spectrum]:
    """d = (g + λI)⁻¹ ∇E; for λ = 0 the pseudo-inverse g⁺∇E.

    The pseudo-inverse drops eigenvalues below P·ε·max: what rounding makes of zero, and nothing else.

    Args:
        metric: symmetric (P, P); negative eigenvalues (from noise) count as zero.
        gradient: (P,).
        damping: λ ≥ 0, absolute.

    >>> natural_direction(np.diag([0.25, 0.0]), np.array([1.0, 0.0]), 0.0)[0]
    array([4., 0.])
    """
    if not len(gradient):
        return np.zeros(0), Spectrum(0, 1.0, 0.0, 0.0, damping, np.zeros(0))
    values, vectors = np.linalg.eigh(metric)
    largest = max(float(values[-1]), 0.0)
    cutoff = len(values) * np.finfo(float).eps * largest
    kept = values > cutoff
    inverse = np.zeros_like(values)
    if damping > 0:
        inverse = 1.0 / (np.maximum(values, 0.0) + damping)
    else:
        inverse[kept] = 1.0 / values[kept]
    direction = vectors @ (inverse * (vectors.T @ gradient))
    condition = largest / float(values[kept][0]) if kept.any() else 1.0
    spectrum = Spectrum(
        rank=int(kept.sum()),
        condition=condition,
        smallest=float(values[0]),
        largest=float(values[-1]),
        damping=damping,
        eigenvalues=values,
    )
    return direction, spectrum


def check_damping(damping: float) -> None:
    """Raise SettingError unless λ is a finite number ≥ 0."""
    if not (np.isfinite(damping) and damping >= 0):
        raise SettingError(f"damping must be a finite number ≥ 0; got {damping}")
