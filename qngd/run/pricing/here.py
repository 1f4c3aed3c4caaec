"""What a run on this machine takes, whatever computes it."""

from __future__ import annotations

from abc import ABC, abstractmethod

from qngd._system.columns import rows_lines
from qngd._system.html import rows_table
from qngd.errors import counted
from qngd.estimates.evaluation import Cost


def of_starts(steps: int, restarts: int) -> str:
    """What is priced, in words: a run of so many steps, or several."""
    text = counted(steps, "step")
    return text if restarts == 1 else f"{restarts} starts of {text}"


class PriceHere(ABC):
    """The price of `steps` steps from each of `restarts` starts, for which no circuit runs on a device."""

    steps: int
    restarts: int

    @property
    def step(self) -> Cost:
        """One step is one job; no circuit runs on a device, and there are no shots."""
        return Cost(jobs=1)

    @property
    def run(self) -> Cost:
        """The whole run, its start included, or those from all starts."""
        return self.step * self.num_evaluations

    @property
    def num_evaluations(self) -> int:
        """How many a run takes, its start included, or those from all starts, if every step takes one."""
        return (self.steps + 1) * self.restarts

    @abstractmethod
    def rows(self) -> dict[str, str]:
        """The price for people, from row names to text."""

    def __str__(self) -> str:
        return "\n".join(rows_lines(self.rows()))

    def _repr_html_(self) -> str:
        """For notebooks: the price as a table."""
        return rows_table(f"{type(self).__name__} of {of_starts(self.steps, self.restarts)}", self.rows())
