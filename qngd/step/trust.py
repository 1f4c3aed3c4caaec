"""Trust regions: the step is bounded by how well the model has predicted so far."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qngd._system.keywords import hinted
from qngd.damping import first_rate
from qngd.errors import require_positive
from qngd.estimates.evaluation import Evaluation
from qngd.solve.direction import Direction
from qngd.step.base import (
    Memory,
    Probe,
    Proposal,
    StepRule,
    Trial,
    along,
    require_length,
    require_rate,
    require_significance,
    with_first_rate,
)
from qngd.step.curvature import curvature_factor, parabola_factor

_SMALLEST = 1e-6  # radians, of a radius: one of zero could not grow again
_TINY = float(np.finfo(float).tiny)  # of a rate


@hinted
@dataclass(frozen=True)
class TrustRegion(StepRule):
    """δ = −η·d within √(δᵀgδ) ≤ r, the radius r adapted to how the energy follows the model (Conn, Gould and Toint,
    doi:10.1137/1.9780898719857).

    The model along d is the parabola with the slope at hand and the curvature that the last step met; η is its
    minimum. r is doubled where the energy fell by at least ¾ of what was predicted and the radius was what held the
    step, and cut to a quarter of the step's length where it fell by less than ¼, errors considered.

    Args:
        radius: the first r, in radians.
        max_radius: its bound.
        initial: the first rate η; None is 0.2 over the standard deviation of the observable's eigenvalues, so that
            the unit of energy does not matter.
        significance: standard errors that make a sampled curvature credible.
    """

    radius: float = 0.2
    max_radius: float = 0.5
    initial: float | None = None
    significance: float = 2.0
    may_reject = True

    def __post_init__(self) -> None:
        require_positive(self.radius, "radius")
        require_rate(self.initial, "initial")
        require_length(self.max_radius, "max_radius", self.radius)
        require_significance(self.significance)

    def at_scale(self, scale: float) -> TrustRegion:
        return with_first_rate(self, scale)

    def start(self) -> Memory:
        return {"rate": np.array(first_rate(self.initial)), "radius": np.array(self.radius)}

    def propose(self, direction: Direction, here: Evaluation, memory: Memory, probe: Probe) -> Proposal:
        rate = float(memory["rate"])
        step = along(direction, here, rate, float(memory["radius"]))
        # s·t − ½κt² with the slope s and κ = s/rate, at t = step.rate
        predicted = step.predicted * (1 - 0.5 * step.rate / rate)
        return Proposal(step.delta, step.rate, step.length, predicted, step.radius)

    def judge(self, trial: Trial, memory: Memory) -> bool:
        return trial.fell

    def learn(self, trial: Trial, accepted: bool, memory: Memory) -> Memory:
        step = trial.proposal
        if accepted:
            factor = float(np.clip(curvature_factor(trial, self.significance), 0.2, 5.0))
        else:
            factor = float(np.clip(parabola_factor(trial), 0.1, 0.5))
        radius = trial.next_radius(shrink=0.25, near=0.99, smallest=_SMALLEST, largest=self.max_radius)
        return {"rate": np.array(max(step.rate * factor, _TINY)), "radius": np.array(radius)}
