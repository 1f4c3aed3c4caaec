"""What steps by light cones take."""

from __future__ import annotations

from dataclasses import dataclass

from qngd._system.brief import brief_fields
from qngd._system.memory import format_bytes
from qngd.estimates.estimate import format_seconds
from qngd.exact.cones.outlook import Crowd
from qngd.run.pricing.here import PriceHere, of_starts


@dataclass(frozen=True)
class ConePrice(PriceHere):
    """What one step by light cones takes: no circuits, but time and memory of this machine.

    Attributes:
        backend: its name.
        energy: the light cones of energy and gradient.
        metric: those of the metric; None where it comes with the gradients of single terms.
        steps, restarts: how many steps from how many starts the run was priced for.
    """

    backend: str
    energy: Crowd
    metric: Crowd | None
    steps: int
    restarts: int = 1

    @property
    def num_bytes(self) -> int:
        """The memory that a step takes."""
        return max(self.energy.num_bytes, 0 if self.metric is None else self.metric.num_bytes)

    @property
    def seconds(self) -> float:
        """Time of one step on this machine, good to a factor of three."""
        return self.energy.seconds + (0.0 if self.metric is None else self.metric.seconds)

    @property
    def run_seconds(self) -> float:
        """Time of the whole run, if every step takes one evaluation."""
        return self.seconds * self.num_evaluations

    __repr__ = brief_fields

    def rows(self) -> dict[str, str]:
        """The price for people, from row names to text."""
        return {
            "backend": self.backend,
            "energy, gradient": str(self.energy),
            "metric": "from the gradients of single terms" if self.metric is None else str(self.metric),
            "memory": f"about {format_bytes(self.num_bytes)}",
            "time": f"about {format_seconds(self.seconds)} a step, after planning",
            of_starts(self.steps, self.restarts): f"about {format_seconds(self.run_seconds)}",
        }
