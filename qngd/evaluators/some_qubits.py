"""Outcomes of some of a circuit's qubits, exactly, by light cones (`qngd.exact.cones.readout`)."""

from __future__ import annotations

from typing import Any

import numpy as np

from qngd._system.memory import require_bytes
from qngd.circuit.active import active_qubits, without_idle
from qngd.circuit.circuit import Circuit
from qngd.circuit.pauli import PauliStrings
from qngd.errors import MemoryLimitError, SettingError, is_number, shown, unboxed
from qngd.evaluators.light_cone import cone_simulator_of
from qngd.exact.cones.readout import QubitGroup

_MOST = 30  # qubits of a distribution
_NAMED = 4  # qubits in a message


def read_qubits(circuit: Circuit, qubits: Any) -> np.ndarray:
    """The numbers (k,) of the qubits that a user names, in that order; all where that is None.

    Raises:
        SettingError: one is no qubit of the circuit, or is named twice.
    """
    if qubits is None:
        return np.arange(circuit.num_qubits)
    try:
        given = [unboxed(each) for each in ([qubits] if is_number(unboxed(qubits)) else qubits)]
    except TypeError:
        raise _no_qubits(circuit, qubits) from None
    if not given or not all(is_number(q) and q == int(q) and 0 <= q < circuit.num_qubits for q in given):
        raise _no_qubits(circuit, qubits)
    found = np.array([int(q) for q in given if is_number(q)], dtype=np.int64)
    if len(np.unique(found)) < len(found):
        raise SettingError(f"qubits: one is named twice in {shown(qubits)}")
    return found


def _no_qubits(circuit: Circuit, qubits: Any) -> SettingError:
    return SettingError(
        f"qubits must be numbers of the circuit's qubits, 0 to {circuit.num_qubits - 1}, as in qubits=[0, 1]; "
        f"got {shown(qubits)}"
    )


def marginal(circuit: Circuit, theta: np.ndarray, qubits: np.ndarray) -> np.ndarray:
    """The probability (2^k,) of every outcome of the qubits (k,) at the flat parameter vector `theta`; the first
    qubit's bit is the lowest of its number.

    Raises:
        MemoryLimitError: so many numbers, or the states of a light cone, do not fit in memory.
    """
    count = len(qubits)
    if count > _MOST:
        raise MemoryLimitError(
            f"qubits: {count} of them have 2^{count} outcomes; ask for a sample, qngd.sample(circuit, theta, "
            "shots=1000, qubits=[…]), or for fewer"
        )
    require_bytes(24 << count, f"a distribution over {count} qubits", "ask for a sample, or for fewer qubits")
    phi = circuit.angle_map(theta)
    idle, groups = _groups(circuit, qubits)
    found, order = np.ones(1), [int(place) for place in idle]
    found = np.concatenate([found, np.zeros((1 << len(idle)) - 1)])
    for places, group in groups:
        found = np.multiply.outer(group.distribution(phi), found).reshape(-1)
        order += places.tolist()
    axes = found.reshape((2,) * count)  # the last axis is the lowest bit, of the qubit order[0]
    back = np.argsort(order)[::-1]
    return np.ascontiguousarray(axes.transpose([count - 1 - place for place in back.tolist()])).reshape(-1)


def exact_bits(circuit: Circuit, theta: np.ndarray, qubits: np.ndarray, shots: int, seed: int | None) -> np.ndarray:
    """The bits (shots, k) of the qubits (k,), shot by shot, at the flat parameter vector `theta`.

    Raises:
        MemoryLimitError: the states of a light cone do not fit in memory; the text says what to do instead.
    """
    rng, phi = np.random.default_rng(seed), circuit.angle_map(theta)
    found = np.zeros((shots, len(qubits)), dtype=bool)
    for places, group in _groups(circuit, qubits)[1]:
        bits, weights = group.outcomes(phi)
        found[:, places] = bits[rng.choice(len(weights), shots, p=weights / weights.sum())]
    return found


def _groups(circuit: Circuit, qubits: np.ndarray) -> tuple[np.ndarray, list[tuple[np.ndarray, QubitGroup]]]:
    """The places among the qubits of those that no gate acts on, and the groups of the others with their places."""
    active, numbers = without_idle(circuit), active_qubits(circuit)
    is_active = np.isin(qubits, numbers)
    places = np.flatnonzero(is_active)
    z = np.zeros((len(places), active.num_qubits), dtype=bool)
    z[np.arange(len(places)), np.searchsorted(numbers, qubits[places])] = True
    read = active.frame.pull(PauliStrings.from_bits(np.zeros_like(z), z))

    def name(members: np.ndarray) -> str:
        own = qubits[places[members]].tolist()
        listed = ", ".join(map(str, own[:_NAMED])) + (f" and {len(own) - _NAMED} more" if len(own) > _NAMED else "")
        return f"what qubit {listed} reads" if len(own) == 1 else f"what qubits {listed} read together"

    try:
        groups = cone_simulator_of(circuit).groups(read, name)
    except MemoryLimitError as error:
        raise MemoryLimitError(f"{error}; or read fewer qubits at a time, as in qubits=[0, 1]") from None
    return np.flatnonzero(~is_active), [(places[group.places], group) for group in groups]
