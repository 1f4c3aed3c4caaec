"""What optimizers and runs ask of an evaluator."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Self

import numpy as np

from qngd.backends.base import BackendBase
from qngd.circuit.circuit import Circuit
from qngd.estimates.estimate import Estimate, MetricTensor
from qngd.estimates.evaluation import Cost, Evaluation, Spread
from qngd.gradients.base import Asked
from qngd.metrics.base import Metric

Box = tuple[np.ndarray, np.ndarray]  # the lowest and the highest values (P,) of parameters


class Evaluator(ABC):
    """Answers what a step asks. Calls with the same arguments and seed give the same answer.

    `backend` runs its circuits, None where its answers are computed; `box` is where its parameters are kept, None where
    they have no bounds.
    """

    circuit: Circuit
    backend: BackendBase | None = None
    box: Box | None = None

    @property
    @abstractmethod
    def name(self) -> str:
        """Where its answers come from."""

    @property
    def note(self) -> str:
        """What the user should know about all its answers, or nothing."""
        return ""

    @property
    @abstractmethod
    def is_exact(self) -> bool:
        """Whether its answers carry no statistical error."""

    @property
    def is_mean(self) -> bool:
        """Whether its energies are expectation values: trigonometric polynomials along every parameter."""
        return False

    @property
    def epoch(self) -> int:
        """The number of steps whose energies are together those of what is minimized: 1 without mini-batches."""
        return 1

    def on_batch(self, index: int | None, seed: int | None) -> Self:
        """The same for a step that begins with this mini-batch (None: the first of a run); the seed is the run's."""
        return self

    def of_all(self) -> Self:
        """The same without mini-batches."""
        return self

    def allowed(self, here: Evaluation, delta: np.ndarray) -> np.ndarray:
        """What bounds leave of a step δ (P,) from an evaluation of its own."""
        return delta

    @abstractmethod
    def default_metric(self) -> Metric:
        """The metric to use where the user has not chosen."""

    def first_metric(self) -> Metric:
        """The metric to begin with where the user has not chosen: the same, or a cheaper one, which does as long as
        steps meet what is expected of them."""
        return self.default_metric()

    @abstractmethod
    def evaluate(
        self,
        theta: np.ndarray,
        *,
        gradient: Asked = True,
        metric: Metric | None = None,
        seed: int | None = None,
        spread: Spread | None = None,
    ) -> Evaluation:
        """Energy, and gradient and metric if asked for, in one submission; the gradient by shift rules, or as asked.
        `spread` is that of an evaluation of the same kind nearby, for rules that share out shots."""

    @abstractmethod
    def energies(
        self, points: Sequence[np.ndarray], seed: int | None = None, spread: Spread | None = None
    ) -> tuple[list[Estimate], Cost]:
        """The energies at several parameter vectors (P,), in one submission, and what that cost. `spread` is that of an
        evaluation nearby, for rules that share out shots."""

    @abstractmethod
    def preview_energies(self, theta: np.ndarray, count: int, spread: Spread | None = None) -> Cost:
        """What `energies` at so many points would cost at most, wherever they are."""

    @abstractmethod
    def metric(self, theta: np.ndarray, metric: Metric, seed: int | None = None) -> MetricTensor:
        """The metric alone."""

    @abstractmethod
    def preview(
        self, theta: np.ndarray, *, gradient: Asked = True, metric: Metric | None = None, spread: Spread | None = None
    ) -> Cost:
        """What `evaluate` would cost at most, without running anything."""

    @abstractmethod
    def metric_product(self, theta: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        """v ↦ g·v with the full metric at θ, which is never made; SettingError where the answers are not exact."""
