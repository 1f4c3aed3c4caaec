"""The plans of all samples and circuits as one submission, and the outputs that come out of it.

The samples of a circuit share its templates, so that a device compiles each once. A request of an observables'
template has the values v_rk = Σ_t C_kt·⟨string t⟩, one for each of K outputs, with a covariance, as they come from the
same shots; those of different requests are independent:

    o_k = constant_k + Σ_r weights_r·v_rk,   ∇o_k = mixing·slopes·v_k.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from qngd.circuit.active import as_measured, without_idle
from qngd.circuit.bound import AffineAngles
from qngd.circuit.observable import Observable
from qngd.circuit.pauli import PauliStrings
from qngd.errors import SettingError
from qngd.evaluators.objectives.model import DataCircuit
from qngd.evaluators.objectives.tails import MeasuredTails, check_one_circuit
from qngd.gradients.base import Asked
from qngd.measured.cross import CrossMethod
from qngd.measured.grouping import Grouping, random_paulis
from qngd.measured.metric import MeasuredMetric
from qngd.measured.outcomes import Counts, Outcome, unseen, weighted_values, widened
from qngd.measured.plan import Plan, Request, Submission
from qngd.measured.planner import Planner, require_all_values
from qngd.measured.readout import Readout
from qngd.measured.tail import counts_of
from qngd.measured.template import Template
from qngd.metrics.full import Full
from qngd.metrics.layers import BlockDiagonal, Diagonal

_OF_ANGLES = (Diagonal, BlockDiagonal, Full)  # metrics whose circuits take the angles as they are


class DataPlanner:
    """Plans the samples of a part; all its outputs are measured by the same circuits."""

    def __init__(self, part: DataCircuit, grouping: Grouping, cross: CrossMethod, whole: bool) -> None:
        self.part = part
        active = without_idle(part.circuit)
        self._cross = cross
        self._own = [as_measured(each, part.circuit) for each in part.observables]
        self._mixing, union = _union(self._own)
        self._place = {key: row for row, key in enumerate(_keys(union.strings))}
        if random_paulis(grouping) is not None:
            raise SettingError('grouping: an Objective measures all outputs together; take grouping="auto"')
        for k in part.shares:
            require_all_values(part.observables[k], part.circuit)
        self._first = Planner(active, union, grouping, cross, whole, overlap=False, of_values=bool(part.shares))
        self._grouping = grouping
        self._at: dict[int, Planner] = {}
        self._read: dict[int, np.ndarray] = {}

    @property
    def constants(self) -> np.ndarray:
        """What every output (K,) is without measuring."""
        return np.array([each.identity_coefficient for each in self._own])

    def plans(
        self, theta: np.ndarray, rows: np.ndarray, gradient: Asked, metric: Any, seeds: Sequence[int | None]
    ) -> list[Plan]:
        """The plans of these samples at θ (p,), each with a seed of its own.

        Where all have one Jacobian, so that only their angles differ, and the metric takes these as they are, the plan
        of the first sample is that of all, its angles shifted by φ_b − φ_0.
        """
        if not self._differs_in_angles(metric):
            pairs = zip(rows, seeds, strict=True)
            found = [self.planner(int(b)).plan(theta, gradient=gradient, metric=metric, seed=s) for b, s in pairs]
            self._check(found[0])
            return found
        first = self.planner(int(rows[0])).plan(theta, gradient=gradient, metric=metric, seed=seeds[0])
        self._check(first)
        phi, _ = self.part.bound.angles.linearize(theta, rows)
        return [_shifted(first, shift) for shift in phi - phi[0]]

    def _check(self, plan: Plan) -> None:
        """Raise ObservableError where a CVaR has its values from several circuits."""
        if self.part.shares:
            pairs = zip(plan.templates, plan.coefficients, strict=True)
            own = [self.coefficients(template) for template, known in pairs if known is not None]
            check_one_circuit(own, self.part.shares, self._grouping)

    def _differs_in_angles(self, metric: Any) -> bool:
        known = metric is None or (self._cross != "overlap" and isinstance(metric, _OF_ANGLES))
        own = self.part
        return known and isinstance(own.bound.angles, AffineAngles) and not len(own.circuit.split_gates)

    def planner(self, row: int) -> Planner:
        """That of one sample."""
        if row not in self._at:
            self._at[row] = self._first.at_angles(self.part.bound.angles.of(row))
        return self._at[row]

    def coefficients(self, template: Template) -> np.ndarray:
        """C (K, m) for the strings of a template."""
        found = self._read.get(id(template))
        if found is None:
            rows = [self._place[key] for key in _keys(template.strings)]
            found = self._read[id(template)] = self._mixing[:, rows]
        return found


def _shifted(plan: Plan, shift: np.ndarray) -> Plan:
    """The plan at angles that are larger by `shift` (K,)."""
    own = [shift[template.rotations] for template in plan.templates]
    requests = tuple([Request(r.template, r.angles + own[r.template], r.shots) for r in plan.requests])
    return replace(plan, requests=requests)


def _union(observables: Sequence[Observable]) -> tuple[np.ndarray, Observable]:
    """The coefficients (K, T) over all strings, and an observable of these, with their largest weights."""
    strings = [each.strings for each in observables]
    joined = PauliStrings(
        strings[0].num_qubits,
        np.concatenate([each.x for each in strings]),
        np.concatenate([each.z for each in strings]),
        np.concatenate([each.sign for each in strings]),
    )
    place: dict[bytes, int] = {}
    columns = np.array([place.setdefault(key, len(place)) for key in _keys(joined)], dtype=np.int64)
    mixing = np.zeros((len(observables), len(place)))
    owner = np.repeat(np.arange(len(observables)), [len(each) for each in observables])
    np.add.at(mixing, (owner, columns), np.concatenate([each.coefficients for each in observables]))
    first = np.unique(columns, return_index=True)[1]
    return mixing, Observable(joined[first], np.abs(mixing).max(axis=0))


def _keys(strings: PauliStrings) -> list[bytes]:
    return [x.tobytes() + z.tobytes() for x, z in zip(strings.x, strings.z, strict=True)]


@dataclass(frozen=True, eq=False)
class Piece:
    """The plan of one sample of a part: its place in the batch, and where its requests begin in the submission."""

    planner: DataPlanner
    sample: int
    place: int
    plan: Plan
    start: int

    @property
    def columns(self) -> slice:
        return self.planner.part.columns

    @property
    def parameters(self) -> np.ndarray:
        return self.planner.part.parameters


@dataclass(frozen=True, eq=False)
class JointPlan(Submission):
    """All pieces as one; `energy_weights` (R,) are nonzero for the requests of outputs."""

    pieces: tuple[Piece, ...]
    energy_weights: np.ndarray
    mixing = None  # a rule for shots chooses no total by the gradient of one energy
    least_shots = 1

    @property
    def metric(self) -> MeasuredMetric | None:
        """The metric that is measured, or None."""
        return self.pieces[-1].plan.metric

    @property
    def of_single_shots(self) -> str:
        return next(filter(None, (piece.plan.of_single_shots for piece in self.pieces)), "")

    def shots_for_metric(self, seen: np.ndarray, error: float, needed: np.ndarray) -> np.ndarray:
        """As of a `Plan`, for the average over the samples: with M pieces that add to an entry and B samples, errors of
        B/√M in each make one of 1 in the average."""
        own = [piece for piece in self.pieces if piece.plan.metric is not None]
        count = len({piece.place for piece in own})
        found = needed.copy()
        for piece in own:
            rows = slice(piece.start, piece.start + piece.plan.num_circuits)
            part = piece.plan.shots_for_metric(seen[rows], error * count / np.sqrt(len(own)), found[rows])
            found[rows] = part
        return found

    @classmethod
    def of(cls, pieces: Sequence[tuple[DataPlanner, int, int, Plan]]) -> JointPlan:
        """From planner, sample, place and plan of every piece."""
        number: dict[int, int] = {}
        templates: list[Template] = []
        coefficients: list[np.ndarray | None] = []
        requests: list[Request] = []
        made = []
        for planner, sample, place, plan in pieces:
            own = []
            for template, weights in zip(plan.templates, plan.coefficients, strict=True):
                if id(template) not in number:
                    number[id(template)] = len(templates)
                    templates.append(template)
                    coefficients.append(weights)
                own.append(number[id(template)])
            made.append(Piece(planner, sample, place, plan, len(requests)))
            requests += [Request(own[r.template], r.angles, r.shots) for r in plan.requests]
        of_energy = np.concatenate([np.zeros(0), *(plan.energy_weights for *_, plan in pieces)])
        return cls(tuple(templates), tuple(coefficients), tuple(requests), tuple(made), of_energy)


class Measured:
    """The outcomes of one piece, and the outputs in them."""

    def __init__(self, piece: Piece, outcomes: Sequence[Outcome], is_noisy: bool) -> None:
        plan = piece.plan
        self.piece = piece
        self.outcomes = outcomes[piece.start : piece.start + plan.num_circuits]
        self.plan = replace(plan, is_noisy=is_noisy)

    @cached_property
    def _values(self) -> tuple[np.ndarray, np.ndarray]:
        """v (R, K) and its covariances (R, K, K); 0 for requests of the metric."""
        count = self.piece.columns.stop - self.piece.columns.start
        values, spreads = np.zeros((len(self.outcomes), count)), np.zeros((len(self.outcomes), count, count))
        for r, request in enumerate(self.plan.requests):
            if self.plan.coefficients[request.template] is not None:
                weights = self.piece.planner.coefficients(self.plan.templates[request.template])
                values[r], spreads[r] = _read(self.outcomes[r], self.plan.reading(r), weights, self._tails)
        return values, spreads

    @cached_property
    def _tails(self) -> MeasuredTails | None:
        """Of the outputs that are a CVaR."""
        planner = self.piece.planner
        shares = planner.part.shares
        return MeasuredTails(self.plan, self.outcomes, planner, shares) if shares else None

    def _quantiles(self, weights: np.ndarray, size: int) -> np.ndarray:
        """What the errors of the tails' quantiles add to the covariance (P, P) of Σ_k w_k·∇o_k."""
        tails, moves = self._tails, []
        if tails is None:
            return np.zeros((size, size))
        for k in tails.outputs:
            moved = np.zeros(len(self.outcomes))
            for r, request in enumerate(self.plan.requests):
                if self.plan.coefficients[request.template] is not None:
                    own = self.piece.planner.coefficients(self.plan.templates[request.template])[k]
                    if own.any():
                        moved[r] = tails.read(k, counts_of(self.outcomes[r]), self.plan.reading(r), own)[2]
            along = np.zeros(size)
            along[self.piece.parameters] = weights[k] * (self._linear @ moved)
            moves.append(along)
        together = np.array(moves).T
        found: np.ndarray = together @ tails.correlation @ together.T
        return found

    @property
    def outputs(self) -> np.ndarray:
        """(K,)."""
        return self.piece.planner.constants + self.plan.energy_weights @ self._values[0]

    @property
    def covariance(self) -> np.ndarray:
        """Of the outputs, (K, K)."""
        return np.einsum("r,rkl->kl", self.plan.energy_weights**2, self._values[1])

    @cached_property
    def _linear(self) -> np.ndarray:
        """(p, R): takes values to derivatives."""
        assert self.plan.mixing is not None
        return (self.plan.mixing @ self.plan.slopes).toarray()

    @property
    def jacobian(self) -> np.ndarray:
        """The derivatives of the outputs, (K, p)."""
        return (self._linear @ self._values[0]).T

    def gradient_covariance(self, weights: np.ndarray, bends: np.ndarray) -> np.ndarray:
        """Of Σ_k w_k·∇o_k, (p, P'), where errors of the outputs also change the weights, by which the gradient of the
        whole moves by `bends` (K, P): the covariance (P, P) of both together."""
        total = self._quantiles(weights, bends.shape[1])
        for _, moves, spread in self._moves(weights, bends):
            total += moves @ spread @ moves.T
        return total

    def _moves(self, weights: np.ndarray, bends: np.ndarray) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """The requests that errors come from: how the gradient moves with their values (P, K), and the covariance of
        these."""
        linear = np.zeros((bends.shape[1], len(self.outcomes)))
        linear[self.piece.parameters] = self._linear
        for r, spread in enumerate(self._values[1]):
            if spread.any():
                yield r, np.outer(linear[:, r], weights) + self.plan.energy_weights[r] * bends.T, spread

    def worth(self, weights: np.ndarray, bends: np.ndarray | None, root: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What one shot of each request (R,) adds to the variances of the loss, and of `root` (P, P) times its
        gradient. Requests of a metric alone count as those of the gradient do on average."""
        shots = np.array([outcome.shots for outcome in self.outcomes])
        of_loss = np.einsum("k,rkl,l->r", weights, self._values[1], weights) * self.plan.energy_weights**2 * shots
        of_step = np.zeros(len(shots))
        for r, moves, spread in () if bends is None else self._moves(weights, bends):
            along = root @ moves
            of_step[r] = np.sum((along @ spread) * along) * shots[r]
        known = of_step[~self.plan.of_metric]
        of_step[self.plan.of_metric] = known.sum() / max(np.count_nonzero(known), 1)
        return of_loss, of_step

    def needs(self, weights: np.ndarray, bends: np.ndarray | None, size: int) -> tuple[np.ndarray, np.ndarray]:
        """What one shot of each request adds to the variances of the entries of the loss's gradient, (P, R), and what
        it moves the loss and such an entry by at most, (2, R)."""
        shots = np.array([outcome.shots for outcome in self.outcomes])
        variances, reach = np.zeros((size, len(shots))), np.zeros((2, len(shots)))
        linear = np.zeros((size, len(shots)))
        if bends is not None:
            linear[self.piece.parameters] = self._linear
        for r, spread in enumerate(self._values[1]):
            template = self.plan.requests[r].template
            if self.plan.coefficients[template] is None:
                continue
            bound = np.abs(self.piece.planner.coefficients(self.plan.templates[template])).sum(axis=1)
            for k, share in self.piece.planner.part.shares.items():
                bound[k] /= share
            reach[0, r] = abs(self.plan.energy_weights[r]) * np.abs(weights) @ bound
            if bends is not None:
                moves = np.outer(linear[:, r], weights) + self.plan.energy_weights[r] * bends.T
                variances[:, r] = np.sum((moves @ spread) * moves, axis=1) * shots[r]
                reach[1, r] = (np.abs(moves) @ bound).max(initial=0.0)
        return variances, reach

    def metric_worth(self) -> np.ndarray:
        """The shots (R,) that a standard error of 1 takes in every entry of this sample's metric."""
        if self.plan.metric is None:
            return np.zeros(len(self.outcomes))
        read = self.of_metric
        return self.plan.metric.entry_worth(read, self.plan.metric.estimate(read).parts)

    @property
    def of_metric(self) -> Readout:
        """What is read for the metric alone: the outputs are known already."""
        plan = self.plan
        nothing = (None,) * len(plan.templates)
        return Readout(
            replace(plan, mixing=None, energy_weights=np.zeros(plan.num_circuits), coefficients=nothing), self.outcomes
        )

    def gauss_newton_errors(self, bends: np.ndarray, hessian: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """What the errors of this sample's Jacobian J make in JᵀLJ: the variance (P, P) to first order, with
        `bends` = L·J (K, P), and the bias, with its own block `hessian` (K, K) of L (None: not known, counted as 0)."""
        size = bends.shape[1]
        variance, bias = np.zeros((size, size)), np.zeros((size, size))
        linear = np.zeros((size, len(self.outcomes)))
        linear[self.piece.parameters] = self._linear
        for r, spread in enumerate(self._values[1]):
            own = linear[:, r]
            if not spread.any() or not own.any():
                continue
            inner = bends.T @ spread @ bends
            squares = np.outer(own**2, np.diag(inner))
            variance += squares + squares.T + 2 * np.outer(own, own) * inner
            if hessian is not None:
                bias += float(np.sum(hessian * spread)) * np.outer(own, own)
        return variance, bias


def _read(
    outcome: Outcome, template: Template, weights: np.ndarray, tails: MeasuredTails | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The values (K,) of Σ_t weights[k, t]·⟨string t⟩ and their covariance (K, K). Where the shots say too little of an
    output, it is widened by what was not seen, as one energy's is."""
    least = unseen(outcome.shots) * _square(template.reduced(weights.T))
    if tails is not None:
        return _read_tails(counts_of(outcome), template, weights, tails, least)
    if not isinstance(outcome, Counts):
        count = weights.shape[1]
        values, spread = weights @ outcome.values[:count], (weights * outcome.stderr[:count] ** 2) @ weights.T
        return values, _widened(spread, least)
    return _mean_of(outcome, weighted_values(outcome, template, weights.T), np.abs(weights).sum(axis=1), least)


def _read_tails(
    outcome: Counts, template: Template, weights: np.ndarray, tails: MeasuredTails, least: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The same where some outputs are a CVaR, for which h takes the place of the value of a shot."""
    per_shot, bound = weighted_values(outcome, template, weights.T), np.abs(weights).sum(axis=1)
    for k in tails.outputs:
        if weights[k].any():
            per_shot[:, k], floor, _ = tails.read(k, outcome, template, weights[k])
            least[k], least[:, k] = 0.0, 0.0
            least[k, k] = floor
            bound[k] /= tails.share(k)
    return _mean_of(outcome, per_shot, bound, least)


def _mean_of(
    outcome: Counts, per_shot: np.ndarray, bound: np.ndarray, least: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The mean (K,) of values of every distinct outcome (U, K), none larger than `bound` (K,), and its covariance, with
    `least` (K, K) for what was not seen."""
    values = outcome.counts @ per_shot / outcome.shots
    if outcome.shots < 2:  # nothing is known of the spread but its bound
        return values, np.outer(bound, bound)
    centred = per_shot - values
    spread = (outcome.counts[:, None] * centred).T @ centred / (outcome.shots - 1) / outcome.shots
    return values, _widened(spread, least)


def _square(rows: np.ndarray) -> np.ndarray:
    return rows.T @ rows


def _widened(spread: np.ndarray, least: np.ndarray) -> np.ndarray:
    """A covariance with as much of `least` as the output that needs most of it."""
    own, floor = np.diag(spread), np.diag(least)
    missing = np.asarray(widened(own, floor)) - own
    part = np.max(missing / np.where(floor > 0, floor, 1.0), initial=0.0)
    return spread + part * least


def outputs_of(pieces: Sequence[Measured], count: int, num_outputs: int) -> np.ndarray:
    """The outputs (b, K) of `count` samples."""
    found = np.zeros((count, num_outputs))
    for each in pieces:
        found[each.piece.place, each.piece.columns] = each.outputs
    return found
