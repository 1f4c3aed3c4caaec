"""Simultaneous perturbation: the slope along a random direction, from two energies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from qngd._system.keywords import hinted
from qngd.errors import require_positive, require_range, settle_whole
from qngd.estimates.estimate import rounding
from qngd.estimates.evaluation import Cost, Evaluation, Spread
from qngd.evaluators.base import Evaluator
from qngd.evaluators.bounded import inside
from qngd.solve.state import State, StepInfo, Submissions, described, start_at


@hinted
@dataclass(frozen=True)
class SPSA:
    """Simultaneous perturbation stochastic approximation (Spall, doi:10.1109/9.119632).

    At step k, from 0, with random signs Δ (P,),

        ĝ = Δ·(E(θ + c_kΔ) − E(θ − c_kΔ))/2c_k,    θ ← θ − a_k ĝ,    a_k = a/(k + 1 + A)^α,    c_k = c/(k + 1)^γ,

    whose mean is ∇E up to terms of order c². Within bounds both points are moved to the nearest ones inside, and what a
    parameter's part of the difference is divided by is how far apart they are along it. The exponents are those that
    Spall advises (doi:10.1109/7.705889). Two energies make the step; a third, at the new θ, is what the run reports and
    is judged by.

    Args:
        a: scale of the gains; None calibrates it as Kandala et al. do (arXiv:1704.05018): from `calibration` pairs of
            energies at θ0, so that the first steps move each parameter by `first_change`.
        c: half the distance of the two energies, in radians; Kandala et al. take 0.1.
        stability: A, about a tenth of the steps that the run will take, as Spall advises.
        alpha, gamma: α and γ.
        first_change: radians; 2π/10 is Kandala's, which Qiskit takes as well.
        calibration: pairs of energies.

    Raises:
        SettingError: a setting is out of range.

    >>> SPSA(a=0.2).alpha
    0.602
    """

    a: float | None = None
    c: float = 0.1
    stability: float = 10.0
    alpha: float = 0.602
    gamma: float = 0.101
    first_change: float = 2 * np.pi / 10
    calibration: int = 25

    def __post_init__(self) -> None:
        if self.a is not None:
            require_positive(self.a, "a")
        for name in ("c", "alpha", "gamma", "first_change"):
            require_positive(getattr(self, name), name)
        require_range(self.stability, "stability", "a number of at least 0", lambda value: 0 <= value < np.inf)
        settle_whole(self, {"calibration": 1})

    def init(self, evaluator: Evaluator, theta: Any = None, seed: int | None = None) -> State:
        """The state at `theta`, or at the start that the evaluator was made with, after an evaluation there and the
        calibration."""
        theta = start_at(evaluator, theta)
        asked = Submissions(evaluator, seed, 0)
        first = asked.evaluate(theta, gradient=False, metric=None)
        scale = self._calibrated(asked, first) if self.a is None else self.a
        memory = {"scale": np.array(scale), "count": np.array(0)}
        return State(0, first, memory, asked.count, asked.cost, seed)

    def preview(
        self, evaluator: Evaluator, theta: np.ndarray, spread: Spread | None = None, first: bool = False
    ) -> Cost:
        """What a step from θ would spend; or, if `first`, `init` with its calibration."""
        alone = evaluator.preview(theta, gradient=False, metric=None, spread=spread)
        pairs = 1 if not first else 0 if self.a is not None else self.calibration
        return alone + evaluator.preview_energies(theta, 2 * pairs, spread) if pairs else alone

    def step(self, evaluator: Evaluator, state: State) -> tuple[State, StepInfo]:
        """The state after one step along a random direction, and what the step saw."""
        asked = Submissions.after(evaluator, state)
        here, count = state.evaluation, int(state.memory["count"]) + 1
        rate = float(state.memory["scale"]) / (count + self.stability) ** self.alpha
        (slope,) = self._slopes(asked, here.theta, self.c / count**self.gamma)
        there = asked.evaluate(here.theta - rate * slope, gradient=False, metric=None)
        new = state.moved(asked, there, {**state.memory, "count": np.array(count)})
        return new, described(new, here, there, asked, rate=rate, gradient_norm=float(np.linalg.norm(slope)))

    def _slopes(self, asked: Submissions, theta: np.ndarray, reach: float, count: int = 1) -> np.ndarray:
        """Estimates ĝ (count, P) of the gradient at θ, each from two energies at distance `reach`: all of them in one
        submission."""
        seed = asked.next_seed()
        # not the seed of the energies' own shots: the directions must not depend on their noise
        rng = np.random.default_rng(None if seed is None else [seed, 1])
        signs = rng.choice((-1.0, 1.0), (count, len(theta)))
        ways = np.array([1.0, -1.0])[:, None]
        points = inside(theta + reach * ways * signs[:, None], asked.evaluator.box)
        energies = np.array([float(energy.value) for energy in asked.energies(list(points.reshape(-1, len(theta))))])
        rise = energies[::2] - energies[1::2]
        apart = points[:, 0] - points[:, 1]
        return np.divide(rise[:, None], apart, out=np.zeros_like(apart), where=apart != 0)

    def _calibrated(self, asked: Submissions, first: Evaluation) -> float:
        """The a with which the first steps move each parameter by `first_change`, where the slopes are as at θ0."""
        slopes = np.abs(self._slopes(asked, first.theta, self.c, self.calibration))
        # without bounds those of a pair are all alike; in a narrow box one is as large as the box is narrow
        mean = float(slopes.min(axis=1).mean())
        # where rounding is all there is of a slope, as at a symmetric maximum, any gain will do
        if not mean * self.c > rounding(first.energy):
            mean = 1.0
        return self.first_change * (1 + self.stability) ** self.alpha / mean
