"""The outcomes of a plan beside it: what several estimates read of them is computed once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from qngd.estimates.estimate import Estimate
from qngd.measured.deflation import overlap_of
from qngd.measured.outcomes import (
    Outcome,
    moved_together,
    sample_energy,
    shared_errors,
    unseen_zeros,
    widened,
    widened_energy,
)
from qngd.measured.plan import Plan, Request
from qngd.measured.tail import Tail
from qngd.measured.template import Template


@dataclass(frozen=True, eq=False)
class Energies:
    """Of every request, (R,): its energy, the variance of that as the sample has it, and with what was not seen; 0 for
    requests of the metric. `shared` (C, R) are errors that all of them share, by how much each moves every energy where
    it is one standard error large."""

    values: np.ndarray
    sampled: np.ndarray
    variances: np.ndarray
    shared: np.ndarray


def shots_asked(request: Request, outcome: Outcome) -> int:
    """The shots that a request asked for: those that came back where it left that open, and 0 of an exact outcome."""
    return (request.shots or outcome.shots) if outcome.shots else 0


def overlaps_of(plan: Plan, outcomes: Sequence[Outcome]) -> Estimate:
    """The overlaps (D,) that a plan asks for."""
    chosen = [] if plan.overlaps is None else list(plan.overlaps.requests)
    energies = Readout(plan, outcomes).energies
    shots = sum(outcomes[r].shots for r in chosen)
    return Estimate(energies.values[chosen], np.sqrt(energies.variances[chosen]), shots)


@dataclass(frozen=True, eq=False)
class Readout:
    """A plan and one outcome per request, in the plan's order; `with_spread` if what the shots were worth will be asked
    too."""

    plan: Plan
    outcomes: Sequence[Outcome]
    with_spread: bool = False

    @cached_property
    def shots(self) -> np.ndarray:
        """That were asked for, of every request, (R,), of some of which nothing may have come back; 0 where its outcome
        is exact."""
        return np.array([shots_asked(*pair) for pair in zip(self.plan.requests, self.outcomes, strict=True)])

    @cached_property
    def templates(self) -> list[Template]:
        """Of every request, as its outcome is read: see `Plan.reading`."""
        return [self.plan.reading(r) for r in range(self.plan.num_circuits)]

    @cached_property
    def energies(self) -> Energies:
        if self.tail is not None:
            return self._tail_energies(self.tail)
        values, sampled, variances = np.zeros((3, len(self.outcomes)))
        for r, (request, outcome) in enumerate(zip(self.plan.requests, self.outcomes, strict=True)):
            coefficients, template = self.plan.coefficients[request.template], self.templates[r]
            if self.plan.is_overlap(r):
                values[r], sampled[r] = overlap_of(outcome)
                least = 0.0 if outcome.shots < 2 else unseen_zeros(outcome.shots, template)
                variances[r] = float(widened(sampled[r], least))
            elif coefficients is not None:
                values[r], sampled[r] = sample_energy(outcome, template, coefficients)
                variances[r] = widened_energy(float(sampled[r]), outcome.shots, template, coefficients)
        return Energies(values, sampled, variances, self._shared())

    def _shared(self) -> np.ndarray:
        """What errors that all outcomes share do to the energies, (C, R)."""
        moves = []
        for r, (request, outcome) in enumerate(zip(self.plan.requests, self.outcomes, strict=True)):
            if (coefficients := self.plan.coefficients[request.template]) is not None:
                moves.append(((r,), shared_errors(outcome, len(coefficients)) @ coefficients))
        return moved_together((len(self.outcomes),), moves)

    @cached_property
    def tail(self) -> Tail | None:
        """The tail of the energies at θ, of a plan for a CVaR."""
        return None if self.plan.share is None else Tail.of(self.plan, self.outcomes, self.templates)

    def _tail_energies(self, tail: Tail) -> Energies:
        """Means of `tail_function`, whose quantile is that of the energies at θ for all requests, and shares its
        error with them."""
        values, sampled, variances, shared = np.zeros((4, len(self.outcomes)))
        for r, (request, outcome) in enumerate(zip(self.plan.requests, self.outcomes, strict=True)):
            coefficients = self.plan.coefficients[request.template]
            if coefficients is not None:
                template, at_theta = self.templates[r], bool(self.plan.energy_weights[r])
                values[r], sampled[r], shared[r] = tail.read(outcome, template, coefficients, at_theta)
                variances[r] = float(widened(sampled[r], tail.least(outcome.shots, at_theta)))
        return Energies(values, sampled, variances, shared[None])
