"""Shots of a noisy device, drawn from the exact distribution of each circuit under the device's noise model.

The circuits are those that `QiskitBackend` compiles for the device. A density matrix of n qubits is held by its Pauli
coefficients Tr(Pρ), (4ⁿ,), which gates with their noise move by real matrices, nearly all of whose entries are 0; the
angles stand in RZ gates alone, which these devices run without noise. The requests of one template differ in angles
alone and go through it together, one column each. That gives the distributions that Aer's density matrices give
(`exact_noise.ExactNoise`), in a hundredth of the time.

One job runs a submission, and every circuit once, with its own shots, as IBM's sampler does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit import CircuitInstruction, ParameterExpression
from qiskit.providers import BackendV2
from qiskit.quantum_info import PTM, SuperOp
from qiskit_aer.noise.errors import QuantumError
from scipy.linalg import hadamard
from scipy.sparse import csr_array

from experiments.exact_noise import means_of, measured_qubits, noise_model, readout_matrices
from qngd.backends.base import BackendBase
from qngd.backends.qiskit.circuits import measured
from qngd.backends.qiskit.compile import Compiled, Compiler
from qngd.backends.qiskit.device import Device, QiskitSettings
from qngd.circuit.pauli import pack_bits
from qngd.measured.outcomes import Counts, Outcome
from qngd.measured.plan import Request
from qngd.measured.template import Template

_NOTHING = 1e-13  # of a matrix's entries, which are at most 1


@dataclass(frozen=True, eq=False)
class Turn:
    """An RZ on a qubit, by an angle of `constant` + `slopes` · the circuit's parameters."""

    qubit: int
    constant: float
    slopes: np.ndarray

    def on(self, state: np.ndarray, values: np.ndarray) -> None:
        """Turn every column of (4ⁿ, B) by its own values (B, parameters)."""
        angles = self.constant + values @ self.slopes
        parts = state.reshape(-1, 4, 4**self.qubit, state.shape[1])
        x, y = parts[:, 1].copy(), parts[:, 2].copy()
        parts[:, 1] = np.cos(angles) * x - np.sin(angles) * y
        parts[:, 2] = np.sin(angles) * x + np.cos(angles) * y


@dataclass(frozen=True, eq=False)
class Program:
    """A template's circuit: its gates with their noise, and from the Pauli coefficients at its end the probabilities of
    what is read, with `masks` (2ᵐ, W) of the template's qubits."""

    compiled: Compiled
    num_qubits: int
    steps: list[csr_array | Turn]
    read: csr_array
    masks: np.ndarray

    def probabilities(self, angles: np.ndarray) -> np.ndarray:
        """(B, 2ᵐ) at the template's angles (B, R)."""
        values = self.compiled.values(angles)
        state = np.zeros((4**self.num_qubits, len(angles)))
        state[_z_strings(range(self.num_qubits))] = 1.0
        for step in self.steps:
            if isinstance(step, Turn):
                step.on(state, values)
            else:
                state = step @ state
        found = np.maximum(self.read @ state, 0.0).T
        return found / found.sum(axis=1, keepdims=True)  # type: ignore[no-any-return]


class NoisySampler(BackendBase):
    """A device's circuits with shots; exact expectation values where none are asked for. Bits midway are not read."""

    is_noisy = True
    is_local = True
    gives_counts = True
    name = ""  # that of an instance

    def __init__(self, device: BackendV2) -> None:
        self.name = f"{device.name}, drawn"
        self._compiler = Compiler(Device(device, device.name, QiskitSettings()), measure=True)
        errors = noise_model(device).to_dict()["errors"]
        self._errors = Errors(errors)
        self._readout = readout_matrices(errors)
        self._programs: WeakKeyDictionary[Template, Program] = WeakKeyDictionary()

    def submit(self, templates: Sequence[Template], requests: Sequence[Request], seed: int | None) -> list[Outcome]:
        for template, compiled in zip(templates, self._compiler.compile(templates), strict=True):
            if template not in self._programs:
                self._programs[template] = program_of(template, compiled, self._errors, self._readout)
        rows: dict[int, list[int]] = {}
        for r, request in enumerate(requests):
            rows.setdefault(request.template, []).append(r)
        seeds = np.random.SeedSequence(seed).spawn(len(requests))
        outcomes: dict[int, Outcome] = {}
        for t, own in rows.items():
            program = self._programs[templates[t]]
            every = program.probabilities(np.array([requests[r].angles for r in own]))
            for r, probabilities in zip(own, every, strict=True):
                shots = requests[r].shots
                if shots is None:
                    outcomes[r] = means_of(probabilities, templates[t])
                    continue
                counts = np.random.default_rng(seeds[r]).multinomial(shots, probabilities)
                outcomes[r] = Counts(program.masks[counts > 0], counts[counts > 0])
        return [outcomes[r] for r in range(len(requests))]

    def collect(self, handle: list[Outcome]) -> list[Outcome]:
        return handle


class Errors:
    """What a device's noise does after a gate, on Pauli coefficients; of those gates that are asked for."""

    def __init__(self, errors: Sequence[dict[str, Any]]) -> None:
        found = [error for error in errors if error["type"] == "qerror"]
        self._known = {
            (name, tuple(q)): each for each in found for name in each["operations"] for q in each["gate_qubits"]
        }
        self._matrices: dict[tuple[str, tuple[int, ...]], np.ndarray] = {}

    def after(self, gate: np.ndarray, name: str, qubits: tuple[int, ...]) -> np.ndarray:
        """The gate's matrix with its noise."""
        if (name, qubits) not in self._known:
            return gate
        if (name, qubits) not in self._matrices:
            error = QuantumError.from_dict(self._known[name, qubits])
            self._matrices[name, qubits] = _of_paulis(SuperOp(error))
        return self._matrices[name, qubits] @ gate  # type: ignore[no-any-return]


def program_of(template: Template, compiled: Compiled, errors: Errors, readout: Mapping[int, np.ndarray]) -> Program:
    """The template's circuit on the physical qubits that it uses."""
    assert not len(template.places), "bits are read at the end alone"
    circuit = compiled.circuit
    reads = measured_qubits(circuit)
    gates = [i for i in circuit.data if i.operation.name not in ("measure", "barrier")]
    physical = sorted({circuit.find_bit(q).index for gate in gates for q in gate.qubits} | set(reads))
    count = len(physical)
    steps = [_step(circuit, gate, physical, errors) for gate in gates]
    size = 2 ** len(reads)
    read = np.zeros((size, 4**count))
    confused = _confused([readout.get(qubit, np.eye(2)) for qubit in reads])
    read[:, _z_strings([physical.index(qubit) for qubit in reads])] = confused @ hadamard(size) / size
    ones = np.zeros((size, template.num_qubits), dtype=bool)
    ones[:, measured(template)] = np.arange(size)[:, None] >> np.arange(len(reads)) & 1
    return Program(compiled, count, steps, csr_array(read), pack_bits(ones))


def _step(
    circuit: QuantumCircuit, gate: CircuitInstruction, physical: Sequence[int], errors: Errors
) -> csr_array | Turn:
    operation, numbers = gate.operation, tuple(circuit.find_bit(q).index for q in gate.qubits)
    places = [physical.index(number) for number in numbers]
    angle = operation.params[0] if operation.params else 0.0
    if isinstance(angle, ParameterExpression) and angle.parameters:
        assert operation.name == "rz"
        assert np.array_equal(errors.after(np.eye(4), "rz", numbers), np.eye(4))
        slopes = np.zeros(len(circuit.parameters))
        for parameter in angle.parameters:
            slopes[list(circuit.parameters).index(parameter)] = float(angle.gradient(parameter))
        return Turn(places[0], float(angle.bind(dict.fromkeys(angle.parameters, 0.0))), slopes)
    matrix = errors.after(_of_paulis(SuperOp(operation)), operation.name, numbers)
    return _spread(matrix, places, len(physical))


def _of_paulis(channel: SuperOp) -> np.ndarray:
    """A channel on Pauli coefficients (4ᵏ, 4ᵏ): digit q of an index, in base 4, is the letter of qubit q."""
    return np.real(PTM(channel).data)  # type: ignore[no-any-return]


def _spread(matrix: np.ndarray, places: Sequence[int], count: int) -> csr_array:
    """A matrix (4ᵏ, 4ᵏ) that acts on these of `count` qubits."""
    index = np.arange(4**count)
    rest = index[np.all([index >> 2 * place & 3 == 0 for place in places], axis=0)]
    i, j = np.nonzero(np.abs(matrix) > _NOTHING)

    def at(own: np.ndarray) -> np.ndarray:
        moved = sum((own >> 2 * k & 3) << 2 * place for k, place in enumerate(places))
        return (rest[:, None] + moved).ravel()  # type: ignore[no-any-return]

    values = np.tile(matrix[i, j], len(rest))
    return csr_array((values, (at(i), at(j))), shape=(len(index), len(index)))


def _z_strings(places: Sequence[int]) -> np.ndarray:
    """Where the Z strings on these qubits stand among the Pauli coefficients: bit j says whether Z is on places[j]."""
    strings = np.arange(2 ** len(places))
    return sum(((strings >> j & 1) * 3 << 2 * place for j, place in enumerate(places)), np.zeros_like(strings))


def _confused(matrices: Sequence[np.ndarray]) -> np.ndarray:
    """P(read i | is j) as [i, j] of all qubits, bit k by matrix k, which holds P(read j | is i)."""
    found = np.ones((1, 1))
    for matrix in matrices:
        found = np.kron(matrix.T, found)
    return found
