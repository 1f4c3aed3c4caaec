"""What an optimization asks of a circuit at one θ: energy, gradient and metric, each with its error."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal, Protocol

import numpy as np
from scipy import sparse

from qngd.circuit.active import as_measured, moved_qubits, without_idle
from qngd.circuit.circuit import Circuit
from qngd.circuit.observable import Observable
from qngd.errors import ObservableError, check_word
from qngd.estimates.estimate import Estimate, MetricTensor
from qngd.exact.simulator import Simulator
from qngd.metrics.hamiltonian import exact_matrix, missing_observable
from qngd.metrics.random_basis import average, exact_samples
from qngd.metrics.spsa import metric_from, random_pairs

Approx = Literal["diag", "block-diag", "full", "qn-spsa", "random-basis", "hamiltonian"]
APPROXIMATIONS = ("diag", "block-diag", "full", "qn-spsa", "random-basis", "hamiltonian")
RANDOM = ("qn-spsa", "random-basis")  # whose circuits the seed decides
_FULL_UP_TO = 1 << 24  # amplitudes of all derivative states, 256 MiB: full metric by default


@dataclass(frozen=True)
class Cost:
    """What was spent: jobs, circuits run and shots taken; and, where the backend compiles circuits, the depth
    and the two-qubit gates of the largest of them after compilation."""

    jobs: int = 0
    circuits: int = 0
    shots: int = 0
    depth: int = 0
    two_qubit_gates: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.jobs + other.jobs,
            self.circuits + other.circuits,
            self.shots + other.shots,
            max(self.depth, other.depth),
            max(self.two_qubit_gates, other.two_qubit_gates),
        )

    def __mul__(self, count: int) -> Cost:
        """What is spent by so many times the same."""
        return replace(self, jobs=self.jobs * count, circuits=self.circuits * count, shots=self.shots * count)

    def __sub__(self, other: Cost) -> Cost:
        """What was spent since `other`."""
        return replace(
            self,
            jobs=self.jobs - other.jobs,
            circuits=self.circuits - other.circuits,
            shots=self.shots - other.shots,
        )

    def __str__(self) -> str:
        spent = f"{self.jobs} jobs, {self.circuits} circuits, {self.shots} shots"
        if not self.depth:
            return spent
        return f"{spent}; circuits up to depth {self.depth} with {self.two_qubit_gates} two-qubit gates"


@dataclass(frozen=True, eq=False)
class Spread:
    """Per request of a plan (R,): what one shot adds to the variance of its energy and of the natural gradient step,
    and `metric`, the shots that a standard error of 1 takes in every entry of the metric that it enters."""

    energy: np.ndarray
    metric: np.ndarray
    step: np.ndarray


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Estimates at the flat parameter vector `theta` (P,); those not asked for are None."""

    theta: np.ndarray
    energy: Estimate
    gradient: Estimate | None
    metric: MetricTensor | None
    cost: Cost
    spread: Spread | None = None

    @property
    def is_finite(self) -> bool:
        """Whether no number in it is NaN or infinite."""
        parts = [self.energy.value]
        parts += [part.value for part in (self.gradient, self.metric) if part is not None]
        return all(bool(np.all(np.isfinite(part))) for part in parts)

    def completed(self, other: Evaluation) -> Evaluation:
        """This energy with the gradient and metric of a later evaluation at the same θ."""
        return replace(self, gradient=other.gradient, metric=other.metric, cost=self.cost + other.cost)


class Evaluator(Protocol):
    """Answers what a step asks. Calls with the same arguments and seed give the same answer."""

    circuit: Circuit

    @property
    def name(self) -> str:
        """Where its answers come from."""

    @property
    def note(self) -> str:
        """What the user should know about all its answers, or nothing."""

    @property
    def is_exact(self) -> bool:
        """Whether its answers carry no statistical error."""

    def default_approx(self) -> Approx:
        """The metric to use where the user has not chosen."""

    def evaluate(
        self,
        theta: np.ndarray,
        *,
        gradient: bool,
        metric: Approx | None,
        seed: int | None,
        spread: Spread | None = None,
    ) -> Evaluation:
        """Energy, and gradient and metric if asked for, in one submission. `spread` is that of an evaluation of
        the same kind nearby, for rules that share out shots."""

    def metric(self, theta: np.ndarray, approx: Approx, seed: int | None) -> MetricTensor:
        """The metric alone."""

    def preview(self, theta: np.ndarray, *, gradient: bool, metric: Approx | None, spread: Spread | None) -> Cost:
        """What `evaluate` would cost at most, without running anything."""

    def metric_product(self, theta: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        """v ↦ g·v with the full metric at θ, which is never made; SettingError where the answers are not exact."""


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

    def default_approx(self) -> Approx:
        amplitudes = self.circuit.num_parameters << self._simulator.num_qubits
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
            value, stderr, note = average(exact_samples(simulator_of(self.circuit, whole=True), phi, jacobian, seed))
            return MetricTensor(value, stderr, approx, note=note)
        if approx == "hamiltonian":
            if self._pulled is None:
                raise missing_observable()
            matrix = exact_matrix(self._simulator, self._pulled, phi, jacobian)
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


def check_approx(approx: str) -> None:
    """Raise SettingError unless `approx` names an approximation of the metric."""
    check_word(approx, APPROXIMATIONS, "approx")
