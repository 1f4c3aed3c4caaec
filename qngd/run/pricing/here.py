"""What a run on this machine takes, whatever computes it."""

from __future__ import annotations

from abc import ABC, abstractmethod

from qngd._system.columns import rows_lines
from qngd._system.html import rows_table
from qngd.errors import counted
from qngd.estimates.evaluation import Cost


class PriceHere(ABC):
    """The price of `steps` steps for which no circuit runs on a device."""

    steps: int

    @property
    def step(self) -> Cost:
        """One step is one job; no circuit runs on a device, and there are no shots."""
        return Cost(jobs=1)

    @property
    def run(self) -> Cost:
        """The whole run, its start included."""
        return self.step * (self.steps + 1)

    @abstractmethod
    def rows(self) -> dict[str, str]:
        """The price for people, from row names to text."""

    def __str__(self) -> str:
        return "\n".join(rows_lines(self.rows()))

    def _repr_html_(self) -> str:
        """For notebooks: the price as a table."""
        return rows_table(f"{type(self).__name__} of {counted(self.steps, 'step')}", self.rows())
