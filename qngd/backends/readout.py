"""Readout errors measured by two more circuits and undone in the counts of all others.

Every qubit q is taken to misread by itself: it reads 1 of |0⟩ with probability p and 0 of |1⟩ with r, which a circuit
of zeros and one of ones show. Undoing that turns the value ±1 of Z_q in one shot into z_q = (±1 + p − r)/(1 − p − r),
and the value of a Z string in one shot into the product over its qubits: the inverse of the tensor product of the
confusion matrices on the string's qubits (arXiv:2006.14044). With the true p and r the mean over shots is unbiased.
With estimated ones it is as a function F that is linear in each z_q, so that

    ∂F/∂p_q = (F − F at z_q = −1)/(1 − p_q − r_q),   ∂F/∂r_q = (F − F at z_q = 1)/(1 − p_q − r_q),

and the second derivatives are 2/(1 − p_q − r_q) times the first. Half of these times the variances of p and r is the
bias of the order of 1/N of a calibration of N shots, which is taken off; what is left falls as 1/N². The error of a
mean is that of the sample, covariances included, and that of p and r, which all circuits of a submission share.

Of the shots in a `Sector` alone, as a symmetry leaves them, the mean is a ratio F/D: with the projector Π on the sector
F is the mean of Π times the string, and D that of Π, each linear in every z_q as above. Its bias of the order of 1/N,
Var(D)F/D³ − Cov(F, D)/D² and the like for p and r, is taken off too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from qngd.backends.around import Around, AroundHandle, Asked
from qngd.backends.boundary import DeficientResult
from qngd.backends.tallies import z_strings
from qngd.circuit.builder import OpsBuilder
from qngd.circuit.pauli import PauliStrings, unpack_bits
from qngd.errors import BackendError, counted, require_range
from qngd.measured.basis import Basis
from qngd.measured.outcomes import Counts, Means, Outcome, unseen, widened
from qngd.measured.plan import Request
from qngd.measured.template import Template

_LEAST = 0.1  # of 1 − p − r: below it a qubit tells hardly anything
_ELEMENTS = 1 << 20  # numbers of a sector's parts that are handled at once
_LEAST_SHARE = 0.05  # of the shots in a sector: below it their mean is anything


class ReadoutCorrected(Around):
    """A backend that gives counts, with the readout errors of its qubits undone.

    Every submission gets two more circuits in the same batch, all qubits in |0⟩ and all in |1⟩, and corrects its own
    counts by these alone: errors drift, and so a value's standard error holds all that is uncertain about it. What bias
    is left falls as 1/N² with the N shots of these circuits. Outcomes become expectation values, whose errors are those
    of the shots times what the correction costs. What needs single shots (`sample`, a CVaR, `cross="overlap"`,
    `approx="qn-spsa"`) is refused.

    Args:
        backend: as in `minimize`; one that gives counts.
        shots: of each of the two circuits; as many as the submission's circuit with the most, if not given.

    Raises:
        BackendError: it is no backend, or a correction itself.
        SettingError: `shots` is no whole number of at least 1.
    """

    about = "readout corrected"
    gives_counts = False
    shares_errors = True
    least_shots = 20  # so that what two shots say of a qubit is not taken for its readout errors

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
        return self._corrected(handle, outcomes, handle.asked.templates, [EVERYTHING] * len(handle.asked.requests))

    def selected(self, handle: AroundHandle, templates: Sequence[Template], sectors: Sequence[Sector]) -> list[Outcome]:
        """The expectation values of strings that the `templates` name, beside those whose circuits were asked for, over
        the shots in each request's sector.

        Raises:
            BackendError: as `collect`, or hardly any shot is there.
        """
        return self._corrected(handle, self.counts(handle), templates, sectors)

    def _corrected(
        self, handle: AroundHandle, outcomes: list[Counts], templates: Sequence[Template], sectors: Sequence[Sector]
    ) -> list[Outcome]:
        asked = handle.asked
        if not asked.requests:
            return []
        zeros = handle.sent.templates[-1]
        misread = Misread.of(zeros.wires, outcomes[-2], outcomes[-1], self.name)
        places = self.read_by(asked.templates)
        found: list[Outcome] = []
        for r, (request, outcome, sector) in enumerate(zip(asked.requests, outcomes[:-2], sectors, strict=True)):
            t = request.template
            means = misread.corrected(outcome, asked.templates[t].measured, places[t], templates[t], sector)
            if means is None:
                raise DeficientResult(
                    f"{self.name}: hardly any of the {outcome.shots} shots of request {r} has the symmetries that its "
                    "circuit conserves; take more shots, or a device with less noise"
                )
            found.append(means)
        return found


@dataclass(frozen=True, eq=False)
class Sector:
    """A projector on measured qubits (k,) that is diagonal: Σ_c phases_c Π_j [(1 + w_cj)/2 + (1 − w_cj)/2·Z_j], which
    multiplies by w_cj where qubit j is 1. Phases (C,), w (C, k) or what broadcasts to it."""

    phases: np.ndarray
    turns: np.ndarray

    def also(self, other: Sector) -> Sector:
        """Both projectors, one behind the other."""
        phases = np.multiply.outer(self.phases, other.phases).ravel()
        return Sector(phases, (self.turns[:, None] * other.turns[None]).reshape(len(phases), -1))


EVERYTHING = Sector(np.ones(1), np.ones((1, 1)))


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
            raise DeficientResult(
                f"{name}: qubit {qubits[q]} reads 1 of |0⟩ in {rates[0, q]:.1%} of {counted(zeros.shots, 'shot', ',')} "
                f"and 0 of |1⟩ in {rates[1, q]:.1%} of {ones.shots:,}; that cannot be undone: take more shots, or "
                "leave the qubit out by initial_layout="
            )
        return cls(qubits, rates, variances)

    def corrected(
        self, outcome: Counts, measured: np.ndarray, places: Sequence[int], wanted: Template, sector: Sector
    ) -> Means | None:
        """The expectation values of a template's strings, from an outcome of `measured` (k,) qubits, each of which is
        read by one of the device's `places`; None where hardly any shot is in the sector."""
        on = np.array([self.qubits.index(places[q]) for q in measured], dtype=np.int64)
        (p, r), gap = self.rates[:, on], 1 - self.rates[:, on].sum(axis=0)
        z = (np.where(outcome.unpacked(wanted.num_qubits)[:, measured], -1.0, 1.0) + p - r) / gap  # (U, k)
        masks, sign = z_strings(wanted)
        # the last is the identity, whose mean is the share of the shots that are in the sector
        inside = np.vstack([unpack_bits(masks, wanted.num_qubits)[:, measured], np.zeros(len(on), dtype=bool)])
        weights, shots, sign = outcome.counts / outcome.shots, outcome.shots, np.append(sign, 1.0)
        single, apart = _projected(z, weights, sector, inside)
        single, slopes = sign * single, sign * apart / gap[:, None]  # (U, K + 1), (2, k, K + 1)
        whole = weights @ single
        share = whole[-1]
        if share < _LEAST_SHARE:
            return None
        values = whole[:-1] / share
        centred = (single[:, :-1] - values * single[:, -1:]) / share
        bias = -(weights @ (centred * single[:, -1:])) / share / max(shots - 1, 1)
        own = (slopes[:, :, :-1] - values * slopes[:, :, -1:]) / share
        variances = self.variances[:, on, None]
        bias += (variances * own * (1 / gap[:, None] - slopes[:, :, -1:] / share)).sum(axis=(0, 1))
        shared = np.zeros((2, len(self.qubits), len(values)))
        shared[:, on] = own * np.sqrt(variances)
        kept = max(round(shots * min(share, 1.0)), 1)
        moved = np.sqrt(weights / max(shots - 1, 1))[:, None] * centred
        return _means(values - bias, moved, shared.reshape(-1, len(values)), kept, wanted)


def _means(values: np.ndarray, moved: np.ndarray, shared: np.ndarray, shots: int, template: Template) -> Means:
    """Values (K,) of strings and their products, given how independent errors move them: those of the shots (U, K), and
    shared ones (C, K)."""
    stderr = np.sqrt((moved**2).sum(axis=0) + (shared**2).sum(axis=0))
    joint = None
    if template.pairs:  # as few as there are values, with the same covariance
        joint = moved if len(moved) <= len(values) else np.asarray(np.linalg.qr(moved, mode="r"))
    own = moved[:, : len(template.strings)]
    return Means(values, stderr, shots, own.T @ own, shared, joint)


def _projected(z: np.ndarray, weights: np.ndarray, sector: Sector, inside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The projector times each Z string in every shot (U, K), from the values z (U, k) of the qubits' Z, and by how
    much the means would change, with `weights` (U,), from z_j = −1 and from z_j = 1 to what they are, (2, k, K).

    The strings are `inside` (K, k) the measured qubits. A factor (1 + w)/2 + (1 − w)/2·z is never 0, as |w| = 1 and z
    is real and not 0, so a product without it is a quotient."""
    found, apart = np.zeros((len(z), len(inside))), np.zeros((2, z.shape[1], len(inside)))
    step = max(_ELEMENTS // max(found.size, 1), 1)
    for first in range(0, len(sector.phases), step):
        part = slice(first, first + step)
        phases, turns = sector.phases[part], sector.turns[part]
        w = np.where(inside, -turns[:, None], turns[:, None])  # (C, K, k)
        products = np.ones((1, *found.shape)) * phases[:, None, None]
        acting = [np.flatnonzero((w[:, :, j] != 1).any(axis=0)) for j in range(z.shape[1])]
        for j, acts in enumerate(acting):
            products[:, :, acts] *= _factor(w[:, None, acts, j], z[:, j, None])
        found += products.sum(axis=0).real
        means = np.einsum("u,cuk->ck", weights, products)
        for j, acts in enumerate(acting):
            rest = products[:, :, acts] / _factor(w[:, None, acts, j], z[:, j, None])
            without = np.einsum("u,cuk->ck", weights, rest)
            apart[0, j, acts] += (means[:, acts] - without * w[:, acts, j]).sum(axis=0).real
            apart[1, j, acts] += (means[:, acts] - without).sum(axis=0).real
    return found, apart


def _factor(w: np.ndarray, z: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + w) + 0.5 * (1 - w) * z


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
