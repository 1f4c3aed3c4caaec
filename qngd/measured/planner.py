"""From a circuit and θ to a plan: which circuits to run, with which angles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse

from qngd.circuit.active import as_measured, without_idle
from qngd.circuit.circuit import Circuit
from qngd.circuit.observable import Observable
from qngd.circuit.pauli import PauliStrings
from qngd.estimates.evaluation import Approx
from qngd.measured.book import Book
from qngd.measured.cross import CrossMethod, check_cross, correlation_template, overlap_template
from qngd.measured.cutting import layer_members, layer_template, observable_cone, observable_template
from qngd.measured.grouping import Grouping, check_grouping, group
from qngd.measured.plan import BasisTerm, BlockTerm, CrossTerm, Partners, Plan, SpsaTerm, moved_by
from qngd.measured.shifts import ShiftRule, shift_rules
from qngd.measured.template import Template, basis_template
from qngd.metrics.hamiltonian import missing_observable
from qngd.metrics.random_basis import random_angles
from qngd.metrics.spsa import random_pairs

_Entry = tuple[int, int, float]  # direction, request, weight
_SIGNS = ((1.0, 1.0), (1.0, -1.0), (-1.0, 1.0), (-1.0, -1.0))


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
        shifts = (2 * len(d.shifts) for d in self._rules[0] if inside[d.rotations].any())
        return 1 + sum(shifts)

    @cached_property
    def _rules(self) -> tuple[list[ShiftRule], sparse.csr_array]:
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
        book = Book()
        groups = self._groups if energy or gradient else []
        numbered = [(book.template(each.template, each.coefficients), each) for each in groups]
        energies = [book.request(t, phi[each.template.rotations]) for t, each in numbered if energy]
        mixing = (inner.T @ self._rules[1]).tocsr() if gradient or metric == "random-basis" else None
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
        book: Book,
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
        for d, direction in enumerate(self._rules[0]):
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
        shape = (len(self._rules[0]), num_requests)
        return sparse.coo_array((np.array(values, dtype=float), (rows, columns)), shape=shape).tocsr()

    def _bases(self, book: Book, phi: np.ndarray, seed: int | None) -> list[tuple[int, list[_Entry]]]:
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
        self, book: Book, phi: np.ndarray, jacobian: sparse.csr_array, metric: Approx | None
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

    def _crosses(self, book: Book, phi: np.ndarray) -> list[CrossTerm]:
        if self._cross == "overlap":
            return self._overlaps(book, phi)
        terms = []
        for template, rotation, others in self._correlation_templates:
            request = book.request(book.template(template, None), phi[template.rotations])
            terms.append(CrossTerm((request,), rotation, others))
        return terms

    def _overlaps(self, book: Book, phi: np.ndarray) -> list[CrossTerm]:
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

    def _samples(self, book: Book, theta: np.ndarray, phi: np.ndarray, seed: int | None) -> list[SpsaTerm]:
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
