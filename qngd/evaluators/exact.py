"""Answers from the embedded statevector simulator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
from scipy import sparse

from qngd.circuit.active import as_measured, moved_qubits, without_idle
from qngd.circuit.circuit import Circuit
from qngd.circuit.observable import Observable
from qngd.errors import ObservableError
from qngd.estimates.estimate import Estimate, MetricTensor
from qngd.estimates.evaluation import Approx, Cost, Evaluation, Spread
from qngd.exact.basis_samples import basis_samples
from qngd.exact.simulator import Ends, Simulator
from qngd.exact.statevector import Terms
from qngd.metrics.hamiltonian import missing_observable, scale
from qngd.metrics.random_basis import average
from qngd.metrics.spsa import metric_from, random_pairs

_KEPT_UP_TO = 1 << 24  # amplitudes: two states between calls, 512 MiB
_CHEAP = 4  # steps without a metric: up to here a full one is taken from the start
_STEP = 400_000  # turns of an amplitude in the time that a step takes beside its sweeps
_FULL_UP_TO = 1 << 24  # amplitudes of all derivative states, 256 MiB: full metric by default


@lru_cache(maxsize=16)
def simulator_of(circuit: Circuit, whole: bool = False) -> Simulator:
    """One for all calls about a circuit: it keeps what it has planned. On the qubits that leave |0⟩, or the `whole` of
    the active ones."""
    active = without_idle(circuit)
    return Simulator(active, None if whole else moved_qubits(active.generators))


class ExactEvaluator:
    """Answers from the embedded statevector simulator."""

    is_exact = True
    name = "exact statevector"
    note = ""

    def __init__(self, circuit: Circuit, observable: Observable | None) -> None:
        self.circuit = circuit
        self._simulator = simulator_of(circuit)
        self._pulled = None if observable is None else without_idle(circuit).pull(as_measured(observable, circuit))
        self._terms = None if self._pulled is None else self._simulator.terms(self._pulled)
        # of the last energy that was asked for alone: a gradient there, which often comes next, goes on from its states
        self._last: tuple[np.ndarray, Ends] | None = None

    def default_approx(self) -> Approx:
        amplitudes = self.circuit.num_parameters << self._simulator.num_qubits
        return "full" if amplitudes <= _FULL_UP_TO else "block-diag"

    def first_approx(self) -> Approx:
        return self.default_approx() if self._full_metric_is_cheap() else "block-diag"

    def _full_metric_is_cheap(self) -> bool:
        # in turns of an amplitude: three sweeps of a gradient, and half a sweep for each derivative state; this is what
        # was measured for 4 to 16 qubits and 2 to 140 parameters
        gradient = 3 * len(self.circuit.generators) << self._simulator.num_qubits
        metric = gradient * (1 + self.circuit.num_parameters / 6)
        return metric <= _CHEAP * (gradient + _STEP)

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
        terms = self._terms_there_are()
        slope: np.ndarray | None = None
        tensor: MetricTensor | None = None
        if metric in ("block-diag", "diag") and gradient:
            self._last = None
            diagonal = metric == "diag"
            matrix, energy, slope = self._simulator.block_metric(phi, jacobian, terms, diagonal)
            tensor = MetricTensor.exact(matrix, metric, self.circuit.split_note)
        else:
            ends = self._ends(phi, terms)
            energy = ends.energy
            if gradient:
                slope = self._simulator.slopes(ends)
            elif len(ends.state[0]) <= _KEPT_UP_TO:
                self._last = phi, ends
            if metric is not None:
                del ends  # its states
                tensor = self._metric(theta, phi, jacobian, metric, seed)
        return Evaluation(
            theta=theta,
            energy=Estimate.exact(np.float64(energy)),
            gradient=None if slope is None else Estimate.exact(jacobian.T @ slope),
            metric=tensor,
            cost=Cost(jobs=1, circuits=1),
        )

    def _terms_there_are(self) -> Terms:
        """The observable's; raises ObservableError if none was given."""
        if self._terms is None:
            raise ObservableError("observable: an energy needs one, and none was given")
        return self._terms

    def _ends(self, phi: np.ndarray, terms: Terms) -> Ends:
        """Those at the angles φ; none are kept then, since a gradient uses them up."""
        last, self._last = self._last, None
        if last is not None and np.array_equal(last[0], phi):
            return last[1]
        del last  # two states that may be needed
        return self._simulator.ends(phi, terms)

    def energies(self, points: Sequence[np.ndarray], seed: int | None = None) -> tuple[list[Estimate], Cost]:
        terms = self._terms_there_are()
        phis = (self.circuit.angle_map(theta) for theta in points)
        found = [Estimate.exact(np.float64(self._simulator.expectation(phi, terms))) for phi in phis]
        return found, self.preview_energies(points[0], len(points)) if len(points) else Cost()

    def preview_energies(self, theta: np.ndarray, count: int) -> Cost:
        return Cost(jobs=1, circuits=count)

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
            re, im = self._simulator.state(self.circuit.angle_map(at))
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
    simulator: Simulator, pulled: Observable, phi: np.ndarray, jacobian: sparse.csr_array
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
