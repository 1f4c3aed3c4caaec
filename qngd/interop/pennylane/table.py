"""PennyLane's elementary operations as Pauli rotations, global phase included."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import pennylane as qml
from pennylane.operation import Operator
from pennylane.pauli import PauliSentence

from qngd.circuit.angles import Angle
from qngd.interop.synthesis import Turn, phase_turn, turn_about

# Clifford gates that the builder knows by name: the gate and its inverse.
CLIFFORDS: dict[type, tuple[str, str]] = {
    qml.Hadamard: ("h", "h"),
    qml.PauliX: ("x", "x"),
    qml.PauliY: ("y", "y"),
    qml.PauliZ: ("z", "z"),
    qml.S: ("s", "sdg"),
    qml.CNOT: ("cx", "cx"),
    qml.CZ: ("cz", "cz"),
    qml.SWAP: ("swap", "swap"),
}

# Operations that do nothing to the state.
SILENT: frozenset[type] = frozenset({qml.Identity, qml.Barrier, qml.Snapshot, qml.WireCut})

_HALF, _QUARTER = math.pi / 2, math.pi / 4


def _local(pauli: str, angle: float, bare: bool = False) -> Turn:
    return Turn(pauli, tuple(range(len(pauli))), angle, bare)


FIXED: dict[type, tuple[Turn, ...]] = {
    # P = exp(iπ/2)·exp(−iπ/2·P) for a Pauli P
    qml.PauliX: (_local("X", math.pi), phase_turn(_HALF)),
    qml.PauliY: (_local("Y", math.pi), phase_turn(_HALF)),
    qml.PauliZ: (_local("Z", math.pi), phase_turn(_HALF)),
    # H = RY(π/4)·Z·RY(−π/4)
    qml.Hadamard: (
        _local("Y", -_QUARTER, bare=True),
        _local("Z", math.pi),
        phase_turn(_HALF),
        _local("Y", _QUARTER, bare=True),
    ),
    qml.S: (_local("Z", _HALF), phase_turn(_QUARTER)),
    qml.T: (_local("Z", _QUARTER), phase_turn(_QUARTER / 2)),
    qml.SX: (_local("X", _HALF), phase_turn(_QUARTER)),
    # SWAP = exp(iπ/4)·exp(−iπ/4·(XX + YY + ZZ))
    qml.SWAP: (*(_local(p, _HALF) for p in ("XX", "YY", "ZZ")), phase_turn(_QUARTER)),
    qml.ISWAP: tuple(_local(p, -_HALF) for p in ("XX", "YY")),
    qml.SISWAP: tuple(_local(p, -_QUARTER) for p in ("XX", "YY")),
    # ECR = X₀·R_ZX(π/2)
    qml.ECR: (_local("ZX", _HALF), _local("X", math.pi), phase_turn(_HALF)),
}

Angles = Sequence[Angle | float]


def _rot(op: Operator, a: Angles) -> list[Turn]:
    return [Turn("Z", (0,), a[0]), Turn("Y", (0,), a[1]), Turn("Z", (0,), a[2])]


def _u3(op: Operator, a: Angles) -> list[Turn]:
    theta, phi, delta = a  # P(φ)·RY(θ)·P(δ); each phase beside its rotation, as under a control they are one unit
    return [*_phase(delta), Turn("Y", (0,), theta), *_phase(phi)]


def _phase(angle: Angle | float) -> list[Turn]:
    return [Turn("Z", (0,), angle), phase_turn(angle * 0.5)]


def _u2(op: Operator, a: Angles) -> list[Turn]:
    return _u3(op, (_HALF, *a))


def _pauli_rot(op: Operator, a: Angles) -> list[Turn]:
    return [turn_about(op.hyperparameters["pauli_word"], range(len(op.wires)), a[0])]


def _multi_rz(op: Operator, a: Angles) -> list[Turn]:
    count = len(op.wires)
    return [Turn("Z" * count, tuple(range(count)), a[0])]


def _pswap(op: Operator, a: Angles) -> list[Turn]:
    # SWAP·diag(1, e^{iφ}, e^{iφ}, 1), the second of which is exp(iφ/2)·R_ZZ(φ)
    return [Turn("ZZ", (0, 1), a[0]), phase_turn(a[0] * 0.5), *FIXED[qml.SWAP]]


def _fermionic_swap(op: Operator, a: Angles) -> list[Turn]:
    # e^{iφ/2}·exp(−iφ/4·(XX + YY + ZI + IZ)), whose strings do not commute; but the sum is 2·W·ZI·W†, with W a quarter
    # turn about (YX − XY)/2
    into = [Turn("XY", (0, 1), _QUARTER, bare=True), Turn("YX", (0, 1), -_QUARTER, bare=True)]
    out = [turn.inverse() for turn in reversed(into)]
    return [*into, Turn("Z", (0,), a[0]), phase_turn(a[0] * 0.5), *out]


PARAMETRIC: dict[type, Callable[[Operator, Angles], list[Turn]]] = {
    qml.Rot: _rot,
    qml.U2: _u2,
    qml.U3: _u3,
    qml.PauliRot: _pauli_rot,
    qml.MultiRZ: _multi_rz,
    qml.PSWAP: _pswap,
    qml.FermionicSWAP: _fermionic_swap,
}

# U(φ) = exp(iφG) where the words of G commute: Σ_w c_w·w gives a rotation by −2·c_w·φ about each w.
GENERATED: frozenset[type] = frozenset({
    qml.RX, qml.RY, qml.RZ, qml.PhaseShift, qml.U1, qml.GlobalPhase,
    qml.IsingXX, qml.IsingYY, qml.IsingZZ, qml.IsingXY,
    qml.CPhaseShift00, qml.CPhaseShift01, qml.CPhaseShift10,
    qml.SingleExcitation, qml.SingleExcitationPlus, qml.SingleExcitationMinus,
    qml.DoubleExcitation, qml.DoubleExcitationPlus, qml.DoubleExcitationMinus,
    qml.OrbitalRotation,
})  # fmt: skip

Words = tuple[tuple[str, tuple[int, ...], float], ...]  # letters, places, factor of the parameter


def _generator_words(kind: type[Operator]) -> Words:
    wires = list(range(kind.num_wires or 0))
    generator = kind(0.5, wires=wires).generator()
    sentence = generator.pauli_rep
    if sentence is None:
        matrix = qml.matrix(generator, wire_order=wires)
        sentence = qml.pauli_decompose(matrix, pauli=True)
    return tuple(
        ("".join(word.values()), tuple(word.keys()), -2.0 * float(complex(c).real)) for word, c in sentence.items()
    )


_words: dict[type[Operator], Words] = {}


def turns_of(op: Operator, data: Sequence[Any], angle: Callable[[Any], Any]) -> list[Turn] | None:
    """The rotations of an elementary operation, on places of `op.wires`; None for any other operation.

    `angle` turns a parameter of the operation (from `data`) into an `Angle` or a number.
    """
    kind = type(op)
    if kind in FIXED:
        return list(FIXED[kind])
    if kind in PARAMETRIC:
        return PARAMETRIC[kind](op, [angle(value) for value in data])
    if kind not in GENERATED:
        return None
    words = _words.get(kind)
    if words is None:
        words = _words[kind] = _generator_words(kind)
    phi = angle(data[0])
    return [Turn(letters, places, phi if factor == 1.0 else phi * factor) for letters, places, factor in words]


def commuting_words(sentence: PauliSentence) -> bool:
    """Whether all words of a Pauli sentence commute, so that its exponential is a product."""
    return all(a.commutes_with(b) for a, b in itertools.combinations(sentence, 2))
