"""What an optimization asks of a circuit at one θ: energy, gradient and metric, each with its error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, field, replace
from typing import Any

import numpy as np

from qngd._system.brief import brief_fields
from qngd.errors import counted
from qngd.estimates.bit_strings import BitStrings
from qngd.estimates.estimate import Estimate, MetricTensor
from qngd.estimates.usage import Usage

UNITS = ("jobs", "circuits", "shots", "seconds", "money")  # of a Cost, which a budget can limit


@dataclass(frozen=True)
class Cost:
    """What was spent: jobs, circuits run and shots taken; where the backend compiles circuits, the depth and the
    two-qubit gates of the largest of them after compilation; and what follows from these, on which equality does not
    depend.

    `seconds` are those of the device, as the provider reported them, elsewhere by the times of gates, readout and the
    delay between shots; `money` is by the prices that a budget gives. Each is None where it is not known. `usage` sums
    up what providers have reported.
    """

    jobs: int = 0
    circuits: int = 0
    shots: int = 0
    depth: int = 0
    two_qubit_gates: int = 0
    seconds: float | None = field(default=0.0, compare=False)
    money: float | None = field(default=0.0, compare=False)
    usage: Usage = field(default_factory=Usage, compare=False, repr=False)

    def in_units(self) -> dict[str, float | None]:
        """What was spent by the units that a budget limits; None where it is not known."""
        return {unit: getattr(self, unit) for unit in UNITS}

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.jobs + other.jobs,
            self.circuits + other.circuits,
            self.shots + other.shots,
            max(self.depth, other.depth),
            max(self.two_qubit_gates, other.two_qubit_gates),
            _sum(self.seconds, other.seconds),
            _sum(self.money, other.money),
            self.usage + other.usage,
        )

    def __mul__(self, count: int) -> Cost:
        """What is spent by so many times the same."""
        return replace(
            self,
            jobs=self.jobs * count,
            circuits=self.circuits * count,
            shots=self.shots * count,
            seconds=None if self.seconds is None else self.seconds * count,
            money=None if self.money is None else self.money * count,
            usage=self.usage * count,
        )

    def __sub__(self, other: Cost) -> Cost:
        """What was spent since `other`."""
        return replace(self + other * -1, depth=self.depth, two_qubit_gates=self.two_qubit_gates)

    def as_numbers(self) -> tuple[float, ...]:
        """All of it as numbers, in the order of the fields; NaN for what is not known."""
        *own, usage = astuple(self)
        return tuple(np.nan if value is None else float(value) for value in (*own, *usage))

    @classmethod
    def from_numbers(cls, numbers: Sequence[float]) -> Cost:
        """The cost that `as_numbers` took apart; of earlier versions, which had only whole numbers, too."""
        whole, rest = numbers[:5], numbers[5:]
        rest = rest if len(rest) else (np.nan, np.nan)
        seconds, money = (None if np.isnan(value) else float(value) for value in rest[:2])
        known = Cost(*map(int, whole))  # type: ignore[arg-type]
        return replace(known, seconds=seconds, money=money, usage=Usage(*map(float, rest[2:])))

    @classmethod
    def from_fields(cls, fields: Mapping[str, Any]) -> Cost:
        """The cost that `dataclasses.asdict` took apart; of earlier versions, which had no products in it, too."""
        own = dict(fields)
        earlier = {name: own.pop(name, 0.0) for name in ("timed", "reported")}
        return cls(**{**own, "usage": Usage(**own.get("usage", earlier))})

    @property
    def in_short(self) -> str:
        """Jobs, circuits and shots in words."""
        return f"{counted(self.jobs, 'job')}, {counted(self.circuits, 'circuit')}, {counted(self.shots, 'shot')}"

    def __str__(self) -> str:
        if not self.depth:
            return self.in_short
        largest = f"circuits up to depth {self.depth} with {counted(self.two_qubit_gates, 'two-qubit gate')}"
        return f"{self.in_short}; {largest}"


def _sum(one: float | None, other: float | None) -> float | None:
    """The sum of two numbers, unknown if one of them is."""
    return None if one is None or other is None else one + other


@dataclass(frozen=True, eq=False)
class Spread:
    """Per request of a plan (R,): what one shot adds to the variance of its energy and of the natural gradient step,
    and `metric`, the shots that a standard error of 1 takes in every entry of the metric that it enters.

    `signal` is the square of the natural gradient ∇Eᵀ(g + λ)⁻¹∇E, freed of what errors add to it, in the unit of Σ
    step/shots, `taken` the shots of all requests together, and `spent` those of all steps so far; 0 where they are not
    known.

    Of a loss, `energy` is what one shot adds to its variance, `gradient` the shots that a standard error of 1 takes in
    every entry of its gradient, and `reach` (2, R) what one shot moves the loss and an entry of its gradient by at
    most; `of_energy` (mask over R) are the requests that the loss alone takes. None of anything else.
    """

    energy: np.ndarray
    metric: np.ndarray
    step: np.ndarray
    signal: float = 0.0
    taken: int = 0
    spent: int = 0
    gradient: np.ndarray | None = None
    reach: np.ndarray | None = None
    of_energy: np.ndarray | None = None

    def after(self, earlier: Spread | None, memory: float) -> Spread:
        """The same with its signal averaged with that of an earlier step, by their shots; those of the earlier one
        count for the part `memory`."""
        if earlier is None or not (earlier.taken and self.taken):
            return replace(self, spent=self.taken)
        weight = memory * earlier.taken / (memory * earlier.taken + self.taken)
        signal = weight * earlier.signal + (1 - weight) * self.signal
        return replace(self, signal=signal, spent=earlier.spent + self.taken)

    __repr__ = brief_fields

    def __len__(self) -> int:
        return len(self.energy)

    def first(self, count: int) -> Spread:
        """That of the first requests alone: those of the energy stand before those of the gradient, and these before
        those of the metric."""
        taken, spent = (shots * count // max(len(self), 1) for shots in (self.taken, self.spent))
        return Spread(self.energy[:count], self.metric[:count], self.step[:count], self.signal, taken, spent)

    def of_loss(self) -> Spread | None:
        """That of the requests that a loss alone takes; None of anything else."""
        if self.of_energy is None or self.reach is None:
            return None
        own, nothing = self.of_energy, np.zeros(np.count_nonzero(self.of_energy))
        reach = np.array([self.reach[0][own], nothing])
        return Spread(self.energy[own], nothing, nothing, gradient=nothing, reach=reach, of_energy=own[own])

    def of_as_many(self, count: int) -> Spread:
        """That of a step of other samples with so many requests, all alike, in which as many shots leave the errors
        that they leave here: it says nothing of single requests, so that no target error can be reached by it."""
        size = len(self)
        energy, step = (np.full(count, (np.sqrt(worth).sum() / count) ** 2) for worth in (self.energy, self.step))
        taken = self.taken * count // max(size, 1)
        return Spread(energy, np.zeros(count), step, self.signal, taken, self.spent)

    def renewed(self, seen: Spread) -> Spread:
        """With what was seen since of the first requests; of the others it is as it was. What it says of the step stays
        too: without a metric there was none to say how errors of the step count."""
        count = len(seen)
        pairs = ((seen.energy, self.energy), (seen.metric, self.metric))
        energy, metric = (np.concatenate([new, old[count:]]) for new, old in pairs)
        return replace(self, energy=energy, metric=metric, taken=seen.taken * len(self) // max(count, 1))


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Estimates at the flat parameter vector `theta` (P,); those not asked for are None. Where `energy` is the mean of
    an observable's lowest values alone, `mean` is that of all. `bit_strings` are what a diagonal observable's energy
    was taken from, where it was measured. Of a loss over mini-batches `batch` is the number of the batch that they are
    of, and `before` the energy of the batch that the step began with. `shots_for` says what its shots were for:
    "energy", "gradient" and "metric" alone; shots that serve two count for the first of them. `energy_scale` is what
    energies are large or small beside, in their unit, where that is known: the deviation of the observable's
    eigenvalues; of a CVaR α times that; of a loss what it changes by, to first order, where each of its outputs changes
    by that of its own."""

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
    shots_for: Mapping[str, int] | None = None
    energy_scale: float | None = None

    __repr__ = brief_fields

    @property
    def arrived(self) -> Estimate:
        """The energy to be compared with that at the step's beginning."""
        return self.energy if self.before is None else self.before

    @property
    def is_finite(self) -> bool:
        """Whether no number in it is NaN or infinite."""
        parts = (self.energy, self.before, self.gradient, self.metric)
        return all(np.isfinite(part.value).all() for part in parts if part is not None)

    def completed(self, other: Evaluation) -> Evaluation:
        """This energy with the gradient and metric of a later evaluation at the same θ."""
        return replace(self, gradient=other.gradient, metric=other.metric, cost=self.cost + other.cost)
