"""What came back for one sample of an objective: its outputs, their derivatives, and errors.

A request of an observables' template has the values v_rk = Σ_t C_kt·⟨string t⟩, one for each of K outputs, with a
covariance, as they come from the same shots; those of different requests are independent, but for errors that a
correction of readout makes in all of a submission:

    o_k = constant_k + Σ_r weights_r·v_rk,   ∇o_k = mixing·slopes·v_k.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from qngd.evaluators.objectives.joint import Piece
from qngd.evaluators.objectives.tails import MeasuredTails
from qngd.measured.metric import Estimated
from qngd.measured.outcomes import (
    Counts,
    Outcome,
    covariance_of_shots,
    moved_together,
    shared_errors,
    unseen,
    weighted_values,
    widened,
)
from qngd.measured.plan import Request
from qngd.measured.readout import Readout, shots_asked
from qngd.measured.tail import counts_of
from qngd.measured.template import Template


class Worth(NamedTuple):
    """What a shot of each request (R,) adds to the variances of the loss, of the step, and of the gradient's entries,
    (P, R); what it moves the loss and such an entry by at most, `reach` (2, R); and the shots that unit error of the
    sample's metric takes."""

    loss: np.ndarray
    step: np.ndarray
    entries: np.ndarray
    reach: np.ndarray
    metric: np.ndarray


class Measured:
    """The outcomes of one piece, and the outputs in them."""

    def __init__(self, piece: Piece, outcomes: Sequence[Outcome], sent: Sequence[Request], is_noisy: bool) -> None:
        plan = piece.plan
        own = slice(piece.start, piece.start + plan.num_circuits)
        self.piece = piece
        self.outcomes = outcomes[own]
        asked = zip(plan.requests, sent[own], strict=True)
        requests = tuple(replace(request, shots=as_sent.shots) for request, as_sent in asked)
        self.plan = replace(plan, requests=requests, is_noisy=is_noisy)
        # the requests of outputs, each with its coefficients (K, m)
        self._requests = [
            (r, piece.planner.coefficients(plan.templates[request.template]))
            for r, request in enumerate(plan.requests)
            if plan.coefficients[request.template] is not None
        ]

    @cached_property
    def _values(self) -> tuple[np.ndarray, np.ndarray]:
        """v (R, K) and its covariances (R, K, K); 0 for requests of the metric."""
        count = self.piece.columns.stop - self.piece.columns.start
        values, spreads = np.zeros((len(self.outcomes), count)), np.zeros((len(self.outcomes), count, count))
        for r, weights in self._requests:
            at_theta = bool(self.plan.energy_weights[r])
            values[r], spreads[r] = _read(self.outcomes[r], self.plan.reading(r), weights, self._tails, at_theta)
        return values, spreads

    @cached_property
    def _tails(self) -> MeasuredTails | None:
        """Of the outputs that are a CVaR."""
        planner = self.piece.planner
        shares = planner.part.shares
        return MeasuredTails(self.plan, self.outcomes, planner, shares) if shares else None

    @cached_property
    def _shared(self) -> np.ndarray:
        """How the errors that all outcomes of a submission share, one standard error large, move v, (C, R, K)."""
        errors = ((r, shared_errors(self.outcomes[r], weights.shape[1]) @ weights.T) for r, weights in self._requests)
        return moved_together(self._values[0].shape, (((r,), own) for r, own in errors))

    @property
    def outputs(self) -> np.ndarray:
        """(K,)."""
        return self.piece.planner.constants + self.plan.energy_weights @ self._values[0]

    @property
    def covariance(self) -> np.ndarray:
        """Of the outputs by this piece's own shots, (K, K)."""
        return np.einsum("r,rkl->kl", self.plan.energy_weights**2, self._values[1])

    @property
    def shared_in_outputs(self) -> np.ndarray:
        """How shared errors move the outputs, (C, K)."""
        found: np.ndarray = np.einsum("r,crk->ck", self.plan.energy_weights, self._shared)
        return found

    @cached_property
    def _linear(self) -> np.ndarray:
        """(p, R): takes values to derivatives."""
        assert self.plan.mixing is not None
        return (self.plan.mixing @ self.plan.slopes).toarray()

    def _column(self, r: int, size: int) -> np.ndarray:
        """By what the values of a request count in all derivatives, (P,)."""
        found = np.zeros(size)
        found[self.piece.parameters] = self._linear[:, r]
        return found

    @property
    def jacobian(self) -> np.ndarray:
        """The derivatives of the outputs, (K, p)."""
        return (self._linear @ self._values[0]).T

    @property
    def shared_in_jacobian(self) -> np.ndarray:
        """How shared errors move these, (C, K, p)."""
        return np.swapaxes(self._linear @ self._shared, 1, 2)

    def gradient_covariance(self, weights: np.ndarray, bends: np.ndarray) -> np.ndarray:
        """Of Σ_k w_k·∇o_k, where errors of the outputs also change the weights, by which the gradient of the whole
        moves by `bends` (K, P): the covariance (P, P) of both together, by this piece's own shots."""
        total = self._quantiles(weights, bends.shape[1])
        for r, _ in self._requests:
            moves = self._moves(r, weights, bends)
            total += moves @ self._values[1][r] @ moves.T
        return total

    def _moves(self, r: int, weights: np.ndarray, bends: np.ndarray) -> np.ndarray:
        """How the gradient moves with the values of a request, (P, K)."""
        return np.outer(self._column(r, bends.shape[1]), weights) + self.plan.energy_weights[r] * bends.T

    def _quantiles(self, weights: np.ndarray, size: int) -> np.ndarray:
        """What the errors of the tails' quantiles add to the covariance (P, P) of Σ_k w_k·∇o_k."""
        tails, moves = self._tails, []
        if tails is None:
            return np.zeros((size, size))
        for k in tails.outputs:
            along = np.zeros(size)
            for r, own in self._requests:
                if own[k].any():
                    moved = tails.read(k, counts_of(self.outcomes[r]), self.plan.reading(r), own[k])[1]
                    along += weights[k] * moved * self._column(r, size)
            moves.append(along)
        together = np.array(moves).T
        found: np.ndarray = together @ tails.correlation @ together.T
        return found

    def worth(self, weights: np.ndarray, bends: np.ndarray | None, root: np.ndarray, with_metric: bool) -> Worth:
        """What a shot of each request is worth, of the step by `root` (P, P) times the gradient. Of a step, requests of
        a metric alone count as those of the gradient do on average."""
        count = len(self.outcomes)
        loss, step = np.zeros((2, count))
        entries, reach = np.zeros((len(root), count)), np.zeros((2, count))
        for r, own in self._requests:
            weight, bound = self.plan.energy_weights[r], self._bound(own)
            spread = self._values[1][r] * shots_asked(self.plan.requests[r], self.outcomes[r])  # of one shot
            loss[r] = weight**2 * max(weights @ spread @ weights, 0.0)  # rounding may take it below
            reach[0, r] = abs(weight) * (np.abs(weights) @ bound)
            if bends is not None:
                moves = self._moves(r, weights, bends)
                along = root @ moves
                step[r] = max(np.sum((along @ spread) * along), 0.0)
                entries[:, r] = np.maximum(np.sum((moves @ spread) * moves, axis=1), 0.0)
                reach[1, r] = (np.abs(moves) @ bound).max(initial=0.0)
        step[self.plan.of_metric] = step.sum() / max(np.count_nonzero(step), 1)
        return Worth(loss, step, entries, reach, self._metric_worth() if with_metric else np.zeros(count))

    def _bound(self, weights: np.ndarray) -> np.ndarray:
        """The largest values (K,) that one shot gives with these coefficients (K, m)."""
        bound = np.abs(weights).sum(axis=1)
        for k, share in self.piece.planner.part.shares.items():
            bound[k] /= share
        return bound

    @cached_property
    def _of_metric(self) -> Readout:
        """What is read for the metric alone: the outputs are known already."""
        plan = self.plan
        nothing = (None,) * len(plan.templates)
        return Readout(
            replace(plan, mixing=None, energy_weights=np.zeros(plan.num_circuits), coefficients=nothing), self.outcomes
        )

    @cached_property
    def metric(self) -> Estimated:
        """This sample's metric."""
        assert self.plan.metric is not None
        return self.plan.metric.estimate(self._of_metric)

    def _metric_worth(self) -> np.ndarray:
        """The shots (R,) that a standard error of 1 takes in every entry of this sample's metric."""
        if self.plan.metric is None:
            return np.zeros(len(self.outcomes))
        return self.plan.metric.entry_worth(self._of_metric, self.metric.parts)

    def gauss_newton_errors(self, bends: np.ndarray, hessian: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """What the errors of this sample's Jacobian J by its own shots make in JᵀLJ: the variance (P, P) to first
        order, with `bends` = L·J (K, P), and the bias, with its own block `hessian` (K, K) of L (None: not known,
        counted as 0)."""
        size = bends.shape[1]
        variance, bias = np.zeros((size, size)), np.zeros((size, size))
        for r, _ in self._requests:
            own, spread = self._column(r, size), self._values[1][r]
            if not spread.any() or not own.any():
                continue
            inner = bends.T @ spread @ bends
            squares = np.outer(own**2, np.diag(inner))
            variance += squares + squares.T + 2 * np.outer(own, own) * inner
            if hessian is not None:
                bias += float(np.sum(hessian * spread)) * np.outer(own, own)
        return variance, bias


def _read(
    outcome: Outcome, template: Template, weights: np.ndarray, tails: MeasuredTails | None, at_theta: bool
) -> tuple[np.ndarray, np.ndarray]:
    """The values (K,) of Σ_t weights[k, t]·⟨string t⟩ and their covariance (K, K) by the outcome's own shots. Where
    these say too little of an output, it is widened by what was not seen, as one energy's is."""
    least = unseen(outcome.shots) * _square(template.reduced(weights.T))
    if tails is not None:
        return _read_tails(counts_of(outcome), template, weights, tails, at_theta, least)
    if not isinstance(outcome, Counts):
        count = weights.shape[1]
        spread = weights @ covariance_of_shots(outcome, count) @ weights.T
        return weights @ outcome.values[:count], _widened(spread, least)
    return _mean_of(outcome, weighted_values(outcome, template, weights.T), np.abs(weights).sum(axis=1), least)


def _read_tails(
    outcome: Counts, template: Template, weights: np.ndarray, tails: MeasuredTails, at_theta: bool, least: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The same where some outputs are a CVaR, for which h takes the place of the value of a shot."""
    per_shot, bound = weighted_values(outcome, template, weights.T), np.abs(weights).sum(axis=1)
    for k in tails.outputs:
        if weights[k].any():
            per_shot[:, k], _ = tails.read(k, outcome, template, weights[k])
            least[k], least[:, k] = 0.0, 0.0
            least[k, k] = tails.of(k).least(outcome.shots, at_theta)
            bound[k] = tails.of(k).bound(bound[k], at_theta)
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
