"""Measured bits of a circuit, for `qngd.sample`."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from qngd.backends import resolve
from qngd.backends.boundary import calling, checked
from qngd.circuit.active import active_qubits, without_idle
from qngd.circuit.circuit import Circuit
from qngd.circuit.pauli import PauliStrings
from qngd.errors import BackendError, SettingError
from qngd.evaluators.choice import backend_and_shots
from qngd.measured.cutting import observable_template
from qngd.measured.outcomes import Counts
from qngd.measured.plan import Request
from qngd.measured.shots import check_shots


def sample_bits(circuit: Circuit, theta: np.ndarray, shots: Any, backend: Any, seed: int | None) -> Counter[str]:
    """All qubits measured `shots` times at the flat parameter vector `theta`: counts of bitstrings. Idle qubits are 0
    without being measured.

    Raises:
        SettingError: there is no number of shots.
        BackendError: the backend gives no samples.
    """
    chosen, shots = backend_and_shots(circuit, backend, shots)
    if shots is None:
        raise SettingError("shots: a sample needs a number of shots, as in sample(circuit, theta, shots=1000)")
    device = resolve(None) if chosen is None else chosen
    active = without_idle(circuit)
    n = active.num_qubits
    reads = PauliStrings.from_bits(np.zeros((n, n), dtype=bool), np.eye(n, dtype=bool))
    template = observable_template(active, reads, device.runs_whole(circuit))
    request = Request(0, circuit.angle_map(theta)[template.rotations], check_shots(shots))
    with calling(device.name):
        found = device.collect(device.submit([template], [request], seed))
        (outcome,) = checked(found, [template], [request], device.name)
    if not isinstance(outcome, Counts):
        raise BackendError(f"backend: {device.name} returns expectation values, not samples (as mitigated weights are)")
    ones = np.zeros((len(outcome.bits), circuit.num_qubits), dtype=bool)
    ones[:, active_qubits(circuit)] = outcome.unpacked(n)
    letters = np.where(ones, "1", "0")[:, ::-1]
    pairs = zip(map("".join, letters), outcome.counts, strict=True)
    return Counter({bits: int(count) for bits, count in pairs})
