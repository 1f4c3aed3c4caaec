"""Answers from the embedded statevector simulator."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from scipy import sparse

from qngd.circuit.active import as_measured, moved_qubits, without_idle
from qngd.circuit.circuit import Circuit
from qngd.circuit.observable import Observable
from qngd.errors import ObservableError
from qngd.estimates.estimate import Estimate, MetricTensor
from qngd.estimates.evaluation import Approx, Cost, Evaluation, Spread
from qngd.exact.basis_samples import basis_samples
from qngd.exact.engine import Engine
from qngd.exact.simulator import Simulator
from qngd.metrics.hamiltonian import missing_observable, scale
from qngd.metrics.random_basis import average
from qngd.metrics.spsa import metric_from, random_pairs

_FULL_UP_TO = 1 << 24  # amplitudes of all derivative states, 256 MiB: full metric by default


@lru_cache(maxsize=16)
def simulator_of(circuit: Circuit, whole: bool = False) -> Simulator:
    """One for all calls about a circuit: it keeps what it has planned. On the qubits that leave |0⟩, or the `whole` of
    the active ones."""
    active = without_idle(circuit)
    return Simulator(active, None if whole else moved_qubits(active.generators))


class ExactEvaluator:
    """Answers from the embedded statevector simulator, or from another exact engine."""

    is_exact = True
    name = "exact statevector"
    note = ""

    def __init__(self, circuit: Circuit, observable: Observable | None, engine: Engine | None = None) -> None:
        self.circuit = circuit
        self._simulator = simulator_of(circuit) if engine is None else engine
        self._pulled = None if observable is None else without_idle(circuit).pull(as_measured(observable, circuit))
        self._terms: Any = None if self._pulled is None else self._simulator.terms(self._pulled)

    def default_approx(self) -> Approx:
        amplitudes = self.circuit.num_parameters << simulator_of(self.circuit).num_qubits
        return "full" if amplitudes <= _FULL_UP_TO else "block-diag"

    def evaluate(
        self,
        theta: np.ndarray,
        *,
        gradient: bool = True,
        metric: Approx | None = None,
        seed: int | None = None,
        spread: Spread | None = None,
    ) -> Evaluation:
        phi, jacobian = self.circuit.angle_map.linearize(theta)
        if self._terms is None:
            raise ObservableError("observable: an energy needs one, and none was given")
        slope: np.ndarray | None = None
        tensor: MetricTensor | None = None
        if metric in ("block-diag", "diag") and gradient:
            diagonal = metric == "diag"
            matrix, energy, slope = self._simulator.block_metric(phi, jacobian, self._terms, diagonal)
            tensor = MetricTensor.exact(matrix, metric, self.circuit.split_note)
        else:
            if metric is not None:
                tensor = self._metric(theta, phi, jacobian, metric, seed)
            if gradient:
                energy, slope = self._simulator.energy_and_gradient(phi, self._terms)
            else:
                energy = self._simulator.expectation(phi, self._terms)
        return Evaluation(
            theta=theta,
            energy=Estimate.exact(np.float64(energy)),
            gradient=None if slope is None else Estimate.exact(jacobian.T @ slope),
            metric=tensor,
            cost=Cost(jobs=1, circuits=1),
        )

    def metric(self, theta: np.ndarray, approx: Approx, seed: int | None = None) -> MetricTensor:
        phi, jacobian = self.circuit.angle_map.linearize(theta)
        return self._metric(theta, phi, jacobian, approx, seed)

    def _metric(
        self, theta: np.ndarray, phi: np.ndarray, jacobian: sparse.csr_array, approx: Approx, seed: int | None
    ) -> MetricTensor:
        if approx == "qn-spsa":
            return self._spsa(theta, seed)
        if approx == "random-basis":
            value, stderr, note = average(basis_samples(simulator_of(self.circuit, whole=True), phi, jacobian, seed))
            return MetricTensor(value, stderr, approx, note=note)
        if approx == "hamiltonian":
            if self._pulled is None:
                raise missing_observable()
            matrix = _hamiltonian_metric(self._simulator, self._pulled, phi, jacobian)
        elif approx == "full":
            matrix = self._simulator.full_metric(phi, jacobian)
        else:
            matrix = self._simulator.block_metric(phi, jacobian, diagonal=approx == "diag")[0]
            return MetricTensor.exact(matrix, approx, self.circuit.split_note)
        return MetricTensor.exact(matrix, approx)

    def _spsa(self, theta: np.ndarray, seed: int | None) -> MetricTensor:
        """Exact overlaps in random directions."""

        def state(at: np.ndarray) -> np.ndarray:
            re, im = simulator_of(self.circuit).state(self.circuit.angle_map(at))
            return re + 1j * im

        here = state(theta)
        samples = [
            pair.sample([abs(np.vdot(here, state(theta + shift))) ** 2 for shift in pair.shifts])
            for pair in random_pairs(len(theta), seed)
        ]
        return metric_from(samples)

    def preview(
        self, theta: np.ndarray, *, gradient: bool = True, metric: Approx | None = None, spread: Spread | None = None
    ) -> Cost:
        return Cost(jobs=1, circuits=1)

    def metric_product(self, theta: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        """v ↦ g·v with the full metric at θ: two sweeps over the circuit a product."""
        phi, jacobian = self.circuit.angle_map.linearize(theta)
        return lambda vector: self._simulator.metric_product(phi, jacobian, vector)


def _hamiltonian_metric(
    simulator: Engine, pulled: Observable, phi: np.ndarray, jacobian: sparse.csr_array
) -> np.ndarray:
    """T (P, P) of the pulled observable, by one forward and one reverse sweep a string, in a few states' memory."""
    slopes = np.zeros((jacobian.shape[1], 0))
    rows = pulled.acting
    if len(rows):
        single = (Observable(pulled.strings[[s]], pulled.coefficients[[s]]) for s in rows)
        slopes = np.stack(
            [jacobian.T @ simulator.energy_and_gradient(phi, simulator.terms(one))[1] for one in single], axis=1
        )
    return scale(pulled.coefficients[rows]) * slopes @ slopes.T
