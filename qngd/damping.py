"""Damping: how the inverse of a nearly singular metric is regularized.

Every rule is a filter in the eigenbasis of the metric: with eigenvalues w_i, eigenvectors v_i and ρ_i = v_i·∇E,
the direction is d = Σ_i f_i ρ_i v_i, and a rule gives the f_i in place of 1/w_i. Negative eigenvalues, which only
noise makes, count as zero.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace

import numpy as np

from qngd._system.keywords import hinted
from qngd.errors import SettingError, is_number, require_positive, require_range, shown
from qngd.estimates.estimate import MetricTensor

FIRST_RATE = 0.2  # of a step, times the scale of the energies: their observable's deviation
UNKNOWN_SCALE = 2.0  # where nobody knows that of energies


@dataclass(frozen=True, eq=False)
class Eigenbasis:
    """What a rule sees: eigenvalues w ≥ 0 (P,) of the metric, the gradient's components ρ along the eigenvectors and
    their standard errors, and the metric itself in the rule's coordinates."""

    values: np.ndarray
    slopes: np.ndarray
    errors: np.ndarray
    metric: MetricTensor


class Damping(ABC):
    """A regularization of the inverse metric."""

    @abstractmethod
    def inverse(self, basis: Eigenbasis) -> np.ndarray:
        """The filter f (P,) that stands in place of 1/w."""

    @abstractmethod
    def level(self, basis: Eigenbasis) -> float:
        """The damping as one number: what is added to the eigenvalues, or where they are cut off."""

    def scale(self, metric: MetricTensor) -> np.ndarray:
        """The scales s (P,) of the coordinates s·θ in which the filter works: ones, unless the rule says otherwise."""
        return np.ones(len(metric.value))


@hinted
@dataclass(frozen=True)
class Absolute(Damping):
    """f = 1/(w + λ): Tikhonov, (g + λI)⁻¹, with λ > 0 in the units of g, radians⁻²."""

    value: float

    def __post_init__(self) -> None:
        require_positive(self.value, "damping: value")

    def inverse(self, basis: Eigenbasis) -> np.ndarray:
        return 1.0 / (basis.values + self.value)

    def level(self, basis: Eigenbasis) -> float:
        return self.value


@hinted
@dataclass(frozen=True)
class Relative(Damping):
    """f = 1/(w + λ·w̄) with the mean eigenvalue w̄ = tr(g)/P: the same λ for metrics of any scale."""

    value: float

    def __post_init__(self) -> None:
        require_positive(self.value, "damping: value")

    def inverse(self, basis: Eigenbasis) -> np.ndarray:
        level = self.level(basis)
        return 1.0 / (basis.values + level) if level > 0 else np.zeros_like(basis.values)

    def level(self, basis: Eigenbasis) -> float:
        return self.value * float(basis.values.mean())


@hinted
@dataclass(frozen=True)
class PseudoInverse(Damping):
    """f = 1/w above P·ε·max w, what rounding makes of zero, and 0 below: the Moore–Penrose inverse."""

    def inverse(self, basis: Eigenbasis) -> np.ndarray:
        kept = basis.values > self.level(basis)
        return np.where(kept, 1.0 / np.where(kept, basis.values, 1.0), 0.0)

    def level(self, basis: Eigenbasis) -> float:
        return rounding_level(basis.values)


@hinted
@dataclass(frozen=True)
class SpectralCutoff(Damping):
    """f = 1/(w·(1 + (c/w)⁶)) with c = `value` times the largest eigenvalue: a smooth step from 1/w to 0
    (Schmitt & Heyl, arXiv:1912.08828)."""

    value: float

    def __post_init__(self) -> None:
        require_positive(self.value, "damping: value")

    def inverse(self, basis: Eigenbasis) -> np.ndarray:
        level = self.level(basis)
        if level == 0:
            return np.zeros_like(basis.values)
        # 1/(w(1 + r⁻⁶)) with r = w/c, written so that w = 0 gives 0 and a large r does not overflow
        ratio = basis.values / level
        small = np.minimum(ratio, 1.0)
        large = np.maximum(ratio, 1.0)
        return np.where(ratio < 1, small**5 / (1.0 + small**6), 1.0 / (large * (1.0 + large**-6.0))) / level

    def level(self, basis: Eigenbasis) -> float:
        return self.value * float(basis.values.max(initial=0.0))


@hinted
@dataclass(frozen=True)
class SignalToNoise(Damping):
    """f·1/(1 + (t·σ/|ρ|)⁶): suppress eigendirections whose slope ρ is not clearly larger than its error σ, on top
    of another rule (Schmitt & Heyl, arXiv:1912.08828). Exact gradients, σ = 0, are left alone."""

    threshold: float = 1.0
    on: Damping = field(default_factory=lambda: Absolute(1e-2))

    def __post_init__(self) -> None:
        require_positive(self.threshold, "threshold")
        _check_rule(self.on)

    def inverse(self, basis: Eigenbasis) -> np.ndarray:
        noisy = basis.errors > 0
        ratio = np.abs(basis.slopes) / np.where(noisy, self.threshold * basis.errors, 1.0)
        power = np.minimum(ratio, 1e8) ** 6
        return self.on.inverse(basis) * np.where(noisy, power / (1.0 + power), 1.0)

    def level(self, basis: Eigenbasis) -> float:
        return self.on.level(basis)

    def scale(self, metric: MetricTensor) -> np.ndarray:
        return self.on.scale(metric)


@hinted
@dataclass(frozen=True)
class NoiseBound(Damping):
    """f = 1/(w + λ) with λ = max(floor, min(η·σ/r, m·w̄)). Up to m·w̄, λ is the least with which the errors of a sampled
    gradient, σ on average, move no parameter by more than r = `reach` radians a step, however little the state depends
    on it.

    The error of a shift rule is the same along all directions, and so a small damping blows it up along those with a
    small w: there the metric's own square 1/w is paid in noise for a slope that is small as well. Exact gradients have
    the damping `floor`.

    Args:
        reach: r, radians.
        floor: what λ is at least.
        rate: η; step rules that have a learning rate put theirs here. None is `FIRST_RATE` over the scale of energies.
        most: m, the bound of λ in units of the mean eigenvalue w̄, for parameters of many gates, along whose way errors
            average out; ∞ is none.
    """

    reach: float = 0.1
    floor: float = 1e-2
    rate: float | None = None
    most: float = np.inf

    def __post_init__(self) -> None:
        for name in ("reach", "floor"):
            require_positive(getattr(self, name), name)
        require_range(self.most, "most", "a positive number", lambda number: number > 0)
        if self.rate is not None:
            require_positive(self.rate, "rate")

    def inverse(self, basis: Eigenbasis) -> np.ndarray:
        return 1.0 / (basis.values + self.level(basis))

    def level(self, basis: Eigenbasis) -> float:
        # not of parameters that nothing depends on, where rounding leaves traces
        noisy = basis.errors[basis.errors > 1e-7 * basis.errors.max(initial=0.0)]
        error = float(np.sqrt(np.mean(noisy**2))) if len(noisy) else 0.0
        wanted = first_rate(self.rate) * error / self.reach
        bound = self.most * float(basis.values.mean()) if np.isfinite(self.most) else wanted
        return max(self.floor, min(wanted, bound))


def first_rate(given: float | None, scale: float = UNKNOWN_SCALE) -> float:
    """A rate η to begin with, for energies of this scale: the one given, or `FIRST_RATE` over the scale, since η∇E has
    no unit."""
    return FIRST_RATE / scale if given is None else given


def at_scale(damping: Damping, scale: float) -> Damping:
    """The damping for energies of this scale, where it has no rate of its own."""
    if isinstance(damping, NoiseBound) and damping.rate is None:
        return replace(damping, rate=first_rate(None, scale))
    return damping


def at_rate(damping: Damping, rate: float) -> Damping:
    """The damping for steps with this learning rate."""
    return replace(damping, rate=rate) if isinstance(damping, NoiseBound) else damping


@hinted
@dataclass(frozen=True)
class UnitDiagonal(Damping):
    """Another rule in the coordinates in which g has a unit diagonal: with `Absolute(λ)` the direction is
    (g + λ·diag g)⁻¹∇E, indifferent to the scale of each parameter (Marquardt, doi:10.1137/0111030). Parameters on
    which the state does not depend, g_ii = 0, are left where they are."""

    on: Damping = field(default_factory=lambda: Absolute(1e-2))

    def __post_init__(self) -> None:
        _check_rule(self.on)

    def inverse(self, basis: Eigenbasis) -> np.ndarray:
        return self.on.inverse(basis)

    def level(self, basis: Eigenbasis) -> float:
        return self.on.level(basis)

    def scale(self, metric: MetricTensor) -> np.ndarray:
        diagonal = np.maximum(np.diag(metric.value), 0.0)
        used = diagonal > rounding_level(diagonal)
        # an infinite scale takes a parameter out: neither its row nor its slope counts
        return np.where(used, np.sqrt(np.where(used, diagonal, 1.0)), np.inf)


@hinted
@dataclass(frozen=True)
class Shrinkage(Damping):
    """Another rule on the shrunk metric (1−κ)g + κw̄I, w̄ = tr(g)/P, with the κ that makes the expected squared error
    smallest: κ = Σ Var(g_ij)/Σ (g_ij − w̄δ_ij)², at most 1 (Ledoit and Wolf, doi:10.1016/S0047-259X(03)00096-4), from
    the metric's own standard errors. An exact metric is left alone."""

    on: Damping = field(default_factory=lambda: Absolute(1e-3))

    def __post_init__(self) -> None:
        _check_rule(self.on)

    def weight(self, metric: MetricTensor) -> float:
        """The weight κ of the multiple of the identity that g is shrunk to."""
        noise = float((np.asarray(metric.stderr) ** 2).sum())
        mean = float(np.trace(metric.value)) / len(metric.value)
        spread = float(((metric.value - mean * np.eye(len(metric.value))) ** 2).sum())
        return min(1.0, noise / spread) if spread > 0 else float(noise > 0)

    def inverse(self, basis: Eigenbasis) -> np.ndarray:
        return self.on.inverse(self._shrunk(basis))

    def level(self, basis: Eigenbasis) -> float:
        return self.on.level(self._shrunk(basis))

    def scale(self, metric: MetricTensor) -> np.ndarray:
        return self.on.scale(metric)

    def _shrunk(self, basis: Eigenbasis) -> Eigenbasis:
        weight = self.weight(basis.metric)
        return replace(basis, values=(1 - weight) * basis.values + weight * basis.values.mean())


def as_damping(given: object) -> Damping:
    """The rule that a `damping` argument stands for: λ > 0 is λI, 0 the pseudo-inverse.

    Raises:
        SettingError: it is neither a number ≥ 0 nor a rule.
    """
    if isinstance(given, Damping):
        return given
    if is_number(given) and 0 <= given < np.inf:
        return Absolute(float(given)) if given > 0 else PseudoInverse()
    raise SettingError(f"damping must be a finite number ≥ 0 or a rule of qngd.damping; got {shown(given)}")


def rounding_level(values: np.ndarray) -> float:
    """The level below which an eigenvalue is a rounded zero: P·ε·max."""
    return len(values) * float(np.finfo(float).eps) * float(np.abs(values).max(initial=0.0))


def _check_rule(on: object) -> None:
    if not isinstance(on, Damping):
        raise SettingError(f"on must be a damping rule; got {shown(on)}")
