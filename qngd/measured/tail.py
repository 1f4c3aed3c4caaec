"""The mean of the lowest share of the energies of single shots (CVaR): see `qngd.estimates.tail`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from qngd.errors import BackendError
from qngd.estimates.tail import quantile, tail_function
from qngd.measured.outcomes import Counts, Outcome, weighted_values
from qngd.measured.plan import Plan
from qngd.measured.template import Template


@dataclass(frozen=True, eq=False)
class Tail:
    """The share α of the energies, their quantile q at θ as the shots there have it, and `between`, the quantiles one
    standard error of the filled share, √(α(1−α)/N), below and above. `mean` and `variance` are those of all energies.
    `reach` is how far below q an energy may lie that was not seen at some angles: as far as the lowest that any circuit
    of the step showed, or where that is none, by the distance that seen energies have on average. No energy is below
    `lowest`. Of all energies, α = 1, the tail is the mean: q is above whatever there may be, seen at θ or not.

    The tail's mean does not feel an error of q to first order, where it is largest; its gradient does.
    """

    share: float
    constant: float
    q: float
    between: tuple[float, float]
    mean: float
    variance: float
    reach: float
    lowest: float

    @classmethod
    def of(cls, plan: Plan, outcomes: Sequence[Outcome], templates: Sequence[Template]) -> Tail:
        """From the outcome of the energy's circuit.

        Raises:
            BackendError: an outcome holds expectation values, not counts.
        """
        assert plan.share is not None
        share = plan.share
        places = np.flatnonzero(plan.energy_weights)
        if not len(places):  # the observable is constant
            only = plan.constant
            return cls(share, only, only, (only, only), only, 0.0, 0.0, only)
        center = int(places[0])
        coefficients = plan.coefficients[plan.requests[center].template]
        assert coefficients is not None
        outcome = counts_of(outcomes[center])
        energies = plan.constant + energies_of(outcome, templates[center], coefficients)
        weights, shots = outcome.counts / outcome.shots, outcome.shots
        error = np.sqrt(share * (1 - share) / shots)
        low, high = (quantile(energies, weights, at) for at in (max(share - error, 0.0), min(share + error, 1.0)))
        mean = float(weights @ energies)
        variance = float(weights @ (energies - mean) ** 2) / max(shots - 1, 1)
        q, size = quantile(energies, weights, share), float(np.abs(coefficients).sum())
        reach = _reach(plan, outcomes, templates, q)
        if share == 1:
            low = q = high = plan.constant + size
        return cls(share, plan.constant, q, (low, high), mean, variance, reach, plan.constant - size)

    def read(
        self, outcome: Outcome, template: Template, coefficients: np.ndarray, at_theta: bool
    ) -> tuple[float, float, float]:
        """The mean of `tail_function` in an outcome, at θ or beside it, without the constant; its variance as the
        sample has it; and what an error of the quantile of one standard error moves it by."""
        counts = counts_of(outcome)
        energies = self.constant + energies_of(counts, template, coefficients)
        low, here, high = (tail_function(energies, q, self.share) for q in (self.between[0], self.q, self.between[1]))
        weights, shots = counts.counts / counts.shots, counts.shots
        mean = float(weights @ here)
        if shots < 2:  # nothing is known of the spread but its bound
            variance = self.bound(float(np.abs(coefficients).sum()), at_theta) ** 2
        else:
            variance = float(weights @ (here - mean) ** 2) / (shots - 1)
        return mean - self.constant, variance, 0.5 * float(weights @ (high - low))

    def least(self, shots: int, at_theta: bool) -> float:
        """The variance of a mean in whose N shots nothing below q was seen. That has a probability of 0 ± 1/N, and
        twice as much is said where q is a quantile: it jumps from energy to energy, and of a small α errors are too
        small otherwise. At θ, where the share α lies below q, it is a mean of energies, and no lower than the lowest
        that there may be."""
        farthest = max(self.q - self.lowest, self.reach) if at_theta else self.reach / self.share
        rare = (1 if self.share == 1 else 2) / shots
        return min(self.reach * rare / self.share, farthest) ** 2

    def bound(self, size: float, at_theta: bool) -> float:
        """That of `tail_function` where energies are no larger than `size`; at θ that of its mean."""
        return size if at_theta else size / self.share


def _reach(plan: Plan, outcomes: Sequence[Outcome], templates: Sequence[Template], q: float) -> float:
    seen = []
    for outcome, template, request in zip(outcomes, templates, plan.requests, strict=True):
        if (coefficients := plan.coefficients[request.template]) is not None:
            seen.append(plan.constant + energies_of(counts_of(outcome), template, coefficients))
    every = np.unique(np.concatenate(seen).round(9))
    highest = every[-1] if plan.share == 1 else q
    if every[0] < highest - 1e-9:
        return float(highest - every[0])
    if len(every) > 1:
        return float(every[-1] - every[0]) / (len(every) - 1)
    return max(2 * float(np.abs(c).sum()) for c in plan.coefficients if c is not None)


def energies_of(counts: Counts, template: Template, coefficients: np.ndarray) -> np.ndarray:
    """Σ_t c_t·(value of string t) of every distinct outcome, (U,)."""
    found: np.ndarray = weighted_values(counts, template, coefficients[:, None])[:, 0]
    return found


def counts_of(outcome: Outcome) -> Counts:
    """The outcome, if it is counts; raises BackendError otherwise."""
    if isinstance(outcome, Counts):
        return outcome
    raise BackendError(
        "observable: a CVaR needs the distribution of the energies, and this backend gives expectation values; take a "
        "sampler with a number of shots"
    )
