"""Making an estimated metric positive."""

from __future__ import annotations

import numpy as np


def project(matrix: np.ndarray) -> tuple[np.ndarray, str]:
    """The nearest positive semidefinite matrix in the Frobenius norm, and a note on what the projection did."""
    values, vectors = np.linalg.eigh(matrix)
    rounding = len(values) * np.finfo(float).eps * np.abs(values).max(initial=0.0)
    negative = values < -rounding
    if not negative.any():
        return matrix, ""
    fixed = (vectors * np.maximum(values, 0.0)) @ vectors.T
    note = (
        f"projected onto the positive cone: {int(negative.sum())} of {len(values)} eigenvalues were negative, the "
        f"lowest {values[0]:.3g}; the matrix moved by {np.linalg.norm(values[negative]):.3g}"
    )
    return 0.5 * (fixed + fixed.T), note
