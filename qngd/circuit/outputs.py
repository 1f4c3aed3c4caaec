"""What a circuit gives out: one expectation value, or several."""

from __future__ import annotations

from dataclasses import dataclass

from qngd.circuit.observable import Observable


@dataclass(frozen=True, eq=False)
class Outputs:
    """K observables whose expectation values are the outputs; `is_list` is False where there is one that stands
    alone, and the outputs of a circuit have the shape () then, else (K,)."""

    observables: tuple[Observable, ...]
    is_list: bool = True

    def __len__(self) -> int:
        return len(self.observables)
