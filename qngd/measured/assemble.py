"""From a plan and what came back to energy, gradient and metric with their errors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qngd.estimates.estimate import Estimate, MetricTensor
from qngd.estimates.evaluation import Cost, Evaluation
from qngd.estimates.positive import project
from qngd.measured.metric_parts import metric_parts
from qngd.measured.outcomes import Means, Outcome, energy, unseen_zeros, zeros_frequency
from qngd.measured.plan import Plan
from qngd.measured.squared_slopes import fisher_from_shots, hamiltonian_from_shots, unseen_fisher
from qngd.metrics.random_basis import average
from qngd.metrics.spsa import metric_from

_RARE = 0.1  # share of the shots with an outcome of their own, from which on the user is told


def assemble(plan: Plan, outcomes: Sequence[Outcome], theta: np.ndarray, cost: Cost) -> Evaluation:
    """The estimates at `theta` (P,) from one outcome per request, in the plan's order."""
    values, variances = _energies(plan, outcomes)
    weights = plan.energy_weights
    shots = sum(outcome.shots for outcome in outcomes)
    value = plan.constant + weights @ values
    stderr = np.sqrt(weights**2 @ variances)
    return Evaluation(
        theta=theta,
        energy=Estimate(np.float64(value), np.float64(stderr), shots),
        gradient=_gradient(plan, values, variances, shots),
        metric=_metric(plan, outcomes),
        cost=cost,
    )


def _energies(plan: Plan, outcomes: Sequence[Outcome]) -> tuple[np.ndarray, np.ndarray]:
    """The energy of every request and its variance; 0 for requests of the metric."""
    values, variances = np.zeros(len(outcomes)), np.zeros(len(outcomes))
    for r, (request, outcome) in enumerate(zip(plan.requests, outcomes, strict=True)):
        coefficients = plan.coefficients[request.template]
        if coefficients is not None:
            values[r], variances[r] = energy(outcome, plan.reading(r), coefficients)
    return values, variances


def _gradient(plan: Plan, values: np.ndarray, variances: np.ndarray, shots: int) -> Estimate | None:
    if plan.mixing is None:
        return None
    linear = (plan.mixing @ plan.slopes).toarray()
    covariance_matrix = (linear * variances) @ linear.T
    stderr = np.sqrt(np.diag(covariance_matrix))
    return Estimate(linear @ values, stderr, shots, covariance_matrix)


def _metric(plan: Plan, outcomes: Sequence[Outcome]) -> MetricTensor | None:
    if plan.approx is None:
        return None
    size = plan.num_parameters
    if plan.approx == "qn-spsa":
        return _spsa_metric(plan, outcomes)
    if plan.approx == "random-basis":
        return _random_basis_metric(plan, outcomes)
    if plan.approx == "hamiltonian":
        value, variance, shots = hamiltonian_from_shots(plan, outcomes)
        return _projected(plan, value, np.sqrt(variance), shots)
    value, variance = np.zeros((size, size)), np.zeros((size, size))
    parts = metric_parts(plan, outcomes)
    for part in parts:
        place = np.ix_(part.columns, part.columns)
        value[place] += part.influence.value
        variance[place] += part.influence.variance
    requests = {part.request for part in parts}
    shots = sum(outcomes[request].shots for request in requests)
    # a sample covariance of counts is positive; noisy expectation values and parts of several circuits may give another
    noisy_means = any(isinstance(outcomes[request], Means) and outcomes[request].shots for request in requests)
    if noisy_means or plan.crosses or any(block.partners for block in plan.blocks):
        return _projected(plan, value, np.sqrt(variance), shots, plan.note)
    return MetricTensor(value, np.sqrt(variance), plan.approx, shots, plan.note)


def _projected(plan: Plan, value: np.ndarray, stderr: np.ndarray, shots: int, note: str = "") -> MetricTensor:
    assert plan.approx is not None
    if shots:
        value, stderr = _without_still(value, stderr)
    positive, done = project(value)
    notes = "; ".join(filter(None, (note, done)))
    if not done:
        return MetricTensor(value, stderr, plan.approx, shots, notes)
    return MetricTensor.made_positive(positive, value, stderr, plan.approx, shots, notes)


def _without_still(value: np.ndarray, stderr: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of parameters that certainly do not move the state are 0, as |g_ij|² ≤ g_ii·g_jj: what shots
    say there is noise, which a projection would spread."""
    rounding = 4 * np.finfo(float).eps
    still = (np.abs(np.diag(value)) <= rounding) & (np.diag(stderr) <= rounding)
    either = np.logical_or.outer(still, still)
    return np.where(either, 0.0, value), np.where(either, 0.0, stderr)


def _random_basis_metric(plan: Plan, outcomes: Sequence[Outcome]) -> MetricTensor:
    samples, once = zip(*(fisher_from_shots(term, outcomes) for term in plan.bases), strict=True)
    value, stderr, note = average(samples)
    least = sum(unseen_fisher(term, outcomes) for term in plan.bases)
    stderr = np.maximum(stderr, np.sqrt(least) / len(samples))
    rare = float(np.mean(once))
    if rare > _RARE:
        note += (
            f"; {rare:.0%} of the shots came out as no other did, and such outcomes count too little in the metric: "
            "take more shots"
        )
    shots = sum(outcomes[r].shots for term in plan.bases for r in {term.center, *term.linear.indices.tolist()})
    return _projected(plan, value, stderr, shots, note)


def _spsa_metric(plan: Plan, outcomes: Sequence[Outcome]) -> MetricTensor:
    if not plan.samples:  # no rotation moves
        return MetricTensor.exact(np.zeros((plan.num_parameters, plan.num_parameters)), "qn-spsa")
    matrices, least = [], np.zeros((plan.num_parameters, plan.num_parameters))
    for term in plan.samples:
        matrices.append(term.pair.sample([zeros_frequency(outcomes[r])[0] for r in term.requests]))
        unseen = sum(unseen_zeros(outcomes[r].shots, plan.reading(r)) for r in term.requests)
        least += term.pair.of_one_overlap**2 * unseen
    shots = sum(outcomes[r].shots for r in {r for term in plan.samples for r in term.requests})
    return metric_from(matrices, shots, np.sqrt(least) / len(matrices))
