"""What a noisy device returns on average: its noise model on density matrices by Aer, without sampling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from qiskit import QuantumCircuit
from qiskit.providers import BackendV2
from qiskit_aer import AerSimulator
from qiskit_aer.library import SaveProbabilities
from qiskit_aer.noise import NoiseModel

from qngd.backends.qiskit.choice import QiskitBackend
from qngd.measured.outcomes import Means
from qngd.measured.plan import Request
from qngd.measured.template import Template


class ExactNoise:
    """The device's own expectation values: its noise model on density matrices, its readout errors, no sampling.

    Takes the circuits from the `QiskitBackend` of the device, so they are the very ones that a run with shots sends.
    """

    is_noisy = True

    def __init__(self, device: BackendV2) -> None:
        self._backend = QiskitBackend(device)
        model = noise_model(device)
        self._simulator = AerSimulator(method="density_matrix", noise_model=model, max_parallel_experiments=0)
        self._readout = readout_matrices(model.to_dict()["errors"])
        self.name = f"{device.name}, exact"

    def submit(self, templates: Sequence[Template], requests: Sequence[Request], seed: int | None) -> list[Means]:
        bound = self._backend._bound(templates, requests)
        measured = [measured_qubits(circuit) for circuit in bound]
        circuits = [with_probabilities(circuit, qubits) for circuit, qubits in zip(bound, measured, strict=True)]
        result = self._simulator.run(circuits, shots=1).result()
        outcomes = []
        for index, (qubits, request) in enumerate(zip(measured, requests, strict=True)):
            probabilities = np.asarray(result.data(index)["probabilities"])
            seen = read_out(probabilities, [self._readout.get(qubit) for qubit in qubits])
            outcomes.append(means_of(seen, templates[request.template]))
        return outcomes

    def collect(self, handle: list[Means]) -> list[Means]:
        return handle


def noise_model(device: BackendV2) -> NoiseModel:
    """What the fake device itself simulates; set by its first run. NoiseModel.from_backend has another readout."""
    tiny = QuantumCircuit(1)
    tiny.measure_all()
    device.run(tiny, shots=1).result()
    return device.options.noise_model


def readout_matrices(errors: Sequence[dict[str, Any]]) -> dict[int, np.ndarray]:
    """P(read j | is i) as [i, j] for each qubit with readout errors, of those of a noise model; other errors of a
    measurement are not expected."""
    assert not [e for e in errors if e["type"] != "roerror" and "measure" in e["operations"]]
    readout = [e for e in errors if e["type"] == "roerror"]
    return {qubit: np.array(e["probabilities"]) for e in readout for (qubit,) in e["gate_qubits"]}


def measured_qubits(circuit: QuantumCircuit) -> list[int]:
    """The physical qubits in the order of the classical bits that they are read into."""
    reads = [i for i in circuit.data if i.operation.name == "measure"]
    places = {circuit.find_bit(i.clbits[0]).index: circuit.find_bit(i.qubits[0]).index for i in reads}
    return [places[bit] for bit in range(len(places))]


def with_probabilities(circuit: QuantumCircuit, qubits: Sequence[int]) -> QuantumCircuit:
    """The circuit with its measurements replaced by saving their probabilities."""
    plain = circuit.remove_final_measurements(inplace=False)
    plain.append(SaveProbabilities(len(qubits)), [plain.qubits[q] for q in qubits])
    return plain


def read_out(probabilities: np.ndarray, matrices: Sequence[np.ndarray | None]) -> np.ndarray:
    """Probabilities (2ᵐ,) of what is read, given those of what is; bit j of the index by matrix j."""
    m = len(matrices)
    tensor = probabilities.reshape((2,) * m)
    for j, matrix in enumerate(matrices):
        if matrix is not None:
            axis = m - 1 - j
            tensor = np.moveaxis(np.tensordot(tensor, matrix, axes=(axis, 0)), -1, axis)
    return tensor.reshape(-1)


def means_of(probabilities: np.ndarray, template: Template) -> Means:
    """The expectation values of a template's strings, and of their products where it wants pairs."""
    index = np.arange(len(probabilities), dtype=np.uint64)
    z = np.zeros_like(template.basis.z[:, 0])
    for j, qubit in enumerate(template.measured):
        z |= (template.basis.z[:, 0] >> np.uint64(qubit) & np.uint64(1)) << np.uint64(j)
    values = template.basis.sign[:, None] * (1.0 - 2.0 * (np.bitwise_count(z[:, None] & index) % 2))
    if template.pairs:
        i, j = np.triu_indices(len(values), 1)
        values = np.concatenate([values, values[i] * values[j]])
    exact = values @ probabilities
    return Means(exact, np.zeros_like(exact), 0)
