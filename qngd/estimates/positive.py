"""Making an estimated metric positive."""

from __future__ import annotations

import numpy as np

from qngd.errors import counted, joined
from qngd.estimates.estimate import MetricTensor


def project(matrix: np.ndarray) -> tuple[np.ndarray, str]:
    """The nearest positive semidefinite matrix in the Frobenius norm, and a note on what the projection did."""
    values, vectors = np.linalg.eigh(matrix)
    rounding = len(values) * np.finfo(float).eps * np.abs(values).max(initial=0.0)
    negative = values < -rounding
    if not negative.any():
        return matrix, ""
    fixed = (vectors * np.maximum(values, 0.0)) @ vectors.T
    note = (
        f"projected onto the positive cone: {int(negative.sum())} of {counted(len(values), 'eigenvalue')} were "
        "negative, the "
        f"lowest {values[0]:.3g}; the matrix moved by {np.linalg.norm(values[negative]):.3g}"
    )
    return 0.5 * (fixed + fixed.T), note


def projected(value: np.ndarray, stderr: np.ndarray, approx: str, shots: int, note: str = "") -> MetricTensor:
    """The metric from an unbiased estimate `value` (P, P), which may be indefinite, and its standard errors."""
    if shots:
        value, stderr = _without_still(value, stderr)
    positive, done = project(value)
    notes = joined(note, done)
    if not done:
        return MetricTensor(value, stderr, approx, shots, notes)
    return MetricTensor.made_positive(positive, value, stderr, approx, shots, notes)


def _without_still(value: np.ndarray, stderr: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of parameters that certainly do not move the state are 0, as |g_ij|² ≤ g_ii·g_jj: what shots
    say there is noise, which a projection would spread."""
    rounding = 4 * np.finfo(float).eps
    still = (np.abs(np.diag(value)) <= rounding) & (np.diag(stderr) <= rounding)
    either = np.logical_or.outer(still, still)
    return np.where(either, 0.0, value), np.where(either, 0.0, stderr)
