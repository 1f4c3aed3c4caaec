"""An objective's answers from a device: one submission a call, whatever the number of samples.

Errors of shots go through the loss to first order (the delta method): with the derivatives w of the loss by the outputs
and its second ones L, an error δo of the outputs moves the loss by w·δo, and the gradient Σ_bk w_bk·∇o_bk by
w·δ(∇o) + (L·δo)·∇o. What is of second order, such as ½·L·Cov(o) in the loss, is not in it: it falls as 1/shots, the
errors themselves as its root.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Self

import numpy as np

from qngd.backends.base import Backend, BackendBase
from qngd.backends.foreign import completed
from qngd.errors import SettingError
from qngd.estimates.estimate import Estimate, MetricTensor
from qngd.estimates.evaluation import Cost, Evaluation, Spread
from qngd.estimates.positive import project
from qngd.evaluators.job_log import JobLog
from qngd.evaluators.objectives.base import ObjectiveEvaluator
from qngd.evaluators.objectives.exact import seed_of
from qngd.evaluators.objectives.gauss_newton import GaussNewton, gauss_newton_matrix
from qngd.evaluators.objectives.joint import DataPlanner, JointPlan, Measured, outputs_of
from qngd.evaluators.objectives.model import Model
from qngd.evaluators.submission import noise_note, run_plan, shots_for, submission_cost
from qngd.gradients.base import Asked, require_shifts
from qngd.measured.cross import CrossMethod
from qngd.measured.grouping import Grouping
from qngd.measured.shots import FixedShots, ShotRule, sharing
from qngd.measured.spread import damped_root
from qngd.metrics.base import Metric
from qngd.metrics.identity import Identity
from qngd.metrics.names import as_metric

# of each request (R,): what a shot adds to the variances of loss and step, and (P, R) of the gradient's entries; (2, R)
# what it moves the loss and an entry by at most; the shots for unit error of its sample's metric
Worth = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]
_WHOLE_HESSIAN = 400  # outputs of a batch up to which all second derivatives of the loss are taken


class SampledObjective(ObjectiveEvaluator):
    """Answers with one submission to a backend: one batch of jobs."""

    is_exact = False

    def __init__(
        self,
        model: Model,
        backend: Backend | BackendBase,
        shots: ShotRule,
        grouping: Grouping = "qubit-wise",
        cross: CrossMethod = "hadamard",
        job_log: JobLog | None = None,  # of a run that is kept on disk
    ) -> None:
        super().__init__(model)
        self.backend = completed(backend)
        self.shots = shots
        self.job_log = job_log
        self._noise_note = noise_note(self.backend)
        self._kept: tuple[Any, JointPlan, int] | None = None
        self._planners = {
            id(part): DataPlanner(part, grouping, cross, self.backend.runs_whole(part.circuit)) for part in model.parts
        }

    def with_shots(self, rule: ShotRule) -> Self:
        """The same with other shots; planners and backend are shared."""
        return self._with(shots=rule)

    @property
    def name(self) -> str:
        return self.backend.name

    @property
    def own_seed(self) -> int | None:
        """The seed that the user has fixed in the backend."""
        return self.backend.seed

    @property
    def note(self) -> str:
        return "; ".join(filter(None, (self._noise_note, self._batch_note)))

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
        now = _Found(self, pieces[first:], samples)
        value, weights = self._loss(now.outputs, samples)
        bends = now.bends() if gradient else None
        tensor = None if metric is None else self._metric(now, metric)
        before, worth = None, []
        if judged is not None:
            earlier = _Found(self, pieces[:first], judged)
            value_there, weights_there = self._loss(earlier.outputs, judged)
            before = earlier.energy(value_there, weights_there)
            worth = earlier.worth(weights_there, None, None)
        return Evaluation(
            theta=theta,
            energy=now.energy(value, weights),
            gradient=now.gradient(weights, bends) if bends is not None else None,
            metric=tensor,
            cost=cost,
            spread=self._spread([*worth, *now.worth(weights, bends, tensor)], joint),
            batch=batch,
            before=before,
            shots_for=parts,
        )

    def estimated_outputs(self, theta: np.ndarray, seed: int | None) -> Estimate:
        """The outputs of all samples, in the shape that the loss takes."""
        samples = self.model.samples
        joint, _ = self._joint(theta, None, samples, False, None, seed)
        pieces, cost, _ = self._run(joint, seed)
        values = outputs_of(pieces, len(samples), self.model.num_outputs)
        errors = np.zeros_like(values)
        for each in pieces:
            errors[each.piece.place, each.piece.columns] = np.sqrt(np.diag(each.covariance))
        return Estimate(self.model.shaped(values), self.model.shaped(errors), cost.shots)

    def metric(self, theta: np.ndarray, metric: Metric, seed: int | None = None) -> MetricTensor:
        self._checked(metric)
        samples = self._asked(False)[1]
        joint, _ = self._joint(theta, None, samples, isinstance(metric, GaussNewton), metric, seed)
        pieces, *_ = self._run(joint, seed)
        return self._metric(_Found(self, pieces, samples), metric)

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

    def metric_product(self, theta: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        raise SettingError(
            'approx="matrix-free" needs the embedded exact simulator; use "block-diag" or "qn-spsa" with shots'
        )

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
        """The plans of all samples, and how many of the pieces are for the batch to be judged by. The last is kept."""
        own = None if isinstance(metric, (GaussNewton, Identity)) else metric
        key = (
            theta.tobytes(),
            gradient,
            own,
            seed if own is not None and own.is_random else None,
            samples.tobytes(),
            self._index,
        )
        if self._kept is None or self._kept[0] != key:
            before = [] if judged is None else self._pieces(theta, judged, False, None, seed)
            after = self._pieces(theta, samples, gradient, own, seed)
            self._kept = key, JointPlan.of([*before, *after]), len(before)
        return self._kept[1:]

    def _pieces(
        self, theta: np.ndarray, samples: np.ndarray, gradient: Asked, metric: Metric | None, seed: int | None
    ) -> list[Any]:
        found: list[Any] = []
        for share in self._shares(samples):
            planner = self._planners[id(share.part)]
            seeds = [seed_of(seed, len(found) + i) for i in range(len(share.rows))]
            plans = planner.plans(theta[share.part.parameters], share.rows, gradient, metric, seeds)
            numbered = zip(share.part.samples[share.rows], share.places, plans, strict=True)
            found += [(planner, int(sample), int(place), plan) for sample, place, plan in numbered]
        return found

    def _with_shots(self, joint: JointPlan, spread: Spread | None) -> JointPlan:
        # what was seen of an evaluation of another kind says nothing about this one
        if spread is not None and len(spread) > joint.num_circuits and joint.energy_weights.all():
            spread = spread.of_loss()
        fits = spread is not None and len(spread) == joint.num_circuits
        plan: Any = joint  # a rule asks a plan for its circuits and energies, which a joint one has
        return joint.with_shots(self.shots.shots(plan, spread if fits else None))

    def _spread(self, worth: Sequence[Worth], joint: JointPlan) -> Spread | None:
        """What a shot of each request of a joint plan was worth, piece by piece; of fixed shots nobody asks."""
        if isinstance(self.shots, FixedShots):
            return None
        energy, step, variances, reach, metric = (np.concatenate(parts, axis=-1) for parts in zip(*worth, strict=True))
        return Spread(
            energy, metric, step, gradient=sharing(variances), reach=reach, of_energy=joint.energy_weights != 0
        )

    def _run(
        self, joint: JointPlan, seed: int | None, spread: Spread | None = None
    ) -> tuple[list[Measured], Cost, dict[str, int]]:
        wanted = self._with_shots(joint, spread)
        outcomes, cost = run_plan(self.backend, wanted, seed, self.job_log)
        pieces = [Measured(piece, outcomes, self.backend.is_noisy) for piece in joint.pieces]
        return pieces, cost, shots_for(wanted, outcomes)

    # ----- the metric -----

    def _metric(self, now: _Found, metric: Metric) -> MetricTensor:
        if isinstance(metric, Identity):
            return MetricTensor.exact(np.eye(self.model.num_parameters), metric.name)
        found = now.gauss_newton() if isinstance(metric, GaussNewton) else now.average()
        notes = "; ".join(filter(None, (found.note, self._noise_note)))
        return replace(found, note=notes)


class _Found:
    """What came back for the samples of a batch."""

    def __init__(self, owner: SampledObjective, pieces: Sequence[Measured], samples: np.ndarray) -> None:
        self._owner, self._pieces, self._samples = owner, pieces, samples
        self._size = owner.model.num_parameters
        self.outputs = outputs_of(pieces, len(samples), owner.model.num_outputs)

    @property
    def _shots(self) -> int:
        return sum(outcome.shots for each in self._pieces for outcome in each.outcomes)

    def energy(self, value: float, weights: np.ndarray) -> Estimate:
        """The loss with its error, w·Cov(o)·w."""
        variance = 0.0
        for each in self._pieces:
            own = weights[each.piece.place, each.piece.columns]
            variance += float(own @ each.covariance @ own)
        return Estimate(np.float64(value), np.float64(np.sqrt(max(variance, 0.0))), self._shots)

    def _jacobian(self) -> np.ndarray:
        found = np.zeros((*self.outputs.shape, self._size))
        for each in self._pieces:
            columns = np.arange(each.piece.columns.start, each.piece.columns.stop)
            found[np.ix_(np.array([each.piece.place]), columns, each.piece.parameters)] = each.jacobian[None]
        return found

    def bends(self) -> np.ndarray:
        """L·J, (b, K, P)."""
        return self._owner._bends(self.outputs, self._samples, self._jacobian())

    def gradient(self, weights: np.ndarray, bends: np.ndarray) -> Estimate:
        """The gradient of the loss with its covariance."""
        value, spread = np.zeros(self._size), np.zeros((self._size, self._size))
        for each in self._pieces:
            place, columns = each.piece.place, each.piece.columns
            own = weights[place, columns]
            value[each.piece.parameters] += own @ each.jacobian
            spread += each.gradient_covariance(own, bends[place, columns])
        return Estimate(value, np.sqrt(np.diag(spread)), self._shots, spread)

    def worth(self, weights: np.ndarray, bends: np.ndarray | None, metric: MetricTensor | None) -> list[Worth]:
        """What a shot of each piece's requests is worth."""
        root = np.eye(self._size) if metric is None else damped_root(metric.value)
        found = []
        for each in self._pieces:
            place, columns = each.piece.place, each.piece.columns
            own = None if bends is None else bends[place, columns]
            of_loss, of_step = each.worth(weights[place, columns], own, root)
            variances, reach = each.needs(weights[place, columns], own, self._size)
            of_metric = np.zeros(len(of_loss)) if metric is None else each.metric_worth()
            found.append((of_loss, of_step, variances, reach, of_metric))
        return found

    def average(self) -> MetricTensor:
        """The Fubini–Study metric, averaged over the samples."""
        value, variance = np.zeros((self._size, self._size)), np.zeros((self._size, self._size))
        count, shots, tensor = len(self._samples), 0, None
        notes: dict[str, None] = {}
        for each in self._pieces:
            assert each.plan.metric is not None
            tensor = each.plan.metric.estimate(each.of_metric).tensor
            place = np.ix_(each.piece.parameters, each.piece.parameters)
            value[place] += tensor.raw / count
            variance[place] += (tensor.raw_stderr / count) ** 2
            shots += tensor.shots
            if tensor.unprojected is None and tensor.note:
                notes[tensor.note] = None
        assert tensor is not None
        return _positive(value, np.sqrt(variance), tensor.approx, shots, "; ".join(notes))

    def gauss_newton(self) -> MetricTensor:
        """JᵀLJ without the bias that the errors of J make in it, as far as it is known."""
        jacobian, hessian = self._jacobian(), self._hessian()
        bends = self.bends()
        raw = gauss_newton_matrix(jacobian, bends)
        variance = np.zeros_like(raw)
        for each in self._pieces:
            place, columns = each.piece.place, each.piece.columns
            own = None if hessian is None else hessian[place, columns, place, columns]
            moved, bias = each.gauss_newton_errors(bends[place, columns], own)
            variance += moved
            raw = raw - bias
        note = "" if hessian is not None else "errors of shots make it too large; take more shots, or smaller batches"
        return _positive(raw, np.sqrt(variance), GaussNewton.name, self._shots, note)

    def _hessian(self) -> np.ndarray | None:
        """All second derivatives of the loss, (b, K, b, K), if they are few."""
        count = self.outputs.size
        if count > _WHOLE_HESSIAN:
            return None
        model = self._owner.model
        units = np.eye(count).reshape(count, *self.outputs.shape)
        directions = np.stack([model.shaped(each) for each in units])
        bends = model.loss.bends(model.shaped(self.outputs), model.targets_of(self._samples), directions)
        return np.asarray(bends).reshape(*self.outputs.shape, *self.outputs.shape)


def _positive(value: np.ndarray, stderr: np.ndarray, approx: str, shots: int, note: str) -> MetricTensor:
    """An unbiased estimate, made positive."""
    positive, done = project(value)
    notes = "; ".join(filter(None, (note, done)))
    if not done:
        return MetricTensor(value, stderr, approx, shots, notes)
    return MetricTensor.made_positive(positive, value, stderr, approx, shots, notes)
