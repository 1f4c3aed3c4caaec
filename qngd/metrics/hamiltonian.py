"""The Hamiltonian-aware metric of H-QNG (Shi & Wang, arXiv:2511.14511).

For H = Σ_s a_s P_s, the identity left out,

    T_ij = Σ_s a_s² ∂_i⟨P_s⟩ ∂_j⟨P_s⟩ / (2√(Σ_s a_s²)):

the metric of the space in which a_s⟨P_s⟩ are coordinates, pulled back to the parameters. The gradient's own circuits
measure it. It has the unit of H, and its rank is at most the number of strings.
"""

from __future__ import annotations

import numpy as np

from qngd.errors import SettingError


def missing_observable() -> SettingError:
    """The error where a metric is asked for that does not exist without an observable."""
    return SettingError(
        'approx="hamiltonian" is a metric of circuit and observable, and no observable was given: pass observable=, '
        'or take "block-diag"'
    )


def scale(coefficients: np.ndarray) -> float:
    """1/(2√(Σ a_s²)) of the coefficients without that of the identity; 0 if there are no others."""
    norm = float(np.linalg.norm(coefficients))
    return 0.5 / norm if norm > 0 else 0.0
