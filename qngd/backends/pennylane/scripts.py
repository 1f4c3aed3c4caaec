"""Templates as PennyLane operators and measurements, and what the measurements' results mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import pennylane as qml
from pennylane.measurements import MeasurementProcess
from pennylane.operation import Operator

from qngd.backends.results import Unreadable, check_bounds, estimates, samples, tally
from qngd.backends.tallies import Tally, distinct_rows, z_strings
from qngd.circuit.ops import Op
from qngd.circuit.pauli import LETTERS, unpack_bits
from qngd.measured.outcomes import Means
from qngd.measured.template import Template

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
class TemplateGates:
    """A template's gates as operators, made once for all its requests."""

    gates: list[Operator | _Open]

    @classmethod
    def of(cls, template: Template, wires: Sequence[Any]) -> TemplateGates:
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


class ResultReader(Protocol):
    """What a script measures, and how its result reads."""

    @property
    def measurements(self) -> list[MeasurementProcess]: ...

    def read(self, result: Any) -> tuple[Tally | Means, int]:
        """What the result says, and how many shots it marks as lost.

        Raises:
            Unreadable: it is not what the measurements ask for.
        """


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

    def read(self, result: Any) -> tuple[Tally, int]:
        if not isinstance(result, Mapping):
            return samples(result, self.measured, self.num_qubits, self.shots)
        for outcome in result:
            if not isinstance(outcome, str):
                raise Unreadable(f"the outcome {outcome!r} where strings of {len(self.measured)} bits were expected")
        # in PennyLane the first letter is of the first wire
        return tally(result, self.measured[::-1], self.num_qubits, self.shots), 0


@dataclass(frozen=True, eq=False)
class Expectations:
    """Exact expectation values: value k of the template is sign[k] times that of measurement place[k]."""

    measurements: list[MeasurementProcess]
    place: np.ndarray
    sign: np.ndarray

    @classmethod
    def of(cls, template: Template, wires: Sequence[Any]) -> Expectations:
        z, sign = z_strings(template)
        distinct, place = distinct_rows(z)
        bits = unpack_bits(distinct, template.num_qubits)
        strings = [[wires[int(qubit)] for qubit in np.flatnonzero(row)] for row in bits]
        measurements = [qml.expval(_z_string(on, wires[0])) for on in strings]
        return cls(measurements, place, sign)

    def read(self, result: Any) -> tuple[Means, int]:
        # a script with one measurement has a bare number as its result
        single = len(self.measurements) == 1 and np.ndim(result) == 0
        found = estimates([result] if single else result, (len(self.measurements),), "expectation values")
        check_bounds(found, 0.0)
        values = self.sign * found[self.place]
        return Means(values, np.zeros_like(values), 0), 0


def _z_string(on: list[Any], any_wire: Any) -> Operator:
    """The product of Z on these wires; without any, as for the square of a string, the identity."""
    if not on:
        return qml.Identity(any_wire)
    return qml.Z(on[0]) if len(on) == 1 else qml.prod(*map(qml.Z, on))
