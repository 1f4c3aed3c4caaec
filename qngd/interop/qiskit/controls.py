"""Qiskit's gates under control: Pauli rotations that a parameter moves, times the projector onto the controls.

Qiskit's own definitions go by way of Toffoli gates, between which the rotations of one gate no longer commute.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from qiskit.circuit import ControlledGate, Gate
from qiskit.circuit.library import (
    PhaseGate,
    RGate,
    RXGate,
    RXXGate,
    RYGate,
    RYYGate,
    RZGate,
    RZXGate,
    RZZGate,
    U1Gate,
    U2Gate,
    U3Gate,
    UGate,
    XXMinusYYGate,
    XXPlusYYGate,
)

from qngd.circuit.angles import Angle
from qngd.interop.qiskit.gates import has_parameters
from qngd.interop.synthesis import MAX_CONTROLS, Turn, phase_turn, under_controls

_Angles = Sequence[Angle | float]


def _rotation(pauli: str) -> Callable[[_Angles], list[Turn]]:
    return lambda a: [Turn(pauli, tuple(range(len(pauli))), a[0])]


def _phase(a: _Angles) -> list[Turn]:
    return [Turn("Z", (0,), a[0]), phase_turn(a[0] * 0.5)]


def _u(a: _Angles) -> list[Turn]:
    theta, phi, lam, *phase = a  # Qiskit's CU, under more controls, is a U with a phase
    parts = [*_phase([lam]), Turn("Y", (0,), theta), *_phase([phi])]
    return parts + [phase_turn(value) for value in phase]


def _u2(a: _Angles) -> list[Turn]:
    return _u((math.pi / 2, *a))


def _turned(by: Callable[[_Angles], list[Turn]], sign: int) -> Callable[[_Angles], list[Turn]]:
    """Between turns of the first qubit by sign·(last angle) and back, which need no control."""

    def turns(a: _Angles) -> list[Turn]:
        into = Turn("Z", (0,), a[1] * sign, bare=True)
        return [into, *by(a), into.inverse()]

    return turns


def _xy(sign: int) -> Callable[[_Angles], list[Turn]]:
    return lambda a: [Turn("XX", (0, 1), a[0] * 0.5), Turn("YY", (0, 1), a[0] * (0.5 * sign))]


_TURNS: dict[type[Gate], Callable[[_Angles], list[Turn]]] = {
    RXGate: _rotation("X"),
    RYGate: _rotation("Y"),
    RZGate: _rotation("Z"),
    RXXGate: _rotation("XX"),
    RYYGate: _rotation("YY"),
    RZZGate: _rotation("ZZ"),
    RZXGate: _rotation("ZX"),
    PhaseGate: _phase,
    U1Gate: _phase,
    UGate: _u,
    U2Gate: _u2,
    U3Gate: _u,
    RGate: _turned(_rotation("X"), -1),
    XXPlusYYGate: _turned(_xy(1), 1),
    XXMinusYYGate: _turned(_xy(-1), -1),
}


def is_written_out(gate: Gate) -> bool:
    """Whether a gate with parameters is a circuit of other gates that somebody made."""
    return type(gate) is Gate and gate.definition is not None and has_parameters(gate)


def controlled_turns(gate: ControlledGate, angle: Callable[[object], Angle | float]) -> list[Turn] | None:
    """The rotations of a controlled gate with parameters, controls in the first places; None where its definition
    serves. `angle` reads a parameter."""
    base, count = gate.base_gate, gate.num_ctrl_qubits
    recipe = _TURNS.get(type(base))
    if recipe is None or count > MAX_CONTROLS or not has_parameters(base):
        return None
    controls = [(place, bool(gate.ctrl_state >> place & 1)) for place in range(count)]
    shifted = [
        Turn(turn.pauli, tuple(place + count for place in turn.places), turn.angle, turn.bare)
        for turn in recipe([angle(value) for value in base.params])
    ]
    return [each for turn in shifted for each in under_controls(turn, controls)]
