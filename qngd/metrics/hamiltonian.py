"""The Hamiltonian-aware metric of H-QNG (Shi & Wang, arXiv:2511.14511).

For H = Σ_s a_s P_s, the identity left out,

    T_ij = Σ_s a_s² ∂_i⟨P_s⟩ ∂_j⟨P_s⟩ / (2√(Σ_s a_s²)):

the metric of the space in which a_s⟨P_s⟩ are coordinates, pulled back to the parameters. The gradient's own circuits
measure it. It has the unit of H, and its rank is at most the number of strings. H is what it is on the qubits that
gates act on, with all others |0⟩: strings that then agree are one, and those with X or Y there, whose means are 0, do
not count.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy import sparse

from qngd._system.keywords import hinted
from qngd.circuit.observable import Observable
from qngd.estimates.estimate import MetricTensor
from qngd.estimates.positive import projected
from qngd.exact.point import Point
from qngd.measured.draft import Draft
from qngd.measured.influence import SECOND_LEAST
from qngd.measured.metric import Estimated
from qngd.measured.outcomes import one_by_one
from qngd.measured.plan import Plan
from qngd.measured.readout import Readout
from qngd.measured.spread import StepModel
from qngd.metrics.base import Metric
from qngd.metrics.squared_slopes import Readings, readings_of, variances_of


@hinted
@dataclass(frozen=True)
class HamiltonianAware(Metric):
    """Σ_s a_s² ∂_i⟨P_s⟩ ∂_j⟨P_s⟩ / (2√Σ a_s²), from the gradient's own circuits."""

    name = "hamiltonian"
    needs_observable = True
    needs_gradient = True

    def exact(self, point: Point) -> MetricTensor:
        """By one forward and one reverse sweep a string, in a few states' memory."""
        pulled, engine, jacobian = point.observable, point.engine, point.jacobian
        assert pulled is not None
        slopes = np.zeros((jacobian.shape[1], 0))
        rows = pulled.acting
        if len(rows):
            single = (Observable(pulled.strings[[s]], pulled.coefficients[[s]]) for s in rows)
            slopes = np.stack(
                [jacobian.T @ engine.energy_and_gradient(point.phi, engine.terms(one))[1] for one in single],
                axis=1,
            )
        return MetricTensor.exact(scale(pulled.coefficients[rows]) * slopes @ slopes.T, self.name)

    def asked(self, draft: Draft) -> None:
        return None

    def estimate(self, read: Readout) -> Estimated:
        """Its parts are the readings of each template."""
        size, factor = read.plan.num_parameters, _scale(read.plan)
        value, shots, kept = np.zeros((size, size)), 0, []
        variance, second, moves = np.zeros((size, size)), np.zeros((size, size)), []
        for readings in readings_of(read):
            slopes = readings.slopes
            bias = (readings.linear * readings.noise) @ readings.linear.T
            value += factor * (slopes @ slopes.T - bias.toarray())
            for each in readings.shared:
                moved = readings.linear @ each
                value -= factor * moved @ moved.T
            moves.append(partial(_moved, factor, readings.linear, slopes, readings.shared))
            parts = variances_of(readings, slopes)
            variance += factor**2 * parts[0]
            second += factor**2 * parts[1]
            shots += sum(read.outcomes[r].shots for r in readings.requests)
            if read.with_spread:  # they are large
                kept.append(readings)
        stderr = np.sqrt(np.maximum(variance, SECOND_LEAST * second))
        tensor = projected(value, stderr, self.name, shots)
        return Estimated(tensor, kept, lambda: one_by_one((size, size), [((), each()) for each in moves]))

    def step_worth(self, read: Readout, parts: Sequence[Readings], step: StepModel) -> np.ndarray:
        """Gradient and metric are of the same shots: with noise e_r in request r the step moves by
        (g + λ)^−½(L_r(1ᵀe_r) − δT·direction), and δT = c(L_r(Xe_r)ᵀ + Xe_rL_rᵀ)."""
        found = np.zeros(read.plan.num_circuits)
        factor = _scale(read.plan)
        for readings in parts:
            slopes = readings.slopes
            along, moved = slopes.T @ step.direction, step.root @ slopes
            ahead, share = step.root @ readings.linear.toarray(), readings.linear.T @ step.direction
            for place, request in enumerate(readings.requests):
                change = np.outer(ahead[:, place], 1 - factor * along) - factor * share[place] * moved
                found[request] += float(np.sum((change @ readings.covariances[place]) * change))
        return found * read.shots

    def shots_for(self, plan: Plan, seen: np.ndarray, error: float, needed: np.ndarray) -> np.ndarray:
        """Those of the gradient."""
        return needed


def _moved(factor: float, linear: sparse.csr_array, slopes: np.ndarray, shared: np.ndarray) -> Iterator[np.ndarray]:
    """How each shared error moves factor·XXᵀ of one template's slopes X, (P, P) of C; `linear` takes what it does to
    the requests (C, R, m) to these."""
    for each in shared:
        along = factor * (linear @ each) @ slopes.T
        yield along + along.T


def _scale(plan: Plan) -> float:
    weights = [each for each in plan.coefficients if each is not None]
    return scale(np.concatenate(weights)) if weights else 0.0


def scale(coefficients: np.ndarray) -> float:
    """1/(2√(Σ a_s²)) of the coefficients without that of the identity; 0 if there are no others."""
    norm = float(np.linalg.norm(coefficients))
    return 0.5 / norm if norm > 0 else 0.0
