"""From a plan and what came back to energy, gradient and metric with their errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from qngd.estimates.estimate import Estimate
from qngd.estimates.evaluation import Cost, Evaluation
from qngd.measured.outcomes import Outcome
from qngd.measured.plan import Plan
from qngd.measured.readout import Readout
from qngd.measured.spread import observed_spread


def assemble(
    plan: Plan, outcomes: Sequence[Outcome], theta: np.ndarray, cost: Cost, with_spread: bool = False
) -> Evaluation:
    """The estimates at `theta` (P,) from one outcome per request, in the plan's order; `with_spread`, what the shots
    were worth too."""
    read = Readout(plan, outcomes, with_spread)
    weights, energies = plan.energy_weights, read.energies
    shots = sum(outcome.shots for outcome in outcomes)
    value = plan.constant + weights @ energies.values
    stderr = np.sqrt(weights**2 @ energies.variances)
    metric = None if plan.metric is None else plan.metric.estimate(read)
    evaluation = Evaluation(
        theta=theta,
        energy=Estimate(np.float64(value), np.float64(stderr), shots),
        gradient=_gradient(read, shots),
        metric=None if metric is None else metric.tensor,
        cost=cost,
    )
    if not with_spread:
        return evaluation
    return replace(evaluation, spread=observed_spread(read, evaluation, None if metric is None else metric.parts))


def _gradient(read: Readout, shots: int) -> Estimate | None:
    if read.plan.mixing is None:
        return None
    linear = read.plan.linear.toarray()
    covariance_matrix = (linear * read.energies.variances) @ linear.T
    stderr = np.sqrt(np.diag(covariance_matrix))
    return Estimate(linear @ read.energies.values, stderr, shots, covariance_matrix)
