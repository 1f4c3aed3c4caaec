"""Readout errors measured by two more circuits and undone in the counts of all others.

Every qubit q is taken to misread by itself: it reads 1 of |0⟩ with probability p and 0 of |1⟩ with r, which a circuit
of zeros and one of ones show. Undoing that turns the value ±1 of Z_q in one shot into (±1 + p − r)/(1 − p − r), and the
value of a Z string in one shot into the product over its qubits: the inverse of the tensor product of the confusion
matrices on the string's qubits (arXiv:2006.14044). So the mean over shots is unbiased, and its error is that of the
sample, covariances included, and that of p and r, which all circuits of a submission share:

    ∂⟨S⟩/∂p_q = (⟨S⟩ + ⟨S without q⟩)/(1 − p_q − r_q),   ∂⟨S⟩/∂r_q = (⟨S⟩ − ⟨S without q⟩)/(1 − p_q − r_q).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from qngd.backends.around import Around, AroundHandle, Asked
from qngd.backends.results import z_strings
from qngd.circuit.builder import OpsBuilder
from qngd.circuit.pauli import PauliStrings, unpack_bits
from qngd.errors import BackendError, require_range
from qngd.measured.grouping import Basis
from qngd.measured.outcomes import Counts, Means, Outcome, unseen, widened
from qngd.measured.plan import Request
from qngd.measured.template import Template

_LEAST = 0.1  # of 1 − p − r: below it a qubit tells hardly anything


class ReadoutCorrected(Around):
    """A backend that gives counts, with the readout errors of its qubits undone.

    Every submission gets two more circuits in the same batch, all qubits in |0⟩ and all in |1⟩, and corrects its own
    counts by these alone: errors drift, and so a value's standard error holds all that is uncertain about it. Outcomes
    become expectation values, whose errors are those of the shots times what the correction costs. What needs single
    shots (`sample`, a CVaR, `cross="overlap"`, `approx="qn-spsa"`) is refused. Errors of a metric take the strings'
    values as independent.

    Args:
        backend: as in `minimize`; one that gives counts.
        shots: of each of the two circuits; as many as the submission's circuit with the most, if not given.

    Raises:
        BackendError: it is no backend, or a correction itself.
        SettingError: `shots` is no whole number of at least 1.
    """

    about = "readout corrected"
    gives_counts = False

    def __init__(self, backend: Any, *, shots: int | None = None) -> None:
        super().__init__(backend)
        if shots is not None:
            require_range(shots, "shots", "a whole number of at least 1", lambda n: n >= 1 and n % 1 == 0)
        self.shots = shots
        self._made: dict[tuple[tuple[int, ...], bool], Template] = {}

    @property
    def corrects(self) -> str:
        return "" if self.shots is None else f"shots={self.shots}"

    def sent(self, templates: Sequence[Template], requests: Sequence[Request]) -> Asked:
        """The requests, and those of a circuit of zeros and one of ones on all qubits that they read."""
        if not requests:
            return Asked(templates, requests)
        if any(request.shots is None for request in requests):
            raise BackendError(f"backend: {self.name} needs a number of shots; give shots=…")
        if any(len(template.places) for template in templates):
            raise BackendError(
                f'backend: {self.name} does not correct bits that are measured midway; use cross="hadamard"'
            )
        shots = self.shots or max(request.shots or 0 for request in requests)
        places = self.read_by(templates)
        used = {request.template for request in requests}
        qubits = {places[t][q] for t in used for q in templates[t].measured} or {0}
        more = [self._calibration(tuple(sorted(qubits)), ones) for ones in (False, True)]
        added = [Request(len(templates) + k, np.zeros(0), int(shots)) for k in range(2)]
        return Asked([*templates, *more], [*requests, *added])

    def _calibration(self, qubits: tuple[int, ...], ones: bool) -> Template:
        if (qubits, ones) not in self._made:
            self._made[qubits, ones] = calibration(qubits, ones)
        return self._made[qubits, ones]

    def read(self, handle: AroundHandle, outcomes: list[Counts]) -> list[Outcome]:
        asked = handle.asked
        if not asked.requests:
            return []
        zeros = handle.sent.templates[-1]
        misread = Misread.of(zeros.wires, outcomes[-2], outcomes[-1], self.name)
        places = self.read_by(asked.templates)
        pairs = zip(asked.requests, outcomes[:-2], strict=True)
        return [misread.corrected(found, asked.templates[r.template], places[r.template]) for r, found in pairs]


@dataclass(frozen=True, eq=False)
class Misread:
    """Of the device's `qubits` (Q,), p and r: how often each reads 1 of |0⟩ and 0 of |1⟩, (2, Q), with variances."""

    qubits: tuple[int, ...]
    rates: np.ndarray
    variances: np.ndarray

    @classmethod
    def of(cls, qubits: tuple[int, ...], zeros: Counts, ones: Counts, name: str) -> Misread:
        """From the outcomes of the two circuits.

        Raises:
            BackendError: a qubit reads nearly the same of both.
        """
        seen = []
        for outcome, right in ((zeros, False), (ones, True)):
            wrong = outcome.unpacked(len(qubits)) != right
            rate = outcome.counts @ wrong / outcome.shots
            seen.append((rate, widened(rate * (1 - rate) / max(outcome.shots - 1, 1), unseen(outcome.shots) / 4)))
        rates, variances = (np.array(each) for each in zip(*seen, strict=True))
        if (blind := np.flatnonzero(1 - rates.sum(axis=0) < _LEAST)).size:
            q = int(blind[0])
            raise BackendError(
                f"{name}: qubit {qubits[q]} reads 1 of |0⟩ in {rates[0, q]:.1%} of the shots and 0 of |1⟩ in "
                f"{rates[1, q]:.1%}; that cannot be undone: leave the qubit out by initial_layout=, or take more shots"
            )
        return cls(qubits, rates, variances)

    def corrected(self, outcome: Counts, template: Template, places: Sequence[int]) -> Means:
        """The expectation values of a template whose qubits are read by these of the device's."""
        on = np.array([self.qubits.index(places[q]) for q in template.measured], dtype=np.int64)
        (p, r), gap = self.rates[:, on], 1 - self.rates[:, on].sum(axis=0)
        bits = outcome.unpacked(template.num_qubits)[:, template.measured]
        factors = (np.where(bits, -1.0, 1.0) + p - r) / gap  # (U, k): the corrected value of Z in one shot
        masks, sign = z_strings(template)
        inside = unpack_bits(masks, template.num_qubits)[:, template.measured]  # (K, k)
        weights, shots = outcome.counts / outcome.shots, outcome.shots
        singles = sign * _products(factors, inside)
        values = weights @ singles
        slopes = np.zeros((2, len(self.qubits), len(values)))
        for j, place in enumerate(on):
            through = inside[:, j]
            without = inside[through].copy()
            without[:, j] = False
            rest = sign[through] * (weights @ _products(factors, without))
            slopes[0, place, through] = (values[through] + rest) / gap[j]
            slopes[1, place, through] = (values[through] - rest) / gap[j]
        shared = (slopes * np.sqrt(self.variances)[:, :, None]).reshape(-1, len(values))
        centred = singles - values
        variances = weights @ centred**2 / max(shots - 1, 1)
        count = len(template.strings)
        own = centred[:, :count]
        covariance = (weights[:, None] * own).T @ own / max(shots - 1, 1)
        stderr = np.sqrt(variances + (shared**2).sum(axis=0))
        return Means(values, stderr, shots, covariance, shared[:, :count])


def _products(factors: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Π_j factors[u, j] over the j that are inside[k, j], (U, K)."""
    found = np.ones((len(factors), len(inside)))
    for j in range(factors.shape[1]):
        found[:, inside[:, j]] *= factors[:, [j]]
    return found


def calibration(qubits: tuple[int, ...], ones: bool) -> Template:
    """All of the device's `qubits` in |0⟩ or in |1⟩, and measured."""
    count = len(qubits)
    ops = OpsBuilder(count)
    for qubit in range(count if ones else 0):
        ops.clifford("x", qubit)
    each = np.eye(count, dtype=bool)
    strings = PauliStrings.from_bits(np.zeros_like(each), each)
    basis = Basis(OpsBuilder(count).ops(), strings.z, strings.sign)
    return Template(count, ops.ops(), np.zeros(0, dtype=np.int64), strings, basis, numbers=qubits, is_pinned=True)
