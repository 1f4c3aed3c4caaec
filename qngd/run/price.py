"""What a step and a run would cost, known before any shot is spent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import numpy as np

from qngd._system.html import rows_table
from qngd._system.memory import format_bytes
from qngd.backends import BackendBase, resolve
from qngd.backends.base import Footprint
from qngd.backends.boundary import calling
from qngd.circuit.observable import Observable
from qngd.errors import BackendError, whole_number
from qngd.estimates.estimate import format_seconds
from qngd.estimates.evaluation import Cost
from qngd.evaluators import light_cone
from qngd.evaluators.choice import backend_and_shots
from qngd.evaluators.objectives.given import AnyGiven, GivenObjective, read_any
from qngd.evaluators.objectives.joint import JointPlan
from qngd.evaluators.objectives.sampled import SampledObjective
from qngd.evaluators.submission import submission_cost
from qngd.exact.cones.outlook import Crowd
from qngd.measured.cross import CrossMethod
from qngd.measured.grouping import Grouping
from qngd.measured.plan import Plan
from qngd.measured.planner import Planner
from qngd.measured.shots import as_rule
from qngd.metrics.base import Metric
from qngd.metrics.names import Approx, as_metric

_SHOTS = 1000  # per circuit where the user gives none


@dataclass(frozen=True)
class Price:
    """What one step takes, and what `steps` steps take: the start and every step are one submission each, a batch of
    as many jobs as the provider's limits force.

    Attributes:
        backend: its name.
        step: jobs, circuits and shots of one step.
        steps: how many steps the run was priced for.
        energy_circuits, gradient_circuits, metric_circuits: the circuits of one step, by what they are for.
        depth, two_qubit_depth, two_qubit_gates: the largest of any circuit: after compilation where the backend
            compiles, of the circuits as written elsewhere (then the depths are None).
        seconds: device time of one step from its gate and readout times and the delay between shots; None where the
            backend gives no times. Queueing and compilation are not in it.
        is_noisy: whether the backend is known to be noisy.
        limits: what one job may hold, in words; empty where nothing is known.
    """

    backend: str
    step: Cost
    steps: int
    energy_circuits: int
    gradient_circuits: int
    metric_circuits: int
    depth: int | None
    two_qubit_depth: int | None
    two_qubit_gates: int
    seconds: float | None
    is_noisy: bool
    limits: str = ""

    @property
    def run(self) -> Cost:
        """Jobs, circuits and shots of the whole run, its start included."""
        return self.step * (self.steps + 1)

    @property
    def run_seconds(self) -> float | None:
        """Device time of the whole run, or None."""
        return None if self.seconds is None else self.seconds * (self.steps + 1)

    def rows(self) -> dict[str, str]:
        """The price for people, from row names to text."""
        parts = f"{self.energy_circuits} energy, {self.gradient_circuits} gradient, {self.metric_circuits} metric"
        rows = {
            "backend": self.backend + (" (noisy)" if self.is_noisy else ""),
            "one step": f"{self.step}",
            "jobs": f"{self.step.jobs} a step" + (f"; a job holds at most {self.limits}" if self.limits else ""),
            "circuits": parts,
            "two-qubit gates": f"at most {self.two_qubit_gates} in a circuit",
        }
        if self.depth is not None:
            rows["depth"] = f"at most {self.depth}, {self.two_qubit_depth} of two-qubit gates"
        rows["device time"] = (
            "unknown: the backend gives no times"
            if self.seconds is None or self.run_seconds is None
            else f"{format_seconds(self.seconds)} a step, {format_seconds(self.run_seconds)} a run"
        )
        rows[f"{self.steps} steps"] = f"{self.run}"
        return rows

    def __str__(self) -> str:
        return "; ".join(f"{name}: {text}" for name, text in self.rows().items())

    def _repr_html_(self) -> str:
        """For notebooks: the price as a table."""
        return rows_table(f"{type(self).__name__} of {self.steps} steps", self.rows())


@dataclass(frozen=True)
class ConePrice:
    """What one step by light cones takes: no circuits, but time and memory of this machine.

    Attributes:
        backend: its name.
        energy: the light cones of energy and gradient.
        metric: those of the metric; None where it comes with the gradients of single terms.
        steps: how many steps the run was priced for.
    """

    backend: str
    energy: Crowd
    metric: Crowd | None
    steps: int

    @property
    def step(self) -> Cost:
        """One step is one job; no circuit runs on a device, and there are no shots."""
        return Cost(jobs=1)

    @property
    def run(self) -> Cost:
        """The whole run, its start included."""
        return self.step * (self.steps + 1)

    @property
    def num_bytes(self) -> int:
        """The memory that a step takes."""
        return max(self.energy.num_bytes, 0 if self.metric is None else self.metric.num_bytes)

    @property
    def seconds(self) -> float:
        """Time of one step on this machine, good to a factor of three."""
        return self.energy.seconds + (0.0 if self.metric is None else self.metric.seconds)

    @property
    def run_seconds(self) -> float:
        """Time of the whole run, if every step takes one evaluation."""
        return self.seconds * (self.steps + 1)

    def rows(self) -> dict[str, str]:
        """The price for people, from row names to text."""
        return {
            "backend": self.backend,
            "energy, gradient": str(self.energy),
            "metric": "from the gradients of single terms" if self.metric is None else str(self.metric),
            "memory": f"about {format_bytes(self.num_bytes)}",
            "time": f"about {format_seconds(self.seconds)} a step, after planning",
            f"{self.steps} steps": f"about {format_seconds(self.run_seconds)}",
        }

    def __str__(self) -> str:
        return "; ".join(f"{name}: {text}" for name, text in self.rows().items())

    def _repr_html_(self) -> str:
        """For notebooks: the price as a table."""
        return rows_table(f"{type(self).__name__} of {self.steps} steps", self.rows())


def cost(
    problem_or_circuit: Any,
    observable: Any = None,
    theta0: Any = None,
    *,
    backend: Any = None,
    shots: Any = None,
    approx: Approx | Metric = "block-diag",
    grouping: Grouping = "qubit-wise",
    cross: CrossMethod = "hadamard",
    steps: int = 100,
) -> Price | ConePrice:
    """What natural gradient steps would cost on a backend. Nothing is run; circuits are compiled for the backend.
    With backend="light-cone" it is the light cones, memory and time of this machine.

    Args:
        problem_or_circuit, observable, theta0, backend, shots: as for `minimize`, an `Objective` included; where
            neither the user nor the circuit nor the backend has shots, 1000 per circuit.
        approx: which metric a step measures, as for `metric_tensor`.
        grouping, cross: as for `minimize`.
        steps: of the run.

    Raises:
        CircuitError, ObservableError, ParameterError, SettingError: an argument does not fit.
        BackendError: the circuits do not fit the backend.
        MemoryLimitError: a light cone is too wide; the text says what it belongs to.

    >>> circuit = qngd.CircuitBuilder(1)
    >>> circuit = circuit.ry(circuit.parameter("a"), 0)
    >>> print(qngd.cost(circuit, {"Z": 1.0}, [0.3], shots=100).step)
    1 jobs, 4 circuits, 400 shots
    """
    steps = whole_number(steps, "steps", 0)
    given = read_any(problem_or_circuit, observable, theta0)
    if isinstance(backend, str) and backend == light_cone.NAME:
        if isinstance(given, GivenObjective):
            raise BackendError(f"backend: {light_cone.NAME!r} takes one circuit and observable, no Objective")
        metric = as_metric(approx)
        by_cones = light_cone.evaluator(given.circuit, given.target, shots)
        return ConePrice(by_cones.name, *by_cones.outlook(metric), steps)
    step = planned_step(
        given, given.observable, backend=backend, shots=shots, approx=approx, grouping=grouping, cross=cross
    )
    device, plan = step.device, step.plan
    per_request = as_rule(_SHOTS if step.shots is None else step.shots).shots(cast(Plan, plan), None)
    assert per_request is not None
    with calling(device.name):
        footprints = device.describe(plan.templates)
    used = np.array([request.template for request in plan.requests])
    return Price(
        backend=device.name,
        step=submission_cost(device, plan.with_shots(per_request)),
        steps=steps,
        energy_circuits=step.energy_circuits,
        gradient_circuits=step.gradient_circuits,
        metric_circuits=step.metric_circuits,
        depth=_largest(footprints, lambda each: each.depth),
        two_qubit_depth=_largest(footprints, lambda each: each.two_qubit_depth),
        two_qubit_gates=max((t.num_two_qubit_gates for t in plan.templates), default=0)
        if footprints is None
        else max((f.two_qubit_gates for f in footprints), default=0),
        seconds=_seconds(footprints, used, per_request, device.rep_delay),
        is_noisy=device.is_noisy,
        limits=str(device.limits),
    )


@dataclass(frozen=True, eq=False)
class PlannedStep:
    """The circuits of one step: the `plan` of its energy, gradient and metric for a `device`, with the `shots` that
    hold there, and how the observable's terms are grouped."""

    device: BackendBase
    shots: Any
    plan: Plan | JointPlan
    grouping: Grouping

    @property
    def num_terms(self) -> int:
        """The Pauli terms that must be measured."""
        return sum(len(weights) for weights in self.plan.coefficients if weights is not None)

    @property
    def metric_circuits(self) -> int:
        """The circuits that the metric takes beside those of energy and gradient."""
        return int(self.plan.of_metric.sum())

    @property
    def energy_circuits(self) -> int:
        """The circuits of the energy."""
        return int(self._of_energy.sum())

    @property
    def gradient_circuits(self) -> int:
        """The circuits that the gradient takes beside those of the energy."""
        return int((~self.plan.of_metric & ~self._of_energy).sum())

    @cached_property
    def _of_energy(self) -> np.ndarray:
        return (self.plan.energy_weights != 0) & ~self.plan.of_metric


def planned_step(
    given: AnyGiven,
    observable: Observable | None,
    *,
    backend: Any = None,
    shots: Any = None,
    approx: Approx | Metric = "block-diag",
    grouping: Grouping = "qubit-wise",
    cross: CrossMethod = "hadamard",
) -> PlannedStep:
    """The circuits that a step from what was given takes: those of the metric alone where there is no observable.
    Arguments and errors as for `cost`."""
    metric = as_metric(approx)
    if isinstance(given, GivenObjective):
        return _planned_objective(given, backend, shots, metric, grouping, cross)
    chosen, shots = backend_and_shots(given.circuit, backend, shots)
    device = resolve(None) if chosen is None else chosen
    planner = Planner(given.circuit, observable, grouping, cross, device.runs_whole(given.circuit))
    plan = planner.plan(given.theta, gradient=observable is not None, metric=metric)
    return PlannedStep(device, shots, plan, grouping)


def _planned_objective(
    given: GivenObjective, backend: Any, shots: Any, metric: Metric, grouping: Grouping, cross: CrossMethod
) -> PlannedStep:
    """The circuits of a step of an objective, those of all its samples."""
    chosen, shots = backend_and_shots(given.circuit, backend, shots)
    device = resolve(None) if chosen is None else chosen
    rule = as_rule(_SHOTS if shots is None else shots)
    evaluator = SampledObjective(given.model, device, rule, grouping, cross)
    plan = evaluator.planned(given.theta, metric=evaluator.own_metric(metric))
    return PlannedStep(evaluator.backend, shots, plan, grouping)


def _largest(footprints: Sequence[Footprint] | None, number: Callable[[Footprint], int]) -> int | None:
    return None if footprints is None else max(map(number, footprints), default=0)


def _seconds(
    footprints: Sequence[Footprint] | None, used: np.ndarray, shots: np.ndarray, delay: float | None
) -> float | None:
    """Σ shots·(time of the circuit + delay between shots), or None where a time is unknown."""
    if footprints is None or delay is None or any(f.seconds is None for f in footprints):
        return None
    times = np.array([f.seconds for f in footprints])[used]
    return float(shots @ (times + delay))
