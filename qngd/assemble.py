"""From a plan and what came back to energy, gradient and metric with their errors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qngd.estimate import Estimate, MetricTensor
from qngd.evaluate import Cost, Evaluation
from qngd.outcomes import Outcome, covariance, energy, means, zeros_frequency
from qngd.plan import Plan
from qngd.spsa import metric_from
from qngd.template import Template


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
            template = plan.templates[request.template]
            values[r], variances[r] = energy(outcome, template, coefficients)
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
    value, variance = np.zeros((size, size)), np.zeros((size, size))
    for block in plan.blocks:
        outcome, template = outcomes[block.request], _template(plan, block.request)
        estimate = _diagonal_block if plan.approx == "diag" else covariance
        matrix, errors = estimate(outcome, template, block.jacobian)
        place = np.ix_(block.columns, block.columns)
        value[place] += 0.25 * matrix
        variance[place] += (0.25 * errors) ** 2
    asked = {block.request for block in plan.blocks}.union(*(c.requests for c in plan.crosses))
    shots = sum(outcomes[r].shots for r in asked)
    if not plan.crosses:
        return MetricTensor(value, np.sqrt(variance), plan.approx, shots)
    cross, spread = _between_layers(plan, outcomes)
    raw = value + cross
    positive, note = project(raw)
    return MetricTensor(positive, np.sqrt(variance + spread), plan.approx, shots, note, raw if note else None)


def _spsa_metric(plan: Plan, outcomes: Sequence[Outcome]) -> MetricTensor:
    if not plan.samples:  # no rotation moves
        return MetricTensor.exact(np.zeros((plan.num_parameters, plan.num_parameters)), "qn-spsa")
    matrices = [term.pair.sample([zeros_frequency(outcomes[r])[0] for r in term.requests]) for term in plan.samples]
    shots = sum(outcomes[r].shots for r in {r for term in plan.samples for r in term.requests})
    return metric_from(matrices, shots)


def _template(plan: Plan, request: int) -> Template:
    return plan.templates[plan.requests[request].template]


def _diagonal_block(outcome: Outcome, template: Template, jacobian: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Σ_k J_ki²·Var P_k for every parameter i: the diagonal over rotations, contracted."""
    matrix, errors = covariance(outcome, template, np.eye(len(jacobian)))
    squares = jacobian.T**2
    return np.diag(squares @ np.diag(matrix)), np.diag(np.sqrt(squares**2 @ np.diag(errors) ** 2))


def _between_layers(plan: Plan, outcomes: Sequence[Outcome]) -> tuple[np.ndarray, np.ndarray]:
    """The part of the metric between layers, contracted with the Jacobian, and its variance."""
    count = plan.jacobian.shape[0]
    mean, spread = np.zeros(count), np.zeros(count)
    for block in plan.blocks:
        mean[block.rotations], spread[block.rotations] = means(outcomes[block.request], _template(plan, block.request))
    value, variance = np.zeros((count, count)), np.zeros((count, count))
    for term in plan.crosses:
        i, others = term.rotation, term.others
        if term.signs:
            frequencies = [zeros_frequency(outcomes[r]) for r in term.requests]
            value[i, others] = -0.5 * sum(s * f for s, (f, _) in zip(term.signs, frequencies, strict=True))
            variance[i, others] = 0.25 * sum(v for _, v in frequencies)
            continue
        (request,) = term.requests
        together, error = means(outcomes[request], _template(plan, request))
        value[i, others] = together - mean[i] * mean[others]
        variance[i, others] = error + mean[i] ** 2 * spread[others] + mean[others] ** 2 * spread[i]
    jacobian = plan.jacobian.toarray()
    half = 0.25 * jacobian.T @ value @ jacobian
    squares = jacobian**2
    half_spread = squares.T @ variance @ squares / 16
    # the entry (a, b) holds J_ia·J_kb + J_ib·J_ka times g_ik: the middle term of its square
    pairs = zip(jacobian, variance, strict=True)
    middle = sum((np.outer(own, own) * ((jacobian.T * v) @ jacobian) for own, v in pairs), 0.0) / 8
    return half + half.T, np.maximum(half_spread + half_spread.T + middle, 0.0)


def project(matrix: np.ndarray) -> tuple[np.ndarray, str]:
    """The nearest positive semidefinite matrix in the Frobenius norm, and a note on what the projection did."""
    values, vectors = np.linalg.eigh(matrix)
    rounding = len(values) * np.finfo(float).eps * np.abs(values).max(initial=0.0)
    negative = values < -rounding
    if not negative.any():
        return matrix, ""
    fixed = (vectors * np.maximum(values, 0.0)) @ vectors.T
    note = (
        f"projected onto the positive cone: {int(negative.sum())} of {len(values)} eigenvalues were negative, the "
        f"lowest {values[0]:.3g}; the matrix moved by {np.linalg.norm(values[negative]):.3g}"
    )
    return 0.5 * (fixed + fixed.T), note
