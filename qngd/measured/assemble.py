"""From a plan and what came back to energy, gradient and metric with their errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy import sparse

from qngd.estimates.bit_strings import BitStrings
from qngd.estimates.estimate import Estimate
from qngd.estimates.evaluation import Cost, Evaluation
from qngd.measured.outcomes import Counts, Outcome, unseen, weighted_values, widened
from qngd.measured.plan import Plan
from qngd.measured.random_bases import covariance_of_sums
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
    if plan.bases:
        stderr = np.sqrt(_covariance_by_basis(read, weights[None])[0, 0])
    else:
        stderr = np.sqrt(weights**2 @ energies.variances)
    if read.tail is None:
        stderr = np.hypot(stderr, np.linalg.norm(energies.shared @ weights))
    metric = None if plan.metric is None else plan.metric.estimate(read)
    evaluation = Evaluation(
        theta=theta,
        energy=Estimate(np.float64(value), np.float64(stderr), shots),
        gradient=_gradient(read, shots),
        metric=None if metric is None else metric.whole,
        cost=cost,
        mean=None if read.tail is None else Estimate(np.float64(read.tail.mean), np.sqrt(read.tail.variance), shots),
        bit_strings=_bit_strings(read),
    )
    if not with_spread:
        return evaluation
    return replace(evaluation, spread=observed_spread(read, evaluation, None if metric is None else metric.parts))


def _bit_strings(read: Readout) -> BitStrings | None:
    """What the energy's circuit measured, of a diagonal observable."""
    plan = read.plan
    if plan.bit_template is None:
        return None
    place = int(np.flatnonzero(plan.energy_weights)[0])
    outcome, template, coefficients = read.outcomes[place], read.templates[place], plan.coefficients[plan.bit_template]
    if not isinstance(outcome, Counts) or coefficients is None:
        return None
    width = template.num_qubits if template.numbers is None else len(template.numbers)
    wide = 1 + max(template.wires[:width], default=0)
    ones, measured = np.zeros((len(outcome.bits), wide), dtype=bool), np.zeros(wide, dtype=bool)
    wires = np.array(template.wires[:width], dtype=int)
    ones[:, wires] = outcome.unpacked(template.num_qubits)[:, :width]
    measured[wires[[q for q in template.measured if q < width]]] = True
    energies = plan.constant + weighted_values(outcome, template, coefficients[:, None])[:, 0]
    return BitStrings(ones, energies, outcome.counts / outcome.shots, outcome.shots, measured)


def _by_basis(plan: Plan, linear: np.ndarray, values: np.ndarray) -> np.ndarray:
    """What every random basis adds (B, n) to the sums `linear` (n, R) of the energies of requests."""
    assert plan.bases is not None
    found = np.zeros((plan.bases, len(linear)))
    used = np.array([request.template for request in plan.requests])
    inside = used < plan.bases
    np.add.at(found, used[inside], (linear * values).T[inside])
    return found


def _covariance_by_basis(read: Readout, linear: np.ndarray) -> np.ndarray:
    """The covariance (n, n) of the sums `linear` (n, R), from the spread of the bases, and the shots of what is
    measured besides."""
    plan, energies = read.plan, read.energies
    found = covariance_of_sums(_by_basis(plan, linear, energies.values))
    spread = np.diag(found).copy()
    np.fill_diagonal(found, widened(spread, _unseen_by_bases(read, linear)))
    if plan.overlaps is None:
        return found
    variances = np.where([plan.is_overlap(r) for r in range(plan.num_circuits)], energies.variances, 0.0)
    return found + (linear * variances) @ linear.T


def _unseen_by_bases(read: Readout, linear: np.ndarray) -> np.ndarray:
    """The least variance (n,) of the sums `linear` (n, R) by what shots did not show of each string, which all bases
    that measure it have together at the same angles: those of the k-th request of every basis."""
    plan = read.plan
    assert plan.bases is not None
    every = [template.strings for template in plan.templates[: plan.bases]]
    masks = np.concatenate([np.hstack([each.x, each.z]) for each in every])
    _, string = np.unique(masks, axis=0, return_inverse=True)
    strings = np.split(string.ravel(), np.cumsum([len(each) for each in every])[:-1])
    before, found = np.zeros(plan.bases, dtype=int), []
    for r, each in enumerate(plan.requests):
        if each.template >= plan.bases:
            continue
        coefficients = plan.coefficients[each.template]
        assert coefficients is not None
        sizes = np.where(read.templates[r].independent[0] < 0, 0.0, np.abs(coefficients))
        found.append((sizes, np.full(len(sizes), r), before[each.template] * len(masks) + strings[each.template]))
        before[each.template] += 1
    sizes, request, column = (np.concatenate(part) for part in zip(*found, strict=True))
    # by what the strings at the same angles, a column each, count in every request
    measured = sparse.csr_array((sizes, (request, column)), shape=(plan.num_circuits, column.max() + 1))
    shots = (measured > 0).T @ np.array([outcome.shots for outcome in read.outcomes])
    least = np.array([unseen(int(each)) for each in shots])
    together: np.ndarray = (abs(sparse.csr_array(linear)) @ measured).power(2) @ least
    return together


def _gradient(read: Readout, shots: int) -> Estimate | None:
    if read.plan.mixing is None:
        return None
    linear, energies = read.plan.linear.toarray(), read.energies
    if read.plan.bases:
        covariance_matrix = _covariance_by_basis(read, linear)
    elif (chance := read.plan.chance) is not None:
        covariance_matrix = chance.covariance(read.plan, energies.values, energies.variances)
    else:
        covariance_matrix = (linear * energies.variances) @ linear.T
    moved = energies.shared @ linear.T
    covariance_matrix += moved.T @ moved
    stderr = np.sqrt(np.diag(covariance_matrix))
    return Estimate(linear @ energies.values, stderr, shots, covariance_matrix)
