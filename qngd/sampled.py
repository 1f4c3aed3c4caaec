"""Estimates from a device: plan, submit, collect, assemble. And which evaluator answers for a backend."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from qngd.active import active_qubits, without_idle
from qngd.allocation import FixedShots, ShotRule, as_rule, observed_spread
from qngd.assemble import assemble
from qngd.backends import Backend, default, resolve, runs_whole
from qngd.circuit import Circuit
from qngd.cross import CrossMethod, check_cross
from qngd.errors import BackendError, SettingError
from qngd.estimate import MetricTensor
from qngd.evaluate import RANDOM, Approx, Cost, Evaluation, Evaluator, ExactEvaluator, Spread
from qngd.job_log import JobLog
from qngd.measurement import Grouping, check_grouping
from qngd.observable import Observable
from qngd.outcomes import Counts
from qngd.pauli import PauliStrings
from qngd.plan import Plan, Planner, Request
from qngd.template import observable_template


class SampledEvaluator:
    """Answers a step's questions with one submission to a backend."""

    is_exact = False

    def __init__(
        self,
        circuit: Circuit,
        observable: Observable | None,
        backend: Backend,
        shots: ShotRule,
        grouping: Grouping = "qubit-wise",
        cross: CrossMethod = "hadamard",
    ) -> None:
        self.circuit = circuit
        self.backend = backend
        self.shots = shots
        self.planner = Planner(circuit, observable, grouping, cross, runs_whole(backend, circuit))
        self.job_log: JobLog | None = None  # of a run that is kept on disk
        self._kept: tuple[Plan, tuple[Any, ...]] | None = None

    @property
    def name(self) -> str:
        return self.backend.name

    @property
    def note(self) -> str:
        if not self.backend.is_noisy:
            return ""
        return (
            f"{self.backend.name} is noisy: its states are mixed, and the metric, estimated by the formula for pure "
            "states, is then not the quantum Fisher information"
        )

    def default_approx(self) -> Approx:
        return "block-diag"

    def evaluate(
        self,
        theta: np.ndarray,
        *,
        gradient: bool = True,
        metric: Approx | None = None,
        seed: int | None = None,
        spread: Spread | None = None,
    ) -> Evaluation:
        if gradient:
            plan = self._full_plan(theta, metric, seed)
        else:
            plan = self.planner.plan(theta, gradient=False, metric=metric, seed=seed)
        return self._run(plan, theta, seed, spread)

    def _full_plan(self, theta: np.ndarray, metric: Approx | None, seed: int | None) -> Plan:
        """The plan of energy, gradient and metric; the last one is kept."""
        key = metric, seed if metric in RANDOM else None, theta.tobytes()
        if self._kept is None or self._kept[1] != key:
            self._kept = self.planner.plan(theta, metric=metric, seed=seed), key
        return self._kept[0]

    def metric(self, theta: np.ndarray, approx: Approx, seed: int | None = None) -> MetricTensor:
        plan = self.planner.plan(theta, energy=False, gradient=False, metric=approx, seed=seed)
        metric = self._run(plan, theta, seed, None).metric
        assert metric is not None
        return metric

    def preview(
        self, theta: np.ndarray, *, gradient: bool = True, metric: Approx | None = None, spread: Spread | None = None
    ) -> Cost:
        """What an evaluation would cost, at any θ: every θ takes the same circuits."""
        kept = self._kept
        if not gradient:
            plan = self.planner.plan(theta, gradient=False, metric=metric)
        elif kept is not None and kept[1][0] == metric:
            plan = kept[0]
        else:
            plan = self._full_plan(theta, metric, None)
        return submission_cost(self.backend, self._with_shots(plan, spread))

    def _with_shots(self, plan: Plan, spread: Spread | None) -> Plan:
        # what was seen of an evaluation of another kind, say without a metric, says nothing about this one
        fits = spread is not None and len(spread.energy) == plan.num_circuits
        return plan.with_shots(self.shots.shots(plan, spread if fits else None))

    def metric_product(self, theta: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        raise SettingError(
            'approx="matrix-free" needs the embedded exact simulator; use "block-diag" or "qn-spsa" with shots'
        )

    def _footprints(self, plan: Plan) -> Sequence[Any]:
        """What the compiled circuits take, from backends that compile."""
        describe = getattr(self.backend, "describe", None)
        return [] if describe is None else describe(plan.templates)

    def _handle(self, plan: Plan, seed: int | None) -> Any:
        """A new submission, or the one that was sent before a run was interrupted."""
        log = self.job_log
        if log is None:
            return self.backend.submit(plan.templates, plan.requests, seed)
        handle, sent = None, log.take(plan.fingerprint)
        if sent and hasattr(self.backend, "attach"):
            try:
                handle = self.backend.attach(plan.templates, plan.requests, seed, sent)
            except BackendError as error:
                remedy = f"try again later, or delete {log.path} to send the circuits anew"
                raise BackendError(f"{error}; {remedy}") from error
        if handle is None:
            handle = self.backend.submit(plan.templates, plan.requests, seed)
        if hasattr(handle, "watch"):
            handle.watch(partial(log.add, plan.fingerprint, self.name))
        return handle

    def _run(self, plan: Plan, theta: np.ndarray, seed: int | None, spread: Spread | None) -> Evaluation:
        plan = self._with_shots(plan, spread)
        handle = self._handle(plan, seed)
        outcomes = self.backend.collect(handle)
        footprints = self._footprints(plan)
        cost = Cost(
            jobs=getattr(handle, "num_jobs", 1),
            circuits=getattr(handle, "num_circuits", plan.num_circuits),
            shots=sum(outcome.shots for outcome in outcomes),
            depth=max((f.depth for f in footprints), default=0),
            two_qubit_gates=max((f.two_qubit_gates for f in footprints), default=0),
        )
        evaluation = assemble(plan, outcomes, theta, cost)
        if evaluation.metric is not None and self.note:
            notes = "; ".join(filter(None, (evaluation.metric.note, self.note)))
            evaluation = replace(evaluation, metric=replace(evaluation.metric, note=notes))
        if isinstance(self.shots, FixedShots):  # nobody will ask
            return evaluation
        return replace(evaluation, spread=observed_spread(plan, outcomes, evaluation))


def submission_cost(backend: Backend, plan: Plan) -> Cost:
    """Jobs, circuits and shots of a plan on this backend, which may split it over several jobs or run a circuit several
    times."""
    split = getattr(backend, "preview", None)
    return Cost(1, plan.num_circuits, plan.num_shots) if split is None else split(plan.requests)


def evaluator_for(
    circuit: Circuit,
    observable: Observable | None,
    backend: Any = None,
    shots: Any = None,
    grouping: Grouping = "qubit-wise",
    cross: CrossMethod = "hadamard",
) -> Evaluator:
    """What answers a step's questions about this circuit on this backend.

    Raises:
        BackendError: the backend is unknown, or cannot do what is asked.
        SettingError: `shots` is out of range.
    """
    check_grouping(grouping)
    check_cross(cross)
    if backend is None:
        backend, own_shots = default(circuit)
        shots = own_shots if shots is None else shots
    if shots is None and backend in (None, "statevector"):
        return ExactEvaluator(circuit, observable)
    return SampledEvaluator(circuit, observable, resolve(backend), as_rule(shots), grouping, cross)


def sample_bits(circuit: Circuit, theta: np.ndarray, shots: int, backend: Any, seed: int | None) -> Counter[str]:
    """All qubits measured `shots` times at the flat parameter vector `theta`: counts of bitstrings. Idle qubits are 0
    without being measured."""
    active = without_idle(circuit)
    n = active.num_qubits
    reads = PauliStrings.from_bits(np.zeros((n, n), dtype=bool), np.eye(n, dtype=bool))
    device = resolve(default(circuit)[0] if backend is None else backend)
    template = observable_template(active, reads, runs_whole(device, circuit))
    request = Request(0, circuit.angle_map(theta)[template.rotations], shots)
    (outcome,) = device.collect(device.submit([template], [request], seed))
    if not isinstance(outcome, Counts):
        raise BackendError(f"backend: {device.name} returns expectation values, not samples")
    ones = np.zeros((len(outcome.bits), circuit.num_qubits), dtype=bool)
    ones[:, active_qubits(circuit)] = outcome.unpacked(n)
    letters = np.where(ones, "1", "0")[:, ::-1]
    pairs = zip(map("".join, letters), outcome.counts, strict=True)
    return Counter({bits: int(count) for bits, count in pairs})
