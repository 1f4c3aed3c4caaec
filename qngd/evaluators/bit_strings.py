"""The bit strings of an exact state: the most probable ones, and those lowest in energy."""

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
    seen = np.flatnonzero(weights > _LEAST)
    rows = np.union1d(seen[_smallest(-weights[seen])], seen[_smallest(energies[seen])])
    ones = np.zeros((len(rows), circuit.num_qubits), dtype=bool)
    ones[:, active] = (rows[:, None] >> np.arange(len(active)) & 1).astype(bool)
    return BitStrings(ones, energies[rows], weights[rows])


def _smallest(values: np.ndarray) -> np.ndarray:
    """Where the `_KEPT` smallest of these values (n,) are, of equal ones the first."""
    if len(values) <= _KEPT:
        return np.arange(len(values))
    last = np.partition(values, _KEPT - 1)[_KEPT - 1]
    below, equal = np.flatnonzero(values < last), np.flatnonzero(values == last)
    return np.concatenate([below, equal[: _KEPT - len(below)]])
