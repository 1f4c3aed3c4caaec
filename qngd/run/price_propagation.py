"""What steps by Pauli propagation take."""

from __future__ import annotations

from dataclasses import dataclass

from qngd._system.memory import format_bytes
from qngd.estimates.estimate import format_seconds
from qngd.exact.cones.outlook import Crowd
from qngd.exact.propagation import LeftOut
from qngd.run.price_here import PriceHere


@dataclass(frozen=True)
class PropagationPrice(PriceHere):
    """What one step by Pauli propagation takes: no circuits, but time and memory of this machine, and an error. Only
    angles tell which strings are left out, so one energy with its gradient was computed at the start.

    Attributes:
        backend: its name.
        left_out: what that left out, and took.
        metric: the light cones of the metric; None where a step takes none.
        num_bytes: the memory that a step takes.
        seconds: time of one step: the energy's was measured, the metric's is good to a factor of three.
        steps: how many steps the run was priced for.
    """

    backend: str
    left_out: LeftOut
    metric: Crowd | None
    num_bytes: int
    seconds: float
    steps: int

    @property
    def run_seconds(self) -> float:
        """Time of the whole run, if every step takes one evaluation."""
        return self.seconds * (self.steps + 1)

    def rows(self) -> dict[str, str]:
        """The price for people, from row names to text."""
        seen = self.left_out
        return {
            "backend": self.backend,
            "energy, gradient": f"{seen.strings} Pauli strings, up to {seen.most} at a time, {seen.pairs} pairs turned",
            "error": f"at most {seen.bound:.2g}, about {seen.norm:.2g} if the signs of what is left out are random",
            "metric": "none that takes light cones" if self.metric is None else str(self.metric),
            "memory": f"about {format_bytes(self.num_bytes)}",
            "time": f"about {format_seconds(self.seconds)} a step, after planning",
            f"{self.steps} steps": f"about {format_seconds(self.run_seconds)}",
        }
