"""The bit strings that a search ends with: those that the last energy was measured by, or the exact state's."""

from __future__ import annotations

import numpy as np

from qngd.circuit.active import active_qubits, as_measured, without_idle
from qngd.circuit.circuit import Circuit
from qngd.circuit.observable import Observable
from qngd.estimates.bit_strings import BitStrings
from qngd.exact.common_basis import CommonBasis
from qngd.exact.point import simulator_of

_MOST_QUBITS = 20  # whose distribution is looked through
_KEPT = 1024  # of the most probable strings, and of the lowest
_LEAST = 1e-12  # probability of a string that is kept for its energy


def exact_bit_strings(circuit: Circuit, observable: Observable, theta: np.ndarray) -> BitStrings | None:
    """What measuring a diagonal observable at the flat parameter vector `theta` (P,) would give; None where it is not
    diagonal, or has too many qubits."""
    active = active_qubits(circuit)
    if observable.strings.x.any() or len(active) > _MOST_QUBITS:
        return None
    inside = as_measured(observable, circuit)
    energies = CommonBasis.of(inside, np.arange(len(active))).energies
    simulator = simulator_of(without_idle(circuit), whole=True)
    weights = simulator.probabilities(circuit.angle_map(theta))
    probable = np.argsort(-weights, kind="stable")[:_KEPT]
    seen = np.flatnonzero(weights > _LEAST)
    lowest = seen[np.argsort(energies[seen], kind="stable")[:_KEPT]]
    rows = np.union1d(probable[weights[probable] > _LEAST], lowest)
    ones = np.zeros((len(rows), circuit.num_qubits), dtype=bool)
    ones[:, active] = (rows[:, None] >> np.arange(len(active)) & 1).astype(bool)
    return BitStrings(ones, energies[rows], weights[rows])
