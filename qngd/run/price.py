"""What a step and a run would cost, known before any shot is spent."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from itertools import count
from typing import Any, NamedTuple, cast

import numpy as np

from qngd._system.brief import brief_fields
from qngd._system.html import rows_table
from qngd._system.keywords import hinted
from qngd._system.memory import format_bytes
from qngd.backends import BackendBase, resolve
from qngd.backends.base import Footprint
from qngd.backends.boundary import calling
from qngd.circuit.observable import Observable
from qngd.cvar import CVaR
from qngd.errors import BackendError, SettingError, counted, whole_number
from qngd.estimates.estimate import format_seconds
from qngd.estimates.evaluation import Cost
from qngd.estimates.prices import Prices
from qngd.evaluators import light_cone, pauli_propagation
from qngd.evaluators.choice import backend_and_shots
from qngd.evaluators.meter import Meter, metering
from qngd.evaluators.objectives.given import AnyGiven, GivenObjective, read_any
from qngd.evaluators.objectives.joint import JointPlan
from qngd.evaluators.objectives.sampled import SampledObjective
from qngd.evaluators.pauli_propagation import PropagationEvaluator
from qngd.evaluators.sampled import SampledEvaluator
from qngd.evaluators.submission import submission_cost
from qngd.exact.cones.outlook import Crowd
from qngd.gradients.base import GradientLike, require_shifts
from qngd.gradients.names import as_gradient
from qngd.measured.cross import CrossMethod
from qngd.measured.grouping import Grouping
from qngd.measured.plan import Plan
from qngd.measured.shots import FixedShots, ShotRule, as_rule
from qngd.metrics.base import Metric
from qngd.metrics.names import Approx, as_metric
from qngd.qng import QNG
from qngd.run.budget import Budget
from qngd.run.price_here import PriceHere
from qngd.run.price_propagation import PropagationPrice
from qngd.run.stop import StopRule
from qngd.solve.state import Optimizer

_DEFAULT = "block-diag"  # what QNG() takes where there are shots
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
        offers: what a run takes with these settings and with others, side by side.
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
    offers: tuple[Offer, ...] = field(default=(), repr=False)
    prices: Prices = field(default_factory=Prices, repr=False)

    @property
    def run(self) -> Cost:
        """Jobs, circuits and shots of the whole run, its start included."""
        return self.step * (self.steps + 1)

    @property
    def run_seconds(self) -> float | None:
        """Device time of the whole run, or None."""
        return None if self.seconds is None else self.seconds * (self.steps + 1)

    __repr__ = brief_fields

    def rows(self) -> dict[str, str]:
        """The price for people, from row names to text."""
        parts = f"{self.energy_circuits} energy, {self.gradient_circuits} gradient, {self.metric_circuits} metric"
        rows = {
            "backend": self.backend + (" (noisy)" if self.is_noisy else ""),
            "one step": f"{replace(self.step, depth=0)}",  # which has a row of its own
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
        rows[counted(self.steps, "step")] = f"{replace(self.run, depth=0)}"
        return rows

    def table(self) -> list[list[str]]:
        """The offers for people, a row each under a row of headings; a column that no offer fills is left out."""
        heads = [
            "a step of",
            "jobs",
            "circuits",
            "shots",
            "device time",
            "money",
            counted(self.steps, "step"),
            "in money",
        ]
        rows = [offer.row(self.prices) for offer in self.offers]
        if any(offer.affordable is not None for offer in self.offers):
            heads.append("the budget buys")
        filled = [k for k in range(len(heads)) if any(len(row) > k and row[k] for row in rows)]
        padded = [[*row, *[""] * (len(heads) - len(row))] for row in (heads, *rows)]
        return [[row[k] for k in filled] for row in padded]

    def __str__(self) -> str:
        return "; ".join(f"{name}: {text}" for name, text in self.rows().items())

    def _repr_html_(self) -> str:
        """For notebooks: the price as a table."""
        return rows_table(f"{type(self).__name__} of {counted(self.steps, 'step')}", self.rows())


@dataclass(frozen=True)
class Offer:
    """What a run with certain settings takes.

    Attributes:
        name: of the settings.
        start, step, end: of one run: the evaluation at theta0, a step (where a rule chooses the shots of each, the
            first; where a rejected one measures its beginning anew, one that is accepted), and the measurement by
            `final_shots`.
        steps: how many steps the run is priced for.
        affordable: the steps that the budget buys if all are as `step`; None where it does not limit them.
        most: the whole run where every step takes as many shots as its rule allows, each circuit the same, or is
            rejected and measures its beginning anew; None where all steps take the same.
        affordable_at_most_shots: the steps that the budget buys then.
        refused: why there is no such run, or nothing.
    """

    name: str
    start: Cost
    step: Cost
    end: Cost
    steps: int
    affordable: int | None = None
    refused: str = ""
    most: Cost | None = None
    affordable_at_most_shots: int | None = None

    @property
    def run(self) -> Cost:
        """The whole run, with its start and end, if all steps are as `step`."""
        return self.start + self.step * self.steps + self.end

    def row(self, prices: Prices) -> list[str]:
        """The name, what a step takes and what the run does, for people."""
        if self.refused:
            return [self.name, self.refused]

        def time_of(cost: Cost) -> str:
            return "" if cost.seconds is None else format_seconds(cost.seconds)

        def money_of(cost: Cost) -> str:
            return "" if cost.money is None else prices.text(cost.money)

        counts = [f"{count:,}" for count in (self.step.jobs, self.step.circuits, self.step.shots)]

        def run_of(cost: Cost) -> str:
            return time_of(cost) or counted(cost.shots, "shot", ",")

        run, money, bought = run_of(self.run), money_of(self.run), ""
        if self.affordable is not None:
            bought = counted(self.affordable, "step", ",")
        if self.most is not None:
            run, money = _between(run, run_of(self.most)), _between(money, money_of(self.most))
            if self.affordable is not None:
                bought = _between(f"{self.affordable_at_most_shots:,}", bought)
        return [self.name, *counts, time_of(self.step), money_of(self.step), run, money, bought]


def _between(low: str, high: str) -> str:
    return low if low == high else f"{low} to {high}"


@dataclass(frozen=True)
class Choice:
    """Settings that offers are made of: a name, the `optimizer`, and `shots` that take the place of the user's."""

    name: str
    optimizer: Optimizer
    shots: Any = None


def choices(approx: Approx | Metric, gradient: GradientLike = "shift") -> tuple[Choice, ...]:
    """The settings that are priced side by side: as they are asked for, and others."""
    # an objective may have a metric of its own
    asked = QNG(approx=None if approx == _DEFAULT else approx, gradient=gradient)
    found = [Choice("as asked", asked), Choice('shots="auto"', asked, "auto")]
    if not as_gradient(gradient).is_random:
        found.append(Choice('gradient="sampled"', replace(asked, gradient="sampled")))
    return (*found, Choice("QN-SPSA", QNG.qn_spsa()))


@dataclass(frozen=True)
class ConePrice(PriceHere):
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

    __repr__ = brief_fields

    def rows(self) -> dict[str, str]:
        """The price for people, from row names to text."""
        return {
            "backend": self.backend,
            "energy, gradient": str(self.energy),
            "metric": "from the gradients of single terms" if self.metric is None else str(self.metric),
            "memory": f"about {format_bytes(self.num_bytes)}",
            "time": f"about {format_seconds(self.seconds)} a step, after planning",
            counted(self.steps, "step"): f"about {format_seconds(self.run_seconds)}",
        }


@hinted
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
    gradient: GradientLike = "shift",
    budget: Budget | None = None,
    final_shots: Any = None,
) -> Price | ConePrice | PropagationPrice:
    """What natural gradient steps would cost on a backend. Nothing is run; circuits are compiled for the backend.
    With backend="light-cone" it is the light cones, memory and time of this machine; with "pauli-propagation" the
    strings, memory, time and error of one energy, which is computed.

    Args:
        problem_or_circuit, observable, theta0, backend, shots: as for `minimize`, an `Objective` included; where
            neither the user nor the circuit nor the backend has shots, 1000 per circuit.
        approx: which metric a step measures, as for `metric_tensor`.
        grouping, cross: as for `minimize`.
        steps: of the run.
        gradient: how a step takes it, as for `QNG`.
        budget: says what a shot, a circuit, a job and a second cost, by its `prices`, and how many steps are wanted of
            it, in the offers.
        final_shots: as for `minimize`, in the offers.

    Raises:
        CircuitError, ObservableError, ParameterError, SettingError: an argument does not fit.
        BackendError: the circuits do not fit the backend.
        MemoryLimitError: a light cone is too wide; the text says what it belongs to.

    >>> circuit = qngd.CircuitBuilder(1)
    >>> circuit = circuit.ry(circuit.parameter("a"), 0)
    >>> print(qngd.cost(circuit, {"Z": 1.0}, [0.3], shots=100).step)
    1 job, 4 circuits, 400 shots
    """
    steps = whole_number(steps, "steps", 0)
    given = read_any(problem_or_circuit, observable, theta0)
    if isinstance(backend, str) and backend == light_cone.NAME:
        if isinstance(given, GivenObjective):
            raise BackendError(
                f"backend: {light_cone.NAME!r} takes one circuit and observable, no Objective; minimize does"
            )
        metric = as_metric(approx)
        by_cones = light_cone.evaluator(given.circuit, given.target, shots)
        return ConePrice(by_cones.name, *by_cones.outlook(metric), steps)
    if (truncation := pauli_propagation.truncation_of(backend)) is not None:
        if isinstance(given, GivenObjective):
            raise BackendError(f"backend: {pauli_propagation.NAME!r} takes one circuit and observable, no Objective")
        return _price_of_propagation(
            pauli_propagation.evaluator(given.circuit, given.target, shots, truncation), given.theta, approx, steps
        )
    step = planned_step(
        given, given.observable, backend=backend, shots=shots, approx=approx, grouping=grouping, cross=cross,
        gradient=gradient, share=given.target.stages[-1] if isinstance(given.target, CVaR) else None,
    )  # fmt: skip
    device, plan = step.device, step.plan
    budget = StopRule.read(0, 0, 0, None, budget).budget
    per_request = step.rule.shots(cast(Plan, plan), None)
    assert per_request is not None
    with calling(device.name):
        footprints = device.describe(plan.templates)
    with metering(Meter(budget.table)):
        taken = submission_cost(device, plan.with_shots(per_request))
        offers = tuple(
            _offer(each, step, given.theta, steps, budget, final_shots) for each in choices(approx, gradient)
        )
    depth = _largest(footprints, lambda each: each.depth)
    two_qubit_gates = (
        max((t.num_two_qubit_gates for t in plan.templates), default=0)
        if footprints is None
        else max((f.two_qubit_gates for f in footprints), default=0)
    )
    return Price(
        backend=device.name,
        step=taken if depth is None else replace(taken, depth=depth, two_qubit_gates=two_qubit_gates),
        steps=steps,
        energy_circuits=step.energy_circuits,
        gradient_circuits=step.gradient_circuits,
        metric_circuits=step.metric_circuits,
        depth=depth,
        two_qubit_depth=_largest(footprints, lambda each: each.two_qubit_depth),
        two_qubit_gates=two_qubit_gates,
        seconds=taken.seconds,
        is_noisy=device.is_noisy,
        limits=str(device.limits),
        offers=offers,
        prices=budget.table,
    )


def _price_of_propagation(
    evaluator: PropagationEvaluator, theta: np.ndarray, approx: Approx | Metric, steps: int
) -> PropagationPrice:
    """One energy with its gradient is computed twice, the first time compiled."""
    left_out, of_metric = evaluator.outlook(theta), evaluator.metric_outlook(as_metric(approx))
    start = time.perf_counter()
    evaluator.outlook(theta)
    seconds = time.perf_counter() - start
    num_bytes = left_out.num_bytes(evaluator.circuit.num_qubits)
    if of_metric is not None:
        seconds, num_bytes = seconds + of_metric.seconds, max(num_bytes, of_metric.num_bytes)
    return PropagationPrice(evaluator.name, left_out, of_metric, num_bytes, seconds, steps)


def _offer(
    choice: Choice, asked: PlannedStep, theta: np.ndarray, steps: int, budget: Budget, final_shots: Any
) -> Offer:
    """What a run of this choice takes; what does not fit together is said and not raised: others may be taken."""
    evaluator = asked.evaluator if choice.shots is None else asked.evaluator.with_shots(as_rule(choice.shots))
    end = Cost()
    if final_shots is not None:
        last = evaluator.with_shots(FixedShots(whole_number(final_shots, "final_shots", 1)))
        end = last.preview(theta, gradient=False, metric=None)
    try:
        start = choice.optimizer.preview(evaluator, theta, None, first=True)
        step = choice.optimizer.preview(evaluator, theta, None)
    except (SettingError, BackendError) as error:
        return Offer(choice.name, Cost(), Cost(), Cost(), steps, refused=f"{error}")
    if step == start + start:  # a step that is rejected measures its beginning anew
        offer = Offer(choice.name, start, start, end, steps, budget.steps(start, start, end))
        most = start + step * steps + end
        return replace(offer, most=most, affordable_at_most_shots=budget.steps(start, step, end))
    offer = Offer(choice.name, start, step, end, steps, budget.steps(start, step, end))
    dearest = _dearest(choice.optimizer, evaluator, asked.plan, theta)
    if dearest is None:
        return offer
    growing = min(steps, dearest.grown)
    most = sum((dearest(k) for k in range(1, growing + 1)), start + end) + dearest(dearest.grown) * (steps - growing)
    return replace(offer, most=most, affordable_at_most_shots=_bought(budget, start + end, dearest, offer.affordable))


def _dearest(
    optimizer: Optimizer, evaluator: SampledEvaluator | SampledObjective, plan: Plan | JointPlan, theta: np.ndarray
) -> _Dearest | None:
    """What the steps from number 1 on take at most, where a rule chooses their shots; None where all take the same."""
    most = getattr(evaluator.shots, "most", None)
    if most is None or most(plan, 1) == most(plan, 0):
        return None

    @cache
    def at(shots: int) -> Cost:
        return optimizer.preview(evaluator.with_shots(FixedShots(shots)), theta, None)

    last = most(plan, 2**62)
    return _Dearest(lambda step: at(most(plan, step)), next(k for k in count(1) if most(plan, k) == last))


class _Dearest(NamedTuple):
    """What a step takes at most by its number; from number `grown` on all take the same."""

    of: Callable[[int], Cost]
    grown: int

    def __call__(self, step: int) -> Cost:
        return self.of(step)


def _bought(budget: Budget, spent: Cost, dearest: _Dearest, most: int | None) -> int | None:
    """How many steps the budget buys after what is `spent`, each as dear as it may be; no more than the `most` that it
    buys of the cheapest."""
    if most is None:
        return None
    done = 0
    while done < min(most, dearest.grown) and budget.allows(spent, ahead := dearest(done + 1)):
        spent, done = spent + ahead, done + 1
    if done < dearest.grown:
        return done
    return min(most, done + (budget.steps(spent, dearest(dearest.grown), Cost()) or 0))


@dataclass(frozen=True, eq=False)
class PlannedStep:
    """The circuits of one step: the `plan` of its energy, gradient and metric for a `device`, with the `shots` that
    hold there, how the observable's terms are grouped, and the `evaluator` that would send it."""

    device: BackendBase
    shots: Any
    plan: Plan | JointPlan
    grouping: Grouping
    evaluator: SampledEvaluator | SampledObjective

    @property
    def rule(self) -> ShotRule:
        """What gives every circuit its shots."""
        return self.evaluator.shots

    @property
    def num_terms(self) -> int:
        """The Pauli terms that must be measured."""
        pairs = zip(self.plan.templates, self.plan.coefficients, strict=True)
        # one may be in several groups
        return len({label for t, weights in pairs if weights is not None for label in t.strings.labels()})

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
    gradient: GradientLike = "shift",
    share: float | None = None,
) -> PlannedStep:
    """The circuits that a step from what was given takes: those of the metric alone where there is no observable, with
    a `share` those of a CVaR. Arguments and errors as for `cost`."""
    metric, chosen_way = as_metric(approx), as_gradient(gradient)
    if isinstance(given, GivenObjective):
        require_shifts(chosen_way, "an Objective")
        return _planned_objective(given, backend, shots, metric, grouping, cross)
    chosen, shots = backend_and_shots(given.circuit, backend, shots)
    device = resolve(None) if chosen is None else chosen
    evaluator = SampledEvaluator(given.circuit, observable, device, _rule(shots), grouping, cross, None, share)
    # as `QNG` asks for the default
    way = False if observable is None else evaluator.way(gradient == "shift" or chosen_way, metric)
    plan = evaluator.planner.plan(given.theta, gradient=way, metric=metric)
    plan = replace(plan, least_shots=evaluator.backend.least_shots)
    return PlannedStep(device, shots, plan, grouping, evaluator)


def _rule(shots: Any) -> ShotRule:
    return as_rule(_SHOTS if shots is None else shots)


def _planned_objective(
    given: GivenObjective, backend: Any, shots: Any, metric: Metric, grouping: Grouping, cross: CrossMethod
) -> PlannedStep:
    """The circuits of a step of an objective, those of all its samples."""
    chosen, shots = backend_and_shots(given.circuit, backend, shots)
    device = resolve(None) if chosen is None else chosen
    evaluator = SampledObjective(given.model, device, _rule(shots), grouping, cross)
    plan = evaluator.planned(given.theta, metric=evaluator.own_metric(metric))
    return PlannedStep(evaluator.backend, shots, plan, grouping, evaluator)


def _largest(footprints: Sequence[Footprint] | None, number: Callable[[Footprint], int]) -> int | None:
    return None if footprints is None else max(map(number, footprints), default=0)
