"""The gradient by simultaneous perturbation (Spall, doi:10.1109/9.119632), from a few circuits whatever P is.

With random signs Δ (P,) and D = [E(θ + cΔ) − E(θ − cΔ)]/2c, the mean of D·Δ is ∇E up to terms of order c². To that
order, and with the variance v of D from shots, the mean over S directions has

    Var ĝ_i = (|∇E|² − (∂_iE)² + v)/S,   Cov(ĝ_i, ĝ_j) = ∂_iE ∂_jE/S.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from qngd._system.keywords import hinted
from qngd.errors import require_positive, settle_whole
from qngd.estimates.estimate import Estimate
from qngd.exact.point import Point
from qngd.gradients.base import GradientMethod
from qngd.measured.draft import Draft, Entry
from qngd.measured.gradient import AskedGradient, MeasuredGroup
from qngd.measured.plan import Plan

_STREAM = 4  # of the seed, whose other streams are those of shots and metrics


def random_signs(count: int, num_parameters: int, seed: int | None) -> np.ndarray:
    """Random signs (S, P)."""
    rng = np.random.default_rng(None if seed is None else [seed, _STREAM])
    return rng.choice((-1.0, 1.0), size=(count, num_parameters))


@dataclass(frozen=True, eq=False)
class PerturbationChance:
    """The random directions, as signs (S, P)."""

    signs: np.ndarray

    def covariance(self, plan: Plan, values: np.ndarray, variances: np.ndarray) -> np.ndarray:
        """See `Chance`."""
        squares = plan.slopes.multiply(plan.slopes)
        return covariance_of(self.signs, plan.slopes @ values, squares @ variances)


def covariance_of(signs: np.ndarray, slopes: np.ndarray, variances: np.ndarray) -> np.ndarray:
    """The covariance (P, P) of the mean of D·Δ from the slopes D (S,) and their variances by shots (S,).

    With T the mean of D², whose expectation is |∇E|² + v, Var ĝ_i = (T − ĝ_i²)/(S − 1) and ∂_iE ∂_jE ≈ ĝ_iĝ_j·S/(S + 1)
    are unbiased. The second is lessened where the matrix would not be positive otherwise. Of a single direction, which
    has all ĝ_i² = T, the mean of the variances over i is known.
    """
    count, size = signs.shape
    if not count or not size:
        return np.zeros((size, size))
    mean, total = slopes @ signs / count, float(np.mean(slopes**2))
    if count == 1:
        return np.eye(size) * max(total * (1 - 1 / size) + float(variances[0]) / size, 0.0)
    spread = np.maximum(total - mean**2, 0.0) / (count - 1)
    beside = mean**2 / (count + 1)
    share = min(1.0, float(np.min(spread / np.maximum(beside, 1e-300))))
    found: np.ndarray = np.diag(spread - share * beside) + share * np.outer(mean, mean) / (count + 1)
    return found


@hinted
@dataclass(frozen=True)
class SimultaneousPerturbation(GradientMethod):
    """The mean of differences along random directions, of all parameters at once: two circuits a direction, for every
    group of the observable, whatever P is. Biased by terms of order c².

    Its error is mostly that of the directions, (|∇E|² − (∂_iE)²)/S, and is unbiased to the same order; of a single
    direction only the mean of the variances over the parameters is known.

    Args:
        perturbation: c, radians: a bias of order c² against an error of shots of order 1/c.
        resamplings: S, directions of one gradient.

    Raises:
        SettingError: a setting is out of range.

    >>> SimultaneousPerturbation(resamplings=1).is_random
    True
    """

    name = "spsa"
    is_random = True

    perturbation: float = 0.1
    resamplings: int = 10

    def __post_init__(self) -> None:
        require_positive(self.perturbation, "perturbation")
        settle_whole(self, {"resamplings": 1})

    def asked(self, draft: Draft, groups: Sequence[MeasuredGroup]) -> AskedGradient:
        signs, angle_map = random_signs(self.resamplings, len(draft.theta), draft.seed), draft.circuit.angle_map
        entries: list[Entry] = []
        for s, sign in enumerate(signs):
            for side in (1.0, -1.0):
                angles = angle_map(draft.theta + side * self.perturbation * sign)
                weight = side / (2 * self.perturbation)
                for each in groups:
                    # at every seed there must be as many, and directions may agree
                    request = draft.book.another_request(each.number, each.angles(angles))
                    entries.append((s, request, weight * each.weight))
        return AskedGradient(entries, sparse.csr_array(signs.T / len(signs)), PerturbationChance(signs))

    def exact(self, point: Point) -> Estimate:
        """Exact energies at both ends of every direction."""
        signs, angle_map = random_signs(self.resamplings, len(point.theta), point.seed), point.circuit.angle_map

        def energy(shift: np.ndarray) -> float:
            return point.engine.expectation(angle_map(point.theta + shift), point.terms)

        shifts = self.perturbation * signs
        slopes = np.array([energy(shift) - energy(-shift) for shift in shifts]) / (2 * self.perturbation)
        covariance = covariance_of(signs, slopes, np.zeros(len(slopes)))
        return Estimate(slopes @ signs / len(signs), np.sqrt(np.diag(covariance)), 0, covariance)
