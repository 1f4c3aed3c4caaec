"""What a run takes with the settings that were asked for, and with others beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from qngd.errors import BackendError, CircuitError, SettingError, counted, whole_number
from qngd.estimates.estimate import format_seconds
from qngd.estimates.evaluation import Cost
from qngd.estimates.prices import Prices
from qngd.evaluators.deflated import SampledDeflated
from qngd.evaluators.objectives.sampled import SampledObjective
from qngd.evaluators.sampled import SampledEvaluator
from qngd.gradients.base import GradientLike
from qngd.gradients.names import as_gradient
from qngd.measured.shots import FixedShots, as_rule
from qngd.metrics.base import Metric
from qngd.metrics.names import Approx
from qngd.qng import QNG
from qngd.run.budget import Budget
from qngd.run.optimizers import as_optimizer
from qngd.run.pricing.dearest import dearest
from qngd.run.pricing.planned import PlannedStep
from qngd.solve.state import Optimizer

_DEFAULT = "block-diag"  # what QNG() takes where there are shots


@dataclass(frozen=True)
class Offer:
    """What a run with certain settings takes.

    Attributes:
        name: of the settings.
        start, step, end: of one run: the evaluation at theta0, a step (where a rule chooses the shots of each, the
            first; where a rejected one measures its beginning anew, one that is accepted), and the measurement by
            `final_shots`.
        steps: how many steps the run is priced for.
        affordable: the steps of each start that the budget buys if all are as `step`; None where it sets no limit.
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
    restarts: int = 1

    @property
    def run(self) -> Cost:
        """The whole run, with its start and end, if all steps are as `step`; or those from all `restarts` starts."""
        return (self.start + self.step * self.steps + self.end) * self.restarts

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
            bought = counted(self.affordable, "step", ",") + (" a start" if self.restarts > 1 else "")
        if self.most is not None:
            run, money = _between(run, run_of(self.most)), _between(money, money_of(self.most))
            if self.affordable_at_most_shots not in (None, self.affordable):
                bought = f"{self.affordable_at_most_shots:,} to {bought}"
        return [self.name, *counts, time_of(self.step), money_of(self.step), run, money, bought]


def _between(low: str, high: str) -> str:
    return low if low == high else f"{low} to {high}"


@dataclass(frozen=True)
class Choice:
    """Settings that offers are made of: a name, the `optimizer`, and `shots` that take the place of the user's."""

    name: str
    optimizer: Optimizer
    shots: Any = None


def choices(approx: Approx | Metric, gradient: GradientLike = "shift", optimizer: Any = None) -> tuple[Choice, ...]:
    """The settings that are priced side by side: as they are asked for, the `optimizer` if there is one, and others."""
    # an objective may have a metric of its own
    asked = QNG(approx=None if approx == _DEFAULT else approx, gradient=gradient)
    found = [Choice("as asked", asked)]
    if optimizer is not None:
        other = as_optimizer(optimizer)
        name = optimizer if isinstance(optimizer, str) else getattr(other, "method", type(other).__name__)
        found.append(Choice(name, other))
    found.append(Choice('shots="auto"', asked, "auto"))
    if not as_gradient(gradient).is_random:
        found.append(Choice('gradient="sampled"', replace(asked, gradient="sampled")))
    return (*found, Choice("QN-SPSA", QNG.qn_spsa()))


@dataclass(frozen=True)
class RunSize:
    """How many steps from how many starts are priced, and what the measurement at the end of each takes."""

    steps: int
    restarts: int
    end: Cost


def offers_of(
    asked: PlannedStep, among: Sequence[Choice], theta: np.ndarray, run: RunSize, budget: Budget
) -> tuple[Offer, ...]:
    """What runs of these choices take, in place of the step asked for."""
    return tuple(_offer(each, asked, theta, run, budget) for each in among)


def end_of(evaluator: SampledEvaluator | SampledObjective, theta: np.ndarray, final_shots: Any) -> Cost:
    """What is measured at the end of a run: the energy with `final_shots`, of all samples, and of excited states
    without penalties in any case."""
    evaluator = evaluator.of_all()
    if final_shots is not None:
        evaluator = evaluator.with_shots(FixedShots(whole_number(final_shots, "final_shots", 1)))
    elif not isinstance(evaluator, SampledDeflated):
        return Cost()
    return evaluator.preview(theta, gradient=False, metric=None)


def _offer(choice: Choice, asked: PlannedStep, theta: np.ndarray, run: RunSize, budget: Budget) -> Offer:
    """What a run of this choice takes; what does not fit together is said and not raised: others may be taken."""
    evaluator = asked.evaluator if choice.shots is None else asked.evaluator.with_shots(as_rule(choice.shots))
    optimizer = choice.optimizer
    try:
        start = optimizer.preview(evaluator, theta, None, first=True)
        evaluator = evaluator.on_batch(0, None)
        step = optimizer.preview(evaluator, theta, None)
        dear = _dearest(optimizer, evaluator, theta)
    except (SettingError, CircuitError, BackendError) as error:
        return Offer(choice.name, Cost(), Cost(), Cost(), run.steps, refused=f"{error}")
    if isinstance(optimizer, QNG) and optimizer.choices(evaluator).may_begin_anew:  # one that is rejected
        step, dear = step - start, dear or [step]
    starts, end = run.restarts, run.end
    affordable = budget.steps(start * starts, step * starts, end * starts)
    offer = Offer(choice.name, start, step, end, run.steps, affordable, restarts=starts)
    if not dear:
        return offer
    most = sum(dear[: run.steps], start + end) + dear[-1] * max(run.steps - len(dear), 0)
    bought = _bought(budget, (start + end) * starts, [each * starts for each in dear], affordable)
    return replace(offer, most=most * starts, affordable_at_most_shots=bought)


def _dearest(optimizer: Optimizer, evaluator: SampledEvaluator | SampledObjective, theta: np.ndarray) -> list[Cost]:
    """What steps take at most, see `dearest`, where a rule chooses their shots.

    Raises:
        SettingError: which circuits these are is known of natural gradients alone.
    """
    if isinstance(optimizer, QNG):
        return dearest(optimizer, evaluator, theta)
    if not evaluator.has_fixed_shots:
        raise SettingError("with a rule for shots only natural gradients have a price; give a number of shots")
    return []


def _bought(budget: Budget, spent: Cost, dearest: Sequence[Cost], most: int | None) -> int | None:
    """How many steps the budget buys after what is `spent`, each as dear as it may be; no more than the `most` that it
    buys of the cheapest."""
    if most is None:
        return None
    for done, ahead in enumerate(dearest[:most]):
        if not budget.allows(spent, ahead):
            return done
        spent += ahead
    return min(most, len(dearest) + (budget.steps(spent, dearest[-1]) or 0))
