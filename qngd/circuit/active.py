"""Idle qubits left out: those that no gate acts on, as most of a circuit transpiled for a device.

An idle qubit stays |0⟩ beside the others, so ⟨P⊗Z⟩ = ⟨P⟩ and ⟨P⊗X⟩ = ⟨P⊗Y⟩ = 0. Simulating, planning and measuring
take the circuit on the other qubits, whose `numbers` say where these stand in the user's circuit.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np

from qngd.circuit.circuit import Circuit
from qngd.circuit.frame import Frame
from qngd.circuit.observable import Observable
from qngd.circuit.pauli import PauliStrings, pack_bits, unpack_bits


def active_qubits(circuit: Circuit) -> np.ndarray:
    """The qubits that gates act on, in order; qubit 0 where there are no gates."""
    active = np.zeros(circuit.num_qubits, dtype=bool)
    active[circuit.ops.qubits] = True
    active[0] |= not active.any()
    return np.flatnonzero(active)


@lru_cache(maxsize=16)
def without_idle(circuit: Circuit) -> Circuit:
    """The circuit on its active qubits; itself if these are all."""
    qubits = active_qubits(circuit)
    if len(qubits) == circuit.num_qubits:
        return circuit
    place = np.zeros(circuit.num_qubits, dtype=np.int64)
    place[qubits] = np.arange(len(qubits))
    return replace(
        circuit,
        num_qubits=len(qubits),
        ops=replace(circuit.ops, qubits=place[circuit.ops.qubits]),
        generators=circuit.generators.on(qubits),
        frame=_frame_on(circuit.frame, qubits),
        observable=None,
        wires=None if circuit.wires is None else tuple(circuit.wires[q] for q in qubits),
        numbers=tuple(qubits.tolist()),
    )


def as_measured(observable: Observable, circuit: Circuit) -> Observable:
    """What an observable on a circuit's qubits is on those of `without_idle(circuit)`.

    Raises:
        ObservableError: it has another number of qubits than the circuit.
    """
    circuit.check(observable)
    return beside_zeros(observable, active_qubits(circuit))


def moved_qubits(*strings: PauliStrings) -> np.ndarray:
    """The qubits on which one of the strings has X or Y; qubit 0 where there are none.

    Of a circuit's generators these are the qubits that leave |0⟩ before the Clifford gates at the end. On others Z is 1
    at all times, so that the rotations can be run on these alone.
    """
    moved = np.zeros(strings[0].num_qubits, dtype=bool)
    for each in strings:
        flips = np.bitwise_or.reduce(each.x, axis=0, keepdims=True, initial=0)
        moved |= unpack_bits(flips, each.num_qubits)[0]
    moved[0] |= not moved.any()
    return np.flatnonzero(moved)


def beside_zeros(observable: Observable, qubits: np.ndarray) -> Observable:
    """What an observable is on these qubits where all others are |0⟩."""
    if len(qubits) == observable.num_qubits:
        return observable
    others = np.ones(observable.num_qubits, dtype=bool)
    others[qubits] = False
    flips = unpack_bits(observable.strings.x, observable.num_qubits)[:, others].any(axis=1)
    rest = np.flatnonzero(~flips)
    return Observable.from_strings(observable.strings[rest].on(qubits), observable.coefficients[rest])


def _frame_on(frame: Frame, qubits: np.ndarray) -> Frame:
    """A frame that is the identity elsewhere, on these qubits."""
    rows = np.concatenate([qubits, frame.num_qubits + qubits])
    x, z = (pack_bits(unpack_bits(masks[rows], frame.num_qubits)[:, qubits]) for masks in (frame.x, frame.z))
    return Frame(len(qubits), x, z, frame.phase[rows])


def flips_zeros(pulled: Observable, qubits: np.ndarray) -> bool:
    """Whether a string of an observable has X or Y beside these qubits, where all is |0⟩: `beside_zeros` then has its
    expectation values, and not what it makes of a state."""
    others = np.setdiff1d(np.arange(pulled.num_qubits), qubits)
    x = unpack_bits(pulled.strings.x[pulled.acting], pulled.num_qubits)
    return bool(x[:, others].any())
