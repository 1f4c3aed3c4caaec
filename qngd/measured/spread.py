"""What a shot of each circuit was worth: what it adds to the errors of energy, step and metric."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from qngd.estimates.estimate import MetricTensor
from qngd.estimates.evaluation import Evaluation, Spread
from qngd.measured.readout import Readout

_RELATIVE_DAMPING = 0.1  # of the largest eigenvalue or error, where an inverse metric weighs the errors of a step


@dataclass(frozen=True, eq=False)
class StepModel:
    """The natural gradient step as errors of shots move it.

    A step that is off by e misses the minimum of the model E + δ·∇E + δᵀ(g + λ)δ/2η by eᵀ(g + λ)e/2η. So errors of a
    step count in the norm of g + λ: in the plain norm those along nearly null directions of g, in which the state does
    not move and nothing is lost, would take all the shots.

    Attributes:
        root: (g + λ)^−½, (P, P).
        direction: (g + λ)⁻¹∇E, (P,).
        of_gradient: what one shot of each request adds to the variance of root·∇E, (R,).
    """

    root: np.ndarray
    direction: np.ndarray
    of_gradient: np.ndarray

    @classmethod
    def of(cls, read: Readout, metric: MetricTensor | None, gradient: np.ndarray) -> StepModel:
        root = np.eye(len(gradient)) if metric is None else damped_root(metric)
        linear = root @ read.plan.linear.toarray()
        of_gradient = (linear**2).sum(axis=0) * (read.energies.variances * read.shots)
        return cls(root, root @ (root @ gradient), of_gradient)

    def square_of(self, read: Readout, gradient: np.ndarray) -> float:
        """∇Eᵀ(g + λ)⁻¹∇E without what the errors of the gradient add to it: 0 on average where there is none."""
        linear = self.root @ read.plan.linear.toarray()
        return float(self.direction @ gradient - ((linear**2).sum(axis=0) * read.energies.sampled).sum())


def damped_root(metric: MetricTensor) -> np.ndarray:
    """(g + λ)^−½, (P, P), of the metric g. Where few shots all agree, g is seen as 0 though it is not: so λ follows its
    errors where these are larger than all of it."""
    values, vectors = np.linalg.eigh(metric.value)
    largest = max(float(values[-1]), float(metric.stderr.max()), 1e-12)
    damped = np.maximum(values, 0.0) + _RELATIVE_DAMPING * largest
    return (vectors / np.sqrt(damped)) @ vectors.T


def observed_spread(read: Readout, evaluation: Evaluation, parts: Any) -> Spread | None:
    """What one shot of every request adds to the variances of energy and step (without a metric that of the plain
    gradient), and the shots that the metric takes; None for exact outcomes. `evaluation` and the `parts` of its metric
    are of the same outcomes."""
    if not read.shots.all():
        return None
    metric, tensor, gradient = read.plan.metric, evaluation.metric, evaluation.gradient
    of_step, of_metric = np.zeros((2, read.plan.num_circuits))
    signal = 0.0
    if gradient is not None:
        step = StepModel.of(read, tensor, gradient.value)
        signal = step.square_of(read, gradient.value)
        of_step = step.of_gradient
    if metric is not None and tensor is not None:
        of_metric = metric.entry_worth(read, parts)
        if gradient is not None:
            of_step = metric.step_worth(read, parts, step)
    return Spread(
        read.energies.sampled * read.shots, of_metric, np.maximum(of_step, 0.0), signal, int(read.shots.sum())
    )


def shots_of_entries(read: Readout, variances: Sequence[tuple[int, np.ndarray, np.ndarray]]) -> np.ndarray:
    """Shots (R,) for unit error of every entry of the metric, each entry with its fewest in all, from independent
    contributions: a request, the parameters (p,), and the variance (p, p) that it adds to their entries."""
    size = read.plan.num_parameters
    roots = [(r, np.ix_(columns, columns), np.sqrt(v * read.shots[r])) for r, columns, v in variances]
    total = np.zeros((size, size))
    for _, place, root in roots:
        total[place] += root
    needed = np.zeros(read.plan.num_circuits)
    for r, place, root in roots:
        needed[r] = (root * total[place]).max(initial=0.0)
    return needed
