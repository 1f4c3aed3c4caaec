"""What a step and a run would cost, known before any shot is spent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import numpy as np

from qngd._system.brief import brief_fields
from qngd._system.columns import columns_lines, rows_lines
from qngd._system.html import columns_table, rows_table
from qngd._system.keywords import hinted
from qngd.backends.base import Footprint
from qngd.backends.boundary import calling
from qngd.errors import BackendError, SettingError, whole_number
from qngd.estimates.estimate import format_seconds
from qngd.estimates.evaluation import Cost
from qngd.estimates.prices import Prices
from qngd.evaluators import light_cone, pauli_propagation
from qngd.evaluators.given import AnyGiven, read_any
from qngd.evaluators.meter import metering
from qngd.evaluators.objectives.given import GivenObjective
from qngd.evaluators.setup import Setup
from qngd.evaluators.submission import submission_cost
from qngd.gradients.base import GradientLike
from qngd.interop.given import Given
from qngd.measured.cross import CrossMethod
from qngd.measured.grouping import Grouping
from qngd.measured.plan import Plan
from qngd.metrics.base import Metric
from qngd.metrics.names import Approx, as_metric
from qngd.run.budget import Budget, as_budget
from qngd.run.pricing.cones import ConePrice
from qngd.run.pricing.here import of_starts
from qngd.run.pricing.offers import Offer, RunSize, choices, end_of, offers_of
from qngd.run.pricing.planned import PlannedStep, planned_step
from qngd.run.pricing.propagation import PropagationPrice, price_of_propagation


@dataclass(frozen=True)
class Price:
    """What one step takes, and what `steps` steps take from each of `restarts` starts: the start and every step are one
    submission each, a batch of as many jobs as the provider's limits force.

    Attributes:
        backend: its name.
        step: jobs, circuits and shots of one step.
        end: what the measurement by `final_shots` takes, and of excited states that of their overlaps.
        steps, restarts: how many steps from how many starts the run was priced for.
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
    restarts: int = 1
    end: Cost = field(default_factory=Cost)

    @property
    def run(self) -> Cost:
        """The whole run, its start and its end included, or those from all starts, if all steps are as `step`."""
        return (self.step * (self.steps + 1) + self.end) * self.restarts

    @property
    def run_seconds(self) -> float | None:
        """Device time of that, or None."""
        return self.run.seconds

    __repr__ = brief_fields

    def rows(self) -> dict[str, str]:
        """The price for people, from row names to text."""
        parts = f"{self.energy_circuits} energy, {self.gradient_circuits} gradient, {self.metric_circuits} metric"
        rows = {
            "backend": self.backend + (" (noisy)" if self.is_noisy else ""),
            "one step": self.step.in_short,  # which has a row of its own
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
        rows[of_starts(self.steps, self.restarts)] = self.run.in_short
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
            of_starts(self.steps, self.restarts),
            "in money",
        ]
        rows = [offer.row(self.prices) for offer in self.offers]
        if any(offer.affordable is not None for offer in self.offers):
            heads.append("the budget buys")
        filled = [k for k in range(len(heads)) if any(len(row) > k and row[k] for row in rows)]
        padded = [[*row, *[""] * (len(heads) - len(row))] for row in (heads, *rows)]
        return [[row[k] for k in filled] for row in padded]

    def __str__(self) -> str:
        offers = ["", *columns_lines(self.table())] if self.offers else []
        return "\n".join([*rows_lines(self.rows()), *offers])

    def _repr_html_(self) -> str:
        """For notebooks: the price as a table, and the offers as another."""
        price = rows_table(f"{type(self).__name__} of {of_starts(self.steps, self.restarts)}", self.rows())
        if not self.offers:
            return price
        heads, *rows = self.table()
        return price + columns_table("Ways to make the run", heads, rows)


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
    states: int = 1,
    restarts: int = 1,
    optimizer: Any = None,
) -> Price | ConePrice | PropagationPrice:
    """What natural gradient steps would cost on a backend. Nothing is run; circuits are compiled for the backend.

    With backend="light-cone" the cost is that of this machine: light cones, memory and time. With "pauli-propagation"
    it is strings, memory, time and error; for these one energy is computed.

    Args:
        problem_or_circuit, observable, theta0, backend, shots: as for `minimize`, an `Objective` included; where
            neither the user nor the circuit nor the backend has shots, 1000 per circuit.
        approx: which metric a step measures, as for `metric_tensor`.
        grouping, cross: as for `minimize`.
        steps: of the run.
        gradient: how a step takes it, as for `QNG`.
        budget: its `prices` say what a shot, a circuit, a job and a second cost, and the offers say how many steps its
            limits buy.
        final_shots: as for `minimize`.
        states: price the run for the last of so many `excited_states`, which measures its overlaps with all before it
            in every step.
        restarts: price the runs from so many starts, which share the budget, as for `minimize`.
        optimizer: as for `minimize`: one more offer, what a run by it takes. `Price.step` stays a natural gradient's.

    Raises:
        CircuitError, ObservableError, ParameterError, SettingError: an argument does not fit.
        BackendError: the circuits do not fit the backend.
        MemoryLimitError: a light cone is too wide; the text says what it belongs to.

    >>> circuit = qngd.CircuitBuilder(1)
    >>> circuit = circuit.ry(circuit.parameter("a"), 0)
    >>> print(qngd.cost(circuit, {"Z": 1.0}, [0.3], shots=100).step)
    1 job, 4 circuits, 400 shots
    """
    steps, states = whole_number(steps, "steps", 0), whole_number(states, "states", 1)
    restarts = whole_number(restarts, "restarts", 1)
    given, setup = read_any(problem_or_circuit, observable, theta0), Setup(backend, shots, grouping, cross)
    if light_cone.is_meant(backend):
        one = _one_circuit(given, light_cone.NAME, optimizer, "; minimize does")
        by_cones = light_cone.evaluator(one.circuit, one.target, shots)
        return ConePrice(by_cones.name, *by_cones.outlook(as_metric(approx)), steps, restarts)
    if (truncation := pauli_propagation.truncation_of(backend)) is not None:
        one = _one_circuit(given, pauli_propagation.NAME, optimizer)
        by_strings = pauli_propagation.evaluator(one.circuit, one.target, shots, truncation)
        return price_of_propagation(by_strings, one.theta, as_metric(approx), steps, restarts)
    granted = as_budget(budget)
    with metering(granted.meter(Cost())):
        step = planned_step(given, given.target, setup, approx=approx, gradient=gradient, states=states)
        run = RunSize(steps, restarts, end_of(step.evaluator, given.theta, final_shots))
        offers = offers_of(step, choices(approx, gradient, optimizer), given.theta, run, granted)
        return _price_of_circuits(step, run, offers, granted.table)


def _one_circuit(given: AnyGiven, backend: str, optimizer: Any, otherwise: str = "") -> Given:
    """The circuit and observable that this machine is priced for, by a step's parts."""
    if optimizer is not None:
        raise SettingError(f"optimizer: the price with backend={backend!r} is that of a step's parts; leave it out")
    if isinstance(given, GivenObjective):
        raise BackendError(f"backend: {backend!r} takes one circuit and observable, no Objective{otherwise}")
    return given


def _price_of_circuits(step: PlannedStep, run: RunSize, offers: tuple[Offer, ...], prices: Prices) -> Price:
    device, plan = step.device, step.plan
    shots = step.evaluator.shots.shots(cast(Plan, plan), None)
    assert shots is not None
    taken = submission_cost(device, plan.with_shots(shots))
    with calling(device.name):
        largest = _largest(device.describe(plan.templates))
    two_qubit_gates = max((template.num_two_qubit_gates for template in plan.templates), default=0)
    if largest is not None:
        two_qubit_gates = largest.two_qubit_gates
        taken = replace(taken, depth=largest.depth, two_qubit_gates=two_qubit_gates)
    return Price(
        backend=device.name,
        step=taken,
        steps=run.steps,
        restarts=run.restarts,
        end=run.end,
        energy_circuits=step.energy_circuits,
        gradient_circuits=step.gradient_circuits,
        metric_circuits=step.metric_circuits,
        depth=None if largest is None else largest.depth,
        two_qubit_depth=None if largest is None else largest.two_qubit_depth,
        two_qubit_gates=two_qubit_gates,
        seconds=taken.seconds,
        is_noisy=device.is_noisy,
        limits=str(device.limits),
        offers=offers,
        prices=prices,
    )


def _largest(footprints: Sequence[Footprint] | None) -> Footprint | None:
    """The largest of each number that circuits take; None where the backend compiles none."""
    if footprints is None:
        return None
    numbers = np.array([(each.depth, each.two_qubit_gates, each.two_qubit_depth) for each in footprints], dtype=int)
    depth, two_qubit_gates, two_qubit_depth = numbers.reshape(-1, 3).max(axis=0, initial=0).tolist()
    return Footprint(depth, two_qubit_gates, two_qubit_depth, seconds=None)
