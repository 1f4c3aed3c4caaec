"""Measured bits of a circuit, for `qngd.sample`."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from qngd.backends import BackendBase, resolve
from qngd.backends.boundary import calling, checked
from qngd.circuit.active import active_qubits, without_idle
from qngd.circuit.circuit import Circuit
from qngd.circuit.pauli import PauliStrings
from qngd.errors import BackendError, SettingError
from qngd.evaluators import light_cone
from qngd.evaluators.choice import settled
from qngd.evaluators.setup import Setup
from qngd.evaluators.some_qubits import exact_bits, read_qubits
from qngd.exact.point import simulator_of
from qngd.measured.cutting import observable_template
from qngd.measured.outcomes import Counts
from qngd.measured.plan import Request
from qngd.measured.shots import check_shots

_NO_SHOTS = SettingError("shots: a sample needs a number of shots, as in sample(circuit, theta, shots=1000)")


def sample_bits(
    circuit: Circuit, theta: np.ndarray, shots: Any, backend: Any, seed: int | None, qubits: Any = None
) -> Counter[str]:
    """Some qubits, or all, measured `shots` times at the flat parameter vector `theta`: counts of bitstrings. Idle
    qubits are 0 without being measured.

    Raises:
        SettingError: there is no number of shots, or the qubits are none of the circuit's.
        BackendError: the backend gives no samples.
        MemoryLimitError: neither a statevector nor light cones fit in memory.
    """
    wanted = read_qubits(circuit, qubits)
    if light_cone.is_meant(backend):
        if shots is None and circuit.device_shots is None:
            raise _NO_SHOTS
        whole = check_shots(circuit.device_shots if shots is None else shots)
        return _counted(exact_bits(circuit, theta, wanted, whole, seed))
    setup = settled(Setup(backend, shots), circuit)
    if setup.shots is None:
        raise _NO_SHOTS
    whole = check_shots(setup.shots)
    if backend is None and circuit.device is None and not simulator_of(circuit, whole=True).fits:
        return _counted(exact_bits(circuit, theta, wanted, whole, seed))
    bits, counts = _measured(circuit, theta, wanted, whole, resolve(setup.backend), seed)
    return _counted(bits, counts)


def _measured(
    circuit: Circuit, theta: np.ndarray, wanted: np.ndarray, shots: int, device: BackendBase, seed: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """The distinct bits (U, k) of the qubits that a device gave, and how often (U,); what these qubits do not depend on
    is not run."""
    active, places = without_idle(circuit), active_qubits(circuit)
    n = active.num_qubits
    z = np.eye(n, dtype=bool)[np.isin(places, wanted)]
    reads = PauliStrings.from_bits(np.zeros_like(z), z)
    template = observable_template(active, reads, device.runs_whole(circuit))
    request = Request(0, circuit.angle_map(theta)[template.rotations], shots)
    if device.gives_counts is False:
        raise BackendError(f"backend: {device.name} returns expectation values, not samples; take a sampler")
    with calling(device.name):
        found = device.collect(device.submit([template], [request], seed))
        (outcome,) = checked(found, [template], [request], device.name)
    if not isinstance(outcome, Counts):
        raise BackendError(f"backend: {device.name} returns expectation values, not samples (as mitigated weights are)")
    ones = np.zeros((len(outcome.bits), circuit.num_qubits), dtype=bool)
    ones[:, places] = outcome.unpacked(n)
    return ones[:, wanted], outcome.counts


def _counted(bits: np.ndarray, counts: np.ndarray | None = None) -> Counter[str]:
    """Rows of bits, the first of them rightmost, with how often each was seen (once by default)."""
    found: Counter[str] = Counter()
    letters = map("".join, np.where(bits, "1", "0")[:, ::-1])
    for text, count in zip(letters, np.ones(len(bits), dtype=int) if counts is None else counts, strict=True):
        found[text] += int(count)
    return found
