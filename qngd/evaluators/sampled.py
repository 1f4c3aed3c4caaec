"""Estimates from a device: plan, submit, collect, assemble. And which evaluator answers for a backend."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, cast

import numpy as np

from qngd.backends import Backend, default, resolve, runs_whole
from qngd.backends.boundary import calling, checked
from qngd.circuit.active import active_qubits, without_idle
from qngd.circuit.circuit import Circuit
from qngd.circuit.observable import Observable
from qngd.circuit.pauli import PauliStrings
from qngd.errors import BackendError, SettingError
from qngd.estimates.estimate import MetricTensor
from qngd.estimates.evaluation import RANDOM, Approx, Cost, Evaluation, Evaluator, ExactEvaluator, Spread
from qngd.evaluators.job_log import JobLog
from qngd.measured.assemble import assemble
from qngd.measured.cross import CrossMethod, check_cross
from qngd.measured.grouping import Grouping, check_grouping
from qngd.measured.outcomes import Counts
from qngd.measured.plan import Plan, Planner, Request
from qngd.measured.shots import FixedShots, ShotRule, as_rule, check_shots, observed_spread
from qngd.measured.template import observable_template


class SampledEvaluator:
    """Answers a step's questions with one submission to a backend: one batch of jobs."""

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
        self.note = _noise_note(backend)  # before anything is paid for: it asks the backend
        self._kept: tuple[Plan, tuple[Any, ...]] | None = None

    @property
    def name(self) -> str:
        return self.backend.name

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
        plan = replace(plan, is_noisy=self.backend.is_noisy)
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
        """A new submission, or what is left of one that was sent before a run was interrupted."""
        log, backend = self.job_log, cast(Any, self.backend)
        if log is None or not hasattr(backend, "prepare"):
            return backend.submit(plan.templates, plan.requests, seed)
        handle = backend.prepare(plan.templates, plan.requests, seed)
        submission = f"{plan.fingerprint}: {handle.division}"
        sent = log.take(submission)
        if sent:
            try:
                backend.attach(handle, sent)
            except BackendError as error:
                remedy = f"try again later, or delete {log.path} to send the circuits anew"
                raise BackendError(f"{error}; {remedy}") from error
        handle.watch(partial(log.add, submission, self.name))  # every id is on disk before the next job is sent
        backend.send(handle)
        return handle

    def _run(self, plan: Plan, theta: np.ndarray, seed: int | None, spread: Spread | None) -> Evaluation:
        plan = self._with_shots(plan, spread)
        with calling(self.backend.name):
            footprints = self._footprints(plan)  # before anything is sent
            handle = self._handle(plan, seed)
            outcomes = checked(self.backend.collect(handle), plan.templates, plan.requests, self.backend.name)
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


def _noise_note(backend: Backend) -> str:
    """What is to be said of a noisy backend's answers."""
    if not backend.is_noisy:
        return ""
    return (
        f"{backend.name} is noisy: its states are mixed, and the metric, estimated by the formula for pure "
        "states, is then not the quantum Fisher information"
    )


def submission_cost(backend: Backend, plan: Plan) -> Cost:
    """Jobs, circuits and shots of a plan on this backend, which may split it over several jobs or run a circuit several
    times."""
    split = getattr(backend, "preview", None)
    if split is None:
        return Cost(1, plan.num_circuits, plan.num_shots)
    with calling(backend.name):
        return split(plan.requests, plan.templates) if hasattr(backend, "limits") else split(plan.requests)


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
    chosen, shots = backend_and_shots(circuit, backend, shots)
    if chosen is None:
        return ExactEvaluator(circuit, observable)
    return SampledEvaluator(circuit, observable, chosen, as_rule(shots), grouping, cross)


def backend_and_shots(circuit: Circuit, backend: Any, shots: Any) -> tuple[Backend | None, Any]:
    """The backend and the shots that hold for this circuit, the user's word first: where no backend is given, a QNode's
    device; where no shots are, those of the QNode, then those of the backend. None is the embedded exact simulator."""
    if backend is None:
        chosen, own = default(circuit)
    else:
        own = circuit.device_shots
        exact = shots is None and own is None and backend == "statevector"
        chosen = None if exact else resolve(backend)
    shots = own if shots is None else shots
    if chosen is None and shots is not None:
        chosen = resolve("statevector")
    if shots is None:
        shots = getattr(chosen, "default_shots", None)
    return chosen, shots


def sample_bits(circuit: Circuit, theta: np.ndarray, shots: Any, backend: Any, seed: int | None) -> Counter[str]:
    """All qubits measured `shots` times at the flat parameter vector `theta`: counts of bitstrings. Idle qubits are 0
    without being measured.

    Raises:
        SettingError: there is no number of shots.
        BackendError: the backend gives no samples.
    """
    chosen, shots = backend_and_shots(circuit, backend, shots)
    if shots is None:
        raise SettingError("shots: a sample needs a number of shots, as in sample(circuit, theta, shots=1000)")
    device = resolve(None) if chosen is None else chosen
    active = without_idle(circuit)
    n = active.num_qubits
    reads = PauliStrings.from_bits(np.zeros((n, n), dtype=bool), np.eye(n, dtype=bool))
    template = observable_template(active, reads, runs_whole(device, circuit))
    request = Request(0, circuit.angle_map(theta)[template.rotations], check_shots(shots))
    with calling(device.name):
        found = device.collect(device.submit([template], [request], seed))
        (outcome,) = checked(found, [template], [request], device.name)
    if not isinstance(outcome, Counts):
        raise BackendError(f"backend: {device.name} returns expectation values, not samples (as mitigated weights are)")
    ones = np.zeros((len(outcome.bits), circuit.num_qubits), dtype=bool)
    ones[:, active_qubits(circuit)] = outcome.unpacked(n)
    letters = np.where(ones, "1", "0")[:, ::-1]
    pairs = zip(map("".join, letters), outcome.counts, strict=True)
    return Counter({bits: int(count) for bits, count in pairs})
