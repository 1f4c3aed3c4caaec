"""Blocks of the metric, each from the joint samples of one circuit.

Over all rotations the full metric is ¼Jᵀ(C − m mᵀ)J, with the correlations C of the generators and their means m. A
layer's circuit gives its own block. A split gate's block goes on in other layers: what correlates the layers is known
from the gate itself, and the means come from the layers' circuits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from qngd.circuit.circuit import Circuit
from qngd.measured.covariances import covariance, diagonal
from qngd.measured.cutting import layer_members, layer_templates
from qngd.measured.draft import Draft
from qngd.measured.outcomes import means, moved_together, shared_errors
from qngd.measured.plan import Plan
from qngd.measured.readout import Readout
from qngd.metrics.parts import Part


@dataclass(frozen=True, eq=False)
class Partners:
    """The `rotations` (q,) of a split gate in other layers than a term's, with their `jacobian` (q, p)."""

    rotations: np.ndarray
    jacobian: np.ndarray


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


def block_terms(draft: Draft, is_diagonal: bool | None) -> tuple[BlockTerm, ...]:
    """One term a layer, and for each split gate in it another; blocks as of the diagonal, or as of the block-diagonal
    metric. Where it is None, one block a layer, whatever is split."""
    book, phi = draft.book, draft.phi
    templates = draft.once(layer_templates)
    requests = [book.request(book.template(each, None), phi[each.rotations]) for each in templates]
    blocks = draft.once_of_angles(_blocks_of_layers, is_diagonal)
    return tuple(replace(block, request=requests[block.request]) for block in blocks)


def _blocks_of_layers(circuit: Circuit, jacobian: sparse.csr_array, is_diagonal: bool | None) -> list[BlockTerm]:
    """The terms, with the numbers of the layers in place of requests."""
    numbers = np.zeros_like(circuit.unit) if is_diagonal is None else circuit.block_of(is_diagonal)
    num_split = 0 if is_diagonal is None else len(circuit.split_gates)  # whose blocks come first
    blocks = []
    for layer in range(circuit.num_layers):
        members = layer_members(circuit, layer)
        number = numbers[members]
        term_of = np.minimum(number, num_split)
        for term in np.unique(term_of):
            inside = np.flatnonzero(term_of == term)
            elsewhere = (numbers == term) & (circuit.level != layer) & (term < num_split)
            others = np.flatnonzero(elsewhere)
            columns, rows = moved_by(jacobian, np.append(members[inside], others))
            own = np.zeros((len(members), len(columns)))
            own[inside], beyond = np.split(rows, [len(inside)])
            partners = Partners(others, beyond) if len(others) else None
            blocks.append(BlockTerm(layer, members, columns, own, number, partners))
    return blocks


def moved_by(jacobian: sparse.csr_array, rotations: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The parameters (p,) that move these rotations (m,), and the rows of the Jacobian there, (m, p)."""
    rows = jacobian[rotations]
    columns = np.unique(rows.indices)
    return columns, rows[:, columns].toarray()


@dataclass(frozen=True, eq=False)
class RotationMeans:
    """⟨P_k⟩ of rotations, `values` (K,), 0 of those that were not measured; and `shared` (C, K), how the errors that
    their circuits share move them."""

    values: np.ndarray
    shared: np.ndarray

    def products(self, some: np.ndarray, others: np.ndarray) -> np.ndarray:
        """Those of means from different circuits, without the bias by what these share."""
        biased = np.outer(self.values[some], self.values[others])
        return biased - self.shared[:, some].T @ self.shared[:, others]


def block_means(read: Readout, blocks: Sequence[BlockTerm]) -> RotationMeans:
    """Those of the rotations of these blocks."""
    values, moves = np.zeros(read.plan.jacobian.shape[0]), []
    for request, rotations in {block.request: block.rotations for block in blocks}.items():
        outcome = read.outcomes[request]
        values[rotations] = means(outcome, read.templates[request])[0]
        moves.append(((rotations,), shared_errors(outcome, len(rotations))))
    return RotationMeans(values, moved_together(values.shape, moves))


def block_parts(
    read: Readout, blocks: Sequence[BlockTerm], is_diagonal: bool, known: sparse.csr_array | None = None
) -> list[Part]:
    """A part a block; `known` are the correlations (K, K) inside split gates, where there are any."""
    mean = block_means(read, [block for block in blocks if block.partners])
    return [_part(read, block, mean, is_diagonal, known) for block in blocks]


def _part(
    read: Readout, block: BlockTerm, mean: RotationMeans, is_diagonal: bool, known: sparse.csr_array | None
) -> Part:
    """One term. A split gate's is completed by half of what correlates it with its partners in other layers, who have
    the other half: ¼J_iJ_jᵀ(C_ij − m_im_j)."""
    outcome, template = read.outcomes[block.request], read.templates[block.request]
    jacobian, partners = 0.5 * block.jacobian, block.partners
    elsewhere = 0.5 * partners.jacobian.T @ mean.values[partners.rotations] if partners else 0.0
    if is_diagonal:
        found = diagonal(outcome, template, jacobian, block.block, elsewhere)
    else:
        found = covariance(outcome, template, jacobian, elsewhere)
    if partners:
        assert known is not None
        correlations = known[block.rotations][:, partners.rotations].toarray()
        between = correlations - mean.products(block.rotations, partners.rotations)
        half = 0.25 * jacobian.T @ between @ partners.jacobian
        half = np.diag(np.diag(half)) if is_diagonal else half
        found = replace(found, value=found.value + half + half.T)
    return Part(block.request, block.columns, found)


def block_bounds(plan: Plan, blocks: Sequence[BlockTerm]) -> np.ndarray:
    """Shots (R,) that keep what is not in the spread within unit error: the second order of the blocks' variances,
    2(B²/4)²/N² for generator sums of at most B, and B⁴/N² for outcomes not seen, shared out over the blocks."""
    found = np.zeros(plan.num_circuits)
    for block in blocks:
        largest = np.abs(block.jacobian).sum(axis=0).max(initial=0.0)
        found[block.request] += np.sqrt(len(blocks)) * largest**2
    return found
