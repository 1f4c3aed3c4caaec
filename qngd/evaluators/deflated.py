"""Energies with penalties on overlaps with states that were found before (arXiv:1805.08138).

F(θ) = ⟨H⟩ + Σ_i w_i·|⟨ψ_i|ψ(θ)⟩|² is the energy of H + Σ_i w_i·|ψ_i⟩⟨ψ_i|, in which the states found before are lifted
by w_i: its lowest state is the lowest of H that is orthogonal to them all, if every w_i exceeds the gap from ψ_i to it.
The metric is that of ψ(θ), as ever.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from qngd.circuit.active import active_qubits, flips_zeros, moved_qubits, without_idle
from qngd.circuit.circuit import Circuit
from qngd.circuit.observable import Observable
from qngd.errors import MemoryLimitError, SettingError, counted
from qngd.estimates.estimate import Estimate
from qngd.estimates.evaluation import Cost, Evaluation, Spread
from qngd.evaluators.base import Evaluator
from qngd.evaluators.bounded import without_bounds
from qngd.evaluators.exact import ExactEvaluator
from qngd.evaluators.forwarding import ForwardingEvaluator, innermost
from qngd.evaluators.sampled import SampledEvaluator
from qngd.evaluators.submission import run_plan
from qngd.exact.point import simulator_of
from qngd.gradients.base import Asked
from qngd.measured.deflation import Penalties
from qngd.measured.readout import overlaps_of
from qngd.metrics.base import Metric

OF_OBJECTIVES = "circuit: an Objective has no excited states; give a circuit and an observable"
OF_TAILS = "observable: a CVaR has no excited states; give the observable itself"


class ExactDeflated(ForwardingEvaluator):
    """Another exact evaluator's answers, with the penalties added to energy and gradient."""

    is_mean = True  # of H + Σ_i w_i·|ψ_i⟩⟨ψ_i|

    def __init__(self, inner: Evaluator, penalties: Penalties) -> None:
        super().__init__(inner)
        self.penalties = penalties
        self._simulator = simulator_of(inner.circuit)
        if not self._simulator.fits:
            raise MemoryLimitError(
                f"excited states take overlaps of whole states, and a statevector of {inner.circuit.num_qubits} qubits "
                "does not fit in memory; give a backend with shots, which measures them"
            )
        self._states = [self._simulator.state(self.circuit.angle_map(theta)) for theta in penalties.thetas]

    def energies(
        self, points: Sequence[np.ndarray], seed: int | None = None, spread: Spread | None = None
    ) -> tuple[list[Estimate], Cost]:
        found, cost = self.inner.energies(points, seed)
        lifts = (self.penalties.weights @ self._overlaps(theta) for theta in points)
        return [replace(each, value=each.value + lift) for each, lift in zip(found, lifts, strict=True)], cost

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

    def undeflated(
        self, theta: np.ndarray, seed: int | None, spread: Spread | None = None
    ) -> tuple[Estimate, Estimate, Cost]:
        """The energy without penalties, and the overlaps (D,)."""
        found = self.inner.evaluate(theta, gradient=False, metric=None, seed=seed)
        return found.energy, Estimate.exact(self._overlaps(theta)), found.cost

    def undeflated_cost(self, theta: np.ndarray, spread: Spread | None = None) -> Cost:
        """What `undeflated` would cost."""
        return self.inner.preview(theta, gradient=False, metric=None, spread=None)


class SampledDeflated(SampledEvaluator):
    """A sampled evaluator's answers with the penalties added, in the same submission."""

    def __init__(self, inner: SampledEvaluator, penalties: Penalties) -> None:
        vars(self).update(vars(inner))
        self.planner = inner.planner.lifted(penalties)
        self._kept = None

    def undeflated(
        self, theta: np.ndarray, seed: int | None, spread: Spread | None = None
    ) -> tuple[Estimate, Estimate, Cost]:
        """The energy without penalties, the overlaps (D,), and what they cost: one submission, with shots after the
        `spread` of an evaluation nearby."""
        plan = self._energy_plan(theta, spread, seed)
        outcomes, cost = run_plan(self.backend, plan, seed, None)  # no step of the run that the log is of
        energy = self._answer(plan.without_overlaps, outcomes, theta, cost).energy
        return energy, overlaps_of(plan, outcomes), cost

    def undeflated_cost(self, theta: np.ndarray, spread: Spread | None = None) -> Cost:
        """What `undeflated` would cost."""
        return self.preview(theta, gradient=False, metric=None, spread=spread)


def energy_spread(evaluator: Evaluator, observable: Observable, theta: np.ndarray) -> float:
    """√(⟨H²⟩ − ⟨H⟩²) of the observable without penalties, NaN where it is not known: from shots, or where strings have
    X or Y on qubits that the circuit leaves in |0⟩."""
    inner = innermost(evaluator)
    if not isinstance(inner, ExactEvaluator):
        return float("nan")
    circuit = inner.circuit
    moved = active_qubits(circuit)[moved_qubits(without_idle(circuit).generators)]
    if flips_zeros(circuit.pull(observable), moved):
        return float("nan")
    return inner.energy_spread(theta)


Deflated = ExactDeflated | SampledDeflated


def require_overlaps(evaluator: Evaluator) -> None:
    """Raise BackendError where it is known that overlaps cannot be measured."""
    inner = without_bounds(evaluator)
    if isinstance(inner, SampledEvaluator):
        theta = np.zeros(inner.circuit.num_parameters)
        SampledDeflated(inner, Penalties(theta[None], np.ones(1))).undeflated_cost(theta)


def require_room(count: int, circuit: Circuit, argument: str) -> None:
    """Raise SettingError, which names the argument, if there are not so many orthogonal states."""
    num_qubits = circuit.num_qubits
    if count.bit_length() > num_qubits and count > 1 << num_qubits:
        room = f"a circuit of {counted(num_qubits, 'qubit')} has {1 << num_qubits} orthogonal states"
        raise SettingError(f"{argument}: {room}; got {count}")


def deflated(inner: Evaluator, thetas: Sequence[np.ndarray], weights: Sequence[float]) -> Deflated:
    """The evaluator, which has no bounds, with penalties on these states.

    Raises:
        MemoryLimitError: they do not fit in memory.
    """
    penalties = Penalties(np.array(thetas), np.array(weights, dtype=float))
    return SampledDeflated(inner, penalties) if isinstance(inner, SampledEvaluator) else ExactDeflated(inner, penalties)
