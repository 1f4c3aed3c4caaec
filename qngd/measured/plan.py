"""One step as plain data: which circuits to run with which angles and shots, and what the counts mean.

Planning and assembling never touch a backend. A plan can be counted, priced, hashed and stored before any
shot is spent.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy import sparse

from qngd.estimates.evaluation import Approx
from qngd.measured.template import Template
from qngd.metrics.spsa import Pair


@dataclass(frozen=True, eq=False)
class Request:
    """Run template `template` with `angles` (R,) for `shots` shots (None: exact expectation values)."""

    template: int
    angles: np.ndarray
    shots: int | None


@dataclass(frozen=True, eq=False)
class Partners:
    """The `rotations` (q,) of a split gate in other layers than a term's, with their `jacobian` (q, p) and their
    `correlations` (m, q) C_ij with the term's rotations."""

    rotations: np.ndarray
    jacobian: np.ndarray
    correlations: np.ndarray


@dataclass(frozen=True, eq=False)
class BlockTerm:
    """Blocks of the metric from the joint samples of the generators of `rotations` (m,) in one request.

    `jacobian` (m, p) takes the generators to the parameters `columns` (p,), `block` (m,) numbers the blocks; rotations
    of different ones count as uncorrelated. A block of a split gate, alone in its term, goes on at its `partners`.
    """

    request: int
    rotations: np.ndarray
    columns: np.ndarray
    jacobian: np.ndarray
    block: np.ndarray
    partners: Partners | None = None


@dataclass(frozen=True, eq=False)
class CrossTerm:
    """Entries of the metric over rotations between `rotation` and `others` of a later layer.

    One request gives the correlations C_ik with all `others`; four requests with the `signs` s·t of the overlaps
    give the entry with the single other.
    """

    requests: tuple[int, ...]
    rotation: int
    others: np.ndarray
    signs: tuple[float, ...] = ()


@dataclass(frozen=True, eq=False)
class SpsaTerm:
    """One random sample of the metric, from the overlaps of four requests."""

    requests: tuple[int, ...]
    pair: Pair


@dataclass(frozen=True, eq=False)
class BasisTerm:
    """The Fisher information in one random basis: the probabilities p of the outcomes are the frequencies of request
    `center`, and ∂p (P, outcomes) is `linear` (P, R) times the frequencies (R, outcomes) of all requests."""

    center: int
    linear: sparse.csr_array


@dataclass(frozen=True, eq=False)
class Plan:
    """The requests of one step, and how energy, gradient and metric follow from what comes back.

    A request of an observable's template has an energy e_r = Σ_t coefficients[t]·⟨string t⟩, and the energies
    of different requests are independent. All results but the metric are linear in them:

        E = constant + energy_weights·e,   ∇E = mixing·slopes·e.

    Attributes:
        templates: the circuits.
        coefficients: per template the (m,) coefficients of its strings, or None for a layer of the metric.
        requests: what to run, R in number, without duplicates.
        constant: the observable's identity coefficient.
        energy_weights: (R,).
        slopes: (D, R), derivatives along directions in the space of angles.
        mixing: (P, D); None if no gradient is asked for, and the metric does not need it either.
        blocks: blocks of the metric: one a layer, and one for each layer of a split gate.
        crosses: entries between layers, for the full metric.
        samples: random samples, for QN-SPSA.
        bases: random bases, for "random-basis".
        jacobian: (K, P), rotations to parameters.
        approx: which metric, or None.
        note: what the user should know about the metric, or nothing.
        is_noisy: whether it is for a device with noise, on which nothing is certain.
    """

    templates: tuple[Template, ...]
    coefficients: tuple[np.ndarray | None, ...]
    requests: tuple[Request, ...]
    constant: float
    energy_weights: np.ndarray
    slopes: sparse.csr_array
    mixing: sparse.csr_array | None
    blocks: tuple[BlockTerm, ...]
    crosses: tuple[CrossTerm, ...]
    samples: tuple[SpsaTerm, ...]
    bases: tuple[BasisTerm, ...]
    jacobian: sparse.csr_array
    approx: Approx | None
    note: str = ""
    is_noisy: bool = False

    @property
    def num_parameters(self) -> int:
        return self.jacobian.shape[1]

    @property
    def num_circuits(self) -> int:
        return len(self.requests)

    @property
    def num_shots(self) -> int:
        return sum(request.shots or 0 for request in self.requests)

    def reading(self, request: int) -> Template:
        """The template of a request, as its outcomes are read: at its angles, or on a noisy device."""
        asked = self.requests[request]
        template = self.templates[asked.template]
        return template.with_noise if self.is_noisy else template.at(asked.angles)

    def with_shots(self, shots: np.ndarray | None) -> Plan:
        """The plan with these shots (R,) per request, or exact values for None."""
        counts = [None] * self.num_circuits if shots is None else [int(s) for s in shots]
        requests = zip(self.requests, counts, strict=True)
        return replace(self, requests=tuple(replace(r, shots=s) for r, s in requests))

    @cached_property
    def fingerprint(self) -> str:
        """A hash of all that will be run."""
        digest = hashlib.sha256()
        for template in self.templates:
            ops, z = template.all_ops, template.basis.z
            for array in (ops.kind, ops.start, ops.qubits, ops.letters, ops.turns, z):
                digest.update(np.ascontiguousarray(array).tobytes())
            digest.update(repr((template.wires, template.whole)).encode())
        for request in self.requests:
            digest.update(repr((request.template, request.shots)).encode())
            digest.update(np.ascontiguousarray(request.angles).tobytes())
        return digest.hexdigest()


def moved_by(jacobian: sparse.csr_array, rotations: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The parameters (p,) that move these rotations (m,), and the rows of the Jacobian there, (m, p)."""
    rows = jacobian[rotations]
    columns = np.unique(rows.indices)
    return columns, rows[:, columns].toarray()
