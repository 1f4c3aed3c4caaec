"""What a backend returns for a request, and the statistics that follow from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qngd._jit import kernel
from qngd.errors import BackendError
from qngd.template import Template


@dataclass(frozen=True, eq=False)
class Counts:
    """Measured bits: U distinct outcomes as masks `bits` (U, W) over the qubits, seen `counts` (U,) times."""

    bits: np.ndarray
    counts: np.ndarray

    @property
    def shots(self) -> int:
        return int(self.counts.sum())

    def unpacked(self, num_qubits: int) -> np.ndarray:
        """The bits as a boolean array (U, num_qubits), column q for qubit q."""
        bytes_ = np.ascontiguousarray(self.bits).view(np.uint8)
        return np.unpackbits(bytes_, axis=1, bitorder="little")[:, :num_qubits].astype(bool)


@dataclass(frozen=True, eq=False)
class Means:
    """Expectation values of a template's m strings, then (if it wants pairs) of the products of strings i < j in
    row order, with their standard errors; `shots` is 0 where they are exact."""

    values: np.ndarray
    stderr: np.ndarray
    shots: int


Outcome = Counts | Means


def energy(outcome: Outcome, template: Template, coefficients: np.ndarray) -> tuple[float, float]:
    """Σ_t c_t⟨string t⟩ and the variance of this estimate.

    From counts the variance is that of the shots' own energies, covariances included; from means the strings
    count as independent.
    """
    if isinstance(outcome, Means):
        count = len(coefficients)
        value = float(coefficients @ outcome.values[:count])
        return value, float(coefficients**2 @ outcome.stderr[:count] ** 2)
    per_shot = weighted_values(outcome, template, coefficients[:, None])[:, 0]
    shots = outcome.shots
    mean = float(outcome.counts @ per_shot / shots)
    if shots < 2:  # nothing is known of the spread but its bound
        return mean, float(np.abs(coefficients).sum()) ** 2
    spread = float(outcome.counts @ (per_shot - mean) ** 2)
    return mean, spread / (shots - 1) / shots


def means(outcome: Outcome, template: Template) -> tuple[np.ndarray, np.ndarray]:
    """The expectation value of each of the template's m strings and its variance, (m,) each."""
    count = len(template.strings)
    if isinstance(outcome, Means):
        return outcome.values[:count], outcome.stderr[:count] ** 2
    values = weighted_values(outcome, template, np.eye(count))
    mean = outcome.counts @ values / outcome.shots
    return mean, (1 - mean**2) / (outcome.shots - 1) if outcome.shots > 1 else np.ones(count)


def zeros_frequency(outcome: Outcome) -> tuple[float, float]:
    """How often all measured bits are 0, and the variance of that frequency."""
    if isinstance(outcome, Means):
        raise BackendError(
            "an overlap needs counts, and this backend gives expectation values; use cross='hadamard', or a sampler"
        )
    frequency = float(outcome.counts[~outcome.bits.any(axis=1)].sum() / outcome.shots)
    return frequency, frequency * (1 - frequency) / (outcome.shots - 1) if outcome.shots > 1 else 0.25


def weighted_values(counts: Counts, template: Template, weights: np.ndarray) -> np.ndarray:
    """For each distinct outcome the weighted sums Σ_t value_t·weights[t, j], shape (U, p), of the strings' values
    ±1."""
    out = np.zeros((len(counts.bits), weights.shape[1]))
    basis = template.basis
    _weighted(counts.bits, basis.z, weights * basis.sign[:, None].astype(float), out)
    return out


@kernel
def _weighted(bits, z, weights, out):
    for u in range(bits.shape[0]):
        for t in range(z.shape[0]):
            parity = np.uint64(0)
            for w in range(z.shape[1]):
                parity ^= bits[u, w] & z[t, w]
            parity ^= parity >> np.uint64(32)
            parity ^= parity >> np.uint64(16)
            parity ^= parity >> np.uint64(8)
            parity ^= parity >> np.uint64(4)
            parity ^= parity >> np.uint64(2)
            parity ^= parity >> np.uint64(1)
            sign = 1.0 - 2.0 * np.float64(parity & np.uint64(1))
            for j in range(weights.shape[1]):
                out[u, j] += sign * weights[t, j]
