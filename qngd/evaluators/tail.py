"""CVaR in the place of an energy: see `qngd.cvar` and `qngd.estimates.tail`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qngd._system.memory import require_bytes
from qngd.circuit.active import moved_qubits
from qngd.circuit.circuit import Circuit
from qngd.circuit.observable import Observable
from qngd.errors import ObservableError
from qngd.estimates.estimate import Estimate
from qngd.estimates.evaluation import Cost, Evaluation, Spread
from qngd.estimates.tail import quantile, tail_function
from qngd.evaluators.exact import ExactEvaluator
from qngd.exact.common_basis import CommonBasis
from qngd.exact.simulator import Simulator
from qngd.gradients.base import Asked, require_shifts
from qngd.metrics.base import Metric


class Distribution:
    """The values of an observable's strings together, and the mean of the lowest share `alpha` of them.

    Raises:
        MemoryLimitError: they are too many.
        ObservableError: two strings of the observable do not commute; the text names them.
    """

    def __init__(self, circuit: Circuit, observable: Observable, alpha: float) -> None:
        check_commuting(observable)
        pulled = circuit.pull(observable)
        # more qubits than those of the mean, where a string has X or Y on a qubit that stays |0⟩
        qubits = moved_qubits(circuit.generators, pulled.strings)
        what = f"a CVaR's distribution of energies over {len(qubits)} qubits"
        instead = "use fewer qubits, or a backend with shots, which shows some of the energies"
        require_bytes(40 << len(qubits), what, instead)
        self._alpha = alpha
        self._basis = CommonBasis.of(pulled, qubits)
        self._simulator = Simulator(circuit, qubits)

    def value(self, phi: np.ndarray) -> tuple[float, float]:
        """The tail's mean at angles φ (K,), and the mean of all."""
        weights = self._simulator.distribution(phi, self._basis)
        return float(weights @ self._tail(weights)), float(weights @ self._basis.energies)

    def value_and_slope(self, phi: np.ndarray) -> tuple[float, float, np.ndarray]:
        """The same, and the derivatives of the tail's mean by the angles (K,)."""
        mean = np.nan

        def tail(weights: np.ndarray) -> np.ndarray:
            nonlocal mean
            mean = float(weights @ self._basis.energies)
            return self._tail(weights)

        value, slope = self._simulator.function_and_gradient(phi, self._basis, tail)
        return value, mean, slope

    def _tail(self, weights: np.ndarray) -> np.ndarray:
        energies = self._basis.energies
        return tail_function(energies, quantile(energies, weights, self._alpha), self._alpha)


class ExactTail(ExactEvaluator):
    """Answers from the embedded statevector simulator, with the mean of the lowest share `alpha` of the energies in
    the place of the mean of all.

    Raises:
        ObservableError: two strings of the observable do not commute; the text names them.
    """

    is_mean = False

    def __init__(self, circuit: Circuit, observable: Observable, alpha: float) -> None:
        self._tail = Distribution(circuit, observable, alpha)
        super().__init__(circuit, observable)
        self.energy_scale = observable.deviation_below(alpha)

    def energies(
        self, points: Sequence[np.ndarray], seed: int | None = None, spread: Spread | None = None
    ) -> tuple[list[Estimate], Cost]:
        found = [self.evaluate(theta, gradient=False).energy for theta in points]
        return found, Cost(jobs=1, circuits=len(points))

    def evaluate(
        self,
        theta: np.ndarray,
        *,
        gradient: Asked = True,
        metric: Metric | None = None,
        seed: int | None = None,
        spread: Spread | None = None,
    ) -> Evaluation:
        phi, jacobian = self.circuit.angle_map.linearize(theta)
        slope = None
        if require_shifts(gradient, "a CVaR"):
            value, mean, slope = self._tail.value_and_slope(phi)
        else:
            value, mean = self._tail.value(phi)
        return Evaluation(
            theta=theta,
            energy=Estimate.exact(np.float64(value)),
            gradient=None if slope is None else Estimate.exact(jacobian.T @ slope),
            metric=None if metric is None else self.metric(theta, metric, seed),
            cost=Cost(jobs=1, circuits=1),
            mean=Estimate.exact(np.float64(mean)),
            energy_scale=self.energy_scale,
        )


def check_commuting(observable: Observable) -> None:
    """Raise ObservableError unless all strings of the observable commute."""
    if (clash := observable.clash) is not None:
        raise ObservableError(
            "observable: a CVaR needs the distribution of the energies, and no measurement gives one of "
            f"{clash[0]} and {clash[1]}, which do not commute; take the mean, that is the observable itself"
        )
