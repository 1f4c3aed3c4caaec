"""How many shots each circuit of a step gets.

A rule sees the plan and the *spread* of the step before: per request, how much one shot of it would add to the
variance of what is estimated. With N_r shots a request with spread a_r adds a_r/N_r, so Σ a_r/N_r at a given total
Σ N_r is smallest for N_r ∝ √a_r.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from qngd.errors import SettingError
from qngd.evaluate import Evaluation, Spread
from qngd.outcomes import Counts, Outcome, energy, means, weighted_values
from qngd.plan import BlockTerm, CrossTerm, Plan, SpsaTerm

_SHOTS_PER_CIRCUIT = 1000  # of "auto" without a total
_FIRST_SHOTS = 200  # per circuit where nothing has been seen yet
_RELATIVE_DAMPING = 1e-2  # of the largest eigenvalue, where an inverse metric weighs the errors of a step


class ShotRule(Protocol):
    """Decides the shots of every request."""

    def shots(self, plan: Plan, spread: Spread | None) -> np.ndarray | None:
        """Shots (R,), given the spread of the step before if there was one; None asks for exact values."""


@dataclass(frozen=True)
class FixedShots:
    """The same number of shots for every circuit; None asks for exact values, which simulators can give."""

    per_circuit: int | None

    def shots(self, plan: Plan, spread: Spread | None) -> np.ndarray | None:
        if self.per_circuit is None:
            return None
        return np.full(plan.num_circuits, self.per_circuit)


@dataclass(frozen=True)
class AutoShots:
    """`total` shots a step, divided so that the error of the natural gradient step is smallest.

    After van Straaten & Koczor (arXiv:2005.05172), with the variances seen in the step before; the first step
    divides equally. As the gradient vanishes, errors of the metric matter less, and its shots fade.

    Args:
        total: shots of one step; None is 1000 per circuit.
        energy_share: the part of it that goes to the energy itself, which the step's length is judged by.
        minimum: shots that every circuit gets.

    >>> AutoShots(total=100_000)
    AutoShots(total=100000, energy_share=0.1, minimum=10)
    """

    total: int | None = None
    energy_share: float = 0.1
    minimum: int = 10

    def __post_init__(self) -> None:
        if self.total is not None and not self.total >= 1:
            raise SettingError(f"total must be at least 1 shot; got {self.total}")
        if not 0 < self.energy_share < 1:
            raise SettingError(f"energy_share must be between 0 and 1; got {self.energy_share}")
        if not self.minimum >= 2:
            raise SettingError(f"minimum must be at least 2 shots; got {self.minimum}")

    def shots(self, plan: Plan, spread: Spread | None) -> np.ndarray:
        count = plan.num_circuits
        total = _SHOTS_PER_CIRCUIT * count if self.total is None else self.total
        if total < self.minimum * count:
            raise SettingError(
                f"shots: {total} a step are too few for {count} circuits with at least {self.minimum} each; "
                f"give {self.minimum * count} or more"
            )
        share = np.full(count, 1 / count)
        if spread is not None and len(spread.step) == count and spread.step.any():
            of_energy = _normalized(np.sqrt(spread.energy) * (plan.energy_weights != 0))
            of_step = _normalized(np.sqrt(spread.step))
            part = self.energy_share if of_energy.any() else 0.0
            share = part * of_energy + (1 - part) * of_step
        free = total - self.minimum * count
        return self.minimum + np.floor(free * share).astype(int)


@dataclass(frozen=True)
class TargetError:
    """As many shots as a standard error takes: of the energy, of every entry of the gradient (by default the same)
    and of every entry of the metric.

    From the variances seen in the step before; the first step takes 200 shots per circuit. `limit` bounds the shots
    of one circuit.

    >>> TargetError(0.01)
    TargetError(energy=0.01, gradient=None, metric=0.01, limit=1000000)
    """

    energy: float
    gradient: float | None = None
    metric: float = 0.01
    limit: int = 1_000_000

    def __post_init__(self) -> None:
        for name in ("energy", "gradient", "metric"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise SettingError(f"{name} must be a positive standard error; got {value}")
        if not self.limit >= 2:
            raise SettingError(f"limit must be at least 2 shots; got {self.limit}")

    def shots(self, plan: Plan, spread: Spread | None) -> np.ndarray:
        count = plan.num_circuits
        if spread is None or len(spread.energy) != count:
            return np.full(count, min(_FIRST_SHOTS, self.limit))
        needed = np.full(count, 2.0)
        weights = plan.energy_weights
        of_energy = _sharing(weights[None] ** 2 * spread.energy) / self.energy**2
        needed = np.maximum(needed, of_energy)
        if plan.mixing is not None:
            linear = (plan.mixing @ plan.slopes).toarray()
            target = self.energy if self.gradient is None else self.gradient
            needed = np.maximum(needed, _sharing(linear**2 * spread.energy) / target**2)
        needed = np.maximum(needed, spread.metric / self.metric**2)
        return np.minimum(np.ceil(needed), self.limit).astype(int)


def _sharing(variances: np.ndarray) -> np.ndarray:
    """Shots (R,) for unit error of every row of Σ_r variances[i, r]/N_r, each row with its fewest shots in all."""
    roots = np.sqrt(variances)
    return (roots * roots.sum(axis=1, keepdims=True)).max(axis=0, initial=0.0)


def _normalized(weights: np.ndarray) -> np.ndarray:
    total = weights.sum()
    return weights / total if total > 0 else weights


def as_rule(shots: Any) -> ShotRule:
    """The rule that the `shots` argument stands for: a number, "auto", None, or a rule.

    Raises:
        SettingError: it is none of these.
    """
    if shots is None:
        return FixedShots(None)
    if isinstance(shots, str):
        if shots == "auto":
            return AutoShots()
        raise SettingError(f'shots: {shots!r} is neither a number nor "auto"')
    if hasattr(shots, "shots"):
        return shots
    return FixedShots(check_shots(shots))


def check_shots(shots: Any) -> int:
    """`shots` as an int; raises SettingError unless it is a whole number of at least 1."""
    whole = isinstance(shots, (int, np.integer)) or (isinstance(shots, float) and shots.is_integer())
    if isinstance(shots, bool) or not whole or shots < 1:
        raise SettingError(f"shots must be a whole number of at least 1; got {shots!r}")
    return int(shots)


def observed_spread(plan: Plan, outcomes: Sequence[Outcome], evaluation: Evaluation) -> Spread | None:
    """What one shot of every request adds to the variances of energy, metric and natural gradient step; None for
    exact outcomes."""
    if any(outcome.shots == 0 for outcome in outcomes):
        return None
    count = plan.num_circuits
    of_energy, of_metric, of_step = np.zeros(count), np.zeros(count), np.zeros(count)
    for r, request in enumerate(plan.requests):
        coefficients = plan.coefficients[request.template]
        if coefficients is not None:
            template = plan.templates[request.template]
            of_energy[r] = energy(outcomes[r], template, coefficients)[1] * outcomes[r].shots
    if plan.mixing is not None and evaluation.metric is not None:
        assert evaluation.gradient is not None
        inverse = _damped_inverse(evaluation.metric.value)
        direction = inverse @ evaluation.gradient.value
        linear = inverse @ (plan.mixing @ plan.slopes).toarray()
        of_step += (linear**2).sum(axis=0) * of_energy
        for block in plan.blocks:
            of_step[block.request] += _block_spread(plan, outcomes, block, inverse, direction)
        for term in plan.crosses:
            for r in term.requests:
                of_step[r] += _cross_spread(plan, outcomes, term, r, inverse, direction)
        for sample in plan.samples:
            for r in sample.requests:
                of_step[r] += _sample_spread(sample, len(plan.samples), inverse, direction)
    for block in plan.blocks:
        of_metric[block.request] = _entry_spread(plan, outcomes, block)
    return Spread(of_energy, of_metric, of_step)


def _damped_inverse(metric: np.ndarray) -> np.ndarray:
    damping = _RELATIVE_DAMPING * max(float(np.linalg.norm(metric, 2)), 1e-12)
    return np.linalg.inv(metric + damping * np.eye(len(metric)))


def _centred(plan: Plan, outcomes: Sequence[Outcome], block: BlockTerm) -> tuple[Any, Any]:
    """Frequencies (U,) of a layer's distinct outcomes and their centred generator sums (U, p)."""
    outcome = outcomes[block.request]
    assert isinstance(outcome, Counts)
    template = plan.templates[plan.requests[block.request].template]
    values = weighted_values(outcome, template, block.jacobian)
    weight = outcome.counts / outcome.shots
    return weight, values - weight @ values


def _block_spread(
    plan: Plan,
    outcomes: Sequence[Outcome],
    block: BlockTerm,
    inverse: np.ndarray,
    direction: np.ndarray,
) -> float:
    """Variance of g⁻¹·δg·d from one shot of a layer, δg = ¼ c cᵀ for the centred generator sums c."""
    if not isinstance(outcomes[block.request], Counts):
        return 0.0
    weight, centred = _centred(plan, outcomes, block)
    moved = 0.25 * centred * (centred @ direction[block.columns])[:, None]
    moved = moved @ inverse[:, block.columns].T
    return float(weight @ ((moved - weight @ moved) ** 2).sum(axis=1))


def _entry_spread(plan: Plan, outcomes: Sequence[Outcome], block: BlockTerm) -> float:
    """The largest variance of an entry of the block from one shot."""
    if not isinstance(outcomes[block.request], Counts):
        return 0.0
    weight, centred = _centred(plan, outcomes, block)
    matrix = (weight[:, None] * centred).T @ centred
    fourth = (weight[:, None] * centred**2).T @ centred**2
    return float((fourth - matrix**2).max(initial=0.0)) / 16


def _sample_spread(sample: SpsaTerm, count: int, inverse: np.ndarray, direction: np.ndarray) -> float:
    """Variance of g⁻¹·δg·d from one shot of an overlap, whose own variance is at most ¼."""
    moved = inverse @ sample.pair.sample([1.0, 0.0, 0.0, 0.0]) @ direction / count
    return float(moved @ moved) / 4


def _cross_spread(
    plan: Plan,
    outcomes: Sequence[Outcome],
    term: CrossTerm,
    request: int,
    inverse: np.ndarray,
    direction: np.ndarray,
) -> float:
    """Variance of g⁻¹·δg·d from one shot of a circuit between layers, its entries counted as independent."""
    rows = plan.jacobian
    own = rows[[term.rotation]].toarray()[0]
    others = rows[term.others].toarray()
    moved = 0.25 * (np.outer(others @ direction, own) + (own @ direction) * others) @ inverse.T
    if term.signs:  # ½ times a frequency, whose variance from one shot is at most ¼
        return float((moved**2).sum()) / 16
    outcome = outcomes[request]
    variances = means(outcome, plan.templates[plan.requests[request].template])[1]
    return float(variances @ (moved**2).sum(axis=1)) * outcome.shots
