"""What a shot of each circuit was worth: what it adds to the errors of energy, step and metric."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qngd.estimates.evaluation import Evaluation, Spread
from qngd.measured.metric_parts import Part, metric_parts
from qngd.measured.outcomes import Outcome, sample_energy, widened_energy, zeros_frequency
from qngd.measured.plan import Plan
from qngd.measured.shots import of_bases
from qngd.measured.squared_slopes import step_variances

_RELATIVE_DAMPING = 1e-2  # of the largest eigenvalue, where an inverse metric weighs the errors of a step


def observed_spread(plan: Plan, outcomes: Sequence[Outcome], evaluation: Evaluation) -> Spread | None:
    """What one shot of every request adds to the variances of energy and natural gradient step, and the shots that the
    metric takes; None for exact outcomes.

    A step that is off by e misses the minimum of the model E + δ·∇E + δᵀ(g + λ)δ/2η by eᵀ(g + λ)e/2η. So errors of a
    step count in the norm of g + λ: in the plain norm those along nearly null directions of g, in which the state does
    not move and nothing is lost, would take all the shots.
    """
    shots = np.array([outcome.shots for outcome in outcomes])
    if not shots.all():
        return None
    of_energy, of_slopes, of_step = np.zeros((3, len(shots)))
    for r, request in enumerate(plan.requests):
        coefficients = plan.coefficients[request.template]
        if coefficients is not None:
            reading = plan.reading(r)
            variance = sample_energy(outcomes[r], reading, coefficients)[1]
            of_energy[r] = variance * shots[r]
            of_slopes[r] = widened_energy(variance, outcomes[r].shots, reading, coefficients) * shots[r]
    parts = metric_parts(plan, outcomes)
    if plan.mixing is not None and evaluation.metric is not None:
        assert evaluation.gradient is not None
        root, direction = _solved(evaluation.metric.value, evaluation.gradient.value)
        if plan.approx == "hamiltonian":
            of_step += step_variances(plan, outcomes, root, direction) * shots
        else:
            linear = root @ (plan.mixing @ plan.slopes).toarray()
            of_step += (linear**2).sum(axis=0) * of_slopes
        if plan.bases:  # the error of these metrics is mostly that of their bases
            of_step[of_bases(plan)] = of_step.sum() / max(np.count_nonzero(of_step), 1)
        for part in parts:
            along = part.influence.along(root[:, part.columns], direction[part.columns])
            of_step[part.request] += along * shots[part.request]
        for sample in plan.samples:
            moved = root @ sample.pair.of_one_overlap @ direction / len(plan.samples)
            # the variance of one shot is at most ¼
            of_step[list(sample.requests)] += float(moved @ moved) / 4
    return Spread(of_energy, _metric_shots(plan, outcomes, parts), np.maximum(of_step, 0.0))


def _metric_shots(plan: Plan, outcomes: Sequence[Outcome], parts: Sequence[Part]) -> np.ndarray:
    """Shots (R,) for unit error of every entry of the metric, each entry with its fewest in all (see `_sharing`)."""
    every = np.arange(plan.num_parameters)
    found = [(part.request, part.columns, part.influence.first_order) for part in parts]
    for sample in plan.samples:
        scale = (sample.pair.of_one_overlap / len(plan.samples)) ** 2
        found += [(r, every, scale * zeros_frequency(outcomes[r])[1]) for r in sample.requests]
    roots = [(r, np.ix_(columns, columns), np.sqrt(v * outcomes[r].shots)) for r, columns, v in found]
    total = np.zeros((len(every), len(every)))
    for _, place, root in roots:
        total[place] += root
    needed = np.zeros(plan.num_circuits)
    for r, place, root in roots:
        needed[r] = (root * total[place]).max(initial=0.0)
    return needed


def _solved(metric: np.ndarray, gradient: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(g + λ)^−½ and the direction (g + λ)⁻¹∇E."""
    values, vectors = np.linalg.eigh(metric)
    damped = np.maximum(values, 0.0) + _RELATIVE_DAMPING * max(float(values[-1]), 1e-12)
    root = (vectors / np.sqrt(damped)) @ vectors.T
    return root, root @ (root @ gradient)
