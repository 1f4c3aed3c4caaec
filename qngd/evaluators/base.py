"""What optimizers ask of an evaluator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from qngd.circuit.circuit import Circuit
from qngd.estimates.estimate import Estimate, MetricTensor
from qngd.estimates.evaluation import Cost, Evaluation, Spread
from qngd.gradients.base import Asked
from qngd.metrics.base import Metric


class Evaluator(Protocol):
    """Answers what a step asks. Calls with the same arguments and seed give the same answer."""

    circuit: Circuit

    @property
    def name(self) -> str:
        """Where its answers come from."""

    @property
    def note(self) -> str:
        """What the user should know about all its answers, or nothing."""

    @property
    def is_exact(self) -> bool:
        """Whether its answers carry no statistical error."""

    @property
    def is_mean(self) -> bool:
        """Whether its energies are expectation values: trigonometric polynomials along every parameter."""

    def default_metric(self) -> Metric:
        """The metric to use where the user has not chosen."""

    def first_metric(self) -> Metric:
        """The metric to begin with where the user has not chosen: a cheaper one, which does as long as steps meet
        what is expected of them."""

    def evaluate(
        self,
        theta: np.ndarray,
        *,
        gradient: Asked,
        metric: Metric | None,
        seed: int | None,
        spread: Spread | None = None,
    ) -> Evaluation:
        """Energy, and gradient and metric if asked for, in one submission; the gradient by shift rules, or as asked.
        `spread` is that of an evaluation of the same kind nearby, for rules that share out shots."""

    def energies(
        self, points: Sequence[np.ndarray], seed: int | None, spread: Spread | None = None
    ) -> tuple[list[Estimate], Cost]:
        """The energies at several parameter vectors (P,), in one submission, and what that cost. `spread` is that of an
        evaluation nearby, for rules that share out shots."""

    def preview_energies(self, theta: np.ndarray, count: int, spread: Spread | None = None) -> Cost:
        """What `energies` at so many points would cost at most, wherever they are."""

    def metric(self, theta: np.ndarray, metric: Metric, seed: int | None) -> MetricTensor:
        """The metric alone."""

    def preview(self, theta: np.ndarray, *, gradient: Asked, metric: Metric | None, spread: Spread | None) -> Cost:
        """What `evaluate` would cost at most, without running anything."""

    def metric_product(self, theta: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        """v ↦ g·v with the full metric at θ, which is never made; SettingError where the answers are not exact."""
