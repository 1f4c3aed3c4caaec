"""The most that a run's steps take where a rule chooses their shots.

A rule says how many shots a circuit gets on average at most, and that many of every circuit have a price. How it will
divide them nobody knows beforehand. Where a job has one number of shots, R requests with n shots each on average, and a
start that is taken to cost as much as s shots, become circuits of u shots of which there are no more than R·(n/u + 1).
Those that cost least, u + s each, cost at most R·(n + s), as with u = n for all, and at most R·(√n + √s)², as with
u = √(ns). At least R·n of the second and u ≥ 1 in the first are for shots, so there are no more than

    R + R·min(2√(n/s), (n − 1)/(1 + s))

circuits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from itertools import count, takewhile
from typing import Any

import numpy as np

from qngd.backends.boundary import calling
from qngd.estimates.evaluation import Cost
from qngd.evaluators.meter import current_meter, shot_times
from qngd.evaluators.objectives.sampled import SampledObjective
from qngd.evaluators.sampled import SampledEvaluator
from qngd.measured.shots import FixedShots
from qngd.qng import QNG


def dearest(optimizer: QNG, evaluator: SampledEvaluator | SampledObjective, theta: np.ndarray) -> list[Cost]:
    """What the steps from number 1 on take at most where a rule chooses their shots, those after the last of these all
    as that one; nothing where all take the same."""
    most: Any = getattr(evaluator.shots, "most", None)
    if most is None:
        return []
    plan: Any = _plan(optimizer, evaluator, theta)
    if not plan.num_circuits:
        return []
    last = most(plan, 2**62)
    is_free = plan.starts.divided is not None
    if most(plan, 0) == most(plan, 1) == last and not is_free:
        return []
    growing = takewhile(lambda shots: shots < last, (most(plan, step) for step in count(1)))
    chosen = optimizer.choices(evaluator)
    submissions = 1 + chosen.may_begin_anew + bool(chosen.rule.num_probes)
    more = _unequal(evaluator, plan, submissions) if is_free else lambda cost, shots: cost

    equal = evaluator.with_shots(FixedShots(1))
    optimizer.preview(equal, theta, None)  # from here on it has the plan of all that have its shots changed

    @cache
    def price(shots: int) -> Cost:
        return more(optimizer.preview(equal.with_shots(FixedShots(shots)), theta, None), shots)

    return [price(shots) for shots in (*growing, last)]


def _plan(optimizer: QNG, evaluator: SampledEvaluator | SampledObjective, theta: np.ndarray) -> Any:
    """What a step of this optimizer would send."""
    chosen = optimizer.choices(evaluator)
    plan: Any = evaluator.planned(theta, gradient=chosen.gradient, metric=chosen.metric)
    return evaluator.as_run(plan)


def _unequal(
    evaluator: SampledEvaluator | SampledObjective, plan: Any, submissions: int
) -> Callable[[Cost, int], Cost]:
    """What makes of the cost of equal shots, in so many submissions, that of the dearest division of as many, where a
    job has one number."""
    device, prices, start = evaluator.backend, current_meter().prices, plan.starts.divided
    if not np.isfinite(start):
        return lambda cost, shots: cost
    with calling(device.name):
        times, at_once = shot_times(device, plan, device.describe(plan.templates)), device.limits.circuits
    shortest, slower = (0.0, 0.0) if times is None else (times.min(), times.max() - times.mean())
    # of a circuit more, which has `start` shots less for that
    of_circuit = max(prices.seconds_per_circuit - start * shortest, 0.0)
    by_money = prices.per_circuit + prices.per_second * prices.seconds_per_circuit
    by_money = max(by_money - start * (prices.per_shot + prices.per_second * shortest), 0.0)

    def more(cost: Cost, shots: int) -> Cost:
        circuits = int(cost.circuits * min(2 * np.sqrt(shots / start), (shots - 1) / (1 + start)))
        divided = circuits > 0 and at_once is not None and np.isfinite(at_once)
        jobs = circuits // int(at_once or 1) + submissions if divided else 0
        in_time = slower * cost.shots + prices.seconds_per_task * jobs
        in_money = max(prices.per_task, prices.minimum) * jobs + by_money * circuits
        return replace(
            cost,
            jobs=cost.jobs + jobs,
            circuits=cost.circuits + circuits,
            seconds=None if cost.seconds is None else cost.seconds + in_time + of_circuit * circuits,
            money=None if cost.money is None else cost.money + in_money + prices.per_second * in_time,
        )

    return more
