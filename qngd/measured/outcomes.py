"""What a backend returns for a request, and the statistics that follow from it.

What was not seen is not impossible. Of a string with the rarer of its values in k of N shots, the rule of succession (a
flat prior for that value's probability q) says q ≈ (k ± √(k+1))/N, where the sample says ±√k: a value that was never
seen has q = 0 ± 1/N. So where a value was seen never or once, the variance of the string's mean is the sample's plus
v = (2/N)²; otherwise it is the sample's. For a sum Σ_t c_t⟨string t⟩ the same holds with v·Σ_t c_t². Two such errors
hold the truth of a string at least 85 times in a hundred. Only what algebra makes certain has an error of 0: see
`Template.independent`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import zip_longest
from typing import Any

import numpy as np

from qngd._system.compilation import kernel
from qngd.circuit.bits import dot
from qngd.circuit.pauli import unpack_bits
from qngd.errors import BackendError
from qngd.measured.template import Template


@dataclass(frozen=True, eq=False)
class Counts:
    """Measured bits: U distinct outcomes as masks `bits` (U, W) over the qubits, seen `counts` (U,) times."""

    bits: np.ndarray
    counts: np.ndarray

    @cached_property
    def shots(self) -> int:
        return int(self.counts.sum())

    def unpacked(self, num_qubits: int) -> np.ndarray:
        """The bits as a boolean array (U, num_qubits), column q for qubit q."""
        return unpack_bits(self.bits, num_qubits)


@dataclass(frozen=True, eq=False)
class Means:
    """Expectation values of a template's m strings, then (if it wants pairs) of the products of strings i < j in
    row order, with their standard errors; `shots` is 0 where they are exact.

    Where it is known, `covariance` (m, m) is that of the strings' values by this outcome's own shots, and `shared`
    (C, K) are errors that all outcomes of a submission share, by how much each moves all K values where it is one
    standard error large. `stderr` holds both. `joint` (F, K) is where pairs are wanted how independent errors of this
    outcome's own shots, one standard error large, move all K values."""

    values: np.ndarray
    stderr: np.ndarray
    shots: int
    covariance: np.ndarray | None = None
    shared: np.ndarray | None = None
    joint: np.ndarray | None = None


Outcome = Counts | Means


def covariance_of_means(outcome: Means, count: int) -> np.ndarray:
    """That of the values of the first `count` strings (m, m); of independent errors where nothing more is known."""
    shared = shared_errors(outcome, count)
    return covariance_of_shots(outcome, count) + shared.T @ shared


def covariance_of_shots(outcome: Means, count: int) -> np.ndarray:
    """The same by the outcome's own shots."""
    return np.diag(variances_of_shots(outcome, count)) if outcome.covariance is None else outcome.covariance


def variances_of_shots(outcome: Means, count: int) -> np.ndarray:
    """Of the first `count` values (m,), without what all outcomes share."""
    shared = (shared_errors(outcome, count) ** 2).sum(axis=0)
    return np.maximum(outcome.stderr[:count] ** 2 - shared, 0.0)  # but for rounding


def shared_errors(outcome: Outcome, count: int) -> np.ndarray:
    """Of the values of the first `count` strings, (C, m); no rows where nothing is shared."""
    if isinstance(outcome, Means) and outcome.shared is not None:
        return outcome.shared[:, :count]
    return np.zeros((0, count))


def moved_together(shape: tuple[int, ...], moves: Iterable[tuple[tuple[Any, ...], np.ndarray]]) -> np.ndarray:
    """How the errors that all outcomes of a submission share move an array of this shape, (C, *shape): the sum of how
    they move places of it, each an index with an array (C, …), or (0, …) where nothing is shared."""
    found = np.zeros((0, *shape))
    for place, moved in moves:
        if len(moved):
            found = found if len(found) else np.zeros((len(moved), *shape))
            found[(slice(None), *place)] += moved
    return found


def one_by_one(
    shape: tuple[int, ...], moves: Sequence[tuple[tuple[Any, ...], Iterable[np.ndarray]]]
) -> Iterator[np.ndarray]:
    """The rows of `moved_together`, one after the other: all at once may be too large."""
    for every in zip_longest(*(moved for _, moved in moves)):
        found = np.zeros(shape)
        for (place, _), moved in zip(moves, every, strict=True):
            if moved is not None:
                found[place] += moved
        yield found


def energy(outcome: Outcome, template: Template, coefficients: np.ndarray) -> tuple[float, float]:
    """Σ_t c_t⟨string t⟩ and the variance of this estimate.

    From counts the variance is that of the shots' own energies, covariances included, from means the strings
    count as independent; in any case it is at least that of what was not seen.
    """
    value, variance = sample_energy(outcome, template, coefficients)
    return value, widened_energy(variance, outcome.shots, template, coefficients)


def widened_energy(variance: float, shots: int, template: Template, coefficients: np.ndarray) -> float:
    """A sample's variance of Σ_t c_t⟨string t⟩, with what was not seen."""
    return float(widened(variance, template.squares(coefficients) * unseen(shots)))


def sample_energy(outcome: Outcome, template: Template, coefficients: np.ndarray) -> tuple[float, float]:
    """Σ_t c_t⟨string t⟩ and its variance as the sample has it, 0 where all shots agree."""
    if isinstance(outcome, Means):
        count = len(coefficients)
        value = float(coefficients @ outcome.values[:count])
        if outcome.covariance is not None:
            return value, max(float(coefficients @ outcome.covariance @ coefficients), 0.0)  # but for rounding
        return value, float(coefficients**2 @ variances_of_shots(outcome, count))
    per_shot = weighted_values(outcome, template, coefficients[:, None])[:, 0]
    shots = outcome.shots
    mean = float(outcome.counts @ per_shot / shots)
    if shots < 2:  # nothing is known of the spread but its bound
        return mean, float(np.abs(coefficients).sum()) ** 2
    spread = float(outcome.counts @ (per_shot - mean) ** 2)
    return mean, spread / (shots - 1) / shots


def unseen(shots: int) -> float:
    """The variance (2/N)² of the mean of a string that came out the same in all N shots, at most the largest possible,
    1; 0 for exact outcomes."""
    return min(4 / shots**2, 1.0) if shots else 0.0


def widened(variance: np.ndarray | float, least: np.ndarray | float) -> np.ndarray:
    """A sample's variance, with what was not seen: `least` where the shots all agree."""
    return np.maximum(variance, np.minimum(variance + least, 2 * least))


def means(outcome: Outcome, template: Template) -> tuple[np.ndarray, np.ndarray]:
    """The expectation value of each of the template's m strings and its variance by the outcome's own shots, (m,)
    each."""
    count = len(template.strings)
    least = np.where(template.independent[0] < 0, 0.0, unseen(outcome.shots))
    if isinstance(outcome, Means):
        return outcome.values[:count], widened(variances_of_shots(outcome, count), least)
    total = np.zeros(count)  # of whole numbers, so that a string that came out the same in all shots has ±1 exactly
    _add_up(outcome.bits, outcome.counts.astype(float), template.basis.z, total)
    mean = template.basis.sign * total / outcome.shots
    if outcome.shots < 2:
        return mean, np.ones(count)
    return mean, widened((1 - mean**2) / (outcome.shots - 1), least)


def zeros_frequency(outcome: Outcome, template: Template | None = None) -> tuple[float, float]:
    """How often all measured bits are 0, and the variance of that frequency, never 0 unless the `template` makes it
    certain."""
    if isinstance(outcome, Means):
        raise BackendError(
            "an overlap needs counts, and this backend gives expectation values; use cross='hadamard', or a sampler"
        )
    frequency, variance = sample_zeros(outcome)
    if outcome.shots < 2:
        return frequency, variance
    return frequency, float(widened(variance, unseen_zeros(outcome.shots, template)))


def sample_zeros(outcome: Counts) -> tuple[float, float]:
    """How often all measured bits are 0, and its variance as the sample has it, 0 where all shots agree."""
    frequency = float(outcome.counts[~outcome.bits.any(axis=1)].sum() / outcome.shots)
    if outcome.shots < 2:  # nothing is known of the spread but its bound
        return frequency, 0.25
    return frequency, frequency * (1 - frequency) / (outcome.shots - 1)


def unseen_zeros(shots: int, template: Template | None = None) -> float:
    """The least variance of the frequency of zeros."""
    certain = template is not None and np.all(template.independent[0] < 0)
    return 0.0 if certain else unseen(shots) / 4


def weighted_values(counts: Counts, template: Template, weights: np.ndarray) -> np.ndarray:
    """For each distinct outcome the weighted sums Σ_t value_t·weights[t, j], shape (U, p), of the strings' values
    ±1."""
    out = np.zeros((len(counts.bits), weights.shape[1]))
    basis = template.basis
    _weighted(counts.bits, basis.z, weights * basis.sign[:, None].astype(float), out)
    return out


def centred_sums(outcome: Counts, template: Template, jacobian: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies (U,) of the distinct outcomes and their centred sums (U, p)."""
    values = weighted_values(outcome, template, jacobian)
    weights = outcome.counts / outcome.shots
    return weights, values - weights @ values


@kernel
def _weighted(bits, z, weights, out):
    for u in range(bits.shape[0]):
        for t in range(z.shape[0]):
            value = _value(bits[u], z[t])
            for j in range(weights.shape[1]):
                out[u, j] += value * weights[t, j]


@kernel
def _add_up(bits, counts, z, out):
    for u in range(bits.shape[0]):
        for t in range(z.shape[0]):
            out[t] += counts[u] * _value(bits[u], z[t])


@kernel
def _value(bits, z):
    """±1, of a Z string on a basis state."""
    return 1.0 - 2.0 * np.float64(dot(bits, z))
