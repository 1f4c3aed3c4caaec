"""Searches that look at energies before they go: backtracking along d, and the plane of d and the last step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qngd._system.keywords import hinted
from qngd._system.renamed import renamed
from qngd.damping import first_rate
from qngd.errors import require_positive
from qngd.estimates.evaluation import Evaluation
from qngd.solve.direction import Direction
from qngd.step.base import (
    Memory,
    Probe,
    Proposal,
    StepRule,
    Trial,
    along,
    gradient_of,
    require_between,
    require_length,
    require_rate,
    with_first_rate,
)

_TINY = float(np.finfo(float).tiny)


@renamed(decrease="sufficient_decrease", largest="max_rate")
@hinted
@dataclass(frozen=True)
class Armijo(StepRule):
    """Backtracking: δ = −η·d is accepted if E falls by at least c·η·d·∇E, less two standard errors of the difference;
    otherwise η is halved, from the same point. After a success η may grow again (Armijo,
    doi:10.2140/pjm.1966.16.1).

    Args:
        initial: the first η; None is 0.2 over the standard deviation of the observable's eigenvalues, so that
            the unit of energy does not matter.
        sufficient_decrease: c, the fraction of the promised decrease that must come.
        shrink: what η is multiplied by after a refusal.
        grow: what it is multiplied by after a success.
        max_rate: bound on η; None is 100 times the first.
        max_length: bound on √(δᵀgδ), in radians.
    """

    initial: float | None = None
    sufficient_decrease: float = 0.1
    shrink: float = 0.5
    grow: float = 1.5
    max_rate: float | None = None
    max_length: float = 0.5
    may_reject = True

    def __post_init__(self) -> None:
        require_rate(self.initial, "initial")
        require_between(0, self.sufficient_decrease, 1, "sufficient_decrease")
        require_between(0, self.shrink, 1, "shrink")
        require_between(1, self.grow, np.inf, "grow")
        if self.max_rate is not None:
            require_length(self.max_rate, "max_rate", first_rate(self.initial))
        require_length(self.max_length, "max_length")

    def at_scale(self, scale: float) -> Armijo:
        return with_first_rate(self, scale)

    def start(self) -> Memory:
        return {"rate": np.array(first_rate(self.initial))}

    def propose(self, direction: Direction, here: Evaluation, memory: Memory, probe: Probe) -> Proposal:
        return along(direction, here, float(memory["rate"]), self.max_length)

    def judge(self, trial: Trial, memory: Memory) -> bool:
        return bool(trial.decrease >= self.sufficient_decrease * trial.slope - trial.slack)

    def learn(self, trial: Trial, accepted: bool, memory: Memory) -> Memory:
        factor = self.grow if accepted else self.shrink
        most = 100 * first_rate(self.initial) if self.max_rate is None else self.max_rate
        return {"rate": np.array(min(trial.proposal.rate * factor, most))}


@renamed(probe="probe_ratio")
@hinted
@dataclass(frozen=True)
class ConjugateDirections(StepRule):
    """δ = −α·d + β·δ_last, with α and β where a parabola over the plane of both is lowest: the generalized conjugate
    direction of CQNG (arXiv:2501.05847).

    The slopes in the plane are known from ∇E; its three curvatures come from three energies, a submission
    each. In the metric g + λI the plane has an orthonormal basis, in which the minimum is sought within a
    trust radius, adapted as in `TrustRegion`. The probes lie at `probe_ratio` times the last step's length.

    Args:
        radius: the first trust radius, in radians.
        max_radius: its bound.
        probe_ratio: distance of the probes over the length of the last step.
    """

    radius: float = 0.2
    max_radius: float = 1.0
    probe_ratio: float = 0.3
    may_reject = True
    num_probes = 3

    def __post_init__(self) -> None:
        require_positive(self.radius, "radius")
        require_positive(self.probe_ratio, "probe_ratio")
        require_length(self.max_radius, "max_radius", self.radius)

    def start(self) -> Memory:
        return {"previous": np.zeros(0), "radius": np.array(self.radius), "reach": np.array(self.radius)}

    def propose(self, direction: Direction, here: Evaluation, memory: Memory, probe: Probe) -> Proposal:
        basis = _plane(direction, memory["previous"])
        slopes = basis @ gradient_of(here)
        radius = float(memory["radius"])
        if not len(basis) or not np.any(slopes):
            return along(direction, here, 0.0, radius)
        reach = float(np.clip(self.probe_ratio * memory["reach"], 1e-3, 0.3))
        hessian = _curvatures(basis, slopes, reach, float(here.energy.value), probe)
        place = lowest_within(slopes, hessian, radius)
        delta = basis.T @ place
        predicted = -float(slopes @ place + 0.5 * place @ hessian @ place)
        norm = float(np.sqrt(direction.damped_square(direction.vector)))
        rate = float(place[0]) / norm if norm > 0 else 0.0  # of the first basis vector, −d unless d is zero
        return Proposal(delta, rate, direction.length_of(delta), predicted, radius)

    def judge(self, trial: Trial, memory: Memory) -> bool:
        return trial.fell

    def learn(self, trial: Trial, accepted: bool, memory: Memory) -> Memory:
        step, radius = trial.proposal, float(memory["radius"])
        reach = float(np.sqrt(trial.direction.damped_square(step.delta)))
        if trial.failed_the_model:
            radius = max(0.25 * reach, 1e-6)
        elif trial.met_the_model and reach >= 0.8 * radius:
            radius = min(2 * radius, self.max_radius)
        return {
            "previous": step.delta if accepted else memory["previous"],
            "radius": np.array(radius),
            "reach": np.array(reach if accepted else 0.5 * reach),
        }


def lowest_within(slopes: np.ndarray, hessian: np.ndarray, radius: float) -> np.ndarray:
    """The minimizer of slopes·c + ½cᵀ·hessian·c over |c| ≤ radius.

    >>> lowest_within(np.array([-1.0, -1.0]), np.diag([1.0, 2.0]), 2.0)
    array([1. , 0.5])
    """
    from scipy.optimize import brentq  # with all of scipy.optimize, a fifth of what importing this package takes

    values, vectors = np.linalg.eigh(hessian)
    turned = vectors.T @ slopes
    if values[0] > 0 and np.linalg.norm(turned / values) <= radius:
        return -vectors @ (turned / values)
    # (H + μ)c = −slopes with |c| = radius: 1/|c| rises with μ, nearly as a line does
    low = max(0.0, -float(values[0]))
    high = low + float(np.linalg.norm(turned)) / radius

    def excess(shift: float) -> float:
        return float(1 - radius / np.linalg.norm(_ratio(turned, values + shift)))

    at_end = high if excess(high) >= 0 else low if excess(low) <= 0 else None  # by rounding; no slope along the first
    shift = brentq(excess, low, high, xtol=_TINY, maxiter=2000) if at_end is None else at_end
    place = -_ratio(turned, values + shift)
    place[np.isinf(place)] = 0.0  # a slope so small that adding it to μ changed nothing
    length = float(np.linalg.norm(place))
    if length > radius:  # of a μ that rounding blurs
        place *= radius / length
    elif values[0] < 0 and length < 0.999 * radius:
        # no slope along the direction of negative curvature: either way down it leads to the boundary
        place[0] = np.copysign(np.sqrt(radius**2 - place[1:] @ place[1:]), -turned[0])
    return vectors @ place


def _ratio(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The quotients a/b, 0 where a is."""
    with np.errstate(divide="ignore"):  # an infinity is longer than any radius
        return np.divide(a, b, out=np.zeros_like(a), where=a != 0)


def _plane(direction: Direction, previous: np.ndarray) -> np.ndarray:
    """An orthonormal basis, in g + λI, of the plane of −d and the last step: (2, P), or (1, P) where they agree."""
    basis: list[np.ndarray] = []
    for vector in (-direction.vector, previous):
        if not len(vector):
            continue
        rest = vector
        for _ in range(2):
            for one in basis:
                rest = rest - one * direction.damped_inner(one, rest)
        norm = np.sqrt(direction.damped_square(rest))
        if norm > 1e-3 * np.sqrt(direction.damped_square(vector)):
            basis.append(rest / norm)
    return np.array(basis).reshape(len(basis), len(direction.vector))


def _curvatures(basis: np.ndarray, slopes: np.ndarray, reach: float, energy: float, probe: Probe) -> np.ndarray:
    """The Hessian in the plane from energies beside `here`, downhill, or ahead where no slope is: along the last step,
    orthogonal to d, rounding would say where."""
    ways = np.where(slopes > 1e-9 * np.abs(slopes).max(), -reach, reach)
    shifts = [way * one for way, one in zip(ways, basis, strict=True)]
    if len(basis) == 2:
        shifts.append(shifts[0] + shifts[1])
    rises = np.array([float(found.value) - energy for found in probe(shifts)])
    count = len(basis)
    bends = rises[:count] - ways * slopes  # ½·reach²·H_ii
    hessian = np.diag(2 * bends / reach**2)
    if count == 2:
        mixed = rises[2] - ways @ slopes - bends.sum()
        hessian[0, 1] = hessian[1, 0] = mixed / (ways[0] * ways[1])
    return hessian
