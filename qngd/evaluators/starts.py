"""What it costs to start a circuit, beside its shots: by prices, by times, and by what a job may hold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from qngd.backends.base import BackendBase
from qngd.backends.boundary import calling
from qngd.backends.shots import equal_shots
from qngd.evaluators.meter import Meter, current_meter, shot_times
from qngd.measured.plan import Starts, Submission
from qngd.measured.shots import FixedShots, ShotRule

_SOME_SHOTS = 100  # for which a submission is divided into jobs, of which only the number counts


def starts_of(backend: BackendBase, plan: Submission, rule: ShotRule) -> Starts:
    """What the start of a circuit of this plan costs on this backend, under the prices of the run that goes on; nothing
    where the rule asks for nothing, because its shots are fixed."""
    if isinstance(rule, FixedShots):
        return Starts()
    meter = current_meter()
    paid = _paid(backend, plan, meter) if meter.scarce and plan.num_circuits else 0.0
    return Starts(paid, max(paid, backend.circuit_start) if backend.has_one_number else None)


def divided(shots: np.ndarray | None, starts: Starts) -> np.ndarray | None:
    """The shots (R,) that a rule asks for, raised to what circuits of equal shots give where a job has one number: by
    what a start costs here, which the backend does not know."""
    if shots is None or starts.divided is None or not np.isfinite(starts.divided):
        return shots
    found = equal_shots(shots.tolist(), start=starts.divided)
    return found.shots * found.copies


def _paid(backend: BackendBase, plan: Submission, meter: Meter) -> float:
    """A circuit's start in shots, by what is scarce: what is paid for a step beside its shots, in equal parts, over
    what is paid for a shot."""
    prices, count = meter.prices, plan.num_circuits
    if meter.scarce == "seconds":
        if not prices.seconds_per_circuit:
            return 0.0
        time = _seconds_per_shot(backend, plan)
        return prices.seconds_per_circuit / time if time else 0.0
    of_shot = prices.per_shot
    of_start = prices.per_circuit + prices.per_second * prices.seconds_per_circuit
    if prices.per_second > 0:
        of_shot += prices.per_second * (_seconds_per_shot(backend, plan) or 0.0)
    if prices.per_task > 0:
        requests = [replace(request, shots=_SOME_SHOTS) for request in plan.requests]
        with calling(backend.name):
            of_start += prices.per_task * backend.preview(requests, plan.templates).jobs / count
    if not of_start:
        return 0.0
    return of_start / of_shot if of_shot > 0 else float(np.inf)


def _seconds_per_shot(backend: BackendBase, plan: Submission) -> float | None:
    """The mean of its circuits' times, the delay between shots included; None where they are not known."""
    with calling(backend.name):
        times = shot_times(backend, plan, backend.describe(plan.templates))
    return None if times is None else float(times.mean())
