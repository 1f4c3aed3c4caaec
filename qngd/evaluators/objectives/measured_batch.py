"""What came back for the samples of a batch, and what follows for the loss.

Errors of shots go through the loss to first order (the delta method): with the derivatives w of the loss by the outputs
and its second ones L, an error δo of the outputs moves the loss by w·δo, and the gradient Σ_bk w_bk·∇o_bk by
w·δ(∇o) + (L·δo)·∇o. Errors that a correction of readout makes in all outcomes of a submission move all samples
together. What is of second order, such as ½·L·Cov(o) in the loss, is not in it: it falls as 1/shots, the
errors themselves as its root.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property

import numpy as np

from qngd.estimates.estimate import Estimate, MetricTensor
from qngd.estimates.positive import projected
from qngd.evaluators.objectives.gauss_newton import GaussNewton, gauss_newton_matrix
from qngd.evaluators.objectives.joint import Piece
from qngd.evaluators.objectives.measured import Measured, Worth
from qngd.evaluators.objectives.model import Model
from qngd.measured.metric import Estimated
from qngd.measured.outcomes import moved_together, one_by_one
from qngd.measured.spread import damped_root

_WHOLE_HESSIAN = 400  # outputs of a batch up to which all second derivatives of the loss are taken


class MeasuredBatch:
    """The pieces of these samples, ascending."""

    def __init__(self, model: Model, pieces: Sequence[Measured], samples: np.ndarray) -> None:
        self._model, self._pieces, self._samples = model, pieces, samples
        self._size = model.num_parameters

    @cached_property
    def outputs(self) -> np.ndarray:
        """(b, K)."""
        found = np.zeros((len(self._samples), self._model.num_outputs))
        for each in self._pieces:
            found[each.piece.place, each.piece.columns] = each.outputs
        return found

    @property
    def output_errors(self) -> np.ndarray:
        """The standard errors of the outputs, (b, K)."""
        found = np.zeros_like(self.outputs)
        for each in self._pieces:
            variances = np.diag(each.covariance) + (each.shared_in_outputs**2).sum(axis=0)
            found[each.piece.place, each.piece.columns] = np.sqrt(variances)
        return found

    @cached_property
    def _loss(self) -> tuple[float, np.ndarray]:
        """The loss, and its derivatives (b, K)."""
        return self._model.loss_of(self.outputs, self._samples)

    @property
    def _shots(self) -> int:
        return sum(outcome.shots for each in self._pieces for outcome in each.outcomes)

    @property
    def energy(self) -> Estimate:
        """The loss with its error, w·Cov(o)·w."""
        (value, weights), variance = self._loss, 0.0
        for each in self._pieces:
            own = weights[each.piece.place, each.piece.columns]
            variance += float(own @ each.covariance @ own)
        shared = np.einsum("cbk,bk->c", self._shared_in_outputs, weights)
        variance = max(variance, 0.0) + float(shared @ shared)
        return Estimate(np.float64(value), np.float64(np.sqrt(variance)), self._shots)

    @cached_property
    def _shared_in_outputs(self) -> np.ndarray:
        """How errors that all outcomes share, one standard error large, move the outputs, (C, b, K)."""
        moves = (((each.piece.place, each.piece.columns), each.shared_in_outputs) for each in self._pieces)
        return moved_together(self.outputs.shape, moves)

    @cached_property
    def _shared_in_jacobian(self) -> np.ndarray:
        """The same of their derivatives, (C, b, K, P)."""
        moves = ((_in_jacobian(each.piece), each.shared_in_jacobian[:, None]) for each in self._pieces)
        return moved_together(self._jacobian.shape, moves)

    @property
    def energy_scale(self) -> float:
        """What the loss changes by where every output changes by the deviation of its observable."""
        return self._model.scale_of(self._loss[1], self._samples)

    @cached_property
    def _jacobian(self) -> np.ndarray:
        """(b, K, P)."""
        found = np.zeros((*self.outputs.shape, self._size))
        for each in self._pieces:
            found[_in_jacobian(each.piece)] = each.jacobian[None]
        return found

    @cached_property
    def _bends(self) -> np.ndarray:
        """L·J, (b, K, P)."""
        return self._model.bent_jacobian(self.outputs, self._samples, self._jacobian)

    @cached_property
    def gradient(self) -> Estimate:
        """The gradient of the loss with its covariance."""
        _, weights = self._loss
        value, spread = np.zeros(self._size), np.zeros((self._size, self._size))
        for each in self._pieces:
            place, columns = each.piece.place, each.piece.columns
            own = weights[place, columns]
            value[each.piece.parameters] += own @ each.jacobian
            spread += each.gradient_covariance(own, self._bends[place, columns])
        shared = np.einsum("bk,cbkp->cp", weights, self._shared_in_jacobian)
        shared += np.einsum("cbk,bkp->cp", self._shared_in_outputs, self._bends)
        spread += shared.T @ shared
        return Estimate(value, np.sqrt(np.diag(spread)), self._shots, spread)

    def worth(self, with_gradient: bool, metric: MetricTensor | None) -> list[Worth]:
        """What a shot of each piece's requests is worth."""
        _, weights = self._loss
        root, found = self._root(metric), []
        for each in self._pieces:
            place, columns = each.piece.place, each.piece.columns
            bends = self._bends[place, columns] if with_gradient else None
            found.append(each.worth(weights[place, columns], bends, root, metric is not None))
        return found

    def signal(self, metric: MetricTensor | None) -> float:
        """The square of the natural gradient, without what the errors of the gradient add to it."""
        root, gradient = self._root(metric), self.gradient
        assert gradient.covariance is not None
        return float(np.sum((root @ gradient.value) ** 2) - np.sum(root * (root @ gradient.covariance)))

    def _root(self, metric: MetricTensor | None) -> np.ndarray:
        return np.eye(self._size) if metric is None else damped_root(metric)

    def average(self) -> MetricTensor:
        """The Fubini–Study metric, averaged over the samples."""
        value, variance = np.zeros((2, self._size, self._size))
        count, shots, tensor = len(self._samples), 0, None
        notes: dict[str, None] = {}
        for each in self._pieces:
            tensor = each.metric.tensor
            place = _in_metric(each.piece)
            value[place] += tensor.raw / count
            variance[place] += (tensor.raw_stderr / count) ** 2
            shots += tensor.shots
            if tensor.unprojected is None and tensor.note:
                notes[tensor.note] = None
        assert tensor is not None
        found = projected(value, np.sqrt(variance), tensor.approx, shots, "; ".join(notes))
        return Estimated(found, moved=self._average_moved).whole

    def _average_moved(self) -> Iterator[np.ndarray]:
        """How each error that all outcomes share moves the average of the metrics, (P, P) each."""
        moves = [(_in_metric(each.piece), each.metric.moved()) for each in self._pieces]
        return (moved / len(self._samples) for moved in one_by_one((self._size, self._size), moves))

    def gauss_newton(self) -> MetricTensor:
        """JᵀLJ without the bias that the errors of J make in it, as far as it is known."""
        bends, hessian = self._bends, self._hessian()
        raw = gauss_newton_matrix(self._jacobian, bends)
        variance = np.zeros_like(raw)
        for each in self._pieces:
            place, columns = each.piece.place, each.piece.columns
            own = None if hessian is None else hessian[place, columns, place, columns]
            moved, bias = each.gauss_newton_errors(bends[place, columns], own)
            variance += moved
            raw = raw - bias
        for moved in self._shared_in_jacobian:
            along = np.einsum("bkp,bkq->pq", moved, bends)
            variance += (along + along.T) ** 2
            if hessian is not None:
                raw = raw - np.einsum("bkp,bkcl,clq->pq", moved, hessian, moved, optimize=True)
        note = "" if hessian is not None else "errors of shots make it too large; take more shots, or smaller batches"
        return projected(raw, np.sqrt(variance), GaussNewton.name, self._shots, note)

    def _hessian(self) -> np.ndarray | None:
        """All second derivatives of the loss, (b, K, b, K), if they are few."""
        count = self.outputs.size
        if count > _WHOLE_HESSIAN:
            return None
        units = np.eye(count).reshape(count, *self.outputs.shape)
        return self._model.bends_of(self.outputs, self._samples, units).reshape(*self.outputs.shape * 2)


def _in_metric(piece: Piece) -> tuple[np.ndarray, ...]:
    """Where the metric of a piece is in that of all parameters."""
    return np.ix_(piece.parameters, piece.parameters)


def _in_jacobian(piece: Piece) -> tuple[np.ndarray, ...]:
    """Where the derivatives of a piece's outputs are among those of a batch."""
    columns = np.arange(piece.columns.start, piece.columns.stop)
    return np.ix_(np.array([piece.place]), columns, piece.parameters)
