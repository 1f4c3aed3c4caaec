"""One step as plain data: which circuits to run with which angles and shots, and what the counts mean.

Planning and assembling never touch a backend. A plan can be counted, priced, hashed and stored before any
shot is spent.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy import sparse

from qngd.circuit.active import as_measured, without_idle
from qngd.circuit.circuit import Circuit
from qngd.circuit.observable import Observable
from qngd.circuit.pauli import PauliStrings
from qngd.estimates.evaluation import Approx
from qngd.measured.cross import CrossMethod, check_cross, correlation_template, overlap_template
from qngd.measured.grouping import Grouping, check_grouping, group
from qngd.measured.shifts import ShiftRule, shift_rules
from qngd.measured.template import (
    Template,
    basis_template,
    layer_members,
    layer_template,
    observable_cone,
    observable_template,
)
from qngd.metrics.hamiltonian import missing_observable
from qngd.metrics.random_basis import random_angles
from qngd.metrics.spsa import Pair, random_pairs

_Entry = tuple[int, int, float]  # direction, request, weight
_SIGNS = ((1.0, 1.0), (1.0, -1.0), (-1.0, 1.0), (-1.0, -1.0))


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


@dataclass(frozen=True, eq=False)
class _Group:
    """Strings of the observable that one circuit measures: its template, their coefficients (m,), and the rotations
    (mask over K) that they can depend on."""

    template: Template
    coefficients: np.ndarray
    inside: np.ndarray


class Planner:
    """Plans steps of one circuit and observable, on the circuit's active qubits. The templates are made once; a plan
    only adds angles.

    `observable` may be None where only a metric is wanted. With `whole`, energies are measured with the whole circuit,
    for a backend that runs it as the user wrote it.
    """

    def __init__(
        self,
        circuit: Circuit,
        observable: Observable | None,
        grouping: Grouping = "qubit-wise",
        cross: CrossMethod = "hadamard",
        whole: bool = False,
    ) -> None:
        check_grouping(grouping)
        check_cross(cross)
        self.circuit = without_idle(circuit)
        self.observable = None if observable is None else as_measured(observable, circuit)
        self._grouping: Grouping = grouping
        self._cross: CrossMethod = cross
        self._whole = whole

    @cached_property
    def _groups(self) -> list[_Group]:
        if self.observable is None:
            return []
        strings, weights = self.observable.strings, self.observable.coefficients
        acts = self.observable.acting

        def circuits(rows: np.ndarray) -> int:
            return self._circuits_of(strings[acts[rows]])

        members = [acts[rows] for rows in group(strings[acts], weights[acts], self._grouping, circuits)]
        return [
            _Group(
                observable_template(self.circuit, strings[rows], self._whole),
                weights[rows],
                observable_cone(self.circuit, strings[rows]),
            )
            for rows in members
        ]

    def _circuits_of(self, strings: PauliStrings) -> int:
        """What the energy of these strings and its gradient take."""
        inside = observable_cone(self.circuit, strings)
        shifts = (2 * len(d.shifts) for d in self.rules[0] if inside[d.rotations].any())
        return 1 + sum(shifts)

    @cached_property
    def rules(self) -> tuple[list[ShiftRule], sparse.csr_array]:
        """The same at every θ, so that every step takes the same circuits."""
        return shift_rules(self.circuit, self.circuit.angle_map.linear)

    @cached_property
    def _layer_templates(self) -> list[Template]:
        return [layer_template(self.circuit, layer) for layer in range(self.circuit.num_layers)]

    @cached_property
    def _correlation_templates(self) -> list[tuple[Template, int, np.ndarray]]:
        """For every moving rotation and later layer the template, the rotation and the layer's rotations."""
        circuit = self.circuit
        found = []
        for i in np.flatnonzero(circuit.moving):
            for layer in range(circuit.level[i] + 1, circuit.num_layers):
                template = correlation_template(circuit, int(i), layer, self._cross)
                found.append((template, int(i), layer_members(circuit, layer)))
        return found

    @cached_property
    def _basis_template(self) -> Template:
        return basis_template(self.circuit)

    @cached_property
    def _overlap_templates(self) -> list[Template]:
        """One for every layer but the first, which has none before it."""
        return [overlap_template(self.circuit, layer) for layer in range(1, self.circuit.num_layers)]

    def plan(
        self,
        theta: np.ndarray,
        *,
        energy: bool = True,
        gradient: bool = True,
        metric: Approx | None = None,
        seed: int | None = None,
    ) -> Plan:
        """The requests of one step at the flat parameter vector `theta` (P,), without shots; `seed` is for the random
        directions of QN-SPSA, and the random bases.

        Raises:
            SettingError: the metric needs an observable.
        """
        if metric == "hamiltonian":
            if self.observable is None:
                raise missing_observable()
            gradient = True  # whose circuits it is measured with
        angle_map = self.circuit.angle_map
        phi, inner = angle_map.chain(theta)
        jacobian = (angle_map.linear @ inner).tocsr().sorted_indices()
        book = _Book()
        groups = self._groups if energy or gradient else []
        numbered = [(book.template(each.template, each.coefficients), each) for each in groups]
        energies = [book.request(t, phi[each.template.rotations]) for t, each in numbered if energy]
        mixing = (inner.T @ self.rules[1]).tocsr() if gradient or metric == "random-basis" else None
        slopes: list[_Entry] = []
        for t, each in numbered if gradient else []:
            slopes += self._slopes(book, t, each.template, each.inside, phi)
        blocks = self._blocks(book, phi, jacobian, metric) if metric in ("diag", "block-diag", "full") else []
        crosses = self._crosses(book, phi) if metric == "full" else []
        samples = self._samples(book, theta, phi, seed) if metric == "qn-spsa" else []
        bases = self._bases(book, phi, seed) if metric == "random-basis" else []
        count = len(book.requests)
        return Plan(
            templates=tuple(book.templates),
            coefficients=tuple(book.coefficients),
            requests=tuple(book.requests),
            constant=self.observable.identity_coefficient if self.observable else 0.0,
            energy_weights=np.bincount(energies, minlength=count).astype(float),
            slopes=self._slope_matrix(slopes, count),
            mixing=mixing if gradient else None,
            blocks=tuple(blocks),
            crosses=tuple(crosses),
            samples=tuple(samples),
            bases=tuple(BasisTerm(center, mixing @ self._slope_matrix(entries, count)) for center, entries in bases),
            jacobian=jacobian,
            approx=metric,
            note=self.circuit.split_note if metric in ("diag", "block-diag") else "",
        )

    def _slopes(
        self,
        book: _Book,
        t: int,
        template: Template,
        inside: np.ndarray,
        phi: np.ndarray,
        own: Sequence[float] = (),
    ) -> list[_Entry]:
        """Entries of the shift rules of one template, whose last angles are its `own`. What it measures depends on the
        rotations `inside` (mask over K) alone, so directions without any of these are not run."""
        entries = []
        rotations = template.rotations[: len(template.rotations) - len(own)]
        for d, direction in enumerate(self.rules[0]):
            if not inside[direction.rotations].any():
                continue
            for shift, weight in zip(direction.shifts, direction.weights, strict=True):
                for side in (1.0, -1.0):
                    angles = phi.copy()
                    angles[direction.rotations] += side * shift * direction.coefficients
                    request = book.request(t, np.append(angles[rotations], own))
                    entries.append((d, request, side * float(weight)))
        return entries

    def _slope_matrix(self, entries: Sequence[_Entry], num_requests: int) -> sparse.csr_array:
        """(D, R)."""
        rows, columns, values = zip(*entries, strict=True) if entries else ((), (), ())
        shape = (len(self.rules[0]), num_requests)
        return sparse.coo_array((np.array(values, dtype=float), (rows, columns)), shape=shape).tocsr()

    def _bases(self, book: _Book, phi: np.ndarray, seed: int | None) -> list[tuple[int, list[_Entry]]]:
        """For every random basis the request in its middle, and the entries of the shift rules around it."""
        template = self._basis_template
        t = book.template(template, None)
        everything = np.ones(len(phi), dtype=bool)
        found = []
        for own in random_angles(self.circuit.num_qubits, seed):
            center = book.request(t, np.append(phi, own))
            found.append((center, self._slopes(book, t, template, everything, phi, own)))
        return found

    def _blocks(
        self, book: _Book, phi: np.ndarray, jacobian: sparse.csr_array, metric: Approx | None
    ) -> list[BlockTerm]:
        """One term a layer, and for each split gate in it another."""
        circuit, split = self.circuit, self.circuit.split_gates
        numbers = np.zeros_like(circuit.unit) if metric == "full" else circuit.block_of(metric == "diag")
        num_split = 0 if metric == "full" else len(split)
        correlations = split.between(split.correlations(phi)) if num_split else sparse.csr_array(jacobian.shape[:1] * 2)
        blocks = []
        for layer, template in enumerate(self._layer_templates):
            members = layer_members(circuit, layer)
            request = book.request(book.template(template, None), phi[template.rotations])
            number = numbers[members]
            term_of = np.minimum(number, num_split)
            for term in np.unique(term_of):
                inside = np.flatnonzero(term_of == term)
                elsewhere = (numbers == term) & (circuit.level != layer) & (term < num_split)
                others = np.flatnonzero(elsewhere)
                columns, rows = moved_by(jacobian, np.append(members[inside], others))
                own = np.zeros((len(members), len(columns)))
                own[inside], beyond = np.split(rows, [len(inside)])
                partners = None
                if len(others):
                    partners = Partners(others, beyond, correlations[members][:, others].toarray())
                blocks.append(BlockTerm(request, members, columns, own, number, partners))
        return blocks

    def _crosses(self, book: _Book, phi: np.ndarray) -> list[CrossTerm]:
        if self._cross == "overlap":
            return self._overlaps(book, phi)
        terms = []
        for template, rotation, others in self._correlation_templates:
            request = book.request(book.template(template, None), phi[template.rotations])
            terms.append(CrossTerm((request,), rotation, others))
        return terms

    def _overlaps(self, book: _Book, phi: np.ndarray) -> list[CrossTerm]:
        circuit = self.circuit
        terms = []
        for layer, template in enumerate(self._overlap_templates, 1):
            t = book.template(template, None)
            half = len(template.rotations) // 2
            for k in layer_members(circuit, layer):
                for i in np.flatnonzero(circuit.moving & (circuit.level < layer)):
                    requests = []
                    for s, u in _SIGNS:
                        shifted = phi.copy()
                        shifted[i] += s * np.pi / 2
                        shifted[k] += u * np.pi / 2
                        there, back = template.rotations[:half], template.rotations[half:]
                        angles = np.concatenate([shifted[there], -phi[back]])
                        requests.append(book.request(t, angles))
                    signs = tuple(s * u for s, u in _SIGNS)
                    terms.append(CrossTerm(tuple(requests), int(i), np.array([k]), signs))
        return terms

    def _samples(self, book: _Book, theta: np.ndarray, phi: np.ndarray, seed: int | None) -> list[SpsaTerm]:
        if not self.circuit.num_layers:
            return []
        template = overlap_template(self.circuit, self.circuit.num_layers - 1)
        t = book.template(template, None)
        half = len(template.rotations) // 2
        terms = []
        for pair in random_pairs(len(theta), seed):
            requests = []
            for shift in pair.shifts:
                there = self.circuit.angle_map(theta + shift)
                angles = np.concatenate([there[template.rotations[:half]], -phi[template.rotations[half:]]])
                # the samples must be independent, and at every seed as many
                requests.append(book.another_request(t, angles))
            terms.append(SpsaTerm(tuple(requests), pair))
        return terms


class _Book:
    """Collects templates and requests, each once unless asked for another."""

    def __init__(self) -> None:
        self.templates: list[Template] = []
        self.coefficients: list[np.ndarray | None] = []
        self.requests: list[Request] = []
        self._known: dict[tuple[int, bytes], int] = {}

    def template(self, template: Template, coefficients: np.ndarray | None) -> int:
        self.templates.append(template)
        self.coefficients.append(coefficients)
        return len(self.templates) - 1

    def request(self, template: int, angles: np.ndarray) -> int:
        key = (template, angles.tobytes())
        if key not in self._known:
            self._known[key] = len(self.requests)
            self.requests.append(Request(template, angles, None))
        return self._known[key]

    def another_request(self, template: int, angles: np.ndarray) -> int:
        """A request with shots of its own, even if one like it is known."""
        self.requests.append(Request(template, angles, None))
        return len(self.requests) - 1
