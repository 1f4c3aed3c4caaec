"""What an optimization asks of a circuit at one θ: energy, gradient and metric, each with its error."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from qngd.estimates.bit_strings import BitStrings
from qngd.estimates.estimate import Estimate, MetricTensor


@dataclass(frozen=True)
class Cost:
    """What was spent: jobs, circuits run and shots taken; and, where the backend compiles circuits, the depth
    and the two-qubit gates of the largest of them after compilation."""

    jobs: int = 0
    circuits: int = 0
    shots: int = 0
    depth: int = 0
    two_qubit_gates: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.jobs + other.jobs,
            self.circuits + other.circuits,
            self.shots + other.shots,
            max(self.depth, other.depth),
            max(self.two_qubit_gates, other.two_qubit_gates),
        )

    def __mul__(self, count: int) -> Cost:
        """What is spent by so many times the same."""
        return replace(self, jobs=self.jobs * count, circuits=self.circuits * count, shots=self.shots * count)

    def __sub__(self, other: Cost) -> Cost:
        """What was spent since `other`."""
        return replace(
            self,
            jobs=self.jobs - other.jobs,
            circuits=self.circuits - other.circuits,
            shots=self.shots - other.shots,
        )

    def __str__(self) -> str:
        spent = f"{self.jobs} jobs, {self.circuits} circuits, {self.shots} shots"
        if not self.depth:
            return spent
        return f"{spent}; circuits up to depth {self.depth} with {self.two_qubit_gates} two-qubit gates"


@dataclass(frozen=True, eq=False)
class Spread:
    """Per request of a plan (R,): what one shot adds to the variance of its energy and of the natural gradient step,
    and `metric`, the shots that a standard error of 1 takes in every entry of the metric that it enters.

    `signal` is the square of the natural gradient ∇Eᵀ(g + λ)⁻¹∇E, freed of what errors add to it, in the unit of Σ
    step/shots, and `taken` the shots of all requests together; 0 where they are not known.
    """

    energy: np.ndarray
    metric: np.ndarray
    step: np.ndarray
    signal: float = 0.0
    taken: int = 0

    def after(self, earlier: Spread | None, memory: float) -> Spread:
        """The same with its signal averaged with that of an earlier step, by their shots; those of the earlier one
        count for the part `memory`."""
        if earlier is None or not (earlier.taken and self.taken):
            return self
        weight = memory * earlier.taken / (memory * earlier.taken + self.taken)
        return replace(self, signal=weight * earlier.signal + (1 - weight) * self.signal)


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Estimates at the flat parameter vector `theta` (P,); those not asked for are None. Where `energy` is the mean of
    an observable's lowest values alone, `mean` is that of all. `bit_strings` are what a diagonal observable's energy
    was taken from, where it was measured. Of a loss over mini-batches `batch` is the number of the batch that they are
    of, and `before` the energy of the batch that the step began with."""

    theta: np.ndarray
    energy: Estimate
    gradient: Estimate | None
    metric: MetricTensor | None
    cost: Cost
    spread: Spread | None = None
    mean: Estimate | None = None
    bit_strings: BitStrings | None = None
    batch: int | None = None
    before: Estimate | None = None

    @property
    def arrived(self) -> Estimate:
        """The energy to be compared with that at the step's beginning."""
        return self.energy if self.before is None else self.before

    @property
    def is_finite(self) -> bool:
        """Whether no number in it is NaN or infinite."""
        parts = [self.energy.value, self.arrived.value]
        parts += [part.value for part in (self.gradient, self.metric) if part is not None]
        return all(bool(np.all(np.isfinite(part))) for part in parts)

    def completed(self, other: Evaluation) -> Evaluation:
        """This energy with the gradient and metric of a later evaluation at the same θ."""
        return replace(self, gradient=other.gradient, metric=other.metric, cost=self.cost + other.cost)
