"""Overlaps with states of the same circuit at other parameters, measured beside a step (arXiv:1805.08138).

|⟨ψ(θ_i)|ψ(θ)⟩|² is the frequency of all zeros behind U(θ) and then U(θ_i)†. As a function of θ it is an expectation
value like any other, of the projector on |0…0⟩ behind U(θ_i)†, so that the circuit's shift rules give its gradient, and
Σ_i w_i·|⟨ψ_i|ψ(θ)⟩|² is a part of the energy that is planned, measured and judged as its others are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qngd.errors import BackendError
from qngd.measured.outcomes import Means, Outcome, sample_zeros


@dataclass(frozen=True, eq=False)
class Penalties:
    """The states ψ(θ_i) of the same circuit, by their flat parameters `thetas` (D, P), and the `weights` (D,)."""

    thetas: np.ndarray
    weights: np.ndarray

    def __len__(self) -> int:
        return len(self.weights)


def overlap_of(outcome: Outcome) -> tuple[float, float]:
    """An overlap and its variance, as the sample has it.

    Raises:
        BackendError: the backend gives no counts.
    """
    if isinstance(outcome, Means):
        raise BackendError(
            "an overlap of two states needs counts, and this backend gives expectation values; use a sampler with "
            "shots, or the embedded simulator (backend=None)"
        )
    return sample_zeros(outcome)
