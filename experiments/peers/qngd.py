"""qngd, on a circuit written with Qiskit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector

import qngd
from experiments.peers.protocol import (
    DAMPING,
    LEARNING_RATE,
    Make,
    Work,
    brickwork,
    ising,
    ladder,
    low_probabilities,
    serve,
)
from qngd.evaluators.base import Evaluator
from qngd.evaluators.exact import ExactEvaluator
from qngd.exact.simulator import Simulator, Terms
from qngd.interop import as_observable
from qngd.metrics.names import as_metric

Gates = Callable[[int, int], Iterator[tuple[str, tuple[int, ...], int]]]


def ansatz(num_qubits: int, layers: int, gates: Gates = ladder) -> QuantumCircuit:
    theta = ParameterVector("t", 2 * num_qubits * layers)
    circuit = QuantumCircuit(num_qubits)
    for name, qubits, parameter in gates(num_qubits, layers):
        getattr(circuit, name)(*([theta[parameter]] if parameter >= 0 else []), *qubits)
    return circuit


def observable(num_qubits: int) -> dict[str, float]:
    """Labels as Qiskit writes them: the rightmost letter is qubit 0."""
    terms = {}
    for coefficient, letters, qubits in ising(num_qubits):
        places = dict(zip(qubits, letters, strict=True))
        terms["".join(places.get(q, "I") for q in reversed(range(num_qubits)))] = coefficient
    return terms


def run(num_qubits: int, layers: int) -> Work:
    """One run as energies and metrics need it: in the frame without Clifford gates. Nothing is compared."""
    circuit = qngd.wrap(ansatz(num_qubits, layers))
    simulator = Simulator(circuit)

    def work(theta: np.ndarray) -> tuple[()]:
        simulator.state(circuit.angle_map(theta))
        return ()

    return work


def state(num_qubits: int, layers: int) -> Work:
    """The amplitudes, Clifford gates included, as every peer computes them."""
    circuit = qngd.wrap(ansatz(num_qubits, layers))
    return lambda theta: low_probabilities(qngd.statevector(circuit, theta))


def gradient(num_qubits: int, layers: int) -> Work:
    circuit = qngd.wrap(ansatz(num_qubits, layers))
    simulator = Simulator(circuit)
    terms = Terms.of(circuit.pull(as_observable(observable(num_qubits), circuit)))

    def work(theta: np.ndarray) -> np.ndarray:
        phi, jacobian = circuit.angle_map.linearize(theta)
        return jacobian.T @ simulator.energy_and_gradient(phi, terms)[1]

    return work


def full_metric(num_qubits: int, layers: int) -> Work:
    circuit = qngd.wrap(ansatz(num_qubits, layers))
    simulator = Simulator(circuit)
    return lambda theta: simulator.full_metric(*circuit.angle_map.linearize(theta))


def metric_tensor(num_qubits: int, layers: int) -> Work:
    circuit = qngd.wrap(ansatz(num_qubits, layers))
    return lambda theta: np.asarray(qngd.metric_tensor(circuit, theta, approx="full"))


def step(num_qubits: int, layers: int) -> Work:
    """Solve, then energy, gradient and block-diagonal metric at the new θ. The first call has those at the start
    besides; every further one goes on from where the last ended."""
    circuit = qngd.wrap(ansatz(num_qubits, layers))
    evaluator = ExactEvaluator(circuit, as_observable(observable(num_qubits), circuit))
    optimizer = qngd.QNG(learning_rate=LEARNING_RATE, damping=DAMPING, approx="block-diag")
    here = None

    def work(theta: np.ndarray) -> np.ndarray:
        nonlocal here
        before = here or optimizer.init(evaluator, theta)
        here, _ = optimizer.step(evaluator, before)
        return np.r_[before.energy, here.theta]

    return work


def _asked(num_qubits: int, layers: int, backend: Any) -> Evaluator:
    """Of the shallow ansatz."""
    theta = np.zeros(2 * num_qubits * layers)
    return qngd.evaluator(ansatz(num_qubits, layers, brickwork), observable(num_qubits), theta, backend=backend)


def _energy(backend: Any) -> Make:
    def make(num_qubits: int, layers: int) -> Work:
        asked = _asked(num_qubits, layers, backend)
        return lambda theta: float(asked.evaluate(theta, gradient=False, metric=None, seed=None).energy)

    return make


def _gradient(backend: Any, approx: str | None = None) -> Make:
    def make(num_qubits: int, layers: int) -> Work:
        asked = _asked(num_qubits, layers, backend)
        metric = None if approx is None else as_metric(approx)

        def work(theta: np.ndarray) -> np.ndarray:
            return asked.evaluate(theta, gradient=True, metric=metric, seed=None).gradient.value

        return work

    return make


ALL_STRINGS = qngd.PauliPropagation(coefficient=0, count=1 << 30)

METHODS = {
    "cone_energy": _energy("light-cone"),
    "cone_gradient": _gradient("light-cone"),
    "cone_step": _gradient("light-cone", "block-diag"),
    "propagated_energy": _energy(ALL_STRINGS),
    "propagated_gradient": _gradient(ALL_STRINGS),
    "run": run,
    "state": state,
    "gradient": gradient,
    "full_metric": full_metric,
    "metric_tensor": metric_tensor,
    "step": step,
}

if __name__ == "__main__":
    serve(METHODS)
