"""Energies with penalties on overlaps with states that were found before (arXiv:1805.08138).

F(θ) = ⟨H⟩ + Σ_i w_i·|⟨ψ_i|ψ(θ)⟩|² is the energy of H + Σ_i w_i·|ψ_i⟩⟨ψ_i|, in which the states found before are lifted
by w_i: its lowest state is the lowest of H that is orthogonal to them all, if every w_i exceeds the gap from ψ_i to it.
The metric is that of ψ(θ), as ever.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from qngd.circuit.active import active_qubits, flips_zeros, moved_qubits, without_idle
from qngd.circuit.circuit import Circuit
from qngd.circuit.observable import Observable
from qngd.errors import MemoryLimitError, SettingError
from qngd.estimates.estimate import Estimate, MetricTensor
from qngd.estimates.evaluation import Cost, Evaluation, Spread
from qngd.evaluators.base import Evaluator
from qngd.evaluators.exact import ExactEvaluator
from qngd.evaluators.sampled import SampledEvaluator
from qngd.evaluators.submission import run_plan
from qngd.exact.point import simulator_of
from qngd.gradients.base import Asked
from qngd.measured.deflation import DeflatedPlan, OverlapPlanner
from qngd.measured.outcomes import Outcome
from qngd.measured.plan import Plan
from qngd.measured.shots import FixedShots
from qngd.metrics.base import Metric


@dataclass(frozen=True, eq=False)
class Penalties:
    """The states ψ(θ_i) of the same circuit, by their flat parameters `thetas` (D, P), and the `weights` (D,)."""

    thetas: np.ndarray
    weights: np.ndarray

    def __len__(self) -> int:
        return len(self.weights)


class ExactDeflated:
    """Another exact evaluator's answers, with the penalties added to energy and gradient."""

    is_exact = True
    is_mean = True  # of H + Σ_i w_i·|ψ_i⟩⟨ψ_i|

    def __init__(self, inner: Evaluator, penalties: Penalties) -> None:
        self.circuit: Circuit = inner.circuit
        self.penalties = penalties
        self.inner = inner
        self._simulator = simulator_of(inner.circuit)
        if not self._simulator.fits:
            raise MemoryLimitError(
                f"excited states take overlaps of whole states, and a statevector of {inner.circuit.num_qubits} qubits "
                "does not fit in memory; give a backend with shots, which measures them"
            )
        self._states = [self._simulator.state(self.circuit.angle_map(theta)) for theta in penalties.thetas]

    @property
    def name(self) -> str:
        return self.inner.name

    @property
    def note(self) -> str:
        return self.inner.note

    def default_metric(self) -> Metric:
        return self.inner.default_metric()

    def first_metric(self) -> Metric:
        return self.inner.first_metric()

    def energies(self, points: Sequence[np.ndarray], seed: int | None = None) -> tuple[list[Estimate], Cost]:
        found, cost = self.inner.energies(points, seed)
        lifts = (self.penalties.weights @ self._overlaps(theta) for theta in points)
        return [replace(each, value=each.value + lift) for each, lift in zip(found, lifts, strict=True)], cost

    def preview_energies(self, theta: np.ndarray, count: int) -> Cost:
        return self.inner.preview_energies(theta, count)

    def _overlaps(self, theta: np.ndarray) -> np.ndarray:
        return self._simulator.overlaps(self.circuit.angle_map(theta), self._states)

    def evaluate(
        self,
        theta: np.ndarray,
        *,
        gradient: Asked = True,
        metric: Metric | None = None,
        seed: int | None = None,
        spread: Spread | None = None,
    ) -> Evaluation:
        found = self.inner.evaluate(theta, gradient=gradient, metric=metric, seed=seed, spread=spread)
        phi, jacobian = self.circuit.angle_map.linearize(theta)
        weights = self.penalties.weights
        slope = found.gradient
        if slope is None:
            overlaps = self._simulator.overlaps(phi, self._states)
        else:
            overlaps, over_rotations = self._simulator.overlaps_and_slope(phi, self._states, weights)
            slope = replace(slope, value=slope.value + jacobian.T @ over_rotations)
        energy = replace(found.energy, value=found.energy.value + weights @ overlaps)
        return replace(found, energy=energy, gradient=slope)

    def undeflated(self, theta: np.ndarray, seed: int | None) -> tuple[Estimate, Estimate, Cost]:
        """The energy without penalties, and the overlaps (D,)."""
        found = self.inner.evaluate(theta, gradient=False, metric=None, seed=seed)
        return found.energy, Estimate.exact(self._overlaps(theta)), found.cost

    def undeflated_cost(self, theta: np.ndarray) -> Cost:
        """What `undeflated` would cost."""
        return self.inner.preview(theta, gradient=False, metric=None, spread=None)

    def metric(self, theta: np.ndarray, metric: Metric, seed: int | None) -> MetricTensor:
        return self.inner.metric(theta, metric, seed)

    def preview(self, theta: np.ndarray, *, gradient: Asked, metric: Metric | None, spread: Spread | None) -> Cost:
        return self.inner.preview(theta, gradient=gradient, metric=metric, spread=spread)

    def metric_product(self, theta: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        return self.inner.metric_product(theta)


class SampledDeflated(SampledEvaluator):
    """A sampled evaluator's answers with the penalties added, in the same submission."""

    def __init__(self, inner: SampledEvaluator, penalties: Penalties) -> None:
        super().__init__(*inner.made_with)
        if not isinstance(self.shots, FixedShots):
            raise SettingError(
                "shots: excited states take a number of shots a circuit, as rules that share out shots know nothing of "
                "overlaps; write shots=1000"
            )
        self.penalties = penalties
        self._overlaps = OverlapPlanner(self.planner, penalties.thetas)

    def _completed(self, plan: Plan, theta: np.ndarray, gradient: bool) -> Plan:
        return self._overlaps.added(plan, theta, gradient)

    def _answer(self, plan: Plan, outcomes: Sequence[Outcome], theta: np.ndarray, cost: Cost) -> Evaluation:
        found = super()._answer(plan, outcomes, theta, cost)
        if not isinstance(plan, DeflatedPlan):  # of a metric alone
            return found
        weights, overlaps = self.penalties.weights, plan.overlaps(outcomes)
        value = found.energy.value + weights @ overlaps.value
        error = np.sqrt(found.energy.stderr**2 + weights**2 @ overlaps.stderr**2)
        gradient = found.gradient
        if gradient is not None:
            slope, covariance = plan.gradient_of(outcomes, weights)
            assert gradient.covariance is not None
            together = gradient.covariance + covariance
            gradient = Estimate(gradient.value + slope, np.sqrt(np.diag(together)), gradient.shots, together)
        energy = Estimate(np.float64(value), error, found.energy.shots)
        return replace(found, energy=energy, gradient=gradient, shots_for=None)  # the overlaps are in both

    def undeflated(self, theta: np.ndarray, seed: int | None) -> tuple[Estimate, Estimate, Cost]:
        """The energy without penalties, the overlaps (D,), and what they cost: one submission."""
        bare = self._overlaps.added(self.planner.plan(theta, gradient=False), theta, False)
        plan = self._with_shots(bare, None)
        outcomes, cost = run_plan(self.backend, plan, seed, None)  # no step of the run that the log is of
        assert isinstance(plan, DeflatedPlan)
        return super()._answer(plan, outcomes, theta, cost).energy, plan.overlaps(outcomes), cost

    def undeflated_cost(self, theta: np.ndarray) -> Cost:
        """What `undeflated` would cost."""
        return self.preview(theta, gradient=False, metric=None, spread=None)


def energy_spread(evaluator: Evaluator, observable: Observable, theta: np.ndarray) -> float:
    """√(⟨H²⟩ − ⟨H⟩²) of the observable without penalties, NaN where it is not known: from shots, or where strings have
    X or Y on qubits that the circuit leaves in |0⟩."""
    inner = evaluator.inner if isinstance(evaluator, ExactDeflated) else evaluator
    if not isinstance(inner, ExactEvaluator):
        return float("nan")
    circuit = inner.circuit
    moved = active_qubits(circuit)[moved_qubits(without_idle(circuit).generators)]
    if flips_zeros(circuit.pull(observable), moved):
        return float("nan")
    return inner.energy_spread(theta)


Deflated = ExactDeflated | SampledDeflated


def deflated(inner: Evaluator, thetas: Sequence[np.ndarray], weights: Sequence[float]) -> Deflated:
    """The evaluator with penalties on these states.

    Raises:
        SettingError: it shares out shots by a rule that knows nothing of overlaps.
    """
    penalties = Penalties(np.array(thetas), np.array(weights, dtype=float))
    return SampledDeflated(inner, penalties) if isinstance(inner, SampledEvaluator) else ExactDeflated(inner, penalties)
