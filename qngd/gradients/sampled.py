"""The gradient from a random part of the shift rules' circuits (after arXiv:1910.01155).

A derivative is a sum over pairs of circuits, Σ_i a_i·[E_i(+) − E_i(−)]: over the gates that a parameter moves, the
shifts of their rules and the groups of the observable. Of every parameter's pairs some are drawn, with probabilities in
proportion to |a_i|·√(Σ of the squares of the group's coefficients), and count by the inverse; see
`qngd.measured.draws`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import sparse

from qngd._system.keywords import hinted
from qngd.circuit.circuit import Circuit
from qngd.errors import settle_whole
from qngd.estimates.estimate import Estimate
from qngd.exact.point import Point
from qngd.gradients.base import GradientMethod
from qngd.measured.draft import Draft, Entry
from qngd.measured.draws import Draw, draw, shared_out
from qngd.measured.gradient import AskedGradient, MeasuredGroup, Rules
from qngd.measured.plan import Plan
from qngd.measured.shifts import ShiftRule, shift_rules

PAIRS = 8  # of every parameter where the user says nothing
_LEAST = 2  # pairs of a parameter that say something about the error
_STREAM = 3  # of the seed, whose other streams are those of shots and metrics


@dataclass(frozen=True, eq=False)
class ShiftPair:
    """Two circuits of a shift rule: the number of their group, the direction, its column in the mixing matrix, the
    shift and its weight, and the `size` that the probability to be drawn is in proportion to."""

    group: int
    direction: ShiftRule
    column: int
    shift: float
    weight: float
    size: float


@dataclass(frozen=True, eq=False)
class SampledChance:
    """Which pairs were drawn: `draws`, each of one sum; their columns in the plan's mixing matrix, their weights, and
    the requests of both sides, in the order of the draws."""

    draws: tuple[Draw, ...]
    columns: np.ndarray
    weights: np.ndarray
    requests: np.ndarray

    def covariance(self, plan: Plan, values: np.ndarray, variances: np.ndarray) -> np.ndarray:
        """See `Chance`."""
        assert plan.mixing is not None
        up, down = self.requests.T
        terms = self.weights * (values[up] - values[down])
        own = self.weights**2 * (variances[up] + variances[down])
        return self.of_terms(terms, own, plan.mixing)

    def of_terms(self, terms: np.ndarray, own: np.ndarray, mixing: sparse.csr_array) -> np.ndarray:
        """The same from the drawn terms and their own variances."""
        along = mixing[:, self.columns].toarray().T
        total, done = np.zeros((along.shape[1],) * 2), 0
        for each in self.draws:
            span = slice(done, done + len(each.places))
            total += each.covariance(terms[span], own[span], along[span])
            done = span.stop
        return total


@hinted
@dataclass(frozen=True)
class SampledShift(GradientMethod):
    """A random part of the circuits of the shift rules, weighted so that the gradient stays unbiased: for a parameter
    that stands in many gates, or an observable in many groups.

    Its error holds both that of shots and that of the choice, and is unbiased as well. Every parameter has draws of its
    own, two pairs at least, or all of them; where `circuits` are too few for that, the pairs are drawn from those of
    all parameters together. The seed of the step decides, so that a run can be resumed.

    Args:
        circuits: of the gradient, an even number; None is 16 for every parameter that has more.

    Raises:
        SettingError: a setting is out of range.

    >>> SampledShift(circuits=40).is_random
    True
    """

    name = "sampled"
    is_random = True

    circuits: int | None = None

    def __post_init__(self) -> None:
        settle_whole(self, {"circuits": 4})

    def asked(self, draft: Draft, groups: Sequence[MeasuredGroup]) -> AskedGradient:
        return self.drawn_from(strata_of_groups(groups), draft, groups)

    def drawn_from(
        self, strata: Sequence[Sequence[ShiftPair]], draft: Draft, groups: Sequence[MeasuredGroup]
    ) -> AskedGradient:
        """The same where the pairs of these groups are known."""
        mixing = draft.mixed([each.rules("auto")[1] for each in groups])
        chosen, pairs = self.chosen(strata, draft.seed)
        entries: list[Entry] = []
        requests = []
        for ratio, pair in pairs:
            group = groups[pair.group]
            both = []
            for side in (1.0, -1.0):
                angles = draft.phi.copy()
                angles[pair.direction.rotations] += side * pair.shift * pair.direction.coefficients
                # at every seed there must be as many
                request = draft.book.another_request(group.number, group.angles(angles))
                entries.append((pair.column, request, side * ratio * pair.weight))
                both.append(request)
            requests.append(both)
        return AskedGradient(entries, mixing, _chance(chosen, pairs, np.array(requests, dtype=int).reshape(-1, 2)))

    def exact(self, point: Point) -> Estimate:
        """Exact energies at the shifted angles that were drawn."""
        rules = _rules_of(point.circuit)
        inner = point.circuit.angle_map.chain(point.theta)[1]
        mixing = (inner.T @ rules[1]).tocsr()
        chosen, pairs = self.chosen(strata_of([rules], [1.0], [1.0]), point.seed)

        def energy(pair: ShiftPair, side: float) -> float:
            angles = point.phi.copy()
            angles[pair.direction.rotations] += side * pair.shift * pair.direction.coefficients
            return point.engine.expectation(angles, point.terms)

        terms = np.array([pair.weight * (energy(pair, 1.0) - energy(pair, -1.0)) for _, pair in pairs])
        chance = _chance(chosen, pairs, np.zeros((0, 2), dtype=int))
        ratios = np.array([ratio for ratio, _ in pairs])
        value = mixing[:, chance.columns] @ (ratios * terms) if len(pairs) else np.zeros(mixing.shape[0])
        covariance = chance.of_terms(terms, np.zeros(len(terms)), mixing)
        return Estimate(value, np.sqrt(np.maximum(np.diag(covariance), 0.0)), 0, covariance)

    def chosen(
        self, strata: Sequence[Sequence[ShiftPair]], seed: int | None
    ) -> tuple[tuple[Draw, ...], list[tuple[float, ShiftPair]]]:
        """The draws from every sum, and in their order the pairs, with what they count by."""
        rng = np.random.default_rng(None if seed is None else [seed, _STREAM])
        counts = [min(len(each), PAIRS) for each in strata]
        if self.circuits is not None:
            wanted = self.circuits // 2
            if wanted < sum(min(len(each), _LEAST) for each in strata):
                strata, counts = [[pair for each in strata for pair in each]], [wanted]
            else:
                weights = np.array([sum(pair.size for pair in each) for each in strata])
                counts = shared_out(wanted, list(map(len, strata)), weights, _LEAST).tolist()
        draws, pairs = [], []
        for each, count in zip(strata, counts, strict=True):
            found = draw(np.array([pair.size for pair in each]), count, rng)
            draws.append(found)
            pairs += [(float(r), each[i]) for r, i in zip(found.ratios, found.places, strict=True)]
        return tuple(draws), pairs


def _chance(draws: tuple[Draw, ...], pairs: Sequence[tuple[float, ShiftPair]], requests: np.ndarray) -> SampledChance:
    columns = np.array([pair.column for _, pair in pairs], dtype=int)
    return SampledChance(draws, columns, np.array([pair.weight for _, pair in pairs]), requests)


def strata_of_groups(groups: Sequence[MeasuredGroup]) -> list[list[ShiftPair]]:
    """The pairs of what is measured, see `strata_of`."""
    rules = [each.rules("auto") for each in groups]
    return strata_of(rules, [each.size for each in groups], [each.weight for each in groups])


def strata_of(rules: Sequence[Rules], sizes: Sequence[float], weights: Sequence[float]) -> list[list[ShiftPair]]:
    """The pairs of all groups, which have sizes and weights, by the variables that they move, in the order of these."""
    found: dict[tuple[int, ...], list[ShiftPair]] = {}
    done = 0
    for group, ((directions, mixing), own_size, counts) in enumerate(zip(rules, sizes, weights, strict=True)):
        columns = mixing.tocsc()
        for d, direction in enumerate(directions):
            span = slice(columns.indptr[d], columns.indptr[d + 1])
            strength = float(np.linalg.norm(columns.data[span])) * own_size
            own = found.setdefault(tuple(sorted(columns.indices[span].tolist())), [])
            for shift, weight in zip(direction.shifts.tolist(), (counts * direction.weights).tolist(), strict=True):
                if (size := abs(weight) * strength) > 0:
                    own.append(ShiftPair(group, direction, done + d, shift, weight, size))
        done += len(directions)
    return [found[key] for key in sorted(found) if found[key]]


@lru_cache(maxsize=16)
def _rules_of(circuit: Circuit) -> Rules:
    return shift_rules(circuit, circuit.angle_map.linear)
