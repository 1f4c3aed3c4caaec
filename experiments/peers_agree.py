"""Metrics and gradients of random circuits: where packages differ, finite differences decide.

Random circuits of three qubits, ten for each parametrized gate, in which parameters are shared, scaled and shifted. The
full metric and the gradient of an asymmetric observable, by qngd from the Qiskit circuit and from a QNode, by PennyLane
(`qml.metric_tensor(approx=None)`, `qml.grad`) and by Qiskit (`LinCombQGT`, `ParamShiftEstimatorGradient` of
qiskit-algorithms), each beside central differences of the state that Qiskit's `Statevector` gives.

    python -m experiments.peers_agree            twenty minutes on one core
    python -m experiments.peers_agree --smoke    one circuit for each of two gates
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pennylane as qml
from pennylane import numpy as pnp
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.primitives import StatevectorEstimator
from qiskit.quantum_info import SparsePauliOp, Statevector

import qngd
from experiments.record import Experiment, Verdict, main

QUBITS, PARAMETERS = 3, 4
OBSERVABLE = [("ZZI", 1.0), ("IXY", 0.7), ("YII", -0.4), ("XIX", 0.3)]  # Qiskit's labels
GATES: dict[str, tuple[int, int, str]] = {  # Qiskit's name: angles, qubits, PennyLane's
    "rx": (1, 1, "RX"),
    "ry": (1, 1, "RY"),
    "rz": (1, 1, "RZ"),
    "p": (1, 1, "PhaseShift"),
    "u": (3, 1, "U3"),
    "rxx": (1, 2, "IsingXX"),
    "ryy": (1, 2, "IsingYY"),
    "rzz": (1, 2, "IsingZZ"),
    "crx": (1, 2, "CRX"),
    "cry": (1, 2, "CRY"),
    "crz": (1, 2, "CRZ"),
    "cp": (1, 2, "ControlledPhaseShift"),
}
_AGREES = 1e-5  # the differences of second order are right to about 1e-8

Angle = tuple[int, float, float]  # the parameter, its factor, and what is added
Gate = tuple[str, list[int], list[Angle]]


def random_circuit(special: str, rng: np.random.Generator) -> list[Gate]:
    """Rotations and CNOTs, with three gates of the kind that is tried; every parameter stands somewhere."""
    gates: list[Gate] = []
    for name in ["ry", special, "rx", special, "rz", special]:
        for qubit in range(QUBITS if name != special else 1):
            angles, width, _ = GATES[name]
            qubits = [qubit] if name != special else rng.permutation(QUBITS)[:width].tolist()
            gates.append((name, qubits, [_angle(rng) for _ in range(angles)]))
        gates.append(("cx", rng.permutation(QUBITS)[:2].tolist(), []))
    return gates


def _angle(rng: np.random.Generator) -> Angle:
    return int(rng.integers(PARAMETERS)), float(rng.choice([1.0, -1.0, 0.5])), float(rng.choice([0.0, 0.3]))


def in_qiskit(gates: list[Gate]) -> QuantumCircuit:
    circuit, theta = QuantumCircuit(QUBITS), ParameterVector("t", PARAMETERS)
    for name, qubits, angles in gates:
        getattr(circuit, name)(*(factor * theta[k] + shift for k, factor, shift in angles), *qubits)
    return circuit


def in_pennylane(gates: list[Gate]) -> qml.QNode:
    words = [qml.pauli.string_to_pauli_word(label[::-1]) for label, _ in OBSERVABLE]

    @qml.qnode(qml.device("default.qubit", wires=QUBITS + 1))  # one more for the Hadamard tests
    def node(theta: Any) -> Any:
        for name, qubits, angles in gates:
            operation = qml.CNOT if name == "cx" else getattr(qml, GATES[name][2])
            operation(*(factor * theta[k] + shift for k, factor, shift in angles), wires=qubits)
        return qml.expval(qml.dot([value for _, value in OBSERVABLE], words))

    return node


def differences(gates: list[Gate], theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The metric and the gradient by central differences of the state."""
    circuit, matrix, step = in_qiskit(gates), SparsePauliOp.from_list(OBSERVABLE).to_matrix(), 1e-4
    used = [parameter.index for parameter in circuit.parameters]

    def state(at: np.ndarray) -> np.ndarray:
        return Statevector(circuit.assign_parameters(at[used])).data

    psi = state(theta)
    slopes = [(state(theta + move) - state(theta - move)) / (2 * step) for move in step * np.eye(PARAMETERS)]
    tangents = np.array(slopes).T
    overlaps = tangents.conj().T @ psi
    metric = (tangents.conj().T @ tangents - np.outer(overlaps, overlaps.conj())).real
    return metric, 2 * (tangents.conj().T @ (matrix @ psi)).real


def by_qngd_from_qiskit(gates: list[Gate], theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    circuit = in_qiskit(gates)
    used = [parameter.index for parameter in circuit.parameters]
    metric = qngd.metric_tensor(circuit, theta[used], approx="full").value
    gradient = qngd.gradient(circuit, SparsePauliOp.from_list(OBSERVABLE), theta[used]).value
    return _spread(metric, used), _spread(gradient, used)


def by_qngd_from_pennylane(gates: list[Gate], theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    node = in_pennylane(gates)
    return qngd.metric_tensor(node, theta, approx="full").value, qngd.gradient(node, None, theta).value


def by_pennylane(gates: list[Gate], theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    node, at = in_pennylane(gates), pnp.array(theta, requires_grad=True)
    return np.asarray(qml.metric_tensor(node, approx=None)(at)), np.asarray(qml.grad(node)(at))


def by_qiskit(gates: list[Gate], theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    from qiskit_algorithms.gradients import LinCombQGT, ParamShiftEstimatorGradient

    circuit, estimator = in_qiskit(gates), StatevectorEstimator()
    used = [parameter.index for parameter in circuit.parameters]
    metric = LinCombQGT(estimator).run([circuit], [theta[used]]).result().qgts[0].real
    observable = SparsePauliOp.from_list(OBSERVABLE)
    gradient = ParamShiftEstimatorGradient(estimator).run([circuit], [observable], [theta[used]]).result().gradients[0]
    return _spread(metric, used), _spread(gradient, used)


def _spread(value: np.ndarray, used: list[int]) -> np.ndarray:
    """With zeros for the parameters that the circuit does not have."""
    whole = np.zeros((PARAMETERS,) * value.ndim)
    whole[np.ix_(*[used] * value.ndim)] = value
    return whole


PACKAGES: dict[str, Callable[[list[Gate], np.ndarray], tuple[np.ndarray, np.ndarray]]] = {
    "qngd, from Qiskit": by_qngd_from_qiskit,
    "qngd, from PennyLane": by_qngd_from_pennylane,
    "PennyLane": by_pennylane,
    "Qiskit": by_qiskit,
}


def outcome(package: str, gates: list[Gate], theta: np.ndarray, truth: tuple[np.ndarray, np.ndarray]) -> list[str]:
    """Of the metric and of the gradient: "agrees", "differs", or the kind of error."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = PACKAGES[package](gates, theta)
    except Exception as error:  # whatever a package does not do
        return [type(error).__name__] * 2
    shapes = [value.shape == true.shape for value, true in zip(found, truth, strict=True)]
    return [
        "agrees" if fits and np.allclose(value, true, rtol=0, atol=_AGREES) else "differs"
        for value, true, fits in zip(found, truth, shapes, strict=True)
    ]


def measure(smoke: bool) -> list[dict[str, Any]]:
    """Per gate and package, how often the metric and the gradient agree with the differences."""
    names, count = (["crx", "u"], 1) if smoke else (list(GATES), 17)
    rows = []
    for name in names:
        rng = np.random.default_rng([list(GATES).index(name), 2026])
        circuits = [(random_circuit(name, rng), rng.uniform(-np.pi, np.pi, PARAMETERS)) for _ in range(count)]
        truths = [differences(*circuit) for circuit in circuits]
        for package in PACKAGES:
            pairs = zip(circuits, truths, strict=True)
            metrics, gradients = zip(*(outcome(package, *circuit, truth) for circuit, truth in pairs), strict=True)
            rows.append({"gate": name, "package": package, "metric": _counts(metrics), "gradient": _counts(gradients)})
            print(rows[-1], flush=True)
    return rows


def _counts(outcomes: tuple[str, ...]) -> dict[str, int]:
    return {outcome: outcomes.count(outcome) for outcome in sorted(set(outcomes))}


def judge(rows: list[dict[str, Any]]) -> list[Verdict]:
    verdicts = []
    for package in PACKAGES:
        own = [row for row in rows if row["package"] == package]
        found = []
        for what in ("metric", "gradient"):
            total = sum(sum(row[what].values()) for row in own)
            agree = sum(row[what].get("agrees", 0) for row in own)
            others = [
                f"{kind} for {row['gate']} ({count})"
                for row in own
                for kind, count in row[what].items()
                if kind != "agrees"
            ]
            found.append(f"{what} {agree} of {total}" + (f": {', '.join(others)}" if others else ""))
        whole = all("agrees" in row[what] and len(row[what]) == 1 for row in own for what in ("metric", "gradient"))
        if package.startswith("qngd"):
            verdicts.append(Verdict(f"{package}, agrees with finite differences", whole, "; ".join(found)))
        else:
            verdicts.append(Verdict(f"{package} does", None, "; ".join(found)))
    return verdicts


EXPERIMENT = Experiment(
    "peers_agree",
    "Metrics and gradients of random circuits agree with finite differences",
    "twenty minutes",
    measure,
    judge,
)

if __name__ == "__main__":
    main(EXPERIMENT)
