"""Templates as PennyLane operators and measurements, and what the measurements' results mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import pennylane as qml
from pennylane.measurements import MeasurementProcess
from pennylane.operation import Operator

from qngd.ops import Op
from qngd.outcomes import Counts, Means, Outcome
from qngd.pauli import LETTERS, pack_bits
from qngd.template import Template

_CLIFFORDS: dict[int, Callable[..., Operator]] = {
    Op.H: qml.Hadamard,
    Op.S: qml.S,
    Op.SDG: lambda wires: qml.adjoint(qml.S(wires)),
    Op.X: qml.X,
    Op.Y: qml.Y,
    Op.Z: qml.Z,
    Op.CX: qml.CNOT,
    Op.RECORD: qml.CNOT,  # a measurement midway, deferred to a wire of its own
    Op.CZ: qml.CZ,
    Op.SWAP: qml.SWAP,
}
_ROTATIONS = {
    "X": qml.RX, "Y": qml.RY, "Z": qml.RZ,
    "XX": qml.IsingXX, "YY": qml.IsingYY, "ZZ": qml.IsingZZ,
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class _Open:
    """A rotation that awaits its angle; letter i of the label acts on wires[i]. Requests share most of their
    angles, so what was made is kept."""

    label: str
    wires: list[Any]
    made: dict[float, Operator] = field(default_factory=dict)

    def at(self, angle: float) -> Operator:
        """exp(−i·angle/2·P)."""
        if angle not in self.made:
            self.made[angle] = self._make(float(angle))
        return self.made[angle]

    def _make(self, angle: float) -> Operator:
        gate = _ROTATIONS.get(self.label)
        if gate is None:
            return qml.PauliRot(angle, self.label, wires=self.wires)
        return gate(angle, wires=self.wires)


@dataclass(frozen=True, eq=False)
class Program:
    """A template's gates as operators, made once for all its requests."""

    gates: list[Operator | _Open]

    @classmethod
    def of(cls, template: Template, wires: Sequence[Any]) -> Program:
        ops = template.all_ops
        gates: list[Operator | _Open] = []
        for position, kind in enumerate(ops.kind):
            on = [wires[qubit] for qubit in ops.qubits_of(position)]
            label = "".join(LETTERS[code] for code in ops.letters_of(position))
            if kind == Op.ROTATION:
                gates.append(_Open(label, on))
            elif kind == Op.QUARTER:
                gates.append(_Open(label, on).at(ops.turns[position] * np.pi / 2))
            else:
                gates.append(_CLIFFORDS[kind](wires=on))
        return cls(gates)

    def operations(self, angles: np.ndarray) -> list[Operator]:
        left = iter(angles)
        return [gate.at(next(left)) if isinstance(gate, _Open) else gate for gate in self.gates]


class Unreadable(Exception):
    """A result that is not what the measurements ask for."""


class Reading(Protocol):
    """What a script measures, and how its result reads."""

    @property
    def measurements(self) -> list[MeasurementProcess]: ...

    def outcome(self, result: Any) -> Outcome: ...


@dataclass(frozen=True, eq=False)
class Samples:
    """The measured qubits' bits, shot by shot (an array) or counted (a mapping from bitstrings)."""

    measurements: list[MeasurementProcess]
    num_qubits: int
    measured: np.ndarray
    shots: int

    @classmethod
    def of(cls, template: Template, wires: Sequence[Any], shots: int, counted: bool) -> Samples:
        """Measure the qubits that the template reads, with the results `counted` or not by PennyLane."""
        on = [wires[qubit] for qubit in template.measured]
        measurement = qml.counts(wires=on) if counted else qml.sample(wires=on)
        return cls([measurement], template.num_qubits, template.measured, shots)

    def outcome(self, result: Any) -> Counts:
        if isinstance(result, Mapping):
            seen = "".join(result).encode()
            bits = np.frombuffer(seen, dtype=np.uint8) - ord("0")
            counts = np.fromiter(result.values(), dtype=np.int64, count=len(result))
        else:
            bits = np.asarray(result)
            counts = np.ones(bits.size // len(self.measured), dtype=np.int64)
        if counts.sum() != self.shots:
            raise Unreadable(f"{counts.sum()} of {self.shots} shots of a circuit")
        ones = bits == 1
        if bits.size != len(counts) * len(self.measured) or not np.array_equal(ones, bits):
            raise Unreadable(f"something other than the bits of {len(self.measured)} qubits")
        unpacked = np.zeros((len(counts), self.num_qubits), dtype=bool)
        unpacked[:, self.measured] = ones.reshape(len(counts), -1)
        masks = pack_bits(unpacked)
        return Counts(masks, counts) if isinstance(result, Mapping) else Counts(*_distinct(masks))


def _distinct(masks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct rows of masks (shots, W), and how often each occurs."""
    if masks.shape[1] > 1:
        return np.unique(masks, axis=0, return_counts=True)
    rows, counts = np.unique(masks[:, 0], return_counts=True)  # ten times faster
    return rows[:, None], counts


@dataclass(frozen=True, eq=False)
class Expectations:
    """Exact expectation values: value k of the template is sign[k] times that of measurement place[k]."""

    measurements: list[MeasurementProcess]
    place: np.ndarray
    sign: np.ndarray

    @classmethod
    def of(cls, template: Template, wires: Sequence[Any]) -> Expectations:
        z, sign = template.basis.z, template.basis.sign.astype(float)
        if template.pairs:  # Z strings multiply without phases
            i, j = np.triu_indices(len(z), 1)
            z, sign = np.concatenate([z, z[i] ^ z[j]]), np.concatenate([sign, sign[i] * sign[j]])
        distinct, place = np.unique(z, axis=0, return_inverse=True)
        shifts = np.arange(64, dtype=np.uint64)
        bits = (distinct[:, :, None] >> shifts & np.uint64(1)).reshape(len(distinct), -1)
        strings = [[wires[int(qubit)] for qubit in np.flatnonzero(row)] for row in bits]
        measurements = [qml.expval(_z_string(on, wires[0])) for on in strings]
        return cls(measurements, place.reshape(-1), sign)

    def outcome(self, result: Any) -> Means:
        # a script with one measurement has a bare number as its result
        found = np.atleast_1d(np.asarray(result, dtype=float))
        if len(found) != len(self.measurements) or not np.isfinite(found).all():
            raise Unreadable(f"{result!r} for {len(self.measurements)} expectation values")
        values = self.sign * found[self.place]
        return Means(values, np.zeros_like(values), 0)


def _z_string(on: list[Any], any_wire: Any) -> Operator:
    """The product of Z on these wires; without any, as for the square of a string, the identity."""
    if not on:
        return qml.Identity(any_wire)
    return qml.Z(on[0]) if len(on) == 1 else qml.prod(*map(qml.Z, on))
