"""The standard gates: what each takes, and the Clifford gates and Pauli rotations that it consists of.

A gate of this table is a method of `qngd.CircuitBuilder`, and Qiskit's gate of the same name is read by it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from qngd.circuit.angles import Angle

Angles = tuple[Angle | float, ...]


class GateSink(Protocol):
    """What a gate is written to: an `OpsBuilder`."""

    def clifford(self, name: str, *qubits: int) -> None:
        """One of h, s, sdg, x, y, z, cx, cz, swap; control first."""

    def rotation(self, pauli: str, qubits: Sequence[int], angle: Angle | float) -> None:
        """exp(−i·angle/2·P) where letter i of `pauli` acts on `qubits[i]`."""

    def gate(self, name: str, qubits: Sequence[int], angles: Sequence[Angle | float] = ()) -> bool:
        """Another gate of the table."""


Recipe = Callable[[GateSink, tuple[int, ...], Angles], None]


@dataclass(frozen=True)
class StandardGate:
    """A gate by its OpenQASM name: the names of its angles and of its qubits, in the order in which they are written,
    and what emits it, up to a global phase."""

    angles: tuple[str, ...]
    qubits: tuple[str, ...]
    emit: Recipe


def _cliffords(*steps: tuple[str, tuple[int, ...]]) -> Recipe:
    def recipe(b: GateSink, q: tuple[int, ...], a: Angles) -> None:
        for name, places in steps:
            b.clifford(name, *(q[i] for i in places))

    return recipe


def _rotations(*steps: tuple[str, float]) -> Recipe:
    """Commuting rotations about Pauli strings over the gate's qubits, by factor × the gate's angle (or, for a
    gate without angle, by that fixed angle)."""

    def recipe(b: GateSink, q: tuple[int, ...], a: Angles) -> None:
        for pauli, factor in steps:
            b.rotation(pauli, q, a[0] * factor if a else factor)

    return recipe


def _u(b: GateSink, q: tuple[int, ...], a: Angles) -> None:
    theta, phi, lam = a  # U = RZ(φ)·RY(θ)·RZ(λ) up to a phase
    b.rotation("Z", q, lam)
    b.rotation("Y", q, theta)
    b.rotation("Z", q, phi)


def _u2(b: GateSink, q: tuple[int, ...], a: Angles) -> None:
    _u(b, q, (math.pi / 2, *a))


def _r(b: GateSink, q: tuple[int, ...], a: Angles) -> None:
    theta, phi = a  # a rotation by θ about cos φ·X + sin φ·Y
    b.rotation("Z", q, -phi)
    b.rotation("X", q, theta)
    b.rotation("Z", q, phi)


def _cu(b: GateSink, q: tuple[int, ...], a: Angles) -> None:
    theta, phi, lam, gamma = a  # U = P(φ)·RY(θ)·P(λ), and a phase γ of the control
    b.gate("cp", q, (lam,))
    b.gate("cry", q, (theta,))
    b.gate("cp", q, (phi,))
    b.rotation("Z", q[:1], gamma)


def _cu3(b: GateSink, q: tuple[int, ...], a: Angles) -> None:
    _cu(b, q, (*a, 0.0))


def _xy(sign: int) -> Recipe:
    """exp(−iθ/4·(XX ± YY)) between turns of the first qubit by ±β and back."""

    def recipe(b: GateSink, q: tuple[int, ...], a: Angles) -> None:
        theta, beta = a
        b.rotation("Z", q[:1], beta * sign)
        b.rotation("XX", q, theta * 0.5)
        b.rotation("YY", q, theta * (0.5 * sign))
        b.rotation("Z", q[:1], beta * -sign)

    return recipe


def _ch(b: GateSink, q: tuple[int, ...], a: Angles) -> None:
    b.rotation("Y", q[1:], -math.pi / 4)  # H = RY(π/4)·Z·RY(−π/4)
    b.clifford("cz", *q)
    b.rotation("Y", q[1:], math.pi / 4)


def _ecr(b: GateSink, q: tuple[int, ...], a: Angles) -> None:
    b.rotation("ZX", q, math.pi / 2)  # ECR = RZX(−π/4)·X·RZX(π/4) = X·RZX(π/2)
    b.clifford("x", q[0])


_HALF, _QUARTER = math.pi / 2, math.pi / 4
_PHASE_2 = (("ZI", 0.5), ("IZ", 0.5), ("ZZ", -0.5))  # exp(iλ|11⟩⟨11|), |11⟩⟨11| = (1−Z)(1−Z)/4


def _fixed(steps: tuple[tuple[str, float], ...], angle: float) -> Recipe:
    return _rotations(*((pauli, factor * angle) for pauli, factor in steps))


_ONE, _PAIR, _CONTROLLED = ("qubit",), ("first", "second"), ("control", "target")
_ANGLE = ("angle",)

STANDARD_GATES: dict[str, StandardGate] = {
    "id": StandardGate((), _ONE, _cliffords()),
    "h": StandardGate((), _ONE, _cliffords(("h", (0,)))),
    "x": StandardGate((), _ONE, _cliffords(("x", (0,)))),
    "y": StandardGate((), _ONE, _cliffords(("y", (0,)))),
    "z": StandardGate((), _ONE, _cliffords(("z", (0,)))),
    "s": StandardGate((), _ONE, _cliffords(("s", (0,)))),
    "sdg": StandardGate((), _ONE, _cliffords(("sdg", (0,)))),
    "t": StandardGate((), _ONE, _rotations(("Z", _QUARTER))),
    "tdg": StandardGate((), _ONE, _rotations(("Z", -_QUARTER))),
    "sx": StandardGate((), _ONE, _rotations(("X", _HALF))),
    "sxdg": StandardGate((), _ONE, _rotations(("X", -_HALF))),
    "rx": StandardGate(_ANGLE, _ONE, _rotations(("X", 1))),
    "ry": StandardGate(_ANGLE, _ONE, _rotations(("Y", 1))),
    "rz": StandardGate(_ANGLE, _ONE, _rotations(("Z", 1))),
    "p": StandardGate(_ANGLE, _ONE, _rotations(("Z", 1))),
    "r": StandardGate(("angle", "phi"), _ONE, _r),
    "u": StandardGate(("theta", "phi", "lam"), _ONE, _u),
    "u2": StandardGate(("phi", "lam"), _ONE, _u2),
    "cx": StandardGate((), _CONTROLLED, _cliffords(("cx", (0, 1)))),
    "cy": StandardGate((), _CONTROLLED, _cliffords(("sdg", (1,)), ("cx", (0, 1)), ("s", (1,)))),
    "cz": StandardGate((), _CONTROLLED, _cliffords(("cz", (0, 1)))),
    "ch": StandardGate((), _CONTROLLED, _ch),
    "cs": StandardGate((), _CONTROLLED, _fixed(_PHASE_2, _HALF)),
    "csdg": StandardGate((), _CONTROLLED, _fixed(_PHASE_2, -_HALF)),
    "swap": StandardGate((), _PAIR, _cliffords(("swap", (0, 1)))),
    "iswap": StandardGate((), _PAIR, _rotations(("XX", -_HALF), ("YY", -_HALF))),
    "dcx": StandardGate((), _PAIR, _cliffords(("cx", (0, 1)), ("cx", (1, 0)))),
    "ecr": StandardGate((), _PAIR, _ecr),
    "rxx": StandardGate(_ANGLE, _PAIR, _rotations(("XX", 1))),
    "ryy": StandardGate(_ANGLE, _PAIR, _rotations(("YY", 1))),
    "rzz": StandardGate(_ANGLE, _PAIR, _rotations(("ZZ", 1))),
    "rzx": StandardGate(_ANGLE, _PAIR, _rotations(("ZX", 1))),
    "xx_plus_yy": StandardGate(("theta", "beta"), _PAIR, _xy(1)),
    "xx_minus_yy": StandardGate(("theta", "beta"), _PAIR, _xy(-1)),
    "crx": StandardGate(_ANGLE, _CONTROLLED, _rotations(("IX", 0.5), ("ZX", -0.5))),
    "cry": StandardGate(_ANGLE, _CONTROLLED, _rotations(("IY", 0.5), ("ZY", -0.5))),
    "crz": StandardGate(_ANGLE, _CONTROLLED, _rotations(("IZ", 0.5), ("ZZ", -0.5))),
    "cp": StandardGate(_ANGLE, _CONTROLLED, _rotations(*_PHASE_2)),
    "cu": StandardGate(("theta", "phi", "lam", "gamma"), _CONTROLLED, _cu),
    "cu3": StandardGate(("theta", "phi", "lam"), _CONTROLLED, _cu3),
}
