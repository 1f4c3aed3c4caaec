"""The Gauss–Newton metric of an objective's outputs: JᵀLJ with the Jacobian J of the outputs by θ, and the second
derivatives L of the loss by the outputs (after arXiv:2604.05627)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from qngd.errors import SettingError
from qngd.metrics.base import Metric

_FLAT = 1e-14  # of the largest eigenvalue: one below it is none


@dataclass(frozen=True)
class GaussNewton(Metric):
    """The metric in output space. It is no metric of single states, so that only an `Objective` has it."""

    name = "gauss-newton"

    def exact(self, point: Any) -> NoReturn:
        raise self._refusal()

    def asked(self, draft: Any) -> NoReturn:
        raise self._refusal()

    def estimate(self, read: Any) -> NoReturn:
        raise self._refusal()

    def _refusal(self) -> SettingError:
        return SettingError(
            'approx="gauss-newton" is a metric of outputs: write qngd.Objective(…, metric="gauss-newton")'
        )


def gauss_newton_matrix(jacobian: np.ndarray, bends: np.ndarray) -> np.ndarray:
    """JᵀLJ (P, P) from J and L·J, (b, K, P) each."""
    flat, bent = (each.reshape(-1, each.shape[-1]) for each in (jacobian, bends))
    matrix = flat.T @ bent
    return 0.5 * (matrix + matrix.T)


def without_negative(matrix: np.ndarray) -> np.ndarray:
    """A symmetric matrix without its negative eigenvalues."""
    if not np.all(np.isfinite(matrix)):
        return matrix
    values, vectors = np.linalg.eigh(matrix)
    if len(values) and values[0] < -_FLAT * max(abs(values[-1]), abs(values[0])):
        return (vectors * np.maximum(values, 0.0)) @ vectors.T
    return matrix
