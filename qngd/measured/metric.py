"""What a step with shots asks of a metric: its circuits, its estimate, and what its shots are worth."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from qngd.circuit.observable import Observable
from qngd.errors import SettingError
from qngd.estimates.estimate import MetricTensor

if TYPE_CHECKING:  # what a metric is asked with; all of it knows metrics
    from qngd.measured.draft import Draft
    from qngd.measured.plan import Plan
    from qngd.measured.readout import Readout
    from qngd.measured.spread import StepModel


@dataclass(frozen=True, eq=False)
class Estimated:
    """A metric from outcomes.

    Attributes:
        tensor: with the errors of its own shots.
        parts: plain data of the metric's own: what it found on the way, for what a shot was worth.
        moved: gives how each of the errors that all outcomes of a submission share moves it, where it is one standard
            error large, (P, P) one after the other, as all of them may be hundreds; none where nothing is shared.
    """

    tensor: MetricTensor
    parts: Any = ()
    moved: Callable[[], Iterable[np.ndarray]] = tuple

    @property
    def whole(self) -> MetricTensor:
        """With all errors."""
        return replace(self.tensor, stderr=np.sqrt(self.tensor.stderr**2 + sum(each**2 for each in self.moved())))


class MeasuredMetric(ABC):
    """A metric as planning, assembling and the rules for shots see it. Arrays (R,) are over the requests of a plan."""

    needs_observable: ClassVar[bool] = False
    needs_gradient: ClassVar[bool] = False  # whether it is estimated from the gradient's circuits

    @property
    @abstractmethod
    def name(self) -> str:
        """What it is called; a class attribute does."""

    @abstractmethod
    def asked(self, draft: Draft) -> Any:
        """Put its requests into `draft.book`, and return how its estimate follows from their outcomes: plain data of
        its own, which `Plan.terms` holds. A plan of another θ or seed has as many requests."""

    @abstractmethod
    def estimate(self, read: Readout) -> Estimated:
        """The metric (P, P) with its standard errors, positive semidefinite, from the outcomes of a plan."""

    def require(self, observable: Observable | None) -> None:
        """Raise SettingError where it needs an observable and there is none."""
        if self.needs_observable and observable is None:
            raise SettingError(
                f'approx="{self.name}" is a metric of circuit and observable, and no observable was given: pass '
                'observable=, or take "block-diag"'
            )

    def of_single_shots(self, plan: Plan) -> str:
        """As of a plan: what of its estimate expectation values cannot give, and what to take instead."""
        return ""

    def own_requests(self, plan: Plan) -> np.ndarray:
        """The places of the requests that only the metric needs."""
        return np.flatnonzero(plan.of_metric)

    # Unless a metric knows better, a shot of its circuits is worth what one of the gradient's is on average, and they
    # get what the most demanding circuit of energy and gradient does.

    def step_worth(self, read: Readout, parts: Any, step: StepModel) -> np.ndarray:
        """What one shot of each request adds to the variance of the step in the norm of `StepModel`, (R,); `parts` are
        those of its estimate."""
        worth, known = step.of_gradient.copy(), step.of_gradient
        worth[self.own_requests(read.plan)] = known.sum() / max(np.count_nonzero(known), 1)
        return worth

    def entry_worth(self, read: Readout, parts: Any) -> np.ndarray:
        """Shots (R,) for a standard error of 1 of each entry of the metric; 0 where that is not known."""
        return np.zeros(read.plan.num_circuits)

    def shots_for(self, plan: Plan, seen: np.ndarray, error: float, needed: np.ndarray) -> np.ndarray:
        """Shots (R,) for the standard error `error` of each entry, at least those `needed` for energy and gradient;
        `seen` (R,) is the `entry_worth` of the step before."""
        found = needed.copy()
        found[self.own_requests(plan)] = needed.max(initial=0.0)
        return found
