"""What a QNode returns, as observables: expectation values, and probabilities, which are those of projectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pennylane.measurements import ExpectationMP, MeasurementProcess, ProbabilityMP

from qngd.circuit.observable import Observable
from qngd.circuit.outputs import Outputs
from qngd.circuit.pauli_sum import projector
from qngd.errors import ObservableError
from qngd.interop.pennylane.observable import observable_of

_MAX_WIRES = 10  # of probabilities: 2^k projectors of 2^k strings


def outputs_of(measurements: Sequence[MeasurementProcess], wires: Mapping[Any, int]) -> Outputs | None:
    """The outputs of a circuit that returns these, one after the other; None where one is neither an expectation
    value nor probabilities.

    Raises:
        ObservableError: an observable cannot be read, or there are too many probabilities.
    """
    parts = [_observables(each, wires) for each in measurements]
    if not parts or any(part is None for part in parts):
        return None
    found = tuple(observable for part in parts for observable in part or ())
    return Outputs(found, is_list=len(parts) > 1 or not isinstance(measurements[0], ExpectationMP))


def _observables(measurement: MeasurementProcess, wires: Mapping[Any, int]) -> list[Observable] | None:
    if isinstance(measurement, ExpectationMP) and measurement.obs is not None:
        return [observable_of(measurement.obs, wires)]
    if isinstance(measurement, ProbabilityMP) and measurement.obs is None and measurement.eigvals() is None:
        return _projectors([wires[label] for label in measurement.wires or wires], len(wires))
    return None


def _projectors(qubits: Sequence[int], num_qubits: int) -> list[Observable]:
    """One for every basis state of these qubits, the first of which is the most significant bit."""
    if len(qubits) > _MAX_WIRES:
        raise ObservableError(
            f"the circuit returns probabilities of {len(qubits)} wires, 2^{len(qubits)} numbers; more than those of "
            f"{_MAX_WIRES} wires are not taken: return expectation values, such as qml.expval(qml.Z(0)), or "
            "probabilities of fewer wires"
        )
    found = []
    for index in range(2 ** len(qubits)):
        bits = np.array([index >> place & 1 for place in reversed(range(len(qubits)))])
        total = projector(bits, qubits, num_qubits)
        found.append(Observable.from_strings(total.strings, total.coefficients))
    return found
