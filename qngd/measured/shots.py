"""How many shots each circuit of a step gets.

A rule sees the plan and the *spread* of the step before: per request, how much one shot of it would add to the
variance of what is estimated. With N_r shots a request with spread a_r adds a_r/N_r, so Σ a_r/N_r at a given total
Σ N_r is smallest for N_r ∝ √a_r; and Σ a_r/N_r = ε² takes the fewest shots, Σ N_r = (Σ√a)²/ε², for the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from qngd._system.keywords import hinted
from qngd.errors import SettingError, require_range, settle_whole, whole_number
from qngd.estimates.evaluation import Spread
from qngd.measured.equal_parts import in_equal_parts
from qngd.measured.outcomes import widened
from qngd.measured.plan import Plan

_SHOTS_PER_CIRCUIT = 1000  # of "auto" without a total, where there is no step to gain by
_DOUBTFUL = 10  # shots a circuit that make a variance half as credible as many do
_RATE = 0.1  # κ, the part of noise's harm that counts, as if it were of the best learning rate
_LEFT = 1 / 3  # of a gradient's noise in the mean that a step of `AlignedMomentum` follows: (1 − β)/(1 + β), β = ½
_GROWTH = 1.3  # from one step to the next, at most
_PART = 0.01  # of the shots of all steps so far that a step takes at most
_COARSE, _GROWN = 10, 2000  # steps that have the same bound, and those after which no limit is above, and floats end
_LEAST_SHOTS = 2  # of "auto", per circuit: one says nothing about a variance
_FIRST_SHOTS = 200  # per circuit where nothing has been seen yet
_ROUNDED = 1e-10  # of the largest energy: a spread of energies below it is none
_DIGITS = 6  # of shots, where rounding errors begin
_FIRST_START = 0.25  # of what the start of a circuit costs, in shots: the first step's at least
_ROUNDS = 12  # of a fixed point whose distance is halved, in the logarithm, by each


class ShotRule(Protocol):
    """Decides the shots of every request. It may have `memory`, the weight of an earlier step's signal in
    `Spread.after`."""

    def shots(self, plan: Plan, spread: Spread | None) -> np.ndarray | None:
        """Shots (R,), given the spread of the step before if there was one; None asks for exact values."""


@dataclass(frozen=True)
class FixedShots:
    """The same number of shots for every circuit; None asks for exact values, which simulators can give."""

    per_circuit: int | None

    def shots(self, plan: Plan, spread: Spread | None) -> np.ndarray | None:
        if self.per_circuit is None:
            return None
        return np.full(plan.num_circuits, self.per_circuit)


@hinted
@dataclass(frozen=True)
class AutoShots:
    """As many shots a step as it is expected to gain most by for each of them, divided so that the error of the natural
    gradient step is smallest; or a `total` of your own, divided in the same way.

    The division is after van Straaten & Koczor (arXiv:2005.05172), with the variances seen in the step before. As the
    gradient vanishes, errors of the metric matter less, and its shots fade. What was seen is uncertain and changes from
    step to step: with the defaults half of the shots, and more of a `total` where few had been seen, are divided
    without it, as all of the first step's are, and the energy gets what it would get of an equal division. A `total` is
    then divided equally: by convexity the variance of the step is no larger than the mean of those by both divisions,
    and no error is more than √2 times that of the same total divided equally. Without a total it is divided by what is
    known beforehand: the weights of shift rules and of differences, and the coefficients of the observable.

    The total is after gCANS (arXiv:2108.10434), in the metric. With the square A of the natural gradient, and the
    variance S/N that N shots leave in it, a step with κ times the best rate η lowers the model of `StepModel` by
    κη[(1 − κ/2)A − κS/2N] on average. Where many gates share a parameter the default steps along a mean of gradients,
    with a third of S. For every shot, and the `start` of each of C circuits, that is most for

        N = r + √(r² + C·start·r),   r = S/A·κ/(2 − κ),

    so that early steps are cheap and late ones precise. This counts all harm that noise does in a step, though the next
    steps undo most of it: it is done where the energy is steep. So κ is smaller than any rate, 0.1, and noise may be
    three times as large as the gradient. A is a running mean. Where the way is nearly level, as at a saddle, A is not
    seen, and a few steps with ever more shots would take more than all others: so from one step to the next N + C·start
    grows by 30 % at most, or by one shot a circuit where all get the same, and what goes beyond the first step's shots
    and the circuits' starts is at most a hundredth of all shots so far. Where no gradient says what is gained, as of
    the functions for one θ, there are 1000 shots for every circuit.

    Where a backend has one number of shots for all circuits, the division is rounded to circuits of equal shots, of
    which some run several times (`qngd.measured.equal_parts`): mostly all get the same where shots are few. They cost
    no more than one circuit each, their starts counted, and so have fewer shots.

    Args:
        total: shots of one step; None chooses them.
        energy_share: the part of it that goes to the energy itself, which the step's length is judged by; None is the
            energy's part of the circuits.
        minimum: shots that every circuit gets before the rest is divided by what was seen; None is half of the shots,
            divided as said above. Without a total it is 20 at least where a backend leaves shots out.
        first: shots of a circuit in the first step, where nothing is known, without a total; a quarter of `start` if
            that is more. It is the least of all steps for a CVaR and an `Objective`, which few shots bias, and half of
            it where many gates share a parameter.
        limit: shots of a circuit on average at most, without a total.
        start: what it costs to run a circuit at all, in shots. None takes what prices and budget say: what a circuit
            and its part of a job take over what a shot takes, in money where that is limited or prices are given
            without a limit, in seconds where these are (the prices' `seconds_per_circuit`, and what the provider has
            reported besides), and of several limits in the sum of their parts. Where money alone is limited, the shots
            that the least price of a job pays for are taken in any case.

    >>> AutoShots(total=100_000)
    AutoShots(total=100000, energy_share=None, minimum=None, first=20, limit=10000, start=None)
    """

    total: int | None = None
    energy_share: float | None = None
    minimum: int | None = None
    first: int = 20
    limit: int = 10_000
    start: int | None = None

    memory = 0.9  # weight of what earlier steps saw of A

    def __post_init__(self) -> None:
        settle_whole(self, {"total": 1, "minimum": _LEAST_SHOTS, "first": _LEAST_SHOTS, "limit": 1, "start": 0})
        if self.energy_share is not None:
            require_range(self.energy_share, "energy_share", "between 0 and 1", lambda value: 0 < value < 1)
        if self.limit < self.first:
            raise SettingError(f"limit: at least the {self.first} shots of the first step; got {self.limit}")

    def shots(self, plan: Plan, spread: Spread | None) -> np.ndarray:
        count = plan.num_circuits
        total = self._wanted(plan, spread)
        least = self._least(plan)
        if total < least * count:
            if self.total is not None:
                raise SettingError(
                    f"shots: {total} a step are too few for {count} circuits with at least {least} each; "
                    f"give {least * count} or more"
                )
            total = least * count
        beforehand = known_beforehand(plan) if self.total is None else np.full(count, 1 / max(count, 1))
        found = np.full(count, least)
        if self.minimum is None:
            part = int(self._part_beforehand(spread) * total) - least * count
            found += np.floor(np.round(max(part, 0) * beforehand, _DIGITS)).astype(int)
        found += _whole((total - found.sum()) * self._shares(plan, spread, beforehand))
        if plan.starts.divided is None:
            return found
        return in_equal_parts(found, max(plan.starts.divided, self.start or 0), least)

    def _part_beforehand(self, spread: Spread | None) -> float:
        """The part of the shots that is divided without what was seen: half, and more of a given total where few shots
        a circuit were seen."""
        if self.total is None or spread is None or not spread.taken:
            return 0.5
        seen = spread.taken / len(spread.step)
        return 1 - 0.5 * seen / (seen + _DOUBTFUL)

    def _least(self, plan: Plan) -> int:
        """Shots that every circuit gets whatever its share is."""
        if self.minimum is not None:
            return self.minimum
        return _LEAST_SHOTS if self.total is not None else max(_LEAST_SHOTS, plan.least_shots)

    def most(self, plan: Plan, step: int) -> int:
        """Shots of a circuit, on average, that a step takes at most; number 0 is the start."""
        if self.total is not None or not plan.has_gradient:
            total = self._wanted(plan, None)
            return int(np.ceil(max(total / max(plan.num_circuits, 1), self._least(plan))))
        later = _COARSE * np.ceil((step - 1 / _PART) / _COARSE)  # as few numbers are asked for their price
        part = self._at_first(plan) * (1 + _PART) ** np.clip(later, 0, _GROWN)
        shots, limit = float(self._first(plan)), min(part, self._limit(plan))
        for _ in range(step):
            if shots >= limit:
                break
            shots = self._grown(plan, shots)
        # of all circuits together it is no whole number
        return int(np.ceil(max(min(shots, limit), self._least(plan))))

    def _at_first(self, plan: Plan) -> float:
        """Shots of a circuit that no part of all so far bounds: where starts cost more than these, they may double."""
        return max(self._first(plan), self._start(plan))

    def _grown(self, plan: Plan, shots: float) -> float:
        """Shots of a circuit, on average, that may follow on so many: one more at least where all get the same."""
        start = self._start(plan)
        grown = _GROWTH * (shots + start) - start if np.isfinite(start) else np.inf
        return grown if plan.starts.divided is None else max(grown, shots + 1)

    def may_grow(self, spread: Spread) -> bool:
        """Whether steps will take more shots than the one with this spread."""
        return self.total is None and spread.taken < 0.99 * self.limit * len(spread.step)

    def _shares(self, plan: Plan, spread: Spread | None, beforehand: np.ndarray) -> np.ndarray:
        """The part (R,) of every circuit in what is divided by what was seen; where nothing was, `beforehand`."""
        count = plan.num_circuits
        if spread is None or len(spread.step) != count or not spread.step.any():
            return beforehand
        is_energy = plan.energy_weights != 0
        spreads = np.sqrt(spread.energy)
        rounding = 0.0 if plan.mixing is None else _ROUNDED * _energy_bounds(plan)
        of_energy = _normalized(spreads * (is_energy & (spreads > rounding)))
        of_step = _normalized(np.sqrt(spread.step))
        part = np.count_nonzero(is_energy) / count if self.energy_share is None else self.energy_share
        part = part if of_energy.any() else 0.0
        return part * of_energy + (1 - part) * of_step

    def _wanted(self, plan: Plan, spread: Spread | None) -> int:
        """The shots of a step: the total given, or those that gain most for what they cost."""
        if self.total is not None:
            return self.total
        count = plan.num_circuits
        if not plan.has_gradient:  # no step to gain by
            return _SHOTS_PER_CIRCUIT * count
        first = self._first(plan)
        if spread is None or not spread.taken or len(spread.step) != count:
            return first * count
        start = self._start(plan)
        averages = plan.averages_gradients
        least = first * count if plan.is_curved else first * count // 2 if averages else 0
        taken, least = max(spread.taken, least), max(least, self._paid_anyway(plan) * count)
        part = max(self._at_first(plan) * count, _PART * spread.spent)
        most = min(max(min(count * self._grown(plan, taken / count), part), least), self._limit(plan) * count)
        if not (np.isfinite(start) and spread.signal > 0):  # more shots cost nothing, or nothing is seen to gain by
            return int(most)
        error = float(np.sqrt(spread.step).sum()) ** 2
        ratio = _RATE / (2 - _RATE) * (_LEFT if averages else 1.0) * error / spread.signal
        return int(np.clip(ratio + np.sqrt(ratio**2 + count * start * ratio), least, most))

    def _start(self, plan: Plan) -> float:
        """What the start of a circuit costs, in shots."""
        return plan.starts.paid if self.start is None else self.start

    def _first(self, plan: Plan) -> int:
        """Shots of a circuit in the first step: of a CVaR as many in its tail, which alone say something of it."""
        first = self.first if plan.share is None else int(np.ceil(self.first / plan.share))
        return int(min(max(first, _FIRST_START * self._start(plan), self._paid_anyway(plan)), self._limit(plan)))

    def _limit(self, plan: Plan) -> int:
        """Shots of a circuit at most; where they cost nothing, as long as they do not."""
        return self.limit if np.isfinite(self._start(plan)) else self._paid_anyway(plan)

    def _paid_anyway(self, plan: Plan) -> int:
        """Shots of a circuit that cost nothing more."""
        return int(min(plan.starts.free if self.start is None else 0, self.limit))


@hinted
@dataclass(frozen=True)
class TargetError:
    """As many shots as a standard error takes: of the energy, of every entry of the gradient (by default the same)
    and of every entry of the metric.

    From the variances seen in the step before; the first step takes 200 shots per circuit, and so does a first
    submission of the functions for one θ, which only shows the variances. Each of these numbers alone would be
    reached with the fewest shots in all, N_r = √a_r·Σ√a/ε²; a circuit gets what the most demanding of them wants of
    it. A number that seemed certain still gets (range of one shot)/ε shots, and more where the error of what was
    not seen (see `qngd.measured.outcomes`) asks for more. `limit` bounds the shots of one circuit. Of what is drawn at
    random, as QN-SPSA's directions, the bases of "shadows" and a random part of a gradient, the target is that of the
    shots' part of the error: the other does not fall with shots. Nor does it count what a readout calibration has of
    its own. Shots that a post-selection leaves out are asked for besides. For "hamiltonian"
    and "random-basis" there is no target of the metric: the first is of the gradient's circuits, and the circuits
    of the second get as many shots as the most demanding circuit of the energy and gradient, as those of any metric
    do that does not say what its shots are worth. Of an `Objective` the energy is its loss, whose errors and those
    of its gradient follow from the outputs' to first order; the metric is the average over its samples, and
    "gauss-newton", which takes no circuits of its own, has no target.

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
        of_energies = spread.energy, _unseen_energies(plan), _energy_bounds(plan)
        needed = np.maximum(2.0, _needed(plan.energy_weights[None], *of_energies, self.energy))
        if plan.mixing is not None:
            needed = np.maximum(needed, _needed(plan.linear.toarray(), *of_energies, self._of_gradient))
        return needed


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


def _energy_bounds(plan: Plan) -> np.ndarray:
    """The largest value (R,) that a request's energy can take in one shot; 0 for those of the metric."""
    return _sizes(plan, lambda coefficients: np.abs(coefficients).sum()) / (plan.share or 1.0)


def _sizes(plan: Plan, size: Callable[[np.ndarray], Any]) -> np.ndarray:
    """What `size` makes of the coefficients that a request measures (R,): 1 for an overlap, 0 for those of the
    metric."""
    per_template = [0.0 if c is None else float(size(c)) for c in plan.coefficients]
    if plan.overlaps is not None:
        per_template[plan.overlaps.template] = 1.0
    return np.array([per_template[request.template] for request in plan.requests])


def sharing(variances: np.ndarray) -> np.ndarray:
    """Shots (R,) for unit error of every row of Σ_r variances[i, r]/N_r, each row with its fewest shots in all."""
    roots = np.sqrt(variances)
    return (roots * roots.sum(axis=1, keepdims=True)).max(axis=0, initial=0.0)


def known_beforehand(plan: Plan) -> np.ndarray:
    """The part (R,) of the shots that every circuit gets before anything is seen of it.

    The circuits of the energy share what an equal division gives them, and so do those of the gradient: each in
    proportion to the error that a shot of a random state leaves in the estimate, its weights times √Σc² over the
    coefficients of what it measures. The others get what an equal division gives them.
    """
    count = plan.num_circuits
    found = np.full(count, 1 / max(count, 1))
    if plan.mixing is None or not count:
        return found
    sizes = _sizes(plan, np.linalg.norm)
    in_gradient = np.sqrt(plan.linear.power(2).sum(axis=0))
    for weights in (abs(plan.energy_weights) * sizes, in_gradient * sizes):
        own = weights > 0
        found[own] = np.count_nonzero(own) / count * _normalized(weights[own])
    return _normalized(found)


def _whole(wanted: np.ndarray) -> np.ndarray:
    """Whole numbers (R,) beside these with the same sum, but for what is less than 1: the largest rests are rounded
    up. Rounding errors, as another unit of energy makes, decide nothing."""
    total, wanted = int(wanted.sum() * (1 + 1e-12)), np.round(wanted, _DIGITS)
    found = np.floor(wanted).astype(int)
    left = total - int(found.sum())
    found[np.argsort(found - wanted, kind="stable")[:left]] += 1
    return found


def _normalized(weights: np.ndarray) -> np.ndarray:
    total = weights.sum()
    return weights / total if total > 0 else weights


def as_rule(shots: Any) -> ShotRule:
    """The rule that the `shots` argument stands for: a number, "auto", None, or a rule.

    Raises:
        SettingError: it is none of these.
    """
    if shots is None:
        return FixedShots(None)
    if isinstance(shots, str):
        if shots == "auto":
            return AutoShots()
        raise SettingError(f'shots: {shots!r} is neither a number nor "auto"')
    if callable(getattr(shots, "shots", None)) and not isinstance(shots, type):
        rule: ShotRule = shots
        return rule
    return FixedShots(check_shots(shots))


def check_shots(shots: Any) -> int:
    """`shots` as an int; raises SettingError unless it is a whole number of at least 1."""
    return whole_number(shots, "shots", 1)
