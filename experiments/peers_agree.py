"""Metrics and gradients of random circuits: where packages differ, finite differences decide.

Random circuits of three qubits, seventeen for each parametrized gate, in which parameters are shared, scaled and
shifted. The full metric and the gradient of an asymmetric observable, by qngd from the Qiskit circuit and from a QNode,
by PennyLane (`qml.metric_tensor(approx=None)`, `qml.grad`), by Qiskit (`LinCombQGT`, `ParamShiftEstimatorGradient` of
qiskit-algorithms) and by Divi (what a program hands to its `QNGOptimizer`, from the QNode), each beside central
differences of the state that Qiskit's `Statevector` gives.

Of Divi (0.15.1): its QNode begins with identities on all wires in their order, for it numbers those of an observable
as they are met, and those of gates by their names. Its programs of a QNode take the two-term rule for every parameter,
shared and scaled ones too. Its `FubiniStudyMetricEstimator` is block-diagonal and takes Pauli rotations by bare
parameters alone, of which none of these circuits is made; so there are as many in which every parameter turns one qubit
in one of two layers, and of Divi's metric the blocks of these are compared.

    python -m experiments.peers_agree            ten minutes on one core; installs Divi in .bench/divi first
    python -m experiments.peers_agree --smoke    one circuit of two kinds, without Divi
"""

from __future__ import annotations

import json
import os
import subprocess
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
from experiments.peers.environments import ROOT, python_of
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
PLAIN, BLOCKS = "bare rotations in layers", np.kron(np.eye(2), np.ones((2, 2)))  # and where its metric has blocks
DIVI = "Divi"
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


def layered_circuit(rng: np.random.Generator) -> list[Gate]:
    """Two layers of two rotations, each by a parameter of its own, with CNOTs between them."""
    gates: list[Gate] = []
    for pair in ((0, 1), (2, 3)):
        qubits = rng.permutation(QUBITS).tolist()
        for parameter, qubit in zip(pair, qubits, strict=False):
            gates.append((str(rng.choice(["ry", "rx"])), [qubit], [(parameter, 1.0, 0.0)]))
        gates += [("cx", rng.permutation(QUBITS)[:2].tolist(), []) for _ in range(3)]
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
            operation = getattr(qml, pennylane_name(name))
            operation(*(factor * theta[k] + shift for k, factor, shift in angles), wires=qubits)
        return qml.expval(qml.dot([value for _, value in OBSERVABLE], words))

    return node


def pennylane_name(name: str) -> str:
    return "CNOT" if name == "cx" else GATES[name][2]


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


def by_divi(circuits: list[tuple[list[Gate], np.ndarray]]) -> list[dict[str, Any]]:
    """Of each circuit "gradient" and "metric", an array or the kind of error, from Divi's own environment."""
    questions = [
        {
            "gates": [(pennylane_name(name), qubits, angles) for name, qubits, angles in gates],
            "theta": theta.tolist(),
            "terms": [(label[::-1], value) for label, value in OBSERVABLE],
        }
        for gates, theta in circuits
    ]
    done = subprocess.run(
        [str(python_of("divi")), "-m", "experiments.peers.divi"], input=json.dumps(questions), text=True, check=True,
        stdout=subprocess.PIPE, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    return [json.loads(line) for line in done.stdout.splitlines()]


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
    return [_compared(value, true) for value, true in zip(found, truth, strict=True)]


def _compared(value: Any, true: np.ndarray) -> str:
    if isinstance(value, str):  # an error of Divi's
        return value
    value = np.asarray(value)
    return "agrees" if value.shape == true.shape and np.allclose(value, true, rtol=0, atol=_AGREES) else "differs"


def measure(smoke: bool) -> list[dict[str, Any]]:
    """Per gate and package, how often the metric and the gradient agree with the differences."""
    names, count = (["crx", PLAIN], 1) if smoke else ([*GATES, PLAIN], 17)
    rows = []
    for name in names:
        rng = np.random.default_rng([[*GATES, PLAIN].index(name), 2026])
        circuits = []
        for _ in range(count):
            gates = layered_circuit(rng) if name == PLAIN else random_circuit(name, rng)
            circuits.append((gates, rng.uniform(-np.pi, np.pi, PARAMETERS)))
        truths = [differences(*circuit) for circuit in circuits]
        for package in PACKAGES:
            outcomes = [outcome(package, *circuit, truth) for circuit, truth in zip(circuits, truths, strict=True)]
            rows.append(_row(name, package, outcomes))
        if not smoke:
            blocks = BLOCKS if name == PLAIN else 1.0
            outcomes = [
                [_compared(answer["metric"], metric * blocks), _compared(answer["gradient"], gradient)]
                for answer, (metric, gradient) in zip(by_divi(circuits), truths, strict=True)
            ]
            rows.append(_row(name, DIVI, outcomes))
    return rows


def _row(gate: str, package: str, outcomes: list[list[str]]) -> dict[str, Any]:
    metrics, gradients = zip(*outcomes, strict=True)
    row = {"gate": gate, "package": package, "metric": _counts(metrics), "gradient": _counts(gradients)}
    print(row, flush=True)
    return row


def _counts(outcomes: tuple[str, ...]) -> dict[str, int]:
    return {outcome: outcomes.count(outcome) for outcome in sorted(set(outcomes))}


def judge(rows: list[dict[str, Any]]) -> list[Verdict]:
    verdicts = []
    for package in dict.fromkeys(row["package"] for row in rows):
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
            claim = "Divi does, its metric block by block" if package == DIVI else f"{package} does"
            verdicts.append(Verdict(claim, None, "; ".join(found)))
    return verdicts


EXPERIMENT = Experiment(
    "peers_agree",
    "Metrics and gradients of random circuits agree with finite differences",
    "ten minutes",
    measure,
    judge,
)

if __name__ == "__main__":
    main(EXPERIMENT)
