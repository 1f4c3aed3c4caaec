"""Direction: the regularized solve (g + damping)⁻¹ ∇E, and what it saw.

Every rule is a filter in the eigenbasis of the metric: with eigenvalues w_i, eigenvectors v_i and ρ_i = v_i·∇E,
the direction is d = Σ_i f_i ρ_i v_i, and a rule gives the f_i in place of 1/w_i. Negative eigenvalues, which only
noise makes, count as zero.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from qngd.errors import SettingError
from qngd.estimate import Estimate, MetricTensor


@dataclass(frozen=True)
class Spectrum:
    """What a solve saw of the metric: numerical rank, condition number over the nonzero eigenvalues, extreme
    eigenvalues, the damping (in units of eigenvalues), and all eigenvalues (P,)."""

    rank: int
    condition: float
    smallest: float
    largest: float
    damping: float
    eigenvalues: np.ndarray


@dataclass(frozen=True)
class Direction:
    """d with g·d ≈ ∇E; `noise`, the part of d·∇E that the gradient's errors alone would make; and `significance`, by
    how many standard deviations χ² = Σ ρ²/σ² exceeds what it would be for ∇E = 0 (infinite for an exact gradient)."""

    vector: np.ndarray
    noise: float
    significance: float
    spectrum: Spectrum


class Damping(Protocol):
    """A regularization of the inverse metric."""

    def inverse(self, values: np.ndarray, slopes: np.ndarray, errors: np.ndarray) -> np.ndarray:
        """f (P,), in place of 1/w: eigenvalues w ≥ 0, gradient components ρ and their standard errors."""

    def level(self, values: np.ndarray) -> float:
        """What is added to the eigenvalues, or where they are cut off: for people."""


@dataclass(frozen=True)
class Absolute:
    """f = 1/(w + λ): Tikhonov, (g + λI)⁻¹, with λ > 0 in the units of g, radians⁻²."""

    value: float

    def __post_init__(self) -> None:
        _check(self.value, "damping")

    def inverse(self, values: np.ndarray, slopes: np.ndarray, errors: np.ndarray) -> np.ndarray:
        return 1.0 / (values + self.value)

    def level(self, values: np.ndarray) -> float:
        return self.value


@dataclass(frozen=True)
class Relative:
    """f = 1/(w + λ·w̄) with the mean eigenvalue w̄ = tr(g)/P: the same λ for metrics of any scale."""

    value: float

    def __post_init__(self) -> None:
        _check(self.value, "damping")

    def inverse(self, values: np.ndarray, slopes: np.ndarray, errors: np.ndarray) -> np.ndarray:
        level = self.level(values)
        return 1.0 / (values + level) if level > 0 else np.zeros_like(values)

    def level(self, values: np.ndarray) -> float:
        return self.value * float(values.mean())


@dataclass(frozen=True)
class PseudoInverse:
    """f = 1/w above P·ε·max w, what rounding makes of zero, and 0 below: the Moore–Penrose inverse."""

    def inverse(self, values: np.ndarray, slopes: np.ndarray, errors: np.ndarray) -> np.ndarray:
        kept = values > self.level(values)
        return np.where(kept, 1.0 / np.where(kept, values, 1.0), 0.0)

    def level(self, values: np.ndarray) -> float:
        return rounding_level(values)


@dataclass(frozen=True)
class SpectralCutoff:
    """f = 1/(w·(1 + (c/w)⁶)) with c = `value` times the largest eigenvalue: a smooth step from 1/w to 0
    (Schmitt & Heyl, arXiv:1912.08828)."""

    value: float

    def __post_init__(self) -> None:
        _check(self.value, "damping")

    def inverse(self, values: np.ndarray, slopes: np.ndarray, errors: np.ndarray) -> np.ndarray:
        level = self.level(values)
        if level == 0:
            return np.zeros_like(values)
        # 1/(w(1 + r⁻⁶)) with r = w/c, written so that w = 0 gives 0
        ratio = values / level
        return ratio**5 / (1.0 + ratio**6) / level

    def level(self, values: np.ndarray) -> float:
        return self.value * float(values.max(initial=0.0))


@dataclass(frozen=True)
class SignalToNoise:
    """f·1/(1 + (t·σ/|ρ|)⁶): suppress eigendirections whose slope ρ is not clearly larger than its error σ, on top
    of another rule (Schmitt & Heyl, arXiv:1912.08828). Exact gradients, σ = 0, are left alone."""

    threshold: float = 1.0
    on: Damping = field(default_factory=lambda: Absolute(1e-2))

    def __post_init__(self) -> None:
        _check(self.threshold, "threshold")

    def inverse(self, values: np.ndarray, slopes: np.ndarray, errors: np.ndarray) -> np.ndarray:
        noisy = errors > 0
        ratio = np.abs(slopes) / np.where(noisy, self.threshold * errors, 1.0)
        power = np.minimum(ratio, 1e8) ** 6
        return self.on.inverse(values, slopes, errors) * np.where(noisy, power / (1.0 + power), 1.0)

    def level(self, values: np.ndarray) -> float:
        return self.on.level(values)


def as_damping(given: object) -> Damping:
    """The rule that a `damping` argument stands for: λ > 0 is λI, 0 the pseudo-inverse.

    Raises:
        SettingError: it is neither a number ≥ 0 nor a rule.
    """
    if hasattr(given, "inverse") and hasattr(given, "level"):
        return given
    number = float(given) if isinstance(given, (int, float, np.number)) and not isinstance(given, bool) else -1.0
    if 0 <= number < np.inf:
        return Absolute(number) if number > 0 else PseudoInverse()
    raise SettingError(f"damping must be a finite number ≥ 0 or a damping rule; got {given!r}")


def rounding_level(values: np.ndarray) -> float:
    """Below it an eigenvalue is a rounded zero: P·ε·max."""
    return len(values) * float(np.finfo(float).eps) * float(np.abs(values).max(initial=0.0))


def natural_direction(metric: MetricTensor, gradient: Estimate, damping: Damping) -> Direction:
    """The regularized natural gradient.

    Args:
        metric: symmetric (P, P).
        gradient: (P,), with its covariance where it was sampled.
        damping: the rule.

    >>> g = MetricTensor.exact(np.diag([0.25, 0.0]), "full")
    >>> natural_direction(g, Estimate.exact(np.array([1.0, 0.0])), PseudoInverse()).vector
    array([4., 0.])
    """
    slope = np.asarray(gradient.value, dtype=float)
    if not len(slope):
        return Direction(slope, 0.0, np.inf, Spectrum(0, 1.0, 0.0, 0.0, 0.0, slope))
    values, vectors = np.linalg.eigh(metric.value)
    positive = np.maximum(values, 0.0)
    projected = vectors.T @ slope
    covariance = _covariance(gradient)
    errors = np.sqrt(np.maximum(np.einsum("ji,jk,ki->i", vectors, covariance, vectors), 0.0))
    inverse = damping.inverse(positive, projected, errors)
    kept = positive > rounding_level(values)
    return Direction(
        vector=vectors @ (inverse * projected),
        noise=float(inverse @ errors**2),
        significance=_significance(projected, errors),
        spectrum=Spectrum(
            rank=int(kept.sum()),
            condition=float(positive[-1] / positive[kept][0]) if kept.any() else 1.0,
            smallest=float(values[0]),
            largest=float(values[-1]),
            damping=damping.level(positive),
            eigenvalues=values,
        ),
    )


def _significance(projected: np.ndarray, errors: np.ndarray) -> float:
    # the eigenbasis leaves traces of rounding where a component has neither value nor error
    noisy = errors > 1e-7 * errors.max(initial=0.0)
    count = int(noisy.sum())
    if not count or np.any(np.abs(projected[~noisy]) > 1e-10 * np.abs(projected).max()):
        return np.inf
    excess = float(((projected[noisy] / errors[noisy]) ** 2).sum()) - count
    return excess / np.sqrt(2 * count)


def _covariance(gradient: Estimate) -> np.ndarray:
    if gradient.covariance is not None:
        return gradient.covariance
    return np.diag(np.asarray(gradient.stderr, dtype=float) ** 2)


def _check(value: float, name: str) -> None:
    if not (np.isfinite(value) and value > 0):
        raise SettingError(f"{name} must be a positive number; got {value}")
