"""An objective's answers from a device: one submission a call, whatever the number of samples."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from qngd._system.seeds import derived
from qngd.errors import joined
from qngd.estimates.estimate import Estimate, MetricTensor
from qngd.estimates.evaluation import Cost, Evaluation, Spread
from qngd.evaluators.circuit_starts import divided, starts_of
from qngd.evaluators.device import DeviceEvaluator
from qngd.evaluators.job_log import JobLog
from qngd.evaluators.objectives.base import ObjectiveEvaluator, seed_of
from qngd.evaluators.objectives.batches import SameBatch
from qngd.evaluators.objectives.gauss_newton import GaussNewton
from qngd.evaluators.objectives.joint import DataPlanner, JointPlan
from qngd.evaluators.objectives.measured import Measured, Worth
from qngd.evaluators.objectives.measured_batch import MeasuredBatch
from qngd.evaluators.objectives.model import Model
from qngd.evaluators.setup import Setup
from qngd.evaluators.submission import run_plan, shots_for, submission_cost
from qngd.gradients.base import Asked, require_shifts
from qngd.measured.auto_shots import AutoShots
from qngd.measured.shots import FixedShots
from qngd.measured.target_error import TargetError, sharing
from qngd.metrics.base import Metric
from qngd.metrics.identity import Identity
from qngd.metrics.names import as_metric


class SampledObjective(DeviceEvaluator, ObjectiveEvaluator):
    """Answers with one submission to a backend: one batch of jobs."""

    def __init__(self, model: Model, setup: Setup, job_log: JobLog | None = None) -> None:
        DeviceEvaluator.__init__(self, setup, job_log)
        ObjectiveEvaluator.__init__(self, model)
        self._kept: tuple[Any, JointPlan, int] | None = None
        self._planners = {
            id(part): DataPlanner(part, setup.grouping, setup.cross, self.backend.runs_whole(part.circuit))
            for part in model.parts
        }

    @property
    def note(self) -> str:
        return joined(self._noise_note, self._batch_note)

    def default_metric(self) -> Metric:
        return self.own_metric(as_metric("block-diag"))

    def evaluate(
        self,
        theta: np.ndarray,
        *,
        gradient: Asked = True,
        metric: Metric | None = None,
        seed: int | None = None,
        spread: Spread | None = None,
    ) -> Evaluation:
        metric = self._checked(metric)
        require_shifts(gradient, "an Objective")
        judged, samples, batch = self._asked(bool(gradient))
        joint, first = self._joint(theta, judged, samples, gradient, metric, seed)
        pieces, cost, parts = self._run(joint, seed, spread)
        now = MeasuredBatch(self.model, pieces[first:], samples)
        tensor = None if metric is None else self._metric(now, metric)
        earlier = None if judged is None else MeasuredBatch(self.model, pieces[:first], judged)
        return Evaluation(
            theta=theta,
            energy=now.energy,
            gradient=now.gradient if gradient else None,
            metric=tensor,
            cost=cost,
            spread=self._spread(joint, earlier, now, bool(gradient), tensor, cost.shots, spread),
            batch=batch,
            before=None if earlier is None else earlier.energy,
            shots_for=parts,
            energy_scale=now.energy_scale,
        )

    def estimated_outputs(self, theta: np.ndarray, seed: int | None) -> Estimate:
        """The outputs of all samples, in the shape that the loss takes. A target error is that of each of them."""
        if isinstance(self.shots, TargetError):
            seen = self.with_shots(FixedShots(self.shots.first)).estimated_outputs(theta, seed)
            wanted = FixedShots(self.shots.for_all(seen.stderr))
            return self.with_shots(wanted).estimated_outputs(theta, derived(seed, 1))
        joint, _ = self._joint(theta, None, self.model.samples, False, None, seed)
        pieces, cost, _ = self._run(joint, seed)
        found = MeasuredBatch(self.model, pieces, self.model.samples)
        return Estimate(self.model.shaped(found.outputs), self.model.shaped(found.output_errors), cost.shots)

    def metric(self, theta: np.ndarray, metric: Metric, seed: int | None = None) -> MetricTensor:
        self._checked(metric)
        samples = self._asked(False)[1]
        joint, _ = self._joint(theta, None, samples, isinstance(metric, GaussNewton), metric, seed)
        pieces, *_ = self._run(joint, seed)
        return self._metric(MeasuredBatch(self.model, pieces, samples), metric)

    def preview(
        self, theta: np.ndarray, *, gradient: Asked = True, metric: Metric | None = None, spread: Spread | None = None
    ) -> Cost:
        """What an evaluation would cost, at any θ: every θ takes the same circuits."""
        planned = self.planned(theta, gradient=gradient, metric=metric)
        return submission_cost(self.backend, self._with_shots(planned, spread))

    def planned(self, theta: np.ndarray, *, gradient: Asked = True, metric: Metric | None = None) -> JointPlan:
        """What an evaluation would send, without shots."""
        metric = self._checked(metric)
        require_shifts(gradient, "an Objective")
        judged, samples, _ = self._asked(bool(gradient))
        joint, _ = self._joint(theta, judged, samples, gradient, metric, None)
        return joint

    def on_dearest(self, theta: np.ndarray) -> SampledObjective:
        """The same where every mini-batch has the samples that take the most circuits, so that no step takes more."""
        if self._batches is None:
            return self
        circuits = np.zeros(len(self.model.samples))
        for part in self.model.parts:
            (plan,) = self._planners[id(part)].plans(theta[part.parameters], np.zeros(1, int), True, None, [None])
            circuits[part.samples] += plan.num_circuits
        samples = np.sort(np.argsort(-circuits, kind="stable")[: self._batches.largest])
        return self._with(_batches=SameBatch(self._batches.count, self._batches.size, samples))

    # ----- plans -----

    def _joint(
        self,
        theta: np.ndarray,
        judged: np.ndarray | None,
        samples: np.ndarray,
        gradient: Asked,
        metric: Metric | None,
        seed: int | None,
    ) -> tuple[JointPlan, int]:
        """The plans of all samples, and how many of the pieces are for the batch to be judged by. The last is kept, and
        made again where it is drawn anew."""
        own = None if isinstance(metric, (GaussNewton, Identity)) else metric
        by_seed = own is not None and own.is_random
        key = theta.tobytes(), gradient, own, seed if by_seed else None, samples.tobytes(), self._index
        if (by_seed and seed is None) or self._kept is None or self._kept[0] != key:
            before = [] if judged is None else self._pieces(theta, judged, False, None, seed)
            after = self._pieces(theta, samples, gradient, own, seed)
            self._kept = key, JointPlan.of([*before, *after]), len(before)
        return self._kept[1:]

    def _pieces(
        self, theta: np.ndarray, samples: np.ndarray, gradient: Asked, metric: Metric | None, seed: int | None
    ) -> list[Any]:
        found: list[Any] = []
        for each in self.model.parts_of(samples):
            planner = self._planners[id(each.part)]
            seeds = [seed_of(seed, len(found) + i) for i in range(len(each.rows))]
            plans = planner.plans(theta[each.part.parameters], each.rows, gradient, metric, seeds)
            numbered = zip(each.part.samples[each.rows], each.places, plans, strict=True)
            found += [(planner, int(sample), int(place), plan) for sample, place, plan in numbered]
        return found

    def as_run(self, joint: JointPlan) -> JointPlan:
        """A plan with what is to be known of the backend."""
        least = self.backend.least_shots
        return replace(joint, least_shots=least, starts=starts_of(self.backend, joint, self.shots))

    def _with_shots(self, joint: JointPlan, spread: Spread | None) -> JointPlan:
        # a rule asks a plan for its circuits and energies, which a joint one has
        plan: Any = self.as_run(joint)
        return joint.with_shots(divided(self.shots.shots(plan, self._fitting(joint, spread)), plan.starts))

    def _fitting(self, joint: JointPlan, spread: Spread | None) -> Spread | None:
        """What a spread says of this plan's requests: all of one of the same kind, or of the loss alone. Of one that is
        of other samples it says what they are worth on average, and of any other kind nothing."""
        if spread is None or len(spread) == joint.num_circuits:
            return spread
        if joint.has_gradient:
            averages = isinstance(self.shots, AutoShots) and spread.taken
            return spread.of_as_many(joint.num_circuits) if averages else None
        of_loss = spread.of_loss() if joint.energy_weights.all() else None
        return of_loss if of_loss is not None and len(of_loss) == joint.num_circuits else None

    def _spread(
        self,
        joint: JointPlan,
        earlier: MeasuredBatch | None,
        now: MeasuredBatch,
        gradient: bool,
        metric: MetricTensor | None,
        taken: int,
        before: Spread | None,
    ) -> Spread | None:
        """What a shot of each request of a joint plan was worth, piece by piece, if anybody asks."""
        if self.has_fixed_shots:
            return None
        worth = [] if earlier is None else earlier.worth(False, None)
        worth += now.worth(gradient, metric)
        whole = Worth(*(np.concatenate(parts, axis=-1) for parts in zip(*worth, strict=True)))
        seen = Spread(
            whole.loss,
            whole.metric,
            whole.step,
            gradient=sharing(whole.entries),
            reach=whole.reach,
            of_energy=joint.energy_weights != 0,
        )
        if not gradient:
            return seen
        seen = replace(seen, signal=now.signal(metric), taken=taken)
        return self.remembered(seen, before)

    def _run(
        self, joint: JointPlan, seed: int | None, spread: Spread | None = None
    ) -> tuple[list[Measured], Cost, dict[str, int]]:
        wanted = self._with_shots(joint, spread)
        outcomes, cost = run_plan(self.backend, wanted, seed, self.job_log)
        pieces = [Measured(piece, outcomes, wanted.requests, self.backend.is_noisy) for piece in joint.pieces]
        return pieces, cost, shots_for(wanted, outcomes)

    # ----- the metric -----

    def _metric(self, now: MeasuredBatch, metric: Metric) -> MetricTensor:
        if isinstance(metric, Identity):
            return MetricTensor.exact(np.eye(self.model.num_parameters), metric.name)
        found = now.gauss_newton() if isinstance(metric, GaussNewton) else now.average()
        return replace(found, note=joined(found.note, self._noise_note))
