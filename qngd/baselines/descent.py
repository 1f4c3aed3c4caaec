"""Descent along the gradient, without a metric. Every step is accepted."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from qngd._system.keywords import hinted
from qngd.damping import PseudoInverse
from qngd.errors import require_fraction, require_positive
from qngd.estimates.estimate import Estimate, MetricTensor
from qngd.estimates.evaluation import Cost, Spread
from qngd.evaluators.base import Evaluator
from qngd.solve.direction import natural_direction
from qngd.solve.state import State, StepInfo, Submissions, described, start_at

_Memory = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class _Descent(ABC):
    """An optimizer that goes along the gradient: a step is one submission, of the energy and gradient where it led."""

    learning_rate: float

    def __post_init__(self) -> None:
        require_positive(self.learning_rate, "learning_rate")

    @abstractmethod
    def _start(self, num_parameters: int) -> _Memory:
        """What the optimizer remembers at the start of a run."""

    @abstractmethod
    def _update(self, slope: np.ndarray, memory: _Memory) -> tuple[np.ndarray, _Memory]:
        """The step δ (P,) down the gradient (P,), and the memory to go on with."""

    def init(self, evaluator: Evaluator, theta: Any = None, seed: int | None = None) -> State:
        """The state at `theta`, or at the start that the evaluator was made with, after one evaluation there."""
        theta = start_at(evaluator, theta)
        asked = Submissions(evaluator, seed, 0)
        first = asked.evaluate(theta, gradient=True, metric=None)
        return State(0, first, self._start(len(theta)), asked.count, asked.cost, seed)

    def preview(
        self, evaluator: Evaluator, theta: np.ndarray, spread: Spread | None = None, first: bool = False
    ) -> Cost:
        """What a step from θ would spend."""
        return evaluator.preview(theta, gradient=True, metric=None, spread=spread)

    def step(self, evaluator: Evaluator, state: State) -> tuple[State, StepInfo]:
        """The state after one step down the gradient, and what the step saw."""
        asked, here = Submissions.after(evaluator, state), state.evaluation
        assert here.gradient is not None
        slope = np.asarray(here.gradient.value)
        # a rate that is far too large ends in infinities, which the run reports
        with np.errstate(over="ignore", invalid="ignore"):
            delta, memory = self._update(slope, state.memory)
            predicted, theta = -float(delta @ slope), here.theta + delta
        there = asked.evaluate(theta, gradient=True, metric=None)
        new = state.moved(asked, there, memory)
        return new, described(
            new,
            here,
            there,
            asked,
            rate=self.learning_rate,
            gradient_norm=float(np.linalg.norm(slope)),
            significance=_significance(here.gradient),
            predicted_decrease=predicted,
        )


@hinted
@dataclass(frozen=True)
class GradientDescent(_Descent):
    """θ ← θ − η∇E with a fixed learning rate η.

    Raises:
        SettingError: the rate is not a positive number.

    >>> GradientDescent(0.1)
    GradientDescent(learning_rate=0.1)
    """

    def _start(self, num_parameters: int) -> _Memory:
        return {}

    def _update(self, slope: np.ndarray, memory: _Memory) -> tuple[np.ndarray, _Memory]:
        return -self.learning_rate * slope, memory


@hinted
@dataclass(frozen=True)
class Adam(_Descent):
    """Adam (Kingma & Ba, arXiv:1412.6980): with the running means m of the gradient and v of its square, entry by
    entry and freed of their bias towards 0, θ ← θ − η·m/(√v + ε).

    Args:
        learning_rate: η, about what a parameter moves in a step, in radians.
        beta1, beta2: the weights of what was known before in m and in v.
        epsilon: ε.

    Raises:
        SettingError: a setting is out of range.

    >>> Adam(0.1).beta1
    0.9
    """

    learning_rate: float = 0.05
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        super().__post_init__()
        require_fraction(self.beta1, "beta1")
        require_fraction(self.beta2, "beta2")
        require_positive(self.epsilon, "epsilon")

    def _start(self, num_parameters: int) -> _Memory:
        return {"mean": np.zeros(num_parameters), "square": np.zeros(num_parameters), "count": np.array(0)}

    def _update(self, slope: np.ndarray, memory: _Memory) -> tuple[np.ndarray, _Memory]:
        count = int(memory["count"]) + 1
        mean = self.beta1 * memory["mean"] + (1 - self.beta1) * slope
        square = self.beta2 * memory["square"] + (1 - self.beta2) * slope**2
        unbiased = mean / (1 - self.beta1**count)
        scale = np.sqrt(square / (1 - self.beta2**count))
        delta = -self.learning_rate * unbiased / (scale + self.epsilon)
        return delta, {"mean": mean, "square": square, "count": np.array(count)}


def _significance(gradient: Estimate) -> float:
    """By how many standard deviations the gradient differs from zero; infinite for an exact one."""
    if not np.any(gradient.stderr):
        return np.inf
    plain = MetricTensor.exact(np.eye(len(gradient.value)), "identity")
    return natural_direction(plain, gradient, PseudoInverse()).significance
