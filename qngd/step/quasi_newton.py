"""Curvature pairs on top of the metric: natural gradients far from a minimum, quasi-Newton steps near it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qngd._system.keywords import hinted
from qngd.errors import settle_whole
from qngd.estimates.estimate import rounding
from qngd.estimates.evaluation import Evaluation
from qngd.solve.direction import Direction, Product
from qngd.step.base import Memory, Probe, Proposal, Trial, along, gradient_of, require_length
from qngd.step.curvature import CurvatureRate, parabola_factor

_CURVED = 1e-8  # of |δ||y|: a curvature δᵀy below it is rounding
_SHORTEST = 1e-6  # radians, of a bound: one of zero could not grow again
_WHILE_CORRECTED = 0.1  # radians, that a metric is kept for: by curvature pairs
_HARDLY_MOVED = 0.005  # without them: on Ising rings a metric from 0.01 rad away takes more steps
_LOOK = 0.05  # radians, of an energy that is asked for on the way


@hinted
@dataclass(frozen=True)
class QuasiNewton(CurvatureRate):
    """L-BFGS whose first guess of the inverse Hessian is the damped inverse metric (Nocedal and Wright,
    doi:10.1007/978-0-387-40065-5, algorithm 7.4, with H₀ = γ(g + D)⁻¹ and γ = sᵀy/yᵀ(g + D)⁻¹y of the last pair).

    Steps s and the changes y of the gradient along them are kept as long as the path since then is no longer than
    `reach` in state space: what was seen farther away says little, and steps by it end in higher minima more often.
    Without pairs the step is that of `CurvatureRate`, and with one it is a quasi-Newton step. One that is refused is
    tried again, less far: more pairs mend the model. A step that meets a negative curvature forgets all pairs.

    Long steps by the rate pass over the way down to the nearest minimum, which is often a low one. So at first they are
    no longer than `first_length`, twice that whenever one of that length lowers the energy by half of what its slope
    promises, up to `max_length`, and `first_length` again where one lowers it by less than a quarter.

    A step fails where it meets a negative curvature, and a quasi-Newton step longer than `short` where it is refused.
    That is forgiven if `trusted` quasi-Newton steps since the last failure have met their model. Otherwise the energy
    is no parabola over such lengths: from then on a quasi-Newton step needs `needed` pairs, and one that fails forgets
    them. So it is from the beginning if the first step of a run, along the gradient, lowers the energy by less than a
    quarter of what the slope promises.

    A CVaR becomes another function wherever its quantile moves to another value, and its spread may be a thousandth of
    that before: the curvature that the last step met says little of the next. So with too few pairs an energy at 0.05
    rad along −d is asked for as well, and the step goes to the lowest point of the parabola through it where that is
    farther than the rate at hand leads.

    It is for exact gradients: errors in y are not looked at.

    Args:
        pairs: kept at most.
        reach: radians.
        first_length: radians.
        needed: pairs that a quasi-Newton step needs after a failure that was not forgiven.
        short: radians.
        trusted: steps.
    """

    pairs: int = 20
    reach: float = 0.1
    first_length: float = 0.2
    needed: int = 5
    short: float = 0.1
    trusted: int = 2
    num_probes = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        settle_whole(self, {"pairs": 1, "needed": 1, "trusted": 0})
        require_length(self.reach, "reach")
        require_length(self.first_length, "first_length")
        require_length(self.short, "short")

    def start(self) -> Memory:
        return {**super().start(), **self.anew()}

    def has_failed(self, memory: Memory) -> bool:
        return bool(memory["failed"])

    def keeps_metric_for(self, memory: Memory) -> float:
        return _WHILE_CORRECTED if self.is_settled(memory) else _HARDLY_MOVED

    def is_settled(self, memory: Memory) -> bool:
        """Whether the next step is a quasi-Newton step."""
        return len(memory["steps"]) >= (self.needed if self.has_failed(memory) else 1)

    def propose(self, direction: Direction, here: Evaluation, memory: Memory, probe: Probe) -> Proposal:
        if not self.is_settled(memory):
            return self._along_slope(direction, here, memory, probe)
        slope = gradient_of(here)
        delta = -inverse_hessian(memory["steps"], memory["changes"], direction.solve, slope)
        length, promised = direction.length_of(delta), -float(delta @ slope)
        if not promised > 0:  # rounding
            return self._along_slope(direction, here, memory, probe)
        bound = float(memory["bound"])
        share = min(1.0, bound / length) if length > 0 else 1.0
        # −δ·∇E − ½δᵀBδ with Bδ = −share·∇E
        predicted = share * (1 - 0.5 * share) * promised
        return Proposal(share * delta, float(memory["rate"]), share * length, predicted, bound)

    def _along_slope(self, direction: Direction, here: Evaluation, memory: Memory, probe: Probe) -> Proposal:
        """The step by the rate; of a CVaR without the bound, and as long as energies say."""
        if here.mean is None:
            return along(direction, here, float(memory["rate"]), max(float(memory["bound"]), self._first_bound))
        step = super().propose(direction, here, memory, probe)
        return self._lengthened(step, direction, here, probe) if 0 < step.length < self.max_length else step

    def _lengthened(self, step: Proposal, direction: Direction, here: Evaluation, probe: Probe) -> Proposal:
        """The step, or a longer one, no longer than `max_length`, where an energy on the way says so."""
        look = along(direction, here, _LOOK / direction.length)
        if look.predicted <= rounding(here.energy):  # as where all of the tail is one value: no slope to go far along
            return step
        excess = look.predicted + float(probe([look.delta])[0].value) - float(here.energy.value)
        lowest = np.inf if excess <= 0 else 0.5 * look.rate * look.predicted / excess
        return along(direction, here, min(max(step.rate, lowest), self.max_length / direction.length), self.max_length)

    def judge(self, trial: Trial, memory: Memory) -> bool:
        return trial.fell if self.is_settled(memory) else super().judge(trial, memory)

    def learn(self, trial: Trial, accepted: bool, memory: Memory) -> Memory:
        settled, standing = self.is_settled(memory), self._standing(trial, accepted, memory)
        kept = {name: memory[name] for name in self.forgotten()}
        if settled and not accepted:
            rest: Memory = {"rate": memory["rate"], "recent": self._with(trial.here, memory), **standing}
            length = trial.proposal.length
            if length > self.short and self.has_failed(standing):
                return {**rest, **self.forgotten()}
            return {**rest, **kept, "bound": np.array(length * np.clip(parabola_factor(trial), 0.1, 0.5))}
        rest = {**standing, **(self.followed(trial, memory) if settled else super().learn(trial, accepted, memory))}
        if not accepted:  # too long a step by the rate: what pairs say of the curvature may well be true
            return {**rest, **kept}
        is_curved, most = _is_curved(trial), self.max_length
        rest |= self._with_pair(trial, memory) if is_curved else self.forgotten()
        if not settled:  # a step by the rate promises what the slope does
            bound = trial.next_radius(shrink=0.0, met=0.5, near=0.99, smallest=self._first_bound, largest=most)
        elif is_curved:
            bound = trial.next_radius(shrink=0.5, near=0.8, smallest=_SHORTEST, largest=most)
        else:
            return rest
        return {**rest, "bound": np.array(bound)}

    @property
    def _first_bound(self) -> float:
        return min(self.first_length, self.max_length)

    def _standing(self, trial: Trial, accepted: bool, memory: Memory) -> Memory:
        """`failed`, whether a failure was not forgiven, and `held`, how many quasi-Newton steps since the last have met
        their model."""
        settled, length = self.is_settled(memory), trial.proposal.length
        fails = not _is_curved(trial) if accepted else settled and length > self.short
        if not len(memory["recent"]):
            fails = fails or trial.failed_the_model
        if fails:
            return {"failed": np.array(self.has_failed(memory) or memory["held"] < self.trusted), "held": np.array(0)}
        return {"failed": memory["failed"], "held": np.array(memory["held"] + (settled and trial.met_the_model))}

    def anew(self) -> Memory:
        """What it knows at the start of a run: no pairs and no failure."""
        return {**self.forgotten(), "failed": np.array(False), "held": np.array(0)}

    def forgotten(self) -> Memory:
        """No pairs (s and y (m, P), the path since each step began (m,), radians), and the bound of a first step."""
        empty = {"steps": np.zeros((0, 0)), "changes": np.zeros((0, 0)), "paths": np.zeros(0)}
        return {**empty, "bound": np.array(self._first_bound)}

    def followed(self, trial: Trial, memory: Memory) -> Memory:
        """`rate` and `recent` after an accepted step that was not −η·d: the rate is δᵀ(g + D)δ/δᵀy."""
        delta, rate = trial.proposal.delta, float(memory["rate"])
        curvature = float(delta @ _change(trial))
        met = trial.direction.damped_square(delta) / curvature if curvature > 0 else np.inf
        factor = float(np.clip(met / rate, self.shrink, self.grow))
        return {"rate": np.array(rate * factor), "recent": self._with(trial.here, memory)}

    def _with_pair(self, trial: Trial, known: Memory) -> Memory:
        """The pairs that are near enough, with that of this trial."""
        delta = trial.proposal.delta
        paths = np.append(known["paths"], 0.0) + trial.proposal.length
        near = np.flatnonzero(paths <= self.reach)[-self.pairs :]
        steps, changes = (
            np.vstack([known[name].reshape(-1, len(delta)), new])[near]
            for name, new in (("steps", delta), ("changes", _change(trial)))
        )
        return {"steps": steps, "changes": changes, "paths": paths[near]}


def inverse_hessian(steps: np.ndarray, changes: np.ndarray, solve: Product, vector: np.ndarray) -> np.ndarray:
    """The two loops of L-BFGS: H·v (P,) with H·y = s for the last pair, sᵀy > 0 for all, and H = γ·`solve` at first.

    Args:
        steps, changes: s and y, (m, P), the oldest first.
        solve: v ↦ (g + D)⁻¹v.
        vector: v (P,).

    >>> inverse_hessian(np.array([[1.0, 0.0]]), np.array([[2.0, 0.0]]), lambda v: v, np.array([2.0, 1.0]))
    array([1. , 0.5])
    """
    rest, shares = vector.copy(), np.zeros(len(steps))
    curvatures = np.einsum("ij,ij->i", steps, changes)
    for i in reversed(range(len(steps))):
        shares[i] = steps[i] @ rest / curvatures[i]
        rest -= shares[i] * changes[i]
    last = float(changes[-1] @ solve(changes[-1]))
    # 0 where the filter of a damping leaves nothing of y
    found = solve(rest) * (curvatures[-1] / last) if last > 0 else np.zeros_like(rest)
    for i in range(len(steps)):
        found += steps[i] * (shares[i] - changes[i] @ found / curvatures[i])
    return found


def _change(trial: Trial) -> np.ndarray:
    """y (P,), of an accepted trial."""
    return gradient_of(trial.there) - gradient_of(trial.here)


def _is_curved(trial: Trial) -> bool:
    """Whether the slope rose along the step."""
    delta, change = trial.proposal.delta, _change(trial)
    return bool(delta @ change > _CURVED * np.linalg.norm(delta) * np.linalg.norm(change))
