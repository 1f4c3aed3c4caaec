"""A run as its data files hold it: what plots are drawn from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

CHEMICAL_ACCURACY = 1.6e-3  # hartree, about 1 kcal/mol
HISTORY_COLUMNS = (
    "step", "energy", "stderr", "error", "accepted", "decrease", "predicted_decrease", "rate", "length", "radius",
    "gradient_norm", "natural_norm", "rank", "condition", "smallest", "largest", "damping", "jobs", "circuits", "shots",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class RunData:
    """A run as read back from its folder: `result` is result.json, `history` maps each of `HISTORY_COLUMNS`
    to an array (steps + 1,), NaN where a cell is empty; `eigenvalues` is (steps, P), ascending, NaN
    where a step saw none."""

    result: dict[str, Any]
    history: dict[str, np.ndarray]
    eigenvalues: np.ndarray

    @property
    def name(self) -> str:
        """The problem's name."""
        return str(self.result["problem"]["name"])

    @property
    def unit(self) -> str:
        """The unit of its energies, or nothing."""
        return str(self.result["problem"]["unit"])

    @property
    def reference(self) -> float | None:
        """Its reference energy, or None."""
        energy = self.result["problem"]["reference_energy"]
        return None if energy is None else float(energy)
