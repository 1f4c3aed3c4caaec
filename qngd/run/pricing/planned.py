"""The circuits of one step, planned and not sent."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from qngd.backends import resolve
from qngd.backends.base import BackendBase
from qngd.circuit.observable import Observable
from qngd.cvar import CVaR
from qngd.errors import SettingError
from qngd.evaluators.choice import settled
from qngd.evaluators.deflated import OF_OBJECTIVES, OF_TAILS, SampledDeflated, require_room
from qngd.evaluators.given import AnyGiven
from qngd.evaluators.objectives.given import GivenObjective
from qngd.evaluators.objectives.joint import JointPlan
from qngd.evaluators.objectives.sampled import SampledObjective
from qngd.evaluators.sampled import SampledEvaluator
from qngd.evaluators.setup import USUAL, Setup
from qngd.evaluators.submission import purposes
from qngd.gradients.base import GradientLike, as_asked
from qngd.measured.deflation import Penalties
from qngd.measured.grouping import Grouping
from qngd.measured.plan import Plan
from qngd.metrics.base import Metric
from qngd.metrics.names import Approx, as_metric

_SHOTS = 1000  # per circuit where the user gives none


@dataclass(frozen=True, eq=False)
class PlannedStep:
    """The `plan` of a step's energy, gradient and metric, the `evaluator` that would send it, and how the observable's
    terms are grouped."""

    plan: Plan | JointPlan
    evaluator: SampledEvaluator | SampledObjective
    grouping: Grouping

    @property
    def device(self) -> BackendBase:
        """Where it would be sent."""
        return self.evaluator.backend

    @property
    def num_terms(self) -> int:
        """The Pauli terms that must be measured."""
        pairs = zip(self.plan.templates, self.plan.coefficients, strict=True)
        # one may be in several groups
        return len({label for t, weights in pairs if weights is not None for label in t.strings.labels()})

    @property
    def metric_circuits(self) -> int:
        """The circuits that the metric takes beside those of energy and gradient."""
        return self._count("metric")

    @property
    def energy_circuits(self) -> int:
        """The circuits of the energy."""
        return self._count("energy")

    @property
    def gradient_circuits(self) -> int:
        """The circuits that the gradient takes beside those of the energy."""
        return self._count("gradient")

    def _count(self, purpose: str) -> int:
        return int(purposes(self.plan)[purpose].sum())


def planned_step(
    given: AnyGiven,
    target: Observable | CVaR | None,
    setup: Setup = USUAL,
    *,
    approx: Approx | Metric = "block-diag",
    gradient: GradientLike = "shift",
    states: int = 1,
) -> PlannedStep:
    """The circuits that a step from what was given takes, those of all its samples where that is an objective: those of
    the metric alone where there is no target. Arguments and errors as for `cost`."""
    metric, asked = as_metric(approx), as_asked(gradient)
    setup = settled(setup, given.circuit)
    setup = replace(setup, backend=resolve(setup.backend), shots=_SHOTS if setup.shots is None else setup.shots)
    if isinstance(given, GivenObjective):
        if states > 1:
            raise SettingError(OF_OBJECTIVES)
        of_samples = SampledObjective(given.model, setup).on_dearest(given.theta)
        within = of_samples.on_batch(0, None)  # which also measures the batch that it began with
        joint = within.planned(given.theta, gradient=asked, metric=of_samples.own_metric(metric))
        return PlannedStep(joint, of_samples, setup.grouping)
    observable, share = (target.observable, target.stages[-1]) if isinstance(target, CVaR) else (target, None)
    evaluator = SampledEvaluator(given.circuit, observable, setup, share=share)
    if states > 1:
        if share is not None:
            raise SettingError(OF_TAILS)
        require_room(states, given.circuit, "states")
        before = given.theta + np.arange(1, states)[:, None]  # wherever they will be
        evaluator = SampledDeflated(evaluator, Penalties(before, np.ones(states - 1)))
    plan = evaluator.planned(given.theta, gradient=observable is not None and asked, metric=metric)
    return PlannedStep(plan, evaluator, setup.grouping)
