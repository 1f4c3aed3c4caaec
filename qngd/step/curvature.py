"""A rate from the curvature that the last step met."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from qngd._system.keywords import hinted
from qngd.damping import Damping, at_rate, first_rate
from qngd.errors import settle_whole
from qngd.estimates.estimate import Estimate, rounding
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
    require_significance,
    slack_between,
    with_first_rate,
)

_SHORT = 0.05  # radians: a first step that is shorter may have had a rate for another unit of the energy
_OF_A_BATCH = 0.25  # the power with which what one mini-batch says of the rate counts


@hinted
@dataclass(frozen=True)
class CurvatureRate(StepRule):
    """The rate follows the curvature that the last step met, as Barzilai and Borwein do for plain gradients
    (doi:10.1093/imanum/8.1.141), in the geometry of states.

    With y the change of the gradient along δ, the model E + δ·∇E + δᵀ(g + λ)δ/2η is right about the curvature
    that δ met for η = δᵀ(g + λ)δ/δᵀy, that is for the old rate times −δ·∇E/δᵀy. From sampled gradients, δᵀy
    is first freed of the part that the noise of ∇E puts into both δ and y, and used only if it is then larger than
    `significance` standard errors; otherwise the rate stays.

    Steps along d are no minimizations, so the energy may rise now and then: a trial is accepted if it lies below the
    highest of the last `window` energies (Raydan, doi:10.1137/S1052623494266365), within twice their errors. No
    step is longer than `max_length` in state space.

    Over mini-batches the two slopes are of different functions. The loss of the step's own batch at both ends then says
    where the parabola along δ is lowest, for this batch; the rate is drawn to half of that, by little every time, as
    the minimum of one batch is not that of all. It stays where the errors of shots hide how the parabola bends: in
    short steps they always do, and would else make the next one shorter.

    Args:
        initial: the first rate; None is 0.2 over the standard deviation of the observable's eigenvalues, so that
            the unit of energy does not matter.
        max_length: bound on √(δᵀgδ), in radians.
        window: energies that a new one is compared with.
        grow, shrink: bounds on the change of the rate from one step to the next; but after a first step with exact
            gradients it may grow until steps are 0.05 rad long, whatever the unit of the energy.
        significance: standard errors that make a sampled curvature credible.
    """

    initial: float | None = None
    max_length: float = 0.5
    window: int = 10
    grow: float = 5.0
    shrink: float = 0.2
    significance: float = 2.0
    may_reject = True

    def __post_init__(self) -> None:
        require_rate(self.initial, "initial")
        require_length(self.max_length, "max_length")
        settle_whole(self, {"window": 1})
        require_between(0, self.shrink, 1, "shrink")
        require_between(1, self.grow, np.inf, "grow")
        require_significance(self.significance)

    def at_scale(self, scale: float) -> Self:
        return with_first_rate(self, scale)

    def start(self) -> Memory:
        return {"rate": np.array(first_rate(self.initial)), "recent": np.zeros((0, 2))}

    def damping(self, chosen: Damping, memory: Memory) -> Damping:
        return at_rate(chosen, float(memory["rate"]))

    def propose(self, direction: Direction, here: Evaluation, memory: Memory, probe: Probe) -> Proposal:
        return along(direction, here, float(memory["rate"]), self.max_length)

    def judge(self, trial: Trial, memory: Memory) -> bool:
        recent = self._with(trial.here, memory)
        top = Estimate(*recent[np.argmax(recent[:, 0])])
        there = trial.there.arrived
        rise = float(there.value) - float(top.value)
        return bool(rise <= slack_between(top, there) - 1e-4 * max(trial.slope, 0.0))

    def learn(self, trial: Trial, accepted: bool, memory: Memory) -> Memory:
        if accepted and trial.there.before is not None:
            factor = np.clip(_batch_factor(trial, self.significance), self.shrink, self.grow) ** _OF_A_BATCH
        elif accepted:
            factor = float(np.clip(curvature_factor(trial, self.significance), self.shrink, self._most(trial, memory)))
        else:
            factor = float(np.clip(parabola_factor(trial), self.shrink / 2, 0.5))
        return {"rate": np.array(trial.proposal.rate * factor), "recent": self._with(trial.here, memory)}

    def _most(self, trial: Trial, memory: Memory) -> float:
        """What the rate may be multiplied by: after a first step without errors as much as leads to `_SHORT`."""
        gradient, length = trial.there.gradient, trial.proposal.length
        assert gradient is not None
        if len(memory["recent"]) or np.any(gradient.stderr) or trial.decrease <= rounding(trial.here.energy):
            return self.grow
        return max(self.grow, _SHORT / length) if length > 0 else self.grow

    def _with(self, here: Evaluation, memory: Memory) -> np.ndarray:
        """The last energies and their errors, the current one included once: (≤ window, 2)."""
        row = [float(here.energy.value), float(here.energy.stderr)]
        recent = memory["recent"]
        if not (len(recent) and recent[-1].tolist() == row):
            recent = np.vstack([recent, row])
        return recent[-self.window :]


def curvature_factor(trial: Trial, significance: float) -> float:
    """The factor to multiply δ by so that it ends at the minimum of the parabola through the slopes at both ends.

    Infinite where the slope does not rise; 1 where noise hides the curvature. Of a CVaR, whose scale changes with its
    quantile, so that a rate found before may be far too low, it is then what the largest curvature that the noise
    allows would make of it, if that is more.
    """
    if trial.proposal.length == 0:
        return 1.0
    delta, here, there = trial.proposal.delta, trial.here, trial.there
    curvature = float(delta @ (gradient_of(there) - gradient_of(here)))
    curvature -= trial.proposal.rate * trial.direction.noise
    error = np.sqrt(sum(_variance_along(delta, end) for end in (here, there)))
    if abs(curvature) < significance * error:
        is_tail = here.mean is not None
        return max(1.0, trial.slope / (max(curvature, 0.0) + significance * error)) if is_tail else 1.0
    return trial.slope / curvature if curvature > 0 else np.inf


def parabola_factor(trial: Trial) -> float:
    """The factor s/(2(s − a)) by which δ ends at the minimum of the parabola through both energies and the slope s,
    with the decrease a; 0 if it has none."""
    return _to_lowest(trial.slope, trial.slope - trial.decrease)


def _batch_factor(trial: Trial, significance: float) -> float:
    """Half of the factor to multiply δ by so that it ends where the parabola through both losses of the step's batch
    and the slope is lowest; 0 if it bends down. With noise 1 where it does, or not surely up."""
    before = trial.there.before
    assert before is not None
    energies = float(trial.here.energy.stderr) ** 2 + float(before.stderr) ** 2
    error = np.sqrt(energies + _variance_along(trial.proposal.delta, trial.here))
    slope = trial.slope - trial.proposal.rate * trial.direction.noise  # without what noise puts into both δ and ∇E
    bend = slope - trial.decrease
    if error > 0 and bend <= significance * error:
        return 1.0
    return 0.5 * _to_lowest(slope, bend)


def _to_lowest(slope: float, bend: float) -> float:
    """The factor by which δ ends at the minimum of the parabola that falls by `slope` − `bend` along it; 0 if none."""
    return slope / (2 * bend) if np.isfinite(bend) and bend > 0 else 0.0


def _variance_along(delta: np.ndarray, evaluation: Evaluation) -> float:
    gradient = evaluation.gradient
    assert gradient is not None
    if gradient.covariance is not None:
        return float(delta @ gradient.covariance @ delta)
    return float(delta**2 @ np.asarray(gradient.stderr) ** 2)
