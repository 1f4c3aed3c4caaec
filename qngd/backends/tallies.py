"""Outcomes of a circuit counted up, and what counts say of a template: `Counts`, or `Means` where they were mitigated.

Whole counts become `Counts`. Weights that are not whole are those of a mitigation, which corrects the counts and may
leave some of them negative; they become `Means` (see `_means`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from qngd.circuit.pauli import pack_bits
from qngd.measured.outcomes import Counts, Means, Outcome, covariance_of_means, shared_errors, weighted_values
from qngd.measured.template import Template

WHOLE = 1e-6  # a weight this near to a whole number is one
_READOUT = 0.05  # readout errors that a mitigation is taken to have undone where its provider does not say it


@dataclass(frozen=True, eq=False)
class Tally:
    """Distinct outcomes as masks `bits` (U, W) over the qubits, and what each counts, `weights` (U,), in `shots`
    shots. `overhead` is by how much the provider says that its mitigation multiplies variances, 0 where it says
    nothing."""

    bits: np.ndarray
    weights: np.ndarray
    shots: int
    overhead: float = 0.0

    @classmethod
    def of_bits(
        cls,
        ones: np.ndarray,
        qubits: np.ndarray,
        num_qubits: int,
        shots: int,
        weights: np.ndarray | None = None,
        overhead: float = 0.0,
    ) -> Tally:
        """Of boolean rows (N, k), column j of qubits[j], each of which counts 1 if there are no `weights` (N,)."""
        bits = np.zeros((len(ones), num_qubits), dtype=bool)
        bits[:, qubits] = ones
        return cls(*_summed(pack_bits(bits), weights), shots, overhead)

    def outcome(self, template: Template) -> Outcome:
        """Counts; or where mitigation gave the weights, expectation values."""
        whole = np.rint(self.weights)
        if np.all(np.abs(self.weights - whole) <= WHOLE) and np.all(whole >= 0):
            kept = whole > 0
            return Counts(self.bits[kept], whole[kept].astype(np.int64))
        return _means(self, template)


def merged(parts: Sequence[Tally]) -> Tally:
    """The tally of one circuit that ran several times."""
    if len(parts) == 1:
        return parts[0]
    bits, weights = _summed(
        np.concatenate([part.bits for part in parts]), np.concatenate([part.weights for part in parts])
    )
    return Tally(bits, weights, sum(part.shots for part in parts), max(part.overhead for part in parts))


def joined(parts: Sequence[Outcome], template: Template) -> Outcome:
    """The outcome of one circuit that ran several times, from those of the runs, which are independent."""
    if len(parts) == 1:
        return parts[0]
    counts = [part for part in parts if isinstance(part, Counts)]
    if len(counts) == len(parts):
        return merged([Tally(part.bits, part.counts.astype(float), part.shots) for part in counts]).outcome(template)
    means = [
        _means(Tally(part.bits, part.counts.astype(float), part.shots), template) if isinstance(part, Counts) else part
        for part in parts
    ]
    shots = np.array([part.shots for part in means])
    weights = shots / shots.sum() if shots.sum() else np.full(len(means), 1 / len(means))  # 0 where exact
    values = sum(weight * part.values for weight, part in zip(weights, means, strict=True))
    variance = sum((weight * part.stderr) ** 2 for weight, part in zip(weights, means, strict=True))
    return Means(np.asarray(values), np.sqrt(variance), int(shots.sum()), *_errors_of(means, weights, template))


def _errors_of(
    means: Sequence[Means], weights: np.ndarray, template: Template
) -> tuple[np.ndarray | None, None, np.ndarray | None]:
    """Covariance, shared and joint errors of a weighted mean of `means`. What the outcomes of a submission share is
    another for each of several, and so stands in the covariance."""
    covariance = joint = None
    if any(part.covariance is not None for part in means):
        each = np.array([covariance_of_means(part, len(template.strings)) for part in means])
        covariance = np.einsum("k,kij->ij", weights**2, each)
    if any(part.joint is not None for part in means):
        moved = [
            np.diag(part.stderr)
            if part.joint is None
            else np.vstack([part.joint, shared_errors(part, len(part.values))])
            for part in means
        ]
        joint = np.vstack([weight * one for weight, one in zip(weights, moved, strict=True)])
    return covariance, None, joint


def _means(found: Tally, template: Template) -> Means:
    """Expectation values of the template's strings and of their products under mitigated weights.

    Mitigation is linear, q = A⁻¹f for the frequencies f, so a mean is Σ_u a_u f_u with |a_u| at most Γ, the largest
    column sum of |A⁻¹|, and its standard error is at most Γ/√N. Γ² is what mthree calls the overhead. Where a provider
    does not say it, readout errors of 5 % are assumed, more than today's devices have on average: undoing them divides
    the mean of Z on k qubits by (1 − 2·0.05)ᵏ. At least it is Σ|q_u|, which Γ cannot be less than. The errors of
    different strings count as independent. A covariance made of these means may be indefinite: the metric is then
    projected.
    """
    frequencies = found.weights / found.weights.sum()
    signs = weighted_values(Counts(found.bits, frequencies), template, np.eye(len(template.strings)))
    values = frequencies @ signs
    if template.pairs:
        moments = signs.T @ (frequencies[:, None] * signs)
        values = np.concatenate([values, moments[np.triu_indices(len(values), 1)]])
    z, _ = z_strings(template)
    size = np.bitwise_count(z).sum(axis=1)
    gain = np.full(len(z), math.sqrt(found.overhead)) if found.overhead else (1 - 2 * _READOUT) ** -size.astype(float)
    gain = np.maximum(gain, np.abs(frequencies).sum())
    stderr = np.where(size > 0, gain / math.sqrt(found.shots), 0.0)  # the identity has none
    return Means(values, stderr, found.shots)


def z_strings(template: Template) -> tuple[np.ndarray, np.ndarray]:
    """What a template's expectation values are of, in the order of `Means`: Z strings (K, W), and ±1 (K,)."""
    z, sign = template.basis.z, template.basis.sign.astype(float)
    if not template.pairs:
        return z, sign
    i, j = np.triu_indices(len(z), 1)  # Z strings multiply without phases
    return np.concatenate([z, z[i] ^ z[j]]), np.concatenate([sign, sign[i] * sign[j]])


def _summed(bits: np.ndarray, weights: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Masks (N, W) with `weights` (N,) (1 each if not given): the distinct ones and the sums of their weights."""
    unique, place = distinct_rows(bits)
    return unique, np.bincount(place, weights, minlength=len(unique)).astype(float)


def distinct_rows(masks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct rows of masks (N, W) in their order, and which of them each row is (N,)."""
    if masks.shape[1] == 1:  # ten times faster
        unique, place = np.unique(masks[:, 0], return_inverse=True)
        return unique[:, None], place
    unique, place = np.unique(masks, axis=0, return_inverse=True)
    return unique, place.reshape(-1)
