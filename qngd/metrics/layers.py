"""The metric from the circuit's layers alone: its blocks, or their diagonal.

A layer's generators commute, so that one circuit measures all of its block, and one sweep over a statevector all
blocks. Both are taken over rotations and then contracted with the Jacobian of the angles.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy import sparse

from qngd._system.keywords import hinted
from qngd.estimates.estimate import MetricTensor
from qngd.exact.point import Point
from qngd.measured.draft import Draft
from qngd.measured.plan import Plan
from qngd.measured.readout import Readout
from qngd.metrics.blocks import BlockTerm, block_bounds, block_parts, block_terms
from qngd.metrics.parts import Part, SumOfParts


@dataclass(frozen=True, eq=False)
class LayerTerms:
    """The blocks of a plan, the correlations (K, K) inside split gates if there are any, and what the user should know
    about them."""

    blocks: tuple[BlockTerm, ...]
    known: sparse.csr_array | None
    note: str


class LayerMetric(SumOfParts):
    """What the metrics of this file share."""

    is_diagonal: ClassVar[bool]

    def exact(self, point: Point) -> MetricTensor:
        matrix, _, _ = point.engine.block_metric(point.phi, point.jacobian, diagonal=self.is_diagonal)
        return MetricTensor.exact(matrix, self.name, point.circuit.split_note)

    def exact_with_slope(self, point: Point) -> tuple[MetricTensor, float, np.ndarray]:
        assert point.terms is not None
        found = point.engine.block_metric(point.phi, point.jacobian, point.terms, self.is_diagonal)
        matrix, energy, slope = found
        return MetricTensor.exact(matrix, self.name, point.circuit.split_note), energy, slope

    def asked(self, draft: Draft) -> LayerTerms:
        split = draft.circuit.split_gates
        known = split.between(split.correlations(draft.phi)) if len(split) else None
        return LayerTerms(block_terms(draft, self.is_diagonal), known, draft.circuit.split_note)

    def parts(self, read: Readout) -> list[Part]:
        terms: LayerTerms = read.plan.terms
        return block_parts(read, terms.blocks, self.is_diagonal, terms.known)

    def is_joint(self, plan: Plan) -> bool:
        return any(block.partners for block in plan.terms.blocks)

    def note(self, plan: Plan) -> str:
        note: str = plan.terms.note
        return note

    def bounds(self, plan: Plan) -> np.ndarray:
        return block_bounds(plan, plan.terms.blocks)


@hinted
@dataclass(frozen=True)
class BlockDiagonal(LayerMetric):
    """The blocks of the layers: a parameter that several gates of a layer share gets the exact variance of its summed
    generator."""

    name = "block-diag"
    entries = "block-diag"
    is_diagonal = False


@hinted
@dataclass(frozen=True)
class Diagonal(LayerMetric):
    """The covariances inside a unit, the commuting rotations of one gate that one parameter moves."""

    name = "diag"
    entries = "diag"
    is_diagonal = True
