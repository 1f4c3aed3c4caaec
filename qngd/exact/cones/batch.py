"""The exact engine by light cones on a batch: one circuit at the angles of many samples, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from qngd.circuit.circuit import Circuit
from qngd.circuit.observable import Observable
from qngd.exact.batch import BatchAngles, Kind, metric_of_one
from qngd.exact.cones.simulator import ConeSimulator


class ConeBatch:
    """What a `BatchSimulator` gives, by light cones. Which angles are equal depends on the sample, so that no cone
    stands for another.

    Raises:
        MemoryLimitError: an output depends on too much of the circuit; the text names the term.
    """

    def __init__(self, circuit: Circuit, outputs: Sequence[Observable]) -> None:
        self.simulator = ConeSimulator(circuit, np.arange(len(circuit.generators), dtype=np.uint64))
        self.num_outputs = len(outputs)
        self._terms = [self.simulator.terms(each) for each in outputs]

    def forward(
        self, angles: BatchAngles, kind: Kind | None
    ) -> tuple[np.ndarray, np.ndarray | None, Callable[[np.ndarray], np.ndarray]]:
        """As `BatchSimulator.forward`."""
        values = np.array([[self.simulator.expectation(phi, terms) for terms in self._terms] for phi in angles.phi])
        metric = None
        if kind is not None:
            metric = np.sum([metric_of_one(self.simulator, angles, row, kind) for row in range(len(angles))], axis=0)
        return values.reshape(len(angles), self.num_outputs), metric, lambda weights: self._gradients(angles, weights)

    def _gradients(self, angles: BatchAngles, weights: np.ndarray) -> np.ndarray:
        found = np.zeros_like(angles.phi)
        for row, own in enumerate(weights):
            for k in np.flatnonzero(own):
                found[row] += own[k] * self.simulator.energy_and_gradient(angles.phi[row], self._terms[k])[1]
        return angles.over_parameters(found)
