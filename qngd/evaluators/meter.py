"""What submissions take, counted while a run steps: device seconds, money, and whether its limits allow the next one.

A run's meter stands around its steps (`metering`), and every submission asks it right before it is sent, whatever the
step announced: what a step takes may be known only after part of it was measured. Where no run goes on there are no
prices and no limits.

The device's times do not hold all that a provider counts. Where it reports what a job really used, that is what was
spent, and what is ahead is estimated by what was reported before (`qngd.estimates.usage`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace

import numpy as np

from qngd.backends.base import BackendBase, Footprint
from qngd.errors import QngdError
from qngd.estimates.evaluation import Cost
from qngd.estimates.prices import JobSizes, Prices
from qngd.estimates.usage import Usage
from qngd.measured.plan import Submission


class OverBudget(QngdError):
    """A submission was not sent because the budget does not allow it."""

    def __init__(self, ahead: Cost, spent: Cost) -> None:
        super().__init__(f"the next submission would exceed the budget: {ahead}")
        self.ahead, self.spent = ahead, spent


@dataclass(eq=False)
class Meter:
    """Counts on from what was `spent`; `allows(spent, ahead)` says whether what is ahead may still be sent, as without
    it anything may."""

    prices: Prices = field(default_factory=Prices)
    spent: Cost = field(default_factory=Cost)
    allows: Callable[[Cost, Cost], bool] | None = None
    logged: Cost = field(default_factory=Cost)  # of what it has counted that which a run's log holds
    weights: Mapping[str, float] = field(default_factory=dict)  # of the units that the best is to be made of

    def check(self, ahead: Cost) -> None:
        """Raise OverBudget unless this may be sent."""
        if self.allows is not None and not self.allows(self.spent, ahead):
            raise OverBudget(ahead, self.spent)

    def count(self, cost: Cost, logged: bool = False) -> None:
        """Add what a submission has taken, and whether a log holds it."""
        self.spent += cost
        self.logged += cost if logged else Cost()

    def ahead(self, cost: Cost, jobs: JobSizes) -> Cost:
        """The cost of a submission before it is sent, given its jobs and their seconds by the device's times."""
        if jobs.seconds is None:
            return self._valued(cost, jobs)
        return self._valued(cost, replace(jobs, seconds=self.spent.usage.estimate(jobs.seconds, jobs.circuits)))

    def paid(self, cost: Cost, jobs: JobSizes, used: float | None) -> Cost:
        """The cost of a submission that came back, `used` the device seconds that the provider reports."""
        if used is None:
            return self.ahead(cost, jobs)
        if jobs.seconds is None or not (by_times := float(jobs.seconds.sum())):
            share = jobs.shots / max(jobs.shots.sum(), 1)
            return self._valued(cost, replace(jobs, seconds=used * share))
        found = self._valued(cost, replace(jobs, seconds=jobs.seconds * used / by_times))
        sent, circuits, _ = jobs.total
        return replace(found, usage=Usage.of(by_times, used, circuits, sent))

    def _valued(self, cost: Cost, jobs: JobSizes) -> Cost:
        seconds = None if jobs.seconds is None else float(jobs.seconds.sum())
        return replace(cost, seconds=seconds, money=self.prices.of(jobs))


_METER: ContextVar[Meter | None] = ContextVar("meter", default=None)


def current_meter() -> Meter:
    """The meter of the run that goes on; one without prices and limits where none does."""
    return _METER.get() or Meter()


@contextmanager
def metering(meter: Meter) -> Iterator[Meter]:
    """Let this meter count what is sent meanwhile."""
    token = _METER.set(meter)
    try:
        yield meter
    finally:
        _METER.reset(token)


def job_sizes(backend: BackendBase, plan: Submission, footprints: Sequence[Footprint] | None) -> JobSizes:
    """What the jobs of a submission hold, and how long each takes by the device's times: Σ shots·(time of the circuit +
    delay between shots), and what the prices say that the start of a circuit and that of a job take."""
    loads = backend.loads(plan.requests, plan.templates)
    circuits = np.array([len(load.requests) for load in loads])
    shots = np.array([load.shots.sum() for load in loads])
    times = shot_times(backend, plan, footprints)
    if times is None:
        return JobSizes(circuits, shots, None)
    seconds = np.array([load.executions @ times[load.requests] for load in loads], dtype=float)
    prices = current_meter().prices
    seconds += prices.seconds_per_task + prices.seconds_per_circuit * circuits
    return JobSizes(circuits, shots, seconds)


def shot_times(backend: BackendBase, plan: Submission, footprints: Sequence[Footprint] | None) -> np.ndarray | None:
    """Seconds (R,) of one shot of each request, the delay after it included; None where a time is unknown."""
    used = np.array([request.template for request in plan.requests], dtype=np.int64)
    delay, assumed = backend.rep_delay, current_meter().prices.seconds_per_shot
    if footprints is None or delay is None or any(each.seconds is None for each in footprints):
        return None if assumed is None else np.full(len(used), assumed)
    return np.array([each.seconds for each in footprints], dtype=float)[used] + delay
