"""Estimates from a device: plan, submit, collect, assemble."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from qngd._system.seeds import drawn_seed
from qngd.circuit.active import active_qubits
from qngd.circuit.circuit import Circuit
from qngd.circuit.observable import Observable
from qngd.errors import joined
from qngd.estimates.estimate import Estimate, MetricTensor
from qngd.estimates.evaluation import Cost, Evaluation, Spread
from qngd.evaluators.circuit_starts import divided, starts_of
from qngd.evaluators.device import DeviceEvaluator
from qngd.evaluators.job_log import JobLog
from qngd.evaluators.setup import Setup
from qngd.evaluators.submission import run_plan, shots_for, submission_cost
from qngd.gradients.base import Asked, is_random
from qngd.gradients.economical import EconomicalShift
from qngd.measured.assemble import assemble
from qngd.measured.auto_shots import AutoShots
from qngd.measured.outcomes import Outcome
from qngd.measured.plan import Plan
from qngd.measured.planner import Planner
from qngd.metrics.base import Metric
from qngd.metrics.names import as_metric

_FEW_SHOTS = EconomicalShift()


class SampledEvaluator(DeviceEvaluator):
    """Answers a step's questions with one submission to a backend: one batch of jobs."""

    is_mean = True

    def __init__(
        self,
        circuit: Circuit,
        observable: Observable | None,
        setup: Setup,  # with a backend
        job_log: JobLog | None = None,
        share: float | None = None,  # of a CVaR
    ) -> None:
        super().__init__(setup, job_log)
        self.circuit = circuit
        whole = self.backend.runs_whole(circuit)
        self.planner = Planner(circuit, observable, setup.grouping, setup.cross, whole, share)
        self.energy_scale = None if observable is None else observable.deviation_below(1.0 if share is None else share)
        self.is_mean = share is None
        self._kept: tuple[Plan, tuple[Any, ...]] | None = None

    @property
    def note(self) -> str:
        return self._noise_note

    def default_metric(self) -> Metric:
        return as_metric("block-diag")

    def evaluate(
        self,
        theta: np.ndarray,
        *,
        gradient: Asked = True,
        metric: Metric | None = None,
        seed: int | None = None,
        spread: Spread | None = None,
    ) -> Evaluation:
        if gradient:
            plan = self._full_plan(theta, metric, seed, self.way(gradient, metric, spread))
        else:
            plan = self.planner.plan(theta, gradient=False, metric=metric, seed=seed)
        return self._run(plan, theta, seed, spread)

    def way(self, gradient: Asked, metric: Metric | None, spread: Spread | None = None) -> Asked:
        """How to take a gradient that was asked for without a way: where shots are chosen here, with few of them."""
        if gradient is not True or not isinstance(self.shots, AutoShots) or self.shots.total is not None:
            return gradient
        if self.planner.refusal(_FEW_SHOTS, metric):
            return gradient
        if spread is None or not spread.taken:
            return _FEW_SHOTS.of_shots(self.shots.first)
        return _FEW_SHOTS.of_shots(spread.taken / len(spread))

    def _full_plan(self, theta: np.ndarray, metric: Metric | None, seed: int | None, gradient: Asked) -> Plan:
        """The plan of energy, gradient and metric; the last one is kept, and made again where it is drawn anew."""
        by_seed = (metric is not None and metric.is_random) or is_random(gradient) or self.planner.is_random
        key = gradient, theta.tobytes(), seed if by_seed else None
        anew = by_seed and seed is None
        if anew or self._kept is None or self._kept[0].metric is not metric or self._kept[1] != key:
            self._kept = self.planner.plan(theta, gradient=gradient, metric=metric, seed=seed), key
        return self._kept[0]

    def metric(self, theta: np.ndarray, metric: Metric, seed: int | None = None) -> MetricTensor:
        plan = self.planner.plan(theta, energy=False, gradient=False, metric=metric, seed=seed)
        tensor = self._run(plan, theta, seed, None).metric
        assert tensor is not None
        return tensor

    def preview(
        self, theta: np.ndarray, *, gradient: Asked = True, metric: Metric | None = None, spread: Spread | None = None
    ) -> Cost:
        """What an evaluation would cost, at any θ: every θ takes the same circuits."""
        kept, gradient = self._kept, self.way(gradient, metric, spread)
        if not gradient:
            plan = self.planner.plan(theta, gradient=False, metric=metric)
        elif kept is not None and kept[0].metric is metric and kept[1][0] == gradient:
            plan = kept[0]
        else:
            plan = self._full_plan(theta, metric, None, gradient)
        return submission_cost(self.backend, self._with_shots(plan, spread))

    def planned(self, theta: np.ndarray, *, gradient: Asked = True, metric: Metric | None = None) -> Plan:
        """What an evaluation would send, without shots."""
        return self.as_run(self.planner.plan(theta, gradient=self.way(gradient, metric), metric=metric))

    def as_run(self, plan: Plan) -> Plan:
        """A plan with what is to be known of the backend."""
        return replace(
            plan,
            is_noisy=self.backend.is_noisy,
            least_shots=self.backend.least_shots,
            starts=starts_of(self.backend, plan, self.shots),
        )

    def _with_shots(self, plan: Plan, spread: Spread | None) -> Plan:
        plan = self.as_run(plan)
        return plan.with_shots(divided(self.shots.shots(plan, _fitting(plan, spread)), plan.starts))

    def _run(self, plan: Plan, theta: np.ndarray, seed: int | None, spread: Spread | None) -> Evaluation:
        (found,), _ = self._run_together([(self._with_shots(plan, spread), theta)], seed)
        fitting, seen = _fitting(plan, spread), found.spread
        if seen is None:
            return found
        if spread is None or fitting is None or fitting is spread:
            seen = self.remembered(seen, fitting)
        else:
            seen = spread.renewed(seen)  # for the next that measures all of it
        return replace(found, spread=seen)

    def energies(
        self, points: Sequence[np.ndarray], seed: int | None = None, spread: Spread | None = None
    ) -> tuple[list[Estimate], Cost]:
        """The energies at several parameter vectors (P,), in one submission, and what that cost."""
        # what is drawn at random is the same at all points, and so are the templates
        drawn = drawn_seed() if seed is None and self.planner.is_random else seed
        plans = [self._energy_plan(theta, spread, drawn) for theta in points]
        found, cost = self._run_together(list(zip(plans, points, strict=True)), seed)
        return [evaluation.energy for evaluation in found], cost

    def preview_energies(self, theta: np.ndarray, count: int, spread: Spread | None = None) -> Cost:
        """What `energies` at so many points would cost at most."""
        return submission_cost(self.backend, _as_one([self._energy_plan(theta, spread)] * count))

    def _energy_plan(self, theta: np.ndarray, spread: Spread | None, seed: int | None = None) -> Plan:
        return self._with_shots(self.planner.plan(theta, gradient=False, seed=seed), spread)

    def _run_together(
        self, asked: Sequence[tuple[Plan, np.ndarray]], seed: int | None
    ) -> tuple[list[Evaluation], Cost]:
        """Evaluations by plans of the same templates, each at its θ (P,), in one submission, and what it cost."""
        whole = _as_one([plan for plan, _ in asked])
        outcomes, cost = run_plan(self.backend, whole, seed, self.job_log)
        found, done = [], 0
        for plan, theta in asked:
            own = outcomes[done : done + plan.num_circuits]
            done += plan.num_circuits
            found.append(self._answer(plan, own, theta, cost))
        return found, cost

    def _answer(self, plan: Plan, outcomes: Sequence[Outcome], theta: np.ndarray, cost: Cost) -> Evaluation:
        """The evaluation that the outcomes of this plan alone give."""
        evaluation = assemble(plan, outcomes, theta, cost, with_spread=not self.has_fixed_shots)
        used = shots_for(plan, outcomes)
        evaluation = replace(evaluation, shots_for=used, energy_scale=self.energy_scale)
        if (found := evaluation.bit_strings) is not None:
            idle = np.setdiff1d(np.arange(self.circuit.num_qubits), active_qubits(self.circuit))
            evaluation = replace(evaluation, bit_strings=found.on(self.circuit.num_qubits, idle))
        if evaluation.metric is None or not self.note:
            return evaluation
        notes = joined(evaluation.metric.note, self.note)
        return replace(evaluation, metric=replace(evaluation.metric, note=notes))


def _fitting(plan: Plan, spread: Spread | None) -> Spread | None:
    """What a spread says of this plan's requests: all of one of the same kind, or the first part of one with more. What
    was seen of any other kind says nothing."""
    if spread is None or len(spread) == plan.num_circuits:
        return spread
    is_part = plan.metric is None and plan.energy_weights.any() and len(spread) > plan.num_circuits
    return spread.first(plan.num_circuits) if is_part else None


def _as_one(plans: Sequence[Plan]) -> Plan:
    """The requests of several plans with the same templates, to be sent together; what they mean stays with each."""
    return (
        plans[0] if len(plans) == 1 else replace(plans[0], requests=tuple(r for plan in plans for r in plan.requests))
    )
