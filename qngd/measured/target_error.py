"""A rule that asks for as many shots as a standard error takes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qngd._system.keywords import hinted
from qngd.errors import require_range, settle_whole
from qngd.estimates.evaluation import Spread
from qngd.measured.beforehand import energy_bounds
from qngd.measured.outcomes import widened
from qngd.measured.plan import Plan

_FIRST_SHOTS = 200  # per circuit where nothing has been seen yet
_ROUNDS = 12  # of a fixed point whose distance is halved, in the logarithm, by each


@hinted
@dataclass(frozen=True)
class TargetError:
    """As many shots as a standard error takes.

    The number of shots follows from the variances seen in the step before. The first step takes 200 shots per circuit.
    So does a first submission of the functions for one θ, which only shows the variances.

    With the variance a_r of one shot of circuit r, each target alone would be reached with the fewest shots in all by
    N_r = √a_r·Σ√a/ε²; a circuit gets what the most demanding target wants of it. A number that seemed certain still
    gets (range of one shot)/ε shots, and more where the error of what was not seen asks for it (see
    `qngd.measured.outcomes`). Shots that a post-selection leaves out are asked for besides.

    What the targets do not cover:

    - the part of an error that does not fall with shots: of what is drawn at random, such as QN-SPSA's directions, the
      bases of "shadows" or a random part of a gradient; and the error of a readout calibration;
    - the metrics "hamiltonian" and "gauss-newton", which take no circuits of their own;
    - "random-basis", and any metric that does not say what its shots are worth: its circuits get as many shots as the
      most demanding circuit of energy and gradient.

    The energy of an `Objective` is its loss. Its errors, and those of its gradient, follow from the errors of the
    outputs to first order; its metric is the average over the samples.

    Args:
        energy: standard error of the energy.
        gradient: that of every entry of the gradient; None is the energy's.
        metric: that of every entry of the metric.
        limit: shots of one circuit at most.

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
            if value is not None or name != "gradient":
                require_range(value, name, "a positive standard error", lambda number: number > 0)
        settle_whole(self, {"limit": 2})

    def shots(self, plan: Plan, spread: Spread | None) -> np.ndarray:
        count = plan.num_circuits
        if spread is None or len(spread.energy) != count:
            return np.full(count, self.first)
        needed = self._of_loss(spread) if spread.gradient is not None else self._of_energy(plan, spread)
        needed = plan.shots_for_metric(spread.metric, self.metric, needed)
        return np.minimum(np.maximum(np.ceil(needed), plan.least_shots), self.limit).astype(int)

    def most(self, plan: Plan, step: int) -> int:
        """Shots of a circuit that a step takes at most; number 0 is the start."""
        return self.first if step == 0 else self.limit

    @property
    def first(self) -> int:
        """Shots of a circuit of which nothing has been seen."""
        return min(_FIRST_SHOTS, self.limit)

    def for_all(self, stderr: np.ndarray) -> int:
        """Shots per circuit after which none of the errors is above that of the energy, if these are what `first` shots
        left; no fewer than those."""
        needed = np.ceil(self.first * (np.max(stderr, initial=0.0) / self.energy) ** 2)
        return int(np.clip(needed, self.first, self.limit))

    @property
    def _of_gradient(self) -> float:
        return self.energy if self.gradient is None else self.gradient

    def _of_loss(self, spread: Spread) -> np.ndarray:
        """The shots (R,) that a loss and its gradient take, by what one shot of each request was seen to add."""
        assert spread.gradient is not None
        assert spread.reach is not None
        needed = np.maximum(2.0, sharing(spread.energy[None]) / self.energy**2)
        needed = np.maximum(needed, spread.gradient / self._of_gradient**2)
        return np.maximum(needed, np.maximum(spread.reach[0] / self.energy, spread.reach[1] / self._of_gradient))

    def _of_energy(self, plan: Plan, spread: Spread) -> np.ndarray:
        """The shots (R,) that an energy and its gradient take."""
        of_energies = spread.energy, _unseen_energies(plan), energy_bounds(plan)
        needed = np.maximum(2.0, _needed(plan.energy_weights[None], *of_energies, self.energy))
        if plan.mixing is not None:
            needed = np.maximum(needed, _needed(plan.linear.toarray(), *of_energies, self._of_gradient))
        return needed


def sharing(variances: np.ndarray) -> np.ndarray:
    """Shots (R,) for unit error of every row of Σ_r variances[i, r]/N_r, each row with its fewest shots in all."""
    roots = np.sqrt(variances)
    return (roots * roots.sum(axis=1, keepdims=True)).max(axis=0, initial=0.0)


def _needed(
    linear: np.ndarray, spread: np.ndarray, unseen: np.ndarray, bounds: np.ndarray, target: float
) -> np.ndarray:
    """Shots (R,) for the standard error `target` of every row of `linear` (n, R) times the requests' energies, whose
    variances are spread/N, widened by unseen/N²."""
    found = np.maximum(sharing(linear**2 * spread) / target**2, 2.0)
    for _ in range(_ROUNDS):
        wide = widened(spread, unseen / found)
        # √ makes N = c/N, of energies that seem certain, converge
        found = np.sqrt(found * np.maximum(sharing(linear**2 * wide) / target**2, 2.0))
    return np.maximum(found, (abs(linear) * bounds).max(axis=0, initial=0.0) / target)


def _unseen_energies(plan: Plan) -> np.ndarray:
    """N² times the least variance (R,) of a request's energy; 0 for those of the metric."""
    found = np.zeros(plan.num_circuits)
    for r, request in enumerate(plan.requests):
        coefficients = plan.coefficients[request.template]
        if plan.is_overlap(r):
            found[r] = 1.0
        elif coefficients is not None:
            found[r] = 4 * plan.reading(r).squares(coefficients / (plan.share or 1.0))
    return found
