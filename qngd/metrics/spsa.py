"""A stochastic full metric from a few overlaps, whatever P is (QN-SPSA, Gacon et al., arXiv:2103.09232).

With F(δ) = |⟨ψ(θ)|ψ(θ + δ)⟩|² = 1 − δᵀgδ + …, and random signs Δ₁, Δ₂,

    D = F(ε(Δ₁+Δ₂)) − F(εΔ₁) − F(ε(Δ₂−Δ₁)) + F(−εΔ₁),    −D/(4ε²) = Δ₁ᵀgΔ₂ + O(ε²),

and the mean of −D/(4ε²)·½(Δ₁Δ₂ᵀ + Δ₂Δ₁ᵀ) over the signs is g.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from qngd.estimates.estimate import MetricTensor

SAMPLES = 10  # pairs of directions per metric, four overlaps each
STEP = 0.1  # ε, radians: errors of order ε² against shot noise of order 1/ε²
SIGNS = (1.0, -1.0, -1.0, 1.0)  # of the four overlaps in D


@dataclass(frozen=True, eq=False)
class Pair:
    """Two random sign vectors (P,)."""

    first: np.ndarray
    second: np.ndarray

    @property
    def shifts(self) -> tuple[np.ndarray, ...]:
        """The four shifts δ (P,) whose overlaps D adds up with `SIGNS`."""
        a, b = STEP * self.first, STEP * self.second
        return (a + b, a, b - a, -a)

    @property
    def of_one_overlap(self) -> np.ndarray:
        """What an overlap of 1 adds to a sample (P, P), up to the sign."""
        return self.sample([1.0, 0.0, 0.0, 0.0])

    def sample(self, overlaps: Sequence[float]) -> np.ndarray:
        """One sample (P, P) of the metric."""
        difference = sum(s * f for s, f in zip(SIGNS, overlaps, strict=True))
        outer = np.outer(self.first, self.second)
        return -difference / (4 * STEP**2) * 0.5 * (outer + outer.T)


def random_pairs(num_parameters: int, seed: int | None) -> list[Pair]:
    """`SAMPLES` pairs of directions."""
    signs = np.random.default_rng(seed).choice((-1.0, 1.0), size=(SAMPLES, 2, num_parameters))
    return [Pair(first, second) for first, second in signs]


def metric_from(samples: Sequence[np.ndarray], shots: int = 0, least: np.ndarray | float = 0.0) -> MetricTensor:
    """The mean of the samples, made positive semidefinite, with its standard errors, `least` (P, P) at least before
    that."""
    stacked = np.array(samples)
    mean = stacked.mean(axis=0)
    stderr = np.maximum(stacked.std(axis=0, ddof=1) / np.sqrt(len(stacked)), least)
    value, note = absolute(mean)
    note = f"QN-SPSA: mean of {len(stacked)} random samples; {note}"
    return MetricTensor.made_positive(value, mean, stderr, "qn-spsa", shots, note)


def absolute(matrix: np.ndarray) -> tuple[np.ndarray, str]:
    """√(m²): negative eigenvalues, as random as the others, count with their absolute value; and a note on them."""
    values, vectors = np.linalg.eigh(matrix)
    positive = (vectors * np.abs(values)) @ vectors.T
    negative = int((values < 0).sum())
    note = f"{negative} of {len(values)} eigenvalues were negative and count with their absolute value"
    return 0.5 * (positive + positive.T), note
