"""What steps by Pauli propagation take."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from qngd._system.memory import format_bytes
from qngd.errors import counted
from qngd.estimates.estimate import format_seconds
from qngd.evaluators.pauli_propagation import PropagationEvaluator
from qngd.exact.cones.outlook import Crowd
from qngd.exact.propagation import LeftOut
from qngd.metrics.base import Metric
from qngd.run.pricing.here import PriceHere, of_starts


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
        steps, restarts: how many steps from how many starts the run was priced for.
    """

    backend: str
    left_out: LeftOut
    metric: Crowd | None
    num_bytes: int
    seconds: float
    steps: int
    restarts: int = 1

    @property
    def run_seconds(self) -> float:
        """Time of the whole run, if every step takes one evaluation."""
        return self.seconds * self.num_evaluations

    def rows(self) -> dict[str, str]:
        """The price for people, from row names to text."""
        seen = self.left_out
        return {
            "backend": self.backend,
            "energy, gradient": f"{counted(seen.strings, 'Pauli string')}, up to {seen.most} at a time, "
            f"{counted(seen.pairs, 'pair')} turned",
            "error": f"at most {seen.bound:.2g}, about {seen.norm:.2g} if the signs of what is left out are random",
            "metric": "none that takes light cones" if self.metric is None else str(self.metric),
            "memory": f"about {format_bytes(self.num_bytes)}",
            "time": f"about {format_seconds(self.seconds)} a step, after planning",
            of_starts(self.steps, self.restarts): f"about {format_seconds(self.run_seconds)}",
        }


def price_of_propagation(
    evaluator: PropagationEvaluator, theta: np.ndarray, metric: Metric, steps: int, restarts: int
) -> PropagationPrice:
    """One energy with its gradient is computed twice, the first time compiled."""
    left_out, of_metric = evaluator.outlook(theta), evaluator.metric_outlook(metric)
    start = time.perf_counter()
    evaluator.outlook(theta)
    seconds = time.perf_counter() - start
    num_bytes = left_out.num_bytes(evaluator.circuit.num_qubits)
    if of_metric is not None:
        seconds, num_bytes = seconds + of_metric.seconds, max(num_bytes, of_metric.num_bytes)
    return PropagationPrice(evaluator.name, left_out, of_metric, num_bytes, seconds, steps, restarts)
