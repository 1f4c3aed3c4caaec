"""What it costs to start a circuit, beside its shots: by prices, by times, and by what a job may hold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from qngd.backends.base import BackendBase
from qngd.backends.boundary import calling
from qngd.backends.shots import equal_shots
from qngd.estimates.evaluation import Cost
from qngd.evaluators.meter import Meter, current_meter, shot_times
from qngd.measured.auto_shots import AutoShots
from qngd.measured.plan import Starts, Submission
from qngd.measured.shots import FixedShots, ShotRule

_SOME_SHOTS = 100  # for which a submission is divided into jobs, of which only the number counts


def starts_of(backend: BackendBase, plan: Submission, rule: ShotRule) -> Starts:
    """What the start of a circuit of this plan costs on this backend, under the prices of the run that goes on; nothing
    where the rule asks for nothing, because its shots are fixed."""
    if isinstance(rule, FixedShots):
        return Starts()
    meter = current_meter()
    most = rule.limit if isinstance(rule, AutoShots) else 0  # no other rule takes shots because they cost nothing
    paid, free = _paid(backend, plan, meter, most) if meter.weights and plan.num_circuits else (0.0, 0.0)
    return Starts(paid, max(paid, backend.circuit_start) if backend.has_one_number else None, free)


def divided(shots: np.ndarray | None, starts: Starts) -> np.ndarray | None:
    """The shots (R,) that a rule asks for, raised to what circuits of equal shots give where a job has one number: by
    what a start costs here, which the backend does not know."""
    if shots is None or starts.divided is None:
        return shots
    found = equal_shots(shots.tolist(), start=starts.divided)
    return found.shots * found.copies


def _paid(backend: BackendBase, plan: Submission, meter: Meter, most: int) -> tuple[float, float]:
    """A circuit's start in shots, by what is limited: what a step takes beside its shots, in equal parts, over what a
    shot takes, both summed over money, seconds and shots with their weights. And the shots of a circuit that cost
    nothing, at `most`: those that the least price of a job pays for, where they take nothing else that is limited, or
    all."""
    prices, count = meter.prices, plan.num_circuits
    money, seconds, shots = (meter.weights.get(unit, 0.0) for unit in ("money", "seconds", "shots"))
    seconds += money * prices.per_second
    time = _seconds_per_shot(backend, plan) if seconds else 0.0
    if time is None:  # nor is then known what is spent
        return 0.0, 0.0
    of_shot = money * prices.per_shot + seconds * time + shots
    of_start = money * prices.per_circuit + seconds * (prices.seconds_per_circuit + meter.spent.usage.beside)
    if of_job := money * prices.per_task + seconds * prices.seconds_per_task:
        of_start += of_job * _sent(backend, plan, _SOME_SHOTS).jobs / count
    free = np.inf if of_start and not of_shot else 0.0
    if money and prices.minimum > 0 and meter.weights.keys() == {"money"}:
        beyond = money * prices.minimum * _sent(backend, plan, 1).jobs / count - of_start
        free = max(free, _in_shots(max(beyond, 0.0), of_shot))
    return _in_shots(of_start, of_shot), _with_room(backend, plan, min(free, most))


def _sent(backend: BackendBase, plan: Submission, shots: int) -> Cost:
    """What is sent with so many shots for every circuit."""
    with calling(backend.name):
        return backend.preview([replace(request, shots=shots) for request in plan.requests], plan.templates)


def _with_room(backend: BackendBase, plan: Submission, shots: float) -> float:
    """So many shots of every circuit, or as many as there is room for in one run of each and as few jobs as there can
    be: what comes beside these has a price of its own."""
    if shots < 1:
        return shots
    fewest = _sent(backend, plan, 1)

    def is_room(each: float) -> bool:
        sent = _sent(backend, plan, int(each))
        return sent.jobs <= fewest.jobs and sent.circuits <= fewest.circuits

    if is_room(shots):
        return shots
    found = 1.0
    while 2 * found < shots and is_room(2 * found):
        found *= 2
    return found


def _in_shots(price: float, of_shot: float) -> float:
    if not price:
        return 0.0
    return price / of_shot if of_shot > 0 else float(np.inf)


def _seconds_per_shot(backend: BackendBase, plan: Submission) -> float | None:
    """The mean of its circuits' times, the delay between shots included; None where they are not known."""
    with calling(backend.name):
        times = shot_times(backend, plan, backend.describe(plan.templates))
    return None if times is None else float(times.mean())
