"""What a circuit gives out: one expectation value, or several."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from qngd.circuit.observable import Observable


@dataclass(frozen=True, eq=False)
class Outputs:
    """K observables whose expectation values are the outputs; `is_list` is False where there is one that stands
    alone, and the outputs of a circuit have the shape () then, else (K,). `shares` has the α of those, by their number,
    of which the output is a CVaR."""

    observables: tuple[Observable, ...]
    is_list: bool = True
    shares: Mapping[int, float] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.observables)
