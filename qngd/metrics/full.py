"""The whole metric: the blocks of the layers, and what circuits between layers give (see `qngd.measured.cross`).

Over rotations it is ¼(C − m mᵀ), with the correlations C of the generators and their means m. A layer's circuit gives
its own block, and its means enter the products between layers; a circuit between layers gives C there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qngd._system.keywords import hinted
from qngd.circuit.circuit import Circuit
from qngd.estimates.estimate import MetricTensor
from qngd.exact.point import Point
from qngd.measured.correlations import correlations, overlap
from qngd.measured.covariances import covariance
from qngd.measured.cross import CrossMethod, correlation_template, overlap_template
from qngd.measured.cutting import layer_members
from qngd.measured.draft import Draft
from qngd.measured.plan import Plan
from qngd.measured.readout import Readout
from qngd.measured.template import Template
from qngd.metrics.blocks import BlockTerm, RotationMeans, block_bounds, block_means, block_parts, block_terms, moved_by
from qngd.metrics.parts import Part, SumOfParts

_SIGNS = ((1.0, 1.0), (1.0, -1.0), (-1.0, 1.0), (-1.0, -1.0))


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
class FullTerms:
    """The blocks of a plan, and the entries between them."""

    blocks: tuple[BlockTerm, ...]
    crosses: tuple[CrossTerm, ...]


@hinted
@dataclass(frozen=True)
class Full(SumOfParts):
    """All entries."""

    name = "full"
    entries = "full"

    def exact(self, point: Point) -> MetricTensor:
        return MetricTensor.exact(point.engine.full_metric(point.phi, point.jacobian), self.name)

    def exact_with_slope(self, point: Point) -> tuple[MetricTensor, float, np.ndarray]:
        if point.ends is None:
            return super().exact_with_slope(point)
        ends = point.ends()
        found = point.simulator.full_metric(point.phi, point.jacobian, ends.state)
        return MetricTensor.exact(found, self.name), ends.energy, point.simulator.slopes(ends)

    def asked(self, draft: Draft) -> FullTerms:
        blocks = block_terms(draft, None)
        return FullTerms(blocks, tuple(_overlap_terms(draft) if draft.cross == "overlap" else _cross_terms(draft)))

    def parts(self, read: Readout) -> list[Part]:
        terms: FullTerms = read.plan.terms
        if not any(len(term.requests) == 1 for term in terms.crosses):  # overlaps need no means
            blocks = block_parts(read, terms.blocks, is_diagonal=False)
            return blocks + [part for term in terms.crosses for part in _overlaps(read, term)]
        mean = block_means(read, terms.blocks)
        blocks = [_block_among_layers(read, block, mean) for block in terms.blocks]
        return blocks + [_between(read, term, mean) for term in terms.crosses]

    def is_joint(self, plan: Plan) -> bool:
        return bool(plan.terms.crosses)

    def of_single_shots(self, plan: Plan) -> str:
        if not any(term.signs for term in plan.terms.crosses):
            return ""
        return 'an overlap needs counts; take cross="hadamard", or a sampler'

    def bounds(self, plan: Plan) -> np.ndarray:
        """Those of the blocks, and outcomes not seen between layers."""
        found = block_bounds(plan, plan.terms.blocks)
        for term in plan.terms.crosses:
            own, *others = abs(plan.jacobian[[term.rotation, *term.others]]).toarray()
            found[list(term.requests)] = own.max(initial=0.0) * np.sum(others, axis=0).max(initial=0.0)
        return found


def correlation_templates(circuit: Circuit, cross: CrossMethod) -> list[tuple[Template, int, np.ndarray]]:
    """For every moving rotation and later layer the template, the rotation and the layer's rotations."""
    found = []
    for i in np.flatnonzero(circuit.moving):
        for layer in range(circuit.level[i] + 1, circuit.num_layers):
            template = correlation_template(circuit, int(i), layer, cross)
            found.append((template, int(i), layer_members(circuit, layer)))
    return found


def overlap_templates(circuit: Circuit) -> list[Template]:
    """One for every layer but the first, which has none before it."""
    return [overlap_template(circuit, layer) for layer in range(1, circuit.num_layers)]


def _cross_terms(draft: Draft) -> list[CrossTerm]:
    terms, book = [], draft.book
    for template, rotation, others in draft.once(correlation_templates, draft.cross):
        request = book.request(book.template(template, None), draft.phi[template.rotations])
        terms.append(CrossTerm((request,), rotation, others))
    return terms


def _overlap_terms(draft: Draft) -> list[CrossTerm]:
    circuit, phi, book = draft.circuit, draft.phi, draft.book
    terms = []
    for layer, template in enumerate(draft.once(overlap_templates), 1):
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


def _block_among_layers(read: Readout, block: BlockTerm, mean: RotationMeans) -> Part:
    """A block together with what its means do in products with those of all other layers."""
    others = mean.values.copy()
    others[block.rotations] = 0
    columns = np.arange(read.plan.num_parameters)
    jacobian = np.zeros((len(block.rotations), len(columns)))
    jacobian[:, block.columns] = 0.5 * block.jacobian
    elsewhere = 0.5 * (read.plan.jacobian.T @ others)
    found = covariance(read.outcomes[block.request], read.templates[block.request], jacobian, elsewhere)
    return Part(block.request, columns, found)


def _between(read: Readout, term: CrossTerm, mean: RotationMeans) -> Part:
    (request,) = term.requests
    columns, own, others = _rows(read.plan, term)
    (products,) = mean.products(np.array([term.rotation]), term.others)
    return Part(request, columns, correlations(read.outcomes[request], read.templates[request], others, own, products))


def _overlaps(read: Readout, term: CrossTerm) -> list[Part]:
    """g_ik = −⅛ Σ s·t·overlap."""
    columns, own, (other,) = _rows(read.plan, term)
    pairs = zip(term.signs, term.requests, strict=True)
    return [
        Part(request, columns, overlap(read.outcomes[request], read.templates[request], -0.5 * sign * own, other))
        for sign, request in pairs
    ]


def _rows(plan: Plan, term: CrossTerm) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The parameters that a term's rotations move, and half of their rows of the Jacobian there."""
    columns, rows = moved_by(plan.jacobian, np.append(term.rotation, term.others))
    return columns, 0.5 * rows[0], 0.5 * rows[1:]
